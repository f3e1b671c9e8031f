"""Distances of a network from the conditions under which, by the paper, it integrates (equations 9, 12, 28 and 34)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lib.model.activations import Linear, ReLU
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.linear.conditions import examine
from lib.theory.linear.spectrum import shortfall
from lib.theory.relu.rank_one import Number, checked
from lib.training.losses import conditions

MODES = 64  # neurons up to which equation 12 is looked at, by one Schur decomposition per eigenvalue


class Condition(NamedTuple):
    """One condition of the paper, and how far a network is from it."""

    name: str
    distance: float  # 0 if it is met, relative to what it asks for; NaN or infinite if it cannot be computed
    equation: str  # of the paper


def distances(network: Integrator, task: Task, signs: Tensor, integrals: Tensor) -> tuple[Condition, ...]:
    """How far a network is from every condition that the paper has for its kind.

    Args:
        network: D channels.
        task: What it should integrate; its scales are positive.
        signs: D signs of the scales, which are moved into the decoders.
        integrals: `B x T x D`, where the conditions of the proxy loss are looked at.
    """
    Z = network.decoders * signs
    net = Integrator(network.W, network.encoders, Z, activation=network.activation)
    gamma, s = (integrals.new_tensor(values) for values in (task.decays, task.scales))
    found: list[Condition] = []
    if isinstance(net.activation, Linear):
        seen = examine(net.W, net.encoders, Z, task, furthest=256)
        found.append(Condition("moments up to 256 steps", seen.errors.max().item(), "equation 9"))
        if net.n <= MODES:
            distance = _or_nan(lambda: shortfall(net.W, net.encoders, Z, task)) / s.min().item()
            found.append(Condition("weights of all eigenvalues", distance, "equation 12"))
    if isinstance(net.activation, ReLU) and net.D == 1:
        found += _at_points(net, task, integrals.new_tensor([[1.0], [-1.0]]), "at two points", "28")
    z = (integrals * signs / (s * gamma)).flatten(0, 1)
    found += _at_points(net, task, z[:: max(1, len(z) // 500)], "over the range", "34")
    return tuple(found)


def _at_points(network: Integrator, task: Task, z: Tensor, where: str, equation: str) -> list[Condition]:
    """Both conditions, rms over points relative to the rms of what they ask for."""
    sides = conditions(network, z, task)
    pairs = ((sides.outputs, sides.wanted_outputs), (sides.currents, sides.wanted_currents))
    shares = [((found - wanted).norm() / wanted.norm()).item() for found, wanted in pairs]
    names = (f"outputs {where}", f"currents {where}")
    return [Condition(name, share, f"equation {equation}") for name, share in zip(names, shares, strict=True)]


def _or_nan(compute: Callable[[], float]) -> float:
    """A number, or NaN where it is refused."""
    try:
        return compute()
    except ValueError:
        return float("nan")


class Images(NamedTuple):
    r"""With $L_\pm = \lfloor\pm We\rfloor_+/(s\gamma)$; in a network that integrates $WL_+ = -WL_- = We/s$."""

    plus: Tensor  # ... x n x 1, W L+
    minus: Tensor  # ... x n x 1, W L-
    encoder: Tensor  # ... x n x 1, W e


class Lines(NamedTuple):
    """How well three images lie on one line, one number for each network."""

    slope_minus_on_plus: Tensor  # of the components of W L- on those of W L+, by least squares through the origin
    residual_minus: Tensor  # |W L+ + W L-| / |W L+|
    slope_encoder_on_plus: Tensor  # of W e on W L+
    residual_encoder: Tensor  # |W e - s W L+| / |W e|


def images(W: Tensor, encoder: Tensor, decay: Number, scale: Number) -> Images:
    r"""The three currents of figure 5.

    Args:
        W: `... x n x n` weights.
        encoder: `... x n x 1`.
        decay: $\gamma$, a number or `...`.
        scale: $s$, a number or `...`.

    Raises:
        ValueError: shapes that do not fit, a decay outside (0, 1], a scale that is not positive.
    """
    gamma, s = checked(encoder, encoder, decay, scale, W)
    u = W @ encoder
    L = torch.cat([u, -u], dim=-1).clamp_min(0) / (s * gamma)  # ... n 2
    both = W @ L
    return Images(both[..., :1], both[..., 1:], u)


def lines(found: Images, scale: Number) -> Lines:
    """Slopes and distances of the images of networks of this scale."""
    s = torch.as_tensor(scale, dtype=found.plus.dtype, device=found.plus.device)
    plus, minus, u = (v[..., 0] for v in found)  # ... n
    squares = plus.square().sum(-1)
    return Lines(
        slope_minus_on_plus=(minus * plus).sum(-1) / squares,
        residual_minus=(plus + minus).norm(dim=-1) / squares.sqrt(),
        slope_encoder_on_plus=(u * plus).sum(-1) / squares,
        residual_encoder=(u - s[..., None] * plus).norm(dim=-1) / u.norm(dim=-1),
    )
