"""lib.theory.linear.spectrum: equations 11 and 12, for eigenvalues that are different, repeated or defective."""

import pytest
import torch
from equations import randn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from integrators import FALSE, TRUE, codes, lowest_rank, orthogonal, right_until

from lib.model.task import Task
from lib.theory.linear.moments import moments, target_moments
from lib.theory.linear.spectrum import clusters, modes, polynomial_sides, realise, shortfall

SEEDS = st.integers(0, 10**6)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_weights_by_hand():
    """W = diag(1/2, 1/3), e = (1, 1), d = (2, 3): the moments are 2 / 2^q + 3 / 3^q."""
    W = torch.diag(torch.tensor([1 / 2, 1 / 3], dtype=torch.float64))
    e, d = torch.ones(2, 1, dtype=torch.float64), torch.tensor([[2.0], [3.0]], dtype=torch.float64)
    found = modes(W, e, d)
    assert sorted(zip(found.eigenvalues.real.tolist(), found.weights[:, 0, 0].real.tolist(), strict=True)) == [
        (pytest.approx(1 / 3), pytest.approx(3)),
        (pytest.approx(1 / 2), pytest.approx(2)),
    ]


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, D=st.integers(1, 3), n=st.integers(3, 8))
def test_moments_are_sums_over_modes_and_over_clusters(seed, D, n):
    rng = generator(seed)
    W, (e, d) = randn(n, n, rng=rng) / n**0.5, codes(rng, n, D)
    found, grouped = modes(W, e, d), clusters(W, e, d, resolution=1e-9)
    for q, expected in enumerate(moments(W, e, d, 4), 1):
        by_modes = torch.einsum("i,iab->ab", found.eigenvalues**q, found.weights)
        assert (by_modes - expected).abs().max() < 1e-8
        by_clusters = sum(torch.from_numpy(c.weights[0]) * c.centre**q for c in grouped)
        assert (by_clusters - expected).abs().max() < 1e-8


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, D=st.integers(1, 2), T=st.integers(1, 6))
def test_equation_11_at_zero_loss(seed, D, T):
    """Of any degree at an integrator; up to n only at a network that is right for the orders up to n."""
    rng = generator(seed)
    for network, degree in ((lowest_rank(rng, D), T), (right_until(rng, 4), 4)):
        W, e, d, task = network
        assume(torch.linalg.cond(torch.linalg.eig(W).eigenvectors) < 1e6)  # zero is an eigenvalue many times over
        left, right = polynomial_sides(randn(degree, rng=rng), modes(W, e, d), task)
        assert (left - right).abs().max() < 1e-8
    longer = torch.tensor([0.0, 0, 0, 0, 1], dtype=torch.float64)
    left, right = polynomial_sides(longer, modes(W, e, d), task)
    assert (left - right).abs().max() > 1e-4


def test_dependent_eigenvectors_are_refused():
    W, e = torch.tensor([[0.5, 1.0], [0.0, 0.5]], dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="independent eigenvectors"):
        modes(W, e, e)


@pytest.mark.parametrize("name", TRUE)
def test_integrators_fulfil_the_conditions(name, rng):
    for _ in range(10):
        network = TRUE[name](rng)
        W, e, d, task = network
        errors = moments(W, e, d, 30) - target_moments(task, 30, W)
        assert errors.abs().max() < 1e-8
        assert shortfall(*network) < 1e-6


@pytest.mark.parametrize("name", ["perturbed", "right for a while", "leaking"])
def test_others_do_not(name, rng):
    for _ in range(10):
        assert shortfall(*FALSE[name](rng)) > 1e-5


