"""lib.theory.linear.conditions: networks that integrate are told from those that nearly do."""

import numpy as np
import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st
from integrators import FALSE, TRUE, codes, growing, high_rank, lowest_rank, right_until

from lib.model.task import Task
from lib.theory.linear.conditions import examine, sufficient_length
from lib.theory.linear.moments import moments, target_moments

SEEDS = st.integers(0, 10**6)


def test_two_hundred_networks_and_no_misjudgement(rng):
    """At the default tolerance, by their own decays and scales and by those of the task."""
    misjudged = []
    kinds = [(name, make, True) for name, make in TRUE.items()] * 15
    kinds += [(name, make, False) for name, make in FALSE.items()] * 25
    for name, make, truth in kinds:
        network = make(rng)
        found, asked = examine(*network[:3]), examine(*network)
        misjudged += [name] * (found.integrates is not truth or asked.integrates is not truth)
        if truth:
            assert found.decays.tolist() == pytest.approx(network.task.decays, abs=1e-7)
            assert found.scales.tolist() == pytest.approx(network.task.scales, rel=1e-6)
    assert len(kinds) > 200 and misjudged == []


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, change=st.floats(1e-3, 0.5), D=st.integers(1, 2))
def test_another_decay_or_scale_is_another_task(seed, change, D):
    W, e, d, task = lowest_rank(torch.Generator().manual_seed(seed), D)
    slower = Task([gamma * (1 - change) for gamma in task.decays], task.scales)
    assert not examine(W, e, d, slower).integrates
    assert not examine(W, e, d, Task(task.decays, [s * (1 + change) for s in task.scales])).integrates


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n=st.integers(2, 5))
def test_right_for_n_steps_only(seed, n):
    """As many moments as neurons do not decide; one more would."""
    network = right_until(torch.Generator().manual_seed(seed), n)
    asked = examine(*network)
    assert not asked.integrates and asked.horizon == n == sufficient_length(n, network.task.decays) - 1
    assert asked.growth == pytest.approx(1.213, rel=1e-3)  # its largest eigenvalue


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, D=st.integers(1, 3), rank=st.integers(1, 6))
def test_enough_moments_decide(seed, D, rank):
    """The recurrence behind `sufficient_length`, checked on the moments of a random W of this rank."""
    rng = torch.Generator().manual_seed(seed)
    n, task = 8, Task([0.9, 0.5, 0.9][:D])
    W = randn(n, rank, rng=rng) @ randn(rank, n, rng=rng) / n
    e, d = codes(rng, n, D)
    m = sufficient_length(rank, task.decays)
    assert m == rank + min(D, 2)
    errors = moments(W, e, d, m + 4) - target_moments(task, m + 4, W)
    values = torch.linalg.eigvals(W)
    values = values[values.abs().argsort(descending=True)[:rank]]
    roots = [*values.numpy(), *sorted(set(task.decays))]
    polynomial = torch.from_numpy(np.poly(roots)).to(values)  # highest power first
    for q in range(4):
        window = errors[q : q + m + 1].flip(0).to(values.dtype)
        assert torch.einsum("q,qab->ab", polynomial, window).abs().max() < 1e-9 * (1 + errors.abs().max())


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, factor=st.floats(0.1, 10.0), D=st.integers(1, 2))
def test_symmetries(seed, factor, D):
    """Rotated neurons; decoders and encoders exchanged with W transposed; longer encoders."""
    rng = torch.Generator().manual_seed(seed)
    W, e, d, task = high_rank(rng, D)
    U = torch.linalg.qr(randn(len(W), len(W), rng=rng)).Q
    for W_, e_, d_, scales in (
        (U @ W @ U.T, U @ e, U @ d, task.scales),
        (W.T, d, e, task.scales),
        (W, factor * e, d, [factor * s for s in task.scales]),
        (W, -e, d, [-s for s in task.scales]),
    ):
        found = examine(W_, e_, d_)
        assert found.integrates
        assert found.scales.tolist() == pytest.approx(list(scales), rel=1e-6)
        assert found.decays.tolist() == pytest.approx(task.decays, abs=1e-7)


