"""The book's notebooks as data: parameters cells, checks on parameter values, and the records in outputs.

A chapter is named by its path under the book folder without suffix, for example `nonlinear/representation`. The book
folder is `book/` beside the package, unless a function is given another one or the environment variable `LIB_BOOK`
names one by its absolute path (used to run chapters that lie outside the repository). Nothing here executes a notebook.
"""

from __future__ import annotations

import ast
import difflib
import io
import json
import math
import os
import tokenize
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

RECORD_MIME = "application/vnd.integrator.record+json"
"""MIME type under which `companion.record` stores a value in a notebook's outputs."""

SAMPLERS = ("monte-carlo", "sobol", "strata", "grid")  # of inputs, and of the points of the proxy loss
DTYPES = ("float32", "float64")
SCALARS: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}

SHARED_TYPES = {
    "n": "int",
    "seed": "int",
    "seeds": "int",
    "decays": "list[float]",
    "scales": "list[float]",
    "n_steps": "int",
    "T": "int",
    "batch": "int",
    "sampler": "str",
    "lr": "float",
    "device": "str",
    "dtype": "str",
}
"""Names that mean the same in every chapter, and the type each must be declared with."""

SHARED_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "n": (lambda v: v >= 1, "at least 1"),
    "seeds": (lambda v: v >= 1, "at least 1"),
    "T": (lambda v: v >= 1, "at least 1"),
    "batch": (lambda v: v >= 1, "at least 1"),
    "n_steps": (lambda v: v >= 0, "at least 0"),
    "decays": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "scales": (lambda v: v > 0, "above 0"),
    "lr": (lambda v: v > 0, "above 0"),
    "sampler": (lambda v: v in SAMPLERS, f"one of {', '.join(SAMPLERS)}"),
    "dtype": (lambda v: v in DTYPES, f"one of {', '.join(DTYPES)}"),
}
"""Ranges of the shared names; for a list the rule holds for each element."""


class Parameter(NamedTuple):
    """One line of a parameters cell, `name: type = default  # meaning`."""

    name: str
    type: str  # "int", "float", "str", "bool", or "list[...]" of one of them
    default: Any  # already of that type
    meaning: str  # the comment, "" if there is none


class NotebookError(ValueError):
    """A notebook that cannot be read, or whose parameters cell breaks the rules."""


