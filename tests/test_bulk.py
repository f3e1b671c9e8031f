"""Random weights beside the trained ones: against draws, networks of finite size, and the limits."""

import math

import pytest
import torch
from equations import randn

from lib.theory.mean_field import CRITICAL, even_fraction, rectified_product


@pytest.mark.parametrize("c", [-1.0, -0.6, 0.0, 0.3, 1.0])
def test_the_product_of_rectified_variables_is_that_of_draws(rng, c):
    u, v = randn(2, 400_000, rng=rng)
    products = u.clamp_min(0) * (c * u + math.sqrt(1 - c * c) * v).clamp_min(0)
    error = products.std().item() / len(products) ** 0.5
    assert rectified_product(c) == pytest.approx(products.mean().item(), abs=4 * error + 1e-12)


@pytest.mark.parametrize("radius", [0.5, 1.0])
def test_the_even_share_is_that_of_networks(rng, radius):
    """Gaussian weights and a drive of rank one: the states at which the network stands still, found by iteration."""
    n, shares = 400, []
    for _ in range(16):
        G, u = randn(n, n, rng=rng) * radius / n**0.5, randn(n, rng=rng)
        drive = (1 - radius**2 / 2) ** 0.5 * torch.stack([u, -u])
        nu = drive
        for _ in range(60):
            nu = drive + nu.clamp_min(0) @ G.T
        shares.append((nu.mean(dim=0).square().sum() / nu.square().sum(dim=1).mean()).item())
    found = torch.tensor(shares, dtype=torch.float64)
    assert even_fraction(radius) == pytest.approx(found.mean().item(), abs=4 * found.std().item() / 4 + 1 / n)


def test_limits():
    assert even_fraction(0.0) == pytest.approx(0, abs=1e-9)
    assert even_fraction(0.1) == pytest.approx(0.1**2 / 4, rel=0.02)
    assert even_fraction(CRITICAL - 1e-6) > 0.9


@pytest.mark.parametrize("radius", [-0.1, CRITICAL, math.nan])
def test_a_radius_at_which_nothing_stands_still_is_refused(radius):
    with pytest.raises(ValueError, match=r"radius must lie in \[0, 1.414\)"):
        even_fraction(radius)


def test_a_correlation_out_of_range_is_refused():
    with pytest.raises(ValueError, match="correlation must lie"):
        rectified_product(1.5)
