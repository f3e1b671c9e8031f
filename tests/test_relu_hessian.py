"""lib.theory.relu.hessian: closed forms against autograd, the printed formula, and counts of positive eigenvalues."""

import itertools

import pytest
import torch
from equations import randn, rectifier

from lib.theory.relu.descent import descend
from lib.theory.relu.hessian import hessian, largest_eigenvalue, spectrum
from lib.theory.relu.null_start import descend_from_null
from lib.theory.relu.printed import gradient_of_currents as printed_gradient
from lib.theory.relu.printed import hessian as printed_hessian
from lib.theory.relu.printed import released_hessian

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
    top = torch.linalg.eigvalsh(expected.reshape(36, 36))
    assert largest_eigenvalue(W, e, d, 0.9, 1.3).item() == pytest.approx(top[-1].item(), rel=1e-9)
    assert (top.abs() > 1e-10).sum() <= 5 * 6  # it acts on 5n dimensions


def test_many_networks(rng):
    W, s = randn(3, 2, 5, 5, rng=rng), torch.tensor([0.5, 2.0], dtype=torch.float64)
    e, d = codes(rng, 5)
    all_of_it, top = hessian(W, e, d, 0.9, s), largest_eigenvalue(W, e, d, 0.9, s)
    assert spectrum(W, e, d, 0.9, s).shape == (3, 2, 12) and top.shape == (3, 2)
    for k in range(3):
        for j in range(2):
            one = W[k, j], e, d, 0.9, s[j].item()
            torch.testing.assert_close(all_of_it[k, j], hessian(*one))
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


@pytest.mark.parametrize("sign", [1, -1])
def test_terms_of_each_sign(sign, rng):
    W, (e, d) = randn(6, 6, rng=rng) / 2, codes(rng, 6)

    def one_sign(V):
        h = rectifier(sign * (V @ e))
        return ((d.T @ h - sign * 1.3 * 0.9) ** 2).sum() + (V @ h - sign * 0.9 * V @ e).square().sum()

    expected = torch.autograd.functional.hessian(one_sign, W)
    found = hessian(W, e, d, 0.9, 1.3, sign=sign, normalisation="paper")
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_printed_gradient_is_wrong_by_one_factor(sign, rng):
    W, (e, _) = randn(6, 6, rng=rng) / 2, codes(rng, 6)
    free = W.clone().requires_grad_()
    h = rectifier(sign * (free @ e))
    currents = (free @ h - sign * 0.9 * free @ e).square().sum()
    (right,) = torch.autograd.grad(currents, free)
    printed = printed_gradient(W, e, 0.9, 1.3, sign)
    r = W @ h.detach() - sign * 0.9 * W @ e
    mended = printed + 2 * r @ (sign * 0.9 * (1.3 - e)).T  # gamma e in place of s gamma
    torch.testing.assert_close(mended, right, rtol=1e-12, atol=1e-13)
    assert (printed - right).abs().max() > 0.1 * right.abs().max()


@pytest.mark.parametrize("s", list(SCALES))
def test_the_printed_formula_is_wrong(s, rng):
    """By index, with every distribution left out; its terms are checked against the right ones in the next test."""
    W, e, d = integrator(rng, 12, s)
    right, printed = hessian(W, e, d, 0.9, s, normalisation="paper"), printed_hessian(W, e, d, 0.9)
    assert (printed - right).abs().max() > 0.01 * right.abs().max()
    assert torch.linalg.eigvalsh(printed.reshape(144, 144))[0] < -1


def test_the_printed_formulas_entry_by_entry(rng):
    """As loops over the indices of the text, and of the released code with its rank-one W."""
    n, gamma = 4, 0.9
    W, (e, d) = randn(n, n, rng=rng), codes(rng, n)
    left, sizes, right = torch.linalg.svd(W)
    for released, V in ((False, W), (True, sizes[0] * torch.outer(left[:, 0], right[0]))):
        x, y = e[:, 0], e[:, 0] if released else d[:, 0]
        u = V @ x
        H, h = [(z * u > 0).double() for z in (1, -1)], [rectifier(z * u) for z in (1, -1)]
        v, w = V @ u - 2 * gamma * u, u - 2 * gamma * x
        total = torch.zeros(n, n, n, n, dtype=torch.float64)
        for i, j, k, m in itertools.product(range(n), repeat=4):
            for p, z in ((0, 1), (1, -1)):
                total[i, j, k, m] += (y[i] * y[k] + V[:, i] @ V[:, k]) * x[j] * x[m] * H[p][i] * H[p][k]
                total[i, j, k, m] += (i == k) * (h[p][j] - z * gamma * x[j]) * (h[p][m] - z * gamma * x[m])
            total[i, j, k, m] += (j == k) * v[i] * x[m] + V[i, k] * w[j] * x[m] + V[k, i] * w[m] * x[j]
            if i == m:
                row = (i, j, j, m) if released else (i, j, k, m)
                total[row] += v[i] * x[m] if released else v[k] * x[j]
        if released:
            lower = total.reshape(n * n, n * n)
            expected = torch.linalg.eigvalsh(lower)  # reads the lower triangle, as the solver of the released code does
            torch.testing.assert_close(torch.linalg.eigvalsh(released_hessian(W, e, gamma)), expected)
        else:
            torch.testing.assert_close(printed_hessian(W, e, d, gamma), 2 * total)


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
    wider = torch.cat([Q, 0 * Q[:, :2]], dim=1)
    filled = spectrum(found.W, e, d, 0.9, 1.0, basis=wider)
    torch.testing.assert_close(filled[-len(confined) :], confined, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(found.orthonormal, Q)
    assert len(values) == len(positive) or values[-len(positive) - 1] < 1e-9


def test_refuses(rng):
    W, (e, d) = randn(5, 5, rng=rng), codes(rng, 5)
    with pytest.raises(ValueError, match="basis must have shape 5 x k"):
        spectrum(W, e, d, 0.9, 1.0, basis=torch.zeros(4, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="sign must be"):
        hessian(W, e, d, 0.9, 1.0, sign=2)
    with pytest.raises(ValueError, match="decay"):
        largest_eigenvalue(W, e, d, 2.0, 1.0)
