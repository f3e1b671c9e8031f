r"""Currents as points of a D-dimensional plane, and how those follow the integrals (paper, section 5, figures 8 to 10).

The currents of a trained network lie near the span of its leading left singular vectors $l_c$; their coordinates there
are linear in the integrals, and what every neuron does follows from that (equations 35 to 37, and 40). Currents and
states come as `B x T x n`, integrals as `B x T x D`; all fits are made in float64.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks


def leading_vectors(W: Tensor, k: int) -> Tensor:
    """The k leading left singular vectors of W as columns, `n x k` in float64, of either sign.

    Raises:
        ValueError: W that is not square, or k that is not between 1 and n.
    """
    checks.whole("k", k, 1)
    n = checks.tensor("W", W, ("n", "n")).shape[0]
    if W.shape[1] != n or k > n:
        raise ValueError(f"expected a square W of at least {k} neurons for {k} vectors, got {tuple(W.shape)}")
    return torch.linalg.svd(W.detach().double()).U[:, :k]


class Components(NamedTuple):
    """Principal components of samples, the largest first; about zero, not about their mean."""

    sizes: Tensor  # n, sums of squares along each
    vectors: Tensor  # n x n, orthonormal columns

    @property
    def participation(self) -> float:
        """Participation ratio, (sum of sizes)^2 / sum of squared sizes."""
        return (self.sizes.sum().square() / self.sizes.square().sum()).item()

    def needed(self, share: float) -> int:
        """How many components hold this share of the sum of all sizes."""
        return int((self.sizes.cumsum(0) / self.sizes.sum() < share).sum().item()) + 1


def principal_components(currents: Tensor) -> Components:
    """Directions along which `samples x n` currents are largest, in float64.

    Raises:
        ValueError: currents that are all zero.
    """
    nu = checks.tensor("currents", currents, ("samples", "n")).double()
    if not nu.any():
        raise ValueError("currents must not vanish altogether, got only zeros")
    sizes, vectors = torch.linalg.eigh(nu.T @ nu)
    return Components(sizes.flip(0).clamp_min(0), vectors.flip(1))


def share_outside(currents: Tensor, basis: Tensor) -> float:
    """RMS distance of `samples x n` currents from the span of an orthonormal `n x k` basis, over their RMS; float64."""
    nu = currents.double()
    return ((nu - (nu @ basis) @ basis.T).norm() / nu.norm()).item()


def coordinates(currents: Tensor, vectors: Tensor) -> Tensor:
    r"""Least-squares coordinates $\alpha$ of currents on some vectors, $\nu_t \simeq \sum_c \alpha_{c,t}\, l_c$ (35).

    Args:
        currents: `... x n`.
        vectors: `n x k` columns, linearly independent, for example `leading_vectors`.

    Returns:
        `... x k`, in float64.
    """
    n, _ = checks.tensor("vectors", vectors, ("n", "k")).shape
    nu = checks.tensor("currents", currents.reshape(-1, currents.shape[-1]), ("samples", n)).double()
    basis = vectors.detach().double()
    Q, R = torch.linalg.qr(basis)
    alpha = torch.linalg.solve_triangular(R, (nu @ Q).T, upper=True).T
    return alpha.reshape(*currents.shape[:-1], -1)


class Bounds(NamedTuple):
    """What lies below and above a number that is not known."""

    lower: float
    upper: float


def ratio_bounds(W: Tensor, currents: Tensor, D: int) -> Bounds:
    r"""Bounds of the ratio that Table 1 prints, `lib.analysis.representation.Ratios.code`, from angles between two
    subspaces (E27).

    Let $r$ be the distance of the currents from their best D-dimensional subspace, and $\theta_1 \le \theta_2$ the
    smallest and the largest angle between that and the span of the leading left singular vectors of W. Then

    $$\max\big(r^2, (1 - r^2)\sin^2\theta_1\big) \le r_{code}^2 \le (1 - r^2)\sin^2\theta_2 + r^2 .$$

    Args:
        W: `n x n` weights.
        currents: `... x n`, not all zero.
        D: Dimensions.
    """
    left = leading_vectors(W, D)
    nu = checks.tensor("currents", currents.reshape(-1, currents.shape[-1]), ("samples", len(left))).double()
    best = principal_components(nu).vectors[:, :D]
    missed = share_outside(nu, best) ** 2  # r^2, without cancellation
    sines = torch.linalg.svdvals(best - left @ (left.T @ best)).tolist()
    lower = max(missed, (1 - missed) * sines[-1] ** 2)
    upper = (1 - missed) * sines[0] ** 2 + missed
    return Bounds(lower**0.5, upper**0.5)


class LinearMap(NamedTuple):
    r"""A fit $\alpha_c = \sum_{c'} R_{c,c'}\, y_{c'}$ without a constant, and how good it is."""

    matrix: Tensor  # R, k x D
    r2: Tensor  # k, 1 - residual over total sum of squares about the mean; NaN for a coordinate that is constant
    between_sequences: Tensor  # k, share of the residual's variance that lies between the means of sequences


def linear_map(coordinates: Tensor, integrals: Tensor) -> LinearMap:
    r"""Least-squares map R from integrals, or the outputs that stand for them, to coordinates (equation 37).

    If a coordinate depended on more than the integrals, its residual would keep a memory of the sequence, and its
    variance would lie between sequences; residuals without memory leave there about 1/T.

    Args:
        coordinates: `B x T x k`.
        integrals: `B x T x D` targets or outputs.

    Raises:
        ValueError: shapes that do not fit, or integrals that do not determine R.
    """
    B, T, D = checks.tensor("integrals", integrals, ("B", "T", "D")).shape
    alpha = checks.tensor("coordinates", coordinates, (B, T, "k")).double()
    y = integrals.double()
    flat = y.flatten(0, 1)
    gram = flat.T @ flat
    missing = (D - torch.linalg.matrix_rank(gram)).item()
    if missing:
        raise ValueError(f"integrals must span all {D} channels, got {B} x {T} samples of rank {D - missing}")
    R = torch.linalg.solve(gram, flat.T @ alpha.flatten(0, 1)).T
    residual = alpha - y @ R.T
    r2 = explained(alpha.flatten(0, 1), (y @ R.T).flatten(0, 1))
    centred = residual - residual.mean(dim=(0, 1))
    between = centred.mean(dim=1).square().mean(dim=0) / centred.square().mean(dim=(0, 1))
    return LinearMap(R, r2, between)


def selectivity(vectors: Tensor, matrix: Tensor) -> Tensor:
    r"""What each neuron's current follows, $s_{i,c} = \sum_{c'} R_{c',c}\, l_{c',i}$ (equation 40).

    Args:
        vectors: `n x k` columns $l_{c'}$.
        matrix: `k x D`, R.

    Returns:
        `n x D` in float64; the sign of a singular vector drops out.
    """
    k = checks.tensor("vectors", vectors, ("n", "k")).shape[1]
    checks.tensor("matrix", matrix, (k, "D"))
    return vectors.detach().double() @ matrix.double()


class Prediction(NamedTuple):
    """How well the states of single neurons follow from the integrals."""

    r2: Tensor  # n, as in `LinearMap`
    active: Tensor  # n booleans, neurons whose state ever exceeds the level
    active_share: Tensor  # n, share of the samples at which the state exceeds the level

    @property
    def median_r2(self) -> Tensor:
        """Median of `r2` over the active neurons."""
        return self.r2[self.active].median()


def compare_states(states: Tensor, predicted: Tensor, *, level: float = 0.0) -> Prediction:
    """States against predicted ones, for example f(s_i . y) of equation 40, neuron by neuron.

    Args:
        states: `B x T x n`, as simulated.
        predicted: The same shape.
        level: What a state must exceed to count as active; above 0 for sigmoids, which are never silent.

    Raises:
        ValueError: shapes that differ (they would broadcast in silence), or no active neuron.
    """
    if states.shape != predicted.shape or states.ndim != 3:
        raise ValueError(f"expected two B x T x n tensors, got {tuple(states.shape)} and {tuple(predicted.shape)}")
    h, fitted = (values.detach().flatten(0, 1).double() for values in (states, predicted))
    exceeds = h > level
    active = exceeds.any(dim=0)
    if not active.any():
        raise ValueError(f"states must exceed {level} somewhere, got none that does")
    return Prediction(explained(h, fitted), active, exceeds.double().mean(dim=0))


def explained(values: Tensor, fitted: Tensor) -> Tensor:
    """R2 of each column of `samples x n` values; NaN where they do not vary."""
    total = (values - values.mean(dim=0)).square().sum(dim=0)
    varies = (values != values[0]).any(dim=0)  # exact, unlike the total, which is rounded
    return torch.where(varies, 1 - (values - fitted).square().sum(dim=0) / total, torch.nan)


class Leading(NamedTuple):
    r"""The largest singular value and its vectors l and r, with the sign of both chosen so that $r^\dagger e > 0$."""

    sigma: Tensor  # ..., the largest singular value
    ratio: Tensor  # ..., the second over the first
    left: Tensor  # ... x n x 1, l
    right: Tensor  # ... x n x 1, r
    l_d: Tensor  # ..., cosine of the angle between l and the decoder
    r_e: Tensor  # ..., between r and the encoder
    r_d: Tensor  # ..., between r and the decoder
    positive_share: Tensor  # ..., share of the neurons with a positive component of l
    d_halves: Tensor  # ... x 2, d'l+ and d'l-, where l+ and l- are the positive and the negative part of l, both >= 0
    r_halves: Tensor  # ... x 2, r'l+ and r'l-


def leading(W: Tensor, encoder: Tensor, decoder: Tensor, *, basis: Tensor | None = None) -> Leading:
    r"""Leading singular vectors of a batch of networks, and what they have to do with encoder and decoder.

    Args:
        W: `... x n x n` weights, or `... x k x k` in the columns of a basis: the weights are then
            $B W B^\dagger$.
        encoder: `... x n x 1`.
        decoder: `... x n x 1`.
        basis: `... x n x k`, B; None if W is that of the neurons themselves.

    Raises:
        ValueError: shapes that do not fit.
    """
    k, n = W.shape[-1], encoder.shape[-2]
    fits = k == n if basis is None else tuple(basis.shape[-2:]) == (n, k)
    if not fits or W.shape[-2] != k or tuple(encoder.shape[-2:]) != (n, 1) or encoder.shape[-2:] != decoder.shape[-2:]:
        came = ", ".join(str(tuple(v.shape)) for v in (W, encoder, decoder, *([] if basis is None else [basis])))
        raise ValueError(f"expected W n x n (or k x k with a basis n x k), encoder and decoder n x 1, got {came}")
    if basis is not None:
        basis, R = torch.linalg.qr(basis)
        W = R @ W @ R.mT
    U, sizes, V = torch.linalg.svd(W.detach())
    l, r = U[..., :1], V.mT[..., :1]  # noqa: E741
    if basis is not None:
        l, r = basis @ l, basis @ r  # noqa: E741
    sign = torch.where(r.mT @ encoder >= 0, 1.0, -1.0).to(r)
    l, r = sign * l, sign * r  # noqa: E741
    e, d = encoder / encoder.norm(dim=-2, keepdim=True), decoder / decoder.norm(dim=-2, keepdim=True)
    halves = torch.cat([l, -l], dim=-1).clamp_min(0)  # ... n 2
    return Leading(
        sigma=sizes[..., 0],
        ratio=sizes[..., 1] / sizes[..., 0],
        left=l,
        right=r,
        l_d=(l.mT @ d)[..., 0, 0],
        r_e=(r.mT @ e)[..., 0, 0],
        r_d=(r.mT @ d)[..., 0, 0],
        positive_share=(l[..., 0] > 0).to(l.dtype).mean(dim=-1),
        d_halves=(d.mT @ halves)[..., 0, :],
        r_halves=(r.mT @ halves)[..., 0, :],
    )


def sign_agreement(W: Tensor, image: Tensor) -> Tensor:
    r"""Share of $\sum_{ij} |W_{ij}|$ in entries with the sign of $u_i u_j$, `...` (figure 18).

    Args:
        W: `... x n x n` weights.
        image: `... x n x 1`, u = We, whose signs are the populations.

    Raises:
        ValueError: shapes that do not fit.
    """
    n = W.shape[-1]
    if tuple(W.shape[-2:]) != (n, n) or tuple(image.shape[-2:]) != (n, 1):
        raise ValueError(f"expected W n x n and an image n x 1, got {tuple(W.shape)} and {tuple(image.shape)}")
    signs = image.sign()
    sizes = W.abs().sum(dim=(-2, -1))
    return (1 + (signs.mT @ W @ signs)[..., 0, 0] / sizes) / 2
