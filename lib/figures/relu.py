"""Networks of rectified and of bounded neurons: singular vectors at every scale, how neurons share a range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from torch import Tensor

from lib.analysis.tuning import Residuals
from lib.figures.generic import LINES, POINTS, dashes, finish, heatmap, plain_ticks, series
from lib.figures.style import COLOURS, numbers

_INTEGRAL = r"integral $\bar y$"


def plot_error_growth(errors: Mapping[str, Any], ax: Axes) -> Axes:
    """Relative output error of some networks against time (`T` each), on logarithmic axes."""
    looks, labels = (*LINES[:2], ("target", "-.")), ("time $t$ (steps)", "relative output error")
    return series(ax, None, errors, scale="xy", looks=looks, labels=labels, legend={}, lw=1.5)


def plot_scale_bounds(
    scales: Sequence[float], ratios: Any, ax: Axes, *, curve: Sequence[float], bound: Any, explicit: Any = None
) -> Axes:
    r"""Leading singular value over the plain bound: networks at `scales` (`scales x networks`), the sharper bound.

    Args:
        scales: $s$ of the trained networks.
        ratios: $\sigma / 2\gamma\max(1, s)$ of each network.
        curve: $s$ at which the sharper bound is given.
        bound: The same ratio of that bound.
        explicit: The same ratio of one more network at each scale, drawn as crosses.
    """
    ax.axhline(1, color=COLOURS["target"], lw=1, label=r"printed, $2\gamma\,\max(1, s)$")
    dashes(ax, curve, bound, lw=1.5, label="sharper bound")
    ax.plot(scales, numbers(ratios), "o", ms=4, mew=0, alpha=0.7, color=COLOURS["output"])
    ax.plot([], [], "o", ms=4, color=COLOURS["output"], label="trained")
    if explicit is not None:
        ax.plot(scales, numbers(explicit), "x", ms=6, mew=1.2, color=COLOURS["alternative"], label="written down")
    return finish(ax, "scale $s$", r"$\sigma\,/\,(2\gamma\,\max(1, s))$", xscale="log", legend={})


def plot_alignments(
    scales: Sequence[float], products: Mapping[str, Any], ax: Axes, *, curve: Sequence[float], theory: Any
) -> Axes:
    """Products of singular vectors with encoder and decoder, mean over networks, against the scale, and one curve.

    Args:
        scales: $s$.
        products: At most four series by label, each with a number for each scale.
        curve: $s$ at which the theory is given.
        theory: What the text says of the first series.
    """
    looks, labels = [(colour, marker + "-") for colour, marker in POINTS], ("scale $s$", "inner product")
    text = {r"$\min(s, 1)$": (curve, theory)}
    ax.set_ylim(-0.03, 1.06)
    right = {"loc": "center right"}
    return series(ax, scales, products, scale="x", looks=looks, theory=text, labels=labels, legend=right, ms=5, lw=1)


def plot_weights(W: Any, order: Any, ax: Axes, *, limit: float, border: int) -> Any:
    """Weights of sorted neurons as colours, white at zero, with lines between the two populations.

    Args:
        W: `n x n`.
        order: n indices, the positive population first.
        limit: Weight of the strongest colours.
        border: Size of the positive population.

    Returns what `Figure.colorbar` takes.
    """
    w = numbers(W)[np.ix_(numbers(order), numbers(order))]
    colours: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    picture = heatmap(ax, w, borders=[border], interpolation="none", rasterized=True, **colours)
    ax.set(xlabel="from neuron $j$", ylabel="to neuron $i$", xticks=[], yticks=[])
    return picture


def plot_neurons(integral: Tensor, states: Tensor, ax: Axes) -> Axes:
    """States of k neurons against the integral, from dark to light (`P`, `P x k`)."""
    ax.set_prop_cycle(color=colormaps["viridis"](np.linspace(0, 0.9, states.shape[1])))
    ax.plot(numbers(integral), numbers(states), lw=1.5)
    return finish(ax, _INTEGRAL, "state $h_i$", ylim=(-0.03, 1.03))


def plot_activity_histogram(edges: Tensor, counts: Tensor, ax: Axes) -> Any:
    """Number of neurons by value of the integral and by activity (`bins + 1`, `bins x levels`), on a log scale.

    Returns what `Figure.colorbar` takes.
    """
    levels = np.linspace(0, 1, counts.shape[1] + 1)
    shown = np.ma.masked_less_equal(numbers(counts).T, 0)
    image = ax.pcolormesh(numbers(edges), levels, shown, norm=LogNorm(), cmap="cividis", rasterized=True)
    ax.set(xlabel=_INTEGRAL, ylabel="mean state $h_i$")
    return image


def plot_pair(integral: Tensor, currents: Tensor, states: Tensor, axes: Sequence[Axes], names: Sequence[str]) -> None:
    """Currents (left) and states (right) of two neurons against the integral (`samples`, `samples x 2` twice)."""
    dots: dict[str, Any] = {"ms": 2.5, "mew": 0, "alpha": 0.5}
    for ax, values, what in zip(axes, (currents, states), (r"current $\nu_i$", "state $h_i$"), strict=True):
        named = dict(zip(names, numbers(values).T, strict=True))
        series(ax, integral, named, looks=POINTS, labels=(_INTEGRAL, what), **dots)
    axes[0].legend(markerscale=2)


def plot_range(integral: Tensor, output: Tensor, ax: Axes, *, y_max: float, label: str = r"output $d\cdot h$") -> Axes:
    """What a network says at each integral, against what it should say; the trained range is shaded (`P` both)."""
    y = numbers(integral)
    ax.axvspan(-y_max, y_max, color="0.93", zorder=0)
    ax.plot(y, y, color=COLOURS["target"], lw=4, label="target")
    ax.plot(y, numbers(output), "--", color=COLOURS["output"], label=label)
    return finish(ax, _INTEGRAL, "output $y$", legend={"loc": "upper left"})


def plot_condition_residuals(residuals: Residuals, ax: Axes, *, y_max: float) -> Axes:
    """Sizes of the residuals of both conditions by integral, that of the output in units of y_max."""
    y = numbers(residuals.y)
    ax.axvspan(-y_max, y_max, color="0.93", zorder=0)
    ax.semilogy(y, np.abs(numbers(residuals.output)) / y_max, color=COLOURS["output"], lw=1, label="output")
    ax.semilogy(y, numbers(residuals.current), "--", color=COLOURS["alternative"], label="current")
    return finish(ax, _INTEGRAL, "residual", ylim=(1e-5, None), legend={"loc": "upper center"})


def plot_sizes(errors: Mapping[int, Sequence[float]], slope: float, ax: Axes) -> Axes:
    """Error of every network against its size, geometric means, and a line of this slope through their centre."""
    sizes = np.array(list(errors))
    means = np.array([np.exp(np.mean(np.log(values))) for values in errors.values()])
    for n, values in errors.items():
        ax.loglog([n] * len(values), values, "o", ms=4, mew=0, alpha=0.5, color=COLOURS["output"])
    ax.loglog(sizes, means, "_", ms=16, mew=2, color=COLOURS["output"], label="geometric mean")
    centre = np.exp(np.log(means).mean()) * (sizes / np.exp(np.log(sizes).mean())) ** slope
    dashes(ax, sizes, centre, lw=2, label=f"$n^{{{slope:g}}}$")
    ax.set(xlabel="neurons $n$", ylabel="rms error")
    ax.set_xticks(sizes, [str(n) for n in sizes])
    plain_ticks(ax.yaxis, 1, 2, 5)
    ax.minorticks_off()
    ax.legend()
    return ax


def plot_table_angles(networks: Mapping[str, Sequence[Sequence[float]]], ax: Axes, *, paper: float) -> Axes:
    """Distance from the leading singular vector against the angle it makes with We, both in per cent.

    Args:
        networks: For each group of networks, the sines and the distances.
        paper: Distance that the paper prints, for an angle that it does not.
    """
    top = 1.1 * max(paper, *(float(np.max(values)) for pair in networks.values() for values in pair))
    dashes(ax, [0, top], [0, top], lw=2, label="equal", zorder=0)
    for (name, (sines, ratios)), look in zip(networks.items(), POINTS, strict=False):
        series(ax, sines, {name: ratios}, looks=[look], ms=6, mew=0)
    ax.plot(0, paper, "D", ms=7, mfc="none", color=COLOURS["theory"], label="paper", clip_on=False)
    ax.set(xlim=(0, top), ylim=(0, top), xlabel="sine of the angle between $We$ and $l_1$ (%)")
    ax.set_ylabel("distance from $l_1$ (%)")
    ax.legend(loc="lower right")
    return ax
