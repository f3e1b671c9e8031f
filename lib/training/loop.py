"""The training loop (paper, section 2, equation 6, and the authors' stopping rules).

It knows neither the paper's task nor any plot: it is given a network, a sampler of batches and a loss.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lib import checks
from lib.training.history import History
from lib.training.settings import Training
from lib.training.trainer import Callback, Trainer, network_weights


class TrainingDiverged(RuntimeError):
    """The loss left the range in which training can be trusted; the best weights so far are back in the network."""


def train(
    network: nn.Module,
    sampler: Callable[[], Any],
    loss: Callable[[Any, Any], Tensor],
    training: Training,
    *,
    constraint: Callable[[Any], None] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    callback: Callback | None = None,
    evaluate: Callable[[Any], Any] | None = None,
    every: int = 100,
) -> History:
    """Train `network` in place.

    An interruption from the keyboard ends the training like its last step: the best weights are in the network, and the
    history says "interrupted". The file of a checkpoint stays as it was, and continues bit for bit.

    Args:
        network: Whatever parameters of it require a gradient are trained.
        sampler: Returns a batch; if it has a `generator`, a checkpoint stores that generator's state.
        loss: Scalar loss of the network on a batch.
        training: Steps, rate, optimiser, stopping rules.
        constraint: Called with the network after every step, for example to keep the signs of Dale's law.
        checkpoint: File to save to and to resume from. Resuming continues bit for bit, given the same sampler and loss.
        progress: Show a progress bar on stderr.
        callback: Called with the number of steps made, the network and all losses so far, after every `every` steps.
        evaluate: Called with the network, without gradients, after every `every` steps; `History` has what it gives.
        every: Steps between two calls of these.

    Raises:
        ValueError: nothing to train, no folder for the checkpoint, or one that is corrupt or of another training.
        TrainingDiverged: the loss exceeded `abort_loss` or is not a number.
    """
    course = Trainer(network, [sampler], loss, [training], False, checkpoint)
    course.constraint, course.callback, course.evaluate = constraint, callback, evaluate
    (history,) = course.run(checks.whole("every", every, 1), progress)
    if history.stopped == "diverged":
        raise TrainingDiverged(
            f"loss is {history.losses[-1]:g} at step {len(history.losses) - 1}, above {training.abort_loss:g}: "
            f"lower lr (now {training.lr:g})"
        )
    return history


def train_together(
    networks: nn.Module,
    samplers: Sequence[Callable[[], Any]] | Callable[[], Any],
    loss: Callable[[Any, Any], Tensor],
    training: Training | Sequence[Training],
    *,
    constraint: Callable[[Any], None] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    callback: Callback | None = None,
    evaluate: Callable[[Any], Any] | None = None,
    every: int = 100,
) -> list[History]:
    """Train S networks side by side, in place: each as if it were alone, to rounding, and in a fraction of the time.

    A network that has reached its loss, or has diverged, stays as it is while the others go on; divergence is told in
    its history, not raised. All else is as for `train`.

    Args:
        networks: Weights have an axis of length S in front, see `lib.model.network.Integrator.stack`.
        samplers: One for each network, whose batches are stacked; or one, whose batches, with or without that axis, are
            passed on.
        loss: S losses of the networks on a batch.
        training: For all, or one for each, which may differ in rates and rules but not in steps and optimiser.
        constraint: Called with all networks after every step.
        checkpoint: As for `train`.
        progress: As for `train`.
        callback: Called with the number of steps, the networks and their S lists of losses.
        evaluate: Gives S values, which go to the S histories as long as the network goes on.
        every: As for `train`.

    Returns:
        S histories.

    Raises:
        ValueError: as for `train`, or numbers of networks, samplers, trainings and losses that differ.
    """
    sizes = {len(p) if p.ndim else 0 for p in network_weights(networks).values()}
    if len(sizes) != 1 or sizes == {0}:
        raise ValueError(f"weights of networks side by side must have one axis S in front, got lengths {sorted(sizes)}")
    (S,) = sizes
    trainings = [training] * S if isinstance(training, Training) else list(training)
    if len(trainings) != S or len({(t.n_steps, t.optimiser, t.checkpoint_every, t.read_every) for t in trainings}) != 1:
        raise ValueError(f"training must be one or {S} that agree in n_steps and optimiser, got {trainings}")
    draws = list(samplers) if isinstance(samplers, Sequence) else [samplers]
    if isinstance(samplers, Sequence) and len(draws) != S:
        raise ValueError(f"samplers must be one or {S}, got {len(draws)}")
    course = Trainer(networks, draws, loss, trainings, True, checkpoint)
    course.shared = not isinstance(samplers, Sequence)
    course.constraint, course.callback, course.evaluate = constraint, callback, evaluate
    return course.run(checks.whole("every", every, 1), progress)


def first_divergence(rates: Iterable[float], attempt: Callable[[float], Any]) -> float:
    """The first rate at which `attempt`, a training at a given learning rate, diverges; infinity if none does."""
    for rate in rates:
        try:
            attempt(rate)
        except TrainingDiverged:
            return rate
    return math.inf
