"""companion.batch.store: a run is there as a whole or not at all."""

import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from sweeping import wait_until

from companion.batch import store
from companion.batch.identity import SCHEMA
from companion.batch.store import (
    Alive,
    DamagedRecord,
    Progress,
    collect_lost,
    finished,
    in_progress,
    keys,
    put_aside,
    read_record,
)

KEY = "0123456789abcdef"


def record(status="ok", **more):
    return {"schema": SCHEMA, "key": KEY, "status": status, "parameters": {"x": 1}, "values": {}, **more}


def put(out, content=None):
    folder = out / "runs" / KEY
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(content if content is not None else json.dumps(record()))
    return folder


def test_a_run_appears_with_its_record(tmp_path):
    progress = Progress(tmp_path, KEY, {"x": 1}, 2)
    (progress.folder / "notebook.ipynb").write_text("{}")
    progress.cell_ended()
    ((folder, alive, lives),) = in_progress(tmp_path)
    assert folder == progress.folder and lives and alive and (alive.cells, alive.of, alive.pid) == (1, 2, os.getpid())
    assert not keys(tmp_path) and finished(tmp_path, KEY) is None
    assert progress.publish(record()) == record()
    assert finished(tmp_path, KEY) == record()
    assert sorted(p.name for p in (tmp_path / "runs" / KEY).iterdir()) == ["notebook.ipynb", "run.json"]
    assert keys(tmp_path) == [KEY] and not list(in_progress(tmp_path))


def test_the_first_of_two_wins_and_the_other_takes_its_record(tmp_path):
    first, second = Progress(tmp_path, KEY, {}), Progress(tmp_path, KEY, {})
    first.publish(record(host="first"))
    assert second.publish(record(host="second"))["host"] == "first"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [KEY]


