"""lib.theory.relu.rank_one and leading: conditions by hand, bounds against brute force, an integrator that
integrates.
"""

import math

import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.subspaces import leading, sign_agreement
from lib.model.codes import random_codes
from lib.model.network import Integrator
from lib.model.signals import integrals, white_noise
from lib.theory.relu.hessian import hessian
from lib.theory.relu.rank_one import flat_integrator, integrator, plain_bound, residuals, sharp_bound

F64 = torch.float64
few = settings(max_examples=30, deadline=None)
decays, scales = st.floats(0.05, 1.0), st.floats(0.02, 30.0)


def codes(n=60, seed=0, **options):
    return random_codes(n, generator=torch.Generator().manual_seed(seed), **options)


def column(*values):
    return torch.tensor(values, dtype=F64)[:, None]


def test_residuals_by_hand():
    """Two neurons, W e = (2, -1): states (2, 0) and (0, 1)."""
    W = torch.tensor([[1.0, 1.0], [0.0, -1.0]], dtype=F64)
    e, d = column(1.0, 1.0), column(0.5, 3.0)
    found = residuals(W, e, d, 0.5, 4.0)  # s gamma = 2; d'h = 1, 3; W h = (2, 0), (1, -1); gamma W e = (1, -0.5)
    size = math.hypot(1, 0.5)
    expected = [abs(1 - 2) / 2, abs(3 + 2) / 2, math.hypot(2 - 1, 0.5) / size, math.hypot(1 + 1, -1 - 0.5) / size]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=F64))


@few
@given(st.integers(0, 10**6), st.integers(20, 80), decays, scales)
def test_the_integrator_meets_the_conditions_and_no_bound_is_broken(seed, n, gamma, s):
    e, d = codes(n, seed)
    found = integrator(e, d, gamma, s)
    assert residuals(found.W, e, d, gamma, s).max() < 1e-9
    assert found.sigma[..., 0, 0] >= sharp_bound(e, d, gamma, s) * (1 - 1e-12)
    assert sharp_bound(e, d, gamma, s) >= plain_bound(e, d, gamma, s) * (1 - 1e-12)
    torch.testing.assert_close(torch.linalg.svdvals(found.W)[0], found.sigma[0, 0])
    torch.testing.assert_close(found.left.norm(), torch.ones((), dtype=F64))


@pytest.mark.parametrize(("gamma", "s"), [(0.995, 1.0), (0.5, 0.3), (0.9, 7.0), (1.0, 2.0)])
def test_it_integrates_for_a_thousand_steps(gamma, s, rng):
    e, d = codes(50)
    found = integrator(e, d, gamma, s)
    x = white_noise(3, 1000, generator=rng)
    y = integrals(x, [gamma], [s])
    torch.testing.assert_close(Integrator(found.W, e, d).run(x).outputs, y, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.integrate(x[..., 0], e, d), y[..., 0], rtol=1e-9, atol=1e-9)


def test_the_bound_is_that_of_a_search_over_left_vectors():
    """The formula of erratum E13b, over unit vectors in the plane; others have smaller products with both."""
    t = torch.linspace(-math.pi / 2, math.pi / 2, 40_001, dtype=F64)[1:-1]
    for c in (-0.7, -0.1, 0.0, 0.086, 0.6):
        e, d = column(c, (1 - c * c) ** 0.5, 0.0), column(1.0, 0.0, 0.0)
        a, b = t.cos(), c * t.cos() + (1 - c * c) ** 0.5 * t.sin()
        for s in (0.05, 0.4, 0.55, 1.0, 3.0, 20.0):
            value = ((s / a - b) ** 2 / (1 - b**2)).min()
            assert sharp_bound(e, d, 0.9, s).item() == pytest.approx(1.8 * (1 + value.item()) ** 0.5, rel=1e-7)


@few
@given(st.integers(0, 10**6), scales)
def test_no_left_vector_of_any_direction_does_better(seed, s):
    """The same formula for vectors that are not in the plane."""
    rng = torch.Generator().manual_seed(seed)
    e, d = (randn(5, 1, rng=rng) for _ in range(2))
    l = randn(2000, 5, rng=rng)  # noqa: E741
    l = l / l.norm(dim=1, keepdim=True)  # noqa: E741
    a, b = (l @ d)[:, 0].abs(), (l @ e)[:, 0] * (l @ d)[:, 0].sign()
    value = ((s / a - b) ** 2 / (e.norm() ** 2 - b**2)).min()
    assert sharp_bound(e, d, 1.0, s) <= 2 * (1 + value).sqrt() * (1 + 1e-12)


