"""Checks of what callers pass in; each raises a ValueError that says what was expected and what came."""

from collections.abc import Sequence

import torch
from torch import Tensor


def whole(name: str, value: int, least: int) -> int:
    """`value` if it is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return value


def positive(name: str, value: float) -> float:
    """`value` as a float if it is a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return float(value)


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    """`value` if it is among `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {sorted(allowed)}, got {value!r}")
    return value


def tensor(name: str, value: Tensor, shape: Sequence[int | str]) -> Tensor:
    """`value` if it is a floating tensor of this shape (letters stand for any length).

    Finiteness is checked by `finite`, which has to read the values.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        came = f"{value.dtype} tensor" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} must be a floating-point tensor, got {came}")
    wrong = [k for k, length in zip(shape, value.shape, strict=False) if isinstance(k, int) and k != length]
    if value.ndim != len(shape) or wrong:
        raise ValueError(f"{name} must have shape {' x '.join(map(str, shape))}, got {tuple(value.shape)}")
    return value


def same(name: str, value: Tensor, network: Tensor) -> Tensor:
    """`value` if it has the dtype and the device of the network's weights."""
    for kind in ("dtype", "device"):
        wanted, came = (str(getattr(x, kind)).removeprefix("torch.") for x in (network, value))
        if wanted != came:
            raise ValueError(f"{name} must be {'on ' * (kind == 'device')}{wanted} as the network is, got {came}")
    return value


def finite(name: str, value: Tensor) -> Tensor:
    """`value` if every entry is finite."""
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        raise ValueError(f"{name} must be finite, got {bad} entries that are NaN or infinite")
    return value
