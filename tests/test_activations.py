"""Activations against closed forms, autograd and each other."""

import math

import pytest
import torch
from equations import rectifier
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad, vmap

from lib.model.activations import ACTIVATIONS, Linear, ReLU, Sigmoid, Softplus, Tanh, activation

FEW = settings(deadline=None, derandomize=True, max_examples=20)
ALL = [
    Linear(),
    ReLU(),
    ReLU(1.0),
    ReLU(0.3),
    Tanh(),
    Softplus(),
    Sigmoid(),
    Sigmoid(3.0, torch.tensor([0.0, -1.0, 0.5, 2.0], dtype=torch.float64)),
]
NAMES = ["linear", "relu", "clamp", "another slope", "tanh", "softplus", "sigmoid", "thresholds"]
each = pytest.mark.parametrize("f", ALL, ids=NAMES)


def away_from_zero(rng, *shape):
    values = torch.randn(*shape, generator=rng, dtype=torch.float64)
    return values + 0.1 * values.sign()


def test_values_by_hand():
    nu = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    assert Linear()(nu).tolist() == [-2, 0, 3]
    assert ReLU()(nu).tolist() == [0, 0, 3]
    assert Tanh()(nu).tolist() == pytest.approx([math.tanh(v) for v in nu.tolist()], rel=1e-14)
    assert Softplus()(nu).tolist() == pytest.approx([math.log1p(math.exp(v)) for v in nu.tolist()], rel=1e-14)
    expected = [1 / (1 + math.exp(-2 * (v - 0.5))) for v in nu.tolist()]
    assert Sigmoid(2.0, 0.5)(nu).tolist() == pytest.approx(expected, rel=1e-14)


def test_the_papers_sigmoid():
    f = activation("sigmoid")
    nu = torch.tensor([0.1, 0.12], dtype=torch.float64)
    assert f(nu).tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-1))], rel=1e-12)  # slope 50, threshold 0.1


def test_each_neuron_has_its_own_threshold():
    thresholds = torch.tensor([0.0, 1.0], dtype=torch.float64)
    states = Sigmoid(4.0, thresholds)(thresholds.expand(3, 2))
    assert torch.equal(states, torch.full((3, 2), 0.5, dtype=torch.float64))


@each
def test_first_and_second_derivatives_of_autograd(f, rng):
    nu = (0.3 * away_from_zero(rng, 5, 4)).requires_grad_()
    assert torch.autograd.gradcheck(f, nu)
    assert torch.autograd.gradgradcheck(f, nu)


@each
def test_derivative_is_what_autograd_says(f, rng):
    nu = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    nu[0] = 0  # where the rectifier has its corner
    nu.requires_grad_()
    (expected,) = torch.autograd.grad(f(nu).sum(), nu)
    torch.testing.assert_close(f.derivative(nu.detach()), expected, rtol=1e-14, atol=0)


@each
@FEW
@given(rows=st.integers(1, 5), seed=st.integers(0, 99), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_in_place_versions(f, rows, seed, dtype):
    rng = torch.Generator().manual_seed(seed)
    nu, factor = (torch.randn(rows, 4, generator=rng, dtype=torch.float64).to(dtype) for _ in range(2))
    nu[0, 0] = 0
    f = f.to(dtype)
    expected_states, expected_product = f(nu).clone(), f.derivative(nu) * factor
    states, kept = torch.full_like(nu, math.nan), factor.clone()
    f.into(nu, states)
    f.into_derivative(nu, factor)
    f.to(torch.float64)
    torch.testing.assert_close(states, expected_states)
    torch.testing.assert_close(nu, expected_product)
    assert torch.equal(factor, kept)


def test_rectifier_has_slope_one_half_at_zero():
    nu = torch.tensor([-1e-300, 0.0, -0.0, 1e-300], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ReLU()(nu).sum(), nu)
    assert slope.tolist() == [0, 0.5, 0.5, 1]
    (independent,) = torch.autograd.grad(rectifier(nu).sum(), nu)
    assert torch.equal(slope, independent)
    (torchs,) = torch.autograd.grad(torch.relu(nu).sum(), nu)
    assert torchs.tolist() == [0, 0, 0, 1]  # why torch.relu will not do from a null start (erratum E36)


def test_rectifier_is_flat_to_second_order():
    nu = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((ReLU()(nu) ** 2).sum() / 2, nu, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), nu)
    assert slope.tolist() == [0, 0, 1]
    assert curvature.tolist() == [0, 0.25, 1]  # H(nu)^2


def test_rectifier_with_another_slope_at_zero():
    nu = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    for f, torchs in ((ReLU(0.0), torch.relu), (ReLU(1.0), lambda nu: nu.clamp(min=0))):
        ours, theirs = (torch.autograd.grad(g(nu).sum(), nu)[0] for g in (f, torchs))
        assert torch.equal(ours, theirs)
    first = torch.autograd.grad((ReLU(0.3)(nu) * nu).sum(), nu, create_graph=True)[0]  # f + f' x
    second = torch.autograd.grad(first.sum(), nu)[0]  # f' + f', as f' is constant in pieces
    assert second.tolist() == [0, 0.6, 2]
    assert vmap(grad(ReLU(0.3)))(nu.detach()).tolist() == [0, 0.3, 1]


@pytest.mark.parametrize("slope", [-0.1, 1.1, float("nan"), True])
def test_rectifier_refuses_a_slope(slope):
    with pytest.raises(ValueError, match=r"slope_at_zero must lie in \[0, 1\], got"):
        ReLU(slope)


def test_rectifier_under_vmap():
    nu = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)
    assert vmap(grad(ReLU()))(nu).tolist() == [0, 0.5, 1]


@each
def test_the_flag_homogeneous_tells_the_truth(f, rng):
    nu = torch.randn(3, 4, generator=rng, dtype=torch.float64)
    scaled = [torch.allclose(f(a * nu), a * f(nu)) for a in (0.0, 0.3, 7.0)]
    assert all(scaled) == f.homogeneous


@pytest.mark.parametrize("slope", [0, -1.0, math.nan])
def test_sigmoid_refuses_a_slope(slope):
    with pytest.raises(ValueError, match="slope must be a positive number, got"):
        Sigmoid(slope)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, torch.zeros(2, 2)])
def test_sigmoid_refuses_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold must be a finite number or a vector, got shape"):
        Sigmoid(50.0, threshold)


def test_names():
    kinds = {"relu": ReLU, "tanh": Tanh, "linear": Linear, "sigmoid": Sigmoid, "softplus": Softplus}
    assert {name: type(activation(name)) for name in ACTIVATIONS} == kinds
    assert type(activation(None)) is ReLU and activation(torch.sin) is torch.sin
    for wrong in ("gelu", 3):
        with pytest.raises(ValueError, match=f"must be callable or one of relu, tanh, .*, got {wrong!r}"):
            activation(wrong)
