r"""How the average over inputs is sampled at each training step (the expectation of equation 5).

A sampler is called without argument and returns one `batch x T x D` tensor of inputs, each marginally standard normal
white noise. Monte Carlo is the paper's way; the other two estimate the same average with less noise.
"""

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks
from lib.model.signals import white_noise


class MonteCarlo:
    """Independent white noise, as in the paper.

    Args:
        batch: Sequences per draw.
        T: Steps per sequence.
        D: Channels.
        generator: Source of every draw.
        dtype: Of the returned tensors.
        device: Where the returned tensors live.
    """

    def __init__(
        self,
        batch: int,
        T: int,
        D: int = 1,
        *,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        self.batch = checks.whole("batch", batch, 1)
        self.T = checks.whole("T", T, 1)
        self.D = checks.whole("D", D, 1)
        self.generator = generator
        self.dtype = dtype
        self.device = device

    def draw(self) -> Tensor:
        """`batch x T x D` inputs in float64 on the CPU."""
        return white_noise(self.batch, self.T, self.D, generator=self.generator)

    def __call__(self) -> Tensor:
        """`batch x T x D` inputs in the sampler's dtype, on its device."""
        return self.draw().to(self.dtype).to(self.device)


class Antithetic(MonteCarlo):
    """Every sequence comes with its mirror image: half the batch is white noise, half its negative; `batch` is even."""

    def __init__(self, batch: int, T: int, D: int = 1, **options):
        super().__init__(batch, T, D, **options)
        if batch % 2:
            raise ValueError(f"batch must be even for antithetic pairs, got {batch}")

    def draw(self) -> Tensor:
        """`batch x T x D` inputs in float64 on the CPU."""
        x = white_noise(self.batch // 2, self.T, self.D, generator=self.generator)
        return torch.cat([x, -x])


class Sobol(MonteCarlo):
    """Fresh scrambled Sobol points in T D dimensions, through the normal quantile; `batch` should be a power of two.

    Each draw is scrambled anew (random linear scramble and digital shift), so it is unbiased, and successive draws are
    independent; a net kept fixed would be learnt by heart.
    """

    def draw(self) -> Tensor:
        """`batch x T x D` inputs in float64 on the CPU."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        engine = SobolEngine(self.T * self.D, scramble=True, seed=seed)
        points = engine.draw(self.batch, dtype=torch.float64)
        cell = 2.0**-SobolEngine.MAXBIT  # points are multiples of it: its half keeps them off 0 and 1
        return torch.special.ndtri(points + cell / 2).reshape(self.batch, self.T, self.D)


SAMPLERS: dict[str, type[MonteCarlo]] = {"monte-carlo": MonteCarlo, "antithetic": Antithetic, "sobol": Sobol}


def sampler(name: str, batch: int, T: int, D: int = 1, **options) -> MonteCarlo:
    """The sampler of this name ("monte-carlo", "antithetic" or "sobol"); `options` are those of `MonteCarlo`."""
    return SAMPLERS[checks.one_of("sampler", name, list(SAMPLERS))](batch, T, D, **options)
