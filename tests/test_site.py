"""The rendered book as a reader meets it: built once from the committed outputs, then looked at in headless Chromium.

Every page is opened from disk in the dark, and over HTTP on a phone in the light. A request to any other host, a
console error, an untypeset formula, a dead link or an accessibility violation fails.
"""

from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZipFile

import pytest
import yaml
from browsing import PHONE
from bs4 import BeautifulSoup
from building import ROOT

AXE = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa"], "preload": False}


def chapters() -> list[str]:
    """Return the pages of the table of contents, in order, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


PAGES = [*chapters(), "search"]
each_page = pytest.mark.parametrize("page", PAGES)


def soup(site: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup((site / f"{page}.html").read_text(), "html.parser")


# --- the files -------------------------------------------------------------------------------------------------------


def test_the_committed_book_builds_without_a_warning(built):
    assert built.code == 0, built.trouble()
    assert "WARNING:" not in built.log


def test_every_link_and_anchor_resolves(site):
    anchors: dict[Path, set[str]] = {}
    lost = []
    for file in sorted(file for file in site.rglob("*.html") if "_static" not in file.parts):
        html = BeautifulSoup(file.read_text(), "html.parser")
        anchors[file] = {str(tag["id"]) for tag in html.find_all(id=True)} | {"", "top"}
    for file in anchors:
        html = BeautifulSoup(file.read_text(), "html.parser")
        targets = [tag[key] for tag, key in [(t, k) for k in ("href", "src") for t in html.find_all(attrs={k: True})]]
        for target in map(str, targets):
            address = urlsplit(target)
            if address.scheme or address.netloc:
                continue
            path = (file.parent / unquote(address.path)).resolve() if address.path else file
            if not path.exists() or (path in anchors and unquote(address.fragment) not in anchors[path]):
                lost.append(f"{file.relative_to(site)}: {target}")
    assert not lost


@each_page
def test_every_image_is_described_and_no_id_is_given_twice(site, page):
    html = soup(site, page)
    for image in html.find_all("img"):
        assert str(image.get("alt") or "").strip(), image
        if image.find_parent("article"):
            assert not str(image["alt"]).endswith((".png", ".svg")), image
    uses = Counter(str(tag["id"]) for tag in html.find_all(id=True))
    assert [name for name, times in uses.items() if times > 1] == []


def test_figures_are_numbered_and_captioned(site):
    figures = [figure for page in chapters() for figure in soup(site, page).select("article figure")]
    assert figures
    for number, figure in enumerate(figures, start=1):
        caption = figure.select_one("figcaption .caption-number")
        assert caption is not None and caption.get_text().strip() == f"Figure b{number}"


def test_pages_and_site_stay_light(site):
    files = {file: file.stat().st_size for file in site.rglob("*") if file.is_file()}
    assert sum(files.values()) < 30e6
    assert {file.name: size for file, size in files.items() if file.suffix == ".html" and size > 2e6} == {}


def test_no_page_tells_where_it_was_built(site):
    told = [
        file.relative_to(site)
        for file in site.rglob("*")
        if file.suffix in (".html", ".js", ".json") and str(ROOT) in file.read_text(errors="replace")
    ]
    assert not told


def test_all_notebooks_can_be_downloaded_at_once(site):
    link = soup(site, "book/guide/downloads").select_one("a[download][href$='notebooks.zip']")
    assert link is not None
    with ZipFile(site / "book" / "guide" / str(link["href"])) as packed:
        assert [name for name in packed.namelist() if name.endswith(".ipynb")] == sorted(
            f"notebooks/{page}.ipynb" for page in chapters() if (ROOT / f"{page}.ipynb").exists()
        )


def test_nothing_is_launched_on_other_machines(site):
    """Colab, Binder and their like are off until somebody names a public repository in `_config.yml`."""
    told = [
        (page, host)
        for page in PAGES
        for host in ("mybinder.org", "colab.research.google.com", "jupyterhub", "thebe")
        if host in (site / f"{page}.html").read_text()
    ]
    assert not told
    assert not [page for page in PAGES if soup(site, page).select(".dropdown-launch-buttons")]


def test_mathjax_comes_with_its_licence(site):
    assert (site / "_static" / "mathjax" / "LICENSE").stat().st_size > 1000


# --- every page, in the browser --------------------------------------------------------------------------------------


STUCK = """[...document.querySelectorAll(".bd-article *")].filter((box) =>
    ["auto", "scroll"].includes(getComputedStyle(box).overflowX)
    && box.scrollWidth > box.clientWidth + 13 && box.tabIndex < 0
).map((box) => box.outerHTML.slice(0, 120))"""
"""Boxes that scroll sideways and cannot be reached by keyboard."""

RAW_TEX = r"""(() => {
    const text = document.querySelector(".bd-article-container").cloneNode(true);
    text.querySelectorAll("pre, code, mjx-container").forEach((part) => part.remove());
    return ["\\(", "\\[", "$$", "\\begin{", "\\boldsymbol"].filter((sign) => text.textContent.includes(sign));
})()"""
"""Signs of formulas that were not typeset."""


CUT_FORMULAS = """[...document.querySelectorAll('.bd-article mjx-container[display="true"]')]
    .filter((formula) => formula.scrollWidth > formula.clientWidth + 1)
    .map((formula) => formula.closest("[id]")?.id)"""
"""Formulas on lines of their own that are wider than the text."""

SMALL_LETTERS = """() => [...document.querySelectorAll(".bd-article figure img")]
    .filter((picture) => picture.clientWidth / picture.naturalWidth < 0.59)
    .map((picture) => picture.src)"""
"""Pictures, of which a letter of 10 points is 15 pixels high, that are shown below six tenths of their size."""

WITHOUT_PREVIEW = """["term", "equation", "row", "check", "fig"].flatMap((kind) =>
    [...document.querySelectorAll(`article a[href*="#${kind}-"]:not(.headerlink, .has-preview)`)].map((a) => a.href))"""
"""Links to terms, equations, rows, checks and figures that show nothing when they are pointed at."""


ANSWERS = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
"""Milliseconds from asking for a page to its answering to clicks and keys."""


def answers_after(tab, enough: float) -> float:
    """Milliseconds until a page answers, at the best of four visits, because other tests run at the same time."""
    best = tab.evaluate(ANSWERS)
    for _ in range(3):
        if best < enough:
            break
        tab.reload(wait_until="load")
        best = min(best, tab.evaluate(ANSWERS))
    return best


def violations(tab) -> list[tuple[str, list[str]]]:
    """Return the rules of WCAG 2 A and AA that a page breaks, with the elements that do."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(tab, options=AXE).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@each_page
