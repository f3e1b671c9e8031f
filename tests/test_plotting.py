"""Pictures: what is drawn, in which colour, on the axes that were handed in."""

import ast
import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn
from matplotlib.colors import to_hex, to_rgb

from lib import figures
from lib.analysis.representation import POPULATIONS
from lib.figures import COLOURS, MARKERS, STYLE, new_axes, use_style


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


def colours(artists):
    return [to_hex(artist.get_color()) for artist in artists]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


def test_use_style_and_new_axes():
    use_style()
    assert plt.rcParams["axes.spines.top"] is False
    figure, axes = new_axes(3, width=2, height=1.5, sharey=True)
    assert len(axes) == len(figure.axes) == 3
    assert figure.get_size_inches().tolist() == [6, 1.5]
    assert set(STYLE) <= set(plt.rcParams)


def test_plot_integral(ax, rng):
    x = torch.tensor([1.0, 0.0, -1.0, 0.0])
    target, output = randn(4, rng=rng), randn(4, rng=rng).requires_grad_()
    assert figures.plot_integral(x, target, ax, output=output) is ax
    (stems,) = ax.collections
    assert [segment[:, 0].tolist() for segment in stems.get_segments()] == [[0, 0], [2, 2]]  # no stem without input
    assert [segment[:, 1].tolist() for segment in stems.get_segments()] == [[0, 1], [0, -1]]
    lines = named(ax, r"target $\bar y_t$"), named(ax, "output $y_t$")
    assert colours(lines) == [COLOURS["target"], COLOURS["output"]]
    assert [line.get_linestyle() for line in lines] == ["-", "--"]
    np.testing.assert_array_equal(lines[0].get_ydata(), target.numpy())
    np.testing.assert_array_equal(lines[1].get_ydata(), output.detach().numpy())
    assert len(labels(ax)) == 3
    assert ax.get_xlabel() and ax.get_ylabel()


def test_plot_integral_without_a_network(ax):
    figures.plot_integral(torch.ones(3), torch.ones(3), ax)
    assert len(labels(ax)) == 2


def test_plot_losses(ax):
    assert figures.plot_losses([4.0, 2.0, 1.0], ax, label="run", color="red", lw=3) is ax
    (line,) = ax.get_lines()
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([1, 2, 3], [4, 2, 1])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (line.get_color(), line.get_linewidth(), line.get_label()) == ("red", 3, "run")
    figures.plot_losses(torch.ones(2), ax)
    assert colours(ax.get_lines()[1:]) == [COLOURS["output"]]


def test_plot_population_histograms(rng):
    L_plus, L_minus = (randn(200, rng=rng).clamp_min(0) for _ in range(2))
    kinds = (L_plus > 0.1).long() + 2 * (L_minus > 0.1).long()
    _, axes = new_axes(2)
    figures.plot_population_histograms(L_plus, L_minus, kinds, axes, threshold=0.1)
    for ax, values in zip(axes, (L_plus, L_minus), strict=True):
        bars = {container.patches[0].get_label(): container for container in ax.containers}
        assert set(bars) == {"positive", "negative", "shared"}
        for name, container in bars.items():
            assert to_hex(container.patches[0].get_facecolor()) == COLOURS[name]
            heights = sum(patch.get_height() for patch in container.patches)
            assert heights == int(((kinds == POPULATIONS.index(name)) & (values > 0.1)).sum())
        edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), len(bars["shared"].patches) + 1)
        top = np.max([[p.get_y() + p.get_height() for p in c.patches] for c in bars.values()], axis=0)
        np.testing.assert_array_equal(top, np.histogram(values[values > 0.1].numpy(), edges)[0])
    assert axes[0].get_xlabel() != axes[1].get_xlabel()
    assert axes[0].get_legend() is None
    assert set(labels(axes[1])) == {"positive", "negative", "shared"}


def test_plot_currents(ax, rng):
    y, nu = randn(3, 4, rng=rng), randn(3, 4, 6, rng=rng)
    assert figures.plot_currents(y, nu, ax, neurons={"positive": 1, "shared": 5}) is ax
    for kind, i in (("positive", 1), ("shared", 5)):
        line = named(ax, f"neuron {i} ({kind})")
        np.testing.assert_array_equal(line.get_xdata(), y.flatten().numpy())
        np.testing.assert_array_equal(line.get_ydata(), nu[..., i].flatten().numpy())
        assert (line.get_marker(), to_hex(line.get_color())) == (MARKERS[kind], COLOURS[kind])
    assert len(labels(ax)) == 2


def test_plot_cosines(ax, rng):
    y, cosines = randn(3, 4, rng=rng), randn(3, 4, rng=rng)
    assert figures.plot_cosines(y, cosines, ax) is ax
    points = ax.get_lines()[-1]
    np.testing.assert_array_equal(points.get_xdata(), y.flatten().numpy())
    np.testing.assert_array_equal(points.get_ydata(), cosines.flatten().numpy())
    assert ax.get_ylim() == (-1.08, 1.08)


def test_plot_activity(rng):
    states, y, kinds = randn(7, 5, rng=rng), randn(7, rng=rng), torch.tensor([1, 2, 1, 3, 0])
    _, axes = new_axes(2)
    figures.plot_activity(states, y, kinds, axes)
    np.testing.assert_array_equal(axes[0].get_lines()[-1].get_ydata(), y.numpy())
    positive, negative = (named(axes[1], f"{kind} population") for kind in ("positive", "negative"))
    np.testing.assert_allclose(positive.get_ydata(), states[:, [0, 2]].numpy().mean(axis=1))
    np.testing.assert_allclose(negative.get_ydata(), states[:, 1].numpy())
    assert colours([positive, negative]) == [COLOURS["positive"], COLOURS["negative"]]
    assert positive.get_linestyle() != negative.get_linestyle()


