r"""Conditions for exact integration by a rectified channel, how small a singular value they allow, and a rank-one
network that meets them (paper, section 4.2 and appendix J; equations 28, 51, 52; errata E13a, E13b).

With $u = We$ and $\lfloor\pm u\rfloor_+ = (|u| \pm u)/2$, the sums and differences of the four equalities (28) read

$$W u = 2\gamma\,u, \qquad W|u| = 0, \qquad d^\dagger u = 2s\gamma, \qquad d^\dagger|u| = 0.$$

The first bounds the spectral norm of any W that integrates, $|W| \ge 2\gamma$, and the third $|W||e||d| \ge 2s\gamma$.
Together they give `sharp_bound`; nothing needs W to be of rank one, or l to be half positive.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.theory.relu.two_point import terms

Number = float | Tensor


def residuals(W: Tensor, encoder: Tensor, decoder: Tensor, decay: Number, scale: Number) -> Tensor:
    r"""How far W is from the four equalities of equation 28, each relative to the norm of its right-hand side.

    Args:
        W: `... x n x n` weights.
        encoder: `... x n x 1`.
        decoder: `... x n x 1`.
        decay: $\gamma$, a number or `...`.
        scale: $s$, a number or `...`.

    Returns:
        `... x 4`: $|d^\dagger\lfloor\pm We\rfloor_+ \mp s\gamma| / s\gamma$ for the two signs, then
        $|W\lfloor\pm We\rfloor_+ \mp \gamma We| / |\gamma We|$ (not a number if We = 0).

    Raises:
        ValueError: shapes that do not fit, a decay outside (0, 1], a scale that is not positive.
    """
    gamma, s = checked(encoder, decoder, decay, scale, W)
    at = terms(W, encoder, decoder, decay, scale)
    outputs = at.output_errors[..., 0, :].abs() / (s * gamma)[..., 0]
    return torch.cat([outputs, at.current_errors.norm(dim=-2) / (gamma * at.image).norm(dim=-2)], dim=-1)


def plain_bound(encoder: Tensor, decoder: Tensor, decay: Number, scale: Number) -> Tensor:
    r"""Lower bound $2\gamma\max(1, s/|e||d|)$ of the largest singular value (appendix J; section 4.2 with E13a), `...`.

    Arguments and errors as for `residuals`.
    """
    gamma, s = checked(encoder, decoder, decay, scale)
    return (2 * gamma * _relative(encoder, decoder, s).clamp_min(1.0))[..., 0, 0]


def sharp_bound(encoder: Tensor, decoder: Tensor, decay: Number, scale: Number) -> Tensor:
    r"""Largest lower bound that depends on the angle between encoder and decoder alone (erratum E13b), `...`.

    With $l = We/|We|$ an integrator has $\sigma \ge |\rho|$ for a vector $\rho$ with $\rho^\dagger l = 2\gamma$ and
    $\rho^\dagger e = 2s\gamma/d^\dagger l$. The smallest such $\rho$ lies in the plane of l and e; the smallest over
    all unit vectors l is, with $s$ in units of $|e||d|$ and $c = \cos(e, d)$,

    $$2\gamma \quad\text{if } s \le \tfrac{1 + c}{2}, \qquad\text{else}\quad
    2\gamma\,\frac{1 + 4s(s - c)}{2s - c + 2\sqrt{1 - c^2}\sqrt{s(s - c)}}.$$

    For $d^\dagger e = 0$ these are $2\gamma$ and $2\gamma(s + 1/4s)$. Arguments and errors as for `residuals`.
    """
    gamma, s = checked(encoder, decoder, decay, scale)
    return (2 * gamma / _best_angles(encoder, decoder, s).right.cos())[..., 0, 0]


class RankOne(NamedTuple):
    r"""Weights $W = \sigma\, l\, r^\dagger$ of a batch of networks."""

    sigma: Tensor  # ... x 1 x 1
    left: Tensor  # ... x n x 1, l, of unit length
    right: Tensor  # ... x n x 1, r, of unit length

    @property
    def W(self) -> Tensor:
        """The weights, `... x n x n`."""
        return self.sigma * self.left @ self.right.mT

    def integrate(self, x: Tensor, encoder: Tensor, decoder: Tensor) -> Tensor:
        """Outputs `... x B x T` of the rectified network on inputs `B x T`, without forming W; equations 1 to 3."""
        checks.tensor("x", x, ("B", "T"))
        h, outputs = torch.zeros_like(self.left.mT), []  # ... B n
        for t in range(x.shape[1]):
            nu = self.sigma * ((h + x[:, t, None] * encoder.mT) @ self.right) @ self.left.mT
            h = nu.clamp_min(0)
            outputs.append((h @ decoder)[..., 0])
        return torch.stack(outputs, dim=-1)


def integrator(encoder: Tensor, decoder: Tensor, decay: Number, scale: Number) -> RankOne:
    r"""A rank-one network that integrates exactly, written down without training, for any decay and scale.

    Its left vector starts as the one in the plane of encoder and decoder that attains `sharp_bound`; scaling its
    positive and its negative half makes $d^\dagger l_+ = -d^\dagger l_-$. Then r is the shortest vector with
    $\sigma r^\dagger l_\pm = \pm\gamma$ and $\sigma r^\dagger e = s\gamma/d^\dagger l_+$: three linear equations. As
    halves of random vectors are not quite equal, $\sigma$ is above the bound by a relative amount of order 1/n.

    Args:
        encoder: `... x n x 1`.
        decoder: `... x n x 1`, with entries of both signs (the output could not be negative otherwise).
        decay: $\gamma$, a number or `...`.
        scale: $s$, a number or `...`.

    Raises:
        ValueError: as for `residuals`, a decoder of one sign, or an encoder in the span of the two halves of l.
    """
    gamma, s = checked(encoder, decoder, decay, scale)
    e, d = encoder / encoder.norm(dim=-2, keepdim=True), decoder / decoder.norm(dim=-2, keepdim=True)
    if not ((decoder.amax(dim=-2) > 0) & (decoder.amin(dim=-2) < 0)).all():
        raise ValueError("decoder must have entries of both signs, got one sign only: its output could have no other")
    across = e - (d.mT @ e) * d
    across = across / across.norm(dim=-2, keepdim=True).clamp_min(1e-300)
    theta = _best_angles(encoder, decoder, s).left
    l = theta.cos() * d + theta.sin() * across  # noqa: E741
    loads = _halves(l).mT @ d  # ... 2 1, d'l+ and d'l-
    fits = (loads[..., :1, :] > 0) & (loads[..., 1:, :] < 0)
    halves = _halves(torch.where(fits, l, d))  # ... n 2
    halves = halves / (halves.mT @ d).abs().mT  # both with the same load
    halves = halves / halves.square().sum(dim=(-2, -1), keepdim=True).sqrt()
    span = torch.cat([halves, encoder.expand(*halves.shape[:-1], 1)], dim=-1)  # ... n 3
    load = s * gamma / (halves[..., :1].mT @ decoder)
    wanted = torch.cat([gamma.expand_as(load), -gamma.expand_as(load), load], dim=-2)  # ... 3 1
    sizes = span.square().sum(dim=-2, keepdim=True).sqrt()
    gram = (span / sizes).mT @ (span / sizes)
    if not torch.linalg.eigvalsh(gram)[..., 0].min() > 1e-12:
        raise ValueError("encoder must not lie in the span of the two halves of the left vector, got one that does")
    rho = span / sizes @ torch.linalg.solve(gram, wanted / sizes.mT)
    sigma = rho.norm(dim=-2, keepdim=True)
    return RankOne(sigma, halves[..., :1] - halves[..., 1:], rho / sigma)


def flat_integrator(encoder: Tensor, decoder: Tensor, decay: Number) -> RankOne:
    r"""An exact integrator of scale $s = d\cdot e$ at which the proxy loss is flatter than at any other scale.

    Its states $h_\pm$ are multiples of the two halves of the encoder, $e = a h_+ + b h_-$ with
    $a = d^\dagger e_+/s\gamma$, $-b = -d^\dagger e_-/s\gamma$ (their difference is $1/\gamma$), and
    $W = \gamma u\,(h_+/|h_+|^2 - h_-/|h_-|^2)^\dagger$ with $u = h_+ - h_-$. Then $We = \gamma(a - b)u = u$.

    Args:
        encoder: `... x n x 1`, without zeros.
        decoder: `... x n x 1`, with $d^\dagger e_+ > 0 > d^\dagger e_-$ for the halves of the encoder, $e = e_+ - e_-$.
        decay: $\gamma$, a number or `...`.

    Raises:
        ValueError: as for `residuals`, or a decoder that does not read the halves with these signs.
    """
    gamma, _ = checked(encoder, decoder, decay, 1.0)
    halves = _halves(encoder)  # ... n 2
    loads = decoder.mT @ halves  # ... 1 2
    if not ((loads[..., 0] > 0) & (loads[..., 1] < 0)).all():
        raise ValueError(
            "decoder must read the positive half of the encoder with a positive and the other with a "
            f"negative weight, got {loads.flatten().tolist()}"
        )
    s = loads[..., :1] - loads[..., 1:]  # d'e
    h = halves * s * gamma / loads.abs()
    u = h[..., :1] - h[..., 1:]
    over = h / h.square().sum(dim=-2, keepdim=True)
    reader = over[..., :1] - over[..., 1:]
    lengths = u.norm(dim=-2, keepdim=True), reader.norm(dim=-2, keepdim=True)
    return RankOne(gamma * lengths[0] * lengths[1], u / lengths[0], reader / lengths[1])


class _Angles(NamedTuple):
    """Directions in the plane of decoder (at angle 0) and encoder that attain `sharp_bound`, each `... x 1 x 1`."""

    left: Tensor  # of l
    right: Tensor  # of r, counted from l


def _best_angles(encoder: Tensor, decoder: Tensor, s: Tensor) -> _Angles:
    r"""With l at $\theta$, r at $\theta + u$, e at $\varphi$: $\cos\theta\cos(\theta + u - \varphi) = s\cos u$ with the
    smallest $|u|$, which decides $\sigma = 2\gamma/\cos u$.
    """
    s = _relative(encoder, decoder, s)
    c = (encoder.mT @ decoder / (encoder.norm(dim=-2) * decoder.norm(dim=-2))[..., None]).clamp(-1, 1)
    s, c = torch.broadcast_tensors(s, c)
    phi, q = c.arccos(), (1 - c.square()).sqrt()
    x = (s * (s - c)).clamp_min(0)
    cosine = (2 * s - c + 2 * q * x.sqrt()) / (1 + 4 * x)
    u = torch.where(s <= (1 + c) / 2, 0.0, cosine.clamp(-1, 1).arccos())
    v = (2 * s * u.cos() - (u - phi).cos()).clamp(-1, 1).arccos()
    return _Angles((phi - u - v) / 2, u)


def _halves(l: Tensor) -> Tensor:  # noqa: E741
    """The positive and the negative part of `... x n x 1` vectors, `... x n x 2`, neither negative."""
    return torch.cat([l, -l], dim=-1).clamp_min(0)


def _relative(encoder: Tensor, decoder: Tensor, s: Tensor) -> Tensor:
    """The scale in units of |e||d|, `... x 1 x 1`."""
    return s / (encoder.norm(dim=-2, keepdim=True) * decoder.norm(dim=-2, keepdim=True))


def checked(
    encoder: Tensor, decoder: Tensor, decay: Number, scale: Number, W: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Decay and scale as `... x 1 x 1`, after a check of these and of the shapes; errors as for `residuals`."""
    shapes = tuple(encoder.shape), tuple(decoder.shape)
    if min(map(len, shapes)) < 2 or shapes[0][-2:] != shapes[1][-2:] or shapes[0][-1] != 1:
        raise ValueError(f"encoder and decoder must both be n x 1, got {shapes[0]} and {shapes[1]}")
    n = shapes[0][-2]
    if W is not None and tuple(W.shape[-2:]) != (n, n):
        raise ValueError(f"expected W {n} x {n} for an encoder of {n} neurons, got {tuple(W.shape)}")
    gamma, s = (
        torch.as_tensor(value, dtype=encoder.dtype, device=encoder.device)[..., None, None] for value in (decay, scale)
    )
    if not ((gamma > 0) & (gamma <= 1)).all():
        raise ValueError(f"decay must lie in (0, 1], got {decay}")
    if not ((s > 0) & (s < math.inf)).all():
        raise ValueError(f"scale must be a positive number, got {scale}")
    return gamma, s
