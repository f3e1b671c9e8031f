"""companion.batch.plan and identity: what is refused before anything starts, and which runs are the same run."""

import nbformat
import pytest
from sweeping import PARAMETERS, RECORD, notebook

from companion.batch import identity, plan
from companion.batch.plan import find, points, read_grid, read_values
from companion.notebooks import NotebookError


@pytest.fixture
def source(tmp_path):
    return notebook(tmp_path / "a.ipynb")


def keys(*arguments, out="out"):
    return [spec.key for spec in plan(*arguments, out=out).runs]


# grids


def test_a_grid_is_all_combinations_with_defaults_for_the_rest(source, tmp_path):
    sweep = plan(source, {"x": 2}, {"seed": range(2), "scales": [0.1, [1, 2]]}, out=tmp_path / "out")
    values = [(s.parameters["seed"], s.parameters["scales"]) for s in sweep.runs]
    assert values == [(0, [0.1]), (0, [1.0, 2.0]), (1, [0.1]), (1, [1.0, 2.0])]
    assert {(s.parameters["x"], s.parameters["name"]) for s in sweep.runs} == {(2.0, "a")}
    assert sweep.varied == ("seed", "scales")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]  # nothing was written


def test_single_points_may_be_listed(source):
    sweep = plan(source, grid=[{"seed": 1, "x": 2.0}, {"x": 4.0, "seed": 3}], out="out")
    assert [(s.parameters["seed"], s.parameters["x"]) for s in sweep.runs] == [(1, 2.0), (3, 4.0)]


def test_no_grid_is_one_run(source):
    assert len(plan(source, out="out").runs) == 1
    assert points(None) == [{}]


@pytest.mark.parametrize(
    ("fixed", "grid", "message"),
    [
        ({"sed": 1}, None, "unknown parameter 'sed'; did you mean seed?"),
        ({}, {"scale": [1.0]}, "unknown parameter 'scale'; did you mean scales?"),
        ({"seed": 1.5}, None, "seed must be int, got 1.5"),
        ({"seed": True}, None, "seed must be int, got True"),
        ({"x": "fast"}, None, "x must be float, got 'fast'"),
        ({"flag": 1}, None, "flag must be bool"),
        ({}, {"scales": [1.0, -1.0]}, "scales must be above 0"),
        ({}, {"seed": []}, "grid of seed: there is no value in it"),
        ({}, {"seed": 3}, "grid of seed: expected several values, got 3"),
        ({}, {"name": "abc"}, "grid of name: expected several values, got 'abc'"),
        ({"seed": 1}, {"seed": [1]}, "seed is given both one value and a grid"),
        ({}, {"x": [1, 1.0]}, "the grid holds a point twice: x 1.0"),
        ({}, [], "a list of points that all name the same parameters"),
        ({}, [{"x": 1.0}, {"seed": 1}], "a list of points that all name the same parameters"),
    ],
)
def test_what_makes_no_sense_is_refused(source, fixed, grid, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        plan(source, fixed, grid, out="out")


def test_notebooks_that_cannot_be_swept_are_refused(tmp_path):
    with pytest.raises(NotebookError, match="there is no notebook .*missing.ipynb"):
        plan(tmp_path / "missing.ipynb", out="out")
    with pytest.raises(ValueError, match="no chapter not/there; there are index"):
        find("not/there")
    computed = notebook(tmp_path / "b.ipynb", parameters="n: int = 2 + 3")
    with pytest.raises(NotebookError, match="default must be a literal"):
        plan(computed, out="out")
    content = nbformat.read(computed, as_version=4)
    content.cells[1].metadata.tags = []
    nbformat.write(content, computed)
    with pytest.raises(NotebookError, match="exactly one code cell tagged 'parameters', found 0"):
        plan(computed, out="out")


def test_a_chapter_has_an_id():
    assert find("nonlinear/representation").name == "representation.ipynb"


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("seed", "0:3", [0, 1, 2]),
        ("seed", "4:0:-2", [4, 2]),
        ("seed", "1", [1]),
        ("x", "0.1, 1,1e1", [0.1, 1, 10.0]),
        ("name", "sobol, monte-carlo", ["sobol", "monte-carlo"]),
        ("scales", "0.1,1", [0.1, 1]),
        ("scales", "[1,2],[3,4]", [[1, 2], [3, 4]]),
        ("flag", "True,False", [True, False]),
    ],
)
def test_grids_on_the_command_line(source, name, text, values):
    assert read_grid([(name, text)], source) == {name: values}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("seed", "1:1")], "no value in '1:1'"),
        ([("seed", "")], "no value in ''"),
        ([("name", ",")], "no value"),
        ([("seed", "0:4:0")], "cannot advance by 0"),
        ([("x", "1,fast")], "expected values with commas between them"),
        ([("seed", "0"), ("seed", "1")], "grid of seed is given twice"),
    ],
)
def test_grids_that_make_no_sense(source, pairs, message):
    with pytest.raises(ValueError, match=message):
        read_grid(pairs, source)


