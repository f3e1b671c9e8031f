"""Runs of notebooks: one with chosen parameters, many over a grid, or the chapters of the book.

`plan` checks a sweep, `run` does what of it is not done, and `gather` returns its table. `execute` runs one notebook in
a private kernel; `build` runs every chapter whose inputs changed since its last run; `refresh` rewrites the outputs
that are committed with the chapters. From a shell: `python -m lib.batch --help`.
"""

# ruff: noqa: E402
import sys

# Reading a notebook loads a grammar of web addresses, through jsonschema, which takes longer than a short run and is
# not needed: without it jsonschema does not check addresses. Every worker imports this module.
sys.modules.setdefault("rfc3987_syntax", None)  # pyright: ignore[reportArgumentType]

from lib.batch.build import Report, build, refresh
from lib.batch.chapters import Chapter, chapters
from lib.batch.cluster import EngineError
from lib.batch.execute import ExecutionError, execute
from lib.batch.plan import Spec, Sweep, plan
from lib.batch.sweep import Finished, prepare, run
from lib.batch.table import gather, read_table
from lib.batch.work import run_one

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
