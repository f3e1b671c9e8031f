"""Every fast way to outputs and proxy loss against the plain one under autograd, and that it is the one that serves."""

import copy

import pytest
import torch
from equations import randn

from lib import fast
from lib.fast import sizes
from lib.fast.interpolation import identity
from lib.fast.moments import gram
from lib.fast.sectors import Sectors, first_inputs
from lib.fast.sizes import Size
from lib.model.activations import Linear, ReLU, Sigmoid, Softplus
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import BatchLoss, ProxyLoss

N, B = 14, 40
EVERYTHING = ("W", "encoders", "decoders")
DECAYS, SCALES = [0.8, 0.77, 0.75, 0.76, 0.79], [1.0, 2.0, 0.5, 3.0, 1.5]
ACTIVATIONS = {
    "relu": ReLU(),
    "clamp": ReLU(1.0),
    "sigmoid": Sigmoid(),
    "gentle": Sigmoid(5.0, 0.0),
    "linear": Linear(),
    "softplus": Softplus(),
    "tanh": torch.tanh,
}
names = pytest.mark.parametrize("name", ACTIVATIONS)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
channels = pytest.mark.parametrize("D", [1, 2, 3, 5])
losses = pytest.mark.parametrize("kind", ["batch", "proxy"])


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """Methods serve whatever the size, also where that saves nothing."""
    monkeypatch.setattr(sizes, "SECTORS", {1: Size(1, 0), 2: Size(1, 0)})
    monkeypatch.setattr(sizes, "FIRST_STATES", Size(1, 0))
    monkeypatch.setattr(sizes, "CROSS_POINTS", 1)
    monkeypatch.setattr(sizes, "EXACT_NEURONS", 3)
    monkeypatch.setattr(sizes, "MOMENTS_NEURONS", 1)
    monkeypatch.setattr(sizes, "POINTS_PER_NEURON", 1)


def network(rng, name="relu", D=1, trained=EVERYTHING):
    """Generic weights; with the gentle sigmoid currents are small."""
    size = 0.1 if name == "gentle" else 1.0
    W, E, Z = size * randn(N, N, rng=rng) / N**0.5, randn(N, D, rng=rng) / 2, randn(N, D, rng=rng)
    return Integrator(W, E, Z, activation=ACTIVATIONS[name], trained=trained)


def loss(kind, D, T=3, **options):
    """Loss; task of D channels."""
    task = Task(DECAYS[:D], SCALES[:D], T=T)
    return BatchLoss(task, **options) if kind == "batch" else ProxyLoss(task, **options)


def points(kind, D, rng, T=3):
    """Inputs or points in the box."""
    return randn(B, T, D, rng=rng) if kind == "batch" else randn(B, D, rng=rng).clamp(-5, 5)


def value_and_gradients(value, net):
    trained = [p for p in net.parameters() if p.requires_grad]
    return [value.detach(), *torch.autograd.grad(value, trained)]


def assert_equal(ours, plain, tolerance):
    """Relative to the size of each."""
    for a, b in zip(ours, plain, strict=True):
        assert a.isfinite().all()
        assert (a.double() - b).norm() <= tolerance * (b.norm() + 1e-4)


def check(kind, net, x, *, method, kept=None, dtype=torch.float64, tolerance=None, T=3):
    """Value and all gradients, by a method that is the one to serve."""
    plain = loss(kind, net.D, T, fast=False)
    expected = value_and_gradients(plain(net, x), net)
    net, x = copy.deepcopy(net).to(dtype), x.to(dtype)
    assert fast.explain(net, x).method == method
    ours = value_and_gradients((kept or loss(kind, net.D, T))(net, x), net)
    few = method in ("interpolation", "cross approximation")
    exact = 1e-7 if few else 1e-10
    assert_equal(ours, expected, tolerance or (exact if dtype == torch.float64 else 2e-4))
    return ours


def outputs_by(name, D, T):
    if name == "tanh":
        return "plain"
    if name in ("sigmoid", "gentle") and D == 1:
        return "interpolation"
    return "sectors" if name in ("relu", "clamp") and D <= 2 and T >= 4 - D else "backpropagation"


def proxy_by(name, D, dtype):
    if name == "tanh":
        return "plain"
    if name in ("sigmoid", "gentle") and D == 1:
        return "interpolation"
    if name == "gentle" and D == 2 and dtype == torch.float32:
        return "cross approximation"
    return "sectors" if name in ("relu", "clamp") and D == 2 else "second moments"


@names
@dtypes
@channels
@pytest.mark.parametrize("T", [1, 2, 3, 4, 10])
def test_outputs(name, dtype, D, T, rng):
    net, x = network(rng, name, D), points("batch", D, rng, T)
    check("batch", net, x, method=outputs_by(name, D, T), dtype=dtype, T=T)


