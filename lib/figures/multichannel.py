"""Several channels at once: the plane of two integrals, preferred directions, spectra, weights, decisions, Table 1."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from lib.figures.generic import dashes, finish, heatmap, plain_ticks, zero
from lib.figures.style import COLOURS, numbers


def plot_plane(integrals: Tensor, values: Tensor, ax: Axes) -> Any:
    """The plane of two integrals, every sample coloured by a value, such as a coordinate or the state of a neuron.

    Values of both signs are shown with grey at zero, others from dark to light.

    Args:
        integrals: `B x T x 2`.
        values: `B x T`.

    Returns what `Figure.colorbar` takes.
    """
    y, v = numbers(integrals).reshape(-1, 2), numbers(values).ravel()
    limit, cmap = np.abs(v).max(), "coolwarm"
    low, high = -limit, limit
    if not v.min() < 0 < v.max():
        low, high, cmap = v.min(), v.max(), "viridis"
    points = ax.scatter(*y.T, c=v, s=5, lw=0, cmap=cmap, vmin=low, vmax=high, rasterized=True)
    ax.set(xlabel=r"first integral $\bar y_1$", ylabel=r"second integral $\bar y_2$", aspect="equal")
    return points


def plot_direction(selectivity: Tensor, ax: Axes, *, label: str = "$s_i$") -> Axes:
    """The direction of one neuron's selectivity (two numbers) as an arrow, and the line on which it is silent."""
    s = numbers(selectivity)
    unit = s / np.hypot(*s)
    reach = 0.45 * min(np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim()))
    ax.axline((0, 0), (-unit[1], unit[0]), color=COLOURS["theory"], ls="--", lw=1.2)
    arrow = {"arrowstyle": "-|>", "color": COLOURS["theory"], "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", tuple(reach * unit), (0, 0), arrowprops=arrow)
    ax.annotate(label, tuple(1.12 * reach * unit), ha="center", va="center", color=COLOURS["theory"])
    return ax


def plot_network_spectra(spectra: Sequence[Tensor], ax: Axes, *, outliers: int, first: int = 16) -> Axes:
    """The first singular values of several networks on a logarithmic axis, the leading `outliers` of each marked.

    Networks are spread sideways so that none hides another. Up to eight have markers and shades of their own.
    """
    markers = "oDs^v<>p"
    many = len(spectra) > len(markers)
    step = min(0.15, 0.6 / len(spectra))
    for k, values in enumerate(spectra):
        sizes = numbers(values)[:first]
        ranks = np.arange(1, len(sizes) + 1) + step * (k - (len(spectra) - 1) / 2)
        style = {"ls": "", "marker": markers[0], "ms": 3, "color": COLOURS["output"], "mew": 0}
        label = f"{len(spectra)} networks" if k == 0 else None
        if not many:
            style |= {"marker": markers[k], "ms": 5, "alpha": 1 - 0.15 * (k % 5)}
            label = f"network {k + 1}"
        ax.semilogy(ranks[:outliers], sizes[:outliers], **style, label=label)
        ax.semilogy(ranks[outliers:], sizes[outliers:], **(style | {"color": "0.55", "ms": 2.5}))
    ax.axvline(outliers + 0.5, color="0.6", lw=0.8, ls=":", zorder=0)
    ax.set(xlabel="rank", ylabel=r"singular value $\sigma$")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlim(left=0.4)
    plain_ticks(ax.yaxis, 1, 2, 5)
    ax.minorticks_off()
    ax.legend(handletextpad=0.2)
    return ax


