"""Measures of trained networks on trajectories that are made to have known answers, and by brute force."""

import math

import numpy as np
import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.representation import (
    POPULATIONS,
    HalfLines,
    active_set_overlap,
    chance_ratio,
    cosines,
    current_ratios,
    describe_populations,
    fit_currents,
    fit_states,
    population_weights,
    populations,
    relative_error,
    singular_values,
)
from lib.model.network import Integrator

FEW = settings(deadline=None, derandomize=True, max_examples=25)


# Spectra and errors


def test_singular_values(rng):
    W = randn(6, 6, rng=rng)
    squares = np.linalg.eigvalsh((W @ W.T).numpy())[::-1]
    np.testing.assert_allclose(singular_values(W).numpy(), np.sqrt(squares), rtol=1e-9)
    network = Integrator(W, randn(6, 1, rng=rng), randn(6, 1, rng=rng))
    assert not singular_values(network.W).requires_grad
    with pytest.raises(ValueError, match="W must have shape n x n, got"):
        singular_values(W[0])


def test_relative_error_of_each_channel(rng):
    outputs, targets = randn(4, 5, 2, rng=rng), randn(4, 5, 2, rng=rng)
    expected = []
    for c in range(2):
        error = sum(float(outputs[b, t, c] - targets[b, t, c]) ** 2 for b in range(4) for t in range(5))
        size = sum(float(targets[b, t, c]) ** 2 for b in range(4) for t in range(5))
        expected.append(math.sqrt(error / size))
    assert relative_error(outputs, targets).tolist() == pytest.approx(expected, rel=1e-12)
    assert relative_error(1.03 * targets, targets).tolist() == pytest.approx([0.03, 0.03])
    with pytest.raises(ValueError, match="expected two B x T x D tensors, got"):
        relative_error(outputs, targets[:, :, :1])
    with pytest.raises(ValueError, match="expected two B x T x D tensors, got"):
        relative_error(outputs[0], targets[0])


# Fits


def r2(values, fitted):
    return 1 - ((values - fitted) ** 2).sum(axis=0) / ((values - values.mean(axis=0)) ** 2).sum(axis=0)


