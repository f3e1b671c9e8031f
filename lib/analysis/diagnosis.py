r"""Is a network an integrator? What of, over which range, and how near to the conditions of the paper?

Nothing is assumed about how the network was trained. What it integrates is read off its answers to single pulses; all
else is measured on burst sequences against these very integrals, or those of a task that is asked for.
"""

import torch
from torch import Tensor

from lib import checks
from lib.analysis.conditions import distances
from lib.analysis.findings import Diagnosis, Dimension, OnNoise, Selectivity, percent
from lib.analysis.identification import fit_integrals, fit_pulses, share_fitted
from lib.analysis.representation import relative_error
from lib.analysis.selectivity import axis_share, chance_axis_share
from lib.analysis.subspaces import coordinates, leading_vectors, linear_map, principal_components, share_outside
from lib.model.network import Integrator
from lib.model.signals import bursts, white_noise
from lib.model.task import Task

OCTAVES = range(-6, 11)  # sizes of the inputs at which the range is probed, as powers of two
SEED = 20201123  # of the burst sequences, unless a generator is given


@torch.no_grad()
def diagnose(
    network: Integrator,
    task: Task | None = None,
    *,
    steps: int = 200,
    sequences: int = 32,
    tolerance: float = 0.1,
    auxiliary: int = 0,
    generator: torch.Generator | None = None,
) -> Diagnosis:
    r"""Whether a network integrates its D inputs, output c input c, and how. Computed in float64.

    1. Pulses of size 1 and -1 into each channel; half the difference of the answers is fitted by $s\gamma^{t+1}$. The
       outputs on white noise of variance one are fitted too, for comparison.
    2. Bursts of sizes from 1/64 to 1024: over which range do the outputs follow these integrals?
    3. Bursts within that range: errors, the subspace of the currents, and what single neurons follow. Currents are
       counted from zero, or from their mean if the network has biases (`lib.model.torch_rnn.Shifted`).
    4. Distances from conditions of the paper: moments for linear networks, the two-point conditions for one rectified
       channel, and for all the conditions of the proxy loss at the integrals of step 3.

    Args:
        network: As it is; not changed.
        task: Decays and scales to compare with; T is not used. None: those that fit.
        steps: Length of the answers and of the sequences, 2 to 1000.
        sequences: Burst sequences of step 3; a quarter as many for each size of step 2.
        tolerance: Largest relative error of an integrator.
        auxiliary: Neurons at the end that are not the network's own (`lib.model.torch_rnn.embed`) and are not counted.
        generator: Of the sequences; by default always the same.

    Raises:
        ValueError: entries that are not finite, a task of other than D channels, or sizes out of range.
    """
    check_sizes(steps, sequences, tolerance)
    net = _checked(network, task, auxiliary)
    own, gamma, s, r2, crosstalk = _pulses(net, task, steps)
    sign = torch.where(s < 0, -1.0, 1.0).to(s)
    found = Task([min(max(g, 1e-6), 1.0) for g in gamma.tolist()], [max(v, 1e-12) for v in s.abs().tolist()], steps)
    generator = generator or torch.Generator().manual_seed(SEED)
    x = bursts(sequences, steps, net.D, generator=generator).to(net.W)
    y = found.targets(x) * sign
    on_noise = _on_noise(net, white_noise(sequences, steps, net.D, generator=generator).to(net.W))
    few = slice(max(1, sequences // 4))
    sizes, size_errors, (low, high) = _sizes(net, x[few], y[few], s.new_tensor(found.scales), tolerance)
    amplitude = _amplitude((y / s.new_tensor(found.scales)).abs().max().item(), low, high)
    y = amplitude * y
    run = net.run(amplitude * x)
    errors = _errors(run.outputs, y)
    dimension, selectivity = _currents(net, run.currents, y, auxiliary) if (s != 0).all() else (None, None)
    return Diagnosis(
        n=net.n - auxiliary,
        D=net.D,
        decays=tuple(gamma.tolist()),
        scales=tuple(s.tolist()),
        given=task is not None,
        fit_r2=tuple(r2.tolist()),
        responses=own,
        on_noise=on_noise,
        crosstalk=crosstalk,
        sizes=sizes,
        size_errors=size_errors,
        range=(low, high),
        amplitude=amplitude,
        errors=tuple(errors.tolist()),
        steps=steps,
        dimension=dimension,
        selectivity=selectivity,
        conditions=distances(net, found, sign, y),
        tolerance=float(tolerance),
        reasons=_reasons(gamma, s, r2, crosstalk, (low, high), errors, tolerance, steps),
    )


def check_sizes(steps: int, sequences: int, tolerance: float) -> None:
    """Raise ValueError unless these are in the ranges that `diagnose` takes."""
    if checks.whole("steps", steps, 2) > 1000:
        raise ValueError(f"steps must be at most 1000, got {steps}")
    checks.whole("sequences", sequences, 4)
    checks.positive("tolerance", tolerance)


def _checked(network: Integrator, task: Task | None, auxiliary: int) -> Integrator:
    """The network in float64, if all is as `diagnose` wants it; its thresholds follow the weights."""
    if checks.whole("auxiliary", auxiliary, 0) >= network.n:
        raise ValueError(f"auxiliary must be below n={network.n}, got {auxiliary}")
    if task is not None and task.D != network.D:
        raise ValueError(f"task must have the network's {network.D} channels, got {task.D}")
    weights = (network.W, network.encoders, network.decoders)
    for name, values in zip(("W", "encoders", "decoders"), weights, strict=True):
        checks.finite(name, values.detach())
    return Integrator(*(values.double() for values in weights), activation=network.activation)


def _pulses(network: Integrator, task: Task | None, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Half the differences of the answers to pulses of 1 and -1, and what they are like.

    Returns:
        `D x steps` answers of each channel to its own pulse; D decays, D scales and D values of R2 of the curves that
        fit them, or of the task's; and the largest answer of another channel, as a share of that one's scale.
    """
    D = network.D
    x = network.W.new_zeros(2 * D, steps, D)
    x[:D, 0], x[D:, 0] = torch.eye(D).to(x), -torch.eye(D).to(x)
    y = network.run(x).outputs
    answers = ((y[:D] - y[D:]) / 2).permute(1, 2, 0)  # steps x D x D, to output and from input
    own = answers.diagonal(dim1=1, dim2=2).T.contiguous()
    gamma, s, _ = fit_pulses(own)
    if task is not None:
        gamma, s = (gamma.new_tensor(values) for values in (task.decays, task.scales))
    orders = torch.arange(1, steps + 1).to(own)
    r2 = share_fitted(own, s[:, None] * gamma[:, None] ** orders)
    others = (answers - torch.diag_embed(own.T)).abs().amax(dim=(0, 2)) / s.abs()
    return own, gamma, s, r2, others.nan_to_num(torch.inf).max().item() if D > 1 else 0.0


def _currents(
    network: Integrator, currents: Tensor, y: Tensor, auxiliary: int
) -> tuple[Dimension | None, Selectivity | None]:
    """What the currents are like, counted from their mean if there are biases; None if they vanish or overflow."""
    if hasattr(network.activation, "biases"):
        currents, y = (values - values.mean(dim=(0, 1)) for values in (currents, y))
    own = currents[..., : network.n - auxiliary]
    if not (torch.isfinite(own).all() and own.any()):
        return None, None
    return _dimension(network, currents, y), _selectivity(own, y)


def _errors(outputs: Tensor, targets: Tensor) -> Tensor:
    """Relative error of each channel, infinite for outputs that overflow."""
    return relative_error(outputs, targets).nan_to_num(torch.inf)


def _on_noise(network: Integrator, noise: Tensor) -> OnNoise:
    return OnNoise(*(tuple(values.tolist()) for values in fit_integrals(noise, network.run(noise).outputs)))


def _sizes(
    network: Integrator, x: Tensor, y: Tensor, scale: Tensor, tolerance: float
) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Sizes of bursts, the worst relative error at each, and the ends of the range where it is below the tolerance."""
    alike = bool(getattr(network.activation, "homogeneous", False))
    amplitudes = [1.0] if alike else [2.0**k for k in OCTAVES]
    errors = torch.stack([_errors(network.run(a * x).outputs, a * y).amax() for a in amplitudes])
    sizes = (y / scale).abs().max() * y.new_tensor(amplitudes)
    low, high = _range(sizes, errors, tolerance)
    return sizes, errors, (0.0, float("inf")) if alike and low == low else (low, high)


def _amplitude(most: float, low: float, high: float) -> float:
    """Factor on inputs whose largest integral is `most`, with which it lies in the range; 1 if it does or none is."""
    if low != low or low <= most <= high:
        return 1.0
    return min(min(max(low, 1.0), high) / most if most > high else 1.2 * low / most, high / most)


def _range(sizes: Tensor, errors: Tensor, tolerance: float) -> tuple[float, float]:
    """Ends of the longest run of sizes with errors within the tolerance, interpolated between sizes on logarithms."""
    good = (errors <= tolerance).tolist()
    runs, start = [], None
    for k, ok in enumerate([*good, False]):
        if ok and start is None:
            start = k
        if not ok and start is not None:
            runs.append((k - start, start, k - 1))
            start = None
    if not runs:
        return float("nan"), float("nan")
    _, first, last = max(runs)

    def crossing(inside: int, outside: int) -> float:
        if not 0 <= outside < len(sizes) or not errors[outside].isfinite():
            return sizes[inside].item()
        a, b = errors[inside].clamp_min(1e-12).log(), errors[outside].log()
        share = ((a.new_tensor(tolerance).log() - a) / (b - a)).item()
        return (sizes[inside] * (sizes[outside] / sizes[inside]) ** share).item()

    return crossing(first, first - 1), crossing(last, last + 1)


def _dimension(network: Integrator, currents: Tensor, y: Tensor) -> Dimension:
    D, nu = network.D, currents.flatten(0, 1)
    components = principal_components(nu)
    best = components.vectors[:, :D]
    image = torch.linalg.qr(network.W @ network.encoders).Q
    code, outside, encoders = (share_outside(nu, basis) for basis in (leading_vectors(network.W, D), best, image))
    r2 = linear_map(coordinates(currents, best), y).r2.min().item()
    return Dimension(code, outside, encoders, components.participation, components.needed(0.99), r2)


def _selectivity(currents: Tensor, y: Tensor) -> Selectivity:
    spread = currents.flatten(0, 1).std(dim=0)
    active = spread > 1e-6 * spread.max()
    fit = linear_map(currents[..., active], y)
    D = y.shape[-1]
    typical = y.square().mean(dim=(0, 1)).sqrt()  # so that scales do not decide what a neuron follows
    share = axis_share(fit.matrix * typical) if D > 1 else 1.0
    return Selectivity(int(active.sum().item()), fit.r2.median().item(), share, chance_axis_share(D))


def _reasons(
    gamma: Tensor,
    s: Tensor,
    r2: Tensor,
    crosstalk: float,
    limits: tuple[float, float],
    errors: Tensor,
    tolerance: float,
    steps: int,
) -> tuple[str, ...]:
    """Why a network is no integrator, in words."""
    found = []
    for c, (g, scale, fit, error) in enumerate(zip(*(v.tolist() for v in (gamma, s, r2, errors)), strict=True), 1):
        if not g > 0 or scale == 0:
            found.append(f"channel {c} does not answer to pulses, or overflows")
        elif g > 1 + 1 / steps:
            found.append(f"channel {c} grows by {g:.4g} per step")
        elif scale < 0:
            found.append(f"channel {c} has the wrong sign")
        elif not fit >= 1 - tolerance:
            found.append(f"channel {c} does not decay with one rate (R2 {fit:.3g})")
        elif not error <= tolerance:
            found.append(f"channel {c} misses its integral on bursts by {percent(error)}")
    if not crosstalk <= tolerance:
        found.append(f"channels mix ({percent(crosstalk)} of the scale)")
    if not found and limits[0] != limits[0]:
        found.append("there is no range in which all outputs are right")
    return tuple(found)