def test_a_page_read_from_disk_in_the_dark(site, visit, page):
    here = visit(theme="dark")
    tab = here.go((site / f"{page}.html").as_uri())
    assert here.faults == []
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    formulas = soup(site, page).select("span.math, div.math")
    assert tab.locator("mjx-container").count() >= len(formulas)
    assert tab.locator("mjx-merror").count() == 0
    assert tab.evaluate(RAW_TEX) == []
    assert tab.evaluate(CUT_FORMULAS) == []
    assert tab.evaluate(WITHOUT_PREVIEW) == []
    assert violations(tab) == []
    assert answers_after(tab, 2000) < 2000


@each_page
def test_a_page_on_a_phone(server, visit, page):
    here = visit(viewport=PHONE)
    tab = here.go(f"{server}/{page}.html")
    assert here.faults == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.evaluate(STUCK) == []
    assert tab.evaluate(SMALL_LETTERS) == []
    assert violations(tab) == []


# --- services --------------------------------------------------------------------------------------------------------


def background(tab, selector: str) -> str:
    return tab.evaluate("(selector) => getComputedStyle(document.querySelector(selector)).backgroundColor", selector)


def first_page_with(site: Path, selector: str) -> str:
    """Return the first chapter that has an element; the book must have one."""
    return next(page for page in chapters() if soup(site, page).select_one(f"article {selector}"))


