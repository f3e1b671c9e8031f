"""One run of one notebook with chosen parameters."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from companion.batch.identity import code_cells
from companion.batch.kernels import ENGINE, LOG, Facts, environment
from companion.batch.zygote import imported
from companion.notebooks import parameters as declared_parameters
from companion.notebooks import validate

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of a terminal


class ExecutionError(RuntimeError):
    """A notebook did not run to its end: a cell raised or took too long, or the kernel died.

    Attributes:
        ename: Name of the exception.
        evalue: Its text.
        cell: Number of the code cell, None if it is not known.
        traceback: As the cell shows it, without colours; "" if there is none.
    """

    def __init__(self, message: str, ename: str = "", evalue: str = "", cell: int | None = None, traceback: str = ""):
        super().__init__(message)
        self.ename, self.evalue, self.cell, self.traceback = ename, evalue, cell, traceback


def execute(
    notebook: Path,
    output: Path | None,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    threads: int = 1,
    refresh: bool = False,
    failed: Path | None = None,
    keep: bool = False,
    scratch: Path | None = None,
    on_cell: Callable[[], object] | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    facts: Facts | None = None,
    log: Path | None = None,
    fork: bool = False,
) -> NotebookNode:
    """Run a notebook with papermill and write the executed notebook, whole or not at all.

    The kernel has a working directory (the notebook's folder), sockets and threads of its own.

    Args:
        notebook: Notebook to run. It is not changed.
        output: Where the executed notebook goes; nowhere if None.
        parameters: Values that replace defaults of the cell tagged `parameters`.
        timeout: Seconds a cell may take; None for no limit.
        threads: Threads of the numerical libraries.
        refresh: Do not compare recorded values with the committed ones.
        failed: Where the notebook is written while it runs, and stays, up to its traceback, if it fails. By default it
            is beside `output` while it runs and becomes `output` if it fails. Needed if `output` is None.
        keep: Leave it there also if the run goes well.
        scratch: Folder for the kernel's sockets; the system's temporary folder by default.
        on_cell: Called after each cell.
        folder: Working directory of the kernel; the notebook's folder by default.
        variables: More environment variables of the kernel.
        facts: Is told about the kernel while it runs: its process, its memory, how long it took to start.
        log: Where what the kernel's process says goes, if it says anything.
        fork: Copy the kernel from a process that has imported what the notebook imports, see `companion.batch.zygote`.

    Returns:
        The executed notebook.

    Raises:
        ValueError: A parameter is unknown, or its value has a wrong type or range. Nothing was started.
        ExecutionError: The run failed. The message names notebook, cell and error in one line.
    """
    notebook = Path(notebook).resolve()
    values = validate(parameters, declared_parameters(notebook)) if parameters else {}
    own = {"LIB_SOURCE": str(notebook)} | ({"LIB_REFRESH": "1"} if refresh else {})
    env = environment(threads, **own, **(variables or {}))
    partial = failed or _partial(output)
    partial.parent.mkdir(parents=True, exist_ok=True)
    private = tempfile.mkdtemp(prefix="k-", dir=scratch)
    try:
        executed = papermill.execute_notebook(
            _escaped(notebook),
            _escaped(partial.resolve()),
            values,
            engine_name=ENGINE,
            kernel_name="python3",  # of this environment, whatever the notebook was last opened with
            language="python",
            progress_bar=False,
            execution_timeout=timeout,
            folder=private,
            env=env,
            facts=facts or Facts(),
            preload=imported(code_cells(notebook)) if fork else None,
            kernel_cwd=str(folder or notebook.parent),
            on_cell_complete=(lambda **_: on_cell()) if on_cell else None,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        if output and not failed and partial.exists():
            _publish(partial, output)
        raise _explained(error, Path(private) / LOG) from error
    finally:
        said = Path(private) / LOG
        if log and said.exists() and said.stat().st_size:
            shutil.copyfile(said, log)
        shutil.rmtree(private, ignore_errors=True)
    if output:
        _publish(partial, output)
    elif not keep:
        partial.unlink()
    return executed


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook to `path`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    _publish(partial, path)


def _partial(path: Path | None) -> Path:
    """Name, in the folder of `path`, of what will become `path`."""
    if path is None:
        raise ValueError("expected an output, or a place for a run that fails, got neither")
    return path.with_name(f".{path.name}.{os.getpid()}.partial.ipynb")


def _escaped(path: Path) -> str:
    """The path as papermill wants it: braces are placeholders there."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _publish(partial: Path, path: Path) -> None:
    """Put a complete file in its place, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _explained(error: Exception, log: Path) -> ExecutionError:
    """In one line where the notebook failed, and how; for a kernel that died also the last thing its process said."""
    if isinstance(error, PapermillExecutionError):
        value, number = " ".join(str(error.evalue).split()), error.exec_count or None
        message = f"code cell {number or '?'}: {error.ename}: {value}"[:500]
        trace = COLOUR.sub("", "\n".join(error.traceback or []))
        return ExecutionError(message, error.ename, str(error.evalue), number, trace)
    name = type(error).__name__
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    said = log.read_text(errors="replace").split("\n") if isinstance(error, DeadKernelError) and log.exists() else []
    last = next((f" ({line.strip()})" for line in reversed(said) if line.strip()), "")
    return ExecutionError(f"{name}: {first}{last}"[:500], name, f"{first}{last}")