@few
@given(st.floats(0.01, 0.5), st.floats(0.5, 50.0))
def test_the_bound_for_perpendicular_vectors(small, large):
    e, d = column(0.0, 1.0), column(1.0, 0.0)
    torch.testing.assert_close(sharp_bound(e, d, 0.9, small), torch.tensor(1.8, dtype=F64))
    torch.testing.assert_close(sharp_bound(e, d, 0.9, large), torch.tensor(1.8 * (large + 1 / (4 * large)), dtype=F64))


def test_bounds_depend_on_the_scale_over_the_norms():
    e, d = codes()
    for bound in (plain_bound, sharp_bound):
        torch.testing.assert_close(bound(3 * e, 2 * d, 0.9, 6 * 0.8), bound(e, d, 0.9, 0.8))


def test_the_bound_is_attained_in_large_networks():
    """The excess is of order 1/n: averaged over seeds, a hundred times as many neurons give far less of it."""
    excess = {}
    for n in (100, 10_000):
        e, d = (torch.stack(vectors) for vectors in zip(*(codes(n, seed) for seed in range(8)), strict=True))
        s = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=F64)[:, None]
        excess[n] = (integrator(e, d, 0.995, s).sigma[..., 0, 0] / sharp_bound(e, d, 0.995, s) - 1).mean()
    assert 1e-3 < excess[100] < 0.1
    assert excess[10_000] < excess[100] / 30


def test_the_bound_holds_for_integrators_of_any_rank(rng):
    """Any matrix that does what the rank-one solution does to e, u and |u| is an integrator too."""
    e, d = codes(30)
    small = integrator(e, d, 0.9, 1.0)
    W = small.W
    u = W @ e
    kept = torch.linalg.qr(torch.cat([e, u, u.abs()], dim=1)).Q
    other = randn(30, 30, rng=rng) / 30**0.5
    W = W + 0.3 * (other - other @ kept @ kept.T)
    assert torch.linalg.matrix_rank(W) == 28  # one from the solution, 27 from what avoids three directions
    assert residuals(W, e, d, 0.9, 1.0).max() < 1e-12
    assert torch.linalg.matrix_norm(W, 2) >= sharp_bound(e, d, 0.9, 1.0)


def test_many_at_once():
    e, d = (torch.stack(vectors) for vectors in zip(*(codes(20, seed) for seed in range(3)), strict=True))
    s, gamma = torch.tensor([0.3, 1.0, 4.0], dtype=F64), torch.tensor([0.9, 0.8, 0.7], dtype=F64)
    together = integrator(e, d, gamma, s)
    assert together.W.shape == (3, 20, 20)
    for k in range(3):
        alone = integrator(e[k], d[k], gamma[k].item(), s[k].item())
        torch.testing.assert_close(together.W[k], alone.W)
        torch.testing.assert_close(sharp_bound(e, d, gamma, s)[k], sharp_bound(e[k], d[k], gamma[k], s[k]))
        torch.testing.assert_close(residuals(together.W, e, d, gamma, s)[k] < 1e-12, torch.ones(4) > 0)


def test_parallel_vectors():
    """With d = e the bound is 2 gamma up to s = 1 and 2 gamma (2s - 1) beyond."""
    e, _ = codes(200)
    torch.testing.assert_close(sharp_bound(e, e, 0.9, 3.0), torch.tensor(9.0, dtype=F64))
    found = integrator(e, e, 0.9, 0.5)
    assert residuals(found.W, e, e, 0.9, 0.5).max() < 1e-9