def test_the_root_leads_to_the_book(site, visit):
    here = visit()
    here.tab.goto((site / "index.html").as_uri())
    here.tab.wait_for_url(f"**/{chapters()[0]}.html")
    assert here.faults == []


def test_the_page_follows_the_readers_theme_and_her_choice(site, visit):
    address = (site / f"{chapters()[0]}.html").as_uri()
    dark = visit(theme="dark").go(address)
    assert background(dark, "body") == "rgb(18, 18, 18)"
    light = visit(theme="light").go(address)
    assert background(light, "body") == "rgb(255, 255, 255)"
    switch = light.locator("button.theme-switch-button:visible").first
    for _ in range(3):  # automatic, light, dark
        if light.locator("html").get_attribute("data-theme") != "dark":
            switch.click()
    assert background(light, "body") == "rgb(18, 18, 18)"


def test_figures_lie_on_white_in_the_dark(site, visit):
    tab = visit(theme="dark").go((site / f"{first_page_with(site, 'figure img')}.html").as_uri())
    assert background(tab, "article figure img") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("from_disk", [True, False], ids=["disk", "http"])
def test_search_finds_a_word(site, server, visit, from_disk):
    here = visit()
    base = site.as_uri() if from_disk else server
    here.go(f"{base}/search.html?q=encoder")
    hit = here.tab.locator("#search-results ul.search a[href*='book/glossary.html']").first
    hit.wait_for()
    here.tab.wait_for_load_state("networkidle")  # excerpts of all hits have come, none is broken off
    hit.click()
    here.tab.wait_for_url("**/book/glossary.html*")
    assert here.faults == []


@pytest.mark.parametrize(
    ("target", "shows"),
    [
        ("a[href*='#term-']", "dd"),
        ("a.reference[href*='#equation-']", "mjx-container"),
        ("a[href*='ledger.html#row-']", ".ledger-id"),
        ("a[href*='errata.html#row-']", ".ledger-id"),
        ("a[href*='#check-']", ".ledger-verdict"),
    ],
    ids=["term", "equation", "row", "erratum", "check"],
)
def test_a_reference_previews_its_target(site, visit, target, shows):
    here = visit()
    tab = here.go((site / f"{first_page_with(site, target)}.html").as_uri())
    link = tab.locator(f"article {target}.has-preview").first
    link.hover()
    preview = tab.get_by_role("tooltip")
    preview.locator(shows).first.wait_for()
    assert link.get_attribute("aria-describedby") == preview.get_attribute("id")
    assert preview.locator("mjx-merror, [id], a").count() == 0
    tab.keyboard.press("Escape")
    preview.wait_for(state="detached")
    assert here.faults == []


def test_a_preview_opens_by_keyboard_and_stays_under_the_pointer(site, visit):
    tab = visit().go((site / f"{first_page_with(site, 'a.reference[href*=term-]')}.html").as_uri())
    link = tab.locator("article a.has-preview[href*='#term-']").first
    tab.keyboard.press("Tab")  # the browser now knows a reader at the keyboard
    link.focus()
    preview = tab.get_by_role("tooltip")
    preview.wait_for()
    tab.keyboard.press("Tab")
    preview.wait_for(state="detached")
    link.hover()
    preview.hover()
    assert preview.is_visible()
    tab.mouse.move(1, 1)
    preview.wait_for(state="detached")


def test_paper_carries_the_text_only(site, visit):
    tab = visit(theme="dark").go((site / "book/glossary.html").as_uri())
    tab.emulate_media(media="print")
    for part in (".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer", ".headerlink"):
        assert not tab.locator(part).first.is_visible(), part
    assert tab.locator("article").first.is_visible()
    tab.wait_for_selector("html[data-theme=light]")
    assert len(tab.pdf(format="A4")) > 10_000
    tab.emulate_media(media="screen")
    tab.wait_for_selector("html[data-theme=dark]")
