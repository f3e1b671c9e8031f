r"""What the book's explorers show: each function gives a `companion.widgets.Picture` for the values of its sliders.

They compute with the modules of this package, in float64, at sizes that a reader need not wait for; those that train a
network train it anew for every value. All draws come from a fixed seed, so that the same value gives the same picture.
"""

import functools
import math

import torch
from torch import Tensor

from companion.widgets.picture import Curve, Picture
from lib import checks
from lib.analysis.representation import relative_error, singular_values
from lib.analysis.subspaces import leading
from lib.model.activations import Linear, ReLU, Sigmoid, activation
from lib.model.codes import random_codes
from lib.model.network import Integrator
from lib.model.signals import bursts, white_noise
from lib.model.task import Task
from lib.theory.linear import channels
from lib.theory.linear.curvature import best_condition
from lib.theory.linear.descent import descend
from lib.theory.linear.manifolds import Manifolds
from lib.theory.linear.moments import moments, target_moments
from lib.theory.linear.reduced import Reduced, reduce
from lib.theory.relu import descent as relu
from lib.theory.relu.rank_one import plain_bound, sharp_bound
from lib.training.dale import DaleLaw, decoder_overlaps, modes, one_sign_share
from lib.training.loop import Training
from lib.training.recipes import place, train_integrator

SEED = 0
WHERE = place("cpu", "float64")


def decay_and_scale(gamma: float, s: float) -> Picture:
    r"""The target of a fixed input, and the answer to a single pulse at step 10, for a decay and a scale (equation 4).

    Args:
        gamma: $\gamma$ in (0, 1], per step.
        s: $s > 0$.

    Raises:
        ValueError: values out of range.
    """
    task = Task(gamma, s)
    x = torch.zeros(2, 90, 1, dtype=torch.float64)
    x[0, 10:20], x[0, 45:55] = 1.0, -1.0
    x[1, 10] = 1.0
    y = task.targets(x)[..., 0]
    t = torch.arange(90)
    memory = -1 / math.log(gamma) if gamma < 1 else math.inf
    return Picture(
        [
            Curve("input", t, x[0, :, 0], "null", "points"),
            Curve("target", t, y[0], "target"),
            Curve("answer to one pulse", t, y[1], "output", "dashed"),
        ],
        "time t (steps)",
        "input and integral",
        {"memory (steps)": memory, "first value after a pulse": y[1, 10], "largest target": y[0].max()},
    )


def trained_moments(T: int, s: float) -> Picture:
    r"""Moments and eigenvalues of a linear network that was trained from zero on sequences of T steps, for decay 0.9.

    Two thousand steps of gradient descent at most, in the two-dimensional space where the weights stay.

    Args:
        T: Length of the training sequences.
        s: $s$, the scale; well below 1 gradient descent diverges at this rate.

    Raises:
        ValueError: values out of range.
        TrainingDiverged: the scale is too small.
    """
    gamma, orders = 0.9, 16
    small = reduce(*random_codes(1000, generator=torch.Generator().manual_seed(SEED), overlap=0.2))
    task, zero = Task(gamma, s, T), torch.zeros(2, 2, dtype=torch.float64)
    found = descend(zero, small.encoders, small.decoders, task, lr=0.2, n_steps=2000, stop_loss=1e-9, record=2000)
    mu = moments(found.W, small.encoders, small.decoders, orders)[:, 0, 0]
    wanted = target_moments(task, orders, zero)[:, 0, 0]
    q = torch.arange(1, orders + 1)
    return Picture(
        [
            Curve("target", q, wanted, "target"),
            Curve("network", q, mu, "output"),
            Curve("moments in the loss", q[:T], mu[:T], "output", "points"),
        ],
        "order q",
        "moment",
        {
            "eigenvalues": _eigenvalues(found.W),
            "loss": found.losses[-1],
            f"error of moment {orders}": (mu[-1] - wanted[-1]).abs(),
        },
        x_range=(0.5, orders + 0.5),
        y_range=(-0.6, 3.2),
    )


