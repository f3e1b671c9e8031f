"""lib.figures.moments: what is drawn, on the axes that were handed in."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS


@pytest.fixture
def ax():
    yield plt.figure().add_subplot()
    plt.close("all")


def test_plot_moments(ax, rng):
    moments, targets = randn(3, 7, rng=rng), randn(7, rng=rng)
    assert figures.plot_moments(moments, targets, ax, trained=2) is ax
    target, *lines = ax.get_lines()
    assert to_hex(target.get_color()) == COLOURS["target"]
    np.testing.assert_array_equal(target.get_ydata(), targets)
    np.testing.assert_array_equal([line.get_ydata() for line in lines], moments)
    assert ax.get_legend_handles_labels()[1] == [r"integrator, $s\gamma^q$", "fitted networks"]
    assert ax.patches[0].get_extents().width > 0


def test_plot_moment_errors(ax, rng):
    errors = {2: randn(2, 5, rng=rng).abs(), 3: torch.zeros(1, 5)}
    assert figures.plot_moment_errors(errors, ax) is ax
    assert [line.get_label() for line in ax.get_lines()][::2] == ["trained on $T=2$", "trained on $T=3$"]
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), errors[2][0])
    assert (np.asarray(ax.get_lines()[2].get_ydata()) > 0).all()
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_plot_sample_means(ax):
    gaps, bars = torch.tensor([0.1, -0.01]), torch.tensor([0.2, 0.02])
    assert figures.plot_sample_means([10, 1000], gaps, bars, ax) is ax
    (container,) = ax.containers
    np.testing.assert_allclose(container.lines[0].get_ydata(), gaps)
    assert ax.get_lines()[0].get_linestyle() == "--" and ax.get_xscale() == "log"


def test_plot_spectra(ax):
    spectra = {"a": torch.tensor([0.0, 4.0, 1.0]), "b": torch.tensor([-1.0, 2.0])}
    assert figures.plot_spectra(spectra, ax, floor=1e-6) is ax
    drawn = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
    np.testing.assert_allclose(drawn["a"].get_ydata(), [1, 0.25, 1e-6])
    np.testing.assert_allclose(drawn["b"].get_ydata(), [1])
    negative = ax.get_lines()[-1]
    np.testing.assert_allclose(negative.get_ydata(), [0.5])
    assert negative.get_markerfacecolor() == "none"
