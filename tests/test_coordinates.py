"""Coordinates, their map from integrals and what neurons follow: against lstsq, numpy and networks that are exact."""

import numpy as np
import pytest
import torch
from equations import PAIRS, randn

from lib.analysis.representation import current_ratios
from lib.analysis.subspaces import (
    compare_states,
    coordinates,
    explained,
    leading_vectors,
    linear_map,
    ratio_bounds,
    selectivity,
)

CHANNELS = pytest.mark.parametrize("D", [1, 2, 3, 5])


@CHANNELS
def test_coordinates_are_those_of_lstsq(D, rng):
    """Equation 35, for vectors that need not be orthonormal."""
    vectors, nu = randn(20, D, rng=rng), randn(4, 6, 20, rng=rng)
    found = coordinates(nu, vectors)
    expected = np.linalg.lstsq(vectors.numpy(), nu.reshape(24, 20).T.numpy(), rcond=None)[0]
    np.testing.assert_allclose(found.reshape(24, D).T.numpy(), expected, rtol=1e-10, atol=1e-12)
    left = leading_vectors(randn(20, 20, rng=rng), D)
    torch.testing.assert_close(coordinates(nu.float(), left), nu.float().double() @ left)


@CHANNELS
def test_leading_vectors(D, rng):
    W = randn(12, 12, rng=rng)
    U = np.linalg.svd(W.numpy())[0][:, :D]
    found = leading_vectors(W.float(), D).numpy()
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.abs((found * U).sum(axis=0)), 1, rtol=1e-5)


@CHANNELS
@pytest.mark.parametrize("noise", [1e-9, 1e-3, 1.0])
def test_the_printed_ratio_lies_between_its_bounds(D, noise, rng):
    for turn in (0.0, 0.01, 1.0):
        W = randn(20, 20, rng=rng)
        plane = leading_vectors(W, D) + turn * randn(20, D, rng=rng)
        nu = randn(4, 6, D, rng=rng) @ plane.T + noise * randn(4, 6, 20, rng=rng)
        found, bounds = current_ratios(W, plane, nu).code, ratio_bounds(W, nu, D)
        assert bounds.lower * (1 - 1e-6) <= found <= bounds.upper * (1 + 1e-6)


def test_bounds_of_the_printed_ratio_by_hand():
    """Currents on a line at an angle to the leading vector, with a little beside it: both bounds, and what is between.

    Rows (3, 4, 0) and (0, 0, 1): r^2 = 1/26. The leading vector is the first axis, sin^2 = 16/25.
    """
    W, nu = torch.diag(torch.tensor([3.0, 2.0, 1.0])), torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    bounds = ratio_bounds(W, nu, 1)
    assert bounds.lower == pytest.approx((16 / 26) ** 0.5)
    assert bounds.upper == pytest.approx((17 / 26) ** 0.5)
    assert current_ratios(W, torch.ones(3, 1), nu).code == pytest.approx((17 / 26) ** 0.5)  # nothing along the axis


def test_bounds_of_the_printed_ratio_refuse(rng):
    W = randn(5, 5, rng=rng)
    with pytest.raises(ValueError, match="only zeros"):
        ratio_bounds(W, torch.zeros(3, 5), 1)
    with pytest.raises(ValueError, match="currents"):
        ratio_bounds(W, randn(3, 4, rng=rng), 1)


@CHANNELS
def test_linear_map_is_least_squares_neuron_by_neuron(D, rng):
    B, T, k = 5, 7, 3
    y, alpha = randn(B, T, D, rng=rng), randn(B, T, k, rng=rng)
    alpha[..., 0] = y @ torch.arange(1.0, D + 1, dtype=torch.float64) + 0.1 * alpha[..., 0]
    found = linear_map(alpha, y)
    for c in range(k):
        a, x = alpha[..., c].numpy(), y.reshape(-1, D).numpy()
        r = np.linalg.lstsq(x, a.ravel(), rcond=None)[0]
        residual = (a.ravel() - x @ r).reshape(B, T)
        np.testing.assert_allclose(found.matrix[c].numpy(), r, rtol=1e-10)
        assert found.r2[c].item() == pytest.approx(1 - (residual**2).sum() / ((a - a.mean()) ** 2).sum())
        assert found.between_sequences[c].item() == pytest.approx(residual.mean(axis=1).var() / residual.var())


