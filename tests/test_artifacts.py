"""companion.artifacts: nothing is written by hand, and in a sweep everything goes to the folder of the run."""

import numpy as np
import pytest
import torch

from companion.artifacts import checkpoint, keep_arrays, run_folder


def test_by_hand_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.delenv("LIB_RUN", raising=False)
    monkeypatch.delenv("LIB_CHECKPOINTS", raising=False)
    monkeypatch.chdir(tmp_path)
    keep_arrays(a=np.zeros(3))
    assert run_folder() is None and checkpoint() is None and not list(tmp_path.iterdir())


def test_in_a_sweep_arrays_lie_beside_the_record(monkeypatch, tmp_path):
    monkeypatch.setenv("LIB_RUN", str(tmp_path))
    monkeypatch.setenv("LIB_CHECKPOINTS", str(tmp_path / "saved"))
    keep_arrays(a=torch.arange(3.0, requires_grad=True), b=[1, 2], c=np.array([True]))
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].tolist() for name in arrays.files} == {"a": [0, 1, 2], "b": [1, 2], "c": [True]}
    assert run_folder() == tmp_path
    assert checkpoint("first") == tmp_path / "saved" / "first.checkpoint" and (tmp_path / "saved").is_dir()
    with pytest.raises(ValueError, match="kept once in a run"):
        keep_arrays(a=np.zeros(3))


def test_what_is_not_numbers_is_refused():
    with pytest.raises(ValueError, match="a: expected an array of numbers, got <U1"):
        keep_arrays(a=["x"])
    with pytest.raises(ValueError, match="expected a name of letters"):
        checkpoint("../x")
