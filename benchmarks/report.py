"""What a benchmark hands back: tables, and wishes with what was measured for each."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

Cell = str | int | float


class Options(NamedTuple):
    """What the user asked for."""

    quick: bool = False  # tiny sizes, to see that everything works
    figure: Path = Path("_build/bench/growth.png")  # where `growth` draws


class Table(NamedTuple):
    """Rows of cells under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]

    def __str__(self) -> str:
        cells = [self.columns, *(tuple(text(cell) for cell in row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([self.title, lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


class Wish(NamedTuple):
    """A value somebody hoped for, and the one that was measured."""

    what: str
    wanted: float
    got: float
    unit: str = ""
    at_most: bool = False  # whether less is better

    @property
    def met(self) -> bool:
        """Whether the measured value is at least (or at most) the wanted one."""
        return self.got <= self.wanted if self.at_most else self.got >= self.wanted

    def __str__(self) -> str:
        bound = "at most" if self.at_most else "at least"
        verdict = "met" if self.met else "NOT met"
        return f"{self.what}: wanted {bound} {text(self.wanted)}{self.unit}, got {text(self.got)}{self.unit}: {verdict}"


@dataclass
class Report:
    """All that one benchmark measured."""

    name: str
    tables: list[Table] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n\n".join([*map(str, self.tables), "\n".join([*self.notes, *map(str, self.wishes)])])

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return {
            "name": self.name,
            "tables": [table._asdict() for table in self.tables],
            "wishes": [wish._asdict() | {"met": wish.met} for wish in self.wishes],
            "notes": self.notes,
        }


def text(cell: Cell) -> str:
    """A cell as it is printed: whole numbers in full, other numbers with three significant digits or more."""
    if not isinstance(cell, float):
        return str(cell)
    if math.isnan(cell):
        return "-"
    if cell != 0 and not 1e-3 <= abs(cell) < 1e5:
        return f"{cell:.2e}"
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
