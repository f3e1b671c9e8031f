"""What the commands about runs do; each takes the parsed options and returns the exit status."""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from companion.batch import files, results, store, sweep, work
from companion.batch.chapters import ROOT
from companion.batch.execute import ExecutionError, execute
from companion.batch.kernels import cpu_count
from companion.batch.plan import Spec, Sweep, describe, find, plan, read_grid, read_values
from companion.batch.table import gather, read_request, records, write_table
from companion.notebooks import parameters


def run(options: argparse.Namespace) -> int:
    """Run a notebook once, a sweep, or the experiments of a sweep file."""
    if options.notebook.endswith((".yml", ".yaml")):
        return run_file(options)
    if options.only:
        raise ValueError("--only chooses from a sweep file, which was not given")
    notebook = find(options.notebook)
    output, fixed = options.output, read_values(options.parameter, notebook)
    if not options.grid and (output is None or output.suffix == ".ipynb"):
        return run_once(options, notebook, output or ROOT / "_build" / "runs" / notebook.name, fixed)
    if output is not None and output.suffix == ".ipynb":
        raise ValueError(f"a sweep needs a folder, not the notebook {output}")
    output = output or ROOT / "_build" / "sweeps" / notebook.stem
    return run_sweep(plan(notebook, fixed, read_grid(options.grid, notebook) or None, out=output), options)


def run_once(options: argparse.Namespace, notebook: Path, output: Path, fixed: dict[str, Any]) -> int:
    """Execute a notebook and write it to `output`."""
    if output.resolve() == notebook.resolve():
        raise ValueError(f"the output {output} would replace the notebook itself; give another one with -o")
    if options.dry_run or options.prepare or options.scheduler:
        raise ValueError("--dry-run, --prepare and --scheduler are for sweeps; give a grid with -g or a folder with -o")
    try:
        execute(notebook, output, fixed, threads=options.threads or 1, timeout=options.timeout)
    except ExecutionError as error:
        print(f"companion.batch: {notebook.name} failed in {error}\nUp to there it is in {output}", file=sys.stderr)
        return 1
    print(output)
    return 0


def run_file(options: argparse.Namespace) -> int:
    """Run experiments of a sweep file one after the other, and write their results."""
    if options.parameter or options.grid:
        raise ValueError("parameters and grids of a sweep file are in the file, not on the command line")
    file = files.read(Path(options.notebook), out=options.output, only=options.only)
    status = 0
    for experiment in file.experiments:
        print(f"{experiment.name}: {experiment.about}", file=sys.stderr)
        ended = run_sweep(experiment.sweep, options)
        status = max(status, ended)
        if file.results is None or options.dry_run or options.prepare:
            continue
        if ended:
            print(f"  {file.results / experiment.name} is not written, since runs are missing", file=sys.stderr)
            continue
        for path in results.write(experiment, file):
            print(path)
    return status


def run_sweep(planned: Sweep, options: argparse.Namespace) -> int:
    """Run a sweep, say before what will be done and afterwards what was."""
    state = sweep.pending(planned, force=options.force, skip_failed=options.skip_failed)
    workers = min(options.workers or cpu_count(), max(1, len(state.waiting)))
    seconds = sweep.estimate(planned, state.waiting, workers)
    about = f"about {duration(seconds)}" if seconds else "time unknown until the first one has ended"
    where = f"on {options.scheduler}" if options.scheduler else f"{workers} at a time"
    plural = "s" * (len(planned.runs) != 1)
    counts = f"{len(planned.runs)} run{plural}, {len(state.kept)} done, {len(state.waiting)} to do"
    print(counts + (f", {where}, {about}" if state.waiting else ""), file=sys.stderr)
    if options.dry_run:
        for spec in state.waiting:
            print(spec.key, describe(spec.parameters, spec.varied))
        return 0
    if options.prepare:
        sweep.prepare(planned)
        folder = sweep.write_specs(planned, state.waiting)
        print(f"{folder}: {len(state.waiting)} files, each for `python -m companion.batch exec`")
        return 0
    done = sweep.run(
        planned,
        workers=options.workers,
        threads=options.threads,
        engine=options.engine,
        scheduler=options.scheduler,
        timeout=options.timeout,
        force=options.force,
        skip_failed=options.skip_failed,
        fork=options.fork,
        progress=not options.no_progress,
    )
    return report(planned, done)


