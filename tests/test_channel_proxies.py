"""The proxy loss of several channels: against sums written out, its quadrature, autograd-free differences, training."""

import itertools

import numpy as np
import pytest
import torch
from equations import PAIRS, randn, random_network

from lib.activations import Sigmoid
from lib.channel_proxies import Box, SampledProxy, bounds
from lib.losses import TwoPointProxy
from lib.networks import Integrator
from lib.signals import white_noise
from lib.tasks import Task
from lib.training import Training, train

DECAYS = [0.8, 0.77, 0.75, 0.76, 0.79]


def by_hand(network, z, task, f, weight):
    """Equation 34, one point, channel and neuron at a time."""
    W, E, Z = network.W, network.encoders, network.decoders
    outputs = currents = 0.0
    for point in z:
        nu = sum(point[c] * (W @ E[:, c]) for c in range(task.D))
        h = f(nu)
        for c in range(task.D):
            outputs += (Z[:, c] @ h - task.scales[c] * task.decays[c] * point[c]) ** 2 / len(z)
        wanted = sum(task.decays[c] * point[c] * (W @ E[:, c]) for c in range(task.D))
        currents += weight * ((W @ h - wanted) ** 2).sum() / len(z)
    return outputs, currents


@pytest.mark.parametrize("D", [1, 2, 3, 5])
@pytest.mark.parametrize("name", sorted(PAIRS))
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_it_is_equation_34_written_out(D, name, normalisation, rng):
    network = random_network(12, D, name, rng)
    task = Task(DECAYS[:D], [1.0, 2.0, 0.5, 3.0, 1.5][:D])
    z = 3 * randn(7, D, rng=rng)
    loss = SampledProxy(task, normalisation)
    expected = by_hand(network, z, task, PAIRS[name][1], 1 if normalisation == "paper" else 1 / 12)
    terms = loss.terms(network, z)
    torch.testing.assert_close(terms.outputs, expected[0])
    torch.testing.assert_close(terms.currents, expected[1])
    torch.testing.assert_close(loss(network, z), expected[0] + expected[1])
    for p in (network.W, network.encoders, network.decoders):
        (ours,) = torch.autograd.grad(loss(network, z), p)
        (theirs,) = torch.autograd.grad(sum(by_hand(network, z, task, PAIRS[name][1], loss_weight(loss, 12))), p)
        torch.testing.assert_close(ours, theirs)


def loss_weight(loss, n):
    return 1 if loss.normalisation == "paper" else 1 / n


