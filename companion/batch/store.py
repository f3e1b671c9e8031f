"""The folder of a sweep, which holds its whole state: nothing is lost with a process, and nothing is half there.

    OUT/sweep.json                 what was asked for last
    OUT/source-<hash>.ipynb        the notebook as it was then
    OUT/runs/<key>/                a finished run: run.json (its record), notebook.ipynb, kernel.log, arrays
    OUT/runs/.wip-<key>-.../       a run in progress; `alive` is touched while it lives
    OUT/checkpoints/<key>/         what a run saves to be able to go on after an interruption
    OUT/results.csv                the table

A run becomes finished by one rename of its whole folder, after its record has reached the disk. Of two processes that
finish the same run the first one wins, and the other takes its record.
"""

import errno
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from companion.batch.identity import SCHEMA
from companion.batch.kernels import Facts, end

RECORD, NOTEBOOK, ALIVE, LOG = "run.json", "notebook.ipynb", "alive", "kernel.log"
BEAT = 5.0  # seconds between two signs of life
SILENCE = 120.0  # seconds after which a run on another machine counts as lost


class DamagedRecord(ValueError):
    """A file that should hold the record of a run does not."""


class Alive(NamedTuple):
    """What a run in progress says about itself."""

    key: str
    host: str
    pid: int
    born: float  # when its process started, seconds since 1970; tells it from a later process with the same number
    started: float  # when the run started
    parameters: dict[str, Any]
    cells: int = 0  # finished
    of: int = 0


def write_json(path: Path, content: Any) -> None:
    """Write JSON to `path`, which then holds all of it or what it held before, also after a power cut."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(partial)
        raise


def read_record(folder: Path) -> dict[str, Any] | None:
    """Record of a finished run, None if there is no such run.

    Raises:
        DamagedRecord: there is a folder, but its record is missing, is not JSON, or belongs to another run.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not folder.exists():
            return None
        raise DamagedRecord(f"{path} is missing") from None
    except (ValueError, OSError) as error:
        raise DamagedRecord(f"{path} cannot be read ({error})") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("key") != folder.name:
        raise DamagedRecord(f"{path} is not the record of this run")
    if not all(isinstance(record.get(name), dict) for name in ("parameters", "values")) or "status" not in record:
        raise DamagedRecord(f"{path} lacks parameters, values or status")
    return record


def finished(out: Path, key: str) -> dict[str, Any] | None:
    """Record of a run whatever its status; None if it has not run or its record is damaged."""
    try:
        return read_record(out / "runs" / key)
    except DamagedRecord:
        return None


def keys(out: Path) -> list[str]:
    """Names of all finished runs in a sweep's folder, also of damaged ones."""
    folder = out / "runs"
    return sorted(entry.name for entry in os.scandir(folder) if entry.name[0] != ".") if folder.is_dir() else []


