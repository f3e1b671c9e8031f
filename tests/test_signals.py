"""Signals and targets against recursions, convolutions, transcriptions in plain Python, and their own statistics."""

import math

import equations
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from lib.model.signals import autoregressive, bursts, integrals, normal, white_noise

FEW = settings(deadline=None, derandomize=True, max_examples=25)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def within_five_errors(samples, expected):
    """Whether the mean over the first axis is within five standard errors of `expected`, in every entry."""
    error = samples.std(dim=0) / len(samples) ** 0.5
    return bool(((samples.mean(dim=0) - expected).abs() <= 5 * error + 1e-12).all())


# Targets, equation 4


def test_integral_by_hand():
    x = torch.tensor([1.0, 0.0, 2.0]).reshape(1, 3, 1)
    assert integrals(x, [0.5], [2.0]).flatten().tolist() == [1.0, 0.5, 2.25]  # the newest input decays too


decays_and_scales = st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.1, 5)), min_size=1, max_size=3)


@FEW
@given(channels=decays_and_scales, batch=st.integers(1, 3), T=st.integers(1, 12), seed=st.integers(0, 99))
def test_integrals_are_the_recursion_and_the_convolution(channels, batch, T, seed):
    decays, scales = zip(*channels, strict=True)
    x = white_noise(batch, T, len(channels), generator=seeded(seed))
    y = integrals(x, decays, scales)
    torch.testing.assert_close(y, equations.targets(x, decays, scales), rtol=1e-12, atol=1e-12)
    for b in range(batch):
        for c, (gamma, s) in enumerate(channels):
            kernel = s * gamma ** np.arange(1, T + 1)
            expected = np.convolve(x[b, :, c].numpy(), kernel)[:T]
            np.testing.assert_allclose(y[b, :, c].numpy(), expected, rtol=1e-12, atol=1e-12)


def test_a_perfect_memory_sums_its_inputs(rng):
    x = white_noise(2, 300, 1, generator=rng)
    torch.testing.assert_close(integrals(x, [1.0], [1.0]), x.cumsum(dim=1), rtol=1e-10, atol=1e-10)


def test_integrals_are_causal_and_linear(rng):
    x = white_noise(2, 9, 2, generator=rng)
    later = x.clone()
    later[:, 5:] += 1
    y, y_later = (integrals(values, [0.9, 0.5], [1.0, 2.0]) for values in (x, later))
    assert torch.equal(y[:, :5], y_later[:, :5])
    assert (y_later[:, 5:] > y[:, 5:]).all()
    torch.testing.assert_close(integrals(3 * x, [0.9, 0.5], [1.0, 2.0]), 3 * y)


def test_channels_do_not_mix(rng):
    x = white_noise(2, 6, 3, generator=rng)
    apart = [integrals(x[:, :, c : c + 1], [g], [s]) for c, (g, s) in enumerate([(0.9, 1.0), (0.5, 2.0), (1.0, 0.3)])]
    torch.testing.assert_close(integrals(x, [0.9, 0.5, 1.0], [1.0, 2.0, 0.3]), torch.cat(apart, dim=2))


def test_integrals_follow_dtype_and_are_differentiable(rng):
    x = white_noise(2, 4, 1, generator=rng)
    assert integrals(x.float(), [0.995], [1.0]).dtype == torch.float32
    torch.testing.assert_close(integrals(x.float(), [0.995], [1.0]), integrals(x, [0.995], [1.0]).float())
    assert torch.autograd.gradcheck(lambda v: integrals(v, [0.7], [1.3]), x.requires_grad_())


