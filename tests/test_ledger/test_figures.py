"""companion.ledger.figures: the page that lists the paper's figures."""

import json
import re
import shlex
from pathlib import Path

import nbformat
import pytest
import yaml

from companion import notebooks
from companion.ledger import figures, load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def chapter(write_chapter):
    """The tiny chapter with figures in the cells that are named, and the check of F3A after the first of them."""

    def write(*names):
        cells = [(f"plot({name!r})" if name else "check('F3A', f(), seeds=9)", None) for name in names]
        path = write_chapter(*cells)
        notebook = nbformat.read(path, as_version=4)
        for cell, name in zip([c for c in notebook.cells if c.cell_type == "code"][3:], names, strict=True):
            if name:
                cell.metadata["mystnb"] = {"figure": {"name": name, "caption": "."}}
        nbformat.write(notebook, path)

    return write


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["fig-a", "fig-b", "", "fig-c"], "fig-b"),
        (["", "fig-c", "fig-d"], "fig-c"),
        (["fig-a"], ""),  # nothing is checked here
        ([""], ""),
    ],
)
def test_our_figure_is_the_last_before_the_check_or_the_first_after_it(book, chapter, cells, found):
    chapter(*cells)
    row = load(book).rows["F3A"]
    assert figures.ours(row) == found
    text = figures.render()
    assert ("{numref}`" in text) == bool(found)
    assert f"{{doc}}`A tiny chapter <{row.page}>`" in text


def test_only_figures_and_the_table_are_listed_each_with_its_command(book, chapter):
    chapter("fig-a", "")
    (book.parent / "results").mkdir()
    content = {"name": "T1-c", "value": {"ratio": 1.5}, "parameters": {"n": 4}, "settings": {"seeds": 3}}
    for file, sweep in (("a", "sweeps/paper.yml, cell-c"), ("b", "book/part/tiny.ipynb")):
        provenance = {"created": f"2026-11-0{1 + (file == 'a')}", "lib": "0.1.0", "sweep": sweep}
        (book.parent / "results" / f"{file}.json").write_text(
            json.dumps({"records": [content], "provenance": provenance})
        )
    text = figures.render()
    assert re.findall("^## (.*)", text, re.M) == ["Figure 3: two populations of neurons", figures.TABLE]
    assert re.findall("row-([A-Za-z0-9-]+)>", text) == ["F3A", "T1-c"]
    assert "Settings of the paper or its authors: n 1000; decays 0.995; sampler monte-carlo." in text
    assert "Settings here: n 4; seeds 3." in text and ">reproduced<" in text and ">not run<" in text
    assert re.findall("^python.*", text, re.M) == [
        "python -m companion.batch run part/tiny",
        "python -m companion.batch run part/tiny",
        "python -m companion.batch run sweeps/paper.yml --only cell-c",
    ]


def test_a_panel_measured_in_a_sweep_has_the_command_of_the_sweep(book, write_chapter):
    (book.parent / "results").mkdir()
    provenance = {"created": "2026-11-01", "lib": "0.1.0", "sweep": "sweeps/paper.yml, networks"}
    (book.parent / "results" / "networks.json").write_text(json.dumps({"records": [], "provenance": provenance}))
    content = {"name": "F3A", "value": {"shared": 0.05, "positive": 0.5}, "elsewhere": True}
    content["settings"] = {"n": 1000, "seeds": 10, "sampler": "sobol", "experiment": "networks"}
    write_chapter(("check('F3A', f(), made=settings(runs))", content))
    text = figures.render()
    assert "Settings here: experiment networks; n 1000; sampler sobol; seeds 10." in text
    assert "python -m companion.batch run sweeps/paper.yml --only networks" in text


def test_every_figure_of_the_paper_is_listed_with_a_command_that_exists():
    book = ROOT / "book"
    text = figures.render(book)
    headings = re.findall("^## Figure ([0-9]+): ", text, re.M)
    assert headings == list(figures.TITLES) == [str(number) for number in range(1, 20)]
    chapters = notebooks.chapters(book)
    for command in re.findall("^python.*", text, re.M):
        *start, target = (words := shlex.split(command))[:5]
        assert start == ["python", "-m", "companion.batch", "run"]
        if target.endswith(".yml"):
            experiments = yaml.safe_load((ROOT / target).read_text())["experiments"]
            assert words[5] == "--only" and words[6] in experiments
        else:
            assert target in chapters
    named = {name for path in chapters.values() for name in drawn(path)}
    assert named.issuperset(re.findall(r"\{numref\}`([^`]+)`", text))


def drawn(path):
    """Names of the figures of a chapter."""
    for cell in notebooks.read(path):
        yield cell.get("metadata", {}).get("mystnb", {}).get("figure", {}).get("name", "")
