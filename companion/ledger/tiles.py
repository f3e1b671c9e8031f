"""The ledger in one picture: a tile for each row."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle


class Look(NamedTuple):
    """How a verdict looks; sign, filling and edge tell it apart without colours too."""

    sign: str
    face: str
    ink: str  # colour of sign and edge
    edge: str  # line style


VERDICTS = {
    "reproduced": Look("\N{CHECK MARK}", "#d7ecdf", "#1b6e3c", "-"),
    "reproduced (loose)": Look("\N{ALMOST EQUAL TO}", "#e9f0cf", "#4b6a12", "-"),
    "differs": Look("\N{NOT EQUAL TO}", "#a8201a", "#ffffff", "-"),
    "not reached": Look("\N{HORIZONTAL ELLIPSIS}", "#fbe6c2", "#7a4b00", "--"),
    "not run": Look("", "#ffffff", "#565c66", ":"),
}
"""Looks by verdict: the signs and hues of the ledger's pages."""

SIZE = 0.86  # of a tile, in units of the distance between tiles


def plot_score(
    rows: Mapping[str, Mapping[str, Sequence[str]]], ax: Axes, *, wrap: int = 7, counts: Mapping[str, int]
) -> Axes:
    """Tiles by group and kind, coloured and signed by verdict.

    Args:
        rows: Group, from top to bottom, to kind to verdicts, one for each row of the ledger.
        wrap: Tiles in a line of one kind.
        counts: Verdict to number of rows, for the legend.
    """
    kinds = list(dict.fromkeys(kind for group in rows.values() for kind in group))
    widest = {k: max(len(group.get(k, ())) for group in rows.values()) for k in kinds}
    starts, right = {}, 0.0
    for kind in kinds:
        starts[kind], right = right, right + min(wrap, widest[kind]) + 0.7
    top, ticks = 0.0, []
    for group in rows.values():
        for kind, verdicts in group.items():
            for i, verdict in enumerate(verdicts):
                _tile(ax, starts[kind] + i % wrap, top + i // wrap, verdict)
        ticks.append(top + SIZE / 2)
        top += max(-(-len(verdicts) // wrap) for verdicts in group.values()) + 0.25
    ax.set(xlim=(-0.3, right), ylim=(top, -0.3), aspect="equal")
    ax.set_yticks(ticks, list(rows))
    ax.set_xticks(list(starts.values()), kinds, ha="left")
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    _legend(ax, counts)
    return ax


def _tile(ax: Axes, x: float, y: float, verdict: str) -> None:
    look = VERDICTS[verdict]
    edge = look.ink if look.ink != "#ffffff" else look.face
    ax.add_patch(Rectangle((x, y), SIZE, SIZE, facecolor=look.face, edgecolor=edge, ls=look.edge, lw=1))
    ax.text(x + SIZE / 2, y + SIZE / 2, look.sign, color=look.ink, fontsize=8.5, ha="center", va="center_baseline")


def _legend(ax: Axes, counts: Mapping[str, int]) -> None:
    """A tile and the number of rows for each verdict, below the others."""
    x, y = ax.get_xlim()[0] + 0.3, ax.get_ylim()[0] + 0.5
    for verdict, number in counts.items():
        _tile(ax, x, y, verdict)
        ax.text(x + 1.1, y + SIZE / 2, f"{verdict}: {number}", fontsize=9, va="center")
        y += 1.1
    ax.set_ylim(y, ax.get_ylim()[1])
