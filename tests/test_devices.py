"""No function of the physics modules leaves the device of its tensors; checked without a GPU.

Without one: under FakeTensorMode tensors "on CUDA" have shapes, types and a device but no numbers, and an operation
that mixes them with a CPU tensor raises. A PyTorch built for the CPU alone aborts where gradients are recorded for
CUDA, so gradients are taken on the device "meta", under the same mode. What a real GPU computes is in `test_gpu.py`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from equations import PAIRS, randn, random_network
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lib import checks, fast
from lib.analysis import conditions as images
from lib.analysis import identification as answers
from lib.analysis import perturbations as robustness
from lib.analysis import representation as analysis
from lib.analysis import selectivity
from lib.analysis import subspaces as coordinates
from lib.analysis import tuning as saturation
from lib.model import activations, signals, torch_rnn
from lib.model import ideal_population as sheets
from lib.model import network as networks
from lib.model import task as tasks
from lib.theory.linear import channels as linear_channels
from lib.theory.linear import (
    conditions,
    covariance,
    curvature,
    descent,
    krylov,
    loss,
    manifolds,
    moments,
    reduced,
    slow_manifold,
    special_cases,
    spectrum,
    sweep,
)
from lib.theory.linear import hessian as linear_hessian
from lib.theory.relu import descent as relu_descent
from lib.theory.relu import hessian, printed, rank_one, two_point
from lib.training import dale, losses, losses_together, recipes, samplers
from lib.training import loop as training
from lib.training import readout as heads

aten = torch.ops.aten


class Answers(TorchDispatchMode):
    """Answers questions about numbers that are not there: conditions hold, counts and sizes of errors are zero."""

    number = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else self.number if args[0].is_floating_point() else 0
        if func is aten.nonzero.default:
            return args[0].new_zeros(args[0].numel(), args[0].ndim, dtype=torch.int64)
        if func is aten.index.Tensor:
            return func(args[0], [self.position(i) for i in args[1]])
        return func(*args, **(kwargs or {}))

    @staticmethod
    def position(index):
        """A mask as positions, on its own device."""
        masks = index is not None and index.dtype == torch.bool
        return torch.zeros(index.numel(), dtype=torch.int64, device=index.device) if masks else index


class WithoutGuards(TorchFunctionMode):
    """Does by operators what Python's bindings refuse to do for CUDA in a PyTorch that is built for the CPU alone."""

    OPERATORS = {
        Tensor.copy_: aten.copy_.default,
        Tensor.__invert__: aten.bitwise_not.default,
        Tensor.nonzero: aten.nonzero.default,
        Tensor.__int__: aten._local_scalar_dense.default,
    }

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        func = self.OPERATORS.get(func, func)
        if func is Tensor.__getitem__:
            return self.part(*args)
        if func is Tensor.contiguous:
            return aten.clone.default(args[0], memory_format=torch.contiguous_format)
        if func is Tensor.to:
            for target in args[1:]:
                if isinstance(target, Tensor):
                    kwargs |= {"device": target.device, "dtype": target.dtype}
                elif not isinstance(target, bool):  # "non_blocking", which modules pass
                    kwargs["dtype" if isinstance(target, torch.dtype) else "device"] = target
            return aten._to_copy.default(args[0], **kwargs)
        return func(*args, **kwargs)

    @staticmethod
    def part(x: Tensor, key: Any) -> Tensor:
        """x[key] for integers, slices, None, `...` and index tensors."""
        keys = key if isinstance(key, tuple) else (key,)
        rank, dim, indices = x.ndim - sum(k is not None and k is not Ellipsis for k in keys), 0, {}
        for k in keys:
            if k is None:
                x, dim = x.unsqueeze(dim), dim + 1
            elif k is Ellipsis:
                dim += rank
            elif isinstance(k, int):
                x = x.select(dim, k)
            elif isinstance(k, slice):
                x, dim = aten.slice.Tensor(x, dim, k.start, k.stop, k.step or 1), dim + 1
            else:
                indices[dim], dim = k, dim + 1
        return aten.index.Tensor(x, [indices.get(i) for i in range(max(indices) + 1)]) if indices else x


def moved(module: Any, device: str) -> Any:
    """The module with empty parameters on another device."""
    for part in module.modules():
        for name, p in part._parameters.items():
            if p is not None:
                part._parameters[name] = nn.Parameter(
                    torch.empty(p.shape, dtype=p.dtype, device=device), requires_grad=p.requires_grad
                )
    return module


