"""lib.figures.onset: what is drawn is what was handed in."""

import numpy as np
import torch

from lib.figures import COLOURS, new_axes, plot_against_scale, plot_onset, plot_prediction

SCALES = [0.1, 1.0, 10.0]
VALUES = torch.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 9.0]])


def test_plot_against_scale():
    _, (ax,) = new_axes()
    assert plot_against_scale(SCALES, VALUES, ax, label="found") is ax
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), np.sqrt([3.0, 8.0, 27.0]), rtol=1e-6)
    np.testing.assert_allclose(line.get_xdata(), SCALES)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == 1.0 and band.max() == 9.0


def test_plot_prediction():
    _, (ax,) = new_axes()
    plot_prediction(SCALES, VALUES[0], ax)
    (line,) = ax.lines
    assert line.get_linestyle() == "--" and line.get_color() == COLOURS["theory"]
    np.testing.assert_allclose(line.get_ydata(), VALUES[0])


def test_plot_onset():
    _, (ax,) = new_axes()
    plot_onset([0.8, 1.0, 1.2], VALUES, ax, label="n = 50", colour="output", marker="o")
    assert len(ax.lines) == 2 and ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), VALUES[1])
    assert len(ax.get_legend_handles_labels()[1]) == 1
