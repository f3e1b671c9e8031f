"""Pictures of a network from elsewhere: what is drawn, in which colour, on the axes that were handed in."""

import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from lib import figures
from lib.analysis.diagnosis import Diagnosis, OnNoise
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.figure().add_subplot()


@pytest.fixture
def found():
    """Two channels, errors at four sizes."""
    responses = torch.tensor([[0.9], [0.5]]).double() ** torch.arange(1, 101).double()
    return Diagnosis(
        n=4,
        D=2,
        decays=(0.9, 0.5),
        scales=(1.0, 1.0),
        given=False,
        fit_r2=(1.0, 1.0),
        responses=responses,
        on_noise=OnNoise((0.9, 0.5), (1.0, 1.0), (0.0, 0.0)),
        crosstalk=0.0,
        sizes=torch.tensor([1.0, 2.0, 4.0, 8.0]),
        size_errors=torch.tensor([0.2, 0.05, 0.01, math.inf]),
        range=(1.5, 4.0),
        amplitude=1.0,
        errors=(0.0, 0.0),
        steps=100,
        dimension=None,
        selectivity=None,
        conditions=(),
        tolerance=0.1,
        reasons=(),
    )


def test_plot_pulses(found, ax):
    assert figures.plot_pulses(found, ax) is ax
    first, second, *fits = ax.lines
    for line, answer, name in zip((first, second), found.responses.numpy(), ("channel 1", "channel 2"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), answer[line.get_xdata()])
        assert line.get_color() == COLOURS[name]
    assert first.get_marker() != second.get_marker()
    for line, gamma in zip(fits, found.decays, strict=True):
        np.testing.assert_allclose(line.get_ydata(), gamma ** (line.get_xdata() + 1))
        assert (line.get_color(), line.get_linestyle()) == (COLOURS["theory"], "--")
    assert max(fits[0].get_xdata()) == 49  # five memories of the slower channel
    assert ax.get_xlabel() and ax.get_ylabel()


def test_plot_pulses_without_decay(found, ax):
    figures.plot_pulses(replace(found, decays=(1.0, 0.5)), ax)
    assert max(ax.lines[-1].get_xdata()) == 99


def test_plot_sizes_followed(found, ax):
    assert figures.plot_sizes_followed(found, ax) is ax
    curve, tolerance = ax.lines
    np.testing.assert_array_equal(curve.get_ydata(), found.size_errors.numpy())
    assert curve.get_color() == COLOURS["output"] and set(tolerance.get_ydata()) == {0.1}
    (band,) = ax.patches
    assert (band.get_x(), band.get_width()) == (1.5, 2.5)
    assert ax.get_ylim()[0] < 0.01 and ax.get_ylim()[1] > 0.2 and np.isfinite(ax.get_ylim()).all()
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlabel() and ax.get_ylabel()


def test_plot_sizes_followed_at_every_size_or_none(found, ax):
    exact = replace(found, sizes=torch.tensor([8.0]), size_errors=torch.tensor([0.0]), range=(0.0, math.inf))
    figures.plot_sizes_followed(exact, ax)
    assert not ax.patches and ax.get_ylim()[0] > 0
    ax.clear()
    figures.plot_sizes_followed(replace(found, range=(math.nan, math.nan)), ax)
    assert not ax.patches
