"""Writes `book/ledger.md` (every row with its verdict), `book/errata.md` (every mistake) and `book/figures.md`.

The pages are a function of the ledger file, the committed notebooks and the result files: no date, no chance. `data`
gives the same as JSON.
Each entry is a card that readers can link to as `ledger.html#row-F3A` or `errata.html#row-E4`, and chapters as
``{ref}`F3A <row-F3A>` ``.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from companion import notebooks
from companion.ledger import figures
from companion.ledger.display import chip, listed, printed, verdict_class, why
from companion.ledger.rows import Erratum, Row, load
from companion.ledger.verdicts import ERRATUM_VERDICTS, ROW_VERDICTS, Measured, gather, verdict
from companion.record import encode, format_number

SECTIONS = {
    "1": "Introduction",
    "2": "Definitions and model",
    "3": "Linear activation",
    "3.1": "Conditions for generalising integrators",
    "3.2": "Start from zero weights",
    "3.3": "Start from a full-rank matrix",
    "3.4": "Several channels, linear",
    "4": "One channel, nonlinear",
    "4.1": "Representations in a ReLU network",
    "4.2": "Theory of ReLU integrators",
    "4.3": "Any activation",
    "5": "Several channels, nonlinear",
    "6": "Conclusion",
}
"""Names of the paper's sections; an appendix is named by its letter."""

ERRATA_PARTS = {"formula": "Formulas", "claim": "Claims and captions", "code": "The released code"}
MEANINGS = {
    "reproduced": "the measured value lies inside the criterion",
    "reproduced (loose)": "it lies inside the weaker criterion only",
    "differs": "it lies outside; the chapter says why",
    "not reached": "the run is not the one that the criterion asks for",
    "not run": "nothing has been measured yet",
    "shown": "the computation shows the mistake",
    "not shown": "the computation does not show it",
    "reading": "seen by reading, nothing to compute",
}
INTRODUCTION = """# Ledger

Every figure panel, table cell, equation and claim of the paper is a row here: what it says, how it is measured, the
criterion, which was written before the result, the paper's printed value and ours. A verdict is computed from the value
that an executed notebook or a result file has recorded; there is no place to type one in. "Differs" is a result like
"reproduced": some of the paper's statements are not right, and the [errata](errata.md) say which.

Words that the cards take for granted: $\\mu_q = d^\\dagger W^q e$ are the {term}`moments <moment>`; $\\sigma_k$, $l$
and $r$ the singular values of $W$ in falling order and its left and right singular vectors (vectors and matrices are
not bold here, and in the rows on Table 1 $r$ is the ratio of the table); R² the coefficient of determination. A
*relative output error* is the rms of output minus target over the rms of the target, on burst sequences of 200 steps
unless said otherwise. Losses are in the *authors' normalisation*: {eq}`eq-5` over $s^2T^3$, {eq}`eq-7` over $s^2T^2$,
{eq}`eq-29` over $s^2$.
"""
ERRATA_INTRODUCTION = """# Errata

Where the paper, or the code released with it, is not right: what is printed, what is right, how we know, and what it
changes. Few of these mistakes touch a conclusion. An erratum of a formula or a claim is proved in its chapter and shown
there by a number, which has to lie in the interval that stands here.
"""


def write(book: str | os.PathLike[str] | None = None) -> list[Path]:
    """Write the pages into the book folder; returns those whose text has changed."""
    folder = notebooks.book_folder(book)
    changed = []
    for name, text in texts(book).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            _replace(path, text)
            changed.append(path)
    return changed


