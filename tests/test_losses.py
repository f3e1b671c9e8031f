"""Losses against sums written out, the authors' mean, and Monte Carlo."""

import equations
import pytest
import torch
from equations import randn, random_network

from lib.model.activations import Sigmoid
from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.losses import BatchLoss, ProxyLoss, batch_loss, channel_weights, proxy_loss

TASK = Task([0.9, 0.5], [2.0, 0.7], T=4)


def test_batch_loss_by_hand():
    outputs = torch.tensor([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    targets = torch.zeros(3, 2, 2)
    assert batch_loss(outputs, targets).item() == pytest.approx((1 + 4 + 9) / 3)
    assert batch_loss(outputs, targets, [1.0, 10.0]).item() == pytest.approx((1 + 4 + 90) / 3)


def test_batch_loss_is_the_sum_over_channels_and_steps_and_the_mean_over_sequences(rng):
    outputs, targets = randn(5, 4, 2, rng=rng), randn(5, 4, 2, rng=rng)
    torch.testing.assert_close(batch_loss(outputs, targets), equations.loss(outputs, targets))
    doubled = [torch.cat([values, values]) for values in (outputs, targets)]
    torch.testing.assert_close(batch_loss(*doubled), batch_loss(outputs, targets))  # an average over sequences
    longer = [torch.cat([values, values], dim=1) for values in (outputs, targets)]
    torch.testing.assert_close(batch_loss(*longer), 2 * batch_loss(outputs, targets))  # a sum over steps
    wider = [torch.cat([values, values], dim=2) for values in (outputs, targets)]
    torch.testing.assert_close(batch_loss(*wider), 2 * batch_loss(outputs, targets))  # a sum over channels


def test_the_authors_normalisation_is_their_mean(rng):
    """Their loss is a mean over sequences and steps, divided by s^2 T^2, summed over channels."""
    outputs, targets = randn(5, 4, 2, rng=rng), randn(5, 4, 2, rng=rng)
    authors = sum((outputs - targets)[:, :, c].square().mean() / (TASK.scales[c] ** 2 * 4**2) for c in range(2))
    torch.testing.assert_close(batch_loss(outputs, targets, channel_weights(TASK, "authors")), authors)


@pytest.mark.parametrize("c", [0, 1])
def test_the_ratio_of_the_normalisations_in_each_channel(c, rng):
    outputs = torch.zeros(5, 4, 2, dtype=torch.float64)
    outputs[:, :, c] = randn(5, 4, rng=rng)
    paper, authors = (
        batch_loss(outputs, torch.zeros_like(outputs), channel_weights(TASK, name)) for name in ("paper", "authors")
    )
    assert (paper / authors).item() == pytest.approx(TASK.scales[c] ** 2 * TASK.T**3, rel=1e-13)
    torch.testing.assert_close(paper, batch_loss(outputs, torch.zeros_like(outputs)))


def test_batch_losses_of_several_networks(rng):
    outputs, targets = randn(3, 5, 4, 2, rng=rng), randn(5, 4, 2, rng=rng)
    each = torch.stack([batch_loss(y, targets, [1.0, 0.3]) for y in outputs])
    torch.testing.assert_close(batch_loss(outputs, targets, [1.0, 0.3]), each)


def test_batch_loss_gradient(rng):
    outputs, targets = randn(3, 4, 2, rng=rng).requires_grad_(), randn(3, 4, 2, rng=rng)
    assert torch.autograd.gradcheck(lambda y: batch_loss(y, targets, [1.0, 0.3]), outputs)


@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 4, 2), (5, 4, 1)),
        ((5, 4, 2), (5, 1, 2)),
        ((5, 4), (5, 4)),
        ((5, 4, 2), (3, 5, 4, 2)),
        ((4, 5, 2), (5, 4, 2)),
    ],
)
def test_shapes_that_would_broadcast_are_refused(shapes):
    with pytest.raises(ValueError, match="outputs and targets must both be B x T x D, got"):
        batch_loss(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_unknown_normalisations_are_refused():
    message = r"normalisation must be one of \['authors', 'paper'\], got 'mean'"
    with pytest.raises(ValueError, match=message):
        channel_weights(TASK, "mean")
    with pytest.raises(ValueError, match=message):
        BatchLoss(TASK, "mean")
    with pytest.raises(ValueError, match=message):
        ProxyLoss(Task(0.9), "mean")


@pytest.mark.parametrize("name", ["relu", "linear", "sigmoid", "tanh"])
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_loss_of_a_network_and_its_gradient(name, normalisation, rng):
    """Everything at once, against loops: network, targets, sums, weights of the channels."""
    network = random_network(6, 2, name, rng)
    x = randn(5, 4, 2, rng=rng)
    y = equations.run(network.W, network.encoders, network.decoders, x, equations.PAIRS[name][1])[1]
    wanted = equations.targets(x, TASK.decays, TASK.scales)
    expected = torch.zeros((), dtype=torch.float64)
    for c in range(2):
        share = 1 if normalisation == "paper" else TASK.scales[c] ** 2 * 4**3
        expected = expected + equations.loss(y[:, :, c : c + 1], wanted[:, :, c : c + 1]) / share
    ours = BatchLoss(TASK, normalisation)(network, x)
    torch.testing.assert_close(ours, expected)
    weights = [network.W, network.encoders, network.decoders]
    for a, b in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(expected, weights), strict=True):
        torch.testing.assert_close(a, b)


