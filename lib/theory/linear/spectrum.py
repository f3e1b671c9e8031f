r"""Eigenvalues of a linear network and what each contributes to its moments (paper, section 3.1, equations 11 and 12).

If W has a basis of eigenvectors, $\mu_q = \sum_i g_i \lambda_i^q$. Any W, diagonalisable or not, has

$$\mu_q = \sum_\lambda \sum_{k \ge 0} \binom{q}{k} \lambda^{q-k}\, d^\dagger (W - \lambda)^k P_\lambda\, e$$

with a sum over different eigenvalues $\lambda$ and the projection $P_\lambda$ on the vectors that belong to each. The
terms with k = 0 are the sums of $g_i$ over equal eigenvalues; the others vanish if W is diagonalisable.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from scipy.linalg import schur, solve_sylvester
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.moments import check_shapes, check_vectors

SINGULAR = 1e14  # condition number of eigenvectors that are dependent within rounding


class Modes(NamedTuple):
    """The eigenvalues of a diagonalisable W and their weights."""

    eigenvalues: Tensor  # ... x n, complex
    weights: Tensor  # ... x n x D x D, complex: g_i, first index output, second input


def modes(W: Tensor, encoders: Tensor, decoders: Tensor) -> Modes:
    r"""Weights $g_i = (P^\dagger d)_i (P^{-1} e)_i$ of the eigenvalues of $W = P \Lambda P^{-1}$.

    Args:
        W: `... x n x n`, diagonalisable; near a defective W the weights grow without bound, see `clusters`.
        encoders: `... x n x D`.
        decoders: `... x n x D`.

    Raises:
        ValueError: shapes that do not fit, or eigenvectors that are linearly dependent within rounding, which also
            happens where an eigenvalue is repeated; `clusters` can do both.
    """
    check_shapes(W, encoders, decoders)
    eigenvalues, P = torch.linalg.eig(W)
    worst = torch.linalg.cond(P).max()
    if not worst < SINGULAR:
        raise ValueError(f"W must have independent eigenvectors, got some of condition number {worst.item():.0e}")
    reach = torch.linalg.solve(P, encoders.to(P))
    return Modes(eigenvalues, (P.mT @ decoders.to(P))[..., :, None] * reach[..., None, :])


def polynomial_sides(coefficients: Tensor, found: Modes, task: Task) -> tuple[Tensor, Tensor]:
    r"""Both sides of equation 11, $\sum_i g_i Q(\lambda_i)$ and $\mathrm{diag}(s_c Q(\gamma_c))$, `... x D x D` each.

    Args:
        coefficients: `... x T`, of $z, z^2, \ldots, z^T$ in Q; there is no constant term, so Q(0) = 0.
        found: Modes of a network of the task's D channels.
        task: The sides are equal if all moments of the orders 1 to T are right.
    """
    q = torch.arange(1, coefficients.shape[-1] + 1, device=coefficients.device)
    real = {"dtype": coefficients.dtype, "device": coefficients.device}
    gamma, s = torch.tensor(task.decays, **real), torch.tensor(task.scales, **real)
    Q = (found.eigenvalues[..., None] ** q @ coefficients.to(found.eigenvalues)[..., None])[..., 0]  # ... n
    right = s * (coefficients[..., None, :] * gamma[:, None] ** q).sum(dim=-1)
    return torch.einsum("...i,...iab->...ab", Q, found.weights).real, torch.diag_embed(right)


class Cluster(NamedTuple):
    """Eigenvalues that count as one, and what they contribute."""

    centre: complex  # the common eigenvalue
    size: int  # how many eigenvalues
    weights: np.ndarray  # size x D x D, complex: d' (W - centre)^k P e for k = 0 to size - 1


def clusters(
    W: Tensor, encoders: Tensor, decoders: Tensor, *, anchors: Sequence[float] = (0.0,), resolution: float = 1e-4
) -> list[Cluster]:
    """Sums of the weights over equal eigenvalues, also of a defective W, the largest eigenvalues first.

    A defective eigenvalue of multiplicity m is computed as m eigenvalues about $10^{-16/m}$ apart, with huge weights
    that cancel. Projections on all of them together, by an ordered Schur decomposition, do not suffer from this.

    Args:
        W: `n x n`, of one network.
        encoders: `n x D`.
        decoders: `n x D`.
        anchors: A cluster with one of these among its eigenvalues has it as its exact centre; the mean otherwise.
        resolution: Eigenvalues nearer than this (as a share of the largest modulus, at least 1) count as equal.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, or anchors that count as equal.
    """
    check_shapes(W, encoders, decoders)
    checks.finite("W", checks.tensor("W", W, ("n", "n")))
    A, e, d = (x.detach().double().cpu().numpy() for x in (W, encoders, decoders))
    values = np.linalg.eigvals(A)
    reach = resolution * max(1.0, np.abs(values).max())
    marks = np.unique(np.asarray(anchors, dtype=float))
    if np.diff(marks).min(initial=np.inf) <= 2 * reach:
        raise ValueError(f"anchors must be more than {2 * reach:g} apart, lower resolution; got {sorted(anchors)}")
    points = np.concatenate([values, marks])
    _, labels = connected_components(np.abs(points[:, None] - points) <= reach)
    found = []
    for label in dict.fromkeys(labels[np.argsort(-np.abs(values), kind="stable")].tolist()):
        members, marked = values[labels[: len(values)] == label], marks[labels[len(values) :] == label]
        centre = complex(marked[0] if len(marked) else members.mean())
        projected = _projection(A, members, reach) @ e
        weights = []
        for _ in members:
            weights.append(d.T @ projected)
            projected = A @ projected - centre * projected
        found.append(Cluster(centre, len(members), np.stack(weights)))
    return found


def _projection(A: np.ndarray, members: np.ndarray, reach: float) -> np.ndarray:
    """Projection on the vectors that belong to these eigenvalues of A, along those that belong to the others."""
    n, k = len(A), len(members)
    if k == n:
        return np.eye(n)
    ordered = schur(A, output="complex", sort=lambda z: bool(np.abs(members - z).min() <= reach))
    T, Q, inside = cast(tuple[np.ndarray, np.ndarray, int], ordered)
    if inside != k:
        raise ValueError(f"{k} eigenvalues near {members.mean():.6g} cannot be told from others: change resolution")
    R = solve_sylvester(T[:k, :k], -T[k:, k:], T[:k, k:])
    return Q[:, :k] @ (Q[:, :k].conj().T + R @ Q[:, k:].conj().T)


def shortfall(W: Tensor, encoders: Tensor, decoders: Tensor, task: Task, *, resolution: float = 1e-4) -> float:
    r"""How far a network is from satisfying equation 12, extended to any D and to any W: zero for integrators.

    The weights of each $\gamma_c$ must add up to $s_c$ (from input c to output c), those of every other eigenvalue but
    zero to nothing. If W is not diagonalisable, the terms with $k \ge 1$ must vanish too, also at the eigenvalue zero.

    Returns:
        The largest violation.

    Raises:
        ValueError: as `clusters`, or a task of other than D channels.
    """
    if task.D != encoders.shape[-1]:
        raise ValueError(f"task must have the network's {encoders.shape[-1]} channels, got {task.D}")
    wanted = {gamma: np.diag(np.where(np.equal(task.decays, gamma), task.scales, 0.0)) for gamma in task.decays}
    violations = []
    for centre, _, weights in clusters(W, encoders, decoders, anchors=(0.0, *task.decays), resolution=resolution):
        target = wanted.pop(centre.real, 0.0) if centre.imag == 0 else 0.0
        violations.append(np.abs(weights[0] - target).max() if centre != 0 else 0.0)
        violations.append(np.abs(weights[1:]).max(initial=0.0))
    return float(max(*violations, *(target.max() for target in wanted.values())))


def realise(core: Tensor, reach: Tensor, readout: Tensor, encoders: Tensor, decoders: Tensor) -> Tensor:
    r"""Weights W whose moments with given encoders and decoders are $b^\dagger \Lambda^q a$, for every q.

    $W = P \Lambda P^{-1}$ with a matrix P for which $P a = e$ and $P^\dagger d = b$: orthogonal but for what maps the
    span of a and b to that of e and d. With a diagonal $\Lambda$ the weights of equation 12 are $g_i = b_i a_i$; a
    Jordan block gives a defective W.

    Args:
        core: `n x n` matrix $\Lambda$.
        reach: `n x D` matrix a, how strongly each input drives each mode.
        readout: `n x D` matrix b, how strongly each mode shows in each output.
        encoders: `n x D`.
        decoders: `n x D`.

    Raises:
        ValueError: shapes that do not fit, or $b^\dagger a \ne d^\dagger e$: both are the moment of order zero.
    """
    check_shapes(core, reach, readout)
    check_shapes(core, encoders, decoders)
    check_vectors(reach, encoders)
    here, there = readout.mT @ reach, decoders.mT @ encoders
    gap = (here - there).abs().max().item()
    if gap > 1e-9 * max(1.0, there.abs().max().item()):
        raise ValueError(f"readout' reach must be decoders' encoders, got matrices that differ by {gap:.3g}")
    outer, inner = torch.cat([encoders, decoders], dim=-1), torch.cat([reach, readout], dim=-1)
    P = torch.linalg.qr(outer, mode="complete").Q @ torch.linalg.qr(inner, mode="complete").Q.mT
    a, d = torch.linalg.pinv(reach), torch.linalg.pinv(decoders).mT  # D x n and n x D
    missing = encoders - P @ reach
    P = P + missing @ a + d @ (readout.mT - decoders.mT @ P) - d @ (decoders.mT @ missing) @ a
    return torch.linalg.solve(P, P @ core, left=False)
