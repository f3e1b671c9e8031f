r"""Moments of a linear network: its response to a pulse, which says all about it (paper, equations 7 to 9).

A linear network that receives the inputs x has the outputs $y_t = \sum_q M_q\, x_{t+1-q}$ with the `D x D` moments
$M_q = d^\dagger W^q e$; it integrates if $M_q = \mathrm{diag}(s_c \gamma_c^q)$ for all q.
"""

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task


def moments(W: Tensor, encoders: Tensor, decoders: Tensor, orders: int) -> Tensor:
    r"""Moments $d_a^\dagger W^q e_b$ of the orders q = 1 to `orders` (equation 8), without forming powers of W.

    Args:
        W: `... x n x n` weights.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        orders: How many.

    Returns:
        `... x orders x D x D`; first index of a matrix: output, second: input.

    Raises:
        ValueError: shapes that do not fit.
    """
    check_shapes(W, encoders, decoders)
    checks.whole("orders", orders, 1)
    return torch.einsum("...na,...qnb->...qab", decoders, krylov_vectors(W, encoders, orders + 1)[..., 1:, :, :])


def krylov_vectors(W: Tensor, vectors: Tensor, orders: int) -> Tensor:
    """Vectors under the powers 0 to `orders` - 1 of W: `... x orders x n x D` from `... x n x n` and `... x n x D`."""
    found = [vectors.expand(*W.shape[:-2], *vectors.shape[-2:]).mT]
    for _ in range(orders - 1):
        found.append(found[-1] @ W.mT)  # as rows: several times faster for 1 < D << n
    return torch.stack(found, dim=-3).mT


def target_moments(task: Task, orders: int, like: Tensor) -> Tensor:
    r"""Moments $\mathrm{diag}(s_c\gamma_c^q)$ of an integrator, `orders x D x D`, in dtype and on device of `like`."""
    gamma, s = (torch.tensor(values, dtype=like.dtype, device=like.device) for values in (task.decays, task.scales))
    q = torch.arange(1, orders + 1, dtype=like.dtype, device=like.device)
    return torch.diag_embed(s * gamma ** q[:, None])


def for_scipy(*tensors: Tensor) -> list[Tensor]:
    """In float64 on the CPU, without gradients: first to the CPU, since not every device knows float64."""
    return [x.detach().cpu().double() for x in tensors]


def check_shapes(W: Tensor, encoders: Tensor, decoders: Tensor) -> None:
    """Raise a ValueError unless these are `... x n x n`, `... x n x D` and `... x n x D` for the same n and D."""
    check_vectors(encoders, decoders)
    shape, n = tuple(W.shape), encoders.shape[-2]
    if shape[-2:] != (n, n):
        raise ValueError(f"expected W {n} x {n} for encoders of {n} neurons, got {shape}")


def check_vectors(encoders: Tensor, decoders: Tensor) -> None:
    """Raise a ValueError unless these are two `... x n x D`."""
    shapes = tuple(encoders.shape), tuple(decoders.shape)
    if min(map(len, shapes)) < 2 or shapes[0][-2:] != shapes[1][-2:]:
        raise ValueError(f"encoders and decoders must both be n x D, got {shapes[0]} and {shapes[1]}")
