r"""Linear networks that hold D integrals at once (paper, section 3.4; equations 17 to 19).

$W = L R^\dagger$ integrates without cross-talk if the `n x D` factors obey
$$d^\dagger L = 1, \qquad R^\dagger L = \Gamma, \qquad R^\dagger e = S\Gamma,$$
which is equation 18 with the lengths of l and r chosen. Columns of L are right and those of R left eigenvectors of W;
they are not its singular vectors (erratum E16). The state is then $h_t = L \bar y_t$ (equation 19).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.moments import check_vectors, target_moments

TOLERANCE = 1e-9
"""Singular values below this times the largest count as zero."""


class Modes(NamedTuple):
    r"""A network of rank D by its eigenvectors, $W = L R^\dagger$."""

    directions: Tensor  # L, ... x n x D, with d'L = 1; right eigenvectors of W
    readers: Tensor  # R, ... x n x D, with R'e = S Gamma and R'L = Gamma; left eigenvectors

    @property
    def W(self) -> Tensor:
        """`... x n x n` weights."""
        return self.directions @ self.readers.mT


class Eigenmodes(NamedTuple):
    """Leading eigenvalues, in descending order, with unit eigenvectors."""

    values: Tensor  # ... x D
    directions: Tensor  # ... x n x D, W l = gamma l
    readers: Tensor  # ... x n x D, W' r = gamma r


class CrossTalk(NamedTuple):
    """Largest absolute entry off the diagonal of three `D x D` matrices, each `...`."""

    outputs: Tensor  # of d'l
    inputs: Tensor  # of r'e
    modes: Tensor  # of r'l


def minimal_order(encoders: Tensor, decoders: Tensor, task: Task) -> int:
    r"""Neurons that an integrator of these D channels needs, $D + \mathrm{rank}(S - d^\dagger e)$ (erratum E15).

    The blocks $M_{i+j}$ of an integrator's moments, with $M_0 = d^\dagger e$, form a matrix of this rank, and that of a
    network with n neurons cannot exceed n. It is enough if encoders and decoders have rank D: `minimal_directions`.

    Args:
        encoders: `n x D`.
        decoders: `n x D`.
        task: D channels.
    """
    return task.D + _rank(_defect(encoders, decoders, task))


def minimal_directions(encoders: Tensor, decoders: Tensor, task: Task) -> Tensor:
    r"""A factor L, `n x D`, for which an R exists, with as few neurons as `minimal_order` allows.

    All L with $d^\dagger L = 1$ are $d (d^\dagger d)^{-1} + N X$, N a basis of what no decoder sees. An R exists if
    $e - L\, d^\dagger e$ vanishes only where $S - d^\dagger e$ does; that choice of X is made here.

    Args:
        encoders: `n x D`, of rank D.
        decoders: `n x D`, of rank D.
        task: D channels.

    Raises:
        ValueError: too few neurons, or dependent encoders or decoders.
    """
    defect = _defect(encoders, decoders, task)
    (n, D), k = encoders.shape, _rank(defect)
    for name, vectors in (("encoders", encoders), ("decoders", decoders)):
        if _rank(vectors) < D:
            raise ValueError(f"{name} must be linearly independent, got rank {_rank(vectors)} for {D} channels")
    if n < D + k:
        raise ValueError(f"these encoders, decoders and scales need at least {D + k} neurons, got {n}")
    seen = decoders.mT @ encoders
    N = torch.linalg.qr(decoders, mode="complete").Q[:, D:]  # n x (n - D)
    unseen = N.mT @ encoders
    V = torch.linalg.svd(defect).Vh[:k].mT  # D x k, where the defect does not vanish
    K = torch.linalg.svd(seen).Vh[_rank(seen) :].mT  # D x m, where the decoders see nothing
    m = K.shape[1]
    # Y = N'(e - L d'e) = F V' must equal N'e on K, and elsewhere be injective: there, orthonormal columns near N'e
    inside, fixed = torch.linalg.qr(V.mT @ K, mode="complete").Q, torch.linalg.qr(unseen @ K, mode="complete").Q
    free = fixed[:, m:].mT @ unseen @ V @ inside[:, m:]
    U, _, Vh = torch.linalg.svd(free, full_matrices=False)
    F = unseen @ K @ torch.linalg.pinv(V.mT @ K) + fixed[:, m:] @ (U @ Vh) @ inside[:, m:].mT
    X = (unseen - F @ V.mT) @ torch.linalg.pinv(seen, rtol=TOLERANCE)
    return _shortest(decoders) + N @ X


def integrator(encoders: Tensor, decoders: Tensor, task: Task, directions: Tensor | None = None) -> Modes:
    r"""An integrator of rank D, with $R^\dagger = \Gamma\, [S\ 1]\, [e\ L]^+$, the shortest R for its L.

    Args:
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels; its T plays no part.
        directions: L, with $d^\dagger L = 1$; None is $d (d^\dagger d)^{-1}$, or, for a single network that this does
            not serve, `minimal_directions`.

    Raises:
        ValueError: shapes that do not fit, too few neurons, or an L to which no R belongs.
    """
    check_vectors(encoders, decoders)
    _check_channels(encoders, task)
    S, gamma = (torch.tensor(v, dtype=encoders.dtype, device=encoders.device) for v in (task.scales, task.decays))
    if directions is None:
        directions = _shortest(decoders)
        if encoders.ndim == 2 and not _independent(torch.cat([encoders, decoders], dim=-1)):
            directions = minimal_directions(encoders, decoders, task)
    one = torch.eye(task.D, dtype=S.dtype, device=S.device)
    if not ((decoders.mT @ directions - one).abs().max() < 1e-6).item():
        raise ValueError("directions must have d'L = 1")
    given = torch.cat([encoders, directions], dim=-1)  # ... n 2D
    wanted = torch.cat([torch.diag(S), one], dim=-1)
    readers = (gamma[:, None] * wanted @ torch.linalg.pinv(given, rtol=TOLERANCE)).mT
    missed = (readers.mT @ given - gamma[:, None] * wanted).abs().max()
    if not (missed < 1e-6 * wanted.max()).item():
        raise ValueError(f"no R belongs to this L: r'e and r'l miss what they must be by {missed.item():.2g}")
    return Modes(directions, readers)


def eigenmodes(W: Tensor, count: int) -> Eigenmodes:
    """Eigenvalues of largest modulus with right and left eigenvectors of unit length.

    Args:
        W: `... x n x n`.
        count: How many, D for D channels.

    Raises:
        ValueError: a pair of complex eigenvalues among them.
    """
    n = W.shape[-1]
    if not 1 <= count <= n:
        raise ValueError(f"count must lie between 1 and {n}, got {count}")
    sides = []
    for side in (W, W.mT):
        values, vectors = torch.linalg.eig(side)
        largest = values.abs().argsort(dim=-1, descending=True)[..., :count]
        values = values.gather(-1, largest)
        if not (values.imag.abs().max() <= 1e-9 * values.abs().max()).item():
            raise ValueError(f"expected {count} real leading eigenvalues, got complex ones")
        values, order = values.real.sort(dim=-1, descending=True)
        order = largest.gather(-1, order)
        vectors = vectors.real.gather(-1, order[..., None, :].expand(*vectors.shape[:-1], count))
        sides.append((values, vectors / vectors.norm(dim=-2, keepdim=True)))
    return Eigenmodes(sides[0][0], sides[0][1], sides[1][1])


def cross_talk(directions: Tensor, readers: Tensor, encoders: Tensor, decoders: Tensor) -> CrossTalk:
    """How far W = sum of l_c r_c' is from the last three conditions of equation 18; all `... x n x D`, D at least 2."""
    D = encoders.shape[-1]
    if D < 2:
        raise ValueError(f"cross-talk needs at least two channels, got {D}")
    off = ~torch.eye(D, dtype=torch.bool, device=encoders.device)
    products = (decoders.mT @ directions, readers.mT @ encoders, readers.mT @ directions)
    return CrossTalk(*((product.abs() * off).amax(dim=(-2, -1)) for product in products))


