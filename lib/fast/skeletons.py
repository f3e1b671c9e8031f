r"""A few values of z that stand for all: how the proxy loss of one channel is averaged at little cost (equation 33).

With one channel the states $f(z\,We)$ depend on the single number z. The functions $z \mapsto f(z\varphi)$, one for
each neuron with $\varphi = (We)_i$, differ only by a stretch of z, so that to a given accuracy they span few
dimensions: there are r points $z_j$ and functions $\ell_j$, the same for all neurons, with

$$f(z\varphi) = \sum_j \ell_j(z)\, f(z_j \varphi) \qquad \text{for } |z| \le z_{max},\ |\varphi| \le \varphi_{max}$$

and r is 40 to 80 where thousands of points are averaged over. A residual that is linear in the states and in z is then
known from its r values, and the mean of its square over any points $z_b$ from the Gram matrix of the $\ell_j$,

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

RHO = 3.3  # the series on a panel of p nodes are as accurate as RHO^-p
STRETCHES = 240  # of f, of either sign, that are sampled to find the points
ROOM = 1.4  # a new skeleton serves until |We| has grown by this factor


class Accuracy(NamedTuple):
    """How well functions are held."""

    order: int  # p, nodes per panel
    tolerance: float  # at which the pivots stop, relative to the first
    dtype: type[np.floating]  # of the network: nodes are numbers that it has, lest slopes magnify their rounding


ACCURACY = {torch.float32: Accuracy(16, 1e-7, np.float32), torch.float64: Accuracy(24, 1e-11, np.float64)}


def panels(poles: np.ndarray, z_max: float, *, rho: float = RHO, most: int = 200) -> np.ndarray:
    r"""Edges of panels of $[-z_{max}, z_{max}]$ so small that functions with these poles have fast Chebyshev series.

    Halves a panel while a pole lies in its Bernstein ellipse, whose semi-axes add up to `rho` half lengths.

    Args:
        poles: Complex numbers, none of them real.
        z_max: Half the length of all panels together.
        rho: Above 1; a series of p terms is accurate to about `rho`^-p.
        most: Panels.

    Raises:
        ValueError: poles on the real axis, or so close that more panels would be needed.
    """
    if (np.imag(poles) == 0).any():
        raise ValueError("poles must not be real, got one that is")
    edges = np.array([-z_max, 0.0, z_max])
    while True:
        centres, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
        w = (poles - centres[:, None]) / halves[:, None]  # panels x poles
        root = np.sqrt(w**2 - 1 + 0j)
        close = (np.maximum(abs(w + root), abs(w - root)) < rho).any(axis=1)
        if not close.any():
            return edges
        edges = np.sort(np.concatenate([edges, centres[close]]))
        if len(edges) > most + 1:
            raise ValueError(f"poles must be farther from the real axis: more than {most} panels would be needed")


def has_skeleton(network: Any) -> bool:
    """Whether the states at all z follow from few; the points are found from numbers, on a CPU alone."""
    thresholds = getattr(network.activation, "thresholds", None)
    shared = thresholds is None or (thresholds.ndim == 0 and not thresholds.requires_grad)
    known = network.D == 1 and hasattr(network.activation, "poles") and shared
    return known and network.W.device.type == "cpu" and network.W.dtype in ACCURACY


def largest_stretch(network: Any) -> float:
    r"""$\max_i |(We)_i|$, beyond which a skeleton says nothing; nan if a weight is."""
    return (network.W.detach() @ network.encoders.detach()).abs().max().item()


class Skeleton:
    r"""Points $z_j$ and functions $\ell_j$ for one activation and all stretches up to `largest`.

    Args:
        activation: Has `poles` and one set of parameters for all neurons, as `lib.model.activations.Sigmoid`.
        largest: $\varphi_{max}$.
        z_max: Range of z.
        accuracy: See `ACCURACY`.

    Attributes:
        z: `r` points, float64 on the CPU.
        edges: `P + 1` edges of the panels.
        series: `P x p x r` Chebyshev coefficients of the $\ell_j$.
        error: Largest error of $f(z\varphi)$ at stretches and points between those from which it was made.
    """

    def __init__(self, activation: Any, largest: float, z_max: float, accuracy: Accuracy):
        self.largest, self.z_max = checks.positive("largest", largest), checks.positive("z_max", z_max)
        p = accuracy.order
        bend = 1 / (activation.slope * z_max)  # below it a stretch changes little
        up = bend * np.sinh(np.linspace(0, np.arcsinh(largest / bend), STRETCHES + 1)[1:])
        stretches = np.concatenate([-up[::-1], [0.0], up])
        edges = panels(activation.poles(stretches[stretches != 0]), z_max)
        angles = (np.arange(p) + 0.5) * np.pi / p
        centres, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
        nodes = (centres[:, None] + halves[:, None] * np.cos(angles)).astype(accuracy.dtype).astype(float)  # P x p
        vandermonde = chebvander((nodes - centres[:, None]) / halves[:, None], p - 1)  # P x p x p
        nodes = nodes.ravel()
        values = activation.values(np.outer(stretches, nodes))
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
        between = (stretches[1:] + stretches[:-1]) / 2
        z = (centres[:, None] + halves[:, None] * np.cos(angles + np.pi / (2 * p))).ravel()
        found = self.functions(torch.from_numpy(z)).numpy() @ activation.values(np.outer(self.z.numpy(), between))
        self.error = abs(found - activation.values(np.outer(z, between))).max().item()

    @classmethod
    def serving(cls, network: Any, largest: float, z_max: float, old: "Skeleton | None" = None) -> "Skeleton":
        """One for the activation of a network, up to a stretch and a z: the old one if it serves, else a new one."""
        if old is not None and largest <= old.largest and z_max <= old.z_max:
            return old
        f = network.activation
        return cls(f, ROOM * max(largest, 1 / (f.slope * z_max)), z_max, ACCURACY[network.W.dtype])

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
