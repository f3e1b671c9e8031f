"""The selectivities of all neurons of a network at once."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers

GROUPS = [COLOURS["channel 1"], COLOURS["channel 2"], COLOURS["shared"]]
MARKERS = "os^"


def plot_selectivities(s: Tensor, groups: Tensor, ax: Axes, *, names: Sequence[str]) -> Axes:
    """Every neuron as a point at its two selectivities, coloured by its group; those of one integral lie on an axis.

    Args:
        s: `n x 2` selectivities.
        groups: n integers from 0 to at most 2.
        ax: Where to draw.
        names: Of the groups that may occur; makes a legend if there are several.
    """
    values, which = numbers(s), numbers(groups)
    reach = 1.05 * np.abs(values).max()
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    for k, name in enumerate(names):
        style = {"marker": MARKERS[k], "ms": 2.5, "mew": 0, "alpha": 0.6, "color": GROUPS[k]}
        ax.plot(*values[which == k].T, ls="", label=name, rasterized=True, **style)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set(xlabel=r"selectivity $s_{i,1}$", ylabel=r"selectivity $s_{i,2}$")
    if len(names) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3, markerscale=2, handletextpad=0.1, fontsize=9)
    return ax
