"""lib.analysis.images: by hand, and in a network that integrates."""

import pytest
import torch

from lib.analysis.conditions import images, lines
from lib.model.codes import random_codes
from lib.theory.relu.rank_one import integrator

F64 = torch.float64


def test_images_by_hand():
    """W e = (2, -1), s gamma = 2: L+ = (1, 0), L- = (0, 1/2)."""
    W = torch.tensor([[1.0, 1.0], [0.0, -1.0]], dtype=F64)
    found = images(W, torch.ones(2, 1, dtype=F64), 0.5, 4.0)
    assert [v[:, 0].tolist() for v in found] == [[1, 0], [0.5, -0.5], [2, -1]]
    seen = lines(found, 4.0)
    expected = [0.5, (1.5**2 + 0.5**2) ** 0.5, 2.0, (2**2 + 1**2) ** 0.5 / 5**0.5]
    torch.testing.assert_close(torch.stack(tuple(seen)), torch.tensor(expected, dtype=F64))


def test_in_an_integrator_all_three_lie_on_one_line():
    codes = [random_codes(30, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    e, d = torch.stack([c.encoders for c in codes]), torch.stack([c.decoders for c in codes])
    s = torch.tensor([0.3, 1.0, 2.0], dtype=F64)
    W = integrator(e, d, 0.9, s).W
    seen = lines(images(W, e, 0.9, s), s)
    torch.testing.assert_close(seen.slope_minus_on_plus, -torch.ones(3, dtype=F64))
    torch.testing.assert_close(seen.slope_encoder_on_plus, s)
    assert max(seen.residual_minus.max(), seen.residual_encoder.max()) < 1e-12
    assert lines(images(W, e, 0.9, 2 * s), 2 * s).residual_encoder.min() < 1e-12  # the scale cancels
    assert lines(images(1.1 * W, e, 0.9, s), s).residual_encoder.min() > 0.05


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="W 3 x 3"):
        images(torch.zeros(2, 2, dtype=F64), torch.zeros(3, 1, dtype=F64), 0.9, 1.0)
