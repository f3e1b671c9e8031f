r"""What random weights beside the trained ones would do to the currents of a rectified network, if training left them.

Let the weights be a Gaussian matrix of spectral radius g and something of low rank, and let the integral stand still at
1 and at -1. A current is the low-rank part, opposite at the two, plus G f(current), which for many neurons is Gaussian
with covariances g^2 <f f>. In units of a current's variance, with c the correlation of the two currents of a neuron,

$$c = -\Big(1 - \frac{g^2}{2}\Big) + g^2 k(c), \qquad
k(c) = \frac{1}{2\pi}\Big[\sqrt{1-c^2} + c\,\big(\pi - \arccos c\big)\Big] .$$

k is the mean product of two rectified normal variables of correlation c.
"""

import math

from scipy.optimize import root_scalar

CRITICAL = math.sqrt(2)  # radius from which a random rectified network sustains its own activity


def rectified_product(c: float) -> float:
    """k(c), the mean product of two rectified standard normal variables of correlation c in [-1, 1]."""
    if not -1 <= c <= 1:
        raise ValueError(f"the correlation must lie in [-1, 1], got {c}")
    return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)


def even_fraction(radius: float) -> float:
    r"""Share of the currents' mean square that does not change sign with the integral, (1 + c) / 2.

    It is 0 for a linear representation, about $g^2/4$ for small radius, and 1 at `CRITICAL`.

    Args:
        radius: g, from 0 to `CRITICAL`.

    Raises:
        ValueError: a radius out of that range; beyond it nothing stands still.
    """
    if not 0 <= radius < CRITICAL:
        raise ValueError(
            f"radius must lie in [0, {CRITICAL:.4g}), where activity does not sustain itself, got {radius}"
        )
    g2 = radius**2
    solved = root_scalar(lambda c: -(1 - g2 / 2) + g2 * rectified_product(c) - c, bracket=(-1.0, 1.0), method="brentq")
    return (1 + solved.root) / 2
