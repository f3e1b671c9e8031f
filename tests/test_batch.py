"""companion.batch: runs of small notebooks that need no torch, in folders of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sweeping import of_others

from companion.batch import ExecutionError, build, execute, refresh
from companion.batch.__main__ import main, read_values
from companion.batch.chapters import chapters, key, merged, select
from companion.batch.kernels import THREAD_VARIABLES, cpu_count, descendants, running
from companion.batch.normal import normalised
from companion.batch.pool import Run, run_all
from companion.notebooks import RECORD_MIME

PARAMETERS = "n: int = 3  # neurons\nname: str = 'a'\n"


def notebook(path: Path, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook with a parameters cell, a paragraph, and the given code."""
    tagged = new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("Old text", id="text"), tagged]
    cells += [new_code_cell(source, id=f"code-{i}") for i, source in enumerate(sources)]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def book(root: Path, **sources: str) -> Path:
    """Write a book with one chapter for each keyword."""
    for name, source in sources.items():
        notebook(root / "book" / f"{name}.ipynb", source)
    pages = "".join(f"  - file: book/{name}\n" for name in list(sources)[1:])
    first = next(iter(sources))
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/{first}\n" + (f"chapters:\n{pages}" if pages else ""))
    return root


def change(path: Path, index: int, source: str) -> None:
    """Give a cell of a notebook another source."""
    content = nbformat.read(path, as_version=4)
    content.cells[index].source = source
    nbformat.write(content, path)


def printed(path: Path, index: int = -1) -> str:
    """Text that a cell of a notebook printed."""
    cell = nbformat.read(path, as_version=4).cells[index]
    return "".join(output.get("text", "") for output in cell.outputs)


# one notebook


def test_parameters_reach_the_cells_and_nothing_else_is_left(tmp_path):
    source = notebook(tmp_path / "a {b}.ipynb", "print(n, name)")
    before = source.read_bytes()
    execute(source, tmp_path / "out" / "c.ipynb", {"n": 5})
    assert printed(tmp_path / "out" / "c.ipynb") == "5 a\n"
    assert source.read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.ipynb"]


def test_a_kernel_has_its_own_threads_and_works_in_the_notebooks_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("LIB_REFRESH", "1")
    code = "import os, json; print(json.dumps([dict(os.environ), os.getcwd()]))"
    execute(notebook(tmp_path / "a.ipynb", code), tmp_path / "out.ipynb", threads=2)
    environment, folder = json.loads(printed(tmp_path / "out.ipynb"))
    assert {environment[name] for name in THREAD_VARIABLES} == {"2"}
    assert environment["MPLBACKEND"].endswith("backend_inline")
    assert "LIB_REFRESH" not in environment
    assert Path(folder) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("values", "message"), [({"m": 5}, "unknown parameter 'm'"), ({"n": 2.5}, "must be int"), ({"n": 0}, "at least 1")]
)
def test_wrong_parameters_are_refused_before_anything_starts(tmp_path, values, message):
    source = notebook(tmp_path / "a.ipynb", "print(n)")
    with pytest.raises(ValueError, match=message):
        execute(source, tmp_path / "out.ipynb", values)
    assert list(tmp_path.iterdir()) == [source]


def test_a_failed_run_says_where_and_keeps_the_notebook_up_to_there(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "print('before')", "raise RuntimeError('too\\nbad')", "print('after')")
    with pytest.raises(ExecutionError, match="^code cell 3: RuntimeError: too bad$"):
        execute(source, tmp_path / "out.ipynb", failed=tmp_path / "failed.ipynb")
    assert not (tmp_path / "out.ipynb").exists()
    content = (tmp_path / "failed.ipynb").read_text()
    assert "before" in content and "Traceback" in content
    assert not list(tmp_path.glob(".*"))


def test_a_cell_that_takes_too_long_is_an_error(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "while True: pass")
    with pytest.raises(ExecutionError, match="CellTimeoutError"):
        execute(source, tmp_path / "out.ipynb", timeout=1)


def test_a_kernel_that_dies_is_an_error(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "import os; os.write(2, b'no memory\\n'); os.kill(os.getpid(), 9)")
    with pytest.raises(ExecutionError, match="^DeadKernelError: Kernel died \\(no memory\\)$"):
        execute(source, tmp_path / "out.ipynb")


