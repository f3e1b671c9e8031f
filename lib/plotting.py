"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files.

Colours mean the same thing everywhere and are told apart in grey and by colour-blind readers; line styles differ too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lib.analysis import POPULATIONS

COLOURS = {
    "target": "#8c8c8c",
    "output": "#0b62c4",
    "channel 1": "#d95f02",
    "channel 2": "#14704a",
    "positive": "#c1272d",
    "negative": "#7f74e0",
    "shared": "#3f3f3f",
    "null": "#b5b5b5",
    "excitatory": "#c1272d",
    "inhibitory": "#083d7d",
    "theory": "#000000",
    "alternative": "#8c510a",
}
MARKERS = {"positive": "^", "negative": "v", "shared": "s", "null": "o"}
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def use_style() -> None:
    """Make the book's style the default of this process."""
    plt.rcParams.update(STYLE)


def new_axes(columns: int = 1, *, width: float = 4.2, height: float = 3.0, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, side by side; `width` and `height` are those of one panel, in inches."""
    figure, axes = plt.subplots(1, columns, figsize=(width * columns, height), squeeze=False, **options)
    return figure, list(axes[0])


def _numbers(values: Any) -> np.ndarray:
    """An array for matplotlib from a tensor or a sequence."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def plot_integral(x: Tensor, target: Tensor, ax: Axes, *, output: Tensor | None = None) -> Axes:
    """One input sequence as stems, its integral as a line, and what a network made of it (each `T` long)."""
    steps = np.arange(len(x))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    active = _numbers(x) != 0
    ax.vlines(steps[active], 0, _numbers(x)[active], color="0.35", lw=1, label="input $x_t$")
    ax.plot(steps, _numbers(target), color=COLOURS["target"], lw=3, label=r"target $\bar y_t$")
    if output is not None:
        ax.plot(steps, _numbers(output), color=COLOURS["output"], lw=1.2, ls="--", label="output $y_t$")
    ax.set(xlabel="time $t$ (steps)", ylabel="signal")
    ax.legend()
    return ax


def plot_losses(losses: Tensor | Sequence[float], ax: Axes, *, label: str | None = None, **line: Any) -> Axes:
    """Training loss against the step, both on logarithmic axes."""
    values = _numbers(losses)
    ax.loglog(np.arange(1, len(values) + 1), values, label=label, **({"color": COLOURS["output"], "lw": 1} | line))
    ax.set(xlabel=r"training step $\tau$", ylabel="loss")
    return ax


def plot_population_histograms(
    L_plus: Tensor, L_minus: Tensor, labels: Tensor, axes: Sequence[Axes], *, threshold: float = 1e-3
) -> None:
    """Two histograms of the components of L+ and of L- that exceed the threshold, stacked by population (`n` each)."""
    kinds = ("positive", "negative", "shared")
    colours = [COLOURS[kind] for kind in kinds]
    for ax, values, name in zip(axes, (L_plus, L_minus), ("$(L_+)_i$", "$(L_-)_i$"), strict=True):
        edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), 41)
        groups = [_numbers(values[(labels == POPULATIONS.index(kind)) & (values > threshold)]) for kind in kinds]
        ax.hist(groups, bins=edges.tolist(), stacked=True, color=colours, label=kinds, edgecolor="white", lw=0.4)
        ax.set(xlabel=f"slope {name}", ylabel="neurons")
    axes[-1].legend(title="population")


def plot_currents(integral: Tensor, currents: Tensor, ax: Axes, *, neurons: dict[str, int]) -> Axes:
    """Current of single neurons against the integral (`B x T x n`, `B x T`); `neurons` names each by its population."""
    y = _numbers(integral).ravel()
    for kind, i in neurons.items():
        nu = _numbers(currents[..., i]).ravel()
        ax.plot(y, nu, MARKERS[kind], ms=3, mew=0, alpha=0.5, color=COLOURS[kind], label=f"neuron {i} ({kind})")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel=r"integral $\bar y_t$", ylabel=r"current $\nu_{i,t}$")
    ax.legend(markerscale=2)
    return ax


