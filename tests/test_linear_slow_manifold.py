"""lib.theory.linear.slow_manifold and flow: the symmetry, the planes, and the law of the slow descent."""

import pytest
import torch
from equations import randn
from torch._subclasses.fake_tensor import FakeTensorMode

from lib.model.task import Task
from lib.theory.linear.covariance import autoregressive
from lib.theory.linear.descent import descend
from lib.theory.linear.flow import flow
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.manifolds import Manifolds
from lib.theory.linear.moments import for_scipy, moments
from lib.theory.linear.reduced import reduce
from lib.theory.linear.slow_manifold import Coordinates, coordinates, reflected, stiffness

GAMMA = 0.9


@pytest.fixture
def pair(rng):
    """Encoder and decoder of different norms with a positive product, in two dimensions."""
    e, d = randn(9, 1, rng=rng), randn(9, 1, rng=rng)
    small = reduce(e, d * (d * e).sum().sign())
    return small.encoders, small.decoders


def scale(pair):
    return (pair[0] * pair[1]).sum().item()


def test_mirror_keeps_moments_and_is_its_own_inverse(pair, rng):
    e, d = pair
    W = randn(5, 2, 2, rng=rng)
    M = reflected(W, e, d)
    torch.testing.assert_close(moments(M, e, d, 6), moments(W, e, d, 6))
    torch.testing.assert_close(reflected(M, e, d), W)
    assert (M - W).abs().min() > 1e-6


def test_mirror_in_many_dimensions(rng):
    W, e, d = randn(7, 7, rng=rng), randn(7, 1, rng=rng), randn(7, 1, rng=rng)
    torch.testing.assert_close(moments(reflected(W, e, d), e, d, 4), moments(W, e, d, 4))


def test_mirror_exchanges_x_and_y(pair, rng):
    e, d = pair
    W = randn(2, 2, rng=rng)
    here, there = coordinates(W, e, d, GAMMA), coordinates(reflected(W, e, d), e, d, GAMMA)
    for a, b in ((here.z, there.z), (here.x, there.y), (here.y, there.x), (here.c, there.c)):
        torch.testing.assert_close(a, b)


def weights(place, e, d):
    """The `m x 2 x 2` matrices of these coordinates: the transpose of an orthogonal map is its inverse."""
    one = GAMMA * torch.eye(2, dtype=torch.float64)
    units = torch.eye(4, dtype=torch.float64).view(4, 2, 2)
    return one + (torch.stack(place).T @ torch.stack(coordinates(one + units, e, d, GAMMA))).view(-1, 2, 2)


def test_coordinates_are_orthonormal(pair, rng):
    e, d = pair
    W = randn(4, 2, 2, rng=rng)
    place = coordinates(W, e, d, GAMMA)
    torch.testing.assert_close(weights(place, e, d), W)
    sizes = sum(value.square() for value in place)
    torch.testing.assert_close(sizes, (W - GAMMA * torch.eye(2).to(W)).square().sum(dim=(-2, -1)))


def test_planes_are_those_of_the_manifolds(rng):
    e, d = randn(9, 1, rng=rng), randn(9, 1, rng=rng)
    small = reduce(e, d)
    theirs, few = Manifolds(small, GAMMA), randn(4, rng=rng)
    pair = (small.encoders, small.decoders)
    zero = torch.zeros(4, dtype=torch.float64)
    on_beta = coordinates(theirs.m_beta(few, few - 3), *pair, GAMMA)
    torch.testing.assert_close(on_beta.x, zero)
    on_alpha = coordinates(theirs.m_alpha(few, few - 3), *pair, GAMMA)
    torch.testing.assert_close(on_alpha.y, zero)
    line = coordinates(theirs.crossing(few), *pair, GAMMA)
    torch.testing.assert_close(torch.stack([line.z, line.x, line.y]), torch.zeros(3, 4, dtype=torch.float64))
    e_hat, d_hat = (v / v.norm() for v in pair)
    torch.testing.assert_close(GAMMA - (e_hat * d_hat).sum() * line.c, few)  # the second eigenvalue


