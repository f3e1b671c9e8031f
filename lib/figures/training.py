"""How training goes: losses over steps, what slows it or makes it unstable, and how much its result varies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.generic import LINES, POINTS, dashes, plain_ticks, series
from lib.figures.style import COLOURS, numbers

_STEP = r"training step $\tau$"


def plot_losses(losses: Tensor | Sequence[float], ax: Axes, *, label: str | None = None, **line: Any) -> Axes:
    """Training loss against the step, both on logarithmic axes."""
    return plot_power_law(np.arange(1, len(losses) + 1), losses, ax, label=label, **line)


def plot_decay(steps: Any, losses: Any, ax: Axes, *, label: str | None = None, scale: str = "y", **line: Any) -> Axes:
    """Loss against the step, one curve for each column of `losses` (`steps x curves`); `scale` as in `series`."""
    look: dict[str, Any] = {"lw": 1} | line
    named, labels = {label or "_": losses}, (_STEP, "loss")
    return series(ax, steps, named, scale=scale, looks=[("output", "-")], labels=labels, **look)


def plot_power_law(
    times: Any, values: Any, ax: Axes, *, law: Any = None, label: str | None = None, **line: Any
) -> Axes:
    """Values on logarithmic axes, one curve for each column, and the law (`times`) that they should follow."""
    plot_decay(times, values, ax, label=label, scale="xy", **line)
    if law is not None:
        dashes(ax, times, law, lw=1.4, label="theory")
    return ax


def plot_stall(steps: Tensor, losses: Tensor, asymmetry: Tensor, ax: Axes) -> Axes:
    """A loss that rests on a saddle while rounding errors grow below it (`m` each)."""
    named = {"loss": losses, "asymmetry of the weights": np.maximum(numbers(asymmetry), 1e-17)}
    return series(ax, steps, named, scale="y", labels=(_STEP, "loss, asymmetry"), legend={"loc": "lower right"})


def plot_contraction(
    steps: Sequence[int] | Tensor, runs: Mapping[str, Tensor], ax: Axes, *, theory: Mapping[str, Tensor]
) -> Axes:
    """Distance from an integrator against the step, per learning rate; dashes are what the eigenvalues predict."""
    predicted = {f"_{name}": (steps, theory[name]) for name in runs}
    looks, labels = [(colour, "-") for colour, _ in LINES], (_STEP, "distance from the integrator")
    return series(ax, steps, runs, scale="y", looks=looks, theory=predicted, labels=labels, legend={}, lw=2.5)


def plot_recursion(simulated: Mapping[str, Tensor], formula: Mapping[str, Tensor], ax: Axes) -> Axes:
    """Weights over training steps (markers) with their formula (dashes), one pair for each name."""
    ax.axhline(1, color=COLOURS["target"], lw=3, alpha=0.5, zorder=0)
    steps = np.arange(len(next(iter(simulated.values()))))
    for name in simulated:
        dashes(ax, steps, formula[name], lw=1, zorder=1)
    labels = _STEP, r"$\omega^{(\tau)}$ / fixed point"
    return series(ax, steps, simulated, looks=POINTS, labels=labels, legend={}, ms=5)


def plot_limits(rates: Tensor, distances: Tensor, ax: Axes, *, printed: float, right: float, floor: float) -> Axes:
    """Distance from the fixed point after training against the rate; the printed limit as an open diamond.

    Distances below `floor` are drawn there.
    """
    sizes = np.maximum(numbers(distances), floor)
    labels = r"learning rate $\eta P'$", r"distance of $\omega$ from the integrator"
    series(ax, rates, {"after training": sizes}, scale="y", looks=[("output", "o-")], labels=labels, ms=4, lw=1)
    ax.axvline(right, ls="--", lw=1.2, color=COLOURS["theory"], label="theory")
    ax.plot(printed, floor**0.5, "D", ms=7, mfc="white", color=COLOURS["theory"], label="printed limit", ls="")
    ax.legend(loc="upper left")
    return ax


def plot_thresholds(lengths: Sequence[int], rates: Sequence[float], ax: Axes, *, label: str, **line: Any) -> Axes:
    """Smallest diverging learning rate against the length of the training sequences, on logarithmic axes."""
    ax.loglog(lengths, rates, label=label, **({"marker": "o", "color": COLOURS["output"]} | line))
    ax.set(xlabel="training length $T$ (steps)", ylabel=r"diverging rate $\eta$")
    ax.set_xticks(lengths, [str(length) for length in lengths])
    ax.minorticks_off()
    return ax


def plot_onset(rates: Sequence[float], growth: Tensor, ax: Axes, *, label: str, colour: str, marker: str) -> Axes:
    r"""Growth of a small error against the learning rate, one line for each network.

    Args:
        rates: In units of $2/\lambda_+$.
        growth: `networks x rates`, largest loss after a kick over the loss right after it.
        label: For the legend, once for all lines.
        colour: A name of `COLOURS`.
        marker: Of the points.
    """
    labels = r"learning rate $\eta\,/\,(2/\lambda_+)$", "growth of the loss"
    look = [(colour, f"{marker}-")]
    return series(ax, rates, {label: numbers(growth).T}, scale="y", looks=look, labels=labels, ms=4, lw=1)


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
        label: For the legend.
        colour: A name of `COLOURS`.
        marker: Of the means.
        line: Style of the line.
    """
    every, c = numbers(values), COLOURS[colour]
    ax.loglog(scales, np.exp(np.log(every).mean(axis=0)), line, color=c, marker=marker, ms=5, label=label, zorder=3)
    ax.fill_between(scales, every.min(axis=0), every.max(axis=0), color=c, alpha=0.2, lw=0)
    ax.set_xlabel("scale $s$")
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    return ax


