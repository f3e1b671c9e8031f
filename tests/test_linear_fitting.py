"""lib.theory.linear.fitting: fits of zero loss, judged by the loss itself."""

import pytest
import torch
from equations import randn

from lib.model.task import Task
from lib.theory.linear.fitting import fit
from lib.theory.linear.loss import averaged_loss


@pytest.mark.parametrize("task", [Task(0.9, 0.7, T=3), Task([0.9, 0.6], [1.0, 0.5], T=3)], ids=["D=1", "D=2"])
def test_fits_reach_zero_loss(task, rng):
    n, D = 6, task.D
    W, e, d = (randn(*shape, rng=rng) / n**0.5 for shape in ((n, n), (n, D), (n, D)))
    found = fit(W, e, d, task)
    assert averaged_loss(found, e, d, task, normalisation="paper") < 1e-24 < averaged_loss(W, e, d, task)
    torch.testing.assert_close(fit(found, e, d, task), found, rtol=1e-9, atol=1e-9)  # already there
    assert fit(W.float(), e, d, task).dtype == torch.float32


def test_it_stops_when_told(rng):
    W, e, d = (randn(*shape, rng=rng) for shape in ((4, 4), (4, 1), (4, 1)))
    assert averaged_loss(fit(W, e, d, Task(0.9), evaluations=1), e, d, Task(0.9)) > 1e-6


def test_refuses(rng):
    W, e = torch.eye(3, dtype=torch.float64), randn(3, 1, rng=rng)
    with pytest.raises(ValueError, match="expected W 3 x 3"):
        fit(W[:2], e, e, Task(0.9))
    with pytest.raises(ValueError, match="1 channels, got 2"):
        fit(W, e, e, Task([0.9, 0.8]))
