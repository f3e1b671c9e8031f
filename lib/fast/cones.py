r"""The unrolled ReLU network with one channel, for large batches: its first full product by cones of inputs.

With one channel and the rectifier, $h_0$ lies on two half lines, so that the currents after two inputs,

$$\nu_1 = x_1\, W e + x_0^+\, W f(W e) + x_0^-\, W f(-W e),$$

are linear in $(x_1, |x_0|)$ for either sign of $x_0$. A neuron is on in a cone of that half plane and off in the rest.
Sort the sequences by the sign of $x_0$ and by the angle $x_1 / |x_0|$, and cut them into blocks: a neuron that is on
at both ends of a block is on in all of it, and the same holds for off. For those neurons

- $h_1$ is linear in two numbers, so that their part of $W h_1$ needs $W$ times two vectors per block;
- on the way back, two sums over the block of $G_2 = \partial\mathcal{L} / \partial\nu_2$ hold all there is to know.

The other neurons are mixed. Each changes only once along a half line, so with $\sqrt{B}$ blocks of $\sqrt{B}$ sequences
there are few in a block, and they get products of their own. Of the three products `B x n x n` of the first full step
(forward, back, and for the gradient) only small ones remain. Nothing is approximated; sums are taken in another order.

A neuron whose current is zero in a whole half plane (all of them, at the null start) has the slope 1/2 there. Where
both inputs are zero, so are all currents, but then nothing in $\nu_1$ depends on W and the slope does not matter.
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from lib.model.activations import ReLU

if TYPE_CHECKING:
    from lib.fast.bptt import Workspace

_RELU = ReLU()


class Block(NamedTuple):
    """Sequences with one sign of x_0 and neighbouring angles."""

    half: int  # 0 where x_0 >= 0, 1 where x_0 < 0
    span: slice  # its sequences, in sorted order
    mixed: Tensor  # its neurons that are neither on nor off throughout


class Cut(NamedTuple):
    """A sorted batch in blocks."""

    blocks: list[Block]
    slopes: (
        Tensor  # blocks x n: f'(nu_1) of neurons that are on (1), off (0) or null (1/2) in a whole block; 0 if mixed
    )


class Cones(torch.autograd.Function):
    """`T x B x 1` outputs of a ReLU network as a function of W, for `T x B x 1` inputs with T >= 3.

    The number of mixed neurons in each block is asked for in Python, for which a GPU must be waited for.
    """

    @staticmethod
    def forward(ctx: Any, W: Tensor, E: Tensor, Z: Tensor, x: Tensor, space: "Workspace") -> Tensor:  # type: ignore[override]
        T, B, _ = x.shape
        n = len(W)
        order = _order(x[0, :, 0], x[1, :, 0])
        x = x[:, order, 0]  # T x B
        plane = torch.stack([x[1], x[0].abs()])  # 2 x B, what nu_1 is linear in
        Wt = space.get("Wt", (n, n), W).copy_(W.T)
        F = E.T @ Wt  # 1 x n, (We)'
        ends = _both_signs(F)  # 2 x n, f(We) and f(-We)
        image = ends @ Wt  # 2 x n
        blocks, slopes = cut = _cut(plane, B - int((x[0] < 0).sum()), F, image)
        gains = _gains([block.half for block in blocks], F, image)
        linear = slopes[:, None] * gains  # blocks x 2 x n, the factors in h_1 of neurons that are not mixed
        driven = (linear.view(-1, n) @ Wt).view_as(linear)
        read = linear @ Z[:, 0]  # blocks x 2
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)  # t = 0 and 1 are never touched
        y = x.new_empty(T, B)
        y[0] = (ends @ Z[:, 0]) @ _both_signs(x[:1])
        currents = []
        for k, (_, span, mixed) in enumerate(blocks):
            here = plane[:, span]
            currents.append(here.T @ gains[k][:, mixed])
            states = currents[k].clamp_min(0)
            y[1, span] = (read[k] @ here).addmv_(states, Z[mixed, 0])
            torch.mm(torch.cat([here, x[2:3, span]]).T, torch.cat([driven[k], F]), out=nu[2, span])
            nu[2, span].addmm_(states, Wt[mixed])
        for t in range(2, T):
            if t > 2:
                torch.mm(x[t, :, None], F, out=nu[t])
                nu[t].addmm_(h[t - 1], Wt)
            _RELU.into(nu[t], h[t])
            torch.mv(h[t], Z[:, 0], out=y[t])
        space.calls += 1
        ctx.call, ctx.space, ctx.cut, ctx.currents = space.calls, space, cut, currents
        ctx.save_for_backward(W, E, Z, x, order, plane, F, ends, linear)
        return torch.empty_like(y).index_copy_(1, order, y).unsqueeze(2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        W, E, Z, x, order, plane, F, ends, linear = ctx.saved_tensors
        (blocks, slopes), space = ctx.cut, ctx.space
        if ctx.call != space.calls:
            raise RuntimeError("backward must follow its own forward: the workspace has been used again since")
        space.calls += 1  # nu is overwritten below: a second backward must not find it
        T, B = x.shape
        n = len(W)
        r = r[:, order, 0]
        Wt, nu, h = space.get("Wt", (n, n), W), space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)
        delta = space.get("delta", (B, n), W)
        for t in range(T - 1, 1, -1):
            torch.mm(r[t, :, None], Z.T, out=delta)
            if t < T - 1:
                delta.addmm_(nu[t + 1], W)
            _RELU.into_derivative(nu[t], delta)  # nu[t] becomes G_t
        G = nu
        sums = torch.stack([plane[:, span] @ G[2, span] for _, span, _ in blocks])  # blocks x 2 x n
        errors = torch.stack([plane[:, span] @ r[1, span] for _, span, _ in blocks])  # blocks x 2
        dgains = (sums.view(-1, n) @ W).view_as(sums)  # blocks x 2 x n
        dgains.addcmul_(errors[:, :, None], Z.T).mul_(slopes[:, None])
        dWt = linear.view(-1, n).T @ sums.view(-1, n)
        for (_, span, mixed), dgain, currents in zip(blocks, dgains, ctx.currents, strict=True):
            dWt.index_add_(0, mixed, currents.clamp_min(0).T @ G[2, span])
            back = torch.addmm(torch.outer(r[1, span], Z[mixed, 0]), G[2, span], Wt[mixed].T)
            _RELU.into_derivative(currents, back)
            dgain[:, mixed] = plane[:, span] @ currents
        if T > 3:  # the steps whose drive W h_{t-1} was a full product
            dWt.addmm_(h[2 : T - 1].view(-1, n).T, G[3:].view(-1, n))
        plus = sum(block.half == 0 for block in blocks)
        dimage = torch.stack([dgains[:plus, 1].sum(dim=0), dgains[plus:, 1].sum(dim=0)])  # 2 x n
        dends = torch.outer(_both_signs(x[:1]) @ r[0], Z[:, 0]) + dimage @ W
        dF = x[2:].reshape(1, -1) @ G[2:].view(-1, n) + dgains[:, 0].sum(dim=0)
        dF += (dends * torch.cat([_RELU.derivative(F), -_RELU.derivative(-F)])).sum(dim=0)
        dWt.addmm_(torch.cat([E.T, ends]).T, torch.cat([dF, dimage]))
        return dWt.T.contiguous(), None, None, None, None


def _both_signs(row: Tensor) -> Tensor:
    """`2 x k` positive and negative parts of `1 x k` numbers."""
    return torch.cat([row.clamp_min(0), (-row).clamp_min(0)])


def _order(x0: Tensor, x1: Tensor) -> Tensor:
    """The B sequences with x_0 >= 0 by angle, then the others by angle; those of two zeros may stand anywhere."""
    by_angle = torch.argsort(x1 / x0.abs(), stable=True)  # infinite or zero only where it must be, unlike atan2
    return by_angle[torch.argsort(x0[by_angle] < 0, stable=True)]


def _gains(halves: list[int], F: Tensor, image: Tensor) -> Tensor:
    """`blocks x 2 x n` factors of x_1 and |x_0| in nu_1, for blocks in these half planes."""
    return torch.stack([F.expand(len(halves), -1), image[halves]], dim=1)


def _cut(plane: Tensor, plus: int, F: Tensor, image: Tensor) -> Cut:
    """Blocks of about sqrt(B) sorted sequences, of which the first `plus` have x_0 >= 0, and what is fixed in each."""
    B = plane.shape[1]
    size = round(math.sqrt(B))
    starts = [*range(0, plus, size), *range(plus, B, size)]
    spans = [slice(*pair) for pair in pairwise([*starts, B])]
    halves = [int(start >= plus) for start in starts]
    gains = _gains(halves, F, image)
    first, last = (torch.einsum("ck,kcn->kn", plane[:, at], gains) for at in (starts, [s.stop - 1 for s in spans]))
    on, off = torch.minimum(first, last) > 0, torch.maximum(first, last) < 0
    null = (gains == 0).all(dim=1)
    mixed = ~(on | off | null)
    neurons = mixed.nonzero()[:, 1].split(mixed.sum(dim=1).tolist())
    slopes = on.to(F.dtype).add_(null, alpha=0.5)
    return Cut([Block(*fields) for fields in zip(halves, spans, neurons, strict=True)], slopes)
