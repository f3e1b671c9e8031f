"""lib.figures.margins: what is drawn where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lib.figures import plot_cliff, plot_margins


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_plot_margins(ax):
    plot_margins({"first": torch.tensor([1.0, 2.0, 4.0]), "second": torch.tensor([[3.0], [1e9]])}, ax, largest=50)
    ticks, median, others, _, line = ax.lines
    np.testing.assert_array_equal(ticks.get_xydata(), [[1, 1], [2, 1], [4, 1]])  # the first row is on top
    np.testing.assert_array_equal(median.get_xydata(), [[2, 1]])
    np.testing.assert_array_equal(others.get_xydata(), [[3, 0], [50, 0]])
    assert set(line.get_xdata()) == {1}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["second", "first"]
    assert ax.get_xscale() == "log"


def test_plot_cliff(ax):
    values = {"a": torch.tensor([0.0, 8.0, 4.0]), "b": torch.tensor([1.0, 0.5, -1e-20])}
    plot_cliff(values, {"a": 2, "b": 2}, ax, lowest=1e-12)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1, 1], [2, 0.5], [3, 1e-12]])
    np.testing.assert_allclose(ax.lines[2].get_ydata(), [1, 0.5, 1e-12])
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [2.5, 2.5]
    assert ax.get_yscale() == "log"
