"""Training of one number: its path, and the learning rates it bears."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.perturbation import STYLES
from lib.figures.style import COLOURS, numbers


def plot_recursion(simulated: Mapping[str, Tensor], formula: Mapping[str, Tensor], ax: Axes) -> Axes:
    """Weights over training steps (markers) with their formula (dashes), one pair for each name."""
    ax.axhline(1, color=COLOURS["target"], lw=3, alpha=0.5, zorder=0)
    for style, (name, values) in zip(STYLES, simulated.items(), strict=False):
        steps = np.arange(len(values))
        ax.plot(steps, numbers(formula[name]), "--", lw=1, color=COLOURS["theory"], zorder=1)
        ax.plot(steps, numbers(values), ls="", marker=style["marker"], ms=5, color=style["color"], label=name)
    ax.set(xlabel=r"training step $\tau$", ylabel=r"$\omega^{(\tau)}$ / fixed point")
    ax.legend()
    return ax


def plot_limits(rates: Tensor, distances: Tensor, ax: Axes, *, printed: float, right: float, floor: float) -> Axes:
    """Distance from the fixed point after training against the rate; the printed limit as an open diamond.

    Distances below `floor` are drawn there.
    """
    sizes = np.maximum(numbers(distances), floor)
    ax.semilogy(numbers(rates), sizes, "o-", ms=4, lw=1, color=COLOURS["output"], label="after training")
    ax.axvline(right, ls="--", lw=1.2, color=COLOURS["theory"], label="theory")
    ax.plot(printed, floor**0.5, "D", ms=7, mfc="white", color=COLOURS["theory"], label="printed limit", ls="")
    ax.set(xlabel=r"learning rate $\eta P'$", ylabel=r"distance of $\omega$ from the integrator")
    ax.legend(loc="upper left")
    return ax


def plot_polynomials(z: Tensor, values: Mapping[str, Tensor], ax: Axes, *, root: float) -> Axes:
    """Descent polynomials, each divided by its largest modulus, against $\\omega |e|^2$; the root is marked."""
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    for style, (name, heights) in zip(STYLES, values.items(), strict=False):
        y = numbers(heights)
        ax.plot(numbers(z), y / np.abs(y).max(), ls=style["ls"], color=style["color"], label=name)
    ax.plot(root, 0, "o", ms=8, mfc="white", color=COLOURS["theory"], zorder=3)
    ax.set(xlabel=r"$z = \omega\,|e|^2$", ylabel=r"$P$ / largest value")
    ax.legend()
    return ax
