"""The picture of Table 1: every value in its place."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from lib import figures


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


def test_plot_cells():
    ax = plt.figure().add_subplot()
    names, paper = ["a", "b", "c"], [(1.3, 0.2), (4.9, 0.5), (3.0, 0.1)]
    ours = {"leading vectors": [(1.2, 0.1), None, (4.0, 9.0)], "best": [None, None, (1e-3, 1e-4)]}
    figures.plot_cells(names, paper, ours, ax, chance=[99.9, 99.8, 99.7])
    bars = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
    drawn: dict[Any, Any] = {container.get_label(): container.lines for container in bars}
    assert list(drawn) == ["paper", *ours]
    np.testing.assert_allclose(drawn["paper"][0].get_xdata(), [1.3, 4.9, 3.0])
    np.testing.assert_allclose(drawn["leading vectors"][0].get_xdata(), [1.2, 4.0])
    assert [round(y) for y in drawn["leading vectors"][0].get_ydata()] == [0, 2]
    assert [round(y) for y in drawn["best"][0].get_ydata()] == [2]
    ends = drawn["leading vectors"][2][0].get_segments()
    np.testing.assert_allclose([end[:, 0] for end in ends], [[1.1, 1.3], [0.4, 13.0]])  # none reaches zero
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["chance", "paper", "leading vectors", "best"]
    assert ax.get_xscale() == "log" and [text.get_text() for text in ax.get_yticklabels()] == names
