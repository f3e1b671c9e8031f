"""What a reader sees of the ledger in a chapter: the box of one check, and the table that closes the chapter.

The markup carries class names only (`ledger-box`, `ledger-verdict`, `verdict-reproduced`, ...); colours are in the
book's style sheet, and every verdict is also a word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lib.ledger.rows import Erratum, Row
from lib.ledger.verdicts import unmet
from lib.record import format_number


def verdict_class(verdict: str) -> str:
    """CSS class of a verdict, for example `verdict-not-run`."""
    return "verdict-loose" if "loose" in verdict else f"verdict-{verdict.replace(' ', '-')}"


def label(measure: str) -> str:
    """Name of a measure in words."""
    return measure.replace("_", " ")


def claim(entry: Row | Erratum) -> str:
    """The sentence an entry is about."""
    return entry.claim if isinstance(entry, Row) else f"{printed(entry).rstrip('.')}. Right: {entry.right}"


def printed(erratum: Erratum) -> str:
    """What the paper prints, or what the code released with it does."""
    return f"{'In the code' if erratum.kind == 'code' else 'Printed'}: {erratum.printed}"


def listed(values: Mapping[str, Any]) -> str:
    """Settings or parameters in one line, such as `n 1000, decays 0.995 and 0.8`."""
    return ", ".join(f"{name} {_setting(value)}" for name, value in values.items())


def markup(text: str) -> str:
    r"""HTML of a sentence in the ledger: `$...$` becomes `\(...\)` for MathJax, backquotes code, stars emphasis."""
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", text)
    for i, part in enumerate(parts):
        escaped = html.escape(part.strip("$`") if i % 2 else part, quote=False)
        if part.startswith("$") and i % 2:
            parts[i] = rf"\({escaped}\)"
        elif i % 2:
            parts[i] = f"<code>{escaped}</code>"
        else:
            parts[i] = re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped))
    return "".join(parts)


def note(entry: Row | Erratum, verdict: str, conditions: Mapping[str, Any]) -> str:
    """Why the verdict is not "reproduced", "" if there is nothing to say."""
    if isinstance(entry, Row) and verdict == "not reached":
        return f"Needs {'; '.join(unmet(entry.needs, conditions))}."
    if isinstance(entry, Row) and verdict == "differs":
        return entry.reason
    if isinstance(entry, Row) and "loose" in verdict:
        return "Inside the weaker bounds only: " + "; ".join(f"{label(k)} {v}" for k, v in entry.loose.items()) + "."
    return ""


def box_text(entry: Row | Erratum, verdict: str, values: Mapping[str, float], conditions: Mapping[str, Any]) -> str:
    """Plain text of a check."""
    lines = [f"{entry.id}: {verdict}"]
    for name, here, mark, accepted, paper in _measures(entry, values):
        lines.append(f"  {name} = {here} ({mark} {accepted}{f'; paper: {paper}' if paper != '-' else ''})")
    remark = note(entry, verdict, conditions)
    return "\n".join([*lines, f"  {remark}"] if remark else lines)


def box_html(
    entry: Row | Erratum,
    verdict: str,
    values: Mapping[str, float],
    conditions: Mapping[str, Any],
    *,
    anchor: str,
    chapter: str,
) -> str:
    """HTML of a check.

    Args:
        anchor: Its id in the page.
        chapter: Chapter it stands in, from which the link to the ledger is made; "" for no link.
    """
    body = "".join(
        f'<tr class="{mark}"><th scope="row">{html.escape(name)}</th>'
        f'<td>{here} <span class="ledger-mark">{mark}</span></td>'
        f"<td>{accepted}</td><td>{paper}</td></tr>"
        for name, here, mark, accepted, paper in _measures(entry, values)
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("measure", "here", "accepted", "paper"))
    remark = note(entry, verdict, conditions)
    name = f'<span class="ledger-id">{entry.id}</span>'
    if chapter:
        page = "ledger" if isinstance(entry, Row) else "errata"
        name = f'<a class="ledger-id" href="{"../" * chapter.count("/")}{page}.html#row-{entry.id}">{entry.id}</a>'
    return (
        f'<div class="ledger-box {verdict_class(verdict)}" id="{anchor}" role="group" '
        f'aria-label="Check {entry.id}: {verdict}">'
        f'<p class="ledger-head">{name} <span class="ledger-verdict">{verdict}</span></p>'
        f'<p class="ledger-claim tex2jax_process">{markup(claim(entry))}</p>'
        f'<table class="ledger-measures"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        + (f'<p class="ledger-note tex2jax_process">{markup(remark)}</p>' if remark else "")
        + "</div>"
    )


def summary_text(lines: Iterable[tuple[Row | Erratum, str, str]]) -> str:
    """Plain text of the table that closes a chapter; arguments as for `summary_html`."""
    return "\n".join(f"{entry.id}: {verdict}" for entry, verdict, _ in lines) or "no row of the ledger belongs here"


def summary_html(lines: Iterable[tuple[Row | Erratum, str, str]]) -> str:
    """HTML of the table that closes a chapter.

    Args:
        lines: Entry, verdict, and the id of the check's box in the page ("" if there is none).
    """
    body = "".join(
        f'<tr class="{verdict_class(verdict)}"><th scope="row">'
        + (f'<a class="ledger-id" href="#{anchor}">{entry.id}</a>' if anchor else entry.id)
        + f'</th><td class="ledger-claim tex2jax_process">{markup(claim(entry))}</td>'
        f'<td><span class="ledger-verdict">{verdict}</span></td></tr>'
        for entry, verdict, anchor in lines
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("row", "claim", "verdict"))
    return (
        '<div class="ledger-summary"><table class="ledger-table"><caption>What was reproduced in this chapter</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def score_text(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Plain text of the score: one line per part of the ledger."""
    return "\n".join(f"{part}: " + ", ".join(f"{k} {v}" for v, k in found.items()) for part, found in counts.items())


def score_html(counts: Mapping[str, Mapping[str, int]]) -> str:
    """HTML of the score: a table per part of the ledger, one column per verdict."""
    tables = []
    for part, found in counts.items():
        heads = "".join(
            f'<th scope="col"><span class="ledger-verdict {verdict_class(v)}">{v}</span></th>' for v in found
        )
        cells = "".join(f"<td>{number}</td>" for number in found.values())
        tables.append(
            f'<table class="ledger-table"><caption>{part} of the ledger, {sum(found.values())} in all</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
        )
    return f'<div class="ledger-score">{"".join(tables)}</div>'


def _measures(entry: Row | Erratum, values: Mapping[str, float]) -> list[tuple[str, str, str, str, str]]:
    """Per measure: name, value here, inside or outside, accepted interval, printed value."""
    paper = entry.paper if isinstance(entry, Row) else {}
    return [
        (
            label(name),
            format_number(values[name]),
            "inside" if interval.contains(values[name]) else "outside",
            str(interval),
            str(paper.get(name, "-")),
        )
        for name, interval in entry.accept.items()
    ]


def _setting(value: Any) -> str:
    return " and ".join(map(_setting, value)) if isinstance(value, list) else format_number(value, digits=10)
