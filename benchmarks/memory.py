"""Peak memory of simulating many long sequences with all currents kept, as the analysis of a trained network does.

Each measurement is a fresh process: it makes a network and its inputs, simulates a few steps, and then all of them. The
peak of the whole process is what counts; beside it stands what the currents and outputs take that are handed back.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import NamedTuple

import torch

from benchmarks.contenders import network
from benchmarks.growth import MEGABYTE, ROOT, peak_memory
from benchmarks.report import Options, Report, Table, Wish
from lib.model.signals import bursts


class Simulation(NamedTuple):
    """Sizes of one measurement."""

    n: int
    batch: int
    T: int
    D: int
    dtype: str

    @property
    def kept(self) -> float:
        """Bytes of the currents and outputs."""
        return self.batch * self.T * (self.n + self.D) * (8.0 if self.dtype == "float64" else 4.0)


class Measured(NamedTuple):
    """What a process told."""

    libraries: float  # bytes, the peak before the long simulation
    whole: float  # bytes, the peak after it
    seconds: float  # of the simulation


def measure(simulation: Simulation) -> Measured:
    """Run a process of this size."""
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, simulation)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return Measured(*json.loads(done.stdout))


def run(options: Options) -> Report:
    """Peaks for one and two channels in float32, and in float64."""
    n, batch, T = (24, 4, 10) if options.quick else (1000, 128, 200)
    rows = []
    worst = 0.0
    for D, dtype in ((1, "float32"), (2, "float32"), (1, "float64")):
        simulation = Simulation(n, batch, T, D, dtype)
        found = measure(simulation)
        worst = max(worst, found.whole) if dtype == "float32" else worst
        megabytes = (value / MEGABYTE for value in (found.whole, found.whole - found.libraries, simulation.kept))
        rows.append((D, dtype, *megabytes, found.seconds))
    columns = ("D", "dtype", "peak, MB", "of that not libraries, MB", "currents and outputs, MB", "seconds")
    title = f"Simulating {batch} sequences of {T} steps with all currents kept, ReLU, n={n}"
    what = f"peak memory of simulating {batch} x {T} steps, n={n}, float32, whole process"
    return Report("memory", [Table(title, columns, rows)], [Wish(what, 1500.0, worst / MEGABYTE, " MB", at_most=True)])


def _main() -> None:
    """Print the peak before and after a simulation of the size given, in bytes, and its seconds."""
    parser = argparse.ArgumentParser(description=_main.__doc__)
    for name in Simulation._fields:
        parser.add_argument(name, type=str if name == "dtype" else int)
    n, batch, T, D, dtype = Simulation(**vars(parser.parse_args()))
    net = network(n, D, dtype=getattr(torch, dtype))
    x = bursts(batch, T, D, generator=torch.Generator().manual_seed(0), dtype=getattr(torch, dtype))
    net.run(x[:1, :2])
    before, begun = peak_memory(), time.perf_counter()
    trajectory = net.run(x)
    seconds = time.perf_counter() - begun
    assert trajectory.currents.shape == (batch, T, n)
    print(json.dumps([before, peak_memory(), seconds]))


if __name__ == "__main__":
    _main()
