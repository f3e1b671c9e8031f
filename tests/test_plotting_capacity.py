"""Pictures of capacities: every network is drawn, kinds differ in colour, theory is black."""

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


def test_plot_error_curves():
    ax = plt.figure().add_subplot()
    curves = {64: [([1, 2], [0.1, 0.3]), ([2, 4], [0.2, 0.4])], 128: [([4, 8], [0.1, 0.2])]}
    figures.plot_error_curves(curves, ax, levels=[0.2])
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in lines] == [[1, 2], [2, 4], [4, 8]]
    colours = [to_hex(line.get_color()) for line in lines]
    assert colours[0] == colours[1] != colours[2]
    assert [text.get_text() for text in ax.legend().get_texts()] == ["n = 64", "n = 128"]
    assert ax.lines[-1].get_ydata() == [0.2, 0.2] and to_hex(ax.lines[-1].get_color()) == COLOURS["target"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_plot_capacities():
    ax = plt.figure().add_subplot()
    found = {"ReLU": ([64, 128], [3.0, 5.0]), "sigmoid": ([64], [2.0])}
    figures.plot_capacities(found, ax, laws={"ReLU": ([64, 128], [3, 5])}, theory={"bound": ([10, 100], [3, 10])})
    colours = [to_hex(line.get_color()) for line in ax.lines]
    assert colours == [COLOURS[name] for name in ("output", "output", "alternative", "theory")]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 5])
    assert ax.lines[3].get_linestyle() == "--"
    assert [text.get_text() for text in ax.legend().get_texts()] == ["ReLU", "sigmoid", "bound"]
