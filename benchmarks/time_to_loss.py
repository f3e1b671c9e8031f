"""Seconds from the null start to a given loss on test sequences: the samplers and the algorithms.

The test loss is that of 4096 fixed Monte Carlo sequences, in the authors' normalisation; it is computed every few steps
with the clock stopped. Contenders advance in turns of as many steps. Drawing a batch counts. The authors' rectifier has
derivative 1 at zero, ours has 1/2, which matters in the first step alone.

With two channels the authors' algorithm is not run to the end: its steps are those that ours takes with the same kind
of batches, and its time is their number times the seconds of one of its steps, measured in turns with ours.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.clock import interleaved
from benchmarks.contenders import authors_loss
from benchmarks.report import Options, Report, Table, Wish
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import BatchLoss, batch_loss, channel_weights
from lib.training.samplers import sampler

LR = 0.5
DECAY, T = 0.995, 3
TWO_DECAYS = (0.995, 0.993)


class Run:
    """One training that advances in slices.

    Args:
        W: Its weights.
        loss: Draws a batch and computes its loss.
    """

    def __init__(self, W: nn.Parameter, loss: Callable[[], Tensor]):
        self.W = W
        self.loss = loss
        self.optimiser = torch.optim.SGD([W], lr=LR)
        self.steps = 0
        self.slices: list[float] = []  # seconds
        self.test_loss = float("inf")

    def advance(self, steps: int) -> None:
        """So many training steps, timed together."""
        start = time.perf_counter()
        for _ in range(steps):
            self.optimiser.zero_grad(set_to_none=True)
            value = self.loss()
            if not value.item() < 100:
                raise RuntimeError(f"training diverged after {self.steps} steps")
            value.backward()
            self.optimiser.step()
        self.slices.append(time.perf_counter() - start)
        self.steps += steps


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def ours(start: Integrator, goal: Task, name: str, batch: int) -> Run:
    """`lib` with one of its samplers."""
    net = Integrator(start.W, start.encoders, start.decoders)
    draw = sampler(name, batch, T, goal.D, generator=_generator(), dtype=net.W.dtype)
    loss = BatchLoss(goal, "authors")
    return Run(net.W, lambda: loss(net, draw()))


def authors(start: Integrator, goal: Task, batch: int) -> Run:
    """The authors' algorithm with Monte Carlo batches drawn straight in float32."""
    W, generator = nn.Parameter(start.W.detach().clone()), _generator()
    E, Z = start.encoders.detach(), start.decoders.detach()

    def loss() -> Tensor:
        x = torch.randn(batch, T, goal.D, generator=generator)
        return authors_loss(W, E, Z, x, goal.targets(x), x.new_tensor(goal.scales))

    return Run(W, loss)


@torch.no_grad()
def race(runs: dict[str, Run], test_loss: Callable[[Tensor], float], *, goal: float, every: int, limit: int) -> None:
    """Advance all runs in turns until each has reached the goal, or the limit of steps."""
    racing = list(runs.values())
    while racing:
        for run in racing:
            with torch.enable_grad():
                run.advance(every)
            run.test_loss = test_loss(run.W)
        racing = [run for run in racing if run.test_loss > goal and run.steps < limit]


def test_losses(start: Integrator, goal: Task) -> Callable[[Tensor], float]:
    """The loss of given weights on 4096 fixed sequences."""
    x = torch.randn(4096, T, goal.D, generator=torch.Generator().manual_seed(3))
    targets, weights = goal.targets(x), channel_weights(goal, "authors")

    def test_loss(W: Tensor) -> float:
        return batch_loss(Integrator(W, start.encoders, start.decoders).run(x).outputs, targets, weights).item()

    return test_loss


def run(options: Options) -> Report:
    """Steps, seconds per step and seconds of each contender, with one and with two channels."""
    report, second = one_channel(options), two_channels(options)
    return Report("time_to_loss", report.tables + second.tables, report.wishes + second.wishes)


def two_channels(options: Options) -> Report:
    """With two channels; the authors' time is counted."""
    n, plain, every, limit, aim, rounds = (24, 32, 5, 10, 0.1, 2) if options.quick else (1000, 1024, 20, 2000, 1e-4, 5)
    goal = Task(TWO_DECAYS, T=T)
    start = Integrator.random(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    runs = {
        "ours, Sobol 32": ours(start, goal, "sobol", 32),
        "ours, Sobol 64": ours(start, goal, "sobol", 64),
        f"ours, Monte Carlo {plain}": ours(start, goal, "monte-carlo", plain),
    }
    race(runs, test_losses(start, goal), goal=aim, every=every, limit=limit)
    steps = {name: one.steps for name, one in runs.items()}
    losses = {name: one.test_loss for name, one in runs.items()}
    counted = f"authors, Monte Carlo {plain}"
    steps[counted], losses[counted] = steps[f"ours, Monte Carlo {plain}"], losses[f"ours, Monte Carlo {plain}"]
    turns = runs | {counted: authors(start, goal, plain)}
    times = interleaved({name: lambda one=one: one.advance(1) for name, one in turns.items()}, rounds)
    slowest = steps[counted]
    rows: list[tuple[str | int | float, ...]] = []
    for name in turns:
        per_step = times.seconds(name)
        ratio = times.ratio(counted, name) * slowest / steps[name]
        rows.append((name, steps[name], 1e3 * per_step, steps[name] * per_step, ratio, losses[name]))
    ratios = [float(row[4]) for row in rows[:-1] if losses[str(row[0])] <= aim or options.quick]
    title = f"Time to test loss {aim:g}, ReLU, D=2, T={T}, gamma={TWO_DECAYS}, n={n}, SGD {LR}, float32, null start"
    columns = ("contender", "steps", "ms per step", "steps x that, s", "times faster", "test loss")
    wish = Wish("D=2, best of ours, times faster than the authors' algorithm", 8.0, max(ratios, default=0.0), " x")
    return Report("two channels", [Table(title, columns, rows)], [wish])


def one_channel(options: Options) -> Report:
    """With one channel, where everybody trains to the end."""
    n, plain, every, limit, aim = (24, 32, 5, 10, 0.1) if options.quick else (1000, 1024, 20, 5000, 3e-7)
    goal = Task(DECAY, T=T)
    start = Integrator.random(n, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    runs = {
        "ours, Sobol 32": ours(start, goal, "sobol", 32),
        "ours, Sobol 64": ours(start, goal, "sobol", 64),
        f"ours, Monte Carlo {plain}": ours(start, goal, "monte-carlo", plain),
        f"authors, Monte Carlo {plain}": authors(start, goal, plain),
    }
    race(runs, test_losses(start, goal), goal=aim, every=every, limit=limit)
    slowest = list(runs.values())[-1]
    rows = []
    for name, one in runs.items():
        per_step = median(one.slices) / every
        ratio = sum(slowest.slices) / sum(one.slices)
        rows.append((name, one.steps, 1e3 * per_step, one.steps * per_step, sum(one.slices), ratio, one.test_loss))
    best = max(ratio for _, _, _, _, _, ratio, loss in rows[:-1] if loss <= aim or options.quick)
    columns = ("contender", "steps", "ms per step", "steps x that, s", "measured, s", "times faster", "test loss")
    title = f"Time to test loss {aim:g}, ReLU, D=1, T={T}, gamma={DECAY}, n={n}, SGD {LR}, float32, null start"
    return Report(
        "one channel",
        [Table(title, columns, rows)],
        [Wish("best of ours, times faster than the authors' algorithm", 15.0, best, " x")],
    )