def report(planned: Sweep, done: sweep.Finished) -> int:
    """Print totals and every failure; the exit status."""
    counts = [
        (len(done.done), "done"),
        (len(done.kept), "kept"),
        (len(done.failed), "failed"),
        (len(done.lost), "lost"),
    ]
    totals = ", ".join(f"{number} {name}" for number, name in counts if number or name == "done")
    print(f"{totals} in {duration(done.seconds)}", file=sys.stderr)
    specs: dict[str, Spec] = {spec.key: spec for spec in planned.runs}
    for record in (*done.failed, *done.lost):
        print(f"  {sweep.line(specs[record['key']], record)}", file=sys.stderr)
    print(done.out / "results.csv")
    return 0 if done.ok else 1


def execute_spec(options: argparse.Namespace) -> int:
    """Do one run from its file."""
    try:
        content = json.loads(options.spec.read_text(encoding="utf-8"))
        spec = Spec(**content | {"varied": tuple(content["varied"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{options.spec} does not describe a run ({error})") from error
    threads = options.threads or cpu_count()
    record = work.run_one(spec, threads=threads, timeout=options.timeout, engine="exec")
    print(Path(spec.out) / "runs" / spec.key)
    if record["status"] == "ok":
        return 0
    print(f"companion.batch: {sweep.line(spec, record)}", file=sys.stderr)
    return 1


def params(options: argparse.Namespace) -> int:
    """List parameters."""
    declared = parameters(find(options.notebook)).values()
    lines = [(p.name, p.type, repr(p.default), p.meaning) for p in declared]
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(3)]
    for *columns, meaning in lines:
        print("  ".join([*(c.ljust(w) for c, w in zip(columns, widths, strict=True)), meaning]).rstrip())
    return 0


def status(options: argparse.Namespace) -> int:
    """Tell what has become of the runs that were asked for last."""
    request = read_request(options.out)
    found, damaged = records(options.out, request["keys"])
    counts = Counter(record["status"] for record in found)
    running = [alive for _, alive, lives in store.in_progress(options.out) if lives and alive]
    stopped = sum(not lives for _, _, lives in store.in_progress(options.out))
    waiting = len(request["keys"]) - len(found) - len(damaged) - len(running)
    summary = {
        "runs": len(request["keys"]),
        **{name: counts[name] for name in ("ok", "error", "lost")},
        "running": len(running),
        "waiting": max(0, waiting),
        "stopped": stopped,
        "damaged": len(damaged),
    }
    if options.json:
        print(json.dumps(summary))
    else:
        print(f"{request['notebook']}: " + ", ".join(f"{n} {name}" for name, n in summary.items() if n))
        for alive in running:
            cells = f"cell {alive.cells + 1} of {alive.of}" if alive.cells < alive.of else "ending"
            print(f"  {describe(alive.parameters, request['varied']) or alive.key}: {cells}, on {alive.host}")
    for message in damaged:
        print(f"companion.batch: {message}; the run will be repeated", file=sys.stderr)
    return 0 if counts["ok"] == len(request["keys"]) else 1


def gather_table(options: argparse.Namespace) -> int:
    """Write the table."""
    _, damaged = records(options.out) if options.out.exists() else ([], [])
    frame = gather(options.out, every=options.every)
    print(write_table(options.out, frame, parquet=options.parquet))
    for message in damaged:
        print(f"companion.batch: {message}; it is left out", file=sys.stderr)
    return 1 if damaged else 0


def clean(options: argparse.Namespace) -> int:
    """Delete leftovers."""
    request = read_request(options.out)
    found, damaged = records(options.out)
    readable = {record["key"] for record in found}
    doomed = [options.out / "runs" / key for key in store.keys(options.out) if key not in readable]
    for record in found:
        stale = options.stale and record.get("code") != request["code"] and record["key"] not in request["keys"]
        if stale or (options.failed and record["status"] != "ok"):
            doomed.append(options.out / "runs" / record["key"])
    doomed += [folder for folder, _, lives in store.in_progress(options.out) if not lives]
    doomed += [*(options.out / "runs").glob(".old-*")]
    kept = {record["key"] for record in found if record["status"] == "ok"}
    doomed += [p for p in (options.out / "checkpoints").glob("*") if p.name in kept]
    for path in doomed:
        if options.dry_run:
            print(path)
            continue
        store.end(store.left_by(path))
        shutil.rmtree(path, ignore_errors=True)
    print(f"{len(doomed)} {'would be ' * options.dry_run}deleted", file=sys.stderr)
    return 0


def duration(seconds: float) -> str:
    """A time as a person says it: 8 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "exec": execute_spec,
    "params": params,
    "status": status,
    "gather": gather_table,
    "clean": clean,
}