class Uncopied(activations.Sigmoid):
    """A sigmoid whose copy is itself: `deepcopy` of a tensor looks at an address, which tensors here do not have."""

    def __deepcopy__(self, memo):
        return self


def tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, nn.Module):
        yield from result.parameters()
    elif isinstance(result, tuple | list):
        for part in result:
            yield from tensors(part)


B, T, N = 4, 5, 8
TASK = {D: tasks.Task([0.9, 0.8][:D], T=T) for D in (1, 2)}


@pytest.fixture(autouse=True)
def kernels_without_numbers_are_forgotten():
    signals._kernel.cache_clear()
    yield
    signals._kernel.cache_clear()


class Things:
    """What cases are made of, on one device: made outside of the modes where numbers are needed."""

    def __init__(self, device: str):
        self.device = device
        g = torch.Generator().manual_seed(0)
        self.networks = {(name, D): random_network(N, D, name, g).float() for name in PAIRS for D in (1, 2)}
        self.three = random_network(N, 3, "relu", g).float()
        self.reader = heads.Head(torch.zeros(N))
        self.generator = g

    def move(self) -> None:
        for network in (*self.networks.values(), self.three, self.reader):
            moved(network, self.device)

    def __call__(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=self.device)

    def labels(self) -> Tensor:
        return torch.empty(N, dtype=torch.int64, device=self.device)

    def activation(self, name: str, per_neuron: bool = False) -> Any:
        if name == "sigmoid":
            return moved(activations.Sigmoid(50.0, torch.zeros(N if per_neuron else ())), self.device)
        return activations.activation(name)

    def half_lines(self) -> analysis.HalfLines:
        return analysis.HalfLines(self(N), self(N), self(N))

    def manifolds(self) -> manifolds.Manifolds:
        return manifolds.Manifolds(reduced.reduce(self(N, 1), self(N, 1)), 0.9)

    def modes(self) -> dale.Modes:
        return dale.Modes(self(3), self(N, 3), self(N, 3))

    def draws(self) -> dict[str, Any]:
        """Options of samplers; one batch at a time, because states of a generator cannot be compared here."""
        return {"generator": self.generator, "device": self.device, "dtype": torch.float32, "ahead": 1}

    def sampler(self, name: str) -> samplers.MonteCarlo:
        return samplers.sampler(name, B, T, 2, **self.draws())

    def task_results(self, run: Callable[[Any, int], Any]) -> list[Any]:
        """A function of every network."""
        return [run(network, D) for (_, D), network in self.networks.items()]


def methods(name: str) -> dict[str, Callable[[Things], Any]]:
    """Cases of an activation."""

    def each(run: Callable[[Any, Things], Any]) -> Callable[[Things], Any]:
        return lambda t: [run(t.activation(name, per_neuron), t) for per_neuron in (False, True)]

    def in_place(f: Any, t: Things) -> Tensor:
        f.into_derivative(values := t(B, N), t(B, N))
        return values

    def states(f: Any, t: Things) -> Tensor:
        f.into(t(B, N), values := t(B, N))
        return values

    cases = {"forward": lambda f, t: f(t(B, N)), "derivative": lambda f, t: f.derivative(t(B, N))}
    cases |= {"into": states, "into_derivative": in_place}
    return {f"activations.{type(activations.activation(name)).__name__}.{key}": each(run) for key, run in cases.items()}


def swept(t: Things) -> sweep.Sweep:
    """A pass forward and back through two networks."""
    found = sweep.Sweep(t(2, N, N), t(N, 2), t(N, 2), TASK[2], chi=t(T, T))
    found.forward()
    found.backward()
    return found


