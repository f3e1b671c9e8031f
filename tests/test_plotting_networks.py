"""Pictures of rectified and bounded neurons, of several channels, of many networks: what is not drawn as it is."""

from dataclasses import replace
from math import inf, nan, pi

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from pictures import DIAGNOSIS, MANY, A, B, C, X, case, legend, named, texts

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def closed():
    """No figure stays open."""
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


# Rectified and bounded neurons


def test_scale_bounds():
    ax = case("plot_scale_bounds")
    assert [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "o"][:3] == MANY.T.tolist()
    assert named(ax, "sharper bound").get_linestyle() == "--"


def test_nobody_is_drawn_where_nobody_is(ax):
    image = figures.plot_activity_histogram(X[:3], torch.tensor([[5.0, 0.0], [3.0, 2.0]]), ax)
    assert image.get_array().reshape(2, 2).mask.tolist() == [[False, False], [True, False]]


def test_table_angles_share_their_axes():
    ax = case("plot_table_angles")
    assert legend(ax) == ["equal", "a", "b", "paper"]
    assert ax.get_xlim() == ax.get_ylim() == (0.0, pytest.approx(1.1 * max(3.3, *map(max, (A, B, C, MANY[:, 0])))))


# Several channels


def test_plane_of_values_of_one_sign(ax, rng):
    y, v = randn(3, 4, 2, rng=rng), randn(3, 4, rng=rng).requires_grad_()
    points = figures.plot_plane(y, v, ax)
    assert points.get_clim() == (-v.abs().max().item(), v.abs().max().item())  # zero is in the middle
    above = figures.plot_plane(y, v.abs() + 1, ax)
    assert above.get_clim() == (v.abs().min().item() + 1, v.abs().max().item() + 1)
    assert (points.get_cmap().name, above.get_cmap().name) == ("coolwarm", "viridis")


def test_direction(ax):
    ax.set(xlim=(-2, 2), ylim=(-2, 2))
    figures.plot_direction(torch.tensor([3.0, 4.0]), ax, label="me")
    assert ax.lines[0].get_xy2() == pytest.approx((-0.8, 0.6))  # through zero, at a right angle to the arrow
    arrow, text = ax.texts
    assert arrow.xy == pytest.approx((1.8 * 0.6, 1.8 * 0.8))
    assert text.get_text() == "me" and np.arctan2(*text.xy) == pytest.approx(np.arctan2(3, 4))


@pytest.mark.parametrize("many, names", [(2, ["network 1", "network 2"]), (16, ["16 networks"])])
def test_network_spectra_lie_side_by_side(ax, many, names):
    figures.plot_network_spectra([torch.tensor([3.0, 2.0, 0.1]) + 0.01 * k for k in range(many)], ax, outliers=2)
    outliers = ax.lines[:-1:2]
    places = np.array([line.get_xdata() for line in outliers])
    assert np.all(np.diff(places, axis=0) > 0) and np.abs(places - [1, 2]).max() < 0.5
    assert {to_hex(line.get_color()) for line in outliers} == {COLOURS["output"]}
    assert len({line.get_marker() for line in outliers}) == (many if many == 2 else 1)
    assert legend(ax) == names


@pytest.mark.parametrize("projection", [None, "polar"])
def test_angles(projection):
    ax = plt.figure().add_subplot(projection=projection)
    counts = torch.tensor([1.0, 5.0, 2.0, 4.0])
    figures.plot_angles(counts, ax, uniform=3.0, label="ReLU")
    assert [bar.get_height() for bar in ax.patches] == counts.tolist()
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    assert middles == pytest.approx([-0.75 * pi, -pi / 4, pi / 4, 0.75 * pi])
    assert set(ax.lines[0].get_ydata().tolist()) == {3.0}
    assert set(legend(ax)) == {"ReLU", "even spread"}


