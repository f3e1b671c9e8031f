r"""Neurons whose currents lie exactly on the sheet that the proxy loss asks for (paper, equation 34; appendix K).

A trained integrator approaches $\nu = \sum_c z_c\, \varphi_c$ with images $\varphi_c = W e_c$ and
$z_c = y_c / (s_c \gamma_c)$. On the sheet itself the states are functions of the integrals and of nothing else, no
recurrent step has to be run, and which integrals each neuron follows can be chosen.
"""

import torch
from torch import Tensor

from lib import checks
from lib.model import activations
from lib.model.activations import Activation
from lib.model.network import Trajectory
from lib.model.task import Task


class Sheet:
    r"""States $h_t = f\big(\sum_c z_{c,t}\, \varphi_c\big)$ of n neurons on a sequence, without weights between them.

    Args:
        images: `n x D`, columns $\varphi_c$; row i says which mixture of integrals neuron i follows.
        task: Decays and scales of the integrals.
        activation: $f$, by its name or any callable; ReLU if None.

    Raises:
        ValueError: images that are not finite, or of another number of channels than the task.
    """

    def __init__(self, images: Tensor, task: Task, activation: Activation | str | None = None):
        checks.finite("images", checks.tensor("images", images, ("n", task.D)))
        self.images = images.detach()
        self.task = task
        self.activation = activations.activation(activation)

    @property
    def D(self) -> int:
        """Number of channels."""
        return self.images.shape[1]

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.images.shape[0]

    def single(self) -> "Sheet":
        """The same neurons, each following one integral alone: that of its largest image; all others are cut off."""
        strongest = self.images.abs().argmax(dim=1, keepdim=True)
        kept = torch.zeros_like(self.images).scatter_(1, strongest, self.images.gather(1, strongest))
        return Sheet(kept, self.task, self.activation)

    @torch.no_grad()
    def run(self, x: Tensor) -> Trajectory:
        """Currents and states on `B x T x D` inputs, and the exact integrals as outputs, like `Integrator.run`."""
        y = self.task.targets(x)
        gamma, s = (torch.tensor(v, dtype=y.dtype, device=y.device) for v in (self.task.decays, self.task.scales))
        z = y / (s * gamma)
        nu = z.to(self.images) @ self.images.T
        return Trajectory(nu, self.activation(nu), y)

    @torch.no_grad()
    def states(self, currents: Tensor) -> Tensor:
        r"""States $h = f(\nu)$ of the same shape as `currents`."""
        return self.activation(currents)
