r"""The proxy loss of a rectified channel and its gradient in closed form (paper, equations 29 and 51).

$$\mathcal{L} = w \sum_{z=\pm 1} \Big[(d^\dagger h_z - z s\gamma)^2 + |W h_z - z\gamma\, W e|^2\Big],
\qquad h_z = \lfloor z\, W e \rfloor_+$$

with $w$ = 1 ("paper") or $1/s^2$ ("authors"). This is `lib.training.losses.ProxyLoss.two_point` without autograd:
three products with W give the loss and the gradient, a matrix of rank three, for a whole batch of networks.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.theory.linear.moments import check_shapes
from lib.training.losses import NORMALISATIONS

Number = float | Tensor


class Terms(NamedTuple):
    """What the loss is made of; the last axis holds z = 1 and -1."""

    image: Tensor  # ... x n x 1, u = We
    states: Tensor  # ... x n x 2, h_z
    slopes: Tensor  # ... x n x 2, H(zu)
    output_errors: Tensor  # ... x 1 x 2, d'h_z - z s gamma
    current_errors: Tensor  # ... x n x 2, W h_z - z gamma u
    weight: Tensor  # ... x 1 x 1, w

    @property
    def of_each_sign(self) -> Tensor:
        """The terms of z = 1 and of z = -1, `... x 2`, without the weight."""
        return self.output_errors.square().sum(-2) + self.current_errors.square().sum(-2)

    @property
    def loss(self) -> Tensor:
        """One number for each network, `...`."""
        return self.of_each_sign.sum(-1) * self.weight[..., 0, 0]


def terms(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, *, normalisation: str = "authors"
) -> Terms:
    r"""All terms of the loss.

    Args:
        W: `... x n x n` weights.
        encoder: `... x n x 1`.
        decoder: `... x n x 1`.
        decay: $\gamma$, a number or `...`.
        scale: $s$, a number or `...`.
        normalisation: "paper" or "authors" (divided by $s^2$).

    Raises:
        ValueError: shapes that do not fit, a decay outside (0, 1], a scale that is not positive.
    """
    return terms_of(W, encoder, decoder, *parameters(W, encoder, decoder, decay, scale, normalisation))


def loss(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, *, normalisation: str = "authors"
) -> Tensor:
    """Proxy loss of equation 29, `...`; arguments and errors as for `terms`."""
    return terms(W, encoder, decoder, decay, scale, normalisation=normalisation).loss


def gradient(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, *, normalisation: str = "authors"
) -> Tensor:
    r"""Gradient of `loss` with respect to W, `... x n x n`, a matrix of rank three (appendix I with erratum E10).

    $$\frac{\partial\mathcal{L}}{\partial W} = 2w \Big[\sum_z r_z (h_z - z\gamma e)^\dagger
    + \sum_z z\, H(z We) \circ (\rho_z d + W^\dagger r_z)\, e^\dagger\Big]$$

    $\rho_z$ and $r_z$ are the output and current errors. Arguments and errors as for `terms`.
    """
    gamma, s, w = parameters(W, encoder, decoder, decay, scale, normalisation)
    left, right = factors(W, encoder, decoder, gamma, terms_of(W, encoder, decoder, gamma, s, w))
    return left @ right.mT


def parameters(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, normalisation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """gamma, s and w, each `... x 1 x 1` in the dtype and on the device of W; checks everything as `terms` says."""
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    check_shapes(W, encoder, decoder)
    if encoder.shape[-1] != 1:
        raise ValueError(f"the two-point proxy loss is for one channel, got {encoder.shape[-1]}")
    gamma, s = (torch.as_tensor(value, dtype=W.dtype, device=W.device)[..., None, None] for value in (decay, scale))
    if not ((gamma > 0) & (gamma <= 1)).all():
        raise ValueError(f"decay must lie in (0, 1], got {decay}")
    if not ((s > 0) & (s < float("inf"))).all():
        raise ValueError(f"scale must be a positive number, got {scale}")
    return gamma, s, torch.ones_like(s) if normalisation == "paper" else s.square().reciprocal()


def terms_of(W: Tensor, encoder: Tensor, decoder: Tensor, gamma: Tensor, s: Tensor, w: Tensor) -> Terms:
    """`terms` from what `parameters` returns, without checks."""
    u = thin_matmul(W, encoder)  # ... x n x 1
    both = signed(u)  # ... x n x 2
    h = both.clamp_min(0)
    output_errors = decoder.mT @ h - signed(s * gamma)
    current_errors = thin_matmul(W, h) - gamma * both
    return Terms(u, h, (both.sign() + 1) / 2, output_errors, current_errors, w)


def factors(W: Tensor, encoder: Tensor, decoder: Tensor, gamma: Tensor, at: Terms) -> tuple[Tensor, Tensor]:
    """Two `... x n x 3`, of which the gradient is the product: left @ right.mT."""
    r = at.current_errors
    through = at.slopes * (decoder * at.output_errors + thin_matmul(W.mT, r)) - gamma * r  # ... x n x 2
    left = torch.cat([r, through[..., :1] - through[..., 1:]], dim=-1)
    return 2 * at.weight * left, torch.cat([at.states, encoder.expand(at.image.shape)], dim=-1)


def signed(values: Tensor) -> Tensor:
    """`... x 2` from `... x 1`: the values times z = 1 and -1."""
    return torch.cat([values, -values], dim=-1)


def thin_matmul(W: Tensor, vectors: Tensor) -> Tensor:
    """W @ vectors for one or two columns, as rows on the left: BLAS is several times slower the other way round."""
    return (vectors.mT.contiguous() @ W.mT).mT
