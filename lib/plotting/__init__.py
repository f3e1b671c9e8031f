"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files."""

from lib.plotting.plane import (
    plot_angles,
    plot_components,
    plot_direction,
    plot_plane,
    plot_sorted_weights,
    plot_spectra,
)
from lib.plotting.representation import (
    plot_activity,
    plot_cosines,
    plot_currents,
    plot_manifold,
    plot_population_histograms,
    plot_singular_values,
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
    "plot_angles",
    "plot_components",
    "plot_cosines",
    "plot_currents",
    "plot_direction",
    "plot_integral",
    "plot_losses",
    "plot_manifold",
    "plot_memories",
    "plot_plane",
    "plot_population_histograms",
    "plot_pulse",
    "plot_singular_values",
    "plot_sorted_weights",
    "plot_spectra",
    "plot_spread",
    "plot_thresholds",
    "use_style",
]
