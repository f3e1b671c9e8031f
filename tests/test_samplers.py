"""Samplers: their distributions, how their errors fall with the batch, and where their randomness comes from."""

import pytest
import torch
from scipy.stats import kstest

from lib.training.samplers import (
    POINTS,
    SAMPLERS,
    Midpoints,
    MonteCarlo,
    Sobol,
    SobolPoints,
    Strata,
    UniformPoints,
    points,
    sampler,
)

each = pytest.mark.parametrize("name", sorted(SAMPLERS))


def make(name, batch=64, T=3, D=2, seed=0, **options):
    return sampler(name, batch, T, D, generator=torch.Generator().manual_seed(seed), **options)


@each
def test_marginals_are_white_noise(name):
    draw = make(name)
    draws = torch.stack([draw().reshape(64, 6) for _ in range(400)])  # 400 x 64 x 6
    moments = {
        "mean": (draws.mean(dim=1), torch.zeros(6)),
        "covariance": (torch.einsum("rbi,rbj->rij", draws, draws) / 64, torch.eye(6)),
        "fourth": ((draws**4).mean(dim=1), torch.full((6,), 3.0)),
    }
    for per_draw, expected in moments.values():
        error = per_draw.std(dim=0) / len(draws) ** 0.5  # draws are independent, sequences of one draw are not
        assert ((per_draw.mean(dim=0) - expected).abs() <= 5 * error + 1e-12).all()
    # one sequence of every draw is an independent normal sample
    assert min(kstest(draws[:, 5, i].numpy(), "norm").pvalue for i in range(6)) > 1e-4


def rms_errors(name, batches, function, expected, repeats=48):
    errors = []
    for batch in batches:
        draw = make(name, batch, T=3, D=1)
        values = torch.stack([function(draw()[:, :, 0]).mean() for _ in range(repeats)])
        errors.append(float((values - expected).square().mean().sqrt()))
    return errors


def exponent(batches, errors):
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (batches, errors))
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


BATCHES = [2**k for k in range(4, 12)]


def bumps(x):
    """A product over the steps of functions of mean 1, smooth also in the uniform variable behind x."""
    return (1 + torch.exp(-(x**2)) - 3**-0.5).prod(dim=1)


@pytest.mark.parametrize("name, low, high", [("monte-carlo", -0.6, -0.4), ("sobol", -1.7, -1.1)])
def test_error_against_batch_size(name, low, high):
    """Random points: -1/2. A scrambled net of a smooth function: steeper than -1, towards -3/2 for large batches."""
    assert low < exponent(BATCHES, rms_errors(name, BATCHES, bumps, 1.0)) < high


@each
def test_successive_draws_differ_and_a_seed_repeats_them(name):
    first, again, other = make(name), make(name), make(name, seed=1)
    a, b = first(), first()
    assert not torch.equal(a, b)
    assert torch.equal(a, again())
    assert torch.equal(b, again())
    assert not torch.equal(a, other())


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_dtype_device_and_no_infinity(name, dtype):
    draw = make(name, 256, T=4, D=3, dtype=dtype, device="cpu")
    values = torch.cat([draw() for _ in range(40)])
    assert (values.shape, values.dtype, values.device.type) == ((10_240, 4, 3), dtype, "cpu")
    assert values.isfinite().all()


def test_the_extreme_sobol_points_are_finite(monkeypatch):
    """A scrambled net may contain 0, whose normal quantile is infinite, and 1 - 2^-30."""
    extremes = torch.tensor([[0.0] * 6, [1 - 2.0**-30] * 6], dtype=torch.float64)
    monkeypatch.setattr("lib.training.samplers.SobolEngine.draw", lambda self, n, dtype: extremes)
    values = make("sobol", 2)()
    assert values.isfinite().all()
    torch.testing.assert_close(values[0], -values[1])
    assert 6 < float(values.max()) < 6.5


def test_sobol_points_lie_on_the_grid_that_is_assumed():
    points = torch.quasirandom.SobolEngine(6, scramble=True, seed=3).draw(128, dtype=torch.float64) * 2.0**30
    assert torch.equal(points, points.round())


def test_sobol_fills_every_cell():
    """64 points of a net: each of 64 equally likely intervals of each coordinate holds exactly one."""
    x = make("sobol", 64)().reshape(64, 6)
    cells = (torch.special.ndtr(x) * 64).floor().long()
    for i in range(6):
        assert sorted(cells[:, i].tolist()) == list(range(64))


