r"""The proxy loss from second moments of the states, where there are more points than neurons (equations 33 and 34).

Of the current's residuals $R_b = W h_b - \nu'_b$, with $\nu'_b = \sum_c \gamma_c z_{bc} W e_c$, the loss and its
gradient need their mean square and no more than

$$K = \langle R\, h^\dagger \rangle = W C - F^\dagger X^\dagger, \qquad C = \langle h h^\dagger \rangle, \quad
X = \langle h\, (\gamma z)^\dagger \rangle, \quad S = \langle (\gamma z) (\gamma z)^\dagger \rangle,$$
$$\langle |R|^2 \rangle = \mathrm{tr}(K W^\dagger) - \mathrm{tr}\big( (W X - F^\dagger S)\, F \big), \qquad
W^\dagger R_b = (W^\dagger W)\, h_b - W^\dagger \nu'_b,$$

where the rows of F are the $We_c$. With P points and n neurons the residuals themselves take three products of
$2 P n^2$ operations in a step, forward, back and for the gradient. Here the symmetric C takes $P n^2$, the way back
$2 P n^2$, and two products of matrices `n x n` are added: 15 instead of 24 times $n^3$ for P = 4 n. The difference of
large moments costs digits: the gradient is exact to rounding times the ratio of currents to residuals.
"""

from typing import Any

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from torch import Tensor

from lib.fast import sizes
from lib.fast.once import differentiable_once
from lib.model import gemm


def why_not(network: Any, z: Tensor) -> str:
    """Why the loss does not follow from moments, or not faster; empty if it does."""
    if network.n < sizes.MOMENTS_NEURONS:
        return f"fewer than {sizes.MOMENTS_NEURONS} neurons"
    if len(z) < sizes.POINTS_PER_NEURON * network.n:
        return f"fewer than {sizes.POINTS_PER_NEURON} points for each neuron"
    known = network.W.device.type == "cpu" and network.W.dtype in (torch.float32, torch.float64)
    return "" if known else "not float32 or float64 on a CPU"


def proxy(network: Any, z: Tensor, constants: tuple) -> Tensor:
    """The proxy loss at `P x D` points, differentiable once in W, encoders and decoders, and backward called once.

    `constants`: decays and scales, tensors of D numbers, and the factors of the mean squares of outputs and currents.
    """
    weights = (network.W, network.encoders, network.decoders)
    return _SecondMoments.apply(*weights, z, network.activation, constants)  # type: ignore[no-any-return]


def gram(rows: Tensor) -> Tensor:
    """`n x n` products of the columns of a `P x n` matrix on the CPU, summed over rows; half the work of a product."""
    columns = rows.detach().numpy().T  # which BLAS sees as they are, one after the other
    syrk: Any = get_blas_funcs("syrk", (columns,))
    upper = syrk(1.0, columns)
    found = torch.from_numpy(np.ascontiguousarray(upper.T))  # zeros above the diagonal
    diagonal = found.diagonal().clone()
    found += found.T.clone()
    found.diagonal().copy_(diagonal)
    return found


class _SecondMoments(torch.autograd.Function):
    """The loss at `P x D` points and its gradient in W, encoders and decoders."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, z: Tensor, activation: Any, constants: tuple
    ) -> Tensor:
        gamma, s, a, b = constants
        needs_W, needs_E, needs_Z = ctx.needs_input_grad[:3]
        P = len(z)
        F = E.T.contiguous() @ W.T  # D x n
        currents = z @ F
        H = torch.empty_like(currents)
        activation.into(currents, H)
        decayed = z * gamma
        u = H @ Z - s * decayed  # P x D
        X, S = decayed.T @ H / P, decayed.T @ decayed / P  # D x n, D x D
        K = gemm.mm(W, gram(H) / P) - F.T @ X  # n x n
        L = X @ W.T - S @ F  # D x n, mean of R and the decayed integrals
        of_currents = K.double().flatten() @ W.double().flatten() - L.double().flatten() @ F.double().flatten()
        loss = a / P * u.square().sum() + b * of_currents.to(W.dtype)
        dE = dW = None
        if needs_W or needs_E:
            M = gram(W)
            delta = gemm.addmm(-(decayed @ (F @ W)), H, M).mul_(b)
            delta.addmm_(u, Z.T, alpha=a).mul_(2 / P)
            activation.into_derivative(currents, delta)
            dF = (z.T @ currents).sub_(L, alpha=2 * b)
            dW = torch.addmm(K.mul_(2 * b), dF.T, E.T) if needs_W else None
            dE = (dF @ W).T if needs_E else None
        ctx.gradients = (dW, dE, (2 * a / P) * (H.T @ u) if needs_Z else None)
        return loss

    @staticmethod
    def backward(ctx: Any, factor: Tensor) -> Any:  # type: ignore[override]
        differentiable_once()
        gradients, ctx.gradients = ctx.gradients, None  # nobody else holds them, so autograd need not copy them
        if gradients is None:
            raise RuntimeError("backward can be called once: the gradient has been given away")
        return *(None if g is None else g.mul_(factor) for g in gradients), None, None, None
