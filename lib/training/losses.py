r"""Losses: how far a network is from integrating (paper, equations 5, 29, 33 and 34).

The authors' code divides equation 5 by $s_c^2 T^3$ in each channel; learning rates mean nothing without saying which of
the two is used, so every loss names its `normalisation`: "paper" or "authors".
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks, fast
from lib.fast import Kept
from lib.fast.interpolation import Interpolation
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
        outputs: `... x B x T x D` outputs $y$.
        targets: `B x T x D` targets $\bar y$.
        weights: $w_c$, D numbers, see `channel_weights`; None is 1.

    Returns:
        The loss, `...`.

    Raises:
        ValueError: shapes that differ (they would broadcast in silence).
    """
    if targets.ndim != 3 or outputs.shape[-3:] != targets.shape:
        raise ValueError(
            f"outputs and targets must both be B x T x D, got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )
    errors = (outputs - targets).square().sum(dim=(-3, -2))  # ... x D
    if weights is not None:
        errors = errors * torch.tensor(weights, dtype=errors.dtype, device=errors.device)
    return errors.sum(dim=-1) / len(targets)


class BatchLoss:
    """The batch loss as a function of a network and a batch of inputs, for the trainer.

    Args:
        task: Decays, scales and length.
        normalisation: "paper" (equation 5) or "authors" (divided by $s_c^2 T^3$).
        fast: Whether outputs may be computed by `lib.fast`, whose gradient is written out and differentiable once; else
            by `Integrator.forward` under autograd. The loss is the same up to rounding.
    """

    def __init__(self, task: Task, normalisation: str = "authors", *, fast: bool = True):
        self.task, self.fast = task, fast
        self.weights = channel_weights(task, normalisation)
        self._kept = Kept()

    def __call__(self, network: Integrator, x: Tensor) -> Tensor:
        """Scalar loss of `network` on `B x T x D` inputs.

        Raises:
            ValueError: inputs that are not of the task's length, by which the authors' loss is divided.
        """
        checks.same("x", checks.tensor("x", x, ("B", self.task.T, self.task.D)), network.W)
        y = fast.outputs(network, x, self._kept) if self.fast else network(x).outputs
        return batch_loss(y, self.task.targets(x), self.weights)


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
        Two scalars (`...` each, for weights with leading dimensions).
    """
    at = conditions(network, z, task)
    residuals = at.outputs - at.wanted_outputs, at.currents - at.wanted_currents
    of_outputs, of_currents = (of.square().sum(dim=(-2, -1)) for of in residuals)
    return of_outputs, of_currents


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
    F = E.mT @ W.mT  # D x n, rows W e_c
    h = f(z @ F)  # P x n
    return Conditions(h @ Z, z * (s * gamma), h @ W.mT, (z * gamma) @ F)


class Terms(NamedTuple):
    """The two parts of the proxy loss, scalars whose sum is the loss."""

    outputs: Tensor  # how wrong the outputs are
    currents: Tensor  # how far the currents are from the sum of the images of the encoders


class ProxyLoss:
    r"""The proxy loss, averaged over points z in a box (equations 33 and 34), for the trainer.

    "authors" averages both terms over the points, and the one of the currents over the neurons too; "paper" is the
    integral of equation 33, the mean over the points times the volume of the box, with the sum over neurons (erratum
    E30). Neither divides by $s^2$. For equation 29 see `two_point`.

    Args:
        task: Decays and scales; its T is not used.
        normalisation: "paper" or "authors".
        z_max: Half the edge of the box in which the points lie.
        fast: Whether the loss may be computed by `lib.fast`; else by the formula under autograd. It is the same up to
            rounding.
    """

    def __init__(self, task: Task, normalisation: str = "authors", *, z_max: float = 5.0, fast: bool = True):
        self.task, self.fast = task, fast
        self.normalisation = checks.one_of("normalisation", normalisation, NORMALISATIONS)
        self.z_max = checks.positive("z_max", z_max)
        self.two_points = False
        self._kept = Kept()

    @classmethod
    def two_point(cls, task: Task, normalisation: str = "authors") -> "ProxyLoss":
        """The sum over z = 1 and -1 for one rectified channel (equation 29, "paper"), or that over $s^2$ ("authors").

        Raises:
            ValueError: several channels; when called, an activation that is not homogeneous, for which two points say
                nothing about the others.
        """
        if task.D != 1:
            raise ValueError(f"the two-point proxy loss is for one channel, got {task.D}")
        loss = cls(task, normalisation, z_max=1.0, fast=False)
        loss.two_points = True
        return loss

    @property
    def interpolation(self) -> Interpolation | None:
        """The few points that stood for all in the last call, for one channel and a sigmoid."""
        return self._kept.interpolations.current

    def weights(self, n: int) -> tuple[float, float]:
        """Factors of the mean squared residuals of outputs and currents."""
        if self.two_points:  # a sum, not a mean
            factor = 2.0 if self.normalisation == "paper" else 2 / self.task.scales[0] ** 2
            return factor, factor
        volume = (2 * self.z_max) ** self.task.D
        return (volume, volume) if self.normalisation == "paper" else (1.0, 1 / n)

    def terms(self, network: Integrator, z: Tensor) -> Terms:
        """Both parts of the loss at `P x D` points; errors as below."""
        self._check(network, z)
        weights = self.weights(network.n)
        return Terms(*(w / len(z) * term for w, term in zip(weights, proxy_terms(network, z, self.task), strict=True)))

    def __call__(self, network: Integrator, z: Tensor) -> Tensor:
        """Scalar loss of `network`, averaged over `P x D` points, or summed over two.

        Raises:
            ValueError: points or a task for another number of channels, points outside of the box, or what is wrong
                with two points.
        """
        self._check(network, z)
        a, b = self.weights(network.n)
        found = fast.proxy(network, z, self.task, a, b, self.z_max, self._kept) if self.fast else None
        return found if found is not None else a / len(z) * proxy_loss(network, z, self.task, current_weight=b / a)

    def _check(self, network: Integrator, z: Tensor) -> None:
        checks.same("z", checks.tensor("z", z, (2 if self.two_points else "P", network.D)), network.W)
        if self.task.D != network.D:
            raise ValueError(f"task must have the network's {network.D} channels, got {self.task.D}")
        if self.two_points and not getattr(network.activation, "homogeneous", False):
            raise ValueError(f"the two-point proxy loss needs a homogeneous activation, got {network.activation}")
        low, high = z.aminmax()
        if not (-self.z_max <= low and high <= self.z_max):
            raise ValueError(f"z must lie in [-{self.z_max}, {self.z_max}], got [{low:g}, {high:g}]")
