"""The task, the network, and how a trained network represents an integral."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from lib.analysis.representation import POPULATIONS
from lib.figures.generic import dashes, finish, series, zero
from lib.figures.style import COLOURS, MARKERS, numbers

_TIME = "time $t$ (steps)"


def plot_integral(x: Tensor, target: Tensor, ax: Axes, *, output: Tensor | None = None) -> Axes:
    """One input sequence as stems, its integral as a line, and what a network made of it (each `T` long)."""
    steps, active = np.arange(len(x)), numbers(x) != 0
    zero(ax)
    ax.vlines(steps[active], 0, numbers(x)[active], color="0.35", lw=1, label="input $x_t$")
    ax.plot(steps, numbers(target), color=COLOURS["target"], lw=3, label=r"target $\bar y_t$")
    if output is not None:
        ax.plot(steps, numbers(output), color=COLOURS["output"], lw=1.2, ls="--", label="output $y_t$")
    return finish(ax, _TIME, "signal", legend={})


def plot_memories(x: Tensor, memories: Tensor, decays: Sequence[float], ax: Axes) -> Axes:
    """One signal (`T`) as marks and several decaying memories of it (`T x k`), from short to long."""
    steps, active = np.arange(len(x)), numbers(x) != 0
    zero(ax)
    ax.vlines(steps[active], 0, 0.25 * numbers(x)[active], color="0.35", lw=0.8, label="input $x_t$")
    greys = np.linspace(0.6, 0.0, len(decays))
    for k, (gamma, grey) in enumerate(zip(decays, greys, strict=True)):
        style = ("-", "--", "-.", ":")[k % 4]
        ax.plot(steps, numbers(memories[:, k]), style, color=f"{grey:.2f}", label=rf"memory, $\gamma={gamma:g}$")
    return finish(ax, _TIME, "memory", legend={"loc": "upper left", "bbox_to_anchor": (1, 1)})


def plot_pulse(currents: Tensor, states: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Currents and states of some neurons after a pulse (`T x k` each); `labels` are their k populations."""
    for ax, values, name in zip(axes, (currents, states), (r"current $\nu_{i,t}$", "state $h_{i,t}$"), strict=True):
        zero(ax)
        for k, label in enumerate(labels.tolist()):
            kind = POPULATIONS[label]
            ax.plot(numbers(values[:, k]), "--" if kind == "negative" else "-", color=COLOURS[kind], lw=1.3)
        ax.set(xlabel=_TIME, ylabel=name)


def draw_network(ax: Axes, *, neurons: int = 7) -> Axes:
    """The two-channel network as a diagram: inputs, encoders, a ring of recurrent neurons, decoders, outputs."""
    angles = 2 * np.pi * np.arange(neurons) / neurons + np.pi / 2
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    for i, j in ((0, 2), (2, 4), (4, 6), (1, 5), (6, 3), (5, 0), (3, 1)):
        arrow = {"arrowstyle": "-|>", "color": "0.6", "lw": 1.1, "shrinkA": 9, "shrinkB": 9}
        arrow |= {"connectionstyle": "arc3,rad=0.15"}
        ax.annotate("", ring[j % neurons], ring[i % neurons], arrowprops=arrow)
    for c, height in ((1, 0.55), (2, -0.55)):
        colour = COLOURS[f"channel {c}"]
        for side, letter, style, place in ((-1, "x", "-", "right"), (1, "y", "--", "left")):
            for neuron in ring[side * ring[:, 0] > -0.25]:
                ends = [side * 2.6, neuron[0]], [height, neuron[1]]
                ax.plot(*ends, color=colour, lw=0.7, alpha=0.7, zorder=0, ls=style)
            ax.text(side * 2.75, height, f"${letter}_{{{c},t}}$", ha=place, va="center", color=colour, size=14)
    ax.plot(*ring.T, "o", ms=17, mfc="white", mec="0.25", mew=1.3, zorder=3)
    ax.text(-1.9, 1.0, "encoders $e_c$", ha="center", size=11)
    ax.text(1.9, 1.0, "decoders $d_c$", ha="center", size=11)
    ax.text(0, -1.45, "weights $W$, states $h_t = f(\\nu_t)$", ha="center", size=11)
    ax.set(xlim=(-3.4, 3.4), ylim=(-1.7, 1.4), aspect="equal")
    ax.axis("off")
    return ax


