"""How the chapters are written: every committed notebook follows the same plan and carries clean outputs."""

import ast
import base64
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from statistics import median

import nbformat
import pytest
from nbformat import NotebookNode

from companion import notebooks
from companion.batch.chapters import chapters, code_cells
from companion.batch.normal import normalised
from companion.ledger.typed import CALLS, measured, names
from companion.notebooks import RECORD_MIME, parameters

BOOK = Path(__file__).resolve().parents[1] / "book"
NOTEBOOKS = notebooks.chapters(BOOK)
PICTURES = {"image/png", "image/jpeg", "image/gif", "image/svg+xml", "application/pdf"}
UNCHECKED = {"nbval-skip", "nbval-ignore-output", "nbval-check-output", "raises-exception"}
MACHINE = re.compile(
    r"(?<![\w.:/])/(?:root|home|tmp|opt|usr|mnt|var|work|Users)/\w|[A-Z]:\\\\|site-packages|ipykernel_\d|<ipython-input"
)
each_chapter = pytest.mark.parametrize("chapter", NOTEBOOKS)


def read(chapter: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS[chapter], as_version=4)


def trees(chapter: str) -> Iterator[tuple[NotebookNode, ast.Module]]:
    for cell in code_cells(read(chapter)):
        yield cell, ast.parse(cell.source)


def called(node: ast.AST) -> str:
    """Name of what is called, without the module or object it belongs to."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def data(cell: NotebookNode) -> Iterator[tuple[str, str]]:
    """MIME type and content of everything a cell shows."""
    for output in cell.outputs:
        yield from output.get("data", {}).items()


def figure_of(cell: NotebookNode) -> dict:
    """What the cell's metadata say about its figure."""
    return cell.metadata.get("mystnb", {}).get("figure", {})


def draws(cell: NotebookNode) -> bool:
    return any(mime in PICTURES for mime, _ in data(cell))


def records(cell: NotebookNode) -> bool:
    return any(mime == RECORD_MIME for mime, _ in data(cell))


def test_every_notebook_is_a_chapter_of_the_contents():
    assert {chapter.name for chapter in chapters()} == set(NOTEBOOKS)


@each_chapter
def test_it_starts_with_imports_then_parameters_then_begin(chapter):
    imports, tagged, begin = code_cells(read(chapter))[:3]
    assert {type(node) for node in ast.parse(imports.source).body} <= {ast.Import, ast.ImportFrom}
    assert "parameters" in tagged.metadata.get("tags", [])
    parameters(NOTEBOOKS[chapter])  # one cell tagged, literals only
    calls = [ast.unparse(node) for node in ast.walk(ast.parse(begin.source)) if called(node) == "begin"]
    assert calls == [f"begin({chapter!r}, globals())"]


@each_chapter
def test_it_opens_and_closes_like_the_others(chapter):
    prose = [cell.source for cell in read(chapter).cells if cell.cell_type == "markdown"]
    assert prose[0].startswith("# ")
    if chapter != "index":  # the front page is not a section of the paper
        assert any("In this chapter" in text for text in prose[:2])
        headings = [line for text in prose for line in text.splitlines() if line.startswith("## ")]
        assert headings[-1] == "## What was reproduced"


@each_chapter
def test_its_code_is_short_and_never_far_from_prose(chapter):
    cells = [cell for cell in read(chapter).cells if cell.cell_type in {"code", "markdown"}]
    lengths = [len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code"]
    assert median(lengths) <= 12 and max(lengths) <= 30
    runs = [(kind, len(list(group))) for kind, group in groupby(cells, key=lambda cell: cell.cell_type)]
    assert max(length for kind, length in runs if kind == "code") <= 2
    assert len(cells) >= 2 * len(lengths)


@each_chapter
def test_it_calls_lib_instead_of_defining_things(chapter):
    nodes = [node for _, tree in trees(chapter) for node in ast.walk(tree)]
    assert not [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    assert len([node for node in nodes if isinstance(node, ast.FunctionDef)]) <= 2
    assert not {called(node) for node in nodes} & {"set_title", "suptitle", "simplefilter", "filterwarnings"}
    calls = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert not calls & {"plt.title", "torch.manual_seed", "np.random.seed", "random.seed"}


@each_chapter
def test_every_figure_has_name_caption_and_alternative_text(chapter):
    for cell in filter(draws, code_cells(read(chapter))):
        figure, image = figure_of(cell), cell.metadata.get("mystnb", {}).get("image", {})
        assert len(cell.outputs) == 1, f"a figure stands alone in its cell's outputs: {cell.source}"
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), cell.source
        assert len(figure.get("caption", "")) > 20, cell.source
        assert len(image.get("alt", "")) > 20, cell.source


def test_names_of_figures_differ_in_the_whole_book():
    cells = [cell for chapter in NOTEBOOKS for cell in code_cells(read(chapter))]
    used = [figure_of(cell).get("name") for cell in cells if draws(cell)]
    assert len(used) == len(set(used))


@each_chapter
def test_every_figure_is_accompanied_by_recorded_numbers(chapter):
    cells = code_cells(read(chapter))
    for index, cell in enumerate(cells):
        if draws(cell):  # pictures are not compared when a notebook is tested, numbers are
            assert any(map(records, cells[max(0, index - 1) : index + 2])), cell.source


@each_chapter
def test_figures_are_small_png_files(chapter):
    for cell in code_cells(read(chapter)):
        for mime, content in data(cell):
            assert mime not in PICTURES - {"image/png"}, cell.source
            if mime == "image/png":
                assert len(base64.b64decode(content)) <= 400_000, cell.source


@each_chapter
def test_it_was_run_in_order_and_without_complaint(chapter):
    cells = code_cells(read(chapter))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert not [o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"], cell.source
        assert not UNCHECKED & set(cell.metadata.get("tags", [])), cell.source


@each_chapter
def test_its_file_is_as_make_run_writes_it(chapter):
    text = NOTEBOOKS[chapter].read_text(encoding="utf-8")
    assert text == nbformat.writes(normalised(read(chapter))).rstrip("\n") + "\n", "type: make run"


@each_chapter
def test_it_names_no_place_on_a_machine(chapter):
    notebook = read(chapter)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("image/png", None)
    assert not MACHINE.findall(nbformat.writes(notebook))


@each_chapter
def test_no_recorded_value_is_typed_in(chapter):
    sources = [cell.source for cell in code_cells(read(chapter))]
    bound = names(sources)
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if called(node) in CALLS and isinstance(node, ast.Call):
                assert node.args and isinstance(node.args[0], ast.Constant), ast.unparse(node)
                assert measured(source, node.args[0].value, bound), ast.unparse(node)


def recorded(sources: list[str]) -> list[str]:
    """The names that calls of `record` give to values, in order."""
    calls = [node for source in sources for node in ast.walk(ast.parse(source)) if called(node) == "record"]
    first = [node.args[0] for node in calls if isinstance(node, ast.Call)]
    return [str(name.value) for name in first if isinstance(name, ast.Constant)]


@each_chapter
def test_no_two_values_are_recorded_under_one_name(chapter):
    found = recorded([cell.source for cell in code_cells(read(chapter))])
    assert len(found) == len(set(found)), sorted(name for name in found if found.count(name) > 1)


def test_a_name_given_twice_would_be_found():
    assert recorded(["record('a', 1)", "check('a', 2)\nrecord('a', 3)"]) == ["a", "a"]
