"""One training step, ReLU, float32: ours, the authors' algorithm, `torch.nn.RNN`.

That they compute the same loss and gradient is checked at the same sizes in float64: in float32, currents next to the
corner of the rectifier fall on either side of it, and over ten steps that shows.
"""

import torch

from benchmarks.clock import interleaved
from benchmarks.contenders import agreement, contenders
from benchmarks.report import Options, Report, Table, Wish

POINTS = [(1, 3), (1, 10), (2, 3), (2, 10)]  # D, T


def run(options: Options) -> Report:
    """Seconds of the gradient alone and of a whole step, and how many times longer the others take."""
    n, batch, rounds = (24, 8, 2) if options.quick else (1000, 1024, 15)
    report = Report("step")
    rows = []
    worst = 0.0
    for D, T in POINTS:
        worst = max(worst, agreement(contenders(n, D, T, batch, dtype=torch.float64), 1e-9))
        made = contenders(n, D, T, batch)
        gradients = interleaved({name: one.gradient for name, one in made.items()}, rounds)
        steps = interleaved({name: one.step for name, one in made.items()}, rounds)
        for name in made:
            ratio = steps.ratio(name, "ours")
            rows.append((D, T, name, 1e3 * gradients.seconds(name), 1e3 * steps.seconds(name), ratio))
            if D == 1 and name != "ours":
                report.wishes.append(Wish(f"step of {name} / ours, T={T}", 2.2 if T == 3 else 1.0, ratio, " x"))
    columns = ("D", "T", "contender", "gradient, ms", "step, ms", "step / ours")
    report.tables.append(Table(f"One training step, ReLU, n={n}, batch {batch}, float32", columns, rows))
    report.notes.append(f"All compute the same loss and gradient (largest relative difference {worst:.0e}).")
    return report
