"""Checkpoints of a training in progress: one safetensors file, no pickle, replaced atomically."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lib.model.atomic import write_atomically

FORMAT = "integrator-checkpoint-2"


@dataclass
class Checkpoint:
    """Where a training, of one network or of several, stands, apart from weights, optimiser and generators."""

    losses: list[list[float]]  # of each network
    best_losses: list[float]
    best: dict[str, Tensor]


def save_checkpoint(
    path: Path,
    run: Checkpoint,
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    samplers: Sequence[Callable],
    settings: Mapping[str, Any],
) -> None:
    """Write everything that resuming needs."""
    tensors = {f"weights/{name}": p.detach() for name, p in weights.items()}
    tensors |= {f"best/{name}": values for name, values in run.best.items()}
    tensors["losses"] = torch.tensor([loss for losses in run.losses for loss in losses], dtype=torch.float64)
    tensors["steps"] = torch.tensor([len(losses) for losses in run.losses])
    tensors["best_loss"] = torch.tensor(run.best_losses, dtype=torch.float64)
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{key}": value for key, value in state.items() if isinstance(value, Tensor)}
    tensors |= {f"generator/{k}": generator.get_state() for k, generator in _generators(samplers).items()}
    stored = json.dumps(settings, sort_keys=True)
    copies = {name: values.cpu().contiguous().clone() for name, values in tensors.items()}
    metadata = {"format": FORMAT, "settings": stored, "checksum": _checksum(copies, stored)}
    write_atomically(path, save(copies, metadata=metadata))


def load_checkpoint(
    path: Path,
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    samplers: Sequence[Callable],
    settings: Mapping[str, Any],
) -> Checkpoint:
    """Put weights, optimiser and generator back as `save_checkpoint` found them; return the rest.

    Raises:
        ValueError: the file is corrupt, no checkpoint of ours, or of another network or training; nothing is changed.
    """
    tensors, metadata = _read(path)
    stored = json.loads(metadata["settings"])
    if stored != dict(settings):
        raise ValueError(f"checkpoint {path} belongs to another training: expected {dict(settings)}, found {stored}")
    wanted = {name: _kind(p) for name, p in weights.items()}
    found = {name.removeprefix("weights/"): _kind(t) for name, t in tensors.items() if name.startswith("weights/")}
    if found != wanted:
        raise ValueError(f"checkpoint {path} belongs to another network: expected weights {wanted}, found {found}")
    generators = _generators(samplers)
    states = {int(name.split("/")[1]): t for name, t in tensors.items() if name.startswith("generator/")}
    if generators.keys() != states.keys():
        expected, came = (", ".join(map(str, of)) or "none" for of in (generators, states))
        raise ValueError(f"checkpoint {path}: expected generators of samplers {expected}, found {came}")

    with torch.no_grad():
        for name, p in weights.items():
            p.copy_(tensors[f"weights/{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, values in tensors.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = values
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for k, generator in generators.items():
        generator.set_state(states[k])
    device = next(iter(weights.values())).device
    best = {name.removeprefix("best/"): t.to(device) for name, t in tensors.items() if name.startswith("best/")}
    losses = [part.tolist() for part in tensors["losses"].split(tensors["steps"].tolist())]
    return Checkpoint(losses, tensors["best_loss"].tolist(), best)


def _generators(samplers: Sequence[Callable]) -> dict[int, torch.Generator]:
    """Those of the samplers that have one, by the number of the sampler."""
    return {k: sampler.generator for k, sampler in enumerate(samplers) if hasattr(sampler, "generator")}  # type: ignore[attr-defined]


def _kind(values: Tensor) -> str:
    """Dtype and shape."""
    return f"{values.dtype} {tuple(values.shape)}".removeprefix("torch.")


def _checksum(tensors: Mapping[str, Tensor], settings: str) -> str:
    """CRC-32 of the settings and of all names, types, shapes and numbers; safetensors itself has none."""
    crc = zlib.crc32(settings.encode())
    for name in sorted(tensors):
        crc = zlib.crc32(f"{name} {_kind(tensors[name])}".encode(), crc)
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a checkpoint file."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"checkpoint {path} cannot be read ({error}); delete it to start again") from error
    if metadata.get("format") != FORMAT or "losses" not in tensors or "settings" not in metadata:
        raise ValueError(f"{path} is not a checkpoint of this library: expected format {FORMAT}, found {metadata}")
    if metadata.get("checksum") != _checksum(tensors, metadata["settings"]):
        raise ValueError(f"checkpoint {path} is damaged: its checksum does not fit; delete it to start again")
    return tensors, metadata