@pytest.mark.parametrize("ending", ["pass", "raise ValueError('x')"])
def test_what_cells_started_is_ended_with_the_kernel(tmp_path, ending):
    start = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-c', 'import signal; signal.pause()']\n"
        "children = [subprocess.Popen(command), subprocess.Popen(command, start_new_session=True)]\n"
        "print(*(child.pid for child in children))"
    )
    out, before = tmp_path / "out.ipynb", descendants(os.getpid())
    try:
        execute(notebook(tmp_path / "a.ipynb", start, ending), out)
    except ExecutionError:
        assert ending != "pass"
    cells = nbformat.read(out, as_version=4).cells
    (text,) = [o.text for c in cells for o in c.get("outputs", []) if o.get("name") == "stdout"]
    assert not any(psutil.pid_exists(int(pid)) and running(psutil.Process(int(pid))) for pid in text.split())
    assert all(of_others(process, before) for process in descendants(os.getpid()))


def test_cpus_are_at_least_one_and_no_more_than_there_are():
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


# several at once


def succeed(scratch, on_cell):
    on_cell()


def fail(scratch, on_cell):
    raise ValueError("two\nlines")


def kill_itself(scratch, on_cell):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_costs_its_own_run_only():
    cells: list[None] = []
    runs = [Run("killed", kill_itself, {}), Run("bad", fail, {}), Run("good", succeed, {})]
    errors = run_all(runs, workers=2, on_cell=lambda: cells.append(None))
    assert errors["good"] is None and len(cells) == 1
    assert errors["bad"] == "two lines"
    assert errors["killed"] == "its process was killed (signal 9) before it had finished"


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="at least one worker, got 0"):
        run_all([], workers=0)


# what the outputs of a chapter depend on


def record(root: Path, name: str, value: float) -> None:
    """Put a record into the committed outputs of a chapter."""
    path = root / "book" / f"{name}.ipynb"
    content = nbformat.read(path, as_version=4)
    content.cells[-1].outputs = [new_output("display_data", data={RECORD_MIME: {"name": "x", "value": value}})]
    nbformat.write(content, path)


def test_chapters_are_the_notebooks_of_the_contents_in_their_order(tmp_path):
    book(tmp_path, b="1", a="2", page="3")
    (tmp_path / "book" / "page.ipynb").rename(tmp_path / "book" / "page.md")
    notebook(tmp_path / "book" / "unlisted.ipynb")
    assert [chapter.name for chapter in chapters(tmp_path)] == ["b", "a"]
    (tmp_path / "book" / "a.ipynb").unlink()
    with pytest.raises(ValueError, match="lists book/a, but there is neither"):
        chapters(tmp_path)


def test_an_unknown_chapter_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match="no chapter c; there are a, b"):
        select(["c"], book(tmp_path, a="1", b="2"))


def test_a_key_changes_with_what_can_change_outputs(tmp_path):
    (chapter, _) = chapters(book(tmp_path, a="1", b="2"))
    seen = [key(chapter, tmp_path)]
    (tmp_path / "lib").mkdir()
    (tmp_path / "results").mkdir()
    changes = [
        lambda: change(chapter.source, 2, "1 + 1"),
        lambda: change(chapter.source, 1, PARAMETERS.replace("3", "4")),
        lambda: (tmp_path / "lib" / "x.py").write_text("y = 1"),
        lambda: (tmp_path / "book" / "ledger.yml").write_text("rows: []"),
        lambda: (tmp_path / "results" / "x.csv").write_text("1"),
        lambda: record(tmp_path, "a", 1.0),
        lambda: record(tmp_path, "a", 2.0),
    ]
    for make in changes:
        make()
        seen.append(key(chapter, tmp_path))
    assert len(set(seen)) == len(seen)


def test_a_key_does_not_change_with_prose_or_pictures_or_other_chapters(tmp_path):
    (chapter, _) = chapters(book(tmp_path, a="1", b="2"))
    before = key(chapter, tmp_path)
    content = nbformat.read(chapter.source, as_version=4)
    content.cells[0].source = "New text"
    content.cells[2].outputs = [new_output("stream", text="something")]
    content.cells[2].metadata["mystnb"] = {"figure": {"caption": "New"}}
    nbformat.write(content, chapter.source)
    record(tmp_path, "b", 1.0)
    assert key(chapter, tmp_path) == before


