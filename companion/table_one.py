"""Table 1 of the paper (section 5), cell by cell, from those result files that are there.

Each cell has networks with the authors' settings, and all but one have networks with a fast sampler as well, which
take a tenth of the time. A cell without results is "not run"; it appears once its experiment of `sweeps/paper.yml` has
been run.
"""

import html
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from companion import ledger, record
from companion.cells import CELLS
from companion.ledger.display import verdict_class
from companion.ledger.rows import Printed, Row
from companion.results import SETTINGS, experiments, settings, table

AUTHORS = {
    "T1-a": "relu-batch",
    "T1-b": "channels-relu-batch",
    "T1-c": "relu-proxy",
    "T1-d": "channels-relu-proxy-2",
    "T1-e": "channels-relu-proxy-3",
    "T1-f": "channels-relu-proxy-5",
    "T1-g": "sigmoid-batch",
    "T1-h": "channels-sigmoid-batch",
    "T1-i": "sigmoid-proxy",
    "T1-j": "channels-sigmoid-proxy-2",
    "T1-k": "channels-sigmoid-proxy-3",
    "T1-l": "channels-sigmoid-proxy-5",
}
"""Experiments with the authors' settings."""

FAST = {
    "T1-a": "relu-batch-sobol",
    "T1-b": "channels-relu-batch-sobol",
    "T1-d": "channels-relu-proxy-sobol",
    "T1-e": "channels-relu-proxy-many-sobol",
    "T1-f": "channels-relu-proxy-many-sobol",
    "T1-g": "sigmoid-batch-sobol",
    "T1-h": "channels-sigmoid-batch-sobol",
    "T1-i": "sigmoid-proxy-strata",
    "T1-j": "channels-sigmoid-proxy-sobol",
    "T1-k": "channels-sigmoid-proxy-many-sobol",
    "T1-l": "channels-sigmoid-proxy-many-sobol",
}
"""The same on Sobol points, evenly spread ones for T1-i. T1-c needs no points: its loss has a closed form."""

RATIOS = ("r_code", "r_38", "r_We", "r_PCA", "r_38_over_null")
"""Columns that every cell has, in per cent but the last: see `lib.analysis.representation.Ratios` and the rows of the
ledger.
"""

WAYS = {
    "r_code": "code's definition",
    "r_38": "equation 38",
    "r_We": "span of We",
    "r_PCA": "best subspace",
}
"""What those in per cent are, in words."""

ALSO = {
    "share": "share of the current inside",
    "rms": "rms of the current outside over inside",
    "r2": "r2 of coordinates.smallest",
    "error_ratio": "C27.error_ratio",
}
"""Columns that networks with several channels have as well; NaN in the others."""

KINDS = {id: (*kind, D) for kind, by_D in CELLS.items() for D, id in by_D.items()}  # activation, loss, D
COLUMNS = [(f"T1-{a}", f"T1-{b}") for a, b in zip("abcdef", "ghijkl", strict=True)]  # ReLU and sigmoid
FALLING = [("T1-d", "T1-e"), ("T1-e", "T1-f"), ("T1-j", "T1-k"), ("T1-k", "T1-l")]  # more and more channels
NAMES = {"relu": "ReLU", "sigmoid": "sigmoid"}


@dataclass(frozen=True)
class Group:
    """Networks of one cell that were trained in one way: columns `seed`, `SETTINGS`, `RATIOS` and `ALSO`."""

    id: str
    runs: pd.DataFrame

    @property
    def seeds(self) -> int:
        """How many networks."""
        return len(np.unique(self.runs["seed"]))

    @property
    def means(self) -> dict[str, float]:
        """Means of the ratios over networks."""
        return {name: self.runs[name].to_numpy().mean().item() for name in RATIOS}

    @property
    def spread(self) -> dict[str, float]:
        """Their standard deviations, divided by the number of networks as in the authors' code."""
        return {name: self.runs[name].to_numpy().std().item() for name in RATIOS}

    @property
    def settings(self) -> dict[str, Any]:
        """How the networks were trained, and how many they are, for `companion.ledger.check`."""
        found = settings(self.runs)
        if KINDS[self.id] == ("relu", "proxy", 1):
            found |= {"sampler": "two points", "batch": 2}
        return found

    def verdict(self, book: str | os.PathLike[str] | None = None) -> str:
        """What the ledger says about the means."""
        return ledger.judge(ledger.load(book)[self.id], self.means, self.settings)


def experiment(name: str, *, book: str | os.PathLike[str] | None = None) -> pd.DataFrame | None:
    """Table of an experiment, None if it has not been run; errors as of `companion.results.table`."""
    return table(name, book=book) if name in experiments(book=book) else None


def group(id: str, name: str, *, book: str | os.PathLike[str] | None = None) -> Group | None:
    """The networks of a cell in an experiment; None if there are none."""
    runs = experiment(name, book=book)
    if runs is None or f"{id}.r_code" not in runs:
        return None
    runs = runs.rename(columns={f"{id}.{ratio}": ratio for ratio in RATIOS} | {old: new for new, old in ALSO.items()})
    runs = runs.reindex(columns=["seed", *SETTINGS, *RATIOS, *ALSO]).dropna(subset=["r_code"])
    return Group(id, runs.reset_index(drop=True)) if len(runs) else None