@FEW
@given(B=st.integers(2, 5), T=st.integers(3, 6), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_fits_are_least_squares(B, T, n, seed):
    rng = torch.Generator().manual_seed(seed)
    y, values = randn(B, T, rng=rng), randn(B, T, n, rng=rng)
    y[0, 0], y[0, 1] = 1.0, -1.0
    flat, data = y.flatten().numpy(), values.reshape(-1, n).numpy()

    line = fit_currents(values, y)
    slopes, *_ = np.linalg.lstsq(flat[:, None], data, rcond=None)
    np.testing.assert_allclose(line.slopes.numpy(), slopes[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(line.r2.numpy(), r2(data, flat[:, None] @ slopes), rtol=1e-9, atol=1e-9)

    halves = fit_states(values, y)
    design = np.stack([np.maximum(flat, 0), np.maximum(-flat, 0)], axis=1)
    slopes, *_ = np.linalg.lstsq(design, data, rcond=None)
    np.testing.assert_allclose(halves.positive.numpy(), slopes[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(halves.negative.numpy(), slopes[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(halves.r2.numpy(), r2(data, design @ slopes), rtol=1e-9, atol=1e-9)


def test_exact_relations_are_found(rng):
    y = randn(8, 5, rng=rng)
    L = torch.tensor([0.5, -2.0, 0.1], dtype=torch.float64)
    line = fit_currents(y[..., None] * L, y)
    torch.testing.assert_close(line.slopes, L)
    torch.testing.assert_close(line.r2, torch.ones(3, dtype=torch.float64))
    L_plus, L_minus = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 0.0, 0.3], [0.0, 2.0, 0.4]))
    halves = fit_states(y.clamp_min(0)[..., None] * L_plus + (-y).clamp_min(0)[..., None] * L_minus, y)
    torch.testing.assert_close(halves.positive, L_plus)
    torch.testing.assert_close(halves.negative, L_minus)
    torch.testing.assert_close(halves.r2, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7])
def test_a_constant_neuron_has_no_r2(constant, dtype, rng):
    y = randn(33, 7, rng=rng).to(dtype)
    values = torch.stack([torch.full_like(y, constant), y], dim=2)
    for fit in (fit_currents(values, y), fit_states(values, y)):
        assert math.isnan(fit.r2[0].item())
        assert not math.isnan(fit.r2[1].item())


def test_samples_may_be_flattened_already(rng):
    y, values = randn(4, 5, rng=rng), randn(4, 5, 3, rng=rng)
    for fit in (fit_currents, fit_states):
        for a, b in zip(fit(values, y), fit(values.reshape(20, 3), y.flatten()), strict=True):
            torch.testing.assert_close(a, b)


def test_fits_refuse():
    for fit in (fit_currents, fit_states):
        with pytest.raises(ValueError, match=r"expected values of shape \(4, 5\) x n for these integrals, got"):
            fit(torch.zeros(5, 4, 3), torch.ones(4, 5))
    for y in (torch.ones(4, 5), -torch.ones(4, 5), torch.zeros(4, 5)):
        with pytest.raises(ValueError, match="integral must take both signs, got one only"):
            fit_states(torch.zeros(4, 5, 3), y)


# Populations


def test_populations_have_the_right_names():
    """Neurons made by hand: silent, active at positive integrals, at negative ones, at both (erratum E35)."""
    y = torch.linspace(-2, 2, 40, dtype=torch.float64).reshape(4, 10)
    up, down = y.clamp_min(0), (-y).clamp_min(0)
    states = torch.stack([0 * y, up, down, up + 0.5 * down], dim=2)
    fit = fit_states(states, y)
    labels = populations(fit.positive, fit.negative)
    assert [POPULATIONS[i] for i in labels.tolist()] == ["null", "positive", "negative", "shared"]


@FEW
@given(plus=st.floats(-1, 1), minus=st.floats(-1, 1), threshold=st.floats(0, 0.5))
def test_populations_by_their_definition(plus, minus, threshold):
    label = POPULATIONS[int(populations(*(torch.tensor([v], dtype=torch.float64) for v in (plus, minus)), threshold))]
    if plus > threshold:
        assert label == ("shared" if minus > threshold else "positive")
    else:
        assert label == ("negative" if minus > threshold else "null")


def test_the_mirror_image_exchanges_positive_and_negative(rng):
    y, states = randn(30, 4, rng=rng), randn(30, 4, 50, rng=rng).clamp_min(0)
    there, back = fit_states(states, y), fit_states(states, -y)
    torch.testing.assert_close(there.positive, back.negative)
    torch.testing.assert_close(there.r2, back.r2)
    a, b = populations(there.positive, there.negative, 0.4), populations(back.positive, back.negative, 0.4)
    assert torch.equal(torch.tensor([0, 2, 1, 3])[a], b)


def half_lines(L_plus, L_minus):
    """A fit with these slopes."""
    values = [torch.tensor(v, dtype=torch.float64) for v in (L_plus, L_minus)]
    return HalfLines(*values, r2=torch.ones_like(values[0]))


def test_describe_populations_by_hand():
    """Five neurons: one positive, one negative, two shared, one null."""
    lines = half_lines([2.0, 0.0, 0.5, 0.4, 0.0], [0.0, 1.0, 0.1, 0.2, 0.0])
    found = describe_populations(lines, torch.tensor([1.0, -1.0, 3.0, -1.0, 9.0], dtype=torch.float64))
    assert (found.positive, found.negative, found.shared, found.null) == (0.2, 0.2, 0.4, 0.2)
    assert found.shared_strength == pytest.approx(0.5 / 2.0)
    assert found.shared_contribution == pytest.approx(max(abs(3 * 0.5 - 0.4), abs(3 * 0.1 - 0.2)))


def test_describe_populations_without_shared_neurons():
    found = describe_populations(half_lines([2.0, 0.0], [0.0, 1.0]), torch.ones(2, dtype=torch.float64))
    assert tuple(found) == (0.5, 0.5, 0, 0, 0, 0)


def test_population_weights(rng):
    W, labels = randn(6, 6, rng=rng), torch.tensor([1, 2, 0, 1, 3, 2])
    found = population_weights(W, labels)
    for a, to in enumerate(([0, 3], [1, 5])):
        for b, source in enumerate(([0, 3], [1, 5])):
            expected = sum(W[i, j].item() for i in to for j in source) / 4
            assert found[a, b].item() == pytest.approx(expected)
    nobody_positive = population_weights(W, torch.tensor([2, 2, 0, 2, 3, 0]))
    assert nobody_positive.isnan().tolist() == [[True, True], [True, False]]


def test_handovers_by_hand():
    """One sequence: +, weak, -, -, +. Neurons active at the two ends of each change: {0,1} {1,2}, then {2} {2}."""
    integral = torch.tensor([[1.0, 0.1, -1.0, -2.0, 0.8]])
    active = [[1, 1, 0], [1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    found = active_set_overlap(torch.tensor([active]).double(), integral.double())
    assert found.tolist() == pytest.approx([1 / 3, 1.0])


def test_handovers_by_brute_force(rng):
    y, states = randn(6, 30, rng=rng), randn(6, 30, 8, rng=rng).clamp_min(0)
    expected = []
    for b in range(6):
        last = None
        for t in range(30):
            if abs(float(y[b, t])) < 0.7:
                continue
            if last is not None and float(y[b, t]) * float(y[b, last]) < 0:
                sets = [{i for i in range(8) if float(states[b, k, i]) > 0.5 * abs(float(y[b, k]))} for k in (last, t)]
                union = sets[0] | sets[1]
                expected.append(len(sets[0] & sets[1]) / len(union) if union else math.nan)
            last = t
    found = active_set_overlap(states, y, level=0.7, threshold=0.5)
    assert len(expected) > 20
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_handovers_refuse():
    with pytest.raises(ValueError, match="integral must change sign between values beyond 0.5, but never does"):
        active_set_overlap(torch.ones(2, 3, 4), torch.ones(2, 3))
    with pytest.raises(ValueError, match="expected values of shape"):
        active_set_overlap(torch.ones(2, 4, 4), torch.ones(2, 3))


# Cosines


def test_cosines(rng):
    nu, d = randn(3, 4, 5, rng=rng), randn(5, rng=rng)
    nu[0, 0] = -2 * d
    nu[0, 1] = 0
    ours = cosines(nu, d)
    assert ours.shape == (3, 4)
    assert ours[0, 0].item() == pytest.approx(-1)
    assert ours[0, 1].isnan()
    a, b = nu[1, 2].tolist(), d.tolist()
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    assert ours[1, 2].item() == pytest.approx(dot / math.hypot(*a) / math.hypot(*b), rel=1e-12)
    with pytest.raises(ValueError, match=r"direction must have shape 5, got \(4,\)"):
        cosines(nu, d[:4])


# The four ratios


def orthonormal(n, k, rng):
    return torch.linalg.qr(randn(n, k, rng=rng)).Q


def rms(values):
    return float(values.square().mean().sqrt())


@pytest.mark.parametrize("D", [1, 2, 3])
def test_ratios_of_currents_with_a_known_part_outside(D, rng):
    """W has D large singular vectors; currents lie in their span but for a part along another direction."""
    n, size = 9, 0.3
    U, V = orthonormal(n, n, rng), orthonormal(n, n, rng)
    W = U @ torch.diag(torch.tensor([5.0, 4.0, 3.0][:D] + [0.1] * (n - D), dtype=torch.float64)) @ V.T
    inside, outside = randn(12, D, rng=rng) @ U[:, :D].T, size * randn(12, 1, rng=rng) @ U[:, D : D + 1].T
    nu = inside + outside
    E = V[:, :D]  # W E spans the same subspace
    ratios = current_ratios(W, E, nu.reshape(3, 4, n))
    assert ratios.code == pytest.approx(rms(outside) / rms(nu), rel=1e-10)
    assert ratios.encoders == pytest.approx(ratios.code, rel=1e-10)
    assert ratios.mean_norms == pytest.approx(float(outside.norm(dim=1).mean() / inside.norm(dim=1).mean()), rel=1e-10)
    spectrum = np.linalg.svd(nu.numpy(), compute_uv=False)
    assert ratios.best == pytest.approx(math.sqrt((spectrum[D:] ** 2).sum() / (spectrum**2).sum()), rel=1e-9)
    assert ratios.best < ratios.code


def test_ratios_by_brute_force(rng):
    """Generic W, encoders and currents; projections by least squares, sample by sample."""
    n, D = 7, 2
    W, E, nu = randn(n, n, rng=rng), randn(n, D, rng=rng), randn(5, 4, n, rng=rng)
    samples = nu.reshape(-1, n).numpy()

    def apart(basis):
        projections = np.stack([basis @ np.linalg.lstsq(basis, v, rcond=None)[0] for v in samples])
        return samples - projections, projections

    lefts = np.linalg.svd(W.numpy())[0][:, :D]
    outside, inside = apart(lefts)
    ratios = current_ratios(W, E, nu)
    assert ratios.code == pytest.approx(math.sqrt((outside**2).sum() / (samples**2).sum()), rel=1e-10)
    norms = [np.linalg.norm(v, axis=1).mean() for v in (outside, inside)]
    assert ratios.mean_norms == pytest.approx(norms[0] / norms[1], rel=1e-10)
    assert ratios.encoders == pytest.approx(
        math.sqrt((apart((W @ E).numpy())[0] ** 2).sum() / (samples**2).sum()), rel=1e-10
    )


def test_code_takes_the_total_below_and_mean_norms_the_parallel_part():
    """One direction, a 3-4-5 triangle: perpendicular 3, parallel 4, total 5 (erratum E25)."""
    W = torch.diag(torch.tensor([2.0, 1.0, 0.5]))
    nu = torch.tensor([[[4.0, 3.0, 0.0]]])
    ratios = current_ratios(W, torch.tensor([[1.0], [0.0], [0.0]]), nu)
    assert ratios == pytest.approx((3 / 5, 3 / 4, 3 / 5, 0.0), abs=1e-7)
    turned = current_ratios(W, torch.tensor([[0.0], [1.0], [0.0]]), nu)
    assert turned.encoders == pytest.approx(4 / 5)
    assert turned.code == pytest.approx(3 / 5)


def test_left_not_right_singular_vectors(rng):
    u, v = orthonormal(6, 2, rng).T
    W = 3 * torch.outer(u, v)
    assert current_ratios(W, v[:, None], randn(5, 1, rng=rng) @ u[None]).code < 1e-12
    assert current_ratios(W, v[:, None], randn(5, 1, rng=rng) @ v[None]).code == pytest.approx(1)


def test_best_is_smallest_and_the_ratios_are_not_the_same_thing(rng):
    W, E, nu = randn(8, 8, rng=rng), randn(8, 2, rng=rng), randn(6, 5, 8, rng=rng)
    ratios = current_ratios(W, E, nu)
    assert ratios.best < min(ratios.code, ratios.encoders)
    assert len({round(r, 6) for r in ratios}) == 4


def test_ratios_do_not_depend_on_units_order_or_labels(rng):
    W, E, nu = randn(8, 8, rng=rng), randn(8, 2, rng=rng), randn(6, 5, 8, rng=rng)
    ratios = current_ratios(W, E, nu)
    order, shuffle = torch.randperm(8, generator=rng), torch.randperm(30, generator=rng)
    for same in (
        current_ratios(W, E, 1000 * nu),
        current_ratios(3 * W, E, nu),
        current_ratios(W, E @ randn(2, 2, rng=rng), nu),
        current_ratios(W, E, nu.reshape(30, 8)[shuffle]),
        current_ratios(W[order][:, order], E[order], nu[..., order]),
    ):
        assert same == pytest.approx(ratios, rel=1e-9)


@pytest.mark.parametrize("n, D", [(50, 1), (50, 3), (20, 5)])
def test_ratios_of_isotropic_currents(n, D, rng):
    """The null model: sqrt(1 - D/n) for `code`, mean chi over mean chi for `mean_norms` (erratum E26)."""
    samples = 20_000
    W, E, nu = randn(n, n, rng=rng), randn(n, D, rng=rng), randn(samples, n, rng=rng)
    ratios = current_ratios(W, E, nu)
    share = 1 - D / n  # of the mean square; of each sample it is Beta((n-D)/2, D/2)
    error = math.sqrt(2 * share * (1 - share) / (n + 2) / samples) / (2 * math.sqrt(share))
    assert abs(ratios.code - math.sqrt(share)) < 5 * error
    assert abs(ratios.encoders - math.sqrt(share)) < 5 * error
    chi = [math.exp(math.lgamma((k + 1) / 2) - math.lgamma(k / 2)) for k in (n - D, D)]  # mean norms over sqrt 2
    assert ratios.mean_norms == pytest.approx(chi[0] / chi[1], rel=5 / math.sqrt(2 * D * samples) * 2)


def test_ratios_are_computed_in_float64(rng):
    """A part of 1e-6 outside the subspace is measured, though the weights are float32."""
    u = torch.zeros(5)
    u[0] = 1
    W = 2 * torch.outer(u, u)
    nu = torch.zeros(10, 5)
    nu[:, 0], nu[:, 1] = randn(10, rng=rng).float(), 1e-6
    ratios = current_ratios(W, u[:, None], nu)
    assert ratios.code == pytest.approx(1e-6 / rms(nu[:, 0].double()), rel=1e-5)
    assert all(isinstance(r, float) for r in ratios)


def test_ratios_refuse():
    W, E, nu = torch.eye(4), torch.ones(4, 1), torch.ones(2, 3, 4)
    with pytest.raises(ValueError, match="currents must not vanish altogether, got only zeros"):
        current_ratios(W, E, 0 * nu)
    with pytest.raises(ValueError, match=r"W must have shape 4 x 4, got \(3, 4\)"):
        current_ratios(W[:3], E, nu)
    with pytest.raises(ValueError, match=r"encoders must have shape n x D, got \(4,\)"):
        current_ratios(W, E[:, 0], nu)
    with pytest.raises(ValueError, match=r"currents must have shape samples x 4, got \(8, 3\)"):
        current_ratios(W, E, torch.ones(2, 4, 3))


@pytest.mark.parametrize(("n", "D"), [(1000, 1), (1000, 5), (7, 3)])
def test_chance_ratio_against_monte_carlo(n, D, rng):
    """Gaussian currents; the first D axes are as good a subspace as any."""
    currents = randn(20_000, n, rng=rng)
    outside, inside = currents[:, D:].norm(dim=1), currents[:, :D].norm(dim=1)
    relative = [(norms.std() / norms.mean()).item() / len(norms) ** 0.5 for norms in (outside, inside)]
    found = (outside.mean() / inside.mean()).item()
    assert abs(found / chance_ratio(n, D) - 1) < 5 * math.hypot(*relative)


def test_chance_ratio_refuses_a_subspace_that_is_everything():
    with pytest.raises(ValueError, match="n must be an integer of at least 4, got 3"):
        chance_ratio(3, 3)