def plot_population_histograms(
    L_plus: Tensor, L_minus: Tensor, labels: Tensor, axes: Sequence[Axes], *, threshold: float = 1e-3
) -> None:
    """Two histograms of the components of L+ and of L- that exceed the threshold, stacked by population (`n` each)."""
    kinds = ("positive", "negative", "shared")
    bars: dict[str, Any] = {"color": [COLOURS[kind] for kind in kinds], "label": kinds, "edgecolor": "white", "lw": 0.4}
    edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), 41)
    for ax, values, name in zip(axes, (L_plus, L_minus), ("$(L_+)_i$", "$(L_-)_i$"), strict=True):
        groups = [numbers(values[(labels == POPULATIONS.index(kind)) & (values > threshold)]) for kind in kinds]
        ax.hist(groups, bins=edges.tolist(), stacked=True, **bars)
        ax.set(xlabel=f"slope {name}", ylabel="neurons")
    axes[-1].legend(title="population")


def plot_currents(integral: Tensor, currents: Tensor, ax: Axes, *, neurons: Mapping[str, int]) -> Axes:
    """Current of single neurons against the integral (`B x T x n`, `B x T`); `neurons` names each by its population."""
    found = {f"neuron {i} ({kind})": currents[..., i].flatten() for kind, i in neurons.items()}
    looks = [(kind, MARKERS[kind]) for kind in neurons]
    dots: dict[str, Any] = {"ms": 3, "mew": 0, "alpha": 0.5}
    zero(ax)
    labels = r"integral $\bar y_t$", r"current $\nu_{i,t}$"
    return series(ax, integral.flatten(), found, looks=looks, labels=labels, legend={"markerscale": 2}, **dots)


def plot_cosines(integral: Tensor, cosines: Tensor, ax: Axes) -> Axes:
    """Cosine between current and encoder image against the integral (both `B x T`)."""
    zero(ax)
    ax.plot(numbers(integral).ravel(), numbers(cosines).ravel(), ".", ms=3, mew=0, alpha=0.5, color=COLOURS["output"])
    return finish(ax, r"integral $\bar y_t$", r"$\cos(\nu_t, We)$", ylim=(-1.08, 1.08))


def plot_activity(states: Tensor, integral: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Mean state of each large population over time, below the integral that it follows (`T x n`, `T`, `n`)."""
    steps, kinds = np.arange(len(integral)), ("positive", "negative")
    zero(axes[0])
    series(axes[0], steps, {"_": integral}, looks=[("target", "-")], labels=(_TIME, r"integral $\bar y_t$"), lw=3)
    means = {f"{kind} population": states[:, labels == POPULATIONS.index(kind)].mean(dim=1) for kind in kinds}
    above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncol": 2}
    looks = list(zip(kinds, ("-", "--"), strict=True))
    series(axes[1], steps, means, looks=looks, labels=(_TIME, "mean state"), legend=above)


def plot_singular_values(values: Tensor, ax: Axes, *, outliers: int) -> Axes:
    """Singular values on a logarithmic axis, the first `outliers` of them marked."""
    sizes = numbers(values)
    ranks = np.arange(1, len(sizes) + 1)
    ax.semilogy(ranks[outliers:], sizes[outliers:], ".", color="0.55", ms=4, label="bulk")
    ax.semilogy(ranks[:outliers], sizes[:outliers], "D", color=COLOURS["output"], ms=6, label="outliers")
    return finish(ax, "rank", r"singular value $\sigma$", legend={})


def plot_manifold(values: Tensor, integral: Tensor, ax: Axes, *, name: str) -> Any:
    """Currents or states in their two main directions, coloured by the integral (`B x T x n`, `B x T`).

    The directions are the first two right singular vectors of the values, without centring: zero stays zero.

    Returns what `Figure.colorbar` takes.
    """
    flat = values.reshape(-1, values.shape[-1]).double()
    directions = torch.linalg.eigh(flat.T @ flat).eigenvectors[:, [-1, -2]]
    places = numbers(flat @ directions)
    y = numbers(integral).ravel()
    places[:, 0] *= np.sign(places[:, 0] @ y)  # positive integrals to the right,
    places[:, 1] *= np.sign(places[np.abs(places[:, 1]).argmax(), 1])  # the largest excursion upwards
    limit, reach = np.abs(y).max(), 1.08 * np.abs(places).max()
    points = ax.scatter(*places.T, c=y, cmap="coolwarm", vmin=-limit, vmax=limit, s=5, lw=0)
    ax.set(xlabel=f"{name}, first direction", ylabel=f"{name}, second direction")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    return points


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
    dashes(ax, ends, slope * ends, label=f"slope {slope:g}".replace("-", "\N{MINUS SIGN}"))
    return ax