def test_sobol_seed_comes_from_the_generator_only():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    make("sobol")()
    assert torch.equal(torch.random.get_rng_state(), before)


def box(name, batch=64, D=1, z_max=5.0, **options):
    return points(name, batch, D, z_max=z_max, generator=torch.Generator().manual_seed(3), **options)


each_points = pytest.mark.parametrize("name", sorted(POINTS))


@each_points
def test_points_have_the_shape_and_the_range_of_the_box(name):
    z = box(name, 256)()
    assert z.shape == (256, 1) and z.dtype == torch.float64
    assert z.abs().max() <= 5.0
    assert box(name, dtype=torch.float32)().dtype == torch.float32


@each_points
def test_moments_are_those_of_the_box(name):
    """Mean 0 and variance z_max^2 / 3, within five standard errors of independent points."""
    z = box(name, 4096, z_max=2.0)()
    assert abs(z.mean().item()) < 5 * (4 / 3 / 4096) ** 0.5
    assert z.square().mean().item() == pytest.approx(4 / 3, abs=5 * (64 / 45 / 4096) ** 0.5)


@each_points
def test_one_generator_one_sequence_of_points(name):
    first, second = box(name), box(name)
    draws = [first(), first()]
    assert torch.equal(draws[0], second()) and torch.equal(draws[1], second())
    assert torch.equal(draws[0], draws[1]) == (name == "grid")


@pytest.mark.parametrize("name", ["strata", "grid", "sobol"])
def test_every_interval_holds_one_point(name):
    z = box(name, 64)()[:, 0]
    assert sorted(((z + 5) / 10 * 64).floor().long().tolist()) == list(range(64))


def test_the_variance_of_a_mean_over_strata():
    """For a function of slope f' it is (2 z_max)^2 <f'^2> / 12 B^3, against var f / B for independent points."""
    draw = box("strata", 16, z_max=1.0)
    means = torch.stack([draw().exp().mean() for _ in range(4000)])
    slopes = (torch.tensor(2.0).exp() - torch.tensor(-2.0).exp()) / 4  # mean of exp(2z) over [-1, 1]
    expected = (4 * slopes / (12 * 16**3)).item()
    assert means.var().item() == pytest.approx(expected, rel=0.15)  # standard error 2 %, curvature adds 3 %


def test_points_of_several_channels():
    for name in ("monte-carlo", "sobol"):
        z = box(name, 512, 3)()
        assert z.shape == (512, 3)
        assert torch.corrcoef(z.T).triu(1).abs().max() < 5 / 512**0.5
    for name in ("strata", "grid"):
        with pytest.raises(ValueError, match="intervals are for one channel, got 3; use sobol"):
            box(name, 8, 3)


@pytest.mark.parametrize("draw", [make, box])
@pytest.mark.parametrize("name", ["monte-carlo", "sobol"])
def test_batches_drawn_ahead_are_those_of_single_draws(draw, name):
    """Also when somebody else draws in between, and when the generator is put back, as a checkpoint does."""
    one, block = draw(name), draw(name, ahead=3)
    for step in range(11):
        assert torch.equal(one(), block())
        assert torch.equal(one.generator.get_state(), block.generator.get_state())
        if step in (4, 8):
            others = [torch.rand(5, generator=which.generator) for which in (one, block)]
            assert torch.equal(*others)
        if step == 6:
            kept = one.generator.get_state()
    for which in (one, block):
        which.generator.set_state(kept)
    assert torch.equal(one(), block())


def test_names_and_errors():
    assert SAMPLERS == {"monte-carlo": MonteCarlo, "sobol": Sobol}
    assert POINTS == {"monte-carlo": UniformPoints, "sobol": SobolPoints, "strata": Strata, "grid": Midpoints}
    with pytest.raises(ValueError, match=r"sampler must be one of \['monte-carlo', 'sobol'\], got 'grid'"):
        make("grid")
    with pytest.raises(ValueError, match="sampler must be one of .*, got 'antithetic'"):
        box("antithetic")
    for sizes in ({"batch": 0}, {"T": 0}, {"D": 0}, {"batch": 2.0}, {"ahead": 0}):
        with pytest.raises(ValueError, match="must be an integer of at least 1, got"):
            make("monte-carlo", **sizes)
    with pytest.raises(ValueError, match="z_max must be a positive number, got 0"):
        box("grid", z_max=0)
    with pytest.raises(ValueError, match="batch must be an integer of at least 1, got 0"):
        box("grid", 0)
