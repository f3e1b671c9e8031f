r"""Where the proxy loss is evaluated: how its average over z is sampled at each training step (equations 33 and 34).

A sampler is called without argument and returns `batch x D` points of the box $[-z_{max}, z_{max}]^D$. Independent
points drawn anew at each step are the authors' way; the others estimate the same average with less noise.
"""

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks


class UniformPoints:
    """Independent points, uniform in the box, as in the authors' code.

    Args:
        batch: Points per draw.
        D: Channels.
        z_max: Half the edge of the box, in units of the integral over s gamma.
        generator: Source of every draw.
        dtype: Of the returned tensors.
        device: Where the returned tensors live.
    """

    def __init__(
        self,
        batch: int,
        D: int = 1,
        *,
        z_max: float = 5.0,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        self.batch = checks.whole("batch", batch, 1)
        self.D = checks.whole("D", D, 1)
        self.z_max = checks.positive("z_max", z_max)
        self.generator = generator
        self.dtype = dtype
        self.device = device

    def draw(self) -> Tensor:
        """`batch x D` numbers in [0, 1), in float64 on the CPU."""
        return torch.rand(self.batch, self.D, generator=self.generator, dtype=torch.float64)

    def __call__(self) -> Tensor:
        """`batch x D` points of the box in the sampler's dtype, on its device."""
        return ((2 * self.draw() - 1) * self.z_max).to(self.dtype).to(self.device)


class SobolPoints(UniformPoints):
    """Sobol points, scrambled anew at each draw; `batch` should be a power of two."""

    def draw(self) -> Tensor:
        """`batch x D` numbers in [0, 1), in float64 on the CPU."""
        seed = int(torch.randint(2**31, (), generator=self.generator))
        return SobolEngine(self.D, scramble=True, seed=seed).draw(self.batch, dtype=torch.float64)


class Strata(UniformPoints):
    """One point at random in each of `batch` intervals of equal length; one channel."""

    def __init__(self, batch: int, D: int = 1, **options):
        super().__init__(batch, D, **options)
        if D != 1:
            raise ValueError(f"intervals are for one channel, got {D}; use sobol")

    def draw(self) -> Tensor:
        """`batch x 1` numbers in [0, 1), increasing, in float64 on the CPU."""
        return (torch.arange(self.batch, dtype=torch.float64)[:, None] + super().draw()) / self.batch


class Grid(Strata):
    """The midpoints of `batch` intervals of equal length, the same at each draw; one channel."""

    def draw(self) -> Tensor:
        """`batch x 1` numbers in [0, 1), in float64 on the CPU."""
        return (torch.arange(self.batch, dtype=torch.float64)[:, None] + 0.5) / self.batch


POINTS: dict[str, type[UniformPoints]] = {
    "monte-carlo": UniformPoints,
    "sobol": SobolPoints,
    "strata": Strata,
    "grid": Grid,
}


def points(name: str, batch: int, D: int = 1, **options) -> UniformPoints:
    """The sampler of this name ("monte-carlo", "sobol", "strata", "grid"); `options` are those of `UniformPoints`."""
    return POINTS[checks.one_of("sampler", name, list(POINTS))](batch, D, **options)
