"""Several integrals in one network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, SERIES, numbers

CHANNELS = [COLOURS["channel 1"], COLOURS["channel 2"], COLOURS["second"]]


def plot_channel_eigenvalues(values: Tensor, decays: Sequence[float], ax: Axes, *, chosen: int) -> Axes:
    """Moduli of the leading eigenvalues by rank (`networks x k`), with the wanted decays as dashes.

    Args:
        chosen: How many of them belong to channels; the others are grey.
    """
    sizes = numbers(values)
    ranks = np.arange(1, sizes.shape[1] + 1)
    for k, rank in enumerate(ranks):
        colour = CHANNELS[k] if k < chosen else "0.55"
        ax.plot(np.full(len(sizes), rank), sizes[:, k], "o", ms=6, mew=0, color=colour)
    for k, gamma in enumerate(decays):
        ax.plot([k + 0.7, k + 1.3], [gamma, gamma], "--", lw=1.5, color=COLOURS["theory"], zorder=0)
    ax.set(xlabel="eigenvalues by size", ylabel=r"eigenvalue $|\lambda|$", xticks=ranks, ylim=(-0.05, 1.1))
    return ax


def plot_channels(outputs: Tensor, targets: Tensor, ax: Axes) -> Axes:
    """Outputs (dashed) over the targets (wide, grey) of every channel, both `T x D`."""
    steps = np.arange(len(outputs))
    for c in range(outputs.shape[1]):
        ax.plot(steps, numbers(targets[:, c]), color=COLOURS["target"], lw=4, alpha=0.5)
        ax.plot(steps, numbers(outputs[:, c]), "--", color=CHANNELS[c], label=f"channel {c + 1}")
    ax.set(xlabel="time $t$ (steps)", ylabel=r"output $y_{c,t}$")
    ax.legend(loc="upper right")
    return ax


def plot_products(product: Tensor, ax: Axes, *, rows: str, columns: str) -> Any:
    """Absolute entries of a `D x D` matrix as shades with their values; the names are those of rows and columns.

    Returns:
        What `Figure.colorbar` takes.
    """
    sizes = np.abs(numbers(product))
    image = ax.imshow(sizes, cmap="Greys", vmin=0, vmax=1)
    for (i, j), size in np.ndenumerate(sizes):
        ax.text(j, i, f"{size:.2f}", ha="center", va="center", color="white" if size > 0.5 else "black", fontsize=9)
    D = len(sizes)
    ax.set(xticks=range(D), yticks=range(D))
    ax.set_xticklabels([f"${columns}_{c + 1}$" for c in range(D)])
    ax.set_yticklabels([rf"${rows}_{c + 1}^\dagger$" for c in range(D)])
    ax.tick_params(length=0)
    return image


def plot_fit_residuals(residuals: Mapping[int, Mapping[int, Sequence[float]]], ax: Axes) -> Axes:
    """Best residual against the number of neurons: for each D, by n, one point for each pair of codes."""
    for (D, found), colour, marker in zip(residuals.items(), SERIES, ("o", "s", "^"), strict=False):
        for k, (n, values) in enumerate(found.items()):
            label = f"$D={D}$" if k == 0 else None
            ax.semilogy([n] * len(values), values, marker, ls="", ms=6, mfc="none", color=colour, label=label)
    ax.set(
        xlabel="neurons $n$", ylabel="best residual", xticks=sorted({n for found in residuals.values() for n in found})
    )
    ax.legend(loc="center right")
    return ax
