"""What a reader sees of the ledger in a chapter: the box of one check, and the table that closes the chapter.

The markup carries class names only (`ledger-box`, `ledger-verdict`, `verdict-reproduced`, ...); colours are in the
book's style sheet, and every verdict is also a word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from companion.ledger.rows import Erratum, Row
from companion.ledger.verdicts import unmet
from companion.record import format_number


def verdict_class(verdict: str) -> str:
    """CSS class of a verdict, for example `verdict-not-run`."""
    return "verdict-loose" if "loose" in verdict else f"verdict-{verdict.replace(' ', '-')}"


def claim(entry: Row | Erratum) -> str:
    """The sentence an entry is about."""
    return entry.claim if isinstance(entry, Row) else f"{printed(entry).rstrip('.')}. Right: {entry.right}"


def printed(erratum: Erratum) -> str:
    """What the paper prints, or what the code released with it does."""
    return f"{'In the code' if erratum.kind == 'code' else 'Printed'}: {erratum.printed}"


def listed(values: Mapping[str, Any]) -> str:
    """Settings or parameters in one line, such as `n 1000; decays 0.995, 0.8`."""
    return "; ".join(f"{name} {_setting(value)}" for name, value in values.items())


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
    """Why the verdict is not "reproduced" or "shown", "" if there is nothing to say."""
    if isinstance(entry, Row) and verdict == "not reached":
        return f"Needs {'; '.join(unmet(entry.needs, conditions, entry.words))}."
    if isinstance(entry, Row) and verdict == "differs":
        return entry.reason
    if isinstance(entry, Row) and "loose" in verdict:
        bounds = "; ".join(f"{entry.words[name]}, {interval}" for name, interval in entry.loose.items())
        return f"Inside the weaker bounds only: {bounds}."
    if isinstance(entry, Erratum) and verdict == "not shown":
        return f"Does it matter? {entry.matters}"
    return ""


def origin(conditions: Mapping[str, Any]) -> str:
    """Which result files a value comes from, "" for the page's own run."""
    files = conditions.get("experiment", "")
    return f"From results/: {_setting(files)}." if files else ""


def why(entry: Row | Erratum, verdict: str, conditions: Mapping[str, Any]) -> list[str]:
    """The note as a paragraph of a card in MyST, no paragraph if there is nothing to say."""
    remark = note(entry, verdict, conditions)
    slanted = f"*{remark}*" if remark and "*" not in remark else remark
    return [f"Why it differs: {slanted}" if verdict == "differs" else slanted] if remark else []


def box_text(entry: Row | Erratum, verdict: str, values: Mapping[str, float], conditions: Mapping[str, Any]) -> str:
    """Plain text of a check."""
    lines = [f"{entry.id}: {verdict}"]
    for name, here, mark, accepted, paper in _measures(entry, values):
        judged = f"{mark} {accepted}".strip()
        lines.append(f"  {name} = {here} ({judged}{f'; paper: {paper}' if paper != '–' else ''})")
    remarks = origin(conditions), note(entry, verdict, conditions)
    return "\n".join([*lines, *(f"  {remark}" for remark in remarks if remark)])


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
        f'<tr class="{mark}"><th scope="row" class="tex2jax_process">{markup(name)}</th>'
        f'<td>{here} <span class="ledger-mark">{mark}</span></td>'
        f"<td>{accepted}</td><td>{paper}</td></tr>"
        for name, here, mark, accepted, paper in _measures(entry, values)
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("measure", "here", "accepted", "paper"))
    remarks = origin(conditions), note(entry, verdict, conditions)
    name = f'<span class="ledger-id">{entry.id}</span>'
    if chapter:
        name = _link(entry, "../" * chapter.count("/"))
    return (
        f'<div class="ledger-box {verdict_class(verdict)}" id="{anchor}" role="group" '
        f'aria-label="Check {entry.id}: {verdict}">'
        f'<p class="ledger-head">{name} <span class="ledger-verdict">{verdict}</span></p>'
        f'<p class="ledger-claim tex2jax_process">{markup(claim(entry))}</p>'
        f'<table class="ledger-measures"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
        + "".join(f'<p class="ledger-note tex2jax_process">{markup(remark)}</p>' for remark in remarks if remark)
        + "</div>"
    )


def summary_text(lines: Iterable[tuple[Row | Erratum, str, str]]) -> str:
    """Plain text of the table that closes a chapter; arguments as for `summary_html`."""
    return "\n".join(f"{entry.id}: {verdict}" for entry, verdict, _ in lines) or "no row of the ledger belongs here"


