r"""How neurons with a bounded activation share the range of an integral (section 4.3, figure 6, equations 31 and 32).

The conditions under which a network integrates, for z = y / (s gamma) in the range of training, are

$$d^\dagger f(z\,We) = s\gamma z, \qquad W f(z\,We) = \gamma z\,We ;$$

no bounded activation meets them for all z, and no analytic one meets them exactly on an interval.

If the activity of a sigmoid neuron changes along one direction of the plane of integrals only, a logistic curve
$h_i \simeq 1/(1 + e^{-(a_i \cdot y + b_i)})$ fits it with free $a_i$ and $b_i$ (figure 9B).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.analysis.subspaces import explained
from lib.model.network import Integrator
from lib.model.task import Task

FLOOR = 1e-6  # states are kept this far from 0 and 1 where their logit is taken


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


class ExampleNeurons(NamedTuple):
    """Two neurons that rise with the integral, and how many there are of each kind."""

    saturating: int  # index of the neuron whose largest state is closest to 0.99
    unsaturated: int  # of the one whose largest state is closest to 0.3
    saturating_neurons: int  # neurons whose state exceeds 0.95 somewhere
    unsaturated_neurons: int  # neurons whose largest state lies between 0.02 and 0.5


@torch.no_grad()
def example_neurons(network: Integrator, task: Task, y_max: float, points: int = 201) -> ExampleNeurons:
    """A neuron that saturates within |y| <= y_max and one that does not (figure 6B), on the line y We / (s gamma)."""
    F = (network.W @ network.encoders)[:, 0]
    z = torch.linspace(-1, 1, points, dtype=F.dtype, device=F.device) * y_max / (task.scales[0] * task.decays[0])
    peaks = network.activation(torch.outer(z, F)).amax(dim=0)
    nearest = [int((peaks - level).abs().argmin()) for level in (0.99, 0.3)]
    kinds = [int(kind.sum()) for kind in (peaks > 0.95, (peaks > 0.02) & (peaks < 0.5))]
    return ExampleNeurons(nearest[0], nearest[1], kinds[0], kinds[1])


class LogisticFit(NamedTuple):
    """Curves of all neurons, and how much of the variance they explain."""

    slopes: Tensor  # n x D, a
    offsets: Tensor  # n, b
    r2: Tensor  # n, 1 - residual over total sum of squares about the mean; NaN for a neuron that is constant


def fit_logistic(states: Tensor, integrals: Tensor, *, steps: int = 30) -> LogisticFit:
    r"""Least-squares fit of a logistic curve to every neuron, all at once, by the method of Levenberg and Marquardt.

    The start is the weighted linear fit of the logits, which is exact if the states lie on logistic curves; then the
    squared error of the states is lowered, neuron by neuron.

    Args:
        states: `samples x n` or `B x T x n`, in [0, 1].
        integrals: `samples x D` or `B x T x D`.
        steps: Steps of the descent after the start; each either lowers the error of a neuron or leaves it as it is.

    Raises:
        ValueError: shapes that do not fit, states outside [0, 1], or fewer samples than parameters.
    """
    checks.whole("steps", steps, 0)
    if states.shape[:-1] != integrals.shape[:-1]:
        raise ValueError(
            f"states and integrals must agree but in the last axis, got {tuple(states.shape)}, {tuple(integrals.shape)}"
        )
    h = states.detach().reshape(-1, states.shape[-1]).double()
    y = integrals.detach().reshape(-1, integrals.shape[-1]).double()
    if len(y) <= y.shape[1]:
        raise ValueError(f"expected more than {y.shape[1]} samples for {y.shape[1] + 1} parameters, got {len(y)}")
    if not ((h >= 0) & (h <= 1)).all():
        raise ValueError(f"states must lie in [0, 1], got {h.min():.3g} to {h.max():.3g}")
    Y = torch.cat([y, torch.ones_like(y[:, :1])], dim=1)  # samples x p, p = D + 1
    pairs = (Y[:, :, None] * Y[:, None, :]).flatten(1)  # samples x p^2
    clear = h.clamp(FLOOR, 1 - FLOOR)
    weights = (clear * (1 - clear)).square()
    theta = _solve(pairs, weights, Y.T @ (weights * clear.logit()), torch.zeros_like(h[0]))  # p x n
    error = (h - (Y @ theta).sigmoid()).square().sum(dim=0)
    damping = torch.full_like(error, 1e-3)
    for _ in range(steps):
        p = (Y @ theta).sigmoid()
        g = p * (1 - p)
        trial = theta + _solve(pairs, g.square(), Y.T @ (g * (h - p)), damping)
        new = (h - (Y @ trial).sigmoid()).square().sum(dim=0)
        better = new < error
        theta, error = torch.where(better, trial, theta), torch.where(better, new, error)
        damping = torch.where(better, damping / 3, damping * 10).clamp(1e-12, 1e12)
    return LogisticFit(theta[:-1].T, theta[-1], explained(h, (Y @ theta).sigmoid()))


def _solve(pairs: Tensor, weights: Tensor, right: Tensor, damping: Tensor) -> Tensor:
    """Solutions of the normal equations of all neurons, `p x n`; each diagonal is raised by a share `damping`."""
    p = right.shape[0]
    normal = (weights.T @ pairs).reshape(-1, p, p)
    diagonal = normal.diagonal(dim1=1, dim2=2)
    smallest = torch.finfo(normal.dtype).tiny ** 0.5 + 1e-12 * diagonal.amax(dim=1, keepdim=True)
    normal = normal + torch.diag_embed(diagonal * damping[:, None] + smallest)
    return torch.linalg.solve(normal, right.T[:, :, None])[:, :, 0].T
