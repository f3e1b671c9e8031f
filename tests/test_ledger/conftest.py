"""A small book: a ledger of four rows and two errata, and notebooks built without running them."""

import textwrap

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from small_ledger import LEDGER

from companion import notebooks, record

CHAPTER = "part/tiny"


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Book folder with the small ledger, used by `lib` and by the kernels it starts."""
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "ledger.yml").write_text(LEDGER)
    monkeypatch.setenv("LIB_BOOK", str(folder))
    monkeypatch.delenv("LIB_REFRESH", raising=False)
    monkeypatch.setattr(record, "_run", None)
    return folder


@pytest.fixture
def write_chapter(book):
    """Function that writes a chapter: its code cells, each with the record it is to hold, if any."""

    def write(*cells, chapter=CHAPTER, parameters="n: int = 4  # neurons"):
        built = [new_markdown_cell("# A tiny chapter"), new_code_cell("from companion.ledger import check, summary")]
        built.append(new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        built.append(new_code_cell(f"from companion.record import begin\nbegin({chapter!r}, globals())"))
        for source, content in cells:
            cell = new_code_cell(textwrap.dedent(source))
            if content is not None:
                full = {"unit": "", "chapter": chapter, "parameters": {"n": 4}, "settings": {}, **content}
                markup = f'<div class="ledger-box" id="check-{full["name"]}"></div>'
                data = {"text/plain": "", "text/html": markup, notebooks.RECORD_MIME: full}
                cell.outputs = [new_output("display_data", data)]
            built.append(cell)
        path = notebooks.chapter_path(chapter, book)
        path.parent.mkdir(parents=True, exist_ok=True)
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(new_notebook(cells=built, metadata=kernel), path)
        return path

    return write
