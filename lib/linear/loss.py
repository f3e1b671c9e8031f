r"""The averaged loss of a linear network and its gradient in closed form (paper, equations 7, 10, 41 to 43).

$$\mathcal{L} = \sum_{q,p=1}^{T} \chi_{qp} \sum_{a,b} w_a\, \Delta_{q,ab}\, \Delta_{p,ab}, \qquad
\Delta_q = d^\dagger W^q e - \mathrm{diag}(s_c\gamma_c^q)$$

The inputs of different channels are independent. $w_a$ is 1 ("paper") or $1/(s_a^2 T^2)$ ("authors").
"""

import torch
from torch import Tensor

from lib import checks
from lib.linear.covariance import white
from lib.linear.moments import check_shapes, images, moments, target_moments
from lib.losses import NORMALISATIONS
from lib.tasks import Task


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
        chi: `T x T`, see `lib.linear.covariance`; None is unit white noise.
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
    """
    _, weighted = moment_errors(W, encoders, decoders, task, chi=chi, normalisation=normalisation)
    T = task.T
    E = images(W, encoders, T)  # ... T n D, W^j e
    Z = images(W.mT, decoders, T)  # W'^k d
    k = torch.arange(T, device=W.device)
    order = k[:, None] + k  # G_{k+j+1}, which is zero beyond T
    G = torch.cat([2 * weighted, torch.zeros_like(weighted)], dim=-3)[..., order, :, :]  # ... T T D D
    left = torch.einsum("...knd,...kjdb->...njb", Z, G)  # ... n T D
    return left.flatten(-2) @ E.movedim(-3, -2).flatten(-2).mT


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
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    check_shapes(W, encoders, decoders)
    if encoders.shape[-1] != task.D:
        raise ValueError(f"task must have the network's {encoders.shape[-1]} channels, got {task.D}")
    chi = (white(task.T) if chi is None else checks.tensor("chi", chi, (task.T, task.T))).to(W)
    errors = moments(W, encoders, decoders, task.T) - target_moments(task, task.T, W)
    weighted = torch.einsum("qp,...pab->...qab", chi, errors)
    if normalisation == "authors":
        s = torch.tensor(task.scales, dtype=W.dtype, device=W.device)
        weighted = weighted / (s * task.T).square()[:, None]
    return errors, weighted
