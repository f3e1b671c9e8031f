r"""Loss and gradient of many small linear networks at once, as few calls as possible (paper, equations 7 and 10).

Small matrices cost calls, not arithmetic: here they are 2T + 3 batched products between buffers that are made once.
`lib.theory.linear.loss` says the same in formulas; this is what makes a step of descent fast.
"""

from itertools import pairwise

import torch
from torch import Tensor

from lib.model.task import Task
from lib.theory.linear.covariance import white
from lib.theory.linear.loss import moment_errors
from lib.theory.linear.moments import check_shapes, target_moments


class Sweep:
    r"""Weights of B networks, with their loss and its gradient.

    Sums are written as products of longer rows. With row vectors,

    * the images $e^\dagger W^{\dagger q}$ carry minus the target behind them, and times (d over 1) give the errors
      $\Delta_q$;
    * the adjoints $\lambda_q = W^\dagger\lambda_{q+1} + 2 w\, d\, G_q$ carry $G_q = \sum_p \chi_{qp}\Delta_p$ behind
      them, and are (adjoint, G) times (W over 2 w d).

    The gradient is $\sum_q \lambda_q (W^{q-1} e)^\dagger$, which is equation 10.

    Attributes:
        W: `B x n x n` weights; change them in place.
        gain: `B x D x n`, $2 w_a d_a$; a factor put on it multiplies the gradient.
        slope: `B x n x n` gradient, after `backward`.

    Args:
        W: `... x n x n`; leading dimensions of the three are broadcast, and flattened to B.
        encoders: `... x n x D`.
        decoders: `... x n x D`.
        task: D channels, training length T.
        chi: See `lib.theory.linear.loss.averaged_loss`.
        normalisation: "paper" or "authors".

    Raises:
        ValueError: shapes that do not fit, or an unknown normalisation.
    """

    def __init__(
        self,
        W: Tensor,
        encoders: Tensor,
        decoders: Tensor,
        task: Task,
        *,
        chi: Tensor | None = None,
        normalisation: str = "authors",
    ):
        check_shapes(W, encoders, decoders)
        self.batch = torch.broadcast_shapes(W.shape[:-2], encoders.shape[:-2], decoders.shape[:-2])
        parts = (x.detach().expand(*self.batch, *x.shape[-2:]) for x in (W, encoders, decoders))
        W, e, d = (x.reshape(-1, *x.shape[-2:]) for x in parts)
        moment_errors(W, e, d, task, chi=chi, normalisation=normalisation)  # refuses what does not fit
        B, k, D = e.shape
        T = task.T
        s = torch.tensor(task.scales, dtype=W.dtype, device=W.device)
        self.weights = (s * T) ** -2 if normalisation == "authors" else torch.ones_like(s)  # w
        left = torch.cat([W, 2 * self.weights[:, None] * d.mT], dim=1)  # B x k+D x k
        self.W, self.gain = left[:, :k], left[:, k:]
        right = torch.cat([d, torch.eye(D).to(W).expand(B, D, D)], dim=1)  # B x k+D x D
        images, adjoints = W.new_zeros(2, B, (T + 1) * D, k + D)  # rows in the order of q, then of channels
        images[:, :D, :k].copy_(e.mT)
        images[:, D:, k:].copy_(-target_moments(task, T, W).flatten(0, 1))
        self.errors = W.new_empty(B, T * D, D)  # transposed
        chi = (white(T) if chi is None else chi).to(W)
        chi = torch.kron(chi, torch.eye(D).to(W)).expand(B, -1, -1)
        self.G = adjoints[:, D:, k:]
        self.slope = torch.empty_like(W)
        blocks = [slice(q * D, (q + 1) * D) for q in range(T + 1)]
        self.before = [(images[:, a, :k], self.W.mT, images[:, b, :k]) for a, b in pairwise(blocks)]
        self.before += [(images[:, D:], right, self.errors), (chi, self.errors, self.G)]
        self.after = [(adjoints[:, b], left, adjoints[:, a, :k]) for a, b in pairwise(blocks)][::-1]
        self.after += [(adjoints[:, : T * D, :k].mT, images[:, : T * D, :k], self.slope)]

    def forward(self) -> None:
        """Errors and G of the present weights."""
        for a, b, product in self.before:
            torch.bmm(a, b, out=product)

    def loss(self) -> Tensor:
        """Losses, one for each network in the shape of the batch, after `forward`."""
        return ((self.errors * self.G).sum(dim=1) @ self.weights).view(self.batch)

    def backward(self) -> None:
        """Gradient, into `slope`, after `forward`."""
        for a, b, product in self.after:
            torch.bmm(a, b, out=product)
