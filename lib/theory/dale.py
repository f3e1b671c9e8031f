r"""What Dale's law does to a matrix of low rank, and why that costs one more mode (paper, section 5, figure 12).

Putting weights of the wrong sign to zero is $W \to (W + |W| S)/2$ with $S$ the diagonal matrix of the neurons' signs
and $|W|$ taken entry by entry. If $W_{ij} = a_i \cdot b_j$ with D = 2 and directions $\alpha_i, \beta_j$ spread evenly,

$$
|W|_{ij} = |a_i| |b_j| \Big[\frac{2}{\pi}
+ \frac{4}{\pi} \sum_{m \ge 1} \frac{(-1)^{m+1}}{4m^2 - 1} \cos 2m(\alpha_i - \beta_j)\Big],
$$

a mode without sign and pairs of modes that become weak quickly.
"""

import math

import torch
from torch import Tensor

from lib import checks


def clamped_spectrum(k: int) -> Tensor:
    r"""Leading singular values of a clamped pair of equal modes, in units of that pair's own after clamping.

    The mode of the signs comes first, with $4/\pi$; the pair follows, with 1; then two for each term of the series,
    with $4/(\pi(4m^2 - 1))$. Exact for many neurons.

    Returns:
        k numbers in float64.
    """
    checks.whole("k", k, 1)
    m = torch.arange(1, k // 2 + 1, dtype=torch.float64)
    pairs = 4 / (math.pi * (4 * m.square() - 1))
    head = torch.tensor([4 / math.pi, 1, 1], dtype=torch.float64)
    return torch.cat([head, pairs.repeat_interleave(2)])[:k]


def chance_overlap(D: int) -> float:
    r"""Root mean square of $\sqrt n\, l_0^\dagger d_c/|d_c|$ if $l_0$ is the length of n Gaussian decoders' rows.

    $(l_0)_i \propto (\sum_c d_{c,i}^2)^{1/2}$ does not know the decoders' signs, so that the overlap is zero on
    average; its variance is $(D + 2)/D$ over n, against 1 over n for a direction that knows nothing of them.
    """
    return ((checks.whole("D", D, 1) + 2) / D) ** 0.5
