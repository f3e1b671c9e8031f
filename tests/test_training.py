"""The training loop against steps taken by hand, PyTorch's own optimisers, and its stopping rules."""

import itertools
import math

import equations
import pytest
import torch
from equations import randn
from torch import nn

from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import History, Training, TrainingDiverged, first_divergence, train
from lib.training.losses import BatchLoss
from lib.training.samplers import sampler


class Point(nn.Module):
    """One parameter; its loss on a "batch" is that batch's number, or a parabola."""

    def __init__(self, value=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value], dtype=torch.float64))
        self.fixed = nn.Parameter(torch.tensor([5.0]), requires_grad=False)


def scripted(values):
    """A sampler and a loss that takes the given values; every step of rate 1 lowers w by exactly 1."""
    numbers = iter(values)
    return lambda: next(numbers), lambda point, value: point.w.sum() - point.w.detach().sum() + value


def parabola(point, _):
    return (point.w**2).sum()


# What a step is


def test_plain_gradient_descent_is_equation_6(rng):
    task, lr = Task([0.9, 0.6], [1.0, 0.5], T=3), 1e-3
    network = Integrator(randn(5, 5, rng=rng) / 3, randn(5, 2, rng=rng), randn(5, 2, rng=rng))
    W, E, Z = (p.detach().clone() for p in (network.W, network.encoders, network.decoders))
    x, losses = randn(6, 3, 2, rng=rng), []
    for _ in range(4):
        W.requires_grad_()
        y = equations.run(W, E, Z, x, equations.rectifier)[1]
        loss = equations.loss(y, equations.targets(x, task.decays, task.scales))
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, W)
        W = W.detach() - lr * gradient
    history = train(network, lambda: x, BatchLoss(task, "paper"), Training(n_steps=4, lr=lr))
    assert not history.restored
    torch.testing.assert_close(network.W.detach(), W, rtol=1e-11, atol=1e-11)
    assert history.losses.tolist() == pytest.approx(losses, rel=1e-11)  # each before its own update
    assert torch.equal(network.encoders, E)
    assert torch.equal(network.decoders, Z)


