"""benchmarks.curvature at toy size: the two ways agree. No test looks at a time."""

import pytest

from benchmarks import curvature
from benchmarks.__main__ import main
from lib.theory.relu.hessian import largest_eigenvalue


def test_two_ways_agree():
    W, at = curvature.trained(16)
    value = largest_eigenvalue(W, *at).item()
    assert curvature.lanczos(W, at) == pytest.approx(value, rel=1e-9)


def test_report():
    (report,) = main(["curvature", "--quick"])
    assert [len(table.rows) for table in report.tables] == [2] and len(report.wishes) == 3
    assert report.wishes[1].met
