"""check and summary, in a kernel and without one: what is judged, shown, stored, and refused."""

import html.parser
import math
import re

import nbclient
import nbformat
import pytest
from small_ledger import LEDGER

from companion import notebooks
from companion.ledger import LedgerError, check, display, gather, judge, load, summary, verdict
from companion.ledger.rows import parse
from companion.record import begin

CHECK = """
value = sum(range(n)) / 120
check('F3A', {'shared': value, 'positive': value * 10}, seeds=10, sampler='sobol')
"""


def execute(path, replace=("", "")):
    """The notebook after a run with a change in its source."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace(*replace)
    nbclient.NotebookClient(notebook, timeout=60).execute()
    return notebook


@pytest.fixture
def chapter(write_chapter):
    """Path of an executed chapter with two checks and a summary."""
    cells = [(CHECK, None), ("check('E4', value * 40)", None), ("summary()", None)]
    path = write_chapter(*cells)
    nbformat.write(execute(path), path)
    return path


def test_a_chapter_from_run_to_verdict(book, chapter):
    cells = nbformat.read(chapter, as_version=4).cells
    data = cells[4].outputs[0]["data"]
    assert data[notebooks.RECORD_MIME] == {
        "name": "F3A",
        "value": {"shared": 0.05, "positive": 0.5},
        "unit": "",
        "chapter": "part/tiny",
        "parameters": {"n": 4},
        "settings": {"seeds": 10, "sampler": "sobol"},
    }
    assert data["text/plain"] == (
        "F3A: reproduced\n"
        "  shared = 0.05 (inside 0.01 to 0.1; paper: 0.05 ± 0.01)\n"
        "  positive = 0.5 (inside 0.42 to 0.55)"
    )
    assert cells[6].outputs[0]["data"]["text/plain"] == "F3A: reproduced\nT1-c: not run\nE4: shown"
    found = gather()
    assert {id: verdict(load()[id], found[id]) for id in found} == {"F3A": "reproduced", "E4": "shown"}
    assert found["F3A"].anchor == "check-F3A"


def test_what_was_made_elsewhere_is_judged_by_its_own_settings_and_comes_first(book, write_chapter):
    value = "{'shared': sum(range(n)) / 120, 'positive': sum(range(n)) / 12}"
    made = {"n": 5, "seeds": 10, "sampler": "sobol"}
    own = f"check('F3A', {value}, seeds=10, sampler='sobol')"
    path = write_chapter((own, None), (f"check('F3A', {value}, made={made}, batch=7)", None))
    nbformat.write(execute(path), path)
    assert gather()["F3A"].conditions == {**made, "batch": 7}
    del made["n"]  # which the page's own is no substitute for
    path = write_chapter((f"check('F3A', {value}, made={made})", None), ("summary()", None))
    run = execute(path)
    nbformat.write(run, path)
    assert gather()["F3A"].conditions == made
    assert "Needs n: at least 4, not stated." in run.cells[4].outputs[0]["data"]["text/plain"]
    assert "F3A: not reached" in run.cells[5].outputs[0]["data"]["text/plain"]


def test_a_wrong_number_fails_and_a_rounding_error_does_not(chapter, monkeypatch):
    before = [cell.outputs for cell in nbformat.read(chapter, as_version=4).cells[4:]]
    near = execute(chapter, ("range(n)) / 120", "range(n)) / 120 * (1 + 1e-9)"))
    assert [cell.outputs for cell in near.cells[4:]] == before
    wrong = ("range(n)) / 120", "range(n)) / 120 * (1 + 1e-3)")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="F3A is not the committed value of part/tiny"):
        execute(chapter, wrong)
    monkeypatch.setenv("LIB_REFRESH", "1")
    fresh = execute(chapter, wrong).cells[4].outputs[0]["data"][notebooks.RECORD_MIME]
    assert fresh["value"]["shared"] == pytest.approx(0.05005, rel=1e-9)


def test_other_parameters_are_judged_but_not_compared(chapter):
    data = execute(chapter, ("n: int = 4", "n: int = 3")).cells[4].outputs[0]["data"]
    assert data[notebooks.RECORD_MIME]["value"]["shared"] == pytest.approx(0.025)
    assert data["text/plain"].startswith("F3A: not reached\n") and "Needs n: at least 4, here 3." in data["text/plain"]


def test_a_hand_edited_value_is_found_by_running_and_a_typed_one_by_gathering(book, chapter):
    original = chapter.read_text()
    chapter.write_text(original.replace('"positive": 0.5', '"positive": 0.45'))
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"positive: expected 0\.45, got 0\.5"):
        execute(chapter)
    chapter.write_text(original.replace("'positive': value * 10", "'positive': 0.5"))
    with pytest.raises(LedgerError, match="typed in gives no verdict"):
        gather()


def test_without_begin_a_check_prints(book, capsys):
    check("eq-7", 1e-9)
    assert capsys.readouterr().out == "eq-7: reproduced\n  difference = 1×10⁻⁹ (inside at most 1×10⁻⁶)\n"
    with pytest.raises(LedgerError, match="call begin"):
        summary()
    with pytest.raises(LedgerError, match="no row 'C99'"):
        check("C99", 1.0)
    with pytest.raises(LedgerError, match="missing: positive"):
        check("F3A", {"shared": 0.05})


def test_summary_lists_the_rows_of_the_chapter_and_those_checked_here(book, write_chapter, capsys):
    write_chapter()
    begin("part/tiny", {"n": 4})
    check("C35", 0.6)
    check("F3A", {"shared": 0.05, "positive": 0.5})
    check("F3A", {"shared": 0.05, "positive": 0.9}, seeds=10, sampler="sobol")
    capsys.readouterr()
    summary()
    assert capsys.readouterr().out == "F3A: differs\nT1-c: not run\nC35: reproduced\nE4: not run\n"


def test_a_chapter_without_rows_says_so_instead_of_an_empty_table():
    assert display.summary_text([]) == "no row of the ledger belongs here"
    assert "No row of the ledger belongs here." in display.summary_html([]) and "<table" not in display.summary_html([])


def test_a_second_check_of_a_row_has_its_own_anchor(book, write_chapter, monkeypatch):
    write_chapter()
    begin("part/tiny", {"n": 4})
    shown = []
    monkeypatch.setattr("companion.ledger.show", lambda text, markup, content: shown.append(markup))
    for seeds in (1, 2, 1):
        check("C35", 0.6, seeds=seeds)
    assert [re.search(r'id="([^"]+)"', markup)[1] for markup in shown] == ["check-C35", "check-C35-2", "check-C35"]


class Balance(html.parser.HTMLParser):
    """Collects tags, and what was opened and not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.classes = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)
        self.classes |= set((dict(attrs).get("class") or "").split())
        assert "style" not in dict(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def box(id, values, conditions=None, chapter="part/tiny"):
    """HTML of a check."""
    entry = load()[id]
    conditions = conditions or {}
    return display.box_html(
        entry, judge(entry, values, conditions), values, conditions, anchor=f"check-{id}", chapter=chapter
    )


@pytest.mark.parametrize(
    ("id", "values", "name"),
    [
        ("F3A", {"shared": 0.05, "positive": 9.0}, "verdict-not-reached"),
        ("T1-c", {"ratio": 2.0}, "verdict-loose"),
        ("T1-c", {"ratio": 9.0}, "verdict-differs"),
        ("eq-7", {"difference": 0.0}, "verdict-reproduced"),
        ("E4", {"ratio": 2.0}, "verdict-shown"),
    ],
)
def test_the_box_is_well_formed_and_says_the_verdict_in_words(book, id, values, name):
    markup = box(id, values)
    parser = Balance()
    parser.feed(markup)
    assert parser.open == [] and {"ledger-box", "ledger-verdict", name} <= parser.classes
    entry = load()[id]
    assert f">{judge(entry, values, {})}</span>" in markup and f'id="check-{id}"' in markup
    page = "errata" if id.startswith("E") else "ledger"
    assert f'href="../{page}.html#row-{id}"' in markup
    assert parser.seen.count("tr") == len(values) + 1


def test_the_link_to_the_ledger_follows_the_depth_of_the_chapter(book):
    values = {"difference": 0.0}
    assert 'href="ledger.html#row-eq-7"' in box("eq-7", values, chapter="model")
    assert 'href="../../ledger.html#row-eq-7"' in box("eq-7", values, chapter="a/b/c")
    assert "href" not in box("eq-7", values, chapter="")


def test_a_measure_that_is_only_reported_is_not_judged():
    text = LEDGER.replace("    page: part/tiny\n    errata", "    reported: [shared]\n    page: part/tiny\n    errata")
    values = {"shared": 0.05, "positive": 0.5}
    markup = display.box_html(parse(text)["F3A"], "reproduced", values, {}, anchor="here", chapter="")
    assert markup.count("inside</span>") == 1 and "<td>not judged</td>" in markup
    values["shared"] = math.nan
    markup = display.box_html(parse(text)["F3A"], "differs", values, {}, anchor="here", chapter="")
    assert "outside</span>" in markup and "not judged" not in markup
    with pytest.raises(LedgerError, match="F3A, reported: no such measure under accept; known: shared, positive"):
        parse(text.replace("[shared]", "[shred]"))
    with pytest.raises(LedgerError, match="F3A, reported: expected a list of measures, got 'shared'"):
        parse(text.replace("[shared]", "shared"))


def test_a_box_names_the_result_files_its_value_comes_from(book):
    entry, stated = load()["eq-7"], {"experiment": ["first", "second"]}
    assert "From results/: first, second." in box("eq-7", {"difference": 0.0}, stated)
    assert display.box_text(entry, "reproduced", {"difference": 0.0}, stated).endswith("From results/: first, second.")
    assert "From results/: alone." in box("eq-7", {"difference": 0.0}, {"experiment": "alone"})
    assert "From results" not in box("eq-7", {"difference": 0.0}, {"n": 4})


def test_rows_without_a_box_lead_to_their_card(book):
    markup = display.summary_html([(load()["E35"], "reading", "")], root="../")
    assert 'href="../errata.html#row-E35"' in markup


def test_claims_become_html(book):
    assert display.markup("$a < b$ & *weak* `x_y` **b** 2 * 3") == (
        r"\(a &lt; b\) &amp; <em>weak</em> <code>x_y</code> <b>b</b> 2 * 3"
    )
    assert r"\(L_+ &lt; 1\) &amp; <em>weak</em>" in box("F3A", {"shared": 0.05, "positive": 0.5})
