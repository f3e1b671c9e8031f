"""With a GPU: every case of `test_devices.py` runs on it, and its numbers are those of the CPU."""

import math
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from equations import PAIRS, randn, random_network
from test_devices import CASES, TASK, B, N, T, Things, tensors
from torch import Tensor

from lib import figures as plotting
from lib.analysis import representation as analysis
from lib.model import network as networks
from lib.training import loop as training
from lib.training import losses, recipes, samplers

names = pytest.mark.parametrize("name", sorted(PAIRS))
channels = pytest.mark.parametrize("D", [1, 2])
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


class Numbers(Things):
    """Things with numbers, on a real GPU."""

    def __call__(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(*shape, dtype=dtype, device=self.device)

    def labels(self) -> Tensor:
        return torch.tensor([1, 2] * (N // 2), device=self.device)


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", CASES)
def test_every_case_on_cuda(name):
    things = Numbers("cuda")
    for network in things.networks.values():
        network.to("cuda")
    assert {value.device.type for value in tensors(CASES[name](things))} <= {"cuda"}


@pytest.mark.gpu
@gpu
@names
@channels
def test_gradients_on_cuda_are_those_of_the_cpu(name, D, rng):
    network, x = random_network(N, D, name, rng), randn(B, T, D, rng=rng)
    results = []
    for device in ("cpu", "cuda"):
        network.to(device).zero_grad()
        loss = losses.BatchLoss(TASK[D])(network, x.to(device))
        loss.backward()
        results.append([loss.item(), *(p.grad.cpu() for p in network.parameters() if p.grad is not None)])
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-12)
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", sorted(samplers.SAMPLERS))
def test_training_on_cuda_is_that_of_the_cpu(name):
    runs = []
    for device in ("cpu", "cuda"):
        options: dict[str, Any] = {
            "generator": torch.Generator().manual_seed(0),
            **recipes.place(device, "float64"),
        }
        settings = training.Training(n_steps=50, lr=0.3, optimiser="adam" if name == "sobol" else "sgd")
        runs.append(recipes.train_integrator(TASK[1], settings, n=30, batch=16, sampler=name, **options))
    torch.testing.assert_close(runs[0].history.losses, runs[1].history.losses, rtol=1e-6, atol=0)
    torch.testing.assert_close(runs[0].network.W, runs[1].network.W.cpu(), rtol=1e-6, atol=1e-9)


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_checkpoints_on_cuda(optimiser, tmp_path):
    def go(n_steps, checkpoint=None):
        g = torch.Generator().manual_seed(0)
        network = networks.Integrator.random(30, 1, generator=g, radius=0.5, device="cuda")
        draw = samplers.sampler("sobol", 16, T, generator=g, device="cuda", dtype=torch.float64)
        settings = training.Training(n_steps=n_steps, lr=0.05, optimiser=optimiser)
        return training.train(network, draw, losses.BatchLoss(TASK[1]), settings, checkpoint=checkpoint).losses

    go(7, tmp_path / "file")
    torch.testing.assert_close(go(20, tmp_path / "file"), go(20), rtol=1e-9, atol=0)


@pytest.mark.gpu
@gpu
def test_analysis_and_pictures_on_cuda(rng):
    W, E, nu, y = randn(N, N, rng=rng), randn(N, 2, rng=rng), randn(B, T, N, rng=rng), randn(B, T, rng=rng)
    results = []
    for device in ("cpu", "cuda"):
        W, E, nu, y = (value.to(device) for value in (W, E, nu, y))
        fit = analysis.fit_states(nu.clamp_min(0), y)
        results.append([*analysis.current_ratios(W, E, nu), *fit.positive.tolist(), *fit.r2.tolist()])
    assert results[0] == pytest.approx(results[1], rel=1e-9)
    _, axes = plotting.new_axes(2)
    labels = analysis.populations(fit.positive, fit.negative)
    plotting.plot_population_histograms(fit.positive, fit.negative, labels, axes)
    plotting.plot_integral(y[0], y[0], axes[0], output=y[0])
    plotting.plot_currents(y, nu, axes[0], neurons={"positive": 1})
    plotting.plot_singular_values(analysis.singular_values(W), axes[1], outliers=2)
    plt.close("all")
    assert math.isfinite(results[1][0])
