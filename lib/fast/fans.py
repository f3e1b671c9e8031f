r"""Rectified states at many points of a plane, and their images under W: two channels, for large batches.

With two channels the currents $z_1 W e_1 + z_2 W e_2$ are linear in the point $z$, and a neuron is on in a half plane
and off in the other. Sort the points by their angle and cut them into blocks: a neuron that is on at both ends of a
block is on in all of it, as long as the block spans less than half a turn; the same holds for off. In each block

- states of these neurons are linear in two numbers, so that their part of $W h$ needs $W$ times two vectors;
- on the way back, two sums over the block of the gradient in $W h$ hold all there is to know.

The other neurons are mixed. Each changes twice in a full turn, so with $\sqrt{P}$ blocks of $\sqrt{P}$ points there are
few in a block, and they get products of their own. Of the three products `P x n x n` of a step (forward, back, and for
the gradient) only small ones remain. Nothing is approximated; sums are taken in another order. `lib.fast.cones` does
the
same one step later for one channel.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib.model.activations import ReLU

# Cutting points into blocks takes longer than it saves below either of these. Measured on one core in float32 as
# seconds of the plain way / of fans, for the batch loss (T=3) and the proxy loss: n=1000, 256 points: 0.9 and 1.0,
# 384: 1.0 and 1.2, 1024: 1.3 and 2.2, 4096 (proxy alone): 3.9; 1024 points, n=200: 0.6 and 0.9, n=500: 1.2 and 1.7.
FAN_POINTS = 384
FAN_PRODUCT = 2e8  # P n^2

_RELU = ReLU()


class Sector(NamedTuple):
    """Points with neighbouring angles."""

    span: slice
    mixed: Tensor  # neurons that are neither on nor off throughout


def worth_fanning(activation: Any, W: Tensor, points: int, D: int) -> bool:
    """Whether a fan can be used, and is faster; on a GPU its many small products would be slower."""
    large = points >= FAN_POINTS and points * len(W) ** 2 >= FAN_PRODUCT
    return D == 2 and repr(activation) == "ReLU()" and W.device.type == "cpu" and large


def by_angle(z: Tensor) -> Tensor:
    """Order of `P x 2` points by their angle."""
    return torch.argsort(torch.atan2(z[:, 1], z[:, 0]), stable=True)


class Fan:
    """States h = f(z F) at `P x 2` points in the order of their angle, for F = (W e_1, W e_2)' of shape `2 x n`."""

    def __init__(self, F: Tensor, z: Tensor):
        self.F, self.z = F, z
        P = len(z)
        size = max(1, round(math.sqrt(P)))
        spans = [slice(start, min(start + size, P)) for start in range(0, P, size)]
        first, last = z[[span.start for span in spans]], z[[span.stop - 1 for span in spans]]
        turn = torch.atan2(last[:, 1], last[:, 0]) - torch.atan2(first[:, 1], first[:, 0])
        narrow = (turn < math.pi - 1e-3)[:, None]
        a, b = first @ F, last @ F
        on, off = (torch.minimum(a, b) > 0) & narrow, (torch.maximum(a, b) < 0) & narrow
        null = (F == 0).all(dim=0)  # at the null start, all: their slope is 1/2 everywhere
        mixed = ~(on | off | null)
        neurons = mixed.nonzero()[:, 1].split(mixed.sum(dim=1).tolist())
        self.slopes = (on & ~null).to(F.dtype).add_(null, alpha=0.5)  # sectors x n, 0 where mixed
        self.linear = self.slopes[:, None] * F  # sectors x 2 x n, factors of z in the states that are not mixed
        self.sectors = [Sector(*fields) for fields in zip(spans, neurons, strict=True)]
        self.currents = [z[span] @ F[:, which] for span, which in self.sectors]  # of mixed neurons

    def images(self, Wt: Tensor, Z: Tensor, out: Tensor) -> Tensor:
        """Write h W' into `out`, `P x n`, and return `P x D` outputs h Z; `Wt` is W' in one piece."""
        driven = (self.linear.flatten(0, 1) @ Wt).view_as(self.linear)
        read = self.linear @ Z  # sectors x 2 x D
        y = out.new_empty(len(out), Z.shape[1])
        for k, (span, mixed) in enumerate(self.sectors):
            states = self.currents[k].clamp_min(0)
            torch.mm(self.z[span], driven[k], out=out[span])
            out[span].addmm_(states, Wt[mixed])
            torch.mm(self.z[span], read[k], out=y[span])
            y[span].addmm_(states, Z[mixed])
        return y

    def gradients(self, W: Tensor, Wt: Tensor, Z: Tensor, of_y: Tensor, of_images: Tensor) -> tuple[Tensor, ...]:
        """Gradients in W' (as it stands in h W'), F and Z from those in outputs and images; can be called once."""
        sums = torch.stack([self.z[span].T @ of_images[span] for span, _ in self.sectors])  # sectors x 2 x n
        errors = torch.stack([self.z[span].T @ of_y[span] for span, _ in self.sectors])  # sectors x 2 x D
        back = (sums.flatten(0, 1) @ W).view_as(sums) + errors @ Z.T
        dF = (back * self.slopes[:, None]).sum(dim=0)
        dWt = self.linear.flatten(0, 1).T @ sums.flatten(0, 1)
        dZ = self.linear.flatten(0, 1).T @ errors.flatten(0, 1)
        for (span, mixed), currents in zip(self.sectors, self.currents, strict=True):
            states = currents.clamp_min(0)
            dWt.index_add_(0, mixed, states.T @ of_images[span])
            dZ.index_add_(0, mixed, states.T @ of_y[span])
            delta = torch.addmm(of_y[span] @ Z[mixed].T, of_images[span], Wt[mixed].T)
            _RELU.into_derivative(currents, delta)
            dF.index_add_(1, mixed, self.z[span].T @ currents)
        return dWt, dF, dZ


class Fanned(torch.autograd.Function):
    """Outputs `P x D` and images `P x n` of the states at `P x 2` points sorted by angle, from W, F and Z."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, F: Tensor, Z: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        Wt = W.T.contiguous()
        ctx.fan, image = Fan(F, z), W.new_empty(len(z), len(W))
        y = ctx.fan.images(Wt, Z, image)
        ctx.save_for_backward(W, Wt, Z)
        return y, image

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_y: Tensor, of_images: Tensor) -> Any:  # type: ignore[override]
        fan, ctx.fan = ctx.fan, None
        if fan is None:
            raise RuntimeError("backward can be called once: what it needs has been overwritten")
        dWt, dF, dZ = fan.gradients(*ctx.saved_tensors, of_y, of_images)
        return dWt.T, dF, dZ, None
