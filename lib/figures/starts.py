"""What networks from random starts became, and how their currents bend."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from lib.figures.style import COLOURS, numbers

LOOKS = (  # by the place of a kind: colour, marker, filled
    ("output", "o", True),
    ("output", "o", False),
    ("alternative", "s", True),
    ("alternative", "s", False),
)
APART = 0.03  # of kinds at the same start, in units of the radius


def plot_starts(values: Mapping[str, Mapping[float, Sequence[float]]], ax: Axes) -> None:
    """Every network as a marker over its start, medians as lines, on a logarithmic axis.

    Args:
        values: For each kind, four at most, and each spectral radius of a start, the values of its networks.
        ax: Where to draw.
    """
    for place, (kind, found) in enumerate(values.items()):
        colour, marker, filled = LOOKS[place]
        look = {"color": COLOURS[colour], "mfc": COLOURS[colour] if filled else "white", "ms": 5, "alpha": 0.8}
        shift = APART * (place - (len(values) - 1) / 2)
        medians = [np.median(numbers(one)) for one in found.values()]
        ax.plot(np.asarray(list(found)) + shift, medians, "-" if filled else ":", color=COLOURS[colour], lw=1.2)
        for k, (radius, one) in enumerate(found.items()):
            label = kind if k == 0 else None
            ax.plot(np.full(len(one), radius + shift), numbers(one), marker, ls="none", label=label, **look)
    ax.set_yscale("log")
    ax.set_xlabel("spectral radius of the start")


def plot_bends(coordinates: Mapping[str, np.ndarray], ax: Axes) -> None:
    """Currents in the plane of their two leading principal components, in units of the largest first coordinate.

    Args:
        coordinates: For each kind of network, two at most, `samples x 2` or more.
        ax: Where to draw.
    """
    for (kind, found), (colour, marker) in zip(
        coordinates.items(), (("output", "o"), ("alternative", "s")), strict=False
    ):
        points = numbers(found)[:, :2].astype(float)
        points = points / np.abs(points[:, 0]).max() * [1.0, np.sign(points[:, 1].sum()) or 1.0]
        ax.plot(points[:, 0], points[:, 1], marker, color=COLOURS[colour], ms=3, alpha=0.5, mec="none", label=kind)
    ax.set_xlabel("first principal coordinate")
    ax.set_ylabel("second principal coordinate")
