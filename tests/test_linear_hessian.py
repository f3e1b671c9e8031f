"""lib.theory.linear.hessian: against autograd, finite differences and counting."""

from typing import Any

import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.task import Task
from lib.theory.linear.covariance import autoregressive
from lib.theory.linear.hessian import curvatures, derivatives, eigenvalues, gauss_newton, hessian, hessian_product
from lib.theory.linear.loss import averaged_loss, gradient
from lib.theory.linear.moments import moments
from lib.theory.linear.reduced import reduce

TASKS = [Task(0.9, 1.3, T=4), Task([0.9, 0.7], [1.0, 2.0], T=5), Task(1.0, 0.2, T=1), Task([1.0, 0.5], 0.7, T=2)]


def network(rng, D, n=5, *batch):
    return tuple(randn(*batch, *shape, rng=rng) / n**0.5 for shape in ((n, n), (n, D), (n, D)))


def integrator(rng, gamma, s, n=6):
    """A network of rank one with eigenvalue gamma; the decoder is given the length at which its scale is s."""
    e, d, left, right = (randn(n, 1, rng=rng) for _ in range(4))
    left = left / (right.T @ left)
    return gamma * left @ right.T, e, d * s / (d.T @ left @ right.T @ e)


def by_autograd(W, e, d, task, **options) -> Any:
    return torch.autograd.functional.hessian(lambda w: averaged_loss(w, e, d, task, **options), W)


def assert_close(found, expected, relative=1e-10):
    assert (found - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize("normalisation", ["paper", "authors"])
@pytest.mark.parametrize("task", TASKS, ids=["D=1", "D=2", "T=1", "T=2"])
def test_hessian_is_that_of_autograd(task, normalisation, rng):
    W, e, d = network(rng, task.D)
    options = {"chi": autoregressive(task.T, 0.4), "normalisation": normalisation}
    expected = by_autograd(W, e, d, task, **options)
    assert_close(hessian(W, e, d, task, **options), expected)
    X = randn(3, 5, 5, rng=rng)
    assert_close(hessian_product(W, e, d, X, task, **options), torch.einsum("ijkl,bkl->bij", expected, X))


@settings(max_examples=20, deadline=None)
@given(
    gamma=st.floats(0.1, 1.0),
    s=st.floats(0.05, 5.0),
    T=st.integers(1, 6),
    rho=st.floats(-0.9, 0.9),
    seed=st.integers(0, 10**6),
)
def test_at_an_integrator_equation_44_is_the_hessian(gamma, s, T, rho, seed):
    task, chi = Task(gamma, s, T=T), autoregressive(T, rho)
    W, e, d = integrator(torch.Generator().manual_seed(seed), gamma, s)
    expected = by_autograd(W, e, d, task, chi=chi)
    assert_close(gauss_newton(W, e, d, task, chi=chi), expected, 1e-7)  # W can be large, and rounding with it
    every = eigenvalues(expected)
    few = curvatures(W, e, d, task, chi=chi)
    assert_close(every[-min(T, 3) :], few[-min(T, 3) :], 1e-7)
    assert (every[: -min(T, 3)].abs() <= 1e-6 * every[-1]).all()  # rank one: three directions count, and one if T = 1


def test_away_from_integrators_it_is_not(rng):
    W, e, d = network(rng, 1)
    whole, part = hessian(W, e, d, TASKS[0]), gauss_newton(W, e, d, TASKS[0])
    assert (whole - part).abs().max() > 0.1 * whole.abs().max()
    assert eigenvalues(part)[0] > -1e-12 and eigenvalues(whole)[0] < -1e-3


def test_batches_are_done_one_by_one(rng):
    task = TASKS[1]
    W, e, d = network(rng, 2, 4, 3)
    X = randn(3, 4, 4, rng=rng)
    for function in (hessian, gauss_newton, curvatures):
        each = torch.stack([function(*one, task) for one in zip(W, e, d, strict=True)])
        torch.testing.assert_close(function(W, e, d, task), each)
    each = torch.stack([hessian_product(*one, task) for one in zip(W, e, d, X, strict=True)])
    torch.testing.assert_close(hessian_product(W, e, d, X, task), each)
    torch.testing.assert_close(hessian_product(W, e, d, X[0], task)[2], hessian_product(W[2], e[2], d[2], X[0], task))


@pytest.mark.parametrize("D", [1, 2])
def test_first_derivatives_are_differences(D, rng):
    W, e, d = network(rng, D)
    X, h = randn(5, 5, rng=rng), 1e-6
    expected = (moments(W + h * X, e, d, 6) - moments(W - h * X, e, d, 6)) / (2 * h)
    torch.testing.assert_close((derivatives(W, e, d, 6) * X).sum(dim=(-2, -1)), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("task", TASKS, ids=["D=1", "D=2", "T=1", "T=2"])
def test_curvatures_are_eigenvalues_without_the_zeros(task, rng):
    W, e, d = network(rng, task.D)
    every, few = eigenvalues(gauss_newton(W, e, d, task)), curvatures(W, e, d, task)
    assert few.shape == (task.T * task.D**2,)
    both = min(len(every), len(few))
    assert_close(few[-both:], every[-both:])
    assert (every[:-both].abs() < 1e-12 * every[-1]).all()


def test_the_product_at_a_thousand_neurons_is_the_change_of_the_gradient(rng):
    W, e, d = network(rng, 1, 1000)
    X, h = randn(1000, 1000, rng=rng) / 1000**0.5, 1e-5
    expected = (gradient(W + h * X, e, d, TASKS[0]) - gradient(W - h * X, e, d, TASKS[0])) / (2 * h)
    found = hessian_product(W, e, d, X, TASKS[0])
    assert_close(found, expected, 1e-6)


@pytest.mark.parametrize("D", [1, 2])
def test_the_reduced_space_has_the_hessian_of_the_full_one(D, rng):
    """Along directions inside the span of decoders and encoders."""
    _, e, d = network(rng, D, 9)
    small = reduce(e, d)
    omega, x = (randn(2 * D, 2 * D, rng=rng) for _ in range(2))
    full = hessian_product(small.lift(omega), e, d, small.lift(x), TASKS[D - 1])
    found = torch.einsum("ijkl,kl->ij", hessian(omega, small.encoders, small.decoders, TASKS[D - 1]), x)
    assert_close(small.lift(found), full)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), T=st.integers(1, 5), D=st.integers(1, 2))
