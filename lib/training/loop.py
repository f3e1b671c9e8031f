"""The training loop (paper, section 2, equation 6, and the authors' stopping rules).

It knows neither the paper's task nor any plot: it is given a network, a sampler of batches and a loss.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lib import checks
from lib.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
FUSED = ("cpu", "cuda")  # devices on which Adam makes one pass over memory instead of ten


class TrainingDiverged(RuntimeError):
    """The loss left the range in which training can be trusted; the best weights so far are back in the network."""


@dataclass(frozen=True)
class Training:
    r"""How to train.

    Attributes:
        n_steps: Optimiser steps.
        lr: Learning rate, for the loss as it is normalised.
        optimiser: "sgd" (a plain gradient step, equation 6) or "adam" (PyTorch's defaults).
        stop_loss: Stop once the loss of a batch is at most this.
        abort_loss: Give up once it is above this, or not a number.
        snapshot_ratio: Keep the weights whenever the loss is below this fraction of the loss at the last snapshot.
        checkpoint_every: Steps between checkpoints, if there is a file for them.

    Raises:
        ValueError: a value out of range or an unknown optimiser.
    """

    n_steps: int
    lr: float
    optimiser: str = "sgd"
    stop_loss: float = 0.0
    abort_loss: float = 100.0
    snapshot_ratio: float = 0.75
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        checks.whole("n_steps", self.n_steps, 0)
        checks.positive("lr", self.lr)
        checks.one_of("optimiser", self.optimiser, list(OPTIMISERS))
        checks.positive("abort_loss", self.abort_loss)
        checks.whole("checkpoint_every", self.checkpoint_every, 1)
        if not 0 < self.snapshot_ratio <= 1:
            raise ValueError(f"snapshot_ratio must lie in (0, 1], got {self.snapshot_ratio}")
        if not self.stop_loss >= 0:
            raise ValueError(f"stop_loss must not be negative, got {self.stop_loss}")

    def continues(self) -> dict[str, float | str]:
        """What a checkpoint must agree on; the number of steps may grow."""
        return {"lr": self.lr, "optimiser": self.optimiser, "snapshot_ratio": self.snapshot_ratio}


class History(NamedTuple):
    """What happened during training."""

    losses: Tensor  # one number per step, float64, before that step's update
    stopped: str  # "stop_loss" or "n_steps"
    restored: bool  # whether the best snapshot was put back because the last loss was worse

    def steps_to(self, loss: float, window: int = 20) -> int | None:
        """First step by which the geometric mean of the last `window` losses is at most `loss`; None if never."""
        checks.whole("window", window, 1)
        checks.positive("loss", loss)
        if len(self.losses) < window:
            return None
        reached = (self.losses.log().unfold(0, window, 1).mean(dim=1) <= math.log(loss)).nonzero()
        return int(reached[0]) + window if len(reached) else None


def train(
    network: nn.Module,
    sampler: Callable[[], Any],
    loss: Callable[[Any, Any], Tensor],
    training: Training,
    *,
    constraint: Callable[[Any], None] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> History:
    """Train `network` in place.

    Args:
        network: Whatever parameters of it require a gradient are trained.
        sampler: Returns a batch; if it has a `generator`, a checkpoint stores that generator's state.
        loss: Scalar loss of the network on a batch.
        training: Steps, rate, optimiser, stopping rules.
        constraint: Called with the network after every step, for example to keep the signs of Dale's law.
        checkpoint: File to save to and to resume from. Resuming continues bit for bit, given the same sampler and loss.
        progress: Show a progress bar on stderr.

    Raises:
        ValueError: nothing to train, no folder for the checkpoint, or one that is corrupt or of another training.
        TrainingDiverged: the loss exceeded `abort_loss` or is not a number.
    """
    weights = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not weights:
        raise ValueError("network has nothing to train: no parameter requires a gradient")
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise ValueError(f"checkpoint must be a file in an existing folder, got {checkpoint}")
    fused = {"fused": True} if training.optimiser == "adam" and _all_on(weights.values(), FUSED) else {}
    optimiser = OPTIMISERS[training.optimiser](weights.values(), lr=training.lr, **fused)  # type: ignore[call-arg]
    run = Checkpoint(losses=[], best_loss=float("inf"), best={})
    if checkpoint is not None and Path(checkpoint).exists():
        run = load_checkpoint(Path(checkpoint), weights, optimiser, sampler, training.continues())

    def save() -> None:
        if checkpoint is not None:
            save_checkpoint(Path(checkpoint), run, weights, optimiser, sampler, training.continues())

    stopped = "stop_loss" if run.losses and run.losses[-1] <= training.stop_loss else "n_steps"
    steps = range(len(run.losses), training.n_steps if stopped == "n_steps" else 0)
    bar = tqdm(steps, disable=not progress, desc="training", unit="step", initial=len(run.losses))
    for step in bar:
        optimiser.zero_grad(set_to_none=True)
        value = loss(network, sampler())
        current = value.item()
        run.losses.append(current)
        if not current <= training.abort_loss:
            _restore(weights, run.best)
            raise TrainingDiverged(
                f"loss is {current:g} at step {step}, above {training.abort_loss:g}: lower lr (now {training.lr:g})"
            )
        value.backward()
        optimiser.step()
        if constraint is not None:
            with torch.no_grad():
                constraint(network)
        if current < training.snapshot_ratio * run.best_loss:
            run.best_loss = current
            run.best = {name: p.detach().clone() for name, p in weights.items()}
        if progress and step % 50 == 0:
            bar.set_postfix(loss=f"{current:.2e}")
        if current <= training.stop_loss:
            stopped = "stop_loss"
            break
        if (step + 1) % training.checkpoint_every == 0:
            save()
    bar.close()
    save()
    restored = bool(run.losses) and run.losses[-1] > run.best_loss
    if restored:
        _restore(weights, run.best)
    return History(torch.tensor(run.losses, dtype=torch.float64), stopped, restored)


def first_divergence(rates: Iterable[float], attempt: Callable[[float], Any]) -> float:
    """The first rate at which `attempt`, a training at a given learning rate, diverges; infinity if none does."""
    for rate in rates:
        try:
            attempt(rate)
        except TrainingDiverged:
            return rate
    return math.inf


def _all_on(weights: Iterable[Tensor], devices: tuple[str, ...]) -> bool:
    return all(p.device.type in devices for p in weights)


@torch.no_grad()
def _restore(weights: dict[str, nn.Parameter], snapshot: dict[str, Tensor]) -> None:
    for name, values in snapshot.items():
        weights[name].copy_(values)
