"""Text of `book/figures.md`: the paper's figures and its table, each with ours, settings, verdict, and how to rerun it.

The page is a function of the ledger, the committed notebooks and the result files. Which figure of a chapter answers a
panel is read from the notebook: the last one drawn before the cell that checks the row, or else the first one after it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping

from companion import notebooks
from companion.ledger.display import listed, verdict_class, why
from companion.ledger.rows import Row, load
from companion.ledger.verdicts import Measured, gather, verdict

TITLES = {
    "1": "the network and its task",
    "2": "three surfaces of integrators",
    "3": "two populations of neurons",
    "4": "straight currents",
    "5": "three vectors on one line",
    "6": "neurons that saturate",
    "7": "singular values with three channels",
    "8": "the sheet of currents",
    "9": "sigmoids with several channels",
    "10": "mixed selectivity",
    "11": "encoders and decoders on some neurons only",
    "12": "Dale's law",
    "13": "integrators reached from zero, in coordinates",
    "14": "condition numbers",
    "15": "slow learning at the special scale",
    "16": "curvature and learning time of the proxy loss",
    "17": "singular value and vectors against the scale",
    "18": "weights sorted by population",
    "19": "a context decides",
}
"""What the paper's figures are about."""

TABLE = "Table 1: how far the currents are from their sheet"
INTRODUCTION = """# The paper's figures

Every figure of the paper, and its table, with the place where this book draws and measures the same. The paper's own
pictures are not shown here; they are its authors', and the words below are ours. A command runs the chapter, or the
sweep, that the numbers come from; type `source .venv/bin/activate` first. Results go to `_build/runs` or to the folder
that `-o` names, and `-p NAME VALUE` changes a parameter ({doc}`guide/run`).
"""


def render(book: str | os.PathLike[str] | None = None) -> str:
    """MyST text of the page of figures."""
    ledger = load(book)
    found = gather(ledger, book)
    groups: dict[str, list[Row]] = {}
    for row in ledger.rows.values():
        if row.kind in ("figure", "table"):
            groups.setdefault(_group(row), []).append(row)
    titles = {chapter: notebooks.title(path) for chapter, path in notebooks.chapters(book).items()}
    parts = [INTRODUCTION]
    for title, rows in groups.items():
        parts.append(f"## {title}\n")
        parts += [_card(row, found.get(row.id), titles, book) for row in rows]
        commands = dict.fromkeys(c for row in rows for c in _commands(row, found.get(row.id), titles, book))
        if commands:
            parts.append("```console\n" + "\n".join(commands) + "\n```\n")
    return "\n".join(parts)


def ours(row: Row, book: str | os.PathLike[str] | None = None) -> str:
    """Name of the figure in the row's chapter that answers a panel of the paper, "" if there is none."""
    path = notebooks.chapters(book).get(row.page)
    if row.kind != "figure" or path is None:
        return ""
    cells = [cell for cell in notebooks.read(path) if cell.get("cell_type") == "code"]
    names = [cell.get("metadata", {}).get("mystnb", {}).get("figure", {}).get("name", "") for cell in cells]
    call = re.compile(rf"""\bcheck\(\s*["']{re.escape(row.id)}["']""")
    checks = [number for number, cell in enumerate(cells) if call.search(cell["source"])]
    if not checks:
        return ""
    before = [name for name in names[: checks[0] + 1] if name]
    after = [name for name in names[checks[0] + 1 :] if name]
    return before[-1] if before else after[0] if after else ""


def _group(row: Row) -> str:
    """Title of the figure that a panel belongs to."""
    match = re.fullmatch(r"F(\d+)[A-Za-z]*", row.id)
    if not match:
        return TABLE
    number = match[1]
    return f"Figure {number}" + (f": {TITLES[number]}" if number in TITLES else "")


def _card(row: Row, measured: Measured | None, titles: Mapping[str, str], book: str | os.PathLike[str] | None) -> str:
    result = verdict(row, measured)
    sign = f'<span class="ledger-verdict {verdict_class(result)}">{result}</span>'
    name, chapter = ours(row, book), _chapter(row.page, titles)
    parts = [f"{{ref}}`{row.id} <row-{row.id}>` {sign} {row.claim}"]
    parts.append(f"Ours: {{numref}}`{name}` in {chapter}." if name else f"Chapter: {chapter}.")
    parts += why(row, result, measured.conditions if measured else {})
    if row.settings:
        parts.append(f"Settings of the paper or its authors: {listed(row.settings)}.")
    if measured and measured.conditions:
        parts.append(f"Settings here: {listed(measured.conditions)}.")
    body = "\n\n".join(parts)
    return f"::::{{div}} ledger-row {verdict_class(result)}\n{body}\n::::\n"


def _chapter(page: str, titles: Mapping[str, str]) -> str:
    return f"{{doc}}`{titles[page]} <{page}>`" if page in titles else f"`{page}`"


def _commands(
    row: Row, measured: Measured | None, titles: Mapping[str, str], book: str | os.PathLike[str] | None
) -> Iterable[str]:
    """Command lines that draw our figure and measure the row again."""
    if row.page in titles:
        yield f"python -m companion.batch run {row.page}"
    if measured and measured.chapter and measured.chapter != row.page:
        yield f"python -m companion.batch run {measured.chapter}"
    experiment = measured.conditions.get("experiment") if measured and measured.chapter else None
    if measured and (experiment or not measured.chapter):
        source = f"results/{experiment}.json" if experiment else measured.source
        path = notebooks.book_folder(book).parent / source
        provenance = json.loads(path.read_text(encoding="utf-8"))["provenance"]
        sweep, _, experiment = provenance.get("sweep", provenance.get("notebook", "")).partition(", ")
        yield f"python -m companion.batch run {sweep}" + (f" --only {experiment}" if experiment else "")
