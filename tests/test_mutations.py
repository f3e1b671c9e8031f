"""Deliberate faults: each is put into a copy of `lib`, and the tests named beside it must notice.

A fault is one exact piece of source that occurs once, and what replaces it. On the copy without a fault the same tests
pass.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PYTEST_INI = """[pytest]
filterwarnings = error
markers =
    gpu: needs CUDA
    slow: takes minutes
"""
RUN = """
import json, os, sys
import hypothesis, matplotlib.pyplot, pytest, safetensors.torch, scipy.signal, scipy.stats, torch, tqdm.auto

codes = {}
for name, (folder, tests) in json.load(sys.stdin).items():
    if os.fork() == 0:  # each copy in a process of its own that need not import all that again
        os.chdir(folder)
        sys.path.insert(0, folder)
        output = os.open("output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        import lib
        if os.path.dirname(os.path.dirname(lib.__file__)) != folder:
            os._exit(99)
        code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
        sys.stdout.flush()
        os._exit(code)
    codes[name] = os.waitstatus_to_exitcode(os.wait()[1])
print(json.dumps(codes))
"""


class Fault(NamedTuple):
    """One wrong line."""

    file: str
    right: str
    wrong: str
    noticed_by: str  # file::test, in tests/


FAULTS = {
    "states beyond the sheet are not read away": Fault(
        "lib/theory/constructions.py",
        "known = torch.cat([A, F, encoders], dim=1)",
        "known = torch.cat([0 * A, F, encoders], dim=1)",
        "test_constructions.py::test_the_rectified_network_is_exact",
    ),
    "what no direction changes stays in the noise of one step": Fault(
        "lib/analysis/scaling.py",
        "max(1 - D * kappa**2, 0.0)",
        "max(1 - kappa**2, 0.0)",
        "test_capacity.py::test_the_noise_of_one_step_is_that_of_draws",
    ),
    "errors are interpolated on a linear axis": Fault(
        "lib/analysis/scaling.py",
        "math.log(level / below) / math.log(above / below)",
        "(level - below) / (above - below)",
        "test_capacity.py::test_the_crossing_of_a_power_is_where_it_is",
    ),
    "the collapse turns the power around": Fault(
        "lib/analysis/scaling.py",
        "float(-free[2] / free[1])",
        "float(-free[1] / free[2])",
        "test_capacity.py::test_errors_that_depend_on_one_ratio_collapse",
    ),
    "random weights amplify as if no neuron were silent": Fault(
        "lib/theory/mean_field.py",
        "-(1 - g2 / 2) + g2",
        "-(1 - g2) + g2",
        "test_bulk.py::test_the_even_share_is_that_of_networks",
    ),
    "the angle between rectified variables is measured from the other side": Fault(
        "lib/theory/mean_field.py",
        "(math.pi - math.acos(c))",
        "math.acos(c)",
        "test_bulk.py::test_the_product_of_rectified_variables_is_that_of_draws",
    ),
    "noise is amplified by the transpose of the weights": Fault(
        "lib/analysis/perturbations.py",
        "rows = (rows * slopes[:, None]) @ W",
        "rows = (rows * slopes[:, None]) @ W.T",
        "test_robustness.py::test_gain_predicts_the_spread_of_outputs",
    ),
    "silent neurons are still read out": Fault(
        "lib/analysis/perturbations.py",
        "network.decoders * keep[:, None]",
        "network.decoders",
        "test_robustness.py::test_silent_neurons_can_be_cut_out",
    ),
    "the floor of the error forgets how often an order occurs": Fault(
        "lib/theory/linear/channels.py",
        "(rest.square().sum() / (p + 1)).item()",
        "rest.square().sum().item()",
        "test_linear_channels.py::test_the_floor_by_hand",
    ),
    "the angle between the best subspace and the leading vectors is its cosine": Fault(
        "lib/analysis/subspaces.py",
        "torch.linalg.svdvals(best - left @ (left.T @ best))",
        "torch.linalg.svdvals(left.T @ best)",
        "test_coordinates.py::test_bounds_of_the_printed_ratio_by_hand",
    ),
    "a term of the proxy loss's gradient is missing": Fault(
        "lib/theory/relu/two_point.py",
        "thin_matmul(W.mT, r)) - gamma * r",
        "thin_matmul(W.mT, r))",
        "test_relu_two_point.py::test_gradient_is_that_of_autograd",
    ),
    "a neuron that changes sign is still masked as before": Fault(
        "lib/theory/relu/null_start.py",
        "own = both[:, SETS:].sign()",
        "own = 0 * both[:, SETS:]",
        "test_relu_null_start.py::test_training_in_the_small_space_is_training",
    ),
    "the step function is missing in a mixed second derivative": Fault(
        "lib/theory/relu/hessian.py",
        '"...jz,...ikz,z,...l->...ijkl", a, HW, z, e)',
        '"...jz,...ik,z,...l->...ijkl", a, W, z, e)',
        "test_relu_hessian.py::test_hessian_is_that_of_autograd_at_any_weights",
    ),
    "W for its transpose, forward": Fault(
        "lib/model/network.py", "nu.addmm_(h, W.T)", "nu.addmm_(h, W)", "test_networks.py::test_forward_is_the_loop"
    ),
    "W for its transpose, image of the encoders": Fault(
        "lib/model/network.py", "WE = W @ E  # n x D", "WE = W.T @ E", "test_networks.py::test_one_network_in_numbers"
    ),
    "f before W": Fault(
        "lib/model/network.py",
        "nu = x[..., t, :] @ WE.mT  # B x n",
        "nu = x[..., t, :] @ E.mT",
        "test_networks.py::test_one_network_in_numbers",
    ),
    "W for its transpose, written-out gradient": Fault(
        "lib/fast/bptt.py",
        "gemm.addmm(delta, nu[t + 1], W)",
        "gemm.addmm(delta, nu[t + 1], W.T)",
        "test_fast.py::test_outputs",
    ),
    "W for its transpose, unrolled network": Fault(
        "lib/fast/bptt.py",
        "gemm.addmm(nu[t], h[t - 1], W.T)",
        "gemm.addmm(nu[t], h[t - 1], W)",
        "test_fast.py::test_outputs",
    ),
    "neurons that change within a block pass nothing back": Fault(
        "lib/fast/sectors.py",
        "of_generators[k][:, mixed] = self.z[span].T @ currents",
        "pass",
        "test_fast.py::test_outputs",
    ),
    "outputs in the order of the cones": Fault(
        "lib/fast/__init__.py",
        "torch.empty_like(y).index_copy_(1, order, y)",
        "y",
        "test_fast.py::test_outputs",
    ),
    "a neuron without any current is off": Fault(
        "lib/fast/sectors.py",
        "alpha=activation.slope_at_zero",
        "alpha=0.0",
        "test_fast.py::test_the_null_start",
    ),
    "a sector of more than half a turn is trusted": Fault(
        "lib/fast/sectors.py",
        "(turn.abs() < math.pi - 1e-3)",
        "(turn.abs() < 9.0)",
        "test_fast.py::test_a_sector_of_more_than_half_a_turn",
    ),
    "a half line is missing in the gradient": Fault(
        "lib/fast/bptt.py",
        "dF += first.z @ currents",
        "dF += first.z[:1] @ currents[:1]",
        "test_fast.py::test_outputs",
    ),
    "first states that few stand for pass back only to themselves": Fault(
        "lib/fast/bptt.py",
        "dends += dimage @ W",
        "dends += 0 * dimage @ W",
        "test_fast.py::test_outputs",
    ),
    "the rectifier has slope 1 at zero": Fault(
        "lib/model/activations.py",
        "torch.heaviside(currents.detach(), currents.new_full((), at_zero))",
        "torch.heaviside(currents.detach(), currents.new_full((), 1.0))",
        "test_activations.py::test_rectifier_has_slope_one_half_at_zero",
    ),
    "the rectifier has slope 1 at zero, in place": Fault(
        "lib/model/activations.py",
        "torch.sign(currents, out=currents)",
        "currents.copy_(torch.where(currents >= 0, 1.0, -1.0))",
        "test_fast.py::test_the_null_start",
    ),
    "the newest input does not decay": Fault(
        "lib/model/signals.py",
        "gamma ** (lags.clamp_min(0) + 1)",
        "gamma ** lags.clamp_min(0)",
        "test_signals.py::test_integral_by_hand",
    ),
    "bursts too close": Fault(
        "lib/model/signals.py",
        "start - last >= duration + refractory",
        "start - last >= duration",
        "test_signals.py::test_bursts_are_their_transcription",
    ),
    "points of the net without their quantile": Fault(
        "lib/training/samplers.py",
        "torch.special.ndtri(points + cell / 2)",
        "(points + cell / 2)",
        "test_samplers.py::test_marginals_are_white_noise",
    ),
    "batches drawn ahead leave the generator ahead": Fault(
        "lib/training/samplers.py",
        "        self.generator.set_state(self._state)\n",
        "",
        "test_samplers.py::test_batches_drawn_ahead_are_those_of_single_draws",
    ),
    "a factor 2 in the loss": Fault(
        "lib/training/losses.py",
        "return errors.sum(dim=-1) / len(targets)",
        "return errors.sum(dim=-1) / (2 * len(targets))",
        "test_losses.py::test_batch_loss_by_hand",
    ),
    "the loss averages over steps, not over sequences": Fault(
        "lib/training/losses.py",
        "return errors.sum(dim=-1) / len(targets)",
        "return errors.sum(dim=-1) / targets.shape[1]",
        "test_losses.py::test_batch_loss_by_hand",
    ),
    "the loss is normalised by another power of T": Fault(
        "lib/training/losses.py",
        "(s**2 * task.T**3)",
        "(s**2 * task.T**2)",
        "test_losses.py::test_the_authors_normalisation_is_their_mean",
    ),
    "labels of two populations exchanged": Fault(
        "lib/analysis/representation.py",
        "(L_plus > threshold).long() + 2 * (L_minus > threshold).long()",
        "(L_minus > threshold).long() + 2 * (L_plus > threshold).long()",
        "test_analysis.py::test_populations_have_the_right_names",
    ),
    "the bound without decay": Fault(
        "lib/theory/relu/rank_one.py",
        "(2 * gamma * _relative(encoder, decoder, s).clamp_min(1.0))",
        "(2 * _relative(encoder, decoder, s).clamp_min(1.0))",
        "test_relu_rank_one.py::test_the_integrator_meets_the_conditions_and_no_bound_is_broken",
    ),
    "the sharp bound with the wrong end of the angle": Fault(
        "lib/theory/relu/rank_one.py",
        "cosine = (2 * s - c + 2 * q * x.sqrt())",
        "cosine = (2 * s + c + 2 * q * x.sqrt())",
        "test_relu_rank_one.py::test_the_bound_is_that_of_a_search_over_left_vectors",
    ),
    "encoder for decoder beside the left vector": Fault(
        "lib/analysis/subspaces.py",
        "l_d=(l.mT @ d)",
        "l_d=(l.mT @ e)",
        "test_relu_rank_one.py::test_leading_vectors_of_a_rank_one_network",
    ),
    "parallel for total in the ratio": Fault(
        "lib/analysis/representation.py",
        "code=(outside.norm() / nu.norm()).item()",
        "code=(outside.norm() / inside.norm()).item()",
        "test_analysis.py::test_code_takes_the_total_below_and_mean_norms_the_parallel_part",
    ),
    "right for left singular vectors": Fault(
        "lib/analysis/subspaces.py",
        "torch.linalg.svd(W.detach().double()).U[:, :k]",
        "torch.linalg.svd(W.detach().double()).Vh.T[:, :k]",
        "test_analysis.py::test_left_not_right_singular_vectors",
    ),
    "the factor 2 of the Hessian is missing": Fault(
        "lib/theory/linear/curvature.py",
        "return 2**0.5 * root.mT @ slopes",
        "return root.mT @ slopes",
        "test_linear_curvature.py::test_hessian_is_twice_what_is_printed",
    ),
    "left and right eigenvector exchanged": Fault(
        "lib/theory/linear/manifolds.py",
        "right[..., :, None] * left[..., None, :]",
        "left[..., :, None] * right[..., None, :]",
        "test_linear_manifolds.py::test_matrix_has_the_eigenvalues_and_eigenvectors_of_its_coordinates",
    ),
    "the scale of the curve forgets the encoder": Fault(
        "lib/theory/linear/manifolds.py",
        "u = s[..., None] * right - _dot(self.decoder, right)[..., None] * self.encoder",
        "u = s[..., None] * right - _dot(self.decoder, right)[..., None] * self.decoder",
        "test_linear_manifolds.py::test_integrators_of_one_scale",
    ),
    "W for its transpose, proxy loss from few points": Fault(
        "lib/fast/interpolation.py",
        "torch.mm(H, W.T)",
        "torch.mm(H, W)",
        "test_fast.py::test_proxy",
    ),
    "the mean of the currents' residuals forgets what they should be": Fault(
        "lib/fast/moments.py",
        "K = gemm.mm(W, gram(H) / P) - F.T @ X",
        "K = gemm.mm(W, gram(H) / P)",
        "test_fast.py::test_proxy",
    ),
    "W W' for W' W on the way back": Fault(
        "lib/fast/moments.py",
        "M = gram(W)",
        "M = gram(W.T)",
        "test_fast.py::test_proxy",
    ),
    "a cross turned around": Fault(
        "lib/fast/cross.py",
        "torch.linalg.inv(self._references(self.z))",
        "torch.linalg.inv(self._references(self.z)).T",
        "test_cross.py::test_states_at_all_points_follow_from_those_at_few",
    ),
    "a cross that is never renewed": Fault(
        "lib/fast/cross.py",
        "return functions if right else None",
        "return functions",
        "test_cross.py::test_a_cross_serves_until_states_leave_its_span",
    ),
    "neurons that stand for themselves do not learn": Fault(
        "lib/fast/cross.py",
        "network.activation(torch.mm(z, F[:, exact]))",
        "network.activation(torch.mm(z, F[:, exact])).detach()",
        "test_fast.py::test_proxy",
    ),
    "an interpolation for another activation serves": Fault(
        "lib/fast/interpolation.py",
        "return (type(f), *numbers, *tensors, W.dtype, W.device)",
        "return (type(f), W.dtype, W.device)",
        "test_fast.py::test_identity",
    ),
    "buffers are handed to two": Fault(
        "lib/fast/buffers.py",
        "self._free.pop() if self._free",
        "self._free[-1] if self._free",
        "test_fast.py::test_losses_add_up",
    ),
    "an interpolation that is never renewed": Fault(
        "lib/fast/interpolation.py",
        "and gain <= old.largest and",
        "and",
        "test_proxies.py::test_an_interpolation_serves_until_the_currents_have_outgrown_it",
    ),
    "the authors' weight of the currents is forgotten": Fault(
        "lib/training/losses.py",
        "else (1.0, 1 / n)",
        "else (1.0, 1.0)",
        "test_channel_proxies.py::test_it_is_equation_34_written_out",
    ),
    "all channels decay alike in the proxy loss": Fault(
        "lib/training/losses.py",
        "h @ W.mT, (z * gamma) @ F",
        "h @ W.mT, (z * gamma[0]) @ F",
        "test_channel_proxies.py::test_it_is_equation_34_written_out",
    ),
    "R for its transpose": Fault(
        "lib/analysis/subspaces.py",
        "vectors.detach().double() @ matrix.double()",
        "vectors.detach().double() @ matrix.double().T",
        "test_coordinates.py::test_selectivity_of_a_network_whose_currents_are_exact",
    ),
    "Table 1 takes Sobol points where there are the authors' own": Fault(
        "companion/table_one.py",
        "groups(FAST, book=book) | groups(AUTHORS, book=book)",
        "groups(AUTHORS, book=book) | groups(FAST, book=book)",
        "test_table_one.py::test_networks_on_other_points_stand_in_where_there_are_no_others",
    ),
    "the spread of Table 1 is that of a sample": Fault(
        "companion/table_one.py",
        ".to_numpy().std().item()",
        ".to_numpy().std(ddof=1).item()",
        "test_table_one.py::test_a_cell_of_its_networks",
    ),
    "neurons count as selective within the cosine of the angle, not its square": Fault(
        "lib/analysis/selectivity.py",
        "math.cos(_radians(degrees)) ** 2",
        "math.cos(_radians(degrees))",
        "test_selectivity.py::test_axis_share_is_the_angle_to_the_nearest_axis",
    ),
    "chance directions in one dimension too many": Fault(
        "lib/analysis/selectivity.py",
        "betainc((D - 1) / 2, 0.5",
        "betainc(D / 2, 0.5",
        "test_selectivity.py::test_chance_is_what_even_directions_give",
    ),
    "rows instead of columns obey Dale's law": Fault(
        "lib/training/dale.py",
        "(W * signs).clamp_min(0) * signs",
        "((W.T * signs).clamp_min(0) * signs).T",
        "test_dale.py::test_wrong_signs_become_zero",
    ),
    "all pairs of a clamped matrix as strong": Fault(
        "lib/theory/dale.py",
        "(4 * m.square() - 1)",
        "(4 * m - 1)",
        "test_clamping.py::test_unsigned_part_has_the_spectrum_of_the_series",
    ),
    "the cue is read the other way round": Fault(
        "lib/training/readout.py",
        "torch.where(cue < 0, y0, y1)",
        "torch.where(cue < 0, y1, y0)",
        "test_heads.py::test_targets_by_hand",
    ),
    "a third clear integral is asked for nowhere": Fault(
        "lib/training/readout.py",
        "large.all(dim=-1).sum()",
        "large.any(dim=-1).sum()",
        "test_heads.py::test_sums_of_functions_of_one_integral_stay_below_the_limit",
    ),
    "on the sheet the integrals are not divided by decay and scale": Fault(
        "lib/model/ideal_population.py",
        "z = y / (s * gamma)",
        "z = y / gamma",
        "test_sheets.py::test_an_exact_integrator_is_on_its_sheet",
    ),
    "single neurons keep their weakest channel": Fault(
        "lib/model/ideal_population.py",
        ".argmax(dim=1, keepdim=True)",
        ".argmin(dim=1, keepdim=True)",
        "test_sheets.py::test_single_neurons_keep_their_largest_image",
    ),
    "the best weights are not put back": Fault(
        "lib/training/early_stopping.py",
        "p.copy_(torch.where(_rows(mask, p), self.best[name], p))",
        "pass",
        "test_training.py::test_the_best_snapshot_is_put_back_if_the_end_is_worse",
    ),
    "W for its transpose, small networks": Fault(
        "lib/theory/linear/sweep.py",
        "(images[:, a, :k], self.W.mT, images[:, b, :k])",
        "(images[:, a, :k], self.W, images[:, b, :k])",
        "test_linear_sweep.py::test_loss_and_gradient_are_those_of_autograd",
    ),
    "the mirror leaves out the transposition": Fault(
        "lib/theory/linear/slow_manifold.py",
        "return S @ W.mT @ S",
        "return S @ W @ S",
        "test_linear_slow_manifold.py::test_mirror_keeps_moments_and_is_its_own_inverse",
    ),
    "the fast direction stays where it is": Fault(
        "lib/theory/linear/slow_manifold.py",
        "A = bb - ab.square() / aa",
        "A = bb",
        "test_linear_slow_manifold.py::test_stiffness_is_the_curvature_of_the_valley",
    ),
    "encoders before decoders": Fault(
        "lib/theory/linear/reduced.py",
        "v = torch.cat([decoders, encoders], dim=-1)",
        "v = torch.cat([encoders, decoders], dim=-1)",
        "test_linear_descent.py::test_basis_is_orthonormal_and_spans_decoders_and_encoders",
    ),
    "W for its transpose, networks side by side": Fault(
        "lib/fast/side_by_side.py",
        "delta.baddbmm_(nu[t + 1], W)",
        "delta.baddbmm_(nu[t + 1], W.mT)",
        "test_together.py::test_the_written_out_gradient_is_that_of_autograd",
    ),
    "a network that has stopped learns on": Fault(
        "lib/training/early_stopping.py",
        "p.copy_(torch.where(_rows(self.alive, p), p, before[name]))",
        "pass",
        "test_together.py::test_training_is_that_of_each",
    ),
    "a stop is not seen where the losses are": Fault(
        "lib/training/early_stopping.py",
        "self._goes = self.alive & ~(loss <= self._stop)",
        "self._goes = self.alive",
        "test_training.py::test_losses_that_are_read_later_stop_at_the_same_step",
    ),
    "a resumed training forgets its random numbers": Fault(
        "lib/training/checkpoints.py",
        "generator.set_state(states[k])",
        "pass",
        "test_checkpoints.py::test_interrupted_anywhere_it_continues_bit_for_bit",
    ),
    "words of W alone, without its transpose": Fault(
        "lib/theory/linear/krylov.py",
        "torch.cat([W @ level, W.mT @ level], dim=-1)",
        "torch.cat([W @ level, W @ level], dim=-1)",
        "test_linear_krylov.py::test_basis_is_orthonormal_and_holds_the_words",
    ),
    "the slope of the descent polynomial lacks a power of k": Fault(
        "lib/theory/linear/special_cases.py",
        "(k**2 * (task.T + 1 - k)",
        "(k * (task.T + 1 - k)",
        "test_linear_special_cases.py::test_the_slope_is_the_derivative_of_the_polynomial",
    ),
    "readers without the scales": Fault(
        "lib/theory/linear/channels.py",
        "torch.cat([torch.diag(S), one], dim=-1)",
        "torch.cat([one, one], dim=-1)",
        "test_linear_channels.py::test_the_three_conditions",
    ),
    "D neurons are enough for D channels": Fault(
        "lib/theory/linear/channels.py",
        "return task.D + _rank(_defect(encoders, decoders, task))",
        "return task.D",
        "test_linear_channels.py::test_it_exists_from_the_minimal_number_of_neurons",
    ),
    "W for its transpose, gradient of the averaged loss": Fault(
        "lib/theory/linear/loss.py",
        "krylov_vectors(W.mT, decoders, task.T)",
        "krylov_vectors(W, decoders, task.T)",
        "test_linear_loss.py::test_gradient_is_that_of_autograd",
    ),
    "the Hessian without second derivatives of moments": Fault(
        "lib/theory/linear/hessian.py",
        "for b in range(task.T - 1):",
        "for b in range(0):",
        "test_linear_hessian.py::test_hessian_is_that_of_autograd",
    ),
    "the Hessian without its factor 2": Fault(
        "lib/theory/linear/hessian.py",
        'return 2 * torch.einsum("...qabij',
        'return torch.einsum("...qabij',
        "test_linear_hessian.py::test_hessian_is_that_of_autograd",
    ),
    "sums of weights without the nilpotent part": Fault(
        "lib/theory/linear/spectrum.py",
        "violations.append(np.abs(weights[1:]).max(initial=0.0))",
        "pass",
        "test_linear_spectrum.py::test_a_defective_eigenvalue_counts_though_its_weights_add_up_to_nothing",
    ),
    "the fit forgets that an integral decays before it is read": Fault(
        "lib/analysis/identification.py",
        "orders = torch.arange(1, K + 1).to(m)",
        "orders = torch.arange(K).to(m)",
        "test_diagnosis.py::test_fits_find_what_was_put_in",
    ),
    "the sign of a scale is left in the conditions": Fault(
        "lib/analysis/conditions.py",
        "Z = network.decoders * signs",
        "Z = network.decoders * signs.abs()",
        "test_diagnosis.py::test_signs_growth_silence_and_mixing_are_told",
    ),
    "the header of a file is believed": Fault(
        "lib/model/files.py",
        "or ends[-1] != room:",
        "or False:",
        "test_weights.py::test_bombs_are_refused_before_memory_is_taken",
    ),
    "the offset of a read-out is lost": Fault(
        "lib/model/torch_rnn.py",
        "[readout, (offset / activation",
        "[readout, (0 * offset / activation",
        "test_weights.py::test_embedding_is_the_recursion",
    ),
    "nobody looks far ahead": Fault(
        "lib/theory/linear/conditions.py",
        "power, q = power @ power, 2 * q",
        "power, q = power, 2 * furthest",
        "test_linear_conditions.py::test_a_mode_that_is_too_weak_to_be_seen_but_grows",
    ),
}


NONE = "no fault"
ALL_TESTS = sorted({fault.noticed_by for fault in FAULTS.values()})


class Outcome(NamedTuple):
    """How pytest ended on a copy."""

    code: int  # 0 if all tests pass, 1 if one fails
    output: str


def copied(folder: Path, fault: Fault | None) -> Path:
    """A copy of the package, with one fault, and of the tests that are run on it."""
    for package in ("lib", "companion"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    shared = {"conftest.py", "equations.py", "integrators.py", "browsing.py", "building.py"}
    for name in shared | {test.split("::")[0] for test in ALL_TESTS}:
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    (folder / "pytest.ini").write_text(PYTEST_INI)
    if fault is not None:
        path = folder / fault.file
        source = path.read_text()
        assert source.count(fault.right) == 1, f"{fault.file} must contain {fault.right!r} once"
        path.write_text(source.replace(fault.right, fault.wrong))
    return folder


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What becomes of the tests under every fault, and under none."""
    jobs = {NONE: (copied(tmp_path_factory.mktemp("copy"), None), ALL_TESTS)}
    for name, fault in FAULTS.items():
        jobs[name] = copied(tmp_path_factory.mktemp("copy"), fault), [fault.noticed_by]
    request = {name: (str(folder), [f"tests/{test}" for test in tests]) for name, (folder, tests) in jobs.items()}
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # no threads to be forked
    environment = os.environ | one | {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(request), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout)
    return {name: Outcome(codes[name], (folder / "output").read_text()) for name, (folder, _) in jobs.items()}


def test_without_a_fault_all_pass(outcomes):
    assert outcomes[NONE].code == 0, outcomes[NONE].output


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name, outcomes):
    assert outcomes[name].code == 1, outcomes[name].output
    assert "1 failed" in outcomes[name].output
