"""What a network from elsewhere does: its answers to pulses, and how far its outputs can be trusted."""

import numpy as np
from matplotlib.axes import Axes

from lib.analysis.diagnosis import Diagnosis
from lib.figures.style import COLOURS, SERIES, numbers

DOTS = ("o", "s", "^", "v", "D", "P", "X", "*")
CHANNELS = [COLOURS["channel 1"], COLOURS["channel 2"], *SERIES]


def plot_pulses(found: Diagnosis, ax: Axes, *, dots: int = 25) -> Axes:
    """Answer of each channel to a pulse, in its colour, and the decay that was fitted (dashes)."""
    slowest = max([gamma for gamma in found.decays if gamma < 1], default=1.0)
    memories = 5 / (1 - slowest) if slowest < 1 and max(found.decays) < 1 else found.steps
    steps = np.arange(min(found.steps, max(10, int(memories))))
    seen = steps[:: max(1, len(steps) // dots)]
    for c, answer in enumerate(numbers(found.responses)):
        mark = {"marker": DOTS[c % len(DOTS)], "ms": 4.5, "ls": "", "mew": 0, "color": CHANNELS[c % len(CHANNELS)]}
        ax.plot(seen, answer[seen], **mark, label=f"channel {c + 1}")
    for c, (gamma, s) in enumerate(zip(found.decays, found.scales, strict=True)):
        label = r"$s_c\,\gamma_c^{t+1}$" if c == 0 else None
        ax.plot(steps, s * gamma ** (steps + 1), color=COLOURS["theory"], ls="--", lw=1.2, label=label)
    ax.set(xlabel="steps since the pulse $t$", ylabel="output $y_c$")
    ax.legend(loc="upper left", bbox_to_anchor=(0, 1.2), ncol=2, handletextpad=0.4, columnspacing=1)
    return ax


def plot_sizes_followed(found: Diagnosis, ax: Axes) -> Axes:
    """Relative error of the outputs against the largest integral, the tolerance as dashes, the range as a band."""
    sizes, errors = numbers(found.sizes), numbers(found.size_errors)
    low, high = found.range
    if low == 0:
        ax.axhline(max(errors[0], 1e-16), color=COLOURS["output"], label="network, any size")
        ax.set(xscale="log", yscale="log", xlim=(0.01, 1000))
    else:
        ax.loglog(sizes, errors, "o-", color=COLOURS["output"], ms=4, lw=1.4, label="network")
        if low == low:
            ax.axvspan(low, high, color="0.9", lw=0, zorder=0)
    ax.axhline(found.tolerance, color=COLOURS["theory"], ls="--", lw=1.2, label="tolerance")
    shown = errors[np.isfinite(errors)].clip(1e-16)
    if len(shown):
        ax.set_ylim(min(shown.min(), found.tolerance) / 3, max(shown.max(), found.tolerance) * 3)
    ax.set(xlabel=r"largest integral over scale, $|\bar y_c| / s_c$", ylabel="relative error")
    ax.legend(loc="upper left", bbox_to_anchor=(0, 1.2), ncol=2, handletextpad=0.4, columnspacing=1)
    return ax
