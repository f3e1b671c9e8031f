r"""Two starts from W = 0 whose training is the motion of one number (paper, appendix C).

With T = 1 the weights stay $W = \omega\, d e^\dagger$ and $\omega$ obeys a linear recursion. With equal encoder and
decoder they stay $W = \omega\, e e^\dagger$, and a step is $\Delta\omega = -\eta P(\omega)$ with the polynomial P below
(erratum E3a: the print has the other sign). One channel, uncorrelated inputs, and learning rates $\eta$ for the loss as
printed (normalisation "paper").
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.moments import check_vectors


class Realised(NamedTuple):
    """What a network trained on single steps computes."""

    decay: Tensor  # per step
    scale: Tensor


def single_step_weight(
    encoders: Tensor, decoders: Tensor, task: Task, *, lr: float | Tensor, steps: int | Tensor
) -> Tensor:
    r"""Coefficient $\omega^{(\tau)}$ of $W = \omega\, d e^\dagger$ after so many steps of gradient descent on T = 1.

    $$\omega^{(\tau)} = \frac{s\gamma}{|e|^2|d|^2} \left[1 - (1 - 2\eta |e|^2|d|^2)^\tau\right]$$

    Args:
        encoders: `... x n x 1`.
        decoders: `... x n x 1`.
        task: One channel, T = 1.
        lr: $\eta$; broadcast with the networks and with `steps`.
        steps: $\tau$, from 0.
    """
    sizes = _sizes(encoders, decoders)
    s, gamma = _single(task)
    return s * gamma / sizes * (1 - (1 - 2 * lr * sizes) ** steps)


def single_step_limit(encoders: Tensor, decoders: Tensor) -> Tensor:
    r"""Learning rate $1/(|e|^2|d|^2)$ below which training on T = 1 converges; `...` from `... x n x 1`."""
    return 1 / _sizes(encoders, decoders)


def single_step_moments(encoders: Tensor, decoders: Tensor, task: Task, orders: int) -> Tensor:
    r"""Moments after training on T = 1, `... x orders`.

    $$\mu_k = s\gamma \left(s\gamma\, \frac{e^\dagger d}{|e|^2|d|^2}\right)^{k-1}$$
    """
    s, gamma = _single(task)
    k = torch.arange(checks.whole("orders", orders, 1), dtype=encoders.dtype, device=encoders.device)
    return s * gamma * realised(encoders, decoders, task).decay[..., None] ** k


def realised(encoders: Tensor, decoders: Tensor, task: Task) -> Realised:
    r"""Decay $s\gamma\, e^\dagger d/|e|^2|d|^2$ and scale $|e|^2|d|^2/e^\dagger d$ after training on T = 1 (E7).

    Neither is what was asked for, only their product is. Orthogonal vectors have decay 0 and an infinite scale: a
    network that answers the newest input and remembers nothing.
    """
    s, gamma = _single(task)
    share = (encoders * decoders).sum(dim=(-2, -1)) / _sizes(encoders, decoders)
    return Realised(s * gamma * share, 1 / share)


def descent_polynomial(task: Task, size: float) -> np.ndarray:
    r"""Coefficients of P for encoder = decoder, lowest order first, 2T numbers.

    $$P(\omega) = 2 |e|^2 \sum_{k=1}^{T} k\,(T+1-k) \left(z^k - \frac{s\gamma^k}{|e|^2}\right) z^{k-1}, \qquad
    z = \omega |e|^2$$

    Args:
        task: One channel; an integrator exists only for the scale `size`, others are allowed.
        size: $|e|^2$.
    """
    s, gamma = _channel(task)
    checks.positive("size", size)
    k = np.arange(1, task.T + 1)
    weights = 2.0 * size * k * (task.T + 1 - k)
    in_z = np.zeros(2 * task.T)
    in_z[2 * k - 1] += weights
    in_z[k - 1] -= weights * s * gamma**k / size
    return in_z * size ** np.arange(2.0 * task.T)


def slope_at_integrator(task: Task, size: float) -> float:
    r"""$P' = 2|e|^4 \sum_k k^2 (T+1-k)\gamma^{2k-2}$ at the integrator $\omega = \gamma/|e|^2$ of scale $|e|^2$.

    Gradient descent near it converges for learning rates below $2/P'$, without overshooting below $1/P'$ (erratum E3b).

    Raises:
        ValueError: a task of another scale, which has no integrator.
    """
    s, gamma = _channel(task)
    checks.positive("size", size)
    if abs(s - size) > 1e-9 * size:
        raise ValueError(f"with equal encoder and decoder the scale must be their squared norm {size:g}, got {s:g}")
    k = np.arange(1, task.T + 1)
    return float(2 * size**2 * (k**2 * (task.T + 1 - k) * gamma ** (2.0 * k - 2)).sum())


def real_roots(coefficients: np.ndarray, *, tolerance: float = 1e-6) -> np.ndarray:
    """Real roots of a polynomial (lowest order first), as eigenvalues of its companion matrix, in ascending order.

    Args:
        tolerance: A root counts as real if its imaginary part is at most this times its modulus.
    """
    found = np.polynomial.polynomial.polyroots(coefficients)
    return np.sort(found[np.abs(found.imag) <= tolerance * np.abs(found)].real)


def _channel(task: Task) -> tuple[float, float]:
    """Scale and decay of a task with one channel."""
    if task.D != 1:
        raise ValueError(f"task must have one channel, got {task.D}")
    return task.scales[0], task.decays[0]


def _single(task: Task) -> tuple[float, float]:
    """The same for training on single steps."""
    if task.T != 1:
        raise ValueError(f"task must have T = 1, got {task.T}")
    return _channel(task)


def _sizes(encoders: Tensor, decoders: Tensor) -> Tensor:
    """$|e|^2 |d|^2$, `...` from `... x n x 1`."""
    check_vectors(encoders, decoders)
    if encoders.shape[-1] != 1:
        raise ValueError(f"expected one channel, got {encoders.shape[-1]}")
    sizes = encoders.square().sum(dim=(-2, -1)) * decoders.square().sum(dim=(-2, -1))
    if not (sizes.min() > 0).item():
        raise ValueError("encoder and decoder must not be zero")
    return sizes
