"""One call from a task to a trained network: it is the sum of its parts, which are tested elsewhere."""

import pytest
import torch

from lib.model.network import Integrator
from lib.model.signals import white_noise
from lib.model.task import Task
from lib.training.dale import DaleLaw
from lib.training.loop import Training, train
from lib.training.losses import BatchLoss, ProxyLoss
from lib.training.recipes import place, train_integrator
from lib.training.samplers import points, sampler


def test_place_from_the_parameters_of_a_notebook():
    where = place("cpu", "float32")
    assert {**where} == {"device": where.device, "dtype": where.dtype}
    assert (where.device, where.dtype) == (torch.device("cpu"), torch.float32)
    assert place("cpu").dtype == Integrator.random(4, generator=torch.Generator()).W.dtype  # defaults fit each other
    assert place().device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("dtype", ["float16", "double", "int32"])
def test_place_refuses_a_dtype(dtype):
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got"):
        place("cpu", dtype)


def test_place_refuses_a_device_that_is_not_there():
    for device in ("nonsense", "cuda:99"):
        with pytest.raises(ValueError, match=f"device must be auto, cpu or a device of this machine, got '{device}'"):
            place(device)


def test_it_is_the_sum_of_its_parts():
    task, training = Task([0.9, 0.8], T=3), Training(n_steps=5, lr=1e-3)
    generator = torch.Generator().manual_seed(7)
    network = Integrator.random(12, 2, generator=generator, trained=("W", "decoders"), radius=0.3, encoder_norm=None)
    draw = sampler("sobol", 16, 3, 2, generator=generator, dtype=torch.float64)
    losses = train(network, draw, BatchLoss(task, "paper"), training).losses
    found = train_integrator(
        task,
        training,
        n=12,
        batch=16,
        sampler="sobol",
        generator=torch.Generator().manual_seed(7),
        trained=("W", "decoders"),
        normalisation="paper",
        radius=0.3,
        encoder_norm=None,
    )
    assert torch.equal(found.history.losses, losses)
    assert torch.equal(found.network.W, network.W)
    assert torch.equal(found.network.decoders, network.decoders)


def test_dtype_and_defaults(rng):
    options = {"n": 8, "batch": 4, "sampler": "monte-carlo", "generator": rng, **place("cpu", "float32")}
    found = train_integrator(Task(0.9), Training(n_steps=2, lr=0.1), **options)
    assert found.network.W.dtype == torch.float32
    assert [name for name, p in found.network.named_parameters() if p.requires_grad] == ["W"]
    with pytest.raises(ValueError, match="sampler must be one of"):
        train_integrator(Task(0.9), Training(n_steps=2, lr=0.1), **(options | {"sampler": "grid"}))


def test_the_proxy_loss_needs_no_sequences():
    generator = torch.Generator().manual_seed(0)
    options = {"n": 40, "batch": 1, "sampler": "sobol", "generator": generator}
    task = Task(0.9)
    network, history = train_integrator(task, Training(2000, 0.1, stop_loss=1e-12), loss="proxy", **options)
    assert history.stopped == "stop_loss"
    x = white_noise(4, 50, generator=generator)  # no sequence was seen, and it integrates
    assert torch.allclose(network.run(x).outputs, task.targets(x), rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="sampler must be a callable for a loss of one's own, got the name 'sobol'"):
        train_integrator(task, Training(1, 0.1), **options | {"loss": BatchLoss(task)})
    with pytest.raises(ValueError, match="loss must be one of"):
        train_integrator(task, Training(1, 0.1), loss="mean", **options)


def test_a_constraint_is_kept(rng):
    law, options = DaleLaw(12, 0.25), {"sampler": "sobol", "generator": rng}
    training = Training(n_steps=4, lr=0.1)
    for loss in ("batch", "proxy"):
        found = train_integrator(Task([0.9, 0.8]), training, n=12, batch=8, loss=loss, constraint=law, **options)
        assert found.network.W.abs().max() > 0
        assert law.obeyed(found.network.W)
    found = train_integrator(
        Task(0.9), Training(n_steps=0, lr=0.1), n=12, batch=8, radius=0.5, constraint=law, **options
    )
    assert found.network.W.abs().max() > 0  # a start from small weights obeys too
    assert law.obeyed(found.network.W)


def test_a_proxy_of_two_channels_is_the_sum_of_its_parts():
    task, training = Task([0.8, 0.75]), Training(n_steps=5, lr=1e-3, optimiser="adam")
    generator = torch.Generator().manual_seed(7)
    network = Integrator.random(12, 2, generator=generator)
    draw = points("sobol", 16, 2, z_max=5.1, generator=generator, dtype=torch.float64)
    losses = train(network, draw, ProxyLoss(task, z_max=5.1), training).losses
    options = {"generator": torch.Generator().manual_seed(7)}
    found = train_integrator(task, training, n=12, batch=16, sampler="sobol", loss="proxy", z_max=5.1, **options)
    assert torch.equal(found.history.losses, losses)
    assert torch.equal(found.network.W, network.W)


@pytest.mark.parametrize("loss", ["batch", "proxy"])
def test_a_training_in_two_parts_is_one_training(loss, tmp_path):
    options = {"n": 12, "batch": 8, "sampler": "monte-carlo", "loss": loss}

    def trained(n_steps, file):
        generator = torch.Generator().manual_seed(7)
        training = Training(n_steps=n_steps, lr=1e-2, optimiser="adam")
        return train_integrator(Task([0.8, 0.75]), training, generator=generator, checkpoint=file, **options)

    whole = trained(10, None)
    trained(4, tmp_path / "part")
    resumed = trained(10, tmp_path / "part")
    assert torch.equal(resumed.network.W, whole.network.W)
    assert torch.equal(resumed.history.losses, whole.history.losses)
