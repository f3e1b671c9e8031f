"""companion.batch.files and results: sweep files, and what they leave for the book and the ledger."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sweeping import notebook

from companion.batch import read_table
from companion.batch.__main__ import main
from companion.batch.files import read
from companion.batch.results import write
from companion.ledger import verdicts
from companion.ledger.rows import load

ROOT = Path(__file__).parents[1]
PARAMETERS = "n: int = 1000\nseed: int = 0\nscales: list[float] = [2.0]\n"
CODE = (
    "from companion.artifacts import keep_arrays\nfrom companion.record import record\nimport numpy as np\n"
    "record('F4A', {'median_r2': 0.99 + 0.001 * seed})\nrecord('other', seed / 3)\n"
    "keep_arrays(a=np.full(3, seed), ragged=np.zeros(seed))\n"
)
FILE = """
results: results
experiments:
  currents:
    about: two seeds
    notebook: a.ipynb
    parameters: {n: 1000}
    grid: {seed: "0:2"}
    rows: {F4A: mean}
  more:
    notebook: a.ipynb
    grid: {seed: [3, 4], scales: [1, [2.0]]}
"""


@pytest.fixture
def root(tmp_path):
    notebook(tmp_path / "a.ipynb", CODE, parameters=PARAMETERS)
    (tmp_path / "sweep.yml").write_text(FILE)
    return tmp_path


def test_experiments_are_planned(root):
    file = read(root / "sweep.yml", root=root)
    first, second = file.experiments
    assert (first.name, first.about, first.rows) == ("currents", "two seeds", {"F4A": {"median_r2": "mean"}})
    assert [spec.parameters["seed"] for spec in first.sweep.runs] == [0, 1]
    assert len(second.sweep.runs) == 4 and second.sweep.varied == ("seed", "scales")
    assert file.results == (root / "results").resolve()
    assert first.sweep.out == (root / "_build" / "sweeps" / "sweep" / "currents").resolve()


@pytest.mark.parametrize(("only", "names"), [("F4A", ["currents"]), ("more", ["more"])])
def test_experiments_are_chosen_by_name_or_row(root, only, names):
    assert [e.name for e in read(root / "sweep.yml", only=[only], root=root).experiments] == names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("F4A: mean", "F4Z: mean", "currents: the ledger has no row F4Z"),
        ("F4A: mean", "F4A: average", "F4A, median_r2: expected one of mean, median, min, max, sum, got 'average'"),
        ("F4A: mean", "F4A: {r2: mean}", r"for each of its measures \(median_r2\)"),
        ("n: 1000", "sed: 1000", r"currents: unknown parameter 'sed'; did you mean seed\?"),
        ('"0:2"', '"0:0"', "currents: grid of seed: there is no value in '0:0'"),
        ("[3, 4]", "[]", "more: grid of seed: there is no value in it"),
        ("a.ipynb", "b.ipynb", "currents: there is no notebook .*b.ipynb"),
        ("about:", "abuot:", "unknown key abuot; known: about, grid"),
        ("results:", "result:", "unknown key result; known"),
        ("grid: {seed", "grid: {seed: '0:1', seed", "the key 'seed' is given twice"),
        ("{n: 1000}", "[n]", "parameters: expected a mapping"),
        ("  more:", "  mo/re:", "letters, digits"),
        ("experiments:", "experimente:", "expected experiments by name"),
        ("{n: 1000}", "{n: ", "sweep.yml: "),
    ],
)
def test_mistakes_are_found_before_anything_starts(root, old, new, message):
    (root / "sweep.yml").write_text(FILE.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read(root / "sweep.yml", root=root)
    assert not (root / "_build").exists()


def test_what_is_not_there_is_said(root):
    with pytest.raises(ValueError, match="no experiment or row F4; did you mean F4A"):
        read(root / "sweep.yml", only=["F4"], root=root)
    with pytest.raises(ValueError, match="no.yml: cannot be read"):
        read(root / "no.yml", root=root)


def test_results_are_a_table_arrays_and_records_the_ledger_reads(root, capsys):
    (root / "sweep.yml").write_text(FILE.replace(": a.ipynb", f": {root / 'a.ipynb'}"))
    line = ["run", str(root / "sweep.yml"), "-o", str(root / "out"), "--engine", "serial", "--no-progress"]
    assert main(line) == 0
    names = ["currents.csv", "currents.json", "currents.npz", "more.csv", "more.json", "more.npz"]
    assert sorted(path.name for path in (root / "results").iterdir()) == names
    frame = read_table(root / "results" / "currents.csv")
    assert list(frame.seed) == [0, 1] and list(frame.other) == [0.0, 1 / 3] and "run_host" not in frame
    with np.load(root / "results" / "currents.npz", allow_pickle=False) as arrays:
        assert arrays["a"].tolist() == [[0, 0, 0], [1, 1, 1]]
        assert sorted(arrays.files) == ["a", "ragged.0", "ragged.1"]

    content = json.loads((root / "results" / "currents.json").read_text())
    (record,) = content["records"]
    assert record["value"] == {"median_r2": pytest.approx(0.9905)}
    assert record["parameters"] == {"n": 1000, "scales": [2.0], "seed": 0} and record["settings"] == {"seeds": 2}
    provenance = content["provenance"]
    assert (
        provenance["files"]["currents.csv"] == hashlib.sha256((root / "results/currents.csv").read_bytes()).hexdigest()
    )
    assert provenance["runs"] == 2 and provenance["seeds"] == [0, 1] and provenance["hours"] >= 0
    assert {"created", "lib", "sweep", "git_commits", "versions", "notebook"} <= provenance.keys()

    (root / "book").mkdir()
    ledger = load()
    (measured,) = [m for m in verdicts.from_results(ledger, root / "book") if m.name == "F4A"]
    assert verdicts.verdict(ledger["F4A"], measured) == "reproduced" and measured.source == "results/currents.json"

    before = {path: path.read_bytes() for path in (root / "results").iterdir()}
    assert main(line) == 0
    assert "0 done, 2 kept" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (root / "results").iterdir()} == before


def test_results_wait_until_every_run_has_ended_well(root, capsys):
    notebook(root / "a.ipynb", CODE + "assert seed != 1", parameters=PARAMETERS)
    (root / "sweep.yml").write_text(FILE.replace(": a.ipynb", f": {root / 'a.ipynb'}"))
    line = ["run", str(root / "sweep.yml"), "--only", "F4A", "-o", str(root / "out"), "--engine", "serial"]
    assert main(line) == 1
    assert "is not written, since runs are missing" in capsys.readouterr().err
    assert not (root / "results").exists()
    file = read(root / "sweep.yml", out=root / "out")
    with pytest.raises(ValueError, match="currents: not every run has ended well"):
        write(file.experiments[0], file)


def test_parameters_belong_into_the_file(root, capsys):
    assert main(["run", str(root / "sweep.yml"), "-p", "n", "3"]) == 2
    assert "are in the file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["paper", "smoke"])
def test_the_files_of_the_project_make_sense(name):
    file = read(ROOT / "sweeps" / f"{name}.yml")
    ledger = load()
    for experiment in file.experiments:
        shared = {**experiment.sweep.runs[0].parameters, "seeds": len(experiment.sweep.runs)}
        for row in experiment.rows:
            needs = getattr(ledger[row], "needs", {})
            assert verdicts.unmet(needs, shared) == [], f"{experiment.name}, {row}"
    rows = {row for experiment in file.experiments for row in experiment.rows}
    assert rows >= {"F3A", "F4A", "F4B", "T1-a", "T1-c"} if name == "paper" else not rows
