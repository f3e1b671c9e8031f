r"""The proxy loss of any number of channels and any activation, sampled over a box of integrals (equations 33 and 34).

The point z stands for integrals $\bar y_c = s_c \gamma_c z_c$. Inputs bounded by 1 keep every $z_c$ within
$1/(1-\gamma_c)$; the authors draw all channels from one range instead. The paper writes an integral over the box, here
it is the mean, which differs by the volume of the box and does not grow with D.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks
from lib.losses import NORMALISATIONS, proxy_terms
from lib.networks import Integrator
from lib.tasks import Task

POINT_SAMPLERS = ("monte-carlo", "sobol")


def bounds(task: Task, convention: str = "authors") -> tuple[float, ...]:
    r"""Largest $|z_c|$ of each channel, D numbers.

    Args:
        task: Decays.
        convention: "authors" (5 for one and two channels, 5.1 for more, whatever the decays) or "reachable"
            ($1/(1-\gamma_c)$, what inputs within [-1, 1] can reach; footnote 6).

    Raises:
        ValueError: an unknown convention, or "reachable" for a channel that never forgets.
    """
    checks.one_of("convention", convention, ("authors", "reachable"))
    if convention == "authors":
        return (5.0 if task.D <= 2 else 5.1,) * task.D
    if max(task.decays) == 1:
        raise ValueError(f"decays must be below 1 for the integrals to be bounded, got {task.decays}")
    return tuple(1 / (1 - gamma) for gamma in task.decays)


class Box:
    """Points drawn evenly from a box about the origin, new ones at every call; for the trainer.

    Args:
        points: Points per draw; a power of two for "sobol".
        bounds: Half width of the box along each of its D axes.
        sampler: "monte-carlo" (independent points) or "sobol" (a net that is scrambled anew at each draw: unbiased,
            with less noise).
        generator: Source of every draw (float64, on the CPU).
        dtype: Of the returned points.
        device: Where the returned points live.
    """

    def __init__(
        self,
        points: int,
        bounds: Sequence[float],
        sampler: str = "monte-carlo",
        *,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        self.points = checks.whole("points", points, 1)
        if not len(bounds):
            raise ValueError("bounds must name at least one channel, got none")
        self.bounds = tuple(checks.positive("bounds", bound) for bound in bounds)
        self.sampler = checks.one_of("sampler", sampler, POINT_SAMPLERS)
        self.generator = generator
        self.dtype = dtype
        self.device = device

    def draw(self) -> Tensor:
        """`points x D` points in float64 on the CPU."""
        D = len(self.bounds)
        if self.sampler == "sobol":
            seed = int(torch.randint(2**31, (), generator=self.generator))
            unit = SobolEngine(D, scramble=True, seed=seed).draw(self.points, dtype=torch.float64)
        else:
            unit = torch.rand(self.points, D, generator=self.generator, dtype=torch.float64)
        return (2 * unit - 1) * torch.tensor(self.bounds, dtype=torch.float64)

    def __call__(self) -> Tensor:
        """`points x D` points in the sampler's dtype, on its device."""
        return self.draw().to(self.dtype).to(self.device)


class Terms(NamedTuple):
    """The two parts of the sampled proxy loss, each a scalar; their sum is the loss."""

    outputs: Tensor  # how wrong the outputs are
    currents: Tensor  # how far the currents are from the sum of the images of the encoders


class SampledProxy:
    r"""The sampled proxy loss as a function of a network and of points, for the trainer (equations 33 and 34).

    $$\Big\langle \sum_c \big[d_c^\dagger f(\nu) - s_c\gamma_c z_c\big]^2
    + \kappa\, \Big| W f(\nu) - \sum_c \gamma_c z_c\, W e_c \Big|^2 \Big\rangle_z, \qquad
    \nu = \sum_c z_c\, W e_c$$

    Args:
        task: Decays and scales; its T is not used.
        normalisation: "paper" ($\kappa = 1$) or "authors" ($\kappa = 1/n$: their code averages over neurons, erratum
            E30).
    """

    def __init__(self, task: Task, normalisation: str = "authors"):
        self.task = task
        self.normalisation = checks.one_of("normalisation", normalisation, NORMALISATIONS)

    def terms(self, network: Integrator, z: Tensor) -> Terms:
        """Both parts for `network` at the `P x D` points z.

        Raises:
            ValueError: points or a task for another number of channels.
        """
        of_outputs, of_currents = proxy_terms(network, z, self.task)
        points = z.shape[0]
        neurons = network.n if self.normalisation == "authors" else 1
        return Terms(of_outputs / points, of_currents / (points * neurons))

    def __call__(self, network: Integrator, z: Tensor) -> Tensor:
        """Scalar loss of `network` at the `P x D` points z; errors as for `terms`."""
        terms = self.terms(network, z)
        return terms.outputs + terms.currents
