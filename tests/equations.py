"""Equations 1 to 5 written out as plainly as possible: what `lib` is compared with.

One sequence and one step at a time, matrix times vector, differentiable by autograd; no shortcut of `lib` is used.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lib.model.activations import Activation, Linear, ReLU, Sigmoid, Softplus, Tanh
from lib.model.network import Integrator


def rectifier(currents: Tensor) -> Tensor:
    """max(x, 0) as (x + |x|) / 2; autograd gives |x| the slope 0 at 0, hence this the slope 1/2."""
    return (currents + currents.abs()) / 2


def logistic(currents: Tensor) -> Tensor:
    """The sigmoid of slope 3 and threshold 0.1."""
    return 1 / (1 + torch.exp(-3 * (currents - 0.1)))


# name: (activation of `lib`, the same function written independently)
PAIRS: dict[str, tuple[Callable[[], Activation], Callable[[Tensor], Tensor]]] = {
    "relu": (ReLU, rectifier),
    "linear": (Linear, lambda currents: currents),
    "sigmoid": (lambda: Sigmoid(3.0, 0.1), logistic),
    "tanh": (Tanh, lambda currents: (1 - torch.exp(-2 * currents)) / (1 + torch.exp(-2 * currents))),
    "softplus": (Softplus, lambda currents: torch.log(1 + torch.exp(currents))),
}


def run(
    W: Tensor, E: Tensor, Z: Tensor, x: Tensor, f: Callable[[Tensor], Tensor], state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`B x T x n` currents and `B x T x D` outputs of equations 1 to 3 on `B x T x D` inputs."""
    currents, outputs = [], []
    for b in range(len(x)):
        h = W.new_zeros(len(W)) if state is None else state[b]
        for t in range(x.shape[1]):
            nu = W @ (h + E @ x[b, t])
            h = f(nu)
            currents.append(nu)
            outputs.append(Z.T @ h)
    B, T, D = x.shape
    return torch.stack(currents).reshape(B, T, len(W)), torch.stack(outputs).reshape(B, T, D)


def targets(x: Tensor, decays, scales) -> Tensor:
    """`B x T x D` integrals by the recursion of equation 4: each step adds the input, then decays everything."""
    y = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for c in range(x.shape[2]):
            value = 0.0
            for t in range(x.shape[1]):
                value = decays[c] * (value + scales[c] * float(x[b, t, c]))
                y[b, t, c] = value
    return y


def loss(outputs: Tensor, wanted: Tensor) -> Tensor:
    """Equation 5: squared errors summed over channels and steps, averaged over sequences."""
    total = outputs.new_zeros(())
    for b in range(outputs.shape[0]):
        for t in range(outputs.shape[1]):
            for c in range(outputs.shape[2]):
                total = total + (outputs[b, t, c] - wanted[b, t, c]) ** 2
    return total / outputs.shape[0]


def randn(*shape: int, rng: torch.Generator) -> Tensor:
    """Normal numbers in float64."""
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def random_network(
    n: int, D: int, name: str, rng: torch.Generator, trained=("W", "encoders", "decoders")
) -> Integrator:
    """A network with a generic W, that is no null start and not symmetric, and generic codes."""
    W, E, Z = randn(n, n, rng=rng) / n**0.5, randn(n, D, rng=rng), randn(n, D, rng=rng)
    return Integrator(W, E, Z, activation=PAIRS[name][0](), trained=trained)
