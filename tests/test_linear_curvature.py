"""lib.theory.linear.curvature: against autograd, against formula 49 term by term, and one closed form against the
other.
"""

import pytest
import torch
from equations import randn

from lib.model.task import Task
from lib.theory.linear.covariance import autoregressive, white
from lib.theory.linear.curvature import (
    best_condition,
    hessian,
    null_eigenvalues,
    rank_one_spectrum,
    spectrum,
    valley,
)
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.manifolds import Manifolds
from lib.theory.linear.reduced import reduce

GAMMA = 0.9


def manifolds(rng, *batch):
    e, d = randn(*batch, 7, 1, rng=rng), randn(*batch, 7, 1, rng=rng)
    return Manifolds(reduce(e, d), GAMMA)


def angles(rng, *shape):
    return randn(*shape, 2, rng=rng)


def by_autograd(omega, e, d, s, chi):
    def loss(flat):
        k = len(e)
        return averaged_loss(flat.view(k, k), e, d, Task(GAMMA, s, len(chi)), chi=chi, normalisation="paper")

    return torch.autograd.functional.hessian(loss, omega.flatten())


@pytest.mark.parametrize("chi", [white(3), autoregressive(5, 0.6)], ids=["white", "correlated"])
def test_hessian_is_that_of_autograd_at_integrators(chi, rng):
    m = manifolds(rng)
    for omega, s in ((m.iso_scale(0.8, 0.3), 0.8), (m.along(2.0, angles(rng)), 2.0)):
        expected = by_autograd(omega, m.small.encoders, m.small.decoders, s, chi)
        found = hessian(omega, m.small.encoders, m.small.decoders, len(chi), chi=chi)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * expected.abs().max().item())


def test_hessian_is_twice_what_is_printed(rng):
    """Erratum E4, with equation 49 written out."""
    m, T = manifolds(rng), 4
    omega, d, e = m.iso_scale(0.8, 0.3), m.decoder, m.encoder
    powers = [torch.linalg.matrix_power(omega, k) for k in range(T)]
    printed = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    for q in range(1, T + 1):
        slope = sum(torch.outer(d @ powers[k], powers[q - 1 - k] @ e) for k in range(q))
        printed += white(T)[q - 1, q - 1] * torch.einsum("ij,kl->ijkl", slope, slope)
    torch.testing.assert_close(hessian(omega, m.small.encoders, m.small.decoders, T), 2 * printed.view(4, 4))


@pytest.mark.parametrize("T", [2, 3, 10])
def test_spectrum_is_that_of_the_hessian(T, rng):
    m = manifolds(rng, 5)
    omega = m.iso_scale(0.8, 0.3)
    expected = torch.linalg.eigvalsh(hessian(omega, m.small.encoders, m.small.decoders, T))
    found = spectrum(omega, m.small.encoders, m.small.decoders, T)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10 * expected.max().item())


@pytest.mark.parametrize("T", [3, 5, 10])
def test_null_eigenvalues(T, rng):
    """One on the sheet, two on the planes, three on their line (rows C39, C40)."""
    m = manifolds(rng)
    values = randn(2, 20, rng=rng)

    def count(omega):
        return null_eigenvalues(spectrum(omega, m.small.encoders, m.small.decoders, T)).unique().tolist()

    assert count(m.along(0.8, angles(rng, 20))) == [1]
    assert count(m.m_alpha(*values)) == count(m.m_beta(*values)) == [2]
    assert count(m.crossing(values[0])) == count(m.crossing(GAMMA)) == [3]


