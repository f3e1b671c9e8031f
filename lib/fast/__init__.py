"""Faster ways to the outputs of a network and to the proxy loss, each equal to the plain one up to rounding.

`outputs` and `proxy` take the first method of their table that serves the case at hand; `explain` says which one that
is. What is large or was costly to find is kept in a `Kept` from call to call, and checked before it is used again.
Methods are differentiable once in W, encoders and decoders; the plain ways have all derivatives.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib.fast import bptt, cross, interpolation, moments, sectors, sizes
from lib.fast.bptt import FirstStates
from lib.fast.buffers import Buffers
from lib.fast.cross import CrossApproximations
from lib.fast.interpolation import Interpolations
from lib.model.activations import ReLU
from lib.model.network import Integrator
from lib.model.task import Task


class Kept:
    """What one loss keeps from call to call."""

    def __init__(self) -> None:
        self.buffers, self.interpolations, self.crosses = Buffers(), Interpolations(), CrossApproximations()


class Method(NamedTuple):
    """A fast way: when it serves, and what it does."""

    name: str
    why_not: Callable[[Integrator, Tensor], str]  # why it does not serve, or is slower; empty if it serves
    compute: Callable[..., Tensor | None]  # None if the numbers, which `why_not` does not look at, do not allow it

    def serves(self, network: Integrator, points: Tensor) -> bool:
        """Whether it is worth trying, for `B x T x D` inputs or `P x D` points."""
        return not self.why_not(network, points)

    def __call__(self, *args: Any) -> Tensor | None:
        """Outputs or loss; see `outputs` and `proxy`."""
        return self.compute(*args)


class Explanation(NamedTuple):
    """Which way is taken, "plain" if no method serves; why each other method is not."""

    method: str
    others: dict[str, str]


def outputs(network: Integrator, x: Tensor, kept: Kept | None = None) -> Tensor:
    """`B x T x D` outputs of the network on `B x T x D` inputs, as of `Integrator.forward`.

    Backward of a fast way can be called once for each call of this; several calls may be in one graph.
    """
    found = _first(OUTPUTS, network, x, kept or Kept())
    return found if found is not None else network(x).outputs


def proxy(
    network: Integrator, z: Tensor, task: Task, a: float, b: float, z_max: float, kept: Kept | None = None
) -> Tensor | None:
    """The proxy loss (equation 34) at `P x D` points in a box; None if no method serves.

    Args:
        network: D channels.
        z: Points, each between -`z_max` and `z_max`.
        task: Decays and scales.
        a: Factor of the mean square of the outputs' residuals.
        b: Factor of the currents'.
        z_max: Half the edge of the box.
        kept: What is kept from call to call.
    """
    constants = (z.new_tensor(task.decays), z.new_tensor(task.scales), a, b)
    return _first(PROXIES, network, z, constants, z_max, kept or Kept())


def explain(network: Integrator, points: Tensor) -> Explanation:
    """Which method computes outputs for `B x T x D` inputs, or the proxy loss for `P x D` points; why not others."""
    one = [1.0] * network.D
    unit = (points.new_tensor(one), points.new_tensor(one), 1.0, 1.0)
    args = (Kept(),) if points.ndim == 3 else (unit, points.abs().max().item(), Kept())
    others: dict[str, str] = {}
    found = "plain"
    for method in OUTPUTS if points.ndim == 3 else PROXIES:
        reason = method.why_not(network, points)
        if not reason and found == "plain":
            with torch.no_grad():
                reason = "" if method(network, points, *args) is not None else "few states are not exact enough"
            found = found if reason else method.name
        if method.name != found:
            others[method.name] = reason or f"{found} comes first"
    return Explanation(found, others)


def _first(methods: tuple[Method, ...], network: Integrator, points: Tensor, *args: Any) -> Tensor | None:
    for method in methods:
        if method.serves(network, points):
            found = method(network, points, *args)
            if found is not None:
                return found
    return None


def _written_out(network: Integrator, points: Tensor) -> str:
    """Why no gradient is written out for this network; empty if there is one."""
    if network.W.ndim != 2:
        return "several networks at once"
    if points.requires_grad:
        return "the gradient in the inputs is asked for"
    if not hasattr(network.activation, "into_derivative"):
        return "the activation has no operations in place"
    thresholds = getattr(network.activation, "thresholds", None)
    return "thresholds are trained" if thresholds is not None and thresholds.requires_grad else ""


def _sectors_of(network: Integrator, points: int) -> str:
    if type(network.activation) is not ReLU:
        return "the activation is not the rectifier"
    if network.D not in sizes.SECTORS:
        return f"{network.D} channels"
    if network.W.device.type != "cpu":
        return "on a GPU many small products are slower"
    return sizes.SECTORS[network.D].why_not(points, network.n)


def _sectors_of_inputs(network: Integrator, x: Tensor) -> str:
    least = 4 - network.D
    short = f"fewer than {least} steps" if x.shape[1] < least else ""
    return _written_out(network, x) or _sectors_of(network, len(x)) or short


def _sectors_of_points(network: Integrator, z: Tensor) -> str:
    return _written_out(network, z) or ("one channel" if network.D == 1 else _sectors_of(network, len(z)))


def _interpolation_of_inputs(network: Integrator, x: Tensor) -> str:
    return _interpolation_of_points(network, x) or sizes.FIRST_STATES.why_not(len(x), network.n)


def _interpolation_of_points(network: Integrator, z: Tensor) -> str:
    many = f"{network.D} channels" if network.D > 1 else ""
    return _written_out(network, z) or many or interpolation.smooth_and_shared(network)


def _sorted_unroll(network: Integrator, x: Tensor, kept: Kept) -> Tensor:
    steps = x.transpose(0, 1)
    if network.D == 1:
        order, plane = sectors.second_inputs(steps[0, :, 0], steps[1, :, 0])
    else:
        order, plane = sectors.first_inputs(steps[0])
    steps = steps[:, order]
    first = bptt.half_lines(steps[0]) if network.D == 1 else None
    y = bptt.unroll(network, steps, kept.buffers, first, plane)
    return torch.empty_like(y).index_copy_(1, order, y).transpose(0, 1)


def _interpolated_unroll(network: Integrator, x: Tensor, kept: Kept) -> Tensor | None:
    steps = x.transpose(0, 1).contiguous()
    found = kept.interpolations.serve(network, steps[0].abs().max().item(), interpolation.HEADROOM)
    if found is None:
        return None
    first = FirstStates(found.z.to(x), found.functions(steps[0, :, 0]).T.to(x))
    return bptt.unroll(network, steps, kept.buffers, first).transpose(0, 1)


def _plain_unroll(network: Integrator, x: Tensor, kept: Kept) -> Tensor:
    steps = x.transpose(0, 1).contiguous()
    on_lines = network.D == 1 and getattr(network.activation, "homogeneous", False)
    first = bptt.half_lines(steps[0]) if on_lines else None
    return bptt.unroll(network, steps, kept.buffers, first).transpose(0, 1)


def _proxy_of_sectors(network: Integrator, z: Tensor, constants: tuple, z_max: float, kept: Kept) -> Tensor:
    gamma, s, a, b = constants
    of_outputs, of_currents = sectors.terms(network, z, gamma, s)
    return (a * of_outputs.square().sum() + b * of_currents.square().sum()) / len(z)


OUTPUTS = (
    Method("sectors", _sectors_of_inputs, _sorted_unroll),
    Method("interpolation", _interpolation_of_inputs, _interpolated_unroll),
    Method("backpropagation", _written_out, _plain_unroll),
)
PROXIES = (
    Method("sectors", _sectors_of_points, _proxy_of_sectors),
    Method(
        "interpolation",
        _interpolation_of_points,
        lambda f, z, c, box, kept: interpolation.proxy(f, z, c, box, kept.interpolations),
    ),
    Method(
        "cross approximation",
        lambda f, z: _written_out(f, z) or cross.why_not(f, z),
        lambda f, z, c, box, kept: cross.proxy(f, z, c, box, kept.crosses),
    ),
    Method(
        "second moments",
        lambda f, z: _written_out(f, z) or moments.why_not(f, z),
        lambda f, z, c, box, kept: moments.proxy(f, z, c),
    ),
)
