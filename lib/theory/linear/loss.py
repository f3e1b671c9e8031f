r"""The averaged loss of a linear network and its gradient in closed form (paper, equations 7, 10, 41 to 43).

$$\mathcal{L} = \sum_{q,p=1}^{T} \chi_{qp} \sum_{a,b} w_a\, \Delta_{q,ab}\, \Delta_{p,ab}, \qquad
\Delta_q = d^\dagger W^q e - \mathrm{diag}(s_c\gamma_c^q)$$

The inputs of different channels are independent. $w_a$ is 1 ("paper") or $1/(s_a^2 T^2)$ ("authors").
"""

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.covariance import white
from lib.theory.linear.moments import check_shapes, krylov_vectors, moments, target_moments
from lib.training.losses import NORMALISATIONS


def averaged_loss(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    """Expectation of the batch loss of equation 5 (equations 7 and 41): one number for each network of the batch.

    Args:
        W: `... x n x n` weights.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        chi: `T x T`, see `lib.theory.linear.covariance`; None is unit white noise.
        normalisation: "paper" (as printed) or "authors".

    Raises:
        ValueError: shapes that do not fit, or an unknown normalisation.
    """
    errors, weighted = moment_errors(W, encoders, decoders, task, chi=chi, normalisation=normalisation)
    return (errors * weighted).sum(dim=(-3, -2, -1))


def gradient(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> Tensor:
    r"""Gradient of `averaged_loss` with respect to W, `... x n x n` (equations 10, 42, 43).

    $$\frac{\partial\mathcal{L}}{\partial W} = \sum_{k + j < T} (W^{\dagger k} d)\; G_{k+j+1}\; (W^j e)^\dagger, \qquad
    G_q = 2 w \sum_p \chi_{qp} \Delta_p$$

    It costs 2T - 1 products of W with `n x D` and one of `n x TD x n`.
    """
    check_shapes(W, encoders, decoders)
    E = krylov_vectors(W, encoders, task.T + 1)  # ... T+1 n D, W^j e
    Z = krylov_vectors(W.mT, decoders, task.T)  # ... T n D, W'^k d
    found = torch.einsum("...na,...qnb->...qab", decoders, E[..., 1:, :, :])
    _, weighted = weigh(found, task, chi=chi, normalisation=normalisation)
    return contract(Z, 2 * weighted).mT @ rows(E[..., :-1, :, :])


def moment_errors(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task,
    *,
    chi: Tensor | None = None,
    normalisation: str = "authors",
) -> tuple[Tensor, Tensor]:
    r"""$\Delta_q$ and $w \sum_p \chi_{qp} \Delta_p$, two `... x T x D x D` tensors whose product sums to the loss."""
    return weigh(moments(W, encoders, decoders, task.T), task, chi=chi, normalisation=normalisation)


def weigh(
    found: Tensor, task: Task, *, chi: Tensor | None = None, normalisation: str = "authors"
) -> tuple[Tensor, Tensor]:
    """The two tensors of `moment_errors` for `... x T x D x D` moments that are already there."""
    check_task(task, found.shape[-1], normalisation)
    errors = found - target_moments(task, task.T, found)
    return errors, weighted_errors(errors, task, chi=chi, normalisation=normalisation)


def weighted_errors(errors: Tensor, task: Task, *, chi: Tensor | None, normalisation: str) -> Tensor:
    r"""$w \sum_p \chi_{qp} \Delta_p$ of `... x T x D x D` tensors $\Delta$, which may be derivatives of errors."""
    check_task(task, errors.shape[-1], normalisation)
    chi = (white(task.T) if chi is None else checks.tensor("chi", chi, (task.T, task.T))).to(errors)
    weighted = torch.einsum("qp,...pab->...qab", chi, errors)
    if normalisation == "authors":
        s = torch.tensor(task.scales, dtype=errors.dtype, device=errors.device)
        weighted = weighted / (s * task.T).square()[:, None]
    return weighted


def check_task(task: Task, D: int, normalisation: str) -> None:
    """Raise a ValueError unless the task has D channels and the normalisation has a name."""
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    if task.D != D:
        raise ValueError(f"task must have the network's {D} channels, got {task.D}")


def contract(Z: Tensor, G: Tensor) -> Tensor:
    r"""$\sum_{k < T - j} G_{k+j+1}^\dagger Z_k^\dagger$ for j = 0 to T - 1, `... x TD x n`, from `... x T x n x D`.

    G is `... x T x D x D` and begins with $G_1$; beyond T it is zero.
    """
    k = torch.arange(G.shape[-3], device=G.device)
    G = torch.cat([G, torch.zeros_like(G)], dim=-3)[..., k[:, None] + k, :, :]  # ... k j D D
    return G.transpose(-3, -2).flatten(-4, -3).flatten(-2).mT @ rows(Z)


def rows(vectors: Tensor) -> Tensor:
    """`... x TD x n` from `... x T x n x D`."""
    return vectors.mT.flatten(-3, -2)
