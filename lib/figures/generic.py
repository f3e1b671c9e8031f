"""What most pictures are made of: named series on common axes, a matrix as colours, lines of theory, plain ticks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from lib.figures.style import COLOURS, numbers

LINES = (("output", "-"), ("alternative", "--"), ("second", "-."), ("third", ":"))
POINTS = (("output", "o"), ("alternative", "s"), ("second", "^"), ("third", "v"))


def series(
    ax: Axes,
    x: Any,
    named: Mapping[str, Any],
    *,
    scale: str = "",
    looks: Sequence[tuple[str, str]] = LINES,
    theory: Mapping[str, tuple[Any, Any]] | None = None,
    labels: tuple[str, str] = ("", ""),
    legend: Mapping[str, Any] | None = None,
    **line: Any,
) -> Axes:
    """Named values against x, each with the next colour and style, and what a theory says in black dashes.

    Args:
        ax: Where to draw.
        x: Common to all series; with None the values of each are counted from 1.
        named: `m` values by name, or `m x k` for k lines of one look, named once; an underscore keeps a name out of
            the legend.
        scale: The axes that are logarithmic: "", "x", "y" or "xy".
        looks: For each series a name of `COLOURS` and the line and marker, as in "s--".
        theory: x and values by name, drawn last.
        labels: Of the two axes; an empty one leaves what is there.
        legend: Options of the legend; without them there is none.
        line: Options of every line of `named`, before those of its look; `ls` replaces its style.

    Raises:
        ValueError: If there are more series than looks.
    """
    if len(named) > len(looks):
        raise ValueError(f"expected at most {len(looks)} series, one for each look, got {len(named)}")
    ax.set(**{f"{axis}scale": "log" for axis in scale})
    for (name, values), (colour, style) in zip(named.items(), looks, strict=False):
        y = numbers(values)
        places = np.arange(1, len(y) + 1) if x is None else numbers(x)
        look: dict[str, Any] = {"color": COLOURS[colour]} | line
        ax.plot(places, y, *([] if "ls" in line else [style]), **look)[0].set_label(name)
    for name, (places, values) in (theory or {}).items():
        dashes(ax, places, values, label=name)
    return finish(ax, *labels, legend=legend)


def finish(ax: Axes, x: str, y: str, *, legend: Mapping[str, Any] | None = None, **options: Any) -> Axes:
    """Label both axes, where the text is not empty, set what else `ax.set` can, make a legend if it has options."""
    ax.set(**{f"{axis}label": text for axis, text in (("x", x), ("y", y)) if text}, **options)
    if legend is not None:
        ax.legend(**legend)
    return ax


def dashes(ax: Axes, x: Any, values: Any, **line: Any) -> None:
    """What a theory says, in black dashes."""
    look: dict[str, Any] = {"color": COLOURS["theory"], "ls": "--", "lw": 1.2} | line
    ax.plot(numbers(x), numbers(values), **look)


def zero(ax: Axes, height: float = 0) -> None:
    """A thin grey line at zero, or at another height, behind everything else."""
    ax.axhline(height, color="0.8", lw=0.8, zorder=0)


def heatmap(ax: Axes, matrix: Any, *, borders: Iterable[float] = (), **options: Any) -> Any:
    """A matrix as colours, rows from the top.

    Args:
        ax: Where to draw.
        matrix: `m x n`.
        borders: After how many rows, and columns, a line is drawn between groups.
        options: Passed on to `Axes.imshow`: the map of colours and the values at its ends.

    Returns what `Figure.colorbar` takes.
    """
    image = ax.imshow(numbers(matrix), **options)
    for border in borders:
        ax.axhline(border - 0.5, color="0.2", lw=0.8)
        ax.axvline(border - 0.5, color="0.2", lw=0.8)
    return image


def plain_ticks(axis: Axis, *steps: float, base: float = 10) -> None:
    """Ticks of a logarithmic axis as plain numbers, at these multiples of powers of the base, and none between."""
    axis.set_major_locator(LogLocator(base=base, subs=steps or (1.0,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
