"""What is said about networks whose answer is known: built by hand, at any size of inputs, and broken on purpose."""

import math

import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.diagnosis import SEED, diagnose
from lib.analysis.identification import fit_integrals, fit_pulses
from lib.analysis.representation import current_ratios
from lib.model.activations import Linear, ReLU
from lib.model.network import Integrator
from lib.model.signals import bursts, white_noise
from lib.model.task import Task
from lib.model.torch_rnn import embed
from lib.theory.linear.spectrum import realise

FITTED = 1e-7  # decays are found where a smooth function is largest, which rounding moves by some 1e-8


def linear(decays, scales, n=12, rng=None, extra=()):
    """An integrator of linear neurons, with other eigenvalues that are invisible."""
    D, more = len(decays), len(extra)
    e, d = (torch.linalg.qr(randn(n, D, rng=rng)).Q for _ in range(2))
    core = torch.diag(torch.tensor([*decays, *extra, *[0.0] * (n - D - more)], dtype=torch.float64))
    reach, readout = torch.zeros(n, D).double(), torch.zeros(n, D).double()
    reach[:D], readout[:D] = torch.eye(D), torch.diag(torch.tensor(scales, dtype=torch.float64))
    reach[D : D + more] = 1.0
    rest = d.T @ e - readout.T @ reach
    reach[D + more : 2 * D + more], readout[D + more : 2 * D + more] = torch.eye(D).double(), rest.T
    return Integrator(realise(core, reach, readout, e, d), e, d, activation=Linear())


