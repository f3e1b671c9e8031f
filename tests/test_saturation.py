"""Bounded activations: residuals of the two conditions by hand, bounds of the output, activities by integral."""

import pytest
import torch
from equations import randn

from lib.analysis.tuning import example_neurons, largest_output, mean_activity, residuals
from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import proxy_loss


def made(rng, n=30, size=0.5, activation=None):
    W = size * randn(n, n, rng=rng) / n**0.5
    return Integrator(W, randn(n, 1, rng=rng) / n**0.5, randn(n, 1, rng=rng), activation=activation or Sigmoid())


def test_residuals_are_the_terms_of_the_proxy_loss(rng):
    net, task = made(rng), Task(0.8, 1.5)
    z = torch.linspace(-5, 5, 41, dtype=torch.float64)
    found = residuals(net, task, z)
    size = (0.8 * torch.outer(z, (net.W @ net.encoders)[:, 0])).square().mean()
    both = 1.5**2 * found.output.square().sum() + net.n * size * found.current.square().sum()
    torch.testing.assert_close(both, proxy_loss(net, z[:, None], task).detach())
    torch.testing.assert_close(found.y, 1.2 * z)
    assert found.rms == (found.output.square().mean().sqrt().item(), found.current.square().mean().sqrt().item())


def test_an_exact_network_leaves_none():
    """Two rectifiers, one for each sign, and W = (1, -1)' (gamma, -gamma): e reads 1, f(We z) = gamma |z|."""
    gamma = 0.7
    W = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64) * gamma
    e, d = torch.tensor([[1.0], [0.0]], dtype=torch.float64), torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    found = residuals(
        Integrator(W, e, d, activation=ReLU()), Task(gamma), torch.linspace(-9, 9, 19, dtype=torch.float64)
    )
    assert max(found.rms) < 1e-15


def test_no_input_leads_beyond_the_largest_output(rng):
    net = made(rng)
    low, high = largest_output(net)[:, 0]
    outputs = net.run(1000 * randn(64, 20, 1, rng=rng)).outputs
    assert low < outputs.min() and outputs.max() < high
    d = net.decoders[:, 0]
    assert (high.item(), low.item()) == (d[d > 0].sum().item(), pytest.approx(d[d < 0].sum().item()))
    assert largest_output(net, -1.0, 1.0)[1].item() == pytest.approx(d.abs().sum().item())  # such as tanh


def test_mean_activity_by_hand():
    states = torch.tensor([[[1.0, 0.0], [3.0, 0.5], [5.0, 9.0], [7.0, 9.0], [8.0, 9.0]]])
    y = torch.tensor([[0.1, 0.9, 1.0, 3.0, 3.1]])
    found = mean_activity(states, y, torch.tensor([0.0, 1.0, 2.0, 3.0]))
    assert found[[0, 2]].tolist() == [[2.0, 0.25], [7.0, 9.0]]
    assert found[1].tolist() == [5.0, 9.0]
    assert mean_activity(states, y - 10, torch.tensor([0.0, 1.0])).isnan().all()
    with pytest.raises(ValueError, match=r"expected states of shape \(1, 4\) x n, got"):
        mean_activity(states, y[:, :4], torch.tensor([0.0, 1.0]))


def test_examples_of_both_kinds():
    """W e = (1, 0.02, 0.04, 0.16, 0) at |z| <= 5: peaks near 1, 0.5, 0.99, 1, f(0)."""
    F = torch.tensor([1.0, 0.016, 0.04, 0.16, 0.0], dtype=torch.float64)
    e = torch.eye(5, dtype=torch.float64)[:, :1]
    W = torch.zeros(5, 5, dtype=torch.float64)
    W[:, 0] = F
    net = Integrator(W, e, e, activation=Sigmoid())
    found = example_neurons(net, Task(0.8), 4.0)
    assert found == (2, 1, 3, 1)
    assert example_neurons(net, Task(0.8), 0.1)[2:] == (0, 0)


def test_errors(rng):
    with pytest.raises(ValueError, match="z must have shape P, got"):
        residuals(made(rng), Task(0.8), torch.zeros(3, 1))
    with pytest.raises(ValueError, match="one channel, got 1 and a task of 2"):
        residuals(made(rng), Task([0.8, 0.7]), torch.zeros(3))
    with pytest.raises(ValueError, match="W e must not vanish"):
        residuals(made(rng, size=0.0), Task(0.8), torch.ones(3, dtype=torch.float64))
