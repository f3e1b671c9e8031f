r"""A bridge to `torch.nn.RNN`, for networks trained elsewhere and as an independent peer in tests.

PyTorch writes $h_t = f(A x_t + W h_{t-1})$, ours is $h_t = f(W (h_{t-1} + E x_t))$: the same network when $A = W E$.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from lib import checks
from lib.model.activations import Activation, ReLU, Tanh
from lib.model.network import Integrator


class TorchNetwork(NamedTuple):
    """A PyTorch recurrent layer and its linear read-out, neither with a bias."""

    rnn: nn.RNN  # batch_first; weight_ih is n x D, weight_hh is n x n
    readout: nn.Linear  # weight is D x n


def to_torch(network: Integrator) -> TorchNetwork:
    """The same network as PyTorch modules; weights are copies, on the network's device and in its dtype.

    Raises:
        ValueError: an activation that `torch.nn.RNN` does not have (it has ReLU and tanh).
    """
    if isinstance(network.activation, ReLU | nn.ReLU) or network.activation is torch.relu:
        kind = "relu"
    elif network.activation is torch.tanh or isinstance(network.activation, Tanh | nn.Tanh):
        kind = "tanh"
    else:
        raise ValueError(f"activation must be ReLU or tanh for torch.nn.RNN, got {network.activation}")
    W = network.W
    used = [W.device] if W.is_cuda else []
    place = {"device": W.device, "dtype": W.dtype}
    with torch.random.fork_rng(devices=used):  # PyTorch initialises its modules from the global generator
        rnn = nn.RNN(network.D, network.n, nonlinearity=kind, bias=False, batch_first=True, **place)
        readout = nn.Linear(network.n, network.D, bias=False, **place)
    with torch.no_grad():
        rnn.get_parameter("weight_hh_l0").copy_(network.W)
        rnn.get_parameter("weight_ih_l0").copy_(network.W @ network.encoders)
        readout.weight.copy_(network.decoders.T)
    return TorchNetwork(rnn, readout)


def from_torch(rnn: nn.RNN, readout: nn.Linear, *, rtol: float = 1e-4) -> Integrator:
    r"""The integrator that computes what a PyTorch network computes.

    The encoders are the shortest solution of $W E = A$; there is one only if the input weights A lie in the range of W.

    Args:
        rnn: One layer, one direction, ReLU or tanh, its biases zero or absent.
        readout: D x n, its bias zero or absent.
        rtol: Largest accepted $|W E - A| / |A|$.

    Raises:
        ValueError: several layers, two directions, biases that are not zero, sizes that do not fit, weights that are
            not finite, or input weights outside the range of W.
    """
    if rnn.num_layers != 1 or rnn.bidirectional:
        raise ValueError(f"rnn must have one layer and one direction, got {rnn}")
    biases = {name: p for name, p in rnn.named_parameters() if "bias" in name}
    if readout.bias is not None:
        biases["readout.bias"] = readout.bias
    wrong = [name for name, p in biases.items() if p.any()]
    if wrong:
        raise ValueError(f"biases must be zero, because the paper's network has none, got values in {wrong}")
    A = checks.finite("input weights", rnn.get_parameter("weight_ih_l0").detach())
    W = checks.finite("recurrent weights", rnn.get_parameter("weight_hh_l0").detach())
    checks.tensor("readout.weight", readout.weight, (A.shape[1], A.shape[0]))
    E = torch.linalg.pinv(W.double(), rtol=1e-7) @ A.double()
    gap = ((W.double() @ E - A).norm() / A.norm()).item()
    if not gap <= rtol:
        raise ValueError(
            f"input weights must lie in the range of W: expected a relative gap up to {rtol}, got {gap:.3g}"
        )
    return Integrator(W, E.to(W), readout.weight.detach().T, activation=rnn.nonlinearity)


class Shifted(nn.Module):
    r"""An activation with biases, $f(\nu + b)$, as `torch.nn.RNN` has them and the paper's network has not.

    Args:
        activation: $f$.
        biases: $b$, n numbers.
    """

    homogeneous = False

    def __init__(self, activation: Activation, biases: Tensor):
        super().__init__()
        self.inner = activation
        self.biases = nn.Parameter(checks.tensor("biases", biases, ("n",)).detach().clone(), requires_grad=False)

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`, whose last axis is the neurons."""
        return self.inner(currents + self.biases)


def embed(W: Tensor, A: Tensor, decoders: Tensor, activation: Activation, biases: Tensor, offset: Tensor) -> Integrator:
    r"""A network of ours with the outputs of $h_t = f(A x_t + W h_{t-1} + b)$, $y_t = d \cdot h_t + o$.

    Ours has no inputs outside of the range of W and no biases. D silent neurons carry the inputs, $W' = [W, A]$ with
    $E' = [0; 1]$; the biases go into the activation (`Shifted`); and if the outputs have an offset, one more neuron
    that is always at $f(1)$ is read out for it.

    Args:
        W: `n x n`.
        A: `n x D` input weights.
        decoders: `n x D`.
        activation: $f$, with $f(0) = 0$ and $f(1) \ne 0$.
        biases: n numbers.
        offset: D numbers.

    Returns:
        A network of n + D neurons, or n + D + 1 with an offset; those that are ours come last.
    """
    n, D = checks.tensor("A", A, ("n", "D")).shape
    checks.tensor("W", W, (n, n))
    more = D + int(offset.any().item())
    whole = pad(torch.cat([W, A], dim=1), (0, more - D, 0, more))
    encoders = pad(torch.eye(D).to(W), (0, 0, n, more - D))
    readout, shift = pad(decoders, (0, 0, 0, D)), pad(biases, (0, D))
    if more > D:
        readout = torch.cat([readout, (offset / activation(torch.ones_like(offset)))[None]])
        shift = torch.cat([shift, torch.ones_like(offset[:1])])
    f = Shifted(activation, shift) if shift.any() else activation
    return Integrator(whole, encoders, readout, activation=f)
