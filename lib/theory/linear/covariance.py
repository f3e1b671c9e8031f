r"""How much each pair of moments weighs in the averaged loss (paper, section 3.1, appendix A; equations 7 and 41)."""

import torch
from torch import Tensor

from lib import checks


def covariance(correlations: Tensor) -> Tensor:
    r"""Matrix $\chi_{qp} = (T + 1 - \max(q, p))\,\langle x_t x_{t+|q-p|}\rangle$ of stationary inputs.

    Args:
        correlations: T numbers, the autocorrelation of the inputs at lags 0 to T - 1.

    Returns:
        `T x T`, positive definite if the first input is not always zero (row C35), even if all others equal it.
    """
    (T,) = checks.tensor("correlations", correlations, ("T",)).shape
    q = torch.arange(T, device=correlations.device)
    return (T - torch.maximum(q[:, None], q)) * correlations[(q[:, None] - q).abs()]


def white(T: int) -> Tensor:
    r"""Of unit white noise: $\chi = \mathrm{diag}(T, T-1, \ldots, 1)$, in float64 on the CPU."""
    return covariance(torch.eye(checks.whole("T", T, 1), dtype=torch.float64)[0])


def autoregressive(T: int, coefficient: float) -> Tensor:
    r"""Of unit AR(1) noise with coefficient $\rho$: lag k has $\rho^k$; float64, on the CPU.

    Raises:
        ValueError: a coefficient outside (-1, 1).
    """
    if not -1 < coefficient < 1:
        raise ValueError(f"coefficient must lie in (-1, 1), got {coefficient}")
    return covariance(float(coefficient) ** torch.arange(checks.whole("T", T, 1), dtype=torch.float64))
