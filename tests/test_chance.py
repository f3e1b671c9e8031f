"""Ratios by chance: against distributions of scipy, Monte Carlo, and the ratios of actual currents."""

import math

import pytest
import torch
from equations import randn
from scipy import stats

from lib.analysis.null_models import code_from_rms, expected, sampled
from lib.analysis.representation import current_ratios

CHANNELS = [1, 2, 3, 5]


@pytest.mark.parametrize("n", [12, 1000])
def test_expected_ratios_are_those_of_chi_distributions(n):
    found = expected(n, CHANNELS)
    for k, D in enumerate(CHANNELS):
        assert found.mean_norms[k].item() == pytest.approx(stats.chi.mean(n - D) / stats.chi.mean(D))
        assert found.rms[k].item() == pytest.approx(math.sqrt(stats.chi2.mean(n - D) / stats.chi2.mean(D)))
        assert found.code[k].item() == pytest.approx(math.sqrt(1 - D / n))
        assert code_from_rms(found.rms[k].item()) == pytest.approx(found.code[k].item())


def test_sampled_ratios_lie_within_their_errors(rng):
    n, draws = 60, 20_000
    found, exact = sampled(n, CHANNELS, draws, generator=rng), expected(n, CHANNELS)
    for k, D in enumerate(CHANNELS):
        spread = [  # relative standard errors: of a mean norm, of a mean square (delta method)
            math.hypot(*(stats.chi.std(m) / stats.chi.mean(m) for m in (D, n - D))) / draws**0.5,
            0.5 * math.hypot(*(math.sqrt(2 / m) for m in (D, n - D))) / draws**0.5,
        ]
        assert found.mean_norms[k].item() == pytest.approx(exact.mean_norms[k].item(), rel=5 * spread[0])
        assert found.rms[k].item() == pytest.approx(exact.rms[k].item(), rel=5 * spread[1])
        assert found.code[k].item() == pytest.approx(exact.code[k].item(), rel=5 * spread[1] * D / n)


@pytest.mark.parametrize("D", [1, 2, 3])
def test_isotropic_currents_of_a_network_have_these_ratios(D, rng):
    """The functions that judge networks, on currents without structure."""
    n, draws = 20, 4000
    nu = randn(40, draws // 40, n, rng=rng)
    found = current_ratios(randn(n, n, rng=rng), randn(n, D, rng=rng), nu)
    exact = expected(n, [D])
    assert found.mean_norms == pytest.approx(exact.mean_norms[0].item(), rel=5 / math.sqrt(D * draws))
    for value in (found.code, found.encoders):
        assert value == pytest.approx(exact.code[0].item(), rel=5 / math.sqrt(n * draws))


def test_draws_that_do_not_fill_a_chunk(rng):
    """1001 currents are a thousand and one, drawn in that order."""
    found = sampled(7, [2], 1001, generator=rng)
    again = torch.Generator().manual_seed(0)
    nu = torch.cat([randn(1000, 7, rng=again), randn(1, 7, rng=again)])
    inside, outside = nu[:, :2].norm(dim=1), nu[:, 2:].norm(dim=1)
    assert found.mean_norms.item() == pytest.approx((outside.mean() / inside.mean()).item())
    assert found.rms.item() == pytest.approx((outside.norm() / inside.norm()).item())
    assert found.code.item() == pytest.approx((outside.norm() / nu.norm()).item())


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="n must be an integer of at least 6, got 5"):
        sampled(5, [5], 10, generator=rng)
    with pytest.raises(ValueError, match="draws must be an integer of at least 1, got 0"):
        sampled(5, [2], 0, generator=rng)
