r"""What a trained network does: how it represents the integrals (paper, sections 4.1, 4.2 and 5).

Currents and states come as `B x T x n` or already flattened to `samples x n`; integrals as `B x T` or `samples`.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.analysis.subspaces import explained, leading_vectors, principal_components, share_outside

POPULATIONS = ("null", "positive", "negative", "shared")


def singular_values(W: Tensor) -> Tensor:
    """The n singular values of W, largest first."""
    return torch.linalg.svdvals(checks.tensor("W", W.detach(), ("n", "n")))


def relative_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """RMS error over RMS target of each channel: D numbers from two `B x T x D` tensors."""
    if outputs.shape != targets.shape or outputs.ndim != 3:
        raise ValueError(f"expected two B x T x D tensors, got {tuple(outputs.shape)} and {tuple(targets.shape)}")
    rms = [(values.square().mean(dim=(0, 1))).sqrt() for values in (outputs - targets, targets)]
    return rms[0] / rms[1]


class Fit(NamedTuple):
    """A proportional least-squares fit of every neuron, and how much of its variance it explains."""

    slopes: Tensor  # n
    r2: Tensor  # n, 1 - residual / total sum of squares about the mean; NaN for a neuron that is constant


class HalfLines(NamedTuple):
    r"""States fitted by $h = \lfloor\bar y\rfloor_+ L_+ + \lfloor-\bar y\rfloor_+ L_-$ (equation 20)."""

    positive: Tensor  # n, L_+
    negative: Tensor  # n, L_-
    r2: Tensor  # n, as in `Fit`


def _samples(values: Tensor, integral: Tensor) -> tuple[Tensor, Tensor]:
    """Both flattened to `samples x n` and `samples`."""
    if values.shape[:-1] != integral.shape:
        raise ValueError(
            f"expected values of shape {tuple(integral.shape)} x n for these integrals, got {tuple(values.shape)}"
        )
    return values.reshape(-1, values.shape[-1]), integral.reshape(-1)


def fit_currents(currents: Tensor, integral: Tensor) -> Fit:
    r"""Least-squares fit $\nu_i \simeq L_i \bar y$ of every neuron (equation 21).

    Args:
        currents: `B x T x n` currents.
        integral: `B x T` integrals of one channel.
    """
    nu, y = _samples(currents, integral)
    slopes = y @ nu / y.square().sum()
    return Fit(slopes, explained(nu, torch.outer(y, slopes)))


def fit_states(states: Tensor, integral: Tensor) -> HalfLines:
    r"""Least-squares fit of every neuron's state on the positive and the negative part of the integral (equation 20).

    Args:
        states: `B x T x n` states.
        integral: `B x T` integrals of one channel, of both signs.

    Raises:
        ValueError: integrals of one sign only: one of the two half lines would be undetermined.
    """
    h, y = _samples(states, integral)
    up, down = y.clamp_min(0), (-y).clamp_min(0)
    if not (up.any() and down.any()):
        raise ValueError("integral must take both signs, got one only")
    L_plus, L_minus = up @ h / up.square().sum(), down @ h / down.square().sum()  # up and down are orthogonal
    fitted = torch.outer(up, L_plus) + torch.outer(down, L_minus)
    return HalfLines(L_plus, L_minus, explained(h, fitted))


def populations(L_plus: Tensor, L_minus: Tensor, threshold: float = 1e-3) -> Tensor:
    """Population of each neuron: n integers that index `POPULATIONS`.

    A neuron is positive if only its slope at positive integrals exceeds the threshold, negative if only the other does,
    shared if both do, null if none does. (The authors' code exchanges these labels in its figure: erratum E35.)
    """
    return (L_plus > threshold).long() + 2 * (L_minus > threshold).long()


def cosines(currents: Tensor, direction: Tensor) -> Tensor:
    """Cosine between the current and a direction of n numbers: `B x T` from `B x T x n`; NaN where it is undefined."""
    checks.tensor("direction", direction, (currents.shape[-1],))
    return (currents @ direction) / (currents.norm(dim=-1) * direction.norm())


class Ratios(NamedTuple):
    r"""Four ways to say how far the currents are from a D-dimensional subspace (errata E25 to E27), not in percent.

    All but `mean_norms` are RMS distances over the RMS of the currents, so 1 means "nowhere near".
    """

    code: float  # from the span of the top D left singular vectors of W: what Table 1 prints
    mean_norms: float  # the same subspace, but mean distance over mean projection: equation 38 as written
    encoders: float  # from the span of the W e_c
    best: float  # from the best D-dimensional subspace of these very currents


def current_ratios(W: Tensor, encoders: Tensor, currents: Tensor) -> Ratios:
    """The four ratios of a network on some trajectories, computed in float64.

    Args:
        W: `n x n` weights.
        encoders: `n x D`.
        currents: `B x T x n` currents.

    Raises:
        ValueError: shapes that do not fit, or currents that are all zero.
    """
    n, D = checks.tensor("encoders", encoders, ("n", "D")).shape
    checks.tensor("W", W, (n, n))
    nu = checks.tensor("currents", currents.reshape(-1, currents.shape[-1]), ("samples", n)).double()
    best = principal_components(nu).vectors[:, :D]
    left = leading_vectors(W, D)
    image = torch.linalg.qr(W.detach().double() @ encoders.detach().double()).Q
    inside = nu @ left
    outside = nu - inside @ left.T
    return Ratios(
        code=(outside.norm() / nu.norm()).item(),
        mean_norms=(outside.norm(dim=1).mean() / inside.norm(dim=1).mean()).item(),
        encoders=share_outside(nu, image),
        best=share_outside(nu, best),
    )


def chance_ratio(n: int, D: int = 1) -> float:
    r"""Mean norm outside a D-dimensional subspace over mean norm inside, for isotropic Gaussian currents (erratum E26).

    Both norms follow a chi distribution, of mean $\sqrt2\,\Gamma((k+1)/2)/\Gamma(k/2)$ in k dimensions. Compare with
    `Ratios.mean_norms`; the root-mean-square ratio $\sqrt{n/D-1}$ of equation 39 is another number.
    """
    checks.whole("n", n, checks.whole("D", D, 1) + 1)
    logs = [math.lgamma((k + 1) / 2) - math.lgamma(k / 2) for k in (n - D, D)]
    return math.exp(logs[0] - logs[1])


class Populations(NamedTuple):
    """How the neurons of one network share the work (figure 3A)."""

    positive: float  # share of the neurons, as the next three
    negative: float
    shared: float
    null: float
    shared_strength: float  # largest slope of a shared neuron over the largest of all; 0 without shared neurons
    shared_contribution: float  # |sum of d_i L_i| over the shared neurons, the larger of the two signs


def describe_populations(lines: HalfLines, decoder: Tensor, threshold: float = 1e-3) -> Populations:
    """Shares of the four populations, and what the shared one is worth; `decoder` has n numbers."""
    labels = populations(lines.positive, lines.negative, threshold)
    shares = [(labels == k).double().mean().item() for k in range(len(POPULATIONS))]
    shared = labels == POPULATIONS.index("shared")
    slopes = torch.stack([lines.positive, lines.negative])  # 2 x n
    strength = slopes[:, shared].max() / slopes.max() if shared.any() else torch.zeros(())
    contribution = (slopes[:, shared] @ decoder.detach()[shared]).abs().max()
    by_name = dict(zip(POPULATIONS, shares, strict=True))
    return Populations(**by_name, shared_strength=strength.item(), shared_contribution=contribution.item())


def population_weights(W: Tensor, labels: Tensor) -> Tensor:
    """Mean weight between the large populations: 2 x 2, to and from (positive, negative); NaN if one is empty."""
    members = [labels == POPULATIONS.index(kind) for kind in ("positive", "negative")]
    return torch.stack([torch.stack([W.detach()[to][:, source].mean() for source in members]) for to in members])


def active_set_overlap(states: Tensor, integral: Tensor, *, level: float = 0.5, threshold: float = 1e-3) -> Tensor:
    r"""Overlap of the active neurons before and after each change of sign of the integral (figure 3B).

    A change goes from one step with $|\bar y| \ge$ `level` to the next such step of the same sequence, if that has the
    other sign. A neuron is active where its state exceeds `threshold` times $|\bar y|$. The overlap is the Jaccard
    index: neurons active at both steps over neurons active at either.

    Args:
        states: `B x T x n`.
        integral: `B x T`.

    Returns:
        One number per change of sign.

    Raises:
        ValueError: shapes that do not fit, or no change of sign.
    """
    _samples(states, integral)
    overlaps = []
    for h, y in zip(states, integral, strict=True):
        clear = (y.abs() >= level).nonzero()[:, 0]
        flips = (y[clear[1:]] * y[clear[:-1]] < 0).nonzero()[:, 0]
        before, after = (h[clear[flips + k]] > threshold * y[clear[flips + k]].abs()[:, None] for k in (0, 1))
        overlaps.append((before & after).sum(dim=1) / (before | after).sum(dim=1))
    found = torch.cat(overlaps)
    if not len(found):
        raise ValueError(f"integral must change sign between values beyond {level}, but never does")
    return found
