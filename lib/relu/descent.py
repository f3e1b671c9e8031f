r"""Training on the two-point proxy loss, for many rectified networks at once (paper, equation 6 with equation 29)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.relu.two_point import Number, Terms, factors, parameters, terms_of
from lib.training import OPTIMISERS, TrainingDiverged


class Descent(NamedTuple):
    """What happened, for a batch of networks."""

    W: Tensor  # ... x n x n, at the end
    losses: Tensor  # records x ..., at the steps below, before that step's update
    steps: Tensor  # records, whole numbers from 0
    stopped: Tensor  # ..., the step at which each network stopped: the first with a loss <= stop_loss, or the last
    path: Tensor | None  # records x ... x n x n, the weights at these steps, if they were asked for


def descend(
    W: Tensor,
    encoder: Tensor,
    decoder: Tensor,
    decay: Number,
    scale: Number,
    *,
    lr: Number,
    n_steps: int,
    optimiser: str = "sgd",
    stop_loss: float = 0.0,
    record: int | Sequence[int] = 1,
    path: bool = False,
    normalisation: str = "authors",
    abort_loss: float = 100.0,
) -> Descent:
    r"""Train from W on the proxy loss, with its gradient in closed form.

    A network whose loss is at most `stop_loss` keeps its weights and its loss from then on and costs nothing more.

    Args:
        W: `... x n x n` start; leading dimensions are independent networks.
        encoder: `... x n x 1`.
        decoder: `... x n x 1`.
        decay: $\gamma$, a number or one for each network.
        scale: $s$, a number or one for each network.
        lr: Learning rate, a number or one for each network.
        n_steps: Steps at most.
        optimiser: "sgd" (equation 6) or "adam" (PyTorch's defaults).
        stop_loss: See above; training ends when every network has stopped.
        record: Keep the losses every so many steps, or at these steps; those at the end are always kept.
        path: Whether to keep the weights at these steps as well.
        normalisation: "paper" or "authors" (divided by $s^2$).
        abort_loss: Give up once a loss exceeds this or is not a number.

    Raises:
        ValueError: shapes that do not fit or values out of range.
        TrainingDiverged: a loss exceeded `abort_loss`.
    """
    checks.one_of("optimiser", optimiser, list(OPTIMISERS))
    checks.whole("n_steps", n_steps, 0)
    gamma, s, w = parameters(W, encoder, decoder, decay, scale, normalisation)
    rate = torch.as_tensor(lr, dtype=W.dtype, device=W.device)[..., None, None]
    kept = set(range(0, n_steps + 1, record) if isinstance(record, int) else record) | {n_steps}
    batch, n = W.shape[:-2], W.shape[-1]
    constants = [
        value.expand(*batch, *value.shape[-2:]).flatten(0, -3) if batch else value[None]
        for value in (encoder, decoder, gamma, s, w, rate)
    ]
    all_weights = W.detach().reshape(-1, n, n).clone()  # networks x n x n
    running = torch.arange(len(all_weights), device=W.device)
    adam = None
    if optimiser == "adam":  # a parameter for each network, so that one which has stopped keeps its weights
        rates = constants[-1].flatten().tolist()
        adam = torch.optim.Adam([{"params": [V], "lr": r} for V, r in zip(all_weights, rates, strict=True)])
    V = all_weights  # of those that are running
    latest = V.new_zeros(len(V))
    stopped = torch.full_like(running, n_steps)
    losses, steps, weights = [], [], []
    for step in range(n_steps + 1):
        e, d, gamma, s, w, rate = constants
        found = terms_of(V, e, d, gamma, s, w)
        now = found.loss
        latest.index_copy_(0, running, now)
        worst = now.max().item()
        if not worst <= abort_loss:
            raise TrainingDiverged(f"loss is {worst:g} at step {step}, above {abort_loss:g}: lower lr (now {lr})")
        finished = now <= stop_loss
        some = stop_loss > 0 and bool(finished.any())
        done = step == n_steps or (some and bool(finished.all()))
        if V is not all_weights and (some or done or step in kept):
            all_weights.index_copy_(0, running, V)
        if done or step in kept:
            losses.append(latest.reshape(batch).clone())
            steps.append(step)
            weights.extend([all_weights.reshape(W.shape).clone()] if path else [])
        if some:
            these = running[finished]
            stopped.index_copy_(0, these, stopped[these].clamp(max=step))
        if done:
            break
        if some and adam is None:
            going = ~finished
            running, V = running[going], V[going]
            e, d, gamma, s, w, rate = constants = [value[going] for value in constants]
            found = Terms(*(value[going] for value in found))
        left, right = factors(V, e, d, gamma, found)
        if adam is None:
            V.baddbmm_(left * -rate, right.mT)
        else:
            slope = left @ right.mT
            for group, g, stays in zip(adam.param_groups, slope, finished.tolist(), strict=True):
                group["params"][0].grad = None if stays and stop_loss > 0 else g
            adam.step()
    kept_weights = torch.stack(weights) if path else None
    return Descent(
        all_weights.reshape(W.shape), torch.stack(losses), torch.tensor(steps), stopped.reshape(batch), kept_weights
    )
