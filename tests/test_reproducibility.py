"""The same numbers with one thread and with two, and with the instructions of an old processor and of a new one.

A seeded training of 200 neurons and its analysis run in processes of their own, in float64 and in float32. All random
draws are the same bits; sums are taken in another order, and training may amplify what that changes. Largest relative
differences to the first process over all numbers, where this was written: 9e-16 in float64, none in float32. The
tolerances leave room for other libraries of linear algebra.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
SETTINGS = {
    "one thread, the oldest instructions": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default"},
    "two threads, the oldest instructions": {"OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "default"},
    "one thread, AVX2": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "avx2"},
}
PROGRAM = """
    import json
    import torch
    from lib.analysis.representation import current_ratios, fit_states, populations, relative_error, singular_values
    from lib.training.recipes import place, train_integrator
    from lib.model.signals import bursts
    from lib.model.task import Task
    from lib.training.loop import Training

    def measure(dtype):
        g = torch.Generator().manual_seed(0)
        task, here = Task(0.9, T=3), place("cpu", dtype)
        options = {"n": 200, "batch": 64, "sampler": "sobol", "generator": g} | here
        network, history = train_integrator(task, Training(n_steps=200, lr=0.5), **options)
        x = bursts(16, 100, generator=g, dtype=here.dtype)
        ran, targets = network.run(x), task.targets(x)
        lines = fit_states(ran.states, targets[..., 0])
        kinds = populations(lines.positive, lines.negative).bincount(minlength=4)
        ratios = current_ratios(network.W, network.encoders, ran.currents)
        return {
            "draw": x.double().sum().item() + network.encoders.double().abs().sum().item(),
            "first loss": history.losses[0].item(),
            "last loss": history.losses[-1].item(),
            "error": relative_error(ran.outputs, targets)[0].item(),
            "largest singular values": singular_values(network.W)[:2].tolist(),
            "encoder ratio": ratios.encoders,
            "code ratio": ratios.code,
            "largest slopes": [lines.positive.max().item(), lines.negative.max().item()],
            "populations": kinds.tolist(),
        }

    print(json.dumps({"threads": torch.get_num_threads(), "instructions": torch.backends.cpu.get_cpu_capability()}))
    print(json.dumps({dtype: measure(dtype) for dtype in ("float64", "float32")}))
"""


def run(environment):
    """What the program prints under these settings: how it ran, and its numbers."""
    program = textwrap.dedent(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MKL_NUM_THREADS": environment["OMP_NUM_THREADS"], "KMP_BLOCKTIME": "0"} | environment,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def reference():
    return run(SETTINGS["one thread, the oldest instructions"])[1]


def flat(numbers):
    """All numbers in a row."""
    values = [value if isinstance(value, list) else [value] for value in numbers.values()]
    return [number for part in values for number in part]


def test_the_training_that_is_compared_has_learnt(reference):
    for numbers in reference.values():
        assert numbers["last loss"] < 1e-2 * numbers["first loss"]
        assert numbers["error"] < 0.1
        positive, negative = numbers["populations"][1:3]
        assert positive + negative > 150


@pytest.mark.parametrize("name", list(SETTINGS)[1:])
def test_other_threads_and_instructions_give_the_same_numbers(name, reference):
    settings = SETTINGS[name]
    how, numbers = run(settings)
    assert how["threads"] == int(settings["OMP_NUM_THREADS"])
    if settings["ATEN_CPU_CAPABILITY"] == "default":
        assert "AVX" not in how["instructions"]
    for dtype, tolerance in TOLERANCE.items():
        assert flat(numbers[dtype]) == pytest.approx(flat(reference[dtype]), rel=tolerance), dtype
        assert numbers[dtype]["draw"] == pytest.approx(reference[dtype]["draw"], rel=1e-12)
        assert numbers[dtype]["populations"] == reference[dtype]["populations"]


def test_a_second_run_is_the_same_bit_for_bit(reference):
    assert run(SETTINGS["one thread, the oldest instructions"])[1] == reference