CASES: dict[str, Callable[[Things], Any]] = {
    "answers.fit_pulses": lambda t: answers.fit_pulses(t(2, T)),
    "answers.share_fitted": lambda t: answers.share_fitted(t(2, T), t(2, T)),
    "torch_rnn.Shifted": lambda t: torch_rnn.Shifted(activations.ReLU(), t(N)),
    "torch_rnn.Shifted.forward": lambda t: torch_rnn.Shifted(activations.ReLU(), t(N))(t(B, N)),
    "checks.tensor": lambda t: checks.tensor("x", t(B, N), (B, N)),
    "checks.finite": lambda t: checks.finite("x", t(B, N)),
    **methods("linear"),
    **methods("relu"),
    **methods("sigmoid"),
    **methods("tanh"),
    **methods("softplus"),
    "signals.integrals": lambda t: signals.integrals(t(B, T, 2), [0.9, 0.8], [1.0, 2.0]),
    "samplers.sampler": lambda t: t.sampler("monte-carlo")(),
    "samplers.MonteCarlo.__call__": lambda t: t.sampler("monte-carlo")(),
    "tasks.Task.targets": lambda t: [TASK[D].targets(t(B, T, D)) for D in (1, 2)],
    "networks.Integrator": lambda t: networks.Integrator(
        t(N, N), t(N, 2), t(N, 2), activation=Uncopied(), trained=("W", "thresholds")
    ),
    "networks.Integrator.random": lambda t: networks.Integrator.random(
        N, 2, generator=t.generator, device=t.device, dtype=torch.float32, activation=Uncopied()
    ),
    "networks.Integrator.forward": lambda t: [
        t.task_results(lambda f, D: f(t(B, T, D))),
        t.task_results(lambda f, D: f(t(B, T, D), t(B, N))),
    ],
    "networks.Integrator.run": lambda t: t.task_results(lambda f, D: f.run(t(B, T, D))),
    "networks.Integrator.states": lambda t: t.task_results(lambda f, D: f.states(t(B, T, N))),
    "fast.Buffers.take": lambda t: fast.Buffers().take(t(2), a=(B, N))["a"],
    "fast.outputs": lambda t: t.task_results(lambda f, D: fast.outputs(f, t(B, T, D))),
    "losses.batch_loss": lambda t: [
        losses.batch_loss(t(B, T, 2), t(B, T, 2), weights) for weights in (None, losses.channel_weights(TASK[2]))
    ],
    "linear.moments.moments": lambda t: moments.moments(t(N, N), t(N, 2), t(N, 2), T),
    "linear.moments.krylov_vectors": lambda t: moments.krylov_vectors(t(B, N, N), t(N, 2), T),
    "linear.moments.target_moments": lambda t: moments.target_moments(TASK[2], T, t(N)),
    "linear.covariance.covariance": lambda t: covariance.covariance(t(T)),
    "linear.loss.averaged_loss": lambda t: loss.averaged_loss(t(N, N), t(N, 2), t(N, 2), TASK[2]),
    "linear.loss.gradient": lambda t: loss.gradient(t(N, N), t(N, 2), t(N, 2), TASK[2], chi=t(T, T)),
    "linear.loss.moment_errors": lambda t: loss.moment_errors(t(N, N), t(N, 2), t(N, 2), TASK[2]),
    "linear.loss.weigh": lambda t: loss.weigh(t(T, 2, 2), TASK[2]),
    "linear.loss.weighted_errors": lambda t: loss.weighted_errors(
        t(B, T, 2, 2), TASK[2], chi=None, normalisation="authors"
    ),
    "linear.loss.contract": lambda t: loss.contract(t(T, N, 2), t(T, 2, 2)),
    "linear.loss.rows": lambda t: loss.rows(t(T, N, 2)),
    "linear.hessian.hessian": lambda t: linear_hessian.hessian(t(N, N), t(N, 2), t(N, 2), TASK[2]),
    "linear.hessian.gauss_newton": lambda t: linear_hessian.gauss_newton(t(N, N), t(N, 2), t(N, 2), TASK[2]),
    "linear.hessian.hessian_product": lambda t: linear_hessian.hessian_product(
        t(N, N), t(N, 2), t(N, 2), t(B, N, N), TASK[2]
    ),
    "linear.hessian.derivatives": lambda t: linear_hessian.derivatives(t(N, N), t(N, 2), t(N, 2), T),
    "linear.hessian.curvatures": lambda t: linear_hessian.curvatures(t(N, N), t(N, 2), t(N, 2), TASK[2]),
    "linear.hessian.eigenvalues": lambda t: linear_hessian.eigenvalues(t(N, N, N, N)),
    "linear.spectrum.modes": lambda t: spectrum.modes(t(N, N), t(N, 2), t(N, 2)),
    "linear.spectrum.polynomial_sides": lambda t: spectrum.polynomial_sides(
        t(T), spectrum.modes(t(N, N), t(N, 2), t(N, 2)), TASK[2]
    ),
    "linear.spectrum.realise": lambda t: spectrum.realise(t(N, N), *(t(N, 2) for _ in range(4))),
    "linear.conditions.examine": lambda t: [
        conditions.examine(t(N, N), t(N, 2), t(N, 2), task) for task in (None, TASK[2])
    ],
    "linear.reduced.reduce": lambda t: reduced.reduce(t(N, 2), t(N, 2)),
    "linear.reduced.Reduced.lift": lambda t: reduced.reduce(t(N, 1), t(N, 1)).lift(t(2, 2)),
    "linear.reduced.Reduced.project": lambda t: reduced.reduce(t(N, 1), t(N, 1)).project(t(N, N)),
    "linear.reduced.invariants": lambda t: reduced.invariants(t(2, 2), t(2, 1), t(2, 1)),
    "linear.reduced.Invariants.moments": lambda t: reduced.invariants(t(2, 2), t(2, 1), t(2, 1)).moments(T),
    "linear.sweep.Sweep.forward": lambda t: swept(t).G,
    "linear.sweep.Sweep.loss": lambda t: swept(t).loss(),
    "linear.sweep.Sweep.backward": lambda t: swept(t).slope,
    "linear.slow_manifold.coordinates": lambda t: slow_manifold.coordinates(t(N, N), t(N, 1), t(N, 1), 0.9),
    "linear.slow_manifold.reflected": lambda t: slow_manifold.reflected(t(N, N), t(N, 1), t(N, 1)),
    "linear.slow_manifold.stiffness": lambda t: slow_manifold.stiffness(t(B), t(N, 1), t(N, 1), TASK[1], chi=t(T, T)),
    "linear.descent.descend": lambda t: descent.descend(t(N, N), t(N, 1), t(N, 1), TASK[1], lr=0.1, n_steps=2).W,
    "linear.manifolds.printed_constants": lambda t: manifolds.printed_constants(t(B), t(B), t(B)),
    "linear.manifolds.Manifolds.matrix": lambda t: t.manifolds().matrix(0.3, t(B), 0.2),
    "linear.manifolds.Manifolds.through": lambda t: t.manifolds().through(t(B), t(2), t(B, 2)),
    "linear.manifolds.Manifolds.sheet": lambda t: t.manifolds().sheet(t(B), 0.2),
    "linear.manifolds.Manifolds.m_alpha": lambda t: t.manifolds().m_alpha(0.3, t(B)),
    "linear.manifolds.Manifolds.m_beta": lambda t: t.manifolds().m_beta(0.3, t(B)),
    "linear.manifolds.Manifolds.crossing": lambda t: t.manifolds().crossing(t(B)),
    "linear.manifolds.Manifolds.first_weight": lambda t: t.manifolds().first_weight(0.3, t(B)),
    "linear.manifolds.Manifolds.beta": lambda t: t.manifolds().beta(0.3, t(B)),
    "linear.manifolds.Manifolds.iso_scale": lambda t: t.manifolds().iso_scale(0.3, t(B)),
    "linear.manifolds.Manifolds.along": lambda t: t.manifolds().along(t(B), t(2)),
    "linear.manifolds.Manifolds.left": lambda t: t.manifolds().left(0.3, t(B, 2)),
    "linear.manifolds.Manifolds.symmetric": lambda t: t.manifolds().symmetric(0.3 * t(B)),
    "linear.curvature.best_condition": lambda t: curvature.best_condition(t.manifolds(), t(B), T),
    "linear.curvature.hessian": lambda t: curvature.hessian(t(B, N, N), t(N, 1), t(N, 1), T),
    "linear.curvature.spectrum": lambda t: curvature.spectrum(t(B, 2, 2), t(2, 1), t(2, 1), T),
    "linear.curvature.null_eigenvalues": lambda t: curvature.null_eigenvalues(t(B, 4)),
    "linear.curvature.rank_one_spectrum": lambda t: curvature.rank_one_spectrum(t.manifolds(), 0.3, t(B, 2), T),
    "linear.krylov.words": lambda t: krylov.words(t(N, N), t(N, 1), t(N, 1), 1),
    "linear.special_cases.single_step_weight": lambda t: special_cases.single_step_weight(
        t(N, 1), t(N, 1), tasks.Task(0.9, T=1), lr=0.1, steps=t(T)
    ),
    "linear.special_cases.single_step_limit": lambda t: special_cases.single_step_limit(t(N, 1), t(N, 1)),
    "linear.special_cases.single_step_moments": lambda t: special_cases.single_step_moments(
        t(N, 1), t(N, 1), tasks.Task(0.9, T=1), T
    ),
    "linear.special_cases.realised": lambda t: special_cases.realised(t(N, 1), t(N, 1), tasks.Task(0.9, T=1)),
    "linear.channels.integrator": lambda t: linear_channels.integrator(t(B, N, 2), t(B, N, 2), TASK[2]),
    "linear.channels.eigenmodes": lambda t: linear_channels.eigenmodes(t(B, N, N), 2),
    "linear.channels.cross_talk": lambda t: linear_channels.cross_talk(t(N, 2), t(N, 2), t(N, 2), t(N, 2)),
    "relu.two_point.loss": lambda t: two_point.loss(t(B, N, N), t(N, 1), t(N, 1), 0.9, t(B)),
    "relu.two_point.gradient": lambda t: two_point.gradient(t(N, N), t(N, 1), t(N, 1), 0.9, 1.0),
    "relu.two_point.terms": lambda t: two_point.terms(t(N, N), t(N, 1), t(N, 1), 0.9, 1.0),
    "relu.two_point.terms_of": lambda t: two_point.terms_of(t(N, N), t(N, 1), t(N, 1), t(1, 1), t(1, 1), t(1, 1)),
    "relu.two_point.factors": lambda t: two_point.factors(
        t(N, N), t(N, 1), t(N, 1), t(1, 1), two_point.terms(t(N, N), t(N, 1), t(N, 1), 0.9, 1.0)
    ),
    "relu.two_point.parameters": lambda t: two_point.parameters(t(N, N), t(N, 1), t(N, 1), 0.9, t(B), "paper"),
    "relu.two_point.thin_matmul": lambda t: [
        two_point.thin_matmul(t(N, N), t(N, 2)),
        two_point.thin_matmul(t(B, 300, 300), t(B, 300, 2)),
    ],
    "relu.descent.networks": lambda t: relu_descent.networks(t(N, 1), (B, 2)),
    "relu.hessian.hessian": lambda t: hessian.hessian(t(B, N, N), t(N, 1), t(N, 1), 0.9, t(B)),
    "relu.printed.mismatch": lambda t: torch.tensor(printed.mismatch(t(N), t(N)), device=t.device),
    "relu.printed.hessian": lambda t: printed.hessian(t(N, N), t(N, 1), t(N, 1), 0.9),
    "relu.printed.released_hessian": lambda t: printed.released_hessian(t(N, N), t(N, 1), 0.9),
    "relu.printed.gradient_of_currents": lambda t: printed.gradient_of_currents(t(N, N), t(N, 1), 0.9, 1.0, -1.0),
    "relu.descent.decay_time": lambda t: relu_descent.decay_time(t(B, 2), t(B), highest=0.1, lowest=1e-3),
    "relu.hessian.spectrum": lambda t: hessian.spectrum(t(N, N), t(N, 1), t(N, 1), 0.9, 1.0, basis=t(N, 3)),
    "relu.two_point.signed": lambda t: two_point.signed(t(N, 1)),
    "relu.descent.descend": lambda t: (
        relu_descent.descend(t(B, N, N), t(N, 1), t(N, 1), 0.9, t(B), lr=0.1, n_steps=2, stop_loss=-1.0).W
    ),
    "relu.rank_one.residuals": lambda t: rank_one.residuals(t(B, N, N), t(N, 1), t(N, 1), 0.9, t(B)),
    "relu.rank_one.checked": lambda t: rank_one.checked(t(N, 1), t(N, 1), 0.9, t(B), t(N, N)),
    "relu.rank_one.plain_bound": lambda t: rank_one.plain_bound(t(B, N, 1), t(N, 1), 0.9, 1.0),
    "relu.rank_one.sharp_bound": lambda t: rank_one.sharp_bound(t(B, N, 1), t(N, 1), t(B), 1.0),
    "relu.rank_one.integrator": lambda t: rank_one.integrator(t(B, N, 1), t(N, 1), 0.9, t(B)).W,
    "relu.rank_one.flat_integrator": lambda t: rank_one.flat_integrator(*[t(N, 1)] * 2, 0.9).W,
    "relu.rank_one.RankOne.integrate": lambda t: rank_one.RankOne(t(1, 1), t(N, 1), t(N, 1)).integrate(
        t(B, T), t(N, 1), t(N, 1)
    ),
    "relu.coordinates.leading": lambda t: list(coordinates.leading(t(B, B), t(N, 1), t(N, 1), basis=t(N, B))),
    "relu.coordinates.sign_agreement": lambda t: coordinates.sign_agreement(t(N, N), t(N, 1)),
    "relu.images.images": lambda t: images.images(t(N, N), t(N, 1), 0.9, t(B)),
    "relu.images.lines": lambda t: images.lines(images.Images(t(B, N, 1), t(B, N, 1), t(B, N, 1)), t(B)),
    "losses.proxy_loss": lambda t: t.task_results(lambda f, D: losses.proxy_loss(f, t(B, D), TASK[D])),
    "losses.ProxyLoss.two_point": lambda t: losses.ProxyLoss.two_point(TASK[1])(t.networks["relu", 1], t(2, 1)),
    "samplers.points": lambda t: samplers.points("strata", B, **t.draws())(),
    "samplers.UniformPoints.__call__": lambda t: samplers.UniformPoints(B, **t.draws())(),
    "losses.ProxyLoss.__call__": lambda t: t.task_results(
        lambda f, D: losses.ProxyLoss(TASK[D], fast=False)(f, t(B, D))
    ),
    "losses.ProxyLoss.terms": lambda t: t.task_results(lambda f, D: list(losses.ProxyLoss(TASK[D]).terms(f, t(B, D)))),
    "saturation.residuals": lambda t: list(saturation.residuals(t.networks["sigmoid", 1], TASK[1], t(B))),
    "saturation.examples": lambda t: list(saturation.example_neurons(t.networks["sigmoid", 1], TASK[1], 4.0)),
    "saturation.largest_output": lambda t: saturation.largest_output(t.networks["sigmoid", 2]),
    "saturation.mean_activity": lambda t: saturation.mean_activity(t(B, T, N), t(B, T), t(T)),
    "losses.BatchLoss.__call__": lambda t: t.task_results(lambda f, D: losses.BatchLoss(TASK[D])(f, t(B, T, D))),
    "losses.proxy_terms": lambda t: t.task_results(lambda f, D: list(losses.proxy_terms(f, t(B, D), TASK[D]))),
    "coordinates.leading_vectors": lambda t: coordinates.leading_vectors(t(N, N), 2),
    "coordinates.coordinates": lambda t: coordinates.coordinates(t(B, T, N), t(N, 2)),
    "coordinates.linear_map": lambda t: list(coordinates.linear_map(t(B, T, 3), t(B, T, 2))),
    "coordinates.selectivity": lambda t: coordinates.selectivity(t(N, 2), t(2, 3)),
    "coordinates.compare_states": lambda t: list(coordinates.compare_states(t(B, T, N), t(B, T, N))),
    "coordinates.explained": lambda t: coordinates.explained(t(B, N), t(B, N)),
    "saturation.fit_logistic": lambda t: list(saturation.fit_logistic(t(B, T, N), t(B, T, 2), steps=2)),
    "selectivity.angles": lambda t: selectivity.angles(t(N, 2)),
    "selectivity.angle_counts": lambda t: selectivity.angle_counts(t(3, N)),
    "selectivity.largest_share": lambda t: selectivity.largest_share(t(N, 3)),
    "selectivity.axis_share": lambda t: selectivity.axis_share(t(N, 3)),
    "selectivity.plane_axis_share": lambda t: selectivity.plane_axis_share(t(N, 3)),
    "selectivity.axes_with_peak": lambda t: selectivity.axes_with_peak(t(20)),
    "selectivity.support_groups": lambda t: selectivity.support_groups(t(N, 2, dtype=torch.bool)),
    "selectivity.block_shares": lambda t: selectivity.block_shares(t(N, N), t.labels(), 3),
    "selectivity.off_block_share": lambda t: selectivity.off_block_share(t(3, 3)),
    "dale.DaleLaw.clamped": lambda t: dale.DaleLaw(N).clamped(t(N, N)),
    "dale.DaleLaw.__call__": lambda t: dale.DaleLaw(N)(t.networks["relu", 2]),
    "dale.DaleLaw.obeyed": lambda t: dale.DaleLaw(N).obeyed(t(N, N)),
    "dale.modes": lambda t: list(dale.modes(t(N, N), 3)),
    "dale.one_sign_share": lambda t: dale.one_sign_share(t.modes()),
    "dale.type_match_share": lambda t: dale.type_match_share(t.modes(), dale.DaleLaw(N)),
    "dale.positive_shares": lambda t: dale.positive_shares(t.modes(), dale.DaleLaw(N)),
    "dale.decoder_overlaps": lambda t: dale.decoder_overlaps(t.modes(), t(N, 2)),
    "dale.decoder_projections": lambda t: dale.decoder_projections(t.modes(), t(N, 2)),
    "heads.Head.forward": lambda t: t.reader(t(B, T, N)),
    "heads.Head.random": lambda t: heads.Head.random(N, generator=t.generator, device=t.device).weights,
    "heads.context_targets": lambda t: heads.context_targets(t(B, T, 3)),
    "heads.relevant": lambda t: heads.cued_integral(t(B, T, 3)),
    "heads.additive_limit": lambda t: heads.additive_limit(t(B, T, 3)),
    "sheets.Sheet": lambda t: sheets.Sheet(t(N, 2), TASK[2]).images,
    "sheets.Sheet.single": lambda t: sheets.Sheet(t(N, 2), TASK[2]).single().images,
    "sheets.Sheet.run": lambda t: list(sheets.Sheet(t(N, 2), TASK[2]).run(t(B, T, 2))),
    "sheets.Sheet.states": lambda t: sheets.Sheet(t(N, 2), TASK[2], t.activation("sigmoid")).states(t(B, T, N)),
    "heads.accuracy": lambda t: heads.accuracy(t(B, T), t(B, T, 3)),
    "heads.frozen_states": lambda t: t.task_results(lambda f, D: heads.frozen_states(f, t(B, T, D))),
    "heads.ContextLoss.__call__": lambda t: heads.ContextLoss(t.three, tasks.Task([0.9] * 3))(t.reader, t(B, T, 3)),
    "analysis.singular_values": lambda t: analysis.singular_values(t(N, N)),
    "analysis.relative_error": lambda t: analysis.relative_error(t(B, T, 2), t(B, T, 2)),
    "analysis.fit_currents": lambda t: analysis.fit_currents(t(B, T, N), t(B, T)),
    "analysis.fit_states": lambda t: analysis.fit_states(t(B, T, N), t(B, T)),
    "analysis.populations": lambda t: analysis.populations(t(N), t(N)),
    "analysis.describe_populations": lambda t: analysis.describe_populations(t.half_lines(), t(N)),
    "analysis.population_weights": lambda t: analysis.population_weights(t(N, N), t.labels()),
    "analysis.handovers": lambda t: analysis.active_set_overlap(t(B, T, N), t(B, T)),
    "analysis.cosines": lambda t: analysis.cosines(t(B, T, N), t(N)),
    "analysis.current_ratios": lambda t: analysis.current_ratios(t(N, N), t(N, 2), t(B, T, N)),
    "robustness.run_noisy": lambda t: list(robustness.run_noisy(t.networks["relu", 2], t(B, T, 2), t(B, T, N))),
    "robustness.silenced": lambda t: robustness.lesioned(t.networks["relu", 2], t(N, dtype=torch.bool)).W,
    "robustness.rounded": lambda t: robustness.quantized(t.networks["relu", 2], 4).W,
    "robustness.rounding_changes": lambda t: robustness.quantization_changes(t.networks["relu", 2], t(B, T, 2), [3, 4]),
    "robustness.change": lambda t: robustness.change(t(B, T, 2), t(B, T, 2)),
    "torch_rnn.to_torch": lambda t: list(torch_rnn.to_torch(t.networks["relu", 2])),
    "torch_rnn.from_torch": lambda t: torch_rnn.from_torch(*torch_rnn.to_torch(t.networks["tanh", 2])),
}


