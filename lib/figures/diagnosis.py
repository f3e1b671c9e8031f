"""Many networks, and networks from elsewhere: their capacities, starts, disturbances and bounds, and one diagnosed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor

from lib.analysis.findings import Diagnosis
from lib.figures.generic import POINTS, dashes, finish, plain_ticks
from lib.figures.style import COLOURS, SERIES, numbers

_ABOVE = {"loc": "upper left", "bbox_to_anchor": (0, 1.2), "ncol": 2, "handletextpad": 0.4, "columnspacing": 1}
_CHANNELS = (COLOURS["channel 1"], COLOURS["channel 2"], *SERIES)


def plot_pulses(found: Diagnosis, ax: Axes, *, dots: int = 25) -> Axes:
    """Answer of each channel to a pulse, in its colour, and the decay that was fitted (dashes)."""
    slowest = max([gamma for gamma in found.decays if gamma < 1], default=1.0)
    memories = 5 / (1 - slowest) if slowest < 1 and max(found.decays) < 1 else found.steps
    steps = np.arange(min(found.steps, max(10, int(memories))))
    seen = steps[:: max(1, len(steps) // dots)]
    for c, answer in enumerate(numbers(found.responses)):
        look: dict[str, Any] = {"marker": "os^vDPX*"[c % 8], "color": _CHANNELS[c % len(_CHANNELS)]}
        ax.plot(seen, answer[seen], ms=4.5, ls="", mew=0, label=f"channel {c + 1}", **look)
    for c, (gamma, s) in enumerate(zip(found.decays, found.scales, strict=True)):
        dashes(ax, steps, s * gamma ** (steps + 1), label=r"$s_c\,\gamma_c^{t+1}$" if c == 0 else None)
    return finish(ax, "steps since the pulse $t$", "output $y_c$", legend=_ABOVE)


def plot_sizes_followed(found: Diagnosis, ax: Axes) -> Axes:
    """Relative error of the outputs against the largest integral, the tolerance as dashes, the range as a band."""
    sizes, errors = numbers(found.sizes), numbers(found.size_errors)
    low, high = found.range
    if low == 0:
        ax.axhline(max(errors[0], 1e-16), color=COLOURS["output"], label="network, any size")
        ax.set(xscale="log", yscale="log", xlim=(0.01, 1000))
    else:
        ax.loglog(sizes, errors, "o-", color=COLOURS["output"], ms=4, lw=1.4, label="network")
        if low == low:
            ax.axvspan(low, high, color="0.9", lw=0, zorder=0)
    ax.axhline(found.tolerance, color=COLOURS["theory"], ls="--", lw=1.2, label="tolerance")
    shown = errors[np.isfinite(errors)].clip(1e-16)
    if len(shown):
        ax.set_ylim(min(shown.min(), found.tolerance) / 3, max(shown.max(), found.tolerance) * 3)
    return finish(ax, r"largest integral over scale, $|\bar y_c| / s_c$", "relative error", legend=_ABOVE)


def plot_error_curves(
    curves: Mapping[int, Sequence[tuple[Sequence[float], Sequence[float]]]], ax: Axes, *, levels: Sequence[float] = ()
) -> None:
    """Every network as a thin line over its numbers of channels, both axes logarithmic; dark lines are large networks.

    Args:
        curves: For each number of neurons, the channels and the errors of its networks.
        levels: Errors to mark, as grey lines.
    """
    shades = colormaps["viridis_r"](np.linspace(0.15, 1.0, max(len(curves), 2)))
    for (n, networks), shade in zip(curves.items(), shades, strict=False):
        for k, (channels, errors) in enumerate(networks):
            label = f"n = {n}" if k == 0 else None
            ax.loglog(numbers(channels), numbers(errors), "o-", color=shade, ms=3, lw=1, label=label)
    for level in levels:
        ax.axhline(level, color=COLOURS["target"], lw=1, zorder=0)
    ax.set(xlabel="channels $D$", ylabel="relative output error")
    plain_ticks(ax.xaxis, base=2)
    plain_ticks(ax.yaxis, 1, 2, 5)


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
        laws: For some kinds, points of the fitted law.
        theory: For each prediction, three at most, its points; black, dashed, dotted and dash-dotted.
    """
    for (kind, (n, capacity)), (colour, marker) in zip(found.items(), POINTS, strict=False):
        ax.loglog(numbers(n), numbers(capacity), marker, color=COLOURS[colour], ms=5, alpha=0.7, label=kind)
        if laws and kind in laws:
            ax.loglog(*map(numbers, laws[kind]), "-", color=COLOURS[colour], lw=1.5)
    for (name, points), line in zip((theory or {}).items(), ("--", ":", "-."), strict=False):
        dashes(ax, *points, ls=line, lw=1.5, label=name)
    ax.set(xlabel="neurons $n$", ylabel="capacity $D^*$")
    plain_ticks(ax.xaxis, base=2)
    plain_ticks(ax.yaxis, base=2)


