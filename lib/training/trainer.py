"""The course of a training, from its first step or its checkpoint to its end."""

import math
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lib.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from lib.training.early_stopping import EarlyStopping, LossTracker
from lib.training.history import History
from lib.training.optimisers import optimiser
from lib.training.settings import Training

Callback = Callable[[int, Any, list], None]


def network_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained, by name; ValueError if that is nothing."""
    weights = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if not weights:
        raise ValueError("network has nothing to train: no parameter requires a gradient")
    return weights


class Trainer:
    """One training, of a single network or of S side by side; arguments as for `lib.training.loop`."""

    def __init__(
        self,
        network: nn.Module,
        samplers: list[Callable[[], Any]],
        loss: Callable[[Any, Any], Tensor],
        trainings: list[Training],
        together: bool,
        checkpoint: str | Path | None,
    ):
        self.network, self.samplers, self.loss, self.together = network, samplers, loss, together
        self.weights, self.rules = network_weights(network), trainings[0]
        self.shared = not together
        self.constraint: Callable[[Any], None] | None = None
        self.callback: Callback | None = None
        self.evaluate: Callable[[Any], Any] | None = None
        self.evaluations: dict[int, Any] = {}
        self.path = None if checkpoint is None else Path(checkpoint)
        if self.path is not None and not self.path.parent.is_dir():
            raise ValueError(f"checkpoint must be a file in an existing folder, got {checkpoint}")
        self.optimiser = optimiser(self.rules.optimiser, self.weights.values(), [t.lr for t in trainings])
        settings = [t.continues() for t in trainings]
        self.settings: dict[str, Any] = {"networks": settings} if together else settings[0]
        run = Checkpoint([[] for _ in trainings], [math.inf] * len(trainings), {})
        if self.path is not None and self.path.exists():
            run = load_checkpoint(self.path, self.weights, self.optimiser, samplers, self.settings)
        accounts = [LossTracker(*of_one) for of_one in zip(trainings, run.losses, run.best_losses, strict=True)]
        read_every = self.rules.read_every
        self.standing = EarlyStopping(accounts, self.weights, run.best, together=together, read_every=read_every)
        self.batches: list[Any] = [None] * len(trainings)

    def run(self, every: int, progress: bool) -> list[History]:
        """All steps that are left."""
        standing, rules, interrupted = self.standing, self.rules, False
        done = max(len(account.losses) for account in standing.accounts)
        steps = range(done, rules.n_steps if standing.going else 0)
        bar = tqdm(steps, disable=not progress, desc="training", unit="step", initial=done)
        try:
            for step in bar:
                self.step()
                told, saved = (step + 1) % every == 0, (step + 1) % rules.checkpoint_every == 0
                if told or saved or (step + 1) % standing.read_every == 0:
                    standing.read()
                if progress and step % 50 == 0:
                    standing.read()
                    bar.set_postfix(loss=f"{max(account.losses[-1] for account in standing.accounts):.2e}")
                if told:
                    self.tell(step + 1)
                if not standing.going:
                    break
                if saved:
                    self.save()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            bar.close()
        standing.read()
        if not interrupted and any(account.stopped != "diverged" for account in standing.accounts):
            self.save()
        return self.histories("interrupted" if interrupted else "n_steps")

    def step(self) -> None:
        """Losses, gradients, update, constraint."""
        self.optimiser.zero_grad(set_to_none=True)
        values = self.loss(self.network, self.batch())
        self.standing.see(values)
        if self.standing.over:
            return
        self.standing.total(values).backward()
        before = self.standing.before()
        self.optimiser.step()
        if self.constraint is not None:
            with torch.no_grad():
                self.constraint(self.network)
        self.standing.settle(before)

    def batch(self) -> Any:
        """Of one sampler, or those of all networks that go on, over the last batches of the others."""
        if self.shared:
            return self.samplers[0]()
        for s in self.standing.going:
            self.batches[s] = self.samplers[s]()
        some = next(batch for batch in self.batches if batch is not None)
        return torch.stack([some if batch is None else batch for batch in self.batches])

    def tell(self, done: int) -> None:
        """Call who wants to be called."""
        if self.callback is not None:
            losses = [account.losses for account in self.standing.accounts]
            self.callback(done, self.network, losses if self.together else losses[0])
        if self.evaluate is not None:
            with torch.no_grad():
                self.evaluations[done] = self.evaluate(self.network)

    def save(self) -> None:
        """Write the checkpoint, if there is a file for it."""
        if self.path is None:
            return
        accounts = self.standing.accounts
        run = Checkpoint([a.losses for a in accounts], [a.best_loss for a in accounts], self.standing.best)
        save_checkpoint(self.path, run, self.weights, self.optimiser, self.samplers, self.settings)

    def histories(self, end: str) -> list[History]:
        """One for each network, with the best weights put back where the last loss was worse."""
        found = []
        for s, (account, restored) in enumerate(zip(self.standing.accounts, self.standing.restore(), strict=True)):
            made = {k: v for k, v in self.evaluations.items() if k <= len(account.losses)}
            evaluations = {k: v[s] for k, v in made.items()} if self.together else made
            best = account.losses.index(account.best_loss) if restored else None
            losses = torch.tensor(account.losses, dtype=torch.float64)
            found.append(History(losses, account.stopped or end, restored, best, MappingProxyType(evaluations)))
        return found
