r"""One logistic curve per neuron over the integrals: $h_i \simeq 1/(1 + e^{-(a_i \cdot y + b_i)})$ (figure 9B).

If a sigmoid neuron's activity changes along one direction of the plane of integrals only, such a curve fits it with
free $a_i$ and $b_i$. All neurons are fitted at once by least squares, with the method of Levenberg and Marquardt.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.analysis.subspaces import explained

FLOOR = 1e-6  # states are kept this far from 0 and 1 where their logit is taken


class LogisticFit(NamedTuple):
    """Curves of all neurons, and how much of the variance they explain."""

    slopes: Tensor  # n x D, a
    offsets: Tensor  # n, b
    r2: Tensor  # n, 1 - residual over total sum of squares about the mean; NaN for a neuron that is constant


def fit_logistic(states: Tensor, integrals: Tensor, *, steps: int = 30) -> LogisticFit:
    r"""Least-squares fit of a logistic curve to every neuron.

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
