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
from lib.theory.linear.moments import for_scipy
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
        W: `... x n x n` start; leading dimensions are independent networks, solved as one system in float64 on the CPU.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        times: Increasing and not negative, in steps times learning rate.
        chi: See `averaged_loss`.
        normalisation: "paper" or "authors".
        rtol: Tolerance of each solver step, relative to weights of order 1.

    Returns:
        `times x ... x n x n`, of the dtype and on the device of W.

    Raises:
        ValueError: shapes that do not fit, or times that do not increase.
        RuntimeError: the solver gives up.
    """
    t = np.asarray(times.detach().cpu() if isinstance(times, Tensor) else times, dtype=float)
    if t.ndim != 1 or not len(t) or t[0] < 0 or not (np.diff(t) > 0).all():
        raise ValueError(f"times must increase from 0 or later, got {t}")
    chi = None if chi is None else chi.cpu()
    start, e, d = for_scipy(W, encoders, decoders)
    sweep = Sweep(start, e, d, task, chi=chi, normalisation=normalisation)

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        sweep.W.copy_(torch.from_numpy(flat).view(sweep.W.shape))
        sweep.forward()
        sweep.backward()
        return -sweep.slope.numpy().ravel()

    at_zero = sweep.W.numpy().ravel().copy()
    found = solve_ivp(velocity, (0.0, t[-1]), at_zero, method="LSODA", t_eval=t, rtol=rtol, atol=1e-3 * rtol)
    if not found.success:
        raise RuntimeError(f"the flow was not solved up to {t[-1]:g}: {found.message}")
    return torch.from_numpy(found.y.T.copy()).view(-1, *sweep.batch, *W.shape[-2:]).to(W)
