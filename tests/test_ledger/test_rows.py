"""companion.ledger.rows: the ledger file is read strictly, and every complaint names the row and the field."""

import math

import pytest
import yaml
from small_ledger import LEDGER

from companion.ledger import Interval, LedgerError, Printed, load
from companion.ledger.rows import parse


def changed(place="F3A", drop=(), **fields):
    """Text of the small ledger with one entry changed."""
    content = yaml.safe_load(LEDGER.replace("1e-6", "1.0e-6"))
    for entry in (*content["rows"], *content["errata"]):
        if entry["id"] == place:
            entry.update(fields)
            for name in drop:
                del entry[name]
    return yaml.safe_dump(content)


def test_the_ledger_is_read(book):
    ledger = load()
    assert list(ledger) == ["F3A", "T1-c", "eq-7", "C35", "E4", "E35"]
    row = ledger.rows["F3A"]
    assert row.accept == {"shared": Interval(0.01, 0.1), "positive": Interval(0.42, 0.55)}
    assert row.paper == {"shared": Printed(0.05, 0.01)}
    assert row.needs == {"n": 4, "seeds": 10, "sampler": "sobol"} and row.errata == ("E35",)
    assert ledger.rows["eq-7"].accept["difference"] == Interval(None, 1e-6)
    assert ledger.errata["E35"].accept == {}
    assert "F3A" in ledger and "E4" in ledger and "C99" not in ledger
    with pytest.raises(LedgerError, match="no row 'C99'"):
        ledger["C99"]


def test_there_is_no_place_for_a_value_or_a_verdict():
    for field in ("value", "verdict", "values", "result", "measured", "status"):
        with pytest.raises(LedgerError, match=f"F3A, {field}: unknown field"):
            parse(changed(**{field: 0.05}))
        with pytest.raises(LedgerError, match=f"E4, {field}: unknown field"):
            parse(changed("E4", **{field: 2.0}))


@pytest.mark.parametrize("field", ["kind", "where", "section", "claim", "measure", "accept", "page"])
def test_a_missing_field_is_named(field):
    with pytest.raises(LedgerError, match=f"F3A, {field}: the field is missing"):
        parse(changed(drop=[field]))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"kind": "panel"}, "F3A, kind: expected one of"),
        ({"kind": "claim"}, "F3A, id of a claim"),
        ({"section": 4.1}, "F3A, section: expected a text .in quotes"),
        ({"section": "four"}, "F3A, section: expected the form"),
        ({"claim": " "}, "F3A, claim: expected a text"),
        ({"page": "../x"}, "F3A, page: expected the form"),
        ({"accept": {}}, "F3A, accept: expected at least one measure"),
        ({"accept": [1, 2]}, "F3A, accept: expected a mapping"),
        ({"accept": {"shared": [0.2, 0.1]}}, "F3A, accept, shared: the interval is inverted"),
        ({"accept": {"shared": [None, None]}}, "F3A, accept, shared: expected .low, high."),
        ({"accept": {"shared": [1]}}, "F3A, accept, shared: expected .low, high."),
        ({"accept": {"shared": 0.1}}, "F3A, accept, shared: expected .low, high."),
        ({"accept": {"shared": ["a", 1]}}, "F3A, accept, shared: expected a finite number"),
        ({"accept": {"shared": [0, math.inf]}}, "F3A, accept, shared: expected a finite number"),
        ({"accept": {"shared": [False, True]}}, "F3A, accept, shared: expected a finite number"),
        ({"loose": {"shared": [0.02, 0.2]}}, "F3A, loose, shared: expected an interval that contains"),
        ({"loose": {"other": [0.0, 1.0]}}, "F3A, loose, other"),
        ({"paper": {"other": {"value": 1}}}, "F3A, paper, other: no such measure"),
        ({"paper": {"shared": {"error": 1}}}, "F3A, paper, shared: expected value and perhaps error"),
        ({"paper": {"shared": 0.05}}, "F3A, paper, shared: expected a mapping"),
        ({"paper": {"shared": {"value": "5 %"}}}, "F3A, paper, shared, value: expected a finite number"),
        ({"errata": ["E99"]}, "F3A, errata: there is no erratum 'E99'"),
        ({"errata": "E35"}, "F3A, errata: expected a list"),
        ({"needs": {"n": None}}, "F3A, needs, n: expected a scalar"),
        ({"needs": 3}, "F3A, needs: expected a mapping"),
        ({"settings": {"n": {"a": 1}}}, "F3A, settings, n: expected a scalar"),
    ],
)
def test_a_wrong_field_is_named(fields, complaint):
    with pytest.raises(LedgerError, match=complaint):
        parse(changed(**fields))


