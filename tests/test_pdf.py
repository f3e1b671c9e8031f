"""tools/pdf.py: pages become one page with links that lead within it, and that is printed with bookmarks."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from building import ROOT

sys.path.append(str(ROOT / "tools"))
import pdf  # noqa: E402  # pyright: ignore[reportMissingImports]

CONTENTS = {"root": "book/index", "parts": [{"caption": "First part", "chapters": [{"file": "book/part/one.md"}]}]}
HEAD = (
    '<head><title>Toy</title><link rel="stylesheet" href="{root}_static/a.css?v=1"><script src="x.js"></script></head>'
)
PAGES = {
    "book/index": '<h1 id="top">Index<a class="headerlink" href="#top">#</a></h1>'
    '<a href="part/one.html#here">there</a>',
    "book/part/one": '<h1>One</h1><h2 id="here">Here</h2><a href="../index.html">home</a> <a href="#here">up</a> '
    '<a href="https://x.org/">out</a> <a href="../../_static/notebooks.zip">zip</a> '
    '<img src="../../_images/dot.png" alt="dot">',
}


@pytest.fixture
def site(tmp_path):
    """A rendered site of two pages."""
    folder = tmp_path / "html"
    for page, body in PAGES.items():
        file = folder / f"{page}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        head = HEAD.format(root="../" * page.count("/"))
        file.write_text(f'<head>{head}</head><nav>menu</nav><article class="bd-article">{body}</article>')
    return folder


def test_the_pages_become_one_whose_links_lead_within_it(site, tmp_path):
    html = BeautifulSoup(pdf.one_page(site, CONTENTS, tmp_path), "html.parser")
    assert [(tag.name, tag.get_text()) for tag in html.find_all(re.compile("h[1-6]"))] == [
        ("h2", "Index"),
        ("h1", "First part"),
        ("h2", "One"),
        ("h3", "Here"),
    ]
    links = {link.get_text(): link.get("href") for link in html.find_all("a")}
    assert links == {
        "there": "#book-part-one--here",
        "home": "#book-index",
        "up": "#book-part-one--here",
        "out": "https://x.org/",
        "zip": None,  # the PDF does not hold it
    }
    ids = {str(tag["id"]) for tag in html.find_all(id=True)}
    assert {str(target)[1:] for target in links.values() if str(target).startswith("#")} <= ids
    assert [tag["src"] for tag in html.find_all("img")] == ["html/_images/dot.png"]
    assert [tag["href"] for tag in html.find_all("link")] == ["html/_static/a.css"]
    assert not html.find("nav") and not html.find("script")


def test_a_missing_page_is_named(site, tmp_path, capsys, monkeypatch):
    (site / "book" / "part" / "one.html").unlink()
    monkeypatch.setattr(pdf, "CHROMIUM", Path(__file__))
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    (tmp_path / "_toc.yml").write_text("root: book/index\nchapters: [{file: book/part/one}]\n")
    assert pdf.main([str(site), str(tmp_path / "book.pdf")]) == 1
    assert "one.html is missing; type: make html" in capsys.readouterr().err


def test_the_book_is_printed_with_bookmarks_and_working_links(site, tmp_path, capsys, monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if not pdf.CHROMIUM.exists():
        pytest.skip(f"{pdf.CHROMIUM} is missing: apt-get install chromium")
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    (tmp_path / "_toc.yml").write_text("root: book/index\nchapters: [{file: book/part/one}]\n")
    with ThreadPoolExecutor() as pool:  # not beside the event loop of another test's browser
        assert pool.submit(pdf.main, [str(site), str(tmp_path / "book.pdf")]).result() == 0
    content = (tmp_path / "book.pdf").read_bytes()
    assert re.match(r"book\.pdf: 2 pages, 0\.\d MB, in \d+ s", capsys.readouterr().out)
    assert b"/Outlines" in content and b"/StructTreeRoot" in content
    titles = re.findall(rb"/Title \(([^)]*)\)", content)
    assert {b"Index", b"One", b"Here"} <= set(titles)
    assert content.count(b"/Subtype /Link") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_toc.yml", "book.pdf", "html"]
