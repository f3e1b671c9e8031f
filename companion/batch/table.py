"""The table of a sweep: one row for each run, parameters and recorded values under their own names.

What is known about the run itself has the prefix `run_`. A parameter that is a list is a column of numbers if it has
one element in every run, and of texts such as "[0.9, 0.8]" otherwise.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

from companion.batch.store import DamagedRecord, keys, read_record, write_text
from companion.record import decode

ABOUT = (
    "status",
    "message",
    "wall_s",
    "kernel_start_s",
    "peak_rss_mb",
    "threads",
    "host",
    "started",
    "ended",
    "git_commit",
    "lib",
    "notebook",
    "key",
)
NAME = "results.csv"


def records(out: str | Path, wanted: Iterable[str] | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Records of finished runs, and complaints about those that cannot be read.

    Args:
        out: Folder of a sweep.
        wanted: Names of runs, in the order in which they are returned; by default all that are there.
    """
    found, damaged = [], []
    for key in keys(Path(out)) if wanted is None else wanted:
        try:
            record = read_record(Path(out) / "runs" / key)
        except DamagedRecord as error:
            damaged.append(str(error))
            continue
        if record is not None:
            found.append(record)
    return found, damaged


def gather(out: str | Path, *, every: bool = False) -> pd.DataFrame:
    """Table of the runs in a sweep's folder.

    Args:
        out: Folder of the sweep.
        every: Also runs of older versions of the code, which by default are left out.

    Raises:
        ValueError: there is no sweep in the folder.
    """
    request = read_request(Path(out))
    found, _ = records(out)
    if not every:
        asked = set(request["keys"])
        found = [r for r in found if r.get("code") == request["code"] or r["key"] in asked]
    order = {key: number for number, key in enumerate(request["keys"])}
    found.sort(key=lambda r: order.get(r["key"], len(order)))
    return table(found)


def read_request(out: Path) -> dict[str, Any]:
    """What was last asked for in a sweep's folder.

    Raises:
        ValueError: there is no sweep, or its description is damaged.
    """
    try:
        request = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
        if not {"notebook", "code", "keys"} <= request.keys():
            raise ValueError("it lacks notebook, code or keys")
    except FileNotFoundError:
        raise ValueError(f"there is no sweep in {out}") from None
    except (ValueError, AttributeError, OSError) as error:
        raise ValueError(f"{out / 'sweep.json'} cannot be read ({error})") from error
    return request


def table(found: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row for each record."""
    import pandas as pd  # takes half a second, which workers need not spend

    found = list(found)
    lists = {name for r in found for name, value in r["parameters"].items() if isinstance(value, list)}
    single = {name for name in lists if all(len(r["parameters"].get(name, [0])) == 1 for r in found)}
    rows = []
    for r in found:
        row = {name: _cell(value, name in single) for name, value in r["parameters"].items()}
        row |= {name: decode(value) for name, value in r["values"].items()}
        row |= {f"run_{name}": _about(r, name) for name in ABOUT}
        rows.append(row)
    frame = pd.DataFrame(rows)
    names = list(map(str, frame))
    return frame.reindex(columns=sorted(names, key=lambda name: name.startswith("run_")))


def write_table(out: Path, frame: pd.DataFrame, *, name: str = NAME, parquet: bool = False) -> Path:
    """Write the table as CSV, and as Parquet if wanted; each atomically. Returns the CSV file.

    Raises:
        ValueError: Parquet is wanted but pyarrow is not installed.
    """
    path = out / name
    text = io.StringIO()
    frame.to_csv(text, index=False, lineterminator="\n", na_rep="NaN")
    write_text(path, text.getvalue())
    if parquet:
        partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
        try:
            frame.to_parquet(partial)
            os.replace(partial, path.with_suffix(".parquet"))
        except ImportError as error:
            raise ValueError("Parquet needs pyarrow: pip install pyarrow") from error
        finally:
            partial.unlink(missing_ok=True)
    return path


def read_table(path: Path) -> pd.DataFrame:
    """A table as `write_table` has written it."""
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=["NaN", ""])


def _cell(value: Any, single: bool) -> Any:
    if isinstance(value, list):
        return value[0] if single else json.dumps(value)
    return value


def _about(record: Mapping[str, Any], name: str) -> Any:
    if name == "message" and not record.get("message"):
        return record.get("evalue")
    return record.get(name)
