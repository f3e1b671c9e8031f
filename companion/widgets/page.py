"""An explorer as a piece of a page: native sliders that choose among results that were computed beforehand.

Everything is inside: no server, no network, no library. The curves and numbers of every point of the grid are data in
the page; a script of thirty lines shows those that belong to the sliders. Curves that several points share are stored
once.
"""

import json
from html import escape
from itertools import product
from math import prod
from typing import Any

from companion.widgets.controls import Control, label
from companion.widgets.draw import legend, path, svg
from companion.widgets.picture import Picture, frame

LIMIT = 150_000
"""Largest size of an explorer, in bytes."""

SCRIPT = """(() => {
  for (const root of document.querySelectorAll("#NAME")) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    const sliders = [...root.querySelectorAll("input[type=range]")];
    const curves = [...root.querySelectorAll(".explorer-curve")];
    const numbers = [...root.querySelectorAll("[data-number]")];
    const show = () => {
      let state = 0;
      sliders.forEach((slider) => {
        const values = data.values[slider.dataset.grid];
        const at = Number(slider.value);
        state = state * values.length + at;
        slider.setAttribute("aria-valuetext", values[at]);
        root.querySelector("output[for='" + slider.id + "']").textContent = values[at];
      });
      curves.forEach((curve, k) => curve.setAttribute("d", data.paths[k][data.states[state][k]]));
      numbers.forEach((number, k) => { number.textContent = data.numbers[state][k]; });
    };
    sliders.forEach((slider) => slider.addEventListener("input", show));
    show();
  }
})();"""


class Sheet:
    """All pictures of a grid, and the page that shows them.

    Args:
        name: Id of the element.
        fn: Function of this package that returns a `Picture`.
        controls: The grids, by argument.
        where: What the function is called in the text.

    Raises:
        ValueError: pictures that do not go together, or a page of more than `LIMIT` bytes.
    """

    def __init__(self, name: str, fn: Any, controls: dict[str, Control], where: str):
        self.name, self.controls, self.where = name, controls, where
        points = product(*(control.values for control in controls.values()))
        self.pictures: list[Picture] = [fn(**dict(zip(controls, point, strict=True))) for point in points]
        self.frame = frame(self.pictures)

    @property
    def start(self) -> int:
        """Index of the picture at the start."""
        state = 0
        for control in self.controls.values():
            state = state * len(control.values) + control.first
        return state

    def html(self) -> str:
        """The element, with its data and its script."""
        first = self.pictures[self.start]
        paths, states = self._paths()
        shown = [paths[k][at] for k, at in enumerate(states[self.start])]
        moved = [control.texts for control in self.controls.values() if len(control.values) > 1]
        data = {
            "values": moved,
            "paths": paths,
            "states": states,
            "numbers": [list(picture.texts.values()) for picture in self.pictures],
        }
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
        html = (
            f'<div class="explorer" id="{self.name}">{self._sliders()}'
            f'<div class="explorer-plot">{svg(first, self.frame, name=self.name, paths=shown)}</div>'
            f"{legend(first)}{readout(first, self.name)}"
            f'<p class="explorer-note">{self._note()}</p>'
            f'<script type="application/json">{text}</script>'
            f"<script>{SCRIPT.replace('NAME', self.name)}</script></div>"
        )
        if len(html.encode()) > LIMIT:
            raise ValueError(
                f"{self.name} takes {len(html.encode())} bytes of {LIMIT}: fewer points, or shorter curves"
            )
        return html

    def text(self) -> str:
        """What a terminal shows."""
        at = ", ".join(f"{k} = {c.texts[c.first]}" for k, c in self.controls.items())
        numbers = "\n".join(f"  {k} = {v}" for k, v in self.pictures[self.start].texts.items())
        return f"{self.where} at {at}:\n{numbers}"

    def _note(self) -> str:
        count = prod(len(control.values) for control in self.controls.values())
        points = "one point" if count == 1 else f"these {count} points"
        return (
            f"Computed beforehand by <code>{escape(self.where)}</code> at {points}; "
            "with a running kernel, at any value in the range."
        )

    def _sliders(self) -> str:
        rows, moved = [], 0
        for argument, control in self.controls.items():
            name, texts, at = f"{self.name}-{argument}", control.texts, control.first
            words = escape(label(argument, control))
            if len(texts) == 1:
                rows.append(f'<div class="explorer-row"><span>{words}</span> <b>{escape(texts[0])}</b></div>')
                continue
            rows.append(
                f'<div class="explorer-row"><label for="{name}">{words}</label> '
                f'<input type="range" id="{name}" min="0" max="{len(texts) - 1}" step="1" value="{at}" '
                f'data-grid="{moved}" aria-valuetext="{escape(texts[at])}" autocomplete="off"> '
                f'<output for="{name}">{escape(texts[at])}</output></div>'
            )
            moved += 1
        return "".join(rows)

    def _paths(self) -> tuple[list[list[str]], list[list[int]]]:
        """Different paths of each curve, and which of them each picture shows."""
        seen: list[dict[str, int]] = [{} for _ in self.pictures[0].curves]
        states = []
        for picture in self.pictures:
            drawn = (path(curve, self.frame) for curve in picture.curves)
            states.append([known.setdefault(d, len(known)) for known, d in zip(seen, drawn, strict=True)])
        return [list(known) for known in seen], states


def readout(picture: Picture, name: str) -> str:
    """The numbers of a picture as a line of text that screen readers announce when it changes."""
    parts = (
        f'<span style="display:inline-block;margin-right:1.2em">{escape(key)} = '
        f'<b data-number="{k}">{escape(value)}</b></span>'
        for k, (key, value) in enumerate(picture.texts.items())
    )
    return f'<p class="explorer-numbers" id="{name}-numbers" role="status">{" ".join(parts)}</p>'