def hankel_lower_bound(encoders: Tensor, decoders: Tensor, task: Task, *, orders: int | None = None) -> float:
    r"""What no network with so few neurons can undercut: a bound from below of what `best_residual` looks for.

    Blocks $M_{i+j}$, i and j from 0 to p, form a matrix of rank n at most, and that of an integrator is at least the
    root of $\sum_{k>n}\sigma_k^2$ away from all such matrices (Eckart and Young). $M_0$ is the same in both, and any
    other order occurs at most p + 1 times, hence $\sum_q |M_q - S\Gamma^q|^2 \ge \sum_{k>n}\sigma_k^2/(p+1)$. The best
    p with $2p$ not above the orders is taken. Zero from `minimal_order` on.

    Args:
        encoders: `n x D`.
        decoders: `n x D`.
        task: D channels.
        orders: Moments that count, two at least, from q = 1; None is 2n.
    """
    _defect(encoders, decoders, task)  # checks the shapes
    n = len(encoders)
    Q = checks.whole("orders", 2 * n if orders is None else orders, 2)
    M = torch.cat([(decoders.mT @ encoders)[None], target_moments(task, Q, encoders)])
    floor = 0.0
    for p in range(1, Q // 2 + 1):
        order = torch.arange(p + 1)
        blocks = M[order[:, None] + order]  # p+1 p+1 D D
        sigma = torch.linalg.svdvals(blocks.movedim(2, 1).reshape((p + 1) * task.D, -1))
        rest = torch.where(sigma > TOLERANCE * sigma[0], sigma, 0.0)[n:]
        floor = max(floor, (rest.square().sum() / (p + 1)).item())
    return floor


def _check_channels(encoders: Tensor, task: Task) -> None:
    if encoders.shape[-1] != task.D:
        raise ValueError(f"task must have the network's {encoders.shape[-1]} channels, got {task.D}")


def _defect(encoders: Tensor, decoders: Tensor, task: Task) -> Tensor:
    """S - d'e of one network, `D x D`."""
    check_vectors(encoders, decoders)
    if encoders.ndim != 2:
        raise ValueError(f"expected one network, encoders n x D, got {tuple(encoders.shape)}")
    _check_channels(encoders, task)
    defect = torch.diag(encoders.new_tensor(task.scales)) - decoders.mT @ encoders
    small = defect.abs() < TOLERANCE * max(task.scales)
    return torch.where(small, 0.0, defect)


def _rank(matrix: Tensor) -> int:
    return int(torch.linalg.matrix_rank(matrix, rtol=TOLERANCE).item())


def _independent(vectors: Tensor) -> bool:
    """Whether the columns are linearly independent, in every network of a batch."""
    if vectors.shape[-1] > vectors.shape[-2]:
        return False
    sizes = torch.linalg.svdvals(vectors)
    return bool((sizes[..., -1] > TOLERANCE * sizes[..., 0]).all().item())


def _shortest(decoders: Tensor) -> Tensor:
    """d (d'd)^-1, the shortest L with d'L = 1."""
    return torch.linalg.pinv(decoders.mT)