def test_symmetries(seed, T, D):
    """Rotated neurons, exchanged encoders and decoders with W transposed (and one scale), H as a symmetric form."""
    rng = torch.Generator().manual_seed(seed)
    task = Task([0.9, 0.6][:D], 0.8, T=T)
    W, e, d = network(rng, D, 4)
    X = randn(4, 4, rng=rng)
    U = torch.linalg.qr(randn(4, 4, rng=rng)).Q
    product = hessian_product(W, e, d, X, task)
    rotated = hessian_product(U @ W @ U.T, U @ e, U @ d, U @ X @ U.T, task)
    assert_close(U.T @ rotated @ U, product)
    assert_close(hessian_product(W.T, d, e, X.T, task).T, product)
    H = hessian(W, e, d, task)
    assert_close(H.permute(2, 3, 0, 1), H)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": torch.zeros(3, 2)}, "expected W 3 x 3"),
        ({"decoders": torch.zeros(2, 1)}, "both be n x D"),
        ({"task": Task([0.9, 0.8])}, "1 channels, got 2"),
        ({"normalisation": "mean"}, "normalisation"),
        ({"chi": torch.zeros(2, 3)}, "chi"),
    ],
)
@pytest.mark.parametrize("function", [hessian, gauss_newton, curvatures])
def test_refuses(function, change, message):
    ones = torch.ones(3, 1, dtype=torch.float64)
    good = {"W": torch.eye(3, dtype=torch.float64), "encoders": ones, "decoders": ones, "task": Task(0.9)}
    with pytest.raises(ValueError, match=message):
        function(**good | change)


def test_refuses_a_direction_of_another_size():
    ones = torch.ones(3, 1)
    with pytest.raises(ValueError, match="direction must be 3 x 3"):
        hessian_product(torch.eye(3), ones, ones, torch.eye(2), Task(0.9))
    with pytest.raises(ValueError, match="orders must be"):
        derivatives(torch.eye(3), ones, ones, 0)