def rectified(gamma=0.9, s=1.0, n=6):
    """An integrator of one rectified channel: half of the neurons for each sign."""
    u = torch.cat([torch.ones(n // 2), -torch.ones(n // 2)]).double()
    e = u / n**0.5
    W = gamma * torch.outer(u, u) * 2 / n  # W f(We z) = gamma z We
    F = W @ e
    return Integrator(W, e[:, None], (s * gamma * 2 * F / F.square().sum())[:, None], activation=ReLU())


@pytest.mark.parametrize("decays, scales", [([0.9], [1.0]), ([0.95, 0.8], [2.0, 0.5]), ([1.0, 0.5, 0.9], [1, 3, 0.1])])
def test_linear_integrators_are_recognised(decays, scales, rng):
    network = linear(decays, scales, rng=rng, extra=(0.3, -0.6))
    found = diagnose(network, steps=60, sequences=4)
    assert found.integrates and found.reasons == ()
    assert found.decays == pytest.approx(decays, abs=1e-6) and found.scales == pytest.approx(scales, rel=1e-6)
    assert found.on_noise.decays == pytest.approx(decays, abs=1e-6)
    assert found.on_noise.scales == pytest.approx(scales, rel=1e-6)
    assert max(found.errors) < 1e-6 and max(found.on_noise.errors) < 1e-6 and found.range == (0, math.inf)
    assert found.crosstalk < 1e-9
    names = [condition.name for condition in found.conditions]
    assert names[:2] == ["moments up to 256 steps", "weights of all eigenvalues"]
    assert all(condition.distance < 1e-4 for condition in found.conditions[:3])  # moments, weights, outputs
    assert "every size" in str(found)


def test_invisible_modes_count_as_a_distance_from_the_sufficient_condition(rng):
    plain, busy = (diagnose(linear([0.9], [1.0], rng=rng, extra=extra), sequences=4) for extra in ((), (0.3, -0.6)))
    assert plain.conditions[-1].distance < 1e-6 < 1e-2 < busy.conditions[-1].distance
    assert plain.dimension.best < 1e-6 < busy.dimension.best
    assert plain.dimension.components == 1 and busy.dimension.participation > 1.005
    assert plain.dimension.participation == pytest.approx(1, abs=1e-9)


def test_dimensions_are_those_of_the_currents_on_bursts(rng):
    network = linear([0.95, 0.8], [2.0, 0.5], rng=rng, extra=(0.3, -0.6))
    found = diagnose(network, steps=60, sequences=4).dimension
    nu = network.run(bursts(4, 60, 2, generator=torch.Generator().manual_seed(SEED)).double()).currents
    ratios = current_ratios(network.W, network.encoders, nu)
    assert found[:3] == pytest.approx((ratios.code, ratios.best, ratios.encoders), rel=1e-9)
    variances = torch.linalg.svdvals(nu.flatten(0, 1)).square()
    assert found.participation == pytest.approx((variances.sum() ** 2 / variances.square().sum()).item(), rel=1e-9)
    held = [(variances[:k].sum() / variances.sum()).item() for k in (found.components - 1, found.components)]
    assert held[0] < 0.99 <= held[1]


def test_a_rectified_channel_meets_the_two_point_conditions():
    found = diagnose(rectified(0.9, 1.5), sequences=4)
    assert found.integrates
    assert [condition.equation for condition in found.conditions] == ["equation 28"] * 2 + ["equation 34"] * 2
    assert all(condition.distance < FITTED for condition in found.conditions)
    assert found.dimension.code < 1e-9 and found.selectivity.r2 > 1 - 1e-12 and found.selectivity.active == 6


def test_distances_are_relative(rng):
    """One tenth too much in the decoder is one tenth in the outputs, and nothing in the currents."""
    network = rectified(0.9)
    task = Task(0.9)
    with torch.no_grad():
        network.decoders.mul_(1.1)
    found = diagnose(network, task, sequences=4)
    distance = {condition.name: condition.distance for condition in found.conditions}
    assert distance["outputs at two points"] == pytest.approx(0.1, rel=1e-6)
    assert distance["outputs over the range"] == pytest.approx(0.1, rel=1e-6)
    assert distance["currents at two points"] < 1e-9
    assert found.errors[0] == pytest.approx(0.1, rel=1e-6) and found.given


def test_a_network_that_saturates_has_a_range():
    """Tanh neurons, each with a small share of the integral: right for small ones, wrong beyond some size."""
    gamma, n, gain = 0.9, 8, 0.1
    u = torch.ones(n, 1).double()
    W = gamma * u @ u.T / n
    network = Integrator(W, gain * u, u / (gain * n), activation=torch.tanh)
    found = diagnose(network, sequences=8)
    assert found.decays[0] == pytest.approx(gamma, abs=0.01) and found.integrates
    low, high = found.range
    assert low == found.sizes[0].item() and 0.5 < high < 10  # tanh(v) is off by a tenth at v = 0.56
    wider = diagnose(Integrator(W, 0.01 * u, u / (0.01 * n), activation=torch.tanh), sequences=8)
    assert wider.range[1] == pytest.approx(10 * high, rel=0.1)
    assert found.amplitude < wider.amplitude == 1
    assert max(found.errors) < 0.1
    assert f"{high:.3g}" in str(found)


def test_signs_growth_silence_and_mixing_are_told(rng):
    wrong = rectified(0.9)
    with torch.no_grad():
        wrong.decoders.neg_()
    found = diagnose(wrong, sequences=4)
    assert found.reasons == ("channel 1 has the wrong sign",) and found.scales[0] == pytest.approx(-1)
    assert all(condition.distance < FITTED for condition in found.conditions)
    assert "grows by 1.05" in diagnose(linear([1.05], [1.0], rng=rng), sequences=4).reasons[0]
    e, d = randn(5, 1, rng=rng), randn(5, 1, rng=rng)
    silent = diagnose(Integrator(torch.zeros(5, 5).double(), e, d), sequences=4)
    assert "does not answer" in silent.reasons[0] and silent.dimension is None and silent.selectivity is None
    noise = diagnose(Integrator(randn(9, 9, rng=rng) / 6, randn(9, 1, rng=rng), randn(9, 1, rng=rng)), sequences=4)
    assert not noise.integrates
    mixed = linear([0.9, 0.8], [1.0, 1.0], rng=rng)
    with torch.no_grad():
        mixed.decoders[:, 0] += mixed.decoders[:, 1]
    found = diagnose(mixed, sequences=4)
    assert found.crosstalk == pytest.approx(0.8) and "channels mix" in found.reasons[-1]


def test_a_network_that_overflows_is_no_integrator(rng):
    for size in (1e3, 1e200):
        found = diagnose(
            Integrator(size * randn(6, 6, rng=rng), randn(6, 1, rng=rng), randn(6, 1, rng=rng)), sequences=4
        )
        assert not found.integrates and str(found)


def test_selectivity_tells_sparse_from_mixed_neurons():
    n, gamma = 8, 0.9
    axes = torch.zeros(n, 2).double()
    axes[: n // 2, 0], axes[n // 2 :, 1] = 0.5, 0.5  # orthonormal columns, one for each channel
    turn = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]).double() / 2**0.5
    shares = []
    for columns in (axes, axes @ turn):
        network = Integrator(gamma * columns @ columns.T, columns, columns, activation=Linear())
        found = diagnose(network, sequences=4)
        shares.append(found.selectivity.axis_share)
        assert found.integrates and found.selectivity.chance == pytest.approx(2 / 9)
    assert shares == [1.0, 0.0]


def test_auxiliary_neurons_and_biases_do_not_count(rng):
    """The same outputs in a larger network: the same diagnosis, apart from the subspace of the weights."""
    plain = rectified(0.9)
    W, E, Z = plain.W.detach(), plain.encoders.detach(), plain.decoders.detach()
    zero = torch.zeros(6).double(), torch.zeros(1).double()
    larger = embed(W, W @ E, Z, ReLU(), *zero)
    a, b = diagnose(plain, sequences=4), diagnose(larger, auxiliary=1, sequences=4)
    assert (a.n, b.n) == (6, 6) and a.decays == pytest.approx(b.decays) and a.errors == pytest.approx(b.errors)
    assert a.selectivity == pytest.approx(b.selectivity)
    biased = embed(W, W @ E, Z, ReLU(), torch.full((6,), 1e-9).double(), torch.ones(1).double())
    c = diagnose(biased, auxiliary=2, sequences=4)
    assert c.range[0] > 1 and c.sizes.numel() > 1  # an offset of one in the outputs drowns small integrals
    assert c.selectivity.active == 6 and c.selectivity.r2 > 0.999


def test_single_precision_and_the_caller_s_network_are_left_alone(rng):
    network = rectified(0.9).float()
    before = {name: p.clone() for name, p in network.named_parameters()}
    found = diagnose(network, sequences=4)
    assert found.integrates and found.responses.dtype == torch.float64
    assert all(torch.equal(before[name], p) and p.dtype == torch.float32 for name, p in network.named_parameters())


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(-5, 5).filter(lambda s: abs(s) > 0.01)), min_size=1, max_size=4)
)
def test_fits_find_what_was_put_in(channels):
    gamma, s = (torch.tensor(values, dtype=torch.float64) for values in zip(*channels, strict=True))
    orders = torch.arange(1, 41).double()
    found = fit_pulses(s[:, None] * gamma[:, None] ** orders)
    torch.testing.assert_close(found[0], gamma, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], s, rtol=1e-4, atol=1e-6)
    assert found[2].min() > 1 - 1e-8
    x = white_noise(2, 12, len(gamma), generator=torch.Generator().manual_seed(1))
    y = Task(gamma.tolist(), s.abs().tolist()).targets(x) * s.sign()
    found = fit_integrals(x, y)
    torch.testing.assert_close(found[0], gamma, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[1], s, rtol=1e-4, atol=1e-6)
    assert found[2].max() < 1e-4


def test_fits_of_nothing_are_told_from_fits():
    gamma, s, r2 = fit_pulses(torch.tensor([[0.0, 0.0], [math.inf, 1.0]]))
    assert not gamma.any() and not s.any() and r2.isnan().all()
    x = torch.ones(2, 3, 1)
    assert all(value.isnan().all() for value in fit_integrals(x, x * math.nan))


@pytest.mark.parametrize(
    "options, match",
    [
        ({"steps": 1}, "steps must be an integer of at least 2, got 1"),
        ({"sequences": 3}, "sequences must be an integer of at least 4"),
        ({"tolerance": 0.0}, "tolerance must be a positive number"),
        ({"auxiliary": 6}, "auxiliary must be below n=6, got 6"),
        ({"task": Task([0.9, 0.8])}, "task must have the network's 1 channels, got 2"),
        ({"steps": 1001}, "steps must be at most 1000, got 1001"),
    ],
)
def test_wrong_questions_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        diagnose(rectified(), **options)


def test_weights_that_are_not_numbers_are_refused():
    network = rectified()
    with torch.no_grad():
        network.W[0, 0] = math.nan
    with pytest.raises(ValueError, match="W must be finite, got 1 entries"):
        diagnose(network)