def test_selectivities_have_a_legend_for_several_groups(ax):
    many = case("plot_selectivities")
    clouds = [named(many, name).get_color() for name in "abc"]
    assert clouds == [COLOURS[name] for name in ("channel 1", "channel 2", "shared")]
    assert many.get_xlim() == many.get_ylim() and legend(many) == ["a", "b", "c"]
    figures.plot_selectivities(torch.eye(2), torch.tensor([0, 0]), ax, names=["all"])
    assert ax.get_legend() is None


def test_sorted_weights_have_borders(ax, rng):
    W, groups = randn(6, 6, rng=rng), torch.tensor([1, 0, 1, 2, 0, 1])
    image = figures.plot_sorted_weights(W, groups, ax, names=["first", "second", "both"])
    assert image.norm.vmax == -image.norm.vmin == pytest.approx(np.quantile(W.abs(), 0.99))
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [1.5, 4.5]
    assert ax.get_xticks().tolist() == ax.get_yticks().tolist() == [0.5, 3, 5]
    assert texts(ax.get_xticklabels()) == ["first", "second", "both"]
    zeros = figures.plot_sorted_weights(torch.zeros(4, 4), torch.zeros(4), ax)
    assert zeros.get_clim() == (-1, 1)  # nothing to see


@pytest.mark.parametrize("shape", [(8, 3), (2, 8, 3)])
def test_components_are_stacked_by_type(ax, rng, shape):
    figures.plot_components(randn(*shape, rng=rng), torch.arange(8) < 5, ax, name="$l_i$")
    totals = [sum(bar.get_height() for bar in bars.patches) for bars in ax.containers]
    assert totals == [15 * len(shape) - 15, 9 * len(shape) - 9]
    colours = [to_hex(bars.patches[0].get_facecolor()) for bars in ax.containers]
    assert colours == [COLOURS["excitatory"], COLOURS["inhibitory"]]


def test_cells_have_bars_that_end(ax):
    ours = {"leading vectors": [(1.2, 0.1), None, (4.0, 9.0)], "best": [None, None, (1e-3, 1e-4)]}
    figures.plot_cells(["a", "b", "c"], [(1.3, 0.2), (4.9, 0.5), (3.0, 0.1)], ours, ax, chance=[99.9, 99.8, 99.7])
    bars = {bar.get_label(): bar.lines for bar in ax.containers if isinstance(bar, ErrorbarContainer)}
    assert list(bars) == ["paper", *ours]
    assert [round(y) for name in ours for y in bars[name][0].get_ydata()] == [0, 2, 2]
    ends = bars["leading vectors"][2][0].get_segments()
    np.testing.assert_allclose([end[:, 0] for end in ends], [[1.1, 1.3], [0.4, 13.0]])  # none reaches zero
    assert legend(ax) == ["chance", "paper", "leading vectors", "best"]
    assert texts(ax.get_yticklabels()) == ["a", "b", "c"]


def test_decisions(ax):
    figures.plot_evidence(torch.tensor([[1.0, 2.0, -1.0], [3.0, 4.0, 1.0]]), ax)
    first, second = (line.get_ydata() for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal([first, second], [[1, nan], [nan, 4]])  # the integral that counts
    figures.plot_decisions(torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1.0, 1.0, 0.0]), ax)
    assert named(ax, "wrong").get_xdata().tolist() == [1, 2]
    ax = case("plot_accuracies")
    assert ax.get_legend_handles_labels()[1] == ["limit (theory)"]
    assert texts(ax.get_yticklabels()) == ["a", "b", "c"]


# Many networks, and one from elsewhere


def test_pulses_without_decay_are_followed_to_the_end(ax):
    figures.plot_pulses(replace(DIAGNOSIS, decays=(1.0, 0.5)), ax)
    assert max(ax.lines[-1].get_xdata()) == 99


