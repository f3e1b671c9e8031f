"""Networks side by side: the same numbers as one by one, in simulation, in losses and along the whole training."""

import dataclasses

import pytest
import torch
from equations import PAIRS, randn, random_network

from lib.fast.buffers import Buffers
from lib.fast.side_by_side import unroll
from lib.model.activations import Linear, ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import Training, TrainingDiverged, train, train_together
from lib.training.losses import BatchLoss, proxy_terms
from lib.training.losses_together import BatchLosses, ProxyLosses
from lib.training.samplers import MonteCarlo

S = 3
TASKS = {
    1: [Task(0.9, 1.3, T=4), Task(0.7, 0.6, T=4), Task(0.8, 2.1, T=4)],
    2: [Task([0.9, 0.6], [0.5, 1.2], T=4), Task([0.8, 0.7], [1.1, 0.9], T=4), Task([0.5, 0.95], 0.7, T=4)],
}
activations = pytest.mark.parametrize("name", sorted(PAIRS))
channels = pytest.mark.parametrize("D", [1, 2])


def close(a, b, tolerance=1e-11):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def several(D, name, rng, n=7):
    return [random_network(n, D, name, rng) for _ in range(S)]


def trainable(D, f, rng, n=7, trained=("W", "encoders", "decoders")):
    weights = [(0.7 * randn(n, n, rng=rng) / n**0.5, randn(n, D, rng=rng), randn(n, D, rng=rng)) for _ in range(S)]
    return [Integrator(*of_one, activation=f, trained=trained) for of_one in weights]


# Simulation


