"""What training tells: losses, why it ended, and what was measured on the way."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from lib import checks


class History(NamedTuple):
    """What happened during training."""

    losses: Tensor  # one number per step, float64, before that step's update
    stopped: str  # "stop_loss", "n_steps", "interrupted", or, of one network among several, "diverged"
    restored: bool  # whether the best snapshot was put back because the last loss was worse
    best_step: int | None = None  # whose weights these are, from 0, if they were put back
    evaluations: Mapping[int, Any] = MappingProxyType({})  # what `evaluate` gave, by the number of steps made

    def steps_to(self, loss: float, window: int = 20) -> int | None:
        """First step by which the geometric mean of the last `window` losses is at most `loss`; None if never."""
        checks.whole("window", window, 1)
        checks.positive("loss", loss)
        if len(self.losses) < window:
            return None
        reached = (self.losses.log().unfold(0, window, 1).mean(dim=1) <= math.log(loss)).nonzero()
        return int(reached[0]) + window if len(reached) else None

    def __repr__(self) -> str:
        """How long, how far, why it ended, and whether older weights are in the network."""
        if not len(self.losses):
            return f"0 steps ({self.stopped})"
        text = f"{len(self.losses)} steps, loss {self.losses[0]:.3g} to {self.losses[-1]:.3g} ({self.stopped})"
        if not self.restored or self.best_step is None:
            return text
        best = self.losses[self.best_step]
        return f"{text}; the last loss is not the best: weights of step {self.best_step}, loss {best:.3g}, are put back"
