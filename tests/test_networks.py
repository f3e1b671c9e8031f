"""The network against equations 1 to 3 written as loops, and every way of building it wrongly."""

import math

import equations
import pytest
import torch
from equations import PAIRS, randn, random_network
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.losses import BatchLoss, proxy_loss
from lib.training.samplers import MonteCarlo, UniformPoints

FEW = settings(deadline=None, derandomize=True, max_examples=25)
activations = pytest.mark.parametrize("name", sorted(PAIRS))
channels = pytest.mark.parametrize("D", [1, 2, 3])


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def parts(network):
    return network.W, network.encoders, network.decoders


# Equations 1 to 3


def test_one_network_in_numbers():
    """n=2, D=1, T=2, ReLU, every sum written out: W acts before f, on h + e x, and the first state is 0."""
    W, e, d = [[1.0, -2.0], [0.5, 3.0]], [1.0, 0.5], [2.0, -1.0]
    x = [2.0, -1.0]
    h, currents, outputs = [0.0, 0.0], [], []
    for t in range(2):
        nu = [sum(W[i][j] * (h[j] + e[j] * x[t]) for j in range(2)) for i in range(2)]
        h = [max(v, 0.0) for v in nu]
        currents.append(nu)
        outputs.append([d[0] * h[0] + d[1] * h[1]])
    assert currents == [[0.0, 4.0], [-8.0, 10.0]]
    network = Integrator(*(torch.tensor(v) for v in (W, [[v] for v in e], [[v] for v in d])))
    ran = network.run(torch.tensor([[[v] for v in x]]))
    assert ran.currents.tolist() == [currents]
    assert ran.outputs.tolist() == [outputs]


@activations
@channels
@pytest.mark.parametrize("start", ["null", "given"])
def test_forward_is_the_loop(name, D, start, rng):
    network = random_network(7, D, name, rng)
    x = randn(5, 4, D, rng=rng)
    state = randn(5, 7, rng=rng) if start == "given" else None
    currents, outputs = equations.run(*parts(network), x, PAIRS[name][1], state)
    ran = network(x, state)
    close(ran.currents, currents)
    close(ran.outputs, outputs)
    close(ran.states, PAIRS[name][1](currents))
    assert torch.equal(network.states(ran.currents), ran.states)
    assert (ran.states is ran.currents) == (name == "linear")  # the identity costs no memory


@FEW
@given(n=st.integers(6, 9), D=st.integers(1, 3), B=st.integers(1, 4), T=st.integers(1, 5), seed=st.integers(0, 99))
def test_forward_is_the_loop_for_all_sizes(n, D, B, T, seed):
    rng = torch.Generator().manual_seed(seed)
    network = random_network(n, D, "relu", rng)
    x = randn(B, T, D, rng=rng)
    ran = network.run(x)
    assert ran.currents.shape == (B, T, n)
    assert ran.outputs.shape == (B, T, D)
    close(ran.outputs, equations.run(*parts(network), x, equations.rectifier)[1])


@activations
@channels
def test_gradients_are_those_of_the_loop(name, D, rng):
    network = random_network(6, D, name, rng)
    x = randn(4, 3, D, rng=rng).requires_grad_()
    weight = randn(4, 3, D, rng=rng)
    inputs = [*parts(network), x]
    ours = torch.autograd.grad((network(x).outputs * weight).sum(), inputs)
    loop = torch.autograd.grad((equations.run(*parts(network), x, PAIRS[name][1])[1] * weight).sum(), inputs)
    for a, b in zip(ours, loop, strict=True):
        close(a, b)


def test_gradient_with_respect_to_inputs_that_are_zero(rng):
    """Inputs of test sequences are often exactly 0, the corner of the rectifier."""
    network = random_network(6, 1, "relu", rng)
    x = randn(3, 3, 1, rng=rng)
    x[0] = 0
    x[1, 0] = 0
    x.requires_grad_()
    (ours,) = torch.autograd.grad(network(x).outputs.sum(), x)
    (loop,) = torch.autograd.grad(equations.run(*parts(network), x, equations.rectifier)[1].sum(), x)
    close(ours, loop)


def test_second_derivatives(rng):
    network = random_network(4, 1, "relu", rng)
    x = randn(3, 3, 1, rng=rng)

    def outputs(W, E, Z):
        weights = {"W": W, "encoders": E, "decoders": Z}
        return torch.func.functional_call(network, weights, (x,)).outputs

    assert torch.autograd.gradgradcheck(outputs, tuple(p.detach().clone().requires_grad_() for p in parts(network)))


@channels
def test_a_state_continues_a_run(D, rng):
    network = random_network(6, D, "relu", rng)
    x = randn(3, 7, D, rng=rng)
    whole = network.run(x)
    first = network.run(x[:, :4])
    rest = network.run(x[:, 4:], first.final_state)
    close(torch.cat([first.outputs, rest.outputs], dim=1), whole.outputs)


