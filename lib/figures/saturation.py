"""How neurons with a bounded activation share a range, and how well they integrate in it."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator
from torch import Tensor

from lib.analysis.tuning import Residuals
from lib.figures.style import COLOURS, SERIES, numbers

INTEGRAL = r"integral $\bar y$"


def plot_neurons(integral: Tensor, states: Tensor, ax: Axes) -> Axes:
    """States of k neurons against the integral, from dark to light (`P`, `P x k`)."""
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, states.shape[1]))
    for values, colour in zip(numbers(states).T, colours, strict=True):
        ax.plot(numbers(integral), values, color=colour, lw=1.5)
    ax.set(xlabel=INTEGRAL, ylabel="state $h_i$", ylim=(-0.03, 1.03))
    return ax


def plot_activity_histogram(edges: Tensor, counts: Tensor, ax: Axes) -> Any:
    """Number of neurons by value of the integral and by activity (`bins + 1`, `bins x levels`), on a log scale.

    Returns:
        What `Figure.colorbar` takes.
    """
    levels = np.linspace(0, 1, counts.shape[1] + 1)
    shown = np.ma.masked_less_equal(numbers(counts).T, 0)
    image = ax.pcolormesh(numbers(edges), levels, shown, norm=LogNorm(), cmap="cividis", rasterized=True)
    ax.set(xlabel=INTEGRAL, ylabel="mean state $h_i$")
    return image


def plot_pair(integral: Tensor, currents: Tensor, states: Tensor, axes: Sequence[Axes], names: Sequence[str]) -> None:
    """Currents (left) and states (right) of two neurons against the integral (`samples`, `samples x 2` twice)."""
    y = numbers(integral)
    for ax, values, what in zip(axes, (currents, states), (r"current $\nu_i$", "state $h_i$"), strict=True):
        for k, (marker, colour) in enumerate((("o", COLOURS["output"]), ("s", COLOURS["alternative"]))):
            ax.plot(y, numbers(values)[:, k], marker, ms=2.5, mew=0, alpha=0.5, color=colour, label=names[k])
        ax.set(xlabel=INTEGRAL, ylabel=what)
    axes[0].legend(markerscale=2)


def plot_range(integral: Tensor, output: Tensor, ax: Axes, *, y_max: float, label: str = r"output $d\cdot h$") -> Axes:
    """What a network says at each integral, against what it should say; the trained range is shaded (`P` both)."""
    y = numbers(integral)
    ax.axvspan(-y_max, y_max, color="0.93", zorder=0)
    ax.plot(y, y, color=COLOURS["target"], lw=4, label="target")
    ax.plot(y, numbers(output), "--", color=COLOURS["output"], label=label)
    ax.set(xlabel=INTEGRAL, ylabel="output $y$")
    ax.legend(loc="upper left")
    return ax


def plot_condition_residuals(residuals: Residuals, ax: Axes, *, y_max: float) -> Axes:
    """Sizes of the residuals of both conditions by integral, that of the output in units of y_max."""
    y = numbers(residuals.y)
    ax.axvspan(-y_max, y_max, color="0.93", zorder=0)
    ax.semilogy(y, np.abs(numbers(residuals.output)) / y_max, color=COLOURS["output"], lw=1, label="output")
    ax.semilogy(y, numbers(residuals.current), "--", color=COLOURS["alternative"], label="current")
    ax.set(xlabel=INTEGRAL, ylabel="residual", ylim=(1e-5, None))
    ax.legend(loc="upper center")
    return ax


def plot_sizes(errors: dict[int, Sequence[float]], slope: float, ax: Axes) -> Axes:
    """Error of every network against its size, geometric means, and a line of this slope through their centre."""
    sizes = np.array(list(errors))
    means = np.array([np.exp(np.mean(np.log(values))) for values in errors.values()])
    for n, values in errors.items():
        ax.loglog([n] * len(values), values, "o", ms=4, mew=0, alpha=0.5, color=COLOURS["output"])
    ax.loglog(sizes, means, "_", ms=16, mew=2, color=COLOURS["output"], label="geometric mean")
    centre = np.exp(np.log(means).mean()) * (sizes / np.exp(np.log(sizes).mean())) ** slope
    ax.loglog(sizes, centre, "--", color=COLOURS["theory"], label=f"$n^{{{slope:g}}}$")
    ax.set(xlabel="neurons $n$", ylabel="rms error", xticks=sizes)
    ax.set_xticklabels([str(n) for n in sizes])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.legend()
    return ax


def plot_table_angles(networks: dict[str, Sequence[Sequence[float]]], ax: Axes, *, paper: float) -> Axes:
    """Distance from the leading singular vector against the angle it makes with We, both in per cent.

    Args:
        networks: For each group of networks, the sines and the distances.
        ax: Where to draw.
        paper: Distance that the paper prints, for an angle that it does not.
    """
    top = 1.1 * max(paper, *(float(np.max(values)) for pair in networks.values() for values in pair))
    ax.plot([0, top], [0, top], "--", color=COLOURS["theory"], label="equal", zorder=0)
    styles = (("o", "output"), ("s", "alternative"), ("^", "second"))
    for (name, (sines, ratios)), (marker, colour) in zip(networks.items(), styles, strict=False):
        ax.plot(numbers(sines), numbers(ratios), marker, ms=6, mew=0, color=COLOURS[colour], label=name)
    ax.plot(0, paper, "D", ms=7, mfc="none", color=COLOURS["theory"], label="paper", clip_on=False)
    ax.set(xlim=(0, top), ylim=(0, top), xlabel="sine of the angle between $We$ and $l_1$ (%)")
    ax.set_ylabel("distance from $l_1$ (%)")
    ax.legend(loc="lower right")
    return ax


def plot_courses(
    steps: Sequence[int], courses: dict[tuple[str, str], Sequence[float]], ax: Axes, *, paper: float
) -> Axes:
    """A ratio of Table 1 along training, by how points are drawn (colour and marker) and by learning rate (line).

    Args:
        steps: Training steps after which it was measured.
        courses: Values for each name of a sampler and of a rate.
        ax: Where to draw.
        paper: What the paper prints.
    """
    samplers, rates = (list(dict.fromkeys(key[k] for key in courses)) for k in (0, 1))
    for (sampler, rate), values in courses.items():
        k = samplers.index(sampler)
        style = {"color": SERIES[k], "marker": "os^"[k], "ms": 5, "lw": 1.2, "ls": ("-", "--")[rates.index(rate)]}
        ax.loglog(steps, numbers(values), label=f"{sampler}, rate {rate}", **style)
    ax.axhline(paper, color=COLOURS["theory"], lw=0.8, ls=":")
    ax.plot(steps[-1], paper, "D", ms=7, mfc="none", color=COLOURS["theory"], label="paper", clip_on=False)
    apart = [step for step, later in zip(steps, [*steps[1:], np.inf], strict=True) if later > 1.5 * step]
    ax.set_xticks(apart, labels=[str(step) for step in apart])
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(xlabel=r"training step $\tau$", ylabel="distance from $l_1$ (%)")
    ax.minorticks_off()
    return ax
