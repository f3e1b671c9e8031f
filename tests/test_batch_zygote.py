"""companion.batch.zygote: copied kernels compute what fresh ones do, and end like them."""

import os
import sys

import pytest
from sweeping import check_folder, command, ended, notebook, pause, paused, wait_until

from companion.batch import plan, run
from companion.batch.kernels import descendants, running
from companion.batch.zygote import imported, zygote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
NUMBERS = """
import random
import sys
import numpy as np
import torch
import matplotlib
from companion.record import record
g = torch.Generator().manual_seed(seed)
x = torch.randn(50, 50, generator=g, requires_grad=True)
(x @ x).sum().backward()
record('gradient', x.grad.norm())
record('threads', torch.get_num_threads())
record('free', {'numpy': np.random.rand(), 'random': random.random()})
record('torch', torch.rand(()))
record('place', ' '.join([str('companion.batch' in sys.modules), __import__('os').getcwd(), matplotlib.get_backend()]))
"""


@pytest.fixture(autouse=True)
def end_zygotes():
    yield
    from companion.batch.zygote import _zygotes

    for one in _zygotes.values():
        one.close()
    _zygotes.clear()
    wait_until(
        lambda: not [p for p in descendants(os.getpid()) if "forkserver" in " ".join(p.cmdline()) and running(p)]
    )


def test_a_copy_computes_what_a_fresh_kernel_does(tmp_path):
    source = notebook(tmp_path / "a.ipynb", NUMBERS)
    tables = []
    for name, fork in (("fresh", False), ("first", True), ("second", True)):
        done = run(
            plan(source, grid={"seed": [0]}, out=tmp_path / name), engine="serial", threads=1, fork=fork, progress=False
        )
        assert done.ok, done.failed
        tables.append(done.table.iloc[0])
    fresh, first, second = tables
    for name in ("gradient", "threads", "place"):
        assert fresh[name] == first[name] == second[name], name
    for name in ("free.numpy", "free.random", "torch"):
        assert len({fresh[name], first[name], second[name]}) == 3


def test_errors_and_deaths_are_those_of_any_kernel(tmp_path):
    code = (
        "import os\nif seed == 1: raise ValueError('no')\nif seed == 2: os.kill(os.getpid(), 9)\nwhile seed == 3: pass"
    )
    planned = plan(notebook(tmp_path / "a.ipynb", code), grid={"seed": range(4)}, out=tmp_path / "out")
    done = run(planned, engine="serial", fork=True, timeout=2, progress=False)
    assert {r["seed"]: r["ename"] for r in done.failed} == {
        1: "ValueError",
        2: "DeadKernelError",
        3: "CellTimeoutError",
    }
    assert len(done.done) == 1


def test_a_killed_worker_takes_its_copies_with_it(tmp_path):
    pipe, out = tmp_path / "pipe", tmp_path / "out"
    source = notebook(tmp_path / "a.ipynb", pause(pipe, "seed == 1"))
    process = command("run", source, "-g", "seed", "0:3", "-o", out, "-w", 1, "--fork", "--no-progress")
    kernel = paused(pipe, process)
    server = kernel.parent()
    assert server is not None and "forkserver" in " ".join(server.cmdline())
    worker = server.parent()
    assert worker is not None
    worker.kill()
    status, _, error = ended(process)
    assert status == 0, error
    wait_until(lambda: not running(kernel) and not running(server))
    assert list(check_folder(out).values()) == ["ok"] * 3


def test_a_zygote_that_died_is_replaced():
    env = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would forbid copies
    first = zygote((), env)
    assert zygote((), env) is first
    first.close()
    assert zygote((), env) is not first


def test_imports_are_those_at_top_level():
    sources = ["import a.b as c, d\nfrom e.f import g\ndef h():\n    import i\n", "%magic", "from . import j"]
    assert imported(sources) == ("a.b", "d", "e.f")
    assert imported(["import torch"]) == ("torch", "torch._dynamo")


def test_processes_of_their_own_are_not_copied(tmp_path):
    with pytest.raises(ValueError, match="by the engines dask and serial"):
        run(plan(notebook(tmp_path / "a.ipynb"), out=tmp_path / "out"), engine="processes", fork=True)
    with pytest.raises(ValueError, match="one thread each, got threads=2"):
        run(plan(notebook(tmp_path / "a.ipynb"), out=tmp_path / "out"), fork=True, threads=2)