def test_a_chapter_that_reads_records_depends_on_those_of_others(tmp_path):
    plain, reader, _ = chapters(
        book(tmp_path, a="from companion.ledger import check", b="from companion.ledger import score", c="1")
    )
    before = key(plain, tmp_path), key(reader, tmp_path)
    record(tmp_path, "c", 1.0)
    assert key(plain, tmp_path) == before[0]
    assert key(reader, tmp_path) != before[1]


# the whole book

KILL_WORKER = "import os; os.kill(os.getppid(), 9)"


def test_a_build_goes_on_after_failures_and_later_redoes_only_what_it_must(tmp_path):
    root = book(tmp_path, a="print('a')", b="raise ValueError('b')", c=KILL_WORKER, d="print('d')")
    report = build(workers=2, root=root)
    assert sorted(report.done) == ["a", "d"] and not report.kept
    assert report.failed["b"] == "code cell 2: ValueError: b"
    assert "killed (signal 9)" in report.failed["c"]
    built = root / "_build" / "executed" / "book"
    assert sorted(path.name for path in built.iterdir()) == ["a.ipynb", "d.ipynb"]
    assert "Traceback" in (root / "_build" / "executed" / "failed" / "book" / "b.ipynb").read_text()

    change(root / "book" / "a.ipynb", 0, "New text")
    change(root / "book" / "b.ipynb", 2, "print('b')")
    change(root / "book" / "c.ipynb", 2, "print('c')")
    change(root / "book" / "d.ipynb", 2, "print('new d')")
    report = build(workers=2, root=root)
    assert report.kept == ["a"] and sorted(report.done) == ["b", "c", "d"] and not report.failed
    pages = {chapter.name: merged(chapter, root) for chapter in chapters(root)}
    assert pages["a"].cells[0].source == "New text"
    assert [page.cells[2].outputs[0].text for page in pages.values()] == ["a\n", "b\n", "c\n", "new d\n"]
    assert not list((root / "_build" / "executed" / "failed" / "book").iterdir())


def test_outputs_are_never_shown_beside_other_code(tmp_path):
    root = book(tmp_path, a="print('a')")
    (chapter,) = chapters(root)
    with pytest.raises(ValueError, match="a has not been executed"):
        merged(chapter, root)
    build(root=root)
    change(chapter.source, 2, "print('b')")
    with pytest.raises(ValueError, match="a has changed since it was executed"):
        merged(chapter, root)
    change(chapter.source, 2, "raise ValueError")
    assert build(root=root).failed
    assert not chapter.executed.exists()


def test_refreshed_outputs_are_the_same_every_time(tmp_path):
    root = book(tmp_path, a="import os; print(os.environ['LIB_REFRESH'])", b="1 + 1", bad="raise ValueError")
    before = (root / "book" / "bad.ipynb").read_bytes()
    report = refresh(root=root)
    assert sorted(report.done) == ["a", "b"] and list(report.failed) == ["bad"]
    assert printed(root / "book" / "a.ipynb") == "1\n"
    assert (root / "book" / "bad.ipynb").read_bytes() == before
    first = (root / "book" / "b.ipynb").read_bytes()
    assert refresh(["b"], root=root).done == ["b"]
    assert (root / "book" / "b.ipynb").read_bytes() == first
    assert b"papermill" not in first and b'execution_count": 2' in first


def test_a_normal_notebook_keeps_ids_and_loses_traces_of_the_run():
    notes = {"papermill": {"duration": 1.0}, "tags": ["parameters"]}
    streams = [new_output("stream", text="a"), new_output("stream", text="b")]
    cells = [new_code_cell("1", id="x", metadata=notes, execution_count=7, outputs=streams), new_code_cell("2", id="y")]
    state = {"widgets": {"application/vnd.jupyter.widget-state+json": {}}, "papermill": {"version": "2"}}
    given = new_notebook(cells=cells, metadata=state)
    given.cells[1].id = "x"
    result = normalised(given)
    assert result.cells[0].id == "x" and result.cells[1].id not in {"x", ""}
    assert result.cells[0].metadata == {"tags": ["parameters"]}
    assert [cell.execution_count for cell in result.cells] == [1, 2]
    assert [output.text for output in result.cells[0].outputs] == ["ab"]
    assert set(result.metadata) == {"kernelspec", "language_info"}
    nbformat.validate(result)
    assert normalised(result) == result
    assert given.cells[0].metadata == notes