def test_many_at_once_leave_one(tmp_path):
    runs = [Progress(tmp_path, KEY, {}) for _ in range(8)]
    threads = [threading.Thread(target=p.publish, args=(record("ok" if i else "error"),)) for i, p in enumerate(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = finished(tmp_path, KEY)
    assert there is not None and there["status"] == "ok"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [KEY]


def test_a_run_that_appears_and_goes_while_another_is_published(tmp_path, monkeypatch):
    progress, rename, calls = Progress(tmp_path, KEY, {}), os.rename, []

    def busy(source, target):
        calls.append(source)
        if len(calls) == 1:  # another process was there at that moment, and is gone when one looks
            raise OSError(errno.ENOTEMPTY, "not empty")
        rename(source, target)

    monkeypatch.setattr(store.os, "rename", lambda s, t: busy(s, t) if s == progress.folder else rename(s, t))
    assert progress.publish(record()) == record() and finished(tmp_path, KEY) == record() and len(calls) == 2


def test_a_good_run_survives_failed_ones_at_the_same_moment(tmp_path, monkeypatch):
    """A failed run looks, finds nothing good, and puts aside what meanwhile is good; a third takes the place."""
    bad, good, third = (Progress(tmp_path, KEY, {}) for _ in range(3))
    rename, calls = os.rename, []

    def slow(source, target):
        calls.append(target)
        if len(calls) == 1:
            good.publish(record(host="good"))
            rename(source, target)
            third.publish(record("error"))
        else:
            rename(source, target)

    put(tmp_path, "")
    monkeypatch.setattr(store.os, "rename", slow)
    assert bad.publish(record("error"))["host"] == "good"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [KEY]


def test_what_keeps_a_run_from_its_place_is_said_and_the_run_stays(tmp_path, monkeypatch):
    progress = Progress(tmp_path, KEY, {})

    def refuse(source, target):
        raise PermissionError(errno.EACCES, "not allowed", str(source))

    monkeypatch.setattr(store.os, "rename", refuse)
    with pytest.raises(PermissionError, match="not allowed"):
        progress.publish(record())
    assert json.loads((progress.folder / "run.json").read_text()) == record()


def test_a_failed_run_is_replaced_and_a_good_one_is_not(tmp_path):
    Progress(tmp_path, KEY, {}).publish(record("error"))
    Progress(tmp_path, KEY, {}).publish(record("ok", host="good"))
    Progress(tmp_path, KEY, {}).publish(record("error"))
    assert (finished(tmp_path, KEY) or {})["host"] == "good"
    put_aside(tmp_path / "runs" / KEY)
    assert (finished(tmp_path, KEY) or {})["host"] == "good"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": 0}', json.dumps(record() | {"key": "x"}), '{"schema": 1}']
)
def test_a_damaged_record_is_not_a_run(tmp_path, content):
    folder = put(tmp_path, content)
    with pytest.raises(DamagedRecord, match="run.json"):
        read_record(folder)
    assert finished(tmp_path, KEY) is None
    Progress(tmp_path, KEY, {}).publish(record())
    assert finished(tmp_path, KEY) == record()


def test_a_folder_without_a_record_is_damaged(tmp_path):
    put(tmp_path).joinpath("run.json").unlink()
    with pytest.raises(DamagedRecord, match="is missing"):
        read_record(tmp_path / "runs" / KEY)


def test_discarded_runs_leave_nothing(tmp_path):
    Progress(tmp_path, KEY, {}).discard()
    assert not list((tmp_path / "runs").iterdir())


def wip(out, alive, text='{"cells": []}'):
    folder = out / "runs" / f".wip-{KEY}-host-1-x"
    folder.mkdir(parents=True)
    (folder / "notebook.ipynb").write_text(text)
    if alive:
        (folder / "alive").write_text(json.dumps(alive._asdict()))
    return folder


def alive(**changes):
    host = store.platform.node()
    return Alive(KEY, host, os.getpid(), store.psutil.Process().create_time(), 0.0, {"x": 1})._replace(**changes)


def gone():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_run_whose_process_is_gone_is_lost_and_its_notebook_stays(tmp_path):
    wip(tmp_path, alive(pid=gone(), cells=3))
    assert collect_lost(tmp_path) == [KEY]
    there = finished(tmp_path, KEY)
    assert there is not None and there["status"] == "lost" and "ended before the run did" in there["evalue"]
    assert (there["cell"], there["parameters"]) == (3, {"x": 1})
    assert (tmp_path / "runs" / KEY / "notebook.ipynb").exists()
    assert not list(in_progress(tmp_path))


def test_a_process_with_the_same_number_is_another_one(tmp_path):
    wip(tmp_path, alive(born=1.0))
    assert collect_lost(tmp_path) == [KEY]


def test_runs_that_live_are_left_alone(tmp_path):
    wip(tmp_path, alive())
    assert collect_lost(tmp_path) == [] and len(list(in_progress(tmp_path))) == 1


@pytest.mark.parametrize(("silent", "lost"), [(1.0, []), (store.SILENCE + 5, [KEY])])
def test_a_run_on_another_machine_is_lost_after_a_silence(tmp_path, silent, lost):
    folder = wip(tmp_path, alive(host="elsewhere", pid=1))
    os.utime(folder / "alive", (time.time() - silent,) * 2)
    assert collect_lost(tmp_path) == lost


def test_a_lost_run_that_was_finished_elsewhere_is_forgotten(tmp_path):
    put(tmp_path)
    wip(tmp_path, alive(pid=gone()))
    assert collect_lost(tmp_path) == [] and finished(tmp_path, KEY) == record()


def test_what_a_lost_run_left_running_is_ended(tmp_path):
    folder = wip(tmp_path, alive(pid=gone()))
    code = "import signal; print(flush=True); signal.pause()"
    environment = os.environ | {"LIB_RUN": str(folder)}
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, start_new_session=True, stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline()
    collect_lost(tmp_path)
    assert child.wait(timeout=10) == -9
    child.stdout.close()


def test_a_beating_heart_is_visible(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "BEAT", 0.01)
    progress = Progress(tmp_path, KEY, {})
    os.utime(progress.folder / "alive", (0, 0))
    wait_until(lambda: (progress.folder / "alive").stat().st_mtime > 0)
    progress.discard()


def test_a_file_is_never_half_there(tmp_path):
    path = tmp_path / "a.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        store.write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        store.write_text(path, "\ud800")
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
