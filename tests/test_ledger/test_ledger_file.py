"""The project's own ledger: complete, strict, and its page in step with what is committed."""

import re
from pathlib import Path

import pytest

from companion import notebooks
from companion.ledger import gather, judge, load, measures, page
from companion.ledger.display import box_html, box_text, markup
from companion.ledger.verdicts import conditions
from companion.record import decode

BOOK = Path(__file__).parents[2] / "book"
PARTS = {
    "linear": {"conditions", "null_initialization", "full_rank_initialization", "multiple_channels"},
    "nonlinear": {"representation", "relu_theory", "generic_activation"},
    "multichannel": {"losses", "currents", "sigmoid", "selectivity", "dale"},
}
ALONE = {"index", "introduction", "model", "conclusion"}


@pytest.fixture(scope="module")
def ledger():
    """The ledger of the book."""
    return load(BOOK)


def test_every_statement_of_the_paper_is_there(ledger):
    kinds = [row.kind for row in ledger.rows.values()]
    counts = {kind: kinds.count(kind) for kind in ("figure", "table", "equation", "claim")}
    assert counts == {"figure": 43, "table": 14, "equation": 35, "claim": 46}
    assert len(ledger.rows) == 138 and len(ledger.errata) == 38
    assert [id for id in ledger.rows if id.startswith("C")] == [f"C{number:02}" for number in range(1, 47)]
    assert {"F8L", "F8R", "F14a", "F14b", "F14c", "F14d", "T1-ord", "T1-null", "eq-1", "eq-52"} <= set(ledger.rows)


def test_every_page_is_a_chapter_of_the_layout(ledger):
    for id in ledger:
        part, _, name = ledger[id].page.partition("/")
        if part in PARTS:
            assert name in PARTS[part], id
        elif part == "appendices":
            assert re.fullmatch(r"[a-k]_[a-z_]+", name), id
        else:
            assert part == "beyond" or ledger[id].page in ALONE, id


def test_texts_can_be_shown_in_a_check(ledger):
    for id in ledger:
        entry = ledger[id]
        for text in (
            entry.where,
            entry.measure,
            getattr(entry, "claim", ""),
            getattr(entry, "printed", ""),
            *entry.words.values(),
        ):
            assert text.count("$") % 2 == 0 and text.count("`") % 2 == 0, id
            assert "$" not in markup(text) and not re.search(r"\{\w+\}`", text), id


@pytest.mark.parametrize("chapter", notebooks.chapters(BOOK))
def test_boxes_show_the_ledger_as_it_reads_today(ledger, chapter):
    for _, data, content in notebooks.records(notebooks.chapter_path(chapter, BOOK)):
        if content["name"] in ledger:
            entry, stated = ledger[content["name"]], conditions(content)
            values = measures(entry, decode(content))
            shown, verdict = "".join(data["text/html"]), judge(entry, values, stated)
            anchor = re.search(r'id="(check-[^"]+)"', shown).group(1)
            again = f"run python -m companion.batch refresh {chapter}: {entry.id} is shown as it was"
            assert shown == box_html(entry, verdict, values, stated, anchor=anchor, chapter=chapter), again
            assert "".join(data["text/plain"]) == box_text(entry, verdict, values, stated), again


def test_every_recorded_value_is_honest_and_the_page_shows_it():
    for name, text in page.texts(BOOK).items():
        assert (BOOK / name).read_text(encoding="utf-8") == text, "run python -m companion.ledger --page"
    assert gather(book=BOOK).keys() <= set(load(BOOK))
