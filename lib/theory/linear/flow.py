r"""Gradient descent with vanishing steps: the flow $\dot W = -\partial\mathcal{L}/\partial W$ (paper, appendix H).

Its time is the number of steps times the learning rate. A stiff solver covers decades of time at equal cost, which
descent cannot.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from lib.model.task import Task
from lib.theory.linear.sweep import Sweep


def flow(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    times: Sequence[float] | Tensor,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
    rtol: float = 1e-10,
) -> Tensor:
    """Weights at the given times, on the flow that is at W at time 0 (scipy's LSODA).

    Meant for reduced networks: the Jacobian of all weights of all networks is formed by differences.

    Args:
        W: `... x n x n` start, float64 on the CPU; leading dimensions are independent networks, solved as one system.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        times: Increasing and not negative, in steps times learning rate.
        chi: See `averaged_loss`.
        normalisation: "paper" or "authors".
        rtol: Tolerance of each solver step, relative to weights of order 1.

    Returns:
        `times x ... x n x n`, float64 on the CPU.

    Raises:
        ValueError: shapes that do not fit, or times that do not increase.
        RuntimeError: the solver gives up.
    """
    t = np.asarray(times, dtype=float)
    if t.ndim != 1 or not len(t) or t[0] < 0 or not (np.diff(t) > 0).all():
        raise ValueError(f"times must increase from 0 or later, got {t}")
    sweep = Sweep(W, encoders, decoders, task, chi=chi, normalisation=normalisation)

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        sweep.W.copy_(torch.from_numpy(flat).view(sweep.W.shape))
        sweep.forward()
        sweep.backward()
        return -sweep.slope.numpy().ravel()

    start = sweep.W.numpy().ravel().copy()
    found = solve_ivp(velocity, (0.0, t[-1]), start, method="LSODA", t_eval=t, rtol=rtol, atol=1e-3 * rtol)
    if not found.success:
        raise RuntimeError(f"the flow was not solved up to {t[-1]:g}: {found.message}")
    return torch.from_numpy(found.y.T.copy()).view(-1, *sweep.batch, *W.shape[-2:])
