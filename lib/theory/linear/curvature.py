r"""The Hessian at an integrator in the reduced space, and its condition number (paper, appendices F and G).

At an integrator every moment error is zero, so the Hessian of the averaged loss has first derivatives of moments only:

$$H = 2 \sum_{q,p=1}^{T} \chi_{qp}\, \partial\mu_q\, \partial\mu_p^\dagger, \qquad
\partial\mu_q = \sum_{m=0}^{q-1} (\omega^{\dagger m} d)(\omega^{q-1-m} e)^\dagger$$

The factor 2 is missing in equation 49 (erratum E4). At a rank-one integrator $\omega = \gamma P$, with P a projection,
all $\partial\mu_q$ are combinations of three matrices, whatever T and n are:

$$\partial\mu_1 = C, \quad \partial\mu_q = \gamma^{q-1} (A + (q-2) B), \qquad
C = d e^\dagger, \quad A = d (Pe)^\dagger + (P^\dagger d) e^\dagger, \quad B = (P^\dagger d)(Pe)^\dagger$$

so there are at most three positive eigenvalues, the roots of a cubic whose coefficients are sums of squares.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.theory.linear.covariance import white
from lib.theory.linear.hessian import derivatives
from lib.theory.linear.manifolds import Manifolds
from lib.theory.linear.reduced import Reduced

Number = Tensor | float


def hessian(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int, *, chi: Tensor | None = None) -> Tensor:
    """Hessian of the averaged loss as printed in the paper at an integrator, `... x k^2 x k^2` (equation 49, twice).

    In the authors' normalisation it is smaller by $s^2 T^2$. Away from integrators a term is missing.

    Args:
        omega: `... x k x k`; any linear network, with k = 2 in the reduced space.
        encoders: `... x k x 1`.
        decoders: `... x k x 1`.
        T: How many moments.
        chi: `T x T`, see `lib.theory.linear.covariance`; None is unit white noise.

    Raises:
        ValueError: shapes that do not fit, or more than one channel.
    """
    slopes = _weighted(omega, encoders, decoders, T, chi)
    return slopes.mT @ slopes


def spectrum(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int, *, chi: Tensor | None = None) -> Tensor:
    r"""Eigenvalues of `hessian`, `... x k^2`, ascending.

    They are squares of singular values, so null ones come out below $10^{-25}$ of the largest, far from the others.
    """
    slopes = _weighted(omega, encoders, decoders, T, chi)
    found = torch.linalg.svdvals(slopes).square().flip(-1)
    missing = slopes.shape[-1] - found.shape[-1]
    return torch.cat([found.new_zeros(*found.shape[:-1], missing), found], dim=-1)


def null_eigenvalues(eigenvalues: Tensor) -> Tensor:
    """How many of the `... x k` eigenvalues of `spectrum` are zero, `...`: below 1e-22 of the largest."""
    return (eigenvalues <= 1e-22 * eigenvalues[..., -1:]).sum(dim=-1)


class Positive(NamedTuple):
    """The three eigenvalues that are positive at a rank-one integrator of a scale other than 0 and d.e."""

    smallest: Tensor
    middle: Tensor
    largest: Tensor

    @property
    def condition(self) -> Tensor:
        """Condition number C: largest over smallest eigenvalue that is not zero."""
        return self.largest / self.smallest


def rank_one_spectrum(
    manifolds: Manifolds, scale: Tensor | float, right: Tensor, T: int, *, chi: Tensor | None = None
) -> Positive:
    r"""Positive eigenvalues of the Hessian at rank-one integrators, in closed form.

    Args:
        manifolds: For one channel.
        scale: `...`, s, neither 0 nor $d^\dagger e$.
        right: `... x 2`, right eigenvectors, such as $(1, \alpha)$ (see `Manifolds.along`).
        T: Training length, at least 3.
        chi: `T x T`; None is unit white noise.

    Returns:
        Three `...` tensors.

    Raises:
        ValueError: a T that is too short, and the errors of `Manifolds.along`.
    """
    checks.whole("T", T, 3)
    K, pairs, volume = _order_weights(T, manifolds.decay, chi)
    x, y = right, manifolds.left(scale, right)
    d, e = manifolds.decoder, manifolds.encoder
    unit, dd, ee = _dot(x, y), _dot(d, d), _dot(e, e)
    Pe, Pd = _dot(y, e) / unit, _dot(d, x) / unit  # how much of x and of y
    sigma, rho = Pe * _dot(e, x) / ee, Pd * _dot(d, y) / dd  # their parts along e and along d
    aa, bb = (Pe * _cross(e, x)) ** 2 * (dd / ee), (Pd * _cross(d, y)) ** 2 * (ee / dd)  # a^2, b^2: parts across
    cc, tt, both, product = dd * ee, aa * bb / (dd * ee), rho + sigma, rho * sigma
    plane = tt * (cc * (rho - sigma) ** 2 + aa + bb)
    one = cc * _form(K, 1.0, both, product) + tt * K[2][2]
    one = one + aa * _form(K, 0.0, 1.0, rho) + bb * _form(K, 0.0, 1.0, sigma)
    two = aa * _form(pairs, 1.0, rho, rho**2) + bb * _form(pairs, 1.0, sigma, sigma**2)
    two = cc * (two + tt * _form(pairs, 0.0, 1.0, both)) + pairs[2][2] * plane
    return _roots(one, two, volume * cc * plane)


class Best(NamedTuple):
    """The best conditioned integrator of a scale."""

    condition: Tensor  # ..., the smallest C along the curve of this scale
    right: Tensor  # ... x 2, right eigenvector of length 1 at which it is found


def best_condition(
    manifolds: Manifolds, scale: Tensor | float, T: int, *, chi: Tensor | None = None, rounds: int = 5
) -> Best:
    """Minimum of the condition number along the whole curve of a scale, to a relative precision of about 1e-8.

    The curve is searched on a thousand directions of x, dense near the two for which there is no integrator, then four
    more times around the best one of each round.

    Args:
        rounds: Searches in all; each but the first narrows the interval by a factor of 16.

    The other arguments and the errors are those of `rank_one_spectrum`; shapes are broadcast to `...`.
    """
    d, e = manifolds.decoder, manifolds.encoder
    shape = torch.broadcast_shapes(d.shape[:-1], scale.shape if isinstance(scale, Tensor) else ())
    s = torch.as_tensor(scale, dtype=e.dtype, device=e.device).expand(shape)[..., None]
    wide = Manifolds(Reduced(*(part[..., None, :, :] for part in manifolds.small)), manifolds.decay)
    gap = torch.atan2(_dot(d, e), -_cross(d, e))[..., None]  # angle from e to the orthogonal of d
    near = torch.logspace(-6, 0, 121, dtype=e.dtype, device=e.device)
    offsets = torch.cat([-near, near])
    evenly = torch.linspace(-torch.pi / 2, torch.pi / 2, 517, dtype=e.dtype, device=e.device)
    angles = torch.cat([evenly.expand(*gap.shape[:-1], -1), offsets.expand(*gap.shape[:-1], -1), gap + offsets], dim=-1)
    angles, found = angles.expand(*shape, -1).sort(dim=-1).values, gap
    for _ in range(checks.whole("rounds", rounds, 1)):
        C = rank_one_spectrum(wide, s, _turned(e, angles), T, chi=chi).condition
        best = C.nan_to_num(nan=torch.inf).argmin(dim=-1, keepdim=True)
        steps = ((best + k).clamp(0, angles.shape[-1] - 1) for k in (-1, 0, 1))
        low, found, high = (angles.gather(-1, step) for step in steps)
        angles = low + (high - low) * torch.linspace(0, 1, 33, dtype=e.dtype, device=e.device)
    right = _turned(e, found)[..., 0, :]
    return Best(rank_one_spectrum(manifolds, scale, right, T, chi=chi).condition, right)


def _turned(e: Tensor, angles: Tensor) -> Tensor:
    """Unit vectors at these angles from e, `... x m x 2` from `... x 2` and `... x m`."""
    unit = (e / _dot(e, e).sqrt()[..., None])[..., None, :]
    return angles.cos()[..., None] * unit + angles.sin()[..., None] * torch.stack([-unit[..., 1], unit[..., 0]], dim=-1)


class Valley(NamedTuple):
    """The minimum of a curve C(s), and how it rises on either side."""

    scale: float  # grid point of the minimum
    condition: float  # its C
    slope_below: float  # of log C against log s, from the divergence or the start of the grid up to the minimum
    slope_above: float  # from the minimum to the divergence or the end of the grid


def valley(scales: Tensor, condition: Tensor, overlap: float) -> Valley:
    """Describe condition numbers on a grid of scales (both `m`) that diverge where the scale is the overlap.

    Raises:
        ValueError: no two points on one of the sides.
    """
    best = int(condition.argmin())
    x, y, middle = scales.log(), condition.log(), scales[best]
    below = (scales <= middle) & ((scales > overlap) | (middle <= overlap))
    above = (scales >= middle) & ((scales < overlap) | (middle >= overlap))
    slopes = []
    for name, side in (("below", below), ("above", above)):
        if side.sum() < 2:
            raise ValueError(f"expected two grid points or more {name} the minimum, got {int(side.sum())}")
        u, v = x[side] - x[side].mean(), y[side] - y[side].mean()
        slopes.append(((u * v).sum() / u.square().sum()).item())
    return Valley(middle.item(), condition[best].item(), *slopes)


def _weighted(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int, chi: Tensor | None) -> Tensor:
    r"""Slopes $\sqrt{2\chi}\,\partial\mu$, `... x T x k^2`, whose Gram matrix is the Hessian."""
    if encoders.shape[-1] != 1:
        raise ValueError(f"expected one channel, got {encoders.shape[-1]}")
    slopes = derivatives(omega, encoders, decoders, T)[..., 0, 0, :, :].flatten(-2)
    root = torch.linalg.cholesky(_covariance(T, chi).to(slopes))
    return 2**0.5 * root.mT @ slopes


def _covariance(T: int, chi: Tensor | None) -> Tensor:
    return white(T) if chi is None else checks.tensor("chi", chi, (T, T))


def _order_weights(T: int, decay: float, chi: Tensor | None) -> tuple[list, list, float]:
    r"""K, twice the `3 x 3` sum of $\chi_{qp}\, k_q k_p^\dagger$, with $\partial\mu_q = (C, A, B)\, k_q$.

    Returns:
        K, its `2 x 2` minors (of the pairs 01, 02, 12), and its determinant.
    """
    q = torch.arange(1, T + 1, dtype=torch.float64)
    k = decay ** (q - 1) * torch.stack([(q == 1).double(), (q > 1).double(), (q - 2) * (q > 1)])
    K = 2 * k @ _covariance(T, chi).to(k) @ k.T
    i, j = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    pairs = K[i][:, i] * K[j][:, j] - K[i][:, j] * K[j][:, i]
    return K.tolist(), pairs.tolist(), torch.linalg.det(K).item()


def _form(Q: list, x: Number, y: Number, z: Number) -> Number:
    """Quadratic form of a symmetric matrix."""
    mixed = Q[0][1] * x * y + Q[0][2] * x * z + Q[1][2] * y * z
    return Q[0][0] * x * x + Q[1][1] * y * y + Q[2][2] * z * z + 2 * mixed


def _roots(one: Tensor, two: Tensor, three: Tensor) -> Positive:
    """Roots of $x^3 - c_1 x^2 + c_2 x - c_3$, all positive.

    The largest is found by cosine; the others follow from c2 and c3, so that small ones keep their digits.
    """
    mean = one / 3
    spread = (mean**2 - two / 3).clamp_min(0).sqrt()
    cosine = (mean * (2 * mean**2 - two) + three) / (2 * spread**3)
    largest = mean + 2 * spread * (cosine.clamp(-1, 1).acos() / 3).cos()
    product = three / largest
    total = (two - product) / largest
    middle = (total + (total**2 - 4 * product).clamp_min(0).sqrt()) / 2
    return Positive(product / middle, middle, largest)


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 0] + u[..., 1] * v[..., 1]


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
