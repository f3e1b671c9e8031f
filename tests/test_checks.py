"""Checks of arguments: what passes, what is refused, and whether the message says what was expected and what came."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import checks

FEW = settings(deadline=None, derandomize=True, max_examples=30)


@FEW
@given(value=st.integers(-5, 5), least=st.integers(-5, 5))
def test_whole_takes_integers_from_the_bound_on(value, least):
    if value >= least:
        assert checks.whole("n", value, least) == value
    else:
        with pytest.raises(ValueError, match=f"n must be an integer of at least {least}, got {value}"):
            checks.whole("n", value, least)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, float("nan")])
def test_whole_refuses_what_is_no_integer(value):
    with pytest.raises(ValueError, match="T must be an integer of at least 1, got"):
        checks.whole("T", value, 1)


@pytest.mark.parametrize("value", [0, -1, 0.0, math.inf, math.nan, True, "2", None])
def test_positive_refuses(value):
    with pytest.raises(ValueError, match="lr must be a positive number, got"):
        checks.positive("lr", value)


def test_positive_returns_a_float():
    assert checks.positive("lr", 2) == 2.0
    assert isinstance(checks.positive("lr", 2), float)


def test_one_of_names_what_is_allowed():
    assert checks.one_of("colour", "red", ["red", "blue"]) == "red"
    with pytest.raises(ValueError, match=r"colour must be one of \['blue', 'red'\], got 'green'"):
        checks.one_of("colour", "green", ["red", "blue"])


@FEW
@given(shape=st.lists(st.integers(1, 4), min_size=0, max_size=3), wanted=st.lists(st.integers(1, 4), max_size=3))
def test_tensor_compares_the_lengths_that_are_numbers(shape, wanted):
    value = torch.zeros(shape)
    pattern = [length if length < 4 else "any" for length in wanted]
    fits = len(shape) == len(wanted) and all(w == 4 or s == w for s, w in zip(shape, wanted, strict=True))
    if fits:
        assert checks.tensor("x", value, pattern) is value
    else:
        with pytest.raises(ValueError, match="x must have shape"):
            checks.tensor("x", value, pattern)


def test_tensor_sees_every_length_of_a_square():
    for shape in ((3, 4), (4, 3)):
        with pytest.raises(ValueError, match="x must have shape 4 x 4, got"):
            checks.tensor("x", torch.zeros(shape), (4, 4))


@pytest.mark.parametrize(
    "value, came", [(torch.zeros(2, dtype=torch.int64), "torch.int64 tensor"), ([1.0, 2.0], "list"), (None, "NoneType")]
)
def test_tensor_refuses_what_is_no_floating_tensor(value, came):
    with pytest.raises(ValueError, match=f"x must be a floating-point tensor, got {came}"):
        checks.tensor("x", value, (2,))


def test_finite_counts_the_bad_entries():
    value = torch.tensor([1.0, math.nan, math.inf, -math.inf])
    assert checks.finite("W", value[:1]) is not None
    with pytest.raises(ValueError, match="W must be finite, got 3 entries"):
        checks.finite("W", value)


def test_same_wants_the_dtype_and_the_device_of_the_network():
    x, W = torch.zeros(3), torch.zeros(2)
    assert checks.same("x", x, W) is x
    with pytest.raises(ValueError, match="^x must be float64 as the network is, got float32$"):
        checks.same("x", x, W.double())
    with pytest.raises(ValueError, match="^x must be on meta as the network is, got cpu$"):
        checks.same("x", x, W.to("meta"))