@pytest.mark.parametrize("name, theirs", [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_optimisers_are_those_of_torch(name, theirs, rng):
    task = Task(0.9, T=3)

    def start():
        g = torch.Generator().manual_seed(0)
        return Integrator.random(8, 1, generator=g, radius=0.5, trained=("W", "decoders"))

    ours, peer = start(), start()
    x = randn(6, 3, 1, rng=rng)
    assert not train(ours, lambda: x, BatchLoss(task), Training(n_steps=7, lr=0.01, optimiser=name)).restored
    optimiser = theirs([peer.W, peer.decoders], lr=0.01)
    for _ in range(7):
        optimiser.zero_grad()
        (peer(x).outputs - task.targets(x)).square().sum(dim=(1, 2)).mean().div(27).backward()
        optimiser.step()
    torch.testing.assert_close(ours.W, peer.W, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(ours.decoders, peer.decoders, rtol=1e-9, atol=1e-11)


def test_adam_by_hand():
    """First step: the rate, in the direction of the sign of the gradient."""
    point = Point(3.0)
    train(point, lambda: None, parabola, Training(n_steps=1, lr=0.1, optimiser="adam"))
    assert point.w.item() == pytest.approx(3.0 - 0.1 * 6 / (6 + 1e-8), rel=1e-14)


def test_training_learns_to_integrate():
    """From the null start, with ReLU: the loss falls by orders of magnitude; with torch.relu nothing moves."""
    losses = {}
    for name, f in (("ours", None), ("torch", torch.relu)):
        g = torch.Generator().manual_seed(0)
        network = Integrator.random(60, 1, generator=g, activation=f)
        draw = sampler("sobol", 64, 3, generator=g, dtype=torch.float64)
        losses[name] = train(network, draw, BatchLoss(Task(0.9, T=3)), Training(n_steps=300, lr=0.5)).losses
        assert bool(network.W.any()) == (name == "ours")
    assert losses["ours"][-1] < 1e-3 * losses["ours"][0]
    assert losses["torch"][-1] == pytest.approx(losses["torch"][0].item(), rel=0.1)


# When it stops


def test_it_stops_at_the_loss_that_was_asked():
    point, (draw, loss) = Point(), scripted([9.0, 5.0, 2.0, 1.0, 0.5])
    history = train(point, draw, loss, Training(n_steps=10, lr=1.0, stop_loss=2.0))
    assert (history.losses.tolist(), history.stopped) == ([9.0, 5.0, 2.0], "stop_loss")
    assert point.w.item() == -3  # the last update was made too


def test_it_stops_after_n_steps():
    point, (draw, loss) = Point(), scripted([9.0, 5.0, 2.0])
    history = train(point, draw, loss, Training(n_steps=3, lr=1.0))
    assert (len(history.losses), history.stopped, history.restored) == (3, "n_steps", False)
    assert history.losses.dtype == torch.float64


def test_no_steps_change_nothing():
    point = Point(3.0)
    history = train(point, lambda: None, parabola, Training(n_steps=0, lr=1.0))
    assert (history.losses.tolist(), history.stopped, history.restored) == ([], "n_steps", False)
    assert point.w.item() == 3


@pytest.mark.parametrize("bad", [101.0, math.nan, math.inf])
def test_divergence_is_an_error_and_gives_the_best_weights_back(bad):
    point, (draw, loss) = Point(), scripted([8.0, 4.0, 3.9, 50.0, bad, 1.0])
    with pytest.raises(TrainingDiverged, match=r"at step 4, above 100: lower lr \(now 1\)"):
        train(point, draw, loss, Training(n_steps=6, lr=1.0))
    assert point.w.item() == -2  # after the step whose loss was 4; 3.9 is not below 0.75 times that


def test_divergence_at_once_leaves_the_network_as_it_was():
    point, (draw, loss) = Point(1.0), scripted([math.nan])
    with pytest.raises(TrainingDiverged, match="loss is nan at step 0"):
        train(point, draw, loss, Training(n_steps=6, lr=1.0))
    assert point.w.item() == 1


def test_a_rate_that_is_too_large_diverges():
    """w <- w - 2 lr w: |1 - 2 lr| > 1 beyond lr = 1."""
    train(Point(2.0), lambda: None, parabola, Training(n_steps=50, lr=0.9))
    with pytest.raises(TrainingDiverged):
        train(Point(2.0), lambda: None, parabola, Training(n_steps=50, lr=1.2))


def test_first_divergence():
    tried = []

    def attempt(rate):
        tried.append(rate)
        train(Point(2.0), lambda: None, parabola, Training(n_steps=100, lr=rate))

    assert first_divergence([0.5, 0.9, 1.2, 5.0], attempt) == 1.2
    assert tried == [0.5, 0.9, 1.2]
    assert first_divergence([0.5, 0.9], attempt) == math.inf
    with pytest.raises(ZeroDivisionError):
        first_divergence([1.0], lambda rate: 1 / 0)  # other errors are not taken for divergence


# Snapshots


def test_the_best_snapshot_is_put_back_if_the_end_is_worse():
    point, (draw, loss) = Point(), scripted([8.0, 7.0, 2.0, 1.9, 3.0])
    history = train(point, draw, loss, Training(n_steps=5, lr=1.0))
    assert history.restored
    assert point.w.item() == -3  # after the step whose loss was 2


def test_nothing_is_put_back_if_the_end_is_best():
    point, (draw, loss) = Point(), scripted([8.0, 7.0, 2.0, 1.9])
    assert not train(point, draw, loss, Training(n_steps=4, lr=1.0)).restored
    assert point.w.item() == -4


def test_the_snapshot_ratio_decides_what_counts():
    for ratio, w in ((1.0, -2), (0.5, -1)):
        point, (draw, loss) = Point(), scripted([8.0, 7.0, 9.0])
        train(point, draw, loss, Training(n_steps=3, lr=1.0, snapshot_ratio=ratio))
        assert point.w.item() == w


# Hooks


def test_the_constraint_acts_after_every_step_and_before_the_snapshot():
    seen = []

    def floor(point):
        seen.append(point.w.item())
        point.w.clamp_(min=-1.5)

    point, (draw, loss) = Point(), scripted([8.0, 2.0, 1.0, 3.0])
    train(point, draw, loss, Training(n_steps=4, lr=1.0), constraint=floor)
    assert seen == [-1, -2, -2.5, -2.5]
    assert point.w.item() == -1.5


def test_only_what_requires_a_gradient_moves():
    point = Point(3.0)
    train(point, lambda: None, parabola, Training(n_steps=5, lr=0.1))
    assert point.fixed.item() == 5
    point.w.requires_grad_(False)
    with pytest.raises(ValueError, match="network has nothing to train: no parameter requires a gradient"):
        train(point, lambda: None, parabola, Training(n_steps=1, lr=0.1))


def test_progress_goes_to_stderr_only_if_asked(capsys):
    train(Point(1.0), lambda: None, parabola, Training(n_steps=2, lr=0.1))
    quiet = capsys.readouterr()
    train(Point(1.0), lambda: None, parabola, Training(n_steps=2, lr=0.1), progress=True)
    shown = capsys.readouterr()
    assert (quiet.out, quiet.err, shown.out) == ("", "", "")
    assert "training" in shown.err and "2/2" in shown.err


def test_a_training_is_watched_and_measured():
    told, (draw, loss) = [], scripted([9.0, 5.0, 2.0, 1.5, 1.0])
    history = train(
        Point(),
        draw,
        loss,
        Training(n_steps=5, lr=1.0),
        every=2,
        callback=lambda step, point, losses: told.append((step, point.w.item(), list(losses))),
        evaluate=lambda point: 10 * point.w.item(),
    )
    assert told == [(2, -2, [9.0, 5.0]), (4, -4, [9.0, 5.0, 2.0, 1.5])]
    assert history.evaluations == {2: -20, 4: -40}
    with pytest.raises(ValueError, match="every must be an integer of at least 1, got 0"):
        train(Point(), draw, loss, Training(n_steps=5, lr=1.0), every=0)


@pytest.mark.parametrize("read_every", [1, 3])
def test_an_interruption_keeps_the_best_network(read_every, tmp_path):
    def until(numbers):
        yield from numbers
        raise KeyboardInterrupt

    training = Training(n_steps=9, lr=1.0, checkpoint_every=2, read_every=read_every)
    for numbers, w, restored in (([8.0, 7.0, 2.0, 3.0], -3, True), ([8.0, 2.0, 1.9], -3, False), ([], 0, False)):
        point, (draw, loss) = Point(), scripted(until(numbers))
        history = train(point, draw, loss, training, checkpoint=tmp_path / f"{len(numbers)}")
        assert (history.losses.tolist(), history.stopped) == (numbers, "interrupted")
        assert (point.w.item(), history.restored) == (w, restored)
        assert (tmp_path / f"{len(numbers)}").exists() == (len(numbers) > 1)
    point, (draw, loss) = Point(), scripted([4.0, 3.0, 2.0])

    def enough(step, point, losses):
        raise KeyboardInterrupt

    history = train(point, draw, loss, training, callback=enough, every=2)
    assert (history.losses.tolist(), history.stopped, point.w.item()) == ([4.0, 3.0], "interrupted", -2)


@pytest.mark.parametrize("read_every", [2, 3, 50])
def test_losses_that_are_read_later_stop_at_the_same_step(read_every):
    for values, w in (([9.0, 2.0, 5.0, 1.0, 7.0, 8.0, 3.0, 6.0], -4), ([9.0, 2.0, 101.0, 1.0, 7.0, 8.0, 4.0, 6.0], -2)):
        point, (draw, loss) = Point(), scripted(values)
        training = Training(n_steps=8, lr=1.0, stop_loss=1.0, read_every=read_every)
        if 101.0 in values:
            with pytest.raises(TrainingDiverged, match="loss is 101 at step 2"):
                train(point, draw, loss, training)
        else:
            assert train(point, draw, loss, training).losses.tolist() == values[:4]
        assert point.w.item() == w


# History


def test_a_history_says_what_happened():
    point, (draw, loss) = Point(), scripted([8.0, 7.0, 2.0, 1.9, 3.0])
    history = train(point, draw, loss, Training(n_steps=5, lr=1.0))
    assert str(history) == (
        "5 steps, loss 8 to 3 (n_steps); the last loss is not the best: weights of step 2, loss 2, are put back"
    )
    assert (history.restored, history.best_step) == (True, 2)
    quiet = train(Point(3.0), lambda: None, parabola, Training(n_steps=2, lr=0.1))
    assert str(quiet) == "2 steps, loss 9 to 5.76 (n_steps)"
    assert str(train(Point(), lambda: None, parabola, Training(n_steps=0, lr=0.1))) == "0 steps (n_steps)"


def brute_force_steps_to(losses, loss, window):
    for end in range(window, len(losses) + 1):
        if math.prod(losses[end - window : end]) ** (1 / window) <= loss:
            return end
    return None


def test_steps_to_a_loss(rng):
    losses = (10 * 0.93 ** torch.arange(80) * (0.3 * randn(80, rng=rng)).exp()).tolist()
    history = History(torch.tensor(losses, dtype=torch.float64), "n_steps", False)
    for loss, window in itertools.product((5.0, 1.0, 0.3, 1e-9), (1, 5, 20, 100)):
        assert history.steps_to(loss, window) == brute_force_steps_to(losses, loss, window)
    with pytest.raises(ValueError, match="window must be an integer of at least 1, got 0"):
        history.steps_to(1.0, 0)
    with pytest.raises(ValueError, match="loss must be a positive number, got 0"):
        history.steps_to(0)


# Settings


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_steps": -1}, "n_steps must be an integer of at least 0, got -1"),
        ({"n_steps": 1.5}, "n_steps must be an integer of at least 0, got 1.5"),
        ({"lr": 0.0}, "lr must be a positive number, got 0.0"),
        ({"lr": math.nan}, "lr must be a positive number, got nan"),
        ({"optimiser": "rmsprop"}, r"optimiser must be one of \['adam', 'sgd'\], got 'rmsprop'"),
        ({"stop_loss": -1.0}, "stop_loss must not be negative, got -1.0"),
        ({"stop_loss": math.nan}, "stop_loss must not be negative, got nan"),
        ({"abort_loss": 0.0}, "abort_loss must be a positive number, got 0.0"),
        ({"snapshot_ratio": 0.0}, r"snapshot_ratio must lie in \(0, 1\], got 0.0"),
        ({"snapshot_ratio": 1.1}, r"snapshot_ratio must lie in \(0, 1\], got 1.1"),
        ({"read_every": 0}, "read_every must be an integer of at least 1, got 0"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an integer of at least 1, got 0"),
    ],
)
def test_settings_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Training(**({"n_steps": 1, "lr": 0.1} | changes))