def plot_starts(values: Mapping[str, Mapping[float, Sequence[float]]], ax: Axes) -> None:
    """Every network as a marker over its start, medians as lines, on a logarithmic axis.

    Args:
        values: For each kind, four at most, and each spectral radius of a start, the values of its networks.
    """
    kinds = [(colour, marker, filled) for colour, marker in POINTS[:2] for filled in (True, False)]
    for place, ((kind, found), (name, marker, filled)) in enumerate(zip(values.items(), kinds, strict=False)):
        colour, shift = COLOURS[name], 0.03 * (place - (len(values) - 1) / 2)  # so that none hides another
        look: dict[str, Any] = {"color": colour, "mfc": colour if filled else "white", "ms": 5, "alpha": 0.8}
        medians = [np.median(numbers(one)) for one in found.values()]
        ax.plot(np.asarray(list(found)) + shift, medians, "-" if filled else ":", color=colour, lw=1.2)
        for k, (radius, one) in enumerate(found.items()):
            label = kind if k == 0 else None
            ax.plot(np.full(len(one), radius + shift), numbers(one), marker, ls="none", label=label, **look)
    ax.set(yscale="log", xlabel="spectral radius of the start")


def plot_bends(coordinates: Mapping[str, np.ndarray], ax: Axes) -> None:
    """Currents in the plane of their two leading principal components, in units of the largest first coordinate.

    Args:
        coordinates: For each kind of network, four at most, `samples x 2` or more.
    """
    for (kind, found), (colour, marker) in zip(coordinates.items(), POINTS, strict=False):
        points = numbers(found)[:, :2].astype(float)
        points = points / np.abs(points[:, 0]).max() * [1.0, np.sign(points[:, 1].sum()) or 1.0]
        ax.plot(points[:, 0], points[:, 1], marker, color=COLOURS[colour], ms=3, alpha=0.5, mec="none", label=kind)
    ax.set(xlabel="first principal coordinate", ylabel="second principal coordinate")


def plot_disturbance(
    levels: Sequence[float], errors: Mapping[str, Tensor], ax: Axes, *, predicted: Mapping[str, Tensor] | None = None
) -> None:
    """Every network as a marker and the medians as lines, on a logarithmic axis of errors.

    Args:
        levels: Strengths of the disturbance, K numbers.
        errors: For each kind, two at most, `networks x K` errors.
        predicted: For some kinds K errors that a theory predicts.
    """
    looks = (("output", "o", "-"), ("alternative", "s", "--"))
    for (kind, values), (colour, marker, line) in zip(errors.items(), looks, strict=False):
        found = numbers(values)
        ax.plot(levels, np.median(found, axis=0), line, color=COLOURS[colour], lw=1.5, label=kind)
        ax.plot(levels, found.T, marker, color=COLOURS[colour], ms=4, alpha=0.5, mec="none")
    for number, values in enumerate((predicted or {}).values()):
        dashes(ax, levels, values, ls=":", lw=1.5, label="predicted" if number == 0 else None)
    ax.set(yscale="log", ylabel="relative output error")
    plain_ticks(ax.yaxis, 1, 2, 5)


def plot_margins(ratios: Mapping[str, Tensor], ax: Axes, *, largest: float = 100.0) -> None:
    """One row for each bound, from the top: every number over its bound as a tick, the median as a circle.

    Args:
        ratios: For each bound positive ratios, one of each instance.
        largest: Ratios above this, or below its inverse, are drawn at the edge.
    """
    for place, (_, values) in zip(range(len(ratios))[::-1], ratios.items(), strict=True):
        found = np.clip(numbers(values).ravel(), 1 / largest, largest)
        ax.plot(found, np.full_like(found, place), "|", color=COLOURS["output"], ms=13, mew=0.9, alpha=0.45)
        ax.plot(np.median(found), place, "o", color=COLOURS["output"], ms=6, mec="white", mew=0.8)
    ax.axvline(1, color=COLOURS["theory"], ls="--", lw=1.2)
    ax.set(xscale="log", ylim=(-0.6, len(ratios) - 0.4), xlabel="found over bound")
    ax.set_yticks(range(len(ratios)), [*ratios][::-1])
    ax.xaxis.set_major_formatter("{x:g}")


def plot_cliff(
    eigenvalues: Mapping[str, Tensor], counts: Mapping[str, int], ax: Axes, *, lowest: float = 1e-18
) -> None:
    """Eigenvalues of two matrices by rank, over the largest of each, with lines after the last that should be positive.

    Args:
        eigenvalues: Of each matrix, in any order.
        counts: How many should be positive.
        lowest: What is below is drawn here.
    """
    for (name, values), (colour, marker) in zip(eigenvalues.items(), POINTS[:2], strict=True):
        falling = np.sort(numbers(values))[::-1]
        falling = np.clip(falling / falling[0], lowest, None)[: 2 * max(counts.values())]
        ax.plot(np.arange(1, len(falling) + 1), falling, marker, color=COLOURS[colour], ms=4, mec="none", label=name)
        ax.axvline(counts[name] + 0.5, color=COLOURS[colour], ls="--", lw=1.2)
    ax.set(yscale="log", xlabel="rank of the eigenvalue", ylabel="eigenvalue over the largest")
