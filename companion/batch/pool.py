"""Several runs at once, each in a process of its own.

A process that is killed (no memory left, say) costs its own run only, and its name is known; in a pool of long-lived
workers it would cost all runs that were waiting.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, cast

from companion.batch.kernels import descendants, end


class Run(NamedTuple):
    """A run to do: `work(**arguments, scratch=..., on_cell=...)`."""

    name: str
    work: Callable[..., object]  # importable from its module, as a new process must find it
    arguments: dict[str, Any]


def run_all(
    runs: Sequence[Run],
    *,
    workers: int,
    on_cell: Callable[[], object] = lambda: None,
    on_end: Callable[[str, str | None, Any], object] = lambda name, error, value: None,
) -> dict[str, str | None]:
    """Do all runs, at most `workers` at a time; a failure does not stop the others.

    If this process is interrupted or killed, no process started here is left.

    Args:
        runs: What to do, in order. Names differ.
        workers: Processes at the same time, at least 1.
        on_cell: Called when a run reports a finished cell.
        on_end: Called with name, error and what `work` returned when a run ends.

    Returns:
        For each run its error in one line, or None if it went well.

    Raises:
        ValueError: `workers` is below 1.
    """
    if workers < 1:
        raise ValueError(f"expected at least one worker, got {workers}")
    context = multiprocessing.get_context("spawn")
    waiting = list(runs)
    active: dict[Any, tuple[Run, BaseProcess]] = {}
    errors: dict[str, str | None] = {}
    with tempfile.TemporaryDirectory(prefix="b-", ignore_cleanup_errors=True) as scratch:
        try:
            while waiting or active:
                while waiting and len(active) < workers:
                    run = waiting.pop(0)
                    receiver, sender = context.Pipe(duplex=False)
                    process = context.Process(target=_worker, args=(sender, run, scratch), daemon=True)
                    process.start()
                    sender.close()
                    active[receiver] = (run, process)
                for receiver in cast("list[Connection]", wait(list(active))):
                    run, process = active[receiver]
                    try:
                        message = receiver.recv()
                    except EOFError:
                        process.join()
                        message = ("end", f"its process was {_ending(process.exitcode)} before it had finished")
                    if message[0] == "cell":
                        on_cell()
                        continue
                    del active[receiver]
                    receiver.close()
                    process.join()
                    errors[run.name] = message[1]
                    on_end(run.name, message[1], message[2] if len(message) > 2 else None)
        finally:
            left = [process for _, process in active.values()]
            below = [child for process in left for child in descendants(process.pid)]
            for process in left:
                process.kill()
                process.join()
            end(below)
    return errors


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed (signal {-code})"
    return f"ended (code {code})"


def _worker(connection: Connection, run: Run, scratch: str) -> None:
    """Body of a process that does one run and tells its parent how it went."""
    signal.signal(signal.SIGINT, lambda *_: None)  # the parent ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        value = run.work(**run.arguments, scratch=Path(scratch), on_cell=lambda: connection.send(("cell", None)))
        connection.send(("end", None, value))
    except Exception as error:
        connection.send(("end", " ".join(str(error).split()) or type(error).__name__))


def _end_with_parent() -> None:
    """Wait for the parent to end, which normally happens after this process; then leave nothing behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        end(descendants(os.getpid()))
        os._exit(1)
