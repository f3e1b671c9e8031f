"""Pictures of several channels: what is drawn, in which colour, on the axes that were handed in."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


def test_plot_plane(ax, rng):
    y, v = randn(3, 4, 2, rng=rng), randn(3, 4, rng=rng).requires_grad_()
    points = figures.plot_plane(y, v, ax)
    np.testing.assert_array_equal(points.get_offsets(), y.reshape(-1, 2).numpy())
    np.testing.assert_array_equal(points.get_array(), v.detach().flatten().numpy())
    assert points.get_clim() == (-v.abs().max().item(), v.abs().max().item())  # zero is in the middle
    assert points.get_cmap().name == "coolwarm"
    assert ax.get_xlabel() and ax.get_ylabel() and ax.get_aspect() == 1
    points = figures.plot_plane(y, v.abs() + 1, ax)
    assert points.get_cmap().name == "viridis"
    assert points.get_clim() == (v.abs().min().item() + 1, v.abs().max().item() + 1)


def test_plot_direction(ax):
    ax.set(xlim=(-2, 2), ylim=(-2, 2))
    figures.plot_direction(torch.tensor([3.0, 4.0]), ax, label="me")
    (line,) = ax.get_lines()
    slope = line.get_slope() if hasattr(line, "get_slope") else None
    assert slope is None or slope == pytest.approx(-3 / 4)  # at a right angle to the arrow
    arrow, text = ax.texts
    assert arrow.xy == pytest.approx((1.8 * 0.6, 1.8 * 0.8))
    assert text.get_text() == "me"
    assert np.cross([*text.xy, 0], [3, 4, 0])[2] == pytest.approx(0, abs=1e-5)


def test_plot_network_spectra(ax):
    spectra = [torch.tensor([3.0, 2.0, 0.1, 0.05, 0.01]), torch.tensor([4.0, 1.0, 0.2, 0.02, 0.01])]
    figures.plot_network_spectra(spectra, ax, outliers=2, first=4)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_marker() not in ("None", "")]
    outliers, bulk = lines[::2], lines[1::2]
    for k in (0, 1):
        np.testing.assert_allclose(outliers[k].get_ydata(), spectra[k][:2].numpy())
        np.testing.assert_allclose(bulk[k].get_ydata(), spectra[k][2:4].numpy())
        assert to_hex(outliers[k].get_color()) == COLOURS["output"] != to_hex(bulk[k].get_color())
        np.testing.assert_allclose(np.round(outliers[k].get_xdata()), [1, 2])
    assert outliers[0].get_marker() != outliers[1].get_marker()
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["network 1", "network 2"]


def test_plot_network_spectra_of_many(ax):
    spectra = [torch.tensor([3.0, 2.0, 0.1]) + 0.01 * k for k in range(16)]
    figures.plot_network_spectra(spectra, ax, outliers=2)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 2 and line.get_marker() not in ("None", "")]
    assert len(lines) == 16
    places = np.array([line.get_xdata() for line in lines])
    assert np.all(np.diff(places, axis=0) > 0)  # side by side
    assert np.abs(places - [1, 2]).max() < 0.5  # nearer to their rank than to the next
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["16 networks"]


@pytest.mark.parametrize("projection", [None, "polar"])
def test_plot_angles(projection):
    ax = plt.figure().add_subplot(projection=projection)
    counts = torch.tensor([1.0, 5.0, 2.0, 4.0])
    figures.plot_angles(counts, ax, uniform=3.0, label="ReLU")
    assert [bar.get_height() for bar in ax.patches] == counts.tolist()
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    assert middles == pytest.approx([-0.75 * np.pi, -np.pi / 4, np.pi / 4, 0.75 * np.pi])
    (line,) = ax.get_lines()
    assert set(line.get_ydata().tolist()) == {3.0}
    assert (to_hex(line.get_color()), line.get_linestyle()) == (COLOURS["theory"], "--")
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"ReLU", "even spread"}
    figures.plot_angles(counts, plt.figure().add_subplot(projection=projection), uniform=3.0, color="red")


def test_plot_sorted_weights(ax, rng):
    W, groups = randn(6, 6, rng=rng), torch.tensor([1, 0, 1, 2, 0, 1])
    image = figures.plot_sorted_weights(W, groups, ax, names=["first", "second", "both"])
    order = [1, 4, 0, 2, 5, 3]
    np.testing.assert_array_equal(image.get_array(), W[order][:, order].numpy())
    assert image.norm.vcenter == 0 and image.norm.vmax == -image.norm.vmin
    assert sorted({line.get_xdata()[0] for line in ax.get_lines()[1::2]}) == [1.5, 4.5]
    assert sorted({line.get_ydata()[0] for line in ax.get_lines()[::2]}) == [1.5, 4.5]
    assert ax.get_xticks().tolist() == ax.get_yticks().tolist() == [0.5, 3, 5]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["first", "second", "both"]
    assert "from" in ax.get_xlabel() and "to" in ax.get_ylabel()
    figures.plot_sorted_weights(torch.zeros(4, 4), torch.zeros(4), plt.figure().add_subplot())  # nothing to see


def test_plot_components(ax, rng):
    vectors, excitatory = randn(2, 8, 3, rng=rng), torch.arange(8) < 6
    figures.plot_components(vectors, excitatory, ax, name="$l_i$")
    first, second = ax.containers
    assert sum(bar.get_height() for bar in first.patches) == 2 * 6 * 3
    assert sum(bar.get_height() for bar in second.patches) == 2 * 2 * 3
    colours = [to_hex(container.patches[0].get_facecolor()) for container in (first, second)]
    assert colours == [COLOURS["excitatory"], COLOURS["inhibitory"]]
    right = sum(bar.get_height() for bar in first.patches if bar.get_x() > 0.0)
    border = [bar for bar in first.patches if bar.get_x() <= 0 < bar.get_x() + bar.get_width()]
    assert right <= int((vectors[:, :6] > 0).sum()) <= right + sum(bar.get_height() for bar in border)
    figures.plot_components(vectors[0], excitatory, plt.figure().add_subplot(), name="$l_i$")
