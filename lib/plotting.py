"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files.

Colours mean the same thing everywhere and are told apart in grey and by colour-blind readers; line styles differ too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lib.analysis import POPULATIONS

COLOURS = {
    "target": "#8c8c8c",
    "output": "#0b62c4",
    "channel 1": "#d95f02",
    "channel 2": "#1b8a5a",
    "positive": "#c1272d",
    "negative": "#5b4fc9",
    "shared": "#6b6b6b",
    "null": "#b5b5b5",
    "excitatory": "#c1272d",
    "inhibitory": "#0b62c4",
    "theory": "#000000",
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


def plot_population_histograms(L_plus: Tensor, L_minus: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Two histograms of `n` components, of L+ and of L-, stacked by population; counts on a logarithmic axis."""
    kinds = [kind for kind in POPULATIONS if kind != "null"] + ["null"]
    for ax, values, name in zip(axes, (L_plus, L_minus), ("$(L_+)_i$", "$(L_-)_i$"), strict=True):
        edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), 26)
        groups = [_numbers(values[labels == POPULATIONS.index(kind)]) for kind in kinds]
        colours = [COLOURS[kind] for kind in kinds]
        ax.hist(groups, bins=edges.tolist(), stacked=True, color=colours, label=kinds, edgecolor="white", lw=0.4)
        ax.set(xlabel=f"slope {name}", ylabel="neurons", yscale="log")
    axes[-1].legend(title="population")


def plot_currents(integral: Tensor, currents: Tensor, ax: Axes, *, neurons: dict[str, int]) -> Axes:
    """Current of single neurons against the integral (`B x T x n`, `B x T`); `neurons` names each by its population."""
    y = _numbers(integral).ravel()
    for kind, i in neurons.items():
        nu = _numbers(currents[..., i]).ravel()
        ax.plot(y, nu, MARKERS[kind], ms=3, mew=0, alpha=0.5, color=COLOURS[kind], label=f"neuron {i} ({kind})")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel=r"integral $\bar y_t$", ylabel=r"current $\nu_{i,t}$")
    ax.legend()
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
    axes[1].legend()


def plot_singular_values(values: Tensor, ax: Axes, *, outliers: int) -> Axes:
    """Singular values on a logarithmic axis, the first `outliers` of them marked."""
    sizes = _numbers(values)
    ranks = np.arange(1, len(sizes) + 1)
    ax.semilogy(ranks[outliers:], sizes[outliers:], ".", color="0.55", ms=4, label="bulk")
    ax.semilogy(ranks[:outliers], sizes[:outliers], "D", color=COLOURS["output"], ms=6, label="outliers")
    ax.set(xlabel="rank", ylabel=r"singular value $\sigma$")
    ax.legend()
    return ax