# nn.RNN draws its first weights with CUDA's own generator, which a PyTorch for the CPU does not have
ON_CUDA = [name for name in CASES if not name.startswith("torch_rnn.")]


@pytest.mark.parametrize("device, name", [("cuda", name) for name in ON_CUDA] + [("meta", name) for name in CASES])
def test_on_a_device_without_numbers(device, name):
    things = Things(device)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=device == "meta"), Answers(), WithoutGuards():
        things.move()
        assert {value.device.type for value in tensors(CASES[name](things))} <= {device}


def test_a_stray_cpu_tensor_would_be_noticed():
    """The check of the check."""
    for device in ("cuda", "meta"):
        with torch.no_grad(), FakeTensorMode(), Answers(), WithoutGuards():
            refuses_strays(torch.empty(3, device=device))


def refuses_strays(value):
    for stray in (lambda: value + torch.ones(3), lambda: torch.outer(value, torch.arange(3.0))):
        with pytest.raises(RuntimeError, match="devices"):
            stray()


def test_indexing_without_guards(rng):
    x, long, mask = randn(3, 4, 5, rng=rng), torch.tensor([2, 0]), torch.tensor([True, False, True])
    for key in (
        1,
        -1,
        (slice(1, 3), 0),
        (..., None, 2),
        (slice(None), None),
        (Ellipsis, 0),
        long,
        mask,
        (slice(None), long),
    ):
        assert torch.equal(WithoutGuards.part(x, key), x[key])


