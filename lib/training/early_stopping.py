"""Where one training, or S side by side, stands: the losses so far, who goes on, and the best weights of each."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lib import checks
from lib.training.settings import Training

READ_EVERY = 25  # steps between looks at the losses on a device whose numbers are far away


class LossTracker:
    """The losses of one network, and what follows from them; `rules` say when it stops."""

    def __init__(self, rules: Training, losses: Sequence[float] = (), best_loss: float = float("inf")):
        self.rules = rules
        self.losses = list(losses)
        self.best_loss = best_loss
        self.stopped = ""
        if self.losses:
            self._judge(self.losses[-1])

    def take(self, loss: float) -> bool:
        """Enter the loss of one more step; whether the weights after that step are the best so far."""
        self.losses.append(loss)
        self._judge(loss)
        better = self.stopped != "diverged" and loss < self.rules.snapshot_ratio * self.best_loss
        if better:
            self.best_loss = loss
        return better

    @property
    def worsened(self) -> bool:
        """Whether there were better weights than those of the last loss."""
        return self.best_loss < float("inf") and not self.losses[-1] <= self.best_loss

    def _judge(self, loss: float) -> None:
        if not loss <= self.rules.abort_loss:
            self.stopped = "diverged"
        elif loss <= self.rules.stop_loss:
            self.stopped = "stop_loss"


class EarlyStopping:
    """Which of the networks in training go on, and the best weights of each.

    On the CPU the losses are read at every step. On a GPU that would make the processor wait: the same comparisons are
    made there, a network that has stopped is put back after each step, and the losses are read every `READ_EVERY` steps
    (or at the next checkpoint, callback or end). What comes of it is the same but for batches drawn in between.

    Args:
        accounts: One per network.
        weights: What is trained; with an axis of length S in front if the networks are side by side.
        best: Weights after the best step so far, by name; those missing are the present ones.
        together: Whether the networks are side by side.
        read_every: Steps between looks at the losses; None chooses.
    """

    def __init__(
        self,
        accounts: Sequence[LossTracker],
        weights: Mapping[str, nn.Parameter],
        best: Mapping[str, Tensor],
        *,
        together: bool,
        read_every: int | None = None,
    ):
        self.accounts = accounts
        self.weights = weights
        self.best = {name: p.detach().clone() for name, p in weights.items()} | dict(best)
        self.together = together
        self.device = next(iter(weights.values())).device
        default = READ_EVERY if self.device.type == "cuda" else 1
        self.read_every = default if read_every is None else checks.whole("read_every", read_every, 1)
        self.going = [s for s, account in enumerate(accounts) if not account.stopped]
        self.alive: Tensor | None = None  # whose update counts; None is everybody's
        self.better: Tensor | None = None  # whose weights are now the best; None is nobody's
        self._unread: list[Tensor] = []
        if self.read_every > 1:
            self._goes = self._mask(self.going)
            self._best_loss = self._numbers([account.best_loss for account in accounts])
            rules = [account.rules for account in accounts]
            self._abort = self._numbers([r.abort_loss for r in rules])
            self._stop = self._numbers([r.stop_loss for r in rules])
            self._ratio = self._numbers([r.snapshot_ratio for r in rules])

    def see(self, values: Tensor) -> None:
        """Take note of the losses of a step, one or S, before its update."""
        if values.shape != (len(self.accounts),) * self.together:
            expected = f"{len(self.accounts)} numbers" if self.together else "one number"
            raise ValueError(f"the loss must be {expected}, got shape {tuple(values.shape)}")
        self._unread.append(values.detach())
        if self.read_every == 1:
            were = self.going
            better = self.read()
            alive = [s for s in were if self.accounts[s].stopped != "diverged"]
            self.alive = None if len(alive) == len(self.accounts) else self._mask(alive)
            self.better = self._mask(better) if better else None
            return
        loss = self._unread[-1].double()
        self.alive = self._goes & (loss <= self._abort)
        self.better = self.alive & (loss < self._ratio * self._best_loss)
        self._best_loss = torch.where(self.better, loss, self._best_loss)
        self._goes = self.alive & ~(loss <= self._stop)

    @property
    def over(self) -> bool:
        """Whether it is known that no update counts."""
        return self.read_every == 1 and self.alive is not None and not self.alive.any()

    def read(self) -> list[int]:
        """Enter what has not been read into the accounts; whose weights were the best of the last step."""
        unread, self._unread = self._unread, []
        if len(unread) == 1 and not self.together:
            rows = [[unread[0].item()]]
        else:
            rows = torch.stack(unread).reshape(len(unread), -1).tolist() if unread else []
        better: list[int] = []
        for row in rows:
            better = [s for s in self.going if self.accounts[s].take(row[s])]
            self.going = [s for s in self.going if not self.accounts[s].stopped]
        return better

    def total(self, values: Tensor) -> Tensor:
        """What to differentiate: the sum of the losses of those whose update counts."""
        values = values if self.alive is None else torch.where(self.alive, values, 0.0)
        return values.sum() if values.ndim else values

    def before(self) -> dict[str, Tensor]:
        """Weights before the update, if there are any that must be put back."""
        return {} if self.alive is None else {name: p.detach().clone() for name, p in self.weights.items()}

    @torch.no_grad()
    def settle(self, before: Mapping[str, Tensor]) -> None:
        """After the update: put back those for whom it does not count, and keep the best."""
        for name, p in self.weights.items():
            if self.alive is not None:
                p.copy_(torch.where(_rows(self.alive, p), p, before[name]))
            if self.better is not None:
                self.best[name].copy_(torch.where(_rows(self.better, p), p, self.best[name]))

    @torch.no_grad()
    def restore(self) -> list[bool]:
        """Put back the best weights of every network whose last loss is worse; who they are."""
        worse = [account.worsened for account in self.accounts]
        if any(worse):
            mask = self._mask([s for s, is_worse in enumerate(worse) if is_worse])
            for name, p in self.weights.items():
                p.copy_(torch.where(_rows(mask, p), self.best[name], p))
        return worse

    def _mask(self, chosen: Sequence[int]) -> Tensor:
        mask = torch.zeros(len(self.accounts), dtype=torch.bool)
        mask[list(chosen)] = True
        return mask.reshape((-1,) * self.together).to(self.device)

    def _numbers(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape((-1,) * self.together).to(self.device)


def _rows(mask: Tensor, p: Tensor) -> Tensor:
    """A mask of networks, for all their weights."""
    return mask.reshape(mask.shape + (1,) * (p.ndim - mask.ndim))
