r"""Training on the averaged loss, for many linear networks at once (paper, equation 6 with equations 7 and 10)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.sweep import Sweep
from lib.training.loop import TrainingDiverged
from lib.training.optimisers import OPTIMISERS


class LinearDescent(NamedTuple):
    """What happened, for a batch of networks."""

    W: Tensor  # ... x n x n, at the end
    losses: Tensor  # records x ..., at the steps below, before that step's update
    steps: Tensor  # records, whole numbers from 0
    path: Tensor | None  # records x ... x n x n, the weights at these steps, if they were asked for


def log_spaced_steps(n_steps: int, per_decade: int = 50) -> list[int]:
    """Steps from 0 to `n_steps` that are evenly spaced on a logarithmic axis, for `record`."""
    checks.whole("n_steps", n_steps, 1)
    checks.whole("per_decade", per_decade, 1)
    exponents = torch.arange(int(per_decade * math.log10(n_steps)) + 1) / per_decade
    return sorted({0, n_steps, *(10**exponents).round().int().tolist()})


def descend(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    lr: float | Tensor,
    n_steps: int,
    optimiser: str = "sgd",
    stop_loss: float = 0.0,
    record: int | Sequence[int] = 1,
    path: bool = False,
    chi: Tensor | None = None,
    normalisation: str = "authors",
    abort_loss: float = 100.0,
) -> LinearDescent:
    """Train from W on the averaged loss, with its gradient in closed form.

    The same function serves the full space and the reduced one of `lib.theory.linear.reduced`, where a step of many
    networks
    takes as long as a step of one. Leading dimensions of weights, encoders and decoders are broadcast.

    Args:
        W: `... x n x n` start; leading dimensions are independent networks.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        lr: Learning rate, or one for each network (with "sgd").
        n_steps: Steps at most.
        optimiser: "sgd" (equation 6) or "adam" (PyTorch's defaults).
        stop_loss: Stop once the loss of every network is at most this.
        record: Keep the loss every so many steps, or at these steps (see `log_spaced_steps`); the last is always kept.
        path: Whether to keep the weights at these steps as well.
        chi: See `averaged_loss`.
        normalisation: "paper" or "authors".
        abort_loss: Give up once a loss exceeds this or is not a number.

    Raises:
        ValueError: shapes that do not fit or values out of range.
        TrainingDiverged: a loss exceeded `abort_loss`.
    """
    checks.one_of("optimiser", optimiser, list(OPTIMISERS))
    checks.whole("n_steps", n_steps, 0)
    kept = set(range(0, n_steps + 1, record) if isinstance(record, int) else record) | {n_steps}
    sweep = Sweep(W, encoders, decoders, task, chi=chi, normalisation=normalisation)
    rate = lr.to(W).expand(sweep.batch).reshape(-1, 1, 1) if isinstance(lr, Tensor) else lr
    if optimiser == "sgd":
        sweep.gain *= rate  # so that the slope is a step
    adam = torch.optim.Adam([sweep.W], lr=float(lr), fused=True) if optimiser == "adam" else None
    losses, steps, weights = [], [], []
    for step in range(n_steps + 1):
        sweep.forward()
        if step in kept or stop_loss > 0:
            loss = sweep.loss()
            worst = loss.max().item()
            if not worst <= abort_loss:
                raise TrainingDiverged(f"loss is {worst:g} at step {step}, above {abort_loss:g}: lower lr (now {lr})")
            done = worst <= stop_loss or step == n_steps
            if step in kept or done:
                losses.append(loss)
                steps.append(step)
                weights.extend([sweep.W.clone()] if path else [])
            if done:
                break
        sweep.backward()
        if adam is None:
            sweep.W.sub_(sweep.slope)
        else:
            sweep.W.grad = sweep.slope
            adam.step()
    shape = (*sweep.batch, *W.shape[-2:])
    kept_weights = torch.stack(weights).view(-1, *shape) if path else None
    return LinearDescent(sweep.W.reshape(shape), torch.stack(losses), torch.tensor(steps), kept_weights)
