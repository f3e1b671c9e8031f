"""The index of symbols: every link has a target, every name exists, and nothing is listed twice in a table."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

from companion.ledger import load
from companion.notebooks import chapters, parameters

BOOK = Path(__file__).resolve().parents[1] / "book"
TEXT = (BOOK / "symbols.md").read_text(encoding="utf-8")
TABLES = [
    [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    for part in TEXT.split("\n## ")[1:]
]
ROWS = [row for table in TABLES for row in table[2:]]


def prose() -> str:
    """Text of every page."""
    notebooks = [nbformat.read(path, as_version=4) for path in chapters(BOOK).values()]
    cells = [cell.source for notebook in notebooks for cell in notebook.cells if cell.cell_type == "markdown"]
    return "\n".join([*cells, *(path.read_text(encoding="utf-8") for path in BOOK.glob("*.md"))])


def find(name: str) -> object:
    """What a dotted name below `lib` stands for; AttributeError or ImportError if there is nothing."""
    module, *rest = name.split(".")
    found, path = importlib.import_module(f"lib.{module}"), f"lib.{module}"
    for part in rest:
        if hasattr(found, part):
            found = getattr(found, part)
        elif part in getattr(found, "__annotations__", {}):
            return part
        else:
            found = importlib.import_module(f"{path}.{part}")
        path = f"{path}.{part}"
    return found


def test_each_line_says_what_where_and_how():
    assert len(ROWS) > 50
    for row in ROWS:
        assert len(row) == 5, row
        assert row[0].startswith("$") and row[1] and row[3], row
    for table in TABLES:
        symbols = [row[0] for row in table[2:]]
        assert len(symbols) == len(set(symbols))


def test_every_link_has_its_target():
    pages, ledger = prose(), load(BOOK)
    for role, target in re.findall(r"\{(\w+)\}`(?:[^`<]*<)?([^`>]+)>?`", TEXT):
        if role == "eq":
            assert f"$$ ({target})" in pages, target
        elif role == "doc":
            assert target in chapters(BOOK), target
        elif role == "ref":
            assert target.removeprefix("row-") in ledger, target
        else:
            assert role == "term" and re.search(rf"^{re.escape(target)}$", pages, re.M), target


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_name_exists(row):
    for name in re.findall(r"`([a-z_]+\.[\w.]+)`", row[4]):
        find(name)
    for name in re.findall(r"\*(\w+)\*", row[4]):
        assert any(name in parameters(path) for path in chapters(BOOK).values()), name


def test_letters_of_the_glossary_are_among_the_symbols():
    letters = re.findall(r"^\| (\$[^|]+\$) \|", (BOOK / "glossary.md").read_text(encoding="utf-8"), re.M)
    ours = {symbol for row in ROWS for symbol in re.findall(r"\$[^$]+\$", row[0])}
    missing = {symbol for text in letters for symbol in re.findall(r"\$[^$]+\$", text)} - ours
    assert not missing
