"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files."""

from lib.plotting.multiplexing import plot_channels, plot_eigenvalues, plot_products, plot_residuals
from lib.plotting.perturbation import plot_disk, plot_moment_errors, plot_scaling
from lib.plotting.representation import (
    plot_activity,
    plot_cosines,
    plot_currents,
    plot_manifold,
    plot_population_histograms,
    plot_singular_values,
)
from lib.plotting.signals import draw_network, plot_integral, plot_memories, plot_pulse
from lib.plotting.special import plot_limits, plot_polynomials, plot_recursion
from lib.plotting.style import COLOURS, MARKERS, STYLE, new_axes, numbers, use_style
from lib.plotting.training import plot_losses, plot_spread, plot_thresholds

__all__ = [
    "COLOURS",
    "MARKERS",
    "STYLE",
    "draw_network",
    "new_axes",
    "numbers",
    "plot_activity",
    "plot_channels",
    "plot_cosines",
    "plot_currents",
    "plot_disk",
    "plot_eigenvalues",
    "plot_integral",
    "plot_limits",
    "plot_losses",
    "plot_manifold",
    "plot_memories",
    "plot_moment_errors",
    "plot_polynomials",
    "plot_population_histograms",
    "plot_products",
    "plot_pulse",
    "plot_recursion",
    "plot_residuals",
    "plot_scaling",
    "plot_singular_values",
    "plot_spread",
    "plot_thresholds",
    "use_style",
]
