"""Judges measured values against the ledger, and gathers them from executed notebooks and result files.

A verdict is never stored: it follows, each time, from a recorded value and the row's criterion.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from companion import notebooks
from companion.ledger import typed
from companion.ledger.rows import Erratum, Interval, Ledger, LedgerError, Row, load
from companion.record import decode

ROW_VERDICTS = ("reproduced", "reproduced (loose)", "differs", "not reached", "not run")
ERRATUM_VERDICTS = ("shown", "not shown", "reading", "not run")


@dataclass(frozen=True)
class Measured:
    """A recorded value of a row or erratum, and where it comes from."""

    name: str
    values: dict[str, float]  # by measure
    conditions: dict[str, Any]  # everything the value was computed with
    chapter: str  # chapter whose output holds it, "" for a result file
    anchor: str  # id of the check box in that chapter's page, "" if there is none
    source: str  # file, for messages and readers
    created: str = ""  # time stamp of a result file
    elsewhere: bool = True  # measured in a sweep, not by the chapter's own run


def conditions(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a recorded value was computed with: the chapter's parameters, unless it was made elsewhere, and settings."""
    parameters = {} if content.get("elsewhere") else content["parameters"]
    return dict(sorted({**parameters, **content["settings"]}.items()))


def measures(entry: Row | Erratum, value: Any) -> dict[str, float]:
    """Values by measure of the row: a single number is enough if the row has exactly one measure.

    Raises:
        LedgerError: a text or bool, a number for several measures, or measures that are missing or unknown.
    """
    wanted = list(entry.accept)
    if not isinstance(value, Mapping):
        if len(wanted) != 1:
            raise LedgerError(
                f"{entry.id}: expected a dict of its measures ({', '.join(wanted) or 'none'}), got {value!r}"
            )
        value = {wanted[0]: value}
    missing = [name for name in wanted if name not in value]
    unknown = [name for name in value if name not in wanted]
    if missing or unknown:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise LedgerError(f"{entry.id}: the measures are not those of the row; {'; '.join(parts)}")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise LedgerError(f"{entry.id}, {name}: expected a number, got {number!r}")
    return {name: value[name] for name in wanted}


def unmet(needs: Mapping[str, Any], conditions: Mapping[str, Any], words: Mapping[str, str] | None = None) -> list[str]:
    """What a run lacks to be judged, in words: numbers in `needs` are minima, everything else must be equal.

    Args:
        needs: What the row asks for.
        conditions: Parameters and settings of the run.
        words: Words for readers by name of the need, as `Row.words`.
    """
    words = words or {}
    lacking = []
    for name, need in needs.items():
        number = isinstance(need, (int, float)) and not isinstance(need, bool)
        least = f"{words.get(name, name)}: {'at least ' if number else ''}{need}"
        if name not in conditions:
            lacking.append(f"{least}, not stated")
            continue
        have = conditions[name]
        if number:
            enough = isinstance(have, (int, float)) and not isinstance(have, bool) and have >= need
        else:
            enough = have == need
        if not enough:
            lacking.append(f"{least}, here {have}")
    return lacking


def judge(entry: Row | Erratum, values: Mapping[str, float], conditions: Mapping[str, Any]) -> str:
    """Verdict on values by measure, computed under `conditions` (parameters and settings by name)."""
    if isinstance(entry, Erratum):
        return "shown" if _inside(entry.accept, values) else "not shown"
    if unmet(entry.needs, conditions):
        return "not reached"
    if _inside(entry.accept, values):
        return "reproduced"
    return "reproduced (loose)" if entry.loose and _inside({**entry.accept, **entry.loose}, values) else "differs"


def verdict(entry: Row | Erratum, measured: Measured | None) -> str:
    """Verdict on what was measured, also when nothing was."""
    if isinstance(entry, Erratum) and not entry.accept:
        return "reading"
    return "not run" if measured is None else judge(entry, measured.values, measured.conditions)


def gather(ledger: Ledger | None = None, book: str | os.PathLike[str] | None = None) -> dict[str, Measured]:
    """The recorded value of each row and erratum that has one, from `book/**/*.ipynb` and `results/*.json`.

    Of several, one that meets the row's `needs` is taken first, then one from a result file before one that a chapter's
    own run has measured, then the row's own chapter before others, then the newest.

    Raises:
        LedgerError: a record that was typed in, is out of date or does not fit its row, or a foreign result file.
    """
    ledger = ledger or load(book)
    found: dict[str, list[Measured]] = {}
    for measured in (*from_results(ledger, book), *from_notebooks(ledger, book)):
        found.setdefault(measured.name, []).append(measured)
    return {name: _best(ledger[name], candidates) for name, candidates in found.items()}


