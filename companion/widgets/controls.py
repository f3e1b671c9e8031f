"""What a reader can turn: names, labels, and the values of a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from companion.record import format_number

Value = int | float | str


@dataclass(frozen=True)
class Control:
    """One argument of an explored function.

    Attributes:
        values: Values of the grid, increasing numbers or texts.
        label: What the reader sees; the argument's name if empty.
        start: Value at the start; the middle one of the grid if None.
        low: Least value with a kernel; the first of the grid if None.
        high: Largest value with a kernel; the last of the grid if None.
        log: Whether the control of a kernel moves by factors.
        choices: Texts to choose from with a kernel; those of the grid if None.

    Raises:
        ValueError: no values, numbers that do not increase, mixed kinds, a start or ends that do not fit.
    """

    values: Sequence[Value]
    label: str = ""
    start: Value | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: Sequence[str] | None = None

    def __post_init__(self) -> None:
        values: list[Any] = [v.item() if hasattr(v, "item") else v for v in self.values]  # type: ignore[union-attr]
        object.__setattr__(self, "values", values)
        if not values:
            raise ValueError("a control needs values, got none")
        if not self.text:
            if any(isinstance(v, (str, bool)) for v in values) or any(a >= b for a, b in pairwise(values)):
                raise ValueError(f"values must be increasing numbers, or texts, got {values}")
            if (self.low is not None and self.low > values[0]) or (self.high is not None and self.high < values[-1]):
                raise ValueError(f"low and high must enclose the values, got {self.low} and {self.high} for {values}")
        elif not all(isinstance(v, str) for v in values):
            raise ValueError(f"values must be numbers or texts, got {values}")
        if self.start is not None and self.start not in values:
            raise ValueError(f"start must be one of {values}, got {self.start!r}")

    @property
    def text(self) -> bool:
        """Whether the values are texts."""
        return isinstance(self.values[0], str)

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return all(isinstance(v, int) for v in self.values)

    @property
    def first(self) -> int:
        """Index of the value at the start."""
        return len(self.values) // 2 if self.start is None else list(self.values).index(self.start)

    @property
    def ends(self) -> tuple[Any, Any]:
        """Least and largest value with a kernel."""
        return (
            self.values[0] if self.low is None else self.low,
            self.values[-1] if self.high is None else self.high,
        )

    @property
    def texts(self) -> list[str]:
        """The values as they are shown."""
        return [v if isinstance(v, str) else format_number(v) for v in self.values]


def controls(grids: dict[str, Any]) -> dict[str, Control]:
    """Controls from sequences or controls, by argument; each with a label."""
    made = {}
    for name, grid in grids.items():
        control = grid if isinstance(grid, Control) else Control(list(grid))
        made[name] = control
    return made


def label(name: str, control: Control) -> str:
    """The label of a control."""
    return control.label or name
