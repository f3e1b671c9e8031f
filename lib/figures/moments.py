"""Moments of linear networks, how far they are from an integrator's, and the loss around it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.style import COLOURS, numbers


def plot_moments(moments: Tensor, targets: Tensor, ax: Axes, *, trained: int) -> Axes:
    """Moments of several networks (`K x Q`) and an integrator's (`Q`); the first `trained` of them were fitted."""
    q = np.arange(1, len(targets) + 1)
    ax.axvspan(0.5, trained + 0.5, color="0.93", lw=0, zorder=0)
    ax.plot(q, numbers(targets), color=COLOURS["target"], lw=5, alpha=0.7, label=r"integrator, $s\gamma^q$")
    for k, values in enumerate(numbers(moments)):
        label = "fitted networks" if k == 0 else None
        ax.plot(q, values, ".-", ms=5, lw=0.9, color=COLOURS["output"], alpha=0.8, label=label)
    ax.set(xlabel="order $q$ (steps)", ylabel=r"moment $\mu_q$", xlim=(0.5, len(targets) + 0.5))
    return ax


def plot_moment_errors(errors: Mapping[int, Tensor], ax: Axes) -> Axes:
    """Relative errors of moments (`K x Q` for each training length) on logarithmic axes, one line per network."""
    colours = (COLOURS["alternative"], COLOURS["output"], COLOURS["theory"])
    for (T, values), colour, style in zip(errors.items(), colours, ("s--", "o-", "^:"), strict=False):
        q = np.arange(1, values.shape[-1] + 1)
        marked = (np.unique(np.geomspace(1, len(q), 20).round().astype(int)) - 1).tolist()  # not too dense at the end
        for k, line in enumerate(numbers(values)):
            label = f"trained on $T={T}$" if k == 0 else None
            ax.loglog(q, np.maximum(line, 1e-17), style, ms=3, lw=0.9, markevery=marked, color=colour, label=label)
    ax.set(xlabel="order $q$ (steps)", ylabel=r"error $|\mu_q / (s\gamma^q) - 1|$")
    ax.legend()
    return ax


def plot_sample_means(sizes: Sequence[int], gaps: Tensor, bars: Tensor, ax: Axes) -> Axes:
    """Relative distance of sample means from their expectation, with standard errors, against the sample size."""
    ax.axhline(0, color=COLOURS["theory"], lw=1.2, ls="--", label="closed form")
    ax.errorbar(sizes, numbers(gaps), numbers(bars), fmt="o", ms=4, lw=1.2, color=COLOURS["output"], label="sequences")
    ax.set(xscale="log", xlabel="sequences", ylabel="mean / closed form $- 1$")
    return ax


def plot_spectra(spectra: Mapping[str, Tensor], ax: Axes, *, floor: float = 1e-12) -> Axes:
    """Eigenvalues of Hessians as shares of the largest, in falling order; those below `floor` lie on it.

    Negative ones are open symbols at their absolute value.
    """
    markers = {"o": COLOURS["output"], "s": COLOURS["alternative"], "^": COLOURS["second"], "D": COLOURS["theory"]}
    for (label, values), (marker, colour) in zip(spectra.items(), markers.items(), strict=False):
        shares = np.sort(numbers(values))[::-1] / np.abs(numbers(values)).max()
        ranks, sizes = np.arange(1, len(shares) + 1), np.maximum(np.abs(shares), floor)
        for mask, face in ((shares >= -floor, colour), (shares < -floor, "none")):
            name = label if mask[0] else None
            ax.loglog(ranks[mask], sizes[mask], marker, ms=5, mfc=face, mec=colour, mew=1, label=name)
    ax.set(xlabel="rank", ylabel="share of the largest eigenvalue")
    ax.legend()
    return ax
