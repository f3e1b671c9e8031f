"""Pictures of disturbed networks: one marker per network, the median as a line, predictions on top."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from lib import figures
from lib.figures import COLOURS


@pytest.fixture(autouse=True)
def apart():
    """No figure stays open."""
    yield
    plt.close("all")


def test_plot_disturbance():
    ax = plt.figure().add_subplot()
    errors = {"mixed": torch.tensor([[0.1, 1.0], [0.2, 3.0], [0.4, 2.0]]), "single": torch.tensor([[0.3, 0.5]])}
    figures.plot_disturbance([1, 2], errors, ax, predicted={"mixed": torch.tensor([0.15, 2.5])})
    lines = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert [to_hex(line.get_color()) for line in lines] == [
        COLOURS["output"],
        COLOURS["alternative"],
        COLOURS["theory"],
    ]
    np.testing.assert_allclose(lines[0].get_ydata(), [0.2, 2.0])
    assert len(ax.lines) - len(lines) == 4
    assert ax.get_yscale() == "log"
    labels = [text.get_text() for text in ax.legend().get_texts()]
    assert labels == ["mixed", "single", "predicted"]
