"""What an explorer shows at one setting: curves, axes and numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from companion.record import format_number
from lib.figures.style import COLOURS, numbers

KINDS = ("line", "dashed", "points")
DIGITS = 3  # of a number that is shown


class Curve(NamedTuple):
    """One line of a picture, or a set of points."""

    name: str  # for the legend, unique in the picture
    x: Any  # sequence or tensor of numbers
    y: Any  # the same length; NaN interrupts a line
    concept: str = "output"  # key of `lib.figures.style.COLOURS`
    kind: str = "line"  # line, dashed or points


@dataclass(frozen=True)
class Picture:
    """Curves over one pair of axes, and the numbers that belong to them.

    Attributes:
        curves: What is drawn, later ones on top.
        x_label: What the horizontal axis shows, in words.
        y_label: The same for the vertical axis.
        numbers: What is shown as text below, by name; texts are shown as they are.
        x_range: Ends of the axis; None is the range of all curves at all settings.
        y_range: The same for the vertical axis.
        x_log: Whether the axis is logarithmic.
        y_log: The same for the vertical axis.

    Raises:
        ValueError: no curve, a name used twice, an unknown colour or kind, lengths that differ.
    """

    curves: Sequence[Curve]
    x_label: str
    y_label: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_log: bool = False
    y_log: bool = False

    def __post_init__(self) -> None:
        names = [curve.name for curve in self.curves]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"curves must have different names, got {names}")
        for curve in self.curves:
            if curve.concept not in COLOURS:
                raise ValueError(f"{curve.name}: concept must be one of {sorted(COLOURS)}, got {curve.concept!r}")
            if curve.kind not in KINDS:
                raise ValueError(f"{curve.name}: kind must be one of {list(KINDS)}, got {curve.kind!r}")
            if len(curve.x) != len(curve.y):
                raise ValueError(f"{curve.name}: expected as many y as x, got {len(curve.y)} and {len(curve.x)}")

    @property
    def texts(self) -> dict[str, str]:
        """The numbers as they are shown."""
        return {name: shown(value) for name, value in self.numbers.items()}


class Frame(NamedTuple):
    """The part of the plane that a picture shows."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_log: bool
    y_log: bool


def shown(value: Any) -> str:
    """A number with three digits, the same on every machine; a text unchanged.

    Ten digits are kept first, so that the last bits of a result cannot decide how a number halfway between two others
    is rounded; and what is below 1e-12 is zero.
    """
    if isinstance(value, (str, bool)):
        return str(value)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return format_number(value)
    return "0" if abs(value) < 1e-12 else format_number(float(f"{value:.10g}"), DIGITS)


def frame(pictures: Sequence[Picture]) -> Frame:
    """The axes that all of these pictures share.

    Raises:
        ValueError: pictures that differ in more than the data, or nothing finite to show.
    """
    first = pictures[0]
    for other in pictures[1:]:
        if _form(other) != _form(first):
            raise ValueError(f"all pictures must have the same curves and axes, got {_form(first)} and {_form(other)}")
    x, y = (_ends(pictures, axis) for axis in ("x", "y"))
    return Frame(x, y, first.x_log, first.y_log)


def _form(picture: Picture) -> tuple:
    curves = [(curve.name, curve.concept, curve.kind) for curve in picture.curves]
    axes = (picture.x_label, picture.y_label, picture.x_range, picture.y_range, picture.x_log, picture.y_log)
    return curves, axes, list(picture.numbers)


def _ends(pictures: Sequence[Picture], axis: str) -> tuple[float, float]:
    """Ends of an axis: those that are asked for, else of the finite data with a margin of 4 per cent."""
    fixed = getattr(pictures[0], f"{axis}_range")
    if fixed is not None:
        return fixed
    log = getattr(pictures[0], f"{axis}_log")
    values = np.concatenate([numbers(getattr(curve, axis)) for p in pictures for curve in p.curves]).astype(float)
    values = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not values.size:
        raise ValueError(f"nothing finite to show along {axis}")
    values = np.log10(values) if log else values
    low, high = float(f"{values.min():.6g}"), float(f"{values.max():.6g}")
    margin = 0.04 * (high - low) or 0.5
    low, high = low - margin, high + margin
    return (10**low, 10**high) if log else (low, high)
