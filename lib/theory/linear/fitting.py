"""Networks of zero loss from any start: nonlinear least squares on the errors of the moments (paper, section 3.1)."""

import torch
from scipy.optimize import least_squares
from torch import Tensor

from lib.model.task import Task
from lib.theory.linear.hessian import derivatives
from lib.theory.linear.loss import check_task
from lib.theory.linear.moments import check_shapes, moments, target_moments


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
    W, e, d = (x.detach().double().cpu() for x in (start, encoders, decoders))
    target = target_moments(task, task.T, W)
    found = least_squares(
        lambda w: (moments(torch.from_numpy(w).view(W.shape), e, d, task.T) - target).flatten().numpy(),
        W.flatten().numpy(),
        jac=lambda w: derivatives(torch.from_numpy(w).view(W.shape), e, d, task.T).flatten(0, 2).flatten(1).numpy(),  # type: ignore[arg-type]
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=evaluations,
    )
    return torch.from_numpy(found.x).view(W.shape).to(start)