@pytest.mark.parametrize("T", [2, 3, 6])
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_stiffness_is_the_curvature_of_the_valley(pair, T, normalisation):
    """Lowest loss over z at small x = y, by a fit of a parabola in z, against A x^2 y^2."""
    e, d = pair
    task, chi = Task(GAMMA, scale(pair), T), autoregressive(T, 0.3)
    c, x, h = torch.tensor([0.4, -0.7, 0.0]).double(), 1e-3, 1e-6
    second = GAMMA - scale(pair) / (e.norm() * d.norm()) * c

    def loss(z):
        place = Coordinates(z + 0 * c, x + 0 * c, 2 * x + 0 * c, c)
        return averaged_loss(weights(place, e, d), e, d, task, chi=chi, normalisation=normalisation)

    low, middle, high = loss(-h), loss(0.0), loss(h)
    curvature = (low + high - 2 * middle) / h**2
    lowest = middle - ((high - low) / (2 * h)) ** 2 / (2 * curvature)
    A = stiffness(second, e, d, task, chi=chi, normalisation=normalisation)
    torch.testing.assert_close(lowest / (x * 2 * x) ** 2, A, rtol=2e-2, atol=0)  # corrections are of order x


def test_flow_is_descent_with_small_steps(pair):
    e, d = pair
    task, zero = Task(GAMMA, 0.7, T=3), torch.zeros(2, 2, dtype=torch.float64)
    path = flow(zero, e, d, task, [0.0, 0.5, 1.0])
    assert path.shape == (3, 2, 2) and not path[0].any()
    ends = [descend(zero, e, d, task, lr=1 / steps, n_steps=steps).W for steps in (400, 800)]
    gaps = [(end - path[-1]).norm() for end in ends]
    assert gaps[1] < 1e-3 and gaps[0] / gaps[1] == pytest.approx(2, rel=0.05)  # first order in the step


def test_flow_of_other_dtypes_is_solved_in_float64_and_comes_back(pair):
    (e, d), task = pair, Task(GAMMA, 0.7, T=3)
    times, start = torch.tensor([1.0, 10.0]), torch.zeros(2, 2, dtype=torch.float32)
    found = flow(start, e.float(), d.float().requires_grad_(), task, times, chi=autoregressive(3, 0.4))
    exact = flow(start.double(), e.float().double(), d.float().double(), task, times, chi=autoregressive(3, 0.4))
    assert torch.equal(found, exact.float())


def test_scipy_gets_float64_on_the_cpu_from_any_device():
    with FakeTensorMode():
        (there,) = for_scipy(torch.empty(3, dtype=torch.float32, device="cuda"))
    assert there.device.type == "cpu" and there.dtype == torch.float64


def test_flow_of_many_networks(pair, rng):
    e, d = pair
    task, starts = Task(GAMMA, 0.7, T=3), 0.1 * randn(3, 2, 2, rng=rng)
    together = flow(starts, e, d, task, [1.0, 10.0])
    assert together.shape == (2, 3, 2, 2)
    torch.testing.assert_close(together[:, 1], flow(starts[1], e, d, task, [1.0, 10.0]), rtol=1e-6, atol=1e-9)


def test_law_of_the_slow_descent(pair):
    """Exponents -2 of the loss and -1/2 of the distance, and both prefactors, without a fitted number."""
    e, d = pair
    task = Task(GAMMA, scale(pair), T=3)
    tau = torch.tensor([1e5, 1e6], dtype=torch.float64)
    path = flow(torch.zeros(2, 2, dtype=torch.float64), e, d, task, tau)
    place = coordinates(path, e, d, GAMMA)
    second = GAMMA - scale(pair) / (e.norm() * d.norm()) * place.c[-1]
    A = stiffness(second, e, d, task)
    torch.testing.assert_close(place.x, place.y, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(4 * A * tau * place.x.square(), torch.ones_like(tau), rtol=2e-2, atol=0)
    torch.testing.assert_close(
        16 * A * tau.square() * averaged_loss(path, e, d, task), torch.ones_like(tau), rtol=2e-2, atol=0
    )


def test_refuses(pair):
    e, d = pair
    W, task = torch.zeros(2, 2, dtype=torch.float64), Task(GAMMA, 0.5, T=3)
    with pytest.raises(ValueError, match="parallel"):
        coordinates(W, e, 2 * e, GAMMA)
    with pytest.raises(ValueError, match="one channel"):
        reflected(W, torch.cat([e, d], dim=1), torch.cat([d, e], dim=1))
    with pytest.raises(ValueError, match="T must be"):
        stiffness(torch.zeros(()), e, d, Task(GAMMA, 0.5, T=1))
    for times in ([], [2.0, 1.0], [-1.0]):
        with pytest.raises(ValueError, match="times must increase"):
            flow(W, e, d, task, times)
