"""companion.batch on Dask, with real processes that are killed: nothing is lost, nothing is half there, nobody is
left.
"""

import os
import shutil
import signal
import subprocess
import sys
from multiprocessing import resource_tracker
from pathlib import Path

import pandas as pd
import pytest
from sweeping import PATIENCE, RECORD, check_folder, command, ended, notebook, of_others, pause, paused, wait_until

from companion.batch import EngineError, cluster, gather, plan, run
from companion.batch.kernels import descendants, end, running

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
root_only = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or not shutil.which("unshare"), reason="needs root on Linux"
)


@pytest.fixture(autouse=True)
def nobody_is_left():
    resource_tracker.ensure_running()  # Python's own helper, one for each process that starts others
    before = descendants(os.getpid())
    yield
    wait_until(lambda: not [p for p in descendants(os.getpid()) if running(p) and not of_others(p, before)])


def values(out: Path) -> pd.DataFrame:
    """The part of a table that does not depend on when and where runs were."""
    frame = gather(out)
    return frame[[name for name in frame if not str(name).startswith("run_") or name == "run_status"]]


def sweep(source: Path, out: Path, seeds: int, *options: object):
    return command("run", source, "-g", "seed", f"0:{seeds}", "-o", out, "-w", 2, "--no-progress", *options)


def test_every_way_to_fail_is_told_and_costs_its_own_run_only(tmp_path):
    code = (
        "import os, sys, time\n"
        "if seed == 1: raise ValueError('no')\n"
        "if seed == 2: os.kill(os.getpid(), 9)\n"
        "if seed == 3: sys.exit(3)\n"
        "while seed == 4: pass\n"
        "if seed == 5: os.kill(os.getppid(), 9)\n"
    )
    planned = plan(notebook(tmp_path / "a.ipynb", code, RECORD), grid={"seed": range(7)}, out=tmp_path / "out")
    done = run(planned, workers=2, timeout=3, progress=False)
    assert {r["seed"]: r["ename"] for r in done.failed} == {
        1: "ValueError",
        2: "DeadKernelError",
        3: "SystemExit",
        4: "CellTimeoutError",
    }
    (lost,) = done.lost
    assert lost["parameters"]["seed"] == 5 and lost["message"] == "lost: 4 workers died during this run"
    assert sorted(check_folder(tmp_path / "out").values()) == ["error"] * 4 + ["lost"] + ["ok"] * 2
    assert list(done.table.run_status) == ["ok", "error", "error", "error", "error", "lost", "ok"]


@pytest.mark.parametrize("victim", ["worker", "kernel"])
def test_a_killed_worker_or_kernel_does_not_stop_the_others(tmp_path, victim):
    pipe = tmp_path / "pipe"
    source = notebook(tmp_path / "a.ipynb", pause(pipe, "seed == 1"), RECORD)
    process = sweep(source, tmp_path / "out", 4)
    kernel = paused(pipe, process)
    (kernel if victim == "kernel" else kernel.parent() or kernel).kill()
    status, out, error = ended(process)
    found = list(check_folder(tmp_path / "out").values())
    if victim == "worker":
        assert (status, found) == (0, ["ok"] * 4), error
    else:
        assert status == 1 and sorted(found) == ["error", "ok", "ok", "ok"]
        assert "3 done, 1 failed" in error and "seed 1: DeadKernelError" in error
    assert not running(kernel) and out.strip() == str(tmp_path / "out" / "results.csv")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_sweep_goes_on_where_it_was(tmp_path, ending):
    pipe, out = tmp_path / "pipe", tmp_path / "out"
    child = (
        "import subprocess, sys\nif seed == 2:\n"
        "    subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], start_new_session=True)\n"
    )
    source = notebook(tmp_path / "a.ipynb", child, pause(pipe, "seed == 2"), RECORD)
    process = sweep(source, out, 4)
    kernel = paused(pipe, process)
    left = kernel.children()
    wait_until(lambda: len([p for p in (out / "runs").iterdir() if p.name[0] != "."]) == 3)
    process.send_signal(ending)
    status, _, error = ended(process, but=left)
    try:
        assert status == {signal.SIGKILL: -9, signal.SIGINT: 130}[ending]
        if ending == signal.SIGINT:
            assert "interrupted; what is finished is kept, and the same command goes on from there" in error
        status, _, error = ended(sweep(source, out, 4))
        assert status == 0 and "4 runs, 3 done, 1 to do" in error and "1 done, 3 kept" in error
        assert list(check_folder(out).values()) == ["ok"] * 4
        assert not [p for p in left if running(p)]  # what the killed run had started was ended too
    finally:
        end(left)


