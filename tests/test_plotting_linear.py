"""Pictures of the task, of training and of linear networks: numbers that are not drawn as they are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn
from matplotlib.colors import to_hex
from pictures import DIAGNOSIS, KINDS, MANY, A, B, C, X, case, legend, named, texts

from lib import figures
from lib.analysis.representation import POPULATIONS
from lib.figures import COLOURS, MARKERS, new_axes


@pytest.fixture(autouse=True)
def closed():
    """No figure stays open."""
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


# The task and the representation


def test_integral_has_no_stem_without_input(ax):
    figures.plot_integral(torch.tensor([0.7, 0.0, -0.3, 0.0]), A[:4], ax)
    (stems,) = ax.collections
    np.testing.assert_allclose(stems.get_segments(), [[[0, 0], [0, 0.7]], [[2, 0], [2, -0.3]]])
    assert legend(ax) == ["input $x_t$", r"target $\bar y_t$"]


def test_memories_differ_in_grey_and_dashes():
    ax = case("plot_memories")
    short, *_, long = ax.lines[1:]
    assert float(short.get_color()) > float(long.get_color()) + 0.2
    assert short.get_linestyle() != long.get_linestyle()
    assert legend(ax)[1:] == [rf"memory, $\gamma={gamma}$" for gamma in ("0.5", "0.9", "0.995")]


def test_pulse_has_the_colours_of_populations():
    for ax in case("plot_pulse"):
        kinds = [POPULATIONS[kind] for kind in KINDS[:3]]
        assert [line.get_color() for line in ax.lines[1:]] == [COLOURS[kind] for kind in kinds]
        assert [line.get_linestyle() for line in ax.lines[1:]] == ["-", "--", "-"]


def test_network_has_two_channels(ax):
    figures.draw_network(ax, neurons=5)
    assert {f"${side}_{{{c},t}}$" for side in "xy" for c in (1, 2)} <= set(texts(ax.texts))
    np.testing.assert_allclose(np.hypot(*ax.lines[-1].get_data()), np.ones(5))


def test_population_histograms(rng):
    L_plus, L_minus = (randn(200, rng=rng).clamp_min(0) for _ in range(2))
    kinds = (L_plus > 0.1).long() + 2 * (L_minus > 0.1).long()
    _, axes = new_axes(2)
    figures.plot_population_histograms(L_plus, L_minus, kinds, axes, threshold=0.1)
    for ax, values in zip(axes, (L_plus, L_minus), strict=True):
        for name, bars in zip(("positive", "negative", "shared"), ax.containers, strict=True):
            assert to_hex(bars.patches[0].get_facecolor()) == COLOURS[name]
            members = (kinds == POPULATIONS.index(name)) & (values > 0.1)
            assert sum(patch.get_height() for patch in bars.patches) == int(members.sum())
        edges = np.linspace(0, float(max(L_plus.max(), L_minus.max())), len(ax.containers[0].patches) + 1)
        top = np.max([[p.get_y() + p.get_height() for p in bars.patches] for bars in ax.containers], axis=0)
        np.testing.assert_array_equal(top, np.histogram(values[values > 0.1].numpy(), edges)[0])
    assert axes[0].get_legend() is None and set(legend(axes[1])) == {"positive", "negative", "shared"}


def test_currents_and_activity_name_their_neurons():
    ax = case("plot_currents")
    line = named(ax, "neuron 1 (positive)")
    assert (line.get_marker(), line.get_color()) == (MARKERS["positive"], COLOURS["positive"])
    positive, negative = case("plot_activity")[1].lines
    assert [positive.get_color(), negative.get_color()] == [COLOURS["positive"], COLOURS["negative"]]
    assert positive.get_linestyle() != negative.get_linestyle()


def test_manifold_of_a_plane(ax, rng):
    """A plane in seven dimensions, with the longer axis along the integral, is drawn as it is; its colours too."""
    y, other = 10 * randn(4, 30, rng=rng), randn(4, 30, rng=rng)
    other -= (y * other).sum() / y.square().sum() * y
    u, v = torch.linalg.qr(randn(7, 2, rng=rng)).Q.T
    points = figures.plot_manifold(y[..., None] * u + other[..., None] * v, y, ax, name="current")
    places = points.get_offsets()
    np.testing.assert_allclose(places[:, 0], y.flatten(), atol=1e-9)
    np.testing.assert_allclose(np.abs(places[:, 1]), other.abs().flatten(), atol=1e-9)
    assert places[np.abs(places[:, 1]).argmax(), 1] > 0
    assert points.get_clim() == (-float(y.abs().max()), float(y.abs().max()))
    assert ax.get_xlabel().startswith("current")
    plt.gcf().colorbar(points, ax=ax)


def test_images_by_population():
    ax = case("plot_images")
    for kind in POPULATIONS:
        assert len(named(ax, kind).get_xdata()) == int((KINDS == POPULATIONS.index(kind)).sum())
        assert to_hex(named(ax, kind).get_color()) == COLOURS[kind]
    ends = named(ax, "slope \u22120.7").get_xydata()
    np.testing.assert_allclose(ends[:, 1], -0.7 * ends[:, 0])
    above, beside = ax.child_axes
    assert sum(patch.get_height() for patch in above.patches) == len(KINDS)
    assert sum(patch.get_width() for patch in beside.patches) == len(KINDS)


# Training


def test_losses_take_options_of_the_line(ax):
    figures.plot_losses([4.0, 2.0, 1.0], ax, label="run", color="red", lw=3, ls="--", marker="s")
    figures.plot_losses([1.0, 2.0], ax)
    options = [(line.get_color(), line.get_linewidth(), line.get_linestyle(), line.get_marker()) for line in ax.lines]
    assert options == [("red", 3, "--", "s"), (COLOURS["output"], 1, "-", "None")] and ax.get_legend_handles_labels()[
        1
    ] == ["run"]


def test_many_losses_are_named_once():
    assert case("plot_decay").get_legend_handles_labels()[1] == ["runs"]
    assert case("plot_power_law").get_legend_handles_labels()[1] == ["runs", "theory"]
    assert case("plot_onset").get_legend_handles_labels()[1] == ["n"]
    assert case("plot_moments").get_legend_handles_labels()[1] == [r"integrator, $s\gamma^q$", "fitted networks"]


def test_numbers_below_a_floor_are_drawn_there(ax):
    zeros = torch.tensor([0.0, 0.3, 2.0])
    figures.plot_stall(X[:3], A[:3], zeros, ax)
    figures.plot_limits(X[:3], zeros, ax, printed=1.5, right=2.5, floor=1e-9)
    figures.plot_moment_errors({2: zeros[None]}, ax)
    lowest = [named(ax, name).get_ydata()[0] for name in ("asymmetry of the weights", "after training")]
    np.testing.assert_allclose([*lowest, named(ax, "trained on $T=2$").get_ydata()[0]], [1e-17, 1e-9, 1e-17])


def test_thresholds(ax):
    figures.plot_thresholds([2, 3, 10], [0.9, 0.5, 0.1], ax, label="ours", color="red")
    (line,) = ax.lines
    assert (line.get_ydata().tolist(), line.get_color(), line.get_label()) == ([0.9, 0.5, 0.1], "red", "ours")
    assert texts(ax.get_xticklabels()) == ["2", "3", "10"]


def test_range_over_networks_is_a_band():
    band = case("plot_against_scale").collections[0].get_paths()[0].vertices
    for x, values in zip(X, MANY, strict=True):
        ends = band[np.isclose(band[:, 0], x), 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [values.min(), values.max()])


def test_courses_have_a_colour_by_sampler_and_dashes_by_rate():
    ax = case("plot_courses")
    first, second, third = ax.lines[:3]
    assert first.get_color() == second.get_color() != third.get_color()
    assert first.get_linestyle() == third.get_linestyle() != second.get_linestyle()
    assert [line.get_label() for line in ax.lines[:3]] == ["a, rate p", "a, rate q", "b, rate p"]
    assert texts(ax.get_xticklabels()) == ["1", "11", "100", "1000"]  # 10 and 11 would overlap


def test_spread_has_means(ax):
    figures.plot_spread({"a": [1.0, 2.0, 6.0], "b": torch.tensor([4.0])}, ax, paper=5.0)
    assert [segment[0][1] for bar in ax.collections for segment in bar.get_segments()] == [3.0, 4.0]
    assert texts(ax.get_xticklabels()) == ["a", "b", "paper"]


# Linear networks


def test_moments_that_were_trained_are_shaded():
    assert case("plot_moments").patches[0].get_extents().width > 0
    assert case("plot_relative_errors").patches[0].get_extents().width > 0


def test_branch_that_follows_the_target_has_dots():
    target, *branches = case("plot_moment_branches").lines
    assert to_hex(target.get_color()) == COLOURS["target"]
    assert [line.get_marker() for line in branches] == ["None", "o", "None"]
    assert len({line.get_linestyle() for line in branches}) == len({line.get_color() for line in branches}) == 3


def test_sample_means_have_error_bars():
    (bars,) = case("plot_sample_means").containers
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(ends, np.stack([A - B, A + B], axis=1))


def test_negative_eigenvalues_are_open(ax):
    spectra = {"a": torch.tensor([0.0, 4.0, 1.0]), "b": torch.tensor([-1.0, 2.0])}
    figures.plot_spectra(spectra, ax, floor=1e-6)
    np.testing.assert_allclose(named(ax, "a").get_ydata(), [1, 0.25, 1e-6])
    np.testing.assert_allclose(named(ax, "b").get_ydata(), [1])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), [0.5])
    assert ax.lines[-1].get_markerfacecolor() == "none"


def test_disk(ax):
    before = torch.tensor([0.05 + 0.05j, 0.05 - 0.05j, 0.02 + 0j])
    after = torch.tensor([0.99 + 0j, 0.05 - 0.05j, 0.02 + 0j])
    figures.plot_disk(before, after, ax, radius=0.1)
    start, trained, out = ax.lines
    assert (len(start.get_xdata()), len(trained.get_xdata()), out.get_markersize()) == (3, 2, 9)
    np.testing.assert_allclose(out.get_xydata(), [[0.99, 0]], rtol=1e-6)
    assert [patch.get_radius() for patch in ax.patches] == [0.1, 1.0]


def test_lines_of_a_slope_meet_values_of_that_slope():
    dashed = [line.get_ydata() for line in case("plot_scaling").lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0], 3 * X**2)
    np.testing.assert_allclose(np.diff(np.log(dashed[1])) / np.diff(X.log()), -0.5)
    assert np.log(dashed[1]).mean() == pytest.approx(A.log().mean().item())
    line = case("plot_sizes").lines[-1]
    np.testing.assert_allclose(np.diff(np.log(line.get_ydata())) / np.diff(np.log([100, 300, 700])), -0.5)
    assert np.log(line.get_ydata()).mean() == pytest.approx(torch.cat([A, B, C]).log().mean().item())


def test_channels_keep_their_colours():
    points = [line.get_color() for line in case("plot_channel_eigenvalues").lines if line.get_marker() == "o"]
    assert points == [COLOURS["channel 1"], COLOURS["channel 2"], "0.55"]
    assert named(case("plot_channels"), "channel 2").get_color() == COLOURS["channel 2"]
    first, second, *fits = case("plot_pulses").lines
    assert [first.get_color(), second.get_color()] == points[:2] and first.get_marker() != second.get_marker()
    for line, gamma, s in zip(fits, DIAGNOSIS.decays, DIAGNOSIS.scales, strict=True):
        np.testing.assert_allclose(line.get_ydata(), s * gamma ** (np.arange(50) + 1))


def test_products_are_written_in_their_cells(ax):
    figures.plot_products(torch.tensor([[-0.8, 0.1], [0.0, 0.6]]), ax, rows="d", columns="l")
    assert texts(ax.texts) == ["0.80", "0.10", "0.00", "0.60"]
    assert texts(ax.get_yticklabels()) == [r"$d_1^\dagger$", r"$d_2^\dagger$"]


def test_names_of_curves():
    assert legend(case("plot_fit_residuals")) == ["$D=2$", "$D=3$"]
    ax = case("plot_eigenvalues")
    assert (legend(ax), texts(ax.texts)) == (["smallest", "middle", "largest"], ["pole"])
    assert legend(case("plot_eigenvalue_paths")) == ["a", "b", "c"]
    assert legend(case("plot_valley")) == ["from $W = 0$", "random starts"]


def test_only_positive_overlaps_are_marked():
    ax = case("plot_conditions")
    assert len(ax.lines) == 2 * 2 + 3 + 1  # two curves twice, three draws, one overlap
    assert named(ax, "a").get_color() == COLOURS["output"]


# Surfaces


@pytest.mark.parametrize("name", ["plot_surfaces", "plot_minima"])
def test_surfaces(name):
    ax = case(name)
    assert len(ax.collections) == 3 and len(ax.texts) == 3
    beta0, heights = {"plot_surfaces": (2.5, [-0.06, 0.6]), "plot_minima": (3.0, [-1.3, 1.3])}[name]
    lines = [list(map(list, line.get_data_3d())) for line in ax.get_lines()]
    assert lines[0] == [[beta0] * 2, [-2.0] * 2, heights]
    assert ax.get_zlabel()


def test_branches_outside_are_not_joined(ax):
    curves = [X.clone(), 100 * X]
    figures.plot_iso_scales(X, curves, [0.5, 2.0], ax, alpha0=-2.0, beta0=3.0, reach=5.0)
    assert np.isfinite(named(ax, "$s=2$").get_ydata()).sum() == 0
    assert torch.equal(curves[1], 100 * X)
    assert named(ax, "$s=0$").get_xdata()[0] == -2.0
    assert named(ax, r"$s=d^\dagger e$").get_xdata()[0] == 3.0


def test_valley_shows_more_of_the_side_of_zero_weights():
    ax = case("plot_valley")
    assert ax.get_xlim() == ax.get_ylim() == (-3, 1)
