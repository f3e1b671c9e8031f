"""lib.theory.linear.sweep: the quick way to the loss and its gradient, against the formulas and autograd."""

import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.task import Task
from lib.theory.linear.covariance import autoregressive
from lib.theory.linear.loss import averaged_loss
from lib.theory.linear.sweep import Sweep


@settings(max_examples=25, deadline=None)
@given(
    D=st.integers(1, 3),
    T=st.integers(1, 6),
    n=st.integers(1, 7),
    batch=st.sampled_from([(), (3,), (2, 2)]),
    normalisation=st.sampled_from(["paper", "authors"]),
    coloured=st.booleans(),
)
def test_loss_and_gradient_are_those_of_autograd(D, T, n, batch, normalisation, coloured):
    rng = torch.Generator().manual_seed(n + 10 * D)
    W, e, d = (randn(*batch, n, k, rng=rng) / n for k in (n, D, D))
    task = Task([0.9, 0.7, 0.5][:D], [1.0, 2.0, 0.5][:D], T)
    options = {"chi": autoregressive(T, 0.4) if coloured else None, "normalisation": normalisation}
    sweep = Sweep(W, e, d, task, **options)
    sweep.forward()
    sweep.backward()
    leaf = W.clone().requires_grad_()
    losses = averaged_loss(leaf, e, d, task, **options)
    (expected,) = torch.autograd.grad(losses.sum(), leaf)
    torch.testing.assert_close(sweep.loss(), losses.detach(), rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(sweep.slope.view(W.shape), expected, rtol=1e-11, atol=1e-13)


def test_weights_are_a_copy_and_are_changed_in_place(rng):
    W, e, d = randn(4, 4, rng=rng), randn(4, 1, rng=rng), randn(4, 1, rng=rng)
    before, task = W.clone(), Task(0.9, T=3)
    sweep = Sweep(W, e, d, task)
    sweep.W.zero_()
    sweep.forward()
    torch.testing.assert_close(sweep.loss(), averaged_loss(torch.zeros_like(W), e, d, task))
    assert torch.equal(W, before)


def test_refuses():
    ones = torch.ones(3, 1)
    with pytest.raises(ValueError, match="expected W 3 x 3"):
        Sweep(torch.eye(4), ones, ones, Task(0.9))
    with pytest.raises(ValueError, match="normalisation"):
        Sweep(torch.eye(3), ones, ones, Task(0.9), normalisation="mean")
