"""A few points and neurons for all: against the states themselves, and against the plain formula under autograd."""

import pytest
import torch
from equations import randn

from lib.fast import sizes
from lib.fast.cross import PROBE_ERROR, CrossApproximation, CrossApproximations, why_not
from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.losses import ProxyLoss
from lib.training.samplers import points

Z = 5.1
GENTLE = Sigmoid(5.0, 0.0)


def gains(rng, n=300, D=3, size=0.012):
    """A few neurons have much larger currents than the others, as in trained networks."""
    return size * randn(n, D, rng=rng) * (1 + 3 * torch.rand(n, 1, generator=rng, dtype=torch.float64) ** 8)


def network(rng, n=300, D=3, activation=GENTLE, dtype=torch.float32, trained=("W", "encoders", "decoders")):
    E, Z = (randn(n, D, rng=rng) / n**0.5 for _ in range(2))
    W = gains(rng, n, D) @ torch.linalg.pinv(E) + 0.01 * randn(n, n, rng=rng) / n**0.5
    return Integrator(*(m.to(dtype) for m in (W, E, Z)), activation=activation, trained=trained)


def box(P, D, rng):
    return Z * (2 * torch.rand(P, D, generator=rng, dtype=torch.float64) - 1)


@pytest.mark.parametrize("D, size", [(2, 0.04), (3, 0.012)])
def test_states_at_all_points_follow_from_those_at_few(D, size, rng):
    known = gains(rng, D=D, size=size)
    cross, z = CrossApproximation(GENTLE, known, Z), box(1000, D, rng)
    assert cross.complete
    assert len(cross.z) < 200
    functions = cross.functions(z)
    for F in (known, known + 1e-2 * size * randn(len(known), D, rng=rng)):
        exact = torch.sigmoid(5 * z @ F.T)
        error = (functions @ torch.sigmoid(5 * cross.z @ F.T) - exact).abs().max().item()
        assert 0 < error < PROBE_ERROR
        assert cross.probe_error(GENTLE, F, z, functions) == pytest.approx(error, rel=1e-6)


def test_coordinates_are_in_the_span(rng):
    cross, z = CrossApproximation(GENTLE, gains(rng), Z), box(100, 3, rng)
    torch.testing.assert_close(cross.functions(z) @ cross.z, z, rtol=0, atol=1e-5)


def test_each_function_is_one_at_its_point_and_zero_at_the_others(rng):
    cross = CrossApproximation(GENTLE, gains(rng), Z)
    identity = torch.eye(len(cross.z), dtype=torch.float64)
    torch.testing.assert_close(cross.functions(cross.z), identity, rtol=0, atol=1e-6)
    assert torch.equal(cross.z, cross.z.float().double())


def test_null_currents_need_the_constant_and_the_coordinates_alone():
    cross = CrossApproximation(GENTLE, torch.zeros(50, 3), Z)
    assert len(cross.z) == 4
    assert cross.functions(cross.z).sum(dim=1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("D", [2, 3])
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_few_points_give_the_gradient_of_all(D, normalisation, rng):
    net, task = network(rng, D=D), Task([0.8, 0.77, 0.75][:D], [1.0, 1.3, 0.7][:D])
    z = box(1024, D, rng).float()
    found = []
    for fast in (True, False):
        net.zero_grad()
        loss = ProxyLoss(task, normalisation, z_max=Z, fast=fast)
        value = loss(net, z)
        value.backward()
        assert loss._kept.crosses.made == fast
        found.append([value.detach(), *(p.grad.clone() for p in (net.W, net.encoders, net.decoders))])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-4 * plain.abs().max().item())