def jordan(eigenvalue, coupling, rng):
    """An integrator at 0.9 and 1 with a Jordan block beside it, whose nilpotent part shows as `coupling`."""
    task = Task(0.9, 1.0)
    core = torch.diag(torch.tensor([0.9, eigenvalue, eigenvalue, 0.0], dtype=torch.float64))
    core[1, 2] = coupling
    reach = torch.tensor([[1.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    readout = torch.tensor([[1.0], [1.0], [0.0], [0.5]], dtype=torch.float64)
    e, d = codes(rng, 4)
    d = d * 1.5 / (d.T @ e)
    return realise(core, reach, readout, e, d), e, d, task


@pytest.mark.parametrize("eigenvalue", [0.4, 0.0, 0.9])
def test_a_defective_eigenvalue_counts_though_its_weights_add_up_to_nothing(eigenvalue, rng):
    """The moments have the term coupling q eigenvalue^(q-1), which no sum of weights over equal eigenvalues shows."""
    W, e, d, task = jordan(eigenvalue, 0.3, rng)
    found = {round(c.centre.real, 6): c for c in clusters(W, e, d, anchors=(0.0, 0.9))}[eigenvalue]
    assert found.weights[0, 0, 0] == pytest.approx({0.4: 0.0, 0.0: 0.5, 0.9: 1.0}[eigenvalue], abs=1e-7)
    assert found.weights[1, 0, 0] == pytest.approx(0.3, abs=1e-7)
    assert shortfall(W, e, d, task) == pytest.approx(0.3, abs=1e-6)
    assert shortfall(*jordan(eigenvalue, 0.0, rng)) < 1e-7


def test_a_cluster_of_three(rng):
    """A Jordan block of size three, whose eigenvalues are computed a hundred-thousandth apart."""
    core = torch.diag(torch.full((3,), 0.5, dtype=torch.float64)) + torch.diag(torch.ones(2, dtype=torch.float64), 1)
    reach, readout = (torch.eye(3, dtype=torch.float64)[k, :, None] for k in (2, 0))
    e, d = codes(rng, 3)
    d = d - e * (d.T @ e) / (e.T @ e)  # readout' reach = 0
    (found,) = clusters(realise(core, reach, readout, e, d), e, d)
    assert found.size == 3 and found.centre == pytest.approx(0.5)
    assert found.weights[:, 0, 0].tolist() == pytest.approx([0, 0, 1], abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, D=st.integers(1, 2))
def test_symmetries(seed, D):
    rng = generator(seed)
    network = lowest_rank(rng, D)._replace(task=Task([0.7, 0.5][:D], 1.0))
    W, e, d, task = network
    U = orthogonal(rng, len(W))
    expected = shortfall(*network)
    assert shortfall(U @ W @ U.T, U @ e, U @ d, task) == pytest.approx(expected, rel=1e-6)
    assert shortfall(W.T, d, e, task) == pytest.approx(expected, rel=1e-6)
    assert shortfall(W, 3 * e, d / 3, task) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, D=st.integers(1, 2), n=st.integers(4, 9))
def test_realised_networks_have_the_moments_of_their_core(seed, D, n):
    rng = generator(seed)
    core, reach, readout, e = randn(n, n, rng=rng) / n**0.5, *(randn(n, D, rng=rng) for _ in range(3))
    d = randn(n, D, rng=rng)
    d = d + torch.linalg.pinv(e).T @ (reach.T @ readout - e.T @ d)
    W = realise(core, reach, readout, e, d)
    scale = torch.linalg.matrix_norm(W, 2) ** 4 * e.norm() * d.norm()
    assert (moments(W, e, d, 4) - moments(core, reach, readout, 4)).abs().max() < 1e-11 * max(scale.item(), 1)


def test_refuses(rng):
    W, (e, d) = torch.eye(3, dtype=torch.float64), codes(rng, 3)
    with pytest.raises(ValueError, match="decoders' encoders, got matrices that differ"):
        realise(W, e, d, e, 2 * d)
    with pytest.raises(ValueError, match="lower resolution"):
        shortfall(W, torch.cat([e, d], 1), torch.cat([e, d], 1), Task([0.9, 0.90001]))
    with pytest.raises(ValueError, match="1 channels, got 2"):
        shortfall(W, e, d, Task([0.9, 0.8]))
    with pytest.raises(ValueError, match="W must be finite"):
        clusters(torch.nan * W, e, d)
    with pytest.raises(ValueError, match="expected W 3 x 3"):
        modes(W[:2], e, d)
