"""lib.theory.relu.two_point and descent: the closed forms against autograd, loops and the trainer of networks."""

import pytest
import torch
from equations import randn, rectifier

from lib.model.activations import ReLU
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.relu.descent import decay_time, descend
from lib.theory.relu.two_point import gradient, loss, terms
from lib.training.loop import Training, TrainingDiverged, train
from lib.training.losses import ProxyLoss, proxy_loss

POINTS = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)


def weights(rng, *batch, n=7):
    return tuple(randn(*batch, *shape, rng=rng) / n**0.5 for shape in ((n, n), (n, 1), (n, 1)))


def written_out(W, e, d, gamma, s):
    """Equation 29, one sign at a time, with the rectifier of `equations`."""
    u = W @ e
    return sum(
        ((d.T @ rectifier(z * u) - z * s * gamma) ** 2).sum() + (W @ rectifier(z * u) - z * gamma * u).square().sum()
        for z in (1, -1)
    )


@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_loss_is_that_of_a_network(normalisation, rng):
    W, e, d = weights(rng)
    found = loss(W, e, d, 0.9, 1.7, normalisation=normalisation)
    network = Integrator(W, e, d, activation=ReLU())
    expected = ProxyLoss.two_point(Task(0.9, 1.7), normalisation)(network, POINTS)
    torch.testing.assert_close(found, expected.detach())
    if normalisation == "paper":
        torch.testing.assert_close(found, written_out(W, e, d, 0.9, 1.7))
        torch.testing.assert_close(found, proxy_loss(network, POINTS, Task(0.9, 1.7)).detach())


def test_many_networks_and_scales_at_once(rng):
    """Three draws, two scales, two decays: the loss of each is the one of a single network."""
    W, e, d = weights(rng, 3, 1)
    gamma, s = torch.tensor([0.9, 0.5]).double(), torch.tensor([[0.3, 2.0]] * 3).double()
    found = loss(W, e, d, gamma, s, normalisation="paper")
    assert found.shape == (3, 2)
    for k in range(3):
        for j in range(2):
            expected = written_out(W[k, 0], e[k, 0], d[k, 0], gamma[j], s[k, j])
            torch.testing.assert_close(found[k, j], expected)


@pytest.mark.parametrize("start", ["random", "null"])
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_gradient_is_that_of_autograd(normalisation, start, rng):
    W, e, d = weights(rng, 4)
    W = torch.zeros_like(W) if start == "null" else W
    s = torch.tensor([0.1, 0.7, 1.0, 3.0], dtype=torch.float64)
    found = gradient(W, e, d, 0.95, s, normalisation=normalisation)
    assert torch.linalg.matrix_rank(found).max() <= 3 and found.abs().max() > 1e-3
    for k in range(4):
        free = W[k].clone().requires_grad_()
        (expected,) = torch.autograd.grad(written_out(free, e[k], d[k], 0.95, s[k]), free)
        scale = s[k] ** 2 if normalisation == "authors" else 1.0
        torch.testing.assert_close(found[k], expected / scale, rtol=1e-12, atol=1e-13)


