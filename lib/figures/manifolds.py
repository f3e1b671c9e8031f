"""Integrators reached from W = 0, in the paper's coordinates (appendix E)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, SURFACES, numbers


def plot_minima(ax: Any, *, alpha0: float, beta0: float, reach: float, height: float) -> Any:
    r"""The three surfaces of integrators and the line where two of them meet, on three-dimensional axes.

    Args:
        ax: Axes with `projection="3d"`; x, y and z are $\alpha$, $\beta$ and $\lambda$.
        alpha0: Where $M_\alpha$ cuts the second axis.
        beta0: Where $M_\beta$ cuts the first axis.
        reach: How far the first two axes go to either side.
        height: How far the third goes.
    """
    flat, up = np.meshgrid([-reach, reach], [-height, height])
    x, y = np.meshgrid([-reach, reach], [-reach, reach])
    at = np.full((2, 2), 1.0)
    sides = {"lw": 0.8, "alpha": 0.28, "shade": False}
    ax.plot_surface(x, y, 0 * x, color=SURFACES["sheet"], edgecolor=SURFACES["sheet"], **sides)
    ax.plot_surface(flat, alpha0 * at, up, color=SURFACES["alpha"], edgecolor=SURFACES["alpha"], **sides)
    ax.plot_surface(beta0 * at, flat, up, color=SURFACES["beta"], edgecolor=SURFACES["beta"], **sides)
    ax.plot([beta0] * 2, [alpha0] * 2, [-height, height], color=COLOURS["theory"], lw=3)
    names = {
        "sheet": (-0.85 * reach, -0.8 * reach, 0, r"$\lambda=0$"),
        "alpha": (-0.85 * reach, alpha0, 0.75 * height, r"$M_\alpha$"),
        "beta": (beta0, 0.3 * reach, 0.75 * height, r"$M_\beta$"),
    }
    for key, (a, b, c, text) in names.items():
        ax.text(a, b, c, text, color=SURFACES[key], fontsize=12)
    ax.set(xlabel=r"$\alpha$", ylabel=r"$\beta$", zlabel=r"$\lambda$")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-height, height))
    return ax


def plot_iso_scales(
    alpha: Tensor,
    betas: Sequence[Tensor],
    scales: Sequence[float],
    ax: Axes,
    *,
    alpha0: float,
    beta0: float,
    reach: float,
) -> Axes:
    r"""Curves $\beta_s(\alpha)$ of equal scale in the sheet, and the straight lines of the two odd scales."""
    shades = np.linspace(0.0, 0.75, len(scales))
    base = np.array([11, 98, 196]) / 255
    for beta, scale, shade in zip(betas, scales, shades, strict=True):
        y = numbers(beta).copy()
        y[np.abs(y) > 1.5 * reach] = np.nan  # the branches on either side of the pole are not joined
        ax.plot(numbers(alpha), y, color=tuple(base * (1 - shade) + shade), label=f"$s={scale:g}$", lw=1.8)
    ax.plot([-reach, reach], [-reach, reach], ":", color="0.5", lw=1.2)
    for kind, (across, up), style in (("$s=0$", (alpha0, beta0), "--"), (r"$s=d^\dagger e$", (beta0, alpha0), "-.")):
        colour = COLOURS["theory"] if style == "--" else COLOURS["alternative"]
        ax.axvline(across, color=colour, ls=style, lw=1.2, label=kind)
        ax.axhline(up, color=colour, ls=style, lw=1.2)
    ax.set(xlabel=r"$\alpha$, from the right eigenvector", ylabel=r"$\beta$, from the left eigenvector")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=2.6)
    return ax
