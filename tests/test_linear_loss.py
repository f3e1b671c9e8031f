"""lib.theory.linear.moments, covariance, loss: against brute force, autograd and Monte Carlo."""

import pytest
import torch
from equations import randn

from lib.model.activations import Linear
from lib.model.network import Integrator
from lib.model.signals import autoregressive as ar1
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.theory.linear.covariance import autoregressive, covariance, white
from lib.theory.linear.loss import averaged_loss, gradient
from lib.theory.linear.moments import krylov_vectors, moments, target_moments
from lib.training.losses import batch_loss

TASKS = [Task(0.9, 1.3, T=4), Task([0.9, 0.7], [1.0, 2.0], T=5), Task(0.5, 0.2, T=1)]


def network(rng, D, n=6, *batch):
    return tuple(randn(*batch, *shape, rng=rng) / n**0.5 for shape in ((n, n), (n, D), (n, D)))


@pytest.mark.parametrize("D", [1, 2])
def test_moments_are_powers(D, rng):
    W, e, d = network(rng, D)
    found = moments(W, e, d, 5)
    for q in range(1, 6):
        torch.testing.assert_close(found[q - 1], d.T @ torch.linalg.matrix_power(W, q) @ e)


def test_moments_of_a_batch(rng):
    W, e, d = network(rng, 2, 5, 3)
    each = torch.stack([moments(*one, 4) for one in zip(W, e, d, strict=True)])
    torch.testing.assert_close(moments(W, e, d, 4), each)
    torch.testing.assert_close(moments(W, e[0], d[0], 4)[1], moments(W[1], e[0], d[0], 4))
    assert krylov_vectors(W, e[0], 3).shape == (3, 3, 5, 2)


def test_target_moments_are_those_of_a_diagonal_integrator():
    task = Task([0.9, 0.5], [2.0, 0.3], T=3)
    W, e = torch.diag(torch.tensor([0.9, 0.5], dtype=torch.float64)), torch.eye(2, dtype=torch.float64)
    d = torch.diag(torch.tensor([2.0, 0.3], dtype=torch.float64))
    torch.testing.assert_close(moments(W, e, d, 6), target_moments(task, 6, W))
    assert averaged_loss(W, e, d, task) < 1e-30


def test_loss_by_hand():
    """W = w, e = 1, d = 1: the moments are the powers of w."""
    one = torch.ones(1, 1, dtype=torch.float64)
    loss = averaged_loss(0.6 * one, one, one, Task(0.5, 2.0, T=2), normalisation="paper")
    assert loss.item() == pytest.approx(2 * (0.6 - 1.0) ** 2 + (0.36 - 0.5) ** 2)


def test_loss_vanishes_at_an_integrator_only(rng):
    """W is gamma times the projection on e along d, and the scale is d.e."""
    _, e, d = network(rng, 1)
    d = d * (d.T @ e).sign()
    s = float(d.T @ e)
    W = 0.9 * e @ d.T / s
    assert averaged_loss(W, e, d, Task(0.9, s, T=6)) < 1e-25
    assert averaged_loss(W.T, e, d, Task(0.9, s, T=6)) > 1e-6


def test_covariance_by_hand():
    assert torch.equal(white(3), torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)))
    expected = torch.tensor([[3.0, 1.0, 0.25], [1.0, 2.0, 0.5], [0.25, 0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(autoregressive(3, 0.5), expected)
    assert torch.linalg.eigvalsh(autoregressive(20, 0.7))[0] > 0
    assert torch.linalg.eigvalsh(covariance(torch.ones(50, dtype=torch.float64)))[0] > 0.25  # constant inputs
    with pytest.raises(ValueError, match="coefficient"):
        autoregressive(3, 1.0)
    with pytest.raises(ValueError, match="T must be"):
        white(0)
    with pytest.raises(ValueError, match="correlations"):
        covariance(torch.ones(2, 2))


@pytest.mark.parametrize("noise", ["white", "correlated"])
@pytest.mark.parametrize("D", [1, 2])
def test_loss_is_the_mean_of_the_batch_loss(D, noise, rng):
    """Within four standard errors of a sample."""
    task = Task([0.9, 0.6][:D], [1.0, 1.5][:D], T=4)
    W, e, d = network(rng, D)
    options = {"generator": rng}
    chi = white(4) if noise == "white" else autoregressive(4, 0.6)
    x = white_noise(20_000, 4, D, **options) if noise == "white" else ar1(20_000, 4, D, coefficient=0.6, **options)
    y = Integrator(W, e, d, activation=Linear()).run(x).outputs
    each = torch.stack([batch_loss(a[None], b[None]) for a, b in zip(y, task.targets(x), strict=True)])
    expected = averaged_loss(W, e, d, task, chi=chi, normalisation="paper")
    assert abs(each.mean() - expected) < 4 * each.std() / len(each) ** 0.5
    assert each.std() / len(each) ** 0.5 < 0.02 * expected


@pytest.mark.parametrize("normalisation", ["paper", "authors"])
@pytest.mark.parametrize("task", TASKS, ids=["D=1", "D=2", "T=1"])
def test_gradient_is_that_of_autograd(task, normalisation, rng):
    W, e, d = network(rng, task.D, 6, 3)
    chi = autoregressive(task.T, 0.4)
    W.requires_grad_()
    losses = averaged_loss(W, e, d, task, chi=chi, normalisation=normalisation)
    (expected,) = torch.autograd.grad(losses.sum(), W)
    found = gradient(W.detach(), e, d, task, chi=chi, normalisation=normalisation)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


def test_the_authors_normalisation(rng):
    W, e, d = network(rng, 1)
    paper, authors = (averaged_loss(W, e, d, TASKS[0], normalisation=name) for name in ("paper", "authors"))
    torch.testing.assert_close(authors * 1.3**2 * 4**2, paper)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": torch.zeros(3, 2)}, "expected W 3 x 3"),
        ({"encoders": torch.zeros(2, 1)}, "both be n x D"),
        ({"decoders": torch.zeros(3, 2)}, "both be n x D"),
        ({"task": Task([0.9, 0.8])}, "1 channels, got 2"),
        ({"normalisation": "mean"}, "normalisation"),
        ({"chi": torch.zeros(2, 3)}, "chi"),
    ],
)
def test_refuses(change, message):
    good = {"W": torch.zeros(3, 3), "encoders": torch.zeros(3, 1), "decoders": torch.zeros(3, 1), "task": Task(0.9)}
    with pytest.raises(ValueError, match=message):
        averaged_loss(**good | change)
