"""The network by cones of inputs against autograd through `Integrator.forward` and against the plain unrolled way."""

import pytest
import torch
from equations import randn, random_network

from lib.fast import bptt
from lib.fast.bptt import CONES_BATCH, Workspace, unroll
from lib.fast.cones import Cones
from lib.model.network import Integrator

lengths = pytest.mark.parametrize("T", [3, 4, 5, 10])


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Let `unroll` use cones for networks of any size."""
    monkeypatch.setattr(bptt, "CONES_PRODUCT", 0)


def only_W(n, rng):
    """A generic ReLU network in which W alone is trained."""
    return random_network(n, 1, "relu", rng, trained=("W",))


def by_cones(network, x, space=None):
    """`B x T x 1` outputs; `unroll` comes here for large batches only."""
    steps = x.transpose(0, 1).contiguous()
    y = Cones.apply(network.W, network.encoders, network.decoders, steps, space or Workspace())
    return y.transpose(0, 1)


def objective(outputs):
    """A scalar whose gradient differs in every entry."""
    numbers = torch.arange(outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    return (torch.sin(numbers + 1) * outputs).sum() + (outputs**2).sum()


def gradient(outputs, network):
    return torch.autograd.grad(objective(outputs), network.W)[0]


def assert_near(found, expected, tolerance):
    """Relative to the size of the whole."""
    assert (found - expected).norm().item() <= tolerance * expected.norm().item()


def check(network, x, tolerance=1e-12):
    """Outputs and gradient, three ways."""
    y = by_cones(network, x)
    ours = gradient(y, network)
    reference = network(x).outputs
    assert_near(y, reference, tolerance)
    assert_near(ours, gradient(reference, network), tolerance)
    steps, space = x.transpose(0, 1).contiguous(), Workspace()
    line = bptt._line(network, steps[0], space)
    plain = bptt._Unrolled.apply(
        network.W, network.encoders, network.decoders, steps, network.activation, space, line, False
    ).transpose(0, 1)  # type: ignore[union-attr]
    assert_near(ours, gradient(plain, network), tolerance)
    return ours


@lengths
@pytest.mark.parametrize("B", [2, 3, 50, 300])
def test_outputs_and_gradient_are_those_of_autograd(T, B, rng):
    assert check(only_W(12, rng), randn(B, T, 1, rng=rng)).any()


@lengths
@pytest.mark.parametrize("B", [CONES_BATCH - 1, CONES_BATCH, CONES_BATCH + 1, 4 * CONES_BATCH])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_unroll_is_right_around_the_size_from_which_cones_are_used(T, B, dtype, tolerance, rng):
    network, x = only_W(10, rng), randn(B, T, 1, rng=rng)
    reference = network(x).outputs
    expected = gradient(reference, network)
    network, x = network.to(dtype), x.to(dtype)
    y = unroll(network, x, Workspace())
    assert y.dtype == dtype
    assert_near(y.double(), reference, tolerance)
    weights = (torch.sin(torch.arange(y.numel()).double() + 1).reshape(y.shape) + 2 * reference).to(dtype).detach()
    assert_near(torch.autograd.grad((weights * y).sum(), network.W)[0].double(), expected, tolerance)


# Currents that are exactly zero: the slope is 1/2


@lengths
def test_gradient_at_the_null_start(T, rng):
    network = Integrator.random(8, generator=rng, encoder_norm=0.8)
    assert check(network, randn(70, T, 1, rng=rng)).any()


@lengths
def test_rows_and_columns_that_are_zero(T, rng):
    """Neurons that never get a current, or never pass one on, or are not reached by the encoder."""
    network = only_W(12, rng)
    with torch.no_grad():
        network.W[:3] = 0
        network.W[:, 4:6] = 0
        network.encoders[5:8] = 0
        network.decoders[:6] = 0
    assert (network.run(randn(5, T, 1, rng=rng)).currents == 0).any()
    check(network, randn(70, T, 1, rng=rng))


@lengths
def test_only_one_of_the_two_terms_is_zero(T, rng):
    """W e = 0 where W f(+-We) is not, and the other way round: x_0 = 0 or x_1 = 0 make the current zero."""
    network = only_W(4, rng)
    with torch.no_grad():
        network.encoders.copy_(torch.tensor([[1.0], [0.0], [0.0], [0.0]]))
        network.W.copy_(torch.tensor([[0.0, 1, 0, 2], [1, 0, 0, 1], [1, 0, 1, 0], [-1, 0, 3, 0]]))
    x = randn(90, T, 1, rng=rng)
    x[::3, 0] = 0
    x[1::5, 1] = 0
    x[2::7, 0] = 1e-30  # next to zero, but not zero
    x[3::7, 1] = 1e-30
    null = network.run(x).currents[:, 1] == 0
    assert (null.any(dim=0) & ~null.all(dim=0)).any()
    check(network, x)


@lengths
@pytest.mark.parametrize("integers", [False, True])
def test_bursts_of_exact_zeros_and_ties(T, integers, rng):
    """Inputs -1, 0, 1: many sequences share an angle; with integer weights currents also cancel exactly."""
    network = only_W(8, rng)
    if integers:
        with torch.no_grad():
            for weights in network.parameters():
                weights.copy_(torch.randint(-1, 2, weights.shape, generator=rng))
    x = torch.randint(-1, 2, (120, T, 1), generator=rng).double()
    assert (x[:, :2] == 0).all(dim=1).any()
    check(network, x)


def test_inputs_that_are_all_zero(rng):
    network = only_W(8, rng)
    x = torch.zeros(60, 4, 1, dtype=torch.float64)
    y = by_cones(network, x)
    assert not y.any() and not gradient(y, network).any()
    x[:, 3] = randn(60, 1, rng=rng)
    check(network, x)


# Half planes and order


@lengths
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("at", [0, 1])
def test_a_half_line_without_sequences(T, sign, at, rng):
    x = randn(80, T, 1, rng=rng)
    x[:, at] = sign * x[:, at].abs()
    check(only_W(9, rng), x)


@lengths
def test_antithetic_batches(T, rng):
    half = randn(60, T, 1, rng=rng)
    check(only_W(9, rng), torch.cat([half, -half]))


def test_sequences_in_another_order_have_their_outputs_in_that_order(rng):
    network, x = only_W(9, rng), randn(150, 4, 1, rng=rng)
    order = torch.randperm(150, generator=rng)
    torch.testing.assert_close(by_cones(network, x)[order], by_cones(network, x[order]), rtol=1e-12, atol=1e-12)


def test_a_trained_network(rng):
    """Its neurons change together, at a few angles."""
    network = Integrator.random(20, generator=rng)
    x = randn(CONES_BATCH, 3, 1, rng=rng)
    for _ in range(100):
        loss = (unroll(network, x, Workspace()) - x.cumsum(dim=1)).square().sum() / len(x)
        with torch.no_grad():
            network.W -= 0.02 * torch.autograd.grad(loss, network.W)[0]
    assert loss < 0.2
    check(network, x)


def test_what_is_not_finite_stays_so(rng):
    network = only_W(6, rng)
    with torch.no_grad():
        network.W[2, 3] = float("nan")
    y = by_cones(network, randn(40, 3, 1, rng=rng))
    assert y[:, 2].isnan().all()
    assert gradient(y, network).isnan().any()


# What `unroll` chooses


@pytest.mark.parametrize(
    "case", ["used", "small", "narrow", "short", "channels", "activation", "encoders", "decoders", "meta"]
)
def test_when_cones_are_used(case, rng, monkeypatch):
    calls = []
    monkeypatch.setattr(bptt, "Cones", type("Spy", (), {"apply": lambda *a: calls.append(a) or Cones.apply(*a)}))
    monkeypatch.setattr(bptt, "CONES_PRODUCT", CONES_BATCH * 5**2 + (case == "narrow"))
    B, T, D = CONES_BATCH - (case == "small"), 3 - (case == "short"), 1 + (case == "channels")
    trained = ("W", case) if case in ("encoders", "decoders") else ("W",)
    network = random_network(5, D, "linear" if case == "activation" else "relu", rng, trained)
    x = randn(B, T, D, rng=rng)
    if case == "meta":
        network, x = network.to("meta"), x.to("meta")
    unroll(network, x, Workspace()).sum().backward()
    assert len(calls) == (case == "used")
    assert network.W.grad is not None


# One backward for one forward


def test_a_workspace_serves_both_ways_and_any_shape(rng):
    space = Workspace()
    for B, T, n in ((300, 3, 6), (300, 3, 6), (40, 3, 6), (300, 5, 7), (257, 4, 5)):
        network, x = only_W(n, rng), randn(B, T, 1, rng=rng)
        assert_near(gradient(unroll(network, x, space), network), gradient(network(x).outputs, network), 1e-12)


def test_outputs_survive_the_next_call(rng):
    network, space, x = only_W(5, rng), Workspace(), randn(300, 3, 1, rng=rng)
    y = unroll(network, x, space).detach()
    kept = y.clone()
    unroll(network, -x, space)
    assert torch.equal(y, kept)


def test_interleaved_use_is_refused(rng):
    network, space = only_W(5, rng), Workspace()
    first = unroll(network, randn(300, 3, 1, rng=rng), space)
    second = unroll(network, randn(300, 3, 1, rng=rng), space)
    with pytest.raises(RuntimeError, match="backward must follow its own forward"):
        first.sum().backward()
    second.sum().backward()


def test_a_second_backward_is_refused(rng):
    network = only_W(5, rng)
    y = unroll(network, randn(300, 3, 1, rng=rng), Workspace()).sum()
    y.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward must follow its own forward"):
        y.backward()


def test_a_derivative_of_the_derivative_is_refused(rng):
    network = only_W(5, rng)
    y = unroll(network, randn(300, 3, 1, rng=rng), Workspace())
    (found,) = torch.autograd.grad((y**2).sum(), network.W, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        found.sum().backward()


def test_weights_changed_before_backward_are_noticed(rng):
    network = only_W(5, rng)
    y = unroll(network, randn(300, 3, 1, rng=rng), Workspace())
    with torch.no_grad():
        network.W += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
