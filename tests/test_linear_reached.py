"""lib.linear.reached: the closed form against descent, and the gap where there is nothing to reach."""

import pytest
import torch
from equations import randn

from lib.linear.descent import descend
from lib.linear.flow import flow
from lib.linear.manifolds import Manifolds
from lib.linear.moments import moments
from lib.linear.reached import reached
from lib.linear.reduced import reduce
from lib.linear.slow import mirrored
from lib.tasks import Task


def pair(kappa, encoder_norm=1.0, decoder_norm=1.0):
    e = torch.tensor([[encoder_norm], [0.0]], dtype=torch.float64)
    return e, decoder_norm * torch.tensor([[kappa], [(1 - kappa**2) ** 0.5]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("kappa", "norms", "s"), [(0.4, (1.0, 1.0), 1.0), (-0.3, (1.5, 0.6), 0.5), (0.0, (1.0, 1.0), 2.0)]
)
def test_descent_from_zero_ends_there(kappa, norms, s):
    e, d = pair(kappa, *norms)
    found = descend(
        torch.zeros(2, 2, dtype=torch.float64), e, d, Task(0.9, s, T=4), lr=0.05, n_steps=30_000, stop_loss=1e-26
    )
    torch.testing.assert_close(reached(e, d, 0.9, s), found.W, rtol=1e-9, atol=1e-9)


def test_it_is_a_symmetric_integrator_in_many_dimensions(rng):
    e, d = randn(3, 8, 1, rng=rng), randn(3, 8, 1, rng=rng)
    s = (e * d).sum(dim=(-2, -1)).clamp_min(0) + 0.5
    W = reached(e, d, 0.9, s)
    expected = s[:, None] * 0.9 ** torch.arange(1, 8)
    torch.testing.assert_close(moments(W, e, d, 7)[..., 0, 0], expected)
    torch.testing.assert_close(mirrored(W, e, d), W)
    assert torch.linalg.matrix_rank(W).tolist() == [1, 1, 1]


def test_norm_for_orthogonal_vectors_is_the_smallest_on_the_curve():
    e, d = pair(0.0)
    for s in (0.7, 1.0, 3.0):
        norm = reached(e, d, 0.9, s).norm().item()
        assert norm == pytest.approx(0.9 * (s + 1 / (4 * s)))
        angles = torch.linspace(0.01, 3.13, 400, dtype=torch.float64)
        curve = Manifolds(reduce(e, d), 0.9).along(s, torch.stack([angles.cos(), angles.sin()], dim=-1))
        assert curve.norm(dim=(-2, -1)).min() > norm - 1e-12


def test_between_zero_and_the_product_nothing_is_reached():
    e, d = pair(0.4)
    with pytest.raises(ValueError, match=r"above d\.e"):
        reached(e, d, 0.9, 0.2)
    with pytest.raises(ValueError, match=r"above d\.e"):
        reached(e, -d, 0.9, -0.2)
    task = Task(0.9, 0.2, T=3)
    stuck = descend(torch.zeros(2, 2, dtype=torch.float64), e, d, task, lr=2e-3, n_steps=4000, record=4000)
    assert stuck.losses[-1] > 1e-2
    apart = flow(torch.tensor([[0.0, 0.3], [0.0, 0.0]], dtype=torch.float64), e, d, task, [1e3])
    torch.testing.assert_close(moments(apart[-1], e, d, 9)[:, 0, 0], 0.2 * 0.9 ** torch.arange(1.0, 10.0).double())


def test_refuses(rng):
    e, d = randn(4, 1, rng=rng), randn(4, 1, rng=rng)
    with pytest.raises(ValueError, match="parallel"):
        reached(e, 2 * e, 0.9, 5.0)
    with pytest.raises(ValueError, match="one channel"):
        reached(torch.cat([e, d], dim=1), torch.cat([d, e], dim=1), 0.9, 5.0)
