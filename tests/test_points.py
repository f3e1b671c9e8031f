"""Points of the proxy loss: their distribution, their variance, and where their randomness comes from."""

import pytest
import torch

from lib.training.points import POINTS, Grid, SobolPoints, Strata, UniformPoints, points

each = pytest.mark.parametrize("name", sorted(POINTS))


def make(name, batch=64, D=1, z_max=5.0, **options):
    return points(name, batch, D, z_max=z_max, generator=torch.Generator().manual_seed(3), **options)


@each
def test_shape_dtype_and_range(name):
    z = make(name, 256, dtype=torch.float64)()
    assert z.shape == (256, 1) and z.dtype == torch.float64
    assert z.abs().max() <= 5.0
    assert make(name)().dtype == torch.float32


@each
def test_moments_are_those_of_the_box(name):
    """Mean 0 and variance z_max^2 / 3, within five standard errors of independent points."""
    z = make(name, 4096, z_max=2.0, dtype=torch.float64)()
    assert abs(z.mean().item()) < 5 * (4 / 3 / 4096) ** 0.5
    assert z.square().mean().item() == pytest.approx(4 / 3, abs=5 * (64 / 45 / 4096) ** 0.5)


@each
def test_one_generator_one_sequence_of_draws(name):
    first, second = make(name), make(name)
    draws = [first(), first()]
    assert torch.equal(draws[0], second()) and torch.equal(draws[1], second())
    assert torch.equal(draws[0], draws[1]) == (name == "grid")


@pytest.mark.parametrize("name", ["strata", "grid", "sobol"])
def test_every_interval_holds_one_point(name):
    z = make(name, 64, dtype=torch.float64)()[:, 0]
    assert sorted(((z + 5) / 10 * 64).floor().long().tolist()) == list(range(64))


def test_the_variance_of_a_mean_over_strata():
    """For a function of slope f' it is (2 z_max)^2 <f'^2> / 12 B^3, against var f / B for independent points."""
    draw = make("strata", 16, z_max=1.0, dtype=torch.float64)
    means = torch.stack([draw().exp().mean() for _ in range(4000)])
    slopes = (torch.tensor(2.0).exp() - torch.tensor(-2.0).exp()) / 4  # mean of exp(2z) over [-1, 1]
    expected = (4 * slopes / (12 * 16**3)).item()
    assert means.var().item() == pytest.approx(expected, rel=0.15)  # standard error 2 %, curvature adds 3 %


def test_several_channels():
    for name in ("monte-carlo", "sobol"):
        z = make(name, 512, 3, dtype=torch.float64)()
        assert z.shape == (512, 3)
        assert torch.corrcoef(z.T).triu(1).abs().max() < 5 / 512**0.5
    for name in ("strata", "grid"):
        with pytest.raises(ValueError, match="intervals are for one channel, got 3; use sobol"):
            make(name, 8, 3)


def test_names_and_errors():
    assert POINTS == {"monte-carlo": UniformPoints, "sobol": SobolPoints, "strata": Strata, "grid": Grid}
    with pytest.raises(ValueError, match="sampler must be one of .*, got 'antithetic'"):
        make("antithetic")
    with pytest.raises(ValueError, match="z_max must be a positive number, got 0"):
        make("grid", z_max=0)
    with pytest.raises(ValueError, match="batch must be an integer of at least 1, got 0"):
        make("grid", 0)
