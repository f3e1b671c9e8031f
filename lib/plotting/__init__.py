"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files."""

from lib.plotting.representation import (
    plot_activity,
    plot_cosines,
    plot_currents,
    plot_manifold,
    plot_population_histograms,
    plot_singular_values,
)
from lib.plotting.saturation import (
    plot_activity_histogram,
    plot_angles,
    plot_neurons,
    plot_pair,
    plot_range,
    plot_residuals,
    plot_sizes,
)
from lib.plotting.signals import draw_network, plot_integral, plot_memories, plot_pulse
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
    "plot_activity_histogram",
    "plot_angles",
    "plot_cosines",
    "plot_currents",
    "plot_integral",
    "plot_losses",
    "plot_manifold",
    "plot_memories",
    "plot_neurons",
    "plot_pair",
    "plot_population_histograms",
    "plot_pulse",
    "plot_range",
    "plot_residuals",
    "plot_singular_values",
    "plot_sizes",
    "plot_spread",
    "plot_thresholds",
    "use_style",
]
