r"""The network unrolled in time with its gradient written out: where training spends its time (equations 1 to 3 and 6).

The same numbers as `Integrator.forward` under autograd, with fewer passes over memory. With
$G_t = \partial\mathcal{L} / \partial\nu_t$ and $r_t = \partial\mathcal{L} / \partial y_t$, the chain rule reads

$$G_t = f'(\nu_t) \odot (r_t Z^\dagger + G_{t+1} W), \qquad
\frac{\partial\mathcal{L}}{\partial W} = \sum_t G_t^\dagger h_{t-1} + \Big(\sum_t G_t^\dagger x_t\Big) E^\dagger .$$

All steps share one product for the first sum. The first product is skipped because $h_{-1} = 0$; with one channel and a
homogeneous activation $h_0$ lies on two half lines, so the second is skipped too, and its gradient has rank two. With
the rectifier and a large batch `lib.cones` saves most of the third. With two channels and a large batch of sequences,
sorted by their first inputs, `lib.fans` saves most of the second.

A few vectors of length n are kept as the rows of a small matrix, and stand on the left of every product: the usual BLAS
is up to ten times slower at multiplying `n x n` by `n x 2` than `2 x n` by `n x n`.
"""

from typing import Any

import torch
from torch import Tensor

from lib import checks
from lib.activations import ReLU
from lib.cones import Cones
from lib.fans import Fan, by_angle, worth_fanning
from lib.networks import Integrator

# Cutting a batch into blocks takes longer than it saves below either of these. Measured on one core in float32, T=3, as
# seconds of the plain way / of cones: n=1000, batch 128: 0.9, 256: 1.4, 1024: 3.1; batch 1024, n=200: 0.8, n=300: 1.3.
CONES_BATCH = 256
CONES_PRODUCT = 8e7  # batch n^2


class Workspace:
    """Buffers of one unrolled network, kept from call to call; fresh pages would cost more than the arithmetic."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
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
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, x: Tensor, activation: Any, space: Workspace, sorted_first: bool
    ) -> Tensor:
        T, B, D = x.shape
        n = len(W)
        lines = D == 1 and getattr(activation, "homogeneous", False)
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)  # if lines or fan, t = 0 is never touched
        F = _rows(E) @ W.T  # D x n, rows W e_c
        ends = _ends(F, activation) if lines else None
        fan = Fan(F, x[0]) if sorted_first else None
        readout = _rows(Z)
        y = x.new_empty(T, D, B)
        for t in range(T):
            if ends is not None and t == 0:  # h_0 = x_0^+ f(We) + x_0^- f(-We)
                torch.mm((ends @ Z).T, _half_lines(x[0]), out=y[0])
                continue
            if fan is not None and t == 0:
                y[0] = fan.images(space.get("Wt", (n, n), W).copy_(W.T), Z, nu[1]).T
                continue
            if fan is not None and t == 1:  # nu_1 = x_1 We + W f(x_0 We)
                nu[1].addmm_(x[1], F)
            elif ends is not None and t == 1:  # nu_1 = x_1 We + x_0^+ W f(We) + x_0^- W f(-We)
                torch.mm(torch.cat([_half_lines(x[0]), x[1].T]).T, torch.cat([ends @ W.T, F]), out=nu[1])
            else:
                torch.mm(x[t], F, out=nu[t])
                if t > 0:
                    nu[t].addmm_(h[t - 1], W.T)
            activation.into(nu[t], h[t])
            torch.mm(readout, h[t].T, out=y[t])
        space.calls += 1
        ctx.call, ctx.space, ctx.activation, ctx.fan = space.calls, space, activation, fan
        ctx.save_for_backward(W, E, Z, x, F, ends)
        return y.transpose(1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        W, E, Z, x, F, ends = ctx.saved_tensors
        space, activation, fan = ctx.space, ctx.activation, ctx.fan
        if ctx.call != space.calls:
            raise RuntimeError("backward must follow its own forward: the workspace has been used again since")
        space.calls += 1  # nu is overwritten below: a second backward must not find it
        T, B, D = x.shape
        n = len(W)
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)
        delta = space.get("delta", (B, n), W)
        first = 0 if ends is None and fan is None else 1
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
        if ends is not None:
            parts = _half_lines(x[0])  # 2 x B
            weights = parts @ r[0]  # 2 x 1, of the ends in y_0 = d . h_0
            dends = weights @ Z.T
            if T > 1:
                dimage = parts @ G[1]  # 2 x n, dL/d(ends W')
                dends += dimage @ W
                left, right = torch.cat([dF, dimage]), torch.cat([right, ends])
            slopes = torch.cat([activation.derivative(F), -activation.derivative(-F)])
            dF += (dends * slopes).sum(dim=0)
            left[:D] = dF
            dZ = dZ + weights.T @ ends if dZ is not None else None
        dE = (dF @ W).T if ctx.needs_input_grad[1] else None
        return dW.addmm_(left.T, right), dE, dZ.T if dZ is not None else None, None, None, None, None


def _rows(thin: Tensor) -> Tensor:
    """The columns of an `n x D` matrix as the rows of a contiguous one."""
    return thin.T.contiguous()


def _half_lines(x: Tensor) -> Tensor:
    """`2 x B` positive and negative parts of `B x 1` first inputs."""
    return torch.cat([x.T.clamp_min(0), (-x.T).clamp_min(0)])


def _ends(F: Tensor, activation: Any) -> Tensor:
    """`2 x n` states f(We) and f(-We), from the row F = (We)'."""
    currents = torch.cat([F, -F])
    states = torch.empty_like(currents)
    activation.into(currents, states)
    return states


def unroll(network: Integrator, x: Tensor, space: Workspace) -> Tensor:
    """`B x T x D` outputs of the network on `B x T x D` inputs, differentiable once in W, encoders and decoders.

    Backward must come before the workspace is used again (else RuntimeError). An activation without the in-place
    operations of `lib.activations`, or with trained thresholds, takes the way of `Integrator.forward`; so do inputs
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
        y = _Unrolled.apply(network.W, network.encoders, network.decoders, steps, f, space, fanned)
        y = y[:, torch.argsort(order)] if order is not None else y  # type: ignore[index]
    return y.transpose(0, 1)  # type: ignore[union-attr]


def _worth_cutting(network: Integrator, steps: Tensor) -> bool:
    """Whether `lib.cones` can compute these outputs, and faster; on a GPU its many small products would be slower."""
    T, B, D = steps.shape
    only_W = not (network.encoders.requires_grad or network.decoders.requires_grad)
    possible = D == 1 and T >= 3 and only_W and type(network.activation) is ReLU
    large = B >= CONES_BATCH and B * network.n**2 >= CONES_PRODUCT
    return possible and large and steps.device.type == "cpu"