def test_terms_vanish_at_an_exact_integrator():
    gamma, s = 0.8, 1.7
    u = torch.tensor([[1.0], [-1.0], [0.0], [0.0]], dtype=torch.float64)
    r = torch.tensor([[gamma, -gamma, 1.0, 0.0]], dtype=torch.float64)
    e = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=torch.float64)
    found = terms(u @ r, e, s * gamma * u, gamma, s)
    assert found.output_errors.abs().max() < 1e-15 and found.current_errors.abs().max() < 1e-15
    assert torch.equal(found.image, u) and torch.equal(found.slopes[:, 0], torch.tensor([1, 0, 0.5, 0.5]).double())


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_training_is_that_of_the_trainer(optimiser, rng):
    """Same weights and losses as `lib.training.loop.train` on a network, step by step."""
    W, e, d = weights(rng)
    lr = 0.05
    network = Integrator(0.1 * W, e, d, activation=ReLU())
    history = train(network, lambda: POINTS, ProxyLoss.two_point(Task(0.9, 1.3)), Training(40, lr, optimiser))
    found = descend(0.1 * W, e, d, 0.9, 1.3, lr=lr, n_steps=40, optimiser=optimiser)
    torch.testing.assert_close(found.losses[:-1], history.losses, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.W, network.W.detach(), rtol=1e-8, atol=1e-10)
    assert found.steps.tolist() == list(range(41)) and found.stopped.item() == 40


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_networks_of_a_batch_are_independent(optimiser, rng):
    """Each has its own scale, rate and moment of stopping; a stopped one keeps its weights and its loss."""
    _, e, d = weights(rng, 3, n=24)
    e, d = e / e.norm(dim=-2, keepdim=True), d / d.norm(dim=-2, keepdim=True)
    s = torch.tensor([0.7, 1.0, 2.0], dtype=torch.float64)
    rates = torch.tensor([0.02, 0.1, 0.05], dtype=torch.float64) * (1 if optimiser == "sgd" else 0.3)
    null = torch.zeros(3, 24, 24, dtype=torch.float64)
    options = {"n_steps": 1500, "stop_loss": 1e-3, "record": 100, "optimiser": optimiser}
    together = descend(null, e, d, 0.9, s, lr=rates, **options, path=True)
    assert len(set(together.stopped.tolist())) == 3 and together.stopped.max() < 1500
    assert (together.losses[-1] <= 1e-3).all()
    assert together.path is not None and together.path.shape == (len(together.steps), 3, 24, 24)
    torch.testing.assert_close(together.path[-1], together.W, rtol=0, atol=0)
    for k in range(3):
        alone = descend(null[k], e[k], d[k], 0.9, s[k], lr=rates[k], **options)
        assert alone.stopped == together.stopped[k]
        torch.testing.assert_close(alone.W, together.W[k], rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(alone.losses[-1], together.losses[-1, k], rtol=1e-9, atol=1e-12)


def test_stops_and_gives_up(rng):
    W, e, d = weights(rng)
    null = torch.zeros_like(W)
    assert torch.equal(descend(null, e, d, 0.9, 1.0, lr=0.1, n_steps=0).W, null)
    found = descend(null, e, d, 0.9, 1.0, lr=0.1, n_steps=10, record=[2, 5])
    assert found.steps.tolist() == [2, 5, 10] and len(found.losses) == 3 and not null.any()
    with pytest.raises(TrainingDiverged, match="lower lr"):
        descend(null, e, d, 0.9, 1.0, lr=1e4, n_steps=100)
    rates = torch.tensor([0.1, 1e4], dtype=torch.float64)
    both = descend(null.expand(2, 7, 7), e, d, 0.9, 1.0, lr=rates, n_steps=10, record=[2, 5], scan=True)
    assert both.losses[-1, 1].isinf() and both.stopped[1] < 10 and both.stopped[0] == 10
    torch.testing.assert_close(both.losses[:, 0], found.losses)
    single = descend(null.float(), e.float(), d.float(), 0.9, 1.0, lr=0.1, n_steps=10)
    assert single.W.dtype == torch.float32
    torch.testing.assert_close(single.W.double(), found.W, rtol=1e-4, atol=1e-6)


def test_decay_time():
    """Exact exponentials after a plateau, one of which stops; too few points give no time."""
    steps = torch.arange(0, 400, 2)
    late = (steps - 100).clamp_min(0).double()
    losses = torch.stack([5 * torch.exp(-late / 20), 2 * torch.exp(-late / 7).clamp_min(1e-7), 1 - late / 1e3], dim=1)
    found = decay_time(losses, steps, highest=1e-1, lowest=1e-9)
    torch.testing.assert_close(found[:2], torch.tensor([20.0, 7.0], dtype=torch.float64))
    assert found[2].isnan()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": torch.zeros(3, 2)}, "expected W 3 x 3"),
        ({"encoder": torch.zeros(3, 2), "decoder": torch.zeros(3, 2)}, "one channel, got 2"),
        ({"decoder": torch.zeros(2, 1)}, "both be n x D"),
        ({"decay": 1.1}, "decay must lie in"),
        ({"scale": torch.tensor([1.0, float("nan")])}, "scale must be a positive number"),
        ({"scale": 0.0}, "scale must be a positive number"),
        ({"normalisation": "mean"}, "normalisation"),
    ],
)
def test_refuses(change, message):
    good = {"W": torch.zeros(3, 3), "encoder": torch.zeros(3, 1), "decoder": torch.zeros(3, 1)}
    good |= {"decay": 0.9, "scale": 1.0}
    with pytest.raises(ValueError, match=message):
        loss(**good | change)
    with pytest.raises(ValueError, match="optimiser"):
        descend(**good, lr=0.1, n_steps=1, optimiser="lion")
