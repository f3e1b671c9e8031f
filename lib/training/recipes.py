"""The usual way from a task to a trained network, in one call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.network import Integrator
from lib.model.signals import DTYPE
from lib.model.task import Task
from lib.training.loop import History, Training, train
from lib.training.losses import BatchLoss, ProxyLoss
from lib.training.samplers import points
from lib.training.samplers import sampler as make_sampler


class Place(dict[str, Any]):
    """Options `device` and `dtype` of whatever makes tensors, as in `bursts(64, 200, generator=rng, **place())`."""

    @property
    def device(self) -> torch.device:
        """Where numbers live."""
        return self["device"]

    @property
    def dtype(self) -> torch.dtype:
        """How many digits they have."""
        return self["dtype"]


def place(device: str = "auto", dtype: str = "float64") -> Place:
    """Device and dtype from their names; "auto" is the first CUDA device, else the CPU.

    Raises:
        ValueError: a dtype other than "float32" and "float64", or a device that is not there.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty((), device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device must be auto, cpu or a device of this machine, got {device!r}") from error
    return Place(device=torch.device(device), dtype=getattr(torch, dtype))


class Trained(NamedTuple):
    """A network at the end of its training."""

    network: Integrator
    history: History


def train_integrator(
    task: Task,
    training: Training,
    *,
    n: int,
    generator: torch.Generator,
    batch: int = 32,
    sampler: str | Callable[[], Tensor] = "sobol",
    loss: str | Callable[[Integrator, Tensor], Tensor] = "batch",
    normalisation: str = "authors",
    z_max: float = 5.0,
    constraint: Callable[[Integrator], None] | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
    dtype: torch.dtype = DTYPE,
    device: torch.device | str = "cpu",
    **start: Any,
) -> Trained:
    """Train a new network on a task.

    Args:
        task: Decays, scales and length of the training sequences.
        training: Steps, learning rate, optimiser and stopping rules.
        n: Neurons.
        generator: Source of every draw: the network's first, then the inputs.
        batch: Sequences, or points of the proxy loss, per step.
        sampler: How they are drawn: a name in `lib.training.samplers.SAMPLERS`, for points one in `POINTS`, or any
            callable that returns batches.
        loss: Any function of a network and a batch, with a sampler that is no name; "batch" (equation 5); or "proxy":
            with one channel and a homogeneous activation the two points of equation 29, which need neither batch nor
            sampler, else points in a box (equations 33 and 34).
        normalisation: Of the loss, "paper" or "authors".
        z_max: Half the edge of that box.
        constraint: Called with the network at the start and after every step, for example `lib.training.dale.DaleLaw`.
        checkpoint: File to save to and to resume from, see `lib.training.loop.train`.
        progress: Show a progress bar.
        dtype: Of weights and inputs.
        device: Of weights and inputs; `place` understands "auto".
        **start: Activation, what is trained, and radius, norms, overlap and supports at the start, see
            `Integrator.random`.

    Raises:
        ValueError: an unknown name, or a loss of one's own with a sampler by name.
    """
    if isinstance(loss, str):
        checks.one_of("loss", loss, ("batch", "proxy"))
    elif isinstance(sampler, str):
        raise ValueError(f"sampler must be a callable for a loss of one's own, got the name {sampler!r}")
    options: dict[str, Any] = {"generator": generator, "dtype": dtype, "device": device}
    network = Integrator.random(n, task.D, **options, **start)
    if constraint is not None:
        with torch.no_grad():
            constraint(network)
    how: dict[str, Any] = {"constraint": constraint, "checkpoint": checkpoint, "progress": progress}
    average: Any = loss
    inputs: Any = sampler
    if loss == "proxy" and task.D == 1 and getattr(network.activation, "homogeneous", False):
        ends = torch.tensor([[1.0], [-1.0]], dtype=dtype, device=device)
        average, inputs = ProxyLoss.two_point(task, normalisation), lambda: ends
    elif loss == "proxy":
        average = ProxyLoss(task, normalisation, z_max=z_max)
        inputs = points(sampler, batch, task.D, z_max=z_max, **options) if isinstance(sampler, str) else sampler
    elif loss == "batch":
        average = BatchLoss(task, normalisation)
        inputs = make_sampler(sampler, batch, task.T, task.D, **options) if isinstance(sampler, str) else sampler
    return Trained(network, train(network, inputs, average, training, **how))
