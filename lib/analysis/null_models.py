r"""What the ratios of Table 1 would be by chance: isotropic Gaussian currents and a subspace of D dimensions (E26).

The squared norms inside and outside follow chi-squared distributions with D and n - D degrees of freedom. Equation 39
is the ratio of root-mean-square norms; the mean norms of equation 38 and the ratio of the authors' code have others.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.analysis.representation import chance_ratio
from lib.model.signals import normal


class Chance(NamedTuple):
    """Three ratios of isotropic currents, not in percent, for several numbers of channels: one number each."""

    code: (
        Tensor  # rms outside over rms of the whole current, the definition of `lib.analysis.representation.Ratios.code`
    )
    mean_norms: Tensor  # mean norm outside over mean norm inside, that of `Ratios.mean_norms` (equation 38)
    rms: Tensor  # rms outside over rms inside (equation 39)


def expected(n: int, channels: list[int]) -> Chance:
    r"""The ratios in the limit of many currents: $\sqrt{1 - D/n}$, a ratio of chi means, and $\sqrt{n/D - 1}$.

    Args:
        n: Neurons.
        channels: Numbers of channels D, each below n.
    """
    means = torch.tensor([chance_ratio(n, D) for D in channels], dtype=torch.float64)
    D = torch.tensor(channels, dtype=torch.float64)
    return Chance((1 - D / n).sqrt(), means, (n / D - 1).sqrt())


def sampled(n: int, channels: list[int], draws: int, *, generator: torch.Generator) -> Chance:
    """The same ratios of `draws` currents: n independent normal numbers each, inside being the first D of them.

    That is no restriction: isotropic currents look the same from every subspace.

    Raises:
        ValueError: numbers of channels that are not between 1 and n - 1.
    """
    checks.whole("draws", draws, 1)
    for D in channels:
        checks.whole("n", n, checks.whole("D", D, 1) + 1)
    squares = torch.zeros(len(channels), 2, dtype=torch.float64)  # sums of squared norms, inside and outside
    norms = torch.zeros_like(squares)
    for first in range(0, draws, 1000):  # a thousand currents at a time fit into a processor's cache
        nu2 = normal(min(1000, draws - first), n, generator=generator).square_()
        total = nu2.sum(dim=1)
        for k, D in enumerate(channels):
            inside = nu2[:, :D].sum(dim=1)
            both = torch.stack([inside, total - inside])
            squares[k] += both.sum(dim=1)
            norms[k] += both.sqrt().sum(dim=1)
    return Chance(
        code=(squares[:, 1] / squares.sum(dim=1)).sqrt(),
        mean_norms=norms[:, 1] / norms[:, 0],
        rms=(squares[:, 1] / squares[:, 0]).sqrt(),
    )


def code_from_rms(rms: float) -> float:
    r"""The code's ratio from the rms outside over the rms inside: $\rho/\sqrt{1 + \rho^2}$ (E25)."""
    return rms / math.hypot(1.0, rms)
