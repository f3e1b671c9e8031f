r"""Losses: how far a network is from integrating (paper, section 2, equation 5).

The authors' code divides equation 5 by $s_c^2 T^3$ in each channel; learning rates mean nothing without saying which of
the two is used, so every loss names its `normalisation`: "paper" or "authors".
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.fast.bptt import Workspace, unroll
from lib.model.network import Integrator
from lib.model.task import Task

NORMALISATIONS = ("paper", "authors")


def channel_weights(task: Task, normalisation: str = "authors") -> list[float]:
    r"""Weight of each channel's squared errors, D numbers: 1 ("paper") or $1/(s_c^2 T^3)$ ("authors")."""
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    if normalisation == "paper":
        return [1.0] * task.D
    return [1.0 / (s**2 * task.T**3) for s in task.scales]


def batch_loss(outputs: Tensor, targets: Tensor, weights: list[float] | None = None) -> Tensor:
    r"""Squared errors, summed over channels and steps, averaged over sequences (equation 5).

    $$\mathcal{L} = \Big\langle \sum_{c,t} w_c\, (y_{c,t} - \bar y_{c,t})^2 \Big\rangle$$

    Args:
        outputs: `B x T x D` outputs $y$.
        targets: `B x T x D` targets $\bar y$.
        weights: $w_c$, D numbers, see `channel_weights`; None is 1.

    Raises:
        ValueError: shapes that differ (they would broadcast in silence).
    """
    if outputs.shape != targets.shape or outputs.ndim != 3:
        raise ValueError(
            f"outputs and targets must both be B x T x D, got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )
    errors = (outputs - targets).square().sum(dim=(0, 1))  # D
    if weights is not None:
        errors = errors * torch.tensor(weights, dtype=errors.dtype, device=errors.device)
    return errors.sum() / len(outputs)


class BatchLoss:
    """The batch loss as a function of a network and a batch of inputs, for the trainer.

    Args:
        task: Decays, scales and length.
        normalisation: "paper" (equation 5) or "authors" (divided by $s_c^2 T^3$).
    """

    def __init__(self, task: Task, normalisation: str = "authors"):
        self.task = task
        self.weights = channel_weights(task, normalisation)
        self._space = Workspace()

    def __call__(self, network: Integrator, x: Tensor) -> Tensor:
        """Scalar loss of `network` on `B x T x D` inputs.

        Raises:
            ValueError: inputs that are not of the task's length, by which the authors' loss is divided.
        """
        checks.same("x", checks.tensor("x", x, ("B", self.task.T, self.task.D)), network.W)
        return batch_loss(unroll(network, x, self._space), self.task.targets(x), self.weights)


def proxy_loss(network: Integrator, z: Tensor, task: Task, *, current_weight: float = 1.0) -> Tensor:
    r"""How far the weights are from the conditions under which currents stay on a straight line (equations 29, 33, 34).

    $$\sum_z \Big\{ \sum_c \big[d_c^\dagger f\big(\sum_{c'} z_{c'} W e_{c'}\big) - s_c \gamma_c z_c\big]^2
    + \kappa \Big| W f\big(\sum_c z_c W e_c\big) - \sum_c \gamma_c z_c W e_c \Big|^2 \Big\}$$

    No sequence is run: z stands for the integral over $s_c \gamma_c$. With z = 1 and -1 this is equation 29.

    Args:
        network: D channels.
        z: `P x D` points, over which the terms are summed.
        task: Decays and scales; its T is not used.
        current_weight: $\kappa$, 1 in the paper.

    Raises:
        ValueError: points or a task for another number of channels.
    """
    of_outputs, of_currents = proxy_terms(network, z, task)
    return of_outputs + current_weight * of_currents


def proxy_terms(network: Integrator, z: Tensor, task: Task) -> tuple[Tensor, Tensor]:
    """The two sums of `proxy_loss`, over outputs and over currents, without the weight; arguments and errors as there.

    Returns:
        Two scalars.
    """
    at = conditions(network, z, task)
    return (at.outputs - at.wanted_outputs).square().sum(), (at.currents - at.wanted_currents).square().sum()


class Conditions(NamedTuple):
    """Both sides of the conditions of integration at P points z: what a network does, and what an integrator would."""

    outputs: Tensor  # P x D, d' f(We z)
    wanted_outputs: Tensor  # P x D, s gamma z
    currents: Tensor  # P x n, W f(We z)
    wanted_currents: Tensor  # P x n, gamma We z


def conditions(network: Integrator, z: Tensor, task: Task) -> Conditions:
    """Both sides of equation 34, which is equation 28 at z = 1 and -1 and equations 31 and 32 for one channel.

    Args:
        network: D channels.
        z: `P x D` points, integrals divided by scale and decay.
        task: Decays and scales of D channels; T plays no part.

    Raises:
        ValueError: shapes that do not fit, or a task of another number of channels.
    """
    W, E, Z, f = network.W, network.encoders, network.decoders, network.activation
    checks.same("z", checks.tensor("z", z, ("P", network.D)), W)
    if task.D != network.D:
        raise ValueError(f"task must have the network's {network.D} channels, got {task.D}")
    gamma, s = (torch.tensor(values, dtype=z.dtype, device=z.device) for values in (task.decays, task.scales))
    F = E.T @ W.T  # D x n, rows W e_c
    h = f(z @ F)  # P x n
    return Conditions(h @ Z, z * (s * gamma), h @ W.T, (z * gamma) @ F)


class TwoPointProxy:
    """The proxy loss of one rectified channel at z = 1 and -1 (equation 29), for the trainer.

    Args:
        task: One channel.
        normalisation: "paper" (equation 29) or "authors" (divided by $s^2$).
    """

    def __init__(self, task: Task, normalisation: str = "authors"):
        checks.one_of("normalisation", normalisation, NORMALISATIONS)
        if task.D != 1:
            raise ValueError(f"the two-point proxy loss is for one channel, got {task.D}")
        self.task = task
        self.weight = 1.0 if normalisation == "paper" else 1 / task.scales[0] ** 2

    def __call__(self, network: Integrator, z: Tensor) -> Tensor:
        """Scalar loss of `network` at the points z, `2 x 1`.

        Raises:
            ValueError: an activation that is not homogeneous, for which two points say nothing about the others.
        """
        if not getattr(network.activation, "homogeneous", False):
            raise ValueError(f"the two-point proxy loss needs a homogeneous activation, got {network.activation}")
        return self.weight * proxy_loss(network, z, self.task)
