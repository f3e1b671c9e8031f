"""lib.theory.linear.manifolds: coordinates, surfaces and scales against eigenvalues, moments and printed constants."""

import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.task import Task
from lib.theory.linear.descent import descend
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.manifolds import Manifolds, printed_constants
from lib.theory.linear.moments import moments
from lib.theory.linear.reduced import Reduced, reduce

GAMMA = 0.6


def manifolds(rng, *batch, n=7):
    return Manifolds(reduce(randn(*batch, n, 1, rng=rng), randn(*batch, n, 1, rng=rng)), GAMMA)


def mu(m, omega, orders=6):
    """Moments over powers of gamma, `... x orders`."""
    powers = GAMMA ** torch.arange(1, orders + 1, dtype=torch.float64)
    return moments(omega, m.small.encoders, m.small.decoders, orders)[..., 0, 0] / powers


def test_matrix_has_the_eigenvalues_and_eigenvectors_of_its_coordinates(rng):
    m = manifolds(rng)
    second, alpha, beta = randn(3, 50, rng=rng)
    omega = m.matrix(second, alpha, beta)
    P = torch.stack([torch.ones(2, 50, dtype=torch.float64), torch.stack([alpha, beta])]).permute(2, 0, 1)
    spectrum = torch.diag_embed(torch.stack([torch.full_like(second, GAMMA), second], dim=-1))
    torch.testing.assert_close(omega, P @ spectrum @ torch.linalg.inv(P), rtol=1e-9, atol=1e-9)
    printed = torch.stack(
        [alpha * second - beta * GAMMA, GAMMA - second, alpha * beta * (second - GAMMA), alpha * GAMMA - beta * second]
    )
    torch.testing.assert_close(omega.flatten(1).T, printed / (alpha - beta), rtol=1e-9, atol=1e-9)


