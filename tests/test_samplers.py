"""Samplers: marginals, and the rate at which each one's error falls with the size of the batch."""

import pytest
import torch
from scipy.stats import kstest

from lib.training.samplers import SAMPLERS, Antithetic, MonteCarlo, Sobol, sampler

each = pytest.mark.parametrize("name", sorted(SAMPLERS))


def make(name, batch=64, T=3, D=2, seed=0, **options):
    return sampler(name, batch, T, D, generator=torch.Generator().manual_seed(seed), **options)


@each
def test_marginals_are_white_noise(name):
    draw = make(name, dtype=torch.float64)
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
        draw = make(name, batch, T=3, D=1, dtype=torch.float64)
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


@pytest.mark.parametrize(
    "name, low, high", [("monte-carlo", -0.6, -0.4), ("antithetic", -0.6, -0.4), ("sobol", -1.7, -1.1)]
)
def test_error_against_batch_size(name, low, high):
    """Random points: -1/2. A scrambled net of a smooth function: steeper than -1, towards -3/2 for large batches."""
    assert low < exponent(BATCHES, rms_errors(name, BATCHES, bumps, 1.0)) < high


def test_antithetic_pairs_integrate_odd_functions_exactly():
    x = make("antithetic", 8)()
    assert torch.equal(x[:4], -x[4:])
    odd = (x**3 + torch.sin(x)).reshape(8, -1)
    assert torch.equal(odd[:4] + odd[4:], torch.zeros(4, 6))
    assert len(torch.unique(x.abs())) == 4 * 3 * 2


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
    values = make("sobol", 2, dtype=torch.float64)()
    assert values.isfinite().all()
    torch.testing.assert_close(values[0], -values[1])
    assert 6 < float(values.max()) < 6.5


def test_sobol_points_lie_on_the_grid_that_is_assumed():
    points = torch.quasirandom.SobolEngine(6, scramble=True, seed=3).draw(128, dtype=torch.float64) * 2.0**30
    assert torch.equal(points, points.round())


def test_sobol_fills_every_cell():
    """64 points of a net: each of 64 equally likely intervals of each coordinate holds exactly one."""
    x = make("sobol", 64, dtype=torch.float64)().reshape(64, 6)
    cells = (torch.special.ndtr(x) * 64).floor().long()
    for i in range(6):
        assert sorted(cells[:, i].tolist()) == list(range(64))


def test_sobol_seed_comes_from_the_generator_only():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    make("sobol")()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_names_and_errors():
    assert SAMPLERS == {"monte-carlo": MonteCarlo, "antithetic": Antithetic, "sobol": Sobol}
    with pytest.raises(
        ValueError, match=r"sampler must be one of \['antithetic', 'monte-carlo', 'sobol'\], got 'grid'"
    ):
        make("grid")
    with pytest.raises(ValueError, match="batch must be even for antithetic pairs, got 3"):
        make("antithetic", 3)
    for sizes in ({"batch": 0}, {"T": 0}, {"D": 0}, {"batch": 2.0}):
        with pytest.raises(ValueError, match="must be an integer of at least 1, got"):
            make("monte-carlo", **sizes)
