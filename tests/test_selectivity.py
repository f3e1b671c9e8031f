"""Selectivity and blocks: by hand, against numpy's histogram, and against directions drawn evenly."""

import math

import numpy as np
import pytest
import torch
from equations import randn
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.analysis.selectivity import (
    angle_counts,
    angles,
    axes_with_peak,
    axis_share,
    block_shares,
    chance_axis_share,
    halves,
    largest_share,
    off_block_share,
    plane_axis_share,
    support_groups,
)
from lib.model.codes import channel_supports

FEW = settings(deadline=None, derandomize=True, max_examples=30)


def test_angles_by_hand():
    s = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [-3.0, -0.0], [0.0, -1.0], [-1.0, -1.0]])
    assert angles(s.double()).tolist() == pytest.approx(
        [0, math.pi / 2, math.pi, math.pi, -math.pi / 2, -3 * math.pi / 4]
    )
    with pytest.raises(ValueError, match="s must have shape n x 2"):
        angles(torch.zeros(4, 3))


@FEW
@given(bins=st.integers(1, 30), n=st.integers(1, 200), seed=st.integers(0, 99))
def test_counts_are_those_of_numpy(bins, n, seed):
    theta = (2 * torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1) * math.pi
    expected = np.histogram(theta.numpy(), bins=bins, range=(-math.pi, math.pi))[0]
    assert angle_counts(theta, bins).tolist() == expected.tolist()
    several = torch.stack([theta, -theta])
    torch.testing.assert_close(angle_counts(several, bins)[0], angle_counts(theta, bins))
    assert angle_counts(several, bins).sum(dim=1).tolist() == [n, n]


def test_half_a_turn_is_counted_once():
    assert angle_counts(torch.tensor([math.pi, -math.pi]).double(), 4).sum() == 2


def counts_with_peaks(*places, bins=20):
    counts = torch.full((bins,), 50.0, dtype=torch.float64)
    for height, place in enumerate(places):
        counts[place] += 10 + height
    return counts


def test_axes_with_peak_by_hand():
    """With twenty bins every axis is a border: of bins 9 and 10, 14 and 15, 4 and 5, 19 and 0."""
    assert axes_with_peak(counts_with_peaks(9, 15, 4, 0)) == 4
    assert axes_with_peak(counts_with_peaks(10, 14, 5, 19)) == 4
    assert axes_with_peak(counts_with_peaks(8, 14, 5, 19)) == 3
    assert axes_with_peak(counts_with_peaks(2, 7, 12, 17)) == 0
    assert axes_with_peak(counts_with_peaks(9, 15, 4, 0, 2, 12)) == 2  # only the four tallest count
    assert axes_with_peak(torch.full((20,), 3.0)) == 0  # no peak at all


@FEW
@given(D=st.integers(1, 5), degrees=st.floats(1, 44), seed=st.integers(0, 99))
def test_axis_share_is_the_angle_to_the_nearest_axis(D, degrees, seed):
    s = randn(40, D, rng=torch.Generator().manual_seed(seed))
    axes = torch.eye(D, dtype=torch.float64)
    cosine = torch.stack([(s @ axes[c]).abs() / s.norm(dim=1) for c in range(D)]).amax(dim=0).clamp(max=1)
    assert axis_share(s, degrees) == pytest.approx((torch.rad2deg(cosine.acos()) <= degrees).double().mean().item())
    torch.testing.assert_close(largest_share(s), cosine.square())


@pytest.mark.parametrize("D", [1, 2, 3, 5])
def test_chance_is_what_even_directions_give(D, rng):
    draws = 40_000
    found = axis_share(randn(draws, D, rng=rng), 20.0)
    expected = chance_axis_share(D, 20.0)
    assert found == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / draws) + 1e-12)
    assert chance_axis_share(2) == pytest.approx(2 / 9)
    if D > 1:
        assert plane_axis_share(randn(draws, D, rng=rng), 10.0) == pytest.approx(10 / 45, abs=0.012)


def test_selective_and_mixed_neurons():
    s = torch.tensor([[1.0, 0.1, 0.0], [0.0, 0.0, -2.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert axis_share(s) == 0.5
    assert torch.isnan(largest_share(s)[3])
    # planes (1, 2): the first alone; (1, 3): all but the last; (2, 3): all but the last
    assert plane_axis_share(s) == pytest.approx((1 + 3 + 3) / 12)


@FEW
@given(n=st.integers(4, 30), D=st.integers(1, 4), shared=st.floats(0, 0.5))
def test_groups_and_blocks(n, D, shared):
    support = channel_supports(max(n, D), D, shared=shared)
    groups = support_groups(support)
    for i, row in enumerate(support.tolist()):
        assert groups[i] == (row.index(True) if sum(row) == 1 else D)
    W = randn(len(groups), len(groups), rng=torch.Generator().manual_seed(n))
    shares = block_shares(W, groups, D + 1)
    total = 0.0
    for a in range(D + 1):
        for b in range(D + 1):
            block = sum(
                W[i, j].item() ** 2
                for i in range(len(groups))
                for j in range(len(groups))
                if groups[i] == a and groups[j] == b
            )
            assert shares[a, b].item() == pytest.approx(block / W.square().sum().item())
            total += shares[a, b].item() if a != b else 0
    assert off_block_share(shares) == pytest.approx(total, abs=1e-12)
    assert shares.sum().item() == pytest.approx(1)


def test_blocks_of_a_block_matrix(rng):
    W = torch.block_diag(randn(3, 3, rng=rng), randn(3, 3, rng=rng))
    assert off_block_share(block_shares(W, halves(6), 2)) == 0
    assert off_block_share(block_shares(W.roll(3, dims=0), halves(6), 2)) == pytest.approx(1)
    assert halves(5).tolist() == [0, 0, 0, 1, 1]


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"degrees must lie in \(0, 45\), got 45"):
        axis_share(torch.ones(3, 2), 45)
    with pytest.raises(ValueError, match="D, the number of channels, must be an integer of at least 2"):
        plane_axis_share(torch.ones(3, 1))
    with pytest.raises(ValueError, match="support must be n x D booleans"):
        support_groups(torch.ones(3, 2))
    with pytest.raises(ValueError, match="W must have shape 4 x 4"):
        block_shares(torch.ones(3, 3), halves(4), 2)