def test_a_loss_serves_networks_of_different_sizes(rng):
    loss = BatchLoss(Task(0.9, T=3))
    for n, batch in ((5, 4), (8, 2)):
        network = Integrator.random(n, 1, generator=rng, radius=0.9)
        loss(network, randn(batch, 3, 1, rng=rng)).backward()
        assert network.W.grad is not None and network.W.grad.any()


def exact_integrator(gamma, s):
    """A rank-one rectified integrator of four neurons: We = u = (1, -1, 0, 0), and r picks out its two halves."""
    u = torch.tensor([1.0, -1.0, 0.0, 0.0], dtype=torch.float64)
    r = torch.tensor([gamma, -gamma, 1.0, 0.0], dtype=torch.float64)
    e = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=torch.float64)
    return Integrator(torch.outer(u, r), e, (s * gamma * u)[:, None])


def test_the_proxy_loss_vanishes_at_an_exact_integrator(rng):
    gamma, s = 0.8, 1.7
    network, task = exact_integrator(gamma, s), Task(gamma, s)
    assert proxy_loss(network, randn(9, 1, rng=rng), task).item() < 1e-28
    x = white_noise(4, 60, generator=rng)  # and it integrates
    assert torch.allclose(network.run(x).outputs, task.targets(x), rtol=0, atol=1e-12)
    assert proxy_loss(network, randn(9, 1, rng=rng), Task(gamma, 1.0)).item() > 1e-2
    assert proxy_loss(network, randn(9, 1, rng=rng), Task(0.7, s)).item() > 1e-2


@pytest.mark.parametrize("D", [1, 2, 3])
@pytest.mark.parametrize("current_weight", [1.0, 0.25])
def test_the_proxy_loss_number_by_number(D, current_weight, rng):
    """Equation 34, with its sums written out."""
    n, task = 7, Task([0.9, 0.8, 0.7][:D], [1.0, 2.0, 0.5][:D])
    network = Integrator.random(n, D, radius=0.9, generator=rng)
    z = randn(5, D, rng=rng)
    W, E, d = (weights.tolist() for weights in (network.W, network.encoders, network.decoders))
    We = [[sum(W[i][j] * E[j][c] for j in range(n)) for c in range(D)] for i in range(n)]
    expected = 0.0
    for point in z.tolist():
        h = [max(sum(point[c] * We[i][c] for c in range(D)), 0.0) for i in range(n)]
        for c in range(D):
            output = sum(d[i][c] * h[i] for i in range(n))
            expected += (output - task.scales[c] * task.decays[c] * point[c]) ** 2
        for i in range(n):
            wanted = sum(task.decays[c] * point[c] * We[i][c] for c in range(D))
            expected += current_weight * (sum(W[i][j] * h[j] for j in range(n)) - wanted) ** 2
    assert proxy_loss(network, z, task, current_weight=current_weight).item() == pytest.approx(expected, rel=1e-12)


def test_the_two_point_proxy_and_its_normalisation(rng):
    """Equation 29, with the four terms written out, and the same over the square of the scale."""
    network, task = Integrator.random(8, 1, radius=0.9, generator=rng), Task(0.9, 2.0)
    z = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    W, e, d = network.W, network.encoders[:, 0], network.decoders[:, 0]
    plus, minus = (W @ e).clamp_min(0), (-W @ e).clamp_min(0)
    terms = [d @ plus - 1.8, d @ minus + 1.8, W @ plus - 0.9 * W @ e, W @ minus + 0.9 * W @ e]
    expected = sum(term.square().sum() for term in terms)
    assert ProxyLoss.two_point(task, "paper")(network, z).item() == pytest.approx(expected.item(), rel=1e-12)
    assert ProxyLoss.two_point(task)(network, z).item() == pytest.approx(expected.item() / 4, rel=1e-12)


def test_the_proxy_loss_has_the_gradient_of_autograd_and_leaves_the_null_start(rng):
    network, task = Integrator.random(6, 1, radius=0.9, generator=rng), Task(0.9)
    z = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)

    def loss(W):
        return torch.func.functional_call(Proxy(network, z, task), {"network.W": W}, ())

    assert torch.autograd.gradcheck(loss, network.W.detach().clone().requires_grad_())
    null = Integrator.random(6, 1, generator=rng)
    assert torch.autograd.grad(ProxyLoss.two_point(task)(null, z), null.W)[0].norm() > 0.1


class Proxy(torch.nn.Module):
    """The proxy loss as a module, whose weights can be replaced."""

    def __init__(self, network, z, task):
        super().__init__()
        self.network, self.z, self.task = network, z, task

    def forward(self):
        return proxy_loss(self.network, self.z, self.task)


def test_the_proxy_loss_refuses(rng):
    network, z = Integrator.random(8, 2, generator=rng), torch.ones(2, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"z must have shape P x 2, got \(2, 1\)"):
        proxy_loss(network, z, TASK)
    with pytest.raises(ValueError, match="task must have the network's 2 channels, got 1"):
        proxy_loss(network, z.expand(2, 2), Task(0.9))
    with pytest.raises(ValueError, match="for one channel, got 2"):
        ProxyLoss.two_point(Task([0.9, 0.8]))
    sigmoid = Integrator.random(8, 1, generator=rng, activation=Sigmoid())
    with pytest.raises(ValueError, match="needs a homogeneous activation"):
        ProxyLoss.two_point(Task(0.9))(sigmoid, z)