class Progress:
    """A run in progress: its folder, and a thread that shows that it is alive.

    Args:
        out: Folder of the sweep.
        key: Name of the run.
        parameters: Its parameters, for those who look at it from outside.
        cells: Number of code cells.
    """

    def __init__(self, out: Path, key: str, parameters: Mapping[str, Any], cells: int = 0):
        runs = out / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        host, pid = platform.node(), os.getpid()
        self.key, self.out = key, out
        self.folder = Path(tempfile.mkdtemp(prefix=f".wip-{key}-{host}-{pid}-", dir=runs))
        os.chmod(self.folder, 0o755)
        born = psutil.Process(pid).create_time()
        self.facts = Facts()
        self._alive = Alive(key, host, pid, born, time.time(), dict(parameters), 0, cells)
        self._write()
        self._over = threading.Event()
        self._beat = threading.Thread(target=self._live, daemon=True)
        self._beat.start()

    def cell_ended(self) -> None:
        """Count a finished cell."""
        self._alive = self._alive._replace(cells=self._alive.cells + 1)
        self._write()

    def publish(self, record: dict[str, Any]) -> dict[str, Any]:
        """Put the run in its place; the record that is there afterwards, which may be another process's."""
        write_json(self.folder / RECORD, record)
        self.stop()
        (self.folder / ALIVE).unlink(missing_ok=True)
        first = move_in(self.folder, self.out / "runs" / self.key)
        if first is None:
            return record
        shutil.rmtree(self.folder, ignore_errors=True)
        return first

    def discard(self) -> None:
        """End without a result."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """Stop showing signs of life."""
        self._over.set()
        if self._beat.is_alive():
            self._beat.join()

    def _live(self) -> None:
        while not self._over.wait(BEAT):
            self.facts.look()
            with suppress(OSError):
                os.utime(self.folder / ALIVE)

    def _write(self) -> None:
        partial = self.folder / f".{ALIVE}.partial"
        with suppress(OSError):  # the sign of life is not worth a run
            partial.write_text(json.dumps(self._alive._asdict()))
            os.replace(partial, self.folder / ALIVE)


def move_in(folder: Path, target: Path) -> dict[str, Any] | None:
    """Make `folder` the run at `target`, unless one that ended well is there: then its record is returned.

    Any number of processes may do so at once.
    """
    while True:
        there = finished(target.parent.parent, target.name)
        if there is not None and there["status"] == "ok":
            return there
        put_aside(target)
        try:
            os.rename(folder, target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # else another process was faster: look again
                raise
        else:
            return None


def put_aside(target: Path) -> None:
    """Delete the run at `target`, in one step for those who look at it; one that ended well stays."""
    aside = Path(tempfile.mkdtemp(prefix=f".old-{target.name}-", dir=target.parent)) / target.name
    with suppress(FileNotFoundError):
        os.rename(target, aside)
        with suppress(DamagedRecord):
            if (read_record(aside) or {}).get("status") == "ok":  # finished since it was looked at
                move_in(aside, target)
    shutil.rmtree(aside.parent, ignore_errors=True)


def in_progress(out: Path) -> Iterator[tuple[Path, Alive | None, bool]]:
    """Folders of unfinished runs, what they say about themselves, and whether their process still lives."""
    for folder in sorted((out / "runs").glob(".wip-*")):
        try:
            alive = Alive(**json.loads((folder / ALIVE).read_text()))
            age = time.time() - (folder / ALIVE).stat().st_mtime
        except (OSError, ValueError, TypeError):
            with suppress(FileNotFoundError):  # if it has just been published
                yield folder, None, time.time() - folder.stat().st_mtime < SILENCE
            continue
        here = alive.host == platform.node()
        yield folder, alive, _lives(alive) if here else age < SILENCE


def collect_lost(out: Path) -> list[str]:
    """Turn unfinished runs whose process is gone into runs with the status "lost", and end what they left running.

    The notebook of a lost run stays, as far as it got. A run that was also finished elsewhere is not lost.

    Returns:
        Names of the runs that were lost.
    """
    lost = []
    for folder, alive, lives in list(in_progress(out)):
        if lives:
            continue
        end(left_by(folder))
        if alive and finished(out, alive.key) is None and (folder / NOTEBOOK).exists():
            _publish_lost(out, folder, alive)
            lost.append(alive.key)
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (out / "runs").glob(".old-*"):
        with suppress(FileNotFoundError):  # another process may be deleting it
            if time.time() - folder.stat().st_mtime > SILENCE:
                shutil.rmtree(folder, ignore_errors=True)
    return lost


def left_by(folder: Path) -> list[psutil.Process]:
    """Processes of a run: the kernel and everything it started carry the run's folder in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get("LIB_RUN") == str(folder):
                found.append(process)
    return found


def lost_record(key: str, parameters: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Record of a run that nobody could finish."""
    return {
        "schema": SCHEMA,
        "key": key,
        "status": "lost",
        "parameters": dict(parameters),
        "values": {},
        "ename": "Lost",
        "evalue": why,
    }


def _publish_lost(out: Path, folder: Path, alive: Alive) -> None:
    record = lost_record(alive.key, alive.parameters, f"its process on {alive.host} ended before the run did")
    write_json(folder / RECORD, record | {"host": alive.host, "cell": alive.cells, "started": alive.started})
    (folder / ALIVE).unlink(missing_ok=True)
    move_in(folder, out / "runs" / alive.key)


def _lives(alive: Alive) -> bool:
    try:
        process = psutil.Process(alive.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - alive.born) < 2
    except psutil.NoSuchProcess:
        return False
