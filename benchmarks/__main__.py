"""Command: `python -m benchmarks [NAME ...] [--quick] [--json FILE] [--figure FILE]`."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import (
    batch,
    channels,
    clock,
    curvature,
    gradient,
    growth,
    memory,
    proxy,
    reduced,
    share,
    sigmoid,
    spectra,
    step,
    time_to_loss,
    together,
    words,
)
from benchmarks.report import Options, Report

BENCHMARKS = {
    "step": step.run,
    "share": share.run,
    "time_to_loss": time_to_loss.run,
    "sigmoid": sigmoid.run,
    "channels": channels.run,
    "together": together.run,
    "growth": growth.run,
    "memory": memory.run,
    "batch": batch.run,
    "gradient": gradient.run,
    "spectra": spectra.run,
    "reduced": reduced.run,
    "words": words.run,
    "proxy": proxy.run,
    "curvature": curvature.run,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; exits with status 2 if it makes no sense."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and memory of lib.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all tables to this file")
    parser.add_argument("--figure", type=Path, metavar="FILE", default=Options().figure, help="where growth draws")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name!r}, expected one of {', '.join(BENCHMARKS)}")
    return chosen


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def main(arguments: list[str] | None = None) -> list[Report]:
    """Run what was asked for, print it, and return it."""
    chosen = parse(arguments)
    options = Options(chosen.quick, chosen.figure)
    machine = clock.machine(chosen.quick)
    print("\n".join(f"{name}: {value}" for name, value in machine.items()), flush=True)
    reports = []
    for name in chosen.names or BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        start = time.perf_counter()
        report = BENCHMARKS[name](options)
        print(report, flush=True)
        print(f"({name} took {time.perf_counter() - start:.0f} s; load afterwards {clock.load():.2f})", flush=True)
        reports.append(report)
    if chosen.json:
        write(chosen.json, {"machine": machine, "reports": [report.as_json() for report in reports]})
    return reports


if __name__ == "__main__":
    main()
