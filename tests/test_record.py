"""companion.record: values are stored exactly, compared with the committed ones, and shown with meaningful digits."""

import json
import math

import nbclient
import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

from companion import notebooks, record
from companion.record import RecordMismatch, begin, decode, differences, encode, format_number, keep, plain

CHAPTER = "part/tiny"


def make_chapter(book, expression="n / 7", name="share"):
    """Chapter that records one value, not executed."""
    sources = [
        "from companion.record import begin, record",
        "n: int = 3  # neurons",
        f"begin({CHAPTER!r}, globals())",
        f"record({name!r}, {expression}, unit='per step')",
    ]
    cells = [new_code_cell(source) for source in sources]
    cells[1].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = notebooks.chapter_path(CHAPTER, book)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)
    return path


def execute(path, *, parameters="n: int = 3", expression=None):
    """Outputs' records of the chapter, run in a kernel with another source; the file itself is left alone."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = parameters
    if expression:
        notebook.cells[3].source = f"record('share', {expression}, unit='per step')"
    nbclient.NotebookClient(notebook, timeout=60).execute()
    return notebook


def stored(notebook):
    """Content of the only record and its text."""
    data = notebook.cells[3].outputs[0]["data"]
    return data[notebooks.RECORD_MIME], data["text/plain"]


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Empty book folder that `lib` and the kernels it starts take for the book."""
    monkeypatch.setenv("LIB_BOOK", str(tmp_path))
    monkeypatch.delenv("LIB_REFRESH", raising=False)
    monkeypatch.setattr(record, "_run", None)
    return tmp_path


@pytest.fixture
def committed(book):
    """Path of the executed chapter, value 3 / 7 at n of 3."""
    path = make_chapter(book)
    nbformat.write(execute(path), path)
    return path


def test_an_executed_notebook_holds_its_value(committed):
    content, text = stored(nbformat.read(committed, as_version=4))
    assert content == {
        "name": "share",
        "value": 3 / 7,
        "unit": "per step",
        "chapter": CHAPTER,
        "parameters": {"n": 3},
        "settings": {},
    }
    assert text == "share = 0.4286 per step"


def test_within_tolerance_the_committed_value_is_shown_and_beyond_it_the_cell_fails(committed, monkeypatch):
    before = nbformat.read(committed, as_version=4).cells[3].outputs
    near = execute(committed, expression="n / 7 * (1 + 1e-9)")
    assert near.cells[3].outputs == before
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"RecordMismatch.*expected 0\.42857"):
        execute(committed, expression="n / 7 * (1 + 1e-3)")
    other = execute(committed, parameters="n: int = 4")
    assert stored(other)[0]["value"] == 4 / 7
    monkeypatch.setenv("LIB_REFRESH", "1")
    assert stored(execute(committed, expression="n / 7 * (1 + 1e-3)"))[0]["value"] == 3 / 7 * (1 + 1e-3)


def test_a_hand_edited_output_is_found_by_running_the_notebook(committed):
    text = committed.read_text().replace(str(3 / 7), "0.5")
    assert text.count("0.5") == 1
    committed.write_text(text)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"RecordMismatch.*expected 0\.5, got 0\.428"):
        execute(committed)


def commit(path, **content):
    """Put a record into the outputs of the chapter without running it."""
    full = {"name": "share", "value": 0.5, "unit": "", "chapter": CHAPTER, "parameters": {"n": 3}, "settings": {}}
    notebook = nbformat.read(path, as_version=4)
    data = {"text/plain": "", notebooks.RECORD_MIME: {**full, **content}}
    notebook.cells[3].outputs = [nbformat.v4.new_output("display_data", data)]
    nbformat.write(notebook, path)


def test_only_the_same_parameters_and_settings_are_compared(book):
    commit(make_chapter(book), settings={"seeds": 2})
    begin(CHAPTER, {"n": 3})
    assert keep("share", 9.0)["value"] == 9.0
    assert keep("share", 9.0, settings={"seeds": 3})["value"] == 9.0
    assert keep("other", 9.0, settings={"seeds": 2})["value"] == 9.0
    with pytest.raises(RecordMismatch, match=f"share is not the committed value of {CHAPTER}"):
        keep("share", 9.0, settings={"seeds": 2})
    assert keep("share", 0.6, settings={"seeds": 2}, atol=0.2)["value"] == 0.5
    begin(CHAPTER, {"n": 4})
    assert keep("share", 9.0, settings={"seeds": 2})["value"] == 9.0


def test_a_committed_value_that_is_not_finite_is_compared_too(book):
    commit(make_chapter(book), value={"a": "NaN", "b": 1.0}, nonfinite=["a"])
    begin(CHAPTER, {"n": 3})
    content = keep("share", {"a": math.nan, "b": 1.0 + 1e-9})
    assert content["value"] == {"a": "NaN", "b": 1.0} and content["nonfinite"] == ["a"]
    assert list(keep("share", {"b": 1.0, "a": math.nan})["value"]) == ["b", "a"]
    with pytest.raises(RecordMismatch, match="a: expected nan, got 2.0"):
        keep("share", {"a": 2.0, "b": 1.0})
    with pytest.raises(RecordMismatch, match="expected the measures a, b, got a"):
        keep("share", {"a": 2.0})


