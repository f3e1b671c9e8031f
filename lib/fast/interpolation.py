r"""A few values of z that stand for all: how the proxy loss of one channel is averaged at little cost (equation 33).

With one channel the states $f(z\,We)$ depend on the single number z. The functions $z \mapsto f(z\varphi)$, one for
each neuron with $\varphi = (We)_i$, differ only by a stretch of z, so that to a given accuracy they span few
dimensions: there are r points $z_j$ and functions $\ell_j$, the same for all neurons, with

$$f(z\varphi) = \sum_j \ell_j(z)\, f(z_j \varphi) \qquad \text{for } |z| \le z_{max},\ |\varphi| \le \varphi_{max}$$

and r is 40 to 80 where thousands of points are averaged over. A residual that is linear in the states and in z is then
known from its r values, and the mean of its square over any points $z_b$ from the Gram matrix of the $\ell_j$
(`quadratic_loss`),

$$\Gamma_{jk} = \frac1B \sum_b \ell_j(z_b)\, \ell_k(z_b).$$

How the points are found. Functions of z are held as Chebyshev series on panels, halved until no singularity of any
$f(z\varphi)$ comes close (`panels`): singularities crowd at z = 0 as $\varphi$ grows, and so do the panels. The matrix
of many of these functions on all nodes of the panels is then factored by QR with pivoting, whose pivots are the $z_j$:
an interpolative decomposition. Products of Chebyshev polynomials are sums of two of them, so that $\Gamma$ needs only
the moments $\sum_b T_q(x_b)$ of the points in each panel, $q < 2p$.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.polynomial.chebyshev import chebvander
from scipy.linalg import qr, solve_triangular
from torch import Tensor

from lib import checks
from lib.fast.panels import panels

RHO = 3.3  # the series on a panel of p nodes are as accurate as RHO^-p
GAINS = 240  # of f, of either sign, that are sampled to find the points
ROOM = 1.4  # a new interpolation serves until |We| has grown by this factor
HEADROOM = 1.25  # and, if its range of z is that of inputs so far, inputs this much larger
STEEPEST = 1e4  # largest gain times z for which few states are exact enough, and few
PROBES = 12  # gains, and values of z, at which an interpolation is compared with the activation of each call


class Accuracy(NamedTuple):
    """How well functions are held."""

    order: int  # p, nodes per panel
    tolerance: float  # at which the pivots stop, relative to the first
    probe_error: float  # largest with which an interpolation still serves
    dtype: type[np.floating]  # of the network: nodes are numbers that it has, lest slopes magnify their rounding


ACCURACY = {
    torch.float32: Accuracy(16, 1e-7, 1e-5, np.float32),
    torch.float64: Accuracy(24, 1e-11, 2e-9, np.float64),
}


def identity(network: Any) -> tuple:
    """What a kept interpolation is for: the activation's type and parameters, dtype and device."""
    f, W = network.activation, network.W
    numbers = [(name, value) for name, value in sorted(vars(f).items()) if isinstance(value, int | float)]
    tensors = [(name, tuple(values.flatten().tolist())) for name, values in getattr(f, "named_parameters", list)()]
    return (type(f), *numbers, *tensors, W.dtype, W.device)


def smooth_and_shared(network: Any) -> str:
    """Why states at all points do not follow from few; empty if they may. What is few is found on a CPU alone."""
    thresholds = getattr(network.activation, "thresholds", None)
    if not hasattr(network.activation, "poles"):
        return "the activation has no known poles"
    if thresholds is not None and (thresholds.ndim or thresholds.requires_grad):
        return "neurons have thresholds of their own"
    return "" if network.W.device.type == "cpu" and network.W.dtype in ACCURACY else "not float32 or float64 on a CPU"