@pytest.mark.parametrize("chi", [white(3), white(10), autoregressive(4, 0.7)], ids=["3", "10", "correlated"])
def test_closed_form_is_the_spectrum(chi, rng):
    m = manifolds(rng, 40, 1)
    scale, right = torch.tensor([0.05, 0.6, 3.0], dtype=torch.float64), angles(rng, 40, 3)
    found = rank_one_spectrum(m, scale, right, len(chi), chi=chi)
    expected = spectrum(m.along(scale, right), m.small.encoders[:, :], m.small.decoders[:, :], len(chi), chi=chi)
    for one, other in zip(found, expected.unbind(-1)[1:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.condition, expected[..., 3] / expected[..., 1], rtol=1e-6, atol=0)


def test_closed_form_of_other_vectors_of_the_same_weights(rng):
    """Only the product of the norms matters: a longer encoder and a shorter decoder give the same Hessian at W."""
    e, d = randn(7, 1, rng=rng), randn(7, 1, rng=rng)
    small, other = reduce(e, d), reduce(4 * e, d / 4)
    one, two = Manifolds(small, GAMMA), Manifolds(other, GAMMA)
    right = angles(rng, 30)
    turned = right @ (other.basis.T @ small.basis).T  # the same vectors of n numbers
    torch.testing.assert_close(
        rank_one_spectrum(one, 0.7, right, 3).condition,
        rank_one_spectrum(two, 0.7, turned, 3).condition,
        rtol=1e-7,
        atol=0,
    )


def test_best_condition_is_the_minimum_of_a_fine_grid(rng):
    m = manifolds(rng, 3, 1)
    scale = torch.tensor([0.02, 0.3, 1.0, 5.0], dtype=torch.float64)
    best = best_condition(m, scale, 3)
    assert best.condition.shape == (3, 4) and best.right.shape == (3, 4, 2)
    at = rank_one_spectrum(m, scale, best.right, 3).condition
    torch.testing.assert_close(at, best.condition, rtol=1e-9, atol=0)
    angles = torch.linspace(0, torch.pi, 100_001, dtype=torch.float64)[:-1]
    wide = Manifolds(type(m.small)(*(part[:, None] for part in m.small)), GAMMA)
    fine = rank_one_spectrum(wide, scale[:, None], torch.stack([angles.cos(), angles.sin()], dim=-1), 3).condition
    lowest = fine.nan_to_num(nan=torch.inf).amin(dim=-1)
    assert (best.condition <= lowest * (1 + 1e-9)).all()
    torch.testing.assert_close(best.condition, lowest, rtol=1e-3, atol=0)


def test_best_condition_of_one(rng):
    m = manifolds(rng)
    best = best_condition(m, 0.7, 3)
    assert best.condition.shape == () and best.right.shape == (2,)


def test_valley_by_hand():
    """A minimum at 1 with slopes -2 and 3; what lies beyond a divergence does not count."""
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    condition = torch.exp(torch.where(x < 0, -2 * x, 3 * x) + 1)
    condition[:3] = 100.0
    found = valley(x.exp(), condition, x[2].exp().item())
    assert found == pytest.approx((1.0, torch.e, -2.0, 3.0))
    mirrored = valley(1 / x.exp().flip(0), condition.flip(0), 1 / x[2].exp().item())
    assert mirrored == pytest.approx((1.0, torch.e, -3.0, 2.0))
    with pytest.raises(ValueError, match="below the minimum, got 1"):
        valley(x.exp(), x, -1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, w: rank_one_spectrum(m, 0.5, w[0], 2), "T must be"),
        (lambda m, w: rank_one_spectrum(m, 0.0, w[0], 3), "scale must differ"),
        (lambda m, w: hessian(w, m.small.encoders, torch.zeros(3, 1), 3), "n x D"),
        (lambda m, w: hessian(w, torch.zeros(2, 2), torch.zeros(2, 2), 3), "one channel"),
        (lambda m, w: hessian(w, m.small.encoders, m.small.decoders, 3, chi=torch.ones(2, 2)), "chi"),
    ],
)
def test_refuses(call, message, rng):
    m = manifolds(rng)
    with pytest.raises(ValueError, match=message):
        call(m, m.iso_scale(0.8, 0.3))
