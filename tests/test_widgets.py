"""Explorers: the page says what the function gives, in valid HTML that is the same everywhere."""

import json
import math
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import torch
from bs4 import BeautifulSoup

from companion import explorers
from companion.widgets import Control, Curve, Picture, explore, live, page
from companion.widgets.controls import controls
from companion.widgets.draw import path, svg, ticks
from companion.widgets.explorer import prepare
from companion.widgets.page import Sheet
from companion.widgets.picture import Frame, frame, shown
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import TrainingDiverged

VOID = {"input", "br", "img", "meta"}
GAMMA, S = [0.5, 0.9, 1.0], [0.5, 1.0]


class Nesting(HTMLParser):
    """Fails where an element is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return prepare(explorers.decay_and_scale, gamma=GAMMA, s=Control(S, "scale <s>"))[0]


@pytest.fixture(scope="module")
def html(sheet) -> str:
    return sheet.html()


def parabola(a: float) -> Picture:
    x = torch.linspace(-1, 1, 5)
    return Picture([Curve("parabola", x, a * x * x)], "x", "y", {"a": a})


def stored(html: str) -> dict:
    return json.loads(BeautifulSoup(html, "html.parser").find("script", type="application/json").string)  # pyright: ignore


# --- the page --------------------------------------------------------------------------------------------------------


def test_it_is_well_formed_small_and_needs_nothing_from_elsewhere(html):
    parser = Nesting()
    parser.feed(html)
    assert not parser.open
    assert len(html.encode()) < page.LIMIT
    assert not re.search(r"(src|href)=|https?:|import\s", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) and all(name.startswith("explorer-decay-and-scale") for name in ids)


def test_every_slider_has_a_label_a_value_and_a_text(html):
    tree = BeautifulSoup(html, "html.parser")
    sliders = tree.select("input[type=range]")
    assert [slider["aria-valuetext"] for slider in sliders] == ["0.9", "1"]
    for slider in sliders:
        assert tree.select_one(f"label[for={slider['id']}]").get_text().strip()
        assert tree.select_one(f"output[for={slider['id']}]").get_text() == slider["aria-valuetext"]
    assert tree.select_one("label[for=explorer-decay-and-scale-s]").get_text() == "scale <s>"
    drawing = tree.select_one("svg[role=img]")
    assert drawing["aria-label"] and tree.find(id=drawing["aria-describedby"])["role"] == "status"
    assert "these 6 points" in tree.select_one(".explorer-note").get_text()


def test_numbers_and_curves_at_every_point_are_those_of_the_function(html, sheet):
    data = stored(html)
    state = 0
    for gamma in GAMMA:
        for s in S:
            picture = explorers.decay_and_scale(gamma, s)
            assert data["numbers"][state] == list(picture.texts.values())
            for k, curve in enumerate(picture.curves):
                assert data["paths"][k][data["states"][state][k]] == path(curve, sheet.frame)
            state += 1
    assert state == len(data["states"]) == len(data["numbers"])
    assert len(data["paths"][0]) == 1  # the input is the same for all, and is stored once


def test_a_path_has_the_points_of_its_curve():
    window = Frame((0.0, 1.0), (1.0, 100.0), False, True)
    d = path(Curve("c", [0.0, 0.5, math.nan, 1.0], [1.0, 10.0, 10.0, 100.0]), window)
    assert d == "M64 288L306 150M548 12"
    assert path(Curve("c", [0.5], [10.0], kind="points"), window) == "M306 150h0"
    assert path(Curve("c", [0.5, 0.6], [-1.0, 0.0]), window) == ""  # no logarithm


def test_a_grid_of_one_point_has_no_slider_and_texts_can_be_chosen():
    sheet, _ = prepare(explorers.decay_and_scale, gamma=[0.9], s=[1.0])
    html = sheet.html()
    assert "<input" not in html
    assert "at one point" in html
    assert Control(["a", "b"]).text and Control(["a", "b"]).first == 1


def test_last_bits_do_not_show():
    assert shown(0.12350000000001) == shown(0.12349999999999) == shown(torch.tensor(0.1235, dtype=torch.float64))
    assert shown(3e-17) == shown(-3e-17) == "0"
    assert (shown(-1.5), shown(7), shown("0.9 ± 0.1i")) == ("\u22121.5", "7", "0.9 ± 0.1i")
    line = [Curve("c", [0.0, 1.0], [0.5 + k, 0.5]) for k in (0.0, 1e-14)]
    window = Frame((0.0, 1.0), (0.0, 1.0), False, False)
    assert path(line[0], window) == path(line[1], window)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("ends", [(0.3, 7.0), (1e-6, 3e4), (0.1, 0.12)])
def test_ticks_lie_between_the_ends(ends, log):
    found = ticks(ends, log)
    slack = 1e-6 * (ends[0] if log else ends[1] - ends[0])
    assert all(ends[0] - slack <= value <= ends[1] + slack for value, _ in found)
    assert len({text for _, text in found}) == len(found) <= 8
    assert len(found) >= 2 or log


def test_powers_of_ten_are_written_in_one_way():
    assert [text for _, text in ticks((1.0, 1e6), True)] == ["10⁰", "10¹", "10²", "10³", "10⁴", "10⁵", "10⁶"]
    assert [text for _, text in ticks((0.01, 10.0), True)] == ["0.01", "0.1", "1", "10"]


def test_markup_in_names_is_text():
    picture = Picture([Curve("<b>", [0, 1], [0, 1])], "x < y", "y", {"a & b": "<i>"})
    drawn = svg(picture, frame([picture]), name="n") + page.readout(picture, "n")
    assert "<b>" not in drawn.replace('<b data-number="0">', "") and "&lt;i&gt;" in drawn and "x &lt; y" in drawn


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_function_of_a_notebook_is_refused():
    with pytest.raises(ValueError, match="function of lib"):
        explore(parabola, a=[1.0, 2.0])
    with pytest.raises(ValueError, match="at least one argument"):
        explore(explorers.dale)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"values": []}, "needs values"),
        ({"values": [2, 1]}, "increasing"),
        ({"values": ["a", 1]}, "numbers or texts"),
        ({"values": [1, "a"]}, "increasing numbers, or texts"),
        ({"values": [1, 2], "start": 3}, "start must be"),
        ({"values": [1, 2], "low": 1.5}, "must enclose"),
    ],
)
def test_a_control_says_what_is_wrong(options, told):
    with pytest.raises(ValueError, match=told):
        Control(**options)


@pytest.mark.parametrize(
    ("curves", "told"),
    [
        ([], "different names"),
        ([Curve("a", [0], [0])] * 2, "different names"),
        ([Curve("a", [0], [0], "mauve")], "concept must be"),
        ([Curve("a", [0], [0], kind="bar")], "kind must be"),
        ([Curve("a", [0, 1], [0])], "as many y as x"),
    ],
)
def test_a_picture_says_what_is_wrong(curves, told):
    with pytest.raises(ValueError, match=told):
        Picture(curves, "x", "y")


def test_pictures_of_one_explorer_must_go_together():
    with pytest.raises(ValueError, match="same curves"):
        frame([parabola(1.0), Picture([Curve("other", [0], [0])], "x", "y")])
    with pytest.raises(ValueError, match="nothing finite"):
        frame([Picture([Curve("a", [0.0], [math.nan])], "x", "y")])


def test_a_page_that_is_too_heavy_is_refused(sheet, monkeypatch):
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(ValueError, match="fewer points"):
        sheet.html()


# --- live or not -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(monkeypatch):
    """A kernel whose last request had these metadata."""
    for name in ("LIB_LIVE", "LIB_REFRESH"):
        monkeypatch.delenv(name, raising=False)

    def install(metadata):
        kernel = SimpleNamespace(get_parent=lambda channel: {"metadata": metadata})
        fake = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=kernel))
        monkeypatch.setitem(__import__("sys").modules, "IPython", fake)

    return install


def test_live_only_if_the_request_names_a_cell(shell, monkeypatch):
    shell({})
    assert not live.attached()
    shell({"cellId": "abc", "deletedCells": []})
    assert live.attached()
    monkeypatch.setenv("LIB_LIVE", "0")
    assert not live.attached()
    monkeypatch.setenv("LIB_LIVE", "1")
    assert live.attached()
    monkeypatch.setenv("LIB_REFRESH", "1")
    assert not live.attached()


def test_no_committed_output_holds_a_live_control():
    from companion import notebooks

    seen = 0
    for path_ in notebooks.chapters().values():
        for cell in notebooks.read(path_):
            for output in cell.get("outputs", []):
                assert live.VIEW not in output.get("data", {}), path_
                seen += 'class="explorer"' in "".join(output.get("data", {}).get("text/html", ""))
    assert seen >= 8


def test_the_live_board_takes_values_between_the_points(sheet):
    board = live.board("x", explorers.decay_and_scale, sheet.controls, sheet.frame)
    gamma, s, shown_ = board.children
    assert (gamma.value, s.value, gamma.min, gamma.max) == (0.9, 1.0, 0.5, 1.0)
    gamma.value, s.value = 0.777, 0.6
    numbers = [tag.get_text() for tag in BeautifulSoup(shown_.value, "html.parser").select("[data-number]")]
    assert numbers == list(explorers.decay_and_scale(0.777, 0.6).texts.values())


def test_the_live_board_shows_errors_as_text():
    def picky(s: float) -> Picture:
        if s > 1.5:
            raise TrainingDiverged("too large")
        return parabola(s)

    grid = controls({"s": [1.0, 2.0]})
    board = live.board("x", picky, grid, frame([parabola(1.0)]))
    assert "too large" in board.children[-1].value
    board.children[0].value = 1.2
    assert "1.2" in board.children[-1].value


def test_each_kind_of_control():
    import ipywidgets

    n, s = Control([1, 2], high=9), Control([0.1, 1.0, 10.0], log=True)
    grid = controls({"n": n, "s": s, "f": Control(["a"], choices=["a", "b"])})
    made = {name: live.control_widget(ipywidgets, name, control) for name, control in grid.items()}
    assert made["n"].max == 9 and made["n"].value == 2
    assert (made["s"].min, made["s"].max, made["s"].value) == (-1, 1, 1.0)
    assert made["f"].options == ("a", "b")


# --- what the explorers say ------------------------------------------------------------------------------------------


def test_decay_and_scale_is_the_task():
    x = torch.zeros(1, 90, 1, dtype=torch.float64)
    x[0, 10] = 1.0
    picture = explorers.decay_and_scale(0.9, 2.0)
    torch.testing.assert_close(picture.curves[2].y, Task(0.9, 2.0).targets(x)[0, :, 0], rtol=0, atol=0)
    assert picture.numbers["memory (steps)"] == pytest.approx(-1 / math.log(0.9))


def test_three_steps_make_an_integrator_and_two_do_not():
    errors = [explorers.trained_moments(T, 1.5).numbers["error of moment 16"].item() for T in (2, 3)]
    assert errors[0] > 0.1 and errors[1] < 1e-3
    assert explorers.trained_moments(3, 1.5).numbers["eigenvalues"].startswith("0.900 and")


def test_every_place_on_an_iso_scale_integrates_at_its_scale():
    for s, alpha in ((0.2, -3.0), (1.7, 2.2)):
        numbers = explorers.iso_scale(s, alpha).numbers
        assert numbers["moment 1 over γ"].item() == pytest.approx(s, rel=1e-9)
        assert numbers["moment 100 over γ¹⁰⁰"].item() == pytest.approx(s, rel=1e-9)


def test_the_condition_number_lies_on_its_curve():
    picture = explorers.condition_number(0.2, 1.0)
    scales, C = picture.curves[0].x, picture.curves[0].y
    k = int((scales - 1.0).abs().argmin())
    assert picture.numbers["condition number"].item() == pytest.approx(C[k].item(), rel=0.05)
    with pytest.raises(ValueError, match="between 0 and 1"):
        explorers.condition_number(1.0, 1.0)


def test_the_trained_rectified_network_is_above_the_bound():
    numbers = explorers.relu_scale(2.0).numbers
    assert 1 <= numbers["over the sharper bound"] < 1.2 and numbers["l·d"] > 0.9


def test_the_written_sigmoid_network_meets_its_conditions():
    network, task, We = explorers.sigmoid_network()
    torch.testing.assert_close((network.W @ network.encoders)[:, 0], We)
    assert (network.decoders.T @ network.encoders).item() == pytest.approx(1.0)
    x = torch.tensor([0.5, -0.3, 1.0, 0.2]).double()[None, :, None]
    torch.testing.assert_close(network.run(x).outputs, task.targets(x), rtol=0, atol=0.1)  # worst near zero
    assert explorers.saturation(1.0, 50.0).numbers["output"].item() == pytest.approx(1.0, abs=0.02)
    counts = [explorers.saturation(y, 50.0).numbers["neurons above 0.9"] for y in (0.0, 1.0, 3.0)]
    assert counts == sorted(counts) and counts[0] == 0


def test_the_rectified_pair_integrates_exactly_for_ever(rng):
    network, task = explorers.rectified_pair()
    x = torch.randn(3, 100, 2, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(network.run(x).outputs, task.targets(x), rtol=0, atol=1e-9)
    one, opposite = (explorers.plane(1.0, 0.5, k).numbers for k in (1, 21))
    assert one["current"].item() == pytest.approx(-opposite["current"].item())
    assert one["output 2"].item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match="between 1 and 40"):
        explorers.plane(0.0, 0.0, 41)


def test_dale_numbers_are_those_of_a_network_that_obeys(monkeypatch):
    seen: list[Integrator] = []
    train = explorers.train_integrator

    def watched(*args, **options):
        found = train(*args, **options)
        seen.append(found.network)
        assert options["constraint"].obeyed(found.network.W)
        return found

    monkeypatch.setattr(explorers, "train_integrator", watched)
    numbers = explorers.dale(0.5).numbers
    sigma = torch.linalg.svdvals(seen[0].W.detach())
    assert numbers["second over first"].item() == pytest.approx((sigma[1] / sigma[0]).item())


def test_own_network_learns_and_refuses_what_is_not_defined():
    numbers = explorers.own_network(40, 1, "linear", 0.9, "batch", 0.1, 150).numbers
    assert numbers["largest relative output error"] < 0.2
    with pytest.raises(ValueError, match="take batch"):
        explorers.own_network(40, 1, "linear", 0.9, "proxy", 0.0, 10)


def test_eigenvalues_in_words():
    assert explorers._eigenvalues(torch.tensor([[0.5, -0.2], [0.2, 0.5]]).double()) == "0.500 ± 0.200i"
    assert explorers._eigenvalues(torch.tensor([[0.2, 0.0], [0.0, -0.9]]).double()) == "\u22120.900 and 0.200"
