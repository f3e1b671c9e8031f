"""The written-out gradient against autograd through `Integrator.forward`, plain loops, and finite differences."""

import equations
import pytest
import torch
from equations import PAIRS, randn, random_network

from lib.fast import bptt
from lib.fast.bptt import Workspace, unroll
from lib.model.activations import Sigmoid
from lib.model.network import Integrator

names = pytest.mark.parametrize("name", ["relu", "linear", "sigmoid"])
lengths = pytest.mark.parametrize("T", [1, 2, 3, 5])
channels = pytest.mark.parametrize("D", [1, 2])


def weights(network):
    return [network.W, network.encoders, network.decoders]


def objective(outputs):
    """A scalar whose gradient differs in every entry."""
    numbers = torch.arange(outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    return (torch.sin(numbers + 1) * outputs).sum() + (outputs**2).sum()


def gradients(outputs, network):
    found = torch.autograd.grad(objective(outputs), weights(network), allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights(network), found, strict=True)]


def check(network, x, name):
    """Outputs and gradients of W, encoders and decoders, three ways."""
    y = unroll(network, x, Workspace())
    ours = gradients(y, network)
    for other in (network(x).outputs, equations.run(*weights(network), x, PAIRS[name][1])[1]):
        torch.testing.assert_close(y, other, rtol=1e-11, atol=1e-11)
        for a, b in zip(ours, gradients(other, network), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    return ours


@names
@lengths
@channels
def test_gradient_is_that_of_autograd(name, T, D, rng):
    network = random_network(6, D, name, rng)
    assert all(g.any() for g in check(network, randn(7, T, D, rng=rng), name))


@names
@lengths
@channels
def test_gradient_at_the_null_start(name, T, D, rng):
    """All currents are exactly zero there; the rectifier's slope 1/2 is what moves W."""
    network = Integrator.random(
        6, D, generator=rng, activation=PAIRS[name][0](), trained=("W", "encoders", "decoders"), encoder_norm=0.8
    )
    gradient = check(network, randn(7, T, D, rng=rng), name)[0]
    assert gradient.any()


@lengths
@channels
def test_gradient_with_currents_that_are_exactly_zero(T, D, rng):
    """Rows of W that are zero, encoders with supports, and inputs that are zero put many currents at the corner."""
    network = random_network(6, D, "relu", rng)
    with torch.no_grad():
        network.W[:2] = 0
        network.W[:, 3] = 0
        network.encoders[:3] = 0
    x = randn(7, T, D, rng=rng)
    x[:2] = 0
    x[2:4, 0] = 0
    assert (network.run(x).currents == 0).double().mean() > 0.3
    check(network, x, "relu")


@names
@pytest.mark.parametrize("trained", [("W",), ("encoders",), ("decoders",), ("W", "decoders"), ("encoders", "decoders")])
@channels
def test_only_what_is_trained_gets_a_gradient(name, trained, D, rng):
    network = random_network(6, D, name, rng, trained=trained)
    x = randn(5, 3, D, rng=rng)
    objective(unroll(network, x, Workspace())).backward()
    ours = {key: p.grad for key, p in network.named_parameters()}
    network.zero_grad()
    objective(network(x).outputs).backward()
    for key, p in network.named_parameters():
        assert (ours[key] is not None) == (key in trained)
        if key in trained:
            torch.testing.assert_close(ours[key], p.grad, rtol=1e-10, atol=1e-10)


@names
@channels
def test_gradient_by_finite_differences(name, D, rng):
    network = random_network(4, D, name, rng)
    x = randn(5, 3, D, rng=rng)

    def value():
        with torch.no_grad():
            return float(objective(unroll(network, x, Workspace())))

    for w, gradient in zip(weights(network), gradients(unroll(network, x, Workspace()), network), strict=True):
        for i in range(w.numel()):
            entry, h = w.data.view(-1)[i : i + 1], 1e-6
            entry += h
            above = value()
            entry -= 2 * h
            below = value()
            entry += h
            assert (above - below) / (2 * h) == pytest.approx(float(gradient.reshape(-1)[i]), rel=1e-5, abs=1e-6)


def test_float32_agrees_with_float64(rng):
    network = random_network(30, 1, "relu", rng)
    x = randn(50, 3, 1, rng=rng)
    exact = gradients(unroll(network, x, Workspace()), network)
    rounded = gradients(unroll(network.float(), x.float(), Workspace()), network)
    for a, b in zip(exact, rounded, strict=True):
        assert float((a - b).norm() / a.norm()) < 1e-5


def test_inputs_of_any_layout(rng):
    network = random_network(6, 2, "relu", rng)
    check(network, randn(2, 4, 7, rng=rng).permute(2, 1, 0), "relu")
    check(network, randn(1, 4, 2, rng=rng).expand(5, 4, 2), "relu")


# Few first states for many


@pytest.fixture
def always(monkeypatch):
    """A large network that fits a test: few first states stand for all even where that saves nothing."""
    monkeypatch.setattr(bptt, "SKELETON_BATCH", 1)
    monkeypatch.setattr(bptt, "SKELETON_PRODUCT", 0.0)


@pytest.mark.usefixtures("always")
@lengths
def test_few_first_states_stand_for_those_of_a_large_batch(T, rng):
    network, space = random_network(6, 1, "sigmoid", rng), Workspace()
    for stretch in (1.0, 0.5, 3.0):  # the last batch asks for a new skeleton, and so do larger weights
        x = stretch * randn(200, T, 1, rng=rng)
        ours = unroll(network, x, space)
        assert space.skeleton is not None and len(space.skeleton.z) < 150
        other = network(x).outputs
        torch.testing.assert_close(ours, other, rtol=1e-9, atol=1e-9)
        for a, b in zip(gradients(ours, network), gradients(other, network), strict=True):
            assert a.any()
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7 * b.abs().max().item())
        with torch.no_grad():
            network.W.mul_(1.3)


