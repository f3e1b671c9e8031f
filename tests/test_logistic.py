"""Logistic curves of all neurons at once, against scipy one neuron at a time."""

import numpy as np
import pytest
import torch
from equations import randn
from scipy.optimize import least_squares

from lib.analysis.tuning import fit_logistic


@pytest.mark.parametrize("D", [1, 2, 3, 5])
def test_curves_that_are_exact_are_found(D, rng):
    a, b, y = 2 * randn(9, D, rng=rng), randn(9, rng=rng), randn(300, D, rng=rng)
    found = fit_logistic((y @ a.T + b).sigmoid(), y)
    torch.testing.assert_close(found.slopes, a, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.offsets, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.r2, torch.ones(9, dtype=torch.float64))


@pytest.mark.parametrize("D", [1, 2, 3])
def test_the_error_is_as_low_as_that_of_scipy(D, rng):
    """On states that are no logistic curves: noise, saturation, a second direction."""
    y = 2 * randn(20, 20, D, rng=rng)
    a = torch.cat([randn(4, D, rng=rng), 20 * randn(2, D, rng=rng)])
    h = (y @ a.T + 0.5 * randn(20, 20, 6, rng=rng) + 0.3 * y[..., :1] ** 2).sigmoid()
    found = fit_logistic(h, y)
    flat, states = y.reshape(400, D).numpy(), h.reshape(400, 6).numpy()
    for i in range(6):

        def residual(theta, i=i):
            return 1 / (1 + np.exp(-np.clip(flat @ theta[:-1] + theta[-1], -500, 500))) - states[:, i]

        starts = [np.append(found.slopes[i].numpy(), found.offsets[i].item()), np.zeros(D + 1), np.append(a[i], 0.0)]
        best = min(2 * least_squares(residual, start).cost for start in starts)
        ours = (residual(starts[0]) ** 2).sum()
        assert ours <= best * (1 + 1e-4) + 1e-12
        expected = 1 - ours / ((states[:, i] - states[:, i].mean()) ** 2).sum()
        assert found.r2[i].item() == pytest.approx(expected)


def test_silent_constant_and_saturated_neurons(rng):
    y = randn(200, 2, rng=rng)
    h = torch.stack([torch.zeros(200), torch.ones(200), torch.full((200,), 0.3), (y[:, 0] > 0).double()], dim=1)
    found = fit_logistic(h, y)
    assert torch.isfinite(found.slopes).all() and torch.isfinite(found.offsets).all()
    assert torch.isnan(found.r2[:3]).all()  # nothing varies
    assert found.r2[3] > 0.99  # a step is a steep curve


def test_a_neuron_with_two_directions_is_not_fitted_well(rng):
    y = 2 * randn(2000, 2, rng=rng)
    bump = (2 - y.square().sum(dim=1)).sigmoid()  # active near the origin only
    found = fit_logistic(torch.stack([bump, (3 * y[:, 0]).sigmoid()], dim=1), y)
    assert found.r2[0] < 0.3
    assert found.r2[1] > 0.999


def test_float32_and_more_steps_never_hurt(rng):
    y = randn(100, 2, rng=rng)
    h = (y @ randn(2, 5, rng=rng) + randn(100, 5, rng=rng)).sigmoid()
    r2 = [fit_logistic(h, y, steps=steps).r2 for steps in (0, 1, 5, 30)]
    assert all((later >= before).all() for before, later in zip(r2, r2[1:], strict=False))
    torch.testing.assert_close(fit_logistic(h.float(), y.float()).r2, r2[-1], rtol=0, atol=1e-5)


def test_what_is_refused(rng):
    y = randn(10, 2, rng=rng)
    with pytest.raises(ValueError, match=r"states must lie in \[0, 1\], got -1 to -1"):
        fit_logistic(-torch.ones(10, 3), y)
    with pytest.raises(ValueError, match="states and integrals must agree"):
        fit_logistic(torch.zeros(9, 3), y)
    with pytest.raises(ValueError, match="expected more than 2 samples for 3 parameters, got 2"):
        fit_logistic(torch.zeros(2, 3), y[:2])
