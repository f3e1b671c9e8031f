"""How training goes, and how much its result varies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers


def plot_losses(losses: Tensor | Sequence[float], ax: Axes, *, label: str | None = None, **line: Any) -> Axes:
    """Training loss against the step, both on logarithmic axes."""
    values = numbers(losses)
    ax.loglog(np.arange(1, len(values) + 1), values, label=label, **({"color": COLOURS["output"], "lw": 1} | line))
    ax.set(xlabel=r"training step $\tau$", ylabel="loss")
    return ax


def plot_thresholds(lengths: Sequence[int], rates: Sequence[float], ax: Axes, *, label: str, **line: Any) -> Axes:
    """Smallest diverging learning rate against the length of the training sequences, on logarithmic axes."""
    ax.loglog(lengths, rates, label=label, **({"marker": "o", "color": COLOURS["output"]} | line))
    ax.set(xlabel="training length $T$ (steps)", ylabel=r"diverging rate $\eta$", xticks=lengths)
    ax.set_xticklabels([str(length) for length in lengths])
    ax.minorticks_off()
    return ax


def plot_spread(groups: dict[str, Sequence[float]], ax: Axes, *, paper: float | None = None) -> Axes:
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
