r"""The task: D decaying integrals of D signals over T steps (paper, section 2, equation 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from lib import checks
from lib.model.signals import integrals


@dataclass(frozen=True)
class Task:
    r"""What a network is asked to compute.

    Attributes:
        decays: $\gamma_c$ in (0, 1] per step, one per channel; the memory of a channel is $1/(1-\gamma_c)$ steps.
        scales: $s_c > 0$, the gain of each integral; one number serves all channels.
        T: length of the training sequences, in steps.

    Raises:
        ValueError: a decay outside (0, 1], a scale that is not positive, lengths that differ, T below 1.
    """

    decays: tuple[float, ...]
    scales: tuple[float, ...] = (1.0,)
    T: int = 3

    def __init__(self, decays: Sequence[float] | float, scales: Sequence[float] | float = 1.0, T: int = 3):
        decays = (decays,) if isinstance(decays, int | float) else tuple(decays)
        scales = (scales,) if isinstance(scales, int | float) else tuple(scales)
        if not decays:
            raise ValueError("decays must name at least one channel, got none")
        scales = scales * len(decays) if len(scales) == 1 else scales
        if len(scales) != len(decays):
            raise ValueError(f"decays and scales must be equally many, got {len(decays)} and {len(scales)}")
        for gamma in decays:
            if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not 0 < gamma <= 1:
                raise ValueError(f"decays must lie in (0, 1], got {gamma!r}")
        object.__setattr__(self, "decays", tuple(float(gamma) for gamma in decays))
        object.__setattr__(self, "scales", tuple(checks.positive("scales", s) for s in scales))
        object.__setattr__(self, "T", checks.whole("T", T, 1))

    @property
    def D(self) -> int:
        """Number of channels."""
        return len(self.decays)

    def targets(self, x: Tensor) -> Tensor:
        """`B x T x D` exact integrals of the inputs `x` of the same shape (equation 4); any length, not only `T`."""
        return integrals(x, self.decays, self.scales)
