"""companion.ledger.verdicts: values are judged by the criterion only, and gathered from honest records only."""

import json
import math

import pytest

from companion.ledger import LedgerError, gather, judge, load, measures, score, verdict
from companion.ledger.verdicts import unmet

GOOD = {"shared": 0.05, "positive": 0.5}
ENOUGH = {"n": 4, "seeds": 10, "sampler": "sobol"}


@pytest.mark.parametrize(
    ("id", "values", "conditions", "expected"),
    [
        ("F3A", GOOD, ENOUGH, "reproduced"),
        ("F3A", GOOD, {**ENOUGH, "n": 1000}, "reproduced"),
        ("F3A", {**GOOD, "positive": 0.56}, ENOUGH, "differs"),
        ("F3A", {**GOOD, "positive": math.nan}, ENOUGH, "differs"),
        ("F3A", GOOD, {**ENOUGH, "n": 3}, "not reached"),
        ("F3A", {**GOOD, "positive": 9.0}, {**ENOUGH, "n": 3}, "not reached"),
        ("F3A", GOOD, {**ENOUGH, "sampler": "monte-carlo"}, "not reached"),
        ("F3A", GOOD, {"n": 4, "sampler": "sobol"}, "not reached"),
        ("F3A", GOOD, {**ENOUGH, "n": "many"}, "not reached"),
        ("F3A", GOOD, {**ENOUGH, "seeds": True}, "not reached"),
        ("T1-c", {"ratio": 1.6}, {}, "reproduced"),
        ("T1-c", {"ratio": 2.5}, {}, "reproduced (loose)"),
        ("T1-c", {"ratio": 2.7}, {}, "differs"),
        ("T1-c", {"ratio": math.nan}, {}, "differs"),
        ("eq-7", {"difference": -math.inf}, {}, "reproduced"),
        ("E4", {"ratio": 2.0}, {}, "shown"),
        ("E4", {"ratio": 1.0}, {}, "not shown"),
        ("E4", {"ratio": math.nan}, {}, "not shown"),
    ],
)
def test_judge(book, id, values, conditions, expected):
    assert judge(load()[id], values, conditions) == expected


def test_without_a_value_there_is_no_verdict(book):
    assert {id: verdict(load()[id], None) for id in load()} == {
        **dict.fromkeys(["F3A", "T1-c", "eq-7", "C35", "E4"], "not run"),
        "E35": "reading",
    }


def test_what_a_run_lacks_is_said():
    needs = {"n": 4, "decays": [0.9], "sampler": "sobol", "exact": True}
    assert unmet(needs, {"n": 3, "decays": [0.8], "exact": 1.5}) == [
        "n: at least 4, here 3",
        "decays: [0.9], here [0.8]",
        "sampler: sobol, not stated",
        "exact: True, here 1.5",
    ]
    assert unmet({"n": 4}, {"n": 3}, {"n": "neurons"}) == ["neurons: at least 4, here 3"]
    assert unmet(needs, {"n": 4.0, "decays": [0.9], "sampler": "sobol", "exact": True}) == []


@pytest.mark.parametrize(
    ("id", "value", "complaint"),
    [
        ("F3A", 0.05, "F3A: expected a dict of its measures .shared, positive., got 0.05"),
        ("F3A", {"shared": 0.05}, "missing: positive"),
        ("F3A", {**GOOD, "extra": 1}, "unknown: extra"),
        ("F3A", {"share": 1, "positive": 0.5}, "missing: shared; unknown: share"),
        ("F3A", {**GOOD, "positive": "0.5"}, "F3A, positive: expected a number"),
        ("eq-7", True, "expected a number"),
        ("E35", 1.0, "E35: expected a dict of its measures .none."),
    ],
)
def test_measures_must_be_those_of_the_row(book, id, value, complaint):
    with pytest.raises(LedgerError, match=complaint):
        measures(load()[id], value)


def test_one_number_is_enough_for_one_measure(book):
    assert measures(load()["eq-7"], 1e-9) == {"difference": 1e-9}
    assert list(measures(load()["F3A"], {"positive": 0.5, "shared": 0.05})) == ["shared", "positive"]


