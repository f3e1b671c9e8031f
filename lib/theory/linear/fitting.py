"""Networks of zero loss from any start: nonlinear least squares on the errors of the moments (paper, section 3.1)."""

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

from lib import checks
from lib.model.signals import normal
from lib.model.task import Task
from lib.theory.linear.hessian import derivatives
from lib.theory.linear.loss import check_task
from lib.theory.linear.moments import check_shapes, for_scipy, moments, target_moments


def fit(start: Tensor, encoders: Tensor, decoders: Tensor, task: Task, *, evaluations: int = 1000) -> Tensor:
    """Weights whose moments of the orders 1 to T are right, or as nearly right as can be reached from `start`.

    Args:
        start: `n x n`, for n up to a few tens; computed in float64 on the CPU.
        encoders: `n x D`.
        decoders: `n x D`.
        task: D channels, T orders.
        evaluations: Evaluations of the moments at most.

    Returns:
        `n x n`, of the start's dtype and device.

    Raises:
        ValueError: shapes that do not fit, or a task of other than D channels.
    """
    check_shapes(start, encoders, decoders)
    check_task(task, encoders.shape[-1], "paper")
    W, e, d = for_scipy(start, encoders, decoders)
    return _least_squares(W, e, d, task, task.T, max_nfev=evaluations).x.view(W.shape).to(start)


def best_residual(
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    starts: int,
    generator: torch.Generator,
    orders: int | None = None,
) -> float:
    r"""Smallest sum of squares of $d^\dagger W^q e - S\Gamma^q$ over W, by least squares from many random starts.

    A search that knows nothing of the theory: where `channels.minimal_order` says that no integrator exists, it finds
    none.

    Args:
        encoders: `n x D`, n small.
        decoders: `n x D`.
        task: D channels.
        starts: Random starts, of spectral radius near one.
        generator: Source of the starts.
        orders: Moments asked for, from q = 1; None is 2n, which fix all others.

    Raises:
        ValueError: a task of other than D channels, or counts that are not positive.
    """
    n, D = encoders.shape
    check_task(task, D, "paper")
    Q = 2 * n if orders is None else checks.whole("orders", orders, 1)
    e, d = for_scipy(encoders, decoders)
    first = normal(checks.whole("starts", starts, 1), n, n, generator=generator) / n**0.5
    return min(_least_squares(W, e, d, task, Q, method="lm", max_nfev=400).cost for W in first)


class _Found(NamedTuple):
    x: Tensor  # n^2
    cost: float  # sum of squares


def _least_squares(start: Tensor, e: Tensor, d: Tensor, task: Task, orders: int, **options: Any) -> _Found:
    """Least squares on the errors of the moments 1 to `orders`; all tensors float64 on the CPU."""
    target = target_moments(task, orders, start)

    def errors(w: np.ndarray) -> np.ndarray:
        return (moments(torch.from_numpy(w).view(start.shape), e, d, orders) - target).flatten().numpy()

    def jacobian(w: np.ndarray) -> np.ndarray:
        return derivatives(torch.from_numpy(w).view(start.shape), e, d, orders).flatten(0, 2).flatten(1).numpy()

    options |= {"jac": jacobian, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    found = least_squares(errors, start.flatten().numpy(), **options)
    return _Found(torch.from_numpy(found.x), 2 * float(found.cost))
