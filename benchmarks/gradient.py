r"""The gradient of the averaged loss of a linear network: closed form against automatic differentiation.

Both need the vectors $W^j e$ and $W^{\dagger k} d$, 2T products of W with a vector. Autograd then adds up one `n x n`
outer product per order; the closed form takes the T of them in one product of `n x T x n`.
"""

from functools import partial

import torch
from torch import Tensor

from benchmarks.clock import interleaved
from benchmarks.contenders import Disagreement
from benchmarks.report import Options, Report, Table, Wish
from lib.model.task import Task
from lib.theory.linear.loss import averaged_loss, gradient


def by_autograd(W: Tensor, encoders: Tensor, decoders: Tensor, task: Task) -> Tensor:
    """What most people would write."""
    W = W.detach().requires_grad_()
    return torch.autograd.grad(averaged_loss(W, encoders, decoders, task), W)[0]


def run(options: Options) -> Report:
    """Milliseconds of each, and how many times longer autograd takes.

    Raises:
        Disagreement: the two gradients differ.
    """
    n, rounds = (24, 2) if options.quick else (1000, 51)
    report = Report("gradient")
    rows = []
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        for D, T in ((1, 3), (1, 10), (3, 10)):
            made = torch.randn(n, n + 2 * D, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / n**0.5
            W, e, d = (part.contiguous() for part in made.to(dtype).split([n, D, D], dim=1))
            arguments = W, e, d, Task([0.995, 0.99, 0.98][:D], T=T)
            closed, automatic = gradient(*arguments), by_autograd(*arguments)
            difference = ((closed - automatic).norm() / automatic.norm()).item()
            if not difference <= tolerance:
                raise Disagreement(f"gradients differ by {difference:.1e}, tolerance is {tolerance:.0e}")
            calls = {"ours": partial(gradient, *arguments), "auto": partial(by_autograd, *arguments)}
            times = interleaved(calls, rounds)
            ratio = times.ratio("auto", "ours")
            name = str(dtype).removeprefix("torch.")
            rows.append((name, D, T, 1e3 * times.seconds("ours"), 1e3 * times.seconds("auto"), ratio, difference))
            if (D, T) == (1, 10):
                report.wishes.append(Wish(f"autograd / closed form, T={T}, {name}", 2.0, ratio, " x"))
    columns = ("type", "D", "T", "closed form, ms", "autograd, ms", "autograd / closed form", "relative difference")
    report.tables.append(Table(f"Gradient of the averaged loss, n={n}", columns, rows))
    return report
