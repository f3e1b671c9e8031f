r"""Backpropagation through time, written out: where training spends its time (equations 1 to 3 and 6).

The same numbers as `Integrator.forward` under autograd, with fewer passes over memory. With
$G_t = \partial\mathcal{L} / \partial\nu_t$ and $r_t = \partial\mathcal{L} / \partial y_t$, the chain rule reads

$$G_t = f'(\nu_t) \odot (r_t Z^\dagger + G_{t+1} W), \qquad
\frac{\partial\mathcal{L}}{\partial W} = \sum_t G_t^\dagger h_{t-1} + \Big(\sum_t G_t^\dagger x_t\Big) E^\dagger .$$

All steps share one product for the first sum. The first product is skipped because $h_{-1} = 0$. With one channel $h_0$
depends on one number, so that the second has low rank, and so has its gradient (`FirstStates`):

$$h_0 = \sum_j \ell_j(x_0)\, f(z_j W e) .$$

A homogeneous activation needs $z = \pm 1$, with the positive and the negative part of $x_0$ as $\ell$; a sigmoid and a
large batch take points and functions from `lib.fast.interpolation`. With the rectifier, one or two channels and a large
batch of sequences in the order of their first inputs, `lib.fast.sectors` saves most of the first full product.

A few vectors of length n are kept as the rows of a small matrix, and stand on the left of every product: the usual BLAS
is up to ten times slower at multiplying `n x n` by `n x 2` than `2 x n` by `n x n`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib.fast.buffers import Buffers
from lib.fast.once import differentiable_once
from lib.fast.sectors import Plane, Sectors
from lib.model import gemm
from lib.model.network import Integrator


class FirstStates(NamedTuple):
    r"""First states of a network with one channel: sums of r states $f(z_j We)$."""

    z: Tensor  # r
    parts: Tensor  # r x B, the functions of the first inputs


def half_lines(x: Tensor) -> FirstStates:
    """First states of a homogeneous activation after `B x 1` first inputs."""
    signs = 1 - 2 * torch.arange(2, dtype=x.dtype, device=x.device)
    return FirstStates(signs, torch.cat([x.T.clamp_min(0), (-x.T).clamp_min(0)]))


def unroll(
    network: Integrator, x: Tensor, buffers: Buffers, first: FirstStates | None = None, plane: Plane | None = None
) -> Tensor:
    """`T x B x D` outputs of the network on `T x B x D` inputs, differentiable once in W, encoders and decoders.

    Args:
        network: Its activation has the in-place operations of `lib.model.activations`.
        x: Inputs, step by step.
        buffers: Where large tensors come from, and go back to.
        first: First states of one channel.
        plane: The points on which the first currents depend (the second ones, with `first`), in the order of x.

    Backward can be called once for each forward (else RuntimeError); so can backward of a sum of several losses.
    """
    weights = (network.W, network.encoders, network.decoders)
    y = _Unrolled.apply(*weights, x, network.activation, buffers, first, plane)
    return y  # type: ignore[return-value]


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
        buffers: Buffers,
        first: FirstStates | None,
        plane: Plane | None,
    ) -> Tensor:
        T, B, D = x.shape
        n = len(W)
        shapes = {"nu": (T, B, n), "h": (T, B, n), "delta": (B, n), **({"Wt": (n, n)} if plane else {})}
        lease = buffers.take(W, **shapes)
        nu, h = lease["nu"], lease["h"]  # steps before `skip` are never touched
        F = torch.mm(_rows(E), W.T)  # D x n, rows W e_c
        readout = _rows(Z)
        y = x.new_empty(T, D, B)
        skip, ends, image, sectors = 0, None, None, None
        if first is not None:
            ends = _states(torch.outer(first.z, F[0]), activation)  # r x n, f(z We)
            image = torch.mm(ends, W.T)
            torch.mm((ends @ Z).T, first.parts, out=y[0])
            skip = 1
        if plane is not None:
            generators = F[None] if image is None else torch.stack([F.expand(2, n), image], dim=1)
            sectors = Sectors(generators, plane, activation)
            y[skip] = sectors.images(lease["Wt"].copy_(W.T), Z, x[skip + 1], F, nu[skip + 1]).T
            skip += 1
        for t in range(skip, T):
            if image is not None and t == 1:  # nu_1 = x_1 We + sum_j l_j(x_0) W f(z_j We)
                torch.mm(torch.cat([first.parts, x[1].T]).T, torch.cat([image, F]), out=nu[1])  # type: ignore[union-attr]
            elif sectors is None or t > skip:  # otherwise it is there
                torch.mm(x[t], F, out=nu[t])
                if t > 0:
                    gemm.addmm(nu[t], h[t - 1], W.T)
            activation.into(nu[t], h[t])
            torch.mm(readout, h[t].T, out=y[t])
        ctx.lease, ctx.activation, ctx.first, ctx.sectors, ctx.skip = lease, activation, first, sectors, skip
        ctx.save_for_backward(W, E, Z, x, F, ends)
        return y.transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:  # type: ignore[override]
        differentiable_once()
        W, E, Z, x, F, ends = ctx.saved_tensors
        lease, ctx.lease = ctx.lease, None
        if lease is None:
            raise RuntimeError("backward can be called once for each forward: what it needs has been overwritten")
        activation, first, sectors, skip = ctx.activation, ctx.first, ctx.sectors, ctx.skip
        T, _, D = x.shape
        n = len(W)
        nu, h, delta = lease["nu"], lease["h"], lease["delta"]
        for t in range(T - 1, skip - 1, -1):
            torch.mm(r[t], Z.T, out=delta)
            if t < T - 1:
                gemm.addmm(delta, nu[t + 1], W)
            activation.into_derivative(nu[t], delta)  # nu[t] becomes G_t
        G = nu
        dF = x[skip:].reshape(-1, D).T @ G[skip:].reshape(-1, n)  # D x n, from the terms W E x_t
        dZ = r[skip:].reshape(-1, D).T @ h[skip:].reshape(-1, n)  # D x n
        dWt = dimage = None
        if sectors is not None:
            dWt, dgenerators, of_Z = sectors.gradients(W, lease["Wt"], Z, r[skip - 1], G[skip])
            dF += dgenerators[0] if first is None else dgenerators[:, 0].sum(dim=0)
            dimage = None if first is None else dgenerators[:, 1]
            dZ += of_Z.T
        left, right = dF, _rows(E)  # left' right is dL/dW from all but the full products
        if first is not None:
            weights = first.parts @ r[0]  # r x 1, of f(z We) in y_0 = d . h_0
            dends = weights @ Z.T
            if T > 1:
                dimage = first.parts @ G[1] if dimage is None else dimage  # r x n, dL/d(ends W')
                dends += dimage @ W
                left, right = torch.cat([dF, dimage]), torch.cat([right, ends])
            currents = torch.outer(first.z, F[0])
            activation.into_derivative(currents, dends)
            dF += first.z @ currents
            left[:D] = dF
            dZ += weights.T @ ends
        past, later = h[skip : T - 1].reshape(-1, n), G[skip + 1 :].reshape(-1, n)  # of the full products
        dW = dE = None
        if ctx.needs_input_grad[0] and dWt is None:
            dW = gemm.addmm(torch.mm(left.T, right), later.T, past)
        elif ctx.needs_input_grad[0]:
            dWt.addmm_(right.T, left)  # type: ignore[union-attr]
            dW = gemm.addmm(dWt, past.T, later).T.contiguous()  # type: ignore[arg-type]
        if ctx.needs_input_grad[1]:
            dE = (dF @ W).T
        lease.give_back()
        return dW, dE, dZ.T if ctx.needs_input_grad[2] else None, None, None, None, None, None


def _rows(thin: Tensor) -> Tensor:
    """The columns of an `n x D` matrix as the rows of a contiguous one."""
    return thin.T.contiguous()


def _states(currents: Tensor, activation: Any) -> Tensor:
    states = torch.empty_like(currents)
    activation.into(currents, states)
    return states
