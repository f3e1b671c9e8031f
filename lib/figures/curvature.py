"""The Hessian at linear integrators: eigenvalues, condition numbers, and how descent contracts (appendices F and G)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, SERIES, numbers


def plot_eigenvalues(alpha: Tensor, eigenvalues: Tensor, ax: Axes, *, poles: Mapping[str, float]) -> Axes:
    """Positive eigenvalues (`m x 3`, ascending) along a curve of one scale; `poles` are named places without one."""
    names = ("smallest", "middle", "largest")
    styles = zip(SERIES, ("-", "--", "-."), strict=False)
    for values, name, (colour, style) in zip(numbers(eigenvalues).T, names, styles, strict=True):
        ax.semilogy(numbers(alpha), values, style, color=colour, label=name)
    for text, place in poles.items():
        ax.axvline(place, color="0.6", lw=1, zorder=0)
        ax.annotate(text, (place, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    ax.set(xlabel=r"$\alpha$, place on the curve", ylabel="eigenvalue of the Hessian")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="positive eigenvalue")
    return ax


def plot_conditions(
    scales: Tensor, curves: Mapping[str, tuple[Tensor, Tensor, float]], ax: Axes, *, draws: Mapping[str, Tensor]
) -> Axes:
    r"""Condition number against the scale, on logarithmic axes (figure 14).

    Args:
        scales: `m`.
        curves: By label: values on the authors' grid, values minimised along the curve (both `m`), and the overlap
            $d^\dagger e$, which is marked by a thin line.
        ax: Where to draw.
        draws: By label: `draws x m` values of single pairs of vectors, thin lines.
    """
    looks = zip(SERIES, "os", strict=False)
    for (label, (grid, refined, overlap)), (colour, marker) in zip(curves.items(), looks, strict=False):
        if label in draws:
            ax.loglog(numbers(scales), numbers(draws[label]).T, color=colour, lw=0.6, alpha=0.35, zorder=1)
        ax.loglog(numbers(scales), numbers(refined), color=colour, label=label, zorder=3)
        ax.loglog(numbers(scales), numbers(grid), marker, color=colour, ms=3.5, mfc="none", mew=0.8, zorder=2)
        if overlap > 0:
            ax.axvline(overlap, color=colour, lw=0.8, ls=":", zorder=0)
    ax.set(xlabel="scale $s$", ylabel="condition number $C(s)$", ylim=(10, 1e7))
    ax.legend(loc="upper center", fontsize=8.5, bbox_to_anchor=(0.5, 1.2))
    return ax


def plot_contraction(
    steps: Sequence[int] | Tensor, runs: Mapping[str, Tensor], ax: Axes, *, theory: Mapping[str, Tensor]
) -> Axes:
    """Distance from an integrator against the step, per learning rate; dashes are what the eigenvalues predict."""
    looks = zip(SERIES, ("-", "-"), strict=False)
    for (label, values), (colour, style) in zip(runs.items(), looks, strict=False):
        ax.semilogy(numbers(steps), numbers(values), style, color=colour, label=label, lw=2.5)
        ax.semilogy(numbers(steps), numbers(theory[label]), "--", color=COLOURS["theory"], lw=1.2)
    ax.set(xlabel=r"training step $\tau$", ylabel="distance from the integrator")
    ax.legend()
    return ax


def plot_stall(steps: Tensor, losses: Tensor, asymmetry: Tensor, ax: Axes) -> Axes:
    """A loss that rests on a saddle while rounding errors grow below it (`m` each)."""
    shown = np.maximum(numbers(asymmetry), 1e-17)
    ax.semilogy(numbers(steps), numbers(losses), color=COLOURS["output"], label="loss")
    ax.semilogy(numbers(steps), shown, "--", color=COLOURS["alternative"], label="asymmetry of the weights")
    ax.set(xlabel=r"training step $\tau$", ylabel="loss, asymmetry")
    ax.legend(loc="lower right")
    return ax
