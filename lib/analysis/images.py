r"""The currents that the two half lines and the encoder cause (paper, section 4.2, equations 24 and 27, figure 5)."""

from typing import NamedTuple

import torch
from torch import Tensor

from lib.theory.relu.rank_one import Number, checked


class Images(NamedTuple):
    r"""With $L_\pm = \lfloor\pm We\rfloor_+/(s\gamma)$; in a network that integrates $WL_+ = -WL_- = We/s$."""

    plus: Tensor  # ... x n x 1, W L+
    minus: Tensor  # ... x n x 1, W L-
    encoder: Tensor  # ... x n x 1, W e


class Lines(NamedTuple):
    """How well three images lie on one line, one number for each network."""

    slope_minus_on_plus: Tensor  # of the components of W L- on those of W L+, by least squares through the origin
    residual_minus: Tensor  # |W L+ + W L-| / |W L+|
    slope_encoder_on_plus: Tensor  # of W e on W L+
    residual_encoder: Tensor  # |W e - s W L+| / |W e|


def images(W: Tensor, encoder: Tensor, decay: Number, scale: Number) -> Images:
    r"""The three currents of figure 5.

    Args:
        W: `... x n x n` weights.
        encoder: `... x n x 1`.
        decay: $\gamma$, a number or `...`.
        scale: $s$, a number or `...`.

    Raises:
        ValueError: shapes that do not fit, a decay outside (0, 1], a scale that is not positive.
    """
    gamma, s = checked(encoder, encoder, decay, scale, W)
    u = W @ encoder
    L = torch.cat([u, -u], dim=-1).clamp_min(0) / (s * gamma)  # ... n 2
    both = W @ L
    return Images(both[..., :1], both[..., 1:], u)


def lines(found: Images, scale: Number) -> Lines:
    """Slopes and distances of the images of networks of this scale."""
    s = torch.as_tensor(scale, dtype=found.plus.dtype, device=found.plus.device)
    plus, minus, u = (v[..., 0] for v in found)  # ... n
    squares = plus.square().sum(-1)
    return Lines(
        slope_minus_on_plus=(minus * plus).sum(-1) / squares,
        residual_minus=(plus + minus).norm(dim=-1) / squares.sqrt(),
        slope_encoder_on_plus=(u * plus).sum(-1) / squares,
        residual_encoder=(u - s[..., None] * plus).norm(dim=-1) / u.norm(dim=-1),
    )