@activations
@channels
@pytest.mark.parametrize("start", ["null", "given"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_run_is_that_of_each(name, D, start, shared, rng):
    networks = several(D, name, rng)
    together = Integrator.stack(networks)
    x = randn(5, 4, D, rng=rng) if shared else randn(S, 5, 4, D, rng=rng)
    state = randn(S, 5, 7, rng=rng) if start == "given" else None
    ran = together.run(x, state)
    for k, network in enumerate(networks):
        alone = network.run(x if shared else x[k], None if state is None else state[k])
        for ours, theirs in zip(ran, alone, strict=True):
            close(ours[k], theirs)
        close(ran.final_state[k], alone.final_state)


@activations
@channels
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("T", [1, 2, 4])
def test_the_written_out_gradient_is_that_of_autograd(name, D, shared, T, rng):
    together = Integrator.stack(several(D, name, rng))
    x = randn(5, T, D, rng=rng) if shared else randn(S, 5, T, D, rng=rng)
    weight = randn(S, 5, T, D, rng=rng)
    ours = unroll(together, x, Buffers())
    close(ours, together(x).outputs)
    inputs = [together.W, together.encoders, together.decoders]
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((together(x).outputs * weight).sum(), inputs),
        strict=True,
    ):
        close(a, b)


def test_gradients_add_up_and_are_taken_once(rng):
    together, buffers = Integrator.stack(several(1, "relu", rng)), Buffers()
    x, z = randn(S, 5, 4, 1, rng=rng), randn(S, 5, 4, 1, rng=rng)
    both = unroll(together, x, buffers).square().sum() + unroll(together, z, buffers).square().sum()
    (ours,) = torch.autograd.grad(both, [together.W], retain_graph=True)
    plain = together(x).outputs.square().sum() + together(z).outputs.square().sum()
    close(ours, torch.autograd.grad(plain, [together.W])[0])
    with pytest.raises(RuntimeError, match="backward can be called once for each forward"):
        both.backward()
    with pytest.raises(ValueError, match="networks must be side by side: expected W of shape S x n x n"):
        unroll(together[0], x, buffers)


def test_what_cannot_be_written_out_takes_the_plain_way(rng):
    networks = trainable(1, Sigmoid(3.0, 0.2), rng, trained=("thresholds",))
    together, x = Integrator.stack(networks), randn(S, 5, 4, 1, rng=rng)
    y = unroll(together, x, Buffers())
    (ours,) = torch.autograd.grad(y.square().sum(), [together.activation.thresholds])  # type: ignore[attr-defined]
    for k, network in enumerate(networks):
        thresholds = network.activation.thresholds  # type: ignore[attr-defined]
        close(ours[k], torch.autograd.grad(network(x[k]).outputs.square().sum(), [thresholds])[0])


# Stacks


def same(a, b):
    assert a.extra_repr() == b.extra_repr()
    for (name, p), (other, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        assert name == other and torch.equal(p, q)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("f", [None, Sigmoid(5.0, 0.1)])
@pytest.mark.parametrize("trained", [("W",), ("W", "decoders")])
def test_each_generator_draws_its_own_network(f, trained):
    options = {"radius": 0.8, "encoder_norm": 1.0, "activation": f, "trained": trained, "dtype": torch.float32}
    together = Integrator.random(9, 2, generator=generators(5, 3, 8), **options)
    assert (together.S, together.n, together.D, together.W.shape) == (3, 9, 2, (3, 9, 9))
    assert together.extra_repr().startswith("S=3, n=9, D=2")
    for k, g in enumerate(generators(5, 3, 8)):
        same(together[k], Integrator.random(9, 2, generator=g, **options))
    assert len(list(together)) == 3
    single = together[1]
    assert single.S is None
    with torch.no_grad():
        single.W += 1
    assert not torch.equal(single.W, together.W[1])  # a copy


def test_thresholds_of_their_own(rng):
    """Those that differ become one per network and neuron."""
    fixed = [trainable(1, Sigmoid(5.0, at), rng)[0] for at in (0.1, 0.3)]
    both, x = Integrator.stack(fixed), randn(4, 3, 1, rng=rng)
    for k, network in enumerate(fixed):
        close(both.run(x).outputs[k], network.run(x).outputs)
        close(both[k].run(x).outputs, network.run(x).outputs)
    learnt = Integrator.stack(trainable(1, Sigmoid(5.0, 0.1), rng, trained=("thresholds",)))
    assert learnt.activation.thresholds.shape == (S, 7)  # type: ignore[attr-defined]
    assert learnt[2].trained == ("thresholds",)


def test_networks_that_do_not_go_side_by_side(rng):
    single = trainable(1, ReLU(), rng)[0]
    for other in (trainable(1, ReLU(), rng, n=8)[0], trainable(2, ReLU(), rng)[0], trainable(1, Linear(), rng)[0]):
        with pytest.raises(ValueError, match="networks side by side must be single and alike, got"):
            Integrator.stack([single, other])
    steep = [trainable(1, Sigmoid(slope), rng)[0] for slope in (5.0, 6.0)]
    for wrong in ([Integrator.stack([single])], steep, [single, trainable(1, ReLU(), rng)[0].float()], []):
        with pytest.raises(ValueError, match="networks side by side must be single and alike, got"):
            Integrator.stack(wrong)
    with pytest.raises(TypeError, match="a single network has no parts"):
        single[0]
    with pytest.raises(IndexError):
        Integrator.stack([single])[1]


def test_shapes_that_are_refused(rng):
    together = Integrator.stack(trainable(2, ReLU(), rng))
    with pytest.raises(ValueError, match=r"x must have shape 3 x B x T x 2, got \(2, 5, 4, 2\)"):
        together(torch.zeros(2, 5, 4, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"state must have shape 3 x 5 x 7, got \(5, 7\)"):
        together(torch.zeros(5, 4, 2, dtype=torch.float64), torch.zeros(5, 7, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"encoders must have shape 3 x 4 x D, got \(4, 1\)"):
        Integrator(torch.zeros(3, 4, 4), torch.ones(4, 1), torch.ones(4, 1))
    with pytest.raises(ValueError, match="S, the number of networks, must be an integer of at least 1, got 0"):
        Integrator(torch.zeros(0, 4, 4), torch.ones(0, 4, 1), torch.ones(0, 4, 1))


# Losses


@channels
@pytest.mark.parametrize("normalisation", ["paper", "authors"])
def test_batch_losses_are_those_of_each(D, normalisation, rng):
    networks, x = several(D, "relu", rng), randn(S, 5, 4, D, rng=rng)
    together = Integrator.stack(networks)
    losses = BatchLosses(TASKS[D], normalisation)(together, x)
    shared = BatchLosses(TASKS[D][0], normalisation)(together, x[0])
    for k, network in enumerate(networks):
        close(losses[k], BatchLoss(TASKS[D][k], normalisation)(network, x[k]))
        close(shared[k], BatchLoss(TASKS[D][0], normalisation)(network, x[0]))


@activations
@channels
def test_proxy_losses_are_those_of_each(name, D, rng):
    networks, z = several(D, name, rng), randn(S, 6, D, rng=rng)
    together = Integrator.stack(networks)
    losses = ProxyLosses(TASKS[D], of_outputs=[0.3, 0.7, 1.9], of_currents=0.6)(together, z)
    shared = ProxyLosses(TASKS[D][0])(together, z[0])
    for k, network in enumerate(networks):
        outputs, currents = proxy_terms(network, z[k], TASKS[D][k])
        close(losses[k], [0.3, 0.7, 1.9][k] * outputs + 0.6 * currents)
        close(shared[k], sum(proxy_terms(network, z[0], TASKS[D][0])))


def test_losses_refuse_tasks_that_do_not_fit(rng):
    with pytest.raises(ValueError, match=r"tasks must have one length T and one number D of channels, got \[\(3, 1\)"):
        BatchLosses([Task(0.9, T=3), Task(0.9, T=4)])
    with pytest.raises(ValueError, match="tasks must have one length T and one number D of channels, got none"):
        ProxyLosses([])
    together, x = Integrator.stack(several(1, "relu", rng)), randn(5, 4, 1, rng=rng)
    for wrong, networks in ((TASKS[1][:2], together), (TASKS[2], together), (TASKS[1], together[0])):
        with pytest.raises(ValueError, match="tasks must be one or S, for the channels of networks side by side, got"):
            BatchLosses(wrong)(networks, x)


# Training


def one_by_one(networks, samplers, losses, trainings):
    """Histories, and None for those that diverge."""
    histories = []
    for of_one in zip(networks, samplers, losses, trainings, strict=True):
        try:
            histories.append(train(*of_one))
        except TrainingDiverged:
            histories.append(None)
    return histories


class Loud(MonteCarlo):
    """White noise whose tenth batch is a thousand times as large."""

    calls = 0

    def draw(self):
        self.calls += 1
        return super().draw() * (1000 if self.calls == 10 else 1)


def draws(D):
    kinds = zip((MonteCarlo, Loud, MonteCarlo), generators(4, 9, 2), strict=True)
    return [kind(6, 4, D, generator=g, dtype=torch.float64) for kind, g in kinds]


@channels
@pytest.mark.parametrize("f", [ReLU(), Sigmoid(3.0, 0.2)], ids=["relu", "sigmoid"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("rates", ["one rate", "own rates"])
@pytest.mark.parametrize("read_every", [1, 7])
def test_training_is_that_of_each(D, f, optimiser, rates, read_every, rng):
    """One reaches its loss early, one diverges, one goes on to the end: weights, losses, best weights."""
    networks, losses = trainable(D, f, rng), [BatchLoss(task) for task in TASKS[D]]
    lr = {"sgd": 0.05, "adam": 0.02}[optimiser]
    factors = [1.0, 1.0, 1.0] if rates == "one rate" else [1.0, 1.4, 0.6]
    plain = Training(n_steps=40, lr=lr, optimiser=optimiser, abort_loss=1e3, read_every=read_every)
    scout = train(Integrator.stack(networks[:1])[0], draws(D)[0], losses[0], plain)
    trainings = [
        dataclasses.replace(plain, lr=factors[0] * lr, stop_loss=1.000001 * scout.losses[3:20].min().item()),
        dataclasses.replace(plain, lr=factors[1] * lr),
        dataclasses.replace(plain, lr=factors[2] * lr, snapshot_ratio=1.0),
    ]
    together = Integrator.stack(networks)
    found = train_together(together, draws(D), BatchLosses(TASKS[D]), trainings)
    expected = one_by_one(networks, draws(D), losses, trainings)
    assert [history.stopped for history in found] == ["stop_loss", "diverged", "n_steps"]
    assert expected[1] is None and len(found[1].losses) == 10 and found[1].restored
    assert len(found[0].losses) <= 20 and len(found[2].losses) == 40
    for k, (ours, alone) in enumerate(zip(found, expected, strict=True)):
        for (name, p), (_, q) in zip(networks[k].named_parameters(), together[k].named_parameters(), strict=True):
            torch.testing.assert_close(q, p, rtol=1e-8, atol=1e-8, msg=lambda m, name=name: f"{name}: {m}")
        if alone is not None:
            close(ours.losses, alone.losses, 1e-8)
            assert ours[1:] == alone[1:]


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_looking_now_and_then_changes_nothing(optimiser, rng):
    """As on a GPU, where losses are read every few steps and decisions are made there: bit for bit."""
    networks, rules = trainable(1, ReLU(), rng), {"n_steps": 40, "optimiser": optimiser, "abort_loss": 1e3}
    found = []
    for read_every in (1, 7, 100):
        training = Training(lr=0.05, snapshot_ratio=0.9, read_every=read_every, **rules)
        together = Integrator.stack(networks)
        histories = train_together(together, draws(1), BatchLosses(TASKS[1]), training)
        single = together[0]
        history = train(single, draws(1)[2], BatchLoss(TASKS[1][2]), training)
        with pytest.raises(TrainingDiverged, match="at step 9, above 1000: lower lr"):
            train(together[1], draws(1)[1], BatchLoss(TASKS[1][2]), training)
        found.append((together.W, single.W, *(h.losses for h in (*histories, history))))
    for parts in zip(*found, strict=True):
        assert torch.equal(parts[0], parts[1]) and torch.equal(parts[0], parts[2])


def test_several_are_watched_and_measured(rng):
    """S lists of losses for who watches, and of what is measured each network has its own."""
    networks, told = trainable(1, ReLU(), rng), []
    together, training = Integrator.stack(networks), Training(n_steps=9, lr=0.05)
    found = train_together(
        together,
        draws(1),
        BatchLosses(TASKS[1]),
        training,
        every=4,
        callback=lambda step, network, losses: told.append((step, network.S, [len(of_one) for of_one in losses])),
        evaluate=lambda network: network.W.norm(dim=(1, 2)).tolist(),
    )
    assert told == [(4, 3, [4, 4, 4]), (8, 3, [8, 8, 8])]
    assert [list(history.evaluations) for history in found] == [[4, 8]] * 3
    assert len({history.evaluations[8] for history in found}) == 3


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("rates", [(0.05, 0.05, 0.05), (0.05, 0.03, 0.02)])
def test_several_continue_bit_for_bit(optimiser, rates, tmp_path, rng):
    """One has diverged and one has stopped before the others are cut off."""
    networks = trainable(1, ReLU(), rng)
    kept = []
    for stops, path in ((40,), None), ((17, 40), tmp_path / "file"):
        for n_steps in stops:
            training = Training(n_steps=n_steps, lr=0.1, optimiser=optimiser, abort_loss=1e3)
            trainings = [dataclasses.replace(training, lr=rate) for rate in rates]
            samplers, together = draws(1), Integrator.stack(networks)
            samplers[1].calls = 10 * (n_steps == 40 and path is not None)
            found = train_together(together, samplers, BatchLosses(TASKS[1]), trainings, checkpoint=path)
        kept.append((together.W, *(history.losses for history in found)))
    for once, twice in zip(*kept, strict=True):
        assert torch.equal(once, twice)
    assert [history.stopped for history in found] == ["n_steps", "diverged", "n_steps"]


def test_one_sampler_for_all(rng):
    networks = trainable(1, ReLU(), rng)
    together, training = Integrator.stack(networks), Training(n_steps=5, lr=0.05)
    found = train_together(together, draws(1)[0], BatchLosses(TASKS[1][0]), training)
    for k, network in enumerate(networks):
        close(train(network, draws(1)[0], BatchLoss(TASKS[1][0]), training).losses, found[k].losses)
        close(together.W[k], network.W)


def test_what_does_not_fit_together(rng):
    together, training = Integrator.stack(trainable(1, ReLU(), rng)), Training(n_steps=5, lr=0.05)
    loss = BatchLosses(TASKS[1])
    with pytest.raises(ValueError, match="samplers must be one or 3, got 2"):
        train_together(together, draws(1)[:2], loss, training)
    for wrong in ([training] * 2, [training, training, dataclasses.replace(training, n_steps=6)]):
        with pytest.raises(ValueError, match="training must be one or 3 that agree in n_steps and optimiser, got"):
            train_together(together, draws(1), loss, wrong)
    with pytest.raises(
        ValueError, match=r"weights of networks side by side must have one axis S in front, got lengths \[2, 4\]"
    ):
        train_together(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 4)), draws(1), loss, training)
    with pytest.raises(ValueError, match=r"the loss must be 3 numbers, got shape \(\)"):
        train_together(together, draws(1), lambda networks, x: loss(networks, x).sum(), training)
    with pytest.raises(ValueError, match=r"the loss must be one number, got shape \(3,\)"):
        train(together, draws(1)[0], loss, training)