def quadratic_loss(
    H: Tensor, zeta: Tensor, gram: Tensor, weights: tuple[Tensor, ...], gamma: Tensor, s: Tensor, a: float, b: float
) -> Tensor:
    r"""The proxy loss from residuals u and R that are known at few values.

    $$\mathcal{L} = a\,\mathrm{tr}(u^\dagger \Gamma u) + b\,\mathrm{tr}(R^\dagger \Gamma R), \qquad
    u = H Z - s \gamma \zeta, \qquad R = H W^\dagger - (\gamma \zeta) F$$

    Args:
        H: `r x n` states.
        zeta: `r x D` values of z.
        gram: $\Gamma$, `r x r`.
        weights: F (`D x n`, rows $We_c$), W and Z.
        gamma: D decays.
        s: D scales.
        a: Factor of the outputs' mean square.
        b: Factor of the currents'.
    """
    F, W, Z = weights
    decayed = gamma * zeta
    u = torch.mm(H, Z) - s * decayed
    R = torch.mm(H, W.T) - torch.mm(decayed, F)
    return a * (u * torch.mm(gram, u)).sum() + b * (R * torch.mm(gram, R)).sum()


class Interpolation:
    r"""Points $z_j$ and functions $\ell_j$ for one activation and all gains up to `largest`.

    Args:
        activation: Has `poles` and one set of parameters for all neurons, as `lib.model.activations.Sigmoid`.
        largest: $\varphi_{max}$.
        z_max: Range of z.
        accuracy: See `ACCURACY`.

    Attributes:
        z: `r` points, float64 on the CPU.
        edges: `P + 1` edges of the panels.
        series: `P x p x r` Chebyshev coefficients of the $\ell_j$.
    """

    def __init__(self, activation: Any, largest: float, z_max: float, accuracy: Accuracy):
        self.largest, self.z_max = checks.positive("largest", largest), checks.positive("z_max", z_max)
        p = accuracy.order
        bend = 1 / (activation.slope * z_max)  # below it a gain changes little
        up = bend * np.sinh(np.linspace(0, np.arcsinh(largest / bend), GAINS + 1)[1:])
        gains = np.concatenate([-up[::-1], [0.0], up])
        edges = panels(activation.poles(gains[gains != 0]), z_max, rho=RHO)
        angles = (np.arange(p) + 0.5) * np.pi / p
        centres, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
        nodes = (centres[:, None] + halves[:, None] * np.cos(angles)).astype(accuracy.dtype).astype(float)  # P x p
        vandermonde = chebvander((nodes - centres[:, None]) / halves[:, None], p - 1)  # P x p x p
        nodes = nodes.ravel()
        values = activation.values(np.outer(gains, nodes))
        values = np.concatenate([values, nodes[None] / z_max])  # the target is linear in z
        factors: Any = qr(values, mode="r", pivoting=True)
        R, pivots = factors
        sizes = abs(np.diag(R))
        r = int((sizes > accuracy.tolerance * sizes[0]).sum())
        cardinal = np.empty((len(nodes), r))
        cardinal[pivots[:r]] = np.eye(r)
        cardinal[pivots[r:]] = solve_triangular(R[:r, :r], R[:r, r:]).T
        self.z = torch.from_numpy(nodes[pivots[:r]].copy())
        self.edges = torch.from_numpy(edges)
        self.series = torch.from_numpy(np.linalg.solve(vandermonde, cardinal.reshape(-1, p, r)))
        k = torch.arange(p)
        self._sum, self._difference = k[:, None] + k, (k[:, None] - k).abs()
        between = torch.from_numpy((gains[1:] + gains[:-1]) / 2)
        z = torch.from_numpy((centres[:, None] + halves[:, None] * np.cos(angles + np.pi / (2 * p))).ravel())
        at, of = (torch.linspace(0, len(values) - 1, PROBES).long() for values in (z, between))
        self._probes = between[of], z[at], self.functions(z[at])

    def probe_error(self, activation: Any) -> float:
        """Largest error of the states of an activation at a few gains and points between those of the construction."""
        gains, z, functions = self._probes
        known, exact = (activation(torch.outer(at, gains)) for at in (self.z, z))
        return (functions @ known - exact).abs().max().item()

    def _chebyshev(self, z: Tensor, degree: int) -> tuple[Tensor, Tensor]:
        """Panel of each of B points, and `degree + 1 x B` Chebyshev polynomials there."""
        z = z.double()
        low, high = z.aminmax()
        if not (-self.z_max <= low and high <= self.z_max):
            raise ValueError(f"z must lie in [-{self.z_max}, {self.z_max}], got [{low:g}, {high:g}]")
        at = torch.bucketize(z, self.edges[1:-1], right=True)
        left, right = self.edges[at], self.edges[at + 1]
        x = (2 * z - left - right) / (right - left)
        T = z.new_empty(max(degree, 1) + 1, len(z))
        T[0], T[1] = 1, x
        for q in range(2, degree + 1):
            torch.mul(T[q - 1], x, out=T[q]).mul_(2).sub_(T[q - 2])
        return at, T[: degree + 1]

    def functions(self, z: Tensor) -> Tensor:
        r"""`B x r` values $\ell_j(z_b)$ at B points."""
        at, T = self._chebyshev(z, self.series.shape[1] - 1)
        return torch.einsum("pb,bpr->br", T, self.series[at])

    def gram(self, z: Tensor) -> Tensor:
        r"""`r x r` means of $\ell_j \ell_k$ over B points, in float64.

        Raises:
            ValueError: points beyond the range.
        """
        P, p, r = self.series.shape
        at, T = self._chebyshev(z, 2 * p - 2)
        moments = T.new_zeros(P, 2 * p - 1).index_add_(0, at, T.T.contiguous()) / len(z)
        products = (moments[:, self._sum] + moments[:, self._difference]) / 2  # P x p x p
        return self.series.reshape(-1, r).T @ (products @ self.series).reshape(-1, r)


