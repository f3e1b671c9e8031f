"""One training step of networks that no other file times: ours, as a real run makes it, and the authors' algorithm.

Networks with two or three channels, and sigmoid networks with one on sequences.

Ours are the steps of one call of `lib.training.loop.train`, from the draw of the batch to the new weights; whenever
it asks
for its next batch, the clock stops and the other takes a step from the draw of its own batch. The authors' algorithm is
written plainly: sums over channels one by one, a product with W per step, automatic differentiation, PyTorch's default
optimiser. That both compute the same loss and gradients from the same 512 sequences, or the same points, is checked in
float64, and for the way that only float32 can take, in float32.
"""

import copy
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.clock import Times
from benchmarks.contenders import Disagreement, authors_loss, rectify
from benchmarks.report import Options, Report, Table, Wish
from lib.model.activations import ReLU, Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.loop import Training, train
from lib.training.losses import BatchLoss, ProxyLoss
from lib.training.optimisers import OPTIMISERS
from lib.training.samplers import MonteCarlo, UniformPoints

DECAYS = {"relu": (0.995, 0.993, 0.992), "sigmoid": (0.8, 0.75, 0.75), "gentle": (0.8, 0.77, 0.75)}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "gentle": lambda: Sigmoid(5.0, 0.0),
}
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3}
Z_MAX = 5.0


class Case(NamedTuple):
    """What is trained, with the settings of the authors' code."""

    activation: str  # "gentle" is the sigmoid of slope 5 and threshold 0 of the cells of three channels and more
    D: int
    loss: str  # "batch" or "proxy"
    T: int  # of the batch loss
    batch: int
    optimiser: str
    lr: float

    @property
    def name(self) -> str:
        """In words."""
        loss = f"batch, T={self.T}" if self.loss == "batch" else "proxy"
        return f"{self.activation}, D={self.D}, {loss}"

    @property
    def trained(self) -> tuple[str, ...]:
        """Decoders of sigmoid networks are trained too."""
        return ("W",) if self.activation == "relu" else ("W", "decoders")

    @property
    def task(self) -> Task:
        """Its decays and length."""
        return Task(DECAYS[self.activation][: self.D], T=self.T)


CASES = [
    Case("sigmoid", 1, "batch", 3, 2048, "sgd", 0.5),
    *(Case("relu", D, "batch", T, 1024, "sgd", 0.5) for D in (2, 3) for T in (3, 10)),
    *(Case("relu", D, "proxy", 3, 4096, "adam", 5e-4) for D in (2, 3)),
    *(Case("sigmoid", D, "batch", 10, 1024, "adam", 5e-5) for D in (2, 3)),
    *(Case("sigmoid", D, "proxy", 3, 4096, "adam", 5e-4) for D in (2, 3)),
    Case("gentle", 3, "proxy", 3, 4096, "adam", 5e-4),
]


def plain_proxy(
    W: Tensor, encoders: Tensor, decoders: Tensor, z: Tensor, task: Task, f: Callable[[Tensor], Tensor]
) -> Tensor:
    """The authors' proxy loss at `P x D` points: mean squares of every output's error, and of the currents' error."""
    images = [W @ encoders[:, c] for c in range(task.D)]
    currents, wanted = z.new_zeros(len(z), len(W)), z.new_zeros(len(z), len(W))
    for c, image in enumerate(images):
        currents = currents + z[:, c, None] * image
        wanted = wanted + task.decays[c] * z[:, c, None] * image
    states = f(currents)
    loss = (states @ W.T - wanted).square().mean()
    for c in range(task.D):
        output = torch.sum(states * decoders[:, c], dim=-1)
        loss = loss + (output - task.scales[c] * task.decays[c] * z[:, c]).square().mean()
    return loss


class Plain:
    """The authors' algorithm, which advances by whole steps.

    Args:
        network: Whose weights are copied.
        case: What is trained.
    """

    def __init__(self, network: Integrator, case: Case):
        self.case, self.task = case, case.task
        self.W, self.E, self.Z = (w.detach().clone() for w in (network.W, network.encoders, network.decoders))
        self.weights = [self.W, self.Z] if "decoders" in case.trained else [self.W]
        for weights in self.weights:
            weights.requires_grad_(True)
        self.f = rectify if case.activation == "relu" else copy.deepcopy(network.activation)
        self.optimiser = OPTIMISERS[case.optimiser](self.weights, lr=case.lr)  # type: ignore[call-arg]
        self.generator = torch.Generator().manual_seed(2)

    def loss(self, drawn: Tensor) -> Tensor:
        """Scalar loss of a batch, or of points."""
        if self.case.loss == "proxy":
            return plain_proxy(self.W, self.E, self.Z, drawn, self.task, self.f)
        targets, scales = self.task.targets(drawn), drawn.new_tensor(self.task.scales)
        return authors_loss(self.W, self.E, self.Z, drawn, targets, scales, self.f)

    def draw(self) -> Tensor:
        """A batch, straight in float32."""
        case = self.case
        if case.loss == "proxy":
            return (2 * torch.rand(case.batch, case.D, generator=self.generator) - 1) * Z_MAX
        return torch.randn(case.batch, case.T, case.D, generator=self.generator)

    def step(self) -> None:
        """One training step."""
        self.optimiser.zero_grad(set_to_none=True)
        value = self.loss(self.draw())
        if not value.item() < 100:
            raise RuntimeError(f"training diverged: {self.case.name}")
        value.backward()
        self.optimiser.step()


