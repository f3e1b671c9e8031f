"""One run of one notebook with chosen parameters."""

import os
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

from lib.batch.kernels import ENGINE, environment
from lib.notebooks import parameters as declared_parameters
from lib.notebooks import validate


class ExecutionError(RuntimeError):
    """A notebook did not run to its end: a cell raised or took too long, or the kernel died."""


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    threads: int = 1,
    refresh: bool = False,
    failed: Path | None = None,
    scratch: Path | None = None,
    on_cell: Callable[[], object] | None = None,
) -> NotebookNode:
    """Run a notebook with papermill and write the executed notebook, whole or not at all.

    The kernel has a working directory (the notebook's folder), sockets and threads of its own.

    Args:
        notebook: Notebook to run. It is not changed.
        output: Where the executed notebook goes.
        parameters: Values that replace defaults of the cell tagged `parameters`.
        timeout: Seconds a cell may take; None for no limit.
        threads: Threads of the numerical libraries.
        refresh: Do not compare recorded values with the committed ones.
        failed: Where the notebook goes, up to its traceback, if it fails; `output` by default.
        scratch: Folder for the kernel's sockets; the system's temporary folder by default.
        on_cell: Called after each cell.

    Returns:
        The executed notebook.

    Raises:
        ValueError: A parameter is unknown, or its value has a wrong type or range. Nothing was started.
        ExecutionError: The run failed. The message names notebook, cell and error in one line.
    """
    notebook, output = Path(notebook).resolve(), Path(output).resolve()
    values = validate(parameters, declared_parameters(notebook)) if parameters else {}
    env = environment(threads, **({"LIB_REFRESH": "1"} if refresh else {}))
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial.ipynb")
    folder = tempfile.mkdtemp(prefix="k-", dir=scratch)
    try:
        executed = papermill.execute_notebook(
            _path(notebook),
            _path(partial),
            values,
            engine_name=ENGINE,
            progress_bar=False,
            execution_timeout=timeout,
            folder=folder,
            env=env,
            kernel_cwd=str(notebook.parent),
            on_cell_complete=(lambda **_: on_cell()) if on_cell else None,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        _publish(partial, failed or output)
        raise ExecutionError(_describe(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _publish(partial, output)
    return executed


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook to `path`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial.ipynb")
    partial.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    _publish(partial, path)


def _path(path: Path) -> str:
    """The path as papermill wants it: braces are placeholders there."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _publish(partial: Path, path: Path) -> None:
    if not partial.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _describe(error: Exception) -> str:
    """One line: where the notebook failed, and how."""
    if isinstance(error, PapermillExecutionError):
        value = " ".join(str(error.evalue).split())
        return f"code cell {error.exec_count or '?'}: {error.ename}: {value}"[:500]
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:500]
