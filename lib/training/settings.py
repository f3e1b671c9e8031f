"""How a network is trained: rate, optimiser, and the authors' rules for stopping (paper, section 2, equation 6)."""

from dataclasses import dataclass

from lib import checks
from lib.training.optimisers import OPTIMISERS


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
        read_every: Steps between looks at the losses: 1 on the CPU and 25 on a GPU if None. It changes no weight; but
            a training that stops in between has drawn a few batches more.

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
    read_every: int | None = None

    def __post_init__(self) -> None:
        checks.whole("n_steps", self.n_steps, 0)
        checks.positive("lr", self.lr)
        checks.one_of("optimiser", self.optimiser, list(OPTIMISERS))
        checks.positive("abort_loss", self.abort_loss)
        checks.whole("checkpoint_every", self.checkpoint_every, 1)
        if self.read_every is not None:
            checks.whole("read_every", self.read_every, 1)
        if not 0 < self.snapshot_ratio <= 1:
            raise ValueError(f"snapshot_ratio must lie in (0, 1], got {self.snapshot_ratio}")
        if not self.stop_loss >= 0:
            raise ValueError(f"stop_loss must not be negative, got {self.stop_loss}")

    def continues(self) -> dict[str, float | str]:
        """What a checkpoint must agree on; the number of steps may grow."""
        return {"lr": self.lr, "optimiser": self.optimiser, "snapshot_ratio": self.snapshot_ratio}