def iso_scale(s: float, alpha: float) -> Picture:
    r"""One curve of equal scale on the sheet of integrators, with a network on it, for decay 0.995 (appendix E).

    Args:
        s: The scale; neither 0 nor $d^\dagger e$.
        alpha: $\alpha$, which picks the network on the curve.

    Raises:
        ValueError: a scale at which the curve breaks up into lines.
    """
    gamma, reach = 0.995, 8.0
    small = reduce(*random_codes(1000, generator=torch.Generator().manual_seed(SEED), overlap=0.3))
    m = Manifolds(small, gamma)
    alpha0, beta0, _ = (float(f"{c.item():.12g}") for c in m.constants)
    ends, along = torch.tensor([-reach, reach]).double(), torch.linspace(-reach, reach, 161, dtype=torch.float64)
    omega = m.iso_scale(s, torch.tensor(alpha, dtype=torch.float64))
    mu = moments(omega, small.encoders, small.decoders, 100)[:, 0, 0]
    beta = m.beta(s, torch.tensor(alpha, dtype=torch.float64))
    curve = m.beta(s, along)
    curve = torch.where(curve.abs() > 4 * reach, torch.nan, curve)
    return Picture(
        [
            Curve("s = 0", *_cross(alpha0, beta0, ends), "theory", "dashed"),
            Curve("s = d·e, feet of the two planes", *_cross(beta0, alpha0, ends), "alternative"),
            Curve("this scale", along, curve, "output"),
            Curve("network", [alpha], beta[None], "theory", "points"),
        ],
        "α, slope of the right eigenvector",
        "β, slope of the second eigenvector",
        {
            "d·e": m.overlap,
            "β": beta,
            "largest entry of ω": omega.abs().max(),
            "moment 1 over γ": mu[0] / gamma,
            "moment 100 over γ¹⁰⁰": mu[-1] / gamma**100,
        },
        x_range=(-reach, reach),
        y_range=(-reach, reach),
    )


def condition_number(overlap: float, s: float) -> Picture:
    r"""Condition number of the Hessian at the best integrator of every scale (appendix G), for decay 0.995 and T = 10.

    Args:
        overlap: $d^\dagger e$ of the unit vectors, in (0, 1).
        s: $s$, the scale at which the number is read.

    Raises:
        ValueError: an overlap out of range, or a scale equal to it.
    """
    if not 0 < overlap < 1:
        raise ValueError(f"overlap must lie between 0 and 1, got {overlap}")
    e = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    d = torch.tensor([[overlap], [math.sqrt(1 - overlap**2)]], dtype=torch.float64)
    m = Manifolds(reduce(e, d), 0.995)
    scales, C = _conditions(overlap)
    here = best_condition(m, torch.tensor(s, dtype=torch.float64), 10).condition
    rate = math.log(10) / (2 * -math.log1p(-1 / here.item()))
    return Picture(
        [
            Curve("best integrator of each scale", scales, C, "output"),
            Curve("s = d·e", [overlap] * 2, [1.0, 1e7], "alternative", "dashed"),
            Curve("this scale", [s], here[None], "theory", "points"),
        ],
        "scale s",
        "condition number C",
        {"condition number": here, "steps per factor 10 of the loss": rate},
        x_range=(0.1, 10.0),
        y_range=(1.0, 1e6),
        x_log=True,
        y_log=True,
    )


@functools.lru_cache(maxsize=32)
def _conditions(overlap: float) -> tuple[Tensor, Tensor]:
    """The curve of `condition_number`: scales and condition numbers."""
    d = torch.tensor([[overlap], [math.sqrt(1 - overlap**2)]], dtype=torch.float64)
    small = reduce(torch.tensor([[1.0], [0.0]], dtype=torch.float64), d)
    wide = Manifolds(Reduced(*(part[None] for part in small)), 0.995)
    scales = torch.logspace(-1, 1, 61, dtype=torch.float64) + 1e-5  # beside every round d.e
    return scales, best_condition(wide, scales, 10).condition


