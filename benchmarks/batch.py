"""What a run of a notebook costs beside its own work: sweeps against the `papermill` command, whole commands timed."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks.report import Options, Report, Table, Wish
from companion.batch.identity import SCHEMA

PARAMETERS = "seed: int = 0\nx: float = 1.0"
NOTEBOOKS = {
    "tiny": ["import json", "y = 2 * x + seed", "from companion.record import record", "record('y', y)"],
    "torch": ["import torch", "y = torch.full((), x + seed)", "from companion.record import record", "record('y', y)"],
}
WAYS = ("papermill, one after the other", "sweep, 2 workers", "sweep, 2 workers, forked")


def run(options: Options) -> Report:
    """Overhead per run, two workers against one, resuming, gathering."""
    runs, rounds, many, records = (1, 1, 1, 50) if options.quick else (10, 2, 40, 5000)
    kinds = list(NOTEBOOKS)[: 1 if options.quick else None]
    report = Report("batch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, ratios = [], {}
        for kind in kinds:
            notebook = write(folder / f"{kind}.ipynb", NOTEBOOKS[kind])
            seconds = overhead(notebook, folder, runs, rounds)
            rows += [(kind, way, statistics.median(seconds[way]) / runs) for way in WAYS]
            for way in WAYS[1:]:
                ratios[kind, way] = statistics.median(
                    a / b for a, b in zip(seconds[WAYS[0]], seconds[way], strict=True)
                )
        report.tables.append(Table(f"Seconds per run, {runs} runs", ("notebook", "way", "s"), rows))
        for kind in kinds:
            what = f"{kind} notebook: wall time of papermill over that of a sweep, 2 workers"
            report.wishes.append(Wish(what, 2.5, ratios[kind, WAYS[1]], " x"))
            report.notes.append(f"{kind} notebook, forked kernels: {ratios[kind, WAYS[2]]:.1f} x")
        one, two, again = serial_and_parallel(folder / "tiny.ipynb", folder, many)
        gathering = gather(folder / "many", records)
        rows = [(f"{many} runs, one worker", one), (f"{many} runs, two workers", two)]
        rows += [(f"{many} finished runs, again", again), (f"gathering {records} records", gathering)]
        report.tables.append(Table("Seconds of whole commands", ("what", "s"), rows))
    report.wishes.append(Wish(f"{many} runs, two workers against one", 1.7, one / two, " x"))
    report.wishes.append(Wish(f"resuming {many} finished runs", 1.0, again, " s", at_most=True))
    report.wishes.append(Wish(f"gathering {records} records", 2.0, gathering, " s", at_most=True))
    return report


def write(path: Path, sources: list[str]) -> Path:
    """Write a notebook."""
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), *map(new_code_cell, sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)
    return path


def timed(*commands: list[str]) -> float:
    """Seconds that commands take, one after the other; kernels have one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


def sweep(notebook: Path, out: Path, runs: int, *options: str) -> list[str]:
    """Command of a sweep over seeds."""
    command = [sys.executable, "-m", "companion.batch", "run", str(notebook), "-g", "seed", f"0:{runs}", "-o", str(out)]
    return [*command, "--no-progress", *options]


def overhead(notebook: Path, folder: Path, runs: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of `runs` runs by each way, in rounds in which the ways take turns."""
    loop = [sys.executable, "-m", "papermill", str(notebook), str(folder / "out.ipynb"), "-p", "seed"]
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        outs = [folder / f"{notebook.stem}-{number}-{way}" for way in range(2)]
        ways: list[Callable[[], float]] = [
            lambda: timed(*([*loop, str(seed)] for seed in range(runs))),
            lambda outs=outs: timed(sweep(notebook, outs[0], runs, "-w", "2")),
            lambda outs=outs: timed(sweep(notebook, outs[1], runs, "-w", "2", "--fork")),
        ]
        if sys.platform != "linux":
            ways[2] = lambda: float("nan")
        for way, call in zip(WAYS, ways, strict=True):
            seconds[way].append(call())
    return seconds


def serial_and_parallel(notebook: Path, folder: Path, runs: int) -> tuple[float, float, float]:
    """Seconds of a sweep with one worker, with two, and once more when all is done."""
    one = timed(sweep(notebook, folder / "one", runs, "--engine", "serial"))
    two = timed(sweep(notebook, folder / "two", runs, "-w", "2"))
    again = timed(sweep(notebook, folder / "two", runs, "-w", "2"))
    return one, two, again


def gather(out: Path, records: int) -> float:
    """Seconds of the command `gather` on a folder with so many records, which are copies of a real one."""
    first = next((out.parent / "two" / "runs").glob("*/run.json"))
    record = json.loads(first.read_text())
    keys = [f"{number:016x}" for number in range(records)]
    for number, key in enumerate(keys):
        (out / "runs" / key).mkdir(parents=True)
        content = {**record, "schema": SCHEMA, "key": key, "parameters": {"seed": number, "x": 1.0}}
        (out / "runs" / key / "run.json").write_text(json.dumps(content, indent=1))
    request = json.loads((out.parent / "two" / "sweep.json").read_text())
    (out / "sweep.json").write_text(json.dumps({**request, "keys": keys}))
    return timed([sys.executable, "-m", "companion.batch", "gather", str(out)])
