r"""Training on the two-point proxy loss from W = 0, exactly, at a cost that hardly depends on n (appendix I).

Where the rectifier acts as a fixed mask, it maps the vectors "d on a set of neurons" and "e on a set of neurons" to
themselves. The first step makes $We$ parallel to d, and until a neuron changes the sign of its current all columns of
W lie in the span of four vectors: d and e, each on the neurons of either sign of d; so do all rows. A neuron that
changes sign leaves its set and becomes a coordinate of its own from then on. Hence

$$W = B\,\Omega\,B^\dagger, \qquad B = (d_+,\, e_+,\, d_-,\, e_-,\, \text{a unit vector per neuron that changed sign})$$

with $\Omega$ of size 4 + the number of such neurons, a few percent of n. The gradient step in these coordinates is the
gradient step: nothing is approximated. (The linear network needs two vectors, see `lib.theory.linear.reduced`.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib.theory.relu.descent import LossLog, networks
from lib.theory.relu.two_point import Number, parameters, signed

SETS = 4  # coordinates that belong to sets: d+, e+, d-, e-
CHUNK = 8  # coordinates are added so many at a time


class NullDescent(NamedTuple):
    """What happened, for a batch of networks; see `Descent`."""

    coordinates: Tensor  # ... x k x k, Omega
    basis: Tensor  # ... x n x k, B; columns that a network does not use are zero
    losses: Tensor  # records x ..., at the steps below, before that step's update
    steps: Tensor  # records, whole numbers from 0
    stopped: Tensor  # ..., the step at which each network stopped
    changed: Tensor  # ..., how many neurons have changed the sign of their current

    @property
    def W(self) -> Tensor:
        """Weights, `... x n x n`, formed when asked for: at large n they are most of the memory."""
        return self.basis @ self.coordinates @ self.basis.mT

    @property
    def orthonormal(self) -> Tensor:
        """Orthonormal columns that span what those of the basis do, set by set, and are zero where those are."""
        Q, _ = torch.linalg.qr(self.basis)
        return Q * self.basis.any(-2, keepdim=True)


def descend_from_null(
    encoder: Tensor,
    decoder: Tensor,
    decay: Number,
    scale: Number,
    *,
    lr: Number,
    n_steps: int,
    stop_loss: float = 0.0,
    record: int | Sequence[int] = 1,
    normalisation: str = "authors",
    abort_loss: float = 100.0,
    scan: bool = False,
    start: tuple[Tensor, Tensor] | None = None,
) -> NullDescent:
    """`lib.theory.relu.descent.descend` from W = 0 by plain gradient steps; arguments and errors are the same.

    Args:
        encoder: See there, as for all arguments but the last.
        decoder: See there.
        decay: See there.
        scale: See there.
        lr: See there.
        n_steps: See there.
        stop_loss: See there.
        record: See there.
        normalisation: See there.
        abort_loss: See there.
        scan: See there.
        start: Coordinates and basis in which an earlier training has ended, to go on from there; None is W = 0.

    Raises:
        ValueError: a decoder with an entry of zero, which belongs to neither set.
    """
    numbers = [torch.as_tensor(value) for value in (decay, scale, lr)]
    batch = torch.broadcast_shapes(encoder.shape[:-2], decoder.shape[:-2], *(value.shape for value in numbers))
    n = encoder.shape[-2]
    null = encoder.new_zeros(1, 1).expand(*batch, n, n)
    constants = parameters(null, encoder, decoder, decay, scale, normalisation)
    rate = torch.as_tensor(lr, dtype=encoder.dtype, device=encoder.device)[..., None, None]
    gamma, s, w, rate = (networks(value, batch) for value in (*constants, rate))
    sets = _Sets(networks(encoder, batch), networks(decoder, batch))
    if start is not None:
        sets.resume(*(networks(value, batch) for value in start))
    diary = LossLog(w[:, 0, 0], n_steps=n_steps, record=record, stop_loss=stop_loss, abort_loss=abort_loss, scan=scan)
    trained: list[tuple[Tensor, Tensor]] = [(w, w)] * len(w)
    for step in range(n_steps + 1):
        u = sets.omega @ sets.inner_codes[..., 1:]  # networks x k x 1
        if sets.split(u):
            u = sets.omega @ sets.inner_codes[..., 1:]
        both = signed(u)
        slopes = sets.slopes(both) if step or start is not None else torch.full_like(both, 0.5)
        h = slopes * both
        output_errors = sets.inner_codes[..., :1].mT @ h - signed(s * gamma)
        r = sets.omega @ sets.inner(h) - gamma * both
        inner_r = sets.inner(r)
        losses = w[:, 0, 0] * (output_errors.square().sum((1, 2)) + (r * inner_r).sum((1, 2)))
        _, going, done = diary.note(step, losses)
        for k in range(len(losses)) if done else [] if going is None else (~going).nonzero()[:, 0].tolist():
            trained[diary.running[k]] = sets.result(k)
        if done:
            break
        through = slopes * (sets.d * output_errors + sets.omega.mT @ inner_r) - gamma * r
        left = torch.cat([r, through[..., :1] - through[..., 1:]], dim=-1) * (-2 * rate * w)
        sets.omega.baddbmm_(left, torch.cat([h, sets.e], dim=-1).mT)
        if going is not None:
            sets.keep(going)
            gamma, s, w, rate = (value[going] for value in (gamma, s, w, rate))
            diary.leave(going)
    k = max(len(omega) for omega, _ in trained)
    return NullDescent(
        torch.stack([_padded(omega, k, k) for omega, _ in trained]).reshape(*batch, k, k),
        torch.stack([_padded(basis, n, k) for _, basis in trained]).reshape(*batch, n, k),
        diary.losses(batch),
        torch.tensor(diary.steps),
        diary.stopped.reshape(batch),
        torch.tensor([len(omega) - SETS for omega, _ in trained]).reshape(batch),
    )


class _Sets:
    """Coordinates of many networks, and the sets of neurons that have kept the sign of their decoder.

    A set's current is alpha d + beta e, so that a neuron keeps its sign while alpha + beta e/d is positive.

    Args:
        encoder: `networks x n x 1`.
        decoder: `networks x n x 1`, no entry zero.
    """

    def __init__(self, encoder: Tensor, decoder: Tensor):
        if not decoder.all():
            raise ValueError(f"decoder must have no entry of zero, got {(decoder == 0).sum().item()}")
        self._pairs = torch.cat([decoder, encoder], dim=-1)  # networks x n x 2
        positive = decoder.mT > 0  # networks x 1 x n
        self._members = torch.cat([positive, ~positive], dim=1)  # networks x 2 x n
        self._alone: list[list[int]] = [[] for _ in decoder]  # neurons that have changed sign
        count, like = len(decoder), decoder.new_zeros
        self.omega, self._gram = like(count, SETS, SETS), like(count, SETS, SETS)
        self.e, self.d = like(count, SETS, 1), like(count, SETS, 1)
        self.d[:, 0::2] = self.e[:, 1::2] = 1
        self._signs = decoder.new_tensor([1.0, 1.0, -1.0, -1.0])[:, None] * decoder.new_tensor([1.0, -1.0])  # k x 2
        self._ratios = like(count, 2, 2)  # lowest and highest e/d in each set
        for k in range(count):
            self._describe(k)
        self._update()

    def resume(self, omega: Tensor, basis: Tensor) -> None:
        """Take over the coordinates and the basis of an earlier training."""
        self._members = basis[..., :SETS:2].mT != 0
        for k in range(len(basis)):
            for i in basis[k, :, SETS:].mT.nonzero()[:, 1].tolist():
                self._part(k, 0, i)
            self._describe(k)
        size = max(self.omega.shape[1], omega.shape[1])
        self.omega = _padded(omega[:, :size, :size], self.omega.shape[1], self.omega.shape[1]).clone()
        self._update()

    def inner(self, coordinates: Tensor) -> Tensor:
        """Inner products with the basis, `networks x k x m` from coordinates."""
        return self._gram @ coordinates

    def slopes(self, both: Tensor) -> Tensor:
        """H(zu), `networks x k x 2`, from the coordinates of zu."""
        own = both[:, SETS:].sign()
        return (torch.cat([self._signs.expand(len(both), SETS, 2), own], dim=1) + 1) / 2

    def split(self, u: Tensor) -> bool:
        """Give their own coordinates to neurons whose current has changed sign, u being its coordinates."""
        share = u[:, :SETS].reshape(-1, 2, 2)  # networks x set x (alpha, beta)
        ends = share[..., :1] + share[..., 1:] * self._ratios
        if not (ends < 0).any().item():
            return False
        for k in (ends < 0).any(2).any(1).nonzero()[:, 0].tolist():
            margins = share[k, :, :1] + share[k, :, 1:] * (self._pairs[k, :, 1] / self._pairs[k, :, 0])  # 2 x n
            leaving = self._members[k] & (margins < 0)
            for g, i in leaving.nonzero().tolist():
                self._part(k, g, i)
            self._describe(k)
        self._update()
        return True

    def _update(self) -> None:
        """Inner products of d and e with the basis, `networks x k x 2`."""
        self.inner_codes = self.inner(torch.cat([self.d, self.e], dim=-1))

    def _part(self, k: int, g: int, i: int) -> None:
        """Neuron i of network k leaves set g; a new coordinate takes over its share of d_g and e_g."""
        new = SETS + len(self._alone[k])
        if new >= self.omega.shape[1]:
            size = new + CHUNK
            self.omega, self._gram = (_padded(value, size, size) for value in (self.omega, self._gram))
            self.e, self.d = (_padded(value, size, 1) for value in (self.e, self.d))
        omega, columns = self.omega[k], slice(2 * g, 2 * g + 2)
        omega[new] = self._pairs[k, i] @ omega[columns]
        omega[:, new] = omega[:, columns] @ self._pairs[k, i]
        self._gram[k, new, new] = 1
        self.d[k, new, 0], self.e[k, new, 0] = self._pairs[k, i]
        self._members[k, g, i] = False
        self._alone[k].append(i)

    def _describe(self, k: int) -> None:
        """Inner products within the sets of network k, and the range of e/d there (not a number if a set is empty)."""
        for g in range(2):
            pairs = self._pairs[k, self._members[k, g]]  # members x 2
            self._gram[k, 2 * g : 2 * g + 2, 2 * g : 2 * g + 2] = pairs.T @ pairs
            ratios = pairs[:, 1] / pairs[:, 0] if len(pairs) else pairs.new_full((1,), torch.nan)
            self._ratios[k, g, 0], self._ratios[k, g, 1] = ratios.min(), ratios.max()

    def keep(self, going: Tensor) -> None:
        """Drop all networks but these."""
        for name in ("_pairs", "_members", "omega", "_gram", "e", "d", "_ratios"):
            setattr(self, name, getattr(self, name)[going])
        self._alone = [alone for alone, goes in zip(self._alone, going.tolist(), strict=True) if goes]
        size = SETS + max(map(len, self._alone))  # those with most coordinates are often the first to finish
        self.omega, self._gram = self.omega[:, :size, :size].clone(), self._gram[:, :size, :size].clone()
        self.e, self.d = self.e[:, :size].clone(), self.d[:, :size].clone()
        self._update()

    def result(self, k: int) -> tuple[Tensor, Tensor]:
        """Omega of network k, and the basis, `n x` as many columns."""
        alone, pairs = self._alone[k], self._pairs[k]
        basis = pairs.new_zeros(len(pairs), SETS + len(alone))
        for g in range(2):
            basis[:, 2 * g : 2 * g + 2] = pairs * self._members[k, g, :, None]
        for j, i in enumerate(alone):
            basis[i, SETS + j] = 1
        size = basis.shape[1]
        return self.omega[k, :size, :size].clone(), basis


def _padded(value: Tensor, rows: int, columns: int) -> Tensor:
    """With zeros up to this size of the last two axes."""
    return torch.nn.functional.pad(value, (0, columns - value.shape[-1], 0, rows - value.shape[-2]))
