r"""Training on the two-point proxy loss, for many rectified networks at once (paper, equation 6 with equation 29)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.theory.relu.two_point import Number, Terms, factors, parameters, terms_of
from lib.training.loop import TrainingDiverged
from lib.training.optimisers import OPTIMISERS


class ReluDescent(NamedTuple):
    """What happened, for a batch of networks."""

    W: Tensor  # ... x n x n, at the end
    losses: Tensor  # records x ..., at the steps below, before that step's update
    steps: Tensor  # records, whole numbers from 0
    stopped: Tensor  # ..., the step at which each network stopped: with a loss <= stop_loss, diverged, or the last
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
    scan: bool = False,
) -> ReluDescent:
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
        scan: Whether such a network is only taken out, its loss infinite from then on, and the others go on.

    Raises:
        ValueError: shapes that do not fit or values out of range.
        TrainingDiverged: a loss exceeded `abort_loss`, and this is no scan.
    """
    checks.one_of("optimiser", optimiser, list(OPTIMISERS))
    gamma, s, w = parameters(W, encoder, decoder, decay, scale, normalisation)
    rate = torch.as_tensor(lr, dtype=W.dtype, device=W.device)[..., None, None]
    batch, n = W.shape[:-2], W.shape[-1]
    constants = [networks(value, batch) for value in (encoder, decoder, gamma, s, w, rate)]
    everything = W.detach().reshape(-1, n, n).clone()  # networks x n x n
    adam = None
    if optimiser == "adam":  # a parameter for each network, so that one which has stopped keeps its weights
        rates = constants[-1].flatten().tolist()
        adam = torch.optim.Adam([{"params": [V], "lr": r} for V, r in zip(everything, rates, strict=True)])
    V = everything  # the weights of the networks that are running
    options: dict[str, Any] = {"stop_loss": stop_loss, "abort_loss": abort_loss, "scan": scan}
    diary = LossLog(everything[:, 0, 0], n_steps=n_steps, record=record, **options)
    weights = []
    for step in range(n_steps + 1):
        e, d, gamma, s, w, rate = constants
        found = terms_of(V, e, d, gamma, s, w)
        running = diary.running
        kept, going, done = diary.note(step, found.loss)
        if V is not everything and (kept or done or going is not None):
            everything.index_copy_(0, running, V)
        if kept and path:
            weights.append(everything.reshape(W.shape).clone())
        if done:
            break
        if going is not None and adam is None:
            V = V[going]
            e, d, gamma, s, w, rate = constants = [value[going] for value in constants]
            found = Terms(*(value[going] for value in found))
            diary.leave(going)
        left, right = factors(V, e, d, gamma, found)
        if adam is None:
            V.baddbmm_(left * -rate, right.mT)
        else:
            slopes = left @ right.mT
            stays = [False] * len(slopes) if going is None else (~going).tolist()
            for group, slope, stay in zip(adam.param_groups, slopes, stays, strict=True):
                group["params"][0].grad = None if stay else slope
            adam.step()
    return ReluDescent(
        everything.reshape(W.shape),
        diary.losses(batch),
        torch.tensor(diary.steps),
        diary.stopped.reshape(batch),
        torch.stack(weights) if path else None,
    )


def decay_time(losses: Tensor, steps: Tensor, *, highest: float, lowest: float) -> Tensor:
    r"""Steps in which the loss falls by a factor e, `...`: minus one over the slope of log loss against steps.

    The line is fitted by least squares where the loss lies between two fractions of its first value, and falls.

    Args:
        losses: `records x ...`, constant once a network has stopped.
        steps: `records`.
        highest: Fraction of the first loss below which the decay is taken to be exponential.
        lowest: Fraction above which it is fitted.

    Returns:
        Not a number where fewer than three records are left.
    """
    ratio = losses / losses[0]
    falls = torch.cat([losses[:-1] > losses[1:], torch.zeros_like(losses[:1], dtype=torch.bool)])
    used = ((ratio <= highest) & (ratio >= lowest) & falls).to(losses)
    x = steps.to(losses).reshape(-1, *[1] * (losses.ndim - 1))
    y = torch.where(used > 0, losses, torch.ones_like(losses)).log()
    count = used.sum(0)
    dx, dy = (used * (value - (used * value).sum(0) / count) for value in (x, y))
    slope = (dx * dy).sum(0) / dx.square().sum(0)
    return torch.where(count >= 3, -1 / slope, torch.nan)


def networks(value: Tensor, batch: Sequence[int]) -> Tensor:
    """`networks x a x b` from what broadcasts to `batch x a x b`."""
    return value.expand(*batch, *value.shape[-2:]).reshape(-1, *value.shape[-2:])


class LossLog:
    """Losses of many networks, which of them are still running, and when it is enough.

    Args:
        like: One number for each network, for dtype and device.
        n_steps: Steps at most.
        record: Every so many steps, or these steps.
        stop_loss: A network has finished once its loss is at most this; 0 is never.
        abort_loss: It has diverged once its loss exceeds this or is not a number.
        scan: Whether a network that has diverged leaves, or ends everything.

    Raises:
        ValueError: steps or an interval that are not whole numbers.
    """

    def __init__(
        self,
        like: Tensor,
        *,
        n_steps: int,
        record: int | Sequence[int],
        stop_loss: float,
        abort_loss: float,
        scan: bool,
    ):
        checks.whole("n_steps", n_steps, 0)
        every = range(0, n_steps + 1, checks.whole("record", record, 1)) if isinstance(record, int) else record
        self._kept = {*every, n_steps}
        self._last, self._stop, self._abort, self._scan = n_steps, stop_loss, abort_loss, scan
        self.running = torch.arange(len(like), device=like.device)
        self.stopped = torch.full_like(self.running, n_steps)
        self.latest = torch.zeros_like(like)
        self.steps: list[int] = []
        self._losses: list[Tensor] = []

    def note(self, step: int, losses: Tensor) -> tuple[bool, Tensor | None, bool]:
        """Note the losses of the running networks before this step.

        Returns:
            Whether they were kept; which of the running networks go on, if some stop; whether all is done.

        Raises:
            TrainingDiverged: a loss exceeds `abort_loss`, and this is no scan.
        """
        best, worst = torch.stack(losses.aminmax()).tolist()
        diverged = not worst <= self._abort
        if diverged and not self._scan:
            raise TrainingDiverged(f"loss is {worst:g} at step {step}, above {self._abort:g}: lower lr")
        going = None
        if diverged or (self._stop > 0 and best <= self._stop):
            bounded = losses <= self._abort  # false for what is not a number
            losses = torch.where(bounded, losses, torch.inf)
            going = bounded & (losses > self._stop) if self._stop > 0 else bounded
            leaving = self.running[~going]
            self.stopped.index_copy_(0, leaving, self.stopped[leaving].clamp(max=step))
        done = step == self._last or (going is not None and not going.any().item())
        kept = done or step in self._kept
        if kept or going is not None:
            self.latest.index_copy_(0, self.running, losses)
        if kept:
            self.steps.append(step)
            self._losses.append(self.latest.clone())
        return kept, going, bool(done)

    def leave(self, going: Tensor) -> None:
        """Drop the networks that have stopped from those that are running."""
        self.running = self.running[going]

    def losses(self, batch: Sequence[int]) -> Tensor:
        """All that was kept, `records x batch`."""
        return torch.stack(self._losses).reshape(-1, *batch)
