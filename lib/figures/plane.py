"""Several channels at once: the plane of two integrals, preferred directions, spectra, sorted weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.ticker import LogLocator, MaxNLocator
from torch import Tensor

from lib.figures.style import COLOURS, numbers

SIGNED, UNSIGNED = "coolwarm", "viridis"


def plot_plane(integrals: Tensor, values: Tensor, ax: Axes) -> Any:
    """The plane of two integrals, every sample coloured by a value, such as a coordinate or the state of a neuron.

    Values of both signs are shown with grey at zero, others from dark to light.

    Args:
        integrals: `B x T x 2`.
        values: `B x T`.
        ax: Where to draw.

    Returns:
        What `Figure.colorbar` takes.
    """
    y, v = numbers(integrals).reshape(-1, 2), numbers(values).ravel()
    signed = v.min() < 0 < v.max()
    limit = np.abs(v).max()
    limits = {"vmin": -limit, "vmax": limit} if signed else {"vmin": v.min(), "vmax": v.max()}
    points = ax.scatter(*y.T, c=v, s=5, lw=0, cmap=SIGNED if signed else UNSIGNED, rasterized=True, **limits)
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
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.legend(handletextpad=0.2)
    return ax


def plot_angles(counts: Tensor, ax: Axes, *, uniform: float, label: str | None = None, **bars: Any) -> Axes:
    r"""Histogram of preferred directions on $(-\pi, \pi]$ against an even spread; the axes may be polar or not.

    Args:
        counts: Neurons in each bin.
        ax: Where to draw.
        uniform: Neurons per bin if directions are spread evenly.
        label: Of the bars; makes a legend.
        bars: Passed on to `Axes.bar`.
    """
    heights = numbers(counts)
    width = 2 * np.pi / len(heights)
    middles = (np.arange(len(heights)) + 0.5) * width - np.pi
    ax.bar(
        middles, heights, width, **({"color": COLOURS["output"], "edgecolor": "white", "lw": 0.5} | bars), label=label
    )
    around = np.linspace(-np.pi, np.pi, 200)
    line = {"color": COLOURS["theory"], "ls": "--", "lw": 1.4}
    ax.plot(around, np.full_like(around, uniform), **line, label="even spread")
    quarters = np.linspace(-np.pi, np.pi, 5)
    names = [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"]
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


def plot_sorted_weights(W: Tensor, groups: Tensor, ax: Axes, *, names: Sequence[str] | None = None) -> Any:
    """Weights as a heat map with the neurons sorted by group, lines between groups; zero is white.

    Colours end at the 99th percentile of the absolute weights, so that a few large ones do not hide the others.

    Args:
        W: `n x n`, to and from.
        groups: n integers.
        ax: Where to draw.
        names: Of the groups, in rising order.

    Returns:
        What `Figure.colorbar` takes.
    """
    which = numbers(groups)
    order = np.argsort(which, kind="stable")
    w = numbers(W)[np.ix_(order, order)]
    limit = float(np.quantile(np.abs(w), 0.99)) or float(np.abs(w).max()) or 1.0
    image = ax.imshow(w, cmap="RdBu_r", norm=TwoSlopeNorm(0, -limit, limit), interpolation="antialiased")
    ends = np.cumsum(np.unique(which, return_counts=True)[1])
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="0.2", lw=0.8)
        ax.axvline(end - 0.5, color="0.2", lw=0.8)
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
        ax: Where to draw.
        name: What the components are, such as "$(l_0)_i$".
    """
    v = numbers(vectors)
    v = v.reshape(-1, *v.shape[-2:]) * v.shape[-2] ** 0.5  # components of a unit vector of equal entries are 1
    of_type = numbers(excitatory)
    groups = [v[:, of_type].ravel(), v[:, ~of_type].ravel()]
    reach = 1.02 * np.abs(v).max()
    kinds = ("excitatory", "inhibitory")
    colours = [COLOURS[kind] for kind in kinds]
    edges = np.linspace(-reach, reach, 61).tolist()
    ax.hist(groups, bins=edges, stacked=True, color=colours, label=kinds, edgecolor="white", lw=0.3)
    ax.axvline(0, color="0.4", lw=0.8, ls=":")
    ax.set(xlabel=rf"components of {name}, times $\sqrt{{n}}$", ylabel="neurons")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    return ax
