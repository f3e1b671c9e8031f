"""Kernels for batch runs: private sockets, one thread each, and nothing left running afterwards.

Two kernels that start at the same moment can be given the same network port. Sockets in a folder of their own rule
that out, and no other user of the machine can reach them. A kernel that uses every processor slows its neighbours by
more than an order of magnitude, so the number of threads is fixed in the kernel's environment, where numerical
libraries read it.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from traitlets.config import Config

from companion.batch.zygote import ForkingProvisioner, zygote

ENGINE = "lib"
LOG = "kernel.log"  # in a kernel's folder: what its process says about itself, which belongs to no cell
STARTS = 3  # attempts to start a kernel before giving up
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


@dataclass
class Facts:
    """What is known about a kernel while it runs and afterwards."""

    pid: int | None = None
    start_s: float | None = None  # from its start until it answered
    peak_bytes: int | None = None  # most memory its process has used; None where the system does not tell

    def look(self) -> None:
        """Read the memory once more; the last value stays when the process has ended."""
        with suppress(OSError, ValueError, StopIteration):
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            self.peak_bytes = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def cpu_count() -> int:
    """Processors this process may use: by its affinity, its Linux control group and its SLURM job."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists():
        limit, period = quota.read_text().split()
        if limit != "max":
            count = min(count, -(-int(limit) // int(period)))
    with suppress(ValueError):
        count = min(count, int(os.environ.get("SLURM_CPUS_PER_TASK", count)))
    return max(1, count)


def environment(threads: int = 1, **extra: str) -> dict[str, str]:
    """Environment of a kernel: this process's, with its threads fixed and what would change results taken out.

    Args:
        threads: Threads of each numerical library in the kernel.
        extra: Further variables.
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"MPLBACKEND", "LIB_REFRESH", "LIB_RUN"}}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads)) | extra


def descendants(pid: int | None) -> list[psutil.Process]:
    """All processes below `pid`, deepest included; none if it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True) if pid else []
    except psutil.NoSuchProcess:
        return []


def end(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes that still exist and wait until they have stopped, at most 5 seconds."""
    processes = list(processes)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 5
    while any(map(running, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)


def running(process: psutil.Process) -> bool:
    """Whether a process exists; one that has stopped and only waits for its parent to notice does not count."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Client(PapermillNotebookClient):
    """Papermill's client, which also ends whatever the cells started and left behind."""

    facts: Facts

    @contextmanager
    def setup_kernel(self, **kwargs: Any):
        pid = getattr(self.km.provisioner, "pid", None) if self.km else None
        try:
            with super().setup_kernel(**kwargs):
                try:
                    yield
                finally:
                    self.facts.look()
                    end(descendants(pid))  # before the kernel, after which they would have no parent to be found by
        finally:
            if pid and hasattr(os, "killpg"):
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # a kernel that died left its process group


class Engine(NBClientEngine):
    """Papermill engine that starts the kernel with private sockets and a given environment."""

    @classmethod
    def execute_managed_notebook(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        folder: str,
        kernel_cwd: str,
        env: Mapping[str, str],
        facts: Facts,
        preload: tuple[str, ...] | None = None,
        **options: Any,
    ) -> Any:
        """Run the cells of `nb_man`'s notebook.

        Args:
            nb_man: Papermill's manager of the notebook.
            kernel_name: Name of the kernel.
            folder: Existing private folder for the kernel's sockets, with a short path.
            kernel_cwd: Working directory of the kernel.
            env: Environment of the kernel.
            facts: Is told about the kernel.
            preload: Modules that the process has imported of which the kernel is a copy; None for a kernel that is not.
            options: Of papermill; `execution_timeout` (seconds per cell, None: no limit), `start_timeout` (seconds)
                and `on_cell_complete` (called after each cell) are used.
        """
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            timeout=options.get("execution_timeout"),
            startup_timeout=options.get("start_timeout", 60),
            on_cell_complete=options.get("on_cell_complete"),
            config=kernel_config(folder),
        )
        client.facts = facts
        for attempt in range(STARTS):
            client.km, started = client.create_kernel_manager(), time.monotonic()
            if preload is not None:
                provisioner = ForkingProvisioner(kernel_id="copy", kernel_spec=client.km.kernel_spec, parent=client.km)
                provisioner.zygote = zygote(preload, env)
                client.km.provisioner = provisioner
            with open(os.path.join(folder, LOG), "ab") as log:
                client.start_new_kernel(env=dict(env), cwd=kernel_cwd, stdout=log, stderr=log)
            facts.pid = getattr(client.km.provisioner, "pid", None)
            try:
                client.start_new_kernel_client()
                facts.start_s = time.monotonic() - started
                break
            except RuntimeError:  # died or gave no answer; nothing of the notebook has run
                if attempt == STARTS - 1:
                    raise
        return client.execute()


def kernel_config(folder: str) -> Config:
    """Settings of a kernel whose sockets are files in `folder`; network ports where a system has no such sockets."""
    if sys.platform == "win32":
        return Config()
    sockets = {"transport": "ipc", "ip": os.path.join(folder, "k"), "connection_file": os.path.join(folder, "k.json")}
    return Config({"KernelManager": sockets})


papermill_engines.register(ENGINE, Engine)
