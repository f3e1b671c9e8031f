"""Disturbed networks: against networks from which neurons were cut out, sums of powers, and Monte Carlo."""

import pytest
import torch
from equations import PAIRS, randn
from equations import run as plain_run
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.perturbations import (
    lesion_changes,
    lesioned,
    noise_changes,
    noise_gain,
    quantization_changes,
    quantized,
    random_lesion,
    run_noisy,
)
from lib.analysis.representation import relative_error
from lib.model.activations import Linear, ReLU
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.linear.channels import integrator

FEW = settings(deadline=None, derandomize=True, max_examples=30)


@pytest.fixture
def network(rng):
    W = 0.6 * randn(12, 12, rng=rng) / 12**0.5
    return Integrator(W, randn(12, 2, rng=rng), randn(12, 2, rng=rng), activation=ReLU())


def test_without_noise_nothing_changes(network, rng):
    x = randn(3, 7, 2, rng=rng)
    found, expected = run_noisy(network, x, torch.zeros(3, 7, 12, dtype=torch.float64)), network.run(x)
    for parts in zip(found, expected, strict=True):
        torch.testing.assert_close(*parts)


def test_noise_of_one_step_is_a_state(network, rng):
    """Noise on the first state alone is a start from another state."""
    x, noise = randn(2, 6, 2, rng=rng), torch.zeros(2, 6, 12, dtype=torch.float64)
    noise[:, 0] = randn(2, 12, rng=rng)
    found = run_noisy(network, x, noise)
    state = network.run(x[:, :1]).states[:, 0] + noise[:, 0]
    matrices = (network.W.detach(), network.encoders.detach(), network.decoders.detach())
    _, expected = plain_run(*matrices, x[:, 1:], PAIRS["relu"][1], state=state)
    torch.testing.assert_close(found.outputs[:, 1:], expected)
    torch.testing.assert_close(found.outputs[:, 0], state @ network.decoders.detach())


def test_gain_of_a_linear_integrator_has_two_terms(rng):
    """The sum in closed form, for one channel with the shortest left vector, where W'W'd is gamma W'd."""
    encoders, decoders = randn(9, 1, rng=rng), randn(9, 1, rng=rng)
    found = integrator(encoders, decoders, Task(0.9, 1.3))
    W = found.directions @ found.readers.T
    network = Integrator(W, encoders, decoders, activation=Linear())
    expected = decoders.square().sum() + (W.T @ decoders).square().sum() / (1 - 0.9**2)
    torch.testing.assert_close(noise_gain(network, randn(2, 9, rng=rng))[:, 0], expected.expand(2))


def test_gain_predicts_the_spread_of_outputs(network, rng):
    """At a fixed input the noise is small enough for no slope to change; within four standard errors."""
    drive = randn(1, 1, 2, rng=rng)
    rest = network.run(drive.expand(1, 400, 2)).currents[:, -1]
    level = 1e-4 * rest.abs().min().item()
    count = 4000
    noise = level * torch.randn(count, 100, 12, generator=rng, dtype=torch.float64)
    x = drive.expand(count, 100, 2)
    spread = (run_noisy(network, x, noise).outputs - network.run(x).outputs)[:, -1].square()
    found = spread.mean(dim=0) / level**2
    error = spread.std(dim=0) / count**0.5 / level**2
    assert ((found - noise_gain(network, rest)[0]).abs() < 4 * error).all()


def test_gain_of_an_endless_memory_is_refused():
    one = torch.eye(2, dtype=torch.float64)
    network = Integrator(one, one[:, :1], one[:, :1], activation=Linear())
    with pytest.raises(ValueError, match="expected decays below one"):
        noise_gain(network, one[:1])
    with pytest.raises(ValueError, match="currents must have shape B x 2"):
        noise_gain(network, torch.ones(1, 3, dtype=torch.float64))


