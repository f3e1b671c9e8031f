r"""Curvature of the two-point proxy loss (paper, appendix I, with errata E10 to E12).

With $a_z = h_z - z\gamma e$ and the residuals $\rho_z$ and $r_z = W a_z$ of `lib.theory.relu.two_point`, a change V
of the
weights changes them, with $H_z = \mathrm{diag}\, H(z We)$, by

$$\mathrm{d}\rho_z = z\, d^\dagger H_z V e, \quad \mathrm{d}r_z = V a_z + z\, W H_z V e$$

and $r_z$ by $z\, V H_z V e$ in second order. All that is here follows. The step function has no derivative wherever no
current is zero, which is almost everywhere.
"""

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from lib import checks
from lib.theory.relu.two_point import Number, parameters, terms_of, thin_matmul

SIGNS = (1.0, -1.0)


def hessian(
    W: Tensor,
    encoder: Tensor,
    decoder: Tensor,
    decay: Number,
    scale: Number,
    *,
    sign: int | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""All second derivatives, `... x n x n x n x n` with entries $\partial^2 L / \partial W_{ij} \partial W_{kl}$.

    $$\tfrac{1}{2w} H_{ij,kl} = \sum_z e_j e_l \big[d_i d_k + (W^\dagger W)_{ik}\big] H_{z,i} H_{z,k}
    + \delta_{ik}\, a_{z,j} a_{z,l}
    + z \big[\delta_{jk}\, r_{z,i} H_{z,j} e_l + a_{z,j} W_{ik} H_{z,k} e_l + (ij \leftrightarrow kl)\big]$$

    For a few neurons: it has n^4 entries. Arguments and errors as for `lib.theory.relu.two_point.terms`; with `sign`
    only the
    terms of z = 1 or z = -1 are summed.
    """
    if sign not in (None, 1, -1):
        raise ValueError(f"sign must be 1, -1 or None, got {sign!r}")
    w, e, d, z, H, a, r = _pieces(W, encoder, decoder, decay, scale, normalisation)
    if sign is not None:
        these = slice(0, 1) if sign == 1 else slice(1, 2)
        z, H, a, r = z[these], H[..., these], a[..., these], r[..., these]
    one = torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    He, Hd, HW = H * z, H * d, W[..., None] * H[..., None, :, :]  # ... n 2, ... n 2, ... n n 2 (neuron k's step)
    e = e[..., 0]
    square = torch.einsum("...iz,...kz->...ik", Hd, Hd) + torch.einsum("...aiz,...akz->...ik", HW, HW)
    total = torch.einsum("...ik,...j,...l->...ijkl", square, e, e)
    total = total + torch.einsum("ik,...jz,...lz->...ijkl", one, a, a)
    mixed = torch.einsum("jk,...iz,...jz,...l->...ijkl", one, r, He, e)
    mixed = mixed + torch.einsum("...jz,...ikz,z,...l->...ijkl", a, HW, z, e)
    return 2 * w[..., None, None] * (total + mixed + mixed.movedim((-4, -3), (-2, -1)))


def largest_eigenvalue(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, *, normalisation: str = "authors"
) -> Tensor:
    r"""Largest eigenvalue of the Hessian, `...`, to rounding; steps of gradient descent are stable below $2/\lambda_+$.

    The Hessian maps everything to $x e^\dagger + \sum_z (y_z a_z^\dagger + r_z v_z^\dagger)$, so that it acts on 5n of
    the $n^2$ dimensions and is zero on all others. There the Lanczos method takes a few dozen products. Arguments and
    errors as for `lib.theory.relu.two_point.terms`.
    """
    pieces = _pieces(W, encoder, decoder, decay, scale, normalisation)
    batch, n = W.shape[:-2], W.shape[-1]
    w, e, d, H, a, r = (
        piece.expand(*batch, *piece.shape[-2:]).reshape(-1, *piece.shape[-2:])
        for piece in (pieces[0], *pieces[1:3], *pieces[4:])
    )
    every = W.reshape(-1, n, n)
    found = [_largest(every[k], w[k], e[k], d[k], pieces[3], H[k], a[k], r[k]) for k in range(len(every))]
    return W.new_tensor(found).reshape(batch)


def _largest(W: Tensor, w: Tensor, e: Tensor, d: Tensor, z: Tensor, H: Tensor, a: Tensor, r: Tensor) -> float:
    """For one network: X n x 3 and Y n x 2 stand for X C' + R Y', C and R orthonormal, columns of Y orthogonal to C."""
    C, _ = torch.linalg.qr(torch.cat([e, a], dim=1))  # n x 3
    R, _ = torch.linalg.qr(r)  # n x 2
    n, size = len(W), C.shape[1] + R.shape[1]
    Ce, Ca, Rr = C.T @ e, C.T @ a, R.T @ r

    def outside(Y: Tensor) -> Tensor:
        return Y - C @ (C.T @ Y)

    def apply(vector: np.ndarray) -> np.ndarray:
        X, Y = torch.from_numpy(vector.reshape(n, size)).to(W).split([C.shape[1], R.shape[1]], dim=1)
        Y = outside(Y)
        moved = z * H * (X @ Ce)
        dr = X @ Ca + thin_matmul(W, moved)
        pulled = H * (d * (d.T @ moved) + thin_matmul(W.T, dr) + C @ (X.T @ r) + Y @ Rr)
        along = (pulled * z).sum(1, keepdim=True) @ Ce.T + dr @ Ca.T + r @ (C.T @ moved).T
        return (2 * w * torch.cat([along, outside(moved) @ Rr.T], dim=1)).flatten().double().cpu().numpy()

    operator = LinearOperator((n * size, n * size), matvec=apply, dtype=np.float64)  # type: ignore[call-arg]
    start = np.random.default_rng(0).standard_normal(n * size)
    return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])


def spectrum(
    W: Tensor,
    encoder: Tensor,
    decoder: Tensor,
    decay: Number,
    scale: Number,
    *,
    basis: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""The 2n + 2 eigenvalues of the Hessian that can be positive at an exact integrator, `... x (2n + 2)`, increasing.

    Where all residuals vanish the Hessian is $2 w J^\dagger J$ with the derivative J of the 2n + 2 residuals: two
    outputs, and two currents of each neuron. It has the eigenvalues of $2 w J J^\dagger$, and zeros. Elsewhere this
    is the Gauss-Newton approximation.

    Args:
        W: `... x n x n` weights.
        encoder: As for `lib.theory.relu.two_point.terms`, as are all other arguments and errors.
        decoder: See there.
        decay: See there.
        scale: See there.
        basis: `... x n x k` orthonormal columns, each of them on neurons whose currents have one sign; columns of zeros
            may fill it up. The changes of W, and the currents, are then confined to what these span, and there are
            2k + 2 eigenvalues.
        normalisation: See there.
    """
    w, e, d, z, H, a, _ = _pieces(W, encoder, decoder, decay, scale, normalisation)
    one = torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    if basis is not None:
        Q = checks.tensor("basis", basis, (*["..."] * (basis.ndim - 2), W.shape[-1], "k"))
        H = Q.square().mT @ H
        W, e, d, a, one = Q.mT @ W @ Q, Q.mT @ e, Q.mT @ d, Q.mT @ a, Q.mT @ Q
    L = torch.cat([d.expand(*W.shape[:-1], 1).mT, W], dim=-2)  # ... (n + 1) n, all residuals move by z L H_z V e ...
    own = torch.cat([torch.zeros_like(one[..., :1, :]), one], dim=-2)  # ... and currents by V a_z
    blocks = []
    for p in range(2):
        row = []
        for q in range(2):
            Lp, Lq = (L * H[..., None, :, k] for k in (p, q))
            ea, eb, ab = (e.mT @ a[..., p : p + 1], e.mT @ a[..., q : q + 1], a[..., p : p + 1].mT @ a[..., q : q + 1])
            block = z[p] * z[q] * (e.mT @ e) * (Lp @ Lq.mT) + ab * (own @ own.mT)
            row.append(block + z[p] * eb * (Lp @ own.mT) + z[q] * ea * (own @ Lq.mT))
        blocks.append(torch.cat(row, dim=-1))
    return torch.linalg.eigvalsh(2 * w * torch.cat(blocks, dim=-2))


def _pieces(
    W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, normalisation: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """w, e, d, z (two numbers), H_z, a_z and r_z, the last three `... x n x 2`."""
    gamma, s, w = parameters(W, encoder, decoder, decay, scale, normalisation)
    at = terms_of(W, encoder, decoder, gamma, s, w)
    z = torch.tensor(SIGNS, dtype=W.dtype, device=W.device)
    return w, encoder, decoder, z, at.slopes, at.states - z * gamma * encoder, at.current_errors
