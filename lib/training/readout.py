r"""A read-out that is trained on the states of a frozen network: context-dependent decisions (paper, appendix K).

The network carries three integrals. The third is a cue: where it is negative, the read-out must report whether the
first is positive, else whether the second is. Only the weights u of the read-out learn.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib import checks
from lib.model.ideal_population import Sheet
from lib.model.network import Integrator
from lib.model.signals import DTYPE, normal
from lib.model.task import Task


class Head(nn.Module):
    r"""A sigmoid unit that reads all neurons, $a_t = 1/(1 + e^{-k(u \cdot h_t - \theta)})$.

    Args:
        weights: n numbers, u.
        slope: k.
        threshold: $\theta$.
    """

    def __init__(self, weights: Tensor, *, slope: float = 50.0, threshold: float = 0.1):
        super().__init__()
        checks.finite("weights", checks.tensor("weights", weights, ("n",)))
        self.weights = nn.Parameter(weights.detach().clone())
        self.slope = checks.positive("slope", slope)
        self.threshold = threshold

    @classmethod
    def random(
        cls,
        n: int,
        *,
        generator: torch.Generator,
        dtype: torch.dtype = DTYPE,
        device: torch.device | str = "cpu",
        slope: float = 50.0,
        threshold: float = 0.1,
    ) -> "Head":
        """Gaussian weights of variance 1/n: the authors' start."""
        weights = normal(checks.whole("n", n, 1), generator=generator) / n**0.5
        return cls(weights.to(dtype).to(device), slope=slope, threshold=threshold)

    def forward(self, states: Tensor) -> Tensor:
        """`B x T` values in (0, 1) from `B x T x n` states."""
        checks.tensor("states", states, ("B", "T", len(self.weights)))
        return torch.sigmoid(self.slope * (states @ self.weights - self.threshold))


def context_targets(integrals: Tensor) -> Tensor:
    """What the read-out must say: `B x T` zeros and ones, in the dtype of the `B x T x 3` integrals."""
    return (cued_integral(integrals) > 0).to(integrals.dtype)


def cued_integral(integrals: Tensor) -> Tensor:
    """The integral that counts: the first where the third is negative, else the second; `B x T` from `B x T x 3`."""
    y0, y1, cue = checks.tensor("integrals", integrals, ("B", "T", 3)).unbind(dim=-1)
    return torch.where(cue < 0, y0, y1)


class ContextLoss:
    """Mean squared error of a read-out over all steps of a batch of inputs, for `lib.training.loop.train`.

    Args:
        network: The frozen network, or neurons on a sheet, three channels; states are computed once per batch, without
            gradients.
        task: Decays and scales of the integrals that define what is right.

    Raises:
        ValueError: a network or a task that has not three channels.
    """

    def __init__(self, network: Integrator | Sheet, task: Task):
        for name, D in (("network", network.D), ("task", task.D)):
            if D != 3:
                raise ValueError(f"{name} must have three channels, two integrals and a cue, got {D}")
        self.network = network
        self.task = task

    def __call__(self, head: Head, x: Tensor) -> Tensor:
        """Scalar loss of `head` on `B x T x 3` inputs."""
        states = frozen_states(self.network, x)
        return (head(states) - context_targets(self.task.targets(x))).square().mean()


@torch.no_grad()
def frozen_states(network: Integrator | Sheet, x: Tensor) -> Tensor:
    """States of a network on `B x T x D` inputs, `B x T x n`, without gradients."""
    return network.run(x).states


class Accuracy(NamedTuple):
    """How often decisions are right."""

    accuracy: float  # share of right decisions over all steps
    clear: float  # the same where the cue and the relevant integral both exceed the level; NaN without such steps
    blind: float  # share of right decisions of the best rule that knows the two integrals but not the cue

    @property
    def gain_over_blind(self) -> float:
        """What knowing the cue is worth."""
        return self.accuracy - self.blind


def accuracy(outputs: Tensor, integrals: Tensor, *, level: float = 0.3) -> Accuracy:
    """Share of right decisions of a read-out; a decision is its value above 0.5.

    Args:
        outputs: `B x T` values of the read-out.
        integrals: `B x T x 3` exact integrals.
        level: Absolute value above which the cue and the relevant integral are clear.

    Raises:
        ValueError: shapes that do not fit.
    """
    checks.tensor("integrals", integrals, ("B", "T", 3))
    checks.tensor("outputs", outputs, tuple(integrals.shape[:2]))
    wanted = context_targets(integrals) > 0.5
    right = (outputs > 0.5) == wanted
    clear = (integrals[..., 2].abs() > level) & (cued_integral(integrals).abs() > level)
    return Accuracy(
        right.double().mean().item(), right[clear].double().mean().item(), _blind(integrals[..., :2] > 0, wanted)
    )


def additive_limit(integrals: Tensor, *, level: float = 0.0) -> float:
    """Largest share of right decisions on clear steps for any sum of functions of one integral each.

    Of the eight steps that differ in signs alone such a rule gets one wrong; where the integral that does not count is
    small, it may be right at all that are clear. The limit is 7/8 if all steps are clear.

    Args:
        integrals: `B x T x 3`; the limit holds if with each step the seven others are there, or equally likely.
        level: As of `accuracy`.
    """
    large = checks.tensor("integrals", integrals, ("B", "T", 3)).abs() > level
    clear = large[..., 2] & (cued_integral(integrals).abs() > level)
    return 1 - (large.all(dim=-1).sum() / clear.sum()).item() / 8


def _blind(signs: Tensor, wanted: Tensor) -> float:
    """Best share of right decisions from the signs of two integrals alone: the majority's for each of four cases."""
    case = (2 * signs[..., 0].long() + signs[..., 1].long()).flatten()
    ones = wanted.flatten().double()
    counts = torch.zeros(2, 4, dtype=torch.float64, device=ones.device)
    counts[0].scatter_add_(0, case, 1 - ones)
    counts[1].scatter_add_(0, case, ones)
    return (counts.amax(dim=0).sum() / counts.sum()).item()