def test_the_two_half_lines_are_a_short_cut_only(rng):
    quick = random_network(6, 1, "relu", rng)
    plain = Integrator(*parts(quick), activation=equations.rectifier)  # a function without the flag `homogeneous`
    x = randn(5, 4, 1, rng=rng)
    close(quick.run(x).currents, plain.run(x).currents)


@activations
def test_relabelling_the_neurons_changes_nothing(name, rng):
    network = random_network(8, 2, name, rng)
    order = torch.randperm(8, generator=rng)
    W, E, Z = (p.detach() for p in parts(network))
    other = Integrator(W[order][:, order], E[order], Z[order], activation=PAIRS[name][0]())
    x = randn(3, 5, 2, rng=rng)
    close(other.run(x).outputs, network.run(x).outputs)
    close(other.run(x).currents, network.run(x).currents[..., order])


def test_a_transposed_W_is_another_network(rng):
    network = random_network(6, 1, "relu", rng)
    other = Integrator(network.W.T, network.encoders, network.decoders)
    x = randn(2, 3, 1, rng=rng)
    assert not torch.allclose(other.run(x).outputs, network.run(x).outputs)


def test_run_records_no_gradient(rng):
    network = random_network(5, 1, "relu", rng)
    x = randn(2, 3, 1, rng=rng)
    assert network(x).outputs.requires_grad
    assert not network.run(x).outputs.requires_grad
    assert network.run(x).currents.is_contiguous()


def test_forward_refuses_inputs_of_another_shape(rng):
    network = random_network(5, 2, "relu", rng)
    for shape in ((4, 3), (4, 3, 1), (4, 3, 2, 1)):
        with pytest.raises(ValueError, match="x must have shape B x T x 2, got"):
            network(torch.zeros(*shape, dtype=torch.float64))
    with pytest.raises(ValueError, match="x must be a floating-point tensor, got torch.int64 tensor"):
        network(torch.zeros(4, 3, 2, dtype=torch.int64))


# Construction


def test_weights_are_copies(rng):
    W, E, Z = randn(4, 4, rng=rng), randn(4, 1, rng=rng), randn(4, 1, rng=rng)
    network = Integrator(W, E, Z)
    W[0, 0] = 77
    assert network.W[0, 0].item() != 77


def test_inputs_have_the_dtype_of_the_network(rng):
    """Defaults fit each other; what does not is refused by the network and by both losses."""
    network, task = Integrator.random(5, 2, generator=rng, activation="tanh"), Task([0.8, 0.7], T=4)
    x, z = (sampler() for sampler in (MonteCarlo(3, 4, 2, generator=rng), UniformPoints(3, 2, generator=rng)))
    BatchLoss(task)(network, white_noise(3, 4, 2, generator=rng))
    batch, proxy = (lambda x: BatchLoss(task)(network, x)), (lambda z: proxy_loss(network, z, task))
    for f, value in ((network, x), (batch, x), (proxy, z)):
        f(value)
        with pytest.raises(ValueError, match="must be float64 as the network is, got float32"):
            f(value.float())


def test_the_network_follows_the_dtype_of_W(rng):
    network = Integrator(
        randn(4, 4, rng=rng).float(), randn(4, 1, rng=rng), randn(4, 1, rng=rng), activation=Sigmoid(50.0, 0.1)
    )
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert network.run(torch.zeros(2, 3, 1)).outputs.dtype == torch.float32


@pytest.mark.parametrize(
    "trained", [("W",), ("decoders",), ("encoders", "decoders"), ("W", "encoders", "decoders", "thresholds"), ()]
)
def test_exactly_the_named_weights_require_gradients(trained, rng):
    network = Integrator.random(6, 2, generator=rng, activation=Sigmoid(), trained=trained)
    names = {name.removeprefix("activation.") for name, p in network.named_parameters() if p.requires_grad}
    assert names == set(trained)
    for name in trained:
        assert name in network.extra_repr()


def test_trained_thresholds_are_one_per_neuron(rng):
    network = Integrator.random(6, 1, generator=rng, activation=Sigmoid(50.0, 0.1), trained=("thresholds",))
    thresholds = network.activation.thresholds  # type: ignore[attr-defined]
    assert thresholds.tolist() == [0.1] * 6
    with torch.no_grad():
        thresholds[0] = 5.0
    assert thresholds.tolist() == [5.0] + [0.1] * 5  # six numbers, not six views of one


def test_two_networks_do_not_share_thresholds(rng):
    f = Sigmoid(50.0, 0.1)
    first = Integrator.random(6, 1, generator=rng, activation=f, trained=("thresholds",))
    second = Integrator.random(4, 1, generator=rng, activation=f, trained=("W",))
    assert first.activation.thresholds.shape == (6,)  # type: ignore[attr-defined]
    assert first.activation.thresholds.requires_grad  # type: ignore[attr-defined]
    assert second.activation.thresholds.ndim == 0  # type: ignore[attr-defined]
    assert f.thresholds.ndim == 0


