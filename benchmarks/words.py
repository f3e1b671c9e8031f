"""Training a linear network from a random start: in the space of words, and in the full space by hand and by autograd.

All start from the same weights and take the same steps; how well they agree is in the notes.
"""

import torch

from benchmarks.clock import interleaved
from benchmarks.report import Options, Report, Table, Wish
from lib.model.codes import random_codes
from lib.model.signals import normal
from lib.model.task import Task
from lib.theory.linear.descent import descend
from lib.theory.linear.krylov import words
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.moments import moments

TASK = Task(0.995, 1.0, T=3)
RADIUS, LR = 0.1, 0.5


def run(options: Options) -> Report:
    """Seconds of a short training, with the making of the basis, and ratios."""
    n, steps, rounds = (80, 5, 2) if options.quick else (1000, 40, 7)
    generator = torch.Generator().manual_seed(0)
    e, d = random_codes(n, 1, generator=generator)
    W = RADIUS * normal(n, n, generator=generator) / n**0.5
    found: dict[str, torch.Tensor] = {}

    def in_words() -> None:
        small = words(W, e, d, 3)
        omega = descend(small.project(W), small.encoders, small.decoders, TASK, lr=LR, n_steps=steps, record=steps).W
        found["words"] = moments(omega, small.encoders, small.decoders, 10)

    def by_hand() -> None:
        found["full space"] = moments(descend(W, e, d, TASK, lr=LR, n_steps=steps, record=steps).W, e, d, 10)

    def by_autograd() -> None:
        weights = W.clone().requires_grad_()
        optimiser = torch.optim.SGD([weights], lr=LR)
        for _ in range(steps):
            optimiser.zero_grad()
            averaged_loss(weights, e, d, TASK).backward()
            optimiser.step()
        found["autograd"] = moments(weights.detach(), e, d, 10)

    times = interleaved({"words": in_words, "full space": by_hand, "autograd": by_autograd}, rounds)
    report = Report("words")
    rows = []
    for name in times:
        gap = (found[name] - found["full space"]).abs().max().item()
        rows.append((name, 1e3 * times.seconds(name), times.ratio(name, "words"), f"{gap:.0e}"))
    columns = ("space", "time, ms", "time / words", "moments differ by")
    report.tables.append(Table(f"{steps} steps of gradient descent, n={n}, D=1, T=3, float64", columns, rows))
    report.wishes.append(Wish("full space / words", 3.0, times.ratio("full space", "words"), " x"))
    report.wishes.append(Wish("autograd / full space", 1.0, times.ratio("autograd", "full space"), " x"))
    report.notes.append("The basis has words of up to three factors: 30 dimensions; making it is part of the time.")
    return report
