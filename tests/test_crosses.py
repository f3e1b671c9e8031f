"""A few points and neurons for all: against the states themselves, and against the plain formula under autograd."""

import pytest
import torch
from equations import randn

from lib.fast import crosses
from lib.fast.crosses import MISFIT, Cross, Crosses, may_have_cross
from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.proxies import SampledProxy
from lib.training.samplers import points

Z = 5.1
GENTLE = Sigmoid(5.0, 0.0)


def stretches(rng, n=300, D=3, size=0.012):
    """A few neurons have much larger currents than the others, as in trained networks."""
    return size * randn(n, D, rng=rng) * (1 + 3 * torch.rand(n, 1, generator=rng, dtype=torch.float64) ** 8)


def network(rng, n=300, D=3, activation=GENTLE, dtype=torch.float32, trained=("W", "encoders", "decoders")):
    E, Z = (randn(n, D, rng=rng) / n**0.5 for _ in range(2))
    W = stretches(rng, n, D) @ torch.linalg.pinv(E) + 0.01 * randn(n, n, rng=rng) / n**0.5
    return Integrator(*(m.to(dtype) for m in (W, E, Z)), activation=activation, trained=trained)


def box(P, D, rng):
    return Z * (2 * torch.rand(P, D, generator=rng, dtype=torch.float64) - 1)


@pytest.mark.parametrize("D, size", [(2, 0.04), (3, 0.012)])
def test_states_at_all_points_follow_from_those_at_few(D, size, rng):
    known = stretches(rng, D=D, size=size)
    cross, z = Cross(GENTLE, known, Z), box(1000, D, rng)
    assert cross.complete
    assert len(cross.z) < 200
    functions = cross.functions(z)
    for F in (known, known + 1e-2 * size * randn(len(known), D, rng=rng)):
        exact = torch.sigmoid(5 * z @ F.T)
        error = (functions @ torch.sigmoid(5 * cross.z @ F.T) - exact).abs().max().item()
        assert 0 < error < MISFIT
        assert cross.misfit(F, z, functions) == pytest.approx(error, rel=1e-6)


def test_coordinates_are_in_the_span(rng):
    cross, z = Cross(GENTLE, stretches(rng), Z), box(100, 3, rng)
    torch.testing.assert_close(cross.functions(z) @ cross.z, z, rtol=0, atol=1e-5)


def test_each_function_is_one_at_its_point_and_zero_at_the_others(rng):
    cross = Cross(GENTLE, stretches(rng), Z)
    identity = torch.eye(len(cross.z), dtype=torch.float64)
    torch.testing.assert_close(cross.functions(cross.z), identity, rtol=0, atol=1e-6)
    assert torch.equal(cross.z, cross.z.float().double())


def test_null_currents_need_the_constant_and_the_coordinates_alone():
    cross = Cross(GENTLE, torch.zeros(50, 3), Z)
    assert len(cross.z) == 4
    assert cross.functions(cross.z).sum(dim=1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("D", [2, 3])
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_few_points_give_the_gradient_of_all(D, normalisation, rng):
    net, task = network(rng, D=D), Task([0.8, 0.77, 0.75][:D], [1.0, 1.3, 0.7][:D])
    z = box(1024, D, rng).float()
    found = []
    for skeleton in (True, False):
        net.zero_grad()
        loss = SampledProxy(task, normalisation, z_max=Z, skeleton=skeleton)
        value = loss(net, z)
        value.backward()
        assert loss.crosses.made == skeleton
        found.append([value.detach(), *(p.grad.clone() for p in (net.W, net.encoders, net.decoders))])
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-4 * plain.abs().max().item())


def test_the_same_training_from_the_null_start():
    """In float32; what few points change is of the size of rounding, also while currents grow from zero."""
    losses, made = [], 0
    for skeleton in (True, False):
        generator = torch.Generator().manual_seed(1)
        options = {"generator": generator, "dtype": torch.float32}
        net = Integrator.random(100, 3, activation=GENTLE, trained=("W", "decoders"), **options)
        loss = SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z, skeleton=skeleton)
        draw = points("monte-carlo", 1024, 3, z_max=Z, **options)
        losses.append(train(net, draw, loss, Training(100, 5e-3, "adam")).losses)
        made += loss.crosses.made
    assert losses[0][-1] < 3e-2 * losses[0][0]
    assert 1 < made < 40
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=0)


def test_a_cross_serves_until_states_leave_its_span(rng):
    net, served, z = network(rng), Crosses(Z), box(1024, 3, rng).float()
    assert served.serve(net, z) is not None
    first = served.cross
    with torch.no_grad():
        net.W += 1e-5 * randn(net.n, net.n, rng=rng).float()
    served.serve(net, z)
    assert served.cross is first
    with torch.no_grad():
        net.W *= 2
    found = served.serve(net, z)
    assert served.cross is not first
    assert served.made == 2
    others = torch.ones(net.n, dtype=torch.bool).index_fill_(0, found[2], False)
    stretches = net.W.detach() @ net.encoders.detach()
    assert stretches[found[2]].norm(dim=1).min() >= stretches[others].norm(dim=1).max()
    assert served.cross.misfit(stretches[others], z, served.cross.functions(z)) < 2 * MISFIT
    torch.testing.assert_close(found[1], served.cross.functions(z).float())


def test_steep_neurons_are_given_up_for_good(rng):
    net, served, z = network(rng, activation=Sigmoid(500.0, 0.1)), Crosses(Z), box(1024, 3, rng).float()
    assert served.serve(net, z) is None
    assert served.serve(net, z) is None
    assert served.made == 1
    plain = SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z, skeleton=False)(net, z)
    torch.testing.assert_close(SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z)(net, z), plain)


def test_where_it_is_not_tried(rng):
    assert may_have_cross(network(rng, n=100), crosses.FEWEST)
    assert not may_have_cross(network(rng, n=100), crosses.FEWEST - 1)
    assert not may_have_cross(network(rng, n=100, D=1), 4096)
    per_neuron = Sigmoid(5.0, torch.linspace(0, 0.1, 100))
    for f in (ReLU(), torch.tanh, per_neuron):
        assert not may_have_cross(network(rng, n=100, activation=f), 4096)
    assert not may_have_cross(network(rng, n=100, trained=("thresholds",)), 4096)
    assert not may_have_cross(network(rng, n=100, dtype=torch.float64), 4096)


def test_few_neurons_take_the_plain_way(rng):
    """All would stand for themselves, and there would be nobody to make a cross of."""
    for n in (crosses.ALONE - 2, 2 * crosses.ALONE):
        net, loss, z = network(rng, n=n), SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z), box(1024, 3, rng).float()
        plain = SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z, skeleton=False)
        assert torch.equal(loss(net, z), plain(net, z))
        assert loss.crosses.made == 0


def test_errors(rng):
    net = network(rng, n=100)
    with pytest.raises(ValueError, match=r"z must lie in \[-5.1, 5.1\], got 6"):
        SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z)(net, torch.full((1024, 3), 6.0))
    with torch.no_grad():
        net.W[0, 0] = torch.nan
    assert SampledProxy(Task([0.8, 0.77, 0.75]), z_max=Z)(net, box(1024, 3, rng).float()).isnan()
