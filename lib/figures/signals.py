"""The task and the network: inputs, integrals, a pulse on its way."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.analysis.representation import POPULATIONS
from lib.figures.style import COLOURS, numbers


def plot_integral(x: Tensor, target: Tensor, ax: Axes, *, output: Tensor | None = None) -> Axes:
    """One input sequence as stems, its integral as a line, and what a network made of it (each `T` long)."""
    steps = np.arange(len(x))
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    active = numbers(x) != 0
    ax.vlines(steps[active], 0, numbers(x)[active], color="0.35", lw=1, label="input $x_t$")
    ax.plot(steps, numbers(target), color=COLOURS["target"], lw=3, label=r"target $\bar y_t$")
    if output is not None:
        ax.plot(steps, numbers(output), color=COLOURS["output"], lw=1.2, ls="--", label="output $y_t$")
    ax.set(xlabel="time $t$ (steps)", ylabel="signal")
    ax.legend()
    return ax


def plot_memories(x: Tensor, memories: Tensor, decays: Sequence[float], ax: Axes) -> Axes:
    """One signal (`T`) as marks and several decaying memories of it (`T x k`), from short to long."""
    steps = np.arange(len(x))
    active = numbers(x) != 0
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.vlines(steps[active], 0, 0.25 * numbers(x)[active], color="0.35", lw=0.8, label="input $x_t$")
    greys = np.linspace(0.6, 0.0, len(decays))
    styles = ("-", "--", "-.", ":")
    for k, (gamma, grey) in enumerate(zip(decays, greys, strict=True)):
        label = rf"memory, $\gamma={gamma:g}$"
        ax.plot(steps, numbers(memories[:, k]), styles[k % len(styles)], color=f"{grey:.2f}", label=label)
    ax.set(xlabel="time $t$ (steps)", ylabel="memory")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_pulse(currents: Tensor, states: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Currents and states of some neurons after a pulse (`T x k` each); `labels` are their k populations."""
    steps = np.arange(len(currents))
    for ax, values, name in zip(axes, (currents, states), (r"current $\nu_{i,t}$", "state $h_{i,t}$"), strict=True):
        ax.axhline(0, color="0.8", lw=0.8, zorder=0)
        for k, label in enumerate(labels.tolist()):
            kind = POPULATIONS[label]
            ax.plot(steps, numbers(values[:, k]), "--" if kind == "negative" else "-", color=COLOURS[kind], lw=1.3)
        ax.set(xlabel="time $t$ (steps)", ylabel=name)


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
