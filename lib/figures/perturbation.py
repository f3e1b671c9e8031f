"""Eigenvalues that leave a disk, and how errors grow."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator
from torch import Tensor

from lib.figures.style import COLOURS, SERIES, numbers

STYLES = [
    {"color": colour, "ls": dashes, "marker": marker}
    for colour, dashes, marker in zip(SERIES, ("-", "--", "-.", ":"), "os^v", strict=True)
]


def plot_disk(before: Tensor, after: Tensor, ax: Axes, *, radius: float) -> Axes:
    """Eigenvalues of a start and of the trained network in the complex plane, with the disk of the start (dashed).

    Eigenvalues that end beyond twice the radius are drawn large; the thin arc is the unit circle.
    """
    marks = ((before, {"mfc": "none", "mec": "0.55", "ms": 3, "mew": 0.4}, "start"),)
    marks += ((after, {"mew": 0, "mfc": COLOURS["output"], "ms": 1.5}, "trained"),)
    for values, look, name in marks:
        z = numbers(values)
        bulk = z[np.abs(z) <= 2 * radius]
        ax.plot(np.real(bulk), np.imag(bulk), "o", ls="", label=name, **look)
    z = numbers(after)
    out = z[np.abs(z) > 2 * radius]
    ax.plot(np.real(out), np.imag(out), "o", ms=9, color=COLOURS["output"])
    for size, line in ((radius, {"ls": "--", "lw": 1.2, "ec": COLOURS["theory"]}), (1.0, {"lw": 0.8, "ec": "0.6"})):
        ax.add_patch(Circle((0, 0), size, fill=False, zorder=3, **line))
    ax.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$", aspect="equal")
    return ax


def plot_relative_errors(errors: Mapping[str, Tensor], ax: Axes, *, trained: int) -> Axes:
    """Relative error of the moments against their order, one line for each network; `trained` orders were trained."""
    ax.axvspan(1, trained, color="0.92", lw=0)
    for style, (name, values) in zip(STYLES, errors.items(), strict=False):
        sizes = np.abs(numbers(values))
        line = {key: value for key, value in style.items() if key != "marker"}
        ax.loglog(np.arange(1, len(sizes) + 1), sizes, label=name, **line)
    ax.set(xlabel="order $q$ (steps)", ylabel=r"relative error of $\mu_q$")
    ax.legend()
    return ax


def plot_scaling(
    x: Sequence[float], groups: Mapping[str, Sequence[float] | Tensor], ax: Axes, *, slopes: Sequence[float]
) -> Axes:
    """Values against x on logarithmic axes, each with a dashed line of its theoretical slope through its middle."""
    places = np.asarray(x, dtype=float)
    for style, (name, values), slope in zip(STYLES, groups.items(), slopes, strict=False):
        sizes = numbers(values)
        ax.loglog(places, sizes, ls="", marker=style["marker"], color=style["color"], ms=6, label=name)
        middle = np.exp(np.mean(np.log(sizes) - slope * np.log(places)))
        ax.loglog(places, middle * places**slope, "--", lw=1.2, color=COLOURS["theory"], zorder=0)
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(lambda value, _: np.format_float_positional(value, precision=8, trim="-"))
    ax.set_xticks(places, [f"{place:g}" for place in places])
    ax.legend()
    return ax
