r"""Products of large matrices, through the faster of two libraries that torch contains.

In float32 on a CPU torch multiplies with MKL, which takes a slow path on some processors; oneDNN, in the same torch,
may be faster there and equally fast elsewhere. The first time a large product of some shape comes along, both
are timed, and the better one serves that class of shapes for the rest of the process. Results are equal to rounding.

`LIB_GEMM` in the environment fixes the choice: `mkl`, `onednn`, or `auto` (the default), for numbers that must be equal
bit for bit from one process to another. All else (small products, float64, GPUs, batches) is torch's own way: in
float64 with one thread numpy's BLAS was not faster than MKL.
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WAYS = ("auto", "mkl", "onednn")
SMALL = 2e6  # multiplications below which looking up costs more than it gains
GAIN = 1.15  # oneDNN must be faster by this, so that noise decides nothing and copying its result is paid for
ROUNDS = 3  # of either way; the shorter time counts

Shape = tuple[int, int, int, bool, bool]
_faster: dict[Shape, str] = {}


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a b with gradients of every order; torch's own product unless both are large `m x k` and `k x n` matrices."""
    if not _large(a, b):
        return a @ b
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
        return _Product.apply(a, b)  # type: ignore[no-any-return]
    return mm(a, b)


def mm(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """a b for `m x k` and `k x n`, without gradients; written into `out`, `m x n`, if that is given."""
    if not _onednn_is_faster(a, b):
        return torch.mm(a, b, out=out)
    product = onednn(a, b)
    return product if out is None else out.copy_(product)


def addmm(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add a b to `c`, `m x n`, in place, without gradients; returns `c`."""
    return c.add_(onednn(a, b)) if _onednn_is_faster(a, b) else c.addmm_(a, b)


def chosen() -> dict[Shape, str]:
    """What serves each class of shapes so far: logarithms of m, k and n; whether rows of a and of b are in order."""
    return dict(_faster)


class _Product(torch.autograd.Function):
    """a b, whose backward is made of products again."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(a, b)
        return mm(a, b)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:  # type: ignore[override]
        a, b = ctx.saved_tensors
        needs_a, needs_b = ctx.needs_input_grad
        return matmul(g, b.T) if needs_a else None, matmul(a.T, g) if needs_b else None


def _large(a: Tensor, b: Tensor) -> bool:
    """Whether both are matrices of numbers in float32 on a CPU, worth looking up."""
    plain = a.ndim == b.ndim == 2 and a.dtype == b.dtype == torch.float32 and a.device.type == b.device.type == "cpu"
    return (
        plain
        and a.shape[0] * a.shape[1] * b.shape[1] >= SMALL
        and all(type(t) in (Tensor, torch.nn.Parameter) and t.layout == torch.strided for t in (a, b))
        # vmap has its own way
        and not any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (a, b))  # type: ignore[attr-defined]
    )


def _onednn_is_faster(a: Tensor, b: Tensor) -> bool:
    if not _large(a, b):
        return False
    way = os.environ.get("LIB_GEMM", "auto")
    if way not in WAYS:
        raise ValueError(f"LIB_GEMM must be one of {', '.join(WAYS)}, got {way!r}")
    if way == "mkl" or not has_onednn():
        return False
    if way == "onednn":
        return True
    m, k, n = (round(math.log2(size)) for size in (*a.shape, b.shape[1]))
    shape = (m, k, n, a.stride(1) == 1, b.stride(1) == 1)
    if shape not in _faster:
        ours, theirs = a.detach(), b.detach()
        gain = _seconds(lambda: torch.mm(ours, theirs)) / _seconds(lambda: onednn(ours, theirs))
        _faster[shape] = "onednn" if gain >= GAIN else "mkl"
    return _faster[shape] == "onednn"


def has_onednn() -> bool:
    """Whether this torch contains oneDNN's product."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """a b by oneDNN; RuntimeError or AttributeError where torch has none."""
    return torch.ops.mkldnn._linear_pointwise(a.detach(), b.detach().T, None, "none", [], "")  # x w' for x and w


def _seconds(product: Callable[[], Tensor]) -> float:
    product()
    found = math.inf
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        product()
        found = min(found, time.perf_counter() - begun)
    return found
