"""Fixtures of all tests."""

import hypothesis
import matplotlib
import pytest
import torch
from browsing import built, chromium, server, site, visit  # noqa: F401 - fixtures

hypothesis.settings.register_profile("book", derandomize=True, deadline=None)  # the same examples in every run
hypothesis.settings.load_profile("book")

matplotlib.use("Agg")  # figures are drawn in memory; not through MPLBACKEND, which notebook kernels would inherit


@pytest.fixture
def rng() -> torch.Generator:
    """Random numbers that are the same for every run of a test."""
    return torch.Generator().manual_seed(0)
