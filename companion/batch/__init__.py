"""Runs of notebooks: one with chosen parameters, many over a grid, or the chapters of the book.

`plan` checks a sweep, `run` does what of it is not done, and `gather` returns its table. `execute` runs one notebook in
a private kernel; `build` runs every chapter whose inputs changed since its last run; `refresh` rewrites the outputs
that are committed with the chapters. From a shell: `python -m companion.batch --help`.
"""

# ruff: noqa: E402
import sys

# Reading a notebook loads a grammar of web addresses, through jsonschema, which takes longer than a short run and is
# not needed: without it jsonschema does not check addresses. Every worker imports this module.
sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType]

from companion.batch.build import Report, build, refresh
from companion.batch.chapters import Chapter, chapters
from companion.batch.cluster import EngineError
from companion.batch.execute import ExecutionError, execute
from companion.batch.plan import Spec, Sweep, plan
from companion.batch.sweep import Finished, prepare, run
from companion.batch.table import gather, read_table
from companion.batch.work import run_one

__all__ = [
    "Chapter",
    "EngineError",
    "ExecutionError",
    "Finished",
    "Report",
    "Spec",
    "Sweep",
    "build",
    "chapters",
    "execute",
    "gather",
    "plan",
    "prepare",
    "read_table",
    "refresh",
    "run",
    "run_one",
]