def test_what_cannot_be_is_refused():
    e, d = codes(10)
    with pytest.raises(ValueError, match="both signs"):
        integrator(e, d.abs(), 0.9, 1.0)
    with pytest.raises(ValueError, match="span"):
        integrator(column(1.0, 2.0), column(1.0, -1.0), 0.9, 1.0)
    with pytest.raises(ValueError, match="decay"):
        integrator(e, d, 1.1, 1.0)
    with pytest.raises(ValueError, match="scale"):
        sharp_bound(e, d, 0.9, 0.0)
    with pytest.raises(ValueError, match="both be n x 1"):
        plain_bound(e[:, 0], d[:, 0], 0.9, 1.0)
    with pytest.raises(ValueError, match="W 10 x 10"):
        residuals(torch.zeros(3, 3, dtype=F64), e, d, 0.9, 1.0)
    with pytest.raises(ValueError, match="basis"):
        leading(torch.zeros(3, 3, dtype=F64), e, d)
    with pytest.raises(ValueError, match="image"):
        sign_agreement(torch.zeros(3, 3, dtype=F64), e)


def test_leading_vectors_of_a_rank_one_network():
    e, d = codes(40)
    found = integrator(e, d, 0.9, 2.0)
    seen = leading(found.W, e, d)
    torch.testing.assert_close(seen.sigma, found.sigma[0, 0])
    torch.testing.assert_close(seen.left, found.left)
    torch.testing.assert_close(seen.right, found.right)
    assert seen.ratio < 1e-14
    torch.testing.assert_close(seen.l_d, (found.left * d).sum())
    torch.testing.assert_close(seen.r_e, (found.right * e).sum())
    torch.testing.assert_close(seen.r_d, (found.right * d).sum())
    gamma = torch.tensor([0.9, -0.9], dtype=F64)
    torch.testing.assert_close(seen.sigma * seen.r_halves, gamma)
    torch.testing.assert_close(seen.sigma * seen.r_e * seen.d_halves, 2.0 * gamma)
    assert seen.positive_share == (found.left > 0).double().mean()


def test_leading_vectors_in_a_basis(rng):
    e, d = codes(12)
    basis, small = randn(12, 5, rng=rng), randn(5, 5, rng=rng)
    basis[:, 3] = 0  # as where another network needs more columns
    for a, b in zip(leading(small, e, d, basis=basis), leading(basis @ small @ basis.T, e, d), strict=True):
        torch.testing.assert_close(a, b)


def test_sign_agreement_by_hand():
    W = torch.tensor([[1.0, -2.0], [3.0, 4.0]], dtype=F64)
    assert sign_agreement(W, column(1.0, -1.0)).item() == pytest.approx((1 + 2 + 4) / 10)
    assert sign_agreement(W, column(1.0, 2.0)).item() == pytest.approx(8 / 10)


def mirrored(n, seed):
    """Encoders and decoders in which every neuron has one with the opposite weights."""
    return [torch.cat([v, -v]) / 2**0.5 for v in codes(n, seed)]


@few
@given(st.integers(0, 10**6), st.integers(2, 20), decays, scales)
def test_the_sharp_bound_is_attained_if_every_neuron_has_its_opposite(seed, n, gamma, s):
    e, d = mirrored(n, seed)
    found = integrator(e, d, gamma, s)
    torch.testing.assert_close(found.sigma[0, 0], sharp_bound(e, d, gamma, s), rtol=1e-8, atol=0)


def positive(n, overlap=0.5):
    """Codes whose decoder reads the halves of the encoder with opposite signs, and the scale d.e."""
    e, d = codes(n, overlap=overlap)
    return e, d, (d.T @ e).item()


@pytest.mark.parametrize("gamma", [0.5, 0.995, 1.0])
def test_the_flat_integrator_is_exact_and_flatter(gamma):
    """At s = d.e the Hessian of n = 8 neurons has n + 3 positive eigenvalues, not the 2n + 2 of other integrators."""
    e, d, s = positive(8)
    counts = []
    for found, scale in ((flat_integrator(e, d, gamma), s), (integrator(e, d, gamma, 1.5 * s), 1.5 * s)):
        assert residuals(found.W, e, d, gamma, scale).max() < 1e-12
        values = torch.linalg.eigvalsh(hessian(found.W, e, d, gamma, scale).reshape(64, 64))
        counts.append((values > 1e-10 * values[-1]).sum().item())
    assert counts == [8 + 3, 2 * 8 + 2]


def test_a_flat_integrator_needs_a_decoder_that_reads_both_halves():
    e, d, _ = positive(8)
    with pytest.raises(ValueError, match="positive half"):
        flat_integrator(e, -d, 0.9)
