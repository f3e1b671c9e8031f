r"""A few points and a few neurons that stand for all: the proxy loss of several channels and a gentle activation.

At a point z of the box (equation 34) neuron i has the state $f(z \cdot \varphi_i)$, with $\varphi_i = (We_1, \dots,
We_D)_i$. If f bends little over the currents that occur, the `points x neurons` matrix of states has a low numerical
rank r, and follows from a cross of it: r points $z_j$ and r reference functions $g_k$,

$$f(z \cdot \varphi) = \sum_j \ell_j(z)\, f(z_j \cdot \varphi), \quad \ell(z) = g(z) M^{-1}, \quad M_{jk} = g_k(z_j).$$

The $g_k$ are states of reference neurons, and coordinates of z, since targets are linear in z: the pivots of a QR
factorisation of the matrix of both. The $z_j$ are the pivots of its rows. As for one channel (`lib.fast.interpolation`,
where f may be steep), the mean of any square over thousands of points is known from r values and the Gram matrix of the
$\ell_j$.

A few neurons come to have large currents, and steep states that no others resemble. These are exact: their states at
all points are functions beside the $\ell_j$, so that $\Gamma$ depends on their weights too. Nothing tells in advance
how far a cross reaches; `probe_error` compares it with exact states, at each training step. A change of the largest
currents among the others leaves the span of the references first, so the candidates for references are the neurons, and
random neighbours of some.
"""

import copy
from typing import Any

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor
from torch.quasirandom import SobolEngine

from lib import checks
from lib.fast import sizes
from lib.fast.interpolation import identity, quadratic_loss, smooth_and_shared
from lib.model.signals import normal

SAMPLES = 2048  # points among which those of a cross are chosen
SKETCH = 640  # of them, at which the references are chosen
MOST = 400  # references: with more a cross would neither be reliable nor save much
LARGEST, NEIGHBOURS, SPREAD = 64, 8, 0.2  # others with neighbours; how many; how far, in mean lengths of all
PROBES = 16  # points at which a cross is compared with exact states
TOLERANCE = 3e-8  # at which the pivots stop, relative to the first
PROBE_ERROR = 1.5e-5  # largest error of a state with which a cross still serves


def why_not(network: Any, z: Tensor) -> str:
    """Why a cross is not worth trying at `P x D` points; empty if it is."""
    if network.D == 1:
        return "one channel"
    if len(z) < sizes.CROSS_POINTS:
        return f"fewer than {sizes.CROSS_POINTS} points"
    if network.n <= 2 * sizes.EXACT_NEURONS:
        return f"no more than {2 * sizes.EXACT_NEURONS} neurons"
    return smooth_and_shared(network) or ("" if network.W.dtype == torch.float32 else "float64")


