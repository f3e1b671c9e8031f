"""Linear networks: moments, eigenvalues, errors that grow, several channels in one network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from lib.figures.generic import POINTS, dashes, finish, heatmap, plain_ticks, series, zero
from lib.figures.style import COLOURS, SERIES, numbers

_CHANNELS = (COLOURS["channel 1"], COLOURS["channel 2"], COLOURS["second"])


def plot_moments(moments: Tensor, targets: Tensor, ax: Axes, *, trained: int) -> Axes:
    """Moments of several networks (`K x Q`) and an integrator's (`Q`); the first `trained` of them were fitted."""
    q = np.arange(1, len(targets) + 1)
    ax.axvspan(0.5, trained + 0.5, color="0.93", lw=0, zorder=0)
    ax.plot(q, numbers(targets), color=COLOURS["target"], lw=5, alpha=0.7, label=r"integrator, $s\gamma^q$")
    look: dict[str, Any] = {"ms": 5, "lw": 0.9, "alpha": 0.8}
    series(ax, q, {"fitted networks": numbers(moments).T}, looks=[("output", ".-")], **look)
    return finish(ax, "order $q$ (steps)", r"moment $\mu_q$", xlim=(0.5, len(targets) + 0.5))


def plot_moment_errors(errors: Mapping[int, Tensor], ax: Axes) -> Axes:
    """Relative errors of moments (`K x Q` for each training length) on logarithmic axes, one line per network."""
    named = {f"trained on $T={T}$": np.maximum(numbers(values).T, 1e-17) for T, values in errors.items()}
    longest = max(len(values) for values in named.values())
    marked = (np.unique(np.geomspace(1, longest, 20).round().astype(int)) - 1).tolist()  # not too dense at the end
    looks = (("alternative", "s--"), ("output", "o-"), ("theory", "^:"))
    labels = "order $q$ (steps)", r"error $|\mu_q / (s\gamma^q) - 1|$"
    line: dict[str, Any] = {"ms": 3, "lw": 0.9, "markevery": marked}
    return series(ax, None, named, scale="xy", looks=looks, labels=labels, legend={}, **line)


def plot_moment_branches(moments: Any, traces: Any, ax: Axes, *, target: Any) -> Axes:
    """Moments against their order, one curve for each trace (`curves x orders`); the target in grey.

    The curve that follows the target to the end has dots.
    """
    wanted = numbers(target)
    q = np.arange(1, len(wanted) + 1)
    ax.plot(q, wanted, color=COLOURS["target"], lw=5, alpha=0.6, label=r"target $s\gamma^q$")
    named = {f"trace {trace:g}": values for trace, values in zip(numbers(traces), numbers(moments), strict=True)}
    others = iter([*zip(("alternative", "second", "third"), ("--", "-.", ":"), strict=True)] * len(named))
    follows = [abs(values[-1] - wanted[-1]) < 1e-6 for values in named.values()]
    looks = [("output", "o-") if follow else next(others) for follow in follows]
    ax.set_ylim(0.0, 3.0)
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    return series(ax, q, named, looks=looks, labels=("order $q$", r"moment $\mu_q$"), legend=beside, ms=4, lw=1.5)


def plot_sample_means(sizes: Sequence[int], gaps: Tensor, bars: Tensor, ax: Axes) -> Axes:
    """Relative distance of sample means from their expectation, with standard errors, against the sample size."""
    ax.axhline(0, color=COLOURS["theory"], lw=1.2, ls="--", label="closed form")
    ax.errorbar(sizes, numbers(gaps), numbers(bars), fmt="o", ms=4, lw=1.2, color=COLOURS["output"], label="sequences")
    return finish(ax, "sequences", "mean / closed form $- 1$", xscale="log")


def plot_spectra(spectra: Mapping[str, Tensor], ax: Axes, *, floor: float = 1e-12) -> Axes:
    """Eigenvalues of Hessians as shares of the largest, in falling order; those below `floor` lie on it.

    Negative ones are open symbols at their absolute value.
    """
    looks = (*POINTS[:3], ("theory", "D"))
    for (label, values), (name, marker) in zip(spectra.items(), looks, strict=False):
        colour = COLOURS[name]
        shares = np.sort(numbers(values))[::-1] / np.abs(numbers(values)).max()
        ranks, sizes = np.arange(1, len(shares) + 1), np.maximum(np.abs(shares), floor)
        for mask, face in ((shares >= -floor, colour), (shares < -floor, "none")):
            text = label if mask[0] else None
            ax.loglog(ranks[mask], sizes[mask], marker, ms=5, mfc=face, mec=colour, mew=1, label=text)
    return finish(ax, "rank", "share of the largest eigenvalue", legend={})


