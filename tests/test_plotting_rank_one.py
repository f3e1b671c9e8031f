"""lib.figures.rank_one: what is drawn is what was handed in."""

import numpy as np
import pytest
import torch
from equations import randn
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS, new_axes


@pytest.fixture
def ax():
    figure, (ax,) = new_axes()
    yield ax
    plt.close(figure)


def named(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line


def test_plot_images(ax, rng):
    x, y, labels = randn(30, rng=rng), randn(30, rng=rng), torch.arange(30) % 3
    assert figures.plot_images(x, y, labels, ax, slope=-2.0) is ax
    for k, kind in enumerate(("null", "positive", "negative")):
        line = named(ax, kind)
        np.testing.assert_array_equal(line.get_xdata(), x[labels == k].numpy())
        np.testing.assert_array_equal(line.get_ydata(), y[labels == k].numpy())
        assert to_hex(line.get_color()) == COLOURS[kind]
    ends = named(ax, "slope \u22122").get_xydata()
    np.testing.assert_allclose(ends[:, 1], -2 * ends[:, 0])
    above, beside = ax.child_axes
    assert sum(patch.get_height() for patch in above.patches) == 30
    assert sum(patch.get_width() for patch in beside.patches) == 30
    assert "shared" not in [line.get_label() for line in ax.get_lines()]


def test_plot_error_growth(ax):
    assert figures.plot_error_growth({"a": torch.tensor([0.1, 0.2]), "b": [1.0, 2.0, 3.0]}, ax) is ax
    assert named(ax, "a").get_xdata().tolist() == [1, 2]
    assert named(ax, "b").get_ydata().tolist() == [1, 2, 3]
    assert named(ax, "a").get_linestyle() != named(ax, "b").get_linestyle()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_plot_scale_bounds(ax):
    ratios = torch.tensor([[1.0, 1.1], [1.2, 1.3]])
    assert (
        figures.plot_scale_bounds([0.5, 2.0], ratios, ax, curve=[0.1, 10.0], bound=[1.0, 1.01], explicit=[1.0, 2.0])
        is ax
    )
    line = named(ax, "sharper bound")
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0.1, 10], [1, 1.01])
    assert (to_hex(line.get_color()), line.get_linestyle()) == (COLOURS["theory"], "--")
    assert named(ax, "written down").get_ydata().tolist() == [1, 2]
    points = [line for line in ax.get_lines() if line.get_marker() == "o"][0]
    assert points.get_xdata().tolist() == [0.5, 0.5, 2, 2]
    np.testing.assert_array_equal(points.get_ydata(), ratios.flatten().numpy())
    assert ax.get_xscale() == "log"


def test_plot_alignments(ax):
    products = {"one": [0.1, 0.2], "two": torch.tensor([0.3, 0.4])}
    assert figures.plot_alignments([0.5, 2.0], products, ax, curve=[0.1, 1.0], theory=[0.1, 1.0]) is ax
    assert named(ax, "one").get_ydata().tolist() == [0.1, 0.2]
    np.testing.assert_allclose(named(ax, "two").get_ydata(), [0.3, 0.4])
    assert named(ax, r"$\min(s, 1)$").get_ydata().tolist() == [0.1, 1]
    assert named(ax, "one").get_marker() != named(ax, "two").get_marker()


def test_plot_weights(ax):
    W, order = torch.arange(9.0).reshape(3, 3), torch.tensor([2, 0, 1])
    picture = figures.plot_weights(W, order, ax, limit=2.0, border=1)
    assert np.asarray(picture.get_array()).tolist() == [[8, 6, 7], [2, 0, 1], [5, 3, 4]]
    assert picture.get_clim() == (-2, 2)
    assert [line.get_xdata()[0] for line in ax.get_lines()][1] == 0.5
