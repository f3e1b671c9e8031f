"""Dale's law: signs, the same training as that of the authors' V, and modes of matrices that are known."""

import pytest
import torch
from equations import randn

from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.dale import (
    DaleLaw,
    decoder_overlaps,
    decoder_projections,
    modes,
    one_sign_share,
    positive_shares,
    type_match_share,
)
from lib.training.loop import Training, train
from lib.training.losses import BatchLoss
from lib.training.samplers import sampler


def test_wrong_signs_become_zero(rng):
    network = Integrator(randn(8, 8, rng=rng), randn(8, 1, rng=rng), randn(8, 1, rng=rng))
    before, law = network.W.detach().clone(), DaleLaw(8, 0.25)
    assert law.signs.tolist() == [1] * 6 + [-1] * 2
    assert law.excitatory().tolist() == [True] * 6 + [False] * 2
    assert not law.obeyed(before)
    law(network)
    for i in range(8):
        for j in range(8):
            right = before[i, j] > 0 if j < 6 else before[i, j] < 0
            assert network.W[i, j] == (before[i, j] if right else 0)
    assert law.obeyed(network.W)
    again = network.W.detach().clone()
    law(network)
    assert torch.equal(network.W, again)
    assert not torch.signbit(network.W[network.W == 0]).any() or law.obeyed(network.W)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("D", [1, 2])
def test_it_is_the_training_of_the_authors(optimiser, D):
    """They train V >= 0 with W = V diag(signs), from V = 0, and clamp V after every step."""
    task, law, n = Task([0.9, 0.8][:D], T=3), DaleLaw(10, 0.3), 10

    def start():
        return torch.Generator().manual_seed(1)

    x = white_noise(16, 3, D, generator=start())
    network = Integrator.random(n, D, generator=start(), dtype=torch.float64)
    history = train(network, lambda: x, BatchLoss(task), Training(12, 0.01, optimiser), constraint=law)
    assert not history.restored

    reference = Integrator.random(n, D, generator=start(), dtype=torch.float64)
    V = torch.zeros(n, n, dtype=torch.float64, requires_grad=True)
    step = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimiser]([V], lr=0.01)
    for _ in range(12):
        with torch.no_grad():
            reference.W.copy_(V * law.signs)
        (gradient,) = torch.autograd.grad(BatchLoss(task)(reference, x), reference.W)
        V.grad = gradient * law.signs
        step.step()
        with torch.no_grad():
            V.clamp_(min=0)
    torch.testing.assert_close(network.W.detach(), (V * law.signs).detach())
    assert network.W.abs().max() > 0
    assert law.obeyed(network.W)


def test_training_under_the_law_lowers_the_loss(rng):
    task, law = Task([0.9, 0.8], T=3), DaleLaw(60)
    network = Integrator.random(60, 2, generator=rng, dtype=torch.float64)
    draw = sampler("sobol", 32, 3, 2, generator=rng, dtype=torch.float64)
    history = train(network, draw, BatchLoss(task), Training(400, 0.5), constraint=law)
    assert history.losses[-20:].mean() < 0.05 * history.losses[0]
    assert law.obeyed(network.W)
    x = white_noise(16, 3, 2, generator=rng)
    y = task.targets(x)
    assert (network.run(x).outputs - y).square().mean() < 0.05 * y.square().mean()


@pytest.mark.parametrize("k", [1, 3, 4])
def test_modes_rebuild_the_matrix_and_have_a_fixed_sign(k, rng):
    U, V = (torch.linalg.qr(randn(9, k, rng=rng)).Q for _ in range(2))
    sigma = torch.arange(k, 0, -1).double()
    found = modes((U * sigma) @ V.T, k)
    torch.testing.assert_close(found.values, sigma)
    torch.testing.assert_close((found.left * found.values) @ found.right.T, (U * sigma) @ V.T)
    assert (found.left.sum(dim=0) >= 0).all()


def test_shares_of_signs_by_hand():
    """Two modes on four neurons, the last one inhibitory."""
    law = DaleLaw(4, 0.25)
    l0, r0 = torch.tensor([1.0, 1.0, 1.0, 1.0]) / 2, torch.tensor([1.0, 1.0, 1.0, -1.0]) / 2
    l1, r1 = torch.tensor([3.0, -1.0, -1.0, -1.0]) / 12**0.5, torch.tensor([1.0, 1.0, -1.0, 1.0]) / 2
    W = 5 * torch.outer(l0, r0) + torch.outer(l1, r1)
    found = modes(-W, 2)
    assert one_sign_share(found) == 1
    assert type_match_share(found, law) == 0  # the sign of -W
    found = modes(W, 2)
    assert type_match_share(found, law) == 1
    shares = positive_shares(found, law)
    assert shares.shape == (2, 2, 2)
    assert shares[0].tolist() == [[1, 1], [1, 0]]
    l1_positive = found.left[:, 1] > 0  # components that sum to zero have no preferred sign
    assert shares[1, 0].tolist() == [l1_positive[:3].double().mean().item(), float(l1_positive[3])]
    assert sorted(shares[1, 1].tolist()) in ([1 / 3, 0.0][::-1], [0.0, 1 / 3], [pytest.approx(2 / 3), 1.0])


def test_overlaps_with_decoders(rng):
    left = torch.linalg.qr(randn(30, 4, rng=rng)).Q
    right = torch.linalg.qr(randn(30, 4, rng=rng)).Q
    found = modes((left * torch.tensor([4.0, 3.0, 2.0, 1.0])) @ right.T, 4)
    d = randn(30, 2, rng=rng)
    for c in range(2):
        expected = abs(sum(found.left[i, 0] * d[i, c] for i in range(30)).item()) / d[:, c].norm().item()
        assert decoder_overlaps(found, d)[c].item() == pytest.approx(expected)
    fit = d @ torch.linalg.lstsq(d, found.left).solution
    torch.testing.assert_close(decoder_projections(found, d), fit.norm(dim=0))
    inside = modes(torch.outer(d @ torch.tensor([1.0, -2.0]).double(), right[:, 0]), 1)
    assert decoder_projections(inside, d)[0].item() == pytest.approx(1)


def test_what_is_refused(rng):
    with pytest.raises(ValueError, match=r"inhibitory must be a fraction in \[0, 1\], got 25"):
        DaleLaw(8, 25)
    with pytest.raises(ValueError, match="W must have shape 8 x 8"):
        DaleLaw(8)(Integrator(randn(6, 6, rng=rng), randn(6, 1, rng=rng), randn(6, 1, rng=rng)))
    with pytest.raises(ValueError, match="expected at least 7 neurons for 7 modes, got 6"):
        modes(randn(6, 6, rng=rng), 7)