@CHANNELS
def test_a_map_that_is_exact_is_found(D, rng):
    R, y = randn(D, D, rng=rng), randn(3, 30, D, rng=rng)
    found = linear_map(y @ R.T, y)
    torch.testing.assert_close(found.matrix, R)
    torch.testing.assert_close(found.r2, torch.ones(D, dtype=torch.float64))


def test_a_memory_of_the_sequence_lies_between_sequences(rng):
    y = randn(200, 50, 2, rng=rng)
    alpha = torch.stack([randn(200, 50, rng=rng), randn(200, 1, rng=rng).expand(200, 50)], dim=2)
    between = linear_map(y + 0.1 * alpha, y).between_sequences
    assert between[0].item() == pytest.approx(1 / 50, abs=5 * (2 / 200) ** 0.5 / 50)  # no memory
    assert between[1].item() > 0.999  # nothing else


@CHANNELS
@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_selectivity_of_a_network_whose_currents_are_exact(D, name, rng):
    """Equation 40: the sum over singular vectors, whatever their signs, gives back what made the currents."""
    n = 12
    s = randn(n, D, rng=rng)
    left = torch.linalg.svd(s).U[:, :D]
    y = randn(8, 20, D, rng=rng)
    nu = y @ s.T
    for signs in (1.0, -1.0):
        R = linear_map(coordinates(nu, signs * left), y).matrix
        found = selectivity(signs * left, R)
        torch.testing.assert_close(found, s)
        by_hand = [[sum(R[k, c] * signs * left[i, k] for k in range(D)).item() for c in range(D)] for i in range(n)]
        torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float64))
    f = PAIRS[name][1]
    states = f(nu)
    found = compare_states(states, f(y @ selectivity(left, linear_map(coordinates(nu, left), y).matrix).T))
    assert found.median_r2.item() == pytest.approx(1)
    assert found.active.all()


def test_compare_states_by_hand(rng):
    h = torch.tensor([[[0.0, 2.0, 0.2], [0.0, 0.0, 0.1]], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.1]]], dtype=torch.float64)
    fitted = h.clone()
    fitted[0, 0, 1] = 1.0
    found = compare_states(h, fitted, level=0.15)
    assert found.active.tolist() == [False, True, True]
    assert found.active_share.tolist() == [0, 0.75, 0.25]
    assert torch.isnan(found.r2[0])
    assert found.r2[1:].tolist() == pytest.approx([0.5, 1])
    assert found.median_r2.item() == pytest.approx(0.5)  # the lower of the two
    noisy = h + 0.1 * randn(2, 2, 3, rng=rng)
    expected = 1 - (h - noisy).square().sum(dim=(0, 1)) / (h - h.mean(dim=(0, 1))).square().sum(dim=(0, 1))
    torch.testing.assert_close(explained(h.flatten(0, 1), noisy.flatten(0, 1))[1:], expected[1:])


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match="k must be an integer of at least 1"):
        leading_vectors(randn(4, 4, rng=rng), 0)
    with pytest.raises(ValueError, match="expected a square W of at least 5 neurons for 5 vectors"):
        leading_vectors(randn(4, 4, rng=rng), 5)
    with pytest.raises(ValueError, match="currents must have shape samples x 5"):
        coordinates(randn(3, 4, rng=rng), randn(5, 2, rng=rng))
    with pytest.raises(ValueError, match="coordinates must have shape 3 x 4 x k"):
        linear_map(randn(3, 5, 2, rng=rng), randn(3, 4, 2, rng=rng))
    with pytest.raises(ValueError, match="integrals must span all 2 channels"):
        linear_map(randn(3, 4, 2, rng=rng), randn(3, 4, 1, rng=rng).expand(3, 4, 2))
    with pytest.raises(ValueError, match="matrix must have shape 2 x D"):
        selectivity(randn(5, 2, rng=rng), randn(3, 2, rng=rng))
    with pytest.raises(ValueError, match="expected two B x T x n tensors"):
        compare_states(randn(3, 4, 2, rng=rng), randn(3, 4, 1, rng=rng))
    with pytest.raises(ValueError, match="states must exceed 0.5 somewhere"):
        compare_states(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), level=0.5)
