r"""Where all integrators reached from W = 0 lie: one sheet and two planes (paper, section 3.2 and appendix E).

Everything lives in the two-dimensional space of `lib.theory.linear.reduced` for one channel. A `2 x 2` matrix
$\omega$ with
eigenvalue $\gamma$, right eigenvector x and left eigenvector y to it, and second eigenvalue $\lambda$ is

$$\omega = \lambda 1 + (\gamma - \lambda)\, \frac{x y^\dagger}{y^\dagger x}$$

and the paper's coordinates (equation 46) are those of $x = (1, \alpha)$, $y = (\beta, -1)$. Its moments are
$g_1\gamma^q + g_2\lambda^q$, so it integrates for ever if $\lambda = 0$ (the sheet; the scale is $g_1$) or if
$g_2 = 0$: then y is along d or x along e (the planes $M_\alpha$ and $M_\beta$; the scale is $d^\dagger e$, erratum E1).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lib.theory.linear.reduced import Reduced


class Constants(NamedTuple):
    """Numbers that place the planes in the paper's coordinates."""

    alpha0: Tensor  # beta on M_alpha
    beta0: Tensor  # alpha on M_beta
    Z: Tensor  # unit of the scale


def printed_constants(encoder_norm: Tensor, decoder_norm: Tensor, overlap: Tensor) -> Constants:
    r"""The constants as appendix E writes them, from $|e|$, $|d|$ and $d^\dagger e$; `Manifolds` has them shorter.

    Raises:
        ValueError: orthogonal vectors, for which $\alpha_0$ and $\beta_0$ are infinite.
    """
    de = _not_orthogonal(overlap)
    plus, minus = decoder_norm**2 + encoder_norm**2, decoder_norm**2 - encoder_norm**2
    kappa = (minus**2 + 4 * de**2).sqrt()
    r_plus, r_minus = (plus + kappa).sqrt(), (plus - kappa).sqrt()
    unit = 2 * de * (r_plus - r_minus)
    return Constants(
        -((kappa - minus) * r_minus + (kappa + minus) * r_plus) / unit,
        ((kappa + minus) * r_minus + (kappa - minus) * r_plus) / unit,
        unit**2 / (8 * kappa**2),
    )


