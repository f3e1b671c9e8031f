r"""A training step beside the matrix products of batch x n x n, in number and in time.

With one channel and ReLU the gradient written out needs $3 (T - 2)$ of them: one forward, one back and one for the
gradient for each time step after the second; the first two need matrix-vector products only. With more channels it is
$3 (T - 1)$. With one channel and a large batch `lib.fast.sectors` replaces the first three by many small ones.

So there are two numbers. `done` counts the operations of all products that are really done, small ones too, in units of
`2 batch n^2`; their share says how near the step is to the rate of large products. The other share, that of the
`needed` ones, is how long those would take with nothing around, in percent of the step: above 100, products are saved.
"""

from benchmarks.clock import interleaved, operations, products
from benchmarks.contenders import contenders
from benchmarks.report import Options, Report, Table, Wish


def triples(D: int, T: int) -> int:
    """How many times the three products are needed in one step of a ReLU network, without cones."""
    return max(T - 2, 0) if D == 1 else T - 1


def run(options: Options) -> Report:
    """The products alone and the step, in turns."""
    n, batch, rounds = (24, 8, 2) if options.quick else (1000, 1024, 25)
    unit = 2.0 * batch * n * n
    report = Report("share")
    rows = []
    for D, T in [(1, 3), (1, 10), (2, 3), (2, 10)]:
        step = contenders(n, D, T, batch)["ours"].step
        needed, done = 3 * triples(D, T), operations(step) / unit
        times = interleaved({"products": products(batch, n), "step": step}, rounds)
        rate = done * unit / times.seconds("step") / 1e9
        bare = 3 * unit / times.seconds("products") / 1e9
        share_done, share_needed = (100 * count / 3 / times.ratio("step", "products") for count in (done, needed))
        rows.append((D, T, needed, done, 1e3 * times.seconds("step"), rate, bare, share_done, share_needed))
        if D == 1:
            report.wishes.append(Wish(f"needed products in percent of the step, T={T}", 70.0, share_needed, " %"))
    columns = (
        "D",
        "T",
        "needed",
        "done",
        "step, ms",
        "step, Gflop/s",
        "products alone, Gflop/s",
        "done, %",
        "needed, %",
    )
    report.tables.append(Table(f"Step and products, ReLU, n={n}, batch {batch}, float32", columns, rows))
    return report
