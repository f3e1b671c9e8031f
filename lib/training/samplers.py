r"""How averages are sampled at each training step: over inputs (equation 5) or over points (equations 33 and 34).

A sampler is called without argument and returns a fresh batch: `batch x T x D` white noise, or, for the proxy loss,
`batch x D` points z of $[-z_{max}, z_{max}]^D$. Independent draws are the paper's way; the others estimate the same
average with less noise.
"""

from collections import deque

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks
from lib.model.signals import DTYPE, white_noise

AHEAD = 100  # batches that are drawn and moved together, unless they stay on the CPU


class Sampler:
    """What all samplers have in common: `draw` gives a batch in float64 on the CPU, a call casts it and moves it.

    Batches for other devices are drawn and moved many at a time. Still they are those of single draws, and the
    generator is always where single draws would have left it: checkpoints, and others who use it, notice nothing.

    Args:
        generator: Source of every draw.
        dtype: Of the returned tensors.
        device: Where the returned tensors live.
        ahead: Batches drawn at a time; None is 1 for the CPU and `AHEAD` for other devices.
    """

    def __init__(
        self,
        *,
        generator: torch.Generator,
        dtype: torch.dtype = DTYPE,
        device: torch.device | str = "cpu",
        ahead: int | None = None,
    ):
        self.generator = generator
        self.dtype = dtype
        self.device = torch.device(device)
        self.ahead = checks.whole("ahead", (1 if self.device.type == "cpu" else AHEAD) if ahead is None else ahead, 1)
        self._state = generator.get_state()  # where we left it
        self._drawn: deque[tuple[Tensor, Tensor]] = deque()  # batches, and the generator's state after each

    def draw(self) -> Tensor:
        """A batch in float64 on the CPU."""
        raise NotImplementedError

    def __call__(self) -> Tensor:
        """A batch in the sampler's dtype, on its device."""
        if self.ahead == 1:
            return self.draw().to(self.dtype).to(self.device)
        if not self._drawn or not torch.equal(self.generator.get_state(), self._state):
            self._draw_ahead()
        batch, self._state = self._drawn.popleft()
        self.generator.set_state(self._state)
        return batch

    def _draw_ahead(self) -> None:
        batches, states = [], []
        for _ in range(self.ahead):
            batches.append(self.draw().to(self.dtype))
            states.append(self.generator.get_state())
        block = torch.stack(batches)
        if self.device.type == "cuda":
            block = block.pin_memory().to(self.device, non_blocking=True)
        self._drawn = deque(zip(block.to(self.device), states, strict=True))


def _sobol(batch: int, dimensions: int, generator: torch.Generator) -> Tensor:
    """Sobol points of the unit cube, scrambled anew: a random linear scramble and a digital shift."""
    seed = int(torch.randint(2**31, (), generator=generator))
    return SobolEngine(dimensions, scramble=True, seed=seed).draw(batch, dtype=torch.float64)


class MonteCarlo(Sampler):
    """Independent white noise, as in the paper.

    Args:
        batch: Sequences per draw.
        T: Steps per sequence.
        D: Channels.
        **options: Generator, dtype and device, see `Sampler`.
    """

    def __init__(self, batch: int, T: int, D: int = 1, **options):
        super().__init__(**options)
        self.batch = checks.whole("batch", batch, 1)
        self.T = checks.whole("T", T, 1)
        self.D = checks.whole("D", D, 1)

    def draw(self) -> Tensor:
        """`batch x T x D` inputs in float64 on the CPU."""
        return white_noise(self.batch, self.T, self.D, generator=self.generator)


class Sobol(MonteCarlo):
    """Fresh scrambled Sobol points in T D dimensions, through the normal quantile; `batch` should be a power of two.

    Each draw is scrambled anew, so it is unbiased, and successive draws are independent; a net kept fixed would be
    learnt by heart.
    """

    def draw(self) -> Tensor:
        """`batch x T x D` inputs in float64 on the CPU."""
        points = _sobol(self.batch, self.T * self.D, self.generator)
        cell = 2.0**-SobolEngine.MAXBIT  # points are multiples of it: its half keeps them off 0 and 1
        return torch.special.ndtri(points + cell / 2).reshape(self.batch, self.T, self.D)


class UniformPoints(Sampler):
    """Independent points, uniform in the box, as in the authors' code.

    Args:
        batch: Points per draw.
        D: Channels.
        z_max: Half the edge of the box, in units of the integral over s gamma.
        **options: Generator, dtype and device, see `Sampler`.
    """

    def __init__(self, batch: int, D: int = 1, *, z_max: float = 5.0, **options):
        super().__init__(**options)
        self.batch = checks.whole("batch", batch, 1)
        self.D = checks.whole("D", D, 1)
        self.z_max = checks.positive("z_max", z_max)

    def unit(self) -> Tensor:
        """`batch x D` numbers in [0, 1), in float64 on the CPU."""
        return torch.rand(self.batch, self.D, generator=self.generator, dtype=torch.float64)

    def draw(self) -> Tensor:
        """`batch x D` points of the box in float64 on the CPU."""
        return (2 * self.unit() - 1) * self.z_max


class SobolPoints(UniformPoints):
    """Sobol points, scrambled anew at each draw; `batch` should be a power of two."""

    def unit(self) -> Tensor:
        """`batch x D` numbers in [0, 1), in float64 on the CPU."""
        return _sobol(self.batch, self.D, self.generator)


class Strata(UniformPoints):
    """One point at random in each of `batch` intervals of equal length; one channel."""

    def __init__(self, batch: int, D: int = 1, **options):
        super().__init__(batch, D, **options)
        if D != 1:
            raise ValueError(f"intervals are for one channel, got {D}; use sobol")

    def unit(self) -> Tensor:
        """`batch x 1` numbers in [0, 1), increasing, in float64 on the CPU."""
        return (torch.arange(self.batch, dtype=torch.float64)[:, None] + self.place()) / self.batch

    def place(self) -> Tensor | float:
        """Where in its interval each point lies, in [0, 1)."""
        return super().unit()


class Midpoints(Strata):
    """The midpoints of `batch` intervals of equal length, the same at each draw; one channel."""

    def place(self) -> float:
        """In the middle."""
        return 0.5


SAMPLERS: dict[str, type[MonteCarlo]] = {"monte-carlo": MonteCarlo, "sobol": Sobol}
POINTS: dict[str, type[UniformPoints]] = {
    "monte-carlo": UniformPoints,
    "sobol": SobolPoints,
    "strata": Strata,
    "grid": Midpoints,
}


def sampler(name: str, batch: int, T: int, D: int = 1, **options) -> MonteCarlo:
    """The sampler of inputs of this name: "monte-carlo" or "sobol"; `options` are those of `Sampler`."""
    return SAMPLERS[checks.one_of("sampler", name, list(SAMPLERS))](batch, T, D, **options)


def points(name: str, batch: int, D: int = 1, **options) -> UniformPoints:
    """The sampler of points of this name ("monte-carlo", "sobol", "strata", "grid"); see `UniformPoints`."""
    return POINTS[checks.one_of("sampler", name, list(POINTS))](batch, D, **options)
