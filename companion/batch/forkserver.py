"""The process that forked kernels are copied from. It is started by `companion.batch.zygote` and imports nothing of it.

    python -P forkserver.py DESCRIPTOR MODULE ...

On the socket DESCRIPTOR it says how many threads it has after the imports, and then answers each request (arguments,
environment and working directory as JSON after its length, with a file descriptor for output) with the number of a new
process. It ends when the socket is closed.
"""

import importlib
import json
import os
import random
import signal
import socket
import sys
from contextlib import suppress
from typing import Any


def serve(descriptor: int, modules: list[str]) -> None:
    """Body of the process that is copied."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies that have ended vanish
    line = socket.socket(fileno=descriptor)
    threads = len(os.listdir("/proc/self/task"))
    line.sendall(json.dumps({"threads": threads}).encode() + b"\n")
    parent = os.getpid()
    while True:
        head, descriptors, _, _ = socket.recv_fds(line, 4, 1)
        if not head:
            os._exit(0)  # the worker has ended
        length, message = int.from_bytes(head, "big"), b""
        while len(message) < length:
            message += line.recv(length - len(message))
        request = json.loads(message)
        pid = os.fork()
        if pid == 0:
            line.close()
            _become_kernel(request, descriptors[0], parent)
        os.close(descriptors[0])
        line.sendall(json.dumps({"pid": pid}).encode() + b"\n")


def _become_kernel(request: dict[str, Any], output: int, parent: int) -> None:
    """Run a kernel in this copy, and never return."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    sys.argv = ["ipykernel_launcher", *request["arguments"], f"--IPKernelApp.parent_handle={parent}"]
    code = 1
    try:
        importlib.import_module("ipykernel.kernelapp").launch_new_instance()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:])
