"""The chapters of the book as inputs and outputs of a build: which there are, what their results depend on.

Outputs belong to code. The key of a chapter changes with anything that can change its outputs and with nothing else, so
that new prose is shown beside old outputs, and old outputs are never shown beside new code.
"""

import ast
import copy
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from nbformat import NotebookNode

from companion import notebooks

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = Path("_build") / "executed"  # below the root: book/<chapter>.ipynb, and failed/ for those that did not end


class Chapter(NamedTuple):
    """A notebook that the table of contents lists."""

    name: str  # its id: path below book/ without suffix, for example nonlinear/representation
    source: Path  # the committed notebook
    executed: Path  # where a build puts its outputs
    failed: Path  # where a build puts a run that did not end


def chapters(root: Path = ROOT) -> list[Chapter]:
    """Chapters in the order of `_toc.yml`; pages that are not notebooks are left out.

    Raises:
        ValueError: there is no `_toc.yml`, or it lists a page that does not exist.
    """
    contents = root / "_toc.yml"
    if not contents.exists():
        raise ValueError(f"{contents} is missing; it lists the chapters")
    found = []
    for page in _pages(yaml.safe_load(contents.read_text(encoding="utf-8")) or {}):
        stem = page.removesuffix(".ipynb").removesuffix(".md")
        source = root / f"{stem}.ipynb"
        if source.exists():
            name = stem.removeprefix("book/")
            executed, failed = (root / EXECUTED / part / f"{stem}.ipynb" for part in ("", "failed"))
            found.append(Chapter(name, source, executed, failed))
        elif not (root / f"{stem}.md").exists():
            raise ValueError(f"{contents} lists {page}, but there is neither {stem}.ipynb nor {stem}.md")
    return found


def select(names: Iterable[str], root: Path = ROOT) -> list[Chapter]:
    """Chapters with the given ids, or all if there are none.

    Raises:
        ValueError: an id is unknown.
    """
    known = {chapter.name: chapter for chapter in chapters(root)}
    wanted = [name.removeprefix("book/").removesuffix(".ipynb") for name in names]
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no chapter {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
    return [known[name] for name in dict.fromkeys(wanted)] if wanted else list(known.values())


def key(chapter: Chapter, root: Path = ROOT) -> str:
    """Fingerprint of all that the outputs of a chapter depend on, as 64 hexadecimal digits.

    That is: its code cells with their tags, `lib`, the ledger, committed results, installed packages, and the values
    recorded in its committed outputs, which a run compares with and shows. A chapter that reads other chapters' records
    (it imports more than `check` from `companion.ledger`) depends on theirs too.
    """
    notebook = nbformat.read(chapter.source, as_version=4)
    cells = [(cell.source, sorted(cell.metadata.get("tags", []))) for cell in code_cells(notebook)]
    read = [other.source for other in chapters(root)] if reads_records(notebook) else [chapter.source]
    content = {
        "cells": cells,
        "records": [[record for *_, record in notebooks.records(path)] for path in read],
        "files": fingerprint(root),
        "packages": installed(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def fingerprint(root: Path = ROOT) -> str:
    """Fingerprint of the files that any chapter may read: `lib`, the ledger and committed results."""
    paths = [
        *root.glob("lib/**/*.py"),
        *root.glob("companion/**/*.py"),
        root / "book" / "ledger.yml",
        *root.glob("results/**/*"),
    ]
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


@cache
def installed() -> list[str]:
    """Python's version and those of all installed packages."""
    return [sys.version, *sorted(f"{d.metadata['Name']}=={d.version}" for d in distributions())]


def reads_records(notebook: NotebookNode) -> bool:
    """Whether the notebook imports more than `check` from `companion.ledger`, so that it may read what others
    recorded.
    """
    for cell in code_cells(notebook):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a line for IPython only
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("companion.ledger"):
                if {alias.name for alias in node.names} != {"check"}:
                    return True
            if isinstance(node, ast.Import) and any(alias.name.startswith("companion.ledger") for alias in node.names):
                return True
    return False


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Code cells in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def merged(chapter: Chapter, root: Path = ROOT) -> NotebookNode:
    """The chapter as written now, with the outputs of its last build.

    Raises:
        ValueError: there is no build of the chapter, or its inputs have changed since.
    """
    if not chapter.executed.exists():
        raise ValueError(f"{chapter.name} has not been executed")
    executed = nbformat.read(chapter.executed, as_version=4)
    if executed.metadata.get("key") != key(chapter, root):
        raise ValueError(f"{chapter.name} has changed since it was executed")
    notebook = copy.deepcopy(nbformat.read(chapter.source, as_version=4))
    for cell, run in zip(code_cells(notebook), code_cells(executed), strict=True):  # the key holds every source
        cell.outputs, cell.execution_count = run.outputs, run.execution_count
    if "widgets" in executed.metadata:
        notebook.metadata["widgets"] = executed.metadata["widgets"]
    return notebook


def _pages(node: Any) -> Iterator[str]:
    """Pages named anywhere in a table of contents, in order."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in {"root", "file"}:
                yield value
            else:
                yield from _pages(value)
    elif isinstance(node, list):
        for value in node:
            yield from _pages(value)
