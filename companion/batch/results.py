"""Results that the book reads: a table of an experiment, its arrays, and where both come from."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from companion.batch import store
from companion.batch.files import Experiment, SweepFile
from companion.batch.plan import relative
from companion.batch.table import records, table, write_table
from companion.ledger import verdicts
from companion.ledger.rows import load
from companion.record import decode, encode

ABOUT = ("run_wall_s", "run_peak_rss_mb", "run_threads")  # columns about runs that are kept


def write(experiment: Experiment, file: SweepFile) -> list[Path]:
    """Write `<name>.csv`, `<name>.npz` if runs kept arrays, and `<name>.json` with records and provenance.

    The JSON file comes last: it names the other files with their hashes, so a half-written result is noticed.

    Returns:
        The files.

    Raises:
        ValueError: a run is missing, or a row's measures are not recorded by every run.
    """
    folder, name = file.results, experiment.name
    if folder is None:
        raise ValueError(f"{file.path} names no folder for results")
    wanted = [spec.key for spec in experiment.sweep.runs]
    found, damaged = records(experiment.sweep.out, wanted)
    if damaged or len(found) < len(wanted) or any(r["status"] != "ok" for r in found):
        raise ValueError(f"{name}: not every run has ended well")
    frame = table(found)
    frame = frame.drop(columns=[c for c in frame if str(c).startswith("run_") and c not in ABOUT])
    made = [write_table(folder, frame, name=f"{name}.csv")]
    arrays = stack(experiment)
    if arrays:
        made.append(write_arrays(folder / f"{name}.npz", arrays))
    content = {
        "records": [combine(row, how, found, experiment) for row, how in experiment.rows.items()],
        "provenance": provenance(experiment, file, found)
        | {"files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made}},
    }
    target = folder / f"{name}.json"
    store.write_json(target, content)
    return [*made, target]


def combine(row: str, how: dict[str, str], found: list[dict[str, Any]], experiment: Experiment) -> dict[str, Any]:
    """Record of a ledger row from the records of that name in all runs.

    Its parameters are those that all runs share; a varied seed becomes the first one, and `seeds` counts the runs.
    """
    import pandas as pd  # which half of the commands can do without

    values: list[dict[str, float]] = []
    for record in found:
        contents = [content for content in record["records"] if content["name"] == row]
        if len(contents) != 1:
            raise ValueError(f"{row}: expected one record of this name in each run, found {len(contents)}")
        values.append(verdicts.measures(load()[row], decode(contents[0])))
    frame = pd.DataFrame(values)
    combined = {measure: float(getattr(frame[measure], name)()) for measure, name in how.items()}
    first, *others = [record["parameters"] for record in found]
    shared = {k: v for k, v in first.items() if all(other[k] == v for other in others)}
    if "seed" in first and "seed" not in shared:
        shared["seed"] = min(record["parameters"]["seed"] for record in found)
    settings = {"seeds": len({record["parameters"].get("seed") for record in found})} | experiment.settings
    return {"name": row, **encode(combined), "unit": "", "parameters": shared, "settings": settings}


def provenance(experiment: Experiment, file: SweepFile, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Where results come from: what made them, with which versions, on what."""

    def seen(name: str) -> list[Any]:
        return [value for value, _ in Counter(str(record.get(name)) for record in found).most_common()]

    return {
        "created": max(record["ended"] for record in found),
        "lib": experiment.sweep.runs[0].lib,
        "sweep": f"{relative(file.path.resolve())}, {experiment.name}",
        "about": experiment.about,
        "notebook": relative(experiment.sweep.notebook),
        "notebook_hash": found[0]["notebook_hash"],
        "git_commits": seen("git_commit"),
        "versions": found[0]["versions"],
        "platforms": seen("platform"),
        "threads": seen("threads"),
        "runs": len(found),
        "seeds": sorted({record["seed"] for record in found if record["seed"] is not None}),
        "hours": round(sum(record["wall_s"] for record in found) / 3600, 3),
    }


def stack(experiment: Experiment) -> dict[str, np.ndarray]:
    """Arrays of all runs: along a new first axis, in the order of the table's rows, if their shapes agree.

    Arrays of different shapes get the number of their row in their name, as in `losses.3`.
    """
    kept: dict[str, dict[int, np.ndarray]] = {}
    for number, spec in enumerate(experiment.sweep.runs):
        path = experiment.sweep.out / "runs" / spec.key / "arrays.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                for name in arrays.files:
                    kept.setdefault(name, {})[number] = arrays[name]
    stacked: dict[str, np.ndarray] = {}
    for name, by_row in kept.items():
        if len(by_row) == len(experiment.sweep.runs) and len({a.shape for a in by_row.values()}) == 1:
            stacked[name] = np.stack(list(by_row.values()))
        else:
            stacked |= {f"{name}.{number}": array for number, array in by_row.items()}
    return stacked


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays to one compressed file, atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
