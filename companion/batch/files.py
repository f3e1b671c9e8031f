"""Sweep files: experiments written down in YAML, so that a table of the paper is one command.

results: ../results              # where tables for the book go, seen from the file; optional
experiments:
  relu-s1:                       # name of the experiment
    about: what it measures      # a sentence
    notebook: sweeps/one.ipynb   # seen from the project's root, or the id of a chapter
    parameters: {n: 1000}        # same in all runs
    grid: {seed: "0:10"}         # all combinations; a range, or a list of values
    rows:                        # rows of the ledger that it feeds; optional
      F3A: {positive: mean, shared_strength: max}     # how each measure is combined over the runs
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from companion.batch.chapters import ROOT
from companion.batch.plan import Sweep, find, plan, read_grid
from companion.ledger.rows import LedgerError, load, read_yaml

COMBINE = ("mean", "median", "min", "max", "sum")
KEYS = {"about", "notebook", "parameters", "grid", "rows", "settings"}


@dataclass(frozen=True)
class Experiment:
    """One entry of a sweep file.

    Attributes:
        name: Its name, also that of its result files.
        about: What it measures.
        sweep: Its runs.
        rows: For each row of the ledger that it feeds, how each measure is combined over the runs.
        settings: What the measures depend on beyond the parameters, for the ledger.
    """

    name: str
    about: str
    sweep: Sweep
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepFile:
    """A sweep file that has been read and checked.

    Attributes:
        path: The file.
        results: Folder for results that the book reads, None if there is none.
        experiments: Its entries.
    """

    path: Path
    results: Path | None
    experiments: tuple[Experiment, ...]


def read(path: Path, *, out: Path | None = None, only: Collection[str] = (), root: Path = ROOT) -> SweepFile:
    """Read a sweep file and plan its experiments.

    Args:
        path: The file.
        out: Folder for the experiments' folders; by default `_build/sweeps/<name of the file>`.
        only: Names of experiments or ids of ledger rows; all if empty.
        root: Folder from which notebooks are named.

    Raises:
        ValueError: the file cannot be read, has an unknown or repeated key, or an experiment makes no sense.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, LedgerError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("experiments"), dict) or not content["experiments"]:
        raise ValueError(f"{path}: expected experiments by name under the key experiments")
    if unknown := sorted(set(content) - {"experiments", "results"}):
        raise ValueError(f"{path}: unknown key {', '.join(unknown)}; known: experiments, results")
    out = out or root / "_build" / "sweeps" / path.stem
    entries = content["experiments"]
    chosen = _chosen(entries, only, path)
    experiments = []
    for name in chosen:
        try:
            experiments.append(_experiment(name, entries[name], out / name, root))
        except ValueError as error:
            raise ValueError(f"{path}, {name}: {error}") from error
    results = content.get("results")
    return SweepFile(path, (path.parent / results).resolve() if results else None, tuple(experiments))


def _chosen(entries: dict[str, Any], only: Collection[str], path: Path) -> Sequence[str]:
    if not only:
        return list(entries)
    rows = {row for entry in entries.values() if isinstance(entry, dict) for row in (entry.get("rows") or {})}
    for name in only:
        if name not in entries and name not in rows:
            near = difflib.get_close_matches(name, [*entries, *rows], n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join([*entries, *sorted(rows)])}"
            raise ValueError(f"{path}: no experiment or row {name}; {hint}")
    return [name for name, e in entries.items() if name in only or set(only) & set((e or {}).get("rows") or {})]


def _experiment(name: str, entry: Any, out: Path, root: Path) -> Experiment:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("the name of an experiment consists of letters, digits, - and _")
    if not isinstance(entry, dict) or not isinstance(entry.get("notebook"), str):
        raise ValueError("expected a mapping with a notebook")
    if unknown := sorted(set(entry) - KEYS):
        raise ValueError(f"unknown key {', '.join(unknown)}; known: {', '.join(sorted(KEYS))}")
    for key in KEYS - {"about", "notebook"}:
        if not isinstance(entry.get(key, {}), dict):
            raise ValueError(f"{key}: expected a mapping, got {entry[key]!r}")
    written = root / entry["notebook"]
    notebook = find(written if written.suffix == ".ipynb" else entry["notebook"])
    grid: dict[str, Any] = {}
    for parameter, values in (entry.get("grid") or {}).items():
        grid[parameter] = read_grid([(parameter, values)], notebook)[parameter] if isinstance(values, str) else values
    rows = {row: _row(row, how) for row, how in (entry.get("rows") or {}).items()}
    sweep = plan(notebook, entry.get("parameters"), grid or None, out=out)
    return Experiment(name, entry.get("about", ""), sweep, rows, entry.get("settings") or {})


def _row(row: str, how: Any) -> dict[str, str]:
    """How the measures of a row are combined, after a look into the ledger."""
    ledger = load()
    if row not in ledger:
        raise ValueError(f"the ledger has no row {row}")
    measures = list(ledger[row].accept)
    if isinstance(how, str):
        how = dict.fromkeys(measures, how)
    if not isinstance(how, dict) or set(how) != set(measures):
        raise ValueError(f"{row}: expected for each of its measures ({', '.join(measures)}) how runs are combined")
    for measure, name in how.items():
        if name not in COMBINE:
            raise ValueError(f"{row}, {measure}: expected one of {', '.join(COMBINE)}, got {name!r}")
    return how