@names
@dtypes
@channels
def test_proxy(name, dtype, D, rng):
    if name == "sigmoid" and D > 1 and dtype == torch.float32:
        pytest.skip("steep neurons: whether few are enough depends on the draw")
    net, z = network(rng, name, D), points("proxy", D, rng)
    check("proxy", net, z, method=proxy_by(name, D, dtype), dtype=dtype)


@losses
@names
@pytest.mark.parametrize("D", [1, 2, 3])
def test_only_what_is_trained_gets_a_gradient(kind, name, D, rng):
    for trained in (("W",), ("encoders",), ("decoders",), ("W", "decoders")):
        net, x = network(rng, name, D, trained), points(kind, D, rng)
        plain = value_and_gradients(loss(kind, D, fast=False)(net, x), net)
        assert_equal(value_and_gradients(loss(kind, D)(net, x), net), plain, 1e-7)
        assert len(plain) == 1 + len(trained)


# Currents that are exactly zero


@losses
@pytest.mark.parametrize("name", ["relu", "clamp", "linear", "sigmoid"])
@pytest.mark.parametrize("D", [1, 2, 3])
@pytest.mark.parametrize("T", [2, 3, 5])
def test_the_null_start(kind, name, D, T, rng):
    """The rectifier's slope at zero is what moves W."""
    net, x = network(rng, name, D), points(kind, D, rng, T)
    with torch.no_grad():
        net.W.zero_()
    by = outputs_by(name, D, T) if kind == "batch" else proxy_by(name, D, torch.float64)
    assert check(kind, net, x, method=by, T=T)[1].any()


@losses
@pytest.mark.parametrize("slope", [0.5, 1.0, 0.3])
@pytest.mark.parametrize("D", [1, 2])
def test_many_currents_are_zero(kind, slope, D, rng):
    """Silent neurons, unread neurons, zero inputs and ties: inputs of -1, 0 and 1, and integer weights that cancel."""
    net = network(rng, "relu", D)
    net.activation = ReLU(slope)
    by = outputs_by("relu", D, 5) if kind == "batch" else proxy_by("relu", D, torch.float64)
    x = points(kind, D, rng, T=5)
    with torch.no_grad():
        net.W[:3], net.W[:, 4:6], net.encoders[5:8], net.decoders[:6] = 0, 0, 0, 0
    x[::3] = 0
    check(kind, net, x, method=by, T=5)
    x = torch.randint(-1, 2, x.shape, generator=rng).double()
    check(kind, net, x, method=by, T=5)
    with torch.no_grad():
        for weights in net.parameters():
            weights.copy_(torch.randint(-1, 2, weights.shape, generator=rng))
    check(kind, net, x, method=by, T=5)
    x[1::7] = 1e-30  # next to zero, but not zero
    check(kind, net, x, method=by, T=5)


@names
@pytest.mark.parametrize("D", [1, 2])
def test_inputs_that_are_all_zero(name, D, rng):
    net = network(rng, name, D)
    check("batch", net, torch.zeros(B, 3, D, dtype=torch.float64), method=outputs_by(name, D, 3))


# Sectors


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("at", [0, 1])
def test_a_half_plane_without_sequences(sign, at, rng):
    x = points("batch", 1, rng, T=4)
    x[:, at] = sign * x[:, at].abs()
    check("batch", network(rng), x, method="sectors", T=4)


@pytest.mark.parametrize("size", [1, 2, 3, 300])
@pytest.mark.parametrize("D", [1, 2])
def test_batches_of_any_size(size, D, rng):
    check("batch", network(rng, D=D), randn(size, 3, D, rng=rng), method="sectors")


def test_a_sector_of_more_than_half_a_turn(rng):
    degrees = torch.tensor([-170.0, 0, 100, 110, 120, 130, 140, 150, 160], dtype=torch.float64)  # three in each sector
    z = torch.stack([torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], dim=1)
    for _ in range(5):  # some neurons are on at -170 and at 100, and off at 0
        check("proxy", network(rng, D=2), z, method="sectors")


def test_few_neurons_are_mixed(rng):
    n, P = 200, 1024
    generators, (_, plane) = randn(1, 2, n, rng=rng), first_inputs(randn(P, 2, rng=rng))
    mixed = sum(len(sector.mixed) for sector in Sectors(generators, plane, ReLU()).sectors)
    assert mixed < 4 * n  # each changes at two angles, and so is mixed in two sectors, or a few where they touch
    null = Sectors(0 * generators, plane, ReLU(0.3))
    assert sum(len(sector.mixed) for sector in null.sectors) == 0
    assert (null.slopes == 0.3).all()


# What is kept from call to call


