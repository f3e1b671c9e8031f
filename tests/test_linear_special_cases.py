"""lib.theory.linear.special_cases: closed forms of appendix C against gradient descent in the full space."""

import numpy as np
import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.codes import random_codes
from lib.model.task import Task
from lib.theory.linear.descent import descend
from lib.theory.linear.loss import gradient
from lib.theory.linear.moments import moments
from lib.theory.linear.special_cases import (
    descent_polynomial,
    real_roots,
    realised,
    single_step_limit,
    single_step_moments,
    single_step_weight,
    slope_at_integrator,
)

ONE = Task(0.9, 0.7, T=1)
PAPER = {"normalisation": "paper", "abort_loss": float("inf")}


def codes(rng, n=9):
    return randn(n, 1, rng=rng) / 2, randn(n, 1, rng=rng) / 2


@pytest.mark.parametrize("share", [0.1, 0.45, 0.99, 1.01])
def test_weights_follow_the_formula(share, rng):
    e, d = codes(rng)
    lr = share * single_step_limit(e, d)
    path = descend(torch.zeros(9, 9, dtype=torch.float64), e, d, ONE, lr=lr, n_steps=12, path=True, **PAPER).path
    assert path is not None
    expected = single_step_weight(e, d, ONE, lr=lr, steps=torch.arange(13))
    torch.testing.assert_close(path, expected[:, None, None] * d @ e.T, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("share", "converges"), [(0.99, True), (1.01, False)])
def test_the_limit_separates(share, converges, rng):
    e, d = codes(rng)
    far = single_step_weight(e, d, ONE, lr=share * single_step_limit(e, d), steps=2000)
    fixed = ONE.scales[0] * ONE.decays[0] * single_step_limit(e, d)
    assert ((far / fixed - 1).abs() < 1e-6).item() is converges


def test_moments_after_training(rng):
    e, d = codes(rng)
    found = descend(torch.zeros(9, 9, dtype=torch.float64), e, d, ONE, lr=0.4 * single_step_limit(e, d), n_steps=40)
    expected = single_step_moments(e, d, ONE, 6)
    W = single_step_weight(e, d, ONE, lr=0.5 * single_step_limit(e, d), steps=1) * d @ e.T  # there in one step
    torch.testing.assert_close(moments(W, e, d, 6)[:, 0, 0], expected)
    assert moments(found.W, e, d, 1).item() < expected[0].item()  # the other normalisation is slower


def test_only_the_product_of_decay_and_scale_is_as_wanted(rng):
    e, d = codes(rng)
    for s in (0.3, 1.0):
        task = Task(0.9, s, T=1)
        mu = single_step_moments(e, d, task, 3)
        decay, scale = realised(e, d, task)
        torch.testing.assert_close(mu[1] / mu[0], decay)
        torch.testing.assert_close(mu[0] / decay, scale)
        assert decay * scale == pytest.approx(0.9 * s)
        assert scale == pytest.approx((1 / single_step_limit(e, d) / (e.T @ d)).item())


def test_a_batch_of_networks(rng):
    e, d = randn(4, 9, 1, rng=rng), randn(4, 9, 1, rng=rng)
    assert single_step_moments(e, d, ONE, 3).shape == (4, 3)
    each = torch.stack([single_step_weight(e[k], d[k], ONE, lr=0.01, steps=5) for k in range(4)])
    torch.testing.assert_close(single_step_weight(e, d, ONE, lr=0.01, steps=5), each)


@pytest.mark.parametrize("s", [1.44, 0.8])
def test_a_step_goes_against_the_polynomial(s, rng):
    """In the full space, at the integrator's scale and at another one (erratum E3a)."""
    e = random_codes(9, 1, generator=rng, encoder_norm=1.2).encoders
    task, omega = Task(0.9, s, T=4), 0.31
    P = float(np.polynomial.polynomial.polyval(omega, descent_polynomial(task, 1.44)))
    slope = gradient(omega * e @ e.T, e, e, task, normalisation="paper")
    torch.testing.assert_close(slope, P * e @ e.T, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("T", [1, 2, 5])
def test_the_slope_is_the_derivative_of_the_polynomial(T):
    task, size = Task(0.8, 1.44, T=T), 1.44
    derivative = np.polynomial.polynomial.polyder(descent_polynomial(task, size))
    assert slope_at_integrator(task, size) == pytest.approx(np.polynomial.polynomial.polyval(0.8 / size, derivative))
    assert np.polynomial.polynomial.polyval(0.8 / size, descent_polynomial(task, size)) == pytest.approx(0, abs=1e-12)


def test_twice_the_inverse_slope_separates(rng):
    e = random_codes(9, 1, generator=rng, encoder_norm=1.2).encoders
    task, fixed = Task(0.9, 1.44, T=3), 0.9 / 1.44
    shares = torch.tensor([0.9, 1.5, 1.99, 2.01], dtype=torch.float64)
    start = ((fixed + 1e-3) * e @ e.T).expand(4, 9, 9)
    rates = shares / slope_at_integrator(task, 1.44)
    W = descend(start, e, e, task, lr=rates, n_steps=3000, record=3000, **PAPER).W
    omega = (e.T @ W @ e)[:, 0, 0] / 1.44**2
    assert ((omega - fixed).abs() < 1e-10).tolist() == [True, True, True, False]


@settings(max_examples=30, deadline=None)
@given(T=st.integers(1, 60), gamma=st.floats(0.05, 1.0), size=st.floats(0.5, 2.0))
def test_the_integrator_is_the_only_real_root(T, gamma, size):
    """Roots of the polynomial in z = omega |e|^2, where its coefficients stay moderate."""
    scaled = descent_polynomial(Task(gamma, size, T=T), size) / size ** np.arange(2 * T)
    found = real_roots(scaled)
    np.testing.assert_allclose(found, [gamma], rtol=1e-6)


def test_real_roots_by_hand():
    np.testing.assert_allclose(real_roots(np.array([-6.0, 11.0, -6.0, 1.0])), [1.0, 2.0, 3.0])
    assert len(real_roots(np.array([1.0, 0.0, 1.0]))) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: single_step_limit(e, 0 * e), "must not be zero"),
        (lambda e: single_step_limit(e.expand(3, 2), e.expand(3, 2)), "expected one channel, got 2"),
        (lambda e: single_step_moments(e, e, Task(0.9, T=2), 3), "T = 1, got 2"),
        (lambda e: single_step_moments(e, e, Task([0.9, 0.8], T=1), 3), "one channel, got 2"),
        (lambda e: descent_polynomial(Task(0.9), 0.0), "size must be"),
        (lambda e: slope_at_integrator(Task(0.9, 2.0), 1.0), "squared norm 1, got 2"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(3, 1, dtype=torch.float64))
