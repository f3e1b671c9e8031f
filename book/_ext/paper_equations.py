"""Equation numbers of the book: the paper's own where the paper has them.

An equation labelled ``eq-20`` is the paper's equation 20 and is printed, and referred to, as (20). Every other label is
an equation of the book itself and gets b1, b2, ... in the order of the table of contents. The numbers are settled after
all pages have been read, so that they depend neither on the order of reading, in parallel or not, nor on which pages
were read again.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

PAPER_LABEL = re.compile(r"eq-(\d+[a-z]?)")
"""Labels of the paper's equations: ``eq-7``, or ``eq-7a`` for one line of several."""

logger = logging.getLogger(__name__)


def paper_number(label: str) -> str | None:
    """Return the paper's number that a label stands for, None for an equation of the book's own."""
    match = PAPER_LABEL.fullmatch(label)
    return match[1] if match else None


def number_labels(labels: Iterable[str]) -> dict[str, str]:
    """Give every label, taken in reading order, the number printed beside its equation."""
    numbers: dict[str, str] = {}
    own = 0
    for label in labels:
        number = paper_number(label)
        if number is None:
            own += 1
            number = f"b{own}"
        numbers[label] = number
    return numbers


def reading_order(env: BuildEnvironment) -> Iterator[str]:
    """Yield every page once, in the order of the table of contents, then those outside it by name."""
    seen: set[str] = set()

    def walk(page: str) -> Iterator[str]:
        if page in seen:
            return
        seen.add(page)
        yield page
        for child in env.toctree_includes.get(page, ()):
            yield from walk(child)

    yield from walk(env.config.root_doc)
    yield from sorted(env.found_docs - seen)


class PaperMath(MathDomain):
    """Sphinx's mathematics domain with the paper's equation numbers."""

    def note_equation(self, docname: str, labelid: str, location: Any = None) -> None:
        """Register a label; its number follows in `renumber`."""
        if labelid in self.equations:
            logger.warning(
                "duplicate label of equation %s, other instance in %s",
                labelid,
                self.equations[labelid][0],
                location=location,
            )
        self._equations[labelid] = (docname, paper_number(labelid) or "b")

    def renumber(self) -> None:
        """Settle the numbers of all labels; needs every page to have been read."""
        by_page: dict[str, list[str]] = {}
        for label, (page, _) in self._equations.items():
            by_page.setdefault(page, []).append(label)
        order = [label for page in reading_order(self.env) for label in by_page.get(page, ())]
        for label, number in number_labels(order).items():
            self._equations[label] = (self._equations[label][0], number)

    @property
    def _equations(self) -> dict[str, tuple[str, str]]:
        """Label to page and number: Sphinx's own table, whose numbers it only ever prints."""
        return cast(dict[str, tuple[str, str]], self.equations)


def _domain(env: BuildEnvironment) -> PaperMath:
    return cast(PaperMath, env.get_domain("math"))


def _renumber(app: Sphinx, env: BuildEnvironment) -> None:
    _domain(env).renumber()


def _write_numbers(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the settled numbers into a page that is about to be written (its stored form may be older)."""
    for equation in doctree.findall(nodes.math_block):
        if equation.get("label"):
            equation["number"] = _domain(app.env).get_equation_number_for(equation["label"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the domain and the two moments at which numbers are settled and written."""
    app.add_domain(PaperMath, override=True)
    app.connect("env-updated", _renumber)
    app.connect("doctree-resolved", _write_numbers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
