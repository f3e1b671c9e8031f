"""The picture of all rows: which tile lies where, and that colour is not the only sign."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from companion.ledger import ROW_VERDICTS
from companion.ledger.tiles import SIZE, VERDICTS, plot_score


@pytest.fixture
def ax():
    yield plt.figure().add_subplot()
    plt.close("all")


def test_plot_score(ax):
    rows = {
        "first": {"figures": ["reproduced"] * 3 + ["differs"], "claims": []},
        "second": {"figures": ["not run"], "claims": ["not reached", "reproduced (loose)"]},
    }
    counts = {verdict: number for number, verdict in enumerate(ROW_VERDICTS)}
    assert plot_score(rows, ax, wrap=3, counts=counts) is ax
    patches = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    tiles, legend = patches[:7], patches[7:]
    (x, y), *rest = [patch.get_xy() for patch in tiles]
    assert rest[:3] == [(x + 1, y), (x + 2, y), (x, y + 1)]  # the fourth begins a new line
    assert rest[3][0] == x and rest[3][1] > y + 1 + SIZE  # the next group lies below both lines
    assert rest[4][0] > x + 2 + SIZE and rest[4][1] == rest[3][1]  # another kind in the same line
    order = ["reproduced"] * 3 + ["differs", "not run", "not reached", "reproduced (loose)"]
    assert [to_hex(tile.get_facecolor()) for tile in tiles] == [VERDICTS[verdict].face for verdict in order]
    assert [text.get_text() for text in ax.texts[:7]] == [VERDICTS[verdict].sign for verdict in order]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "second"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["figures", "claims"]
    assert len(legend) == len(counts)
    words = [text.get_text() for text in ax.texts[7:]]
    assert [f"{verdict}: {number}" in words for verdict, number in counts.items()] == [True] * len(counts)
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    for patch in patches:
        assert left < patch.get_x() and patch.get_x() + SIZE < right
        assert bottom < patch.get_y() and patch.get_y() + SIZE < top


def test_every_verdict_has_a_look_of_its_own_without_colours():
    assert set(VERDICTS) == set(ROW_VERDICTS)
    assert len({look.sign for look in VERDICTS.values()}) == len(VERDICTS)
