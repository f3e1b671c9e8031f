"""Pictures of appendices E to G: what is drawn, on the axes that were handed in."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)


def test_plot_minima():
    ax = plt.figure().add_subplot(projection="3d")
    assert figures.plot_minima(ax, alpha0=-2.0, beta0=3.0, reach=5.0, height=1.0) is ax
    assert len(ax.collections) == 3
    (line,) = ax.get_lines()
    assert [list(part) for part in line.get_data_3d()] == [[3, 3], [-2, -2], [-1, 1]]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == (r"$\alpha$", r"$\beta$", r"$\lambda$")


def test_plot_iso_scales(ax):
    alpha = torch.linspace(-5, 5, 11)
    curves = [alpha.clone(), 100 * alpha]
    assert figures.plot_iso_scales(alpha, curves, [0.5, 2.0], ax, alpha0=-2.0, beta0=3.0, reach=5.0) is ax
    np.testing.assert_array_equal(named(ax, "$s=0.5$").get_ydata(), alpha.numpy())
    assert np.isfinite(named(ax, "$s=2$").get_ydata()).sum() == 1  # what lies outside is not joined
    assert torch.equal(curves[1], 100 * alpha)
    assert named(ax, "$s=0$").get_xdata()[0] == -2.0
    assert named(ax, r"$s=d^\dagger e$").get_xdata()[0] == 3.0


def test_plot_eigenvalues(ax, rng):
    alpha, values = torch.linspace(-1, 1, 5), randn(5, 3, rng=rng).abs()
    assert figures.plot_eigenvalues(alpha, values, ax, poles={"pole": 0.3}) is ax
    for k, name in enumerate(("smallest", "middle", "largest")):
        np.testing.assert_array_equal(named(ax, name).get_ydata(), values[:, k].numpy())
    assert ax.get_yscale() == "log" and [text.get_text() for text in ax.texts] == ["pole"]


def test_plot_conditions(ax, rng):
    s, grid, fine = torch.logspace(-3, 1, 6), randn(6, rng=rng).abs(), randn(6, rng=rng).abs()
    draws = {"b": randn(4, 6, rng=rng).abs()}
    assert figures.plot_conditions(s, {"a": (grid, fine, 0.1), "b": (fine, grid, -0.1)}, ax, draws=draws) is ax
    np.testing.assert_array_equal(named(ax, "a").get_ydata(), fine.numpy())
    assert len(ax.get_lines()) == 2 * 2 + 4 + 1  # two curves twice, four draws, one positive overlap
    assert named(ax, "a").get_color() == COLOURS["output"]


def test_plot_contraction(ax):
    values = {"slow": torch.tensor([1.0, 0.5]), "fast": torch.tensor([1.0, 0.1])}
    assert figures.plot_contraction([0, 1], values, ax, theory=values) is ax
    np.testing.assert_allclose(named(ax, "fast").get_ydata(), [1.0, 0.1])
    assert len(ax.get_lines()) == 4


def test_plot_stall(ax):
    assert figures.plot_stall(torch.arange(3), torch.ones(3), torch.tensor([0.0, 1e-16, 1.0]), ax) is ax
    assert named(ax, "asymmetry of the weights").get_ydata()[0] > 0
    np.testing.assert_array_equal(named(ax, "loss").get_ydata(), np.ones(3))
