r"""A few points and a few neurons that stand for all: the proxy loss of several channels and a gentle activation.

At a point z of the box (equation 34) neuron i has the state $f(z \cdot \varphi_i)$, with $\varphi_i = (We_1, \dots,
We_D)_i$. If f bends little over the currents that occur, the `points x neurons` matrix of states has a low numerical
rank r, and follows from a cross of it: r points $z_j$ and r reference functions $g_k$,

$$f(z \cdot \varphi) = \sum_j \ell_j(z)\, f(z_j \cdot \varphi), \quad \ell(z) = g(z) M^{-1}, \quad M_{jk} = g_k(z_j).$$

The $g_k$ are states of reference neurons, and coordinates of z, since targets are linear in z: the pivots of a QR
factorisation of the matrix of both. The $z_j$ are the pivots of its rows. As for one channel (`lib.fast.skeletons`,
where f
may be steep), the mean of any square over thousands of points is known from r values and the Gram matrix of the
$\ell_j$.

A few neurons come to have large currents, and steep states that no others resemble. They stand for themselves:
their states at all points are functions beside the $\ell_j$. With $\tilde h$ the values of all neurons for each of
these r + K functions, $u = \tilde h d - s \gamma z$ and $R = \tilde h W^\dagger - \sum_c \gamma_c z_c We_c$ likewise,
and $\Gamma$ the means of products of two functions, the loss is as in `lib.training.proxies`,

$$\mathcal{L} = a\, \mathrm{tr}(u^\dagger \Gamma u) + b\, \mathrm{tr}(R^\dagger \Gamma R),$$

with a gradient in the states of those K neurons too. Nothing tells in advance how far a cross reaches; `misfit`
compares it with exact states, at each training step. A change of the largest currents among the others leaves the span
of the references first, so the candidates for references are the neurons, and random neighbours of some.
"""

from typing import Any

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks
from lib.model.signals import normal

SAMPLES = 2048  # points among which those of a cross are chosen
SKETCH = 640  # of them, at which the references are chosen
MOST = 400  # references: with more a cross would neither be reliable nor save much
FEWEST = 1024  # points that it must stand for, lest it save nothing
ALONE = 32  # neurons that stand for themselves, those with the largest currents
LARGEST, NEIGHBOURS, SPREAD = 64, 8, 0.2  # others with neighbours; how many; how far, in mean lengths of all
PROBES = 16  # points at which a cross is compared with exact states
TOLERANCE = 3e-8  # at which the pivots stop, relative to the first
MISFIT = 1.5e-5  # largest error of a state with which a cross still serves


def may_have_cross(network: Any, points: int) -> bool:
    """Whether it is worth trying: several channels, one smooth activation for all, many points, float32, on a CPU."""
    f = network.activation
    thresholds = getattr(f, "thresholds", None)
    shared = thresholds is None or (thresholds.ndim == 0 and not thresholds.requires_grad)
    known = network.D > 1 and hasattr(f, "poles") and shared
    large = points >= FEWEST and network.n > 2 * ALONE  # else hardly any neuron is left to stand for
    return known and large and network.W.device.type == "cpu" and network.W.dtype == torch.float32


class Cross:
    r"""Points $z_j$ and functions $\ell_j$ for one activation and neurons like those of a network.

    Args:
        activation: Elementwise and smooth, the same for all neurons.
        stretches: `n x D`, rows $\varphi_i$.
        z_max: Half the edge of the box in which points lie.

    Attributes:
        z: `r x D` points, float64 on the CPU, which are numbers of float32 too.
        complete: False if more references than `MOST` would be needed.
    """

    def __init__(self, activation: Any, stretches: Tensor, z_max: float):
        self.activation, self.z_max = activation, checks.positive("z_max", z_max)
        known, D = stretches.double(), stretches.shape[1]
        lengths = known.norm(dim=1)
        largest = known[lengths.argsort(descending=True, stable=True)[:LARGEST]]
        steps = normal(NEIGHBOURS, len(largest), D, generator=torch.Generator().manual_seed(0))
        self._stretches = torch.cat([known, (largest + SPREAD * lengths.mean() * steps).flatten(0, 1)])
        self._coordinates = torch.arange(D)
        z = ((2 * SobolEngine(D).draw(SAMPLES, dtype=torch.float64) - 1) * z_max).float().double()
        values = self._references(z).numpy()
        columns: Any = qr(values[:SKETCH], mode="r", pivoting=True)
        sizes = abs(np.diag(columns[0]))
        r = int((sizes > TOLERANCE * sizes[0]).sum())
        self.complete = r <= MOST
        chosen = torch.from_numpy(np.sort(columns[1][: min(r, MOST)])).long()
        rows: Any = qr(values[:, chosen].T, mode="r", pivoting=True)
        neurons = len(self._stretches)
        self._coordinates = chosen[chosen >= neurons] - neurons
        self._stretches = self._stretches[chosen[chosen < neurons]]
        self.z = z[torch.from_numpy(rows[1][: len(chosen)].copy()).long()]
        self._inverse = torch.linalg.inv(self._references(self.z))

    def _references(self, z: Tensor) -> Tensor:
        """Reference functions at `P x D` points: neurons, then coordinates."""
        return torch.cat([self.activation(z @ self._stretches.T), z[:, self._coordinates] / self.z_max], dim=1)

    def functions(self, z: Tensor) -> Tensor:
        r"""`P x r` values $\ell_j(z_b)$ at P points, in float64."""
        return self._references(z.double()) @ self._inverse

    def misfit(self, stretches: Tensor, z: Tensor, functions: Tensor) -> float:
        """Largest error of the states of `n x D` neurons at `P x D` points, where the functions have these values."""
        known = self.activation(self.z @ stretches.double().T)
        return (functions @ known - self.activation(z.double() @ stretches.double().T)).abs().max().item()