def plot_prediction(scales: Sequence[float], values: Tensor, ax: Axes, *, label: str = "theory") -> Axes:
    """What theory says at each scale, black dashes, on logarithmic axes."""
    ax.set(xscale="log", yscale="log")
    dashes(ax, scales, values, lw=1.5, label=label, zorder=4)
    return ax


def plot_courses(
    steps: Sequence[int], courses: Mapping[tuple[str, str], Sequence[float]], ax: Axes, *, paper: float
) -> Axes:
    """A ratio of Table 1 along training, by how points are drawn (colour and marker) and by learning rate (line).

    Args:
        steps: Training steps after which it was measured.
        courses: Values for each name of a sampler and of a rate.
        paper: What the paper prints.
    """
    samplers, rates = (list(dict.fromkeys(key[k] for key in courses)) for k in (0, 1))
    named = {f"{sampler}, rate {rate}": values for (sampler, rate), values in courses.items()}
    kinds = [(POINTS[samplers.index(sampler)], rates.index(rate)) for sampler, rate in courses]
    looks = [(colour, marker + ("-", "--")[k]) for (colour, marker), k in kinds]
    series(ax, steps, named, scale="xy", looks=looks, labels=(_STEP, "distance from $l_1$ (%)"), ms=5, lw=1.2)
    ax.axhline(paper, color=COLOURS["theory"], lw=0.8, ls=":")
    ax.plot(steps[-1], paper, "D", ms=7, mfc="none", color=COLOURS["theory"], label="paper", clip_on=False)
    apart = [step for step, later in zip(steps, [*steps[1:], np.inf], strict=True) if later > 1.5 * step]
    ax.set_xticks(apart, labels=[str(step) for step in apart])
    plain_ticks(ax.yaxis, 1, 2, 3, 5)
    ax.minorticks_off()
    return ax


def plot_spread(groups: Mapping[str, Sequence[float]], ax: Axes, *, paper: float | None = None) -> Axes:
    """Every value of each group as a point, their mean as a bar; the paper's value as an open diamond."""
    for place, values in enumerate(groups.values()):
        sides = place + np.linspace(-0.18, 0.18, len(values))
        ax.plot(sides, values, "o", ms=4, mew=0, color=COLOURS["output"], alpha=0.7)
        ax.hlines(float(np.mean(numbers(values))), place - 0.28, place + 0.28, color="0.2", lw=2)
    if paper is not None:
        ax.plot(len(groups), paper, "D", ms=7, mfc="none", color=COLOURS["theory"])
    names = [*groups, *([] if paper is None else ["paper"])]
    ax.set(xticks=range(len(names)), xticklabels=names, xlim=(-0.5, len(names) - 0.5), ylim=(0, None))
    return ax
