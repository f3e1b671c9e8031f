"""companion.ledger.page and the command line: a deterministic page, plain data, and clear failures."""

import json
import math
import re

import pytest
from small_ledger import LEDGER

from companion.ledger import figures, page
from companion.ledger.__main__ import main

MIXED = {"shared": 0.05, "positive": 5e-7}


@pytest.fixture
def measured(write_chapter):
    """A chapter with a reproduced row, one that differs, one that is not reached, and an erratum that is shown."""
    return write_chapter(
        (
            "check('F3A', f(), seeds=9)",
            {"name": "F3A", "value": {"shared": 0.05, "positive": 5e-7}, "settings": {"seeds": 9}},
        ),
        ("check('T1-c', f())", {"name": "T1-c", "value": {"ratio": "NaN"}, "nonfinite": ["ratio"]}),
        ("check('eq-7', f())", {"name": "eq-7", "value": {"difference": 1e-9}}),
        ("check('E4', f())", {"name": "E4", "value": {"ratio": 2.0}}),
    )


def test_the_page_is_the_same_each_time_and_holds_every_row_once(book, measured):
    pages = page.render(), page.render_errata()
    assert pages == (page.render(), page.render_errata())
    for id in ("F3A", "T1-c", "eq-7", "C35", "E4", "E35"):
        text = pages[id[0] == "E"]
        assert text.count(f"(row-{id})=\n") == 1
        assert text.count(f'id="row-{id}"') == (id != id.lower())  # else the target's own id is the same
        assert text.count(f'href="#row-{id}"') == 1
    assert "**4 rows**" in pages[0] and "**2 errata**" in pages[1]
    assert re.findall(r"^## (.*)", pages[1], re.M) == ["Formulas", "The released code"]
    assert re.findall(r"^## (.*)", pages[0], re.M) == [
        "Section 3.1: Conditions for generalising integrators",
        "Section 4.1: Representations in a ReLU network",
        "Section 5: Several channels, nonlinear",
        "Appendix A",
    ]


def card(text, id):
    """The card of one row."""
    return text.split(f"(row-{id})=\n")[1].split("\n::::\n")[0]


def test_a_card_says_what_was_measured_and_how(book, measured):
    text = page.render()
    assert '<a href="part/tiny.html#check-F3A">A tiny chapter, check of F3A</a>' in card(text, "F3A")
    assert "Run with n 4; seeds 9." in card(text, "F3A")
    assert "Needs n: at least" not in card(text, "F3A")
    assert "Needs seeds: at least 10, here 9; sampler: sobol, not stated." in card(text, "F3A")
    assert "shared: **0.05**, accepted 0.01 to 0.1; paper: 0.05 ± 0.01" in card(text, "F3A")
    assert "positive: **5×10⁻⁷**" in card(text, "F3A")
    assert "See {ref}`E35 <row-E35>`." in card(text, "F3A")
    assert "**not a number**, accepted 1.3 to 1.9 (loose: 1 to 2.6)" in card(text, "T1-c")
    assert "Why it differs: *The optimiser decides it.*" in card(text, "T1-c") and ">differs<" in card(text, "T1-c")
    assert ">reproduced<" in card(text, "eq-7") and ">not run<" in card(text, "C35")
    assert "Chapter: `part/other`." in card(text, "C35")
    text = page.render_errata()
    assert ">shown<" in card(text, "E4") and ">reading<" in card(text, "E35")
    assert "Printed: once the sum" in card(text, "E4") and "In the code: labels are shifted" in card(text, "E35")


def test_measures_are_called_the_same_in_text_and_list(book):
    text = LEDGER.replace("measure: ratio\n", "measure: small_ratio over $a_b$, not small_ratio_2\n")
    (book / "ledger.yml").write_text(text.replace("{ratio:", "{small_ratio:"))
    found = card(page.render(), "T1-c")
    assert "Measured: *small ratio* over $a_b$, not small_ratio_2" in found and "- small ratio: accepted" in found
    (book / "ledger.yml").write_text(LEDGER.replace("measure: ratio\n", 'measure: "a ratio. ratio: of two"\n'))
    assert "Measured: a ratio. *ratio*: of two" in card(page.render(), "T1-c")


def test_a_result_file_is_named_on_the_card(book, measured):
    (book.parent / "results").mkdir()
    content = {"name": "C35", "value": 0.6, "parameters": {"n": 4}, "settings": {}}
    provenance = {"created": "2026-11-01T10:00:00+00:00", "lib": "0.1.0", "sweep": "paper.yml"}
    (book.parent / "results" / "a.json").write_text(json.dumps({"records": [content], "provenance": provenance}))
    assert "Measured in the sweep `results/a.json` of 2026-11-01; chapter" in card(page.render(), "C35")


def test_the_page_is_written_only_if_it_changed(book, measured):
    assert page.write() == [book / "ledger.md", book / "errata.md", book / "figures.md"]
    assert (book / "ledger.md").read_text() == page.render()
    assert (book / "errata.md").read_text() == page.render_errata()
    assert (book / "figures.md").read_text() == figures.render()
    assert page.write() == []
    assert [path.name for path in book.iterdir() if path.suffix == ".tmp"] == []
    (book / "ledger.yml").write_text(LEDGER.replace("The two agree.", "Both agree."))
    assert page.write() == [book / "ledger.md"]


def test_the_data_is_plain(book, measured, capsys):
    assert main(["--json"]) == 0
    data = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert data == page.data(book)
    first = {row["id"]: row for row in data["rows"]}["F3A"]
    assert first == {
        "id": "F3A",
        "kind": "figure",
        "where": "section 4.1, Figure 3A",
        "verdict": "not reached",
        "value": {"shared": 0.05, "positive": 5e-7},
        "paper": {"shared": {"value": 0.05, "error": 0.01}},
        "accept": {"shared": [0.01, 0.1], "positive": [0.42, 0.55]},
        "page": "part/tiny",
        "cell": "part/tiny.html#check-F3A",
        "parameters": {"n": 4, "seeds": 9},
        "seeds": 9,
    }
    assert [(e["id"], e["verdict"], e["value"]) for e in data["errata"]] == [
        ("E4", "shown", {"ratio": 2.0}),
        ("E35", "reading", None),
    ]
    values = {row["id"]: row["value"] for row in data["rows"]}
    assert values["T1-c"] == {"ratio": "NaN"} and math.isnan(float(values["T1-c"]["ratio"])) and values["C35"] is None


def test_the_command_counts_and_writes(book, measured, capsys, tmp_path):
    assert main(["--score"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["not run"] == 1
    assert main(["--page"]) == 0 and "written" in capsys.readouterr().out
    assert main(["--page", "--book", str(book)]) == 0 and "up to date" in capsys.readouterr().out
    assert main(["--score", "--book", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("ledger: ") and not capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([])
