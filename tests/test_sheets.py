"""Neurons on a sheet: an exact integrator of two channels, single neurons by hand, and a read-out of them."""

import pytest
import torch
from equations import randn, targets

from lib.model.activations import Linear, Sigmoid
from lib.model.ideal_population import Sheet
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.readout import frozen_states

TASK = Task([0.8, 0.6], [1.5, 0.5])


def test_an_exact_integrator_is_on_its_sheet(rng):
    """W = sum over c of gamma_c W e_c times a vector that reads z_c, and s_c gamma_c z_c is what the decoders read."""
    q, _ = torch.linalg.qr(randn(9, 4, rng=rng))
    E, F = q[:, :2], q[:, 2:]
    gamma, s = (torch.tensor(values, dtype=torch.float64) for values in (TASK.decays, TASK.scales))
    W = F @ E.T + F @ torch.diag(gamma) @ F.T  # W e_c = f_c, W f_c = gamma_c f_c
    network = Integrator(W, E, F * (s * gamma), activation=Linear())
    sheet, x = Sheet(W @ E, TASK, Linear()), randn(4, 12, 2, rng=rng)
    ours, theirs = sheet.run(x), network.run(x)
    torch.testing.assert_close(ours.currents, theirs.currents)
    torch.testing.assert_close(ours.outputs, theirs.outputs)
    torch.testing.assert_close(frozen_states(sheet, x), ours.currents)
    assert (sheet.n, sheet.D) == (9, 2)


def test_states_follow_the_integrals_alone(rng):
    images, x = randn(5, 2, rng=rng), randn(3, 7, 2, rng=rng)
    found = frozen_states(Sheet(images, TASK, Sigmoid(2.0, 0.3)), x)
    y = targets(x, TASK.decays, TASK.scales)
    z = torch.stack([y[..., c] / (TASK.decays[c] * TASK.scales[c]) for c in range(2)], dim=-1)
    nu = sum(z[..., c, None] * images[:, c] for c in range(2))
    torch.testing.assert_close(found, 1 / (1 + torch.exp(-2 * (nu - 0.3))))


def test_single_neurons_keep_their_largest_image(rng):
    sheet = Sheet(torch.tensor([[1.0, -2.0], [3.0, 0.5]]), TASK, Linear())
    assert sheet.single().images.tolist() == [[0, -2], [3, 0]]
    x = randn(1, 1, 2, rng=rng).float()
    assert sheet.single().run(x).currents[0, 0].tolist() == pytest.approx(
        [-2 * x[0, 0, 1].item(), 3 * x[0, 0, 0].item()]
    )
    assert sheet.images.tolist() == [[1, -2], [3, 0.5]]


def test_what_is_refused():
    with pytest.raises(ValueError, match="images must have shape n x 2"):
        Sheet(torch.ones(5, 3), TASK)
    with pytest.raises(ValueError, match="images must be finite"):
        Sheet(torch.full((5, 2), torch.inf), TASK)
    with pytest.raises(ValueError, match="x has 1 channels"):
        Sheet(torch.ones(5, 2), TASK).run(torch.ones(2, 3, 1))