@dataclass(frozen=True)
class Manifolds:
    r"""The integrators of decay $\gamma$ for one encoder and one decoder.

    All arguments of methods are broadcast against the leading dimensions of `small`; results are `... x 2 x 2` matrices
    $\omega$ unless said otherwise.

    Args:
        small: The reduced space of one channel; leading dimensions are independent pairs of vectors.
        decay: $\gamma$ in (0, 1], per step.

    Raises:
        ValueError: more than one channel, or a decay out of range.
    """

    small: Reduced
    decay: float

    def __post_init__(self) -> None:
        shape = tuple(self.small.encoders.shape)
        if shape[-2:] != (2, 1):
            raise ValueError(f"expected the reduced space of one channel, with encoders 2 x 1, got {shape}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must lie in (0, 1], got {self.decay}")

    @property
    def encoder(self) -> Tensor:
        """`... x 2`, e in the reduced space."""
        return self.small.encoders[..., 0]

    @property
    def decoder(self) -> Tensor:
        """`... x 2`, d in the reduced space."""
        return self.small.decoders[..., 0]

    @property
    def overlap(self) -> Tensor:
        r"""`...`, the product $d^\dagger e$, which is the scale of all integrators of rank two."""
        return (self.encoder * self.decoder).sum(dim=-1)

    @property
    def constants(self) -> Constants:
        r"""$-S_{11}/S_{12}$, $S_{22}/S_{12}$ and $S_{12}^2$ of $S = \Sigma^{1/2}$, whose columns are d and e.

        Raises:
            ValueError: orthogonal vectors, for which the first two are infinite.
        """
        d, e = self.decoder, self.encoder
        _not_orthogonal(self.overlap)
        return Constants(-d[..., 0] / d[..., 1], e[..., 1] / e[..., 0], e[..., 0] ** 2)

    def matrix(self, second: Tensor | float, alpha: Tensor | float, beta: Tensor | float) -> Tensor:
        r"""$\Gamma(\lambda, \alpha, \beta)$ of equation 46; infinite or not a number where $\alpha = \beta$."""
        return self.through(second, self._vector(1.0, alpha), self._vector(beta, -1.0))

    def through(self, second: Tensor | float, right: Tensor, left: Tensor) -> Tensor:
        r"""The matrix with these eigenvectors to $\gamma$ (`... x 2`), without the gaps of the paper's coordinates.

        With a first component of zero in `right` this is the case that the paper treats by itself (erratum E17).
        """
        second = self._tensor(second)[..., None, None]
        one = torch.eye(2, dtype=self.encoder.dtype, device=self.encoder.device)
        product = (left * right).sum(dim=-1)[..., None, None]
        return second * one + (self.decay - second) / product * right[..., :, None] * left[..., None, :]

    def sheet(self, alpha: Tensor | float, beta: Tensor | float) -> Tensor:
        r"""Rank-one integrators $\Gamma(0, \alpha, \beta)$ of equation 15, of scale $g_1(\alpha, \beta)$."""
        return self.matrix(0.0, alpha, beta)

    def m_alpha(self, second: Tensor | float, alpha: Tensor | float) -> Tensor:
        r"""$\Gamma(\lambda, \alpha, \alpha_0)$ of equation 47: the matrices with $\omega^\dagger d = \gamma d$."""
        return self.through(second, self._vector(1.0, alpha), self.decoder)

    def m_beta(self, second: Tensor | float, beta: Tensor | float) -> Tensor:
        r"""$\Gamma(\lambda, \beta_0, \beta)$ of equation 47: the matrices with $\omega e = \gamma e$."""
        return self.through(second, self.encoder, self._vector(beta, -1.0))

    def crossing(self, second: Tensor | float) -> Tensor:
        r"""The line in which $M_\alpha$ and $M_\beta$ meet; with $\lambda = \gamma$ it passes through $\gamma 1$.

        Raises:
            ValueError: orthogonal vectors; then the two planes have no common matrix with two eigenvectors.
        """
        _not_orthogonal(self.overlap)
        return self.through(second, self.encoder, self.decoder)

    def first_weight(self, alpha: Tensor | float, beta: Tensor | float) -> Tensor:
        r"""$g_1(\alpha, \beta)$ of equation 48, `...`: the share of the eigenvalue $\gamma$ in every moment."""
        x, y = self._vector(1.0, alpha), self._vector(beta, -1.0)
        return _dot(self.decoder, x) * _dot(y, self.encoder) / _dot(y, x)

    def beta(self, scale: Tensor | float, alpha: Tensor | float) -> Tensor:
        r"""$\beta_s(\alpha)$ of appendix E, `...`: where on the sheet the scale is s; infinite at its pole.

        Raises:
            ValueError: a scale of 0 or $d^\dagger e$, where no such curve exists: the matrices of these scales fill
                two straight lines each.
        """
        y = self.left(scale, self._vector(1.0, alpha))
        return -y[..., 0] / y[..., 1]

    def iso_scale(self, scale: Tensor | float, alpha: Tensor | float) -> Tensor:
        r"""Rank-one integrators $\Gamma(0, \alpha, \beta_s(\alpha))$ of one scale, without the pole of $\beta_s$.

        From $d^\dagger x\, y^\dagger e = s\, y^\dagger x$ follows that y is orthogonal to $s x - (d^\dagger x) e$. Only
        x orthogonal to d or along e, that is $\alpha_0$ and $\beta_0$, have no matrix.

        Raises:
            ValueError: a scale of 0 or $d^\dagger e$.
        """
        return self.along(scale, self._vector(1.0, alpha))

    def along(self, scale: Tensor | float, right: Tensor) -> Tensor:
        """The same, for right eigenvectors `... x 2`, so that the curve can be followed through infinite alpha."""
        return self.through(0.0, right, self.left(scale, right))

    def left(self, scale: Tensor | float, right: Tensor) -> Tensor:
        """Left eigenvectors y, `... x 2`, of the rank-one integrators of a scale with these right eigenvectors.

        The errors are those of `iso_scale`.
        """
        s = self._tensor(scale)
        lengths = _length(self.decoder) * _length(self.encoder)
        nearest = (torch.minimum(s.abs(), (s - self.overlap).abs()) / lengths).min()
        if not nearest > 1e-13:
            raise ValueError("scale must differ from 0 and from d.e, where its curve breaks up into lines, got one")
        u = s[..., None] * right - _dot(self.decoder, right)[..., None] * self.encoder
        return torch.stack([-u[..., 1], u[..., 0]], dim=-1)

    def symmetric(self, scale: Tensor | float) -> Tensor:
        r"""Right eigenvector, `... x 2`, of the integrator of a scale that descent from zero can reach.

        Moments do not change under $\omega \to R \omega^\dagger R$, where R exchanges the directions of d and e.
        Gradient descent from zero keeps this symmetry. Of the two integrators that have it this is the smaller.

        Raises:
            ValueError: a scale between 0 and $d^\dagger e$, where no integrator is symmetric.
        """
        s = self._tensor(scale)
        root = s * (s - self.overlap)
        if not root.min() > 0:
            raise ValueError("no symmetric integrator has a scale between 0 and d.e, got one")
        d, e = self.decoder / _length(self.decoder)[..., None], self.encoder / _length(self.encoder)[..., None]
        middle = (d + e) / _length(d + e)[..., None]
        across = torch.stack([-middle[..., 1], middle[..., 0]], dim=-1)
        lengths = _length(self.decoder) * _length(self.encoder)
        along, off = _dot(d, middle), _dot(d, across)
        turn = -lengths * off * along
        slope = torch.where(turn > 0, turn - root.sqrt(), turn + root.sqrt()) / (lengths * off**2 + s)
        return middle + slope[..., None] * across

    def _tensor(self, value: Tensor | float) -> Tensor:
        return torch.as_tensor(value, dtype=self.encoder.dtype, device=self.encoder.device)

    def _vector(self, first: Tensor | float, second: Tensor | float) -> Tensor:
        """`... x 2` from two components."""
        return torch.stack(torch.broadcast_tensors(self._tensor(first), self._tensor(second)), dim=-1)


def _not_orthogonal(overlap: Tensor) -> Tensor:
    """The overlap, if it is nowhere zero."""
    if not overlap.abs().min() > 0:
        raise ValueError("expected encoder and decoder that are not orthogonal, got a product d.e of 0")
    return overlap


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=-1)


def _length(a: Tensor) -> Tensor:
    return a.square().sum(dim=-1).sqrt()
