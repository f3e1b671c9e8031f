"""Training of linear networks from W = 0: in the space it never leaves, and with all n x n weights and autograd.

Both take the same steps on the same averaged loss, and must end at the same weights before any clock starts. A step in
the small space costs calls of PyTorch rather than arithmetic, so a batch of networks takes hardly longer than one.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.clock import interleaved
from benchmarks.report import Cell, Options, Report, Table, Wish
from lib.model.codes import Codes, random_codes
from lib.model.task import Task
from lib.theory.linear.descent import descend
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.reduced import reduce

TASK = Task(0.995, 1.0, T=3)
LR = 0.1


def autograd(codes: Codes, n_steps: int) -> Tensor:
    """Weights after training all of them by automatic differentiation and `torch.optim.SGD`."""
    n = len(codes.encoders)
    W = torch.zeros(n, n, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([W], lr=LR)
    for _ in range(n_steps):
        optimiser.zero_grad()
        averaged_loss(W, *codes, TASK).backward()
        optimiser.step()
    return W.detach()


def closed(codes: Codes, n_steps: int) -> Tensor:
    """The same with the closed gradient, and all weights."""
    n = len(codes.encoders)
    return descend(torch.zeros(n, n, dtype=torch.float64), *codes, TASK, lr=LR, n_steps=n_steps, record=n_steps).W


def small(codes: Codes, n_steps: int, networks: int = 1, lift: bool = False) -> Tensor:
    """Weights in the small space, the basis included; `networks` copies are trained at once."""
    space = reduce(*codes)
    zero = torch.zeros(networks, 2, 2, dtype=torch.float64)
    found = descend(zero, space.encoders, space.decoders, TASK, lr=LR, n_steps=n_steps, record=n_steps).W
    return space.lift(found[0]) if lift else found


def run(options: Options) -> Report:
    """How many times longer a step with all weights takes, and a step in the small space against n."""
    quick = options.quick
    n, rounds, few, many, sizes = (
        (60, 2, 2, 10, (20, 100)) if quick else (1000, 9, 8, 2000, (100, 1000, 10_000, 100_000))
    )
    report = Report("reduced")
    codes = random_codes(n, generator=torch.Generator().manual_seed(0))
    compared = few if quick else 300
    expected = autograd(codes, compared)
    gap = max(
        (way - expected).abs().max().item() for way in (closed(codes, compared), small(codes, compared, lift=True))
    )
    if not gap < 1e-10:
        raise ValueError(f"trained weights must agree to 1e-10, got a difference of {gap:.1e}")
    batch = 64
    calls: dict[str, tuple[int, int, Callable[[], Tensor]]] = {  # steps and networks in a call
        "all weights, autograd": (few, 1, lambda: autograd(codes, few)),
        "all weights, closed gradient": (few, 1, lambda: closed(codes, few)),
        "small space": (many, 1, lambda: small(codes, many)),
        f"small space, {batch} networks": (many, batch, lambda: small(codes, many, batch)),
    }
    times = interleaved({name: call for name, (_, _, call) in calls.items()}, rounds)
    first = next(iter(calls))
    rows = []
    for name, (steps, networks, _) in calls.items():
        microseconds = 1e6 * times.seconds(name) / steps
        ratio = times.ratio(first, name) * steps * networks / few
        rows.append((name, networks, microseconds, ratio))
    report.tables.append(
        Table(
            f"One step of training from zero, linear, n={n}, T=3, float64",
            ("way", "networks", "step, microseconds", "times faster per network"),
            rows,
        )
    )
    report.wishes.append(Wish("step of all weights by autograd / step in the small space", 1000.0, rows[2][3], " x"))
    report.wishes.append(Wish(f"the same per network, {batch} at once", 1000.0, rows[3][3], " x"))

    drawn = {size: random_codes(size, generator=torch.Generator().manual_seed(0)) for size in sizes}
    grown = interleaved({str(size): lambda pair=pair: small(pair, many) for size, pair in drawn.items()}, rounds)
    basis = interleaved({str(size): lambda pair=pair: reduce(*pair) for size, pair in drawn.items()}, rounds)
    by_size: list[tuple[Cell, ...]] = [
        (size, 1e3 * basis.seconds(str(size)), 1e6 * grown.seconds(str(size)) / many) for size in sizes
    ]
    columns = ("n", "basis, ms", "step with its share of the basis, microseconds")
    report.tables.append(Table(f"Training in the small space, {many} steps", columns, by_size))
    growth = grown.ratio(str(sizes[-1]), str(sizes[0]))
    report.wishes.append(Wish(f"time at n={sizes[-1]} / time at n={sizes[0]}", 1.5, growth, " x", at_most=True))
    report.notes.append(f"All end at the same weights (largest difference {gap:.0e} after {compared} steps).")
    return report
