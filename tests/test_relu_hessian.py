"""lib.relu.hessian: closed forms against autograd, the printed formula, and counts of positive eigenvalues."""

import pytest
import torch
from equations import randn, rectifier

from lib.relu.descent import descend
from lib.relu.hessian import hessian, largest_eigenvalue, product, spectrum
from lib.relu.null_start import descend_from_null

SCALES = {0.3: 0.015, 0.7: 0.05, 1.0: 0.1, 3.0: 0.15}  # and rates


def loss_of(W, e, d, gamma, s):
    """Equation 29 over s^2."""
    u = W @ e
    h = [rectifier(z * u) for z in (1, -1)]
    terms = [
        (d.T @ h[k] - z * s * gamma) ** 2 + (W @ h[k] - z * gamma * u).square().sum() for k, z in ((0, 1), (1, -1))
    ]
    return sum(terms).sum() / s**2


def autograd(W, e, d, gamma, s):
    return torch.autograd.functional.hessian(lambda V: loss_of(V, e, d, gamma, s), W)


def codes(rng, n):
    e, d = randn(n, 1, rng=rng), randn(n, 1, rng=rng)
    return e / e.norm(), d / d.norm()


def integrator(rng, n, s):
    e, d = codes(rng, n)
    null = torch.zeros(n, n, dtype=torch.float64)
    found = descend(null, e, d, 0.9, s, lr=SCALES[s], n_steps=20_000, stop_loss=1e-22, record=20_000)
    assert found.losses[-1].item() <= 1e-22
    return found.W, e, d


def test_hessian_is_that_of_autograd_at_any_weights(rng):
    W, (e, d) = randn(6, 6, rng=rng) / 2, codes(rng, 6)
    expected = autograd(W, e, d, 0.9, 1.3)
    torch.testing.assert_close(hessian(W, e, d, 0.9, 1.3), expected, rtol=1e-12, atol=1e-12)
    change = randn(6, 6, rng=rng)
    wanted = torch.einsum("ijkl,kl->ij", expected, change)
    torch.testing.assert_close(product(W, change, e, d, 0.9, 1.3), wanted, rtol=1e-12, atol=1e-12)
    top = torch.linalg.eigvalsh(expected.reshape(36, 36))
    assert largest_eigenvalue(W, e, d, 0.9, 1.3).item() == pytest.approx(top[-1].item(), rel=1e-9)
    assert (top.abs() > 1e-10).sum() <= 5 * 6  # it acts on 5n dimensions


def test_many_networks(rng):
    W, s = randn(3, 2, 5, 5, rng=rng), torch.tensor([0.5, 2.0], dtype=torch.float64)
    e, d = codes(rng, 5)
    all_of_it, top = hessian(W, e, d, 0.9, s), largest_eigenvalue(W, e, d, 0.9, s)
    change = randn(3, 2, 5, 5, rng=rng)
    moved = product(W, change, e, d, 0.9, s)
    assert spectrum(W, e, d, 0.9, s).shape == (3, 2, 12) and top.shape == (3, 2)
    for k in range(3):
        for j in range(2):
            one = W[k, j], e, d, 0.9, s[j].item()
            torch.testing.assert_close(all_of_it[k, j], hessian(*one))
            torch.testing.assert_close(moved[k, j], product(one[0], change[k, j], *one[1:]))
            assert top[k, j].item() == pytest.approx(largest_eigenvalue(*one).item())


@pytest.mark.parametrize("s", list(SCALES))
def test_at_an_integrator(s, rng):
    """Against autograd; 2n + 2 positive eigenvalues and no other; Lanczos and the small matrix agree with it."""
    n = 12
    W, e, d = integrator(rng, n, s)
    expected = autograd(W, e, d, 0.9, s)
    torch.testing.assert_close(hessian(W, e, d, 0.9, s), expected, rtol=1e-12, atol=1e-10)
    values = torch.linalg.eigvalsh(expected.reshape(n * n, n * n))
    size = values[-1].item()
    assert values[0] > -1e-9 * size
    assert (values > 1e-9 * size).sum() == 2 * n + 2
    torch.testing.assert_close(spectrum(W, e, d, 0.9, s), values[-(2 * n + 2) :], rtol=1e-9, atol=1e-9 * size)
    assert largest_eigenvalue(W, e, d, 0.9, s).item() == pytest.approx(size, rel=1e-9)


def printed_hessian(W, e, d, gamma, s):
    """The combined formula as printed in appendix I, without its distributions, over s^2."""
    one, u = torch.eye(len(e), dtype=W.dtype), W @ e
    H = [torch.heaviside(z * u, torch.tensor(0.5, dtype=W.dtype))[:, 0] for z in (1, -1)]
    steps = torch.outer(H[0], H[0]) + torch.outer(H[1], H[1])
    a = [(rectifier(z * u) - z * gamma * e)[:, 0] for z in (1, -1)]
    e, d = e[:, 0], d[:, 0]
    total = torch.einsum("i,j,k,l,ik->ijkl", d, e, d, e, steps)
    total += torch.einsum("j,l,ai,ak,ik->ijkl", e, e, W, W, steps)
    total += sum(torch.einsum("ik,j,l->ijkl", one, v, v) for v in a)
    mixed = torch.einsum("jk,i,l->ijkl", one, W @ W @ e - 2 * gamma * W @ e, e)
    mixed += torch.einsum("ik,j,l->ijkl", W, W @ e - 2 * gamma * e, e)
    return 2 * (total + mixed + mixed.permute(2, 3, 0, 1)) / s**2


@pytest.mark.parametrize("s", list(SCALES))
def test_the_printed_formula_is_wrong(s, rng):
    W, e, d = integrator(rng, 12, s)
    right, printed = hessian(W, e, d, 0.9, s), printed_hessian(W, e, d, 0.9, s)
    assert (printed - right).abs().max() > 0.01 * right.abs().max()
    assert torch.linalg.eigvalsh(printed.reshape(144, 144))[0] * s**2 < -1


def test_spectrum_within_the_small_space(rng):
    """Changes confined to what gradient descent from zero can reach: by projecting the whole Hessian."""
    e, d = codes(rng, 12)
    found = descend_from_null(e, d, 0.9, 1.0, lr=0.1, n_steps=5000)
    Q, _ = torch.linalg.qr(found.basis)
    k = Q.shape[1]
    H = torch.einsum("ip,jq,ijkl,kr,lt->pqrt", Q, Q, hessian(found.W, e, d, 0.9, 1.0), Q, Q).reshape(k * k, k * k)
    values = torch.linalg.eigvalsh(H)
    confined = spectrum(found.W, e, d, 0.9, 1.0, basis=Q)
    positive = confined[confined > 1e-9]
    torch.testing.assert_close(positive, values[-len(positive) :], rtol=1e-8, atol=1e-10)
    assert len(values) == len(positive) or values[-len(positive) - 1] < 1e-9


def test_refuses(rng):
    W, (e, d) = randn(5, 5, rng=rng), codes(rng, 5)
    with pytest.raises(ValueError, match="basis must have shape 5 x k"):
        spectrum(W, e, d, 0.9, 1.0, basis=torch.zeros(4, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="decay"):
        largest_eigenvalue(W, e, d, 2.0, 1.0)