def test_begin_checks_and_converts_the_parameters(book):
    path = make_chapter(book)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "n: int = 3\nlr: float = 1.0\ndecays: list[float] = [0.9]"
    nbformat.write(notebook, path)
    names = {"n": 5, "lr": 2, "decays": 0.5, "other": None}
    begin(CHAPTER, names)
    assert names == {"n": 5, "lr": 2.0, "decays": [0.5], "other": None}
    run = record.current()
    assert run is not None and run.parameters == {"n": 5, "lr": 2.0, "decays": [0.5]}
    with pytest.raises(ValueError, match="lr, decays has no value"):
        begin(CHAPTER, {"n": 5})
    with pytest.raises(ValueError, match="parameter n must be at least 1"):
        begin(CHAPTER, {**names, "n": 0})
    with pytest.raises(ValueError, match="cannot be read"):
        begin("part/missing", names)


def test_begin_sets_the_number_of_threads(book, monkeypatch):
    make_chapter(book)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    begin(CHAPTER, {"n": 3})
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    begin(CHAPTER, {"n": 3})
    assert asked == [2]


def test_a_script_prints(book, capsys):
    record.record("share", 0.25, unit="steps")
    record.record("several", {"a": 1, "b": math.inf})
    assert capsys.readouterr().out == "share = 0.25 steps\nseveral:\n  a = 1\n  b = infinity\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(2), 2),
        (np.bool_(True), True),
        (np.array(2.5), 2.5),
        (torch.tensor(2.5, requires_grad=True), 2.5),
        (torch.tensor(3), 3),
        ("text", "text"),
        ({"a": torch.tensor(1.5), "b": np.int32(2)}, {"a": 1.5, "b": 2}),
    ],
)
def test_scalars_become_python_numbers(value, expected):
    result = plain(value)
    assert result == expected and type(result) is type(expected)
    assert json.loads(json.dumps(result)) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1.0],
        torch.zeros(1),
        np.zeros((2, 2)),
        1j,
        {},
        {"a": "x"},
        {"a": True},
        {"a": {"b": 1}},
        {1: 2.0},
        object(),
    ],
)
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="share.*expected"):
        plain(value, "share")


@pytest.mark.parametrize("name", ["", "  ", 3])
def test_a_record_needs_a_name(book, name):
    with pytest.raises(ValueError, match="name"):
        keep(name, 1.0)


@pytest.mark.parametrize("setting", [None, {"a": 1}, [[object()]], math.inf])
def test_settings_are_plain(book, setting):
    with pytest.raises(ValueError, match="setting seeds of share"):
        keep("share", 1.0, settings={"seeds": setting})
    assert keep("share", 1.0, settings={"a": (1, np.float64(2.0))})["settings"] == {"a": [1, 2.0]}


@pytest.mark.parametrize("value", [1, 0.1, True, "NaN", math.inf, -math.inf, {"a": math.inf, "b": 1}, {"nan": 0.5}])
def test_values_survive_json(value):
    text = json.dumps(encode(value), allow_nan=False)
    assert decode(json.loads(text)) == value


def test_nan_survives_json():
    assert math.isnan(decode(json.loads(json.dumps(encode(math.nan), allow_nan=False))))


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (1.0, 1.0 + 9e-7, True),
        (1.0, 1.0 + 2e-6, False),
        (3, 3.0, True),
        (1000, 1001, False),
        (0.0, 1e-12, False),
        (math.inf, math.inf, True),
        (math.inf, 1.0, False),
        (1.0, math.inf, False),
        (math.inf, -math.inf, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (1.0, math.nan, False),
        (True, True, True),
        (True, 1, False),
        ("a", "a", True),
        ("a", "b", False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"a": 1.1}, False),
        ({"a": 1.0}, 1.0, False),
    ],
)
def test_differences(expected, got, same):
    assert (not differences(expected, got, rtol=1e-6, atol=0.0)) is same


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0474321, "0.04743"),
        (2.8134e-7, "2.813×10⁻⁷"),
        (1e20, "1×10²⁰"),
        (1000, "1000"),
        (123456, "123456"),
        (0.0, "0"),
        (math.nan, "not a number"),
        (-math.inf, "−infinity"),
        (-2.5e-7, "−2.5×10⁻⁷"),
        (-3, "−3"),
        (None, "–"),
        ("word", "word"),
        (True, "True"),
    ],
)
def test_numbers_are_shown_with_meaningful_digits(value, text):
    assert format_number(value) == text


def test_names_and_units_are_escaped(book):
    content = keep("a < b", {"x & y": 1.0}, unit="<steps>")
    markup = record._html(content)
    assert "a &lt; b" in markup and "x &amp; y" in markup and "&lt;steps&gt;" in markup


def test_a_table_in_html_is_escaped():
    markup = record.html_table([("a & b", "<script>"), ("c", "d")])
    assert '<th scope="row">a &amp; b</th><td>&lt;script&gt;</td>' in markup and markup.count("<tr>") == 2