def from_notebooks(ledger: Ledger, book: str | os.PathLike[str] | None = None) -> Iterator[Measured]:
    """Records of rows and errata in the outputs of the book's notebooks; raises LedgerError as `gather` does."""
    for chapter, path in notebooks.chapters(book).items():
        found = [item for item in notebooks.records(path) if item[2].get("name") in ledger]
        if not found:
            continue
        bound = typed.names(cell["source"] for cell in notebooks.read(path) if cell.get("cell_type") == "code")
        defaults = {name: p.default for name, p in notebooks.parameters(path).items()}
        for cell, data, content in found:
            place = f"{chapter}, record of {content['name']}"
            if cell.get("cell_type") != "code" or not typed.measured(cell["source"], content["name"], bound):
                raise LedgerError(
                    f"{place}: the cell must call check or record for {content['name']!r} with a measured value; "
                    "a value that is typed in gives no verdict"
                )
            if content.get("chapter") != chapter:
                raise LedgerError(f"{place}: it says it comes from the chapter {content.get('chapter')!r}")
            if content.get("parameters") != defaults:
                raise LedgerError(f"{place}: not at the notebook's default parameters; execute it again")
            anchor = re.search(r'id="(check-[^"]+)"', "".join(data.get("text/html", "")))
            yield _measured(ledger, content, place, chapter, anchor[1] if anchor else "", path.name)


def from_results(ledger: Ledger, book: str | os.PathLike[str] | None = None) -> Iterator[Measured]:
    """Records of rows and errata in the result files beside the book folder; raises LedgerError as `gather` does."""
    for path in sorted((notebooks.book_folder(book).parent / "results").glob("*.json")):
        records, created = _result_file(path)
        for content in records:
            if content["name"] in ledger:
                place = f"{path.name}, record of {content['name']}"
                yield _measured(ledger, content, place, "", "", f"results/{path.name}", created)


def _result_file(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Records and time stamp of a result file, after checks of its form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(f"{path.name}: not a result file ({error})") from error
    if not isinstance(content, dict) or not {"records", "provenance"} <= content.keys():
        raise LedgerError(f"{path.name}: not a result file; expected the keys records and provenance")
    provenance, records = content["provenance"], content["records"]
    if not isinstance(provenance, dict) or not all(isinstance(provenance.get(key), str) for key in ("created", "lib")):
        raise LedgerError(f"{path.name}: its provenance must have created and lib, as texts")
    if not any(isinstance(provenance.get(key), str) for key in ("notebook", "sweep")):
        raise LedgerError(f"{path.name}: its provenance must name the notebook or the sweep")
    try:
        datetime.datetime.fromisoformat(provenance["created"])
    except ValueError as error:
        raise LedgerError(f"{path.name}: provenance, created: {error}") from error
    if not isinstance(records, list):
        raise LedgerError(f"{path.name}: records must be a list")
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict) or not {"name", "value", "parameters", "settings"} <= record.keys():
            raise LedgerError(f"{path.name}, record {number}: expected name, value, parameters and settings")
    return records, provenance["created"]


def _measured(
    ledger: Ledger, content: dict[str, Any], place: str, chapter: str, anchor: str, source: str, created: str = ""
) -> Measured:
    entry = ledger[content["name"]]
    if not all(isinstance(content.get(key), dict) for key in ("parameters", "settings")):
        raise LedgerError(f"{place}: expected parameters and settings by name")
    try:
        values = measures(entry, decode(content))
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"{place}: {error}") from error
    elsewhere = not chapter or bool(content.get("elsewhere"))
    return Measured(entry.id, values, conditions(content), chapter, anchor, source, created, elsewhere)


def _best(entry: Row | Erratum, candidates: list[Measured]) -> Measured:
    """The record that counts; `candidates` holds result files first, in the order of their names."""
    needs = entry.needs if isinstance(entry, Row) else {}
    newest = sorted(candidates, key=lambda m: m.created, reverse=True)
    return min(newest, key=lambda m: (bool(unmet(needs, m.conditions)), not m.elsewhere, m.chapter != entry.page))


def _inside(intervals: Mapping[str, Interval], values: Mapping[str, float]) -> bool:
    return all(interval.contains(values[name]) for name, interval in intervals.items()) and not any(
        math.isnan(v) for v in values.values()
    )