def plot_polynomials(z: Tensor, values: Mapping[str, Tensor], ax: Axes, *, root: float) -> Axes:
    r"""Descent polynomials, each divided by its largest modulus, against $\omega |e|^2$; the root is marked."""
    zero(ax)
    ax.plot(root, 0, "o", ms=8, mfc="white", color=COLOURS["theory"], zorder=3)
    named = {name: numbers(y) / np.abs(numbers(y)).max() for name, y in values.items()}
    return series(ax, z, named, labels=(r"$z = \omega\,|e|^2$", r"$P$ / largest value"), legend={})


def plot_disk(before: Tensor, after: Tensor, ax: Axes, *, radius: float) -> Axes:
    """Eigenvalues of a start and of the trained network in the complex plane, with the disk of the start (dashed).

    Eigenvalues that end beyond twice the radius are drawn large; the thin arc is the unit circle.
    """
    grey: dict[str, Any] = {"mfc": "none", "mec": "0.55", "ms": 3, "mew": 0.4, "label": "start"}
    blue: dict[str, Any] = {"mew": 0, "mfc": COLOURS["output"], "ms": 1.5, "label": "trained"}
    for z, look in ((numbers(before), grey), (numbers(after), blue)):
        bulk = z[np.abs(z) <= 2 * radius]
        ax.plot(np.real(bulk), np.imag(bulk), "o", ls="", **look)
    out = numbers(after)[np.abs(numbers(after)) > 2 * radius]
    ax.plot(np.real(out), np.imag(out), "o", ms=9, color=COLOURS["output"])
    for size, line in ((radius, {"ls": "--", "lw": 1.2, "ec": COLOURS["theory"]}), (1.0, {"lw": 0.8, "ec": "0.6"})):
        ax.add_patch(Circle((0, 0), size, fill=False, zorder=3, **line))
    return finish(ax, r"Re $\lambda$", r"Im $\lambda$", aspect="equal")


def plot_relative_errors(errors: Mapping[str, Tensor], ax: Axes, *, trained: int) -> Axes:
    """Relative error of the moments against their order, one line for each network; `trained` orders were trained."""
    ax.axvspan(1, trained, color="0.92", lw=0)
    sizes = {name: np.abs(numbers(values)) for name, values in errors.items()}
    labels = "order $q$ (steps)", r"relative error of $\mu_q$"
    return series(ax, None, sizes, scale="xy", labels=labels, legend={})


def plot_scaling(
    x: Sequence[float], groups: Mapping[str, Sequence[float] | Tensor], ax: Axes, *, slopes: Sequence[float]
) -> Axes:
    """Values against x on logarithmic axes, each with a dashed line of its theoretical slope through its middle."""
    places = np.asarray(x, dtype=float)
    series(ax, places, groups, scale="xy", looks=POINTS, legend={}, ms=6)
    for values, slope in zip(groups.values(), slopes, strict=True):
        middle = np.exp(np.mean(np.log(numbers(values)) - slope * np.log(places)))
        dashes(ax, places, middle * places**slope, zorder=0)
    plain_ticks(ax.yaxis, 1, 2, 5)
    ax.yaxis.set_major_formatter(lambda value, _: np.format_float_positional(value, precision=8, trim="-"))
    ax.minorticks_off()
    ax.set_xticks(places, [f"{place:g}" for place in places])
    return ax


def plot_channel_eigenvalues(values: Tensor, decays: Sequence[float], ax: Axes, *, chosen: int) -> Axes:
    """Moduli of the leading eigenvalues by rank (`networks x k`), with the wanted decays as dashes.

    Args:
        chosen: How many of them belong to channels; the others are grey.
    """
    sizes = numbers(values)
    ranks = np.arange(1, sizes.shape[1] + 1)
    for k, rank in enumerate(ranks):
        colour = _CHANNELS[k] if k < chosen else "0.55"
        ax.plot(np.full(len(sizes), rank), sizes[:, k], "o", ms=6, mew=0, color=colour)
    for k, gamma in enumerate(decays):
        dashes(ax, [k + 0.7, k + 1.3], [gamma, gamma], lw=1.5, zorder=0)
    return finish(ax, "eigenvalues by size", r"eigenvalue $|\lambda|$", xticks=ranks, ylim=(-0.05, 1.1))


