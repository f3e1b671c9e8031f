"""Colours, line styles and empty axes.

Colours mean the same thing everywhere and are told apart in grey and by colour-blind readers; line styles differ too.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

COLOURS = {
    "target": "#8c8c8c",
    "output": "#0b62c4",
    "channel 1": "#d95f02",
    "channel 2": "#14704a",
    "positive": "#c1272d",
    "negative": "#7f74e0",
    "shared": "#3f3f3f",
    "null": "#b5b5b5",
    "excitatory": "#c1272d",
    "inhibitory": "#083d7d",
    "theory": "#000000",
    "alternative": "#8c510a",
    "second": "#a3287a",
    "third": "#1f8a9e",
    "fourth": "#6b7d00",
}
SERIES = tuple(COLOURS[name] for name in ("output", "alternative", "second", "third"))
"""Curves of one kind that stand for no concept of their own: sizes, orders, lengths, rates."""
SURFACES = {"sheet": COLOURS["second"], "alpha": COLOURS["third"], "beta": COLOURS["fourth"]}
"""The three surfaces of integrators that training from zero can reach."""
MARKERS = {"positive": "^", "negative": "v", "shared": "s", "null": "o"}
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 2,
}


def use_style() -> None:
    """Make the book's style the default of this process."""
    plt.rcParams.update(STYLE)


def new_axes(columns: int = 1, *, width: float = 4.2, height: float = 3.0, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, side by side; `width` and `height` are those of one panel, in inches."""
    figure, axes = plt.subplots(1, columns, figsize=(width * columns, height), squeeze=False, **options)
    return figure, list(axes[0])


def numbers(values: Any) -> np.ndarray:
    """An array for matplotlib from a tensor or a sequence."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
