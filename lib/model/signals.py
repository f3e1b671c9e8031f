r"""Input signals $x_{c,t}$ and their exact decaying integrals $\bar y_{c,t}$ (paper, section 2, equation 4).

Signals have axes `B x T x D`: sequences, steps, channels. Every draw is made in float64 on the CPU from an explicit
generator and cast afterwards, so that one seed means the same numbers on every processor and device.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from lib import checks

DTYPE = torch.float64
"""Of networks, signals and samplers, unless another one is asked for."""


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    """Independent standard normal numbers of this shape: float64, on the CPU."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def white_noise(
    batch: int,
    T: int,
    D: int = 1,
    *,
    generator: torch.Generator,
    dtype: torch.dtype = DTYPE,
    device: torch.device | str = "cpu",
) -> Tensor:
    """`batch x T x D` independent standard normal inputs, the paper's training signals."""
    for name, value in (("batch", batch), ("T", T), ("D", D)):
        checks.whole(name, value, 1)
    return normal(batch, T, D, generator=generator).to(dtype).to(device)


def autoregressive(
    batch: int,
    T: int,
    D: int = 1,
    *,
    coefficient: float,
    generator: torch.Generator,
    dtype: torch.dtype = DTYPE,
    device: torch.device | str = "cpu",
) -> Tensor:
    r"""`batch x T x D` stationary AR(1) inputs of unit variance, $x_t = \rho x_{t-1} + \sqrt{1-\rho^2}\,\xi_t$.

    Their covariance at lag k is $\rho^{|k|}$, with $\rho$ the `coefficient` in (-1, 1).
    """
    if not -1 < coefficient < 1:
        raise ValueError(f"coefficient must lie in (-1, 1), got {coefficient}")
    noise = white_noise(batch, T, D, generator=generator).numpy()
    noise[:, 1:] *= np.sqrt(1 - coefficient**2)
    return torch.from_numpy(lfilter([1.0], [1.0, -coefficient], noise, axis=1)).to(dtype).to(device)


def bursts(
    batch: int,
    T: int = 200,
    D: int = 1,
    *,
    generator: torch.Generator,
    length: int = 1000,
    candidates: int = 20,
    duration: int = 25,
    refractory: int = 10,
    dtype: torch.dtype = DTYPE,
    device: torch.device | str = "cpu",
) -> Tensor:
    """`batch x T x D` test sequences: bursts of +1 or of -1, separated by sparse noise (after the authors' generator).

    In each sequence of `length` steps, `candidates` start times are drawn; going through them in order, one is kept if
    it comes at least `duration + refractory` steps after the last one kept. A burst lasts `duration` steps, has one
    sign, and each of its steps is active with probability 0.95. Elsewhere the input is the difference of two Bernoulli
    variables of probability 0.05. The first `T` steps are returned.

    Raises:
        ValueError: T beyond `length`, or sizes below 1.
    """
    for name, value in (("batch", batch), ("T", T), ("D", D), ("candidates", candidates), ("duration", duration)):
        checks.whole(name, value, 1)
    checks.whole("refractory", refractory, 0)
    last_start = length - duration - 1
    if T > length or last_start < 1:
        raise ValueError(f"T must be at most length and a burst must fit in it, got T={T}, length={length}")

    rows = batch * D
    starts = torch.randint(0, last_start, (rows, candidates), generator=generator).sort(dim=1).values
    signs = torch.randint(0, 2, (rows, candidates), generator=generator).double() * 2 - 1
    x = torch.zeros(rows, length, dtype=torch.float64)
    inside = torch.zeros(rows, length, dtype=torch.bool)
    last = torch.full((rows,), -length)
    steps = torch.arange(length)
    for start, sign in zip(starts.T, signs.T, strict=True):
        kept = start - last >= duration + refractory
        burst = kept[:, None] & (steps >= start[:, None]) & (steps < start[:, None] + duration)
        inside |= burst
        x = torch.where(burst, sign[:, None], x)
        last = torch.where(kept, start, last)

    uniform = torch.rand(3, rows, length, generator=generator, dtype=torch.float64)
    sparse = (uniform[1] < 0.05).double() - (uniform[2] < 0.05).double()
    x = torch.where(inside, x * (uniform[0] < 0.95), sparse)
    return x[:, :T].reshape(batch, D, T).transpose(1, 2).contiguous().to(dtype).to(device)


def integrals(x: Tensor, decays: Sequence[float], scales: Sequence[float]) -> Tensor:
    r"""Exact targets $\bar y_{c,t} = s_c \sum_{k=0}^{t} \gamma_c^{k+1} x_{c,t-k}$ (equation 4).

    One product with the triangular matrix of the decays: no loop over time, on any device, differentiable.
    The newest input is already decayed once: $\bar y_t = \gamma(\bar y_{t-1} + s x_t)$.

    Args:
        x: `B x T x D` inputs.
        decays: $\gamma_c$, D numbers in (0, 1].
        scales: $s_c$, D numbers.

    Returns:
        `B x T x D` integrals, of x's dtype and device.
    """
    checks.tensor("x", x, ("B", "T", "D"))
    if not len(decays) == len(scales) == x.shape[2]:
        raise ValueError(f"x has {x.shape[2]} channels, but decays and scales number {len(decays)} and {len(scales)}")
    kernel = _kernel(tuple(decays), tuple(scales), x.shape[1], x.dtype, x.device)
    return torch.einsum("ctk,bkc->btc", kernel, x)


@lru_cache(maxsize=4)
def _kernel(
    decays: tuple[float, ...], scales: tuple[float, ...], T: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """`D x T x T` weights of the input at step k in the integral at step t, made in float64 on the CPU."""
    steps = torch.arange(T, device="cpu")
    lags = steps[:, None] - steps[None, :]
    gamma, s = (torch.tensor(values, dtype=torch.float64, device="cpu")[:, None, None] for values in (decays, scales))
    return torch.where(lags >= 0, s * gamma ** (lags.clamp_min(0) + 1), 0.0).to(dtype).to(device)
