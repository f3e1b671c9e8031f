"""One run of a sweep, from its specification to its record on disk. Every engine calls `run_one`, on any machine."""

import datetime
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nbformat

from companion.batch import identity
from companion.batch.chapters import ROOT, code_cells
from companion.batch.execute import ExecutionError, execute
from companion.batch.kernels import cpu_count
from companion.batch.plan import Spec, relative
from companion.batch.store import LOG, NOTEBOOK, RECORD, Progress, finished
from companion.notebooks import RECORD_MIME
from companion.record import decode, encode

PACKAGES = ("numpy", "torch", "papermill", "ipykernel")


class Unfit(RuntimeError):
    """This process cannot do the run: it does not see the sweep's folder, or its `lib` is another one."""


def run_one(
    spec: Spec,
    *,
    threads: int = 1,
    timeout: float | None = None,
    force: bool = False,
    fork: bool = False,
    engine: str = "serial",
    scratch: Path | None = None,
    on_cell: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Do a run unless it is done, and publish it.

    Args:
        spec: The run.
        threads: Threads of the numerical libraries.
        timeout: Seconds a cell may take.
        force: Also if it has ended well before.
        fork: Copy kernels from a process that has imported what the notebook imports.
        engine: Who called, for the record.
        scratch: Folder for the kernel's sockets.
        on_cell: Called after each cell.

    Returns:
        The record that is on disk afterwards. An error of the notebook is part of it and is not raised.

    Raises:
        Unfit: The run was not started.
        OSError: The disk is full, say; nothing was published.
    """
    out, source = Path(spec.out), Path(spec.source)
    there = finished(out, spec.key)
    if there is not None and there["status"] == "ok" and not force:
        return there
    if not source.exists():
        raise Unfit(f"{platform.node()} does not see {source}; the sweep's folder must be on a disk that all share")
    ours = identity.fingerprint(identity.code_cells(source))
    if ours != spec.lib:
        raise Unfit(f"lib on {platform.node()} ({ROOT}) is not the one that the sweep was planned with")
    notebook = nbformat.read(source, as_version=4)
    progress = Progress(out, spec.key, spec.parameters, len(code_cells(notebook)))
    saved = out / "checkpoints" / spec.key
    record = _about(spec, source, threads, engine, fork)
    begun = time.monotonic()
    values: list[dict[str, Any]] = []

    def cell_ended() -> None:
        progress.cell_ended()
        if on_cell:
            on_cell()

    try:
        try:
            executed = execute(
                source,
                None,
                spec.parameters,
                timeout=timeout,
                threads=threads,
                refresh=True,
                failed=progress.folder / NOTEBOOK,
                keep=True,
                scratch=scratch,
                on_cell=cell_ended,
                folder=Path(spec.notebook).parent,
                variables={"LIB_RUN": str(progress.folder), "LIB_CHECKPOINTS": str(saved)},
                facts=progress.facts,
                log=progress.folder / LOG,
                fork=fork,
            )
            values = recorded(executed)
            record |= {"status": "ok"}
        except ExecutionError as error:
            record |= {"status": "error", "ename": error.ename, "evalue": error.evalue, "cell": error.cell}
            record |= {"message": str(error), "traceback": error.traceback}
            with_outputs = progress.folder / NOTEBOOK
            values = recorded(nbformat.read(with_outputs, as_version=4)) if with_outputs.exists() else []
        try:
            record |= {"values": flat(values, spec.parameters), "records": values}
        except ValueError as error:
            record |= {"status": "error", "ename": "ValueError", "evalue": str(error), "message": str(error)}
        facts = progress.facts
        record |= {
            "ended": _now(),
            "wall_s": round(time.monotonic() - begun, 3),
            "kernel_start_s": facts.start_s and round(facts.start_s, 3),
            "peak_rss_mb": facts.peak_bytes and round(facts.peak_bytes / 1e6, 1),
        }
        if force and there is not None:
            shutil.rmtree(out / "runs" / spec.key, ignore_errors=True)
        published = progress.publish(record)
    except BaseException:
        progress.discard()
        raise
    if published["status"] == "ok":
        shutil.rmtree(saved, ignore_errors=True)
    return published


def recorded(notebook: Any) -> list[dict[str, Any]]:
    """Contents of the records in a notebook's outputs, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [dict(o.data[RECORD_MIME]) for o in outputs if RECORD_MIME in o.get("data", {})]


def flat(records: list[dict[str, Any]], parameters: dict[str, Any]) -> dict[str, Any]:
    """Values by column: a record's name, or name and measure with a dot between; non-finite numbers as in records.

    Raises:
        ValueError: two records have one name, or a record has the name of a parameter.
    """
    columns: dict[str, Any] = {}
    for content in records:
        value = decode(content)
        named = {f"{content['name']}.{k}": v for k, v in value.items()} if isinstance(value, dict) else None
        for name, single in (named or {content["name"]: value}).items():
            if name in columns or name in parameters:
                what = "a parameter's name" if name in parameters else "recorded twice"
                raise ValueError(f"record {name!r}: {what}; names must differ, since each becomes a column")
            columns[name] = encode(single)
    return columns


def _about(spec: Spec, source: Path, threads: int, engine: str, fork: bool) -> dict[str, Any]:
    """What is known about a run before it starts."""
    return {
        "schema": identity.SCHEMA,
        "key": spec.key,
        "status": "",
        "parameters": spec.parameters,
        "varied": list(spec.varied),
        "values": {},
        "records": [],
        "seed": spec.parameters.get("seed"),
        "notebook": relative(Path(spec.notebook)),
        "notebook_hash": source.stem.rpartition("-")[2],
        "code": spec.code,
        "lib": spec.lib,
        "git_commit": git_commit(),
        "versions": versions(),
        "host": platform.node(),
        "platform": platform.platform(),
        "cpus": cpu_count(),
        "threads": threads,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "engine": engine,
        "forked": fork,
        "started": _now(),
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on most."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str | None:
    """Commit of the project, with "-dirty" behind it if files differ from it; None without git."""

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, timeout=20)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.TimeoutExpired):
        return None


__all__ = ["RECORD", "Unfit", "flat", "git_commit", "recorded", "run_one", "versions"]
