"""Pictures as SVG: paths in a fixed frame, with colours that follow the theme of the page."""

import math
from html import escape

import numpy as np

from companion.record import format_number, power_of_ten
from companion.widgets.picture import Curve, Frame, Picture
from lib.figures.style import COLOURS, numbers

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 52  # margins
MARGIN = 2000  # how far outside of the frame a line is followed, in pixels
STYLES = {
    "line": "stroke-width:2.5",
    "dashed": "stroke-width:2;stroke-dasharray:7 5",
    "points": "stroke-width:9;stroke-linecap:round",
}
INK = "var(--explorer-ink, currentColor)"


def colour(concept: str) -> str:
    """CSS colour of a concept: the book's, unless the page's style sheet has one for the dark."""
    return f"var(--explorer-{concept.replace(' ', '-')}, {COLOURS[concept]})"


def path(curve: Curve, window: Frame) -> str:
    """The `d` of a curve's path, with one decimal; empty if nothing of it can be shown."""
    x = _pixels(numbers(curve.x), window.x, window.x_log, LEFT, WIDTH - RIGHT)
    y = _pixels(numbers(curve.y), window.y, window.y_log, HEIGHT - BOTTOM, TOP)
    parts, pen = [], False
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        visible = math.isfinite(a) and math.isfinite(b) and abs(a) < MARGIN and abs(b) < MARGIN
        if visible and curve.kind == "points":
            parts.append(f"M{_short(a)} {_short(b)}h0")
        elif visible:
            parts.append(f"{'L' if pen else 'M'}{_short(a)} {_short(b)}")
        pen = visible
    return "".join(parts)


def svg(picture: Picture, window: Frame, *, name: str, paths: list[str] | None = None) -> str:
    """A whole picture.

    Args:
        picture: What is drawn.
        window: Its frame.
        name: Accessible name, and prefix of ids.
        paths: The curves' paths, if they are known.
    """
    paths = [path(curve, window) for curve in picture.curves] if paths is None else paths
    right, low = WIDTH - RIGHT, HEIGHT - BOTTOM
    body = []
    for value, text in ticks(window.x, window.x_log):
        (a,) = _pixels(np.array([value]), window.x, window.x_log, LEFT, right)
        body.append(f'<path d="M{_short(a)} {low}v5" stroke="{INK}"/>')
        body.append(f'<text x="{_short(a)}" y="{low + 20}" text-anchor="middle">{text}</text>')
    for value, text in ticks(window.y, window.y_log):
        (b,) = _pixels(np.array([value]), window.y, window.y_log, low, TOP)
        body.append(f'<path d="M{LEFT} {_short(b)}h-5" stroke="{INK}"/>')
        body.append(f'<text x="{LEFT - 9}" y="{_short(b + 4.5)}" text-anchor="end">{text}</text>')
    middle = (TOP + low) / 2
    body.append(
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(picture.x_label)}</text>'
    )
    turn = f'transform="rotate(-90 14 {middle})" text-anchor="middle"'
    body.append(f'<text x="14" y="{middle}" {turn}>{escape(picture.y_label)}</text>')
    body.append(f'<path d="M{LEFT} {TOP}V{low}H{right}" fill="none" stroke="{INK}"/>')
    size = f'width="{right - LEFT + 6}" height="{low - TOP + 12}"'
    box = f'<clipPath id="{name}-clip"><rect x="{LEFT}" y="{TOP - 6}" {size}/></clipPath>'
    drawn = "".join(
        f'<path class="explorer-curve" d="{d}" style="fill:none;stroke:{colour(curve.concept)};{STYLES[curve.kind]}"/>'
        for curve, d in zip(picture.curves, paths, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described(picture))}" '
        f'aria-describedby="{name}-numbers" font-size="14" fill="{INK}" '
        f'style="max-width:100%;width:{WIDTH}px;height:auto;display:block">'
        f'{box}{"".join(body)}<g clip-path="url(#{name}-clip)">{drawn}</g></svg>'
    )


def described(picture: Picture) -> str:
    """The axes and the curves in words."""
    names = ", ".join(curve.name for curve in picture.curves)
    return f"Plot of {picture.y_label} against {picture.x_label}: {names}"


def legend(picture: Picture) -> str:
    """The names of the curves with samples of their lines, as a list."""
    items = []
    for curve in picture.curves:
        sample = "M9 6h0" if curve.kind == "points" else "M1 6h28"
        line = f"fill:none;stroke:{colour(curve.concept)};{STYLES[curve.kind]}"
        mark = f'<svg width="30" height="12" aria-hidden="true"><path d="{sample}" style="{line}"/></svg>'
        items.append(f'<li style="display:inline-block;margin:0 1em 0 0">{mark} {escape(curve.name)}</li>')
    return f'<ul class="explorer-legend" style="list-style:none;padding:0;margin:0">{"".join(items)}</ul>'


def ticks(ends: tuple[float, float], log: bool) -> list[tuple[float, str]]:
    """About five round numbers between the ends of an axis, or up to seven powers of ten, as numbers and texts."""
    low, high = ends
    if log:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        powers = range(first, last + 1, max(1, (last - first) // 5))
        if len(powers) > 1:
            small = all(-3 <= k <= 3 for k in powers)
            return [(10.0**k, format_number(10.0**k) if small else power_of_ten(k)) for k in powers]
        values = [m * 10.0**k for k in range(first - 1, last + 2) for m in (1, 2, 5)]
        return [(v, format_number(float(f"{v:.3g}"))) for v in values if low <= v <= high]
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.8)
    count = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(k * step, format_number(float(f"{k * step:.6g}"))) for k in count]


def _pixels(values: np.ndarray, ends: tuple[float, float], log: bool, start: float, stop: float) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        values, ends = (np.log10(values), (math.log10(ends[0]), math.log10(ends[1]))) if log else (values, ends)
        return start + (values - ends[0]) / (ends[1] - ends[0]) * (stop - start)


def _short(pixels: float) -> str:
    """One decimal, rounded from six: the last bits of a result must not decide."""
    return f"{round(round(float(pixels), 6), 1) + 0.0:g}"