def plot_cosines(integral: Tensor, cosines: Tensor, ax: Axes) -> Axes:
    """Cosine between current and encoder image against the integral (both `B x T`)."""
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.plot(_numbers(integral).ravel(), _numbers(cosines).ravel(), ".", ms=3, mew=0, alpha=0.5, color=COLOURS["output"])
    ax.set(xlabel=r"integral $\bar y_t$", ylabel=r"$\cos(\nu_t, We)$", ylim=(-1.08, 1.08))
    return ax


def plot_activity(states: Tensor, integral: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Mean state of each large population over time, below the integral that it follows (`T x n`, `T`, `n`)."""
    steps = np.arange(len(integral))
    axes[0].axhline(0, color="0.8", lw=0.8, zorder=0)
    axes[0].plot(steps, _numbers(integral), color=COLOURS["target"], lw=3)
    axes[0].set(ylabel=r"integral $\bar y_t$", xlabel="time $t$ (steps)")
    for kind, style in (("positive", "-"), ("negative", "--")):
        mean = states[:, labels == POPULATIONS.index(kind)].mean(dim=1)
        axes[1].plot(steps, _numbers(mean), style, color=COLOURS[kind], label=f"{kind} population")
    axes[1].set(ylabel="mean state", xlabel="time $t$ (steps)")
    axes[1].legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)


def plot_singular_values(values: Tensor, ax: Axes, *, outliers: int) -> Axes:
    """Singular values on a logarithmic axis, the first `outliers` of them marked."""
    sizes = _numbers(values)
    ranks = np.arange(1, len(sizes) + 1)
    ax.semilogy(ranks[outliers:], sizes[outliers:], ".", color="0.55", ms=4, label="bulk")
    ax.semilogy(ranks[:outliers], sizes[:outliers], "D", color=COLOURS["output"], ms=6, label="outliers")
    ax.set(xlabel="rank", ylabel=r"singular value $\sigma$")
    ax.legend()
    return ax


def draw_network(ax: Axes, *, neurons: int = 7) -> Axes:
    """The two-channel network as a diagram: inputs, encoders, a ring of recurrent neurons, decoders, outputs."""
    angles = 2 * np.pi * np.arange(neurons) / neurons + np.pi / 2
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    for i, j in ((0, 2), (2, 4), (4, 6), (1, 5), (6, 3), (5, 0), (3, 1)):
        arrow = {"arrowstyle": "-|>", "color": "0.6", "lw": 1.1, "shrinkA": 9, "shrinkB": 9}
        arrow |= {"connectionstyle": "arc3,rad=0.15"}
        ax.annotate("", ring[j % neurons], ring[i % neurons], arrowprops=arrow)
    for c, (height, colour) in enumerate(((0.55, COLOURS["channel 1"]), (-0.55, COLOURS["channel 2"])), start=1):
        for neuron in ring[ring[:, 0] < 0.25]:
            ax.plot([-2.6, neuron[0]], [height, neuron[1]], color=colour, lw=0.7, alpha=0.7, zorder=0)
        for neuron in ring[ring[:, 0] > -0.25]:
            ax.plot([2.6, neuron[0]], [height, neuron[1]], color=colour, lw=0.7, alpha=0.7, zorder=0, ls="--")
        ax.text(-2.75, height, f"$x_{{{c},t}}$", ha="right", va="center", color=colour, size=14)
        ax.text(2.75, height, f"$y_{{{c},t}}$", ha="left", va="center", color=colour, size=14)
    ax.plot(*ring.T, "o", ms=17, mfc="white", mec="0.25", mew=1.3, zorder=3)
    ax.text(-1.9, 1.0, "encoders $e_c$", ha="center", size=11)
    ax.text(1.9, 1.0, "decoders $d_c$", ha="center", size=11)
    ax.text(0, -1.45, "weights $W$, states $h_t = f(\\nu_t)$", ha="center", size=11)
    ax.set(xlim=(-3.4, 3.4), ylim=(-1.7, 1.4), aspect="equal")
    ax.axis("off")
    return ax


def plot_pulse(currents: Tensor, states: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Currents and states of some neurons after a pulse (`T x k` each); `labels` are their k populations."""
    steps = np.arange(len(currents))
    for ax, values, name in zip(axes, (currents, states), (r"current $\nu_{i,t}$", "state $h_{i,t}$"), strict=True):
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
        for k, label in enumerate(labels.tolist()):
            kind = POPULATIONS[label]
            ax.plot(steps, _numbers(values[:, k]), "--" if kind == "negative" else "-", color=COLOURS[kind], lw=1.3)
        ax.set(xlabel="time $t$ (steps)", ylabel=name)


def plot_thresholds(lengths: Sequence[int], rates: Sequence[float], ax: Axes, *, label: str, **line: Any) -> Axes:
    """Smallest diverging learning rate against the length of the training sequences, on logarithmic axes."""
    ax.loglog(lengths, rates, label=label, **({"marker": "o", "color": COLOURS["output"]} | line))
    ax.set(xlabel="training length $T$ (steps)", ylabel=r"diverging rate $\eta$", xticks=lengths)
    ax.set_xticklabels([str(length) for length in lengths])
    ax.minorticks_off()
    return ax


def plot_memories(x: Tensor, memories: Tensor, decays: Sequence[float], ax: Axes) -> Axes:
    """One signal (`T`) as marks and several decaying memories of it (`T x k`), from short to long."""
    steps = np.arange(len(x))
    active = _numbers(x) != 0
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.vlines(steps[active], 0, 0.25 * _numbers(x)[active], color="0.35", lw=0.8, label="input $x_t$")
    greys = np.linspace(0.6, 0.0, len(decays))
    styles = ("-", "--", "-.", ":")
    for k, (gamma, grey) in enumerate(zip(decays, greys, strict=True)):
        label = rf"memory, $\gamma={gamma:g}$"
        ax.plot(steps, _numbers(memories[:, k]), styles[k % len(styles)], color=f"{grey:.2f}", label=label)
    ax.set(xlabel="time $t$ (steps)", ylabel="memory")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_manifold(values: Tensor, integral: Tensor, ax: Axes, *, name: str) -> Any:
    """Currents or states in their two main directions, coloured by the integral (`B x T x n`, `B x T`).

    The directions are the first two right singular vectors of the values, without centring: zero stays zero.

    Returns:
        What `Figure.colorbar` takes.
    """
    flat = values.reshape(-1, values.shape[-1]).double()
    directions = torch.linalg.eigh(flat.T @ flat).eigenvectors[:, [-1, -2]]
    places = _numbers(flat @ directions)
    y = _numbers(integral).ravel()
    places[:, 0] *= np.sign(places[:, 0] @ y)  # positive integrals to the right,
    places[:, 1] *= np.sign(places[np.abs(places[:, 1]).argmax(), 1])  # the largest excursion upwards
    limit = np.abs(y).max()
    points = ax.scatter(*places.T, c=y, cmap="coolwarm", vmin=-limit, vmax=limit, s=5, lw=0)
    reach = 1.08 * np.abs(places).max()
    ax.set(xlabel=f"{name}, first direction", ylabel=f"{name}, second direction", xlim=(-reach, reach))
    ax.set(ylim=(-reach, reach), aspect="equal")
    return points


def plot_spread(groups: dict[str, Sequence[float]], ax: Axes, *, paper: float | None = None) -> Axes:
    """Every value of each group as a point, their mean as a bar; the paper's value as an open diamond."""
    for place, values in enumerate(groups.values()):
        sides = place + np.linspace(-0.18, 0.18, len(values))
        ax.plot(sides, values, "o", ms=4, mew=0, color=COLOURS["output"], alpha=0.7)
        ax.hlines(float(np.mean(_numbers(values))), place - 0.28, place + 0.28, color="0.2", lw=2)
    if paper is not None:
        ax.plot(len(groups), paper, "D", ms=7, mfc="none", color=COLOURS["theory"])
    names = [*groups, *([] if paper is None else ["paper"])]
    ax.set(xticks=range(len(names)), xticklabels=names, xlim=(-0.5, len(names) - 0.5), ylim=(0, None))
    return ax
