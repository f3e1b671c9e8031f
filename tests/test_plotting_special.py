"""Pictures of special cases, of perturbed starts and of several channels."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lib import figures
from lib.figures import COLOURS


@pytest.fixture
def ax():
    with plt.rc_context():
        yield plt.figure().add_subplot()
    plt.close("all")


def named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


def test_plot_disk(ax):
    before = torch.tensor([0.05 + 0.05j, 0.05 - 0.05j, 0.02 + 0j])
    after = torch.tensor([0.99 + 0j, 0.05 - 0.05j, 0.02 + 0j])
    assert figures.plot_disk(before, after, ax, radius=0.1) is ax
    assert len(named(ax, "start").get_xdata()) == 3
    assert len(named(ax, "trained").get_xdata()) == 2
    large = next(line for line in ax.get_lines() if line.get_markersize() == 9)
    np.testing.assert_allclose(large.get_xdata(), [0.99], rtol=1e-6)
    assert [patch.get_radius() for patch in ax.patches] == [0.1, 1.0]


def test_plot_relative_errors(ax):
    figures.plot_relative_errors({"a": torch.tensor([-0.1, 0.2, 0.3]), "b": torch.ones(3)}, ax, trained=2)
    np.testing.assert_allclose(named(ax, "a").get_ydata(), [0.1, 0.2, 0.3])
    assert list(named(ax, "b").get_xdata()) == [1, 2, 3]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert named(ax, "a").get_linestyle() != named(ax, "b").get_linestyle()


def test_plot_scaling(ax):
    """The dashed line has the slope that was given and meets values of that slope."""
    x = [1.0, 2.0, 4.0]
    figures.plot_scaling(x, {"shift": [3.0, 12.0, 48.0], "spread": torch.ones(3)}, ax, slopes=[2, 0])
    dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed[0].get_ydata(), [3.0, 12.0, 48.0])
    np.testing.assert_allclose(dashed[1].get_ydata(), 1.0)


def test_plot_channel_eigenvalues(ax):
    figures.plot_channel_eigenvalues(torch.tensor([[0.9, 0.5, 0.0], [0.9, 0.5, 0.1]]), [0.9, 0.5], ax, chosen=2)
    points = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [line.get_color() for line in points] == [COLOURS["channel 1"], COLOURS["channel 2"], "0.55"]
    dashes = [line.get_ydata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"]
    assert dashes == [0.9, 0.5]


def test_plot_channels(ax):
    y = torch.tensor([[1.0, 0.0], [0.9, 0.5], [0.81, 0.4]])
    figures.plot_channels(y, y + 0.1, ax)
    np.testing.assert_allclose(named(ax, "channel 2").get_ydata(), y[:, 1])
    assert named(ax, "channel 2").get_color() == COLOURS["channel 2"]


def test_plot_products(ax):
    image = figures.plot_products(torch.tensor([[-0.8, 0.1], [0.0, 0.6]]), ax, rows="d", columns="l")
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.1], [0.0, 0.6]], rtol=1e-6)
    assert [text.get_text() for text in ax.texts] == ["0.80", "0.10", "0.00", "0.60"]
    assert ax.get_yticklabels()[1].get_text() == r"$d_2^\dagger$"


def test_plot_fit_residuals(ax):
    figures.plot_fit_residuals({2: {2: [1.0, 2.0], 4: [1e-30]}, 3: {3: [3.0]}}, ax)
    assert sum(len(line.get_xdata()) for line in ax.get_lines()) == 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["$D=2$", "$D=3$"]


def test_plot_recursion(ax):
    path = {"slow": torch.tensor([0.0, 0.5, 0.75])}
    figures.plot_recursion(path, path, ax)
    np.testing.assert_allclose(named(ax, "slow").get_ydata(), [0.0, 0.5, 0.75])
    assert any(line.get_linestyle() == "--" and len(line.get_xdata()) == 3 for line in ax.get_lines())


def test_plot_limits(ax):
    figures.plot_limits(torch.tensor([0.5, 2.5]), torch.tensor([0.0, 0.1]), ax, printed=1.0, right=2.0, floor=1e-17)
    np.testing.assert_allclose(named(ax, "after training").get_ydata(), [1e-17, 0.1], rtol=1e-6)
    assert list(named(ax, "theory").get_xdata()) == [2.0, 2.0]
    assert named(ax, "printed limit").get_marker() == "D"


def test_plot_polynomials(ax):
    z = torch.linspace(-1, 1, 3)
    figures.plot_polynomials(z, {"T=2": torch.tensor([-4.0, -1.0, 2.0])}, ax, root=0.9)
    np.testing.assert_allclose(named(ax, "T=2").get_ydata(), [-1.0, -0.25, 0.5])
