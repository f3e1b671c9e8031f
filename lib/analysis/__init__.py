"""What a trained network does: its representation, subspaces, selectivity, tuning, and whether it integrates."""

from lib.analysis.conditions import Images, Lines, images, lines
from lib.analysis.diagnosis import Diagnosis, diagnose
from lib.analysis.perturbations import lesion_changes, noise_changes, quantization_changes
from lib.analysis.representation import (
    POPULATIONS,
    active_set_overlap,
    chance_ratio,
    cosines,
    current_ratios,
    describe_populations,
    fit_currents,
    fit_states,
    population_weights,
    populations,
    relative_error,
    singular_values,
)
from lib.analysis.scaling import collapse, crossing, next_channels, one_step_error, one_step_neurons, power_law
from lib.analysis.selectivity import (
    angle_counts,
    angles,
    axis_share,
    block_shares,
    halves,
    off_block_share,
    plane_axis_share,
    support_groups,
)
from lib.analysis.subspaces import (
    compare_states,
    coordinates,
    explained,
    leading,
    leading_vectors,
    linear_map,
    principal_components,
    ratio_bounds,
    sign_agreement,
)
from lib.analysis.tuning import example_neurons, fit_logistic, largest_output, mean_activity, residuals
