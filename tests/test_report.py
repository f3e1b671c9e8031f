"""`python -m companion.report`: from a file to a page that needs nothing else, or to an error and nothing else."""

import os
import subprocess
import sys
from html import unescape
from pathlib import Path

import nbformat
import pytest
import torch
from browsing import PHONE
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from companion.batch import ExecutionError
from companion.notebooks import parameters, records
from companion.report import TEMPLATE, as_page, write_report
from companion.report.__main__ import main
from lib.model.files import LARGEST, FileError, write_network
from lib.model.network import Integrator


def integrator(n: int = 12, gamma: float = 0.9) -> Integrator:
    """Rectified neurons, half of them for each of two signs, that integrate one channel exactly."""
    u = torch.cat([torch.ones(n // 2), -torch.ones(n // 2)]).double()
    e = u / n**0.5
    W = gamma * torch.outer(u, u) * 2 / n
    F = W @ e
    return Integrator(W, e[:, None], (gamma * 2 * F / F.square().sum())[:, None])


def command(*arguments, cwd, **variables):
    """The command as a process of its own."""
    line = [sys.executable, "-m", "companion.report", *map(str, arguments)]
    path = {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, env=os.environ | path | variables)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report by the command, of a file whose name is as odd as a name may be, and what the command said."""
    folder = tmp_path_factory.mktemp("report")
    name = """<b>"it's {one}"</b>""".replace("/", "-")
    write_network(folder / f"{name}.safetensors", integrator())
    return folder, name, command(f"{name}.safetensors", "-o", "out", cwd=folder)


def test_the_command_prints_the_verdict_and_writes_two_files(made):
    folder, name, done = made
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["integrator", "yes"]
    assert "decay 0.9 per step (memory 10 steps), scale 1; R2 of pulses 1" in lines[1]
    assert any("every size" in line for line in lines) and any("(equation 28)" in line for line in lines)
    assert [Path(line).name for line in lines[-2:]] == [f"{name}-report.ipynb", f"{name}-report.html"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(Path(line).name for line in lines[-2:])


def test_the_notebook_keeps_the_verdict_and_the_page_has_it(made):
    folder, name, done = made
    notebook = nbformat.read(folder / "out" / f"{name}-report.ipynb", as_version=4)
    page = (folder / "out" / f"{name}-report.html").read_text()
    assert f"{name}.safetensors" in unescape(page) and "<b>" not in page
    assert "memory 10 steps" in page and page.count("data:image/png;base64,") == 2
    assert "No description has been provided" not in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page and "import " not in page
    assert [cell for cell in notebook.cells if "verdict" in cell.metadata.get("tags", [])]
    modes = {(folder / "out" / f"{name}-report{end}").stat().st_mode for end in (".ipynb", ".html")}
    assert len(modes) == 1  # whoever can read one can read the other


def test_the_page_opens_without_a_network(made, visit):
    folder, name, _ = made
    opened = visit(viewport=PHONE)
    page = opened.go((folder / "out" / f"{name}-report.html").as_uri())
    assert page.title().startswith(f"{name}.safetensors")
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("row", name="channel 1").first.is_visible()
    loaded = page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 100)")
    assert loaded == [True, True]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.faults == []


def test_files_and_options_that_are_refused_end_with_two_and_leave_nothing(tmp_path):
    (tmp_path / "w").write_bytes(b"\x80\x04K\x01.")
    done = command("w", "-o", "out", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("companion.report: ") and "looks like a pickle" in done.stderr
    assert "Traceback" not in done.stderr and [path.name for path in tmp_path.iterdir()] == ["w"]


def test_the_same_within_one_process(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("companion.report.execute", None)  # no kernel is started
    monkeypatch.setattr("companion.report.__main__.signal.signal", lambda *_: None)
    write_network(tmp_path / "w", integrator())
    cases = [
        (["missing"], "cannot be read"),
        (["."], "is not a file but a folder"),
        (["w", "--decays", "0.9", "0.8"], "expected 1 decays, one for each channel of the network, got 2"),
        (["w", "--decays", "1.5"], "decays must lie in (0, 1], got 1.5"),
        (["w", "--scales", "1.0"], "only together with decays"),
        (["w", "--largest", "0"], "largest must be an integer of at least 1, got 0"),
        (["w", "--tolerance", "nan"], "tolerance must be a positive number"),
        (["w", "--steps", "1"], "steps must be an integer of at least 2, got 1"),
        (["w", "--sequences", "0"], "sequences must be an integer of at least 4, got 0"),
    ]
    for (name, *options), said in cases:
        assert main([str(tmp_path / name), "-o", str(tmp_path / "out"), *options]) == 2, said
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["w", "--activation", "step"])
    assert caught.value.code == 2 and not (tmp_path / "out").exists()


def test_a_notebook_that_fails_is_told_from_a_file_that_is_refused(tmp_path, capsys, monkeypatch):
    def fails(*_, **__):
        raise ExecutionError("code cell 3: MemoryError")

    monkeypatch.setattr("companion.report.execute", fails)
    monkeypatch.setattr("companion.report.__main__.signal.signal", lambda *_: None)
    write_network(tmp_path / "w", integrator())
    assert main([str(tmp_path / "w"), "-o", str(tmp_path)]) == 1
    assert "the notebook failed: code cell 3: MemoryError" in capsys.readouterr().err
    (tmp_path / "out").touch()  # a file where a folder should be
    assert main([str(tmp_path / "w"), "-o", str(tmp_path / "out")]) == 1


def test_expected_decays_reach_the_notebook(tmp_path):
    write_network(tmp_path / "w", integrator())
    report = write_report(tmp_path / "w", tmp_path, decays=[0.8], scales=[1.0], steps=40, sequences=4)
    assert report.text.startswith("integrator") and "asked for: decay 0.8" in report.text
    assert report.text.split("\n")[0].split()[1] == "no:"


def test_a_file_is_refused_from_python_too(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        write_report(tmp_path / "missing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pages_escape_what_they_show():
    output = new_output("stream", text="<script>alert(1)</script>")
    notebook = new_notebook(cells=[new_markdown_cell("# A"), new_code_cell("secret = 1", outputs=[output])])
    page = as_page(notebook, "<script>")
    assert "<script" not in page and "secret" not in page and "&lt;script&gt;" in page


def test_the_notebook_is_committed_clean():
    declared = parameters(TEMPLATE)
    assert declared["largest"].default == LARGEST
    assert not list(records(TEMPLATE))
    notebook = nbformat.read(TEMPLATE, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert sum("verdict" in cell.metadata.get("tags", []) for cell in code) == 1
