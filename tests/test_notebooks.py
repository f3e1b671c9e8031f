"""companion.notebooks: parameters cells are parsed strictly, values are checked against them, records are found."""

import json

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, writes

from companion import notebooks
from companion.notebooks import NotebookError, Parameter, parameters, validate
from lib.training import samplers

SOURCE = """\
n: int = 1000  # neurons
decays: list[float] = [0.995, 1]  # decay per step
lr: float = 1  # step
sampler: str = "sobol"  # points
verbose: bool = False
offset: float = -0.5  # shift
"""


def write(path, *sources, tags=("parameters",)):
    """Notebook at `path` with one code cell per source, the first of them tagged."""
    cells = [new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = list(tags)
    path.write_text(writes(new_notebook(cells=cells)))
    return path


def test_parameters_have_type_default_and_meaning(tmp_path):
    declared = parameters(write(tmp_path / "a.ipynb", SOURCE))
    assert declared["n"] == Parameter("n", "int", 1000, "neurons")
    assert declared["decays"] == Parameter("decays", "list[float]", [0.995, 1.0], "decay per step")
    assert isinstance(declared["lr"].default, float)
    assert declared["verbose"] == Parameter("verbose", "bool", False, "")
    assert declared["offset"].default == -0.5
    assert list(declared) == ["n", "decays", "lr", "sampler", "verbose", "offset"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("m: int = 2 * n", "must be a literal"),
        ("m: float = float('inf')", "must be a literal"),
        ("m = 3", "name: type = literal"),
        ("print(n)", "name: type = literal"),
        ("m: int", "name: type = literal"),
        ("m: int = 1.5", "must be int"),
        ("m: int = True", "must be int"),
        ("m: dict = {}", "expected a type among"),
        ("m: list[list[int]] = [[1]]", "expected a type among"),
        ("m: int = 1  # n = 1", "must not contain '='"),
        ("n: int = 2", "declared twice"),
        ("seed: float = 1.0", "must be int"),
        ("T: int = 0", "must be at least 1"),
        ("m: int = (", "not Python"),
    ],
)
def test_a_parameters_cell_that_breaks_the_rules_is_refused(tmp_path, line, complaint):
    path = write(tmp_path / "a.ipynb", f"n: int = 3  # neurons\n{line}\n")
    with pytest.raises(NotebookError, match=complaint):
        parameters(path)


@pytest.mark.parametrize(("tags", "count"), [((), 0), (("parameters",), 2)])
def test_exactly_one_cell_is_tagged(tmp_path, tags, count):
    path = write(tmp_path / "a.ipynb", "n: int = 3", "m: int = 2", tags=tags)
    if count == 2:
        content = json.loads(path.read_text())
        content["cells"][1]["metadata"]["tags"] = ["parameters"]
        path.write_text(json.dumps(content))
    with pytest.raises(NotebookError, match=f"found {count}"):
        parameters(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}', '{"cells": [{}]}'])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    with pytest.raises(NotebookError, match=r"a\.ipynb: not a notebook"):
        notebooks.read(path)
    with pytest.raises(NotebookError, match="cannot be read"):
        notebooks.read(tmp_path / "missing.ipynb")


@pytest.fixture
def declared(tmp_path):
    """Parameters of the example notebook."""
    return parameters(write(tmp_path / "a.ipynb", SOURCE))


def test_values_get_the_declared_type_and_order(declared):
    checked = validate({"lr": 2, "decays": 0.9, "n": np.int64(5)}, declared)
    assert checked == {"n": 5, "decays": [0.9], "lr": 2.0}
    assert list(checked) == ["n", "decays", "lr"]
    assert [type(value) for value in checked.values()] == [int, list, float]
    assert validate({"decays": (1, np.float64(0.5))}, declared) == {"decays": [1.0, 0.5]}
    assert validate({}, declared) == {}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"decay": 0.9}, "did you mean decays"),
        ({"zzz": 0.9}, "known: n, decays"),
        ({"n": 3.0}, "must be int"),
        ({"n": True}, "must be int"),
        ({"n": "3"}, "must be int"),
        ({"n": [3]}, "must be int"),
        ({"lr": "1e-3"}, "must be float, got '1e-3' of type str"),
        ({"lr": float("nan")}, "must be float"),
        ({"lr": 0.0}, "above 0"),
        ({"verbose": 1}, "must be bool"),
        ({"sampler": 1}, "must be str"),
        ({"sampler": "sobel"}, "one of monte-carlo, sobol, strata, grid"),
        ({"n": 0}, "at least 1"),
        ({"decays": [0.9, 1.1]}, "above 0 and at most 1"),
        ({"decays": [0.0]}, "above 0 and at most 1"),
        ({"decays": []}, "one value per channel"),
        ({"decays": [True]}, "must be float"),
    ],
)
def test_wrong_values_are_refused(declared, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        validate(values, declared)


@pytest.mark.parametrize(
    ("name", "type_", "good", "bad"),
    [
        ("seeds", "int", 1, 0),
        ("T", "int", 1, 0),
        ("batch", "int", 1, 0),
        ("n_steps", "int", 0, -1),
        ("scales", "list[float]", [0.1], [-1.0]),
        ("dtype", "str", "float64", "float16"),
    ],
)
def test_shared_names_have_ranges(name, type_, good, bad):
    declared = {name: Parameter(name, type_, good, "")}
    assert validate({name: good}, declared) == {name: good}
    with pytest.raises(ValueError, match=f"parameter {name} must be"):
        validate({name: bad}, declared)


def test_the_samplers_known_here_are_those_of_the_package():
    assert set(notebooks.SAMPLERS) == set(samplers.SAMPLERS) | set(samplers.POINTS)


def test_the_book_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.delenv("LIB_BOOK", raising=False)
    assert notebooks.book_folder().name == "book"
    monkeypatch.setenv("LIB_BOOK", str(tmp_path / "a"))
    assert notebooks.chapter_path("x/y") == tmp_path / "a" / "x" / "y.ipynb"
    assert notebooks.book_folder(tmp_path) == tmp_path


def test_chapters_titles_and_records_are_found(tmp_path):
    (tmp_path / "part" / ".ipynb_checkpoints").mkdir(parents=True)
    data = {"text/plain": "x", notebooks.RECORD_MIME: {"name": "x", "value": 1}}
    cell = new_code_cell("record('x', x)", outputs=[new_output("display_data", data), new_output("stream", text="")])
    text = writes(new_notebook(cells=[new_markdown_cell("intro\n\n# A title\n"), cell]))
    for name in ("b.ipynb", "part/a.ipynb", "part/.ipynb_checkpoints/a.ipynb"):
        (tmp_path / name).write_text(text)
    assert list(notebooks.chapters(tmp_path)) == ["b", "part/a"]
    assert notebooks.title(tmp_path / "b.ipynb") == "A title"
    assert [content for _, _, content in notebooks.records(tmp_path / "b.ipynb")] == [{"name": "x", "value": 1}]
