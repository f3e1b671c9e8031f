"""Files that a notebook leaves beside its records when it runs in a sweep; by hand, nothing is written.

A sweep (`companion.batch`) tells each run its folder through the environment variable `LIB_RUN`, and a folder for
what should
survive an interruption through `LIB_CHECKPOINTS`.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np


def run_folder() -> Path | None:
    """Folder of this run, None outside a sweep. What is in it when the run ends stays with its record."""
    return Path(os.environ["LIB_RUN"]) if os.environ.get("LIB_RUN") else None


def checkpoint(name: str = "training") -> Path | None:
    """File in which a training can save its state, None outside a sweep.

    If the run is killed and repeated, the file is the same, so the training goes on where it was. It is deleted when
    the run has ended well.
    """
    folder = os.environ.get("LIB_CHECKPOINTS")
    if not folder or not name.isidentifier():
        if not name.isidentifier():
            raise ValueError(f"expected a name of letters, digits and underscores, got {name!r}")
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder) / f"{name}.checkpoint"


def keep_arrays(**arrays: Any) -> None:
    """Keep arrays, or tensors, that a figure over many runs needs, as `arrays.npz` in the folder of the run.

    Raises:
        ValueError: something that is not an array of numbers or truth values, or a second call in the same run.
    """
    folder = run_folder()
    plain = {name: np.asarray(a.detach().cpu() if hasattr(a, "detach") else a) for name, a in arrays.items()}
    for name, array in plain.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name}: expected an array of numbers, got {array.dtype}")
    if folder is None:
        return
    path = folder / "arrays.npz"
    if path.exists():
        raise ValueError("arrays are kept once in a run; give all of them to one call")
    np.savez_compressed(path, allow_pickle=False, **plain)
