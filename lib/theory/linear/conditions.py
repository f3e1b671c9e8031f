r"""Does a linear network integrate, and for how long? (paper, section 3.1)

A network integrates for ever if its moments $M_q = d^\dagger W^q e$ are $\mathrm{diag}(s_c\gamma_c^q)$ for every
$q \ge 1$. `examine` answers for any weights, with or without a task in mind, from the moments alone: no eigenvectors,
which repeated or defective eigenvalues would spoil.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.task import Task
from lib.theory.linear.moments import check_shapes, moments


def sufficient_length(rank: int, decays: Sequence[float]) -> int:
    r"""Number of moments that decide: if those of the orders 1 to this are right, all are.

    Let m be the minimal polynomial of W on its range, of degree at most the rank r. For $q \ge 1$ the moments satisfy
    the linear recurrence with characteristic polynomial m (Cayley and Hamilton), the targets that with
    $\prod (z - \gamma)$ over different decays, and the errors that with the product: r + (number of different decays)
    zeros in a row make all that follow zero. For one channel this is r + 1, and n + 1 at full rank.

    Args:
        rank: Of W, or an upper bound.
        decays: $\gamma_c$.
    """
    return checks.whole("rank", rank, 0) + len(set(decays))


class Examination(NamedTuple):
    """What `examine` found out about a network; `print` it for a text."""

    integrates: bool  # whether every order that was looked at is right
    tolerance: float  # largest accepted error, as a share of the scale of the output
    horizon: int  # the last order up to which all that was looked at is right
    decays: Tensor  # D: gamma_c, of the task or found
    scales: Tensor  # D: s_c, of the task or found
    given: bool  # whether there was a task
    orders: Tensor  # K: 1, 2, 4, ..., where errors are listed
    errors: Tensor  # K: largest error of the D x D moments there, as a share of the scale

    @property
    def growth(self) -> float:
        """Factor per step between the last two errors that are finite and above rounding; 0 if there are none."""
        pairs = zip(self.orders.tolist(), self.errors.tolist(), strict=True)
        seen = [(q, error) for q, error in pairs if 1e-12 < error < float("inf")][-2:]
        return (seen[1][1] / seen[0][1]) ** (1 / (seen[1][0] - seen[0][0])) if len(seen) == 2 else 0.0

    def __str__(self) -> str:
        pairs = zip(self.decays.tolist(), self.scales.tolist(), strict=True)
        channels = "; ".join(f"decay {gamma:.6g}, scale {s:.6g}" for gamma, s in pairs)
        text = [f"{'asked for' if self.given else 'found'}: {channels}"]
        if self.integrates:
            text.append(f"integrates: errors stay below {self.tolerance:g} of the scale for {self.horizon} steps")
            return "\n".join(text)
        text.append(f"does not integrate: errors stay below {self.tolerance:g} of the scale for {self.horizon} steps")
        large = [
            f"{error:.2g} at {q}"
            for q, error in zip(self.orders.tolist(), self.errors.tolist(), strict=True)
            if error > self.tolerance
        ]
        text.append(f"errors by step: {', '.join(large[:6])}{', ...' if len(large) > 6 else ''}")
        if self.growth > 1:
            text.append(f"late errors grow by the factor {self.growth:.4g} per step")
        return "\n".join(text)


def examine(
    W: Tensor,
    encoders: Tensor,
    decoders: Tensor,
    task: Task | None = None,
    *,
    tolerance: float = 1e-6,
    furthest: int = 2**20,
) -> Examination:
    r"""Whether a linear network integrates: at the decays and scales of a task, or at its own.

    Errors are $|M_q - \mathrm{diag}(s_c\gamma_c^q)|$, largest entry, each row as a share of its $|s_c|$. They are
    computed at every order up to n + D, which decides in exact arithmetic (`sufficient_length`), and at the powers of
    two up to `furthest`, by repeated squaring of W, which catches modes that are too weak to be seen at first but grow.
    A growing mode that is neither driven nor read out counts too once rounding, or overflow, makes it felt.

    Args:
        W: `n x n` weights of one network.
        encoders: `n x D`.
        decoders: `n x D`.
        task: Decays and scales to compare with; T is not used. None: those that fit the network best.
        tolerance: Largest error that counts as none.
        furthest: Number of steps that are long enough.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, a task of other than D channels, or a tolerance
            or number of steps that is not positive.
    """
    check_shapes(W, encoders, decoders)
    for name, value in (("W", W), ("encoders", encoders), ("decoders", decoders)):
        checks.finite(name, checks.tensor(name, value, ("n", "n" if name == "W" else "D")))
    checks.positive("tolerance", tolerance)
    checks.whole("furthest", furthest, 1)
    n, D = encoders.shape
    if task is not None and task.D != D:
        raise ValueError(f"task must have the network's {D} channels, got {task.D}")
    W, e, d = W.detach().double(), encoders.detach().double(), decoders.detach().double()
    near = moments(W, e, d, n + D)
    if task is None:
        gamma, s = _fitted(near, tolerance)
    else:
        gamma, s = (torch.tensor(values, dtype=W.dtype, device=W.device) for values in (task.decays, task.scales))
    powers, far = [], []
    power, q = W, 1
    while q <= furthest:
        powers.append(q)
        far.append(d.mT @ power @ e)
        power, q = power @ power, 2 * q
    orders = torch.cat([torch.arange(1, n + D + 1), torch.tensor(powers)]).to(near.device)
    errors = _errors(torch.cat([near, torch.stack(far)]), orders, gamma, s)
    wrong = orders[~(errors <= tolerance)]
    right = orders if wrong.numel() == 0 else orders[orders < wrong.min()]
    horizon = int(right.max().item()) if right.numel() else 0
    return Examination(
        wrong.numel() == 0,
        tolerance,
        horizon,
        gamma,
        s,
        task is not None,
        orders[n + D :],
        errors[n + D :],
    )


def _errors(found: Tensor, orders: Tensor, gamma: Tensor, s: Tensor) -> Tensor:
    """Largest entry of each moment's error (`K`), as a share of the scales; what is not a number is infinite."""
    target = torch.diag_embed(s * gamma ** orders[:, None])
    return ((found - target) / s.abs()[:, None]).abs().nan_to_num(torch.inf, posinf=torch.inf).amax(dim=(-2, -1))


def _fitted(found: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    r"""The decays and scales nearest to `K x D x D` moments, channel by channel.

    $\gamma = (\mu_{1+k} / \mu_1)^{1/k}$ for k = 1, 2, 4, ...; long lags are less sensitive to noise, short ones to what
    goes wrong later. The one that is right for the longest time is taken, then the one with the smaller largest error.
    """
    m = found.diagonal(dim1=-2, dim2=-1)  # K D
    orders = torch.arange(1, len(m) + 1, device=m.device)
    lags = 2 ** torch.arange(max(1, (len(m) - 1).bit_length()), device=m.device)
    lags = lags[lags < len(m)]
    gamma = (m[lags] / m[0]).clamp(min=0) ** (1 / lags[:, None])
    gamma = gamma.nan_to_num(0.0).clamp(max=1.0)  # lags D
    s = m[0] / gamma
    errors = ((m - s[:, None] * gamma[:, None] ** orders[:, None]) / s[:, None]).abs().nan_to_num(torch.inf)  # lags K D
    time_right = ((errors <= tolerance).cumprod(dim=1)).sum(dim=1)
    best = (time_right - errors.amax(dim=1).clamp(max=1.0) / 2).argmax(dim=0, keepdim=True)
    return gamma.gather(0, best)[0], s.gather(0, best)[0]
