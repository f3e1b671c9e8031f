"""How much a disturbance costs, for two kinds of networks."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from lib.figures.style import COLOURS, numbers

LOOKS = (("output", "o", "-"), ("alternative", "s", "--"))


def plot_disturbance(
    levels: Sequence[float], errors: Mapping[str, Tensor], ax: Axes, *, predicted: Mapping[str, Tensor] | None = None
) -> None:
    """Every network as a marker and the medians as lines, on a logarithmic axis of errors.

    Args:
        levels: Strengths of the disturbance, K numbers.
        errors: For each kind, two at most, `networks x K` errors.
        ax: Where to draw.
        predicted: For some kinds K errors that a theory predicts.
    """
    for (kind, values), (colour, marker, line) in zip(errors.items(), LOOKS, strict=False):
        found = numbers(values)
        ax.plot(levels, np.median(found, axis=0), line, color=COLOURS[colour], lw=1.5, label=kind)
        for row in found:
            ax.plot(levels, row, marker, color=COLOURS[colour], ms=4, alpha=0.5, mec="none")
    for number, values in enumerate((predicted or {}).values()):
        label = "predicted" if number == 0 else None
        ax.plot(levels, numbers(values), ":", color=COLOURS["theory"], lw=1.5, label=label)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("relative output error")
