"""The rendering of the book: its gate (what must turn a build red), its equation numbers, its offline parts."""

import base64
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from bs4 import BeautifulSoup
from building import ROOT, build, toy_book, write_notebook, write_page

sys.path.append(str(ROOT / "book" / "_ext"))
from downloads import ARCHIVE, archive  # noqa: E402
from offline_mathjax import PARTS, mathjax_folder  # noqa: E402
from page_checks import image_faults, inner_links, preview  # noqa: E402
from paper_equations import PaperMath, number_labels, paper_number  # noqa: E402

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 x 1 pixel
ALT = "A single dot."


def equation(label: str) -> str:
    return f"$$ a = b $$ ({label})\n\n"


# --- what the extensions compute -------------------------------------------------------------------------------------


def test_only_labels_of_the_paper_carry_its_numbers():
    assert paper_number("eq-20") == "20"
    assert paper_number("eq-7a") == "7a"
    assert [paper_number(label) for label in ("eq-time", "eq-20-again", "equation-20", "20")] == [None] * 4


def test_own_equations_are_counted_without_the_papers():
    labels = ["eq-4", "eq-mean", "eq-20", "eq-noise"]
    assert number_labels(labels) == {"eq-4": "4", "eq-mean": "b1", "eq-20": "20", "eq-noise": "b2"}


@pytest.mark.parametrize("finished_first", ["a", "b"])
def test_numbers_do_not_depend_on_which_reader_finishes_first(finished_first):
    labels = {"a": ["eq-late", "eq-7"], "b": ["eq-first", "eq-second"]}  # two processes read a page each
    domain = PaperMath(environment())
    for page in sorted(labels, key=lambda page: page != finished_first):
        reader = PaperMath(environment())
        for label in labels[page]:
            reader.note_equation(page, label)
        reader.data["has_equations"][page] = True
        domain.merge_domaindata([page], reader.data)
    domain.renumber()
    numbers = {label: domain.get_equation_number_for(label) for page in labels.values() for label in page}
    assert numbers == {"eq-late": "b3", "eq-7": "7", "eq-first": "b1", "eq-second": "b2"}


def environment() -> Any:
    """What the domain needs of Sphinx's environment: a book whose contents list page b before page a."""
    contents = {"toctree_includes": {"index": ["b", "a"]}, "found_docs": {"index", "a", "b"}}
    return SimpleNamespace(domaindata={}, config=SimpleNamespace(root_doc="index"), **contents)


def test_an_alternative_text_is_neither_missing_nor_a_file_name():
    page = (
        '<img src="a.png"><img src="b.png" alt=""><img src="c.png" alt="_images/c.png"><img src="d.png" alt="A dot.">'
    )
    assert image_faults(BeautifulSoup(page, "html.parser")) == ["a.png", "b.png", "c.png"]


def test_inner_links_are_resolved_from_their_page_and_foreign_ones_left_alone():
    page = '<a href="../ledger.html#row-F3A"/><a href="#here"/><a href="https://x.org/y.html"/><a href="mailto:x"/>'
    expected = {("book/ledger.html", "row-F3A"), ("book/nonlinear/representation.html", "here")}
    assert inner_links(BeautifulSoup(page, "html.parser"), "book/nonlinear/representation") == expected


def test_an_archive_depends_on_its_files_alone(tmp_path):
    files = {"b.txt": b"two", "a.txt": b"one" * 1000}
    for name, order in (("first", 1), ("second", -1)):
        archive(dict(list(files.items())[::order]), tmp_path / "new" / name)
    assert (tmp_path / "new" / "first").read_bytes() == (tmp_path / "new" / "second").read_bytes()
    with ZipFile(tmp_path / "new" / "first") as packed:
        assert packed.namelist() == ["a.txt", "b.txt"] and packed.testzip() is None
        assert {name: packed.read(name) for name in files} == files
        assert packed.getinfo("a.txt").external_attr >> 16 == 0o644


def test_the_preview_of_a_table_row_stands_without_its_table():
    row = BeautifulSoup("<tr id='row-X'><th>X</th><td>claim</td><td></td></tr>", "html.parser").tr
    assert row is not None
    assert preview(row) == "<p>X</p><p>claim</p>"


def test_mathjax_is_the_installed_package():
    assert all((mathjax_folder() / part).exists() for part in PARTS)


# --- the gate --------------------------------------------------------------------------------------------------------

