"""Committed results of runs that take hours: a table, and perhaps arrays, for each experiment in `results/`.

They are written by `python -m lib.batch run sweeps/paper.yml`, and read here by the chapters.
"""

import hashlib
import io
import json
import os

import numpy as np
import pandas as pd

from lib.notebooks import book_folder


class ResultsError(ValueError):
    """A table of results is missing, or is not the one that its provenance describes."""


def experiments(*, book: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the experiments that have a table, sorted; for what a chapter shows only once it is there."""
    return sorted(path.stem for path in (book_folder(book).parent / "results").glob("*.csv"))


def table(name: str, *, book: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Table of an experiment: a line for each run, columns for its parameters and for what it recorded.

    Args:
        name: Experiment in a sweep file, such as "relu-batch".
        book: Book folder, beside which `results/` lies; see `lib.notebooks.book_folder`.

    Raises:
        ResultsError: there is no such table, or it has been changed since it was written.
    """
    content = _content(name, "csv", book)
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=["NaN", ""])


def arrays(name: str, *, book: str | os.PathLike[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays that the runs of an experiment kept, stacked in the order of the table's lines; arguments as of `table`.

    Raises:
        ResultsError: there are none, or they have been changed since they were written.
    """
    with np.load(io.BytesIO(_content(name, "npz", book)), allow_pickle=False) as kept:
        return {key: kept[key] for key in kept.files}


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
