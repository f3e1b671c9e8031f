"""Pictures of the book: one idea each, drawn on axes that are handed in; nothing here trains or opens files."""

from companion.ledger.tiles import plot_score
from lib.figures.capacity import plot_capacities, plot_error_curves
from lib.figures.cells import plot_cells
from lib.figures.curvature import plot_conditions, plot_contraction, plot_eigenvalues, plot_stall
from lib.figures.decisions import plot_accuracies, plot_decisions, plot_evidence
from lib.figures.descent import (
    plot_decay,
    plot_eigenvalue_paths,
    plot_moment_branches,
    plot_power_law,
    plot_surfaces,
    plot_valley,
)
from lib.figures.diagnosis import plot_pulses, plot_sizes_followed
from lib.figures.manifolds import plot_iso_scales, plot_minima
from lib.figures.margins import plot_cliff, plot_margins
from lib.figures.moments import plot_moment_errors, plot_moments, plot_sample_means, plot_spectra
from lib.figures.multiplexing import plot_channel_eigenvalues, plot_channels, plot_fit_residuals, plot_products
from lib.figures.onset import plot_against_scale, plot_onset, plot_prediction
from lib.figures.perturbation import plot_disk, plot_relative_errors, plot_scaling
from lib.figures.plane import (
    plot_angles,
    plot_components,
    plot_direction,
    plot_network_spectra,
    plot_plane,
    plot_sorted_weights,
)
from lib.figures.rank_one import plot_alignments, plot_error_growth, plot_images, plot_scale_bounds, plot_weights
from lib.figures.representation import (
    plot_activity,
    plot_cosines,
    plot_currents,
    plot_manifold,
    plot_population_histograms,
    plot_singular_values,
)
from lib.figures.robustness import plot_disturbance
from lib.figures.saturation import (
    plot_activity_histogram,
    plot_condition_residuals,
    plot_courses,
    plot_neurons,
    plot_pair,
    plot_range,
    plot_sizes,
    plot_table_angles,
)
from lib.figures.selectivity import plot_selectivities
from lib.figures.signals import draw_network, plot_integral, plot_memories, plot_pulse
from lib.figures.special import plot_limits, plot_polynomials, plot_recursion
from lib.figures.starts import plot_bends, plot_starts
from lib.figures.style import COLOURS, MARKERS, STYLE, new_axes, numbers, use_style
from lib.figures.training import plot_losses, plot_spread, plot_thresholds

__all__ = [
    "COLOURS",
    "MARKERS",
    "STYLE",
    "draw_network",
    "new_axes",
    "numbers",
    "plot_accuracies",
    "plot_activity",
    "plot_activity_histogram",
    "plot_against_scale",
    "plot_alignments",
    "plot_angles",
    "plot_bends",
    "plot_capacities",
    "plot_cells",
    "plot_channel_eigenvalues",
    "plot_channels",
    "plot_cliff",
    "plot_components",
    "plot_condition_residuals",
    "plot_conditions",
    "plot_contraction",
    "plot_cosines",
    "plot_courses",
    "plot_currents",
    "plot_decay",
    "plot_decisions",
    "plot_direction",
    "plot_disk",
    "plot_disturbance",
    "plot_eigenvalue_paths",
    "plot_eigenvalues",
    "plot_error_curves",
    "plot_error_growth",
    "plot_evidence",
    "plot_fit_residuals",
    "plot_images",
    "plot_integral",
    "plot_iso_scales",
    "plot_limits",
    "plot_losses",
    "plot_manifold",
    "plot_margins",
    "plot_memories",
    "plot_minima",
    "plot_moment_branches",
    "plot_moment_errors",
    "plot_moments",
    "plot_network_spectra",
    "plot_neurons",
    "plot_onset",
    "plot_pair",
    "plot_plane",
    "plot_polynomials",
    "plot_population_histograms",
    "plot_power_law",
    "plot_prediction",
    "plot_products",
    "plot_pulse",
    "plot_pulses",
    "plot_range",
    "plot_recursion",
    "plot_relative_errors",
    "plot_sample_means",
    "plot_scale_bounds",
    "plot_scaling",
    "plot_score",
    "plot_selectivities",
    "plot_singular_values",
    "plot_sizes",
    "plot_sizes_followed",
    "plot_sorted_weights",
    "plot_spectra",
    "plot_spread",
    "plot_stall",
    "plot_starts",
    "plot_surfaces",
    "plot_table_angles",
    "plot_thresholds",
    "plot_valley",
    "plot_weights",
    "use_style",
]
