"""How far numbers are from their bounds, and how many eigenvalues are not zero."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers


def plot_margins(ratios: Mapping[str, Tensor], ax: Axes, *, largest: float = 100.0) -> None:
    """One row for each bound, from the top: every number over its bound as a tick, the median as a circle.

    Args:
        ratios: For each bound positive ratios, one of each instance.
        ax: Where to draw.
        largest: Ratios above this, or below its inverse, are drawn at the edge.
    """
    names = list(ratios)
    for row, name in enumerate(names):
        found = np.clip(numbers(ratios[name]).ravel(), 1 / largest, largest)
        place = len(names) - 1 - row
        ax.plot(found, np.full_like(found, place), "|", color=COLOURS["output"], ms=13, mew=0.9, alpha=0.45)
        ax.plot(np.median(found), place, "o", color=COLOURS["output"], ms=6, mec="white", mew=0.8)
    ax.axvline(1, color=COLOURS["theory"], ls="--", lw=1.2)
    ax.set(xscale="log", yticks=range(len(names)), ylim=(-0.6, len(names) - 0.4))
    ax.set_yticklabels(names[::-1])
    ax.set_xlabel("found over bound")
    ax.xaxis.set_major_formatter("{x:g}")


def plot_cliff(
    eigenvalues: Mapping[str, Tensor], counts: Mapping[str, int], ax: Axes, *, lowest: float = 1e-18
) -> None:
    """Eigenvalues of two matrices by rank, over the largest of each, with lines after the last that should be positive.

    Args:
        eigenvalues: Of each matrix, in any order.
        counts: How many should be positive.
        ax: Where to draw.
        lowest: What is below is drawn here.
    """
    looks = (("output", "o"), ("alternative", "s"))
    for (name, values), (colour, marker) in zip(eigenvalues.items(), looks, strict=True):
        falling = np.sort(numbers(values))[::-1]
        falling = np.clip(falling / falling[0], lowest, None)[: 2 * max(counts.values())]
        ax.plot(np.arange(1, len(falling) + 1), falling, marker, color=COLOURS[colour], ms=4, mec="none", label=name)
        ax.axvline(counts[name] + 0.5, color=COLOURS[colour], ls="--", lw=1.2)
    ax.set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue over the largest")
