r"""How neurons with a bounded activation share the range of an integral (section 4.3, figure 6, equations 31 and 32).

The conditions under which a network integrates, for z = y / (s gamma) in the range of training, are

$$d^\dagger f(z\,We) = s\gamma z, \qquad W f(z\,We) = \gamma z\,We ;$$

no bounded activation meets them for all z, and no analytic one meets them exactly on an interval.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.network import Integrator
from lib.model.task import Task


class Residuals(NamedTuple):
    """How far the two conditions are from being met, by value of the integral."""

    y: Tensor  # P, the integral s gamma z
    output: Tensor  # P, (d.f(z We) - y) / s
    current: Tensor  # P, rms over neurons of W f(z We) - gamma z We, over the rms of gamma z We over neurons and points

    @property
    def rms(self) -> tuple[float, float]:
        """Both residuals, root mean square over the points."""
        return tuple(values.square().mean().sqrt().item() for values in self[1:])  # type: ignore[return-value]


@torch.no_grad()
def residuals(network: Integrator, task: Task, z: Tensor) -> Residuals:
    """Residuals of equations 31 and 32 for one channel at P points z, in the network's dtype.

    Raises:
        ValueError: more channels than one, or currents that vanish at all points.
    """
    checks.tensor("z", z, ("P",))
    if network.D != 1 or task.D != 1:
        raise ValueError(f"the conditions are those of one channel, got {network.D} and a task of {task.D}")
    (gamma,), (s,) = task.decays, task.scales
    F = (network.W @ network.encoders)[:, 0]
    h = network.activation(torch.outer(z, F))
    wanted = gamma * torch.outer(z, F)
    size = wanted.square().mean().sqrt()
    if not size > 0:
        raise ValueError("W e must not vanish, got zeros only")
    missed = (h @ network.W.T - wanted).square().mean(dim=1).sqrt() / size
    return Residuals(s * gamma * z, (h @ network.decoders[:, 0]) / s - gamma * z, missed)


def largest_output(network: Integrator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Bounds on the outputs of an activation between `low` and `high`: `2 x D`, no input can lead below or above."""
    d = network.decoders.detach()
    return torch.stack([(d * low).minimum(d * high).sum(dim=0), (d * low).maximum(d * high).sum(dim=0)])


def mean_activity(states: Tensor, integral: Tensor, edges: Tensor) -> Tensor:
    """`bins x n` mean states by value of the integral, NaN in a bin without steps (figure 6C).

    Args:
        states: `B x T x n`.
        integral: `B x T`; steps outside of the edges do not count.
        edges: `bins + 1` increasing numbers; a bin has its lower edge, the last one both.
    """
    if states.shape[:-1] != integral.shape:
        raise ValueError(f"expected states of shape {tuple(integral.shape)} x n, got {tuple(states.shape)}")
    h, y = states.reshape(-1, states.shape[-1]), integral.reshape(-1)
    edges = edges.to(y)
    at = torch.bucketize(y, edges[1:-1].contiguous(), right=True)
    inside = ((y >= edges[0]) & (y <= edges[-1])).to(h)
    sums = h.new_zeros(len(edges) - 1, h.shape[1]).index_add_(0, at, h * inside[:, None])
    return sums / h.new_zeros(len(edges) - 1).index_add_(0, at, inside)[:, None]


class Examples(NamedTuple):
    """Two neurons that rise with the integral, and how many there are of each kind."""

    saturating: int  # index of the neuron whose largest state is closest to 0.99
    unsaturated: int  # of the one whose largest state is closest to 0.3
    saturating_neurons: int  # neurons whose state exceeds 0.95 somewhere
    unsaturated_neurons: int  # neurons whose largest state lies between 0.02 and 0.5


@torch.no_grad()
def examples(network: Integrator, task: Task, y_max: float, points: int = 201) -> Examples:
    """A neuron that saturates within |y| <= y_max and one that does not (figure 6B), on the line y We / (s gamma)."""
    F = (network.W @ network.encoders)[:, 0]
    z = torch.linspace(-1, 1, points, dtype=F.dtype, device=F.device) * y_max / (task.scales[0] * task.decays[0])
    peaks = network.activation(torch.outer(z, F)).amax(dim=0)
    nearest = [int((peaks - level).abs().argmin()) for level in (0.99, 0.3)]
    kinds = [int(kind.sum()) for kind in (peaks > 0.95, (peaks > 0.02) & (peaks < 0.5))]
    return Examples(nearest[0], nearest[1], kinds[0], kinds[1])
