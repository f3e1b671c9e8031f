"""What the whole ledger says, from what is committed: for the front page and for the conclusion.

Nothing here judges anew: each verdict follows from a recorded value, as in `companion.ledger.verdicts`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from companion.ledger import display
from companion.ledger.page import heading, place
from companion.ledger.rows import IDS, Erratum, LedgerError, Row, load
from companion.ledger.verdicts import ERRATUM_VERDICTS, ROW_VERDICTS, gather, verdict
from companion.record import current, show

KINDS = {"figure": "figures", "table": "Table 1", "equation": "equations", "claim": "claims"}
"""What several rows of a kind are called."""


class Outcome(NamedTuple):
    """A row or erratum and what became of it."""

    entry: Row | Erratum
    verdict: str
    conditions: dict[str, Any]  # parameters and settings of the run that counts, empty if there is none


def outcomes(book: str | os.PathLike[str] | None = None) -> dict[str, Outcome]:
    """All rows, then all errata, by id, in the order of the ledger.

    Args:
        book: Book folder; by default that of the running chapter, else as in `companion.notebooks.book_folder`.
    """
    run = current()
    book = book or (run.book if run else None)
    ledger = load(book)
    found = gather(ledger, book)
    return {
        id: Outcome(entry, verdict(entry, measured), measured.conditions if measured else {})
        for id, entry, measured in ((id, ledger[id], found.get(id)) for id in ledger)
    }


def tiles(book: str | os.PathLike[str] | None = None) -> dict[str, dict[str, list[str]]]:
    """Verdicts of the rows by section of the paper and kind, for `tiles.plot_score`; every kind in each section.

    Sections are in the paper's order, rows in that of the ledger.
    """
    rows = [(o.entry, o.verdict) for o in outcomes(book).values() if isinstance(o.entry, Row)]
    sections = sorted({row.section for row, _ in rows}, key=place)
    return {
        heading(section).removeprefix("Section "): {
            KINDS[kind]: [result for row, result in rows if (row.section, row.kind) == (section, kind)] for kind in IDS
        }
        for section in sections
    }


def score(book: str | os.PathLike[str] | None = None) -> dict[str, dict[str, int]]:
    """How many rows and errata have which verdict, from what is committed.

    Returns:
        `{"rows": {verdict: count}, "errata": {verdict: count}}`, every verdict present.
    """
    counts = {"rows": dict.fromkeys(ROW_VERDICTS, 0), "errata": dict.fromkeys(ERRATUM_VERDICTS, 0)}
    for outcome in outcomes(book).values():
        counts["rows" if isinstance(outcome.entry, Row) else "errata"][outcome.verdict] += 1
    return counts


def scoreboard() -> None:
    """Show the counts of `score` as two small tables: rows of the paper, and errata."""
    counts = score()
    show(display.score_text(counts), display.score_html(counts))


def listing(*verdicts: str) -> None:
    """Show the rows or errata that have one of these verdicts, each with the reason for it.

    Raises:
        LedgerError: there is no such verdict.
    """
    known = dict.fromkeys((*ROW_VERDICTS, *ERRATUM_VERDICTS))
    if unknown := [v for v in verdicts if v not in known]:
        raise LedgerError(f"expected verdicts among {', '.join(known)}, got {', '.join(unknown)}")
    lines = [
        (entry, result, display.note(entry, result, conditions))
        for entry, result, conditions in outcomes().values()
        if result in verdicts
    ]
    name = " or ".join(verdicts)
    show(display.listing_text(lines, name), display.listing_html(lines, name, root=_root()))


def evidence(sentences: Mapping[str, Iterable[str]]) -> None:
    """Show sentences, each with the rows and errata that bear on it and their verdicts.

    Args:
        sentences: Text, in which `$...$` are formulas, to ids.

    Raises:
        LedgerError: there is no such row.
    """
    known = outcomes()
    lines = {}
    for sentence, ids in sentences.items():
        if unknown := [id for id in ids if id not in known]:
            raise LedgerError(f"the ledger has no row {', '.join(unknown)}")
        lines[sentence] = [(known[id].entry, known[id].verdict) for id in ids]
    show(display.evidence_text(lines), display.evidence_html(lines, root=_root()))


def _root() -> str:
    """Way from the page of the running chapter to the book folder."""
    run = current()
    return "../" * run.chapter.count("/") if run else ""