def plot_channels(outputs: Tensor, targets: Tensor, ax: Axes) -> Axes:
    """Outputs (dashed) over the targets (wide, grey) of every channel, both `T x D`."""
    for c, (output, target) in enumerate(zip(numbers(outputs).T, numbers(targets).T, strict=True)):
        ax.plot(target, color=COLOURS["target"], lw=4, alpha=0.5)
        ax.plot(output, "--", color=_CHANNELS[c], label=f"channel {c + 1}")
    return finish(ax, "time $t$ (steps)", r"output $y_{c,t}$", legend={"loc": "upper right"})


def plot_products(product: Tensor, ax: Axes, *, rows: str, columns: str) -> Any:
    """Absolute entries of a `D x D` matrix as shades with their values; the names are those of rows and columns.

    Returns what `Figure.colorbar` takes.
    """
    sizes = np.abs(numbers(product))
    image = heatmap(ax, sizes, cmap="Greys", vmin=0, vmax=1)
    for (i, j), size in np.ndenumerate(sizes):
        ax.text(j, i, f"{size:.2f}", ha="center", va="center", color="white" if size > 0.5 else "black", fontsize=9)
    channels = range(len(sizes))
    ax.set_xticks(channels, [f"${columns}_{c + 1}$" for c in channels])
    ax.set_yticks(channels, [rf"${rows}_{c + 1}^\dagger$" for c in channels])
    ax.tick_params(length=0)
    return image


def plot_fit_residuals(residuals: Mapping[int, Mapping[int, Sequence[float]]], ax: Axes) -> Axes:
    """Best residual against the number of neurons: for each D, by n, one point for each pair of codes."""
    for (D, found), colour, marker in zip(residuals.items(), SERIES, "os^", strict=False):
        for k, (n, values) in enumerate(found.items()):
            label = f"$D={D}$" if k == 0 else None
            ax.semilogy([n] * len(values), values, marker, ls="", ms=6, mfc="none", color=colour, label=label)
    neurons = sorted({n for found in residuals.values() for n in found})
    return finish(ax, "neurons $n$", "best residual", xticks=neurons, legend={"loc": "center right"})


def plot_eigenvalues(alpha: Tensor, eigenvalues: Tensor, ax: Axes, *, poles: Mapping[str, float]) -> Axes:
    """Positive eigenvalues (`m x 3`, ascending) along a curve of one scale; `poles` are named places without one."""
    smallest, middle, largest = numbers(eigenvalues).T
    named = {"smallest": smallest, "middle": middle, "largest": largest}
    for text, place in poles.items():
        ax.axvline(place, color="0.6", lw=1, zorder=0)
        ax.annotate(text, (place, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    labels = r"$\alpha$, place on the curve", "eigenvalue of the Hessian"
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "title": "positive eigenvalue"}
    return series(ax, alpha, named, scale="y", labels=labels, legend=beside)


def plot_conditions(
    scales: Tensor, curves: Mapping[str, tuple[Tensor, Tensor, float]], ax: Axes, *, draws: Mapping[str, Tensor]
) -> Axes:
    r"""Condition number against the scale, on logarithmic axes (figure 14).

    Args:
        scales: `m`.
        curves: By label: values on the authors' grid, values minimised along the curve (both `m`), and the overlap
            $d^\dagger e$, which is marked by a thin line.
        draws: By label: `draws x m` values of single pairs of vectors, thin lines.
    """
    x = numbers(scales)
    for (label, (grid, refined, overlap)), (name, marker) in zip(curves.items(), POINTS, strict=False):
        colour = COLOURS[name]
        if label in draws:
            ax.loglog(x, numbers(draws[label]).T, color=colour, lw=0.6, alpha=0.35, zorder=1)
        ax.loglog(x, numbers(refined), color=colour, label=label, zorder=3)
        ax.loglog(x, numbers(grid), marker, color=colour, ms=3.5, mfc="none", mew=0.8, zorder=2)
        if overlap > 0:
            ax.axvline(overlap, color=colour, lw=0.8, ls=":", zorder=0)
    ax.set(xlabel="scale $s$", ylabel="condition number $C(s)$", ylim=(10, 1e7))
    ax.legend(loc="upper center", fontsize=8.5, bbox_to_anchor=(0.5, 1.2))
    return ax
