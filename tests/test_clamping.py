"""Dale's law on a matrix of rank two: the formulas against a matrix under the law, and Monte Carlo."""

import math

import pytest
import torch
from integrators import randn

from lib.theory.dale import chance_overlap, clamped_spectrum
from lib.training.dale import DaleLaw, modes, one_sign_share, type_match_share


def test_spectrum_of_a_clamped_pair(rng):
    """Even directions and equal lengths: the sums over neurons are exact for all harmonics but the highest."""
    n = 400
    law = DaleLaw(n, 0.25)
    around = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    shuffled = around[torch.randperm(n, generator=rng)] + 0.3
    W = law.clamped(torch.cos(around[:, None] - shuffled))
    found = modes(W, 9)
    torch.testing.assert_close(found.values / found.values[1], clamped_spectrum(9), rtol=0.15, atol=0)
    assert one_sign_share(found) == 1 and type_match_share(found, law) == 1


def test_unsigned_part_has_the_spectrum_of_the_series():
    """Without inhibition nothing mixes the two parts, and the Fourier series of |cos| is met to its aliasing."""
    n = 400
    around = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    sigma = torch.linalg.svdvals(DaleLaw(n, 0.0).clamped(torch.cos(around[:, None] - around)))[:9]
    torch.testing.assert_close(sigma / sigma[1], clamped_spectrum(9), rtol=1e-2, atol=0)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8])
def test_spectrum_has_the_length_asked_for(k):
    values = clamped_spectrum(k)
    assert values.shape == (k,) and (values.diff() <= 0).all()
    torch.testing.assert_close(values, clamped_spectrum(20)[:k])


def test_spectrum_refuses_no_values():
    with pytest.raises(ValueError, match="k"):
        clamped_spectrum(0)


@pytest.mark.parametrize("D", [1, 2, 5])
def test_chance_overlap_of_gaussian_decoders(D, rng):
    d = randn(4000, 200, D, rng=rng)
    length = d.norm(dim=-1)
    overlap = (d * length[..., None]).sum(dim=1) / (d.norm(dim=1) * length.norm(dim=1)[:, None])
    rms = (200 * overlap.square().mean()).sqrt().item()
    assert rms == pytest.approx(chance_overlap(D), rel=0.05)  # four standard errors of the mean, and 1/n