def test_values_are_literals_or_texts(source):
    assert read_values([("x", "1e-3"), ("name", "3"), ("seed", "y")], source) == {"x": 1e-3, "name": "3", "seed": "y"}


# identity


def test_equal_values_are_the_same_run(source):
    assert keys(source, {"x": 2}) == keys(source, {"x": 2.0}) != keys(source, {"x": 3.0})
    assert keys(source, {"scales": 1}) == keys(source, {"scales": [1.0]}) == keys(source)
    assert keys(source, {"seed": 1}) != keys(source)


def test_a_run_changes_with_code_and_defaults_and_not_with_prose_or_layout(tmp_path):
    before = keys(notebook(tmp_path / "a.ipynb"))
    path = notebook(tmp_path / "b.ipynb", RECORD + "  # a remark\n\n", parameters=PARAMETERS + "\n# more\n")
    content = nbformat.read(path, as_version=4)
    content.cells[0].source = "New text"
    content.cells[2].outputs = [nbformat.v4.new_output("stream", text="something")]
    nbformat.write(content, path)
    assert keys(path) == before
    assert keys(notebook(tmp_path / "c.ipynb", RECORD.replace("2", "3"))) != before
    assert keys(notebook(tmp_path / "d.ipynb", parameters=PARAMETERS.replace("= 1.0 ", "= 2.0 "))) != before
    assert keys(notebook(tmp_path / "e.ipynb", parameters=PARAMETERS + "more: int = 1\n")) != before


def library(root, **sources):
    for name, source in {"__init__": "", **sources}.items():
        path = root / "lib" / f"{name.replace('__in', '/__in') if '/' in name else name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def test_only_what_a_notebook_uses_of_lib_counts(tmp_path):
    library(
        tmp_path, a='"""Old."""\nfrom lib import b\n\n\ndef f():\n    """Old."""\n    return 1\n', b="y = 1", c="z = 1"
    )
    uses = ["%matplotlib inline\nfrom lib.a import f"]
    assert [path.stem for path in identity.modules(uses, tmp_path)] == ["__init__", "a", "b"]
    before = identity.fingerprint(uses, tmp_path)
    library(tmp_path, a="from lib import b\n\ndef f():\n    '''New.'''\n    return 1  # one\n", b="y = 1", c="z = 2")
    assert identity.fingerprint(uses, tmp_path) == before
    library(tmp_path, b="y = 2")
    assert identity.fingerprint(uses, tmp_path) != before


def test_a_name_from_a_facade_is_followed_to_its_module(tmp_path):
    """A room offers many names; a notebook depends on the modules of those it takes."""
    facade = '"""All."""\n\nfrom lib.room.a import f\nfrom lib.room.b import g as h\nfrom lib.hall import k\n'
    library(tmp_path, a="y = 1")
    for name, source in {"__init__": facade, "a": "def f(): return 1", "b": "g = 2", "c": "z = 3"}.items():
        (tmp_path / "lib/room").mkdir(exist_ok=True)
        (tmp_path / f"lib/room/{name}.py").write_text(source)
    (tmp_path / "lib/hall").mkdir()
    (tmp_path / "lib/hall/__init__.py").write_text("from lib.room.c import z as k\n")

    def used(source):
        return [path.relative_to(tmp_path / "lib").as_posix() for path in identity.modules([source], tmp_path)]

    assert used("from lib.room import f") == ["__init__.py", "room/a.py"]
    assert used("from lib.room import h, k") == ["__init__.py", "room/b.py", "room/c.py"]
    assert used("from lib.room import c") == used("from lib.room.c import z") == ["__init__.py", "room/c.py"]
    whole = ["__init__.py", "room/__init__.py", "room/a.py", "room/b.py", "room/c.py"]
    assert used("import lib.room") == used("from lib.room import *") == used("from lib import room") == whole
    before = identity.fingerprint(["from lib.room import f"], tmp_path)
    (tmp_path / "lib/room/__init__.py").write_text(facade.replace("room.a import f", "room.b import g as f"))
    assert identity.fingerprint(["from lib.room import f"], tmp_path) != before


def test_every_module_that_a_real_chapter_uses_is_found():
    sources = identity.code_cells(find("nonlinear/representation"))
    names = {path.stem for path in identity.modules(sources)}
    assert {"loop", "bptt", "samplers", "record", "notebooks", "checks"} <= names
    assert not {"build", "rows", "plotting"} & names  # do not change a value


def test_code_that_is_not_python_counts_as_it_is():
    assert identity.meaning("%time f()  # x") == "%time f()  # x"
    assert identity.meaning("class A:\n    'doc'") == "class A:\n    pass"
