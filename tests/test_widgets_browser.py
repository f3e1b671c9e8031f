"""Explorers as readers meet them: pages opened from a disk, and notebooks with a kernel in JupyterLab.

Whatever a slider is moved to, the numbers beside the picture must be those that the function of the package gives.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from browsing import PHONE
from bs4 import BeautifulSoup, Tag
from building import ROOT

from companion import explorers, notebooks
from companion.batch.chapters import code_cells
from companion.batch.normal import KERNEL


class Explorer(NamedTuple):
    """One explorer of the committed book."""

    chapter: str
    element: Tag
    source: str  # of its cell

    @property
    def name(self) -> str:
        return str(self.element["id"])

    @property
    def fn(self):
        return getattr(explorers, self.name.removeprefix("explorer-").replace("-", "_"))

    def expected(self, values: list[str]) -> list[str]:
        """The numbers that the function gives at the values that the sliders show."""
        names = [str(tag["id"]).removeprefix(f"{self.name}-") for tag in self.element.select("input")]
        return numbers_of(self.fn, dict(zip(names, values, strict=True)))


def numbers_of(fn, values: dict[str, str]) -> list[str]:
    whole = {name for name, kind in fn.__annotations__.items() if kind is int}
    plain = {k: v.replace("\u2212", "-") for k, v in values.items()}
    return list(fn(**{k: int(v) if k in whole else float(v) for k, v in plain.items()}).texts.values())


def found() -> Iterator[Explorer]:
    for chapter, path in notebooks.chapters().items():
        for cell in code_cells(nbformat.read(path, as_version=4)):
            for output in cell.outputs:
                html = output.get("data", {}).get("text/html", "")
                if 'class="explorer"' in html:
                    element = BeautifulSoup(html, "html.parser").select_one(".explorer")
                    assert element is not None
                    yield Explorer(chapter, element, cell.source)


EXPLORERS = list(found())
MOVABLE = [one for one in EXPLORERS if one.element.select("input")]
CHAPTERS = sorted({one.chapter for one in EXPLORERS})
each = pytest.mark.parametrize("one", MOVABLE, ids=lambda one: f"{one.chapter}-{one.name}")


def test_eight_and_more_in_the_book():
    assert len({one.name for one in EXPLORERS}) >= 9 and len(CHAPTERS) >= 8


# --- without a kernel ------------------------------------------------------------------------------------------------


def read(tab, name: str) -> tuple[list[str], list[str], list[str]]:
    """Values of the sliders, numbers and paths that a page shows for one explorer."""
    box = tab.locator(f"#{name}")
    paths = box.locator(".explorer-curve").evaluate_all("(all) => all.map((one) => one.getAttribute('d'))")
    return box.locator("output").all_inner_texts(), box.locator("[data-number]").all_inner_texts(), paths


def address(site: Path, chapter: str) -> str:
    return (site / "book" / f"{chapter}.html").as_uri()


@each
def test_arrow_keys_change_the_numbers_to_what_the_function_gives(site, visit, one):
    here = visit()
    tab = here.go(address(site, one.chapter))
    for slider in tab.locator(f"#{one.name} input[type=range]").all():
        before = read(tab, one.name)
        slider.focus()
        tab.keyboard.press("ArrowLeft" if slider.input_value() != "0" else "ArrowRight")
        after = read(tab, one.name)
        assert sum(a != b for a, b in zip(before[0], after[0], strict=True)) == 1
        assert after[1] == one.expected(after[0])
        assert after[1:] != before[1:]
        assert slider.get_attribute("aria-valuetext") in after[0]
    assert here.faults == []


@each
def test_the_mouse_changes_the_numbers_to_what_the_function_gives(site, visit, one):
    here = visit()
    tab = here.go(address(site, one.chapter))
    for slider in tab.locator(f"#{one.name} input[type=range]").all():
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        tab.mouse.click(box["x"] + 0.92 * box["width"], box["y"] + box["height"] / 2)
        values, numbers, paths = read(tab, one.name)
        assert numbers == one.expected(values)
        assert any(paths)
    assert here.faults == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_it_fits_a_phone_and_stands_out_in_the_dark(site, visit, chapter):
    luminance = {}
    for theme in ("light", "dark"):
        here = visit(theme=theme, viewport=PHONE)
        tab = here.go(address(site, chapter))
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for box in tab.locator(".explorer").all():
            assert box.evaluate("(box) => box.scrollWidth <= box.clientWidth")
            assert box.locator("svg[role=img]").bounding_box()["width"] <= PHONE["width"]
        strokes = tab.locator(".explorer-curve").evaluate_all("(all) => all.map((one) => getComputedStyle(one).stroke)")
        text = tab.locator(".explorer svg text").first.evaluate("(one) => getComputedStyle(one).fill")
        luminance[theme] = [lightness(colour) for colour in (*strokes, text)]
        assert here.faults == []
    assert all(light < 0.72 for light in luminance["light"])
    assert all(dark > 0.4 for dark in luminance["dark"])


def lightness(colour: str) -> float:
    """A number between 0 and 1 for `rgb(r, g, b)`."""
    r, g, b = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.3 * r + 0.59 * g + 0.11 * b


# --- with a kernel ---------------------------------------------------------------------------------------------------

LIVE = {
    "model": "decay_and_scale",
    "appendices/e_gi_manifolds": "iso_scale",
    "appendices/j_rank_one_relu": "relu_scale",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """JupyterLab over three notebooks that hold the explorers of three chapters; the address of its file view."""
    pytest.importorskip("jupyterlab")
    home = tmp_path_factory.mktemp("lab")
    for chapter, fn in LIVE.items():
        one = next(one for one in EXPLORERS if one.chapter == chapter and one.fn.__name__ == fn)
        imports = "from companion import explorers\nfrom companion.widgets import Control, explore"
        cells = [nbformat.v4.new_code_cell(source) for source in (imports, one.source)]
        kernel = {"kernelspec": KERNEL}  # else a dialogue asks for one
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), home / f"{fn}.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    dropped = {"LIB_LIVE", "LIB_REFRESH", "MPLBACKEND"}
    own = {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    env = {k: v for k, v in os.environ.items() if k not in dropped} | own | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={token}", "--LabApp.news_url=None", f"--ServerApp.root_dir={home}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (home / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=home, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/api?token={token}"):
            assert process.poll() is None and time.monotonic() < until, (home / "lab.log").read_text()[-2000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/%s.ipynb?reset&token={token}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its kernels too
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return "version" in json.load(answer)
    except OSError:
        return False


@pytest.fixture
def tab(chromium):
    """A tab high enough for a notebook: cells out of sight are not rendered."""
    context = chromium.new_context(viewport={"width": 1400, "height": 2400})
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("fn", LIVE.values())
def test_a_live_slider_takes_any_value(lab, tab, fn):
    faults = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(lab % fn)
    tab.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    tab.get_by_text("| Idle").first.wait_for(timeout=60_000)  # what is run before the kernel answers is lost
    tab.get_by_role("menuitem", name="Run", exact=True).click()
    tab.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    handle = tab.locator(".jp-Notebook .noUi-handle").first
    handle.wait_for(timeout=120_000)
    box = tab.locator(".jp-Notebook .widget-vbox")
    before = box.locator(".widget-readout").all_inner_texts()
    handle.focus()
    for _ in range(3):
        tab.keyboard.press("ArrowLeft")
    tab.wait_for_function(
        "(before) => document.querySelector('.widget-vbox .widget-readout').innerText !== before", arg=before[0]
    )
    names = [name for name in getattr(explorers, fn).__annotations__ if name != "return"]
    values = dict(zip(names, box.locator(".widget-readout").all_inner_texts(), strict=True))
    grid = next(one for one in EXPLORERS if one.fn.__name__ == fn).element.select_one("script").get_text()  # pyright: ignore
    assert values[names[0]] not in json.loads(grid)["values"][0]  # between the points of the page
    expected = numbers_of(getattr(explorers, fn), values)
    tab.wait_for_function(
        "(wanted) => JSON.stringify([...document.querySelectorAll('.widget-vbox [data-number]')]"
        ".map((one) => one.textContent)) === JSON.stringify(wanted)",
        arg=expected,
        timeout=60_000,
    )
    assert faults == []
