"""The usual way from a task to a trained network, in one call."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lib import checks
from lib.model.activations import Activation
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import History, Training, train
from lib.training.losses import BatchLoss, TwoPointProxy
from lib.training.proxies import SampledProxy
from lib.training.samplers import points
from lib.training.samplers import sampler as make_sampler


class Place(NamedTuple):
    """Where numbers live, and how many digits they have."""

    device: torch.device
    dtype: torch.dtype


def place(device: str = "auto", dtype: str = "float32") -> Place:
    """Device and dtype from the parameters of a notebook; "auto" is the first CUDA device, else the CPU.

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
    return Place(torch.device(device), getattr(torch, dtype))


class Trained(NamedTuple):
    """A network at the end of its training."""

    network: Integrator
    history: History


def train_integrator(
    task: Task,
    training: Training,
    *,
    n: int,
    batch: int,
    sampler: str,
    generator: torch.Generator,
    place: Place,
    activation: Activation | None = None,
    trained: Collection[str] = ("W",),
    loss: str = "batch",
    normalisation: str = "authors",
    z_max: float = 5.0,
    constraint: Callable[[Integrator], None] | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
    **start: Any,
) -> Trained:
    """Train a new network on a task.

    Args:
        task: Decays, scales and length of the training sequences.
        training: Steps, learning rate, optimiser and stopping rules.
        n: Neurons.
        batch: Sequences, or points of the proxy loss, per step.
        sampler: "monte-carlo" or "sobol"; of points "monte-carlo", "sobol", "strata" or "grid".
        generator: Source of every draw: the network's first, then the inputs.
        place: Device and dtype.
        activation: ReLU if None.
        trained: What may change, see `Integrator`.
        loss: "batch" (equation 5) or "proxy": with one channel and a homogeneous activation the two points of equation
            29, which need neither batch nor sampler, else points in a box (equations 33 and 34).
        normalisation: Of the loss, "paper" or "authors".
        z_max: Half the edge of that box.
        constraint: Called with the network at the start and after every step, for example `lib.training.dale.DaleLaw`.
        checkpoint: File to save to and to resume from, see `lib.training.loop.train`.
        progress: Show a progress bar.
        **start: Radius, norms, overlap and supports at the start, see `Integrator.random`.
    """
    checks.one_of("loss", loss, ("batch", "proxy"))
    options = {"generator": generator, "dtype": place.dtype, "device": place.device}
    network = Integrator.random(n, task.D, activation=activation, trained=trained, **options, **start)
    if constraint is not None:
        with torch.no_grad():
            constraint(network)
    how: dict[str, Any] = {"constraint": constraint, "checkpoint": checkpoint, "progress": progress}
    if loss == "proxy" and task.D == 1 and getattr(network.activation, "homogeneous", False):
        ends = torch.tensor([[1.0], [-1.0]], dtype=place.dtype, device=place.device)
        history = train(network, lambda: ends, TwoPointProxy(task, normalisation), training, **how)
    elif loss == "proxy":
        z = points(sampler, batch, task.D, z_max=z_max, **options)
        average = SampledProxy(task, normalisation, z_max=z_max)
        history = train(network, z, average, training, **how)
    else:
        inputs = make_sampler(sampler, batch, task.T, task.D, **options)
        history = train(network, inputs, BatchLoss(task, normalisation), training, **how)
    return Trained(network, history)