@pytest.mark.parametrize(
    ("place", "fields", "complaint"),
    [
        ("E4", {"kind": "typo"}, "E4, kind: expected one of formula, claim, code"),
        ("E4", {"measure": "reading"}, "E4, accept: needed unless"),
        ("E35", {"measure": "a ratio"}, "E35, accept: needed unless"),
        ("E4", {"id": "X4"}, "X4, id of an erratum"),
        ("E4", {"reason": "none"}, "E4, reason: unknown field"),
        ("C35", {"id": "F3A", "kind": "figure"}, "F3A: the id is used twice"),
        ("C35", {"id": 35}, "expected a mapping with an id"),
    ],
)
def test_a_wrong_entry_is_named(place, fields, complaint):
    with pytest.raises(LedgerError, match=complaint):
        parse(changed(place, **fields))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rows: [\n", "not valid YAML"),
        ("rows: []\n", "expected the keys rows and errata"),
        ("[]", "expected the keys"),
        ("rows: []\nerrata: []\nscore: 3\n", "expected the keys"),
        (f"words: [shared]\n{LEDGER}", "ledger, words: expected a mapping"),
        (f"words: {{shared: 3}}\n{LEDGER}", "ledger, words, shared: expected a text"),
        (f"words: {{shred: of both}}\n{LEDGER}", "no row and no erratum has the measure shred"),
        ("rows: {}\nerrata: []\n", "expected a list of entries"),
        (LEDGER.replace("    section: A\n", "    section: A\n    section: B\n"), "key 'section' is given twice"),
        (LEDGER.replace("{ratio: [1.3, 1.9]}", "{ratio: [1.3, 1.9], ratio: [0, 9]}"), "key 'ratio' is given twice"),
        (LEDGER.replace("{n: 4,", "{1: 4,"), "expected a text as key"),
    ],
)
def test_a_file_of_another_form_is_refused(text, complaint):
    with pytest.raises(LedgerError, match=complaint):
        parse(text)


def test_measures_have_words_for_readers():
    ledger = parse(f"words: {{shared: neurons of both kinds}}\n{LEDGER.replace('smallest: [', 'smallest_of_all: [')}")
    needs = {"n": "n", "seeds": "seeds", "sampler": "sampler"}
    assert ledger["F3A"].words == {"shared": "neurons of both kinds", "positive": "positive"} | needs
    assert ledger["C35"].words == {"smallest_of_all": "smallest of all"} and ledger["E35"].words == {}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LedgerError, match=r"ledger\.yml: cannot be read"):
        load(tmp_path)


def test_a_changed_file_is_read_again(book):
    assert load().rows["F3A"].needs["n"] == 4
    path = book / "ledger.yml"
    path.write_text(LEDGER.replace("needs: {n: 4,", "needs: {n: 5,"))
    assert load().rows["F3A"].needs["n"] == 5


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "text"),
    [
        (Interval(0.01, 0.1), [0.01, 0.05, 0.1], [0.0099, 0.11, math.nan, math.inf], "0.01 to 0.1"),
        (Interval(None, 1e-6), [0.0, 1e-6, -5.0], [2e-6, math.nan], "at most 1×10⁻⁶"),
        (Interval(1e6, None), [1e6, math.inf], [0, math.nan], "at least 1×10⁶"),
        (Interval(3, 3), [3, 3.0], [2, 4], "exactly 3"),
        (Interval(1.999, 2.001), [2], [1.9989], "1.999 to 2.001"),
    ],
)
def test_intervals_are_closed_and_never_hold_nan(interval, inside, outside, text):
    assert all(map(interval.contains, inside)) and not any(map(interval.contains, outside))
    assert str(interval) == text
