"""lib.theory.linear.channels: integrators of several channels from their eigenvectors, and how many neurons they
need.
"""

import pytest
import torch
from equations import randn, run, targets
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.activations import Linear
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.linear.channels import (
    cross_talk,
    eigenmodes,
    hankel_lower_bound,
    integrator,
    minimal_directions,
    minimal_order,
)
from lib.theory.linear.descent import descend
from lib.theory.linear.fitting import best_residual
from lib.theory.linear.moments import moments, target_moments
from lib.theory.linear.reduced import reduce

TASKS = {1: Task(0.9, 1.3), 2: Task([0.9, 0.6], [1.0, 2.0]), 3: Task([0.9, 0.9, 0.5], [1.0, 0.7, 1.5])}


def codes(rng, D, n):
    return randn(n, D, rng=rng) / n**0.5, randn(n, D, rng=rng) / n**0.5


def with_defect(rng, n, task, rank):
    """Encoders and decoders for which S - d'e has this rank: e = N A + d (d'd)^-1 (S - defect)."""
    e, d = codes(rng, task.D, n)
    defect = randn(task.D, rank, rng=rng) @ randn(rank, task.D, rng=rng)
    wanted = torch.diag(torch.tensor(task.scales, dtype=torch.float64)) - defect
    inverse = torch.linalg.pinv(d.T)
    return e + inverse @ (wanted - d.T @ e), d