def plot_angles(counts: Tensor, ax: Axes, *, uniform: float, label: str | None = None, **bars: Any) -> Axes:
    r"""Histogram of preferred directions on $(-\pi, \pi]$ against an even spread; the axes may be polar or not.

    Args:
        counts: Neurons in each bin.
        uniform: Neurons per bin if directions are spread evenly.
        label: Of the bars; makes a legend.
        bars: Passed on to `Axes.bar`.
    """
    heights = numbers(counts)
    width = 2 * np.pi / len(heights)
    middles = (np.arange(len(heights)) + 0.5) * width - np.pi
    bars = {"color": COLOURS["output"], "edgecolor": "white", "lw": 0.5} | bars
    ax.bar(middles, heights, width, **bars, label=label)
    around = np.linspace(-np.pi, np.pi, 200)
    dashes(ax, around, np.full_like(around, uniform), lw=1.4, label="even spread")
    quarters, names = np.linspace(-np.pi, np.pi, 5), [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"]
    if ax.name == "polar":
        ax.set_xticks(quarters[1:] % (2 * np.pi), names[1:])
        ax.tick_params(axis="y", labelsize=8)
    else:
        ax.set_xticks(quarters, names)
        ax.set(xlim=(-np.pi, np.pi), ylabel="neurons")
    ax.set(xlabel=r"preferred direction $\theta$")
    if label is not None:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    return ax


def plot_selectivities(s: Tensor, groups: Tensor, ax: Axes, *, names: Sequence[str]) -> Axes:
    """Every neuron as a point at its two selectivities, coloured by its group; those of one integral lie on an axis.

    Args:
        s: `n x 2` selectivities.
        groups: n integers from 0 to at most 2.
        names: Of the groups that may occur; makes a legend if there are several.
    """
    values, which = numbers(s), numbers(groups)
    reach = 1.05 * np.abs(values).max()
    zero(ax)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    looks = zip(("channel 1", "channel 2", "shared"), "os^", strict=True)
    for k, (name, (colour, marker)) in enumerate(zip(names, looks, strict=False)):
        dots: dict[str, Any] = {"ms": 2.5, "mew": 0, "alpha": 0.6, "rasterized": True}
        ax.plot(*values[which == k].T, marker, label=name, color=COLOURS[colour], **dots)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set(xlabel=r"selectivity $s_{i,1}$", ylabel=r"selectivity $s_{i,2}$")
    if len(names) > 1:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3, markerscale=2, handletextpad=0.1, fontsize=9)
    return ax


def plot_sorted_weights(W: Tensor, groups: Tensor, ax: Axes, *, names: Sequence[str] | None = None) -> Any:
    """Weights as a heat map with the neurons sorted by group, lines between groups; zero is white.

    Colours end at the 99th percentile of the absolute weights, so that a few large ones do not hide the others.

    Args:
        W: `n x n`, to and from.
        groups: n integers.
        names: Of the groups, in rising order.

    Returns what `Figure.colorbar` takes.
    """
    which = numbers(groups)
    order = np.argsort(which, kind="stable")
    w = numbers(W)[np.ix_(order, order)]
    limit = float(np.quantile(np.abs(w), 0.99)) or float(np.abs(w).max()) or 1.0
    ends = np.cumsum(np.unique(which, return_counts=True)[1])
    colours: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    image = heatmap(ax, w, borders=ends[:-1], interpolation="antialiased", **colours)
    ax.set(xlabel="from neuron $j$", ylabel="to neuron $i$")
    if names is not None:
        middles = ends - np.diff(ends, prepend=0) / 2 - 0.5
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names, rotation=90, va="center")
        ax.tick_params(length=0)
    return image


def plot_components(vectors: Tensor, excitatory: Tensor, ax: Axes, *, name: str) -> Axes:
    """Histogram of the components of singular vectors, stacked by the type of the neurons (figure 12).

    Args:
        vectors: `n x k`, or `networks x n x k`; all are counted together.
        excitatory: n booleans.
        name: What the components are, such as "$(l_0)_i$".
    """
    v = numbers(vectors)
    v = v.reshape(-1, *v.shape[-2:]) * v.shape[-2] ** 0.5  # components of a unit vector of equal entries are 1
    of_type = numbers(excitatory)
    groups, kinds = [v[:, of_type].ravel(), v[:, ~of_type].ravel()], ("excitatory", "inhibitory")
    reach = 1.02 * np.abs(v).max()
    bars: dict[str, Any] = {"color": [COLOURS[kind] for kind in kinds], "label": kinds, "edgecolor": "white", "lw": 0.3}
    ax.hist(groups, bins=np.linspace(-reach, reach, 61).tolist(), stacked=True, **bars)
    ax.axvline(0, color="0.4", lw=0.8, ls=":")
    ax.set(xlabel=rf"components of {name}, times $\sqrt{{n}}$", ylabel="neurons")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    return ax


