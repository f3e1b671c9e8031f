r"""Gradient descent on the proxy loss from W = 0, exactly, in far fewer dimensions than neurons (equations 28, 29).

With $u = We$ and the sums and differences of `lib.relu.rank_one` the loss is

$$\mathcal{L} = \tfrac{w}{2}\,\big[(d^\dagger u - 2s\gamma)^2 + (d^\dagger|u|)^2 + |Wu - 2\gamma u|^2 + |W|u||^2\big].$$

After the first step u is along the decoder. Neurons whose u never changes its sign fall into two cells, one for each
sign, and as long as that holds the gradient sees d and e within a cell, but no other pattern: rows and columns of W
stay in the span of $d 1_\pm$, $e 1_\pm$ and of the single neurons that do change sign. A neuron does if
$u \simeq x d + y e$ turns far enough from d, so these are the ones with $-e_i/d_i$ large. They are singled out
beforehand, the signs of all others are watched at every step, and if one changes, training starts again with more
neurons singled out. The result is that of descent with all n x n weights, at the cost of k x k.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.training import TrainingDiverged

SMALLEST = 3  # neurons of a cell, below which they are singled out


class Descent(NamedTuple):
    r"""Trained networks $W = V \omega V^\dagger$, one for each encoder."""

    omega: Tensor  # B x k x k
    basis: Tensor  # B x n x k, V, orthonormal columns (and zeros where another network needs more)
    losses: Tensor  # records x B, before the step's update; a network that has learnt keeps its loss
    steps: Tensor  # records, whole numbers from 0
    stopped: Tensor  # B, the step at which each network stopped

    @property
    def W(self) -> Tensor:
        """Weights of the neurons, `B x n x n`."""
        return self.basis @ self.omega @ self.basis.mT


class _Cells(NamedTuple):
    """What is kept of B networks in their reduced spaces."""

    basis: Tensor  # B n k
    signs: Tensor  # B k 1, sign of the cell; 0 for a single neuron
    limits: Tensor  # B 4 k, rows whose product with u is >= 0 while every sign in the cells is that of the decoder


def descend(
    encoder: Tensor,
    decoder: Tensor,
    decay: float,
    scale: float,
    *,
    lr: float,
    n_steps: int,
    stop_loss: float = 0.0,
    record: int = 1,
    reach: float = 0.1,
    abort_loss: float = 100.0,
) -> Descent:
    r"""Train B networks from W = 0 by plain gradient descent (equation 6) on the authors' loss, $w = 1/s^2$.

    Args:
        encoder: `B x n x 1`.
        decoder: `B x n x 1`.
        decay: $\gamma$.
        scale: $s$.
        lr: Learning rate.
        n_steps: Steps at most.
        stop_loss: A network whose loss is at most this keeps its weights from then on.
        record: Keep the losses every so many steps; the last step is always kept.
        reach: Neurons with $-e_i/d_i > 1/$`reach` are singled out at first; the result does not depend on it.
        abort_loss: Give up once a loss exceeds this or is not a number.

    Raises:
        ValueError: shapes that do not fit or values out of range.
        TrainingDiverged: a loss exceeded `abort_loss`.
    """
    B, n, _ = checks.tensor("encoder", encoder, ("B", "n", 1)).shape
    checks.tensor("decoder", decoder, (B, n, 1))
    for name, value in (("lr", lr), ("scale", scale), ("reach", reach)):
        checks.positive(name, value)
    checks.whole("n_steps", n_steps, 0)
    checks.whole("record", record, 1)
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie in (0, 1], got {decay}")
    options = {"lr": lr, "n_steps": n_steps, "stop_loss": stop_loss, "record": record, "abort_loss": abort_loss}
    while True:
        cells = _cells(encoder, decoder, reach)
        found = _descend(encoder, decoder, decay, scale, cells, **options)
        if found is not None:
            return found
        reach = 1.5 * reach if reach < 1 else float("inf")


def _descend(
    encoder: Tensor,
    decoder: Tensor,
    gamma: float,
    s: float,
    cells: _Cells,
    *,
    lr: float,
    n_steps: int,
    stop_loss: float,
    record: int,
    abort_loss: float,
) -> Descent | None:
    """The same with given cells; None once a neuron of a cell changes its sign."""
    V, fixed, limits = cells
    e, d = V.mT @ encoder, V.mT @ decoder  # B k 1
    single = fixed == 0
    W = V.new_zeros(len(V), V.shape[-1], V.shape[-1])  # B k k
    rate = torch.full_like(d[:, :1], -lr / s**2)
    margin = torch.zeros_like(limits[..., :1])
    wanted = e.new_tensor([2 * s * gamma, 0.0])
    losses, steps, stopped = [], [], [n_steps] * len(W)
    for step in range(n_steps + 1):
        u = W @ e
        S = torch.where(single, u.sign(), fixed) if step else torch.zeros_like(u)  # at W = 0 no neuron has a sign yet
        M = torch.cat([u, S * u], dim=-1)  # B k 2, u and |u|
        R = W @ M
        R[..., :1] -= 2 * gamma * u
        outputs = d.mT @ M - wanted  # B 1 2
        loss = torch.cat([R, outputs], dim=-2).square().sum((-2, -1)) / (2 * s**2)  # B
        if step:
            margin = torch.minimum(margin, limits @ u)
        values = loss.tolist()
        if not all(value <= abort_loss for value in values):
            worst = max(values)
            raise TrainingDiverged(f"loss is {worst:g} at step {step}, above {abort_loss:g}: lower lr (now {lr})")
        for k, value in enumerate(values):
            if value <= stop_loss and stopped[k] == n_steps:
                stopped[k], rate[k] = step, 0.0
        done = step >= max(stopped)
        if (step % 100 == 0 or done) and not (margin >= 0).all():
            return None
        if step % record == 0 or done:
            losses.append(loss)
            steps.append(step)
        if done:
            break
        back = W.mT @ R + d @ outputs  # B k 2
        back = back[..., :1] - 2 * gamma * R[..., :1] + S * back[..., 1:]
        W.baddbmm_(rate * torch.cat([R, back], dim=-1), torch.cat([M, e], dim=-1).mT)
    return Descent(W, V, torch.stack(losses), torch.tensor(steps), torch.tensor(stopped))


def _cells(encoder: Tensor, decoder: Tensor, reach: float) -> _Cells:
    """Cells of every network, padded to the largest number of dimensions."""
    found = [_cells_of_one(e[:, 0], d[:, 0], reach) for e, d in zip(encoder, decoder, strict=True)]
    k = max(basis.shape[1] for basis, _, _ in found)

    def padded(values: Tensor) -> Tensor:
        return torch.nn.functional.pad(values, (0, k - values.shape[-1]))

    basis, signs, limits = (torch.stack([padded(one[i]) for one in found]) for i in range(3))
    return _Cells(basis, signs[..., None], limits)


def _cells_of_one(e: Tensor, d: Tensor, reach: float) -> tuple[Tensor, Tensor, Tensor]:
    """Basis `n x k`, signs `k` and limits `4 x k` of one network, from vectors of n numbers."""
    n = len(e)
    free = (-e * d.sign() * reach > d.abs()) | (d == 0) | (reach == float("inf"))
    bases, signs, limits = [], [], []
    for sign in (1.0, -1.0):
        cell = ~free & (sign * d > 0)
        if int(cell.sum()) < SMALLEST:
            free = free | cell
            continue
        Q = torch.linalg.qr(torch.stack([d[cell], e[cell]], dim=1)).Q  # m x 2
        basis = e.new_zeros(n, 2)
        basis[cell] = Q
        bases.append(basis)
        slopes = e[cell] / d[cell]  # u_i = x d_i + y e_i has the sign of d_i where x + y e_i/d_i > 0
        limits.append(sign * Q[torch.stack([slopes.argmin(), slopes.argmax()])])
        signs += [sign, sign]
    neurons = torch.eye(n, dtype=e.dtype, device=e.device)[:, free]
    basis = torch.cat([*bases, neurons], dim=1)
    rows = e.new_zeros(4, basis.shape[1])
    for i, row in enumerate(limits):
        rows[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = row
    return basis, e.new_tensor(signs + [0.0] * neurons.shape[1]), rows