def test_no_forgetting(rng):
    """gamma = 1, where errors of the decay add up for ever."""
    e, d = codes(rng, 10)
    W = e @ d.T / (d.T @ e)
    found = examine(W, e, d)
    assert found.integrates and found.decays.item() == pytest.approx(1, abs=1e-12)
    assert not examine((1 + 1e-9) * W, e, d).integrates
    assert examine((1 + 1e-9) * W, e, d, furthest=512).integrates


def test_a_mode_that_is_too_weak_to_be_seen_but_grows(rng):
    for _ in range(10):
        network = growing(rng)
        found, nearsighted = examine(*network), examine(*network, furthest=16)
        n = len(network.W)
        assert nearsighted.integrates and nearsighted.horizon == max(n + 1, 16)
        assert not found.integrates and found.horizon > n
        assert found.growth == pytest.approx(torch.linalg.eigvals(network.W).abs().max().item(), rel=1e-2)


def test_growth_in_hiding_is_felt_in_the_end(rng):
    """A mode of modulus 1.5 that is not read out: right on paper, but the state grows until rounding shows."""
    found = examine(*high_rank(rng, radius=1.5))
    assert not found.integrates and 10 < found.horizon < 1024
    assert found.growth == pytest.approx(1.5, rel=0.05)


def test_a_looser_tolerance_accepts_what_was_trained_roughly(rng):
    W, e, d, task = lowest_rank(rng)
    rough = W + 1e-4 * randn(*W.shape, rng=rng) / len(W) ** 0.5
    assert not examine(rough, e, d).integrates
    loose = examine(rough, e, d, tolerance=1e-2)
    assert loose.integrates and loose.decays.item() == pytest.approx(task.decays[0], rel=1e-2)


def test_single_precision_is_judged_as_it_is(rng):
    W, e, d, task = lowest_rank(rng)
    found = examine(W.float(), e.float(), d.float(), task, tolerance=1e-4)
    assert found.integrates and found.decays.dtype == torch.float64
    assert not examine(W.float(), e.float(), d.float(), task, tolerance=1e-12).integrates


def test_texts(rng):
    W, e, d, task = lowest_rank(rng)
    good, bad, none = examine(W, e, d), examine(1.1 * W, e, d, task), examine(0 * W, e, d)
    assert str(good).splitlines()[1] == "integrates: errors stay below 1e-06 of the scale for 1048576 steps"
    assert str(good).startswith(f"found: decay {task.decays[0]:.6g}, scale {task.scales[0]:.6g}")
    assert str(bad).startswith("asked for: decay") and "does not integrate" in str(bad)
    assert f"errors by step: {0.1 * task.decays[0]:.2g} at 1, " in str(bad)
    assert not none.integrates and none.horizon == 0
    grows = examine(*growing(rng))
    assert f"late errors grow by the factor {grows.growth:.4g} per step" in str(grows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": torch.zeros(3, 2)}, "expected W 3 x 3"),
        ({"W": torch.full((3, 3), torch.nan)}, "W must be finite, got 9"),
        ({"W": torch.zeros(2, 3, 3)}, "W must have shape n x n"),
        ({"encoders": torch.full((3, 1), torch.inf)}, "encoders must be finite"),
        ({"task": Task([0.9, 0.8])}, "1 channels, got 2"),
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"furthest": 0}, "furthest must be"),
    ],
)
def test_refuses(change, message):
    good = {"W": torch.zeros(3, 3), "encoders": torch.ones(3, 1), "decoders": torch.ones(3, 1)}
    with pytest.raises(ValueError, match=message):
        examine(**good | change)
    with pytest.raises(ValueError, match="rank must be"):
        sufficient_length(-1, [0.9])