def test_integrals_ask_a_device_for_its_own_dtype_alone():
    """The kernel is made in float64 on the CPU: some devices have no float64. It is made once."""
    asked = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                asked.append((found.device.type, found.dtype))
            return found

    x = torch.zeros(3, 5, 2, device="meta", dtype=torch.float32)
    with Watched():
        assert integrals(x, [0.91, 0.83], [1.3, 0.7]).device.type == "meta"
        assert ("cpu", torch.float64) in asked and ("meta", torch.float64) not in asked
        asked.clear()
        integrals(x, [0.91, 0.83], [1.3, 0.7])
        assert {kind for kind, _ in asked} == {"meta"}


def test_integrals_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="x has 2 channels, but decays and scales number 1 and 2"):
        integrals(torch.zeros(1, 3, 2), [0.9], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"x must have shape B x T x D, got \(3, 2\)"):
        integrals(torch.zeros(3, 2), [0.9, 0.9], [1.0, 1.0])


# White noise and AR(1)


def test_normal_is_float64_on_the_cpu():
    values = normal(3, 2, generator=seeded())
    assert (values.shape, values.dtype, values.device.type) == ((3, 2), torch.float64, "cpu")
    assert not torch.equal(values, normal(3, 2, generator=seeded(1)))


def test_white_noise_has_unit_covariance():
    x = white_noise(20_000, 2, 2, generator=seeded()).reshape(20_000, 4)
    assert within_five_errors(x, 0)
    assert within_five_errors(x[:, :, None] * x[:, None, :], torch.eye(4))
    assert within_five_errors(x**4, 3)


def test_a_seed_means_the_same_numbers_in_both_precisions():
    exact, rounded = (white_noise(4, 3, 2, generator=seeded(), dtype=d) for d in (torch.float64, torch.float32))
    assert torch.equal(exact.float(), rounded)


@pytest.mark.parametrize("coefficient", [-0.6, 0.0, 0.9])
def test_autoregressive_covariance(coefficient):
    T = 6
    x = autoregressive(30_000, T, 1, coefficient=coefficient, generator=seeded())[:, :, 0]
    lags = (torch.arange(T)[:, None] - torch.arange(T)).abs()
    expected = torch.tensor(coefficient, dtype=torch.float64) ** lags
    assert within_five_errors(x, 0)
    assert within_five_errors(x[:, :, None] * x[:, None, :], expected)


def test_autoregressive_is_its_recursion():
    xi = white_noise(3, 5, 2, generator=seeded())
    x = autoregressive(3, 5, 2, coefficient=0.8, generator=seeded())
    expected = xi.clone()
    for t in range(1, 5):
        expected[:, t] = 0.8 * expected[:, t - 1] + 0.6 * xi[:, t]
    torch.testing.assert_close(x, expected, rtol=1e-13, atol=1e-13)


def test_autoregressive_channels_are_independent():
    x = autoregressive(20_000, 4, 2, coefficient=0.9, generator=seeded())
    assert within_five_errors(x[:, 3, 0] * x[:, 3, 1], 0)


@pytest.mark.parametrize("coefficient", [-1.0, 1.0, 2.0, math.nan])
def test_autoregressive_refuses(coefficient):
    with pytest.raises(ValueError, match=r"coefficient must lie in \(-1, 1\), got"):
        autoregressive(2, 3, coefficient=coefficient, generator=seeded())


@pytest.mark.parametrize("sizes", [(0, 3, 1), (2, 0, 1), (2, 3, 0)])
def test_sizes_start_at_one(sizes):
    with pytest.raises(ValueError, match="must be an integer of at least 1, got 0"):
        white_noise(*sizes, generator=seeded())


# Bursts


def transcription(rows, length, generator):
    """The same sequences row by row and step by step; also the burst each step belongs to, or -1."""
    starts = torch.randint(0, length - 26, (rows, 20), generator=generator)
    signs = torch.randint(0, 2, (rows, 20), generator=generator)
    active, plus, minus = torch.rand(3, rows, length, generator=generator, dtype=torch.float64)
    x, owner, kept = torch.zeros(rows, length), torch.full((rows, length), -1), []
    for row in range(rows):
        last = None
        for k, start in enumerate(sorted(starts[row].tolist())):
            if last is None or start - last >= 35:
                last = start
                kept.append((row, start, 2 * int(signs[row, k]) - 1))
                owner[row, start : start + 25] = len(kept) - 1
        for t in range(length):
            if owner[row, t] >= 0:
                x[row, t] = kept[int(owner[row, t])][2] * bool(active[row, t] < 0.95)
            else:
                x[row, t] = float(plus[row, t] < 0.05) - float(minus[row, t] < 0.05)
    return x, owner, kept


