r"""How many channels a network sustains at a given error, and how that grows with its neurons.

The capacity $D^*$ is the number of channels at which the error, interpolated between the numbers tried with both axes
logarithmic, first exceeds a level. A law $D^* = c\, n^b$ is fitted to networks by least squares in the logarithms.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import t

from lib import checks


def crossing(channels: Sequence[int], errors: Sequence[float], level: float) -> float:
    """D at which the error first exceeds a level; NaN if it never does, or does so already at the first D.

    Args:
        channels: D, increasing.
        errors: One positive error for each; infinity for a network that diverged.
        level: The error allowed.

    Raises:
        ValueError: numbers of channels that do not increase, another number of errors, or an error that is not one.
    """
    checks.positive("level", level)
    if len(channels) != len(errors) or any(b <= a for a, b in zip(channels, channels[1:], strict=False)):
        raise ValueError(f"expected increasing numbers of channels and an error for each, got {channels} and {errors}")
    if not all(error > 0 for error in errors):
        raise ValueError(f"errors must be positive, got {list(errors)}")
    for k in range(1, len(channels)):
        below, above = errors[k - 1], errors[k]
        if below <= level < above:
            share = math.log(level / below) / math.log(above / below)  # 0 if above is infinite
            return channels[k - 1] * (channels[k] / channels[k - 1]) ** share
        if below > level:
            break
    return math.nan


def next_channels(errors: Mapping[int, float], choices: Sequence[int], low: float, high: float) -> int | None:
    """The D to try next, so that the errors come to enclose both levels; None if they do, or no D is left.

    Args:
        errors: By the D tried so far, one at least.
        choices: All D, increasing.
        low: As long as even the smallest D tried exceeds this error, the way goes down.
        high: As long as the largest D tried does not exceed this one, it goes up.
    """
    first, last = min(errors), max(errors)
    if errors[first] > low and first > choices[0]:
        return max(D for D in choices if D < first)
    if errors[last] <= high and last < choices[-1]:
        return min(D for D in choices if D > last)
    return None


class PowerLaw(NamedTuple):
    r"""$D^* = c\,n^b$ by least squares in the logarithms."""

    exponent: float  # b
    prefactor: float  # c
    error: float  # standard error of b
    low: float  # ends of a 95 % interval of b, by Student's t
    high: float
    bootstrap_low: float  # the same by drawing networks anew
    bootstrap_high: float

    def __call__(self, n: float) -> float:
        """D* at n neurons."""
        return self.prefactor * n**self.exponent


def power_law(neurons: ArrayLike, capacities: ArrayLike, *, generator: torch.Generator, draws: int = 2000) -> PowerLaw:
    """The law of some networks, with its uncertainty.

    Args:
        neurons: n of each network.
        capacities: Its D*; networks without one (NaN) do not count.
        generator: Of the networks that are drawn anew.
        draws: How often.

    Raises:
        ValueError: other lengths, fewer than three networks that count, or all of one n.
    """
    n, D = np.asarray(neurons, float), np.asarray(capacities, float)
    if n.ndim != 1 or n.shape != D.shape:
        raise ValueError(f"expected a capacity for each n, got shapes {n.shape} and {D.shape}")
    x, y = np.log(n[np.isfinite(D)]), np.log(D[np.isfinite(D)])
    if len(x) < 3 or np.ptp(x) == 0:
        raise ValueError(f"expected three networks of two sizes or more, got log n = {x.tolist()}")
    which = torch.randint(len(x), (checks.whole("draws", draws, 1), len(x)), generator=generator).numpy()
    drawn = which[np.ptp(x[which], axis=1) > 0]  # networks of one n have no slope
    ends = np.quantile(_slopes(x[drawn], y[drawn]), [0.025, 0.975]).tolist()
    b = _slopes(x, y).item()
    intercept = (y.mean() - b * x.mean()).item()
    left = y - intercept - b * x
    error = math.sqrt((left @ left).item() / (len(x) - 2) / ((x - x.mean()) ** 2).sum().item())
    half = float(t.ppf(0.975, len(x) - 2)) * error
    return PowerLaw(b, math.exp(intercept), error, b - half, b + half, *ends)


class Collapse(NamedTuple):
    r"""$\log\epsilon = \alpha + \beta\,(\log D - p \log n)$ by least squares."""

    power: float  # p
    left: float  # standard deviation of log errors that is left
    left_proportional: float  # the same with p = 1


def collapse(neurons: ArrayLike, channels: ArrayLike, errors: ArrayLike) -> Collapse:
    """How well errors of networks depend on $D/n^p$ alone.

    Args:
        neurons: n of each network.
        channels: Its D.
        errors: Its error, positive.

    Raises:
        ValueError: other lengths, errors that are not positive numbers, or fewer than two n or two D.
    """
    n, D, error = (np.asarray(values, float) for values in (neurons, channels, errors))
    if not (n.ndim == 1 and n.shape == D.shape == error.shape):
        raise ValueError(f"expected n, D and error of each network, got shapes {n.shape}, {D.shape} and {error.shape}")
    if not (np.isfinite(error) & (error > 0)).all():
        raise ValueError(f"errors must be positive numbers, got {error.tolist()}")
    x, d, y = np.log(n), np.log(D), np.log(error)
    if np.ptp(x) == 0 or np.ptp(d) == 0:
        raise ValueError("expected networks of two sizes and two numbers of channels or more, got one of either")
    one, fits = np.ones_like(y), []
    for columns in ((one, d, x), (one, d - x)):
        matrix = np.stack(columns, axis=1)
        factors = np.linalg.lstsq(matrix, y, rcond=None)[0]
        fits.append((factors, float(np.sqrt(np.mean((y - matrix @ factors) ** 2)))))
    (free, left), (_, proportional) = fits
    return Collapse(float(-free[2] / free[1]), left, proportional)


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least-squares slopes along the last axis."""
    dx = x - x.mean(axis=-1, keepdims=True)
    return (dx * y).sum(axis=-1) / (dx**2).sum(axis=-1)


def one_step_error(D: int, n: float) -> float:
    r"""Expected relative error of the integrals that n random rectified neurons hold, read along fixed decoders.

    With $F_i = 2 d_i$ the odd half of the states gives the integrals, and the even half adds $\sum_i d_i |d_i\cdot y|$:
    relative mean square $(D + 2)/n$ for Gaussian $d_i$ of variance $1/n$ in each channel. The share
    $D\kappa^2 \to 2/\pi$ of it, $\kappa$ the mean absolute first coordinate of a point of the unit sphere, is the same
    in every direction of y, and is taken off here as what one number for each channel can mend.

    Args:
        D: Channels.
        n: Neurons.
    """
    checks.whole("D", D, 1)
    kappa = math.exp(math.lgamma(D / 2) - math.lgamma((D + 1) / 2)) / math.sqrt(math.pi)
    return math.sqrt(max(1 - D * kappa**2, 0.0) * (D + 2) / checks.positive("n", n))


def one_step_neurons(D: int, level: float) -> float:
    """Neurons at which `one_step_error` equals a level."""
    return (one_step_error(D, 1.0) / checks.positive("level", level)) ** 2
