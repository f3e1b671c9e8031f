"""Pictures of bounded neurons: what is drawn, and where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from lib import figures
from lib.analysis.tuning import Residuals
from lib.figures import COLOURS


@pytest.fixture
def ax():
    with plt.rc_context():
        yield plt.figure().add_subplot()
    plt.close("all")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_plot_neurons(ax, rng):
    y, states = torch.linspace(-1, 1, 9), torch.rand(9, 4, generator=rng)
    figures.plot_neurons(y, states, ax)
    assert len(ax.get_lines()) == 4
    np.testing.assert_array_equal(ax.get_lines()[2].get_ydata(), states[:, 2].numpy())
    assert len({to_hex(line.get_color()) for line in ax.get_lines()}) == 4


def test_plot_activity_histogram(ax):
    counts = torch.tensor([[5.0, 0.0], [3.0, 2.0], [0.0, 5.0]])
    image = figures.plot_activity_histogram(torch.tensor([-1.0, 0.0, 1.0, 2.0]), counts, ax)
    shown = image.get_array().reshape(2, 3)
    assert shown.mask.tolist() == [[False, False, True], [True, False, False]]  # nobody is drawn where nobody is
    assert shown.compressed().tolist() == [5.0, 3.0, 2.0, 5.0]


def test_plot_pair():
    axes = plt.figure().subplots(1, 2)
    y = torch.tensor([0.0, 1.0])
    figures.plot_pair(
        y, torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 5.0], [6.0, 7.0]]), axes, ["a", "b"]
    )
    drawn = [[line.get_ydata().tolist() for line in ax.get_lines()] for ax in axes]
    assert drawn == [[[0.0, 2.0], [1.0, 3.0]], [[4.0, 6.0], [5.0, 7.0]]]
    assert labels(axes[0]) == ["a", "b"]
    plt.close("all")


def test_plot_range(ax):
    y = torch.linspace(-8, 8, 5)
    figures.plot_range(y, y.clamp(-4, 4), ax, y_max=4.0)
    target, output = ax.get_lines()
    assert to_hex(target.get_color()) == COLOURS["target"] and to_hex(output.get_color()) == COLOURS["output"]
    assert output.get_ydata().tolist() == [-4, -4, 0, 4, 4]
    assert len(labels(ax)) == 2


def test_plot_sizes(ax):
    figures.plot_sizes({100: [0.2, 0.2], 400: [0.1, 0.1]}, -0.5, ax)
    means, line = ax.get_lines()[-2:]
    assert labels(ax) == ["geometric mean", "$n^{-0.5}$"]
    np.testing.assert_allclose(means.get_ydata(), [0.2, 0.1])
    np.testing.assert_allclose(line.get_ydata(), [0.2, 0.1])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["100", "400"]


def test_plot_table_angles(ax):
    figures.plot_table_angles({"fast": ([1.0, 5.0], [2.0, 5.0]), "slow": ([1.0], [1.5])}, ax, paper=3.0)
    assert labels(ax) == ["equal", "fast", "slow", "paper"]
    diagonal, *others = ax.get_lines()
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert [list(line.get_ydata()) for line in others] == [[2.0, 5.0], [1.5], [3.0]]
    assert ax.get_xlim() == ax.get_ylim() == (0.0, 5.5)


def test_plot_courses(ax):
    courses = {("grid", "5e-4"): [3.0, 1.0], ("grid", "5e-5"): [4.0, 2.0], ("strata", "5e-4"): [5.0, 6.0]}
    figures.plot_courses([10, 100], courses, ax, paper=3.2)
    *lines, level, printed = ax.get_lines()
    assert [list(line.get_ydata()) for line in lines] == list(courses.values())
    colours, styles = [line.get_color() for line in lines], [line.get_linestyle() for line in lines]
    assert colours[0] == colours[1] != colours[2] and styles[0] == styles[2] != styles[1]
    assert set(level.get_ydata()) == set(printed.get_ydata()) == {3.2}
    assert [line.get_label() for line in lines] == ["grid, rate 5e-4", "grid, rate 5e-5", "strata, rate 5e-4"]


def test_plot_condition_residuals(ax):
    found = Residuals(torch.tensor([-8.0, 0.0, 8.0]), torch.tensor([-4.0, 0.4, 2.0]), torch.tensor([1.0, 0.1, 0.5]))
    figures.plot_condition_residuals(found, ax, y_max=4.0)
    output, current = ax.get_lines()
    np.testing.assert_allclose(output.get_ydata(), [1.0, 0.1, 0.5])
    np.testing.assert_allclose(current.get_ydata(), [1.0, 0.1, 0.5])
    assert labels(ax) == ["output", "current"] and ax.get_yscale() == "log"
