"""What depends on the scale of an integrator, and where gradient steps become unstable."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers


def plot_against_scale(
    scales: Sequence[float],
    values: Tensor,
    ax: Axes,
    *,
    label: str,
    colour: str = "output",
    marker: str = "o",
    line: str = "-",
) -> Axes:
    """Geometric mean over networks as a line and their range as a band, on logarithmic axes.

    Args:
        scales: $s$.
        values: `networks x scales`, positive.
        ax: Where.
        label: For the legend.
        colour: A name of `COLOURS`.
        marker: Of the means.
        line: Style of the line.
    """
    every, c = numbers(values), COLOURS[colour]
    ax.loglog(scales, np.exp(np.log(every).mean(axis=0)), line, color=c, marker=marker, ms=5, label=label, zorder=3)
    ax.fill_between(scales, every.min(axis=0), every.max(axis=0), color=c, alpha=0.2, lw=0)
    ax.set(xlabel="scale $s$", xticks=[0.1, 1, 10])
    ax.set_xticklabels(["0.1", "1", "10"])
    return ax


def plot_prediction(scales: Sequence[float], values: Tensor, ax: Axes, *, label: str = "theory") -> Axes:
    """What theory says at each scale, black dashes."""
    ax.loglog(scales, numbers(values), "--", color=COLOURS["theory"], lw=1.5, label=label, zorder=4)
    return ax


def plot_onset(rates: Sequence[float], growth: Tensor, ax: Axes, *, label: str, colour: str, marker: str) -> Axes:
    """Growth of a small error against the learning rate, one line for each network.

    Args:
        rates: In units of $2/\\lambda_+$.
        growth: `networks x rates`, largest loss after a kick over the loss right after it.
        ax: Where.
        label: For the legend, once for all lines.
        colour: A name of `COLOURS`.
        marker: Of the points.
    """
    for k, line in enumerate(numbers(growth)):
        ax.semilogy(rates, line, marker=marker, ms=4, lw=1, color=COLOURS[colour], label=label if k == 0 else None)
    ax.set(xlabel=r"learning rate $\eta\,/\,(2/\lambda_+)$", ylabel="growth of the loss")
    return ax
