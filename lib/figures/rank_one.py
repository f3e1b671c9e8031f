"""What makes a rectified network integrate: currents on one line, and the leading singular vectors at every scale."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from companion.record import format_number
from lib.analysis.representation import POPULATIONS
from lib.figures.style import COLOURS, MARKERS, SERIES, numbers


def plot_images(x: Any, y: Any, labels: Any, ax: Axes, *, slope: float) -> Axes:
    """Components of one current against those of another (`n` each) by population, with the line of this slope.

    Histograms of both are drawn above and to the right.
    """
    x, y, labels = numbers(x), numbers(y), numbers(labels)
    above = ax.inset_axes((0.0, 1.03, 1.0, 0.17), sharex=ax)
    beside = ax.inset_axes((1.03, 0.0, 0.17, 1.0), sharey=ax)
    kinds = [kind for kind in ("null", "shared", "positive", "negative") if (labels == POPULATIONS.index(kind)).any()]
    members = [labels == POPULATIONS.index(kind) for kind in kinds]
    for kind, chosen in zip(kinds, members, strict=True):
        ax.plot(x[chosen], y[chosen], MARKERS[kind], ms=3, mew=0, alpha=0.6, color=COLOURS[kind], label=kind)
    bars: dict[str, Any] = {"stacked": True, "color": [COLOURS[kind] for kind in kinds], "bins": 40}
    above.hist([x[chosen] for chosen in members], **bars)
    beside.hist([y[chosen] for chosen in members], orientation="horizontal", **bars)
    for side in (above, beside):
        side.axis("off")
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, slope * ends, "--", color=COLOURS["theory"], lw=1.2, label=f"slope {format_number(slope)}")
    return ax


def plot_error_growth(errors: Mapping[str, Any], ax: Axes) -> Axes:
    """Relative output error of some networks against time (`T` each), on logarithmic axes."""
    styles = ((COLOURS["output"], "-"), (COLOURS["alternative"], "--"), (COLOURS["target"], "-."))
    for (name, values), (colour, style) in zip(errors.items(), styles, strict=False):
        steps = np.arange(1, len(values) + 1)
        ax.loglog(steps, numbers(values), style, color=colour, lw=1.5, label=name)
    ax.set(xlabel="time $t$ (steps)", ylabel="relative output error")
    ax.legend()
    return ax


def plot_scale_bounds(
    scales: Sequence[float], ratios: Any, ax: Axes, *, curve: Sequence[float], bound: Any, explicit: Any = None
) -> Axes:
    r"""Leading singular value over the plain bound: networks at `scales` (`scales x networks`), the sharper bound.

    Args:
        scales: $s$ of the trained networks.
        ratios: $\sigma / 2\gamma\max(1, s)$ of each network.
        ax: Axes to draw on.
        curve: $s$ at which the sharper bound is given.
        bound: The same ratio of that bound.
        explicit: The same ratio of one more network at each scale, drawn as crosses.
    """
    ax.axhline(1, color=COLOURS["target"], lw=1, label=r"printed, $2\gamma\,\max(1, s)$")
    ax.plot(curve, numbers(bound), "--", color=COLOURS["theory"], lw=1.5, label="sharper bound")
    points = numbers(ratios)
    ax.plot(np.repeat(scales, points.shape[1]), points.ravel(), "o", ms=4, mew=0, alpha=0.7, color=COLOURS["output"])
    ax.plot([], [], "o", ms=4, color=COLOURS["output"], label="trained")
    if explicit is not None:
        ax.plot(scales, numbers(explicit), "x", ms=6, mew=1.2, color=COLOURS["alternative"], label="written down")
    ax.set(xscale="log", xlabel="scale $s$", ylabel=r"$\sigma\,/\,(2\gamma\,\max(1, s))$")
    ax.legend()
    return ax


def plot_alignments(
    scales: Sequence[float], products: Mapping[str, Any], ax: Axes, *, curve: Sequence[float], theory: Any
) -> Axes:
    """Products of singular vectors with encoder and decoder, mean over networks, against the scale, and one curve.

    Args:
        scales: $s$.
        products: At most three series by label, each with a number for each scale.
        ax: Axes to draw on.
        curve: $s$ at which the theory is given.
        theory: What the text says of the first series.
    """
    looks = zip(SERIES, ("o", "s", "^"), strict=False)
    for (name, values), (colour, marker) in zip(products.items(), looks, strict=False):
        ax.plot(scales, numbers(values), marker + "-", ms=5, lw=1, color=colour, label=name)
    ax.plot(curve, numbers(theory), "--", color=COLOURS["theory"], lw=1.2, label=r"$\min(s, 1)$")
    ax.set(xscale="log", xlabel="scale $s$", ylabel="inner product", ylim=(-0.03, 1.06))
    ax.legend(loc="center right")
    return ax


def plot_weights(W: Any, order: Any, ax: Axes, *, limit: float, border: int) -> Any:
    """Weights of sorted neurons as colours, white at zero, with lines between the two populations.

    Args:
        W: `n x n`.
        order: n indices, the positive population first.
        ax: Axes to draw on.
        limit: Weight of the strongest colours.
        border: Size of the positive population.

    Returns:
        What `Figure.colorbar` takes.
    """
    order = numbers(order)
    sorted_weights = numbers(W)[np.ix_(order, order)]
    picture = ax.imshow(sorted_weights, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="none", rasterized=True)
    for line in (ax.axhline, ax.axvline):
        line(border - 0.5, color="0.2", lw=0.8)
    ax.set(xlabel="from neuron $j$", ylabel="to neuron $i$", xticks=[], yticks=[])
    return picture