@losses
@pytest.mark.parametrize("name", ["relu", "sigmoid", "linear"])
def test_weights_and_shapes_change_between_calls(kind, name, rng):
    for D in (1, 2):
        kept, net = loss(kind, D), network(rng, name, D)
        for size, factor in ((40, 1.0), (40, 1.3), (25, 3.0), (40, 0.2)):
            with torch.no_grad():
                net.W.mul_(factor)
            x = 1.1 * factor * points(kind, D, rng)[:size] if kind == "batch" else points(kind, D, rng)[:size]
            by = outputs_by(name, D, 3) if kind == "batch" else proxy_by(name, D, torch.float64)
            check(kind, net, x, kept=kept, method=by)


@losses
@pytest.mark.parametrize("D", [1, 2])
@dtypes
def test_activations_change_between_calls(kind, D, dtype, rng):
    """One loss for sigmoids of other slopes and thresholds: of new networks, and changed in place."""
    kept = loss(kind, D)
    x = points(kind, D, rng)
    changes = [(5.0, 0.0), (5.0, 0.5), (9.0, 0.5), (5.0, 0.0)]
    net = network(rng, "gentle", D)
    for in_place in (False, True):
        for slope, threshold in changes:
            if in_place:
                net.activation.slope = slope
                net.activation.thresholds.fill_(threshold)
            else:
                net.activation = Sigmoid(slope, threshold)
            single = copy.deepcopy(net).to(dtype)
            plain = value_and_gradients(loss(kind, D, fast=False)(net, x), net)
            assert_equal(value_and_gradients(kept(single, x.to(dtype)), single), plain, 1e-4)


def test_identity(rng):
    """What is kept for one activation, dtype or device is for no other."""
    nets = [network(rng, "gentle") for _ in range(5)]
    nets[1].activation.slope = 4.9
    nets[2].activation.thresholds.fill_(1e-9)
    nets[3].float()
    nets[4].activation = copy.deepcopy(nets[4].activation)
    first, *others, same = map(identity, nets)
    assert same == first and first not in others


class Cheating(Sigmoid):
    """Does something else from a certain time on, which its parameters do not tell."""

    late = staticmethod(lambda: False)

    def forward(self, currents):
        return super().forward(currents) ** (2 if self.late() else 1)

    def derivative(self, currents):
        raise NotImplementedError


@pytest.mark.parametrize("D", [1, 2])
@dtypes
def test_kept_states_are_compared_with_the_activation(D, dtype, rng):
    times = [False]
    f = Cheating(5.0, 0.0)
    type(f).late = staticmethod(lambda: times[0])
    net, z = network(rng, "gentle", D).to(dtype), points("proxy", D, rng).to(dtype)
    net.activation = f
    kept = loss("proxy", D)
    for times[0] in (False, True):
        method = fast.PROXIES[2 if D == 2 else 1]
        plain = loss("proxy", D, fast=False)(net, z)
        constants = (z.new_tensor(DECAYS[:D]), z.new_tensor(SCALES[:D]), 1.0, 1 / N)
        found = method(net, z, constants, 5.0, kept._kept)
        if found is not None:
            torch.testing.assert_close(found, plain, rtol=1e-4, atol=0)
        assert found is not None or times[0]


# One backward for one forward


@losses
@pytest.mark.parametrize("name", ["relu", "sigmoid", "linear"])
@pytest.mark.parametrize("D", [1, 2])
def test_losses_add_up(kind, name, D, rng):
    net, kept = network(rng, name, D), loss(kind, D)
    first, second = points(kind, D, rng), points(kind, D, rng)
    for _ in range(2):  # the second time with buffers that have been used
        ours = value_and_gradients(kept(net, first) + kept(net, second), net)
        plain = loss(kind, D, fast=False)
        assert_equal(ours, value_and_gradients(plain(net, first) + plain(net, second), net), 1e-7)


@losses
@pytest.mark.parametrize("D", [1, 2, 3])
def test_a_second_backward_is_refused(kind, D, rng):
    net = network(rng, "relu", D)
    value = loss(kind, D)(net, points(kind, D, rng))
    (3 * value).backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward can be called once"):
        value.backward()


@losses
@pytest.mark.parametrize("D", [1, 2, 3])
def test_derivatives_of_the_derivative(kind, D, rng):
    """Refused where the gradient is written out; the plain way has them."""
    net, x = network(rng, "relu", D), points(kind, D, rng)
    with pytest.raises(RuntimeError, match="differentiable once; with fast=False"):
        torch.autograd.grad(loss(kind, D)(net, x), net.W, create_graph=True)
    (gradient,) = torch.autograd.grad(loss(kind, D, fast=False)(net, x), net.W, create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), net.W)[0].any()


@pytest.mark.parametrize("D", [1, 2, 3])
def test_outputs_survive_the_next_call(D, rng):
    net, kept, x = network(rng, "relu", D), fast.Kept(), points("batch", D, rng)
    y = fast.outputs(net, x, kept).detach()
    same = y.clone()
    fast.outputs(net, -x, kept)
    assert torch.equal(y, same)


