"""Pictures of networks from random starts: one marker per network, and currents that bend."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


def test_plot_starts():
    ax = plt.figure().add_subplot()
    values = {"sgd": {0: [0.1, 0.3, 0.2], 1: [1.0]}, "sgd, decay": {1: [0.5]}, "adam": {0: [2.0], 1: [3.0, 5.0]}}
    figures.plot_starts(values, ax)
    medians = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert [line.get_ydata().tolist() for line in medians] == [[0.2, 1.0], [0.5], [2.0, 4.0]]
    colours = [to_hex(line.get_color()) for line in medians]
    assert colours == [COLOURS["output"], COLOURS["output"], COLOURS["alternative"]]
    assert sum(len(line.get_ydata()) for line in ax.lines if line not in medians) == 8
    assert [text.get_text() for text in ax.legend().get_texts()] == list(values)
    assert ax.get_yscale() == "log"


def test_plot_bends():
    ax = plt.figure().add_subplot()
    y = np.linspace(-2, 2, 9)
    figures.plot_bends({"straight": np.stack([y, 0 * y, y], 1), "bent": np.stack([y, -abs(y) / 2], 1)}, ax)
    straight, bent = ax.lines
    np.testing.assert_allclose(straight.get_ydata(), 0)
    np.testing.assert_allclose(bent.get_ydata(), np.abs(bent.get_xdata()) / 2)
    assert np.abs(bent.get_xdata()).max() == 1
