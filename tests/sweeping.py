"""Small notebooks for tests of sweeps, and real processes to run and to kill."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from companion.batch.kernels import descendants, running
from companion.batch.store import read_record

PARAMETERS = (
    "seed: int = 0\nx: float = 1.0  # a number\nname: str = 'a'\nscales: list[float] = [1.0]\nflag: bool = True\n"
)
RECORD = "from companion.record import record\nrecord('double', 2 * x + seed)"
PATIENCE = 180  # seconds until a test gives up waiting; a busy machine is no failure


def notebook(path: Path, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook with a parameters cell, a paragraph, and the given code; by default it records a number."""
    cells = [
        new_markdown_cell("Old text", id="text"),
        new_code_cell(parameters, id="p", metadata={"tags": ["parameters"]}),
    ]
    cells += [new_code_cell(source, id=f"code-{i}") for i, source in enumerate(sources or [RECORD])]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


said: dict[int, list[TextIO]] = {}  # what commands have written so far, by process number


def _listen() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    """Start `python -m companion.batch ARGUMENTS`, listening to interrupts: a job in a shell's background ignores
    them.
    """
    line = [sys.executable, "-m", "companion.batch", *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = subprocess.Popen(line, stdout=out, stderr=error, preexec_fn=_listen, **options)
        said[process.pid] = [os.fdopen(os.dup(file.fileno())) for file in (out, error)]
    return process


def ended(process: subprocess.Popen[bytes], but: Sequence[psutil.Process] = ()) -> tuple[int, str, str]:
    """Wait for a command: exit status, output, complaints. Nothing of it is left then, except the processes `but`."""
    below = descendants(process.pid)
    try:
        process.wait(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    out, error = (_text(file) for file in said.pop(process.pid))
    wait_until(lambda: not any(p not in but and running(p) for p in below))
    return process.returncode, out, error


def _text(file: TextIO) -> str:
    with file:
        file.seek(0)
        return file.read()


def of_others(process: psutil.Process, before: Sequence[psutil.Process]) -> bool:
    """Whether a process ran before the test, or was started by one that did, as a browser does at any time."""
    try:
        return not set(before).isdisjoint([process, *process.parents()])
    except psutil.NoSuchProcess:  # it has just ended
        return True


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Wait until a condition holds; its value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        os.sched_yield()
    return value


def pause(pipe: Path, when: str) -> str:
    """Code of a cell that tells its process number through a pipe and then waits for ever, but only the first time.

    Args:
        pipe: A named pipe, which is made.
        when: Condition on the parameters, as Python.
    """
    os.mkfifo(pipe)
    return (
        "import os, signal\nfrom pathlib import Path\n"
        f"if ({when}) and not Path({str(pipe) + '.used'!r}).exists():\n"
        f"    Path({str(pipe) + '.used'!r}).touch()\n"
        f"    with open({str(pipe)!r}, 'w') as file:\n        file.write(str(os.getpid()))\n"
        "    signal.pause()\n"
    )


def paused(pipe: Path, process: subprocess.Popen[bytes] | None = None) -> psutil.Process:
    """Wait for such a cell; the process of its kernel."""
    handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    text, deadline = b"", time.monotonic() + PATIENCE
    try:
        while not text:
            assert time.monotonic() < deadline, "no cell has paused"
            assert process is None or process.poll() is None, ended(process)
            if select.select([handle], [], [], 0.1)[0]:
                text = os.read(handle, 100)
    finally:
        os.close(handle)
    return psutil.Process(int(text))


def check_folder(out: Path) -> dict[str, str]:
    """Check that a sweep's folder holds whole runs only; status of each by name."""
    folders = sorted((out / "runs").iterdir())
    assert not [f.name for f in folders if f.name.startswith(".")]
    found = {}
    for folder in folders:
        record = read_record(folder)
        assert record is not None
        if record["status"] == "ok":
            nbformat.read(folder / "notebook.ipynb", as_version=4)
        found[folder.name] = record["status"]
    return found