class Crosses:
    """The cross that serves a network at present; made anew when it no longer does.

    Args:
        z_max: Half the edge of the box in which points lie.
    """

    def __init__(self, z_max: float):
        self.z_max = z_max
        self.made = 0
        self.cross: Cross | None = None
        self._given_up = False

    def serve(self, network: Any, z: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
        """What stands for the `P x D` points z; None if that takes too many functions, and then it is not tried again.

        Returns:
            Points `r x D`, values of the functions `P x r`, and which neurons stand for themselves.

        Raises:
            ValueError: points outside of the box.
        """
        if self._given_up or not may_have_cross(network, len(z)):
            return None
        if not z.abs().max() <= self.z_max:
            raise ValueError(f"z must lie in [-{self.z_max}, {self.z_max}], got {z.abs().max():g}")
        stretches = network.W.detach() @ network.encoders.detach()
        if not stretches.isfinite().all():  # the usual way hands that on
            return None
        order = stretches.norm(dim=1).argsort(descending=True, stable=True)
        others = stretches[order[ALONE:]]
        found = self._fitting(others, z) if self.cross is not None else None
        if found is None:
            self.cross = Cross(network.activation, others, self.z_max)
            self.made += 1
            found = self._fitting(others, z) if self.cross.complete else None
            self._given_up = found is None
        return (*found, order[:ALONE]) if found is not None else None

    def _fitting(self, stretches: Tensor, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """Points and values of the functions, if states at the first points are as the present cross has them."""
        cross: Any = self.cross
        functions = cross.functions(z)
        if not cross.misfit(stretches, z[:PROBES], functions[:PROBES]) <= MISFIT:
            return None
        return cross.z.to(z), functions.to(z)


class OnCross(torch.autograd.Function):
    """The loss and its gradient in W, encoders and decoders from what `Crosses.serve` returns."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, z: Tensor, served: tuple, activation: Any, constants: tuple
    ) -> Tensor:
        points, functions, alone = served
        gamma, s, a, b = constants
        needs_W, needs_E, needs_Z = ctx.needs_input_grad[:3]
        P, r, K = len(z), len(points), len(alone)
        F = E.T.contiguous() @ W.T  # D x n
        own = z @ F[:, alone]  # P x K currents
        states = torch.empty_like(own)
        activation.into(own, states)
        basis = torch.cat([functions, states], dim=1)  # P x (r + K)
        currents, decayed = points @ F, points * gamma  # r x n, r x D
        H, slopes = F.new_zeros(r + K, len(W)), torch.ones_like(currents)
        activation.into(currents, H[:r])
        H[:r, alone] = 0
        H[r + torch.arange(K), alone] = 1
        u, R = H @ Z, H @ W.T  # (r + K) x D, (r + K) x n
        u[:r] -= s * decayed
        R[:r] -= decayed @ F
        gram = basis.T @ basis / P
        v, Q = 2 * a * (gram @ u), 2 * b * (gram @ R)
        loss = 0.5 * (u.flatten() @ v.flatten() + R.flatten() @ Q.flatten())
        dE = dW = None
        if needs_W or needs_E:
            activation.into_derivative(currents, slopes)
            delta = (v[:r] @ Z.T).addmm_(Q[:r], W).mul_(currents)
            delta[:, alone] = 0
            dF = points.T @ delta - decayed.T @ Q[:r]
            of_states = basis @ ((2 * a / P) * (u @ u[r:].T) + (2 * b / P) * (R @ R[r:].T))  # P x K
            activation.into_derivative(own, of_states)
            dF[:, alone] += z.T @ own
            dW = torch.addmm(dF.T @ E.T, Q.T, H) if needs_W else None
            dE = (dF @ W).T if needs_E else None
        ctx.gradients = (dW, dE, H.T @ v if needs_Z else None)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, factor: Tensor) -> Any:  # type: ignore[override]
        return *given_away(ctx, factor), None, None, None, None


def given_away(ctx: Any, factor: Tensor) -> list[Tensor | None]:
    """Gradients that forward has left in `ctx`, times a factor; nobody else holds them, so autograd need not copy them.

    Raises:
        RuntimeError: the second time.
    """
    gradients, ctx.gradients = ctx.gradients, None
    if gradients is None:
        raise RuntimeError("backward can be called once: the gradient has been given away")
    return [None if g is None else g.mul_(factor) for g in gradients]