def groups(names: Mapping[str, str], *, book: str | os.PathLike[str] | None = None) -> dict[str, Group]:
    """Of `AUTHORS` or `FAST`, the cells whose networks are there, in the order of the table."""
    found = {id: group(id, names[id], book=book) for id in sorted(names)}
    return {id: networks for id, networks in found.items() if networks is not None}


def best(least: int = 1, *, book: str | os.PathLike[str] | None = None) -> dict[str, Group]:
    """For each cell the networks with the authors' settings, or those with a fast sampler if there are none.

    Args:
        least: Leave out cells with fewer networks than this.
        book: The book folder.
    """
    found = groups(FAST, book=book) | groups(AUTHORS, book=book)
    return {id: found[id] for id in sorted(found) if found[id].seeds >= least}


def column(cells: Mapping[str, Group], ratio: str) -> list[tuple[float, float] | None]:
    """Mean and spread of a ratio in all twelve cells, None where there are no networks."""
    return [(cells[id].means[ratio], cells[id].spread[ratio]) if id in cells else None for id in sorted(KINDS)]


def printed(id: str, *, book: str | os.PathLike[str] | None = None) -> Printed:
    """What the paper prints in a cell, in per cent."""
    row = ledger.load(book)[id]
    assert isinstance(row, Row)
    return row.paper["r_code"]


class Orders(NamedTuple):
    """What the order of the cells is, as far as there are values (the row T1-ord of the ledger)."""

    sigmoid_above_relu: int  # columns in which the sigmoid cell is larger
    columns: int  # columns that have both cells
    falling_pairs: int  # inequalities r(D=2) > r(D=3) > r(D=5) of the proxy loss that hold
    pairs: int  # those with both cells
    worst_cell_ratio: float  # T1-h over the largest other cell; NaN if there are not all twelve


def orders(r: Mapping[str, float]) -> Orders:
    """Order of some cells of the table, given by id."""
    columns = [(r[a], r[b]) for a, b in COLUMNS if a in r and b in r]
    pairs = [(r[a], r[b]) for a, b in FALLING if a in r and b in r]
    others = [value for id, value in r.items() if id != "T1-h"]
    worst = r["T1-h"] / max(others) if len(r) == len(KINDS) else math.nan
    above, falling = sum(b > a for a, b in columns), sum(a > b for a, b in pairs)
    return Orders(above, len(columns), falling, len(pairs), worst)


def title(id: str) -> str:
    """Networks of a cell in words."""
    activation, loss, D = KINDS[id]
    return f"{NAMES[activation]}, {loss}, D\u00a0=\u00a0{D}"


def show(*, book: str | os.PathLike[str] | None = None) -> None:
    """Show Table 1: what is printed, what the networks here give by two definitions, and the verdict."""
    authors, fast = groups(AUTHORS, book=book), groups(FAST, book=book)
    verdicts = {id: networks.verdict(book) for id, networks in (fast | authors).items()}
    lines = []
    for id in sorted(KINDS):
        ours = authors.get(id)
        line = [_pair(ours, "r_code"), _pair(ours, "r_38"), *_seeds(ours), verdicts.get(id, "not run")]
        lines.append(
            [id, title(id), str(printed(id, book=book)).replace("± ", "±\u00a0"), *line, _pair(fast.get(id), "r_code")]
        )
        lines[-1] += _seeds(fast.get(id))
    heads = ["cell", "networks", "paper", "code", "eq. 38", "how many", "verdict", "fast sampler", "how many, fast"]
    _show("Table 1, in per cent: means and standard deviations over networks", heads, lines)


def show_distances(*, book: str | os.PathLike[str] | None = None) -> None:
    """Show how far the same currents are from the span of three sets of vectors."""
    lines = []
    for id, networks in best(book=book).items():
        values = [_pair(networks, name) for name in ("r_code", "r_We", "r_PCA")]
        lines.append([id, title(id), *values, str(networks.settings["sampler"]), str(networks.seeds)])
    heads = ["cell", "networks", "singular vectors", "images We", "best", "points", "how many"]
    _show("Distance of the currents from D-dimensional subspaces, in per cent", heads, lines)


def _pair(networks: Group | None, name: str) -> str:
    """Mean and spread, "–" without networks."""
    if networks is None:
        return "–"
    mean, spread = record.format_number(networks.means[name], 3), record.format_number(networks.spread[name], 2)
    return f"{mean} ±\u00a0{spread}" if networks.seeds > 1 else mean


def _seeds(networks: Group | None) -> list[str]:
    return [str(networks.seeds) if networks else "–"]


def _show(caption: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A table, as text and as HTML."""
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    text = [" | ".join(map(str.ljust, cells, widths)).rstrip() for cells in (heads, *lines)]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>{"".join(f"<td>{_marked(cell)}</td>" for cell in others)}</tr>'
        for first, *others in lines
    )
    record.show(
        "\n".join([caption, *text]),
        f'<div class="ledger-summary"><table class="ledger-table"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
    )


def _marked(cell: str) -> str:
    """HTML of a cell; a verdict looks as everywhere."""
    if cell in ledger.ROW_VERDICTS:
        return f'<span class="ledger-verdict {verdict_class(cell)}">{cell}</span>'
    return html.escape(cell)
