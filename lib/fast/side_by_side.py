r"""Small networks side by side, unrolled in time with their gradient written out, as `lib.fast.bptt` does it for one.

With an axis of length S in front of everything, every step is one batched product for all networks: for small ones this
saves what a call costs beside its arithmetic. The first product is skipped because $h_{-1} = 0$, and with one channel
and a homogeneous activation $h_0 = x_0^+ f(We) + x_0^- f(-We)$ makes the second one cheap.
"""

from typing import Any

import torch
from torch import Tensor

from lib import checks
from lib.fast.buffers import Buffers
from lib.fast.once import differentiable_once
from lib.model.network import Integrator


class _Unrolled(torch.autograd.Function):
    """Outputs of S networks, `T x S x B x D`, as a function of W, encoders and decoders."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, x: Tensor, activation: Any, buffers: Buffers
    ) -> Tensor:
        T, S, B, D = x.shape
        shape = (T, S, B, W.shape[-1])
        lease = buffers.take(W, nu=shape, h=shape, delta=shape[1:])
        nu, h = lease["nu"], lease["h"]  # with first states on two half lines, t = 0 is never touched
        F = E.mT @ W.mT  # S x D x n, rows W e_c
        y = x.new_empty(T, S, B, D)
        ends = parts = None
        if T > 1 and D == 1 and getattr(activation, "homogeneous", False):
            ends = torch.cat([F, -F], dim=1)  # S x 2 x n
            activation.into(ends.clone(), ends)
            parts = torch.cat([x[0], -x[0]], dim=-1).clamp_min_(0)  # S x B x 2
        for t in range(T):
            if t == 0 and ends is not None:
                torch.bmm(parts, ends @ Z, out=y[0])  # type: ignore[arg-type]
                continue
            if t == 1 and ends is not None:  # nu_1 = x_1 We + sum_j l_j(x_0) W f(z_j We)
                sides = torch.cat([ends @ W.mT, F], dim=1)
                torch.bmm(torch.cat([parts, x[1]], dim=-1), sides, out=nu[1])  # type: ignore[list-item]
            else:
                torch.bmm(x[t], F, out=nu[t])
                if t > 0:
                    nu[t].baddbmm_(h[t - 1], W.mT)
            activation.into(nu[t], h[t])
            torch.bmm(h[t], Z, out=y[t])
        ctx.lease, ctx.activation = lease, activation
        ctx.save_for_backward(W, E, Z, x, F, ends, parts)
        return y

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        differentiable_once()
        W, E, Z, x, F, ends, parts = ctx.saved_tensors
        lease, ctx.lease = ctx.lease, None
        if lease is None:
            raise RuntimeError("backward can be called once for each forward: what it needs has been overwritten")
        T, activation = len(x), ctx.activation
        nu, h, delta = lease["nu"], lease["h"], lease["delta"]
        first = 0 if ends is None else 1
        dW, dF, dZ = torch.zeros_like(W), torch.zeros_like(F), torch.zeros_like(Z)
        wants_Z = ctx.needs_input_grad[2]
        for t in range(T - 1, first - 1, -1):
            torch.bmm(r[t], Z.mT, out=delta)
            if t < T - 1:
                delta.baddbmm_(nu[t + 1], W)
            activation.into_derivative(nu[t], delta)  # nu[t] becomes G_t
            dF.baddbmm_(x[t].mT, nu[t])
            if t > first:
                dW.baddbmm_(nu[t].mT, h[t - 1])
            if wants_Z:
                dZ.baddbmm_(h[t].mT, r[t])
        left, right = dF, E.mT  # the rest of dW is left' right
        if ends is not None:
            weights, dimage = parts.mT @ r[0], parts.mT @ nu[1]  # S x 2 x D of y_0 = d . h_0, S x 2 x n of W f(z We)
            dends = weights @ Z.mT + dimage @ W
            currents = torch.cat([F, -F], dim=1)
            activation.into_derivative(currents, dends)
            dF += currents[:, :1] - currents[:, 1:]
            left, right = torch.cat([dF, dimage], dim=1), torch.cat([E.mT, ends], dim=1)
            dZ = dZ + ends.mT @ weights
        dE = (dF @ W).mT if ctx.needs_input_grad[1] else None
        lease.give_back()
        return dW.baddbmm_(left.mT, right), dE, dZ if wants_Z else None, None, None, None


def unroll(networks: Integrator, x: Tensor, buffers: Buffers) -> Tensor:
    """`S x B x T x D` outputs of networks side by side on such inputs, or on `B x T x D` ones for all.

    Differentiable once in W, encoders and decoders; backward can be called once for each call. An activation without
    the in-place operations of `lib.model.activations`, or with trained thresholds, takes the way of
    `Integrator.forward`; so do inputs whose gradient is asked for.
    """
    S, f = networks.S, networks.activation
    if S is None:
        raise ValueError("networks must be side by side: expected W of shape S x n x n")
    checks.tensor("x", x, (S, "B", "T", networks.D) if x.ndim > 3 else ("B", "T", networks.D))
    thresholds = getattr(f, "thresholds", None)
    if x.requires_grad or not hasattr(f, "into_derivative") or (thresholds is not None and thresholds.requires_grad):
        return networks(x).outputs
    steps = x.expand(S, *x.shape[-3:]).permute(2, 0, 1, 3).contiguous()
    y: Any = _Unrolled.apply(networks.W, networks.encoders, networks.decoders, steps, f, buffers)
    return y.permute(1, 2, 0, 3)
