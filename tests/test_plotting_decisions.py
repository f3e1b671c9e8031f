"""Pictures of decisions: which integral counts, where a read-out is wrong, limits of others."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


def test_plot_evidence():
    y = torch.tensor([[1.0, 2.0, -1.0], [3.0, 4.0, 1.0]])
    ax = figures.plot_evidence(y, plt.figure().add_subplot())
    first, second = (line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(first.get_ydata(), [1, np.nan])
    np.testing.assert_array_equal(second.get_ydata(), [np.nan, 4])
    assert to_hex(second.get_color()) == COLOURS["channel 2"]


def test_plot_decisions():
    ax = figures.plot_decisions(
        torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1.0, 1.0, 0.0]), plt.figure().add_subplot()
    )
    (crosses,) = (line for line in ax.lines if line.get_marker() == "x")
    np.testing.assert_array_equal(crosses.get_xdata(), [1, 2])
    assert to_hex(ax.lines[1].get_color()) == COLOURS["target"]


def test_plot_accuracies():
    shares = {"all": 0.9, "single": 0.8, "linear": 0.7}
    ax = figures.plot_accuracies(shares, [None, 0.875, 0.75], plt.figure().add_subplot())
    assert [bar.get_width() for bar in ax.patches] == [0.9, 0.8, 0.7]
    assert [line.get_xdata()[0] for line in ax.lines] == [0.875, 0.75]
    assert {to_hex(line.get_color()) for line in ax.lines} == {COLOURS["theory"]}
    assert ax.get_legend_handles_labels()[1] == ["limit (theory)"]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(shares)
