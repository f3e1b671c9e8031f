"""Kernels by forking: a process imports what a notebook imports, once, and each kernel is a copy of it.

Importing torch takes longer than many a short run. A copy has everything imported from the start and is otherwise like
a fresh kernel: nothing of a notebook has run in the process it was copied from, and random numbers are seeded anew.
Linux only, and not for GPUs: what uses CUDA or starts threads while it is imported cannot be copied.
"""

import ast
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

FOR_ALL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib_inline.backend_inline")
SERVER = Path(__file__).with_name("forkserver.py")
INLINE = "module://matplotlib_inline.backend_inline"  # matplotlib asks once, when it is imported


class ZygoteError(RuntimeError):
    """Kernels cannot be copied here."""


def imported(sources: Iterable[str]) -> tuple[str, ...]:
    """Modules that the sources import at top level, in order."""
    names: list[str] = []
    for source in sources:
        with suppress(SyntaxError):
            for node in ast.parse(source).body:
                if isinstance(node, ast.Import):
                    names += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.append(node.module)
    if any(name.split(".")[0] in ("torch", "lib", "companion") for name in names):
        names.append("torch._dynamo")  # which the first optimiser would import
    return tuple(dict.fromkeys(names))


class Zygote:
    """The process that is copied; it ends with the one that made it.

    Args:
        modules: What it imports; what cannot be imported is left to the notebook, which will say so.
        env: Its environment; the number of threads is fixed by it.

    Raises:
        ZygoteError: another system than Linux, or a process with threads after the imports.
    """

    def __init__(self, modules: Iterable[str], env: Mapping[str, str]):
        if sys.platform != "linux":
            raise ZygoteError("kernels can be forked on Linux only")
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", str(SERVER), str(theirs.fileno()), *FOR_ALL, *modules]
        with theirs:
            env = {**env, "MPLBACKEND": INLINE, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
            self._process = subprocess.Popen(
                command, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._socket = ours
        answer = self._receive()
        if answer.get("threads") != 1:
            self.close()
            raise ZygoteError(f"cannot fork after these imports ({answer})")

    def alive(self) -> bool:
        """Whether kernels can be made."""
        return self._process.poll() is None

    def fork(self, command: list[str], env: Mapping[str, str], cwd: str, output: int) -> int:
        """Start a kernel with the arguments of `command`; its process number.

        Args:
            command: Of a usual kernel; what follows `ipykernel_launcher` is used.
            env: Its environment.
            cwd: Its working directory.
            output: File descriptor for what its process says.
        """
        start = next(i for i, word in enumerate(command) if word == "ipykernel_launcher") + 1
        message = json.dumps({"arguments": command[start:], "env": {"MPLBACKEND": INLINE, **env}, "cwd": cwd}).encode()
        socket.send_fds(self._socket, [len(message).to_bytes(4, "big")], [output])
        self._socket.sendall(message)
        return self._receive()["pid"]

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _receive(self) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            part = self._socket.recv(4096)
            if not part:
                self._process.wait()
                raise ZygoteError("the process that kernels are copied from has ended")
            line += part
        return json.loads(line)


_zygotes: dict[tuple[Any, ...], Zygote] = {}


def zygote(modules: tuple[str, ...], env: Mapping[str, str]) -> Zygote:
    """The one of this process for these modules and this number of threads, made when it is first wanted."""
    key = (os.getpid(), modules, env.get("OMP_NUM_THREADS"))
    if key not in _zygotes or not _zygotes[key].alive():
        _zygotes[key] = Zygote(modules, env)
    return _zygotes[key]


class Copy:
    """A forked kernel as a `subprocess.Popen` that is not our child."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def poll(self) -> int | None:
        """None while it runs; -9 afterwards, since only its parent could know more."""
        if self._process is None or not self._process.is_running():
            self.returncode = -signal.SIGKILL
        elif self._process.status() == psutil.STATUS_ZOMBIE:
            self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended."""
        with suppress(psutil.NoSuchProcess):
            if self._process is not None:
                self._process.wait(timeout)
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class ForkingProvisioner(LocalProvisioner):
    """Starts kernels through a zygote."""

    zygote: Zygote

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel; connection information as usual."""
        pid = self.zygote.fork(cmd, kwargs["env"], kwargs["cwd"], kwargs["stdout"].fileno())
        self.process = Copy(pid)  # pyright: ignore[reportAttributeAccessIssue]
        self.pid, self.pgid = pid, pid
        return self.connection_info
