"""An explorer with a kernel: ipywidgets controls for any value in the range of a grid."""

import importlib
import math
import os
import sys
from html import escape
from typing import Any

from companion.widgets.controls import Control, label
from companion.widgets.draw import legend, svg
from companion.widgets.page import readout
from companion.widgets.picture import Frame

VIEW = "application/vnd.jupyter.widget-view+json"
STEPS = 200  # of a control with the arrow keys, from one end to the other


def attached() -> bool:
    """Whether somebody looks at this kernel through a front end that shows widgets.

    A front end (JupyterLab, Notebook 7, VS Code) names the cell in its request to run it, because it has to put the
    output somewhere. The programs that run notebooks by themselves (papermill, nbconvert, nbval, `companion.batch`)
    do not.
    The environment variable LIB_LIVE decides if it is set: 1 for a front end, 0 for none. LIB_REFRESH=1, which writes
    committed outputs, means none.
    """
    if os.environ.get("LIB_REFRESH") == "1":
        return False
    if os.environ.get("LIB_LIVE") in ("0", "1"):
        return os.environ["LIB_LIVE"] == "1"
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    return "cellId" in (kernel.get_parent("shell") or {}).get("metadata", {})


def board(name: str, fn: Any, controls: dict[str, Control], frame: Frame) -> Any:
    """Controls and a picture that follows them, as a widget.

    Values for which `fn` raises ValueError or `TrainingDiverged` show the error's text instead of the numbers.
    """
    widgets = importlib.import_module("ipywidgets")
    training = importlib.import_module("lib.training.loop")
    turned = {argument: control_widget(widgets, argument, control) for argument, control in controls.items()}
    shown = widgets.HTML()

    def show(_: Any = None) -> None:
        try:
            picture = fn(**{argument: widget.value for argument, widget in turned.items()})
        except (ValueError, training.TrainingDiverged) as error:
            shown.value = f'<p class="explorer-numbers" role="status">{escape(str(error))}</p>'
            return
        drawn = svg(picture, frame, name=f"{name}-live")
        shown.value = drawn + legend(picture) + readout(picture, f"{name}-live")

    for widget in turned.values():
        widget.observe(show, names="value")
    show()
    return widgets.VBox([*turned.values(), shown])


def control_widget(widgets: Any, name: str, control: Control) -> Any:
    """The widget of one argument: a slider over the whole range, or a list of texts."""
    value = control.values[control.first]
    look = {
        "description": label(name, control),
        "style": {"description_width": "12em"},
        "layout": widgets.Layout(width="34em", max_width="100%"),
    }
    if control.text:
        return widgets.Dropdown(options=list(control.choices or control.values), value=value, **look)
    low, high = control.ends
    look["continuous_update"] = False
    if control.whole:
        return widgets.IntSlider(value, min=low, max=high, **look)
    if control.log:
        ends = math.log10(low), math.log10(high)
        step = (ends[1] - ends[0]) / STEPS
        return widgets.FloatLogSlider(value, min=ends[0], max=ends[1], step=step, readout_format=".6g", **look)
    return widgets.FloatSlider(
        value, min=low, max=high, step=float(f"{(high - low) / STEPS:.3g}"), readout_format=".6g", **look
    )
