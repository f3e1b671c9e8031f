"""Formulas of appendix I as they are printed, and as the released code has them: for comparison only.

What is right is in `lib.theory.relu.two_point` and `lib.theory.relu.hessian`. One network at a time; the loss is the
paper's, not
divided by s^2. The distributions of the printed text, zero almost everywhere, are left out.
"""

import torch
from torch import Tensor


def gradient_of_currents(W: Tensor, encoder: Tensor, decay: float, scale: float, sign: float) -> Tensor:
    """Gradient of the current term of one sign, `n x n`, with s gamma in the place of gamma e (erratum E10)."""
    u = W @ encoder
    h, H = (sign * u).clamp_min(0), _step(sign * u)
    r = W @ h - sign * decay * u
    return 2 * r @ (h - sign * scale * decay).mT + 2 * sign * (H * (W.mT @ r)) @ encoder.mT


def hessian(W: Tensor, encoder: Tensor, decoder: Tensor, decay: float) -> Tensor:
    """The combined Hessian, `n x n x n x n` (erratum E12)."""
    e, v, w = _mixed(W, encoder, decay)
    one = torch.eye(len(e), dtype=W.dtype, device=W.device)
    mixed = torch.einsum("jk,i,l->ijkl", one, v, e) + torch.einsum("ik,j,l->ijkl", W, w, e)
    return 2 * (_unmixed(W, encoder, decoder, decay) + mixed + mixed.movedim((0, 1), (2, 3)))


def released_hessian(W: Tensor, encoder: Tensor, decay: float) -> Tensor:
    """What the authors' aggregator builds for Figure 16, `n^2 x n^2`, symmetric (erratum E33).

    W is cut to rank one, the encoder serves as decoder, there is no factor 2, n times a diagonal entry stands for
    the mirror of one mixed term, and the solver reads the lower triangle of what is not symmetric.
    """
    left, sizes, right = torch.linalg.svd(W)
    W = sizes[0] * torch.outer(left[:, 0], right[0])
    e, v, w = _mixed(W, encoder, decay)
    n = len(e)
    total = _unmixed(W, encoder, encoder, decay)
    mixed = torch.einsum("ik,j,l->ijkl", W, w, e)
    total += mixed
    total += mixed.movedim((0, 1), (2, 3))
    where_j_is_k = total.diagonal(dim1=1, dim2=2)  # i l j
    where_j_is_k += torch.outer(v, e)[..., None]
    where_i_is_l = where_j_is_k.diagonal(dim1=0, dim2=1)  # j i
    where_i_is_l += n * v * e
    lower = total.reshape(n * n, n * n).tril()
    return lower + lower.tril(-1).mT


def mismatch(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest entry of what is expected."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def _unmixed(W: Tensor, encoder: Tensor, decoder: Tensor, decay: float) -> Tensor:
    """The first three lines of half the Hessian."""
    u = W @ encoder
    H = torch.cat([_step(u), _step(-u)], dim=1)  # n x 2
    a = torch.cat([u.clamp_min(0) - decay * encoder, (-u).clamp_min(0) + decay * encoder], dim=1)
    e = encoder[:, 0]
    square = (decoder @ decoder.mT + W.mT @ W) * (H @ H.mT)
    total = torch.einsum("ik,j,l->ijkl", square, e, e)
    where_i_is_k = total.diagonal(dim1=0, dim2=2)  # j l i
    where_i_is_k += (a @ a.mT)[..., None]
    return total


def _mixed(W: Tensor, encoder: Tensor, decay: float) -> tuple[Tensor, Tensor, Tensor]:
    """e, W^2 e - 2 gamma We and We - 2 gamma e."""
    u = W @ encoder
    return encoder[:, 0], (W @ u - 2 * decay * u)[:, 0], (u - 2 * decay * encoder)[:, 0]


def _step(values: Tensor) -> Tensor:
    return (values.sign() + 1) / 2
