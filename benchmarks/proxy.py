"""Training on the two-point proxy loss: a step in closed form against autograd, and all nine scales of figure 17."""

import time

import torch

from benchmarks.clock import interleaved
from benchmarks.report import Options, Report, Table, Wish
from lib.model.codes import random_codes
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.relu.descent import descend
from lib.theory.relu.null_start import descend_from_null
from lib.training.losses import ProxyLoss

SCALES = {0.05: 4e-4, 0.1: 1e-3, 0.3: 1e-2, 0.6: 3e-2, 1.0: 0.1, 2.0: 0.1, 4.0: 0.1, 10.0: 0.1, 20.0: 0.1}  # s: lr
DECAY, LR, STEPS = 0.995, 1e-3, 10


def run(options: Options) -> Report:
    """Milliseconds per step, and seconds for nine scales from the null start."""
    n, rounds, limit = (24, 3, 50) if options.quick else (1000, 40, 100_000)
    e, d = random_codes(n, generator=torch.Generator().manual_seed(0))
    start = torch.outer(d[:, 0], e[:, 0])
    W, network = start.clone(), Integrator(start, e, d)
    loss, points = ProxyLoss.two_point(Task(DECAY)), torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    optimiser = torch.optim.SGD([network.W], lr=LR)

    def closed() -> None:
        W.copy_(descend(W, e, d, DECAY, 1.0, lr=LR, n_steps=STEPS, record=STEPS).W)

    def plain() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad(set_to_none=True)
            loss(network, points).backward()
            optimiser.step()

    times = interleaved({"closed form": closed, "autograd": plain}, rounds)
    apart = ((W - network.W.detach()).norm() / W.norm()).item()
    if not apart < 1e-9:
        raise RuntimeError(f"closed form and autograd must give the same weights, got a distance of {apart:g}")
    ratio = times.ratio("autograd", "closed form")
    begun = time.perf_counter()
    s, rates = (torch.tensor(list(values), dtype=torch.float64) for values in (SCALES, SCALES.values()))
    found = descend_from_null(e, d, DECAY, s, lr=rates, n_steps=limit, stop_loss=1e-7, record=limit)
    seconds = time.perf_counter() - begun
    steps = [(name, 1e3 / STEPS * times.seconds(name), times.ratio(name, "closed form")) for name in times]
    scales = [
        (f"{at:g}", int(stop), int(single), float(end))
        for at, stop, single, end in zip(SCALES, found.stopped, found.changed, found.losses[-1], strict=True)
    ]
    return Report(
        "proxy",
        [
            Table(f"One step on the proxy loss, of {STEPS}, n={n}, float64", ("way", "ms", "over ours"), steps),
            Table("Nine scales at once, one seed", ("s", "steps", "neurons that changed sign", "loss"), scales),
        ],
        [
            Wish("step by autograd / closed form", 3.0, ratio, " x"),
            Wish("nine scales, one seed", 180.0, seconds, " s", at_most=True),
        ],
        [f"Both ways of stepping end in the same weights (relative distance {apart:.0e})."],
    )
