"""Small networks trained together against one by one: ReLU, plain gradient steps, Monte Carlo sequences, T = 3."""

from collections.abc import Callable

import torch

from benchmarks.clock import interleaved
from benchmarks.report import Options, Report, Table, Wish
from lib.model import Integrator, Task
from lib.training import BatchLoss, BatchLosses, MonteCarlo, Training, train, train_together

DECAYS = (0.995, 0.993)
S = 16  # networks


def contenders(n: int, D: int, batch: int, steps: int) -> dict[str, Callable[[], object]]:
    """Trainings of S networks from their null starts, each with its own generator."""
    task, training = Task(DECAYS[:D], T=3), Training(steps, 0.01)

    def started() -> tuple[list[Integrator], list[MonteCarlo]]:
        draws = [torch.Generator().manual_seed(seed) for seed in range(S)]
        networks = [Integrator.random(n, D, generator=g, dtype=torch.float32) for g in draws]
        return networks, [MonteCarlo(batch, 3, D, generator=g, dtype=torch.float32) for g in draws]

    def one_by_one() -> None:
        loss = BatchLoss(task)
        for network, draw in zip(*started(), strict=True):
            train(network, draw, loss, training)

    def together() -> None:
        networks, draws = started()
        train_together(Integrator.stack(networks), draws, BatchLosses(task), training)

    return {"together": together, "one by one": one_by_one}


def run(options: Options) -> Report:
    """Milliseconds of a step of one network, and how many times longer it takes alone."""
    n, steps, rounds = (12, 3, 2) if options.quick else (100, 100, 5)
    rows, wishes = [], []
    for D in (1, 2):
        for batch in (32, 128):
            times = interleaved(contenders(n, D, batch, steps), rounds)
            ratio = times.ratio("one by one", "together")
            each = [1e3 * times.seconds(name) / steps / S for name in ("together", "one by one")]
            rows.append((D, batch, *each, ratio))
            wishes.append(Wish(f"one by one / together, D={D}, batch {batch}", 5.0, ratio, " x"))
    columns = ("D", "batch", "together, ms", "one by one, ms", "ratio")
    title = f"A training step of one of {S} networks, ReLU, n={n}, T=3, float32"
    return Report("together", [Table(title, columns, rows)], wishes)
