"""A read-out of a frozen network: targets and accuracies by hand, gradients for the read-out alone, learning."""

import math

import pytest
import torch
from equations import randn, random_network

from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.readout import (
    ContextLoss,
    Head,
    accuracy,
    additive_limit,
    context_targets,
    cued_integral,
    frozen_states,
)
from lib.training.samplers import sampler

TASK = Task([0.8, 0.75, 0.75], T=10)


def test_targets_by_hand():
    y = torch.tensor([[[1.0, -1.0, -0.1], [1.0, -1.0, 0.1], [-2.0, 3.0, -5.0], [-2.0, 3.0, 5.0]]])
    assert cued_integral(y).tolist() == [[1, -1, -2, 3]]
    assert context_targets(y).tolist() == [[1, 0, 0, 1]]


def test_head_by_hand(rng):
    states, u = randn(2, 3, 5, rng=rng), randn(5, rng=rng) / 10
    found = Head(u, slope=50.0, threshold=0.1)(states)
    for b in range(2):
        for t in range(3):
            inside = sum(u[i] * states[b, t, i] for i in range(5)).item()
            assert found[b, t].item() == pytest.approx(1 / (1 + math.exp(-50 * (inside - 0.1))))


def test_start_of_the_authors(rng):
    head = Head.random(4000, generator=rng)
    assert head.weights.square().sum().item() == pytest.approx(1, abs=5 * (2 / 4000) ** 0.5)
    assert (head.slope, head.threshold) == (50.0, 0.1)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_only_the_read_out_has_a_gradient(name, rng):
    network = random_network(9, 3, name, rng)
    head, x = Head.random(9, generator=rng), randn(4, 6, 3, rng=rng)
    value = ContextLoss(network, TASK)(head, x)
    trajectory = network(x)
    wanted = context_targets(TASK.targets(x))
    expected = (head(trajectory.states) - wanted).square().mean()
    torch.testing.assert_close(value, expected)
    (ours,) = torch.autograd.grad(value, head.weights)
    (theirs,) = torch.autograd.grad(expected, head.weights)
    torch.testing.assert_close(ours, theirs)
    assert not frozen_states(network, x).requires_grad
    before = network.W.detach().clone()
    train(head, lambda: x, ContextLoss(network, TASK), Training(3, 0.1, "adam"))
    assert network.W.grad is None
    assert torch.equal(network.W, before)


def test_accuracy_by_hand():
    y = torch.tensor([[[1.0, -1.0, -1.0], [1.0, -1.0, -1.0], [1.0, -1.0, 1.0], [0.1, 1.0, -1.0], [1.0, 1.0, 0.1]]])
    outputs = torch.tensor([[0.9, 0.1, 0.2, 0.7, 0.2]])  # wanted: 1, 1, 0, 1, 1
    found = accuracy(outputs, y)
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.clear == pytest.approx(2 / 3)  # the first three steps
    assert found.blind == pytest.approx(4 / 5)  # the first three steps look alike, and two of them want a one
    assert found.gain_over_blind == pytest.approx(-1 / 5)
    assert math.isnan(accuracy(outputs, y, level=3.0).clear)


def test_without_the_cue_three_quarters_are_right(rng):
    """Two independent signs agree half of the time; else half of the guesses are right."""
    y = randn(400, 100, 3, rng=rng)
    found = accuracy(context_targets(y), y)
    assert found.accuracy == found.clear == 1
    assert found.blind == pytest.approx(0.75, abs=0.01)


def eight(y):
    """Steps with all signs of their three integrals, each step eight times."""
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=y.dtype)] * 3)
    return (signs[:, None, None] * y).flatten(0, 1)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.5])
def test_sums_of_functions_of_one_integral_stay_below_the_limit(level, rng):
    """Sums of tables with random entries, one for each of the values that an integral takes on 8 x 60 steps."""
    y = eight(randn(1, 60, 3, rng=rng))
    limit = additive_limit(y, level=level)
    places = [torch.unique(y[..., c], return_inverse=True)[1] for c in range(3)]
    for _ in range(100):
        values = sum(randn(120, rng=rng)[place] for place in places)
        assert accuracy(values + 0.5, y, level=level).clear <= limit
    s0, s1, cue = torch.where(y.abs() > level, y.sign(), 0).unbind(dim=-1)
    best = torch.where(s0 == 0, 2, 2 * s0) + s1 - cue > 1
    assert accuracy(best.double(), y, level=level).clear == pytest.approx(limit)
    assert (limit == 7 / 8) == (level == 0)


def test_a_sum_of_signs_reaches_seven_eighths(rng):
    y = eight(randn(1, 60, 3, rng=rng))
    rule = (y.sign() * y.new_tensor([2, 1, -1])).sum(dim=-1) > 1
    assert accuracy(rule.double(), y).accuracy == additive_limit(y) == 7 / 8
    assert accuracy(rule.double(), y).blind == 3 / 4


def test_a_linear_rule_is_no_better_than_a_blind_one(rng):
    """Exactly so on steps with all signs, for every direction and without a threshold."""
    y = eight(randn(1, 60, 3, rng=rng))
    for _ in range(100):
        found = accuracy(0.5 + y @ randn(3, rng=rng), y)
        assert found.accuracy <= found.blind == 3 / 4


def test_a_read_out_learns_to_listen_to_the_cue(rng):
    """On random features of the integrals, which is what a network of any use provides."""
    s, b = randn(200, 3, rng=rng), randn(200, rng=rng)
    network = Integrator(torch.zeros(200, 200), torch.zeros(200, 3), torch.zeros(200, 3))
    head = Head.random(200, generator=rng, slope=5.0, threshold=0.0)

    def loss(head, x):
        y = TASK.targets(x)
        return (head((y @ s.T + b).clamp_min(0)) - context_targets(y)).square().mean()

    draw = sampler("monte-carlo", 64, 10, 3, generator=rng, dtype=torch.float64)
    assert ContextLoss(network, TASK).network.D == 3
    train(head, draw, loss, Training(400, 5e-3, "adam"))
    y = TASK.targets(white_noise(64, 40, 3, generator=rng))
    with torch.no_grad():
        found = accuracy(head((y @ s.T + b).clamp_min(0)), y)
    assert found.accuracy > 0.85 and found.clear > 0.95 and found.gain_over_blind > 0.1


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="network must have three channels, two integrals and a cue, got 2"):
        ContextLoss(random_network(9, 2, "relu", rng), TASK)
    with pytest.raises(ValueError, match="task must have three channels, two integrals and a cue, got 1"):
        ContextLoss(random_network(9, 3, "relu", rng), Task(0.9))
    with pytest.raises(ValueError, match="weights must be finite"):
        Head(torch.tensor([1.0, math.nan]))
    with pytest.raises(ValueError, match="states must have shape B x T x 2"):
        Head(torch.ones(2))(torch.ones(3, 4, 5))
    with pytest.raises(ValueError, match="integrals must have shape B x T x 3"):
        context_targets(torch.ones(2, 3, 2))
    with pytest.raises(ValueError, match="outputs must have shape 2 x 5"):
        accuracy(torch.ones(2, 4), torch.ones(2, 5, 3))
