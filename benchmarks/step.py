"""One training step, ReLU, float32: ours, the authors' algorithm, `torch.nn.RNN`, and compilers on the plain algorithm.

That they compute the same loss and gradient is checked at the same sizes in float64: in float32, currents next to the
corner of the rectifier fall on either side of it, and over ten steps that shows.

The limit is the time of the full products that are left when W E has rank D and the first state is zero, at the best
rate measured in the same rounds: 3 for each step but the first, and but the second too if there is one channel. What
sectors save of these brings a step below the limit; the table says how many products ours really makes.
"""

import torch

from benchmarks.clock import interleaved, one_core, operations, product_ways
from benchmarks.contenders import agreement, contenders
from benchmarks.report import Options, Report, Table, Wish

POINTS = [(1, 3), (1, 10), (2, 3), (2, 10)]  # D, T
WANTED = {(1, 3): 2.5, (1, 10): 1.2, (2, 3): 1.3, (2, 10): 1.1}  # times as long as ours, for the fastest of all others


@one_core()
def run(options: Options) -> Report:
    """Milliseconds of a whole step, how many times longer the others take, and how near the limit ours is."""
    n, batch, rounds = (24, 8, 2) if options.quick else (1000, 1024, 9)
    report, rows, summary, worst = Report("step"), [], [], 0.0
    for D, T in POINTS:
        exact = contenders(n, D, T, batch, dtype=torch.float64, compiled=not options.quick)
        worst = max(worst, agreement(exact, 1e-9))
        made = contenders(n, D, T, batch, compiled=not options.quick)
        done = operations(made["ours"].step)
        ways = product_ways(batch, n)
        times = interleaved({name: one.step for name, one in made.items()} | ways, rounds)
        rows += [(D, T, name, 1e3 * times.seconds(name), times.ratio(name, "ours")) for name in made]
        fastest = min((name for name in made if name != "ours"), key=times.seconds)
        ahead = times.ratio(fastest, "ours")
        needed, one = 3 * (T - 1 - (D == 1)), min(map(times.seconds, ways))
        share = 100 * needed * one / times.seconds("ours")
        summary.append((D, T, fastest, ahead, needed, done / (2 * batch * n * n), 1e3 * needed * one, share))
        report.wishes.append(Wish(f"fastest other / ours, D={D}, T={T}", WANTED[D, T], ahead, " x"))
        report.wishes.append(Wish(f"the limit in percent of ours, D={D}, T={T}", 80.0, share, " %"))
        if T == 10:
            report.wishes.append(Wish(f"authors / ours, D={D}, T=10", 2.4, times.ratio("authors", "ours"), " x"))
    title = f"One training step, ReLU, n={n}, batch {batch}, float32"
    report.tables.append(Table(title, ("D", "T", "contender", "step, ms", "step / ours"), rows))
    columns = ("D", "T", "fastest other", "step / ours", "products", "really made", "limit, ms", "limit, % of ours")
    report.tables.append(Table("Against the fastest other, and against the limit", columns, summary))
    report.notes.append(f"All compute the same loss and gradient (largest relative difference {worst:.0e}).")
    missing = "not installed: pip install '.[bench]'"
    report.notes += [f"jax.jit: {missing}"] if not any(row[2].startswith("jax") for row in rows) else []
    return report
