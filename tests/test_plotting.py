"""Pictures: what is drawn, in which colour, on the axes that were handed in."""

import ast
import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from equations import randn
from matplotlib.colors import to_hex, to_rgb
from pictures import CASES

from lib import figures
from lib.analysis.representation import POPULATIONS
from lib.figures import COLOURS, STYLE, new_axes, use_style
from lib.figures.style import numbers


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    """Nothing is shown, no style leaks, no figure stays open."""

    def show(*_):
        raise AssertionError("plt.show was called")

    monkeypatch.setattr(plt, "show", show)
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def test_use_style_and_new_axes():
    use_style()
    assert plt.rcParams["axes.spines.top"] is False
    figure, axes = new_axes(3, width=2, height=1.5, sharey=True)
    assert len(axes) == len(figure.axes) == 3
    assert figure.get_size_inches().tolist() == [6, 1.5]
    assert set(STYLE) <= set(plt.rcParams)


# What the pictures are made of


def test_series(ax, rng):
    x, a, b, law = randn(5, rng=rng), randn(5, rng=rng).requires_grad_(), randn(5, 2, rng=rng), randn(3, rng=rng)
    options = {"theory": {"law": (law, -law)}, "labels": ("x", "y"), "legend": {"title": "t"}, "lw": 0.7}
    assert figures.series(ax, x, {"a": a, "b": b}, scale="y", **options) is ax
    first, *pair, theory = ax.lines
    np.testing.assert_array_equal(first.get_xydata(), np.stack([x, a.detach()], axis=1))
    np.testing.assert_array_equal([line.get_ydata() for line in pair], b.T)
    np.testing.assert_array_equal(theory.get_xydata(), np.stack([law, -law], axis=1))
    looks = [(line.get_color(), line.get_linestyle(), line.get_linewidth()) for line in ax.lines]
    assert looks[:2] == [(COLOURS["output"], "-", 0.7), (COLOURS["alternative"], "--", 0.7)]
    assert looks[1:] == [looks[1], looks[1], (COLOURS["theory"], "--", 1.2)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "law"]
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel(), ax.get_ylabel()) == ("linear", "log", "x", "y")


def test_series_that_are_counted(ax):
    figures.series(ax, None, {"_": [3.0, 2.0], "b": [7.0]}, looks=[("theory", "o"), ("null", "s:")])
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [1]]
    assert [(line.get_marker(), line.get_linestyle()) for line in ax.lines] == [("o", "None"), ("s", ":")]
    assert ax.get_legend() is None and ax.get_legend_handles_labels()[1] == ["b"]


def test_more_series_than_looks(ax):
    with pytest.raises(ValueError, match="at most 4 series, one for each look, got 5"):
        figures.series(ax, None, dict.fromkeys("abcde", [1.0, 2.0]))
    assert not ax.lines


def test_heatmap(ax, rng):
    M = randn(3, 5, rng=rng)
    image = figures.heatmap(ax, M, borders=[1, 2], vmin=-0.7, vmax=0.9)
    np.testing.assert_array_equal(image.get_array(), M)
    assert image.get_clim() == (-0.7, 0.9)
    assert [line.get_ydata()[0] for line in ax.lines[::2]] == [line.get_xdata()[0] for line in ax.lines[1::2]]
    assert [line.get_ydata()[0] for line in ax.lines[::2]] == [0.5, 1.5]


def test_plain_ticks(ax):
    ax.loglog([3, 70], [0.03, 0.7])
    figures.plain_ticks(ax.xaxis, base=2)
    figures.plain_ticks(ax.yaxis, 1, 5)
    ax.figure.canvas.draw()
    texts = [{text.get_text() for text in axis.get_ticklabels(which="both")} for axis in (ax.xaxis, ax.yaxis)]
    assert {"4", "8", "16", "32", "64"} <= texts[0] and not {"3", "5", "10"} & texts[0]
    assert {"0.05", "0.1", "0.5"} <= texts[1] and not {"0.2", "0.3"} & texts[1]


# All pictures


def drawn(axes):
    """Every row of numbers that lines, clouds, images, meshes and bars show, as arrays."""
    for ax in axes:
        for line in ax.lines:
            yield from (np.asarray(part, dtype=float) for part in (line.get_xdata(), line.get_ydata()))
        for shown in [*ax.collections, *ax.images]:
            values = shown.get_array()
            if values is not None:
                yield np.ma.filled(values, np.nan)
            yield np.asarray(shown.get_offsets()) if shown in ax.collections else np.empty(0)
        for bars in ax.containers:
            patches = getattr(bars, "patches", [])
            yield from (np.array([p.get_height() for p in patches]), np.array([p.get_width() for p in patches]))