def test_buffers_are_used_again(rng):
    buffers, like = fast.Buffers(), torch.zeros(2)
    lease = buffers.take(like, a=(3, 2), b=(3, 2))
    first, other = lease["a"], buffers.take(like, a=(3, 2), b=(3, 2))
    assert first is not lease["b"] and other["a"] is not first
    lease.give_back()
    assert buffers.take(like, a=(3, 2), b=(3, 2))["a"] is first  # and is given back as garbage at once
    assert buffers.take(like, a=(3, 2), b=(3, 2))["a"] is first
    assert buffers.take(like.double(), a=(3, 2), b=(3, 2))["a"].dtype == torch.float64
    assert buffers.take(like, a=(3, 2), b=(3, 2))["a"] is not first  # other shapes were asked for since


def test_weights_changed_before_backward_are_noticed(rng):
    net = network(rng)
    value = loss("batch", 1)(net, points("batch", 1, rng))
    with torch.no_grad():
        net.W += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


# What takes the plain way


@losses
@pytest.mark.parametrize("D", [1, 2])
def test_gradients_of_points_and_thresholds(kind, D, rng):
    net, x = network(rng, "relu", D), points(kind, D, rng).requires_grad_()
    trained = network(rng, "sigmoid", D, trained=("W", "thresholds"))
    for f, weights in ((net, x), (trained, trained.activation.thresholds)):
        z = x if f is net else x.detach()
        assert fast.explain(f, z).method == "plain"
        ours, plain = (torch.autograd.grad(way(f, z), weights)[0] for way in (loss(kind, D), loss(kind, D, fast=False)))
        assert torch.equal(ours, plain) and ours.any()


@losses
@names
@pytest.mark.parametrize("D", [1, 2, 3])
def test_the_plain_way_uses_nothing_else(kind, name, D, rng, monkeypatch):
    monkeypatch.setattr(fast, "OUTPUTS", None)
    monkeypatch.setattr(fast, "PROXIES", None)
    assert loss(kind, D, fast=False)(network(rng, name, D), points(kind, D, rng)) > 0


@losses
@pytest.mark.parametrize("D", [1, 2])
@pytest.mark.parametrize("name", ["relu", "sigmoid", "gentle", "linear"])
def test_what_is_not_finite_is_handed_on(kind, D, name, rng):
    net, x = network(rng, name, D), points(kind, D, rng)
    with torch.no_grad():
        net.W[2, 3] = torch.nan
    assert loss(kind, D)(net, x).isnan()


@losses
def test_weights_that_have_run_away(kind, rng):
    """No few states are exact enough."""
    net, x = network(rng, "sigmoid"), points(kind, 1, rng)
    with torch.no_grad():
        net.W.mul_(1e6)
    by = "backpropagation" if kind == "batch" else "second moments"
    check(kind, net, x, method=by)


def test_sizes(rng, monkeypatch):
    """The sizes as they are: below them the next method serves."""
    monkeypatch.undo()
    cases = [("relu", 1), ("relu", 2), ("sigmoid", 1), ("gentle", 2), ("linear", 3)]
    for name, D in cases:
        net = network(rng, name, D).float()
        assert fast.explain(net, randn(B, 3, D, rng=rng).float()).method == "backpropagation"
        assert fast.explain(net, randn(B, D, rng=rng).float()).method == (
            "interpolation" if D == 1 and name == "sigmoid" else "plain"
        )
    assert Size(7, 700).why_not(7, 10) == ""
    assert Size(7, 700).why_not(6, 100) == "fewer than 7 points"
    assert Size(7, 700).why_not(7, 9) == "points n^2 below 700"


def test_explanations(rng):
    net = network(rng, "relu", 3)
    found = fast.explain(net, points("proxy", 3, rng))
    assert found.others == {
        "sectors": "3 channels",
        "interpolation": "3 channels",
        "cross approximation": "the activation has no known poles",
    }
    net = network(rng, "sigmoid", 1)
    with torch.no_grad():
        net.W.mul_(1e6)
    assert fast.explain(net, points("batch", 1, rng)).others["interpolation"] == "few states are not exact enough"
    assert (
        fast.explain(net, points("proxy", 1, rng).requires_grad_()).others["second moments"].startswith("the gradient")
    )


@dtypes
def test_products_of_columns(dtype, rng):
    rows, tolerance = randn(70, 30, rng=rng).to(dtype), 1e-5 if dtype == torch.float32 else 1e-13
    for matrix in (rows, randn(30, 70, rng=rng).to(dtype).T):  # in rows, and in columns
        torch.testing.assert_close(gram(matrix), matrix.T @ matrix, rtol=tolerance, atol=tolerance)
