"""States in a plane by sorted points, against automatic differentiation of the plain formulas."""

import pytest
import torch
from equations import randn, random_network

from lib.fast import fans
from lib.fast.bptt import Workspace, unroll
from lib.fast.fans import Fanned, by_angle
from lib.model.task import Task
from lib.training.losses import proxy_loss
from lib.training.proxies import SampledProxy


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Let fans be used at any size."""
    monkeypatch.setattr(fans, "FAN_PRODUCT", 0)
    monkeypatch.setattr(fans, "FAN_POINTS", 1)


def assert_near(found, expected, tolerance=1e-12):
    """Relative to the size of the whole."""
    assert (found - expected).norm().item() <= tolerance * (1 + expected.norm().item())


@pytest.mark.parametrize("P", [1, 2, 3, 5, 64, 300])
def test_outputs_images_and_gradients_are_those_of_autograd(P, rng):
    network = random_network(17, 2, "relu", rng, trained=("W", "encoders", "decoders"))
    z = randn(P, 2, rng=rng)
    z = z[by_angle(z)]
    weights = (network.W, network.encoders, network.decoders)
    F = network.encoders.T @ network.W.T
    h = network.activation(z @ F)
    expected = h @ network.decoders, h @ network.W.T
    found = Fanned.apply(network.W, F, network.decoders, z)
    for a, b in zip(found, expected, strict=True):
        assert_near(a, b)
    factors = [randn(*b.shape, rng=rng) for b in expected]
    ours, theirs = (
        torch.autograd.grad(sum((a * b).sum() for a, b in zip(pair, factors, strict=True)), weights, retain_graph=True)
        for pair in (found, expected)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert_near(a, b)


@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_the_proxy_loss_of_two_channels(normalisation, rng):
    network = random_network(20, 2, "relu", rng, trained=("W", "decoders"))
    task, z = Task([0.9, 0.7], [1.0, 2.0]), 10 * randn(200, 2, rng=rng).sigmoid() - 5
    loss = SampledProxy(task, normalisation)
    a, b = loss.weights(network.n)
    expected = a / len(z) * proxy_loss(network, z, task, current_weight=b / a)
    found = loss(network, z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    weights = (network.W, network.decoders)
    for ours, theirs in zip(*(torch.autograd.grad(value, weights) for value in (found, expected)), strict=True):
        assert_near(ours, theirs)


def test_points_at_zero_and_on_the_edges(rng):
    network = random_network(9, 2, "relu", rng)
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, -2.0], [0.0, 3.0]], dtype=torch.float64)
    task = Task([0.9, 0.8])
    expected = proxy_loss(network, z, task, current_weight=1 / 9) / 6
    found = SampledProxy(task)(network, z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(value, network.W)[0] for value in (found, expected))
    assert_near(ours, theirs)


def test_a_sector_of_more_than_half_a_turn(rng):
    degrees = torch.tensor([-170.0, 0, 100, 110, 120, 130, 140, 150, 160], dtype=torch.float64)  # three in each sector
    z = torch.stack([torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], dim=1)
    F, W = randn(2, 50, rng=rng), randn(50, 50, rng=rng)  # some neurons are on at -170 and at 100, and off at 0
    _, images = Fanned.apply(W, F, randn(50, 2, rng=rng), z)
    assert_near(images, (z @ F).clamp_min(0) @ W.T)


def test_the_null_start_has_half_a_slope_and_no_mixed_neurons(rng):
    network = random_network(12, 2, "relu", rng)
    with torch.no_grad():
        network.W.zero_()
    z = randn(50, 2, rng=rng)
    fan = fans.Fan(network.encoders.T.detach() @ network.W.T.detach(), z[by_angle(z)])
    assert all(len(mixed) == 0 for _, mixed in fan.sectors)
    task = Task([0.9, 0.8])
    ours, theirs = (
        torch.autograd.grad(value, network.W)[0]
        for value in (SampledProxy(task)(network, z), proxy_loss(network, z, task, current_weight=1 / 12) / 50)
    )
    assert ours.any()
    assert_near(ours, theirs)


def test_few_neurons_are_mixed(rng):
    n, P = 200, 1024
    F, z = randn(2, n, rng=rng), randn(P, 2, rng=rng)
    fan = fans.Fan(F, z[by_angle(z)])
    mixed = sum(len(sector.mixed) for sector in fan.sectors)
    assert mixed < 4 * n  # each changes at two angles, and so is mixed in two sectors, or a few where they touch


def test_a_second_backward_is_refused(rng):
    network = random_network(8, 2, "relu", rng)
    value = SampledProxy(Task([0.9, 0.8]))(network, randn(30, 2, rng=rng))
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        value.backward()


def test_other_shapes_are_refused(rng):
    network = random_network(8, 2, "relu", rng)
    with pytest.raises(ValueError, match="z"):
        SampledProxy(Task([0.9, 0.8]))(network, randn(30, 3, rng=rng))
    with pytest.raises(ValueError, match="2 channels, got 1"):
        SampledProxy(Task([0.9]))(network, randn(30, 2, rng=rng))


@pytest.mark.parametrize("T", [1, 2, 3, 5])
@pytest.mark.parametrize("radius", [0.0, 1.0])
def test_the_unrolled_network(T, radius, rng):
    network = random_network(15, 2, "relu", rng, trained=("W", "encoders", "decoders"))
    with torch.no_grad():
        network.W.mul_(radius)
    x, factors = randn(70, T, 2, rng=rng), randn(70, T, 2, rng=rng)
    weights = (network.W, network.encoders, network.decoders)
    ours, theirs = unroll(network, x, Workspace()), network(x).outputs
    assert_near(ours, theirs)
    for y in (ours, theirs):
        assert y.shape == (70, T, 2)
    pairs = zip(*(torch.autograd.grad((y * factors).sum(), weights) for y in (ours, theirs)), strict=True)
    for a, b in pairs:
        assert_near(a, b)


def test_the_unrolled_network_has_fewer_products(rng, monkeypatch):
    used = []
    monkeypatch.setattr("lib.fast.bptt.Fan", lambda *args: used.append(args) or fans.Fan(*args))
    unroll(random_network(10, 2, "relu", rng), randn(20, 3, 2, rng=rng), Workspace())
    unroll(random_network(10, 3, "relu", rng), randn(20, 3, 3, rng=rng), Workspace())
    unroll(random_network(10, 2, "sigmoid", rng), randn(20, 3, 2, rng=rng), Workspace())
    assert len(used) == 1