def summary_html(lines: Iterable[tuple[Row | Erratum, str, str]], *, root: str = "") -> str:
    """HTML of the table that closes a chapter.

    Args:
        lines: Entry, verdict, and the id of the check's box in the page ("" if there is none).
        root: Way from the page to the book folder.
    """
    body = "".join(
        f'<tr class="{verdict_class(verdict)}"><th scope="row">'
        + (f'<a class="ledger-id" href="#{anchor}">{entry.id}</a>' if anchor else _link(entry, root))
        + f'</th><td class="ledger-claim tex2jax_process">{markup(claim(entry))}</td>'
        f'<td><span class="ledger-verdict">{verdict}</span></td></tr>'
        for entry, verdict, anchor in lines
    )
    if not body:
        return '<div class="ledger-summary"><p>No row of the ledger belongs here.</p></div>'
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("row", "claim", "verdict"))
    return (
        '<div class="ledger-summary"><table class="ledger-table"><caption>What was reproduced in this chapter</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def listing_text(lines: Iterable[tuple[Row | Erratum, str, str]], name: str) -> str:
    """Plain text of a list of entries; arguments as for `listing_html`."""
    found = [f"{row.id}: {verdict}" + (f" ({remark})" if remark else "") for row, verdict, remark in lines]
    return "\n".join([f"{name}: {len(found)}", *found])


def listing_html(lines: Iterable[tuple[Row | Erratum, str, str]], name: str, *, root: str) -> str:
    """HTML of a list of rows or errata.

    Args:
        lines: Entry, verdict, and the reason for it, "" if there is nothing to say.
        name: What they have in common.
        root: Way from the page to the book folder.
    """
    found = list(lines)
    if not found:
        return f'<div class="ledger-summary"><p>None: {name}.</p></div>'
    reasons = any(remark for *_, remark in found)
    body = "".join(
        f'<tr class="{verdict_class(verdict)}"><th scope="row">{_link(row, root)}<br>'
        f'<span class="ledger-verdict">{verdict}</span></th>'
        f'<td class="ledger-claim tex2jax_process">{markup(claim(row))}</td>'
        + (f'<td class="ledger-note tex2jax_process">{markup(remark)}</td>' if reasons else "")
        + "</tr>"
        for row, verdict, remark in found
    )
    columns = ("row", "claim", "why")[: 3 if reasons else 2]
    heads = "".join(f'<th scope="col">{head}</th>' for head in columns)
    caption = f"<caption>{len(found)} row{'s' * (len(found) != 1)}: {name}</caption>"
    return (
        f'<div class="ledger-summary"><table class="ledger-table">{caption}'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def evidence_text(lines: Mapping[str, Iterable[tuple[Row | Erratum, str]]]) -> str:
    """Plain text of sentences with the rows that bear on them."""
    return "\n".join(
        f"{sentence}: " + ", ".join(f"{entry.id} {verdict}" for entry, verdict in found)
        for sentence, found in lines.items()
    )


def evidence_html(lines: Mapping[str, Iterable[tuple[Row | Erratum, str]]], *, root: str) -> str:
    """HTML of sentences with the rows that bear on them; `root` as for `listing_html`."""
    chips = {sentence: " ".join(chip(entry, v, root=root) for entry, v in found) for sentence, found in lines.items()}
    body = "".join(
        f'<tr><td class="ledger-claim tex2jax_process">{markup(sentence)}</td>'
        f'<td><p class="ledger-map">{links}</p></td></tr>'
        for sentence, links in chips.items()
    )
    return (
        '<div class="ledger-summary"><table class="ledger-table ledger-evidence"><thead><tr><th scope="col">claim</th>'
        f'<th scope="col">rows and their verdicts</th></tr></thead><tbody>{body}</tbody></table></div>'
    )


def chip(entry: Row | Erratum, verdict: str, *, root: str | None = None) -> str:
    """A link to the card of an entry that shows its verdict, in words for those who do not see sign and colour.

    Args:
        root: Way from the page to the book folder; None on the page of the card itself.
    """
    page = "" if root is None else f"{root}{card_page(entry)}"
    return (
        f'<a class="ledger-chip {verdict_class(verdict)}" href="{page}#row-{entry.id}" title="{verdict}">{entry.id}'
        f'<span class="visually-hidden">, {verdict}</span></a>'
    )


def card_page(entry: Row | Erratum) -> str:
    """Page of the site that holds the card of an entry."""
    return "ledger.html" if isinstance(entry, Row) else "errata.html"


def _link(entry: Row | Erratum, root: str) -> str:
    return f'<a class="ledger-id" href="{root}{card_page(entry)}#row-{entry.id}">{entry.id}</a>'


def score_text(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Plain text of the score: one line per part of the ledger."""
    return "\n".join(f"{part}: " + ", ".join(f"{k} {v}" for v, k in found.items()) for part, found in counts.items())


def score_html(counts: Mapping[str, Mapping[str, int]]) -> str:
    """HTML of the score: a table per part of the ledger, one row per verdict, so that it fits on a phone."""
    tables = []
    for part, found in counts.items():
        rows = "".join(
            f'<tr><th scope="row"><span class="ledger-verdict {verdict_class(v)}">{v}</span></th><td>{number}</td></tr>'
            for v, number in found.items()
        )
        caption = f"{part} of the ledger, {sum(found.values())} in all"
        tables.append(f'<table class="ledger-table"><caption>{caption}</caption><tbody>{rows}</tbody></table>')
    return f'<div class="ledger-score">{"".join(tables)}</div>'


def _measures(entry: Row | Erratum, values: Mapping[str, float]) -> list[tuple[str, str, str, str, str]]:
    """Per measure: words, value here, inside or outside ("" if only reported), accepted interval, printed value."""
    paper, reported = (entry.paper, entry.reported) if isinstance(entry, Row) else ({}, ())
    lines = []
    for name, interval in entry.accept.items():
        mark, accepted = "inside" if interval.contains(values[name]) else "outside", str(interval)
        if name in reported and mark == "inside":  # what is not a number stays outside
            mark, accepted = "", "not judged"
        lines.append((entry.words[name], format_number(values[name]), mark, accepted, str(paper.get(name, "–"))))
    return lines


def _setting(value: Any) -> str:
    return ", ".join(map(_setting, value)) if isinstance(value, list) else format_number(value, digits=10)
