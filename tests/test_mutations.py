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
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
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
    "W for its transpose, forward": Fault(
        "networks.py", "nu.addmm_(h, W.T)", "nu.addmm_(h, W)", "test_networks.py::test_forward_is_the_loop"
    ),
    "W for its transpose, image of the encoders": Fault(
        "networks.py", "WE = W @ E  # n x D", "WE = W.T @ E", "test_networks.py::test_one_network_in_numbers"
    ),
    "f before W": Fault(
        "networks.py",
        "            nu = x[:, t] @ WE.T  # B x n",
        "            nu = x[:, t] @ E.T",
        "test_networks.py::test_one_network_in_numbers",
    ),
    "W for its transpose, written-out gradient": Fault(
        "unrolled.py",
        "delta.addmm_(nu[t + 1], W)",
        "delta.addmm_(nu[t + 1], W.T)",
        "test_unrolled.py::test_gradient_is_that_of_autograd",
    ),
    "W for its transpose, unrolled network": Fault(
        "unrolled.py",
        "nu[t].addmm_(h[t - 1], W.T)",
        "nu[t].addmm_(h[t - 1], W)",
        "test_unrolled.py::test_gradient_is_that_of_autograd",
    ),
    "neurons that change within a block pass nothing back": Fault(
        "cones.py",
        "dgain[:, mixed] = plane[:, span] @ currents",
        "pass",
        "test_cones.py::test_outputs_and_gradient_are_those_of_autograd",
    ),
    "outputs in the order of the cones": Fault(
        "cones.py",
        "torch.empty_like(y).index_copy_(1, order, y)",
        "y",
        "test_cones.py::test_sequences_in_another_order_have_their_outputs_in_that_order",
    ),
    "a neuron without any current is off": Fault(
        "cones.py",
        "add_(null, alpha=0.5)",
        "add_(null, alpha=0.0)",
        "test_cones.py::test_gradient_at_the_null_start",
    ),
    "a half line is missing in the gradient": Fault(
        "unrolled.py",
        "-activation.derivative(-F)])",
        "0 * activation.derivative(-F)])",
        "test_unrolled.py::test_gradient_at_the_null_start",
    ),
    "the rectifier has slope 1 at zero": Fault(
        "activations.py",
        "torch.heaviside(currents.detach(), currents.new_full((), 0.5))",
        "torch.heaviside(currents.detach(), currents.new_full((), 1.0))",
        "test_activations.py::test_rectifier_has_slope_one_half_at_zero",
    ),
    "the rectifier has slope 1 at zero, in place": Fault(
        "activations.py",
        "torch.sign(currents, out=currents)",
        "currents.copy_(torch.where(currents >= 0, 1.0, -1.0))",
        "test_unrolled.py::test_gradient_with_currents_that_are_exactly_zero",
    ),
    "the newest input does not decay": Fault(
        "signals.py",
        "gamma ** (lags.clamp_min(0) + 1)",
        "gamma ** lags.clamp_min(0)",
        "test_signals.py::test_integral_by_hand",
    ),
    "bursts too close": Fault(
        "signals.py",
        "start - last >= duration + refractory",
        "start - last >= duration",
        "test_signals.py::test_bursts_are_their_transcription",
    ),
    "points of the net without their quantile": Fault(
        "samplers.py",
        "torch.special.ndtri(points + cell / 2)",
        "(points + cell / 2)",
        "test_samplers.py::test_marginals_are_white_noise",
    ),
    "a factor 2 in the loss": Fault(
        "losses.py",
        "return errors.sum() / len(outputs)",
        "return errors.sum() / (2 * len(outputs))",
        "test_losses.py::test_batch_loss_by_hand",
    ),
    "the loss averages over steps, not over sequences": Fault(
        "losses.py",
        "return errors.sum() / len(outputs)",
        "return errors.sum() / outputs.shape[1]",
        "test_losses.py::test_batch_loss_by_hand",
    ),
    "the loss is normalised by another power of T": Fault(
        "losses.py",
        "(s**2 * task.T**3)",
        "(s**2 * task.T**2)",
        "test_losses.py::test_the_authors_normalisation_is_their_mean",
    ),
    "labels of two populations exchanged": Fault(
        "analysis.py",
        "(L_plus > threshold).long() + 2 * (L_minus > threshold).long()",
        "(L_minus > threshold).long() + 2 * (L_plus > threshold).long()",
        "test_analysis.py::test_populations_have_the_right_names",
    ),
    "parallel for total in the ratio": Fault(
        "analysis.py",
        "code=(outside.square().mean().sqrt() / total).item()",
        "code=(inside.square().sum() / nu.numel()).sqrt().div(total).item()",
        "test_analysis.py::test_code_takes_the_total_below_and_mean_norms_the_parallel_part",
    ),
    "right for left singular vectors": Fault(
        "analysis.py",
        "torch.linalg.svd(W).U[:, :D]",
        "torch.linalg.svd(W).Vh.T[:, :D]",
        "test_analysis.py::test_left_not_right_singular_vectors",
    ),
    "the authors' weight of the currents is forgotten": Fault(
        "proxies.py",
        "else (1.0, 1 / n)",
        "else (1.0, 1.0)",
        "test_channel_proxies.py::test_it_is_equation_34_written_out",
    ),
    "all channels decay alike in the proxy loss": Fault(
        "losses.py",
        "h @ W.T - (z * gamma) @ F",
        "h @ W.T - (z * gamma[0]) @ F",
        "test_channel_proxies.py::test_it_is_equation_34_written_out",
    ),
    "R for its transpose": Fault(
        "coordinates.py",
        "vectors.detach().double() @ matrix.double()",
        "vectors.detach().double() @ matrix.double().T",
        "test_coordinates.py::test_selectivity_of_a_network_whose_currents_are_exact",
    ),
    "rows instead of columns obey Dale's law": Fault(
        "dale.py",
        "W.copy_((W * signs).clamp_min_(0).mul_(signs))",
        "W.copy_((W.T * signs).clamp_min_(0).mul_(signs).T)",
        "test_dale.py::test_wrong_signs_become_zero",
    ),
    "the cue is read the other way round": Fault(
        "heads.py",
        "torch.where(cue < 0, y0, y1)",
        "torch.where(cue < 0, y1, y0)",
        "test_heads.py::test_targets_by_hand",
    ),
    "the best weights are not put back": Fault(
        "training.py",
        "    if restored:\n        _restore(weights, run.best)",
        "    if restored:\n        pass",
        "test_training.py::test_the_best_snapshot_is_put_back_if_the_end_is_worse",
    ),
    "a resumed training forgets its random numbers": Fault(
        "checkpoints.py",
        'generator.set_state(tensors["generator"])',
        "pass",
        "test_checkpoints.py::test_interrupted_anywhere_it_continues_bit_for_bit",
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
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    for name in {"conftest.py", "equations.py"} | {test.split("::")[0] for test in ALL_TESTS}:
        shutil.copy(ROOT / "tests" / name, folder / "tests")
    (folder / "pytest.ini").write_text(PYTEST_INI)
    if fault is not None:
        path = folder / "lib" / fault.file
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
