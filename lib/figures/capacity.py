"""How errors grow with the number of channels, and how many channels networks of each size sustain."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lib.figures.style import COLOURS, numbers


def plot_error_curves(
    curves: Mapping[int, Sequence[tuple[Sequence[float], Sequence[float]]]], ax: Axes, *, levels: Sequence[float] = ()
) -> None:
    """Every network as a thin line over its numbers of channels, both axes logarithmic; dark lines are large networks.

    Args:
        curves: For each number of neurons, the channels and the errors of its networks.
        ax: Where to draw.
        levels: Errors to mark, as grey lines.
    """
    shades = colormaps["viridis_r"](np.linspace(0.15, 1.0, max(len(curves), 2)))
    for (n, networks), shade in zip(curves.items(), shades, strict=False):
        for k, (channels, errors) in enumerate(networks):
            label = f"n = {n}" if k == 0 else None
            ax.loglog(numbers(channels), numbers(errors), "o-", color=shade, ms=3, lw=1, label=label)
    for level in levels:
        ax.axhline(level, color=COLOURS["target"], lw=1, zorder=0)
    ax.set_xlabel("channels $D$")
    ax.set_ylabel("relative output error")
    _plain(ax.xaxis, LogLocator(base=2))
    _plain(ax.yaxis, LogLocator(subs=(1.0, 2.0, 5.0)))


def plot_capacities(
    found: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    ax: Axes,
    *,
    laws: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    theory: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> None:
    """Capacities of networks over their neurons, both axes logarithmic, fitted laws as lines in the same colour.

    Args:
        found: For each kind, two at most, neurons and capacity of every network.
        ax: Where to draw.
        laws: For some kinds, points of the fitted law.
        theory: For each prediction, three at most, its points; black, dashed, dotted and dash-dotted.
    """
    looks = (("output", "o"), ("alternative", "s"))
    for (kind, (n, capacity)), (colour, marker) in zip(found.items(), looks, strict=False):
        c = COLOURS[colour]
        ax.loglog(numbers(n), numbers(capacity), marker, color=c, ms=5, alpha=0.7, label=kind)
        if laws and kind in laws:
            ax.loglog(*map(numbers, laws[kind]), "-", color=c, lw=1.5)
    for (name, points), line in zip((theory or {}).items(), ("--", ":", "-."), strict=False):
        ax.loglog(*map(numbers, points), line, color=COLOURS["theory"], lw=1.5, label=name)
    ax.set_xlabel("neurons $n$")
    ax.set_ylabel("capacity $D^*$")
    _plain(ax.xaxis, LogLocator(base=2))
    _plain(ax.yaxis, LogLocator(base=2))


def _plain(axis: Axis, locator: LogLocator) -> None:
    """Ticks as plain numbers, and none in between."""
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
