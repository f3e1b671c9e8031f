"""Runs a planned sweep: what is done stays done, what failed is tried again, and a table of everything is written."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from companion.batch import cluster as dask_cluster
from companion.batch import pool, store, work
from companion.batch.kernels import cpu_count
from companion.batch.plan import Spec, Sweep, describe, relative
from companion.batch.table import gather, read_request, records, write_table

if TYPE_CHECKING:
    import pandas as pd

ENGINES = ("dask", "processes", "serial")


@dataclass(frozen=True)
class Finished:
    """What became of a sweep.

    Attributes:
        out: Its folder.
        done: Names of the runs that ended well now.
        kept: Names of those that had ended well before.
        failed: Records of those whose notebook failed.
        lost: Records of those that nobody could finish.
        seconds: How long it took.
    """

    out: Path
    done: list[str]
    kept: list[str]
    failed: list[dict[str, Any]]
    lost: list[dict[str, Any]]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every run has ended well."""
        return not (self.failed or self.lost)

    @property
    def table(self) -> pd.DataFrame:
        """The table of the sweep's folder."""
        return gather(self.out)


def run(
    sweep: Sweep,
    *,
    workers: int | None = None,
    threads: int | None = None,
    engine: str = "dask",
    scheduler: str | Path | None = None,
    cluster: Any = None,
    timeout: float | None = None,
    force: bool = False,
    skip_failed: bool = False,
    fork: bool = False,
    progress: bool = True,
) -> Finished:
    """Do the runs of a sweep that are not done, and write its table.

    Workers are new Python processes, so a script must call this under `if __name__ == "__main__":`.

    Args:
        sweep: What `plan` returned.
        workers: Kernels at the same time; by default as many as there are processors. A cluster has its own number.
        threads: Threads of the numerical libraries in each kernel; by default workers times threads is the number of
            processors, and 1 on a cluster.
        engine: "dask", "processes" (a process for each run; one that is killed is not repeated) or "serial".
        scheduler: Address of a Dask scheduler, or the file it has written; by default workers are started here.
        cluster: Or a Dask cluster object.
        timeout: Seconds a cell may take; None for no limit.
        force: Repeat runs that ended well before.
        skip_failed: Do not repeat those that failed.
        fork: Copy each kernel from a process that has imported what the notebook imports, which saves seconds in each
            run; Linux only, with one thread in each kernel, and not with GPUs.
        progress: Show a progress bar on stderr.

    Raises:
        ValueError: an argument makes no sense, or the folder holds the sweep of another notebook. Nothing was started.
        EngineError: the cluster cannot be reached or is gone. Run again to go on.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine != "dask" and (scheduler is not None or cluster is not None):
        raise ValueError(f"a scheduler or a cluster needs the engine dask, got {engine}")
    if fork and (engine == "processes" or sys.platform != "linux"):
        raise ValueError("kernels can be forked on Linux only, and by the engines dask and serial")
    if fork and threads not in (None, 1):
        raise ValueError(f"forked kernels have one thread each, got threads={threads}")
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    started = time.monotonic()
    prepare(sweep)
    store.collect_lost(sweep.out)
    state = pending(sweep, force=force, skip_failed=skip_failed)
    here = scheduler is None and cluster is None
    count = min(workers or cpu_count(), max(1, len(state.waiting)))
    options = {
        "threads": threads or (max(1, cpu_count() // count) if here and not fork else 1),
        "timeout": timeout,
        "force": force,
        "fork": fork,
        "engine": engine,
    }
    jobs = [pool.Run(s.key, work.run_one, {"spec": s, **options}) for s in state.waiting]
    results: dict[str, dict[str, Any]] = {}
    specs = {spec.key: spec for spec in sweep.runs}
    with tqdm(
        total=len(jobs), unit="run", file=sys.stderr, leave=False, disable=None if progress and jobs else True
    ) as bar:

        def ended(name: str, error: str | None, record: Any) -> None:
            results[name] = _result(specs[name], error, record)
            bar.update()
            if results[name]["status"] != "ok":
                bar.write(f"  {line(specs[name], results[name])}", file=sys.stderr)

        try:
            _do(jobs, engine, count, ended, scheduler, cluster)
        finally:
            store.collect_lost(sweep.out)
            write_table(sweep.out, gather(sweep.out))
    _adopt(sweep.out, results)
    found = [results[key] for key in results]
    return Finished(
        sweep.out,
        [r["key"] for r in found if r["status"] == "ok"],
        state.kept,
        [r for r in (*found, *state.failed) if r["status"] == "error"],
        [r for r in (*found, *state.failed) if r["status"] == "lost"],
        time.monotonic() - started,
    )


@dataclass(frozen=True)
class Pending:
    """Runs of a sweep by what is to be done about them."""

    waiting: list[Spec]
    kept: list[str]  # ended well before
    failed: list[dict[str, Any]]  # records of those that failed before and are not repeated


def pending(sweep: Sweep, *, force: bool = False, skip_failed: bool = False) -> Pending:
    """Sort the runs of a sweep; reads the folder and changes nothing."""
    waiting, kept, failed = [], [], []
    for spec in sweep.runs:
        record = store.finished(sweep.out, spec.key)
        if force or record is None or (record["status"] != "ok" and not skip_failed):
            waiting.append(spec)
        elif record["status"] == "ok":
            kept.append(spec.key)
        else:
            failed.append(record)
    return Pending(waiting, kept, failed)


def estimate(sweep: Sweep, waiting: Sequence[Spec], workers: int) -> float | None:
    """Seconds the waiting runs will take, from those in the folder that ended well; None if there are none."""
    found, _ = records(sweep.out)
    seconds = [r["wall_s"] for r in found if r["status"] == "ok" and r.get("wall_s")]
    return statistics.median(seconds) * -(-len(waiting) // workers) if seconds and waiting else None


def prepare(sweep: Sweep) -> None:
    """Write what a sweep needs before its runs: the notebook as it is now, and what was asked for.

    Raises:
        ValueError: the folder holds something else.
    """
    occupied = sweep.out.exists() and any(not p.name.startswith(".") for p in sweep.out.iterdir())
    if (sweep.out / "sweep.json").exists():  # asked last: another sweep that starts just now writes this file first
        other = read_request(sweep.out)["notebook"]
        if other != relative(sweep.notebook):
            raise ValueError(f"{sweep.out} holds a sweep of {other}; choose another folder with -o")
    elif occupied:
        raise ValueError(f"{sweep.out} is not empty and not the folder of a sweep; choose another one with -o")
    source = Path(sweep.runs[0].source)
    request = {
        "notebook": relative(sweep.notebook),
        "code": sweep.runs[0].code,
        "lib": sweep.runs[0].lib,
        "varied": list(sweep.varied),
        "git_commit": work.git_commit(),
        "command": sys.argv[1:] if sys.argv[0].endswith("__main__.py") else [],
        "keys": [spec.key for spec in sweep.runs],
    }
    store.write_json(sweep.out / "sweep.json", request)
    if not source.exists():
        store.write_text(source, sweep.notebook.read_text(encoding="utf-8"))


def write_specs(sweep: Sweep, waiting: Sequence[Spec]) -> Path:
    """Write `specs/1.json`, `specs/2.json`, ... for an array of jobs that each call `exec`; returns their folder."""
    folder = sweep.out / "specs"
    if folder.exists():
        for old in folder.glob("*.json"):
            old.unlink()
    for number, spec in enumerate(waiting, 1):
        store.write_json(folder / f"{number}.json", asdict(spec))
    return folder


def line(spec: Spec, record: dict[str, Any]) -> str:
    """What became of a run that did not end well, in one line."""
    where = Path(spec.out) / "runs" / spec.key / store.NOTEBOOK
    message = record.get("message") or record.get("evalue") or record["status"]
    seen = f"; see {where}" if where.exists() else ""
    return f"{describe(spec.parameters, spec.varied) or spec.key}: {message}{seen}"


def _do(
    jobs: Sequence[pool.Run],
    engine: str,
    workers: int,
    ended: Callable[[str, str | None, Any], object],
    scheduler: str | Path | None,
    cluster: Any,
) -> None:
    if not jobs:
        return
    if engine == "dask":
        dask_cluster.run_all(jobs, workers=workers, on_end=ended, scheduler=scheduler, cluster=cluster)
    elif engine == "processes":
        pool.run_all(jobs, workers=workers, on_end=ended)
    else:
        for job in jobs:
            try:
                value, error = job.work(**job.arguments), None
            except (OSError, work.Unfit) as trouble:
                value, error = None, " ".join(str(trouble).split())
            ended(job.name, error, value)


def _result(spec: Spec, error: str | None, record: Any) -> dict[str, Any]:
    """Record of a run that has ended; an error means that it could not be done at all."""
    if error is None:
        return record
    return store.lost_record(spec.key, spec.parameters, error) | {"message": f"lost: {error}"}


def _adopt(out: Path, results: dict[str, dict[str, Any]]) -> None:
    """Say on disk why runs were lost, where something of them is there."""
    for key, record in results.items():
        there = store.finished(out, key)
        if record["status"] == "lost" and there is not None and there["status"] == "lost":
            store.write_json(
                out / "runs" / key / store.RECORD, there | {"evalue": record["evalue"], "message": record["message"]}
            )
