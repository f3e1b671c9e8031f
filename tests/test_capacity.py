"""Capacities and their law: by hand, on laws that are known, and the noise of one read-out against draws."""

import math

import numpy as np
import pytest
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.scaling import collapse, crossing, next_channels, one_step_error, one_step_neurons, power_law


@settings(max_examples=30, deadline=None)
@given(c=st.floats(0.01, 0.2), b=st.floats(0.3, 3), level=st.floats(0.05, 0.9))
def test_the_crossing_of_a_power_is_where_it_is(c, b, level):
    D = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]
    exact = (level / c) ** (1 / b)
    found = crossing(D, [c * d**b for d in D], level)
    assert found == pytest.approx(exact, rel=1e-9) if 1.001 < exact < 47.9 else True


def test_crossings_by_hand():
    assert crossing([1, 4], [0.1, 0.4], 0.2) == pytest.approx(2)
    assert crossing([2, 3, 4], [0.1, math.inf, math.inf], 0.2) == 2  # nothing is known about the divergence
    assert crossing([1, 2, 4, 8], [0.1, 0.4, 0.1, 0.4], 0.2) == pytest.approx(2**0.5)  # the first
    assert math.isnan(crossing([1, 2], [0.1, 0.15], 0.2))
    assert math.isnan(crossing([1, 2], [0.3, 0.4], 0.2))


@pytest.mark.parametrize(
    ("channels", "errors", "expected"),
    [([2, 1], [0.1, 0.2], "increasing"), ([1, 2], [0.1], "for each"), ([1, 2], [0.1, math.nan], "positive")],
)
def test_curves_that_are_none_are_refused(channels, errors, expected):
    with pytest.raises(ValueError, match=expected):
        crossing(channels, errors, 0.2)


@pytest.mark.parametrize("start", [1, 4, 16, 32])
def test_the_way_ends_with_both_levels_enclosed(start):
    choices, errors = [1, 2, 4, 8, 16, 32], {}
    D = start
    while D is not None:
        errors[D] = 0.02 * D
        D = next_channels(errors, choices, 0.1, 0.2)
    assert errors[min(errors)] <= 0.1 < 0.2 < errors[max(errors)]
    tried = sorted(errors)
    assert tried == [D for D in choices if tried[0] <= D <= tried[-1]]


def test_the_way_ends_where_no_choice_is_left():
    assert next_channels({1: 0.5}, [1, 2], 0.1, 0.2) is None
    assert next_channels({2: 0.01}, [1, 2], 0.1, 0.2) is None


def test_the_law_of_networks_that_obey_one(rng):
    n = np.repeat([64, 128, 256, 512], 4)
    noise = randn(16, rng=rng).numpy() * 0.1
    law = power_law(n, 0.3 * n**0.7 * np.exp(noise), generator=rng)
    x = np.log(n) - np.log(n).mean()
    assert law.exponent == pytest.approx(0.7 + x @ noise / (x @ x), rel=1e-9)
    assert law.error == pytest.approx(0.1 / np.sqrt(x @ x), rel=0.5)
    assert law.low < law.bootstrap_low + law.error
    assert law.bootstrap_low < law.exponent < law.bootstrap_high
    assert law(100) == pytest.approx(law.prefactor * 100**law.exponent)


def test_networks_without_a_capacity_do_not_count(rng):
    law = power_law([1, 2, 4, 8], [3.0, 6.0, 12.0, math.nan], generator=rng)
    assert (law.exponent, law.prefactor) == (pytest.approx(1), pytest.approx(3))
    with pytest.raises(ValueError, match="three networks"):
        power_law([1, 2, 4], [1.0, 2.0, math.nan], generator=rng)
    with pytest.raises(ValueError, match="for each n"):
        power_law([1, 2, 4], [1.0, 2.0], generator=rng)


def test_errors_that_depend_on_one_ratio_collapse(rng):
    n, D = np.repeat([64, 128, 256], 4), np.tile([2, 3, 5, 8], 3)
    found = collapse(n, D, 0.1 * (D / n**0.7) ** 1.5)
    assert found.power == pytest.approx(0.7)
    assert found.left < 1e-12 < found.left_proportional
    assert found.left_proportional == pytest.approx(1.5 * 0.3 * np.log(n).std(), rel=0.5)
    proportional = collapse(n, D, 0.1 * (D / n) ** 2 * np.exp(0.01 * randn(12, rng=rng).numpy()))
    assert proportional.power == pytest.approx(1, abs=0.05)
    assert proportional.left == pytest.approx(proportional.left_proportional, abs=0.01)


def test_what_cannot_collapse_is_refused():
    with pytest.raises(ValueError, match="of each network"):
        collapse([1, 2], [1, 2], [0.1])
    with pytest.raises(ValueError, match="positive"):
        collapse([1, 2], [1, 2], [0.1, math.inf])
    with pytest.raises(ValueError, match="two sizes"):
        collapse([2, 2], [1, 2], [0.1, 0.2])


@pytest.mark.parametrize("D", [2, 5, 40])
def test_the_noise_of_one_step_is_that_of_draws(rng, D):
    """Even halves of random rectified states on the sphere, without their mean over it."""
    n, found = 1000, []
    for _ in range(12):
        d, y = randn(n, D, rng=rng) / n**0.5, randn(2000, D, rng=rng)
        y = y / y.norm(dim=1, keepdim=True) * D**0.5
        even = (y @ d.T).abs() @ d
        found.append((even - even.mean(dim=0)).square().mean().item())
    found = np.array(found) * (1 + 1 / 2000)
    error = found.std(ddof=1) / len(found) ** 0.5
    assert one_step_error(D, n) ** 2 == pytest.approx(found.mean(), abs=4 * error)


def test_limits_of_the_noise():
    assert one_step_error(1, 50) == pytest.approx(0, abs=1e-7)
    assert one_step_error(1000, 1e6) ** 2 == pytest.approx((1 - 2 / math.pi) * 1e-3, rel=0.01)
    assert one_step_error(7, one_step_neurons(7, 0.2)) == pytest.approx(0.2)
