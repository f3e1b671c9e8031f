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


def averaged_loss(W: Tensor, encoder: Tensor, decoder: Tensor, task: Task, normalisation: str = "authors") -> Tensor:
    r"""Expectation of `batch_loss` for a linear network with one channel under unit white noise (equation 7).

    $$\mathcal{L} = \sum_{q=1}^{T} (T+1-q)\,(\mu_q - s\gamma^q)^2, \qquad \mu_q = d^\dagger W^q e$$

    Args:
        W: `n x n` weights.
        encoder: $e$, n numbers.
        decoder: $d$, n numbers.
        task: One channel.
        normalisation: "paper" (as printed) or "authors" (divided by $s^2 T^2$).

    Raises:
        ValueError: shapes that do not fit, several channels, or an unknown normalisation.
    """
    checks.one_of("normalisation", normalisation, NORMALISATIONS)
    if task.D != 1:
        raise ValueError(f"the averaged loss is for one channel, got {task.D}")
    (n,) = checks.tensor("encoder", encoder, ("n",)).shape
    checks.tensor("decoder", decoder, (n,))
    checks.tensor("W", W, (n, n))
    s, gamma, T = task.scales[0], task.decays[0], task.T
    loss, image = W.new_zeros(()), encoder
    for q in range(1, T + 1):
        image = W @ image  # W^q e
        loss = loss + (T + 1 - q) * (decoder @ image - s * gamma**q) ** 2
    return loss if normalisation == "paper" else loss / (s**2 * T**2)


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
        """Scalar loss of `network` on `B x T x D` inputs.

        Raises:
            ValueError: inputs that are not of the task's length, by which the authors' loss is divided.
        """
        checks.tensor("x", x, ("B", self.task.T, self.task.D))
        return batch_loss(unroll(network, x, self._space), self.task.targets(x), self.weights)
