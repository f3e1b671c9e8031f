"""Prints the rendered site as one PDF, `_build/book.pdf`, with bookmarks, working links and typeset formulas.

    python tools/pdf.py [SITE [FILE]]

All pages are put into one, in the order of the contents, with links between them turned into links within it; Chromium
typesets and prints it. Needs `make html` or `make book` before, and Chromium.
"""

import os
import re
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
REFERS = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
LEFT_OUT = ".headerlink, script, button, .prev-next-footer, style"
STYLE = """
body { background: #fff; }
main.one-book { max-width: none; padding: 0; }
main.one-book > section.page { break-before: page; }
main.one-book details:not([open]) { display: none; }
"""
READY = """async () => {
    if (document.readyState !== "complete") await new Promise((done) => window.addEventListener("load", done));
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    await document.fonts.ready;
}"""
FOOTER = '<div style="font: 8px sans-serif; width: 100%; text-align: center"><span class="pageNumber"></span></div>'


def parts(contents: dict) -> list[tuple[str, list[str]]]:
    """Parts of a table of contents, each with its caption ("" for the root) and its pages."""
    listed = [("", [contents["root"]])]
    for part in contents.get("parts", [{"caption": "", "chapters": contents.get("chapters", [])}]):
        listed.append((part["caption"], [chapter["file"] for chapter in part["chapters"]]))
    return [(caption, [page.removesuffix(".md").removesuffix(".ipynb") for page in pages]) for caption, pages in listed]


def anchor(page: str, fragment: str = "") -> str:
    """Id, in the one page, of a place in a page of the site."""
    return "--".join(filter(None, (page.replace("/", "-"), fragment)))


def moved(page: str, article: Tag, site: Path, pages: set[str], base: Path) -> Tag:
    """An article made part of the one page: ids are its own, links lead within it, files are found from `base`."""
    for tag in article.select(LEFT_OUT):
        tag.decompose()
    for tag in article.find_all(True):
        if tag.get("id"):
            tag["id"] = anchor(page, str(tag["id"]))
        for key in REFERS:
            if tag.get(key):
                tag[key] = anchor(page, str(tag[key]))
        if tag.get("src") and not urlsplit(str(tag["src"])).scheme:
            tag["src"] = _file((site / page).parent / unquote(str(tag["src"])), base)
        if tag.name == "a" and tag.get("href"):
            _lead(tag, page, site, pages)
    for level in (5, 4, 3, 2, 1):  # below the name of the part
        for heading in article.find_all(f"h{level}"):
            heading.name = f"h{level + 1}"
            heading["class"] = f"h{level}"
    return article


def one_page(site: Path, contents: dict, base: Path) -> str:
    """HTML of the whole book in one page that lies in the folder `base`.

    Raises:
        FileNotFoundError: a page of the contents has not been rendered.
    """
    listed = parts(contents)
    pages = {page for _, names in listed for page in names}
    result = BeautifulSoup("<!DOCTYPE html><html lang=en data-theme=light data-mode=light></html>", "html.parser")
    head, main = result.new_tag("head"), result.new_tag("main", attrs={"class": "one-book bd-article"})
    body = result.new_tag("body")
    body.append(main)
    for caption, names in listed:
        for number, page in enumerate(names):
            html = BeautifulSoup((site / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
            if not head.contents:
                _fill(head, html, (site / page).parent, base)
            section = result.new_tag("section", attrs={"class": "page", "id": anchor(page)})
            if caption and not number:
                name = result.new_tag("h1")
                name.string = caption
                section.append(name)
            article = html.select_one("article.bd-article")
            if article is None:
                raise ValueError(f"{page}.html: expected an article, got none")
            section.append(moved(page, article, site, pages, base))
            main.append(section)
    result.html.append(head)  # pyright: ignore[reportOptionalMemberAccess]
    result.html.append(body)  # pyright: ignore[reportOptionalMemberAccess]
    return str(result)


def write_pdf(html: Path, target: Path) -> None:
    """Print a page that lies on disk as PDF with bookmarks."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        tab = browser.new_context(color_scheme="light").new_page()
        tab.set_default_timeout(0)
        tab.goto(html.as_uri(), timeout=0)
        tab.evaluate(READY)
        margin = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
        tab.pdf(
            path=target,
            format="A4",
            margin=margin,  # pyright: ignore[reportArgumentType]
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()


def page_count(pdf: bytes) -> int:
    """Number of pages, as the root of the tree of pages states it."""
    return max(int(count) for count in re.findall(rb"/Type\s*/Pages\b[^>]*?/Count (\d+)", pdf))


def _file(path: Path, base: Path) -> str:
    """Address of a file, relative to the folder of the one page."""
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()


def _lead(link: Tag, page: str, site: Path, pages: set[str]) -> None:
    """Let a link between pages lead within the one page; drop links to files that the PDF does not hold."""
    address = urlsplit(str(link["href"]))
    if address.scheme or address.netloc:
        return
    target = page
    if address.path:
        place = ((site / page).parent / unquote(address.path)).resolve()
        target = place.relative_to(site.resolve()).with_suffix("").as_posix()
    if target in pages:
        link["href"] = f"#{anchor(target, unquote(address.fragment))}"
    else:
        del link["href"]


def _fill(head: Tag, html: BeautifulSoup, folder: Path, base: Path) -> None:
    """Title, style sheets and MathJax of the site."""
    for tag in html.select("head title, link[rel=stylesheet], script"):
        if tag.name == "script" and "mathjax" not in str(tag).lower():
            continue
        for key in ("href", "src"):
            if tag.get(key) and not urlsplit(str(tag[key])).scheme:
                tag[key] = _file(folder / urlsplit(str(tag[key])).path, base)
        head.append(tag.extract())
    style = html.new_tag("style")
    style.string = STYLE
    head.append(style)


def main(arguments: list[str]) -> int:
    """Print the book; the exit status."""
    site = Path(arguments[0]) if arguments else BUILD / "html"
    target = Path(arguments[1]) if len(arguments) > 1 else BUILD / "book.pdf"
    start = time.monotonic()
    if not CHROMIUM.exists():
        print(f"pdf: {CHROMIUM} is missing; it prints the pages", file=sys.stderr)
        return 1
    page = target.with_suffix(".html")
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    try:
        page.write_text(one_page(site, contents, page.parent), encoding="utf-8")
    except FileNotFoundError as error:
        print(f"pdf: {error.filename} is missing; type: make html", file=sys.stderr)
        return 1
    write_pdf(page, target)
    page.unlink()
    content, took = target.read_bytes(), time.monotonic() - start
    print(f"{target.name}: {page_count(content)} pages, {len(content) / 1e6:.1f} MB, in {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
