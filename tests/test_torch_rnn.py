"""The bridge to `torch.nn.RNN`: the peer computes the same outputs and gradients, and comes back unchanged."""

import math

import pytest
import torch
from equations import randn, random_network
from torch import nn

from lib.model.activations import Sigmoid
from lib.model.network import Integrator
from lib.model.torch_rnn import from_torch, to_torch

both = pytest.mark.parametrize("name", ["relu", "tanh"])
channels = pytest.mark.parametrize("D", [1, 2, 3])


def outputs(peer, x):
    """`B x T x D` outputs of a recurrent layer and its read-out."""
    rnn, readout = peer
    return readout(rnn(x)[0])


def torch_network(n=6, D=2, rng=None, **options):
    """A PyTorch network without biases, with generic weights."""
    rnn = nn.RNN(
        D, n, **({"bias": False, "batch_first": True, "nonlinearity": "relu", "dtype": torch.float64} | options)
    )
    readout = nn.Linear(n, D, bias=False, dtype=torch.float64)
    with torch.no_grad():
        for p in [*rnn.parameters(), *readout.parameters()]:
            p.copy_(randn(*p.shape, rng=rng) / n**0.5)
    return rnn, readout


@both
@channels
def test_the_peer_computes_the_same_outputs_and_states(name, D, rng):
    network = random_network(7, D, name, rng)
    x = randn(5, 4, D, rng=rng)
    peer, ran = to_torch(network), network.run(x)
    torch.testing.assert_close(outputs(peer, x), ran.outputs, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(peer.rnn(x)[0], ran.states, rtol=1e-11, atol=1e-11)


@both
@channels
def test_the_peer_computes_the_same_gradients(name, D, rng):
    """Theirs is A = W E: dL/dW = dL/dW_hh + (dL/dA) E' and dL/dE = W' dL/dA."""
    network = random_network(7, D, name, rng)
    x, weight = randn(5, 4, D, rng=rng), randn(5, 4, D, rng=rng)
    peer = to_torch(network)
    (outputs(peer, x) * weight).sum().backward()
    dA, dW, dZ = peer.rnn.weight_ih_l0.grad, peer.rnn.weight_hh_l0.grad, peer.readout.weight.grad
    (network(x).outputs * weight).sum().backward()
    W, E = network.W.detach(), network.encoders.detach()
    torch.testing.assert_close(network.W.grad, dW + dA @ E.T, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(network.encoders.grad, W.T @ dA, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(network.decoders.grad, dZ.T, rtol=1e-10, atol=1e-10)


@both
@channels
def test_there_and_back(name, D, rng):
    network = random_network(7, D, name, rng)
    back = from_torch(*to_torch(network))
    torch.testing.assert_close(back.W, network.W, rtol=0, atol=0, check_stride=False)
    torch.testing.assert_close(back.encoders, network.encoders, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back.decoders.detach(), network.decoders.detach(), rtol=0, atol=0, check_stride=False)
    x = randn(3, 9, D, rng=rng)
    torch.testing.assert_close(back.run(x).outputs, network.run(x).outputs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
@channels
def test_a_network_trained_elsewhere(nonlinearity, D, rng):
    rnn, readout = torch_network(D=D, rng=rng, nonlinearity=nonlinearity)
    x = randn(4, 6, D, rng=rng)
    network = from_torch(rnn, readout)
    torch.testing.assert_close(network.run(x).outputs, outputs((rnn, readout), x).detach())
    torch.testing.assert_close(outputs(to_torch(network), x), outputs((rnn, readout), x))


def test_encoders_are_the_shortest_ones(rng):
    """W of rank 2: encoders have no part in its null space."""
    W = randn(6, 2, rng=rng) @ randn(2, 6, rng=rng)
    network = Integrator(W, randn(6, 1, rng=rng), randn(6, 1, rng=rng))
    back = from_torch(*to_torch(network))
    assert back.encoders.norm() < network.encoders.norm()
    x = randn(4, 5, 1, rng=rng)
    torch.testing.assert_close(back.run(x).outputs, network.run(x).outputs)


def test_weights_are_copies_and_keep_their_type(rng):
    network = random_network(5, 1, "relu", rng).float()
    peer = to_torch(network)
    assert {p.dtype for p in [*peer.rnn.parameters(), *peer.readout.parameters()]} == {torch.float32}
    with torch.no_grad():
        peer.rnn.weight_hh_l0.zero_()
    assert network.W.any()
    assert from_torch(*to_torch(network)).W.dtype == torch.float32


def test_nn_tanh_is_tanh_too(rng):
    network = Integrator(randn(4, 4, rng=rng), randn(4, 1, rng=rng), randn(4, 1, rng=rng), activation=nn.Tanh())
    assert to_torch(network).rnn.nonlinearity == "tanh"


def test_activations_that_torch_does_not_have(rng):
    for f in (Sigmoid(), torch.sin):
        network = Integrator.random(4, 1, generator=rng, activation=f)
        with pytest.raises(ValueError, match="activation must be ReLU or tanh for torch.nn.RNN, got"):
            to_torch(network)


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}])
def test_layers_and_directions_are_refused(options, rng):
    with pytest.raises(ValueError, match="rnn must have one layer and one direction, got"):
        from_torch(*torch_network(rng=rng, **options))


def test_biases_must_be_zero(rng):
    rnn, readout = torch_network(rng=rng, bias=True)
    with pytest.raises(ValueError, match="biases must be zero.*bias_ih_l0.*bias_hh_l0"):
        from_torch(rnn, readout)
    with torch.no_grad():
        rnn.bias_ih_l0.zero_()
        rnn.bias_hh_l0.zero_()
    assert from_torch(rnn, readout).n == 6
    readout = nn.Linear(6, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="biases must be zero.*readout.bias"):
        from_torch(rnn, readout)


def test_sizes_must_fit(rng):
    rnn, _ = torch_network(rng=rng)
    with pytest.raises(ValueError, match=r"readout.weight must have shape 2 x 6, got \(3, 6\)"):
        from_torch(rnn, nn.Linear(6, 3, bias=False, dtype=torch.float64))


@pytest.mark.parametrize(
    "name, message", [("weight_ih_l0", "input weights"), ("weight_hh_l0", "recurrent weights"), ("readout", "decoders")]
)
def test_weights_must_be_finite(name, message, rng):
    rnn, readout = torch_network(rng=rng)
    with torch.no_grad():
        (readout.weight if name == "readout" else rnn.get_parameter(name))[0, 0] = math.nan
    with pytest.raises(ValueError, match=f"{message} must be finite, got 1 entries"):
        from_torch(rnn, readout)


def test_input_weights_must_be_in_the_range_of_W(rng):
    rnn, readout = torch_network(rng=rng)
    with torch.no_grad():
        rnn.weight_hh_l0[0] = 0
        rnn.weight_ih_l0[0] = 1
    with pytest.raises(
        ValueError, match="input weights must lie in the range of W: expected a relative gap up to 0.0001"
    ):
        from_torch(rnn, readout)
    with torch.no_grad():
        rnn.weight_ih_l0[0] = 1e-6
    assert from_torch(rnn, readout).n == 6
