"""Explorers: figures with sliders, for readers with a running kernel and for readers without one.

`explore(fn, s=[0.5, 1, 2])` evaluates `fn`, a function of this package that returns a `Picture`, at every point of a
grid and puts the results into the page: native sliders choose among them, without a server and without a network. In a
notebook that is open in a front end the same call also shows a control for any value in the range of the grid.
"""

from companion.widgets.controls import Control
from companion.widgets.explorer import explore
from companion.widgets.picture import Curve, Picture

__all__ = ["Control", "Curve", "Picture", "explore"]
