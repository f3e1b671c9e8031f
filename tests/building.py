"""Builds books for the tests of the site: the real one, and toys that share its configuration."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml

ROOT = Path(__file__).parents[1]
COMMAND = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"


class Build(NamedTuple):
    """The end of one run of jupyter-book."""

    html: Path  # folder of the pages
    code: int  # exit code
    log: str  # all that was printed, without colours

    def trouble(self) -> str:
        """Return what the log says went wrong: its warnings and errors, else its end."""
        lines = self.log.strip().splitlines()
        notable = [line for line in lines if re.search("WARNING:|ERROR:|Error:", line)]
        return "\n".join(notable or lines[-20:])


def build(source: Path, output: Path | None = None) -> Build:
    """Render a book with warnings as errors; pages go to `_build/html` under `output`, or under `source` without."""
    where = ["--path-output", str(output)] if output else []
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "build", str(source), *where, "-W", "-n", "--keep-going"],
        cwd=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return Build((output or source) / "_build" / "html", done.returncode, re.sub(r"\x1b\[[\d;]*m", "", done.stdout))


def toy_book(folder: Path, pages: dict[str, str], notebooks: tuple[str, ...] = ()) -> Path:
    """Write a book of Markdown pages with the real configuration.

    Args:
        folder: Where to write; empty.
        pages: Path under book/ without suffix, to text; the first is the root.
        notebooks: Further chapters of the table of contents, to be written with `write_notebook`.
    """
    shutil.copy(ROOT / "_config.yml", folder)
    keep_sources = shutil.ignore_patterns("__pycache__")
    for name in ("_ext", "static"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name, ignore=keep_sources)
    shutil.copy(ROOT / "book" / "references.bib", folder / "book")
    for name, text in pages.items():
        write_page(folder, name, text)
    root, *others = (f"book/{name}" for name in (*pages, *notebooks))
    toc = {"format": "jb-book", "root": root, "chapters": [{"file": name} for name in others]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc))
    return folder


def write_page(folder: Path, name: str, text: str) -> None:
    """Write one Markdown page of a toy book."""
    page = folder / "book" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)


def write_notebook(folder: Path, name: str, text: str, *, image: str, alt: str | None, html: str = "") -> None:
    """Write a chapter that shows an image (PNG, base64) as a figure, with or without alternative text, and HTML."""
    metadata = {
        "mystnb": {"figure": {"name": f"fig-{name}", "caption": "A dot."}, "image": {"alt": alt} if alt else {}}
    }
    output = nbformat.v4.new_output("display_data", {"image/png": image, "text/plain": "<Figure>"})
    cells = [
        nbformat.v4.new_markdown_cell(text, id="text"),
        nbformat.v4.new_code_cell("plot()", id="plot", metadata=metadata, outputs=[output]),
    ]
    if html:
        shown = nbformat.v4.new_output("display_data", {"text/html": html, "text/plain": "shown"})
        cells.append(nbformat.v4.new_code_cell("show()", id="show", outputs=[shown]))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "book" / f"{name}.ipynb")
