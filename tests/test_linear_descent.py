"""lib.theory.linear.reduced and descent: the small space is exact, and the closed gradient trains as autograd does."""

import pytest
import torch
from equations import randn

from lib.model.task import Task
from lib.theory.linear.descent import descend, log_spaced_steps
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.moments import moments
from lib.theory.linear.reduced import invariants, reduce
from lib.training.loop import TrainingDiverged

TASKS = {1: Task(0.9, 0.7, T=3), 2: Task([0.9, 0.6], [1.0, 0.5], T=4)}


def vectors(rng, D, n=12):
    return tuple(randn(n, D, rng=rng) / n**0.5 for _ in range(2))


@pytest.mark.parametrize("D", [1, 2])
def test_basis_is_orthonormal_and_spans_decoders_and_encoders(D, rng):
    e, d = vectors(rng, D)
    small = reduce(e, d)
    torch.testing.assert_close(small.basis.T @ small.basis, torch.eye(2 * D, dtype=torch.float64))
    torch.testing.assert_close(small.basis @ small.encoders, e)
    torch.testing.assert_close(small.basis @ small.decoders, d)
    omega = randn(2 * D, 2 * D, rng=rng)
    torch.testing.assert_close(small.project(small.lift(omega)), omega)
    torch.testing.assert_close(moments(small.lift(omega), e, d, 4), moments(omega, small.encoders, small.decoders, 4))


@pytest.mark.parametrize("D", [1, 2])
def test_training_in_the_small_space_is_training(D, rng):
    e, d = vectors(rng, D)
    small = reduce(e, d)
    options = {"lr": 0.2, "n_steps": 50, "record": 10}
    full = descend(torch.zeros(12, 12, dtype=torch.float64), e, d, TASKS[D], **options)
    less = descend(torch.zeros(2 * D, 2 * D, dtype=torch.float64), small.encoders, small.decoders, TASKS[D], **options)
    torch.testing.assert_close(small.lift(less.W), full.W, rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(less.losses, full.losses, rtol=1e-11, atol=1e-15)
    assert full.steps.tolist() == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize(("name", "optimiser"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_training_is_that_of_autograd(name, optimiser, rng):
    e, d = vectors(rng, 1)
    start = 0.1 * randn(12, 12, rng=rng)
    W = start.clone().requires_grad_()
    peer = optimiser([W], lr=0.03)
    for _ in range(20):
        peer.zero_grad()
        averaged_loss(W, e, d, TASKS[1]).backward()
        peer.step()
    found = descend(start, e, d, TASKS[1], lr=0.03, n_steps=20, optimiser=name)
    torch.testing.assert_close(found.W, W.detach(), rtol=1e-9, atol=1e-11)
    assert not torch.equal(start, found.W)


def test_many_networks_with_a_rate_each(rng):
    e, d = vectors(rng, 1)
    starts = 0.1 * randn(3, 12, 12, rng=rng)
    rates = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    together = descend(starts, e, d, TASKS[1], lr=rates, n_steps=7, path=True)
    assert together.path is not None and together.path.shape == (8, 3, 12, 12)
    for k in range(3):
        alone = descend(starts[k], e, d, TASKS[1], lr=float(rates[k]), n_steps=7)
        torch.testing.assert_close(together.W[k], alone.W)
        torch.testing.assert_close(together.losses[:, k], alone.losses)


def test_stops_and_gives_up(rng):
    e, d = vectors(rng, 1)
    zero = torch.zeros(12, 12, dtype=torch.float64)
    found = descend(zero, e, d, TASKS[1], lr=0.3, n_steps=10_000, stop_loss=1e-6, record=10_000)
    assert found.losses[-1] <= 1e-6 and 0 < found.steps[-1] < 10_000
    with pytest.raises(TrainingDiverged, match="lower lr"):
        descend(zero, e, d, TASKS[1], lr=1e4, n_steps=100)
    with pytest.raises(ValueError, match="optimiser"):
        descend(zero, e, d, TASKS[1], lr=1.0, n_steps=1, optimiser="lion")


def test_dependent_vectors_are_refused(rng):
    e, _ = vectors(rng, 1)
    with pytest.raises(ValueError, match="linearly independent"):
        reduce(e, 2 * e)
    with pytest.raises(ValueError, match="both be n x D"):
        reduce(e, torch.cat([e, e], dim=1))


def test_vectors_are_broadcast_against_weights(rng):
    e, d = vectors(rng, 2), vectors(rng, 2)
    encoders, decoders = torch.stack([e[0], d[0]]), torch.stack([e[1], d[1]])
    zero = torch.zeros(12, 12, dtype=torch.float64)
    together = descend(zero, encoders, decoders, TASKS[2], lr=0.2, n_steps=5)
    assert together.W.shape == (2, 12, 12) and together.losses.shape == (6, 2)
    for k in range(2):
        alone = descend(zero, encoders[k], decoders[k], TASKS[2], lr=0.2, n_steps=5)
        torch.testing.assert_close(together.W[k], alone.W)
    assert not zero.any()


def test_spaced_steps():
    assert log_spaced_steps(1) == [0, 1]
    steps = log_spaced_steps(10_000, 10)
    assert steps[0] == 0 and steps[-1] == 10_000 and 100 in steps
    assert len([step for step in steps if 100 < step <= 1000]) == 10
    with pytest.raises(ValueError, match="n_steps"):
        log_spaced_steps(0)


def test_moments_from_three_numbers(rng):
    e, d = vectors(rng, 1)
    small = reduce(e, d)
    omega = randn(5, 2, 2, rng=rng)
    found = invariants(omega, small.encoders, small.decoders)
    torch.testing.assert_close(found.moments(9), moments(omega, small.encoders, small.decoders, 9)[..., 0, 0])
    with pytest.raises(ValueError, match="two dimensions"):
        invariants(torch.eye(12), e, d)
