"""Runs of notebooks: one with chosen parameters, all chapters of the book, or the chapters' committed outputs anew.

`execute` runs one notebook in a private kernel; `build` runs every chapter whose inputs changed since its last run;
`refresh` rewrites the outputs that are committed with the chapters. From a shell: `python -m lib.batch --help`.
"""

from lib.batch.build import Report, build, refresh
from lib.batch.chapters import Chapter, chapters
from lib.batch.execute import ExecutionError, execute

__all__ = ["Chapter", "ExecutionError", "Report", "build", "chapters", "execute", "refresh"]
