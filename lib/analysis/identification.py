r"""Decays and scales that fit what a network answers, to single pulses or to any input."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lib import checks
from lib.model.signals import integrals


def fit_pulses(responses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Least-squares fit of $s\gamma^{q}$, q = 1, 2, ..., with $\gamma$ from 0 to 1.1; the scale has a closed form.

    Args:
        responses: `D x K` answers to pulses.

    Returns:
        Decays, scales and R2 (1 - residual / sum of squares), D numbers each; an answer that is zero throughout, or not
        finite, has decay and scale 0 and an R2 that is not a number.
    """
    _, K = checks.tensor("responses", responses, ("D", "K")).shape
    good = responses.isfinite().all(dim=1) & (responses != 0).any(dim=1)
    m = torch.where(good[:, None], responses, 0.0).double()
    orders = torch.arange(1, K + 1).to(m)

    def removed(grid: Tensor) -> Tensor:
        """What the best scale removes from the sum of squares, `D x G`."""
        power = grid[:, :, None] ** orders  # D x G x K
        norm = power.square().sum(dim=2).clamp_min(1e-300)
        return torch.einsum("dgk,dk->dg", power, m).square() / norm

    gamma = _searched(removed, m[:, 0], 401)
    power = gamma[:, None] ** orders
    s = (power * m).sum(dim=1) / power.square().sum(dim=1).clamp_min(1e-300)
    gamma, s = (torch.where(good, v, 0.0) for v in (gamma, s))
    r2 = torch.where(good, share_fitted(m, s[:, None] * power), torch.nan)
    return gamma, s, r2


def fit_integrals(x: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Decays and scales of the integrals nearest to some outputs, channel by channel, $\gamma$ from 0 to 1.1.

    Args:
        x: `B x T x D` inputs.
        outputs: `B x T x D`.

    Returns:
        Decays, scales and relative errors (rms over the rms of the fitted integrals), D numbers each; all not numbers
        if an output is not finite, and scales of 0 if it vanishes.
    """
    B, T, D = checks.tensor("x", x, ("B", "T", "D")).shape
    checks.tensor("outputs", outputs, (B, T, D))
    good = outputs.isfinite().all(dim=1).all(dim=0)
    y = torch.where(good, outputs, 0.0).double()

    def candidates(grid: Tensor) -> Tensor:
        """Integrals of scale one, `B x T x D x G`."""
        every = [
            integrals(x[..., c : c + 1].double().expand(B, T, grid.shape[1]).contiguous(), rates, [1.0] * len(rates))
            for c, rates in enumerate(grid.tolist())
        ]
        return torch.stack(every, dim=2)

    def removed(grid: Tensor) -> Tensor:
        z = candidates(grid)
        return torch.einsum("btdg,btd->dg", z, y).square() / z.square().sum(dim=(0, 1)).clamp_min(1e-300)

    gamma = _searched(removed, y[0, 0], 23)
    z = candidates(gamma[:, None])[..., 0]
    norm = z.square().sum(dim=(0, 1)).clamp_min(1e-300)
    s = (z * y).sum(dim=(0, 1)) / norm
    error = ((y - s * z).square().sum(dim=(0, 1)) / (s.square() * norm)).sqrt()
    return tuple(torch.where(good, v, torch.nan) for v in (gamma, s, error))  # type: ignore[return-value]


def _searched(gain: Callable[[Tensor], Tensor], like: Tensor, points: int) -> Tensor:
    """Where a function of `D x G` decays between 0 and 1.1 is largest, D numbers: a grid, refined to 1e-9.

    A smooth function is flat where it is largest, so that its rounding hides the place beyond some 1e-8.
    """
    low, high = torch.zeros_like(like), torch.full_like(like, 1.1)
    unit = torch.linspace(0, 1, points, dtype=like.dtype).to(like.device)
    gamma = low
    for _ in range(math.ceil(math.log(1e9) / math.log((points - 1) / 2)) + 1):
        grid = low[:, None] + (high - low)[:, None] * unit  # D x G
        best = gain(grid).argmax(dim=1, keepdim=True)
        low, high = (grid.gather(1, (best + k).clamp(0, points - 1))[:, 0] for k in (-1, 1))
        gamma = grid.gather(1, best)[:, 0]
    return gamma


def share_fitted(values: Tensor, fitted: Tensor) -> Tensor:
    """1 - residual / sum of squares, about zero: D numbers from two `D x K` tensors."""
    return 1 - (values - fitted).square().sum(dim=1) / values.square().sum(dim=1)