@pytest.mark.usefixtures("always")
def test_a_skeleton_of_first_states_is_kept_while_it_serves(rng):
    network, space = random_network(6, 1, "sigmoid", rng), Workspace()
    x = randn(50, 3, 1, rng=rng)
    unroll(network, x, space)
    first = space.skeleton
    unroll(network, -0.9 * x, space)
    assert space.skeleton is first
    unroll(network, 2 * x, space)
    assert space.skeleton is not first
    assert first is not None and space.skeleton is not None and space.skeleton.z_max > first.z_max


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("where", ["weights", "inputs"])
def test_what_is_not_finite_is_handed_on(where, rng):
    network, space = random_network(6, 1, "sigmoid", rng), Workspace()
    x = randn(50, 3, 1, rng=rng)
    with torch.no_grad():
        (network.W if where == "weights" else x)[0, 0] = torch.nan
    assert unroll(network, x, space).isnan().any()
    assert space.skeleton is None


@pytest.mark.usefixtures("always")
def test_weights_that_have_run_away_are_unrolled_in_the_usual_way(rng):
    network, space = random_network(6, 1, "sigmoid", rng), Workspace()
    with torch.no_grad():
        network.W.mul_(1e6)
    x = randn(50, 3, 1, rng=rng)
    torch.testing.assert_close(unroll(network, x, space), network(x).outputs, rtol=1e-12, atol=1e-12)
    assert space.skeleton is None


def test_small_batches_and_other_networks_have_no_skeleton(rng):
    for name, D in (("sigmoid", 1), ("sigmoid", 2), ("relu", 1)):
        space = Workspace()
        unroll(random_network(6, D, name, rng), randn(600, 3, D, rng=rng), space)
        assert space.skeleton is None


# One backward for one forward


