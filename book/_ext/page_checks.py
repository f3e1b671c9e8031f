"""Whole-book care for the finished pages: hover previews of raw HTML, links, alternative texts.

- Elements written as raw HTML (the ledger's rows, the checks in notebook outputs) are made known to sphinx-tippy, which
  by itself sees only what docutils made.
- A link into the book whose page or anchor does not exist is a warning, also when it was written as raw HTML.
- An image without an alternative text is a warning.

Under ``jupyter-book build -W`` a warning fails the build. Pages refer to each other, so when one changes all are
written again; writing is cheap, reading is not repeated.
"""

import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import sphinx_tippy
from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)

SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")
FILE_NAME = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)", re.IGNORECASE)
OUTDATED_ROLES = (' role="doc-biblioentry"', ' role="list"')
"""Roles that docutils gives to bibliographies and that screen readers' rules no longer allow there."""
PREVIEWED = re.compile(r"(row|erratum|check)-.+")
"""Ids of raw HTML elements that a link to them previews: ledger rows, errata, and checks in notebook outputs."""


def image_faults(body: BeautifulSoup) -> list[str]:
    """Return the source of each image whose alternative text is missing, empty or merely a file name."""
    faults = []
    for image in body.find_all("img"):
        alt = str(image.get("alt") or "").strip()
        if not alt or FILE_NAME.fullmatch(alt):
            faults.append(str(image.get("src", "?"))[:80])
    return faults


def inner_links(body: BeautifulSoup, page: str) -> set[tuple[str, str]]:
    """Return the links of a page into the book as (page or file, anchor); the anchor is "" where there is none."""
    links = set()
    for anchor in body.find_all("a", href=True):
        href = str(anchor["href"])
        if SCHEME.match(href):
            continue
        path, _, fragment = href.partition("#")
        path = unquote(path.partition("?")[0])
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else f"{page}.html"
        links.add((target, unquote(fragment)))
    return links


def anchors(body: BeautifulSoup) -> set[str]:
    """Return every id (and old-style anchor name) that a link can point to."""
    found = {str(tag["id"]) for tag in body.find_all(id=True)}
    return found | {str(tag["name"]) for tag in body.find_all("a", attrs={"name": True})}


class PageChecks:
    """What has been seen of the pages written in this build."""

    def __init__(self) -> None:
        self.links: dict[str, set[tuple[str, str]]] = {}
        self.anchors: dict[str, set[str]] = {}
        self.changed = False

    def before_reading(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Note whether any page changed."""
        self.changed = bool(docnames)

    def after_reading(self, app: Sphinx, env: BuildEnvironment) -> list[str]:
        """Ask for all pages to be written if one changed."""
        return sorted(env.found_docs) if self.changed else []

    def look(
        self, app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
    ) -> None:
        """Check one page's images and note its links and anchors; runs right after sphinx-tippy has seen the page."""
        if doctree is None or app.builder.format != "html":
            return
        for outdated in OUTDATED_ROLES:
            context["body"] = context["body"].replace(outdated, "")
        body = BeautifulSoup(context["body"], "html.parser")
        for source in image_faults(body):
            logger.warning("image without alternative text: %s", source, location=pagename, type="page", subtype="alt")
        self.links[pagename] = inner_links(body, pagename)
        self.anchors[f"{pagename}.html"] = anchors(body)
        self._tell_tippy(app, pagename, body)

    def _tell_tippy(self, app: Sphinx, pagename: str, body: BeautifulSoup) -> None:
        page = getattr(app.env, "tippy_data", {"pages": {}})["pages"].get(pagename)
        if page is None:
            return
        for tag in body.find_all(id=PREVIEWED):
            if tag.get_text(strip=True):
                page["id_to_html"].setdefault(str(tag["id"]), preview(tag))
        for name in self.anchors[f"{pagename}.html"]:
            page["element_id_map"].setdefault(name, name)

    def finish(self, app: Sphinx, exception: Exception | None) -> None:
        """Warn of each link that leads nowhere."""
        if exception or not self.links:
            return
        for page, links in sorted(self.links.items()):
            for target, fragment in sorted(links):
                if target in self.anchors:
                    if fragment and fragment not in self.anchors[target]:
                        logger.warning("link to a missing anchor: %s#%s", target, fragment, location=page, type="page")
                elif not Path(app.outdir, target).exists():
                    logger.warning("link to a missing page: %s", target, location=page, type="page")


def preview(tag: Tag) -> str:
    """Return the hover preview of a raw HTML element; a table row becomes one paragraph for each cell."""
    if tag.name != "tr":
        return str(tag)
    cells = [cell.decode_contents().strip() for cell in tag.find_all(["th", "td"], recursive=False)]
    return "".join(f"<p>{cell}</p>" for cell in cells if cell)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect the checks; pages are compared with each other, so they are written by one process."""
    sphinx_tippy.uuid4 = lambda: "previews"  # pyright: ignore  # one name per page, so that a build can be repeated exactly
    checks = PageChecks()
    app.connect("env-before-read-docs", checks.before_reading)
    app.connect("env-updated", checks.after_reading)
    app.connect("html-page-context", checks.look, priority=451)  # sphinx-tippy looks at 450
    app.connect("build-finished", checks.finish, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