@pytest.mark.parametrize("radius", [0.1, 0.95, 3.0])
def test_spectral_radius_is_exact(radius, rng):
    W = Integrator.random(40, 1, generator=rng, radius=radius).W.detach()
    assert float(torch.linalg.eigvals(W).abs().max()) == pytest.approx(radius, rel=1e-12)
    assert abs(float(W.mean())) < 5 * radius / 40**0.5 / 40


def test_the_null_start_is_zero_and_does_not_move_the_codes():
    null, full = (Integrator.random(9, 2, generator=torch.Generator().manual_seed(4), radius=r) for r in (0.0, 0.5))
    assert not null.W.any()
    assert torch.equal(null.encoders, full.encoders)
    assert torch.equal(null.decoders, full.decoders)


def test_random_sizes_norms_and_dtype(rng):
    network = Integrator.random(20, 3, generator=rng, encoder_norm=2.0, dtype=torch.float32, device="cpu")
    assert (network.n, network.D, network.W.dtype) == (20, 3, torch.float32)
    assert network.encoders.norm(dim=0).tolist() == pytest.approx([2, 2, 2], rel=1e-6)
    assert isinstance(network.activation, ReLU)


def test_a_state_dict_carries_a_network_over(rng):
    options = {"activation": Sigmoid(5.0, 0.0), "trained": ("W", "thresholds")}
    network = Integrator.random(6, 2, generator=rng, radius=0.9, **options)
    other = Integrator.random(
        6, 2, generator=rng, radius=0.1, activation=Sigmoid(5.0, 0.3), trained=("W", "thresholds")
    )
    other.load_state_dict(network.state_dict())
    x = randn(2, 3, 2, rng=rng)
    assert torch.equal(other.run(x).outputs, network.run(x).outputs)


# What is refused


def good(**changes):
    weights = {"W": torch.zeros(4, 4), "encoders": torch.ones(4, 2), "decoders": torch.ones(4, 2)}
    return weights | changes


def with_nan(*shape):
    values = torch.zeros(*shape)
    values[0, 0] = math.nan
    return values


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"W": torch.zeros(4)}, r"W must have shape n x n, got \(4,\)"),
        ({"W": torch.zeros(4, 3)}, "W must be square, got 4 x 3"),
        ({"W": torch.zeros(4, 4, dtype=torch.int64)}, "W must be a floating-point tensor, got torch.int64 tensor"),
        ({"W": [[0.0]]}, "W must be a floating-point tensor, got list"),
        ({"W": with_nan(4, 4)}, "W must be finite, got 1 entries"),
        ({"W": torch.full((4, 4), math.inf)}, "W must be finite, got 16 entries"),
        ({"encoders": with_nan(4, 2)}, "encoders must be finite, got 1 entries"),
        ({"decoders": with_nan(4, 2)}, "decoders must be finite, got 1 entries"),
        ({"encoders": torch.ones(3, 2)}, r"encoders must have shape 4 x D, got \(3, 2\)"),
        ({"encoders": torch.ones(4)}, r"encoders must have shape 4 x D, got \(4,\)"),
        ({"decoders": torch.ones(4, 1)}, r"decoders must have shape 4 x 2, got \(4, 1\)"),
        ({"encoders": torch.ones(4, 5), "decoders": torch.ones(4, 5)}, "n must be at least D, got n=4 neurons for D=5"),
        (
            {"trained": ("W", "weights")},
            r"trained must be one of \['W', 'decoders', 'encoders', 'thresholds'\], got 'w",
        ),
        ({"trained": ("thresholds",)}, r"trained names thresholds, but ReLU\(\) has none"),
        ({"activation": Sigmoid(50.0, torch.zeros(3))}, "thresholds must number n=4, got 3"),
    ],
)
def test_constructor_says_what_was_expected_and_what_came(changes, message):
    with pytest.raises(ValueError, match=message):
        Integrator(**good(**changes))


@pytest.mark.parametrize("n, D", [(3, 2), (2, 2), (1, 1)])
def test_fewer_than_two_neurons_per_channel_warns(n, D):
    with pytest.warns(UserWarning, match=f"n={n} < 2D={2 * D}"):
        Integrator(torch.zeros(n, n), torch.ones(n, D), torch.ones(n, D))


def test_two_neurons_per_channel_do_not_warn():
    Integrator(torch.zeros(4, 4), torch.ones(4, 2), torch.ones(4, 2))  # a warning would be an error


@pytest.mark.parametrize("radius", [-0.1, math.nan, math.inf])
def test_random_refuses_a_radius(radius, rng):
    with pytest.raises(ValueError, match="radius must be a non-negative number, got"):
        Integrator.random(5, 1, generator=rng, radius=radius)


def test_random_refuses_no_neurons_and_no_channels(rng):
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        Integrator.random(0, 1, generator=rng)
    with pytest.raises(ValueError, match="D must be an integer of at least 1, got 0"):
        Integrator.random(3, 0, generator=rng)
