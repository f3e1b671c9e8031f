r"""The space in which a linear network learns from a start other than W = 0 (paper, section 3.3; there is no formula).

The gradient adds outer products of $W^{\dagger k} d$ and $W^k e$, and these contain all words: vectors made from an
encoder or a decoder by factors $W_0$ and $W_0^\dagger$ in any order, as in $W_0 W_0^\dagger W_0 e$. There is no end to
them, but each factor costs one power of the size r of $W_0$. In the span of the words of up to m factors moments and
losses lack terms of order $r^{2m+2}$: what leaves that span has m + 1 factors and needs as many to come back. From
W = 0 the space is that of `lib.theory.linear.reduced`.
"""

import torch
from torch import Tensor

from lib import checks
from lib.theory.linear.moments import check_shapes
from lib.theory.linear.reduced import Reduced


def words(W: Tensor, encoders: Tensor, decoders: Tensor, length: int) -> Reduced:
    r"""Encoders and decoders in the span of the words of up to `length` factors W or $W^\dagger$.

    With `small = words(W, ...)`, training starts from `small.project(W)`; a trained `omega` stands for the network
    `W + small.lift(omega - small.project(W))`.

    Args:
        W: `... x n x n` start.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        length: Most factors, m; the space has k = 2D (2^(m+1) - 1) dimensions. If words are linearly dependent (W
            symmetric, say), directions without a meaning fill it up, which does no harm.

    Raises:
        ValueError: shapes that do not fit, or more dimensions than neurons: train in the full space then.
    """
    check_shapes(W, encoders, decoders)
    checks.whole("length", length, 0)
    n, D = encoders.shape[-2:]
    size = 2 * D * (2 ** (length + 1) - 1)
    if size > n:
        raise ValueError(f"words of up to {length} factors need {size} dimensions, got {n} neurons: use the full space")
    level = torch.cat([decoders, encoders], dim=-1).expand(*W.shape[:-2], n, 2 * D)
    basis = torch.linalg.qr(level).Q
    for _ in range(length):
        level = basis[..., -level.shape[-1] :]
        level = torch.cat([W @ level, W.mT @ level], dim=-1)
        # of all together, by reflections: Q is orthonormal even if words are dependent
        basis = torch.linalg.qr(torch.cat([basis, level], dim=-1)).Q
    return Reduced(basis.mT @ encoders, basis.mT @ decoders, basis)
