"""lib.relu.cells: the small space is exact, whatever neurons are singled out."""

import pytest
import torch

from lib.activations import ReLU
from lib.codes import random_codes
from lib.losses import TwoPointProxy
from lib.networks import Integrator
from lib.relu import cells
from lib.relu.cells import descend
from lib.relu.rank_one import residuals
from lib.tasks import Task
from lib.training import TrainingDiverged

F64 = torch.float64
RATES = [(0.1, 1e-3, 300), (0.6, 0.03, 300), (1.0, 0.1, 200), (2.0, 0.1, 300), (10.0, 0.1, 300)]  # s, lr, steps


def codes(n=40, seeds=2, **options):
    drawn = [random_codes(n, generator=torch.Generator().manual_seed(seed), **options) for seed in range(seeds)]
    return tuple(torch.stack(vectors) for vectors in zip(*drawn, strict=True))


def by_autograd(e, d, s, lr, n_steps):
    """The authors' loss of `lib.losses`, one network, torch's own optimiser."""
    network = Integrator(torch.zeros(len(e), len(e), dtype=F64), e, d, activation=ReLU())
    optimiser, loss = torch.optim.SGD([network.W], lr=lr), TwoPointProxy(Task(0.995, s))
    losses = []
    for _ in range(n_steps):
        optimiser.zero_grad()
        value = loss(network, torch.tensor([[1.0], [-1.0]], dtype=F64))
        losses.append(value.item())
        value.backward()
        optimiser.step()
    return network.W.detach(), torch.tensor(losses, dtype=F64)


@pytest.mark.parametrize(("s", "lr", "steps"), RATES)
def test_training_in_the_small_space_is_training(s, lr, steps):
    e, d = codes()
    found = descend(e, d, 0.995, s, lr=lr, n_steps=steps)
    assert found.omega.shape[-1] < 40
    assert found.stopped.tolist() == [steps, steps]
    for k in range(2):
        W, losses = by_autograd(e[k], d[k], s, lr, steps)
        torch.testing.assert_close(found.W[k], W, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(found.losses[:-1, k], losses, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("reach", [0.01, 0.3, 10.0])
def test_which_neurons_are_singled_out_does_not_matter(reach):
    e, d = codes()
    few, all_of_them = (descend(e, d, 0.995, 2.0, lr=0.1, n_steps=200, reach=r) for r in (reach, float(10**9)))
    torch.testing.assert_close(few.W, all_of_them.W, rtol=1e-9, atol=1e-11)


def test_a_sign_that_changes_in_a_cell_is_noticed():
    """At s = 2 some neurons change sign: without them among the single ones the attempt is given up."""
    e, d = codes()
    options = {"lr": 0.1, "n_steps": 200, "stop_loss": 0.0, "record": 1, "abort_loss": 100.0}
    assert cells._descend(e, d, 0.995, 2.0, cells._cells(e, d, 1e-6), **options) is None
    assert cells._descend(e, d, 0.995, 2.0, cells._cells(e, d, float("inf")), **options) is not None


def test_basis_is_orthonormal():
    e, d = codes()
    found = cells._cells(e, d, 0.3)
    for V in found.basis:
        used = V.norm(dim=0) > 0
        torch.testing.assert_close(V[:, used].T @ V[:, used], torch.eye(int(used.sum()), dtype=F64))
        torch.testing.assert_close(V @ (V.T @ e[0]), e[0]) if V is found.basis[0] else None


@pytest.mark.parametrize("overlap", [0.5, 1.0])
def test_vectors_that_overlap_or_coincide(overlap):
    e, d = codes(overlap=overlap)
    found = descend(e, d, 0.995, 1.0, lr=0.05, n_steps=50)
    W, _ = by_autograd(e[0], d[0], 1.0, 0.05, 50)
    torch.testing.assert_close(found.W[0], W, rtol=1e-8, atol=1e-10)


def test_networks_stop_each_at_its_own_time():
    e, d = codes(seeds=3)
    found = descend(e, d, 0.995, 1.0, lr=0.1, n_steps=2000, stop_loss=1e-6, record=7)
    assert len(set(found.stopped.tolist())) > 1
    assert found.steps[-1] == found.stopped.max() < 2000
    assert (found.losses[-1] <= 1e-6).all()
    assert residuals(found.W, e, d, 0.995, 1.0).max() < 2e-3
    alone = descend(e[:1], d[:1], 0.995, 1.0, lr=0.1, n_steps=2000, stop_loss=1e-6)
    torch.testing.assert_close(found.W[0], alone.W[0], rtol=1e-8, atol=1e-10)
    assert alone.stopped[0] == found.stopped[0]


def test_refuses():
    e, d = codes()
    with pytest.raises(TrainingDiverged, match="lower lr"):
        descend(e, d, 0.995, 1.0, lr=10.0, n_steps=100)
    with pytest.raises(ValueError, match="encoder"):
        descend(e[0], d[0], 0.995, 1.0, lr=0.1, n_steps=1)
    with pytest.raises(ValueError, match="decoder"):
        descend(e, d[:1], 0.995, 1.0, lr=0.1, n_steps=1)
    with pytest.raises(ValueError, match="decay"):
        descend(e, d, 1.5, 1.0, lr=0.1, n_steps=1)
    with pytest.raises(ValueError, match="scale"):
        descend(e, d, 0.9, -1.0, lr=0.1, n_steps=1)