def texts(book: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """MyST texts of all pages, by file name."""
    return {"ledger.md": render(book), "errata.md": render_errata(book), "figures.md": figures.render(book)}


def render(book: str | os.PathLike[str] | None = None) -> str:
    """MyST text of the page of rows."""
    ledger = load(book)
    found = gather(ledger, book)
    titles = _titles(book)
    parts = [INTRODUCTION, _score(ledger.rows, "rows", ROW_VERDICTS, found)]
    for section in sorted({row.section for row in ledger.rows.values()}, key=place):
        rows = [row for row in ledger.rows.values() if row.section == section]
        parts += [f"## {heading(section)}\n", _map(rows, found)]
        parts += [_row_card(row, found.get(row.id), titles) for row in rows]
    return "\n".join(parts)


def render_errata(book: str | os.PathLike[str] | None = None) -> str:
    """MyST text of the page of errata."""
    ledger = load(book)
    found = gather(ledger, book)
    titles = _titles(book)
    parts = [ERRATA_INTRODUCTION, _score(ledger.errata, "errata", ERRATUM_VERDICTS, found)]
    for kind, heading in ERRATA_PARTS.items():
        errata = [erratum for erratum in ledger.errata.values() if erratum.kind == kind]
        parts += [f"## {heading}\n", _map(errata, found)] if errata else []
        parts += [_erratum_card(erratum, found.get(erratum.id), titles) for erratum in errata]
    return "\n".join(parts)


def place(section: str) -> tuple[int, list[int], str]:
    """Sort key: numbered sections first, then appendices."""
    return (0, [int(part) for part in section.split(".")], "") if section[0].isdigit() else (1, [], section)


def heading(section: str) -> str:
    """Title of a section or appendix of the paper, such as "Section 3.1: Conditions for generalising integrators"."""
    return f"Section {section}: {SECTIONS[section]}" if section in SECTIONS else f"Appendix {section}"


def _titles(book: str | os.PathLike[str] | None) -> dict[str, str]:
    return {chapter: notebooks.title(path) or chapter for chapter, path in notebooks.chapters(book).items()}


def _replace(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def data(book: str | os.PathLike[str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Rows and errata with verdict and value, as plain data for JSON."""
    ledger = load(book)
    found = gather(ledger, book)
    return {
        "rows": [_plain(row, found.get(row.id)) for row in ledger.rows.values()],
        "errata": [_plain(erratum, found.get(erratum.id)) for erratum in ledger.errata.values()],
    }


def _plain(entry: Row | Erratum, measured: Measured | None) -> dict[str, Any]:
    paper = entry.paper if isinstance(entry, Row) else {}
    value = encode(dict(measured.values))["value"] if measured else None
    conditions = measured.conditions if measured else {}
    return {
        "id": entry.id,
        "kind": entry.kind,
        "where": entry.where,
        "verdict": verdict(entry, measured),
        "value": value,
        "paper": {name: {"value": p.value, "error": p.error} for name, p in paper.items()},
        "accept": {name: list(interval) for name, interval in entry.accept.items()},
        "page": entry.page,
        "cell": _cell(measured) or None,
        "parameters": conditions,
        "seeds": conditions.get("seeds"),
    }


def _score(
    entries: Mapping[str, Row | Erratum], noun: str, verdicts: Iterable[str], found: Mapping[str, Measured]
) -> str:
    """Counts per verdict."""
    results = [verdict(entry, found.get(id)) for id, entry in entries.items()]
    lines = [f"- {_verdict(v)}: **{results.count(v)}**, {MEANINGS[v]}" for v in verdicts]
    return ":::{div} ledger-score\n" + "\n".join([f"**{len(results)} {noun}**\n", *lines]) + "\n:::\n"


def _map(entries: Iterable[Row | Erratum], found: Mapping[str, Measured]) -> str:
    """One line of links, one for each entry."""
    chips = (chip(entry, verdict(entry, found.get(entry.id))) for entry in entries)
    return '<p class="ledger-map">\n' + "\n".join(chips) + "\n</p>\n"


def _row_card(row: Row, measured: Measured | None, titles: Mapping[str, str]) -> str:
    result = verdict(row, measured)
    lines = []
    for name, interval in row.accept.items():
        ours = f"**{format_number(measured.values[name])}**, " if measured else ""
        fails = measured is not None and not interval.contains(measured.values[name])
        ours += "not judged" if name in row.reported and not fails else f"accepted {interval}"
        loose = f" (loose: {row.loose[name]})" if name in row.loose else ""
        paper = f"; paper: {row.paper[name]}" if name in row.paper else ""
        lines.append(f"- {row.words[name]}: {ours}{loose}{paper}")
    parts = [_first(row, result, f"{_sentence(row.where)}: {row.claim}"), _measure(row), "\n".join(lines)]
    parts += why(row, result, measured.conditions if measured else {})
    settings = f"Settings of the paper or its authors: {listed(row.settings)}. " if row.settings else ""
    errata = ", ".join(f"{{ref}}`{id} <row-{id}>`" for id in row.errata)
    source = _source(row, measured, titles)
    parts.append(f"{settings}{source}" + (f" See {errata}." if errata else ""))
    return _card(parts, result)


def _erratum_card(erratum: Erratum, measured: Measured | None, titles: Mapping[str, str]) -> str:
    result = verdict(erratum, measured)
    lines = []
    for name, interval in erratum.accept.items():
        ours = f"**{format_number(measured.values[name])}**, shown if" if measured else "shown if"
        lines.append(f"- {erratum.words[name]}: {ours} {interval}")
    parts = [
        _first(erratum, result, f"{_sentence(erratum.where)}. {printed(erratum)}"),
        f"Right: {erratum.right}",
        f"Does it matter? {erratum.matters}",
    ]
    if lines:
        parts += [_measure(erratum), "\n".join(lines)]
    return _card([*parts, _source(erratum, measured, titles)], result)


def _measure(entry: Row | Erratum) -> str:
    """How it is measured, with the names of the measures as the list below it writes them."""
    text = entry.measure
    for name in sorted(entry.accept, key=len, reverse=True):
        end = r"(?!\w)" if "_" in name else "(?=:)"  # a name of one word is an ordinary word elsewhere
        words = f"*{entry.words[name]}*"
        text = re.sub(rf"(?<![\w$\\]){name}{end}", lambda _, words=words: words, text)
    return f"Measured: {text}"


def _card(parts: Iterable[str], result: str) -> str:
    body = "\n\n".join(part.strip() for part in parts)
    return f"::::{{div}} ledger-row {verdict_class(result)}\n{body}\n::::\n"


def _first(entry: Row | Erratum, result: str, sentence: str) -> str:
    """The paragraph that opens a card: target, id, verdict, and what it is about."""
    words = f'<span class="ledger-id">{entry.id}</span> {_verdict(result)} {sentence}'
    anchor = "" if entry.id == entry.id.lower() else f' id="row-{entry.id}"'  # the target's own id is in lower case
    return f"(row-{entry.id})=\n<span{anchor}>{words}</span>"


def _verdict(result: str) -> str:
    return f'<span class="ledger-verdict {verdict_class(result)}">{result}</span>'


def _cell(measured: Measured | None) -> str:
    """Link from the ledger's page to the box of a check, "" if the value is not on a page."""
    if measured is None or not measured.chapter:
        return ""
    return f"{measured.chapter}.html" + (f"#{measured.anchor}" if measured.anchor else "")


def _source(entry: Row | Erratum, measured: Measured | None, titles: Mapping[str, str]) -> str:
    """Where the value comes from, with what it was computed, and the chapter."""
    name = titles.get(entry.page, entry.page)
    chapter = f'<a href="{entry.page}.html">{name}</a>' if entry.page in titles else f"`{entry.page}`"
    if measured is None:
        return f"Chapter: {chapter}."
    run = f" Run with {listed(measured.conditions)}." if measured.conditions else ""
    if cell := _cell(measured):
        name = titles.get(measured.chapter, measured.chapter)
        return f'Measured in <a href="{cell}">{name}, check of {entry.id}</a>.{run}'
    return f"Measured in the sweep `{measured.source}` of {measured.created[:10]}; chapter: {chapter}.{run}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")
