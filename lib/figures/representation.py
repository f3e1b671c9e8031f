"""How a trained network represents an integral."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from lib.analysis.representation import POPULATIONS
from lib.figures.style import COLOURS, MARKERS, numbers


def plot_population_histograms(
    L_plus: Tensor, L_minus: Tensor, labels: Tensor, axes: Sequence[Axes], *, threshold: float = 1e-3
) -> None:
    """Two histograms of the components of L+ and of L- that exceed the threshold, stacked by population (`n` each)."""
    kinds = ("positive", "negative", "shared")
    colours = [COLOURS[kind] for kind in kinds]
    for ax, values, name in zip(axes, (L_plus, L_minus), ("$(L_+)_i$", "$(L_-)_i$"), strict=True):
        edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), 41)
        groups = [numbers(values[(labels == POPULATIONS.index(kind)) & (values > threshold)]) for kind in kinds]
        ax.hist(groups, bins=edges.tolist(), stacked=True, color=colours, label=kinds, edgecolor="white", lw=0.4)
        ax.set(xlabel=f"slope {name}", ylabel="neurons")
    axes[-1].legend(title="population")


def plot_currents(integral: Tensor, currents: Tensor, ax: Axes, *, neurons: dict[str, int]) -> Axes:
    """Current of single neurons against the integral (`B x T x n`, `B x T`); `neurons` names each by its population."""
    y = numbers(integral).ravel()
    for kind, i in neurons.items():
        nu = numbers(currents[..., i]).ravel()
        ax.plot(y, nu, MARKERS[kind], ms=3, mew=0, alpha=0.5, color=COLOURS[kind], label=f"neuron {i} ({kind})")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel=r"integral $\bar y_t$", ylabel=r"current $\nu_{i,t}$")
    ax.legend(markerscale=2)
    return ax


def plot_cosines(integral: Tensor, cosines: Tensor, ax: Axes) -> Axes:
    """Cosine between current and encoder image against the integral (both `B x T`)."""
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.plot(numbers(integral).ravel(), numbers(cosines).ravel(), ".", ms=3, mew=0, alpha=0.5, color=COLOURS["output"])
    ax.set(xlabel=r"integral $\bar y_t$", ylabel=r"$\cos(\nu_t, We)$", ylim=(-1.08, 1.08))
    return ax


def plot_activity(states: Tensor, integral: Tensor, labels: Tensor, axes: Sequence[Axes]) -> None:
    """Mean state of each large population over time, below the integral that it follows (`T x n`, `T`, `n`)."""
    steps = np.arange(len(integral))
    axes[0].axhline(0, color="0.8", lw=0.8, zorder=0)
    axes[0].plot(steps, numbers(integral), color=COLOURS["target"], lw=3)
    axes[0].set(ylabel=r"integral $\bar y_t$", xlabel="time $t$ (steps)")
    for kind, style in (("positive", "-"), ("negative", "--")):
        mean = states[:, labels == POPULATIONS.index(kind)].mean(dim=1)
        axes[1].plot(steps, numbers(mean), style, color=COLOURS[kind], label=f"{kind} population")
    axes[1].set(ylabel="mean state", xlabel="time $t$ (steps)")
    axes[1].legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2)


def plot_singular_values(values: Tensor, ax: Axes, *, outliers: int) -> Axes:
    """Singular values on a logarithmic axis, the first `outliers` of them marked."""
    sizes = numbers(values)
    ranks = np.arange(1, len(sizes) + 1)
    ax.semilogy(ranks[outliers:], sizes[outliers:], ".", color="0.55", ms=4, label="bulk")
    ax.semilogy(ranks[:outliers], sizes[:outliers], "D", color=COLOURS["output"], ms=6, label="outliers")
    ax.set(xlabel="rank", ylabel=r"singular value $\sigma$")
    ax.legend()
    return ax


def plot_manifold(values: Tensor, integral: Tensor, ax: Axes, *, name: str) -> Any:
    """Currents or states in their two main directions, coloured by the integral (`B x T x n`, `B x T`).

    The directions are the first two right singular vectors of the values, without centring: zero stays zero.

    Returns:
        What `Figure.colorbar` takes.
    """
    flat = values.reshape(-1, values.shape[-1]).double()
    directions = torch.linalg.eigh(flat.T @ flat).eigenvectors[:, [-1, -2]]
    places = numbers(flat @ directions)
    y = numbers(integral).ravel()
    places[:, 0] *= np.sign(places[:, 0] @ y)  # positive integrals to the right,
    places[:, 1] *= np.sign(places[np.abs(places[:, 1]).argmax(), 1])  # the largest excursion upwards
    limit = np.abs(y).max()
    points = ax.scatter(*places.T, c=y, cmap="coolwarm", vmin=-limit, vmax=limit, s=5, lw=0)
    reach = 1.08 * np.abs(places).max()
    ax.set(xlabel=f"{name}, first direction", ylabel=f"{name}, second direction", xlim=(-reach, reach))
    ax.set(ylim=(-reach, reach), aspect="equal")
    return points
