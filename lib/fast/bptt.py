r"""The network unrolled in time with its gradient written out: where training spends its time (equations 1 to 3 and 6).

The same numbers as `Integrator.forward` under autograd, with fewer passes over memory. With
$G_t = \partial\mathcal{L} / \partial\nu_t$ and $r_t = \partial\mathcal{L} / \partial y_t$, the chain rule reads

$$G_t = f'(\nu_t) \odot (r_t Z^\dagger + G_{t+1} W), \qquad
\frac{\partial\mathcal{L}}{\partial W} = \sum_t G_t^\dagger h_{t-1} + \Big(\sum_t G_t^\dagger x_t\Big) E^\dagger .$$

All steps share one product for the first sum. The first product is skipped because $h_{-1} = 0$. With one channel $h_0$
depends on one number, so that the second has low rank, and so has its gradient:

$$h_0 = \sum_j \ell_j(x_0)\, f(z_j W e) .$$

A homogeneous activation needs $z = \pm 1$, with the positive and the negative part of $x_0$ as $\ell$; a sigmoid and a
large batch take points and functions from `lib.fast.skeletons`. With the rectifier and a large batch `lib.fast.cones`
saves most
of the third product too. With two channels and a large batch of sequences, sorted by their first inputs,
`lib.fast.fans`
saves most of the second.

A few vectors of length n are kept as the rows of a small matrix, and stand on the left of every product: the usual BLAS
is up to ten times slower at multiplying `n x n` by `n x 2` than `2 x n` by `n x n`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.fast.cones import Cones
from lib.fast.fans import Fan, by_angle, worth_fanning
from lib.fast.skeletons import Skeleton, has_skeleton, largest_stretch
from lib.model.network import Integrator

# Cutting a batch into blocks takes longer than it saves below either of these. Measured on one core in float32, T=3, as
# seconds of the plain way / of cones: n=1000, batch 128: 0.9, 256: 1.4, 1024: 3.1; batch 1024, n=200: 0.8, n=300: 1.3.
CONES_BATCH = 256
CONES_PRODUCT = 8e7  # batch n^2

# The same for a sigmoid network and first states that stand for all, of which there are 30 to 140: n=1000, batch 256:
# 1.5, 2048: 1.7; n=500, batch 512: 1.3; n=300, batch 2048: 1.1; n=200, batch 4096: 0.8.
SKELETON_BATCH = 256
SKELETON_PRODUCT = 1.7e8

STEEPEST = 1e4  # largest first current for which few states are exact enough, and few
HEADROOM = 1.25  # a new skeleton serves first inputs this much larger than the largest so far


class Line(NamedTuple):
    r"""First states of a network with one channel: sums of r states $f(z_j We)$."""

    z: Tensor  # r
    parts: Tensor  # r x B, the functions of the first inputs


class Workspace:
    """Buffers of one unrolled network, kept from call to call; fresh pages would cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self.skeleton: Skeleton | None = None
        self.calls = 0

    def get(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor of this shape, with the dtype and device of `like`."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape != shape or buffer.dtype != like.dtype or buffer.device != like.device:
            buffer = self._buffers[name] = like.new_empty(shape)
        return buffer


class _Unrolled(torch.autograd.Function):
    """Outputs of a network as a function of W, encoders and decoders."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        W: Tensor,
        E: Tensor,
        Z: Tensor,
        x: Tensor,
        activation: Any,
        space: Workspace,
        line: Line | None,
        sorted_first: bool,
    ) -> Tensor:
        T, B, D = x.shape
        n = len(W)
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)  # with line or fan, t = 0 is never touched
        F = _rows(E) @ W.T  # D x n, rows W e_c
        ends: Any = _states(torch.outer(line.z, F[0]), activation) if line is not None else None  # r x n, f(z We)
        fan = Fan(F, x[0]) if sorted_first else None
        readout = _rows(Z)
        y = x.new_empty(T, D, B)
        for t in range(T):
            if line is not None and t == 0:
                torch.mm((ends @ Z).T, line.parts, out=y[0])
                continue
            if fan is not None and t == 0:
                y[0] = fan.images(space.get("Wt", (n, n), W).copy_(W.T), Z, nu[1]).T
                continue
            if fan is not None and t == 1:  # nu_1 = x_1 We + W f(x_0 We)
                nu[1].addmm_(x[1], F)
            elif line is not None and t == 1:  # nu_1 = x_1 We + sum_j l_j(x_0) W f(z_j We)
                torch.mm(torch.cat([line.parts, x[1].T]).T, torch.cat([ends @ W.T, F]), out=nu[1])
            else:
                torch.mm(x[t], F, out=nu[t])
                if t > 0:
                    nu[t].addmm_(h[t - 1], W.T)
            activation.into(nu[t], h[t])
            torch.mm(readout, h[t].T, out=y[t])
        space.calls += 1
        ctx.call, ctx.space, ctx.activation, ctx.line, ctx.fan = space.calls, space, activation, line, fan
        ctx.save_for_backward(W, E, Z, x, F, ends)
        return y.transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        W, E, Z, x, F, ends = ctx.saved_tensors
        space, activation, line, fan = ctx.space, ctx.activation, ctx.line, ctx.fan
        if ctx.call != space.calls:
            raise RuntimeError("backward must follow its own forward: the workspace has been used again since")
        space.calls += 1  # nu is overwritten below: a second backward must not find it
        T, B, D = x.shape
        n = len(W)
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)
        delta = space.get("delta", (B, n), W)
        first = 0 if line is None and fan is None else 1
        for t in range(T - 1, first - 1, -1):
            torch.mm(r[t], Z.T, out=delta)
            if t < T - 1:
                delta.addmm_(nu[t + 1], W)
            activation.into_derivative(nu[t], delta)  # nu[t] becomes G_t
        G, start = nu, first + 1  # steps whose drive W h_{t-1} was a full product
        if T > start:
            dW = G[start:].reshape(-1, n).T @ h[start - 1 : T - 1].reshape(-1, n)
        else:
            dW = torch.zeros_like(W)
        dF = x[first:].reshape(-1, D).T @ G[first:].reshape(-1, n)  # D x n, from the terms W E x_t
        dZ = r[first:].reshape(-1, D).T @ h[first:].reshape(-1, n) if ctx.needs_input_grad[2] else None  # D x n
        if fan is not None:
            of_Wt, of_F, of_Z = fan.gradients(W, space.get("Wt", (n, n), W), Z, r[0], G[1])
            dW += of_Wt.T
            dF += of_F
            dZ = dZ + of_Z.T if dZ is not None else None
        left, right = dF, _rows(E)  # the rest of dW is left' right
        if line is not None:
            weights = line.parts @ r[0]  # r x 1, of f(z We) in y_0 = d . h_0
            dends = weights @ Z.T
            if T > 1:
                dimage = line.parts @ G[1]  # r x n, dL/d(ends W')
                dends += dimage @ W
                left, right = torch.cat([dF, dimage]), torch.cat([right, ends])
            currents = torch.outer(line.z, F[0])
            activation.into_derivative(currents, dends)
            dF += line.z @ currents
            left[:D] = dF
            dZ = dZ + weights.T @ ends if dZ is not None else None
        dE = (dF @ W).T if ctx.needs_input_grad[1] else None
        return dW.addmm_(left.T, right), dE, dZ.T if dZ is not None else None, None, None, None, None, None


def _rows(thin: Tensor) -> Tensor:
    """The columns of an `n x D` matrix as the rows of a contiguous one."""
    return thin.T.contiguous()


def _states(currents: Tensor, activation: Any) -> Tensor:
    states = torch.empty_like(currents)
    activation.into(currents, states)
    return states


def _line(network: Integrator, x: Tensor, space: Workspace) -> Line | None:
    """The first states after first inputs x, `B x 1`, if few of them stand for all and that is faster."""
    if network.D != 1:
        return None
    if getattr(network.activation, "homogeneous", False):
        signs = 1 - 2 * torch.arange(2, dtype=x.dtype, device=x.device)
        return Line(signs, torch.cat([x.T.clamp_min(0), (-x.T).clamp_min(0)]))
    large = len(x) >= SKELETON_BATCH and len(x) * network.n**2 >= SKELETON_PRODUCT
    if not (large and has_skeleton(network)):
        return None
    z_max, largest = x.abs().max().item(), largest_stretch(network)
    if not z_max * largest <= STEEPEST:  # nor if it is not a number: the usual way hands that on
        return None
    old = space.skeleton
    z_max = old.z_max if old is not None and z_max <= old.z_max else HEADROOM * z_max
    space.skeleton = Skeleton.serving(network, largest, z_max, old)
    return Line(space.skeleton.z.to(x), space.skeleton.functions(x[:, 0]).T.to(x))


def unroll(network: Integrator, x: Tensor, space: Workspace) -> Tensor:
    """`B x T x D` outputs of the network on `B x T x D` inputs, differentiable once in W, encoders and decoders.

    Backward must come before the workspace is used again (else RuntimeError). An activation without the in-place
    operations of `lib.model.activations`, or with trained thresholds, takes the way of `Integrator.forward`; so do
    inputs
    whose gradient is asked for.
    """
    checks.tensor("x", x, ("B", "T", network.D))
    f = network.activation
    thresholds = getattr(f, "thresholds", None)
    if x.requires_grad or not hasattr(f, "into_derivative") or (thresholds is not None and thresholds.requires_grad):
        return network(x).outputs
    steps = x.transpose(0, 1).contiguous()
    if _worth_cutting(network, steps):
        y = Cones.apply(network.W, network.encoders, network.decoders, steps, space)
    else:
        fanned = len(steps) > 1 and worth_fanning(f, network.W, steps.shape[1], network.D)
        order = by_angle(steps[0]) if fanned else None
        steps = steps[:, order] if order is not None else steps
        line = _line(network, steps[0], space)  # with one channel; a fan is for two
        y = _Unrolled.apply(network.W, network.encoders, network.decoders, steps, f, space, line, fanned)
        y = y[:, torch.argsort(order)] if order is not None else y  # type: ignore[index]
    return y.transpose(0, 1)  # type: ignore[union-attr]


def _worth_cutting(network: Integrator, steps: Tensor) -> bool:
    """Whether `lib.fast.cones` can compute these outputs, and faster; on a GPU its many small products would be
    slower.
    """
    T, B, D = steps.shape
    only_W = not (network.encoders.requires_grad or network.decoders.requires_grad)
    possible = D == 1 and T >= 3 and only_W and repr(network.activation) == "ReLU()"
    large = B >= CONES_BATCH and B * network.n**2 >= CONES_PRODUCT
    return possible and large and steps.device.type == "cpu"