# Gradients on meta

names = pytest.mark.parametrize("name", sorted(PAIRS))
channels = pytest.mark.parametrize("D", [1, 2])


@names
@channels
@pytest.mark.parametrize("way", ["forward", "unrolled"])
def test_backward_on_meta(name, D, way, rng):
    network = random_network(N, D, name, rng)
    with FakeTensorMode(allow_non_fake_inputs=True):  # torch.tensor makes plain tensors on meta
        moved(network, "meta")
        x = torch.empty(B, T, D, dtype=torch.float64, device="meta")
        if way == "forward":
            losses.batch_loss(network(x).outputs, TASK[D].targets(x)).backward()
        else:
            losses.BatchLoss(TASK[D])(network, x).backward()
    for p in (network.W, network.encoders, network.decoders):
        assert p.grad is not None
        assert (p.grad.device.type, p.grad.shape, p.grad.dtype) == ("meta", p.shape, p.dtype)


def test_targets_and_averaged_loss_backward_on_meta():
    with FakeTensorMode(allow_non_fake_inputs=True):  # torch.tensor makes plain tensors on meta
        W, e = (torch.empty(shape, device="meta", requires_grad=True) for shape in ((N, N), (N,)))
        loss.averaged_loss(W, e[:, None], e[:, None], TASK[1]).backward()
        x = torch.empty(B, T, 2, device="meta", requires_grad=True)
        TASK[2].targets(x).sum().backward()
    assert W.grad is not None and W.grad.device.type == "meta"
    assert x.grad is not None and x.grad.device.type == "meta"


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_training_on_meta(optimiser, rng, monkeypatch):
    """The whole way from a task to a trained network, with the numbers left out."""
    monkeypatch.setattr(Answers, "number", 1.0)  # Adam divides by its count of steps
    with Answers():
        found = recipes.train_integrator(
            TASK[2],
            training.Training(n_steps=3, lr=0.1, optimiser=optimiser, stop_loss=0.0),
            n=N,
            batch=B,
            sampler="monte-carlo",
            generator=rng,
            device="meta",
            dtype=torch.float32,
            trained=("W", "decoders"),
        )
    assert {p.device.type for p in found.network.parameters()} == {"meta"}


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("read_every", [1, 2])
@pytest.mark.parametrize("D", [1, 2])
def test_training_together_on_meta(optimiser, read_every, D, rng, monkeypatch):
    """Networks side by side, whose losses are read at every step, or decided upon where they are."""
    monkeypatch.setattr(Answers, "number", 1.0)
    monkeypatch.setattr(Tensor, "tolist", lambda values: np.ones(values.shape).tolist())
    options = {"dtype": torch.float32, "device": "meta"}
    with Answers():
        found = networks.Integrator.random(N, D, generator=[rng, rng], trained=("W", "decoders"), **options)
        draws = [samplers.sampler("monte-carlo", B, T, D, generator=rng, **options) for _ in range(2)]
        rates = [training.Training(n_steps=3, lr=lr, optimiser=optimiser, read_every=read_every) for lr in (0.1, 0.2)]
        losses_of_both = losses_together.BatchLosses([TASK[D], TASK[D]])
        histories = training.train_together(found, draws, losses_of_both, rates)
    assert [len(history.losses) for history in histories] == [3, 3]
    assert {p.device.type for p in found.parameters()} == {"meta"}