def colour(line):
    """That of the line, or of the faces of markers without one, or of their edges if they are open."""
    face = line.get_color() if line.get_linestyle() != "None" else line.get_markerfacecolor()
    return line.get_markeredgecolor() if isinstance(face, str) and face == "none" else face


MAPS = {"plot_neurons", "plot_error_curves", "plot_iso_scales"}  # shades of one map of colours for an ordered series


@pytest.mark.parametrize("name", CASES)
def test_picture(name):
    """It is drawn on the axes that were handed in, in the colours of the book or greys, with its numbers unchanged."""
    case = CASES[name]
    figure, axes = new_axes(case.panels, subplot_kw={"projection": case.projection})
    case.draw(axes if case.panels > 1 else axes[0])
    assert figure.axes == axes == plt.gcf().axes and plt.get_fignums() == [figure.number]
    found = list(drawn(axes))
    for values in case.seen:
        wanted = numbers(values).astype(float)
        assert any(one.shape == wanted.shape and np.allclose(one, wanted, equal_nan=True) for one in found), wanted
    colours = {to_hex(colour(line)) for ax in axes for line in ax.lines}
    assert name in MAPS or all(one in COLOURS.values() or len(set(to_rgb(one))) == 1 for one in colours)
    assert {axis for axis in "xy" if getattr(axes[0], f"get_{axis}scale")() == "log"} == set(case.log)
    figure.canvas.draw()  # mathematics in its labels is valid


FILES = sorted(Path(figures.__file__).parent.glob("*.py"))


def test_pictures_have_no_title_and_do_not_touch_other_figures():
    """Titles are captions; a plot function draws on the axes it is given and on nothing else."""
    trees = [ast.parse(path.read_text()) for path in FILES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    called = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    assert not called & {"show", "set_title", "suptitle", "gca", "gcf", "savefig", "open"}
    (makes,) = [node for node in nodes if isinstance(node, ast.FunctionDef) and "subplots" in ast.unparse(node)]
    assert makes.name == "new_axes"


def test_every_picture_has_a_case_and_is_offered():
    pictures = re.findall(r"^def ((?:plot|draw)_\w+)", "".join(map(Path.read_text, FILES)), re.M)
    assert sorted(pictures) == sorted(CASES) and set(pictures) <= set(dir(figures))


# Colours


def linear(colour):
    """Linear light of the three channels, from sRGB."""
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lightness(rgb):
    """CIE L* of linear light, from 0 to 100."""
    y = float(rgb @ [0.2126, 0.7152, 0.0722])
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


# Linear light as seen without the red, the green or the blue cones (Viénot, Brettel and Mollon 1999; blue: Brettel).
VISIONS = {
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
    "normal": np.eye(3),
}


def difference(a, b, vision):
    """CIE 1976 distance in L*a*b* of two colours as seen by an eye."""

    def lab(colour):
        xyz = (
            np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
            @ (VISIONS[vision] @ linear(colour)).clip(0, 1)
            / [0.9505, 1, 1.089]
        )
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return float(np.linalg.norm(lab(a) - lab(b)))


TOGETHER = [
    ("target", "output", "theory"),
    ("channel 1", "channel 2"),
    POPULATIONS,
    ("excitatory", "inhibitory"),
]
PAIRS = [pair for group in TOGETHER for pair in itertools.combinations(group, 2)]


@pytest.mark.parametrize("a, b", PAIRS)
@pytest.mark.parametrize("vision", sorted(VISIONS))
def test_colours_used_together_are_told_apart(a, b, vision):
    """15 in L*a*b* is far beyond the smallest difference seen, about 2."""
    assert difference(COLOURS[a], COLOURS[b], vision) > 15


@pytest.mark.parametrize("a, b", PAIRS)
def test_colours_used_together_differ_in_grey(a, b):
    assert abs(lightness(linear(COLOURS[a])) - lightness(linear(COLOURS[b]))) > 10


def test_colours_can_be_seen_on_white():
    """WCAG asks for a contrast of 3 for graphics; the null population is meant to recede, at 2."""
    for name, colour in COLOURS.items():
        contrast = 1.05 / (float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05)
        assert contrast > (2 if name == "null" else 3), name
