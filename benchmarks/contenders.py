r"""Three ways to compute one training step of the same network on the same batch (equations 1 to 6).

Ours is `lib`. The authors' algorithm is written here plainly, as their code computes it: T products with W, the first
from a state of zeros, outputs as sums of element-wise products, and a gradient by autograd. `torch.nn.RNN` is what most
people would use. All three get the loss in the authors' normalisation, and gradients in W alone.

`torch.nn.RNN` computes $h_t = f(V x_t + W h_{t-1})$ with an input matrix V of its own. It is given the numbers of W E
as V, and its gradient is taken with respect to the recurrent weights only; the term $(\partial\mathcal{L}/\partial V)
E^\dagger$ that the true gradient also has is left out of its time, and added when gradients are compared.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.compiled import Jitted, compiled_loss, has_jax
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import BatchLoss


class Contender:
    """A loss with the weights it depends on.

    Args:
        weights: What is trained.
        loss: Computes the scalar loss.
        gradient: Makes the true `n x n` gradient in W from what `loss().backward()` left behind.
    """

    def __init__(self, weights: nn.Parameter, loss: Callable[[], Tensor], gradient: Callable[[], Tensor]):
        self.weights = weights
        self.loss = loss
        self.true_gradient = gradient
        self.optimiser = torch.optim.SGD([weights], lr=1e-12)  # too small to move anything between rounds

    def gradient(self) -> None:
        """The loss, and its gradient in the weights."""
        self.optimiser.zero_grad(set_to_none=True)
        self.loss().backward()

    def step(self) -> None:
        """One training step."""
        self.gradient()
        self.optimiser.step()


def network(n: int, D: int, *, dtype: torch.dtype = torch.float32) -> Integrator:
    """A ReLU network with random weights of spectral radius about 0.9."""
    generator = torch.Generator().manual_seed(0)
    made = Integrator.random(n, D, generator=generator, dtype=dtype)
    with torch.no_grad():
        made.W.copy_(torch.randn(n, n, generator=generator, dtype=torch.float64) * 0.9 / n**0.5)
    return made


def task(D: int, T: int) -> Task:
    """Integrals with decays near 0.995, as in most of the paper's figures."""
    return Task([0.995, 0.992, 0.99][:D] if D <= 3 else [0.995] * D, T=T)


def ours(net: Integrator, goal: Task, x: Tensor) -> Contender:
    """`lib`, as the trainer uses it."""
    loss = BatchLoss(goal, "authors")
    return Contender(net.W, lambda: loss(net, x), lambda: _gradient(net.W))


def rectify(currents: Tensor) -> Tensor:
    """The authors' rectifier."""
    return torch.clamp(currents, 0, 1e8)


def authors_loss(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    x: Tensor,
    targets: Tensor,
    scales: Tensor,
    f: Callable[[Tensor], Tensor] = rectify,
) -> Tensor:
    """The authors' loss of a network with activation f, for `B x T x D` inputs and targets and D scales."""
    B, T, D = x.shape
    state = x.new_zeros(B, len(W))
    outputs = []
    for t in range(T):
        drive = state
        for c in range(D):
            drive = drive + x[:, t, c, None] * encoders[:, c]
        state = f(drive @ W.T)
        outputs.append(torch.stack([torch.sum(state * decoders[:, c], dim=-1) for c in range(D)], dim=-1))
    errors = (torch.stack(outputs, dim=1) - targets).square() / (scales * T) ** 2
    return errors.mean(dim=(0, 1)).sum()


def authors(net: Integrator, goal: Task, x: Tensor) -> Contender:
    """The authors' algorithm; targets are made beforehand."""
    W = nn.Parameter(net.W.detach().clone())
    E, Z = net.encoders.detach(), net.decoders.detach()
    targets, scales = goal.targets(x), x.new_tensor(goal.scales)
    return Contender(W, lambda: authors_loss(W, E, Z, x, targets, scales), lambda: _gradient(W))


def torch_rnn(net: Integrator, goal: Task, x: Tensor) -> Contender:
    """`torch.nn.RNN` with its input weights fixed at W E; targets are made beforehand."""
    E, Z = net.encoders.detach(), net.decoders.detach()
    rnn = nn.RNN(net.D, net.n, nonlinearity="relu", bias=False, batch_first=True).to(net.W)
    weights = dict(rnn.named_parameters())
    inwards, recurrent = weights["weight_ih_l0"], weights["weight_hh_l0"]
    with torch.no_grad():
        recurrent.copy_(net.W)
        inwards.copy_(net.W @ E)
    inwards.requires_grad_(False)
    targets, scales = goal.targets(x), x.new_tensor(goal.scales)

    def loss() -> Tensor:
        errors = (rnn(x)[0] @ Z - targets).square() / (scales * goal.T) ** 2
        return errors.mean(dim=(0, 1)).sum()

    def gradient() -> Tensor:
        inwards.requires_grad_(True)
        in_recurrent, in_inwards = torch.autograd.grad(loss(), [recurrent, inwards])
        inwards.requires_grad_(False)
        return in_recurrent + in_inwards @ E.T

    return Contender(recurrent, loss, gradient)


def _gradient(weights: nn.Parameter) -> Tensor:
    assert weights.grad is not None, "backward comes first"
    return weights.grad


def torch_compiled(net: Integrator, goal: Task, x: Tensor) -> Contender:
    """The authors' algorithm under `torch.compile`."""
    W, loss = compiled_loss(authors_loss, net, goal, x)
    return Contender(W, loss, lambda: _gradient(W))


CONTENDERS = {"ours": ours, "authors": authors, "torch.nn.RNN": torch_rnn}
COMPILED = {"torch.compile": torch_compiled} | (
    {"jax.jit": partial(Jitted, once=False), "jax.jit, W E once": partial(Jitted, once=True)} if has_jax() else {}
)


def contenders(
    n: int, D: int, T: int, batch: int, *, dtype: torch.dtype = torch.float32, compiled: bool = False
) -> dict[str, Any]:
    """All of them, with the same weights and the same white-noise batch; `compiled` adds those that take a compiler."""
    net, goal = network(n, D, dtype=dtype), task(D, T)
    x = torch.randn(batch, T, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    return {name: make(net, goal, x) for name, make in (CONTENDERS | (COMPILED if compiled else {})).items()}


class Disagreement(AssertionError):
    """Two contenders do not compute the same numbers; their times must not be compared."""


def agreement(made: Mapping[str, Any], tolerance: float) -> float:
    """Largest relative difference of losses and gradients from the first contender's.

    Raises:
        Disagreement: it is above `tolerance`.
    """
    losses, gradients = [], []
    for contender in made.values():
        contender.gradient()
        losses.append(contender.loss().item())
        gradients.append(contender.true_gradient())
    differences = [abs(loss / losses[0] - 1) for loss in losses]
    differences += [float((g - gradients[0]).norm() / gradients[0].norm()) for g in gradients]
    if not max(differences) <= tolerance:
        raise Disagreement(f"losses or gradients differ by {max(differences):.1e}, tolerance is {tolerance:.0e}")
    return max(differences)
