"""Sweeps on a real SLURM of one node, made here from Debian's packages: `make test-slurm`, as root. Not in `make test`.

Run in a network of its own, in which 10.99.0.1 is this machine, so that nothing of it can be reached from outside.
"""

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from sweeping import check_folder, notebook, wait_until

from companion.batch import gather, plan, prepare, run
from companion.batch.kernels import descendants, end
from companion.batch.sweep import write_specs

CONF = """
ClusterName=test
SlurmctldHost={host}(10.99.0.1)
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=10.99.0.1 CPUs=4 State=UNKNOWN
PartitionName=normal Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
SEED = "import random\nrandom.seed(seed)\nfrom companion.record import record\nrecord('y', random.gauss() / 3)"


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """A cluster of one node with four processors; its commands find it through SLURM_CONF."""
    if missing := [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]:
        pytest.fail(f"{', '.join(missing)} missing: apt-get install slurmctld slurmd slurm-client munge")
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    (folder / "slurm.conf").write_text(CONF.format(host=platform.node().split(".")[0], folder=folder))
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    files = [f"--{name}={folder}/munge.{end}" for name, end in (("socket", "socket"), ("key-file", "key"))]
    files += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    daemons = []
    try:
        for line in (["munged", "-F", "--force", *files], ["slurmctld", "-D"], ["slurmd", "-D"]):
            log = (folder / f"{line[0]}.out").open("w")
            daemons.append(subprocess.Popen(line, stdout=log, stderr=log, cwd=folder))
            log.close()
            if line[0] == "munged":
                wait_until((folder / "munge.socket").exists)
        wait_until(lambda: "idle" in said("sinfo", "-h", "-o", "%t"))
        yield folder
    finally:
        said("scancel", "--full", "--user", str(os.getuid()))
        below = [child for daemon in daemons for child in descendants(daemon.pid)]
        below += [p for p in psutil.process_iter(["name"]) if p.info["name"] == "slurmstepd" and belongs(p, folder)]
        for daemon in reversed(daemons):
            daemon.kill()
            daemon.wait()
        end(below)


def belongs(process: psutil.Process, folder: Path) -> bool:
    """Whether a process, which has no parent any more, is one of this cluster."""
    with suppress(psutil.Error):
        return process.environ().get("SLURM_CONF") == str(folder / "slurm.conf")
    return False


def said(*command: str) -> str:
    """Output of a command."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def values(out: Path) -> pd.DataFrame:
    """The part of a table that does not depend on when and where runs were."""
    frame = gather(out)
    return frame[[name for name in frame if not str(name).startswith("run_") or name == "run_status"]]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return notebook(tmp_path_factory.mktemp("source") / "a.ipynb", SEED)


@pytest.fixture(scope="module")
def serial(source, tmp_path_factory):
    """The table as one process makes it."""
    sweep = plan(source, grid={"seed": range(4)}, out=tmp_path_factory.mktemp("serial") / "out")
    return values(run(sweep, engine="serial", progress=False).out)


def test_an_array_of_jobs_gives_the_serial_table(source, serial, tmp_path):
    sweep = plan(source, grid={"seed": range(4)}, out=tmp_path / "out")
    prepare(sweep)
    write_specs(sweep, sweep.runs)
    line = f"{sys.executable} -m companion.batch exec {sweep.out}/specs/$SLURM_ARRAY_TASK_ID.json"
    said("sbatch", "--array=1-4", "-c", "2", "-o", str(tmp_path / "job-%a.log"), "--wrap", line)
    wait_until(lambda: len(gather(sweep.out)) == 4)
    pd.testing.assert_frame_equal(values(sweep.out), serial, check_exact=True)
    assert list(check_folder(sweep.out).values()) == ["ok"] * 4
    assert set(gather(sweep.out).run_threads) == {2}  # what the job was given


def test_workers_in_jobs_give_the_serial_table_and_may_be_cancelled(source, serial, tmp_path):
    jobqueue = pytest.importorskip("dask_jobqueue")
    options = {"cores": 1, "processes": 1, "memory": "1GB", "walltime": "00:10:00", "queue": "normal"}
    options |= {"local_directory": str(tmp_path), "log_directory": str(tmp_path), "interface": "lo"}
    skip = {"job_directives_skip": ["--mem"], "scheduler_options": {"dashboard_address": ":0"}}
    with jobqueue.SLURMCluster(python=sys.executable, **options, **skip) as cluster:
        cluster.adapt(minimum=2, maximum=2)
        wait_until(lambda: said("squeue", "-h", "-t", "running", "-o", "%A"))
        said("scancel", said("squeue", "-h", "-t", "running", "-o", "%A").split()[0])
        sweep = plan(source, grid={"seed": range(4)}, out=tmp_path / "out")
        assert run(sweep, cluster=cluster, progress=False).ok
    pd.testing.assert_frame_equal(values(sweep.out), serial, check_exact=True)
