"""What holds for all of pytest here: which tests run, and how re-executed notebooks are compared with committed ones.

nbval compares every output of every cell as text, and ignores pictures. Other machines round differently, so here texts
must be equal character by character except that numbers with a decimal point or an exponent may differ by a relative
1e-6. Whole numbers must be equal.
"""

import math
import re

import pytest

RELATIVE, ABSOLUTE = 1e-6, 1e-12
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][-+]?\d+)?(?![\w.])")


class Output(str):
    """Text of an output; equal to another one when words and whole numbers are the same and other numbers close."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return False
        if str.__eq__(self, other):
            return True
        ours, theirs = NUMBER.findall(self), NUMBER.findall(other)
        if NUMBER.sub("#", self) != NUMBER.sub("#", other):
            return False
        return all(
            math.isclose(float(a), float(b), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
            for a, b in zip(ours, theirs, strict=True)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="also run tests that take minutes")


def pytest_collection_modifyitems(config, items):
    def skip(marker, reason):
        for item in items:
            if marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))

    if not config.getoption("--run-slow"):
        skip("slow", "takes minutes; runs with --run-slow")
    if any("gpu" in item.keywords for item in items):
        import torch

        if not torch.cuda.is_available():
            skip("gpu", "needs CUDA")


def pytest_configure(config):
    from nbval.kernel import RunningKernel
    from nbval.plugin import IPyNbCell

    def sanitize(self, text, plain=IPyNbCell.sanitize):
        cleaned = plain(self, text)
        return Output(cleaned) if isinstance(cleaned, str) else cleaned

    def execute_cell_input(self, cell_input, allow_stdin=None):
        # with history, as in Jupyter: only then does a semicolon at the end of a cell hide its value
        return self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)

    if IPyNbCell.sanitize.__name__ == "sanitize" and IPyNbCell.sanitize.__module__ != __name__:
        IPyNbCell.sanitize = sanitize
        RunningKernel.execute_cell_input = execute_cell_input
