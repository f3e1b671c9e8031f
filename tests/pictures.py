"""A call of every picture with generic data, the arrays that must be seen on its axes, and which of these are log."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from equations import randn
from torch import Tensor

from lib import figures as plots
from lib.analysis.findings import Diagnosis, OnNoise
from lib.analysis.tuning import Residuals

_RNG = torch.Generator().manual_seed(11)


def draw(*shape: int) -> Tensor:
    return randn(*shape, rng=_RNG)


def positive(*shape: int) -> Tensor:
    return draw(*shape).exp()


DIAGNOSIS = Diagnosis(
    n=4,
    D=2,
    decays=(0.9, 0.5),
    scales=(1.3, 0.7),
    given=False,
    fit_r2=(1.0, 1.0),
    responses=torch.tensor([[0.9], [0.5]]).double() ** torch.arange(1, 101).double(),
    on_noise=OnNoise((0.9, 0.5), (1.0, 1.0), (0.0, 0.0)),
    crosstalk=0.0,
    sizes=torch.tensor([1.0, 2.0, 4.0, 8.0]),
    size_errors=torch.tensor([0.2, 0.05, 0.01, math.inf]),
    range=(1.5, 4.0),
    amplitude=1.0,
    errors=(0.0, 0.0),
    steps=100,
    dimension=None,
    selectivity=None,
    conditions=(),
    tolerance=0.1,
    reasons=(),
)


class Case(NamedTuple):
    """A picture of one panel, or of two if `panels` is 2."""

    draw: Callable[[Any], Any]  # on the axes, or on the list of two
    seen: list[Any]  # arrays of which each is drawn by one line, image, histogram or cloud
    log: str = ""  # logarithmic axes
    panels: int = 1
    projection: str | None = None


A, B, C, D, E = (positive(5) for _ in range(5))
X = torch.tensor([0.3, 0.7, 2.0, 5.0, 11.0]).double()
MANY = positive(5, 3)
PLANE, VALUES = draw(3, 4, 2), draw(3, 4)
W, ORDER = draw(5, 5), torch.tensor([2, 0, 4, 1, 3])
KINDS = torch.tensor([1, 2, 3, 0, 1])
STEPS = [0, 1, 2, 3, 4]
GROUPS = torch.tensor([1, 0, 2, 0, 1])

CASES: dict[str, Case] = {
    # The task and the representation
    "plot_integral": Case(lambda ax: plots.plot_integral(draw(5), A, ax, output=B), [A, B]),
    "plot_memories": Case(lambda ax: plots.plot_memories(A, MANY, [0.5, 0.9, 0.995], ax), [*MANY.T]),
    "plot_pulse": Case(lambda axes: plots.plot_pulse(MANY, -MANY, KINDS[:3], axes), [*MANY.T, *-MANY.T], panels=2),
    "draw_network": Case(lambda ax: plots.draw_network(ax), []),
    "plot_population_histograms": Case(
        lambda axes: plots.plot_population_histograms(A, B, KINDS, axes, threshold=1e-2), [], panels=2
    ),
    "plot_currents": Case(
        lambda ax: plots.plot_currents(VALUES, PLANE, ax, neurons={"positive": 1, "shared": 0}),
        [PLANE[..., 1].flatten(), PLANE[..., 0].flatten(), VALUES.flatten()],
    ),
    "plot_cosines": Case(lambda ax: plots.plot_cosines(A, draw(5).cos(), ax), [A]),
    "plot_activity": Case(
        lambda axes: plots.plot_activity(W, A, KINDS, axes), [A, W[:, 1], W[:, [0, 4]].mean(1)], panels=2
    ),
    "plot_singular_values": Case(lambda ax: plots.plot_singular_values(A, ax, outliers=2), [A[:2], A[2:]], "y"),
    "plot_manifold": Case(lambda ax: plots.plot_manifold(PLANE, VALUES, ax, name="current"), [VALUES.flatten()]),
    "plot_images": Case(
        lambda ax: plots.plot_images(A, -B, KINDS, ax, slope=-0.7), [A[[0, 4]], -B[[0, 4]], [A.min(), A.max()]]
    ),
    # Training
    "plot_losses": Case(lambda ax: plots.plot_losses(A, ax, label="run"), [STEPS[1:] + [5], A], "xy"),
    "plot_decay": Case(lambda ax: plots.plot_decay(STEPS, MANY, ax, label="runs"), [STEPS, *MANY.T], "y"),
    "plot_power_law": Case(lambda ax: plots.plot_power_law(X, MANY, ax, law=A, label="runs"), [X, *MANY.T, A], "xy"),
    "plot_stall": Case(lambda ax: plots.plot_stall(X, A, B, ax), [X, A, B], "y"),
    "plot_contraction": Case(
        lambda ax: plots.plot_contraction(X, {"slow": A, "fast": B}, ax, theory={"slow": C, "fast": D}),
        [A, B, C, D],
        "y",
    ),
    "plot_recursion": Case(lambda ax: plots.plot_recursion({"a": A, "b": B}, {"a": C, "b": D}, ax), [A, B, C, D]),
    "plot_limits": Case(
        lambda ax: plots.plot_limits(X, A, ax, printed=1.5, right=2.5, floor=1e-9), [X, A, [2.5, 2.5], [1.5]], "y"
    ),
    "plot_thresholds": Case(lambda ax: plots.plot_thresholds([2, 3, 10], [0.9, 0.5, 0.1], ax, label="a"), [], "xy"),
    "plot_onset": Case(
        lambda ax: plots.plot_onset(X, MANY.T, ax, label="n", colour="alternative", marker="s"), [X, *MANY.T], "y"
    ),
    "plot_against_scale": Case(
        lambda ax: plots.plot_against_scale(X, MANY.T, ax, label="a"), [X, MANY.log().mean(1).exp()], "xy"
    ),
    "plot_prediction": Case(lambda ax: plots.plot_prediction(X, A, ax), [X, A], "xy"),
    "plot_courses": Case(
        lambda ax: plots.plot_courses(
            [1, 10, 11, 100, 1000], {("a", "p"): A, ("a", "q"): B, ("b", "p"): C}, ax, paper=1.7
        ),
        [A, B, C, [1.7]],
        "xy",
    ),
    "plot_spread": Case(lambda ax: plots.plot_spread({"a": A, "b": B[:3]}, ax, paper=1.5), [A, B[:3], [1.5]]),
    # Linear networks
    "plot_moments": Case(lambda ax: plots.plot_moments(MANY.T, A, ax, trained=2), [A, *MANY.T]),
    "plot_moment_errors": Case(lambda ax: plots.plot_moment_errors({2: MANY.T, 3: A[None]}, ax), [A, *MANY.T], "xy"),
    "plot_moment_branches": Case(
        lambda ax: plots.plot_moment_branches(torch.stack([B, A, C]), X[:3], ax, target=A), [A, B, C]
    ),
    "plot_sample_means": Case(lambda ax: plots.plot_sample_means([7, 30, 90, 300, 999], A, B, ax), [A], "x"),
    "plot_spectra": Case(
        lambda ax: plots.plot_spectra({"a": A, "b": -B}, ax), [A.sort(descending=True).values / A.max()], "xy"
    ),
    "plot_polynomials": Case(
        lambda ax: plots.plot_polynomials(X, {"a": A, "b": -B}, ax, root=0.8), [X, A / A.max(), -B / B.max(), [0.8]]
    ),
    "plot_disk": Case(lambda ax: plots.plot_disk(0.1 * A + 0.1j * B, C + 1j * D, ax, radius=0.3), []),
    "plot_relative_errors": Case(lambda ax: plots.plot_relative_errors({"a": -A, "b": B}, ax, trained=3), [A, B], "xy"),
    "plot_scaling": Case(
        lambda ax: plots.plot_scaling(X, {"a": 3 * X**2, "b": A}, ax, slopes=[2.0, -0.5]), [X, 3 * X**2, A], "xy"
    ),
    "plot_channel_eigenvalues": Case(
        lambda ax: plots.plot_channel_eigenvalues(MANY, [0.9, 0.5], ax, chosen=2), [*MANY.T, [0.9, 0.9]]
    ),
    "plot_channels": Case(lambda ax: plots.plot_channels(MANY, -MANY, ax), [*MANY.T, *-MANY.T]),
    "plot_products": Case(lambda ax: plots.plot_products(W, ax, rows="d", columns="l"), [W.abs()]),
    "plot_fit_residuals": Case(
        lambda ax: plots.plot_fit_residuals({2: {2: [0.3, 0.7], 5: [0.1]}, 3: {3: [0.2]}}, ax), [[0.3, 0.7], [0.2]], "y"
    ),
    "plot_eigenvalues": Case(lambda ax: plots.plot_eigenvalues(X, MANY, ax, poles={"pole": 0.6}), [X, *MANY.T], "y"),
    "plot_conditions": Case(
        lambda ax: plots.plot_conditions(X, {"a": (A, B, 0.4), "b": (C, D, -0.1)}, ax, draws={"b": MANY.T}),
        [X, A, B, C, D, *MANY.T],
        "xy",
    ),
    # Surfaces of integrators
    "plot_surfaces": Case(
        lambda ax: plots.plot_surfaces(-2.0, 2.5, {"one": (A, -A, B), "two": (C, -C, D)}, ax), [], projection="3d"
    ),
    "plot_minima": Case(
        lambda ax: plots.plot_minima(ax, alpha0=-2.0, beta0=3.0, reach=5.0, height=1.3), [], projection="3d"
    ),
    "plot_iso_scales": Case(
        lambda ax: plots.plot_iso_scales(X, [A, -B], [0.5, 2.0], ax, alpha0=-2.0, beta0=3.0, reach=12.0), [A, -B]
    ),
    "plot_eigenvalue_paths": Case(
        lambda ax: plots.plot_eigenvalue_paths(
            {k: MANY[:, [j, (j + 1) % 3]] for j, k in enumerate("abc")}, ax, decay=0.9
        ),
        [*MANY.T],
    ),
    "plot_valley": Case(
        lambda ax: plots.plot_valley([(-A, -B), (-B, C)], (-D, -E), ax, limit=3.0), [-A, -B, C, -D, -E]
    ),
    # Rectified and bounded neurons
    "plot_error_growth": Case(
        lambda ax: plots.plot_error_growth({"a": A, "b": B[:3], "c": C}, ax), [A, B[:3], C], "xy"
    ),
    "plot_scale_bounds": Case(
        lambda ax: plots.plot_scale_bounds(X, MANY, ax, curve=[0.1, 10.0], bound=[1.0, 1.1], explicit=A), [A], "x"
    ),
    "plot_alignments": Case(
        lambda ax: plots.plot_alignments(X, {"a": A / 9, "b": B / 9}, ax, curve=X, theory=C / 9),
        [A / 9, B / 9, C / 9],
        "x",
    ),
    "plot_weights": Case(
        lambda ax: plots.plot_weights(W, ORDER, ax, limit=1.5, border=2), [W[ORDER][:, ORDER], [1.5, 1.5]]
    ),
    "plot_neurons": Case(lambda ax: plots.plot_neurons(X, MANY, ax), [X, *MANY.T]),
    "plot_activity_histogram": Case(lambda ax: plots.plot_activity_histogram(X, MANY[:4], ax), [MANY[:4].T]),
    "plot_pair": Case(
        lambda axes: plots.plot_pair(X, MANY[:, :2], -MANY[:, 1:], axes, ["a", "b"]),
        [*MANY.T[:2], *-MANY.T[1:]],
        panels=2,
    ),
    "plot_range": Case(lambda ax: plots.plot_range(X, A, ax, y_max=4.5), [X, A]),
    "plot_condition_residuals": Case(
        lambda ax: plots.plot_condition_residuals(Residuals(X, -4.5 * A, B), ax, y_max=4.5), [X, A, B], "y"
    ),
    "plot_sizes": Case(
        lambda ax: plots.plot_sizes({100: A.numpy(), 300: B.numpy(), 700: C.numpy()}, -0.5, ax),
        [A, B, C, [100, 300, 700]],
        "xy",
    ),
    "plot_table_angles": Case(
        lambda ax: plots.plot_table_angles({"a": (A.numpy(), B.numpy()), "b": (C.numpy(), D.numpy())}, ax, paper=3.3),
        [A, B, C, D, [3.3]],
    ),
    # Several channels
    "plot_plane": Case(lambda ax: plots.plot_plane(PLANE, VALUES, ax), [PLANE.reshape(-1, 2), VALUES.flatten()]),
    "plot_direction": Case(lambda ax: plots.plot_direction(torch.tensor([3.0, 4.0]), ax, label="me"), []),
    "plot_network_spectra": Case(
        lambda ax: plots.plot_network_spectra([*MANY.T], ax, outliers=2, first=4),
        [*MANY.T[:, :2], *MANY.T[:, 2:4]],
        "y",
    ),
    "plot_angles": Case(lambda ax: plots.plot_angles(A, ax, uniform=1.2, label="ReLU"), [A]),
    "plot_selectivities": Case(
        lambda ax: plots.plot_selectivities(MANY[:, :2], GROUPS, ax, names=["a", "b", "c"]), [*MANY[GROUPS == 1, :2].T]
    ),
    "plot_sorted_weights": Case(
        lambda ax: plots.plot_sorted_weights(W, GROUPS, ax, names=["a", "b", "c"]),
        [W[[1, 3, 0, 4, 2]][:, [1, 3, 0, 4, 2]]],
    ),
    "plot_components": Case(lambda ax: plots.plot_components(MANY, GROUPS > 0, ax, name="$l_i$"), []),
    "plot_cells": Case(
        lambda ax: plots.plot_cells(
            ["a", "b"],
            [(1.3, 0.2), (4.9, 0.5)],
            {"u": [(1.2, 0.1), None], "v": [None, (4.0, 9.0)]},
            ax,
            chance=[9.1, 9.2],
        ),
        [[1.3, 4.9], [1.2], [4.0], [9.1, 9.2]],
        "x",
    ),
    "plot_evidence": Case(lambda ax: plots.plot_evidence(W[:, :3], ax), [*W[:, :3].T]),
    "plot_decisions": Case(lambda ax: plots.plot_decisions(A / 3, (B > 1).double(), ax), [A / 3, B > 1]),
    "plot_accuracies": Case(
        lambda ax: plots.plot_accuracies({"a": 0.9, "b": 0.8, "c": 0.7}, [None, 0.85, 0.75], ax),
        [[0.9, 0.8, 0.7], [0.85, 0.85]],
    ),
    # Many networks, and one from elsewhere
    "plot_pulses": Case(lambda ax: plots.plot_pulses(DIAGNOSIS, ax), [*DIAGNOSIS.responses[:, 0:50:2]]),
    "plot_sizes_followed": Case(
        lambda ax: plots.plot_sizes_followed(DIAGNOSIS, ax), [DIAGNOSIS.sizes, DIAGNOSIS.size_errors, [0.1, 0.1]], "xy"
    ),
    "plot_error_curves": Case(
        lambda ax: plots.plot_error_curves({64: [(X, A), (X[:3], B[:3])], 90: [(X, C)]}, ax, levels=[0.2]),
        [X, A, B[:3], C, [0.2, 0.2]],
        "xy",
    ),
    "plot_capacities": Case(
        lambda ax: plots.plot_capacities({"a": (X, A), "b": (X, B)}, ax, laws={"b": (A, C)}, theory={"t": (X, D)}),
        [A, B, C, D],
        "xy",
    ),
    "plot_starts": Case(
        lambda ax: plots.plot_starts({"a": {0.5: A, 1.5: B}, "b": {0.5: C}}, ax),
        [A, B, C, [A.median(), B.median()]],
        "y",
    ),
    "plot_bends": Case(
        lambda ax: plots.plot_bends({"a": W.numpy(), "b": MANY.numpy()}, ax), [MANY[:, 0] / MANY[:, 0].max()]
    ),
    "plot_disturbance": Case(
        lambda ax: plots.plot_disturbance(X, {"a": MANY.T, "b": A[None]}, ax, predicted={"a": B}),
        [*MANY.T, MANY.median(1).values, A, B],
        "y",
    ),
    "plot_margins": Case(lambda ax: plots.plot_margins({"a": A, "b": B}, ax, largest=50), [A, B, [1, 1]], "x"),
    "plot_cliff": Case(
        lambda ax: plots.plot_cliff({"a": A, "b": B}, {"a": 3, "b": 4}, ax),
        [A.sort(descending=True).values / A.max(), [3.5, 3.5]],
        "y",
    ),
}


def case(name):
    """The axes on which the generic case of a picture was drawn."""
    _, axes = plots.new_axes(CASES[name].panels, subplot_kw={"projection": CASES[name].projection})
    CASES[name].draw(axes if len(axes) > 1 else axes[0])
    return axes if len(axes) > 1 else axes[0]


def texts(artists):
    return [text.get_text() for text in artists]


def legend(ax):
    return texts(ax.get_legend().get_texts())


def named(ax, label):
    return next(line for line in ax.get_lines() if line.get_label() == label)