def test_a_workspace_serves_many_calls_of_any_shape(rng):
    space = Workspace()
    for name, B, T in (("relu", 4, 3), ("relu", 4, 3), ("linear", 2, 5), ("relu", 6, 1)):
        network = random_network(5, 1, name, rng)
        x = randn(B, T, 1, rng=rng)
        ours = gradients(unroll(network, x, space), network)
        for a, b in zip(ours, gradients(network(x).outputs, network), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_buffers_are_kept(rng):
    space, like = Workspace(), torch.zeros(2)
    first = space.get("a", (3, 2), like)
    assert space.get("a", (3, 2), like) is first
    assert space.get("a", (3, 3), like).shape == (3, 3)
    assert space.get("a", (3, 3), like.double()).dtype == torch.float64
    assert space.get("b", (3, 3), like) is not space.get("c", (3, 3), like)


def test_outputs_survive_the_next_call(rng):
    network, space = random_network(5, 1, "relu", rng), Workspace()
    x = randn(4, 3, 1, rng=rng)
    y = unroll(network, x, space).detach()
    kept = y.clone()
    unroll(network, -x, space)
    assert torch.equal(y, kept)


def test_interleaved_use_is_refused(rng):
    network, space = random_network(5, 1, "relu", rng), Workspace()
    first = unroll(network, randn(4, 3, 1, rng=rng), space)
    second = unroll(network, randn(4, 3, 1, rng=rng), space)
    with pytest.raises(RuntimeError, match="backward must follow its own forward"):
        first.sum().backward()
    second.sum().backward()


def test_a_second_backward_is_refused(rng):
    network, space = random_network(5, 1, "relu", rng), Workspace()
    y = unroll(network, randn(4, 3, 1, rng=rng), space).sum()
    y.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward must follow its own forward"):
        y.backward()


def test_a_derivative_of_the_derivative_is_refused(rng):
    network = random_network(5, 1, "relu", rng)
    y = unroll(network, randn(4, 3, 1, rng=rng), Workspace())
    (gradient,) = torch.autograd.grad((y**2).sum(), network.W, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_weights_changed_before_backward_are_noticed(rng):
    network = random_network(5, 1, "relu", rng)
    y = unroll(network, randn(4, 3, 1, rng=rng), Workspace())
    with torch.no_grad():
        network.W += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# What takes the way of autograd


def test_trained_thresholds_get_a_gradient(rng):
    network = Integrator(
        randn(5, 5, rng=rng),
        randn(5, 1, rng=rng),
        randn(5, 1, rng=rng),
        activation=Sigmoid(3.0, 0.1),
        trained=("W", "thresholds"),
    )
    x = randn(4, 3, 1, rng=rng)
    objective(unroll(network, x, Workspace())).backward()
    found = network.activation.thresholds.grad  # type: ignore[attr-defined]
    thresholds = torch.full((5,), 0.1, dtype=torch.float64, requires_grad=True)
    loop = equations.run(*weights(network), x, lambda nu: 1 / (1 + torch.exp(-3 * (nu - thresholds))))[1]
    (expected,) = torch.autograd.grad(objective(loop), thresholds)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_fixed_thresholds_of_each_neuron(rng):
    thresholds = randn(5, rng=rng)
    network = Integrator(
        randn(5, 5, rng=rng), randn(5, 2, rng=rng), randn(5, 2, rng=rng), activation=Sigmoid(3.0, thresholds)
    )
    x = randn(4, 3, 2, rng=rng)
    (ours,) = torch.autograd.grad(objective(unroll(network, x, Workspace())), network.W)
    loop = equations.run(*weights(network), x, lambda nu: 1 / (1 + torch.exp(-3 * (nu - thresholds))))[1]
    (expected,) = torch.autograd.grad(objective(loop), network.W)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_any_callable_is_an_activation(rng):
    network = random_network(5, 1, "tanh", rng)
    check(network, randn(4, 3, 1, rng=rng), "tanh")


def test_gradients_of_the_inputs_are_not_lost(rng):
    network = random_network(5, 1, "relu", rng)
    x = randn(4, 3, 1, rng=rng).requires_grad_()
    (ours,) = torch.autograd.grad(objective(unroll(network, x, Workspace())), x)
    (expected,) = torch.autograd.grad(objective(network(x).outputs), x)
    torch.testing.assert_close(ours, expected)


def test_inputs_of_another_shape_are_refused(rng):
    network = random_network(5, 2, "relu", rng)
    with pytest.raises(ValueError, match="x must have shape B x T x 2, got"):
        unroll(network, randn(4, 3, 1, rng=rng), Workspace())


def test_torch_relu_never_leaves_the_null_start(rng):
    """Why the slope at zero matters (erratum E36)."""
    x = randn(8, 3, 1, rng=rng)
    ours = Integrator.random(6, 1, generator=rng)
    dead = Integrator(*weights(ours), activation=torch.relu)
    for network, moves in ((ours, True), (dead, False)):
        outputs = unroll(network, x, Workspace())
        (gradient,) = torch.autograd.grad((outputs - x).square().sum(), network.W)
        assert bool(gradient.any()) is moves
