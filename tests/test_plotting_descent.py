"""Pictures of descent among the integrators of the reduced space."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn

from lib import figures
from lib.figures import COLOURS


@pytest.fixture
def ax():
    with plt.rc_context():
        yield plt.figure().add_subplot()
    plt.close("all")


def test_plot_surfaces():
    ax = plt.figure().add_subplot(projection="3d")
    path = torch.linspace(0, 1, 5), torch.linspace(0, -1, 5), torch.linspace(0, 0.2, 5)
    assert figures.plot_surfaces(-2.0, 2.5, {"one": path, "two": path}, ax) is ax
    assert len(ax.collections) == 3
    assert ax.get_legend_handles_labels()[1] == ["one", "two"]
    assert {text.get_text() for text in ax.texts} >= {"rank one", r"$\mathcal{M}_\alpha$", r"$\mathcal{M}_\beta$"}
    plt.gcf().canvas.draw()
    plt.close("all")


def test_plot_eigenvalue_paths(ax, rng):
    paths = {name: randn(6, 2, rng=rng) for name in ("slow", "a", "b")}
    assert figures.plot_eigenvalue_paths(paths, ax, decay=0.9) is ax
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["a"].get_ydata(), paths["a"][:, 1].numpy())
    assert lines["slow"].get_linestyle() != lines["a"].get_linestyle()
    assert ax.lines[-1].get_color() == COLOURS["theory"]


def test_plot_decay(ax, rng):
    losses = randn(5, 3, rng=rng).exp()
    assert figures.plot_decay(range(5), losses, ax, label="runs") is ax
    assert len(ax.lines) == 3 and ax.get_yscale() == "log" and ax.get_xscale() == "linear"
    assert [line.get_label() for line in ax.lines].count("runs") == 1
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), losses[:, 2].numpy())


def test_plot_valley(ax, rng):
    path = randn(4, rng=rng), randn(4, rng=rng)
    slow = torch.ones(3), torch.ones(3)
    assert figures.plot_valley([path], slow, ax, limit=2.0) is ax
    assert ax.get_xlim() == ax.get_ylim() == (-2, 2 / 3)
    assert any(np.array_equal(line.get_xdata(), path[0].numpy()) for line in ax.lines)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["from $W = 0$", "random starts"]
    plt.gcf().canvas.draw()


def test_plot_power_law(ax):
    times = torch.tensor([1.0, 10.0, 100.0])
    assert figures.plot_power_law(times, times[:, None] ** -2, ax, law=times**-2, label="descent") is ax
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [line.get_label() for line in ax.lines] == ["descent", "theory"]
    assert ax.lines[1].get_linestyle() == "--"


def test_plot_moment_branches(ax):
    target = 0.9 ** torch.arange(1, 5)
    moments = torch.stack([0.5 * target, target])
    assert figures.plot_moment_branches(moments, torch.tensor([0.5, 0.9]), ax, target=target) is ax
    assert [line.get_label() for line in ax.lines[1:]] == ["trace 0.5", "trace 0.9"]
    assert [line.get_marker() for line in ax.lines[1:]] == ["None", "o"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), moments[0].numpy())