@pytest.fixture(scope="module")
def rows():
    """64 whole sequences with the bursts they are made of."""
    return transcription(64, 1000, seeded(3))


def test_bursts_are_their_transcription(rows):
    x = bursts(64, 1000, generator=seeded(3))
    assert torch.equal(x[:, :, 0].float(), rows[0])


def test_bursts_last_25_steps_and_start_at_least_35_apart(rows):
    _, owner, kept = rows
    lengths = torch.bincount(owner[owner >= 0])
    assert set(lengths.tolist()) == {25}
    gaps = [b[1] - a[1] for a, b in zip(kept, kept[1:], strict=False) if a[0] == b[0]]
    assert min(gaps) >= 35
    assert min(gaps) < 45  # the bound is felt


def test_bursts_are_active_with_probability_095_and_of_one_sign(rows):
    x = bursts(64, 1000, generator=seeded(3))[:, :, 0]
    _, owner, kept = rows
    signs = torch.tensor([sign for _, _, sign in kept])
    inside = owner >= 0
    signed = x[inside] * signs[owner[inside]]
    assert set(signed.abs().tolist()) == {0.0, 1.0}
    assert (signed >= 0).all()
    assert within_five_errors(signed, 0.95)
    assert within_five_errors((signs > 0).double(), 0.5)


def test_between_bursts_is_sparse_noise(rows):
    outside = bursts(64, 1000, generator=seeded(3))[:, :, 0][rows[1] < 0]
    assert set(outside.tolist()) == {-1.0, 0.0, 1.0}
    assert within_five_errors(outside, 0)
    assert within_five_errors(outside**2, 2 * 0.05 * 0.95)


def test_bursts_can_be_found_without_knowing_where_they_are():
    x = bursts(200, 1000, generator=seeded(5))[:, :, 0]
    drive = x.unfold(1, 25, 1).sum(dim=2).abs()  # noise alone reaches 20 with probability below 1e-12
    found = (drive > 20).any(dim=1)
    assert found.all()
    share = (drive > 20).any(dim=1).double().mean()
    assert share == 1
    assert 0.095 < float((x != 0).double().mean()) < 0.6


def test_crops_and_channels():
    whole = bursts(5, 1000, 2, generator=seeded())
    assert torch.equal(bursts(5, 200, 2, generator=seeded()), whole[:, :200])
    rows = bursts(10, 1000, 1, generator=seeded())[:, :, 0]
    assert torch.equal(whole.transpose(1, 2).reshape(10, 1000), rows)  # channels are independent rows
    assert not torch.equal(whole[:, :, 0], whole[:, :, 1])


def test_bursts_dtype_and_default_shape():
    x = bursts(3, generator=seeded(), dtype=torch.float32)
    assert (x.shape, x.dtype) == ((3, 200, 1), torch.float32)


def test_bursts_refuse():
    with pytest.raises(ValueError, match="got T=1001, length=1000"):
        bursts(1, 1001, generator=seeded())
    with pytest.raises(ValueError, match="a burst must fit in it, got T=5, length=26"):
        bursts(1, 5, length=26, generator=seeded())
    for sizes in ({"batch": 0}, {"T": 0}, {"D": 0}, {"candidates": 0}, {"duration": 0}):
        with pytest.raises(ValueError, match="must be an integer of at least 1, got 0"):
            bursts(**({"batch": 1, "generator": seeded()} | sizes))
