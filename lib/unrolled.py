r"""The network unrolled in time with its gradient written out: where training spends its time (equations 1 to 3 and 6).

The same numbers as `Integrator.forward` under autograd, with fewer passes over memory. With
$G_t = \partial\mathcal{L} / \partial\nu_t$ and $r_t = \partial\mathcal{L} / \partial y_t$, the chain rule reads

$$G_t = f'(\nu_t) \odot (r_t Z^\dagger + G_{t+1} W), \qquad
\frac{\partial\mathcal{L}}{\partial W} = \sum_t G_t^\dagger h_{t-1} + \Big(\sum_t G_t^\dagger x_t\Big) E^\dagger .$$

All steps share one product for the first sum. The first product is skipped because $h_{-1} = 0$; with one channel and a
homogeneous activation $h_0$ lies on two half lines, so the second is skipped too, and its gradient has rank two.
"""

from typing import Any

import torch
from torch import Tensor

from lib import checks
from lib.networks import Integrator


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
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, x: Tensor, activation: Any, space: Workspace
    ) -> Tensor:
        T, B, D = x.shape
        n = len(W)
        lines = D == 1 and activation.homogeneous
        nu = space.get("nu", (T, B, n), W)
        h = space.get("h", (T, B, n), W)
        y = x.new_empty(T, B, D)
        WE = W @ E
        for t in range(T):
            if t == 1 and lines:  # nu_1 = x_1 We + x_0^+ W f(We) + x_0^- W f(-We)
                ends = torch.cat([activation(WE), activation(-WE)], dim=1)  # n x 2
                torch.mm(_lines(x), torch.cat([W @ ends, WE], dim=1).T, out=nu[1])
            else:
                torch.mm(x[t], WE.T, out=nu[t])
                if t > 0:
                    nu[t].addmm_(h[t - 1], W.T)
            activation.into(nu[t], h[t])
            torch.mm(h[t], Z, out=y[t])
        space.calls += 1
        ctx.call, ctx.space, ctx.activation = space.calls, space, activation
        ctx.save_for_backward(W, E, Z, x)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        W, E, Z, x = ctx.saved_tensors
        space, activation = ctx.space, ctx.activation
        if ctx.call != space.calls:
            raise RuntimeError("backward must follow its own forward: the workspace has been used again since")
        space.calls += 1  # nu is overwritten below: a second backward must not find it
        T, B, D = x.shape
        n = len(W)
        lines = D == 1 and activation.homogeneous and T > 1
        nu, h = space.get("nu", (T, B, n), W), space.get("h", (T, B, n), W)
        delta = space.get("delta", (B, n), W)
        first = 1 if lines else 0
        for t in range(T - 1, first - 1, -1):
            torch.mm(r[t], Z.T, out=delta)
            if t < T - 1:
                delta.addmm_(nu[t + 1], W)
            activation.into_derivative(nu[t], delta)  # nu[t] becomes G_t
        G, start = nu, 2 if lines else 1  # steps whose drive W h_{t-1} was a full product
        if T > start:
            dW = G[start:].reshape(-1, n).T @ h[start - 1 : T - 1].reshape(-1, n)
        else:
            dW = torch.zeros_like(W)
        drives = x[first:].reshape(-1, D)
        dWE = G[first:].reshape(-1, n).T @ drives  # n x D, from the terms W E x_t
        if lines:
            dW, dWE = _lines_gradient(W, W @ E, Z, x, r, G[1], activation, dW, dWE)
        dE = W.T @ dWE if ctx.needs_input_grad[1] else None
        dZ = h.reshape(-1, n).T @ r.reshape(-1, D) if ctx.needs_input_grad[2] else None
        return dW.addmm_(dWE, E.T), dE, dZ, None, None, None


def _lines(x: Tensor) -> Tensor:
    """`B x 3` factors of nu_1: x_0^+, x_0^-, x_1, from `T x B x 1` inputs."""
    return torch.cat([x[0].clamp_min(0), (-x[0]).clamp_min(0), x[1]], dim=1)


def _lines_gradient(W, We, Z, x, r, G, activation, dW, dWE):
    """Add what flows through h_0 = x_0^+ f(We) + x_0^- f(-We), whose image under W made nu_1; G is dL/dnu_1."""
    ends = torch.cat([activation(We), activation(-We)], dim=1)  # n x 2
    parts = _lines(x)[:, :2]  # B x 2
    dimage = G.T @ parts  # n x 2, dL/d(W ends)
    dW.addmm_(dimage, ends.T)
    dends = W.T @ dimage + Z @ (r[0].T @ parts)  # n x 2; the second term is y_0 = d . h_0
    slopes = torch.cat([activation.derivative(We), -activation.derivative(-We)], dim=1)
    return dW, dWE + (dends * slopes).sum(dim=1, keepdim=True)


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
    y = _Unrolled.apply(network.W, network.encoders, network.decoders, steps, f, space)
    return y.transpose(0, 1)  # type: ignore[union-attr]
