r"""The 2D-dimensional space in which a linear network learns from W = 0 (paper, section 3.2, equations 13, 14).

The gradient of the averaged loss is a sum of outer products of decoders and encoders under powers of W. From W = 0 the
weights therefore stay $V \omega V^\dagger$, where the columns of V are an orthonormal basis of the span of decoders and
encoders. Moments, losses and gradient steps of $\omega$ are those of W, so training is exact at a cost that does not
depend on n. The basis has the order decoders, encoders (erratum E2).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib.theory.linear.moments import check_shapes, check_vectors


class Reduced(NamedTuple):
    """Encoders and decoders in the space they span; with `omega` these are a linear network of k = 2D neurons."""

    encoders: Tensor  # ... x k x D
    decoders: Tensor  # ... x k x D
    basis: Tensor  # ... x n x k, orthonormal columns V

    def lift(self, omega: Tensor) -> Tensor:
        r"""Weights $V\omega V^\dagger$ of the network of n neurons, `... x n x n` from `... x k x k`."""
        return self.basis @ omega @ self.basis.mT

    def project(self, W: Tensor) -> Tensor:
        r"""$V^\dagger W V$, `... x k x k` from `... x n x n`; loses what lies outside the span."""
        return self.basis.mT @ W @ self.basis


def reduce(encoders: Tensor, decoders: Tensor) -> Reduced:
    r"""Basis of the span of decoders and encoders, by the square root of their Gram matrix $\Sigma$ (equation 13).

    With $v = (d_1 \ldots d_D, e_1 \ldots e_D)$ and $\Sigma = v^\dagger v$ the basis is $V = v\,\Sigma^{-1/2}$, and the
    vectors have the coordinates $V^\dagger v = \Sigma^{1/2}$.

    Args:
        encoders: `... x n x D`.
        decoders: `... x n x D`.

    Raises:
        ValueError: shapes that do not fit, or vectors that are linearly dependent (equal encoder and decoder, say).
    """
    check_vectors(encoders, decoders)
    v = torch.cat([decoders, encoders], dim=-1)
    sizes, directions = torch.linalg.eigh(v.mT @ v)
    smallest = (sizes[..., 0] / sizes[..., -1]).min()
    if not smallest > 1e-12:
        raise ValueError("decoders and encoders must be linearly independent, got a singular Gram matrix")
    root = directions * sizes.sqrt()[..., None, :] @ directions.mT
    inverse = directions * sizes.rsqrt()[..., None, :] @ directions.mT
    D = encoders.shape[-1]
    return Reduced(root[..., D:], root[..., :D], v @ inverse)


class Invariants(NamedTuple):
    r"""All that moments can tell about one channel's $\omega$: three of its four numbers, beside $d\cdot e$."""

    overlap: Tensor  # ..., mu_0 = d.e, which no training changes
    first: Tensor  # ..., mu_1
    trace: Tensor  # ...
    determinant: Tensor  # ...

    def moments(self, orders: int) -> Tensor:
        r"""Moments 1 to `orders`, `... x orders`, by $\mu_{q+1} = t\mu_q - \delta\mu_{q-1}$ (Cayley and Hamilton)."""
        before, found = self.overlap, [self.first]
        for _ in range(orders - 1):
            before, last = found[-1], self.trace * found[-1] - self.determinant * before
            found.append(last)
        return torch.stack(found, dim=-1)


def invariants(omega: Tensor, encoders: Tensor, decoders: Tensor) -> Invariants:
    """Invariants of a `... x 2 x 2` matrix with `... x 2 x 1` encoders and decoders.

    Raises:
        ValueError: shapes that do not fit, or more than two dimensions.
    """
    check_shapes(omega, encoders, decoders)
    if tuple(encoders.shape[-2:]) != (2, 1):
        raise ValueError(f"expected one channel in two dimensions, got encoders {tuple(encoders.shape)}")
    first = (decoders * (omega @ encoders)).sum(dim=(-2, -1))
    trace = omega[..., 0, 0] + omega[..., 1, 1]
    determinant = omega[..., 0, 0] * omega[..., 1, 1] - omega[..., 0, 1] * omega[..., 1, 0]
    return Invariants((decoders * encoders).sum(dim=(-2, -1)), first, trace, determinant)
