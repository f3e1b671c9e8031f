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
from lib.linear.covariance import white
from lib.linear.manifolds import Manifolds
from lib.linear.moments import check_shapes, images

Number = Tensor | float


def derivatives(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int) -> Tensor:
    r"""Derivatives $\partial\mu_q / \partial\omega_{ij}$ of the moments of one channel (appendix F).

    Args:
        omega: `... x k x k`; any linear network, with k = 2 in the reduced space.
        encoders: `... x k x 1`.
        decoders: `... x k x 1`.
        T: How many moments.

    Returns:
        `... x T x k x k`.

    Raises:
        ValueError: shapes that do not fit, or more than one channel.
    """
    check_shapes(omega, encoders, decoders)
    if encoders.shape[-1] != 1:
        raise ValueError(f"expected one channel, got {encoders.shape[-1]}")
    checks.whole("T", T, 1)
    left, right = images(omega.mT, decoders, T)[..., 0], images(omega, encoders, T)[..., 0]  # ... T k
    return torch.stack([left[..., :q, :].mT @ right[..., :q, :].flip(-2) for q in range(1, T + 1)], dim=-3)


def hessian(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int, *, chi: Tensor | None = None) -> Tensor:
    """Hessian of the averaged loss as printed in the paper at an integrator, `... x k^2 x k^2` (equation 49, twice).

    In the authors' normalisation it is smaller by $s^2 T^2$. Away from integrators a term is missing.

    Args:
        chi: `T x T`, see `lib.linear.covariance`; None is unit white noise.

    The other arguments and the errors are those of `derivatives`.
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


def _weighted(omega: Tensor, encoders: Tensor, decoders: Tensor, T: int, chi: Tensor | None) -> Tensor:
    r"""Slopes $\sqrt{2\chi}\,\partial\mu$, `... x T x k^2`, whose Gram matrix is the Hessian."""
    slopes = derivatives(omega, encoders, decoders, T).flatten(-2)
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