def test_the_same_training_from_the_null_start():
    """In float32; what few points change is of the size of rounding, also while currents grow from zero."""
    losses, made = [], 0
    for fast in (True, False):
        generator = torch.Generator().manual_seed(1)
        options = {"generator": generator, "dtype": torch.float32}
        net = Integrator.random(100, 3, activation=GENTLE, trained=("W", "decoders"), **options)
        loss = ProxyLoss(Task([0.8, 0.77, 0.75]), z_max=Z, fast=fast)
        draw = points("monte-carlo", 1024, 3, z_max=Z, **options)
        losses.append(train(net, draw, loss, Training(100, 5e-3, "adam")).losses)
        made += loss._kept.crosses.made
    assert losses[0][-1] < 3e-2 * losses[0][0]
    assert 1 < made < 40
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=0)


def test_a_cross_serves_until_states_leave_its_span(rng):
    net, served, z = network(rng), CrossApproximations(), box(1024, 3, rng).float()
    assert served.serve(net, z, Z) is not None
    first = served.current
    with torch.no_grad():
        net.W += 1e-5 * randn(net.n, net.n, rng=rng).float()
    served.serve(net, z, Z)
    assert served.current is first
    with torch.no_grad():
        net.W *= 2
    found = served.serve(net, z, Z)
    assert served.current is not first
    assert served.made == 2
    others = torch.ones(net.n, dtype=torch.bool).index_fill_(0, found[2], False)
    gains = net.W.detach() @ net.encoders.detach()
    assert gains[found[2]].norm(dim=1).min() >= gains[others].norm(dim=1).max()
    assert served.current.probe_error(GENTLE, gains[others], z, served.current.functions(z)) < 2 * PROBE_ERROR
    torch.testing.assert_close(found[1], served.current.functions(z).float())


def test_steep_neurons_are_given_up_for_good(rng):
    net, served, z = network(rng, activation=Sigmoid(500.0, 0.1)), CrossApproximations(), box(1024, 3, rng).float()
    assert served.serve(net, z, Z) is None
    assert served.serve(net, z, Z) is None
    assert served.made == 1
    plain = ProxyLoss(Task([0.8, 0.77, 0.75]), z_max=Z, fast=False)(net, z)
    torch.testing.assert_close(ProxyLoss(Task([0.8, 0.77, 0.75]), z_max=Z)(net, z), plain)


def test_where_it_is_not_tried(rng):
    z = {P: box(P, 3, rng) for P in (sizes.CROSS_POINTS, sizes.CROSS_POINTS - 1)}
    many = z[sizes.CROSS_POINTS]
    assert why_not(network(rng, n=100), many) == ""
    assert why_not(network(rng, n=100), z[sizes.CROSS_POINTS - 1]) == "fewer than 1024 points"
    assert why_not(network(rng, n=100, D=1), many[:, :1]) == "one channel"
    for f in (ReLU(), torch.tanh):
        assert why_not(network(rng, n=100, activation=f), many) == "the activation has no known poles"
    per_neuron = Sigmoid(5.0, torch.linspace(0, 0.1, 100))
    for net in (network(rng, n=100, activation=per_neuron), network(rng, n=100, trained=("thresholds",))):
        assert why_not(net, many) == "neurons have thresholds of their own"
    assert why_not(network(rng, n=100, dtype=torch.float64), many) == "float64"
    assert why_not(network(rng, n=64), many) == "no more than 64 neurons"  # hardly any would be left to stand for


def test_too_few_candidates_say_nothing_of_slopes(rng):
    """Each neuron and each neighbour could be a reference, and states be right where their slopes are not."""
    known = gains(rng, n=11, D=5, size=0.2)
    assert not CrossApproximation(GENTLE, known, Z).complete


def test_errors(rng):
    net = network(rng, n=100)
    with pytest.raises(ValueError, match=r"z must lie in \[-5.1, 5.1\], got"):
        ProxyLoss(Task([0.8, 0.77, 0.75]), z_max=Z)(net, torch.full((1024, 3), 6.0))
    with torch.no_grad():
        net.W[0, 0] = torch.nan
    assert ProxyLoss(Task([0.8, 0.77, 0.75]), z_max=Z)(net, box(1024, 3, rng).float()).isnan()
