"""Every chapter runs from its first cell to its last at a size that takes seconds."""

import pytest

from companion.batch import execute
from companion.notebooks import chapters, parameters, records

TOY = {"n": 60, "n_steps": 40, "seeds": 1, "batch": 32}
CHAPTERS = chapters()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_at_toy_size(name, tmp_path):
    declared = parameters(CHAPTERS[name])
    values = {key: value for key, value in TOY.items() if key in declared}
    notebook = execute(CHAPTERS[name], tmp_path / "run.ipynb", values, timeout=120)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize(("threads", "instructions"), [(1, "default"), (1, "avx2"), (2, "avx2")])
def test_committed_numbers_hold_on_other_processors(threads, instructions, tmp_path, monkeypatch):
    """The front page trains a thousand neurons at its committed parameters: a number outside its tolerance raises."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", instructions)
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")  # two threads that share a busy processor should not wait for each other
    output = tmp_path / "run.ipynb"
    execute(CHAPTERS["index"], output, threads=threads, timeout=300)
    assert [content["name"] for *_, content in records(output)] == [
        "relative error of the output",
        "distance of the currents from a line",
    ]