def test_two_sweeps_at_once_in_one_folder(tmp_path):
    source, out = notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    both = [sweep(source, out, 4, "--engine", "serial"), sweep(source, out, 4, "--engine", "serial")]
    assert [ended(process)[0] for process in both] == [0, 0]
    assert list(check_folder(out).values()) == ["ok"] * 4
    assert list(values(out).double) == [2.0, 3.0, 4.0, 5.0]


@pytest.fixture
def others(tmp_path):
    """A scheduler and two workers that were started by somebody else, in another folder; the scheduler's file."""
    file, processes = tmp_path / "scheduler.json", []

    def start(*line: str):
        command = [sys.executable, "-m", "distributed.cli." + line[0], *line[1:]]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen(command, cwd=tmp_path, **quiet))
        return processes[-1]

    options = ["--host", "127.0.0.1", "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(file)]
    scheduler = start("dask_scheduler", *options)
    wait_until(file.exists)
    for _ in range(2):
        options = ["--nthreads", "1", "--memory-limit", "0", "--dashboard-address", ":0", "--scheduler-file", str(file)]
        start("dask_worker", *options, "--local-directory", str(tmp_path / "scratch"))
    yield file, scheduler
    below = [child for process in processes for child in descendants(process.pid)]
    for process in processes:
        process.kill()
        process.wait()
    end(below)


def test_a_cluster_of_others_gives_the_serial_table_and_may_die(tmp_path, others):
    file, scheduler = others
    code = "import random\nrandom.seed(seed)\nfrom companion.record import record\nrecord('y', random.gauss() / 3)"
    pipe = tmp_path / "pipe"
    source = notebook(tmp_path / "a.ipynb", pause(pipe, "name == 'b'"), code)
    grid = {"seed": range(4)}
    assert run(plan(source, grid=grid, out=tmp_path / "there"), scheduler=file, progress=False).ok
    assert run(plan(source, grid=grid, out=tmp_path / "here"), engine="serial", progress=False).ok
    pd.testing.assert_frame_equal(values(tmp_path / "there"), values(tmp_path / "here"), check_exact=True)
    assert set(gather(tmp_path / "there").run_threads) == {1}

    process = sweep(source, tmp_path / "out", 3, "-p", "name", "b", "--scheduler", file)
    paused(pipe, process)
    scheduler.kill()
    status, _, error = ended(process)
    assert status == 3 and "the scheduler has stopped; what is finished is kept" in error
    status, _, error = ended(sweep(source, tmp_path / "out", 3, "-p", "name", "b"))
    assert status == 0, error
    assert list(values(tmp_path / "out").name) == ["b"] * 3


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:9", "nonsense"])
def test_a_scheduler_that_does_not_answer(tmp_path, where, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    planned = plan(notebook(tmp_path / "a.ipynb"), out=tmp_path / "out")
    with pytest.raises(EngineError, match=f"no scheduler answers at {where}"):
        run(planned, scheduler=where, progress=False)


@root_only
def test_a_full_disk_is_told_and_leaves_whole_runs_only(tmp_path):
    code = "from IPython.display import display\ndisplay({'text/plain': 'x' * (1_000_000 * (seed == 1))}, raw=True)"
    source, disk = notebook(tmp_path / "a.ipynb", code, RECORD), tmp_path / "disk"
    disk.mkdir()
    line = f"{sys.executable} -m companion.batch run {source} -g seed 0:3 -o {disk}/out --engine serial --no-progress"
    script = f"mount -t tmpfs -o size=512k tmpfs {disk} && ({line}; code=$?; cp -r {disk}/out {tmp_path}; exit $code)"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this root may not mount")
    assert done.returncode == 1
    assert "2 done, 1 lost" in done.stderr and "seed 1: lost: [Errno 28] No space left on device" in done.stderr
    assert list(check_folder(tmp_path / "out").values()) == ["ok", "ok"]
    assert len(gather(tmp_path / "out")) == 2


@root_only
def test_kernels_need_no_ports(tmp_path):
    """In a network of its own with 12 ports, where 6 kernels with 5 ports each would fall out."""
    source, out = notebook(tmp_path / "a.ipynb"), tmp_path / "out"
    line = (
        f"{sys.executable} -m companion.batch run {source} -g seed 0:6 -o {out} -w 6 --engine processes --no-progress"
    )
    script = f"ip link set lo up && sysctl -qw net.ipv4.ip_local_port_range='50000 50011' && {line}"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode == 127 or "unshare" in done.stderr or "sysctl:" in done.stderr:
        pytest.skip("this root may not make networks")
    assert done.returncode == 0, done.stderr
    assert list(check_folder(out).values()) == ["ok"] * 6