def relu_scale(s: float) -> Picture:
    r"""A rectified network of 64 neurons, trained from zero to a loss of 1e-4 for decay 0.995 (compare figure 17).

    Args:
        s: $s$, the scale; the learning rate is $0.1\min(1, s^2)$.

    Raises:
        ValueError: a scale that is not positive.
    """
    gamma, n = 0.995, 64
    s = checks.positive("s", s)
    e, d = random_codes(n, generator=torch.Generator().manual_seed(SEED))
    zero = torch.zeros(n, n, dtype=torch.float64)
    rule = {"lr": 0.1 * min(1.0, s * s), "n_steps": 3000, "stop_loss": 1e-4, "record": 3000}
    found = relu.descend(zero, e, d, gamma, s, **rule)
    top = leading(found.W, e, d)
    scales = torch.logspace(-1, 1, 81, dtype=torch.float64)
    bound = [f(e, d, gamma, scales) for f in (plain_bound, sharp_bound)]
    return Picture(
        [
            Curve("printed bound 2γ max(s, 1)", scales, bound[0], "target"),
            Curve("sharper bound", scales, bound[1], "theory", "dashed"),
            Curve("trained network", [s], top.sigma[None], "output", "points"),
        ],
        "scale s",
        "largest singular value σ",
        {
            "σ": top.sigma,
            "over the sharper bound": top.sigma / sharp_bound(e, d, gamma, s),
            "r·e": top.r_e,
            "l·d": top.l_d,
            "steps": found.steps[-1],
        },
        x_log=True,
        y_log=True,
        x_range=(0.1, 10.0),
        y_range=(1.0, 25.0),
    )


def saturation(y: float, slope: float) -> Picture:
    r"""Where a hundred sigmoid neurons stand on their common curve while the integral is y, for decay 0.8 and s = 1.

    The network is written down: currents We are drawn, the decoder reads $y$ from the states at 201 integrals between
    -4 and 4 by least squares, and $W = We\,d^\dagger/s$ has rank one, so that both conditions of section 4.3 hold as
    well as the decoder reads.

    Args:
        y: The integral.
        slope: Of the sigmoid; its threshold is 0.1.

    Raises:
        ValueError: a slope that is not positive.
    """
    network, task, We = sigmoid_network(slope)
    nu = y / (task.scales[0] * task.decays[0]) * We
    h = network.states(nu)
    grid = torch.linspace(-0.5, 0.5, 101, dtype=torch.float64)
    return Picture(
        [
            Curve("f", grid, Sigmoid(slope)(grid), "target"),
            Curve("neurons", nu, h, "output", "points"),
        ],
        "current of the neuron",
        "state of the neuron",
        {
            "output": h @ network.decoders.detach()[:, 0],
            "neurons above 0.9": int((h > 0.9).sum()),
            "between 0.1 and 0.9": int(((h >= 0.1) & (h <= 0.9)).sum()),
            "largest output there can be": network.decoders.detach().clamp_min(0).sum(),
        },
        x_range=(-0.5, 0.5),
        y_range=(-0.05, 1.05),
    )


