"""Committed results of runs that take hours: a table, and perhaps arrays, for each experiment in `results/`.

They are written by `python -m companion.batch run sweeps/paper.yml`, and read here by the chapters.
"""

import hashlib
import io
import json
import os
from typing import Any

import numpy as np
import pandas as pd

from companion.notebooks import book_folder

TRAINING = ("activation", "slope", "threshold", "trained", "arrangement", "inhibitory", "loss", "T", "batch", "sampler")
SETTINGS = ("n", "decays", "scales", *TRAINING, "optimiser", "lr", "n_steps", "stop_loss", "T_test")
"""Columns that say how a network was made and tested."""


class ResultsError(ValueError):
    """A table of results is missing, or is not the one that its provenance describes."""


def experiments(*, book: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the experiments that have a table, sorted; for what a chapter shows only once it is there."""
    return sorted(path.stem for path in (book_folder(book).parent / "results").glob("*.csv"))


def table(name: str, *, book: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Table of an experiment: a line for each run, columns for its parameters and for what it recorded.

    Args:
        name: Experiment in a sweep file, such as "relu-batch".
        book: Book folder, beside which `results/` lies; see `companion.notebooks.book_folder`.

    Raises:
        ResultsError: there is no such table, or it has been changed since it was written.
    """
    content = _content(name, "csv", book)
    runs = pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=["NaN", ""])
    runs.attrs["experiment"] = name
    return runs


def arrays(name: str, *, book: str | os.PathLike[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays that the runs of an experiment kept, stacked in the order of the table's lines; arguments as of `table`.

    Raises:
        ResultsError: there are none, or they have been changed since they were written.
    """
    with np.load(io.BytesIO(_content(name, "npz", book)), allow_pickle=False) as kept:
        return {key: kept[key] for key in kept.files}


def settings(runs: pd.DataFrame) -> dict[str, Any]:
    """How the networks of a table were made, as far as they have it in common, with their number and their experiment.

    What has no effect is left out: the shape of a sigmoid in rectified networks, the length of sequences where training
    uses none, no law of Dale, no stop, encoders and decoders on all neurons.
    """
    found = {name: runs[name].dropna().unique() for name in SETTINGS if name in runs}
    common = {name: _plain(values[0]) for name, values in found.items() if len(values) == 1}
    idle = {"arrangement": "all", "inhibitory": 0, "stop_loss": 0}
    if common.get("activation") == "relu":
        idle |= {name: common[name] for name in ("slope", "threshold") if name in common}
    if common.get("loss") == "proxy" and "T" in common:
        idle["T"] = common["T"]
    kept = {name: value for name, value in common.items() if name not in idle or value != idle[name]}
    source = {"experiment": runs.attrs["experiment"]} if "experiment" in runs.attrs else {}
    return {"seeds": len(runs["seed"].unique()), **kept, **source}


def _plain(value: Any) -> Any:
    """A cell of a table as JSON has it: a list was written as text."""
    if isinstance(value, str):
        return json.loads(value) if value.startswith("[") else value
    return value.item() if hasattr(value, "item") else value


def _content(name: str, kind: str, book: str | os.PathLike[str] | None) -> bytes:
    """A file of results, if it is the one that its provenance describes."""
    folder = book_folder(book).parent / "results"
    try:
        content = (folder / f"{name}.{kind}").read_bytes()
        expected = json.loads((folder / f"{name}.json").read_text())["provenance"]["files"][f"{name}.{kind}"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        there = ", ".join(sorted(path.stem for path in folder.glob(f"*.{kind}"))) or "none"
        raise ResultsError(
            f"expected results/{name}.{kind} and its provenance, got {error}; there are {there}"
        ) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ResultsError(f"results/{name}.{kind} is not what its provenance describes; run the sweep again")
    return content
