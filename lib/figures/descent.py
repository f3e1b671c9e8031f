"""Descent among the integrators of the reduced space: surfaces, paths, and how fast the loss falls."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lib.figures.style import COLOURS, SERIES, SURFACES, numbers

PATHS = [{"color": COLOURS["output"], "ls": "-"}, {"color": COLOURS["alternative"], "ls": "--"}]
EIGENVALUE_PATHS: list[dict[str, Any]] = [PATHS[1], {"color": COLOURS["second"], "ls": "-."}, PATHS[0]]


def plot_surfaces(alpha0: float, beta0: float, paths: dict[str, tuple[Any, Any, Any]], ax: Any) -> Any:
    r"""The three surfaces of integrators in the paper's coordinates, and paths, on three-dimensional axes.

    Args:
        alpha0: $\alpha_0$, where the plane of fixed $\beta$ stands.
        beta0: $\beta_0$, where the plane of fixed $\alpha$ stands.
        paths: $\alpha$, $\beta$ and $\lambda$ of the steps of each path, by name.
        ax: Axes with projection "3d".
    """
    reach = 1.15 * max(abs(alpha0), abs(beta0))
    a, b = np.meshgrid([0.0, reach], [-reach, 0.0])
    low, high = np.array([-0.06, -0.06]), np.array([0.6, 0.6])
    span_a, span_b = a[0], b[:, 0]
    fill = {"alpha": 0.22, "lw": 0, "shade": False}
    ax.plot_surface(a, b, 0 * a, color=SURFACES["sheet"], **fill)
    ax.plot_surface(
        np.stack([span_a] * 2), np.full((2, 2), alpha0), np.stack([low, high]), color=SURFACES["alpha"], **fill
    )
    ax.plot_surface(
        np.full((2, 2), beta0), np.stack([span_b] * 2), np.stack([low, high]), color=SURFACES["beta"], **fill
    )
    ax.plot([beta0, beta0], [alpha0, alpha0], [low[0], high[0]], color="0.25", lw=1, ls=":")
    for style, (name, path) in zip(PATHS, paths.items(), strict=False):
        x, y, z = map(numbers, path)
        ax.plot(x, y, z, label=name, lw=2.2, **style)
        ax.plot(x[-1:], y[-1:], z[-1:], "o", color=style["color"], ms=6)
        ax.plot(x[:1], y[:1], z[:1], "o", color=COLOURS["theory"], ms=8, mfc="none", mew=1.2)
    ax.text(0.05 * reach, -0.9 * reach, 0.0, "rank one", color=SURFACES["sheet"])
    ax.text(0.1 * reach, alpha0, 0.5, r"$\mathcal{M}_\alpha$", color=SURFACES["alpha"])
    ax.text(beta0, -0.2 * reach, 0.5, r"$\mathcal{M}_\beta$", color=SURFACES["beta"])
    ax.set(xlabel=r"$\alpha$", ylabel=r"$\beta$", zlabel=r"second eigenvalue $\lambda$", zlim=(-0.06, 0.6))
    ax.view_init(elev=18, azim=-112)
    ax.set_box_aspect((1, 1, 0.8), zoom=0.92)
    ax.legend(loc="upper left")
    return ax


def plot_eigenvalue_paths(paths: dict[str, Any], ax: Axes, *, decay: float) -> Axes:
    r"""Both eigenvalues along each path (`steps x 2`, the one that tends to $\gamma$ first), in a plane."""
    for style, (name, path) in zip(cycle(EIGENVALUE_PATHS), paths.items(), strict=False):
        x, y = numbers(path).T
        ax.plot(x, y, label=name, **style)
        ax.plot(x[-1], y[-1], "o", color=style["color"], ms=6)
    ax.axvline(decay, color=COLOURS["theory"], ls="--", lw=1)
    ax.set(xlabel="first eigenvalue", ylabel="second eigenvalue")
    ax.legend()
    return ax


def plot_decay(steps: Any, losses: Any, ax: Axes, *, label: str | None = None, **line: Any) -> Axes:
    """Loss on a logarithmic axis against the step, one curve for each column of `losses` (`steps x curves`)."""
    drawn = ax.plot(numbers(steps), numbers(losses), **({"color": COLOURS["output"], "lw": 1} | line))
    drawn[0].set_label(label)
    ax.set(yscale="log", xlabel=r"training step $\tau$", ylabel="loss")
    return ax


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
    grid = np.linspace(-limit, limit, 301)
    x, y = np.meshgrid(grid, grid)
    levels = [level * 4.0**-k for k in range(7)][::-1]
    ax.contour(x, y, x**2 * y**2, levels=levels, colors="0.8", linewidths=0.8)
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


def plot_power_law(
    times: Any, values: Any, ax: Axes, *, law: Any = None, label: str | None = None, **line: Any
) -> Axes:
    """Values on logarithmic axes, one curve for each column, and the law (`times`) that they should follow."""
    drawn = ax.loglog(numbers(times), numbers(values), **({"color": COLOURS["output"], "lw": 1} | line))
    drawn[0].set_label(label)
    if law is not None:
        ax.loglog(numbers(times), numbers(law), color=COLOURS["theory"], ls="--", lw=1.4, label="theory")
    ax.set(xlabel=r"training step $\tau$", ylabel="loss")
    return ax


def plot_moment_branches(moments: Any, traces: Any, ax: Axes, *, target: Any) -> Axes:
    """Moments against their order, one curve for each trace (`curves x orders`); the target in grey.

    The curve that follows the target to the end has dots.
    """
    q = np.arange(1, len(numbers(target)) + 1)
    ax.plot(q, numbers(target), color=COLOURS["target"], lw=5, alpha=0.6, label=r"target $s\gamma^q$")
    looks = list(zip(("--", "-.", ":"), SERIES[1:], strict=True))
    others = iter(looks * len(numbers(moments)))
    for trace, values in zip(numbers(traces), numbers(moments), strict=True):
        follows = abs(values[-1] - numbers(target)[-1]) < 1e-6
        style, colour = ("-", COLOURS["output"]) if follows else next(others)
        marker = "o" if follows else None
        ax.plot(q, values, ls=style, marker=marker, ms=4, color=colour, lw=1.5, label=f"trace {trace:g}")
    ax.set(xlabel="order $q$", ylabel=r"moment $\mu_q$", ylim=(0.0, 3.0))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
