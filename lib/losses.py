r"""Losses: how far a network is from integrating (paper, section 2, equation 5).

The authors' code divides equation 5 by $s_c^2 T^3$ in each channel; learning rates mean nothing without saying which of
the two is used, so every loss names its `normalisation`: "paper" or "authors".
"""

import torch
from torch import Tensor

from lib import checks
from lib.networks import Integrator
from lib.tasks import Task
from lib.unrolled import Workspace, unroll

NORMALISATIONS = ("paper", "authors")


def channel_weights(task: Task, normalisation: str = "authors") -> list[float]:
    r"""Weight of each channel's squared errors, D numbers: 1 ("paper") or $1/(s_c^2 T^3)$ ("authors")."""
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    if normalisation == "paper":
        return [1.0] * task.D
    return [1.0 / (s**2 * task.T**3) for s in task.scales]


def batch_loss(outputs: Tensor, targets: Tensor, weights: list[float] | None = None) -> Tensor:
    r"""Squared errors, summed over channels and steps, averaged over sequences (equation 5).

    $$\mathcal{L} = \Big\langle \sum_{c,t} w_c\, (y_{c,t} - \bar y_{c,t})^2 \Big\rangle$$

    Args:
        outputs: `B x T x D` outputs $y$.
        targets: `B x T x D` targets $\bar y$.
        weights: $w_c$, D numbers, see `channel_weights`; None is 1.

    Raises:
        ValueError: shapes that differ (they would broadcast in silence).
    """
    if outputs.shape != targets.shape or outputs.ndim != 3:
        raise ValueError(
            f"outputs and targets must both be B x T x D, got {tuple(outputs.shape)} and {tuple(targets.shape)}"
        )
    errors = (outputs - targets).square().sum(dim=(0, 1))  # D
    if weights is not None:
        errors = errors * torch.tensor(weights, dtype=errors.dtype, device=errors.device)
    return errors.sum() / len(outputs)


class BatchLoss:
    """The batch loss as a function of a network and a batch of inputs, for the trainer.

    Args:
        task: Decays, scales and length.
        normalisation: "paper" (equation 5) or "authors" (divided by $s_c^2 T^3$).
    """

    def __init__(self, task: Task, normalisation: str = "authors"):
        self.task = task
        self.weights = channel_weights(task, normalisation)
        self._space = Workspace()

    def __call__(self, network: Integrator, x: Tensor) -> Tensor:
        """Scalar loss of `network` on `B x T x D` inputs."""
        return batch_loss(unroll(network, x, self._space), self.task.targets(x), self.weights)
