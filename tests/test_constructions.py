"""Networks that are written down: exact on sequences, and no smaller than they may be."""

import pytest
import torch
from equations import randn

from lib.analysis.representation import relative_error
from lib.model.activations import Sigmoid
from lib.model.signals import bursts
from lib.model.task import Task
from lib.theory.constructions import (
    balanced_classes,
    balanced_factors,
    least_neurons,
    rectified_integrator,
    smooth_integrator,
)


def error(network, task, rng):
    x = bursts(8, 100, task.D, generator=rng)
    return relative_error(network.run(x).outputs, task.targets(x)).max().item()


@pytest.mark.parametrize(("D", "n"), [(1, 9), (2, 24), (3, 45), (5, 110)])
def test_the_rectified_network_is_exact(rng, D, n):
    task = Task([0.9 - 0.1 * c for c in range(D)], [1.0 + 0.5 * c for c in range(D)])
    e, d = randn(n, D, rng=rng) / n**0.5, randn(n, D, rng=rng) / n**0.5
    network = rectified_integrator(e, d, task)
    assert error(network, task, rng) < 1e-9
    assert torch.linalg.matrix_rank(network.W).item() == D
    y = randn(50, D, rng=rng)
    F = network.W @ e @ torch.diag(1 / e.new_tensor(task.decays) / e.new_tensor(task.scales))
    states = (y @ F.T).clamp_min(0)
    torch.testing.assert_close(states @ d, y, rtol=0, atol=1e-8)
    torch.testing.assert_close(states @ network.W.T, (y * e.new_tensor(task.decays)) @ F.T, rtol=0, atol=1e-7)


def test_as_few_neurons_as_there_may_be(rng):
    """Six for two channels, where decoders are chosen that can be balanced: none fewer serve, by theory."""
    angles = torch.tensor([0.1, 2.2, 4.4, 0.7, 2.9, 4.9], dtype=torch.float64)
    d, task = torch.stack([angles.cos(), angles.sin()], dim=1), Task([0.8, 0.7])
    e = randn(6, 2, rng=rng)
    assert least_neurons(2) == 6
    assert error(rectified_integrator(e, d, task), task, rng) < 1e-9
    with pytest.raises(ValueError, match="expected neurons for 2 classes, got 5"):
        rectified_integrator(e[:5], d[:5], task)


def test_factors_balance_and_are_few(rng):
    d = randn(12, 3, rng=rng)
    a = balanced_factors(d)
    assert a is not None and a.min() >= 0 and a.sum().item() == pytest.approx(1)
    torch.testing.assert_close(a @ d, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert 4 <= (a > 0).sum() <= 4
    assert balanced_factors(d.abs()) is None


def test_classes_take_about_twice_as_many_neurons_as_channels(rng):
    """By Wendel's theorem a class ends one neuron after a coin would have shown heads D times: after 2D + 1."""
    D = 4
    stops = [classes[0].numel() for classes in (balanced_classes(randn(100, D, rng=rng)) for _ in range(100))]
    lengths = torch.tensor(stops).double()
    assert lengths.mean().item() == pytest.approx(2 * D + 1, abs=4 * (lengths.std() / 10).item())


@pytest.mark.parametrize("D", [1, 3])
def test_small_currents_make_a_sigmoid_network_as_good_as_asked(rng, D):
    task, n = Task([0.8, 0.7, 0.9][:D]), 2 * D + 1
    e, F = randn(n, D, rng=rng), randn(n, D, rng=rng)
    errors = [error(smooth_integrator(e, task, size, Sigmoid(5.0, 0.0), F), task, rng) for size in (1e-3, 5e-4)]
    assert errors[0] < 0.1
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.3)


def test_what_cannot_be_built_is_refused(rng):
    e, task = randn(6, 2, rng=rng), Task([0.8, 0.7])
    with pytest.raises(ValueError, match="more than 2D=4 neurons, got 4"):
        smooth_integrator(e[:4], task, 0.1, Sigmoid(5.0, 0.0), e[:4])
    with pytest.raises(ValueError, match="threshold 0"):
        smooth_integrator(e, task, 0.1, Sigmoid(5.0, 0.1), e)
    with pytest.raises(ValueError, match="2 channels, got 1"):
        rectified_integrator(e, e, Task(0.8))


def test_too_few_neurons_leave_a_proxy_loss(rng):
    """The bound, against a search: a neuron less than D (D + 1), decoders as drawn, currents free."""
    d = randn(5, 2, rng=rng)
    z = randn(200, 2, rng=rng)
    lowest = 1.0
    for _ in range(3):
        F = randn(5, 2, rng=rng).requires_grad_()
        search = torch.optim.LBFGS([F], max_iter=300, line_search_fn="strong_wolfe")

        def closure(F=F, search=search):
            search.zero_grad()
            value = ((z @ F.T).clamp_min(0) @ d - z).square().mean()
            value.backward()
            return value

        search.step(closure)
        lowest = min(lowest, closure().item())
    assert lowest > 1e-6
