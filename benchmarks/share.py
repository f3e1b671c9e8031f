"""A training step as a share of what the matrix products in it must take.

With one channel and ReLU a step needs $3 (T - 2)$ products of batch x n x n: one forward, one back and one for the
gradient for each time step after the second; the first two need matrix-vector products only. With more channels it is
$3 (T - 1)$. Each product counts `2 batch n^2` operations.
"""

from benchmarks.clock import interleaved, products
from benchmarks.contenders import contenders
from benchmarks.report import Options, Report, Table, Wish


def triples(D: int, T: int) -> int:
    """How many times the three products are needed in one step of a ReLU network."""
    return max(T - 2, 0) if D == 1 else T - 1


def run(options: Options) -> Report:
    """The products alone and the step, in turns."""
    n, batch, rounds = (24, 8, 2) if options.quick else (1000, 1024, 25)
    report = Report("share")
    rows = []
    for D, T in [(1, 3), (1, 10), (2, 3), (2, 10)]:
        step = contenders(n, D, T, batch)["ours"].step
        times = interleaved({"products": products(batch, n), "step": step}, rounds)
        share = triples(D, T) / times.ratio("step", "products")
        rate = triples(D, T) * 3 * 2 * batch * n * n / times.seconds("step") / 1e9
        bare = 3 * 2 * batch * n * n / times.seconds("products") / 1e9
        rows.append((D, T, 3 * triples(D, T), 1e3 * times.seconds("step"), rate, bare, 100 * share))
        if D == 1:
            report.wishes.append(Wish(f"share of the product rate, T={T}", 70.0, 100 * share, " %"))
    columns = ("D", "T", "products", "step, ms", "step, Gflop/s", "products alone, Gflop/s", "share, %")
    report.tables.append(Table(f"Share of the product rate, ReLU, n={n}, batch {batch}, float32", columns, rows))
    return report
