"""The surfaces of integrators that training from zero reaches, and the paths that lead there (appendices E to H)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.generic import finish, series
from lib.figures.style import COLOURS, SURFACES, numbers


def _surfaces(
    ax: Any, sheet: tuple[Any, Any], a: tuple[Any, float], b: tuple[float, Any], up: Any, **look: Any
) -> None:
    r"""The sheet of rank one and the planes of fixed $\beta$ and of fixed $\alpha$, each over its grid (`2 x 2`)."""
    grids = {"sheet": (*sheet, 0 * sheet[0]), "alpha": (a[0], a[1] + 0 * a[0], up), "beta": (b[0] + 0 * b[1], b[1], up)}
    for name, (x, y, z) in grids.items():
        edges = {"edgecolor": SURFACES[name]} if look["lw"] else {}
        ax.plot_surface(x, y, z, color=SURFACES[name], shade=False, **edges, **look)


def plot_surfaces(alpha0: float, beta0: float, paths: Mapping[str, tuple[Any, Any, Any]], ax: Any) -> Any:
    r"""The three surfaces of integrators in the paper's coordinates, and paths, on three-dimensional axes.

    Args:
        alpha0: $\alpha_0$, where the plane of fixed $\beta$ stands.
        beta0: $\beta_0$, where the plane of fixed $\alpha$ stands.
        paths: $\alpha$, $\beta$ and $\lambda$ of the steps of each path, by name.
        ax: Axes with projection "3d".
    """
    reach, low, high = 1.15 * max(abs(alpha0), abs(beta0)), -0.06, 0.6
    a, b = np.meshgrid([0.0, reach], [-reach, 0.0])
    up = np.array([[low] * 2, [high] * 2])
    _surfaces(ax, (a, b), (a, alpha0), (beta0, b.T), up, alpha=0.22, lw=0)
    ax.plot([beta0, beta0], [alpha0, alpha0], [low, high], color="0.25", lw=1, ls=":")
    for (name, path), (colour, style) in zip(paths.items(), (("output", "-"), ("alternative", "--")), strict=False):
        x, y, z = map(numbers, path)
        ax.plot(x, y, z, style, label=name, lw=2.2, color=COLOURS[colour])
        ax.plot(x[-1:], y[-1:], z[-1:], "o", color=COLOURS[colour], ms=6)
        ax.plot(x[:1], y[:1], z[:1], "o", color=COLOURS["theory"], ms=8, mfc="none", mew=1.2)
    ax.text(0.05 * reach, -0.9 * reach, 0.0, "rank one", color=SURFACES["sheet"])
    ax.text(0.1 * reach, alpha0, 0.5, r"$\mathcal{M}_\alpha$", color=SURFACES["alpha"])
    ax.text(beta0, -0.2 * reach, 0.5, r"$\mathcal{M}_\beta$", color=SURFACES["beta"])
    ax.set(xlabel=r"$\alpha$", ylabel=r"$\beta$", zlabel=r"second eigenvalue $\lambda$", zlim=(low, high))
    ax.view_init(elev=18, azim=-112)
    ax.set_box_aspect((1, 1, 0.8), zoom=0.92)
    ax.legend(loc="upper left")
    return ax


def plot_minima(ax: Any, *, alpha0: float, beta0: float, reach: float, height: float) -> Any:
    r"""The three surfaces of integrators and the line where two of them meet, on three-dimensional axes.

    Args:
        ax: Axes with `projection="3d"`; x, y and z are $\alpha$, $\beta$ and $\lambda$.
        alpha0: Where $M_\alpha$ cuts the second axis.
        beta0: Where $M_\beta$ cuts the first axis.
        reach: How far the first two axes go to either side.
        height: How far the third goes.
    """
    x, y = np.meshgrid([-reach, reach], [-reach, reach])
    up = y * height / reach
    _surfaces(ax, (x, y), (x, alpha0), (beta0, x), up, alpha=0.28, lw=0.8)
    ax.plot([beta0] * 2, [alpha0] * 2, [-height, height], color=COLOURS["theory"], lw=3)
    ax.text(-0.85 * reach, -0.8 * reach, 0, r"$\lambda=0$", color=SURFACES["sheet"], fontsize=12)
    ax.text(-0.85 * reach, alpha0, 0.75 * height, r"$M_\alpha$", color=SURFACES["alpha"], fontsize=12)
    ax.text(beta0, 0.3 * reach, 0.75 * height, r"$M_\beta$", color=SURFACES["beta"], fontsize=12)
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
        y = np.where(np.abs(numbers(beta)) > 1.5 * reach, np.nan, numbers(beta))  # branches beside the pole, not joined
        ax.plot(numbers(alpha), y, color=tuple(base * (1 - shade) + shade), label=f"$s={scale:g}$", lw=1.8)
    ax.plot([-reach, reach], [-reach, reach], ":", color="0.5", lw=1.2)
    odd = (("$s=0$", alpha0, beta0, "theory", "--"), (r"$s=d^\dagger e$", beta0, alpha0, "alternative", "-."))
    for name, across, up, colour, style in odd:
        ax.axvline(across, color=COLOURS[colour], ls=style, lw=1.2, label=name)
        ax.axhline(up, color=COLOURS[colour], ls=style, lw=1.2)
    ax.set(xlabel=r"$\alpha$, from the right eigenvector", ylabel=r"$\beta$, from the left eigenvector")
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=2.6)
    return ax


def plot_eigenvalue_paths(paths: Mapping[str, Any], ax: Axes, *, decay: float) -> Axes:
    r"""Both eigenvalues along each path (`steps x 2`, the one that tends to $\gamma$ first), in a plane."""
    looks = [("alternative", "--"), ("second", "-."), ("output", "-")] * len(paths)
    for (name, path), look in zip(paths.items(), looks, strict=False):
        x, y = numbers(path).T
        series(ax, x, {name: y}, looks=[look])
        ax.plot(x[-1], y[-1], "o", color=COLOURS[look[0]], ms=6)
    ax.axvline(decay, color=COLOURS["theory"], ls="--", lw=1)
    return finish(ax, "first eigenvalue", "second eigenvalue", legend={})


def plot_valley(
    paths: Sequence[tuple[Any, Any]], slow: tuple[Any, Any], ax: Axes, *, limit: float, level: float = 1.0
) -> Axes:
    r"""Paths in the plane of x and y, over the level lines of $x^2 y^2$; the axes are the two planes of integrators.

    Args:
        paths: x and y of the steps of each path that ends on a plane.
        slow: The same for the path from W = 0.
        limit: How far the axes go to the negative side, where zero weights lie; a third of it to the other.
        level: Largest level drawn; the others are a factor of four apart.
    """
    x, y = np.meshgrid(*[np.linspace(-limit, limit, 301)] * 2)
    ax.contour(x, y, x**2 * y**2, levels=level * 4.0 ** np.arange(-6, 1), colors="0.8", linewidths=0.8)
    ax.axvline(0, color=SURFACES["beta"], lw=3, alpha=0.6, zorder=1)
    ax.axhline(0, color=SURFACES["alpha"], lw=3, alpha=0.6, zorder=1)
    for path in paths:
        px, py = map(numbers, path)
        ax.plot(px, py, color="0.3", lw=1)
        ax.plot(px[-1], py[-1], "o", color="0.3", ms=4)
    sx, sy = map(numbers, slow)
    ax.plot(sx, sy, color=COLOURS["alternative"], lw=2.2, ls="--", label="from $W = 0$")
    ax.plot(sx[-1], sy[-1], "s", color=COLOURS["alternative"], ms=5)
    ax.plot([], [], color="0.3", lw=1, label="random starts")
    ax.set(xlim=(-limit, limit / 3), ylim=(-limit, limit / 3), aspect="equal")
    ax.set(xlabel=r"$x$, zero where $W e = \gamma e$", ylabel=r"$y$, zero where $W^\dagger d = \gamma d$")
    ax.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none")
    return ax
