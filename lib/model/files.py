r"""Networks from files: our own weights, or the state dict of a `torch.nn.RNN` and its read-out, as safetensors.

A file is looked at before it is believed: what it is, how large it is, and what its header promises, all before memory
for the weights is taken. Pickles are never opened.
"""

import errno
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from lib import checks
from lib.model import activations
from lib.model.atomic import write_atomically
from lib.model.network import Integrator
from lib.model.torch_rnn import embed, from_torch

FORMAT = "integrator-weights-1"
LARGEST = 2**28  # bytes of a file; 8192 neurons in float32
HEADER = 2**16  # bytes of its header; three to seven tensors need a few hundred
TYPES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
OURS = ("W", "encoders", "decoders")
KINDS = tuple(activations.ACTIVATIONS)


class FileError(ValueError):
    """A file that is not read; the message names it and says what was expected and what came."""


class Loaded(NamedTuple):
    """A network from a file, in float64."""

    network: Integrator
    activation: str  # one of `KINDS`
    auxiliary: int  # neurons at the end that are not in the file, see `embed`


def write_network(path: Path, network: Integrator) -> None:
    """Write weights, and which activation they are for, as safetensors.

    Raises:
        ValueError: an activation other than `KINDS`.
        OSError: the file cannot be written.
    """
    f = network.activation
    names = [name for name, kind in activations.ACTIVATIONS.items() if type(f) is kind]
    if f is torch.tanh or isinstance(f, nn.Tanh):
        names = ["tanh"]
    if not names:
        raise ValueError(f"activation must be one of {', '.join(KINDS)}, got {f}")
    metadata = {"format": FORMAT, "activation": names[0]}
    tensors = {name: getattr(network, name) for name in OURS}
    if isinstance(f, activations.ReLU):
        metadata["slope_at_zero"] = repr(f.slope_at_zero)
    if isinstance(f, activations.Sigmoid):
        metadata["slope"] = repr(f.slope)
        tensors["thresholds"] = f.thresholds.expand(network.n)
    copies = {name: values.detach().cpu().contiguous().clone() for name, values in tensors.items()}
    write_atomically(Path(path), save(copies, metadata=metadata))


