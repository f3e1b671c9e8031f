r"""Networks that are disturbed: noisy states, silent neurons, coarse weights (a question that section 6 raises).

White noise $\xi_t$ of standard deviation $\sigma$ added to every state changes the output, to first order, by
$\sum_q d\cdot(HW)^q\,\xi_{t-q}$, where $H = \mathrm{diag}\,f'(\nu)$ is the diagonal of slopes at the current. While the
slopes stay what they are, the output has the variance of the noise times the gain $\sum_q |((HW)^\dagger)^q d|^2$.
For an integrator of rank one this sum has two terms, $|d|^2 + |W^\dagger d|^2/(1-\gamma^2)$.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.analysis.representation import relative_error
from lib.model.network import Integrator, Trajectory
from lib.model.signals import normal


@torch.no_grad()
def run_noisy(network: Integrator, x: Tensor, noise: Tensor) -> Trajectory:
    """Run a network whose states are disturbed: `noise[:, t]` is added to $h_t$ before it is read out and passed on.

    Args:
        network: n neurons, D channels.
        x: `B x T x D` inputs.
        noise: `B x T x n`, in the units of the states.

    Raises:
        ValueError: shapes that do not fit.
    """
    B, T, _ = checks.tensor("x", x, ("B", "T", network.D)).shape
    checks.tensor("noise", noise, (B, T, network.n))
    W, h = network.W, torch.zeros_like(noise[:, 0])
    currents, states, outputs = [], [], []
    for t in range(T):
        nu = (h + x[:, t] @ network.encoders.T) @ W.T
        h = network.states(nu) + noise[:, t]
        currents.append(nu)
        states.append(h)
        outputs.append(h @ network.decoders)
    return Trajectory(*(torch.stack(parts, dim=1) for parts in (currents, states, outputs)))


@torch.no_grad()
def noise_gain(network: Integrator, currents: Tensor, *, steps: int = 2000) -> Tensor:
    r"""How much white noise on the states is amplified: variance of the outputs over that of the noise, first order.

    Args:
        network: n neurons, D channels.
        currents: `B x n`; at each of them the slopes of the activation are taken, and held.
        steps: Terms of the sum at most; it ends when the last term no longer counts.

    Returns:
        `B x D`.

    Raises:
        ValueError: a wrong shape, or a sum that has not converged, as for an integrator with decay one.
    """
    checks.tensor("currents", currents, ("B", network.n))
    with torch.enable_grad():
        at = currents.detach().requires_grad_()
        slopes = torch.autograd.grad(network.states(at).sum(), at)[0].double()
    W = network.W.double()
    rows = network.decoders.double().T.expand(len(currents), -1, -1)  # B x D x n
    total = rows.square().sum(dim=2)
    for _ in range(steps):
        rows = (rows * slopes[:, None]) @ W
        term = rows.square().sum(dim=2)
        total += term
        if (term <= 1e-9 * total).all():
            return total
    raise ValueError(f"the memory of the noise has not ended after {steps} steps: expected decays below one")


def lesioned(network: Integrator, silent: Tensor, *, gain: float = 1.0) -> Integrator:
    r"""A copy of the network in which some neurons have no effect, neither on others nor on the outputs.

    On average over random choices of a fraction p, a memory that passes q states loses the factor $(1-p)^q$: the decay
    becomes $\gamma(1-p)$ and the scale stays.

    Args:
        network: n neurons.
        silent: `n` truth values.
        gain: Factor on all weights, with which $1/(1-p)$ makes up for the average.

    Raises:
        ValueError: something else.
    """
    if silent.dtype != torch.bool or silent.shape != (network.n,):
        raise ValueError(f"silent must be {network.n} truth values, got {silent.dtype} of shape {tuple(silent.shape)}")
    keep = (~silent).to(network.W)
    return _with(network, gain * network.W * keep, network.decoders * keep[:, None])


def quantized(network: Integrator, bits: int) -> Integrator:
    """A copy of the network with weights on a grid of $2^b - 1$ equidistant values, the largest and minus it included.

    Raises:
        ValueError: fewer than two bits.
    """
    checks.whole("bits", bits, 2)
    levels = 2 ** (bits - 1) - 1  # on each side of zero
    step = (network.W.detach().abs().max() / levels).clamp_min(torch.finfo(network.W.dtype).tiny)
    return _with(network, (network.W / step).round() * step, network.decoders)


def random_lesion(n: int, fraction: float, *, generator: torch.Generator) -> Tensor:
    """Truth values for n neurons, the nearest whole number to `fraction` times n of them true, drawn without return.

    Raises:
        ValueError: a fraction outside of [0, 1].
    """
    checks.whole("n", n, 1)
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must lie in [0, 1], got {fraction}")
    order = torch.argsort(normal(n, generator=generator))
    silent = torch.zeros(n, dtype=torch.bool)
    silent[order[: round(fraction * n)]] = True
    return silent


class NoiseChanges(NamedTuple):
    """How far noise moves the outputs, relative to their size, at K levels."""

    found: Tensor  # K
    predicted: Tensor  # K, by `noise_gain` at states along the sequences


def noise_changes(
    network: Integrator, x: Tensor, levels: Sequence[float], *, generator: torch.Generator
) -> NoiseChanges:
    """Change of the outputs on `B x T x D` inputs by white noise, the same but for its K sizes.

    Args:
        network: D channels.
        x: Inputs of at least 51 steps.
        levels: Standard deviations of the noise over the rms state.
        generator: Draws the noise, on the CPU.

    Raises:
        ValueError: sequences that are too short.
    """
    checks.whole("T, the length of x,", x.shape[1], 51)
    run = network.run(x)
    rms = run.states.square().mean().sqrt()
    noise = rms * normal(*x.shape[:2], network.n, generator=generator).to(x)
    found = [change(run_noisy(network, x, level * noise).outputs, run.outputs) for level in levels]
    gain = noise_gain(network, run.currents[:, 50::50].flatten(0, 1)).mean(dim=0).sqrt()  # D
    size = run.outputs.square().mean(dim=(0, 1)).sqrt()
    slope = (rms * gain / size).mean()
    return NoiseChanges(torch.stack(found), slope * torch.tensor(levels).to(slope))


def lesion_changes(
    network: Integrator,
    x: Tensor,
    fractions: Sequence[float],
    *,
    draws: int,
    generator: torch.Generator,
    compensated: bool = False,
) -> Tensor:
    """Change of the outputs on `B x T x D` inputs if fractions p of the neurons are silent, `draws x K`.

    Args:
        network: D channels.
        x: Inputs.
        fractions: K numbers between 0 and 1.
        draws: Choices of the silent neurons for each fraction.
        generator: Draws the choices, on the CPU.
        compensated: Whether all weights are multiplied by 1/(1 - p).
    """
    before = network.run(x).outputs
    changes = []
    for _ in range(checks.whole("draws", draws, 1)):
        for p in fractions:
            silent = random_lesion(network.n, p, generator=generator).to(network.W.device)
            after = lesioned(network, silent, gain=1 / (1 - p) if compensated else 1.0).run(x).outputs
            changes.append(change(after, before))
    return torch.stack(changes).view(draws, len(fractions))


def quantization_changes(network: Integrator, x: Tensor, bits: Sequence[int]) -> Tensor:
    """Change of the outputs on `B x T x D` inputs if the weights have K numbers of bits."""
    before = network.run(x).outputs
    return torch.stack([change(quantized(network, b).run(x).outputs, before) for b in bits])


def change(after: Tensor, before: Tensor) -> Tensor:
    """Rms distance of outputs over their rms size, `B x T x D`, mean over channels."""
    return relative_error(after, before).mean()


def _with(network: Integrator, W: Tensor, decoders: Tensor) -> Integrator:
    """A copy with other weights."""
    return Integrator(W.detach(), network.encoders.detach(), decoders.detach(), activation=network.activation)