def test_plot_singular_values(ax):
    assert figures.plot_singular_values(torch.tensor([5.0, 4.0, 0.1, 0.01]), ax, outliers=2) is ax
    bulk, outliers = named(ax, "bulk"), named(ax, "outliers")
    assert (bulk.get_xdata().tolist(), outliers.get_xdata().tolist()) == ([3, 4], [1, 2])
    assert outliers.get_ydata().tolist() == [5, 4]
    assert ax.get_yscale() == "log"


def test_draw_network(ax):
    assert figures.draw_network(ax, neurons=5) is ax
    texts = [text.get_text() for text in ax.texts]
    for c in (1, 2):
        assert f"$x_{{{c},t}}$" in texts
        assert f"$y_{{{c},t}}$" in texts
        assert COLOURS[f"channel {c}"] in colours(ax.get_lines())
    (neurons,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert len(neurons.get_xdata()) == 5
    np.testing.assert_allclose(np.hypot(*neurons.get_data()), 1)
    plt.gcf().canvas.draw()  # mathematics in its labels is valid


def test_plot_pulse(rng):
    currents, states = randn(6, 3, rng=rng), randn(6, 3, rng=rng)
    _, axes = new_axes(2)
    figures.plot_pulse(currents, states, torch.tensor([1, 2, 3]), axes)
    for ax, values in zip(axes, (currents, states), strict=True):
        lines = ax.get_lines()[1:]
        assert colours(lines) == [COLOURS[kind] for kind in ("positive", "negative", "shared")]
        np.testing.assert_array_equal([line.get_ydata() for line in lines], values.T.numpy())
        assert lines[0].get_linestyle() != lines[1].get_linestyle()


def test_plot_thresholds(ax):
    assert figures.plot_thresholds([2, 3, 10], [1.0, 0.5, 0.1], ax, label="ours", color="red") is ax
    (line,) = ax.get_lines()
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([2, 3, 10], [1, 0.5, 0.1])
    assert (ax.get_xscale(), ax.get_yscale(), line.get_color(), line.get_label()) == ("log", "log", "red", "ours")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["2", "3", "10"]


def test_plot_memories(ax):
    x, memories = torch.tensor([0.0, 2.0, 0.0]), torch.arange(6.0).reshape(3, 2)
    assert figures.plot_memories(x, memories, [0.5, 0.995], ax) is ax
    (stems,) = ax.collections
    assert [segment.tolist() for segment in stems.get_segments()] == [[[1, 0], [1, 0.5]]]
    short, long = named(ax, r"memory, $\gamma=0.5$"), named(ax, r"memory, $\gamma=0.995$")
    assert (short.get_ydata().tolist(), long.get_ydata().tolist()) == ([0, 2, 4], [1, 3, 5])
    assert short.get_linestyle() != long.get_linestyle()
    lightnesses = [lightness(linear(line.get_color())) for line in (short, long)]
    assert lightnesses[0] > lightnesses[1] + 20
    assert len(labels(ax)) == 3


def test_plot_manifold(ax, rng):
    """A plane in seven dimensions, with the longer axis along the integral, is drawn as it is; its colours too."""
    y, other = 10 * randn(4, 30, rng=rng), randn(4, 30, rng=rng)
    other -= (y * other).sum() / y.square().sum() * y
    u, v = torch.linalg.qr(randn(7, 2, rng=rng)).Q.T
    points = figures.plot_manifold(y[..., None] * u + other[..., None] * v, y, ax, name="current")
    places = points.get_offsets()
    np.testing.assert_allclose(places[:, 0], y.flatten(), atol=1e-9)
    np.testing.assert_allclose(np.abs(places[:, 1]), other.abs().flatten(), atol=1e-9)
    assert places[np.abs(places[:, 1]).argmax(), 1] > 0
    np.testing.assert_array_equal(points.get_array(), y.flatten())
    assert points.get_clim() == (-float(y.abs().max()), float(y.abs().max()))
    assert ax.get_xlabel().startswith("current")
    plt.gcf().colorbar(points, ax=ax)


FILES = sorted(Path(figures.__file__).parent.glob("*.py"))


def test_pictures_have_no_title_and_do_not_touch_other_figures():
    """Titles are captions; a plot function draws on the axes it is given and on nothing else."""
    trees = [ast.parse(path.read_text()) for path in FILES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    called = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    assert not called & {"show", "set_title", "suptitle", "gca", "gcf", "savefig", "open"}
    (makes,) = [node for node in nodes if isinstance(node, ast.FunctionDef) and "subplots" in ast.unparse(node)]
    assert makes.name == "new_axes"


def test_every_picture_has_a_test_and_is_offered():
    pictures = {name for name in re.findall(r"^def (plot_\w+)", "".join(map(Path.read_text, FILES)), re.M)}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_plotting*.py"))
    assert pictures <= set(re.findall(r"^def test_(plot_\w+)", tests, re.M))
    assert pictures <= set(figures.__all__)


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


def test_plot_spread(ax):
    groups = {"a": [1.0, 2.0, 6.0], "b": torch.tensor([4.0])}
    assert figures.plot_spread(groups, ax, paper=5.0) is ax
    points = [line.get_ydata().tolist() for line in ax.lines]
    assert points == [[1.0, 2.0, 6.0], [4.0], [5.0]]
    bars = [segment[0][1] for bar in ax.collections for segment in bar.get_segments()]
    assert bars == [3.0, 4.0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "paper"]
