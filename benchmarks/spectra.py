"""Condition numbers of figure 14: all of them in one call, and one 4 x 4 Hessian at a time.

The other way is what appendix F describes, in three versions. "printed" evaluates equation 49 term by term; "tables"
computes the derivatives of the moments first and then fills the matrix entry by entry; "vectorised" adds outer products
of these derivatives. Each ends with `numpy.linalg.eigvalsh`, runs on a slice of the points, and is extrapolated.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.clock import interleaved
from benchmarks.report import Options, Report, Table, Wish
from lib.model.codes import random_codes
from lib.theory.linear.curvature import rank_one_spectrum
from lib.theory.linear.manifolds import Manifolds
from lib.theory.linear.reduced import Reduced, reduce

PAIRS = [(1, 1, 0.1), (1, 0.3, 0.1), (1, 1, 0.1), (0.3, 1, 0.1), (1, 1, 0), (1, 1, 0.8), (0.5, 2, 0.1), (2, 0.5, 0.1)]
DECAY, T = 0.995, 3
CHI = np.diag([3.0, 2.0, 1.0])
INDICES = list(itertools.product(range(2), range(2)))


def problem(n: int, draws: int, points: int) -> tuple[Manifolds, torch.Tensor, torch.Tensor]:
    """The eight pairs of lengths and overlap, `8 x draws x 1 x 1`; scales `points x 1`; right eigenvectors."""
    found = [
        reduce(*random_codes(n, generator=generator(k), encoder_norm=e, decoder_norm=d, overlap=o))
        for e, d, o in PAIRS
        for k in range(draws)
    ]
    small = Reduced(*(torch.stack(parts).unflatten(0, (8, draws, 1, 1)) for parts in zip(*found, strict=True)))
    alpha = torch.linspace(-25, 25, points, dtype=torch.float64)
    right = torch.stack([torch.ones_like(alpha), alpha], dim=-1)
    return Manifolds(small, DECAY), torch.logspace(-3, 1, points, dtype=torch.float64)[:, None], right


def generator(seed: int) -> torch.Generator:
    """Random numbers of one draw."""
    return torch.Generator().manual_seed(seed)


def slopes(S: np.ndarray, omega: np.ndarray) -> list[np.ndarray]:
    """Derivatives of the moments, one `2 x 2` matrix for each order."""
    powers = [np.linalg.matrix_power(omega, m) for m in range(T)]
    return [
        np.array(
            [
                [sum((S @ powers[m])[0, i] * (powers[q - 1 - m] @ S)[j, 1] for m in range(q)) for j in (0, 1)]
                for i in (0, 1)
            ]
        )
        for q in range(1, T + 1)
    ]


def printed(S: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """Equation 49 as it stands, with the factor 2: two sums over powers inside two sums over orders."""
    powers = [np.linalg.matrix_power(omega, m) for m in range(T)]
    H = np.zeros((4, 4))
    for (a, (i, j)), (b, (k, m)) in itertools.product(enumerate(INDICES), enumerate(INDICES)):
        for q, p in itertools.product(range(1, T + 1), range(1, T + 1)):
            one = sum((S @ powers[r])[0, i] * (powers[q - 1 - r] @ S)[j, 1] for r in range(q))
            two = sum((S @ powers[r])[0, k] * (powers[p - 1 - r] @ S)[m, 1] for r in range(p))
            H[a, b] += 2 * CHI[q - 1, p - 1] * one * two
    return np.linalg.eigvalsh(H)


def tables(S: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """Derivatives first, then each entry of the matrix."""
    found = slopes(S, omega)
    H = np.zeros((4, 4))
    for (a, (i, j)), (b, (k, m)) in itertools.product(enumerate(INDICES), enumerate(INDICES)):
        for q, p in itertools.product(range(T), range(T)):
            H[a, b] += 2 * CHI[q, p] * found[q][i, j] * found[p][k, m]
    return np.linalg.eigvalsh(H)


def vectorised(S: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """No loop over entries."""
    powers = [np.linalg.matrix_power(omega, m) for m in range(T)]
    left, right = [S[0] @ power for power in powers], [power @ S[:, 1] for power in powers]
    found = [sum(np.outer(left[m], right[q - m]) for m in range(q + 1)).ravel() for q in range(T)]
    J = np.stack(found)
    return np.linalg.eigvalsh(2 * J.T @ CHI @ J)


ONE_AT_A_TIME: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "printed": printed,
    "tables": tables,
    "vectorised": vectorised,
}


def run(options: Options) -> Report:
    """Seconds for all spectra, and how many times longer the others take."""
    n, draws, points, slice_of, rounds = (50, 2, 6, 10, 2) if options.quick else (4000, 20, 50, 200, 9)
    manifolds, scales, right = problem(n, draws, points)
    total = 8 * draws * points**2
    omega = manifolds.along(scales, right)
    root = torch.cat([manifolds.small.decoders, manifolds.small.encoders], dim=-1).expand(omega.shape)
    chosen = np.linspace(0, total - 1, slice_of).astype(int)
    some = list(zip(root.reshape(-1, 2, 2).numpy()[chosen], omega.reshape(-1, 2, 2).numpy()[chosen], strict=True))
    ours = torch.stack(rank_one_spectrum(manifolds, scales, right, T), dim=-1).reshape(-1, 3).numpy()[chosen]
    worst = max(
        np.abs(method(*point)[1:] - mine).max() / mine.max()
        for method in ONE_AT_A_TIME.values()
        for point, mine in zip(some, ours, strict=True)
    )
    if worst > 1e-10:
        raise ValueError(f"spectra must agree to 1e-10 of the largest eigenvalue, got {worst:.1e}")
    calls: dict[str, Callable[[], object]] = {"ours": lambda: rank_one_spectrum(manifolds, scales, right, T)}
    for name, method in ONE_AT_A_TIME.items():
        calls[name] = lambda method=method: [method(*point) for point in some]
    times = interleaved(calls, rounds)
    report = Report("spectra")
    rows = [("ours", total, times.seconds("ours"), 1.0)]
    for name in ONE_AT_A_TIME:
        ratio = times.ratio(name, "ours") * total / slice_of
        rows.append((name, slice_of, times.seconds(name) * total / slice_of, ratio))
        if name != "vectorised":  # no loops over entries, so not what is described
            report.wishes.append(Wish(f"time of {name} / ours", 1000.0, ratio, " x"))
    columns = ("way", "spectra computed", f"seconds for {total}", "over ours")
    report.tables.append(Table(f"Spectra of the 4 x 4 Hessian, T={T}, float64", columns, rows))
    report.wishes.append(Wish("all spectra", 5.0, times.seconds("ours"), " s", at_most=True))
    report.notes.append(f"Eigenvalues agree within {worst:.0e} of the largest one.")
    return report
