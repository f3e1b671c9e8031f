"""lib.theory.relu.null_start: the small space is exact, neurons that change sign included."""

import pytest
import torch
from equations import randn

from lib.theory.relu.descent import descend
from lib.theory.relu.null_start import SETS, descend_from_null
from lib.training.loop import TrainingDiverged

SCALES = torch.tensor([0.1, 0.6, 1.0, 2.0, 4.0], dtype=torch.float64)
RATES = torch.tensor([1e-3, 3e-2, 0.1, 0.1, 0.1], dtype=torch.float64)


def codes(rng, *batch, n=40):
    e, d = randn(*batch, n, 1, rng=rng), randn(*batch, n, 1, rng=rng)
    return e / e.norm(dim=-2, keepdim=True), d / d.norm(dim=-2, keepdim=True)


@pytest.mark.parametrize("stop_loss", [0.0, 1e-3])
def test_training_in_the_small_space_is_training(stop_loss, rng):
    """Several scales, through many changes of sign; once with networks that stop at different steps."""
    e, d = codes(rng, 5)
    options = {"lr": RATES, "n_steps": 400, "stop_loss": stop_loss, "record": 50}
    full = descend(torch.zeros(5, 40, 40, dtype=torch.float64), e, d, 0.995, SCALES, **options)
    less = descend_from_null(e, d, 0.995, SCALES, **options)
    torch.testing.assert_close(less.W, full.W, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(less.losses, full.losses, rtol=1e-9, atol=1e-13)
    assert torch.equal(less.steps, full.steps) and torch.equal(less.stopped, full.stopped)
    assert less.changed.sum() > 8 and less.basis.shape[-1] == SETS + less.changed.max() < 20
    assert len(set(full.stopped.tolist())) == (1 if stop_loss == 0 else 4)


def test_neurons_that_never_change_sign_stay_in_their_sets(rng):
    e, d = codes(rng)
    found = descend_from_null(e, d, 0.9, 0.05, lr=5e-4, n_steps=30)
    assert found.changed.item() == 0 and found.coordinates.shape == (SETS, SETS)
    assert torch.linalg.matrix_rank(found.W) <= SETS
    u = found.W @ e
    assert torch.equal(u.sign(), d.sign())


def test_going_on_is_training_without_a_break(rng):
    e, d = codes(rng, 5)
    whole = descend_from_null(e, d, 0.995, SCALES, lr=RATES, n_steps=300)
    half = descend_from_null(e, d, 0.995, SCALES, lr=RATES, n_steps=40)
    rest = descend_from_null(
        e, d, 0.995, SCALES, lr=RATES, n_steps=260, start=(half.coordinates, half.basis), record=100
    )
    torch.testing.assert_close(rest.W, whole.W, rtol=1e-9, atol=1e-11)
    assert torch.equal(rest.changed, whole.changed) and half.changed.sum() < whole.changed.sum()
    torch.testing.assert_close(rest.losses[-1], whole.losses[-1], rtol=1e-9, atol=1e-13)


def test_scales_times_draws(rng):
    e, d = codes(rng, 3, 1, n=10)
    found = descend_from_null(e, d, 0.9, SCALES[:2], lr=RATES[:2], n_steps=40)
    assert found.W.shape == (3, 2, 10, 10) and found.losses.shape == (41, 3, 2)
    alone = descend_from_null(e[2, 0], d[2, 0], 0.9, 0.6, lr=3e-2, n_steps=40)
    torch.testing.assert_close(found.W[2, 1], alone.W)


def test_refuses_and_gives_up(rng):
    e, d = codes(rng)
    with pytest.raises(TrainingDiverged, match="lower lr"):
        descend_from_null(e, d, 0.9, 1.0, lr=1e4, n_steps=100)
    rates = torch.tensor([0.1, 1e4], dtype=torch.float64)
    both = descend_from_null(e, d, 0.9, 1.0, lr=rates, n_steps=20, scan=True)
    torch.testing.assert_close(both.losses[:, 0], descend_from_null(e, d, 0.9, 1.0, lr=0.1, n_steps=20).losses)
    assert both.losses[-1, 1].isinf() and both.stopped.tolist()[0] == 20
    with pytest.raises(ValueError, match="no entry of zero, got 1"):
        descend_from_null(e, torch.cat([d[:-1], 0 * d[-1:]]), 0.9, 1.0, lr=0.1, n_steps=1)
    with pytest.raises(ValueError, match="decay"):
        descend_from_null(e, d, 1.9, 1.0, lr=0.1, n_steps=1)
