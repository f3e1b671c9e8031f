"""The rendered book in a browser, for every test that looks at it: one build and one browser for all of them."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from building import ROOT, Build, build

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
READY = """async () => {
    if (document.readyState !== "complete") await new Promise((done) => window.addEventListener("load", done));
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    await document.fonts.ready;
    await Promise.allSettled(document.getAnimations().map((animation) => animation.finished));
}"""


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Build:
    """The book, rendered from the committed outputs into a temporary folder."""
    return build(ROOT, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def site(built) -> Path:
    """The folder of the rendered pages."""
    assert built.code == 0, "the book was not rendered: see test_the_committed_book_builds_without_a_warning"
    return built.html


@pytest.fixture(scope="session")
def server(site) -> Iterator[str]:
    """The address of a local server of the pages."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):  # noqa: A002 - the signature is the library's
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by playwright; nothing is ever downloaded."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


class Visit(NamedTuple):
    """A browser tab and what went wrong in it so far."""

    tab: object
    faults: list[str]

    def go(self, address: str):
        """Open an address and wait until its formulas are typeset; return the tab."""
        self.tab.goto(address)  # pyright: ignore
        self.tab.evaluate(READY)  # pyright: ignore
        return self.tab


@pytest.fixture
def visit(chromium):
    """Open tabs that note foreign and failed requests, console errors and exceptions, and refuse foreign requests."""
    contexts = []

    def new(*, theme: str = "light", viewport: dict[str, int] = DESK) -> Visit:
        context = chromium.new_context(color_scheme=theme, viewport=viewport)
        contexts.append(context)
        tab = context.new_page()
        faults: list[str] = []

        def check(route) -> None:
            address = urlsplit(route.request.url)
            if address.scheme in ("file", "data", "blob") or address.hostname == "127.0.0.1":
                route.continue_()
            else:
                faults.append(f"foreign request: {route.request.url}")
                route.abort()

        context.route("**/*", check)
        tab.on("requestfailed", lambda request: faults.append(f"failed request: {request.url} ({request.failure})"))
        tab.on(
            "response", lambda answer: faults.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
        )
        tab.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        tab.on("console", lambda line: faults.append(f"console: {line.text}") if line.type == "error" else None)
        return Visit(tab, faults)

    yield new
    for context in contexts:
        context.close()
