"""The ledger: every figure panel, table cell, equation and claim of the paper, and whether it was reproduced.

In a notebook, `check("F3A", value)` records a value and judges it by the criterion in `book/ledger.yml`, and
`summary()` closes the chapter. `listing` and `evidence` show what all chapters together say. `python -m
companion.ledger`
prints the whole ledger or writes its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from companion.ledger import display
from companion.ledger.overview import Outcome, evidence, listing, outcomes, score, scoreboard
from companion.ledger.rows import Erratum, Interval, Ledger, LedgerError, Printed, Row, load
from companion.ledger.verdicts import (
    ERRATUM_VERDICTS,
    ROW_VERDICTS,
    Measured,
    conditions,
    gather,
    judge,
    measures,
    verdict,
)
from companion.record import current, decode, keep, plain, show

__all__ = [
    "ERRATUM_VERDICTS",
    "ROW_VERDICTS",
    "Erratum",
    "Interval",
    "Ledger",
    "LedgerError",
    "Measured",
    "Outcome",
    "Printed",
    "Row",
    "check",
    "evidence",
    "gather",
    "judge",
    "listing",
    "load",
    "measures",
    "outcomes",
    "score",
    "scoreboard",
    "summary",
    "verdict",
]


def check(
    id: str,
    value: Any,
    *,
    rtol: float = 1e-6,
    atol: float = 0.0,
    made: Mapping[str, Any] | None = None,
    **settings: Any,
) -> None:
    """Record a value under the id of a row or erratum, judge it, and show the verdict.

    Args:
        id: Row or erratum, such as "F3A" or "E4".
        value: Numbers by measure; a single number is enough if the row has one measure.
        rtol: Relative tolerance against the committed value, as in `companion.record.record`.
        atol: Absolute tolerance against the committed value.
        made: How the networks were made if not by this page: settings that stand in place of the chapter's parameters,
            such as `companion.results.settings` of a table.
        settings: What the value depends on beyond the chapter's parameters, such as `seeds=10`; they come before the
            parameters when the row's needs are compared.

    Raises:
        LedgerError: no such row, or not its measures.
        RecordMismatch: at the committed parameters and settings the value is not the committed one.
    """
    entry = _ledger()[id]
    named = measures(entry, plain(value, id))
    content = keep(id, named, rtol=rtol, atol=atol, settings={**(made or {}), **settings})
    content |= {"elsewhere": True} if made is not None else {}
    values, stated = measures(entry, decode(content)), conditions(content)
    result = judge(entry, values, stated)
    anchor = _anchor(content)
    show(
        display.box_text(entry, result, values, stated),
        display.box_html(entry, result, values, stated, anchor=anchor, chapter=content["chapter"]),
        content,
    )


def summary() -> None:
    """Show the table that closes a chapter: each of its rows and errata with the verdict of this run.

    Rows of the chapter that were not checked since `begin` are shown as "not run"; rows of other chapters that were
    checked here are listed too.

    Raises:
        LedgerError: `begin` was not called.
    """
    run = current()
    if run is None:
        raise LedgerError("summary() lists the rows of a chapter; call begin(chapter, globals()) first")
    ledger, lines = _ledger(), {}
    for content in run.kept:
        if content["name"] in ledger:
            entry = ledger[content["name"]]
            values = measures(entry, decode(content))
            result = judge(entry, values, conditions(content))
            if entry.id not in lines or result != "not reached":
                lines[entry.id] = (entry, result, _anchor(content))
    unchecked = (ledger[id] for id in ledger if id not in lines and ledger[id].page == run.chapter)
    lines |= {entry.id: (entry, verdict(entry, None), "") for entry in unchecked}
    ordered = [lines[id] for id in ledger if id in lines]
    root = "../" * run.chapter.count("/")
    show(display.summary_text(ordered), display.summary_html(ordered, root=root))


def _ledger() -> Ledger:
    """The ledger of the book that the running chapter belongs to."""
    run = current()
    return load(run.book if run else None)


def _anchor(content: dict[str, Any]) -> str:
    """Id of a check's box: `check-F3A`, and `check-F3A-2` for a second check of the row with other settings."""
    run = current()
    kept = run.kept if run else []
    settings = []
    for other in kept:
        if other["name"] == content["name"] and other["settings"] not in settings:
            settings.append(other["settings"])
    place = settings.index(content["settings"]) + 1 if content["settings"] in settings else 1
    return f"check-{content['name']}" + (f"-{place}" if place > 1 else "")