def test_pictures_lose_the_name_of_the_program_that_drew_them():
    import base64
    import io

    from matplotlib.figure import Figure

    file = io.BytesIO()
    Figure((1, 1)).savefig(file, format="png")
    encoded = base64.b64encode(file.getvalue()).decode()
    assert b"Software" in file.getvalue()
    output = new_output("display_data", data={"image/png": encoded})
    (cell,) = normalised(new_notebook(cells=[new_code_cell("", outputs=[output])])).cells
    plain = base64.b64decode(cell.outputs[0].data["image/png"])
    assert b"Software" not in plain and plain.endswith(b"IEND\xaeB`\x82")
    assert output.data["image/png"] == encoded


# commands


def test_values_on_the_command_line_are_literals_or_texts(tmp_path):
    source = notebook(
        tmp_path / "a.ipynb", parameters="n: int = 1\nlr: float = 0.1\nname: str = 'a'\nw: list[float] = [1.0]\n"
    )
    pairs = [("n", "2"), ("lr", "1e-3"), ("name", "3"), ("w", "[0.5, 1]")]
    assert read_values(pairs, source) == {"n": 2, "lr": 1e-3, "name": "3", "w": [0.5, 1]}
    with pytest.raises(ValueError, match="n is given twice"):
        read_values([("n", "1"), ("n", "2")], source)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-p", "nn", "4"], 2, "did you mean n?"),
        (["-p", "n", "x"], 2, "parameter n must be int"),
        (["-p", "n", "4"], 0, ""),
        (["-p", "n", "7"], 1, "a.ipynb failed in code cell"),
    ],
)
def test_status_of_a_run(tmp_path, capsys, arguments, status, message):
    source = notebook(tmp_path / "a.ipynb", "assert n < 7")
    previous = signal.getsignal(signal.SIGTERM)
    assert main(["run", str(source), "-o", str(tmp_path / "out.ipynb"), *arguments]) == status
    signal.signal(signal.SIGTERM, previous)
    assert message in capsys.readouterr().err
    assert (tmp_path / "out.ipynb").exists() == (status < 2)


def test_a_run_does_not_replace_its_notebook(tmp_path, capsys):
    source = notebook(tmp_path / "a.ipynb", "1")
    previous = signal.getsignal(signal.SIGTERM)
    assert main(["run", str(source), "-o", str(source)]) == 2
    signal.signal(signal.SIGTERM, previous)
    assert "would replace the notebook" in capsys.readouterr().err


BUILD = "import sys; from pathlib import Path; from companion.batch import build; build(root=Path(sys.argv[1]))"


@pytest.fixture
def interruptible():
    """A shell that starts the tests in the background has them ignore interrupts, and so would their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("what", "ending"),
    [("run", signal.SIGINT), ("run", signal.SIGTERM), ("build", signal.SIGINT), ("build", signal.SIGKILL)],
)
def test_nothing_survives_a_stopped_command(tmp_path, what, ending):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        f"import os, signal\nwith open({str(pipe)!r}, 'w') as pipe:\n    pipe.write(str(os.getpid()))\nsignal.pause()"
    )
    root = book(tmp_path, a=code)
    command: dict[str, list[Any]] = {
        "run": ["-m", "companion.batch", "run", root / "book" / "a.ipynb", "-o", root / "out.ipynb"],
        "build": ["-c", BUILD, root],
    }
    process = subprocess.Popen([sys.executable, *command[what]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pipe.open() as reader:  # waits for the cell
        kernel = psutil.Process(int(reader.read()))
    started = [*descendants(process.pid), psutil.Process(process.pid)]
    assert kernel in started
    process.send_signal(ending)
    assert process.wait(timeout=30) != 0
    deadline = time.monotonic() + 30
    while any(map(running, started)) and time.monotonic() < deadline:
        os.sched_yield()
    assert not any(map(running, started))
