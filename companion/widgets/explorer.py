"""`explore`: one call for readers with a kernel and for readers without."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

from companion.widgets.controls import controls
from companion.widgets.live import VIEW, attached, board
from companion.widgets.page import Sheet
from companion.widgets.picture import Picture


def explore(fn: Callable[..., Picture], **grids: Any) -> None:
    """Show what `fn` gives over a grid, as a figure with a slider for each argument.

    Every point of the grid is computed now and becomes part of the output, which works in any browser without a kernel.
    If a front end is attached (see `companion.widgets.live.attached`), a control for any value in the range is shown
    in its
    place; the committed output of a chapter never holds one.

    Args:
        fn: Function of this package that returns a `Picture`.
        **grids: For each argument the values of the grid, or a `Control` with a label.

    Raises:
        ValueError: a function from elsewhere, no grid, or the errors of `Control`, `frame` and `Sheet`.
    """
    sheet, name = prepare(fn, **grids)
    data: dict[str, Any] = {"text/plain": sheet.text(), "text/html": sheet.html()}
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(data["text/plain"])
        return
    if attached():
        widget = board(name, fn, sheet.controls, sheet.frame)
        data[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    importlib.import_module("IPython.display").display(data, raw=True)


def prepare(fn: Callable[..., Picture], **grids: Any) -> tuple[Sheet, str]:
    """The computed pictures of a grid, and the id of their element; arguments and errors are those of `explore`."""
    module, function = getattr(fn, "__module__", ""), getattr(fn, "__name__", "")
    if module.split(".")[0] not in ("lib", "companion"):
        raise ValueError(f"an explorer shows a function of lib or companion, got {module}.{function}")
    if not grids:
        raise ValueError("an explorer needs a grid for at least one argument, got none")
    name = f"explorer-{function.replace('_', '-')}"
    return Sheet(name, fn, controls(grids), f"{module}.{function}"), name
