"""companion.ledger.overview: what all chapters together say, in text, in HTML and in numbers."""

import pytest
from bs4 import BeautifulSoup

from companion import record
from companion.ledger import LedgerError, evidence, listing, outcomes, overview, score, scoreboard


@pytest.fixture
def shown(monkeypatch):
    """Texts and markups that are shown."""
    kept = []
    monkeypatch.setattr(
        overview, "show", lambda text, markup: kept.append((text, BeautifulSoup(markup, "html.parser")))
    )
    return kept


@pytest.fixture
def measured(write_chapter):
    """A row that differs, one that is not reached, one that is reproduced, and an erratum that is shown."""
    settings = {"name": "F3A", "value": {"shared": 0.05, "positive": 0.5}, "settings": {"seeds": 9}}
    return write_chapter(
        ("check('F3A', f(), seeds=9)", settings),
        ("check('T1-c', f())", {"name": "T1-c", "value": {"ratio": 9.0}}),
        ("check('eq-7', f())", {"name": "eq-7", "value": {"difference": 1e-9}}),
        ("check('E4', f())", {"name": "E4", "value": {"ratio": 2.0}}),
    )


def test_outcomes_hold_everything_once_with_what_it_was_run_with(book, measured):
    found = outcomes()
    assert {id: outcome.verdict for id, outcome in found.items()} == {
        "F3A": "not reached",
        "T1-c": "differs",
        "eq-7": "reproduced",
        "C35": "not run",
        "E4": "shown",
        "E35": "reading",
    }
    assert found["F3A"].conditions == {"n": 4, "seeds": 9} and found["C35"].conditions == {}
    assert found["F3A"].entry.id == "F3A"


def test_tiles_are_ordered_by_section_and_kind(book, measured):
    found = overview.tiles()
    assert list(found) == [
        "3.1: Conditions for generalising integrators",
        "4.1: Representations in a ReLU network",
        "5: Several channels, nonlinear",
        "Appendix A",
    ]
    assert found["5: Several channels, nonlinear"] == {
        "figures": [],
        "Table 1": ["differs"],
        "equations": [],
        "claims": [],
    }
    assert sum(len(v) for kinds in found.values() for v in kinds.values()) == sum(score()["rows"].values())


def test_the_scoreboard_shows_what_score_counts(book, measured, shown):
    scoreboard()
    (text, html), counts = shown[0], score()
    assert f"rows: {counts['rows']['reproduced']} reproduced, " in text
    tables = html.find_all("table")
    assert len(tables) == 2
    for part, found in zip(("rows", "errata"), tables, strict=True):
        lines = {line.th.text: int(line.td.text) for line in found.find_all("tr")}
        assert lines == counts[part]
        assert found.caption.text == f"{part} of the ledger, {sum(lines.values())} in all"


def test_a_listing_gives_reasons(book, measured, shown):
    listing("not reached", "differs")
    text, html = shown[0]
    assert text.splitlines() == [
        "not reached or differs: 2",
        "F3A: not reached (Needs seeds: at least 10, here 9; sampler: sobol, not stated.)",
        "T1-c: differs (The optimiser decides it.)",
    ]
    assert [link["href"] for link in html.find_all("a")] == ["ledger.html#row-F3A", "ledger.html#row-T1-c"]
    assert [cell.get_text() for cell in html.select("thead th")] == ["row", "claim", "why"]
    listing("not run")
    text, html = shown[1]
    assert text.splitlines() == ["not run: 1", "C35: not run"]
    assert len(html.select("thead th")) == 2  # nothing to say in a column of reasons
    listing("reproduced (loose)")
    assert shown[2][0] == "reproduced (loose): 0" and not shown[2][1].find("tbody")
    listing("reading")
    text, html = shown[3]
    assert text.splitlines() == ["reading: 1", "E35: reading"]
    assert [link["href"] for link in html.find_all("a")] == ["errata.html#row-E35"]
    with pytest.raises(LedgerError, match=r"expected verdicts among reproduced, .* got seen"):
        listing("seen")


def test_evidence_shows_rows_and_errata_behind_a_sentence(book, measured, shown, monkeypatch):
    evidence({"It holds for $s > 1$ & more.": ["eq-7", "E4"], "Unknown yet.": ["C35"]})
    text, html = shown[0]
    assert text.splitlines() == [
        "It holds for $s > 1$ & more.: eq-7 reproduced, E4 shown",
        "Unknown yet.: C35 not run",
    ]
    assert [link["href"] for link in html.find_all("a")] == [
        "ledger.html#row-eq-7",
        "errata.html#row-E4",
        "ledger.html#row-C35",
    ]
    assert r"It holds for \(s > 1\) & more." in html.get_text()
    assert "verdict-not-run" in html.find_all("a")[-1]["class"]
    with pytest.raises(LedgerError, match="no row C99"):
        evidence({"It does not.": ["C35", "C99"]})
    monkeypatch.setattr(record, "_run", record.Run("part/tiny", {}, book, []))
    evidence({"It holds.": ["eq-7"]})
    assert shown[1][1].find("a")["href"] == "../ledger.html#row-eq-7"
