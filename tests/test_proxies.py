"""The sampled proxy loss: its normalisations, and the few points against the plain formula under autograd."""

import math

import pytest
import torch
from equations import randn

from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.losses import ProxyLoss, proxy_loss
from lib.training.recipes import train_integrator
from lib.training.samplers import points

TASK = Task(0.8, 1.3)
EVERYTHING = ("W", "encoders", "decoders")


def network(rng, n=20, size=0.5, activation=None, trained=EVERYTHING, dtype=torch.float64):
    W = size * randn(n, n, rng=rng) / n**0.5
    codes = randn(n, 1, rng=rng) / n**0.5, randn(n, 1, rng=rng) / n**0.5
    weights = (matrix.to(dtype) for matrix in (W, *codes))
    return Integrator(*weights, activation=activation or Sigmoid(), trained=trained)


def gradients(loss, net, z):
    net.zero_grad()
    value = loss(net, z)
    value.backward()
    return [value.detach(), *(p.grad.clone() for p in net.parameters() if p.grad is not None)]


@pytest.mark.parametrize("D", [1, 2])
def test_normalisations(D, rng):
    """Authors: both terms are means over points, that of the currents over neurons too; paper: an integral over z."""
    n, task = 7, Task([0.8, 0.5][:D], [1.3, 0.6][:D])
    W, E, Z = randn(n, n, rng=rng), randn(n, D, rng=rng), randn(n, D, rng=rng)
    net, z = Integrator(W, E, Z, activation=Sigmoid(3.0)), randn(11, D, rng=rng).clamp(-2, 2)
    output = current = 0.0
    for point in z:
        h = torch.sigmoid(3 * (W @ E @ point - 0.1))
        decayed = torch.tensor(task.decays, dtype=torch.float64) * point
        output += (Z.T @ h - torch.tensor(task.scales, dtype=torch.float64) * decayed).square().sum().item() / 11
        current += (W @ h - W @ E @ decayed).square().sum().item() / 11
    for fast in (True, False):
        authors = ProxyLoss(task, "authors", z_max=2.0, fast=fast)(net, z).item()
        paper = ProxyLoss(task, "paper", z_max=2.0, fast=fast)(net, z).item()
        assert authors == pytest.approx(output + current / n, rel=1e-9)
        assert paper == pytest.approx(4**D * (output + current), rel=1e-9)
    assert proxy_loss(net, z, task).item() == pytest.approx(11 * (output + current), rel=1e-12)


def test_the_same_training_from_the_null_start():
    """Adam amplifies rounding; the losses still agree over hundreds of steps, in which We grows from zero."""
    losses = []
    for fast in (True, False):
        generator = torch.Generator().manual_seed(1)
        net = Integrator.random(60, generator=generator, activation=Sigmoid(), trained=("W", "decoders"))
        draw = points("monte-carlo", 256, generator=generator, dtype=torch.float64)
        proxy = ProxyLoss(Task(0.8), fast=fast)
        losses.append(train(net, draw, proxy, Training(250, 2e-3, "adam")).losses)
    assert losses[0][-1] < 2e-2 * losses[0][0]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=0)


def test_in_float32_the_error_is_one_of_rounding(rng):
    net = network(rng, n=100, dtype=torch.float32)
    z = points("monte-carlo", 1000, generator=rng, dtype=torch.float32)()
    exact = gradients(ProxyLoss(TASK, fast=False), net.double(), z.double())
    ours = gradients(ProxyLoss(TASK), net.float(), z)
    for a, b in zip(ours, exact, strict=True):
        assert (a - b).norm() < 2e-5 * b.norm()


def test_an_interpolation_serves_until_the_currents_have_outgrown_it(rng):
    net, loss = network(rng), ProxyLoss(TASK)
    z = points("strata", 64, generator=rng, dtype=torch.float64)()
    loss(net, z)
    first = loss.interpolation
    with torch.no_grad():
        net.W *= 1.3
    loss(net, z)
    assert first is not None and loss.interpolation is first
    with torch.no_grad():
        net.W *= 1.3
    loss(net, z)
    assert loss.interpolation is not first


def test_errors(rng):
    with pytest.raises(ValueError, match="normalisation must be one of"):
        ProxyLoss(TASK, "mean")
    with pytest.raises(ValueError, match="z must have shape P x 1"):
        ProxyLoss(TASK)(network(rng), randn(4, 2, rng=rng))
    with pytest.raises(ValueError, match="task must have the network's 1 channel"):
        ProxyLoss(Task([0.8, 0.7]))(network(rng), randn(4, 1, rng=rng))
    with pytest.raises(ValueError, match=r"z must lie in \[-1.0, 1.0\], got"):
        ProxyLoss(TASK, z_max=1.0)(network(rng), torch.tensor([[1.5]], dtype=torch.float64))


@pytest.mark.parametrize("D", [1, 2, 3])
@pytest.mark.parametrize("f", [ReLU(), Sigmoid(), torch.tanh])
@pytest.mark.parametrize("fast", [True, False])
def test_points_outside_of_the_box_are_refused_on_every_way(D, f, fast, rng):
    net = Integrator(randn(7, 7, rng=rng), *(randn(7, D, rng=rng) for _ in range(2)), activation=f)
    loss, z = ProxyLoss(Task([0.8, 0.7, 0.6][:D]), z_max=1.5, fast=fast), randn(2000, D, rng=rng).clamp(-1.5, 1.5)
    for wrong in (1.51, -1.51, math.nan):
        z[7, D - 1] = wrong
        for way in (loss, loss.terms):
            with pytest.raises(ValueError, match=r"z must lie in \[-1.5, 1.5\], got"):
                way(net, z)


def test_the_recipe_chooses_by_activation_and_channels():
    options = {"n": 30, "batch": 32, "sampler": "strata", "loss": "proxy"}
    quick = Training(3, 1e-3, "adam")

    def first_loss(task, **more):
        return (
            train_integrator(task, quick, generator=torch.Generator().manual_seed(0), **{**options, **more})
            .history.losses[0]
            .item()
        )

    assert first_loss(Task(0.8)) == pytest.approx(2 * 0.8**2)  # a rectifier: equation 29 at z = 1 and -1, W = 0
    # W = 0: all states are f(0), the output d.f(0) misses z gamma, of variance z_max^2 gamma^2 / 3
    off = 1 / (1 + math.exp(5))
    for z_max in (5.0, 2.0):
        loss = first_loss(Task(0.8), activation=Sigmoid(), z_max=z_max, trained=("W", "decoders"))
        codes = Integrator.random(30, generator=torch.Generator().manual_seed(0)).decoders
        expected = (codes.sum().item() * off) ** 2 + 0.64 * z_max**2 / 3
        assert loss == pytest.approx(expected, rel=0.03)  # 32 strata
    assert first_loss(Task([0.8, 0.7]), sampler="sobol", batch=512) == pytest.approx(25 / 3 * (0.64 + 0.49), rel=0.02)
