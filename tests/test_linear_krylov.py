"""lib.theory.linear.krylov: training in the small space against training in the full one."""

import pytest
import torch
from equations import randn

from lib.model.task import Task
from lib.theory.linear.descent import descend
from lib.theory.linear.krylov import words
from lib.theory.linear.moments import moments
from lib.theory.linear.reduced import reduce

TASKS = {1: Task(0.9, 0.7, T=3), 2: Task([0.9, 0.6], [1.0, 0.5], T=4)}
OPTIONS = {"lr": 0.2, "n_steps": 60, "record": 60}


def start(rng, D, radius, n=100):
    e, d = (randn(n, D, rng=rng) / n**0.5 for _ in range(2))
    return radius * randn(n, n, rng=rng) / n**0.5, e, d


def train(W, e, d, D, length):
    """Moments after training in the space of words of this length."""
    small = words(W, e, d, length)
    found = descend(small.project(W), small.encoders, small.decoders, TASKS[D], **OPTIONS)
    return moments(found.W, small.encoders, small.decoders, 8), small, found.W


@pytest.mark.parametrize(("D", "length", "tolerance"), [(1, 4, 1e-9), (2, 3, 1e-7)])
def test_training_in_the_span_of_words_is_training(D, length, tolerance, rng):
    W, e, d = start(rng, D, 0.1)
    full = descend(W, e, d, TASKS[D], **OPTIONS).W
    found, small, omega = train(W, e, d, D, length)
    assert small.basis.shape == (100, 2 * D * (2 ** (length + 1) - 1))
    torch.testing.assert_close(found, moments(full, e, d, 8), rtol=tolerance, atol=tolerance)
    lifted = W + small.lift(omega - small.project(W))
    torch.testing.assert_close(lifted, full, rtol=1e-3, atol=0.1 ** (length + 1))
    assert (full - W).norm() > 0.5  # training went somewhere


def test_the_error_falls_as_the_radius_to_the_power_2m_plus_2(rng):
    """Fitted over a factor of four in the radius, for m = 0 and 1; the reference has m = 4."""
    W, e, d = start(rng, 1, 1.0)
    radii = [0.05, 0.2]
    exact = [train(r * W, e, d, 1, 4)[0] for r in radii]
    for m in (0, 1):
        errors = [(train(r * W, e, d, 1, m)[0] - right).abs().max() for r, right in zip(radii, exact, strict=True)]
        slope = (errors[1] / errors[0]).log() / torch.tensor(radii[1] / radii[0]).log()
        assert slope == pytest.approx(2 * m + 2, abs=0.5)


def test_basis_is_orthonormal_and_holds_the_words(rng):
    W, e, d = start(rng, 2, 0.5)
    V = words(W, e, d, 2).basis
    torch.testing.assert_close(V.T @ V, torch.eye(V.shape[1], dtype=torch.float64))
    for word in (e, d, W @ e, W.T @ e, W @ W.T @ d, W.T @ W @ e):
        torch.testing.assert_close(V @ (V.T @ word), word)
    longer = W @ W @ W.T @ e
    assert (V @ (V.T @ longer) - longer).norm() > 0.1 * longer.norm()


def test_turning_the_neurons_changes_nothing(rng):
    W, e, d = start(rng, 1, 0.2)
    Q = torch.linalg.qr(randn(100, 100, rng=rng)).Q
    torch.testing.assert_close(train(Q @ W @ Q.T, Q @ e, Q @ d, 1, 2)[0], train(W, e, d, 1, 2)[0])


@pytest.mark.parametrize("kind", ["null", "symmetric"])
def test_dependent_words_do_no_harm(kind, rng):
    W, e, d = start(rng, 1, 0.1)
    W = W + W.T if kind == "symmetric" else torch.zeros_like(W)
    full = descend(W, e, d, TASKS[1], **OPTIONS).W
    found, small, _ = train(W, e, d, 1, 3)
    torch.testing.assert_close(small.basis.T @ small.basis, torch.eye(30, dtype=torch.float64))
    torch.testing.assert_close(found, moments(full, e, d, 8), rtol=1e-6, atol=1e-6)


def test_without_words_it_is_the_space_of_the_null_start(rng):
    W, e, d = start(rng, 2, 0.0)
    a, b = words(W, e, d, 0).basis, reduce(e, d).basis
    torch.testing.assert_close(a @ a.T, b @ b.T)


def test_a_batch(rng):
    W, e, d = start(rng, 1, 0.1, n=20)
    e2, d2 = torch.stack([e, d]), torch.stack([d, e])
    both = words(W.expand(2, 20, 20), e2, d2, 1)
    for k in range(2):
        one = words(W, e2[k], d2[k], 1).basis
        torch.testing.assert_close(both.basis[k] @ both.basis[k].T, one @ one.T)


def test_refuses(rng):
    W, e, d = start(rng, 1, 0.1, n=10)
    with pytest.raises(ValueError, match="need 14 dimensions, got 10 neurons: use the full space"):
        words(W, e, d, 2)
    with pytest.raises(ValueError, match="length"):
        words(W, e, d, -1)
    with pytest.raises(ValueError, match="both be n x D"):
        words(W, e, d[:5], 1)