class Turns:
    """A sampler that lets another contender take its turn before it draws, and takes the times of both.

    Args:
        draw: The sampler in whose place it stands.
        other: What is called in between.
    """

    def __init__(self, draw: Callable[[], Tensor], other: Callable[[], None]):
        self.draw, self.other = draw, other
        self.times = Times(ours=[], plain=[])
        self._begun: float | None = None

    def __call__(self) -> Tensor:
        """A batch."""
        if self._begun is not None:
            self.times["ours"].append(time.perf_counter() - self._begun)
            begun = time.perf_counter()
            self.other()
            self.times["plain"].append(time.perf_counter() - begun)
        self._begun = time.perf_counter()
        return self.draw()


def sampler(case: Case) -> Callable[[], Tensor]:
    """Ours, by Monte Carlo."""
    options: dict[str, Any] = {"generator": torch.Generator().manual_seed(2), "dtype": torch.float32}
    if case.loss == "proxy":
        return UniformPoints(case.batch, case.D, z_max=Z_MAX, **options)
    return MonteCarlo(case.batch, case.T, case.D, **options)


def objective(case: Case) -> Callable[[Integrator, Tensor], Tensor]:
    """Ours."""
    return ProxyLoss(case.task, z_max=Z_MAX) if case.loss == "proxy" else BatchLoss(case.task)


def start(case: Case, n: int, dtype: torch.dtype = torch.float32) -> Integrator:
    r"""A network on its way: $W = \frac{1}{2} \sum_c d_c e_c^\dagger$ and a little noise."""
    generator, activation = torch.Generator().manual_seed(0), ACTIVATIONS[case.activation]()
    network = Integrator.random(n, case.D, generator=generator, activation=activation, trained=case.trained)
    with torch.no_grad():
        network.W.add_(torch.randn(n, n, generator=generator, dtype=torch.float64), alpha=0.1 / n**0.5)
        network.W.addmm_(network.decoders, network.encoders.T, alpha=0.5)
    return network.to(dtype)


def agreement(case: Case, n: int, dtype: torch.dtype = torch.float64) -> float:
    """Largest relative difference of losses and gradients; Disagreement beyond `TOLERANCES`."""
    network, drawn = start(case, n, dtype), sampler(case)().to(dtype)
    plain = Plain(network, case)
    found: list[Any] = [objective(case)(network, drawn), plain.loss(drawn)]
    for loss in found:
        loss.backward()
    pairs = [(network.W, plain.W), (network.decoders, plain.Z)][: len(case.trained)]
    differences = [abs(found[0].item() / found[1].item() - 1)]
    differences += [((a.grad - b.grad).norm() / b.grad.norm()).item() for a, b in pairs]  # type: ignore[operator, union-attr]
    if not max(differences) < TOLERANCES[dtype]:
        raise Disagreement(f"{case.name}: losses or gradients differ by {max(differences):.1e}")
    return max(differences)


def measure(case: Case, n: int, rounds: int) -> Times:
    """Seconds of a step of both, after two steps to warm up."""
    network = start(case, n)
    turns = Turns(sampler(case), Plain(network, case).step)
    train(network, turns, objective(case), Training(rounds + 3, case.lr, case.optimiser))
    return Times({name: seconds[2:] for name, seconds in turns.times.items()})


def run(options: Options) -> Report:
    """Milliseconds of a step of either, and how many times longer the plain one takes."""
    n, rounds = (24, 2) if options.quick else (1000, 5)
    rows, worst, ratios = [], 0.0, {}
    for case in CASES:
        case = case._replace(batch=32) if options.quick else case
        some = case._replace(batch=min(case.batch, 512)) if case.loss == "batch" else case
        worst = max(worst, agreement(some, n))
        if case.activation == "gentle":
            agreement(case, n, torch.float32)
        times = measure(case, n, rounds)
        ratios[case] = times.ratio("plain", "ours")
        milliseconds = (1e3 * times.seconds(name) for name in ("ours", "plain"))
        rows.append((case.activation, case.D, case.loss, case.T, case.batch, *milliseconds, ratios[case]))
    wishes = [
        Wish(f"step of the authors' algorithm / ours, {case.name}", 1.4 if case.loss == "batch" else 1.0, ratio, " x")
        for case, ratio in ratios.items()
        if case.loss == "proxy" or (case.activation, case.T) == ("relu", 3)
    ]
    wishes.append(Wish("the same, smallest of all", 1.0, min(ratios.values()), " x"))
    columns = ("activation", "D", "loss", "T", "batch", "ours, ms", "authors, ms", "authors / ours")
    table = Table(f"One training step, n={n}, float32", columns, rows)
    return Report("channels", [table], wishes, [f"Losses and gradients in float64 differ by {worst:.0e} at most."])
