"""Committed results of runs that take hours: a table for each experiment in `results/`, its arrays, where they come from.

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


def table(name: str, *, book: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Table of an experiment: a line for each run, columns for its parameters and for what it recorded.

    Args:
        name: Experiment in a sweep file, such as "relu-batch".
        book: Book folder, beside which `results/` lies; see `lib.notebooks.book_folder`.

    Raises:
        ResultsError: there is no such table, or it has been changed since it was written.
    """
    content = _content(f"{name}.csv", book)
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=["NaN", ""])


def arrays(name: str, *, book: str | os.PathLike[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays that the runs of an experiment kept, by name; the first axis is that of the table's lines.

    Arguments and errors as for `table`.
    """
    with np.load(io.BytesIO(_content(f"{name}.npz", book)), allow_pickle=False) as kept:
        return {key: kept[key] for key in kept.files}


def _content(file: str, book: str | os.PathLike[str] | None) -> bytes:
    """Content of a file of results, after the comparison with its provenance."""
    folder, name = book_folder(book).parent / "results", file.rsplit(".", 1)[0]
    try:
        content = (folder / file).read_bytes()
        expected = json.loads((folder / f"{name}.json").read_text())["provenance"]["files"][file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.csv"))) or "none"
        raise ResultsError(f"expected results/{file} and its provenance, got {error}; there are {there}") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise ResultsError(f"results/{file} is not the table that its provenance describes; run the sweep again")
    return content
