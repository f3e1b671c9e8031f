"""A sigmoid network on the proxy loss of equation 33: 4096 points by the plain formula, and the few that stand for all.

Both compute the same loss and gradient at the same points, up to rounding; this is checked here in float64 on a network
that has begun to learn, when the few points are most. Both training runs to a given error on test sequences therefore
take the few points' way; the time of the authors' algorithm is its number of steps, which are the same, times the
seconds of a plain step with automatic differentiation, measured in the same run.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.clock import interleaved
from benchmarks.contenders import Disagreement
from benchmarks.report import Options, Report, Table, Wish
from lib.analysis.representation import relative_error
from lib.model.activations import Sigmoid
from lib.model.network import Integrator
from lib.model.signals import bursts
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.losses import ProxyLoss
from lib.training.samplers import UniformPoints, points

LR = 5e-4
GOAL = Task(0.8)


class Learner:
    """One training with Adam that advances by whole steps.

    Args:
        network: Copied.
        draw: Points of each step.
        fast: Whether few points may stand for all.
        fused: Whether Adam makes one pass over memory, as in `lib.training.loop`.
    """

    def __init__(self, network: Integrator, draw: UniformPoints, *, fast: bool, fused: bool):
        self.network = copy.deepcopy(network)
        self.draw = draw
        self.loss = ProxyLoss(GOAL, fast=fast)
        weights = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(weights, lr=LR, fused=fused)

    def gradient(self) -> None:
        """Loss and gradient at new points."""
        self.optimiser.zero_grad(set_to_none=True)
        self.loss(self.network, self.draw()).backward()

    def step(self) -> None:
        """One training step."""
        self.gradient()
        self.optimiser.step()


def agreement(network: Integrator, z: Tensor) -> float:
    """Largest relative difference of the two gradients in float64; Disagreement beyond 1e-7."""
    found = []
    for fast in (True, False):
        double = copy.deepcopy(network).double()
        ProxyLoss(GOAL, fast=fast)(double, z.double()).backward()
        found.append([p.grad for p in double.parameters() if p.grad is not None])
    worst = max(((a - b).norm() / b.norm()).item() for a, b in zip(*found, strict=True))
    if not worst < 1e-7:
        raise Disagreement(f"the gradients differ by {worst:.1e}")
    return worst


def steps_to(learner: Learner, error: Callable[[Integrator], float], *, goal: float, every: int, limit: int) -> int:
    """Steps until the error is at most the goal, or the limit."""
    for step in range(limit):
        if step % every == 0 and error(learner.network) <= goal:
            return step
        learner.step()
    return limit


def run(options: Options) -> Report:
    """Seconds of a step, and of a training, by both ways."""
    n, batch, rounds, every, limit = (30, 64, 2, 2, 4) if options.quick else (1000, 4096, 7, 50, 4000)
    x = bursts(64, 200, generator=torch.Generator().manual_seed(3), dtype=torch.float32)

    def error(network: Integrator) -> float:
        return relative_error(network.run(x).outputs, GOAL.targets(x))[0].item()

    def draw(name: str) -> UniformPoints:
        return points(name, batch, generator=torch.Generator().manual_seed(2), dtype=torch.float32)

    start = Integrator.random(
        n,
        activation=Sigmoid(),
        trained=("W", "decoders"),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float32,
    )
    warm = copy.deepcopy(start)
    train(warm, draw("strata"), ProxyLoss(GOAL), Training(limit // 4, LR, "adam"))
    worst = agreement(warm, draw("monte-carlo")())
    ours = Learner(warm, draw("monte-carlo"), fast=True, fused=True)
    plain = Learner(warm, draw("monte-carlo"), fast=False, fused=False)
    gradients = interleaved({"ours": ours.gradient, "plain": plain.gradient}, rounds)
    steps = interleaved({"ours": ours.step, "plain": plain.step}, rounds)
    rows = [
        (name, 1e3 * gradients.seconds(name), 1e3 * steps.seconds(name), steps.ratio(name, "ours")) for name in steps
    ]
    step_table = Table(
        f"One training step, sigmoid, D=1, n={n}, {batch} points, Adam, float32",
        ("contender", "gradient, ms", "step, ms", "step / ours"),
        rows,
    )
    taken = {
        name: steps_to(Learner(start, draw(name), fast=True, fused=True), error, goal=0.05, every=every, limit=limit)
        for name in ("strata", "monte-carlo")
    }
    authors = taken["monte-carlo"] * steps.seconds("plain")
    contenders = (("ours, strata", "strata", "ours"), ("ours, Monte Carlo", "monte-carlo", "ours"))
    times = [(name, taken[which], taken[which] * steps.seconds(way)) for name, which, way in contenders]
    times.append(("authors, Monte Carlo", taken["monte-carlo"], authors))
    time_table = Table(
        "Time to a relative error of 5 % on burst sequences, from the null start",
        ("contender", "steps", "steps x seconds per step, s", "times faster"),
        [(*row, authors / row[-1] if row[-1] else float("nan")) for row in times],
    )
    assert ours.loss.interpolation is not None
    few = len(ours.loss.interpolation.z)
    note = f"{few} points stand for {batch}; gradients in float64 differ by {worst:.0e} at most."
    best = max(ratio for *_, ratio in time_table.rows[:-1])  # type: ignore[type-var]
    wish = Wish("time to 5 %, times faster than the authors' algorithm", 8.0, float(best), " x")
    return Report("sigmoid", [step_table, time_table], [wish], [note])
