r"""Losses of networks side by side: S numbers, each what `lib.training.losses` says of one network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lib import checks
from lib.fast.buffers import Buffers
from lib.fast.side_by_side import unroll
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import channel_weights


class BatchLosses:
    """The batch losses (equation 5) of S networks, for `lib.training.loop.train_together`.

    Args:
        tasks: Of all networks, or one for each, of the same length and number of channels.
        normalisation: "paper" (equation 5) or "authors" (divided by $s_c^2 T^3$).

    Raises:
        ValueError: no task, or tasks that differ in length or channels.
    """

    def __init__(self, tasks: Task | Sequence[Task], normalisation: str = "authors"):
        self.tasks = alike(tasks)
        weights = [channel_weights(task, normalisation) for task in self.tasks]
        self.T, self.D = self.tasks[0].T, self.tasks[0].D
        one = torch.eye(self.T, dtype=torch.float64)[..., None].expand(-1, -1, self.D)
        kernel = torch.stack([task.targets(one) for task in self.tasks])  # S x T x T x D: step of x, then of the target
        self._here = (kernel.permute(0, 3, 1, 2), torch.tensor(weights, dtype=torch.float64))
        self._buffers = Buffers()

    def __call__(self, networks: Integrator, x: Tensor) -> Tensor:
        """S losses on `S x B x T x D` inputs, or on `B x T x D` ones for all.

        Raises:
            ValueError: inputs of another length than the tasks, or another number of networks.
        """
        serves(self.tasks, networks)
        checks.tensor("x", x, (networks.S or 0, "B", self.T, self.D) if x.ndim > 3 else ("B", self.T, self.D))
        self._here = kernel, weights = tuple(constant.to(x.device, x.dtype) for constant in self._here)
        y = unroll(networks, x, self._buffers)
        targets = (x.movedim(-1, -3) @ kernel).movedim(-3, -1)  # S x B x T x D
        return ((y - targets).square().sum(dim=(1, 2)) * weights).sum(dim=1) / y.shape[1]


class ProxyLosses:
    """The proxy losses (equations 29, 33 and 34) of S networks at points, for `lib.training.loop.train_together`.

    Args:
        tasks: Of all networks, or one for each, of the same number of channels.
        of_outputs: Weight of the squared errors of the outputs; a number, or S.
        of_currents: Weight of the squared errors of the currents; a number, or S.
    """

    def __init__(
        self,
        tasks: Task | Sequence[Task],
        *,
        of_outputs: float | Sequence[float] = 1.0,
        of_currents: float | Sequence[float] = 1.0,
    ):
        self.tasks = alike(tasks)
        constants = ([t.decays for t in self.tasks], [t.scales for t in self.tasks], of_outputs, of_currents)
        self._here = tuple(torch.tensor(values, dtype=torch.float64) for values in constants)

    def __call__(self, networks: Integrator, z: Tensor) -> Tensor:
        """S losses at `S x P x D` points, or at `P x D` ones for all, over which the terms are summed."""
        S = serves(self.tasks, networks)
        W, E, Z, f = networks.W, networks.encoders, networks.decoders, networks.activation
        checks.tensor("z", z, (S, "P", networks.D) if z.ndim > 2 else ("P", networks.D))
        self._here = gamma, s, of_outputs, of_currents = tuple(values.to(z.device, z.dtype) for values in self._here)
        F = E.mT @ W.mT  # S x D x n, rows W e_c
        h = f(z @ F)  # S x P x n
        outputs = h @ Z - z * (s * gamma)[:, None]
        currents = torch.baddbmm((z * gamma[:, None]) @ F, h, W.mT, beta=-1)
        return of_outputs * outputs.square().sum(dim=(1, 2)) + of_currents * currents.square().sum(dim=(1, 2))


def alike(tasks: Task | Sequence[Task]) -> list[Task]:
    """A list of tasks of one length and one number of channels; else a ValueError."""
    tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
    sizes = {(task.T, task.D) for task in tasks}
    if len(sizes) != 1:
        raise ValueError(f"tasks must have one length T and one number D of channels, got {sorted(sizes) or 'none'}")
    return tasks


def serves(tasks: Sequence[Task], networks: Integrator) -> int:
    """S, if one task is for all of these networks or every one has its own; else a ValueError."""
    S = networks.S
    if S is None or len(tasks) not in (1, S) or tasks[0].D != networks.D:
        came = f"{len(tasks)} tasks of {tasks[0].D} channels for {networks.extra_repr()}"
        raise ValueError(f"tasks must be one or S, for the channels of networks side by side, got {came}")
    return S
