"""Timing: contenders take turns, and the machine is described beside the numbers."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lib.model import gemm


class Times(dict[str, list[float]]):
    """Seconds of each contender in each round."""

    def seconds(self, name: str) -> float:
        """Median over the rounds."""
        return median(self[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times longer `name` takes than `other`: the median of the ratios within each round."""
        return median(a / b for a, b in zip(self[name], self[other], strict=True))


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int) -> Times:
    """Call every contender once to warm up, then once in each of `rounds` rounds, and time those calls."""
    times = Times({name: [] for name in contenders})
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def products(batch: int, n: int) -> Callable[[], None]:
    r"""The three float32 products of `batch x n x n` that a step of the unrolled network needs, with nothing around.

    They are $h W^\dagger$ on the way forward, $G W$ on the way back, and $G^\dagger h$ for the gradient in W.
    """
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(n, n, generator=generator)
    h, G, out = (torch.randn(batch, n, generator=generator) for _ in range(3))
    dW = torch.empty(n, n)

    def call() -> None:
        torch.mm(h, W.T, out=out)
        torch.mm(G, W, out=out)
        torch.mm(G.T, h, out=dW)

    return call


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and threads that are started meanwhile, on one core if torch has one thread.

    Libraries with threads of their own (jax, numpy) would use all cores otherwise, and be compared unfairly.
    """
    if torch.get_num_threads() > 1 or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def product_ways(batch: int, n: int) -> dict[str, Callable[[], object]]:
    """One product h W' of `batch x n` and `n x n` in float32, by MKL and by oneDNN."""
    generator = torch.Generator().manual_seed(0)
    h, W = torch.randn(batch, n, generator=generator), torch.randn(n, n, generator=generator)
    return {"mkl": lambda: torch.mm(h, W.T), "onednn": lambda: gemm.onednn(h, W.T)}


class _Products(TorchDispatchMode):
    """Adds up the floating point operations of all products of two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_"):
            left, right = args[-2:]
            self.operations += 2.0 * left.numel() * right.shape[-1]
        if name == "_linear_pointwise":  # oneDNN's x w'
            self.operations += 2.0 * args[0].numel() * len(args[1])
        return func(*args, **(kwargs or {}))


def operations(call: Callable[[], object]) -> float:
    """Floating point operations in the products of matrices that a call really does."""
    call()  # not counted: the first product of a shape also times both libraries
    with _Products() as counted:
        call()
    return counted.operations


def product_rate(batch: int = 1024, n: int = 1000, rounds: int = 15) -> float:
    """Floating point operations per second in matrix products of `batch x n x n`, float32."""
    times = interleaved({"products": products(batch, n)}, rounds)
    return 3 * 2 * batch * n * n / times.seconds("products")


def machine(quick: bool = False) -> dict[str, str | int | float]:
    """What the timings depend on."""
    rate = product_rate(64, 64, 3) if quick else product_rate()
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "products, Gflop/s": round(rate / 1e9, 1),
        "load of the last minute": round(load(), 2),
    }


def load() -> float:
    """Mean number of processes that wanted to compute during the last minute; not a number where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