def book_folder(book: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds the chapters: the argument, else `LIB_BOOK`, else `book/` beside the package."""
    return Path(book or os.environ.get("LIB_BOOK") or Path(__file__).parents[1] / "book")


def chapter_path(chapter: str, book: str | os.PathLike[str] | None = None) -> Path:
    """File of a chapter such as `nonlinear/representation`; it need not exist."""
    return book_folder(book) / f"{chapter}.ipynb"


def chapters(book: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Every notebook under the book folder, chapter id to path, sorted; hidden and underscored folders are left out."""
    folder = book_folder(book)
    paths = sorted(folder.rglob("*.ipynb"))
    named = {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    return {name: path for name, path in named.items() if not any(part[0] in "._" for part in name.split("/"))}


def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Cells of a notebook, each with its `source` as one string.

    Raises:
        NotebookError: the file is missing, is not JSON, or is not a notebook.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        cells = content["cells"]
        return [{**cell, "source": "".join(cell["source"])} for cell in cells]
    except OSError as error:
        raise NotebookError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"{path}: not a notebook ({type(error).__name__}: {error})") from error


def title(path: str | os.PathLike[str]) -> str:
    """Text of the first heading of a notebook, "" if it has none."""
    for cell in read(path):
        if cell.get("cell_type") == "markdown":
            for line in cell["source"].splitlines():
                if line.startswith("#"):
                    return line.lstrip("#").strip()
    return ""


def records(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Each record in a notebook's outputs, in order, as (cell, output data, content of the record)."""
    for cell in read(path):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if RECORD_MIME in data:
                yield cell, data, data[RECORD_MIME]


def parameters(path: str | os.PathLike[str]) -> dict[str, Parameter]:
    """Parameters that a notebook declares in its one code cell tagged `parameters`.

    The cell is parsed, not run. Each statement must be `name: type = literal`, with type `int`, `float`, `str`, `bool`
    or a `list[...]` of one of them, and an optional comment that says what it means.

    Raises:
        NotebookError: no such cell or several, a line of another form, a default that is computed or of the wrong type,
            a name declared twice, a shared name with another type, or a comment with "=" (which papermill cannot read).
    """
    tagged = [
        cell
        for cell in read(path)
        if cell.get("cell_type") == "code" and "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    if len(tagged) != 1:
        raise NotebookError(f"{path}: expected exactly one code cell tagged 'parameters', found {len(tagged)}")
    source = tagged[0]["source"]
    try:
        body, comments = ast.parse(source).body, _comments(source)
    except (SyntaxError, tokenize.TokenError) as error:
        raise NotebookError(f"{path}: parameters cell is not Python ({error})") from error
    declared: dict[str, Parameter] = {}
    for statement in body:
        try:
            parameter = _declaration(statement, comments.get(statement.end_lineno or statement.lineno, ""))
            if parameter.name in declared:
                raise ValueError(f"{parameter.name} is declared twice")
            validate({parameter.name: parameter.default}, {parameter.name: parameter})
        except ValueError as error:
            raise NotebookError(f"{path}: parameters cell, line {statement.lineno}: {error}") from error
        declared[parameter.name] = parameter
    return declared


def validate(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Check values against declared parameters; returns those given, in declared order, with the declared types.

    An int becomes a float where a float is declared, and a single value becomes a list of one where a list is declared.
    Nothing else is converted: a bool is not an int, a text is not a number.

    Args:
        values: Any of the parameters, by name.
        declared: What `parameters` returned for the notebook.

    Raises:
        ValueError: an unknown name (with the nearest match), a wrong type, or a shared name out of its range.
    """
    for name in values:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(declared) or 'none'}"
            raise ValueError(f"unknown parameter {name!r}; {hint}")
    checked = {name: _coerced(name, p.type, values[name]) for name, p in declared.items() if name in values}
    for name, value in checked.items():
        rule, text = SHARED_RANGES.get(name, (None, ""))
        if rule and not all(map(rule, value if isinstance(value, list) else [value])):
            raise ValueError(f"parameter {name} must be {text}, got {value!r}")
        if name in ("decays", "scales") and not value:
            raise ValueError(f"parameter {name} needs one value per channel, got an empty list")
    return checked


def _comments(source: str) -> dict[int, str]:
    """Comments of a cell by line number, without the hash."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("#").strip() for t in tokens if t.type == tokenize.COMMENT}


def _declaration(statement: ast.stmt, meaning: str) -> Parameter:
    """Read one statement of a parameters cell."""
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or not statement.value:
        raise ValueError(f"expected 'name: type = literal', got {ast.unparse(statement)!r}")
    name, type_ = statement.target.id, ast.unparse(statement.annotation)
    inner = type_.removeprefix("list[").removesuffix("]") if type_.startswith("list[") else type_
    if inner not in SCALARS:
        raise ValueError(f"{name}: expected a type among {', '.join(SCALARS)} or list[...] of one, got {type_}")
    if SHARED_TYPES.get(name, type_) != type_:
        raise ValueError(f"{name} is a name shared by all chapters and must be {SHARED_TYPES[name]}, got {type_}")
    if "=" in meaning:
        raise ValueError(f"{name}: the comment must not contain '=', papermill cannot read such a line")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError as error:
        raise ValueError(f"{name}: the default must be a literal, got {ast.unparse(statement.value)}") from error
    return Parameter(name, type_, _coerced(name, type_, default), meaning)


def _coerced(name: str, type_: str, value: Any) -> Any:
    """Value with the declared type, or ValueError."""
    if type_.startswith("list["):
        inner = type_.removeprefix("list[").removesuffix("]")
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        return [_coerced(name, inner, item) for item in items]
    if type_ == "int" and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if type_ == "float" and isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if type_ in ("str", "bool") and isinstance(value, SCALARS[type_]):
        return value
    raise ValueError(f"parameter {name} must be {type_}, got {value!r} of type {type(value).__name__}")
