r"""The leading singular vectors of a trained rectified network (paper, appendix J, figures 17 and 18)."""

from typing import NamedTuple

import torch
from torch import Tensor


class Leading(NamedTuple):
    r"""The largest singular value and its vectors l and r, with the sign of both chosen so that $r^\dagger e > 0$."""

    sigma: Tensor  # ..., the largest singular value
    ratio: Tensor  # ..., the second over the first
    left: Tensor  # ... x n x 1, l
    right: Tensor  # ... x n x 1, r
    l_d: Tensor  # ..., cosine of the angle between l and the decoder
    r_e: Tensor  # ..., between r and the encoder
    r_d: Tensor  # ..., between r and the decoder
    positive_share: Tensor  # ..., share of the neurons with a positive component of l
    d_halves: Tensor  # ... x 2, d'l+ and d'l-, where l+ and l- are the positive and the negative part of l, both >= 0
    r_halves: Tensor  # ... x 2, r'l+ and r'l-


def leading(W: Tensor, encoder: Tensor, decoder: Tensor, *, basis: Tensor | None = None) -> Leading:
    r"""Leading singular vectors of a batch of networks, and what they have to do with encoder and decoder.

    Args:
        W: `... x n x n` weights, or `... x k x k` in the columns of a basis: the weights are then
            $B W B^\dagger$.
        encoder: `... x n x 1`.
        decoder: `... x n x 1`.
        basis: `... x n x k`, B; None if W is that of the neurons themselves.

    Raises:
        ValueError: shapes that do not fit.
    """
    k, n = W.shape[-1], encoder.shape[-2]
    fits = k == n if basis is None else tuple(basis.shape[-2:]) == (n, k)
    if not fits or W.shape[-2] != k or tuple(encoder.shape[-2:]) != (n, 1) or encoder.shape[-2:] != decoder.shape[-2:]:
        came = ", ".join(str(tuple(v.shape)) for v in (W, encoder, decoder, *([] if basis is None else [basis])))
        raise ValueError(f"expected W n x n (or k x k with a basis n x k), encoder and decoder n x 1, got {came}")
    if basis is not None:
        basis, R = torch.linalg.qr(basis)
        W = R @ W @ R.mT
    U, sizes, V = torch.linalg.svd(W.detach())
    l, r = U[..., :1], V.mT[..., :1]  # noqa: E741
    if basis is not None:
        l, r = basis @ l, basis @ r  # noqa: E741
    sign = torch.where(r.mT @ encoder >= 0, 1.0, -1.0).to(r)
    l, r = sign * l, sign * r  # noqa: E741
    e, d = encoder / encoder.norm(dim=-2, keepdim=True), decoder / decoder.norm(dim=-2, keepdim=True)
    halves = torch.cat([l, -l], dim=-1).clamp_min(0)  # ... n 2
    return Leading(
        sigma=sizes[..., 0],
        ratio=sizes[..., 1] / sizes[..., 0],
        left=l,
        right=r,
        l_d=(l.mT @ d)[..., 0, 0],
        r_e=(r.mT @ e)[..., 0, 0],
        r_d=(r.mT @ d)[..., 0, 0],
        positive_share=(l[..., 0] > 0).to(l.dtype).mean(dim=-1),
        d_halves=(d.mT @ halves)[..., 0, :],
        r_halves=(r.mT @ halves)[..., 0, :],
    )


def sign_agreement(W: Tensor, image: Tensor) -> Tensor:
    r"""Share of $\sum_{ij} |W_{ij}|$ in entries with the sign of $u_i u_j$, `...` (figure 18).

    Args:
        W: `... x n x n` weights.
        image: `... x n x 1`, u = We, whose signs are the populations.

    Raises:
        ValueError: shapes that do not fit.
    """
    n = W.shape[-1]
    if tuple(W.shape[-2:]) != (n, n) or tuple(image.shape[-2:]) != (n, 1):
        raise ValueError(f"expected W n x n and an image n x 1, got {tuple(W.shape)} and {tuple(image.shape)}")
    signs = image.sign()
    sizes = W.abs().sum(dim=(-2, -1))
    return (1 + (signs.mT @ W @ signs)[..., 0, 0] / sizes) / 2