def sigmoid_network(slope: float = 50.0) -> tuple[Integrator, Task, Tensor]:
    """The network of `saturation`, its task, and its currents We, n numbers."""
    n, task = 100, Task(0.8, 1.0)
    (gamma,), (s,) = task.decays, task.scales
    We = torch.cat([torch.linspace(0.01, 0.4, n // 2), -torch.linspace(0.01, 0.4, n // 2)]).double()
    z = torch.linspace(-5, 5, 201, dtype=torch.float64)
    f = Sigmoid(slope)
    F = f(torch.outer(z, We))
    gram = F.T @ F + 1e-3 * torch.eye(n, dtype=torch.float64)
    d = torch.linalg.solve(gram, F.T @ (s * gamma * z))[:, None]
    e = s * d / d.square().sum()  # then W e = We, since d.e is s
    return Integrator(We[:, None] @ d.T / s, e, d, activation=f), task, We


def plane(y1: float, y2: float, neuron: int) -> Picture:
    r"""What one of forty rectified neurons does while two integrals are y1 and y2, for decays 0.9 and 0.8.

    The network is exact and written down: twenty linear neurons that integrate
    (`lib.theory.linear.channels.integrator`), each
    split into one that carries its positive and one that carries its negative part.

    Args:
        y1: Integral of channel 1.
        y2: Integral of channel 2.
        neuron: 1 to 40.

    Raises:
        ValueError: no such neuron.
    """
    network, task = rectified_pair()
    if checks.whole("neuron", neuron, 1) > network.n:
        raise ValueError(f"neuron must lie between 1 and {network.n}, got {neuron}")
    decays = torch.tensor(task.decays, dtype=torch.float64)
    y = torch.tensor([y1, y2], dtype=torch.float64)
    run = network.run((y / decays)[None, None])  # one input takes both integrals where they should be
    nu = run.currents[0, 0, neuron - 1]
    direction = (network.W @ network.encoders).detach()[neuron - 1] / decays  # current per unit of each integral
    size = direction.norm()
    unit, across = direction / size, torch.stack([-direction[1], direction[0]]) / size
    ends = torch.tensor([-8.0, 8.0], dtype=torch.float64)
    border = ends[:, None] * across
    rows = [level * unit + ends[:, None] * across for level in (0.5, 1.0, 1.5, 2.0, 2.5)]
    gap = torch.full((1, 2), torch.nan, dtype=torch.float64)
    levels = torch.cat([part for row in rows for part in (row, gap)])
    return Picture(
        [
            Curve("border: current 0", border[:, 0], border[:, 1], "theory", "dashed"),
            Curve("equal states, where it is active", levels[:, 0], levels[:, 1], "null"),
            Curve("its preferred direction", [0.0, unit[0].item()], [0.0, unit[1].item()], "channel 2"),
            Curve("the two integrals", [y1], [y2], "output", "points"),
        ],
        "integral y₁",
        "integral y₂",
        {
            "current": nu,
            "state": nu.clamp_min(0),
            "preferred direction (degrees)": torch.rad2deg(torch.atan2(direction[1], direction[0])),
            "output 1": run.outputs[0, 0, 0],
            "output 2": run.outputs[0, 0, 1],
        },
        x_range=(-3.5, 3.5),  # a degree looks like one
        y_range=(-2.0, 2.0),
    )


def rectified_pair() -> tuple[Integrator, Task]:
    """The network of `plane`, and its task."""
    task = Task([0.9, 0.8])
    e, d = random_codes(20, 2, generator=torch.Generator().manual_seed(SEED))
    M = channels.integrator(e, d, task).W
    W = torch.cat([torch.cat([M, -M], dim=1), torch.cat([-M, M], dim=1)])
    zero = torch.zeros_like(e)
    return Integrator(W, torch.cat([e, zero]), torch.cat([d, -d]), activation=ReLU()), task


def dale(inhibitory: float) -> Picture:
    r"""A rectified network of 60 neurons that is trained under Dale's law, 200 steps, for decay 0.9 and s = 1.

    Args:
        inhibitory: Fraction of inhibitory neurons, in [0, 1].

    Raises:
        ValueError: a fraction out of range.
    """
    n, task = 60, Task(0.9, 1.0, 3)
    law = DaleLaw(n, inhibitory)
    network, history = train_integrator(
        task,
        Training(200, 0.5),
        n=n,
        batch=16,
        sampler="sobol",
        generator=torch.Generator().manual_seed(SEED),
        **WHERE,
        constraint=law,
    )
    found = modes(network.W, 8)
    k = torch.arange(1, 9)
    return Picture(
        [Curve("singular values of W", k, found.values, "output", "points")],
        "rank of the mode",
        "singular value",
        {
            "loss": history.losses[-10:].log().mean().exp(),
            "second over first": found.values[1] / found.values[0],
            "first mode: share of one sign": one_sign_share(found),
            "first mode: cosine with the decoder": decoder_overlaps(found, network.decoders)[0],
        },
        y_range=(0.0, 4.0),
    )


def own_network(n: int, D: int, activation_name: str, gamma: float, loss: str, radius: float, steps: int) -> Picture:
    r"""Train a network of the reader's own and look at it as the book looks at its networks.

    Channel c of D has the decay $\gamma - 0.05 (c - 1)$; all scales are 1.

    Args:
        n: Neurons.
        D: Channels.
        activation_name: "linear", "relu" or "sigmoid".
        gamma: Decay of the first channel.
        loss: "batch" (sequences of four steps) or "proxy" (points; not for linear neurons).
        radius: Spectral radius of the weights at the start; 0 is the paper's null start.
        steps: Steps of training, Adam at a rate of 0.005.

    Raises:
        ValueError: values out of range, or a combination that is not defined.
        TrainingDiverged: the loss grew beyond bounds.
    """
    f = activation(activation_name)
    if loss == "proxy" and isinstance(f, Linear):
        raise ValueError("the proxy loss is for neurons that are not linear; take batch")
    task = Task([gamma - 0.05 * c for c in range(D)], 1.0, 4)
    trained = ("W", "decoders") if isinstance(f, Sigmoid) else ("W",)
    network, history = train_integrator(
        task,
        Training(steps, 0.005, "adam"),
        n=n,
        batch=64,
        sampler="sobol",
        generator=torch.Generator().manual_seed(SEED),
        **WHERE,
        activation=f,
        loss=loss,
        trained=trained,
        z_max=3.0,
        radius=radius,
    )
    rng = torch.Generator().manual_seed(SEED + 1)
    x = bursts(16, 100, D, generator=rng) * 0.3 if isinstance(f, Sigmoid) else white_noise(16, 100, D, generator=rng)
    run, wanted = network.run(x), task.targets(x)
    sigma = singular_values(network.W)
    centred = run.currents.flatten(0, 1)
    flat = torch.linalg.svdvals(centred).square()
    t = torch.arange(100)
    return Picture(
        [
            Curve("target, channel 1", t, wanted[0, :, 0], "target"),
            Curve("output, channel 1", t, run.outputs[0, :, 0], "output", "dashed"),
        ],
        "time t (steps)",
        "integral",
        {
            "loss": history.losses[-10:].log().mean().exp(),
            "largest relative output error": relative_error(run.outputs, wanted).max(),
            "singular value D+1 over D": sigma[D] / sigma[D - 1],
            "share of the currents outside of D dimensions": (flat[D:].sum() / flat.sum()).sqrt(),
        },
    )


def _eigenvalues(W: Tensor) -> str:
    """Two eigenvalues in words, the larger first."""
    trace, determinant = W.trace().item(), torch.linalg.det(W).item()
    half, square = trace / 2, trace**2 / 4 - determinant
    if square < 0:
        return f"{half:.3f} ± {math.sqrt(-square):.3f}i"
    values = sorted((half + math.sqrt(square), half - math.sqrt(square)), key=abs, reverse=True)
    return " and ".join(f"{value:.3f}".replace("-0.000", "0.000").replace("-", "\u2212") for value in values)


def _cross(at_x: float, at_y: float, ends: Tensor) -> tuple[Tensor, Tensor]:
    """A vertical line at `at_x` and a horizontal one at `at_y`."""
    gap = torch.tensor([torch.nan], dtype=torch.float64)
    return (
        torch.cat([torch.full_like(ends, at_x), gap, ends]),
        torch.cat([ends, gap, torch.full_like(ends, at_y)]),
    )