FAULTS = {
    "equation": ("An {eq}`eq-77`.", "equation not found: eq-77"),
    "reference": ("A {ref}`nowhere`.", "undefined label: 'nowhere'"),
    "figure": ("A {numref}`fig-none`.", "fig-none"),
    "citation": ("A {cite}`nobody1900`.", 'could not find bibtex key "nobody1900"'),
    "term": ("A {term}`unheard of`.", "term not in glossary: 'unheard of'"),
    "page": ("A [page](nowhere.md).", "nowhere.md"),
    "anchor": ('<a href="index.html#row-F3A">raw</a>', "link to a missing anchor: book/index.html#row-F3A"),
    "raw-page": ('<a href="lost.html">raw</a>', "link to a missing page: book/lost.html"),
    "image": ("![](dot.png)", "image without alternative text"),
    "label-twice": (equation("eq-1") + equation("eq-1"), "duplicate label of equation eq-1"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """One build of a book with one page per fault."""
    pages = {"index": "# Index\n\nSound.\n"} | {name: f"# Page\n\n{text}\n" for name, (text, _) in FAULTS.items()}
    folder = toy_book(tmp_path_factory.mktemp("faulty"), pages, notebooks=("silent",))
    (folder / "book" / "dot.png").write_bytes(base64.b64decode(DOT))
    write_notebook(folder, "silent", "# A figure", image=DOT, alt=None)
    return build(folder)


def warnings_about(log: str, page: str) -> list[str]:
    return re.findall(rf"book/{re.escape(page)}\.(?:md|ipynb)(?::\d+)?: WARNING: (.*)", log)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_the_build_red(faulty, fault):
    assert faulty.code != 0
    assert any(FAULTS[fault][1] in warning for warning in warnings_about(faulty.log, fault)), faulty.trouble()


def test_a_figure_of_a_notebook_without_alternative_text_turns_the_build_red(faulty):
    assert any("image without alternative text" in warning for warning in warnings_about(faulty.log, "silent"))


def test_a_sound_page_raises_no_warning(faulty):
    assert warnings_about(faulty.log, "index") == []


# --- a sound toy book, twice -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The pages of a sound book, and its second build, after an equation was added on an early page."""
    # pages are read by name, "a" before "z/early", but numbered in the order of the contents
    pages = {
        "index": "# Index\n\nSee {eq}`eq-20`, {eq}`eq-a-own`, {numref}`fig-show`.\n",
        "z/early": "# Early\n\n" + equation("eq-z-own") + equation("eq-20") + "Then {eq}`eq-a-own`.\n",
        "a": "# Late\n\n"
        + equation("eq-a-own")
        + 'Back to {eq}`eq-20` and <a href="show.html#check-F3A">the check</a>.\n',
    }
    folder = toy_book(tmp_path_factory.mktemp("sound"), pages, notebooks=("show",))
    write_notebook(folder, "show", "# Show", image=DOT, alt=ALT, html='<div id="check-F3A">It holds.</div>')
    first = build(folder)
    assert first.code == 0, first.trouble()
    pages_then = {name: read(first.html, name) for name in ("index", "z/early", "a", "show")}
    write_page(folder, "z/early", "# Early\n\n" + equation("eq-new") + pages["z/early"].split("\n", 2)[2])
    second = build(folder)
    assert second.code == 0, second.trouble()
    return pages_then, second


def read(html: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup((html / "book" / f"{page}.html").read_text(), "html.parser")


def printed(page: BeautifulSoup) -> dict[str, str]:
    """Return the numbers printed beside the equations of a page, by label."""
    return {
        str(block["id"]).removeprefix("equation-"): number.get_text().rstrip("#")
        for block in page.select("div.math[id]")
        if (number := block.select_one(".eqno"))
    }


def referred(page: BeautifulSoup) -> dict[str, str]:
    """Return the numbers printed by the references of a page, by label."""
    links = page.select("article a.reference[href*='#equation-']")
    return {str(link["href"]).partition("#equation-")[2]: link.get_text() for link in links}


def test_equations_are_numbered_by_the_paper_and_the_contents(sound):
    pages, _ = sound
    assert printed(pages["z/early"]) == {"eq-z-own": "(b1)", "eq-20": "(20)"}
    assert printed(pages["a"]) == {"eq-a-own": "(b2)"}


def test_references_print_the_number_of_their_equation_on_every_page(sound):
    pages, _ = sound
    assert referred(pages["index"]) == {"eq-20": "(20)", "eq-a-own": "(b2)"}
    assert referred(pages["z/early"]) == {"eq-a-own": "(b2)"}
    assert referred(pages["a"]) == {"eq-20": "(20)"}


def test_numbers_follow_an_equation_added_elsewhere(sound):
    _, second = sound
    assert printed(read(second.html, "z/early")) == {"eq-new": "(b1)", "eq-z-own": "(b2)", "eq-20": "(20)"}
    assert printed(read(second.html, "a")) == {"eq-a-own": "(b3)"}
    assert referred(read(second.html, "index")) == {"eq-20": "(20)", "eq-a-own": "(b3)"}


def test_figures_of_the_book_are_marked_as_its_own(sound):
    pages, _ = sound
    assert pages["show"].select_one("figcaption .caption-number").get_text().strip() == "Figure b1"
    assert pages["show"].select_one("figure img")["alt"] == ALT
    assert pages["index"].find("a", href="show.html#fig-show").get_text() == "Figure b1"


def test_a_link_in_raw_html_previews_its_target(sound):
    _, second = sound
    script = (second.html / "_static" / "tippy" / "book" / "a.previews.js").read_text()
    assert "show.html#check-F3A" in script and "It holds." in script


def test_the_archive_holds_the_notebooks_as_they_are(sound):
    _, second = sound
    with ZipFile(second.html / "_static" / ARCHIVE) as packed:
        assert packed.namelist() == ["notebooks/README.txt", "notebooks/book/show.ipynb"]
        source = second.html.parents[1] / "book" / "show.ipynb"
        assert packed.read("notebooks/book/show.ipynb") == source.read_bytes()


def test_launch_buttons_appear_when_they_are_turned_on_as_the_configuration_says(tmp_path):
    folder = toy_book(tmp_path, {"index": "# Index\n\nSound.\n"}, notebooks=("show",))
    write_notebook(folder, "show", "# Show", image=DOT, alt=ALT)
    text = (folder / "_config.yml").read_text()
    hosts = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}
    for key, address in {**hosts, "  url": "https://github.com/someone/integrators"}.items():
        assert text.count(f'{key}: ""') == 1
        text = text.replace(f'{key}: ""', f"{key}: {address}")
    (folder / "_config.yml").write_text(text)
    built = build(folder)
    assert built.code == 0, built.trouble()
    links = [str(link["href"]) for link in read(built.html, "show").select(".dropdown-launch-buttons a[href]")]
    assert links == [
        "https://mybinder.org/v2/gh/someone/integrators/main?urlpath=lab/tree/book/show.ipynb",
        "https://colab.research.google.com/github/someone/integrators/blob/main/book/show.ipynb",
    ]