def read_network(path: str | Path, *, activation: str | None = None, largest: int = LARGEST) -> Loaded:
    """The network in a safetensors file.

    Either our own weights (`W`, `encoders`, `decoders`, for sigmoids `thresholds`; see `write_network`), or a PyTorch
    state dict with `...weight_ih_l0`, `...weight_hh_l0`, perhaps `...bias_ih_l0` and `...bias_hh_l0`, and one more
    `...weight`, perhaps with its `...bias`: the read-out.

    Args:
        path: The file itself, not a link to it.
        activation: One of `KINDS`; None: what the file's metadata say under "activation".
        largest: Bytes the file may have.

    Raises:
        FileError: no such file, not a file, too large, not safetensors, damaged, tensors that are missing, unknown, of
            another type or shape, entries that are not finite, or an activation that nobody names.
    """
    path = Path(path)
    checks.whole("largest", largest, 1)
    try:
        with _opened(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            header = _header(stream, size, largest)
            shapes, metadata = _shapes(header[8:], size - len(header))
            kind = _kind(activation or metadata.get("activation"))
            layout = _ours(shapes) if "W" in shapes else _torch(shapes)
            content = header + stream.read(size - len(header))
        tensors = {name: value.double() for name, value in load(content).items()}
        for name, values in tensors.items():
            checks.finite(name, values)
        if layout is None:
            return Loaded(_own(tensors, kind, metadata), kind, 0)
        return _foreign({role: tensors[name] for role, name in layout.items()}, kind)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error.__cause__
    except (ValueError, OSError, SafetensorError) as error:
        raise FileError(f"{path}: {error}") from error


def _own(tensors: dict[str, Tensor], kind: str, metadata: Mapping[str, str]) -> Integrator:
    f = activations.activation(kind)
    if kind == "sigmoid":
        default = activations.Sigmoid()
        thresholds = tensors.get("thresholds", default.thresholds)
        f = activations.Sigmoid(_number("slope", metadata.get("slope", repr(default.slope))), thresholds)
    elif "thresholds" in tensors:
        raise FileError(f"thresholds belong to sigmoids, but the activation is {kind}")
    elif kind == "relu" and "slope_at_zero" in metadata:
        try:
            f = activations.ReLU(float(metadata["slope_at_zero"]))
        except ValueError as error:
            raise FileError(f"slope_at_zero must lie in [0, 1], got {metadata['slope_at_zero'][:40]!r}") from error
    return Integrator(*(tensors[name] for name in OURS), activation=f)


def _foreign(parts: dict[str, Tensor], kind: str) -> Loaded:
    """The network of a PyTorch state dict: as one of ours if it is one, else in a larger one."""
    W, A, Z = parts["weight_hh_l0"], parts["weight_ih_l0"], parts["readout"]
    if kind not in ("relu", "tanh", "linear"):
        raise FileError(f"torch.nn.RNN has no {kind}: expected relu, tanh or linear")
    zero = W.new_zeros(len(W))
    biases = parts.get("bias_ih_l0", zero) + parts.get("bias_hh_l0", zero)
    offset = parts.get("readout bias", W.new_zeros(len(Z)))
    if not (biases.any() or offset.any()) and kind != "linear":
        rnn = nn.RNN(A.shape[1], len(W), nonlinearity=kind, bias=False, dtype=W.dtype, device="meta")
        readout = nn.Linear(len(W), len(Z), bias=False, dtype=W.dtype, device="meta")
        rnn.load_state_dict({"weight_ih_l0": A, "weight_hh_l0": W}, assign=True)
        readout.load_state_dict({"weight": Z}, assign=True)
        try:
            return Loaded(from_torch(rnn, readout, rtol=1e-9), kind, 0)
        except ValueError:
            pass  # input weights outside of the range of W, or nearly: what follows is exact for any
    network = embed(W, A, Z.T, activations.activation(kind), biases, offset)
    return Loaded(network, kind, network.n - len(W))


def _kind(name: str | None) -> str:
    if name is None:
        raise FileError(f"which activation is it for? expected metadata with activation, or an option: {_or(KINDS)}")
    if name not in KINDS:
        raise FileError(f"activation must be {_or(KINDS)}, got {name[:40]!r}")
    return name


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _number(name: str, text: str) -> float:
    try:
        return checks.positive(name, float(text))
    except ValueError as error:
        raise FileError(f"{name} must be a positive number, got {text[:40]!r}") from error


def _ours(shapes: dict[str, tuple[int, ...]]) -> None:
    """Shapes of our own weights fit, and nothing else is there."""
    unknown = sorted(set(shapes) - {*OURS, "thresholds"})
    missing = [name for name in OURS if name not in shapes]
    if unknown or missing:
        raise FileError(f"expected the tensors {', '.join(OURS)}; missing {missing}, unknown {_few(unknown)}")
    n, D = _matrix("W", shapes)[0], _matrix("encoders", shapes)[1]
    _fits(shapes, {"W": (n, n), "encoders": (n, D), "decoders": (n, D), "thresholds": (n,)}, n, D)


def _torch(shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Names in the file of the parts of a PyTorch network; their shapes fit, and nothing else is there."""
    roles: dict[str, str] = {}
    for part in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        found = [name for name in shapes if name.split(".")[-1] == part]
        if len(found) > 1 or (not found and part.startswith("weight")):
            raise FileError(f"expected W, encoders and decoders, or one {part}; found {_few(sorted(shapes))}")
        if found:
            roles[part] = found[0]
    rest = [name for name in shapes if name not in roles.values()]
    weights = [name for name in rest if name.split(".")[-1] == "weight"]
    if len(weights) != 1:
        raise FileError(f"expected one layer in one direction and a single read-out weight, found also {_few(rest)}")
    roles["readout"] = weights[0]
    bias = weights[0].removesuffix("weight") + "bias"
    roles |= {"readout bias": bias} if bias in rest else {}
    unknown = [name for name in rest if name not in (weights[0], bias)]
    if unknown:
        raise FileError(f"expected one recurrent layer and its read-out, found also {_few(unknown)}")
    rows, D = _matrix(roles["weight_ih_l0"], shapes)
    n = _matrix(roles["weight_hh_l0"], shapes)[1]
    if rows in (3 * n, 4 * n):
        raise FileError(f"expected a plain recurrent layer, got the {rows // n} gates of a GRU or an LSTM")
    wanted = {"weight_ih_l0": (n, D), "weight_hh_l0": (n, n), "bias_ih_l0": (n,), "bias_hh_l0": (n,)}
    wanted |= {"readout": (D, n), "readout bias": (D,)}
    _fits(shapes, {name: wanted[role] for role, name in roles.items()}, n, D)
    return roles


def _matrix(name: str, shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    if len(shapes[name]) != 2:
        raise FileError(f"{name[:40]} must be a matrix, got shape {shapes[name]}")
    return shapes[name][0], shapes[name][1]


def _fits(shapes: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], n: int, D: int) -> None:
    for name, shape in wanted.items():
        if name in shapes and shapes[name] != shape:
            raise FileError(f"{name[:40]} must have shape {shape} for n={n}, D={D}, got {shapes[name]}")
    if not 1 <= D <= n:
        raise FileError(f"expected at least one channel, and a neuron for each, got n={n}, D={D}")


def _few(names: list[str]) -> str:
    """A list of names from a file, which may be long and may hold anything."""
    return f"{[name[:40] for name in names[:8]]}{' and more' if len(names) > 8 else ''}"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened without following a link to it, and without waiting if it is a pipe."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise FileError("is a link: expected the file itself") from error
        raise FileError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileError("is not a file but a folder, a pipe or a device")
    with os.fdopen(file, "rb") as stream:
        yield stream


def _header(stream: BinaryIO, size: int, largest: int) -> bytes:
    """The bytes of a safetensors file up to the end of its header."""
    if size > largest:
        raise FileError(f"has {size} bytes, expected at most {largest}")
    start = stream.read(8)
    if start[:1] == b"\x80" or start[:4] == b"PK\x03\x04":
        raise FileError("looks like a pickle or an archive of torch.save, which can run code: save it as safetensors")
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= size - 8:
        raise FileError(f"is not safetensors, or cut off: {size} bytes, of which a header would take {length}")
    if length > HEADER:
        raise FileError(f"has a header of {length} bytes, expected at most {HEADER}")
    return start + stream.read(length)


def _shapes(header: bytes, room: int) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes and metadata in a header, which must account for every one of the `room` bytes behind it."""
    try:
        entries = json.loads(header.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FileError(f"is not safetensors: its header is not JSON ({str(error)[:80]})") from error
    if not isinstance(entries, dict):
        raise FileError("is not safetensors: its header is not a table")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FileError("has metadata that are not texts")
    shapes, spans = {}, []
    for name, entry in entries.items():
        shapes[name], span = _entry(name, entry)
        spans.append(span)
    ends = [0, *(end for _, end in sorted(spans))]
    if [begin for begin, _ in sorted(spans)] != ends[:-1] or ends[-1] != room:
        raise FileError(f"is cut off or damaged: its tensors do not fill the {room} bytes behind the header")
    return shapes, metadata


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape, and first and last byte, of one tensor."""
    try:
        shape, (begin, end), width = tuple(entry["shape"]), entry["data_offsets"], TYPES[entry["dtype"]]
    except KeyError as error:
        raise FileError(f"{name[:40]} must have data_offsets, shape and a dtype among {', '.join(TYPES)}") from error
    except (TypeError, ValueError) as error:
        raise FileError(f"has a header that does not describe {name[:40]}") from error
    if len(shape) not in (1, 2) or not all(type(k) is int and k >= 1 for k in shape):
        raise FileError(f"{name[:40]} must be a vector or a matrix, got shape {str(shape)[:80]}")
    if type(begin) is not int or type(end) is not int or end - begin != math.prod(shape) * width:
        raise FileError(f"{name[:40]} must take {math.prod(shape) * width} bytes, got {begin!r:.20} to {end!r:.20}")
    return shape, (begin, end)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table
