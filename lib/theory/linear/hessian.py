r"""Hessian of the averaged loss in closed form, for any weights (paper, appendix B, equation 44).

With $Z_k = W^{\dagger k} d$, $E_j = W^j e$ and $G_q = 2 w \sum_p \chi_{qp} \Delta_p$ as in the gradient,

$$\mathcal{H}[X, Y] = 2 \sum_{q,p} \chi_{qp} \langle \partial_X \mu_q,\, w\, \partial_Y \mu_p \rangle
+ \sum_q \langle G_q,\, \partial^2_{XY} \mu_q \rangle .$$

The first term is equation 44, called the Gauss-Newton part. The second one has second derivatives of moments; it
vanishes at an integrator, where every $G_q$ does, and in general only there equation 44 is the Hessian.

Directions X are `n x n` matrices like W; tensors have the indices `[i, j, k, l]` of $\partial W_{ij} \partial W_{kl}$.
"""

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.loss import contract, moment_errors, rows, weighted_errors
from lib.theory.linear.moments import check_shapes, krylov_vectors


def hessian(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""Second derivatives of `averaged_loss` in W, `... x n x n x n x n`, for small n.

    $$\sum_q \langle G_q, \partial^2 \mu_q \rangle_{ij,kl}
    = \sum_{b=0}^{T-2} (R_b)_{il} (W^b)_{jk} + (R_b)_{kj} (W^b)_{li}, \quad
    R_b = \sum_{k,j} Z_k\, G_{k+b+j+2}\, E_j^\dagger$$

    The arguments are those of `averaged_loss`.

    Raises:
        ValueError: shapes that do not fit, or an unknown normalisation.
    """
    options = {"chi": chi, "normalisation": normalisation}
    first = gauss_newton(W, encoders, decoders, task, **options)
    _, weighted = moment_errors(W, encoders, decoders, task, **options)
    E, Z = krylov_vectors(W, encoders, task.T), krylov_vectors(W.mT, decoders, task.T)
    power = torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    for b in range(task.T - 1):
        later = 2 * weighted[..., b + 1 :, :, :]  # G_{b+2} to G_T
        m = later.shape[-3]
        R = contract(Z[..., :m, :, :], later).mT @ rows(E[..., :m, :, :])
        first = first + torch.einsum("...il,...jk->...ijkl", R, power) + torch.einsum("...kj,...li->...ijkl", R, power)
        power = power @ W
    return first


def gauss_newton(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    """Equation 44: the part of the Hessian with first derivatives of moments, `... x n x n x n x n`, never negative."""
    J = derivatives(W, encoders, decoders, task.T)
    weighted = _weighted_derivatives(J, task, chi, normalisation)
    return 2 * torch.einsum("...qabij,...qabkl->...ijkl", J, weighted)


def hessian_product(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    direction: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    """The Hessian times a direction, without the Hessian: for any n, at about three times the cost of a gradient.

    Args:
        direction: `... x n x n`; its leading dimensions and those of W are broadcast.

    Returns:
        `... x n x n`, the change of the gradient per change of W along the direction.

    The other arguments and the errors are those of `averaged_loss`.
    """
    check_shapes(W, encoders, decoders)
    if direction.shape[-2:] != W.shape[-2:]:
        raise ValueError(f"direction must be {W.shape[-2]} x {W.shape[-1]} like W, got {tuple(direction.shape)}")
    _, weighted = moment_errors(W, encoders, decoders, task, chi=chi, normalisation=normalisation)
    E, dE = _images_along(W, direction, encoders, task.T + 1)
    Z, dZ = _images_along(W.mT, direction.mT, decoders, task.T)
    errors = torch.einsum("...na,...qnb->...qab", decoders, dE[..., 1:, :, :])
    change = weighted_errors(errors, task, chi=chi, normalisation=normalisation)
    left, right = contract(dZ, 2 * weighted) + contract(Z, 2 * change), contract(Z, 2 * weighted)
    return left.mT @ rows(E[..., :-1, :, :]) + right.mT @ rows(dE[..., :-1, :, :])


def derivatives(W: Tensor, encoders: Tensor, decoders: Tensor, orders: int) -> Tensor:
    r"""First derivatives of the moments of orders 1 to `orders`, `... x orders x D x D x n x n` (above equation 43).

    $$\frac{\partial \mu_{q,ab}}{\partial W} = \sum_{k+j=q-1} (W^{\dagger k} d_a)(W^j e_b)^\dagger$$
    """
    check_shapes(W, encoders, decoders)
    checks.whole("orders", orders, 1)
    return _derivatives(krylov_vectors(W.mT, decoders, orders), krylov_vectors(W, encoders, orders))


def curvatures(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""The eigenvalues of equation 44 that can differ from zero, ascending, `... x T D^2`, for any n.

    At an integrator the other $n^2 - T D^2$ eigenvalues of the Hessian are zero. The derivatives of moments live in the
    span of the $Z_k$ times that of the $E_j$, so orthonormal bases of these two replace the n neurons.
    """
    check_shapes(W, encoders, decoders)
    sides = []
    for vectors, operator in ((decoders, W.mT), (encoders, W)):
        found = krylov_vectors(operator, vectors, task.T)
        small = torch.linalg.qr(rows(found).mT, mode="r").R  # the same vectors in their own basis
        sides.append(small.unflatten(-1, (task.T, vectors.shape[-1])).movedim(-2, -3))
    J = _derivatives(*sides)
    gram = torch.einsum("...qabij,...pcdij->...qabpcd", J, J).flatten(-6, -4).flatten(-3, -1)  # ... TD^2 TD^2
    unit = torch.eye(gram.shape[-1], dtype=W.dtype, device=W.device).unflatten(-1, J.shape[-5:-2])
    root = torch.linalg.cholesky(2 * weighted_errors(unit, task, chi=chi, normalisation=normalisation).flatten(-3))
    return torch.linalg.eigvalsh(root.mT @ gram @ root)


def eigenvalues(H: Tensor) -> Tensor:
    """Of a Hessian `... x n x n x n x n`, as that of a function of n^2 numbers: `... x n^2`, ascending."""
    return torch.linalg.eigvalsh(H.flatten(-4, -3).flatten(-2, -1))


def _derivatives(Z: Tensor, E: Tensor) -> Tensor:
    """`... x T x D x D x n x m` from `... x T x n x D` and `... x T x m x D`."""
    k = torch.arange(Z.shape[-3], device=Z.device)
    pairs = (k[:, None, None] == k[:, None] + k).to(Z)  # q - 1 = k + j
    return torch.einsum("qkj,...kia,...jlb->...qabil", pairs, Z, E)


def _weighted_derivatives(J: Tensor, task: Task, chi: Tensor | None, normalisation: str) -> Tensor:
    """J, `... x T x D x D x n x n`, weighted like errors."""
    errors = J.movedim((-2, -1), (0, 1))
    return weighted_errors(errors, task, chi=chi, normalisation=normalisation).movedim((0, 1), (-2, -1))


def _images_along(W: Tensor, direction: Tensor, vectors: Tensor, orders: int) -> tuple[Tensor, Tensor]:
    """`krylov_vectors`, and how they change when W does along a direction."""
    found = krylov_vectors(W, vectors, orders)
    change = [torch.zeros_like(direction @ vectors)]
    for q in range(1, orders):
        change.append(W @ change[-1] + direction @ found[..., q - 1, :, :])
    return found, torch.stack(torch.broadcast_tensors(*change), dim=-3)
