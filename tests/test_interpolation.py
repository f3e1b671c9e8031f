"""Few points for many: against the functions themselves, at random points and gains."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.fast.interpolation import ACCURACY, RHO, Interpolation
from lib.fast.panels import panels
from lib.model.activations import Sigmoid

SHAPES = [(50.0, 0.1, 1.0), (50.0, 0.0, 0.3), (5.0, 0.1, 2.0), (50.0, 0.1, 1e-3), (20.0, -0.3, 4.0)]
Z = 5.0


def made(slope=50.0, threshold=0.1, largest=1.0, dtype=torch.float64):
    return Interpolation(Sigmoid(slope, threshold), largest, Z, ACCURACY[dtype])


@pytest.mark.parametrize("dtype, accuracy", [(torch.float32, 5e-6), (torch.float64, 5e-10)])
@pytest.mark.parametrize("shape", SHAPES)
def test_states_at_all_points_follow_from_those_at_few(shape, dtype, accuracy):
    rng = np.random.default_rng(0)
    interpolation, f = made(*shape, dtype=dtype), Sigmoid(*shape[:2])
    z, gains = rng.uniform(-Z, Z, 500), rng.uniform(-1, 1, 300) ** 3 * shape[2]
    known = f.values(np.outer(interpolation.z.numpy(), gains))
    found = interpolation.functions(torch.from_numpy(z)).numpy() @ known
    error = abs(found - f.values(np.outer(z, gains))).max()
    assert error < accuracy
    assert 0.01 * error < interpolation.probe_error(f) < accuracy < ACCURACY[dtype].probe_error * 1.01
    assert len(interpolation.z) < 200


def test_the_line_is_in_the_span():
    interpolation = made()
    z = torch.linspace(-Z, Z, 101, dtype=torch.float64)
    torch.testing.assert_close(interpolation.functions(z) @ interpolation.z, z, rtol=0, atol=1e-9)


def test_each_function_is_one_at_its_point_and_zero_at_the_others():
    interpolation = made()
    identity = torch.eye(len(interpolation.z), dtype=torch.float64)
    torch.testing.assert_close(interpolation.functions(interpolation.z), identity, rtol=0, atol=1e-10)


def test_points_are_numbers_of_the_network():
    z = made(dtype=torch.float32).z
    assert torch.equal(z, z.float().double())


@pytest.mark.parametrize("batch", [1, 7, 4096])
def test_gram_is_the_mean_of_products(batch, rng):
    interpolation = made(largest=0.5)
    z = 2 * Z * torch.rand(batch, generator=rng, dtype=torch.float64) - Z
    values = interpolation.functions(z)
    torch.testing.assert_close(interpolation.gram(z), values.T @ values / batch, rtol=0, atol=1e-11)


def test_ends_of_the_range_and_edges_of_panels_belong_to_it():
    interpolation = made()
    assert interpolation.gram(interpolation.edges).isfinite().all()
    for beyond in (5.0001, -6.0, float("nan")):
        with pytest.raises(ValueError, match=r"z must lie in \[-5.0, 5.0\], got"):
            interpolation.gram(torch.tensor([0.0, beyond], dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.floats(0.02, 3))
def test_no_pole_is_close_to_a_panel(real, imaginary):
    pole = np.array([complex(real, imaginary), complex(real, -imaginary)])
    edges = panels(pole, 5.0, rho=RHO)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        w = (pole - (low + high) / 2) / (
            (high - low) / 2
        )  # |w - 1| + |w + 1| is the sum of an ellipse's axes, rho + 1/rho
        assert (abs(w - 1) + abs(w + 1) > RHO + 1 / RHO - 1e-9).all()


def test_series_converge_at_the_promised_rate():
    """Interpolating 1 / (z - pole) on the panels: the error falls by rho per node, or faster."""
    pole = np.array([0.3 + 0.2j, 0.3 - 0.2j])
    edges = panels(pole, 5.0, rho=RHO)
    errors = []
    for p in (8, 12, 16):
        worst = 0.0
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            series = np.polynomial.Chebyshev.interpolate(lambda z: (1 / (z - pole[0])).imag, p - 1, [low, high])
            z = np.linspace(low, high, 200)
            worst = max(worst, abs(series(z) - (1 / (z - pole[0])).imag).max())
        errors.append(worst)
    assert errors[2] < errors[0] / RHO**7.5  # eight nodes more


def test_poles_are_where_the_sigmoid_is_infinite():
    f = Sigmoid(50.0, 0.1)
    poles = f.poles(np.array([0.5, -2.0]))
    assert len(poles) == 4
    for pole, gain in zip(poles, [0.5, -2.0] * 2, strict=True):
        assert abs(1 + np.exp(-50 * (pole * gain - 0.1))) < 1e-12


def test_errors():
    with pytest.raises(ValueError, match="poles must not be real"):
        panels(np.array([1.0 + 0j]), 5.0, rho=RHO)
    with pytest.raises(ValueError, match="more than 10 panels would be needed"):
        panels(np.array([1e-6j]), 5.0, rho=RHO, most=10)
    with pytest.raises(ValueError, match="threshold must be one for all neurons, got 3"):
        Sigmoid(50.0, torch.zeros(3)).poles(np.ones(1))
    with pytest.raises(ValueError, match="largest must be a positive number"):
        made(largest=0.0)