def test_silent_neurons_can_be_cut_out(network, rng):
    silent = torch.zeros(12, dtype=torch.bool)
    silent[[1, 5, 6]] = True
    keep = (~silent).nonzero()[:, 0]
    W, E, Z = network.W.detach(), network.encoders.detach(), network.decoders.detach()
    # W[:, j] carries the input of neuron j too, so its encoder falls silent with it
    x = randn(2, 5, 2, rng=rng)
    found = lesioned(network, silent).run(x)
    small = Integrator(W[keep][:, keep], E[keep], Z[keep], activation=ReLU())
    torch.testing.assert_close(found.outputs, small.run(x).outputs)
    torch.testing.assert_close(lesioned(network, silent, gain=1.5).W, 1.5 * lesioned(network, silent).W)
    assert network.W.detach()[:, 1].abs().max() > 0  # the original is as it was


def test_wrong_silence_is_refused(network):
    with pytest.raises(ValueError, match="silent must be 12 truth values"):
        lesioned(network, torch.zeros(12))
    with pytest.raises(ValueError, match="silent must be 12 truth values"):
        lesioned(network, torch.zeros(11, dtype=torch.bool))


@FEW
@given(n=st.integers(1, 50), fraction=st.floats(0, 1), seed=st.integers(0, 99))
def test_random_silence_has_its_number(n, fraction, seed):
    silent = random_lesion(n, fraction, generator=torch.Generator().manual_seed(seed))
    assert silent.shape == (n,)
    assert silent.sum() == round(n * fraction)


def test_random_silence_reaches_everybody(rng):
    drawn = torch.stack([random_lesion(10, 0.3, generator=rng) for _ in range(200)])
    assert (drawn.double().mean(dim=0) - 0.3).abs().max() < 4 * (0.21 / 200) ** 0.5
    with pytest.raises(ValueError, match="fraction must lie in"):
        random_lesion(10, 1.1, generator=rng)


@FEW
@given(bits=st.integers(2, 12), seed=st.integers(0, 99))
def test_rounding(bits, seed):
    W = randn(5, 5, rng=torch.Generator().manual_seed(seed))
    one = torch.ones(5, 1, dtype=torch.float64)
    found = quantized(Integrator(W, one, one), bits).W.detach()
    step = W.abs().max() / (2 ** (bits - 1) - 1)
    assert (found - W).abs().max() <= step / 2 * (1 + 1e-12)
    torch.testing.assert_close(found / step, (found / step).round())
    assert len(found.unique()) <= 2**bits - 1
    torch.testing.assert_close(found.abs().max(), W.abs().max())


def test_rounding_of_zeros_and_too_few_bits():
    one = torch.ones(3, 1, dtype=torch.float64)
    network = Integrator(torch.zeros(3, 3, dtype=torch.float64), one, one)
    assert quantized(network, 2).W.abs().max() == 0
    with pytest.raises(ValueError, match="bits must be an integer of at least 2"):
        quantized(network, 1)


def test_changes_are_those_of_single_calls(network, rng):
    """Each helper repeats what its parts do; the noise prediction is the gain in units of the outputs."""
    x = randn(2, 60, 2, rng=rng)
    before = network.run(x).outputs
    found = quantization_changes(network, x, [4, 6])
    torch.testing.assert_close(found[1], relative_error(quantized(network, 6).run(x).outputs, before).mean())
    silent = random_lesion(12, 0.25, generator=torch.Generator().manual_seed(3))
    after = lesioned(network, silent, gain=4 / 3).run(x).outputs
    options = {"draws": 1, "generator": torch.Generator().manual_seed(3)}
    changes = lesion_changes(network, x, [0.25], compensated=True, **options)
    torch.testing.assert_close(changes, relative_error(after, before).mean()[None, None])
    small = noise_changes(network, x, [1e-6, 2e-6], generator=rng)
    torch.testing.assert_close(
        small.found[1] / small.found[0], torch.tensor(2.0, dtype=torch.float64), rtol=1e-3, atol=0
    )
    torch.testing.assert_close(small.predicted[1], 2 * small.predicted[0])
    with pytest.raises(ValueError, match="T, the length of x, must be an integer of at least 51"):
        noise_changes(network, x[:, :20], [0.1], generator=rng)
