r"""Training on the averaged loss, for many linear networks at once (paper, equation 6 with equations 7 and 10)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.linear.loss import averaged_loss, gradient
from lib.tasks import Task
from lib.training import OPTIMISERS, TrainingDiverged


class Descent(NamedTuple):
    """What happened, for a batch of networks."""

    W: Tensor  # ... x n x n, at the end
    losses: Tensor  # records x ..., at the steps below, before that step's update
    steps: Tensor  # records, whole numbers from 0
    path: Tensor | None  # records x ... x n x n, the weights at these steps, if they were asked for


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
) -> Descent:
    """Train from W on the averaged loss, with its gradient in closed form.

    The same function serves the full space and the reduced one of `lib.linear.reduced`.

    Args:
        W: `... x n x n` start; leading dimensions are independent networks.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        lr: Learning rate, or one for each network (with "sgd").
        n_steps: Steps at most.
        optimiser: "sgd" (equation 6) or "adam" (PyTorch's defaults).
        stop_loss: Stop once the loss of every network is at most this.
        record: Keep the loss every so many steps, or at these steps; the last step is always kept.
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
    options = {"chi": chi, "normalisation": normalisation}
    kept = set(range(0, n_steps + 1, record) if isinstance(record, int) else record) | {n_steps}
    rate = lr[..., None, None] if isinstance(lr, Tensor) else lr
    W = W.detach().clone()
    adam = torch.optim.Adam([W], lr=float(lr), fused=True) if optimiser == "adam" else None
    losses, steps, weights = [], [], []
    for step in range(n_steps + 1):
        if step in kept or stop_loss > 0:
            loss = averaged_loss(W, encoders, decoders, task, **options)
            worst = loss.max().item()
            if not worst <= abort_loss:
                raise TrainingDiverged(f"loss is {worst:g} at step {step}, above {abort_loss:g}: lower lr (now {lr})")
            done = worst <= stop_loss or step == n_steps
            if step in kept or done:
                losses.append(loss)
                steps.append(step)
                weights.extend([W.clone()] if path else [])
            if done:
                break
        slope = gradient(W, encoders, decoders, task, **options)
        if adam is None:
            W -= rate * slope
        else:
            W.grad = slope
            adam.step()
    return Descent(W, torch.stack(losses), torch.tensor(steps), torch.stack(weights) if path else None)