def plot_cells(
    names: Sequence[str],
    paper: Sequence[tuple[float, float]],
    series: Mapping[str, Sequence[tuple[float, float] | None]],
    ax: Axes,
    *,
    chance: Sequence[float],
) -> Axes:
    """Table 1, cells from top to bottom on a logarithmic axis: the printed values and any of ours, with their spread.

    Args:
        names: Of the cells.
        paper: Printed value and error of each.
        series: By name, at most three, mean and spread of each cell; None where there are no networks.
        chance: What currents in all directions would give in each cell.
    """
    places = np.arange(len(names), dtype=float)
    shifts = np.linspace(-0.25, 0.25, len(series) + 1)
    values, errors = np.array(paper, dtype=float).T
    bars: dict[str, Any] = {"ls": "", "elinewidth": 1.2, "ms": 6}
    black: dict[str, Any] = {"color": COLOURS["theory"], "mfc": "none"}
    ax.errorbar(values, places + shifts[0], xerr=errors, marker="D", label="paper", **bars, **black)
    looks = (("o", "output", True), ("s", "alternative", True), ("o", "output", False))
    for (label, cells), shift, (marker, colour, filled) in zip(series.items(), shifts[1:], looks, strict=False):
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
    ax.set(xscale="log", ylim=(len(names) - 0.5, -0.5), xlabel="distance of the currents (%)")
    ax.set_yticks(places, names)
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.13), ncol=3)
    return ax


def plot_evidence(integrals: Tensor, ax: Axes) -> Axes:
    """Two integrals and a cue over time (`T x 3`); the one that counts is drawn thick (appendix K)."""
    y = numbers(integrals)
    zero(ax)
    ax.plot(y[:, 2], ":", color=COLOURS["shared"], lw=1.6, label=r"cue $\bar y_3$")
    counts = np.where(y[:, 2] < 0, 1, 2)
    for c, style in ((1, "-"), (2, "--")):
        colour, values = COLOURS[f"channel {c}"], y[:, c - 1]
        ax.plot(values, style, color=colour, lw=1.2, label=rf"integral $\bar y_{c}$")
        ax.plot(np.where(counts == c, values, np.nan), "o", color=colour, ms=4.5, label=f"counts, $c={c}$")
    return finish(ax, "time $t$ (steps)", "integral")


def plot_decisions(outputs: Tensor, wanted: Tensor, ax: Axes) -> Axes:
    """Values of a read-out and wanted decisions over time (T each); a cross where the value is on the wrong side."""
    a, w = numbers(outputs), numbers(wanted)
    zero(ax, 0.5)
    ax.plot(w, drawstyle="steps-mid", color=COLOURS["target"], lw=3, label="wanted")
    ax.plot(a, "o-", color=COLOURS["output"], lw=1, ms=3.5, label="read-out $a_t$")
    wrong = np.flatnonzero((a > 0.5) != (w > 0.5))
    ax.plot(wrong, a[wrong], "x", color=COLOURS["alternative"], ms=9, mew=2, label="wrong")
    return finish(ax, "time $t$ (steps)", "decision", ylim=(-0.1, 1.1), yticks=(0, 0.5, 1))


def plot_accuracies(shares: Mapping[str, float], limits: Sequence[float | None], ax: Axes) -> Axes:
    """One bar per read-out, from the top down; a black tick, dashed, where no read-out of its kind can get beyond.

    Args:
        shares: Right decisions by name.
        limits: The limit of each, None if there is none.
    """
    places = np.arange(len(shares))
    ax.barh(places, list(shares.values()), height=0.55, color=COLOURS["output"])
    label = "limit (theory)"
    for place, limit in zip(places, limits, strict=True):
        if limit is not None:
            dashes(ax, [limit, limit], [place - 0.42, place + 0.42], lw=2, label=label)
            label = None
    ax.set(yticks=places, yticklabels=list(shares), xlabel="share of right decisions", xlim=(0.5, 1))
    ax.invert_yaxis()
    return ax