def test_weights_are_those_of_the_moments(rng):
    m = manifolds(rng)
    second, alpha, beta = randn(3, 50, rng=rng)
    g1 = m.first_weight(alpha, beta)
    g2 = m.overlap - g1
    found = moments(m.matrix(second, alpha, beta), m.small.encoders, m.small.decoders, 2)[..., 0, 0]
    torch.testing.assert_close(found[:, 0], g1 * GAMMA + g2 * second, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found[:, 1], g1 * GAMMA**2 + g2 * second**2, rtol=1e-9, atol=1e-9)
    c = m.constants
    torch.testing.assert_close(g1, c.Z * (alpha - c.alpha0) * (beta - c.beta0) / (beta - alpha), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(g2, c.Z * (alpha - c.beta0) * (beta - c.alpha0) / (alpha - beta), rtol=1e-10, atol=1e-12)


def test_constants_as_printed(rng):
    e, d = randn(100, 5, 1, rng=rng), randn(100, 5, 1, rng=rng)
    printed = printed_constants(e.norm(dim=(1, 2)), d.norm(dim=(1, 2)), (e * d).sum(dim=(1, 2)))
    for one, other in zip(Manifolds(reduce(e, d), GAMMA).constants, printed, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=0)


def test_the_sheet_has_rank_one_and_any_scale(rng):
    m = manifolds(rng)
    alpha, beta = randn(2, 50, rng=rng)
    omega, scale = m.sheet(alpha, beta), m.first_weight(alpha, beta)
    torch.testing.assert_close(torch.linalg.det(omega), torch.zeros(50, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(mu(m, omega), scale[:, None].expand(50, 6), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["m_alpha", "m_beta"])
def test_the_planes_are_affine_and_have_the_scale_of_the_overlap(name, rng):
    m = manifolds(rng)
    second, other = randn(2, 50, rng=rng)
    omega = getattr(m, name)(second, other)
    c = m.constants
    chart = (second, other, c.alpha0) if name == "m_alpha" else (second, c.beta0, other)
    torch.testing.assert_close(omega, m.matrix(*chart), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mu(m, omega), m.overlap.expand(50, 6), rtol=1e-10, atol=1e-10)
    centred = (omega - omega.mean(dim=0)).flatten(1)
    assert torch.linalg.matrix_rank(centred, rtol=1e-10) == 2


def test_the_planes_meet_in_a_line(rng):
    m = manifolds(rng)
    omega = m.crossing(torch.linspace(-1, 1, 9, dtype=torch.float64))
    d, e = m.decoder, m.encoder
    torch.testing.assert_close(omega @ e, (GAMMA * e).expand(9, 2), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(omega.mT @ d, (GAMMA * d).expand(9, 2), rtol=1e-12, atol=1e-12)
    steps = omega.diff(dim=0)
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(m.crossing(GAMMA), GAMMA * torch.eye(2, dtype=torch.float64))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 10), alpha=st.floats(-30, 30), ratio=st.floats(0.2, 5))
def test_integrators_of_one_scale(seed, scale, alpha, ratio):
    generator = torch.Generator().manual_seed(seed)
    e, d = (torch.randn(5, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    m = Manifolds(reduce(e, ratio * d), GAMMA)
    c = m.constants
    if min(abs(scale - m.overlap), abs(alpha - c.alpha0), abs(alpha - c.beta0)) < 1e-3:
        return
    omega = m.iso_scale(scale, alpha)
    size = omega.norm().item()
    torch.testing.assert_close(
        mu(m, omega, 3), torch.full((3,), scale, dtype=torch.float64), rtol=1e-9, atol=size * 1e-9
    )
    beta = m.beta(scale, alpha)
    if (c.Z * (alpha - c.alpha0) - scale).abs() > 1e-6:
        printed = (c.Z * (alpha - c.alpha0) * c.beta0 - alpha * scale) / (c.Z * (alpha - c.alpha0) - scale)
        torch.testing.assert_close(beta, printed, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(omega, m.sheet(alpha, beta), rtol=1e-6, atol=size * 1e-6)


def test_the_curve_of_a_scale_goes_on_where_beta_and_alpha_are_infinite(rng):
    m = manifolds(rng)
    c = m.constants
    pole = c.alpha0 + 0.7 / c.Z
    omega = m.iso_scale(0.7, pole)
    torch.testing.assert_close(omega, m.iso_scale(0.7, pole + 1e-7), rtol=1e-4, atol=1e-5)
    vertical = m.along(0.7, torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(vertical, m.iso_scale(0.7, 1e9), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mu(m, vertical), torch.full((6,), 0.7, dtype=torch.float64))


def test_a_first_eigenvector_without_first_component():
    """Erratum E17: lambda (1, v) is the image of (1, v)."""
    m = Manifolds(Reduced(*torch.eye(2, dtype=torch.float64).split(1, dim=1), torch.eye(2)), GAMMA)
    right, left = torch.tensor([[0.0, 1.0], [-0.7, 1.0]], dtype=torch.float64)
    omega = m.through(0.35, right, left)
    expected = torch.tensor([[0.35, 0.0], [(0.35 - GAMMA) * 0.7, GAMMA]], dtype=torch.float64)
    torch.testing.assert_close(omega, expected)


def test_orthogonal_vectors_have_a_sheet_but_no_planes():
    """The printed constants divide by zero; the sheet does not need them."""
    e, d = (torch.eye(3, dtype=torch.float64)[:, [k]] for k in range(2))
    m = Manifolds(reduce(e, d), GAMMA)
    torch.testing.assert_close(mu(m, m.iso_scale(0.5, 0.3)), torch.full((6,), 0.5, dtype=torch.float64))
    for call in (lambda: m.constants, lambda: m.crossing(0.1), lambda: printed_constants(*torch.tensor([1.0, 1, 0]))):
        with pytest.raises(ValueError, match="not orthogonal"):
            call()


def test_many_pairs_of_vectors_at_once(rng):
    many = manifolds(rng, 3, 1)
    alpha = torch.linspace(-2, 2, 5, dtype=torch.float64)
    together = many.iso_scale(0.4, alpha)
    assert together.shape == (3, 5, 2, 2)
    one = Manifolds(Reduced(*(part[1, 0] for part in many.small)), GAMMA)
    torch.testing.assert_close(together[1], one.iso_scale(0.4, alpha))


def test_descent_from_zero_ends_at_the_symmetric_integrator(rng):
    e, d = (v / v.norm() for v in (randn(7, 1, rng=rng), randn(7, 1, rng=rng)))
    m, scale = Manifolds(reduce(e, d), GAMMA), 1.5
    small = m.small
    omega = m.along(scale, m.symmetric(scale))
    options = {"lr": 0.02, "n_steps": 2000, "record": 2000, "normalisation": "paper"}
    zero = torch.zeros(2, 2, dtype=torch.float64)
    found = descend(zero, small.encoders, small.decoders, Task(GAMMA, scale, 3), **options)
    torch.testing.assert_close(found.W, omega, rtol=1e-6, atol=1e-6)
    across = m.decoder / m.decoder.norm() - m.encoder / m.encoder.norm()
    R = torch.eye(2, dtype=torch.float64) - 2 * torch.outer(across, across) / across.square().sum()
    torch.testing.assert_close(R @ omega.T @ R, omega)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_below_the_overlap_no_integrator_is_symmetric_and_descent_from_zero_stops(share):
    """At a saddle whose loss is not zero, until rounding errors have grown."""
    e = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    d = torch.tensor([[0.6], [0.8]], dtype=torch.float64)
    m = Manifolds(reduce(e, d), GAMMA)
    with pytest.raises(ValueError, match="between 0 and d.e"):
        m.symmetric(share * 0.8)
    options = {"lr": 0.05, "n_steps": 300, "record": [200], "normalisation": "paper"}
    zero, task = torch.zeros(2, 2, dtype=torch.float64), Task(GAMMA, share * 0.8, 3)
    found = descend(zero, m.small.encoders, m.small.decoders, task, **options)
    assert found.losses[-1] > 1e-3 and found.losses.diff().abs() < 0.02 * found.losses[-1]


def test_the_loss_vanishes_on_the_manifolds_and_grows_beside_them(rng):
    m = manifolds(rng)
    s = abs(m.overlap.item())
    m = Manifolds(reduce(m.small.encoders, m.small.decoders * m.overlap.sign()), GAMMA)

    def loss(omega):
        return averaged_loss(omega, m.small.encoders, m.small.decoders, Task(GAMMA, s, T=10), normalisation="paper")

    for omega in (m.m_alpha(0.3, 1.0), m.m_beta(0.3, 1.0), m.sheet(m.constants.beta0, 2.0)):
        assert loss(omega) < 1e-20
        assert loss(omega + 0.1 * m.small.decoders @ m.small.encoders.mT) > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: Manifolds(m.small, 1.5), "decay"),
        (lambda m: Manifolds(reduce(torch.eye(4)[:, :2], torch.eye(4)[:, 2:]), 0.5), "one channel"),
        (lambda m: m.iso_scale(0.0, 1.0), "scale must differ"),
        (lambda m: m.beta(m.overlap, 1.0), "scale must differ"),
        (lambda m: m.symmetric(m.overlap / 2), "between 0 and d.e"),
        (lambda m: m.beta(torch.tensor([0.5, torch.nan]), 1.0), "scale must differ"),
    ],
)
def test_refuses(call, message, rng):
    with pytest.raises(ValueError, match=message):
        call(manifolds(rng))
