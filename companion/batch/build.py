"""Chapters run as a set: `build` for the pages of this machine, `refresh` for the outputs that are committed."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from tqdm import tqdm

from companion.batch.chapters import ROOT, Chapter, chapters, code_cells, key, reads_records, select
from companion.batch.execute import execute, write
from companion.batch.kernels import cpu_count
from companion.batch.normal import normalised
from companion.batch.pool import Run, run_all


class Report(NamedTuple):
    """What became of the chapters, by id."""

    done: list[str]  # executed now
    kept: list[str]  # nothing had changed since their last run
    failed: dict[str, str]  # did not run to their end: the error, in one line


def build(*, workers: int | None = None, timeout: float | None = None, root: Path = ROOT) -> Report:
    """Execute every chapter whose inputs have changed since its last run, into `_build/executed`.

    A chapter is published there only when it ran to its end. One that fails leaves its notebook, up to the traceback,
    in `_build/executed/failed`, and the others go on.

    Args:
        workers: Chapters at the same time; by default as many as there are processors.
        timeout: Seconds a cell may take; None for no limit.
        root: Folder that holds `_toc.yml` and `book/`.
    """
    listed = chapters(root)
    keys = {chapter.name: key(chapter, root) for chapter in listed}
    old = [chapter for chapter in listed if _stored_key(chapter.executed) != keys[chapter.name]]
    for chapter in old:
        for leftover in (chapter.executed, chapter.failed):
            leftover.unlink(missing_ok=True)
    runs = [Run(c.name, execute_for_build, {"chapter": c, "key": keys[c.name], "timeout": timeout}) for c in old]
    return _report(old, runs, workers, kept=[c.name for c in listed if c not in old])


def refresh(names: Iterable[str] = (), *, workers: int | None = None, root: Path = ROOT) -> Report:
    """Execute chapters and write their outputs, in normal form, into the notebooks that are committed.

    Values are recorded anew instead of being compared with the committed ones. Chapters that read the records of others
    run after them. A chapter that fails keeps its outputs. What was executed here counts as built.

    Args:
        names: Ids of chapters; all if empty.
        workers: Chapters at the same time; by default as many as there are processors.
        root: Folder that holds `_toc.yml` and `book/`.

    Raises:
        ValueError: an id is unknown.
    """
    wanted = select(names, root)
    readers = [c for c in wanted if reads_records(nbformat.read(c.source, as_version=4))]
    done, failed = [], {}
    for group in ([c for c in wanted if c not in readers], readers):
        report = _report(group, [Run(c.name, execute_in_place, {"chapter": c}) for c in group], workers)
        done += report.done
        failed |= report.failed
    for chapter in [c for c in wanted if c.name in done]:  # a build would give the same, so it need not be made again
        notebook = nbformat.read(chapter.source, as_version=4)
        notebook.metadata["key"] = key(chapter, root)
        write(notebook, chapter.executed)
    return Report(done, [], failed)


def execute_for_build(chapter: Chapter, key: str, timeout: float | None, **options: Any) -> None:
    """Execute one chapter and publish its outputs together with the key they belong to."""
    notebook = normalised(execute(chapter.source, None, timeout=timeout, failed=chapter.failed, **options))
    notebook.metadata["key"] = key
    write(notebook, chapter.executed)


def execute_in_place(chapter: Chapter, **options: Any) -> None:
    """Execute one chapter and replace its committed outputs."""
    write(normalised(execute(chapter.source, None, refresh=True, failed=chapter.failed, **options)), chapter.source)


def _stored_key(path: Path) -> str | None:
    try:
        return nbformat.read(path, as_version=4).metadata.get("key")
    except (OSError, ValueError):
        return None


def _report(wanted: Sequence[Chapter], runs: Sequence[Run], workers: int | None, kept: Sequence[str] = ()) -> Report:
    """Do the runs with a progress bar over all their cells."""
    if not runs:
        return Report([], list(kept), {})
    cells = sum(len(code_cells(nbformat.read(c.source, as_version=4))) for c in wanted)
    with tqdm(
        total=cells, unit="cell", desc=f"{len(runs)} chapters", file=sys.stderr, leave=False, disable=None
    ) as bar:

        def ended(name: str, error: str | None, value: None) -> None:
            bar.write(f"  {name}: {error or 'done'}", file=sys.stderr)

        errors = run_all(runs, workers=workers or cpu_count(), on_cell=bar.update, on_end=ended)
    failed = {name: error for name, error in errors.items() if error is not None}
    return Report([name for name, error in errors.items() if error is None], list(kept), failed)
