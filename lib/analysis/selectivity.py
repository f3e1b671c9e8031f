r"""Whether neurons follow one integral or mix several, and blocks in the weights (paper, section 5, figures 10 and 11).

Neuron i follows $s_i \cdot \bar y$, with the `n x D` selectivities of `lib.analysis.subspaces.selectivity`. It is
called
selective if $s_i$ lies close to an axis.
"""

import itertools
import math

import torch
from scipy.special import betainc
from torch import Tensor

from lib import checks

AXES = (0.0, math.pi / 2, -math.pi / 2, math.pi)


def angles(s: Tensor) -> Tensor:
    r"""Preferred directions $\theta_i = \mathrm{atan2}(s_{i2}, s_{i1})$ in $(-\pi, \pi]$: n numbers from `n x 2`.

    Raises:
        ValueError: selectivities that are not of two channels.
    """
    checks.tensor("s", s, ("n", 2))
    theta = torch.atan2(s[:, 1], s[:, 0])
    return torch.where(theta == -math.pi, math.pi, theta)  # atan2(-0, -1)


def angle_counts(theta: Tensor, bins: int = 20) -> Tensor:
    r"""How many angles fall into each of `bins` equal bins on $(-\pi, \pi]$, over the last axis, in float64.

    An even spread has n / `bins` in each. An angle on the border of two bins belongs to the upper one.

    Args:
        theta: `... x n` angles.
        bins: How many.
    """
    checks.whole("bins", bins, 1)
    place = ((theta.double() + math.pi) * (bins / (2 * math.pi))).floor().long() % bins
    counts = torch.zeros(*theta.shape[:-1], bins, dtype=torch.float64, device=theta.device)
    return counts.scatter_add_(-1, place, torch.ones_like(place, dtype=torch.float64))


def axes_with_peak(counts: Tensor, peaks: int = 4) -> int:
    r"""How many of the directions $0, \pm\pi/2, \pi$ lie within one bin of one of the tallest peaks.

    A peak is a bin that is taller than both its neighbours, around the circle; a direction is within one bin if it is
    at most one bin's width from the middle of the peak.

    Args:
        counts: Bins on $(-\pi, \pi]$, for example the mean of several `angle_counts`.
        peaks: How many of the tallest peaks count.
    """
    bins = len(checks.tensor("counts", counts, ("bins",)))
    width = 2 * math.pi / bins
    higher = (counts > counts.roll(1)) & (counts > counts.roll(-1))
    found = higher.nonzero()[:, 0]
    tallest = found[counts[found].argsort(descending=True, stable=True)][:peaks]
    middles = [(k + 0.5) * width - math.pi for k in tallest.tolist()]
    near = [min((_turn(middle - axis) for middle in middles), default=math.inf) for axis in AXES]
    return sum(distance <= width * (1 + 1e-9) for distance in near)


def _turn(angle: float) -> float:
    """Size of an angle, at most half a turn."""
    return abs(math.remainder(angle, 2 * math.pi))


def largest_share(s: Tensor) -> Tensor:
    r"""Share of the largest component, $\max_c s_{ic}^2 / |s_i|^2$, in [1/D, 1]: n numbers; NaN where $s_i = 0$."""
    squares = checks.tensor("s", s, ("n", "D")).double().square()
    return squares.amax(dim=1) / squares.sum(dim=1)


def axis_share(s: Tensor, degrees: float = 10.0) -> float:
    """Share of the neurons whose selectivity is at most `degrees` from an axis, for any D; see `chance_axis_share`.

    A neuron without selectivity counts as not selective.

    Raises:
        ValueError: degrees outside (0, 45), where one direction could be close to two axes.
    """
    return (largest_share(s) >= math.cos(_radians(degrees)) ** 2).double().mean().item()


def chance_axis_share(D: int, degrees: float = 10.0) -> float:
    """The same share for directions spread evenly over the sphere in D dimensions; 2/9 for D = 2 and ten degrees.

    The square of a component then has a beta distribution with parameters 1/2 and (D - 1)/2.
    """
    if checks.whole("D", D, 1) == 1:
        return 1.0
    return float(D * betainc((D - 1) / 2, 0.5, math.sin(_radians(degrees)) ** 2))


def plane_axis_share(s: Tensor, degrees: float = 10.0) -> float:
    """Mean of `axis_share` over all planes of two channels; an even spread has degrees / 45 in each."""
    D = checks.tensor("s", s, ("n", "D")).shape[1]
    checks.whole("D, the number of channels,", D, 2)
    shares = [axis_share(torch.stack(pair, dim=1), degrees) for pair in itertools.combinations(s.unbind(dim=1), 2)]
    return math.fsum(shares) / len(shares)


def support_groups(support: Tensor) -> Tensor:
    """Group of each neuron by the channels that it serves: n integers from `n x D` booleans.

    Group c serves channel c alone; group D serves several, or none.
    """
    if support.ndim != 2 or support.dtype != torch.bool:
        raise ValueError(f"support must be n x D booleans, got {tuple(support.shape)} {support.dtype}")
    D = support.shape[1]
    return torch.where(support.sum(dim=1) == 1, support.long().argmax(dim=1), D)


def block_shares(W: Tensor, groups: Tensor, count: int) -> Tensor:
    """Share of the squared weights in each block: `count x count`, to and from the groups 0 to `count` - 1; their sum
    is 1 if every neuron is in one of these groups.

    Args:
        W: `n x n` weights.
        groups: n integers, the group of each neuron.
        count: Number of groups.
    """
    n = len(groups)
    checks.whole("count", count, 1)
    squares = checks.tensor("W", W.detach(), (n, n)).double().square()
    members = (groups[:, None] == torch.arange(count, device=groups.device)).double()  # n x count
    return members.T @ squares @ members / squares.sum()


def halves(n: int) -> Tensor:
    """Groups 0 and 1: the first and the second half of n neurons, for weights without supports."""
    return (torch.arange(checks.whole("n", n, 2)) * 2 // n).long()


def off_block_share(shares: Tensor) -> float:
    """Share of the squared weights between different groups, from `block_shares`."""
    return (shares.sum() - shares.trace()).item()


def _radians(degrees: float) -> float:
    if not 0 < degrees < 45:
        raise ValueError(f"degrees must lie in (0, 45), got {degrees}")
    return math.radians(degrees)
