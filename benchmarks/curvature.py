"""Largest curvature of the proxy loss at a trained network: how long it takes, how exact it is, how much memory.

The peer is Lanczos on all n^2 unknowns with products of the Hessian by automatic differentiation;
accuracy is judged by the small dense matrix of 2n + 2 rows, exact at an integrator.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from benchmarks.clock import interleaved
from benchmarks.growth import MEGABYTE, peak_memory
from benchmarks.report import Options, Report, Table, Wish
from lib.model.codes import random_codes
from lib.theory.relu.hessian import largest_eigenvalue, spectrum
from lib.theory.relu.null_start import descend_from_null
from lib.theory.relu.two_point import loss

DECAY, SCALE = 0.995, 1.0
At = tuple[Tensor, Tensor, float, float]


def trained(n: int) -> tuple[Tensor, At]:
    """Weights of an integrator of n neurons, and what the loss depends on beside them."""
    e, d = random_codes(n, generator=torch.Generator().manual_seed(0))
    found = descend_from_null(e, d, DECAY, SCALE, lr=0.1, n_steps=2000, stop_loss=1e-20, record=2000)
    return found.W, (e, d, DECAY, SCALE)


def lanczos(W: Tensor, at: At) -> float:
    """On all n^2 unknowns, by automatic differentiation."""
    n = len(W)
    free = W.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(free, *at), free, create_graph=True)

    def apply(vector: np.ndarray) -> np.ndarray:
        change = torch.from_numpy(np.ascontiguousarray(vector)).reshape(n, n)
        (moved,) = torch.autograd.grad(slope, free, change, retain_graph=True)
        return moved.flatten().numpy()

    operator = LinearOperator((n * n, n * n), matvec=apply, dtype=np.float64)  # type: ignore[call-arg]
    start = np.random.default_rng(0).standard_normal(n * n)
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def run(options: Options) -> Report:
    """Two ways to the same number."""
    report = Report("curvature")
    n = 24 if options.quick else 1000
    W, at = trained(n)
    before = peak_memory()
    value = largest_eigenvalue(W, *at).item()
    memory = peak_memory() - before
    whole = peak_memory()
    exact = spectrum(W, *at)[-1].item()
    ways = {
        "5n unknowns": lambda: largest_eigenvalue(W, *at),
        "n^2 unknowns, autograd": lambda: lanczos(W, at),
    }
    times = interleaved(ways, 1 if options.quick else 3)
    rows = [(name, times.seconds(name), times.ratio(name, "5n unknowns")) for name in ways]
    report.tables.append(Table(f"Largest eigenvalue, n={n}, float64", ("way", "seconds", "times as long"), rows))
    error = abs(value / exact - 1)
    report.wishes.append(Wish("seconds", 20.0, times.seconds("5n unknowns"), " s", at_most=True))
    report.wishes.append(Wish("relative error", 1e-6, error, at_most=True))
    report.wishes.append(Wish("peak memory of the process", 1000.0, whole / MEGABYTE, " MB", at_most=True))
    report.notes.append(f"Net of the trained network and the libraries, peak memory is {memory / MEGABYTE:.0f} MB.")
    return report
