"""Decisions over time, and how often several read-outs are right (paper, appendix K)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers


def plot_evidence(integrals: Tensor, ax: Axes) -> Axes:
    """Two integrals and a cue over time (`T x 3`); the one that counts is drawn thick."""
    y = numbers(integrals)
    steps = np.arange(len(y))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.plot(steps, y[:, 2], ":", color=COLOURS["shared"], lw=1.6, label=r"cue $\bar y_3$")
    counts = np.where(y[:, 2] < 0, 0, 1)
    for c, style in enumerate(("-", "--")):
        colour = COLOURS[f"channel {c + 1}"]
        ax.plot(steps, y[:, c], style, color=colour, lw=1.2, label=rf"integral $\bar y_{c + 1}$")
        ax.plot(steps, np.where(counts == c, y[:, c], np.nan), "o", color=colour, ms=4.5, label=f"counts, $c={c + 1}$")
    ax.set(xlabel="time $t$ (steps)", ylabel="integral")
    return ax


def plot_decisions(outputs: Tensor, wanted: Tensor, ax: Axes) -> Axes:
    """Values of a read-out and wanted decisions over time (T each); a cross where the value is on the wrong side."""
    a, w = numbers(outputs), numbers(wanted)
    steps = np.arange(len(a))
    ax.axhline(0.5, color="0.8", lw=0.8, zorder=0)
    ax.plot(steps, w, drawstyle="steps-mid", color=COLOURS["target"], lw=3, label="wanted")
    ax.plot(steps, a, "o-", color=COLOURS["output"], lw=1, ms=3.5, label="read-out $a_t$")
    wrong = (a > 0.5) != (w > 0.5)
    ax.plot(steps[wrong], a[wrong], "x", color=COLOURS["alternative"], ms=9, mew=2, label="wrong")
    ax.set(xlabel="time $t$ (steps)", ylabel="decision", ylim=(-0.1, 1.1), yticks=(0, 0.5, 1))
    return ax


def plot_accuracies(shares: Mapping[str, float], limits: Sequence[float | None], ax: Axes) -> Axes:
    """One bar per read-out, from the top down; a black tick, dashed, where no read-out of its kind can get beyond.

    Args:
        shares: Right decisions by name.
        limits: The limit of each, None if there is none.
        ax: Axes.
    """
    places = np.arange(len(shares))
    ax.barh(places, list(shares.values()), height=0.55, color=COLOURS["output"])
    for place, limit in zip(places, limits, strict=True):
        if limit is not None:
            ends = [place - 0.42, place + 0.42]
            label = None if ax.get_legend_handles_labels()[1] else "limit (theory)"
            ax.plot([limit, limit], ends, "--", color=COLOURS["theory"], lw=2, label=label)
    ax.set(yticks=places, yticklabels=list(shares), xlabel="share of right decisions", xlim=(0.5, 1))
    ax.invert_yaxis()
    return ax
