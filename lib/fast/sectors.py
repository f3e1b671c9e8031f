r"""Rectified states at many points of a plane, and their images under W: for large batches of one or two channels.

Currents that are linear in two numbers, $\nu = z_1 g_1 + z_2 g_2$, make a neuron on in a half plane and off in the
other. Sort the points z by their angle and cut them into blocks: a neuron that is on at both ends of a block is on in
all of it, as long as the block spans less than half a turn; the same holds for off. In each block

- states of these neurons are linear in two numbers, so that their part of $W h$ needs $W$ times two vectors;
- on the way back, two sums over the block of the gradient in $W h$ hold all there is to know.

The other neurons are mixed. Each changes twice in a full turn, so with $\sqrt{P}$ blocks of $\sqrt{P}$ points there are
few in a block, and they get products of their own. Of the three products `P x n x n` of a step (forward, back, and for
the gradient) only small ones remain. Nothing is approximated; sums are taken in another order.

With two channels the first currents are of this kind, with generators $g_c = W e_c$. With one channel those of the
second step are, in the two groups of either sign of $x_0$:

$$\nu_1 = x_1\, W e + |x_0|\, W f(\pm W e) .$$

A neuron whose generators are both zero (all of them, at the null start) has the slope $f'(0)$ everywhere. Where z is
zero, so are all currents, but then nothing in them depends on the generators and the slope does not matter.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib.fast.once import differentiable_once
from lib.model.activations import ReLU


class Plane(NamedTuple):
    """Points in the order of their angle, in one or two groups with generators of their own."""

    z: Tensor  # P x 2
    bounds: tuple[int, ...]  # where groups begin, and P


class Sector(NamedTuple):
    """Points of one group with neighbouring angles."""

    group: int
    span: slice
    mixed: Tensor  # neurons that are neither on nor off throughout


def by_angle(z: Tensor) -> Tensor:
    """Order of `P x 2` points by their angle."""
    return torch.argsort(torch.atan2(z[:, 1], z[:, 0]), stable=True)


def first_inputs(x: Tensor) -> tuple[Tensor, Plane]:
    """Order of `B x 2` first inputs of two channels, and the plane of the first currents in that order."""
    order = by_angle(x)
    return order, Plane(x[order], (0, len(x)))


def second_inputs(x0: Tensor, x1: Tensor) -> tuple[Tensor, Plane]:
    """Order of B sequences of one channel, and the plane of their second currents: x_0 >= 0 first, then x_0 < 0."""
    angles = torch.argsort(x1 / x0.abs(), stable=True)  # infinite or zero only where it must be, unlike atan2
    order = angles[torch.argsort(x0[angles] < 0, stable=True)]
    return order, Plane(torch.stack([x1, x0.abs()], dim=1)[order], (0, len(x0) - int((x0 < 0).sum()), len(x0)))


class Sectors:
    """States h = f(z g) at points of a plane.

    Args:
        generators: `groups x 2 x n`, g of each group.
        plane: The points; their order is one of angles in each group.
        activation: The rectifier, with any slope at zero.
    """

    def __init__(self, generators: Tensor, plane: Plane, activation: ReLU):
        self.z, self.activation = plane.z, activation
        size = max(1, round(math.sqrt(len(self.z))))
        starts, groups = [], []
        for group, (low, high) in enumerate(pairwise(plane.bounds)):
            starts += range(low, high, size)
            groups += [group] * len(range(low, high, size))
        spans = [slice(*pair) for pair in pairwise([*starts, len(self.z)])]
        self.groups = torch.tensor(groups)
        self.shape, g = generators.shape, generators[self.groups]  # sectors x 2 x n
        first, last = self.z[starts], self.z[[span.stop - 1 for span in spans]]
        turn = torch.atan2(last[:, 1], last[:, 0]) - torch.atan2(first[:, 1], first[:, 0])
        narrow = (turn.abs() < math.pi - 1e-3)[:, None]
        a, b = (torch.einsum("sc,scn->sn", ends, g) for ends in (first, last))
        on, off = (torch.minimum(a, b) > 0) & narrow, (torch.maximum(a, b) < 0) & narrow
        null = (g == 0).all(dim=1)
        mixed = ~(on | off | null)
        neurons = mixed.nonzero()[:, 1].split(mixed.sum(dim=1).tolist())
        self.slopes = on.to(g.dtype).add_(null, alpha=activation.slope_at_zero)  # sectors x n, 0 where mixed
        self.linear = self.slopes[:, None] * g  # sectors x 2 x n, factors of z in the states that are not mixed
        self.sectors = [Sector(*fields) for fields in zip(groups, spans, neurons, strict=True)]
        self.currents = [self.z[span] @ generators[group][:, which] for group, span, which in self.sectors]  # of mixed

    def images(self, Wt: Tensor, Z: Tensor, x: Tensor, F: Tensor, out: Tensor) -> Tensor:
        """Write h W' + x F into `out`, `P x n`, and return `P x D` outputs h Z; `Wt` is W' in one piece."""
        n, D = len(Wt), Z.shape[1]
        driven = torch.mm(self.linear.view(-1, n), Wt).view_as(self.linear)
        read = torch.mm(self.linear.view(-1, n), Z).view(-1, 2, D)
        both = torch.cat([self.z, x], dim=1)
        y = out.new_empty(len(out), D)
        for k, (_, span, mixed) in enumerate(self.sectors):
            states = self.currents[k].clamp_min(0)
            torch.mm(both[span], torch.cat([driven[k], F]), out=out[span])
            out[span].addmm_(states, Wt[mixed])
            torch.mm(self.z[span], read[k], out=y[span])
            y[span].addmm_(states, Z[mixed])
        return y

    def gradients(self, W: Tensor, Wt: Tensor, Z: Tensor, of_y: Tensor, of_images: Tensor) -> tuple[Tensor, ...]:
        """Gradients in W' (as it stands in h W'), generators and Z from those in outputs and images; only once."""
        n, D = Z.shape
        sums = torch.stack([self.z[span].T @ of_images[span] for _, span, _ in self.sectors])  # sectors x 2 x n
        errors = torch.stack([self.z[span].T @ of_y[span] for _, span, _ in self.sectors])  # sectors x 2 x D
        back = torch.mm(sums.view(-1, n), W).addmm_(errors.view(-1, D), Z.T).view_as(sums)
        of_generators = back.mul_(self.slopes[:, None])
        dWt = torch.mm(self.linear.view(-1, n).T, sums.view(-1, n))
        dZ = torch.mm(self.linear.view(-1, n).T, errors.view(-1, D))
        for k, ((_, span, mixed), currents) in enumerate(zip(self.sectors, self.currents, strict=True)):
            states = currents.clamp_min(0)
            dWt.index_add_(0, mixed, states.T @ of_images[span])
            dZ.index_add_(0, mixed, states.T @ of_y[span])
            delta = torch.mm(of_y[span], Z[mixed].T).addmm_(of_images[span], Wt[mixed].T)
            self.activation.into_derivative(currents, delta)
            of_generators[k][:, mixed] = self.z[span].T @ currents
        return dWt, of_generators.new_zeros(self.shape).index_add_(0, self.groups, of_generators), dZ


class _OfPoints(torch.autograd.Function):
    """Outputs `P x D` and residuals h W' - decayed F, `P x n`, at points of a plane, from W, F and Z."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, F: Tensor, Z: Tensor, plane: Plane, decayed: Tensor, activation: ReLU
    ) -> tuple[Tensor, Tensor]:
        Wt, R = W.T.contiguous(), W.new_empty(len(decayed), len(W))
        ctx.sectors = Sectors(F[None], plane, activation)
        y = ctx.sectors.images(Wt, Z, -decayed, F, R)
        ctx.save_for_backward(W, Wt, Z, decayed)
        return y, R

    @staticmethod
    def backward(ctx: Any, of_y: Tensor, of_R: Tensor) -> Any:  # type: ignore[override]
        differentiable_once()
        sectors, ctx.sectors = ctx.sectors, None
        if sectors is None:
            raise RuntimeError("backward can be called once: what it needs has been overwritten")
        W, Wt, Z, decayed = ctx.saved_tensors
        dWt, dF, dZ = sectors.gradients(W, Wt, Z, of_y, of_R)
        return dWt.T, dF[0].sub_(decayed.T @ of_R), dZ, None, None, None


def terms(network: Any, z: Tensor, gamma: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Residuals of outputs, `P x 2`, and currents, `P x n`, of two channels at `P x 2` points, in another order."""
    order, plane = first_inputs(z)
    decayed = z[order] * gamma
    F = network.encoders.T @ network.W.T  # 2 x n
    y, R = _OfPoints.apply(network.W, F, network.decoders, plane, decayed, network.activation)  # type: ignore[misc]
    return y - s * decayed, R