def test_sizes_followed_in_a_range_at_every_size_or_none(ax):
    band = case("plot_sizes_followed")
    assert (band.patches[0].get_x(), band.patches[0].get_width()) == (1.5, 2.5)
    assert band.get_ylim()[0] < 0.01 and 0.2 < band.get_ylim()[1] < inf
    exact = replace(DIAGNOSIS, sizes=torch.tensor([8.0]), size_errors=torch.tensor([0.0]), range=(0.0, inf))
    figures.plot_sizes_followed(exact, ax)
    assert not ax.patches and ax.get_ylim()[0] > 0 and "network, any size" in legend(ax)
    ax.clear()
    figures.plot_sizes_followed(replace(DIAGNOSIS, range=(nan, nan)), ax)
    assert not ax.patches


def test_networks_of_one_size_have_one_colour():
    ax = case("plot_error_curves")
    colours = [to_hex(line.get_color()) for line in ax.lines[:3]]
    assert colours[0] == colours[1] != colours[2]
    assert ax.get_legend_handles_labels()[1] == ["n = 64", "n = 90"]
    ax = case("plot_capacities")
    looks = [(to_hex(line.get_color()), line.get_linestyle()) for line in ax.lines]
    names = [("output", "None"), ("alternative", "None"), ("alternative", "-"), ("theory", "--")]
    assert looks == [(COLOURS[name], style) for name, style in names]
    assert ax.get_legend_handles_labels()[1] == ["a", "b", "t"]


def test_starts_have_medians(ax):
    values = {"sgd": {0: [0.1, 0.3, 0.2], 1: [1.0]}, "sgd, decay": {1: [0.5]}, "adam": {0: [2.0], 1: [3.0, 5.0]}}
    figures.plot_starts(values, ax)
    medians = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert [line.get_ydata().tolist() for line in medians] == [[0.2, 1.0], [0.5], [2.0, 4.0]]
    assert [line.get_color() for line in medians] == [COLOURS[k] for k in ("output", "output", "alternative")]
    assert ax.get_legend_handles_labels()[1] == list(values)


def test_bends_open_upwards(ax):
    y = np.linspace(-2, 2, 9)
    figures.plot_bends({"straight": np.stack([y, 0 * y, y], 1), "bent": np.stack([y, -abs(y) / 2], 1)}, ax)
    straight, bent = ax.lines
    np.testing.assert_allclose(straight.get_ydata(), 0)
    np.testing.assert_allclose(bent.get_ydata(), np.abs(bent.get_xdata()) / 2)
    assert np.abs(bent.get_xdata()).max() == 1


def test_disturbed_networks_are_named_once():
    ax = case("plot_disturbance")
    assert ax.get_legend_handles_labels()[1] == ["a", "b", "predicted"]
    lines = [line.get_color() for line in ax.lines if line.get_linestyle() != "None"]
    assert lines == [COLOURS[name] for name in ("output", "alternative", "theory")]


def test_margins_begin_at_the_top(ax):
    figures.plot_margins(
        {"first": torch.tensor([1.0, 2.0, 4.0]), "second": torch.tensor([[3.0], [1e9]])}, ax, largest=50
    )
    ticks, median, others = ax.lines[:3]
    np.testing.assert_array_equal(ticks.get_xydata(), [[1, 1], [2, 1], [4, 1]])
    np.testing.assert_array_equal(median.get_xydata(), [[2, 1]])
    np.testing.assert_array_equal(others.get_xydata(), [[3, 0], [50, 0]])
    assert texts(ax.get_yticklabels()) == ["second", "first"]


def test_cliff_falls_to_the_lowest(ax):
    values = {"a": torch.tensor([0.0, 8.0, 4.0]), "b": torch.tensor([1.0, 0.5, -1e-20])}
    figures.plot_cliff(values, {"a": 2, "b": 3}, ax, lowest=1e-12)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 1e-12]])
    np.testing.assert_allclose(ax.lines[2].get_ydata(), [1, 0.5, 1e-12])
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [2.5, 3.5]