def check(W, e, d, task):
    torch.testing.assert_close(moments(W, e, d, 12), target_moments(task, 12, W), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("D", [1, 2, 3])
def test_it_integrates(D, rng):
    """Equations 17 and 19: outputs and states, against loops over steps."""
    task = TASKS[D]
    e, d = codes(rng, D, 12)
    modes = integrator(e, d, task)
    x = randn(2, 30, D, rng=rng)
    wanted = targets(x, task.decays, task.scales)
    states, outputs = run(modes.W, e, d, x, lambda currents: currents)
    torch.testing.assert_close(outputs, wanted, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(states, wanted @ modes.directions.T, rtol=1e-9, atol=1e-10)
    trajectory = Integrator(modes.W, e, d, activation=Linear()).run(x)
    torch.testing.assert_close(trajectory.outputs, wanted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("D", [1, 2, 3])
def test_the_three_conditions(D, rng):
    task = TASKS[D]
    e, d = codes(rng, D, 12)
    L, R = integrator(e, d, task)
    gamma, S = (torch.diag(torch.tensor(v, dtype=torch.float64)) for v in (task.decays, task.scales))
    torch.testing.assert_close(d.T @ L, torch.eye(D, dtype=torch.float64))
    torch.testing.assert_close(R.T @ L, gamma)
    torch.testing.assert_close(R.T @ e, S @ gamma)


def test_other_directions_are_other_integrators(rng):
    e, d = codes(rng, 2, 12)
    N = torch.linalg.qr(d, mode="complete").Q[:, 2:]
    first = integrator(e, d, TASKS[2])
    other = integrator(e, d, TASKS[2], first.directions + N @ randn(10, 2, rng=rng))
    assert (other.W - first.W).norm() > 0.1
    check(other.W, e, d, TASKS[2])


def test_turning_the_neurons_turns_the_network(rng):
    e, d = codes(rng, 2, 8)
    Q = torch.linalg.qr(randn(8, 8, rng=rng)).Q
    torch.testing.assert_close(integrator(Q @ e, Q @ d, TASKS[2]).W, Q @ integrator(e, d, TASKS[2]).W @ Q.T)
    assert minimal_order(Q @ e, Q @ d, TASKS[2]) == minimal_order(e, d, TASKS[2]) == 4


def test_a_batch(rng):
    e, d = randn(4, 12, 2, rng=rng), randn(4, 12, 2, rng=rng)
    together = integrator(e, d, TASKS[2]).W
    for k in range(4):
        torch.testing.assert_close(together[k], integrator(e[k], d[k], TASKS[2]).W)


@settings(max_examples=30, deadline=None)
@given(D=st.integers(1, 3), rank=st.integers(0, 3), extra=st.integers(0, 2), seed=st.integers(0, 10**6))
def test_it_exists_from_the_minimal_number_of_neurons(D, rank, extra, seed):
    """With D + rank(S - d'e) neurons or more."""
    rng, rank, task = torch.Generator().manual_seed(seed), min(rank, D), TASKS[D]
    e, d = with_defect(rng, D + rank + extra, task, rank)
    assert minimal_order(e, d, task) == D + rank
    L = minimal_directions(e, d, task)
    check(integrator(e, d, task, L).W, e, d, task)
    check(integrator(e, d, task).W, e, d, task)


@pytest.mark.parametrize(("D", "rank"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_not_below(D, rank, rng):
    """The block Hankel matrix of the wanted moments has more rank than a network of n - 1 neurons can give."""
    task = TASKS[D]
    e, d = with_defect(rng, D + rank, task, rank)
    M = torch.cat([(d.T @ e)[None], target_moments(task, 6, e)])
    hankel = torch.cat([torch.cat([M[i + j] for j in range(4)], dim=1) for i in range(4)])
    assert torch.linalg.matrix_rank(hankel, rtol=1e-9) == D + rank
    small_e, small_d = codes(rng, D, D + rank - 1)
    small_e = small_e + torch.linalg.pinv(small_d.T) @ (d.T @ e - small_d.T @ small_e)  # the same d'e
    with pytest.raises(ValueError, match=f"at least {D + rank} neurons, got {D + rank - 1}"):
        minimal_directions(small_e, small_d, task)


def test_special_vectors(rng):
    """Decoders that see nothing of the encoders, and equal ones: the two ends of what `minimal_directions` meets."""
    task = TASKS[2]
    d = torch.eye(4, 2, dtype=torch.float64)
    e = torch.eye(4, dtype=torch.float64)[:, 2:]
    check(integrator(e, d, task).W, e, d, task)
    check(integrator(d, d, task).W, d, d, task)
    mixed = torch.stack([e[:, 0], d[:, 1]], dim=1)  # one of each
    check(integrator(mixed, d, task).W, mixed, d, task)


@pytest.mark.parametrize(("n", "exists"), [(2, False), (3, False), (4, True)])
def test_a_blind_search_agrees(n, exists, rng):
    e, d = codes(rng, 2, n)
    residual = best_residual(e, d, TASKS[2], starts=6, generator=rng)
    assert (residual < 1e-20) is exists
    assert residual > 1e-5 or exists


@pytest.mark.parametrize(("D", "n"), [(1, 1), (2, 2), (2, 3), (3, 4)])
def test_no_network_undercuts_the_floor(D, n, rng):
    """Neither a search nor thousands of random networks; and the floor is not far below the search."""
    e, d, task = *codes(rng, D, n), TASKS[D]
    floor = hankel_lower_bound(e, d, task)
    assert floor > 1e-6
    assert floor <= best_residual(e, d, task, starts=6, generator=rng) < 100 * floor
    W = randn(2000, n, n, rng=rng) / n**0.5
    errors = moments(W, e, d, 2 * n) - target_moments(task, 2 * n, e)
    assert (errors.square().sum(dim=(-3, -2, -1)) >= floor).all()


def test_the_floor_by_hand():
    """One neuron, s = 2, d'e = 1, gamma = 1/2, orders 1 and 2: [[1, 1], [1, 1/2]] has eigenvalues (3 +- sqrt 17)/4."""
    e = torch.ones(1, 1, dtype=torch.float64)
    floor = hankel_lower_bound(e, e, Task(0.5, 2.0))
    assert floor == pytest.approx(((17**0.5 - 3) / 4) ** 2 / 2, rel=1e-12)


def test_there_is_no_floor_with_enough_neurons(rng):
    for rank in range(3):
        e, d = with_defect(rng, 2 + rank, TASKS[2], rank)
        assert hankel_lower_bound(e, d, TASKS[2]) == 0
    with pytest.raises(ValueError, match="orders"):
        hankel_lower_bound(e, d, TASKS[2], orders=1)


def test_a_blind_search_finds_the_special_case(rng):
    e, d = (v.float().requires_grad_() for v in with_defect(rng, 2, TASKS[2], 0))
    assert best_residual(e, d, TASKS[2], starts=6, generator=rng) < 1e-12  # the codes are rounded


@pytest.mark.parametrize("D", [2, 3])
def test_trained_networks_have_the_conditions_in_their_eigenvectors(D, rng):
    """T = 3 is enough for any D, also with equal decays; singular vectors mix the channels (erratum E16)."""
    task = Task([0.9, 0.6, 0.6][:D], 1.0, T=3)
    e, d = codes(rng, D, 200)
    small = reduce(e, d)
    options = {"lr": 0.5, "n_steps": 2500, "record": 2500}
    omega = descend(torch.zeros(2 * D, 2 * D, dtype=torch.float64), small.encoders, small.decoders, task, **options).W
    found = moments(omega, small.encoders, small.decoders, 30)
    torch.testing.assert_close(found, target_moments(task, 30, found), rtol=1e-5, atol=1e-5)
    sigma = torch.linalg.svdvals(omega)
    assert sigma[D] < 1e-6 * sigma[D - 1]
    modes = eigenmodes(omega, D)
    torch.testing.assert_close(modes.values, torch.tensor(task.decays, dtype=torch.float64), atol=1e-6, rtol=0)
    if D == 2:  # equal decays leave a choice of eigenvectors
        assert max(cross_talk(*modes[1:], small.encoders, small.decoders)) < 1e-6
        U, _, Vh = torch.linalg.svd(omega)
        assert max(cross_talk(U[:, :2], Vh[:2].T, small.encoders, small.decoders)[:2]) > 0.03


@pytest.mark.parametrize("D", [1, 2])
def test_three_orders_fix_all_the_others(D, rng):
    """det [[M0, M1], [M1, M2]] vanishes together with that of d'e - S."""
    task = TASKS[D]
    for rank in range(D + 1):
        e, d = with_defect(rng, 6, task, rank)
        M0, (M1, M2) = d.T @ e, target_moments(task, 2, e)
        block = torch.cat([torch.cat([M0, M1], dim=1), torch.cat([M1, M2], dim=1)])
        assert torch.linalg.matrix_rank(block, rtol=1e-9) == D + rank


def test_eigenmodes_by_hand():
    W = torch.tensor([[0.5, 1.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, -0.1]], dtype=torch.float64)
    found = eigenmodes(W, 2)
    torch.testing.assert_close(found.values, torch.tensor([0.9, 0.5], dtype=torch.float64))
    torch.testing.assert_close(W @ found.directions, found.directions * found.values)
    torch.testing.assert_close(W.T @ found.readers, found.readers * found.values)
    assert eigenmodes(W.expand(2, 3, 3), 1).values.tolist() == [[pytest.approx(0.9)]] * 2
    with pytest.raises(ValueError, match="complex"):
        eigenmodes(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), 1)
    with pytest.raises(ValueError, match="count"):
        eigenmodes(W, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, d: integrator(e, d, TASKS[3]), "2 channels, got 3"),
        (lambda e, d: integrator(e, d[:3], TASKS[2]), "both be n x D"),
        (lambda e, d: integrator(e[:3], d[:3], TASKS[2]), "at least 4 neurons, got 3"),
        (lambda e, d: integrator(e, d, TASKS[2], 2 * d), "must have d'L = 1"),
        (lambda e, d: integrator(e[None, :3], d[None, :3], TASKS[2]), "no R belongs"),
        (lambda e, d: minimal_directions(e, d[:, [0, 0]], TASKS[2]), "decoders must be linearly independent"),
        (lambda e, d: minimal_order(e[None], d[None], TASKS[2]), "one network"),
        (lambda e, d: cross_talk(e[:, :1], d[:, :1], e[:, :1], d[:, :1]), "two channels, got 1"),
    ],
)
def test_refuses(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(*codes(rng, 2, 6))
