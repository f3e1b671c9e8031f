"""The rows of the ledger: what the paper says, how it is measured, and the criterion, from `book/ledger.yml`.

The file holds one entry per figure panel, table cell, equation and claim of the paper, and one per erratum. It has no
place for a value or a verdict: these come from executed notebooks and result files only (`companion.ledger.verdicts`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from companion import notebooks
from companion.record import format_number

IDS = {"figure": r"F\d+[A-Za-z]*", "table": r"T\d+-[a-z]+", "equation": r"eq-\d+", "claim": r"C\d+"}
"""Kinds of rows, each with the form of its ids."""

ERRATUM_ID, ERRATUM_KINDS = r"E\d+[a-z]?", ("formula", "claim", "code")
PAGE = r"[a-z0-9_]+(/[a-z0-9_]+)*"
SECTION = r"\d+(\.\d+)?|[A-K]"


class LedgerError(ValueError):
    """An entry of the ledger, a record or a result file that breaks the rules."""


class Interval(NamedTuple):
    """Closed interval of accepted values; None means that there is no bound on that side."""

    low: float | None
    high: float | None

    def contains(self, value: float) -> bool:
        """Whether `value` lies inside; NaN never does."""
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high) and not math.isnan(value)

    def covers(self, other: Interval) -> bool:
        """Whether every value in `other` lies in this interval."""
        low = self.low is None or (other.low is not None and other.low >= self.low)
        return low and (self.high is None or (other.high is not None and other.high <= self.high))

    def __str__(self) -> str:
        low, high = (None if bound is None else format_number(bound, digits=6) for bound in self)
        if low == high:
            return f"exactly {low}"
        return f"at most {high}" if low is None else f"at least {low}" if high is None else f"{low} to {high}"


class Printed(NamedTuple):
    """A value printed in the paper, with its printed error if it has one."""

    value: float
    error: float | None = None

    def __str__(self) -> str:
        error = "" if self.error is None else f" ± {format_number(self.error)}"
        return format_number(self.value) + error


@dataclass(frozen=True)
class Row:
    """A figure panel, table cell, equation or claim of the paper, with the criterion it is judged by."""

    id: str
    kind: str  # figure, table, equation or claim
    where: str  # place in the paper, for readers
    section: str  # section number or appendix letter, for grouping
    claim: str
    measure: str  # what is computed, in words
    accept: dict[str, Interval]  # by measure
    page: str  # chapter where it is measured
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the paper or its authors
    needs: dict[str, Any] = dataclasses.field(default_factory=dict)  # numbers are minima, the rest must be equal
    paper: dict[str, Printed] = dataclasses.field(default_factory=dict)  # by measure
    loose: dict[str, Interval] = dataclasses.field(default_factory=dict)  # weaker intervals, by measure
    errata: tuple[str, ...] = ()
    reason: str = ""  # shown if the verdict is "differs"
    reported: tuple[str, ...] = ()  # measures that only NaN can make fail
    words: dict[str, str] = dataclasses.field(default_factory=dict)  # for readers, by measure and need


@dataclass(frozen=True)
class Erratum:
    """A place where the paper, or the code released with it, is not right, and how that is shown."""

    id: str
    kind: str  # formula, claim or code
    where: str
    printed: str
    right: str
    matters: str
    measure: str  # how it is shown; "reading" if nothing needs to be computed
    page: str
    accept: dict[str, Interval] = dataclasses.field(default_factory=dict)
    words: dict[str, str] = dataclasses.field(default_factory=dict)  # for readers, by measure


@dataclass(frozen=True)
class Ledger:
    """All rows and errata, in the order of the file."""

    rows: dict[str, Row]
    errata: dict[str, Erratum]

    def __getitem__(self, id: str) -> Row | Erratum:
        """Row or erratum of this id; LedgerError if there is none."""
        entry = self.rows.get(id) or self.errata.get(id)
        if entry is None:
            raise LedgerError(f"the ledger has no row {id!r}")
        return entry

    def __iter__(self):
        """All ids, rows first."""
        yield from self.rows
        yield from self.errata

    def __contains__(self, id: object) -> bool:
        return id in self.rows or id in self.errata


def load(book: str | os.PathLike[str] | None = None) -> Ledger:
    """Read `ledger.yml` of the book folder (see `companion.notebooks.book_folder`).

    Raises:
        LedgerError: the file is missing or breaks the rules; the message names the row and the field.
    """
    path = notebooks.book_folder(book) / "ledger.yml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LedgerError(f"{path}: cannot be read ({error.strerror or error})") from error
    return parse(text)


@functools.lru_cache(maxsize=4)
def parse(text: str) -> Ledger:
    """The ledger written in `text`; errors as in `load`."""
    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        raise LedgerError(f"ledger: not valid YAML: {error}") from error
    if not isinstance(content, dict) or not {"rows", "errata"} <= content.keys() <= {"words", "rows", "errata"}:
        found = list(content) if isinstance(content, dict) else type(content).__name__
        raise LedgerError(f"ledger: expected the keys rows and errata, and perhaps words, got {found}")
    words = _words(content.get("words", {}))
    rows = _worded(_entries(content["rows"], Row, _row), words)
    errata = _worded(_entries(content["errata"], Erratum, _erratum), words)
    if idle := sorted(words.keys() - {name for entry in (*rows.values(), *errata.values()) for name in entry.words}):
        raise LedgerError(f"ledger, words: no row and no erratum has the measure {', '.join(idle)}")
    for row in rows.values():
        for id in row.errata:
            if id not in errata:
                raise LedgerError(f"{row.id}, errata: there is no erratum {id!r}")
    return Ledger(rows, errata)


def read_yaml(text: str) -> Any:
    """Content of YAML in which no key is given twice and 1e-3 is a number; raises YAMLError or LedgerError."""
    return yaml.load(text, Loader=_Loader)


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice and reads 1e-3 as a number (YAML 1.1 takes it for a text)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Mapping of a node whose keys are all different."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise LedgerError(f"line {key_node.start_mark.line + 1}: expected a text as key, got {key!r}")
            if key in seen:
                raise LedgerError(f"line {key_node.start_mark.line + 1}: the key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _entries(content: Any, kind: type, read: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Entries of one list by id, after the checks that rows and errata share."""
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name != "words"}
    required = [name for name, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING]
    found: dict[str, Any] = {}
    if not isinstance(content, list):
        raise LedgerError(f"expected a list of entries, got {type(content).__name__}")
    for number, entry in enumerate(content, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise LedgerError(f"entry {number} after {list(found)[-1:]}: expected a mapping with an id, got {entry!r}")
        id = entry["id"]
        if id in found:
            raise LedgerError(f"{id}: the id is used twice")
        for name in entry:
            if name not in fields:
                raise LedgerError(f"{id}, {name}: unknown field; known: {', '.join(fields)}")
        for name in required:
            if name not in entry:
                raise LedgerError(f"{id}, {name}: the field is missing")
        for name, field in fields.items():
            if field.type == "str" and name in entry:
                entry[name] = _text(entry[name], f"{id}, {name}")
        _match(entry["page"], PAGE, f"{id}, page")
        found[id] = read(entry)
    return found


def _row(entry: dict[str, Any]) -> Row:
    id = entry["id"]
    if entry["kind"] not in IDS:
        raise LedgerError(f"{id}, kind: expected one of {', '.join(IDS)}, got {entry['kind']!r}")
    _match(id, IDS[entry["kind"]], f"{id}, id of a {entry['kind']}")
    _match(entry["section"], SECTION, f"{id}, section")
    accept = _intervals(entry["accept"], f"{id}, accept")
    loose = _intervals(entry["loose"], f"{id}, loose") if "loose" in entry else {}
    for name, interval in loose.items():
        if name not in accept or not interval.covers(accept[name]):
            raise LedgerError(f"{id}, loose, {name}: expected an interval that contains the one under accept")
    paper = {}
    for name, printed in _mapping(entry.get("paper", {}), f"{id}, paper").items():
        if name not in accept:
            raise LedgerError(f"{id}, paper, {name}: no such measure under accept; known: {', '.join(accept)}")
        keys = _mapping(printed, f"{id}, paper, {name}")
        if not {"value"} <= keys.keys() <= {"value", "error"}:
            raise LedgerError(f"{id}, paper, {name}: expected value and perhaps error, got {', '.join(keys)}")
        paper[name] = Printed(**{key: _number(v, f"{id}, paper, {name}, {key}") for key, v in keys.items()})
    lists = {}
    for name, what in (("errata", "ids"), ("reported", "measures")):
        found = entry.get(name, [])
        if not isinstance(found, list):
            raise LedgerError(f"{id}, {name}: expected a list of {what}, got {found!r}")
        lists[name] = tuple(found)
    for name in lists["reported"]:
        if name not in accept:
            raise LedgerError(f"{id}, reported: no such measure under accept; known: {', '.join(accept)}")
    values = {name: _values(entry.get(name, {}), f"{id}, {name}") for name in ("settings", "needs")}
    return Row(**{**entry, **values, **lists, "accept": accept, "loose": loose, "paper": paper})


def _erratum(entry: dict[str, Any]) -> Erratum:
    id = entry["id"]
    _match(id, ERRATUM_ID, f"{id}, id of an erratum")
    if entry["kind"] not in ERRATUM_KINDS:
        raise LedgerError(f"{id}, kind: expected one of {', '.join(ERRATUM_KINDS)}, got {entry['kind']!r}")
    if (entry["measure"] == "reading") == ("accept" in entry):
        raise LedgerError(f"{id}, accept: needed unless measure is 'reading', and not allowed then")
    accept = _intervals(entry["accept"], f"{id}, accept") if "accept" in entry else {}
    return Erratum(**{**entry, "accept": accept})


def _words(value: Any) -> dict[str, str]:
    """Words for readers by measure."""
    return {name: _text(text, f"ledger, words, {name}") for name, text in _mapping(value, "ledger, words").items()}


def _worded(entries: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Entries whose measures and needs all have words, if there are none their names with blanks for underscores."""
    worded = {}
    for id, entry in entries.items():
        names = (*entry.accept, *getattr(entry, "needs", ()))
        worded[id] = dataclasses.replace(entry, words={name: words.get(name, name.replace("_", " ")) for name in names})
    return worded


def _match(value: str, pattern: str, place: str) -> None:
    if not re.fullmatch(pattern, value):
        raise LedgerError(f"{place}: expected the form {pattern}, got {value!r}")


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise LedgerError(f"{place}: expected a text (in quotes if it looks like a number), got {value!r}")
    return value.strip()


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise LedgerError(f"{place}: expected a finite number, got {value!r}")
    return value


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise LedgerError(f"{place}: expected a mapping, got {value!r}")
    return dict(value)


def _values(value: Any, place: str) -> dict[str, Any]:
    """Settings by name: scalars or lists of scalars."""
    for name, setting in _mapping(value, place).items():
        for item in setting if isinstance(setting, list) else [setting]:
            if not isinstance(item, (str, bool, int, float)):
                raise LedgerError(f"{place}, {name}: expected a scalar or a list of scalars, got {setting!r}")
    return dict(value)


def _intervals(value: Any, place: str) -> dict[str, Interval]:
    """Intervals by measure, at least one."""
    found = {}
    for name, bounds in _mapping(value, place).items():
        here = f"{place}, {name}"
        if not isinstance(bounds, list) or len(bounds) != 2 or bounds == [None, None]:
            raise LedgerError(f"{here}: expected [low, high] with null for no bound on one side, got {bounds!r}")
        low, high = (None if bound is None else _number(bound, here) for bound in bounds)
        if low is not None and high is not None and low > high:
            raise LedgerError(f"{here}: the interval is inverted, {low} > {high}")
        found[name] = Interval(low, high)
    if not found:
        raise LedgerError(f"{place}: expected at least one measure")
    return found
