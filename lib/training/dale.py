r"""Dale's law: every neuron only excites or only inhibits, so every column of W has one sign (paper, section 5).

The authors train $W = V \mathrm{diag}(\pm 1)$ and put negative entries of V to zero after every step. Since the signs
are fixed, a step of gradient descent or of Adam on V is the same step on W, so the constraint works on W itself.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks


class DaleLaw:
    """The constraint, for `lib.training.loop.train`: weights that changed sign are put to zero.

    Args:
        n: Neurons.
        inhibitory: Fraction of inhibitory neurons, the last ones; rounded to whole neurons.

    Raises:
        ValueError: a fraction outside [0, 1].
    """

    def __init__(self, n: int, inhibitory: float = 0.25):
        checks.whole("n", n, 1)
        if not 0 <= inhibitory <= 1:
            raise ValueError(f"inhibitory must be a fraction in [0, 1], got {inhibitory}")
        count = round(n * inhibitory)
        self.signs = torch.cat([torch.ones(n - count), -torch.ones(count)])

    def clamped(self, W: Tensor) -> Tensor:
        """W with weights of the wrong sign put to zero, `n x n`."""
        checks.tensor("W", W, (len(self.signs), len(self.signs)))
        signs = self.signs.to(W)
        return (W * signs).clamp_min(0) * signs

    @torch.no_grad()
    def __call__(self, network: Any) -> None:
        """Put to zero, in place, what has the wrong sign in `network.W`."""
        network.W.copy_(self.clamped(network.W))

    def excitatory(self) -> Tensor:
        """Which neurons are excitatory: n booleans."""
        return self.signs > 0

    def obeyed(self, W: Tensor) -> bool:
        """Whether no weight has the wrong sign."""
        return not bool((W.detach() * self.signs.to(W) < 0).any())


class Modes(NamedTuple):
    """Leading singular triples of W, each with its sign fixed so that the left vector sums to a positive number."""

    values: Tensor  # k
    left: Tensor  # n x k
    right: Tensor  # n x k


def modes(W: Tensor, k: int) -> Modes:
    """The k leading modes of W in float64, mode 0 first; under Dale's law this is the one that carries the signs.

    Raises:
        ValueError: k that is not between 1 and n.
    """
    n = checks.tensor("W", W, ("n", "n")).shape[0]
    if checks.whole("k", k, 1) > n:
        raise ValueError(f"expected at least {k} neurons for {k} modes, got {n}")
    U, sigma, Vh = torch.linalg.svd(W.detach().double())
    left, right = U[:, :k], Vh[:k].T
    signs = torch.where(left.sum(dim=0) < 0, -1.0, 1.0).to(left)
    return Modes(sigma[:k], left * signs, right * signs)


def one_sign_share(modes: Modes) -> float:
    """Share of the components of the left vector of mode 0 that have the same sign (figure 12, left)."""
    positive = (modes.left[:, 0] > 0).double().mean().item()
    negative = (modes.left[:, 0] < 0).double().mean().item()
    return max(positive, negative)


def type_match_share(modes: Modes, law: DaleLaw) -> float:
    """Share of the components of the right vector of mode 0 whose sign is that of the neuron's type."""
    return (modes.right[:, 0] * law.signs.to(modes.right) > 0).double().mean().item()


def positive_shares(modes: Modes, law: DaleLaw) -> Tensor:
    """Share of positive components in each vector, on either type of neuron (figure 12, right).

    Returns:
        `k x 2 x 2`: mode, left or right vector, excitatory or inhibitory neurons; NaN where there are no such neurons.
    """
    vectors = torch.stack([modes.left, modes.right], dim=1)  # n x 2 x k
    of_type = law.excitatory().to(vectors.device)
    shares = [(vectors[which] > 0).double().mean(dim=0) for which in (of_type, ~of_type)]  # 2 x k each
    return torch.stack(shares, dim=-1).transpose(0, 1)


def decoder_overlaps(modes: Modes, decoders: Tensor) -> Tensor:
    r"""$|l_0^\dagger d_c| / |d_c|$: D numbers, about $n^{-1/2}$ for unrelated directions."""
    checks.tensor("decoders", decoders, (modes.left.shape[0], "D"))
    d = decoders.detach().double()
    return (modes.left[:, 0] @ d).abs() / d.norm(dim=0)


def decoder_projections(modes: Modes, decoders: Tensor) -> Tensor:
    """Norm of the projection of every mode's left vector on the span of the decoders: k numbers in [0, 1]."""
    checks.tensor("decoders", decoders, (modes.left.shape[0], "D"))
    basis = torch.linalg.qr(decoders.detach().double()).Q
    return (basis.T @ modes.left).norm(dim=0)
