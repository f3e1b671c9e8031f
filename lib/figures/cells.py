"""Table 1 as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lib.figures.style import COLOURS

MARKS = (("o", "output", True), ("s", "alternative", True), ("o", "output", False))


def plot_cells(
    names: Sequence[str],
    paper: Sequence[tuple[float, float]],
    series: Mapping[str, Sequence[tuple[float, float] | None]],
    ax: Axes,
    *,
    chance: Sequence[float],
) -> Axes:
    """Cells from top to bottom on a logarithmic axis: the printed values and any number of ours, with their spread.

    Args:
        names: Of the cells.
        paper: Printed value and error of each.
        series: By name, mean and spread of each cell; None where there are no networks.
        ax: Where to draw.
        chance: What currents in all directions would give in each cell.
    """
    places = np.arange(len(names), dtype=float)
    shifts = np.linspace(-0.25, 0.25, len(series) + 1)
    values, errors = np.array(paper, dtype=float).T
    bars: dict[str, Any] = {"ls": "", "elinewidth": 1.2, "ms": 6}
    black: dict[str, Any] = {"color": COLOURS["theory"], "mfc": "none"}
    ax.errorbar(values, places + shifts[0], xerr=errors, marker="D", label="paper", **bars, **black)
    for (label, cells), shift, (marker, colour, filled) in zip(series.items(), shifts[1:], MARKS, strict=False):
        there = [k for k, cell in enumerate(cells) if cell is not None]
        pairs = np.array([cell for cell in cells if cell is not None], dtype=float).reshape(-1, 2)
        means, spread = pairs.T
        ends = np.vstack([np.minimum(spread, 0.9 * means), spread])  # a bar to zero would have no end
        face = COLOURS[colour] if filled else "none"
        style: dict[str, Any] = {"marker": marker, "color": COLOURS[colour], "mfc": face}
        ax.errorbar(means, places[there] + shift, xerr=ends, label=label, **bars, **style)
    ax.plot(np.asarray(chance), places, "|", ms=14, mew=1.5, color=COLOURS["theory"], label="chance")
    for place in places[:-1]:
        ax.axhline(place + 0.5, color="0.9", lw=0.8, zorder=0)
    ax.set(xscale="log", yticks=places, ylim=(len(names) - 0.5, -0.5), xlabel="distance of the currents (%)")
    ax.set_yticklabels(names)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), ncol=3)
    return ax
