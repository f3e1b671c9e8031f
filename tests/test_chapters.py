"""Every chapter runs from its first cell to its last at a size that takes seconds."""

import pytest

from lib.batch import execute
from lib.notebooks import chapters, parameters

TOY = {"n": 60, "n_steps": 40, "seeds": 1, "batch": 32}
CHAPTERS = chapters()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_at_toy_size(name, tmp_path):
    declared = parameters(CHAPTERS[name])
    values = {key: value for key, value in TOY.items() if key in declared}
    notebook = execute(CHAPTERS[name], tmp_path / "run.ipynb", values, timeout=120)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