def test_gradient_of_thresholds(rng):
    network = Integrator(
        randn(9, 9, rng=rng),
        randn(9, 2, rng=rng),
        randn(9, 2, rng=rng),
        activation=Sigmoid(5.0, 0.1),
        trained=("W", "decoders", "thresholds"),
    )
    loss, z = SampledProxy(Task([0.8, 0.75])), randn(6, 2, rng=rng)
    (gradient,) = torch.autograd.grad(loss(network, z), network.activation.thresholds)
    values = network.activation.thresholds.detach()
    for i in (0, 4):
        two = []
        for step in (1e-6, -1e-6):
            network.activation.thresholds = torch.nn.Parameter(values + step * (torch.arange(9) == i))
            two.append(loss(network, z).item())
        assert (two[0] - two[1]) / 2e-6 == pytest.approx(gradient[i].item(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_one_rectified_channel_is_the_two_points_times_a_mean_square(normalisation, rng):
    """For a homogeneous activation z only stretches: the mean over z is that of z^2 on each half line."""
    network, task, z = random_network(10, 1, "relu", rng), Task(0.9, 2.0), randn(50, 1, rng=rng)
    two = TwoPointProxy(task, "paper")
    ends = [two(network, torch.tensor([[sign], [0.0]], dtype=torch.float64)) for sign in (1.0, -1.0)]
    squares = [(z.clamp_min(0) ** 2).mean(), (z.clamp_max(0) ** 2).mean()]
    found = SampledProxy(task, "paper")(network, z)
    torch.testing.assert_close(found, squares[0] * ends[0] + squares[1] * ends[1])


@pytest.mark.parametrize("sampler", ["monte-carlo", "sobol"])
def test_the_mean_over_many_draws_is_the_integral(sampler, rng):
    """Against Gauss-Legendre quadrature over the box, for a smooth activation."""
    network, task = random_network(6, 2, "sigmoid", rng), Task([0.8, 0.75])
    loss, sides = SampledProxy(task), (2.0, 3.0)
    x, w = np.polynomial.legendre.leggauss(60)
    grid = torch.tensor(list(itertools.product(x, x)))
    weights = torch.tensor(list(itertools.product(w, w))).prod(dim=1) / 4
    one = [loss(network, (point * torch.tensor(sides))[None]).item() for point in grid]
    exact = float(weights @ torch.tensor(one, dtype=torch.float64))
    box = Box(128, sides, sampler, generator=rng, dtype=torch.float64)
    values = torch.tensor([loss(network, box()).item() for _ in range(200)])
    assert abs(values.mean().item() - exact) < 5 * values.std().item() / 200**0.5
    if sampler == "sobol":
        independent = Box(128, sides, generator=rng, dtype=torch.float64)
        noise = torch.tensor([loss(network, independent()).item() for _ in range(200)])
        assert values.std() < noise.std() / 3


@pytest.mark.parametrize("sampler", ["monte-carlo", "sobol"])
def test_points_fill_the_box_evenly_and_are_new_each_time(sampler, rng):
    box = Box(4096, (5.0, 1.0, 2.0), sampler, generator=rng)
    z = box()
    assert z.shape == (4096, 3) and z.dtype == torch.float32
    assert not torch.equal(z, box())
    limits = torch.tensor([5.0, 1.0, 2.0])
    assert (z.abs() <= limits).all()
    scaled = (z / limits).double()
    assert (scaled.mean(dim=0).abs() < 5 * (1 / 3 / 4096) ** 0.5).all()
    assert ((scaled**2).mean(dim=0) - 1 / 3).abs().max() < 5 * (4 / 45 / 4096) ** 0.5
    assert (scaled.T @ scaled / 4096 - torch.eye(3) / 3).abs().max() < 5 / 3 / 4096**0.5
    again = Box(4096, (5.0, 1.0, 2.0), sampler, generator=torch.Generator().manual_seed(0))
    assert torch.equal(z, again())


def test_bounds():
    assert bounds(Task([0.8])) == (5.0,)
    assert bounds(Task([0.995, 0.993])) == (5.0, 5.0)
    assert bounds(Task(DECAYS)) == (5.1,) * 5
    assert bounds(Task([0.8, 0.75]), "reachable") == pytest.approx((5, 4))
    x = torch.ones(1, 400, 2, dtype=torch.float64)  # the constant input 1 reaches the bound from below
    task = Task([0.8, 0.75], [1.0, 3.0])
    largest = task.targets(x)[0, -1] / torch.tensor(task.scales) / torch.tensor(task.decays)
    assert largest.tolist() == pytest.approx(list(bounds(task, "reachable")))
    with pytest.raises(ValueError, match="decays must be below 1"):
        bounds(Task([1.0, 0.5]), "reachable")
    with pytest.raises(ValueError, match="convention must be one of"):
        bounds(Task([0.5]), "ours")


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="points must be an integer of at least 1, got 0"):
        Box(0, (1.0,), generator=rng)
    with pytest.raises(ValueError, match="bounds must name at least one channel"):
        Box(4, (), generator=rng)
    with pytest.raises(ValueError, match="bounds must be a positive number, got -1"):
        Box(4, (1.0, -1.0), generator=rng)
    with pytest.raises(ValueError, match="sampler must be one of"):
        Box(4, (1.0,), "grid", generator=rng)
    with pytest.raises(ValueError, match="normalisation must be one of"):
        SampledProxy(Task(0.5), "ours")
    network = random_network(5, 2, "relu", rng)
    with pytest.raises(ValueError, match="z must have shape P x 2"):
        SampledProxy(Task([0.5, 0.6]))(network, torch.zeros(4, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="task must have the network's 2 channels, got 1"):
        SampledProxy(Task([0.5]))(network, torch.zeros(4, 2, dtype=torch.float64))


@pytest.mark.parametrize("sampler", ["monte-carlo", "sobol"])
def test_a_network_trained_on_points_integrates_sequences(sampler):
    generator = torch.Generator().manual_seed(3)
    task = Task([0.8, 0.75])
    network = Integrator.random(60, 2, generator=generator, dtype=torch.float64)
    box = Box(64, bounds(task), sampler, generator=generator, dtype=torch.float64)
    history = train(network, box, SampledProxy(task), Training(600, 3e-3, "adam"))
    assert history.losses[-1] < 1e-2 < history.losses[0]
    x = white_noise(8, 50, 2, generator=generator)  # no sequence was seen
    y = task.targets(x)
    assert (network.run(x).outputs - y).square().mean().sqrt() < 0.1 * y.square().mean().sqrt()