class CrossApproximation:
    r"""Points $z_j$ and functions $\ell_j$ for one activation and neurons like those of a network.

    Args:
        activation: Elementwise and smooth, the same for all neurons.
        gains: `n x D`, rows $\varphi_i$.
        z_max: Half the edge of the box in which points lie.

    Attributes:
        z: `r x D` points, float64 on the CPU, which are numbers of float32 too.
        complete: False if more references than `MOST`, or than half of all candidates, would be needed.
    """

    def __init__(self, activation: Any, gains: Tensor, z_max: float):
        self._activation, self.z_max = copy.deepcopy(activation), checks.positive("z_max", z_max)
        known, D = gains.double(), gains.shape[1]
        lengths = known.norm(dim=1)
        largest = known[lengths.argsort(descending=True, stable=True)[:LARGEST]]
        steps = normal(NEIGHBOURS, len(largest), D, generator=torch.Generator().manual_seed(0))
        self._gains = torch.cat([known, (largest + SPREAD * lengths.mean() * steps).flatten(0, 1)])
        self._coordinates = torch.arange(D)
        z = ((2 * SobolEngine(D).draw(SAMPLES, dtype=torch.float64) - 1) * z_max).float().double()
        values = self._references(z).numpy()
        columns: Any = qr(values[:SKETCH], mode="r", pivoting=True)
        sizes = abs(np.diag(columns[0]))
        r = int((sizes > TOLERANCE * sizes[0]).sum())
        self.complete = r <= min(MOST, values.shape[1] // 2)  # else neighbours of neurons, and so slopes, may be missed
        chosen = torch.from_numpy(np.sort(columns[1][: min(r, MOST)])).long()
        rows: Any = qr(values[:, chosen].T, mode="r", pivoting=True)
        neurons = len(self._gains)
        self._coordinates = chosen[chosen >= neurons] - neurons
        self._gains = self._gains[chosen[chosen < neurons]]
        self.z = z[torch.from_numpy(rows[1][: len(chosen)].copy()).long()]
        self._inverse = torch.linalg.inv(self._references(self.z))

    def _references(self, z: Tensor) -> Tensor:
        """Reference functions at `P x D` points: neurons, then coordinates."""
        return torch.cat([self._activation(z @ self._gains.T), z[:, self._coordinates] / self.z_max], dim=1)

    def functions(self, z: Tensor) -> Tensor:
        r"""`P x r` values $\ell_j(z_b)$ at P points, in float64."""
        return self._references(z.double()) @ self._inverse

    def probe_error(self, activation: Any, gains: Tensor, z: Tensor, functions: Tensor) -> float:
        """Largest error of states of `n x D` gains at `P x D` points, where the functions have these values."""
        known, exact = (activation(at.double() @ gains.double().T) for at in (self.z, z))
        return (functions @ known - exact).abs().max().item()


class CrossApproximations:
    """The cross that serves a network at present; made anew when it no longer does."""

    def __init__(self) -> None:
        self.made = 0
        self.current: CrossApproximation | None = None
        self._identity: tuple = ()
        self._given_up: tuple = ()

    @torch.no_grad()
    def serve(self, network: Any, z: Tensor, z_max: float) -> tuple[Tensor, Tensor, Tensor] | None:
        """What stands for `P x D` points z in a box; None if that takes too many functions, and then for good.

        Returns:
            Points `r x D`, values of the functions `P x r`, and indices of the neurons that are exact.
        """
        gains, now = network.W @ network.encoders, identity(network)
        if now == self._given_up or not gains.isfinite().all():
            return None
        order = gains.norm(dim=1).argsort(descending=True, stable=True)
        others, f = gains[order[sizes.EXACT_NEURONS :]], network.activation
        old = self.current if now == self._identity and self.current and z_max <= self.current.z_max else None
        functions = _fitting(old, f, others, z)
        if functions is None:
            old = CrossApproximation(f, others, z_max)
            self.made += 1
            functions = _fitting(old, f, others, z) if old.complete else None
            self.current, self._identity = old, now
        if functions is None:
            self._given_up = now
            return None
        return old.z.to(z), functions.to(z), order[: sizes.EXACT_NEURONS]  # type: ignore[union-attr]


def _fitting(cross: CrossApproximation | None, activation: Any, gains: Tensor, z: Tensor) -> Tensor | None:
    """Values of the functions at `P x D` points, if states at the first points are as a cross has them."""
    if cross is None:
        return None
    functions = cross.functions(z)
    right = cross.probe_error(activation, gains, z[:PROBES], functions[:PROBES]) <= PROBE_ERROR
    return functions if right else None


def proxy(network: Any, z: Tensor, constants: tuple, z_max: float, kept: CrossApproximations) -> Tensor | None:
    """The proxy loss at `P x D` points; `constants` are the last four arguments of `quadratic_loss`."""
    found = kept.serve(network, z, z_max)
    if found is None:
        return None
    points, functions, exact = found
    K, n = len(exact), network.n
    F = torch.mm(network.encoders.T.contiguous(), network.W.T)  # D x n
    steep = network.activation(torch.mm(z, F[:, exact]))  # P x K; in blocks, since functions have no gradient
    mixed = torch.mm(functions.T, steep)
    blocks = ([torch.mm(functions.T, functions), mixed], [mixed.T, torch.mm(steep.T, steep)])
    gram = torch.cat([torch.cat(row, dim=1) for row in blocks]) / len(z)  # (r + K) x (r + K)
    own = torch.zeros(K, n, dtype=z.dtype).scatter_(1, exact[:, None], 1)  # each exact neuron is a function
    states = network.activation(torch.mm(points, F)) * (1 - own.sum(dim=0))
    zeta = torch.cat([points, points.new_zeros(K, network.D)])
    H = torch.cat([states, own])  # (r + K) x n
    return quadratic_loss(H, zeta, gram, (F, network.W, network.decoders), *constants)
