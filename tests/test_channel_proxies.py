"""The proxy loss of several channels: against sums written out, quadrature, finite differences, and in training."""

import itertools

import numpy as np
import pytest
import torch
from equations import PAIRS, randn, random_network

from lib.model.activations import Sigmoid
from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.losses import ProxyLoss
from lib.training.samplers import points

DECAYS = [0.8, 0.77, 0.75, 0.76, 0.79]
KINDS = pytest.mark.parametrize("sampler", ["monte-carlo", "sobol"])


def by_hand(network, z, task, f, weights):
    """Equation 34, one point, channel and neuron at a time."""
    W, E, Z = network.W, network.encoders, network.decoders
    outputs = currents = 0.0
    for point in z:
        nu = sum(point[c] * (W @ E[:, c]) for c in range(task.D))
        h = f(nu)
        for c in range(task.D):
            outputs += weights[0] * (Z[:, c] @ h - task.scales[c] * task.decays[c] * point[c]) ** 2 / len(z)
        wanted = sum(task.decays[c] * point[c] * (W @ E[:, c]) for c in range(task.D))
        currents += weights[1] * ((W @ h - wanted) ** 2).sum() / len(z)
    return outputs, currents


@pytest.mark.parametrize("D", [1, 2, 3, 5])
@pytest.mark.parametrize("name", sorted(PAIRS))
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_it_is_equation_34_written_out(D, name, normalisation, rng):
    network = random_network(12, D, name, rng)
    task = Task(DECAYS[:D], [1.0, 2.0, 0.5, 3.0, 1.5][:D])
    z = 3 * torch.rand(7, D, generator=rng, dtype=torch.float64) - 1.5
    weights = (3.2**D, 3.2**D) if normalisation == "paper" else (1, 1 / 12)
    loss = ProxyLoss(task, normalisation, z_max=1.6)
    expected = by_hand(network, z, task, PAIRS[name][1], weights)
    terms = loss.terms(network, z)
    torch.testing.assert_close(terms.outputs, expected[0])
    torch.testing.assert_close(terms.currents, expected[1])
    torch.testing.assert_close(loss(network, z), expected[0] + expected[1])
    for p in (network.W, network.encoders, network.decoders):
        (ours,) = torch.autograd.grad(loss(network, z), p)
        (theirs,) = torch.autograd.grad(sum(by_hand(network, z, task, PAIRS[name][1], weights)), p)
        torch.testing.assert_close(ours, theirs)


def test_gradient_of_thresholds(rng):
    network = Integrator(
        randn(9, 9, rng=rng),
        randn(9, 2, rng=rng),
        randn(9, 2, rng=rng),
        activation=Sigmoid(5.0, 0.1),
        trained=("W", "decoders", "thresholds"),
    )
    loss, z = ProxyLoss(Task([0.8, 0.75])), randn(6, 2, rng=rng)
    (gradient,) = torch.autograd.grad(loss(network, z), network.activation.thresholds)
    values = network.activation.thresholds.detach()
    for i in (0, 4):
        two = []
        for step in (1e-6, -1e-6):
            network.activation.thresholds = torch.nn.Parameter(values + step * (torch.arange(9) == i))
            two.append(loss(network, z).item())
        assert (two[0] - two[1]) / 2e-6 == pytest.approx(gradient[i].item(), rel=1e-6, abs=1e-9)


def test_one_rectified_channel_is_the_two_points_times_a_mean_square(rng):
    """For a homogeneous activation z only stretches: the mean over z is that of z^2 on each half line."""
    network, task, z = random_network(10, 1, "relu", rng), Task(0.9, 2.0), randn(50, 1, rng=rng)
    two = ProxyLoss.two_point(task, "paper")
    ends = [two(network, torch.tensor([[sign], [0.0]], dtype=torch.float64)) for sign in (1.0, -1.0)]
    squares = [(z.clamp_min(0) ** 2).mean(), (z.clamp_max(0) ** 2).mean()]
    found = ProxyLoss(task, "paper", z_max=5.0)(network, z) / 10
    torch.testing.assert_close(found, squares[0] * ends[0] + squares[1] * ends[1])


@KINDS
def test_the_mean_over_many_draws_is_the_integral(sampler, rng):
    """Against Gauss-Legendre quadrature over the box, for a smooth activation."""
    network, task = random_network(6, 2, "sigmoid", rng), Task([0.8, 0.75])
    loss = ProxyLoss(task, "paper", z_max=2.0)
    x, w = np.polynomial.legendre.leggauss(60)
    grid = 2 * torch.tensor(list(itertools.product(x, x)))
    weights = 4 * torch.tensor(list(itertools.product(w, w))).prod(dim=1)
    one = [loss(network, point[None]).item() / 16 for point in grid]
    exact = float(weights @ torch.tensor(one, dtype=torch.float64))

    def draws(name):
        draw = points(name, 128, 2, z_max=2.0, generator=rng, dtype=torch.float64)
        return torch.tensor([loss(network, draw()).item() for _ in range(200)], dtype=torch.float64)

    values = draws(sampler)
    assert abs(values.mean().item() - exact) < 5 * values.std().item() / 200**0.5
    if sampler == "sobol":
        assert values.std() < draws("monte-carlo").std() / 3


def test_channels_that_do_not_fit(rng):
    network = random_network(5, 2, "relu", rng)
    with pytest.raises(ValueError, match="z must have shape P x 2"):
        ProxyLoss(Task([0.5, 0.6])).terms(network, torch.zeros(4, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="task must have the network's 2 channels, got 1"):
        ProxyLoss(Task([0.5])).terms(network, torch.zeros(4, 2, dtype=torch.float64))


@KINDS
def test_a_network_trained_on_points_integrates_sequences(sampler):
    generator = torch.Generator().manual_seed(3)
    task = Task([0.8, 0.75])
    network = Integrator.random(60, 2, generator=generator, dtype=torch.float64)
    draw = points(sampler, 64, 2, generator=generator, dtype=torch.float64)
    history = train(network, draw, ProxyLoss(task), Training(600, 3e-3, "adam"))
    assert history.losses[-1] < 1e-2 < history.losses[0]
    x = white_noise(8, 50, 2, generator=generator)  # no sequence was seen
    y = task.targets(x)
    assert (network.run(x).outputs - y).square().mean().sqrt() < 0.1 * y.square().mean().sqrt()