class Interpolations:
    """The interpolation that serves a network at present; made anew when it no longer does."""

    def __init__(self) -> None:
        self.current: Interpolation | None = None
        self._identity: tuple = ()
        self._given_up: tuple = ()

    @torch.no_grad()
    def serve(self, network: Any, z_max: float, headroom: float = 1.0) -> Interpolation | None:
        """One for the network's activation and gains and for z up to `z_max`; None if few states are not exact enough.

        A new one serves z up to `headroom` times `z_max`.
        """
        f, now = network.activation, identity(network)
        gain = (network.W @ network.encoders).abs().max().item()
        if now == self._given_up or not z_max * gain <= STEEPEST:  # nor if it is not a number
            return None
        accuracy, old = ACCURACY[network.W.dtype], self.current
        fits = old is not None and now == self._identity and gain <= old.largest and z_max <= old.z_max
        if old is None or not fits or not old.probe_error(f) <= accuracy.probe_error:
            if old is not None and now == self._identity and z_max <= old.z_max:
                z_max = old.z_max
            else:
                z_max = z_max * headroom or 1.0
            try:
                old = Interpolation(f, ROOM * max(gain, 1 / (f.slope * z_max)), z_max, accuracy)
            except ValueError:  # poles too close to the real axis
                old = None
            if old is None or not old.probe_error(f) <= accuracy.probe_error:
                self._given_up = now
                return None
            self.current, self._identity = old, now
        return old


def proxy(network: Any, z: Tensor, constants: tuple, z_max: float, kept: Interpolations) -> Tensor | None:
    """The proxy loss at `P x 1` points; `constants` are the last four arguments of `quadratic_loss`."""
    found = kept.serve(network, z_max)
    if found is None:
        return None
    F = torch.mm(network.encoders.T.contiguous(), network.W.T)  # 1 x n
    zeta = found.z.to(z)[:, None]
    H = network.activation(torch.mm(zeta, F))
    return quadratic_loss(H, zeta, found.gram(z[:, 0]).to(z), (F, network.W, network.decoders), *constants)
