"""The proxy loss from moments: against the plain formula under autograd, in both precisions."""

import pytest
import torch
from equations import randn, random_network

from lib.fast import moments
from lib.fast.moments import OnGram, gram, worth_gram
from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import proxy_loss
from lib.training.proxies import SampledProxy

DECAYS, SCALES = [0.8, 0.77, 0.75, 0.76, 0.79], [1.0, 2.0, 0.5, 3.0, 1.5]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_products_of_columns(dtype, tolerance, rng):
    rows = randn(70, 30, rng=rng).to(dtype)
    for matrix in (rows, randn(30, 70, rng=rng).to(dtype).T):  # in rows, and in columns
        torch.testing.assert_close(gram(matrix), matrix.T @ matrix, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("D", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["linear", "relu", "sigmoid"])
@pytest.mark.parametrize("trained", [("W", "encoders", "decoders"), ("W",), ("decoders",), ("encoders",)])
def test_moments_give_the_loss_and_its_gradient(D, name, trained, rng):
    fixed = random_network(12, D, name, rng)
    net = Integrator(fixed.W, fixed.encoders, fixed.decoders, activation=fixed.activation, trained=trained)
    task, z = Task(DECAYS[:D], SCALES[:D]), randn(40, D, rng=rng)
    constants = (z.new_tensor(task.decays), z.new_tensor(task.scales), 1.7, 0.4)
    ours = OnGram.apply(net.W, net.encoders, net.decoders, z, net.activation, constants)
    plain = 1.7 / 40 * proxy_loss(net, z, task, current_weight=0.4 / 1.7)
    torch.testing.assert_close(ours, plain)
    weights = [p for p in net.parameters() if p.requires_grad]
    found, wanted = torch.autograd.grad(3 * ours, weights), torch.autograd.grad(3 * plain, weights)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_few_digits_are_lost_near_an_integrator(rng):
    """In float32, where the residuals are a hundredth of the currents."""
    n, D, P = 300, 3, 900
    E, F, z = randn(n, D, rng=rng) / n**0.5, randn(n, D, rng=rng) / n**0.5, randn(P, D, rng=rng)
    H, task = (z @ F.T).clamp_min(0), Task(DECAYS[:D])
    known, images = torch.cat([E, H.T], dim=1), torch.cat([F, F @ (z * z.new_tensor(task.decays)).T], dim=1)
    W = torch.linalg.lstsq(known.T, images.T).solution.T  # W E = F and W h = sum of gamma z W e, as nearly as can be
    net = Integrator(W, E, randn(n, D, rng=rng) / n**0.5)
    exact = SampledProxy(task, skeleton=False)
    errors = []
    for loss in (SampledProxy(task), exact):
        single = Integrator(*(p.float() for p in (net.W, net.encoders, net.decoders)))
        loss(single, z.float()).backward()
        net.zero_grad()
        exact(net, z).backward()
        errors.append((single.W.grad - net.W.grad).norm() / net.W.grad.norm())
    assert worth_gram(net, P)
    assert errors[0] < 10 * errors[1] + 1e-5


def test_where_it_is_used(rng):
    net = random_network(moments.FEWEST, 3, "relu", rng)
    assert worth_gram(net, 2 * net.n)
    assert not worth_gram(net, 2 * net.n - 1)
    assert not worth_gram(random_network(50, 3, "relu", rng), 4096)
    for f, trained in ((torch.tanh, ("W",)), (Sigmoid(), ("W", "thresholds"))):
        assert not worth_gram(Integrator(net.W, net.encoders, net.decoders, activation=f, trained=trained), 2 * net.n)


def test_backward_gives_its_gradient_away(rng):
    net, z = random_network(moments.FEWEST, 3, "relu", rng), randn(500, 3, rng=rng)
    value = SampledProxy(Task(DECAYS[:3]), z_max=50.0)(net, z)
    assert "OnGram" in type(value.grad_fn).__name__
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward can be called once"):
        value.backward()
    assert isinstance(net.activation, ReLU)
