r"""What `lib.analysis.diagnosis` finds out about a network, as numbers and as a table in words."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from lib.analysis.conditions import Condition


class Selectivity(NamedTuple):
    """What the currents of single neurons follow."""

    active: int  # neurons whose current varies
    r2: float  # median over these: how much of a current's variance is linear in the integrals
    axis_share: float  # share of these within ten degrees of one integral's axis
    chance: float  # the same for directions spread evenly


class OnNoise(NamedTuple):
    """What the outputs follow on white noise of variance one, D numbers each; that of pulses for a true integrator."""

    decays: tuple[float, ...]
    scales: tuple[float, ...]
    errors: tuple[float, ...]  # relative, of this very fit


class Dimension(NamedTuple):
    """How low-dimensional the currents are."""

    code: float  # rms outside the span of W's D leading left singular vectors over rms (`Ratios.code`)
    best: float  # the same for the best D-dimensional subspace
    encoders: float  # the same for the span of the W e_c
    participation: float  # (sum of variances)^2 / sum of squared variances, over principal components
    components: int  # principal components that hold 99 % of the variance
    r2: float  # of the currents' coordinates in the best subspace, on the integrals: the worst of D


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; `print` it for a table.

    Attributes:
        n: Neurons.
        D: Channels.
        decays: D numbers, per step: fitted to the answers to pulses, or of the task that was asked for.
        scales: D numbers; negative if an output has the wrong sign.
        given: Whether there was a task.
        fit_r2: D numbers, 1 - residual / sum of squares of the answer to a pulse.
        responses: `D x steps`, answer of each channel to a pulse of size one; step 0 is the pulse.
        on_noise: The decays and scales that fit the outputs on white noise; they differ from those of pulses if the
            network is not linear in its integrals.
        crosstalk: Largest answer of another channel to a pulse, as a share of that channel's scale.
        sizes: K largest |integral| / scale of burst sequences of K sizes; in units of summed inputs.
        size_errors: K relative errors there, rms over rms, the worst channel.
        range: From and to which |integral| / scale the relative error is below the tolerance; (0, inf) if all sizes
            are alike, (NaN, NaN) if there is none.
        amplitude: Size of the inputs for all that follows: 1 if that is within the range.
        errors: D relative errors on burst sequences.
        steps: Length of these sequences, and of the answers to pulses.
        dimension: Of the currents; None if they are not finite, or vanish, as the next two.
        selectivity: Of the neurons.
        conditions: Distances from the conditions of the paper.
        tolerance: Largest relative error, and largest cross-talk, of what counts as an integrator.
        reasons: Why it does not; empty for an integrator.
    """

    n: int
    D: int
    decays: tuple[float, ...]
    scales: tuple[float, ...]
    given: bool
    fit_r2: tuple[float, ...]
    responses: Tensor
    on_noise: OnNoise
    crosstalk: float
    sizes: Tensor
    size_errors: Tensor
    range: tuple[float, float]
    amplitude: float
    errors: tuple[float, ...]
    steps: int
    dimension: Dimension | None
    selectivity: Selectivity | None
    conditions: tuple[Condition, ...]
    tolerance: float
    reasons: tuple[str, ...]

    @property
    def integrates(self) -> bool:
        """Whether it is an integrator, within the tolerance."""
        return not self.reasons

    def rows(self) -> list[tuple[str, str]]:
        """The table, as pairs of what was asked and the answer."""
        table = [("integrator", "yes" if self.integrates else "no: " + "; ".join(self.reasons))]
        found = "asked for" if self.given else "found"
        for c, (gamma, s) in enumerate(zip(self.decays, self.scales, strict=True)):
            memory = "no decay" if gamma >= 1 else f"memory {1 / (1 - gamma):.3g} steps"
            text = f"{found}: decay {gamma:.5g} per step ({memory}), scale {s:.4g}; R2 of pulses {self.fit_r2[c]:.4g}"
            table.append((f"channel {c + 1}", f"{text}; error on bursts {percent(self.errors[c])}"))
        seen = self.on_noise
        for c, (gamma, s, error) in enumerate(zip(*seen, strict=True)):
            text = f"decay {gamma:.5g}, scale {s:.4g} fit best, with an error of {percent(error)}"
            table.append((f"channel {c + 1}, on white noise", text))
        if self.D > 1:
            table.append(("cross-talk", f"{percent(self.crosstalk)} of the scale"))
        low, high = self.range
        if low == 0:
            limits = "every size (the activation has no scale)"
        else:
            open_ended = " at least" if high == self.sizes.max().item() else ""
            limits = "none" if low != low else f"{low:.3g} to{open_ended} {high:.3g} (|integral| over scale)"
        table.append(("range", f"{limits}, error below {percent(self.tolerance)}"))
        if self.dimension is not None:
            d = self.dimension
            text = f"{percent(d.best)} outside the best {self.D}-dimensional subspace"
            table.append(("currents", f"{text}, {percent(d.code)} outside that of W's leading singular vectors"))
            text = f"participation ratio {d.participation:.3g}, {d.components} components hold 99 %"
            table.append(("dimension", f"{text}; R2 of the coordinates on the integrals {d.r2:.4g}"))
        if self.selectivity is not None:
            s = self.selectivity
            text = f"{s.active} of {self.n} active, median R2 on the integrals {s.r2:.4g}"
            share = f"; {percent(s.axis_share)} follow one integral (chance {percent(s.chance)})" * (self.D > 1)
            table.append(("neurons", text + share))
        return table + [(f"{c.name} ({c.equation})", f"missed by {percent(c.distance)}") for c in self.conditions]

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows())
        return "\n".join(f"{name:{width}}  {text}" for name, text in self.rows())


def percent(share: float) -> str:
    """A share in words, three digits."""
    return f"{100 * share:.3g} %"
