"""The picture of all selectivities: what is drawn, in which colour, on the axes that were handed in."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from equations import randn

from lib import figures
from lib.figures import COLOURS


@pytest.fixture
def ax():
    yield plt.figure().add_subplot()
    plt.close("all")


def test_plot_selectivities(ax, rng):
    s, groups = randn(7, 2, rng=rng), torch.tensor([0, 1, 2, 0, 1, 2, 2])
    assert figures.plot_selectivities(s, groups, ax, names=["one", "two", "both"]) is ax
    clouds = [line for line in ax.get_lines() if line.get_label() in ("one", "two", "both")]
    for k, (line, colour) in enumerate(zip(clouds, ("channel 1", "channel 2", "shared"), strict=True)):
        np.testing.assert_array_equal(line.get_xydata(), s[groups == k].numpy())
        assert line.get_color() == COLOURS[colour]
    assert ax.get_xlim() == ax.get_ylim() and ax.get_xlim()[1] > s.abs().max()
    assert ax.get_aspect() == 1 and ax.get_xlabel() and ax.get_ylabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two", "both"]


def test_one_group_needs_no_legend(ax):
    figures.plot_selectivities(torch.eye(2), torch.tensor([0, 0]), ax, names=["all"])
    assert ax.get_legend() is None
