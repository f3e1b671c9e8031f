"""The task: what is accepted, what is refused, and its targets."""

import dataclasses
import math

import equations
import pytest
import torch

from lib.model.task import Task


def test_numbers_become_one_channel_and_one_scale_serves_all():
    assert Task(0.9) == Task([0.9], [1.0], 3)
    task = Task([0.9, 0.5, 1], 2, T=7)
    assert (task.decays, task.scales, task.T, task.D) == ((0.9, 0.5, 1.0), (2.0, 2.0, 2.0), 7, 3)


def test_targets_are_the_recursion_at_any_length(rng):
    task = Task([0.9, 0.5], [1.0, 3.0], T=3)
    x = equations.randn(2, 8, 2, rng=rng)
    torch.testing.assert_close(task.targets(x), equations.targets(x, task.decays, task.scales), rtol=1e-12, atol=1e-12)


def test_a_task_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Task(0.9).T = 4  # type: ignore[misc]


@pytest.mark.parametrize("decay", [0, -0.1, 1.001, math.nan, math.inf, True, "0.9"])
def test_decays_lie_in_the_unit_interval(decay):
    with pytest.raises(ValueError, match=r"decays must lie in \(0, 1\], got"):
        Task([decay])


@pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf, True])
def test_scales_are_positive(scale):
    with pytest.raises(ValueError, match="scales must be a positive number, got"):
        Task(0.9, [scale])


@pytest.mark.parametrize("T", [0, -1, 2.0, True])
def test_T_is_a_positive_integer(T):
    with pytest.raises(ValueError, match="T must be an integer of at least 1, got"):
        Task(0.9, T=T)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="decays must name at least one channel, got none"):
        Task([])
    with pytest.raises(ValueError, match="decays and scales must be equally many, got 3 and 2"):
        Task([0.9, 0.8, 0.7], [1.0, 2.0])