def test_records_of_notebooks_are_gathered(book, write_chapter):
    content = {"name": "F3A", "value": GOOD, "settings": {"seeds": 10, "sampler": "sobol"}}
    write_chapter(("check('F3A', shares(n))", content), ("record('loss', 3)", {"name": "loss", "value": 3}))
    found = gather()
    assert list(found) == ["F3A"]
    assert found["F3A"].values == GOOD and found["F3A"].conditions == ENOUGH
    assert (found["F3A"].chapter, found["F3A"].anchor) == ("part/tiny", "check-F3A")
    assert score() == {
        "rows": {"reproduced": 1, "reproduced (loose)": 0, "differs": 0, "not reached": 0, "not run": 3},
        "errata": {"shown": 0, "not shown": 0, "reading": 1, "not run": 1},
    }


def test_a_verdict_written_into_a_record_is_ignored(book, write_chapter):
    write_chapter(("check('eq-7', f())", {"name": "eq-7", "value": 3.0, "verdict": "reproduced"}))
    assert verdict(load()["eq-7"], gather()["eq-7"]) == "differs"


@pytest.mark.parametrize(
    ("source", "content", "complaint"),
    [
        ("check('eq-7', 1e-9)", {}, "must call check or record for 'eq-7' with a measured value"),
        ("x = 1e-9\ncheck('eq-7', x)", {}, "typed in gives no verdict"),
        ("print('nothing')", {}, "typed in gives no verdict"),
        ("check('C35', f())", {}, "typed in gives no verdict"),
        ("check('eq-7', f())", {"chapter": "part/other"}, "comes from the chapter 'part/other'"),
        ("check('eq-7', f())", {"parameters": {"n": 9}}, "not at the notebook's default parameters"),
        ("check('eq-7', f())", {"value": {"gap": 1.0}}, "missing: difference; unknown: gap"),
        ("check('eq-7', f())", {"value": "small"}, "expected a number"),
        ("check('eq-7', f())", {"settings": 3}, "expected parameters and settings"),
    ],
)
def test_a_dishonest_or_stale_record_is_refused(book, write_chapter, source, content, complaint):
    write_chapter((source, {"name": "eq-7", "value": 1e-9, **content}))
    with pytest.raises(LedgerError, match=f"part/tiny, record of eq-7.*{complaint}"):
        gather()


def write_results(book, name="sweep.json", *, provenance=None, **content):
    """Result file with one record of F3A."""
    record = {"name": "F3A", "value": GOOD, "parameters": {"n": 4}, "settings": {"seeds": 10}, **content}
    given = {"created": "2026-11-01T10:00:00+00:00", "lib": "0.1.0", "sweep": "paper.yml", **(provenance or {})}
    folder = book.parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"records": [record], "provenance": given}))
    return folder / name


def test_a_result_file_comes_before_a_notebook_unless_it_falls_short(book, write_chapter):
    enough = {"seeds": 10, "sampler": "sobol"}
    write_chapter(("check('F3A', f())", {"name": "F3A", "value": GOOD, "settings": enough}))
    write_results(book, value={**GOOD, "shared": 0.06})
    assert gather()["F3A"].chapter == "part/tiny"
    write_results(book, value={**GOOD, "shared": 0.07}, settings=enough)
    assert gather()["F3A"].values["shared"] == 0.07
    write_results(book, "a.json", value={**GOOD, "shared": 0.08}, settings=enough, provenance={"created": "2026-12-01"})
    assert gather()["F3A"].values["shared"] == 0.08
    assert gather()["F3A"].source == "results/a.json"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "sweep.json: not a result file"),
        ("[]", "expected the keys records and provenance"),
        ('{"records": []}', "expected the keys records and provenance"),
        ('{"records": [], "provenance": {}}', "must have created and lib"),
        ('{"records": [], "provenance": {"created": "2026-11-01", "lib": "1"}}', "must name the notebook or the sweep"),
        ('{"records": [], "provenance": {"created": "soon", "lib": "1", "sweep": "s"}}', "provenance, created"),
        ('{"records": 3, "provenance": {"created": "2026-11-01", "lib": "1", "sweep": "s"}}', "must be a list"),
        (
            '{"records": [{"name": "F3A"}], "provenance": {"created": "2026-11-01", "lib": "1", "sweep": "s"}}',
            "record 1",
        ),
    ],
)
def test_a_foreign_result_file_is_refused(book, text, complaint):
    write_results(book).write_text(text)
    with pytest.raises(LedgerError, match=complaint):
        gather()


def test_a_result_that_does_not_fit_its_row_is_refused(book):
    write_results(book, value={"shared": 0.05})
    with pytest.raises(LedgerError, match=r"sweep\.json, record of F3A: F3A: .*missing: positive"):
        gather()
