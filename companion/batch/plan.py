"""Sweeps before they start: parameter values of every run, checked, and the name under which each run is stored."""

import ast
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion.batch import identity
from companion.batch.chapters import ROOT, select
from companion.notebooks import NotebookError, Parameter, parameters, validate

Grid = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Spec:
    """One run: everything a worker must know about it, also on another machine with the same folders.

    Attributes:
        key: Name of the run, which follows from its code and parameters.
        out: Folder of the sweep.
        source: The notebook as it was when the sweep was planned, a file in `out`.
        notebook: The notebook itself, whose folder is the working directory of the kernel.
        parameters: Values of all parameters.
        varied: Names of those that differ within the sweep.
        code: Key of the notebook's code and of what it uses of `lib`.
        lib: Fingerprint of the latter alone.
    """

    key: str
    out: str
    source: str
    notebook: str
    parameters: dict[str, Any]
    varied: tuple[str, ...]
    code: str
    lib: str


@dataclass(frozen=True)
class Sweep:
    """A notebook to be run at several parameter values; nothing has been written yet.

    Attributes:
        notebook: The notebook.
        out: Folder of the sweep.
        runs: Its runs, in the order of the grid.
    """

    notebook: Path
    out: Path
    runs: tuple[Spec, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the parameters in the grid."""
        return self.runs[0].varied

    @property
    def source(self) -> Path:
        """Where the notebook is kept as it is now."""
        return Path(self.runs[0].source)


def plan(
    notebook: str | Path, fixed: Mapping[str, Any] | None = None, grid: Grid | None = None, *, out: str | Path
) -> Sweep:
    """Check parameters and give every run its name. No kernel is started and nothing is written.

    Args:
        notebook: Path of a notebook, or the id of a chapter.
        fixed: Parameters that have the same value in all runs; those not named keep their defaults.
        grid: Values by name, of which all combinations are run, or a list of single points.
        out: Folder for the runs and their table.

    Raises:
        ValueError: there is no such notebook, it has no proper parameters cell, a parameter is unknown, given twice, of
            a wrong type or out of range, or the grid is empty.
    """
    path = find(notebook)
    declared, fixed = parameters(path), dict(fixed or {})
    given = points(grid)
    varied = tuple(dict.fromkeys(name for point in given for name in point))
    if twice := sorted(set(varied) & set(fixed)):
        raise ValueError(f"parameter {', '.join(twice)} is given both one value and a grid")
    defaults = {name: p.default for name, p in declared.items()}
    values = [defaults | validate(fixed | dict(point), declared) for point in given]
    lib = identity.fingerprint(identity.code_cells(path))
    code = identity.code_key(path, lib)
    out = Path(out).resolve()
    source = out / f"source-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.ipynb"
    runs: dict[str, Spec] = {}
    for value in values:
        key = identity.run_key(code, value)
        if key in runs:
            raise ValueError(f"the grid holds a point twice: {describe(value, varied) or 'the defaults'}")
        runs[key] = Spec(key, str(out), str(source), str(path), value, varied, code, lib)
    return Sweep(path, out, tuple(runs.values()))


def find(notebook: str | Path) -> Path:
    """The notebook of a path or of a chapter's id.

    Raises:
        ValueError: there is none.
    """
    path = Path(notebook)
    if path.is_file():
        return path.resolve()
    if path.suffix == ".ipynb" or path.is_dir():
        raise NotebookError(f"there is no notebook {path}")
    return select([str(notebook)])[0].source


def points(grid: Grid | None) -> list[dict[str, Any]]:
    """The points of a grid: all combinations, the last name changing fastest.

    Raises:
        ValueError: a name without values, or a list without points.
    """
    if grid is None:
        return [{}]
    if not isinstance(grid, Mapping):
        listed = [dict(point) for point in grid]
        if not listed or {tuple(sorted(point)) for point in listed} != {tuple(sorted(listed[0]))}:
            raise ValueError("expected a list of points that all name the same parameters, and at least one")
        return listed
    axes = {}
    for name, values in grid.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise ValueError(f"grid of {name}: expected several values, got {values!r}")
        axes[name] = list(values)
        if not axes[name]:
            raise ValueError(f"grid of {name}: there is no value in it")
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*axes.values())]


def describe(values: Mapping[str, Any], names: Iterable[str]) -> str:
    """The named values in one line, as "seed 3, scales [0.1]"."""
    return ", ".join(f"{name} {values[name]}" for name in names)


def read_value(name: str, text: str, declared: Mapping[str, Parameter]) -> Any:
    """Value of a text such as "0.9": a Python literal, or the text itself where a text is declared."""
    if name in declared and declared[name].type == "str":
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def read_values(pairs: Iterable[tuple[str, str]], notebook: Path) -> dict[str, Any]:
    """Values of `-p NAME VALUE`.

    Raises:
        ValueError: a name is given twice, or the notebook's parameters cell cannot be read.
    """
    declared, values = parameters(notebook), {}
    for name, text in pairs:
        if name in values:
            raise ValueError(f"parameter {name} is given twice")
        values[name] = read_value(name, text, declared)
    return values


def read_grid(pairs: Iterable[tuple[str, str]], notebook: Path) -> dict[str, list[Any]]:
    """Values of `-g NAME VALUES`, where VALUES is "0.1,1,10", a range "0:8" or "0:8:2", or lists "[0.9,0.8],[0.9,0.7]".

    Raises:
        ValueError: a name is given twice, there is no value, or the notebook's parameters cell cannot be read.
    """
    declared, grid = parameters(notebook), {}
    for name, text in pairs:
        if name in grid:
            raise ValueError(f"grid of {name} is given twice")
        grid[name] = _axis(name, text.strip(), declared)
        if not grid[name]:
            raise ValueError(f"grid of {name}: there is no value in {text!r}")
    return grid


def _axis(name: str, text: str, declared: Mapping[str, Parameter]) -> list[Any]:
    pieces = [piece.strip() for piece in text.split(":")]
    if 2 <= len(pieces) <= 3 and all(piece.lstrip("-").isdecimal() for piece in pieces):
        if len(pieces) == 3 and int(pieces[2]) == 0:
            raise ValueError(f"grid of {name}: a range cannot advance by 0, got {text!r}")
        return list(range(*map(int, pieces)))
    if name in declared and declared[name].type in ("str", "list[str]") and not text.startswith("["):
        return [piece.strip() for piece in text.split(",") if piece.strip()]
    try:
        return list(ast.literal_eval(f"[{text}]"))
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"grid of {name}: expected values with commas between them, got {text!r}") from error


def relative(path: Path) -> str:
    """The path as seen from the project's root if it lies inside, for messages and records that others read."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
