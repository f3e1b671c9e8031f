r"""Why gradient descent is slow at one scale (paper, appendix H): D = 1, scale $s^* = d\cdot e$.

Unit vectors $\hat d$, $\hat e$ enclose an angle of cosine $\kappa$; $\hat d_\perp$ and $\hat e_\perp$ are the parts of
the other that are orthogonal to them, normalised. In the orthonormal basis

$$W = \gamma 1 + z\,\hat d\hat e^\dagger + x\,\hat d_\perp\hat e^\dagger + y\,\hat d\hat e_\perp^\dagger
+ c\,\hat d_\perp\hat e_\perp^\dagger$$

the integrators of rank two are the two planes z = x = 0 (where $We = \gamma e$; the paper's $\mathcal M_\beta$) and
z = y = 0 (where $W^\dagger d = \gamma d$; $\mathcal M_\alpha$), and they cross on the line of c. Near it z follows at
once and the loss is $A\,x^2y^2$ (erratum E8). The reflection that exchanges $\hat d$ and $\hat e$ exchanges x and y.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.covariance import white
from lib.theory.linear.moments import check_shapes, check_vectors


class Coordinates(NamedTuple):
    """Numbers that say where a matrix lies; each `...`."""

    z: Tensor  # the fast direction
    x: Tensor  # distance from the plane where the encoder is an eigenvector
    y: Tensor  # distance from the plane where the decoder is a left eigenvector
    c: Tensor  # along the line where the planes cross


def coordinates(W: Tensor, encoders: Tensor, decoders: Tensor, decay: float) -> Coordinates:
    r"""Coordinates of the part of W that acts between encoder and decoder.

    Args:
        W: `... x n x n`; for n = 2 they determine it.
        encoders: `... x n x 1`.
        decoders: `... x n x 1`.
        decay: $\gamma$ in (0, 1].

    Raises:
        ValueError: shapes that do not fit, more than one channel, parallel vectors.
    """
    check_shapes(W, encoders, decoders)
    e, d, e_beside, d_beside = _frame(encoders, decoders)
    deviation = W - decay * torch.eye(W.shape[-1]).to(W)
    inner = torch.cat([d, d_beside], dim=-1).mT @ deviation @ torch.cat([e, e_beside], dim=-1)
    return Coordinates(inner[..., 0, 0], inner[..., 1, 0], inner[..., 0, 1], inner[..., 1, 1])


def reflected(W: Tensor, encoders: Tensor, decoders: Tensor) -> Tensor:
    r"""$S W^\dagger S$ with the reflection S that exchanges $\hat d$ and $\hat e$; it has the moments of W.

    Proof: $d^\dagger (S W^\dagger S)^q e = d^\dagger S (W^q)^\dagger S e = |d||e|\, \hat e^\dagger (W^q)^\dagger \hat d
    = d^\dagger W^q e$. Arguments and errors are those of `coordinates`.
    """
    check_shapes(W, encoders, decoders)
    e, d, *_ = _frame(encoders, decoders)
    u = (d - e) / (d - e).norm(dim=-2, keepdim=True)
    S = torch.eye(W.shape[-1]).to(W) - 2 * u @ u.mT
    return S @ W.mT @ S


def stiffness(
    second: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""A in the loss $A x^2 y^2$ beside the integrator on the crossing line whose second eigenvalue is $\lambda$.

    To second order in x and y the error of moment q is $a_q z + b_q xy$ with

    $$a_q = |d||e|\, q\gamma^{q-1}, \qquad
    b_q = -d\cdot e\, \sum_{m=2}^{q} \binom{q}{m} \gamma^{q-m} (\lambda - \gamma)^{m-2}$$

    and z takes the value that makes the loss smallest, hence
    $A = w\,[b\chi b - (a\chi b)^2 / a\chi a]$. Gradient flow from x = y then has $x^2 = 1/(4A\tau)$ and the loss
    $1/(16 A \tau^2)$; beside the crossing $x^2 - y^2$ stays and the loss decays at the rate $4A|x^2 - y^2|$.

    Args:
        second: `...` second eigenvalues $\lambda = \gamma - \kappa c$.
        encoders: `... x n x 1`.
        decoders: `... x n x 1`.
        task: one channel of scale $d\cdot e$, training length T of at least 2.
        chi: `T x T`, see `lib.theory.linear.covariance`; None is unit white noise.
        normalisation: "paper" or "authors".

    Raises:
        ValueError: shapes that do not fit, more than one channel, parallel vectors, T = 1, an unknown normalisation.
    """
    checks.one_of("normalisation", normalisation, ["paper", "authors"])
    checks.whole("T", task.T, 2)
    _frame(encoders, decoders)
    gamma, T = task.decays[0], task.T
    chi = (white(T) if chi is None else checks.tensor("chi", chi, (T, T))).to(encoders)
    overlap = (encoders * decoders).sum(dim=(-2, -1))
    q = torch.arange(1, T + 1).to(encoders)
    sizes = encoders.norm(dim=(-2, -1)) * decoders.norm(dim=(-2, -1))
    a = sizes[..., None] * q * gamma ** (q - 1)
    bent = [torch.zeros_like(second)]  # the sum over m obeys B_q+1 = lambda B_q + q gamma^(q-1)
    for p in range(1, T):
        bent.append(second * bent[-1] + p * gamma ** (p - 1))
    b = -overlap[..., None] * torch.stack(bent, dim=-1)
    aa, ab, bb = (torch.einsum("...q,qp,...p->...", u, chi, v) for u, v in ((a, a), (a, b), (b, b)))
    A = bb - ab.square() / aa
    return A / (task.scales[0] * T) ** 2 if normalisation == "authors" else A


def _frame(encoders: Tensor, decoders: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit vectors, `... x n x 1`: encoder, decoder, and the unit part of the other that is orthogonal to each."""
    check_vectors(encoders, decoders)
    if encoders.shape[-1] != 1:
        raise ValueError(f"expected one channel, got {encoders.shape[-1]}")
    e, d = (v / v.norm(dim=-2, keepdim=True) for v in (encoders, decoders))
    kappa = (e * d).sum(dim=-2, keepdim=True)
    if not (1 - kappa.abs()).min() > 1e-12:
        raise ValueError("encoder and decoder must not be parallel, got a cosine of 1 or -1")
    sine = (1 - kappa.square()).sqrt()
    return e, d, (d - kappa * e) / sine, (e - kappa * d) / sine
