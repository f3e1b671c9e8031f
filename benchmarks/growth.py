"""How seconds and peak memory of a training step grow with n, T, batch and D, beside what they should follow.

Seconds should follow the products of matrices that are done, counted in a step: `3 (T - 1)` of batch x n x n, or with
one channel `3 (T - 2)`; with one or two channels and a large batch, three fewer and many small ones. Memory should
follow the buffers of the unrolled network, currents and states of all steps, with W and its gradient: `4 (2 T batch n +
2 n^2)` bytes. It is the peak of a process of its own for each point, net of what a network of two neurons takes there.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.clock import interleaved, operations
from benchmarks.contenders import network, ours, task
from benchmarks.report import Options, Report, Table, Wish

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6


class Point(NamedTuple):
    """Sizes of one measurement."""

    n: int
    T: int
    batch: int
    D: int

    @property
    def buffers(self) -> float:
        """Bytes of the buffers, W and its gradient in float32."""
        return 4.0 * (2 * self.T * self.batch * self.n + 2 * self.n**2)


class Sweep(NamedTuple):
    """Points along one axis."""

    axis: str
    points: list[Point]

    def values(self) -> list[int]:
        """Where the points are on the axis."""
        return [getattr(point, self.axis) for point in self.points]


def sweeps(quick: bool) -> list[Sweep]:
    """One sweep for each size, through a common point."""
    base = Point(n=24, T=3, batch=8, D=1) if quick else Point(n=1024, T=6, batch=1024, D=1)
    axes = {
        "n": [256, 512, 1024, 2048, 4096],
        "T": [3, 4, 6, 10, 18],
        "batch": [64, 256, 1024, 4096],
        "D": [1, 2, 4, 8],
    }
    if quick:
        axes = {"n": [16, 24], "T": [3, 4], "batch": [8, 16], "D": [1, 2]}
    return [Sweep(axis, [base._replace(**{axis: value}) for value in values]) for axis, values in axes.items()]


def exponent(x: list[float] | list[int], y: list[float]) -> float:
    """Slope of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def step(point: Point) -> Callable[[], None]:
    """A call that makes one training step of this size."""
    x = torch.randn(point.batch, point.T, point.D, generator=torch.Generator().manual_seed(1))
    return ours(network(point.n, point.D), task(point.D, point.T), x).step


def peak_memory() -> float:
    """Bytes, the most this process has used so far; not a number where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), math.nan)


def measure_memory(point: Point) -> tuple[float, float]:
    """Peak memory of a process that makes three steps: all of it, and net of libraries; bytes."""
    command = [sys.executable, "-m", "benchmarks.growth", *map(str, point)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    before, after = json.loads(done.stdout)
    return after, after - before


def measure_seconds(points: list[Point], rounds: int) -> dict[Point, float]:
    """Median seconds of a step at each point; the points take turns."""
    times = interleaved({str(tuple(point)): step(point) for point in points}, rounds)
    return {point: times.seconds(str(tuple(point))) for point in points}


def draw(
    all_sweeps: list[Sweep],
    seconds: dict[Point, float],
    done: dict[Point, float],
    memory: dict[Point, float],
    path: Path,
) -> None:
    """Measured points, and lines through the first of them as the products and the buffers grow."""
    import matplotlib.pyplot as plt  # only here: the memory of the imports is measured too

    from lib.figures import COLOURS, new_axes, use_style

    use_style()
    figure, axes = new_axes(len(all_sweeps), width=3.2, height=3.0)
    for ax, sweep in zip(axes, all_sweeps, strict=True):
        x = sweep.values()
        for measured, unit, mark, name, law in (
            ([1e3 * seconds[p] for p in sweep.points], "ms", "o-", "step", [done[p] for p in sweep.points]),
            ([memory[p] / MEGABYTE for p in sweep.points], "MB", "s-", "memory", [p.buffers for p in sweep.points]),
        ):
            colour = COLOURS["output" if unit == "ms" else "target"]
            ax.loglog(x, measured, mark, color=colour, ms=4, lw=1, label=f"{name} ({unit})")
            scale = measured[-1] / law[-1]
            dashes = "--" if unit == "ms" else ":"
            label = "products" if unit == "ms" else "buffers"
            ax.loglog(x, [scale * value for value in law], dashes, color=COLOURS["theory"], lw=1, label=label)
        ax.set(xlabel=sweep.axis, xticks=x, xticklabels=map(str, x))
        ax.minorticks_off()
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def run(options: Options) -> Report:
    """All sweeps, the exponents, the figure, and the memory of a large batch."""
    report = Report("growth")
    all_sweeps = sweeps(options.quick)
    points = sorted({point for sweep in all_sweeps for point in sweep.points})
    seconds = measure_seconds(points, 2 if options.quick else 5)
    done = {point: operations(step(point)) for point in points}
    memory = {point: math.nan if options.quick else measure_memory(point)[1] for point in points}

    exponents = []
    for sweep in all_sweeps:
        x = sweep.values()
        rows = []
        for point in sweep.points:
            rate = done[point] / seconds[point] / 1e9
            weights = (memory[point] / MEGABYTE, point.buffers / MEGABYTE)
            rows.append((*point, 1e3 * seconds[point], done[point] / 1e9, rate, *weights))
        columns = ("n", "T", "batch", "D", "step, ms", "products, Gflop", "Gflop/s", "peak memory, MB", "buffers, MB")
        report.tables.append(Table(f"Growth with {sweep.axis}, ReLU, float32", columns, rows))
        pairs = (
            [seconds[point] for point in sweep.points],
            [done[point] for point in sweep.points],
            [memory[point] for point in sweep.points],
            [point.buffers for point in sweep.points],
        )
        exponents.append((sweep.axis, *(exponent(x, values) for values in pairs)))
    columns = ("growth with", "seconds", "products", "memory", "buffers")
    report.tables.append(Table("Fitted exponents", columns, exponents))

    large = Point(16, 3, 32, 1) if options.quick else Point(1000, 3, 4096, 1)
    whole, net = measure_memory(large)
    what = f"peak memory of training, n={large.n}, batch {large.batch}, T=3"
    report.wishes.append(Wish(f"{what}, whole process", 1000.0, whole / MEGABYTE, " MB", at_most=True))
    report.notes.append(f"Net of the libraries, {what} is {net / MEGABYTE:.0f} MB.")
    draw(all_sweeps, seconds, done, memory, options.figure)
    report.notes.append(f"Drawn in {options.figure}.")
    return report


def _main() -> None:
    """Print the peak memory after a step of two neurons, and after three steps of the size given, in bytes."""
    parser = argparse.ArgumentParser(description=_main.__doc__)
    for name in Point._fields:
        parser.add_argument(name, type=int)
    point = Point(**vars(parser.parse_args()))
    step(Point(2, point.T, 1, 1))()
    before = peak_memory()
    call = step(point)
    for _ in range(3):
        call()
    print(json.dumps([before, peak_memory()]))


if __name__ == "__main__":
    _main()
