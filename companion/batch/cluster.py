"""Runs on Dask: workers of this machine, or those of a cluster that somebody else has started.

Dask moves specifications and records about; it holds no state that matters. A worker that dies costs the time since its
run began, because the run is repeated; a scheduler that dies ends the sweep, which goes on where it was when started
again.
"""

import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from dask import config

from companion.batch.pool import Run

DEATHS = 4  # of workers with a run in hand, until it is given up
SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,  # a run waits at the scheduler, not at a worker that may die
    "distributed.scheduler.allowed-failures": DEATHS - 1,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.daemon": True,
    "distributed.admin.tick.limit": "60s",  # no complaints about a busy machine
}
# By the process that workers are copied from; lib first, which keeps jsonschema from compiling a grammar for 1.4 s.
PRELOADED = ["companion.batch.work", "papermill.iorw", "distributed.worker"]
PATIENCE = 10  # seconds to wait for an answer of a scheduler


class EngineError(RuntimeError):
    """The cluster cannot be reached, or is gone; what was finished is on disk."""


def run_all(
    runs: Sequence[Run],
    *,
    workers: int,
    on_end: Callable[[str, str | None, Any], object],
    scheduler: str | Path | None = None,
    cluster: Any = None,
) -> dict[str, str | None]:
    """Do all runs on a Dask cluster; a failure does not stop the others.

    Args:
        runs: What to do. Names differ. `scratch` and `on_cell` are not given to them.
        workers: Processes of a cluster on this machine, if no other is named.
        on_end: Called with name, error and what `work` returned when a run ends.
        scheduler: Address of a scheduler, or the file it has written.
        cluster: Any Dask cluster object, for example a `dask_jobqueue.SLURMCluster`. It is not closed.

    Returns:
        For each run its error in one line, or None if it went well.

    Raises:
        EngineError: No scheduler answers, or it has stopped.
    """
    errors: dict[str, str | None] = {}
    with _copied_workers(scheduler is None and cluster is None), _client(workers, scheduler, cluster) as client:
        import distributed

        if not client.scheduler_info(n_workers=-1)["workers"] and (scheduler or cluster is not None):
            print("The cluster has no worker yet; runs start as soon as it has one.", file=sys.stderr)
        futures = {
            client.submit(run.work, **run.arguments, key=f"run-{run.name}", pure=False, retries=0): run for run in runs
        }
        for future in distributed.as_completed(list(futures), loop=client.loop):
            run = futures.pop(future)  # pyright: ignore[reportArgumentType]
            if future.status in ("cancelled", "lost"):
                raise EngineError("the scheduler has stopped")
            error, value = None, None
            try:
                value = future.result()
            except distributed.KilledWorker:
                error = f"{DEATHS} workers died during this run"
            except distributed.CancelledError as trouble:
                raise EngineError("the scheduler has stopped") from trouble
            except Exception as trouble:
                error = " ".join(str(trouble).split()) or type(trouble).__name__
            future.release()
            errors[run.name] = error
            on_end(run.name, error, value)
    return errors


@contextmanager
def _copied_workers(local: bool) -> Iterator[None]:
    """Let workers of this machine be copies of a process that imports what they need, while this one goes on."""
    if not local or sys.platform != "linux":
        yield
        return
    if "distributed" not in sys.modules:  # which reads this setting once
        config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    server: Any = getattr(forkserver, "_forkserver", None)  # not in the documentation
    ours = getattr(server, "_forkserver_pid", 0) is None  # nobody had started one
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    try:
        yield
    finally:
        if ours:  # else it would stay until this process ends
            with suppress(AttributeError, OSError, TypeError):
                os.kill(server._forkserver_pid, signal.SIGKILL)  # to take down what it has imported costs half a second
                server._stop()


@contextmanager
def _client(workers: int, scheduler: str | Path | None, cluster: Any) -> Iterator[Any]:
    """A client of the cluster that is wanted; one of this machine is ended with all its processes."""
    import distributed

    folder = tempfile.mkdtemp(prefix="dask-")
    own = client = None
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "distributed.core")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # what matters is said by us, in one line
    try:
        with config.set({**SETTINGS, "temporary-directory": folder}):
            try:
                if scheduler is None and cluster is None:
                    secure = importlib.util.find_spec("cryptography") is not None
                    cluster = own = distributed.LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        processes=True,
                        memory_limit=0,  # kernels are other processes, which Dask's limit would not see
                        dashboard_address=":0",
                        local_directory=folder,
                        silence_logs=logging.CRITICAL,
                        security=True if secure else None,  # else any user of this machine could send it code
                    )
                if scheduler is not None and Path(scheduler).is_file():
                    client = distributed.Client(scheduler_file=str(scheduler), timeout=PATIENCE, set_as_default=False)
                elif scheduler is not None:
                    client = distributed.Client(str(scheduler), timeout=PATIENCE, set_as_default=False)
                else:
                    client = distributed.Client(cluster, timeout=PATIENCE, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                where = scheduler or "the cluster"
                raise EngineError(f"no scheduler answers at {where} ({' '.join(str(error).split())[:200]})") from error
            yield client
    finally:
        for thing in (client, own):
            if thing is not None:
                with suppress(Exception):
                    thing.close(timeout=5)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        shutil.rmtree(folder, ignore_errors=True)
