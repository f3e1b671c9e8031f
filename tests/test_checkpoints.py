"""Checkpoints: bit-for-bit continuation, and every way in which a file or a disk can be bad."""

import errno
import json
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from lib.model.activations import Sigmoid
from lib.model.atomic import write_atomically
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.checkpoints import FORMAT
from lib.training.loop import Training, train
from lib.training.losses import BatchLoss
from lib.training.samplers import sampler

N_STEPS = 12


class Interruption(Exception):
    """Stands for whatever stops a process."""


def parts(name="sobol", seed=0, n=8, dtype=torch.float64, trained=("W", "decoders"), activation=None):
    """A fresh network and sampler, as a new process would make them."""
    g = torch.Generator().manual_seed(seed)
    network = Integrator.random(n, 1, generator=g, radius=0.5, trained=trained, dtype=dtype, activation=activation)
    return network, sampler(name, 16, 3, generator=g, dtype=dtype)


def settings(optimiser="sgd", n_steps=N_STEPS, **options):
    return Training(n_steps=n_steps, lr=0.05, optimiser=optimiser, **({"checkpoint_every": 3} | options))


def go(network, draw, training, checkpoint=None):
    return train(network, draw, BatchLoss(Task(0.9, T=3)), training, checkpoint=checkpoint)


def interrupted_at(call, draw):
    """The sampler, raising at its `call`-th call."""

    class Stopping(type(draw)):
        calls = 0

        def draw(self):
            self.calls += 1
            if self.calls > call:
                raise Interruption
            return super().draw()

    draw.__class__ = Stopping
    return draw


def state(network, draw):
    return [p.detach().clone() for p in network.parameters()] + [draw.generator.get_state()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# Continuation


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["sobol", "monte-carlo"])
def test_interrupted_anywhere_it_continues_bit_for_bit(optimiser, name, tmp_path):
    network, draw = parts(name)
    history = go(network, draw, settings(optimiser))
    expected = state(network, draw)
    for step in range(N_STEPS):
        path = tmp_path / f"{step}"
        other, stopping = parts(name)
        with pytest.raises(Interruption):
            go(other, interrupted_at(step, stopping), settings(optimiser), path)
        assert path.exists() == (step >= 3)
        resumed, draw = parts(name)
        again = go(resumed, draw, settings(optimiser), path)
        assert torch.equal(again.losses, history.losses)
        assert again[1:] == history[1:]
        assert same(state(resumed, draw), expected)


def test_saving_does_not_disturb(tmp_path):
    plain, saved = parts(), parts()
    assert torch.equal(
        go(*plain, settings()).losses, go(*saved, settings(checkpoint_every=1), tmp_path / "file").losses
    )
    assert same(state(*plain), state(*saved))


def test_trained_thresholds_and_float32(tmp_path):
    options = {"dtype": torch.float32, "trained": ("W", "thresholds")}
    expected, other, resumed = (parts(activation=Sigmoid(5.0, 0.1), **options) for _ in range(3))
    losses = go(*expected, settings("adam")).losses
    go(*other, settings("adam", n_steps=5), tmp_path / "file")
    assert torch.equal(go(*resumed, settings("adam"), tmp_path / "file").losses, losses)
    assert same(state(*resumed), state(*expected))


def test_a_finished_training_can_be_made_longer_and_not_run_twice(tmp_path):
    long, short, again, longer = (parts() for _ in range(4))
    losses = go(*long, settings(n_steps=20)).losses
    go(*short, settings(), tmp_path / "file")
    assert len(go(*again, settings(), tmp_path / "file").losses) == N_STEPS
    assert torch.equal(go(*longer, settings(n_steps=20), tmp_path / "file").losses, losses)
    assert same(state(*longer), state(*long))


def test_a_training_that_reached_its_loss_stays_there(tmp_path):
    first, second = parts(), parts()
    history = go(*first, settings(stop_loss=50.0), tmp_path / "file")
    again = go(*second, settings(stop_loss=50.0), tmp_path / "file")
    assert len(history.losses) == len(again.losses) == 1
    assert history.stopped == again.stopped == "stop_loss"


def test_restoring_the_best_survives_a_resumption(tmp_path):
    """The file holds the last weights and the best ones; the network ends with the best."""
    whole, cut, resumed = (parts("monte-carlo") for _ in range(3))
    history = go(*whole, settings(n_steps=30, snapshot_ratio=1.0))
    assert history.restored
    go(*cut, settings(n_steps=17, snapshot_ratio=1.0), tmp_path / "file")
    assert go(*resumed, settings(n_steps=30, snapshot_ratio=1.0), tmp_path / "file").restored
    assert same(state(*resumed), state(*whole))


def test_a_killed_process_is_resumed(tmp_path):
    """SIGKILL while it trains and saves after every step; what is left on disk continues as if nothing had been."""
    path = tmp_path / "file"
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_checkpoints import Path, go, parts, settings
        path = Path({str(path)!r})
        network, draw = parts()
        class Telling(type(draw)):
            def draw(self):
                if path.exists():
                    print("saved", flush=True)
                return super().draw()
        draw.__class__ = Telling
        go(network, draw, settings("adam", n_steps=10**7, checkpoint_every=1), path)
    """)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(5)]  # blocks until five draws after the first save
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert told == ["saved\n"] * 5
    done = len(load(path.read_bytes())["losses"])
    assert done >= 4
    resumed, whole = parts(), parts()
    again = go(*resumed, settings("adam", n_steps=done + 7), path)
    assert torch.equal(again.losses, go(*whole, settings("adam", n_steps=done + 7)).losses)
    assert same(state(*resumed), state(*whole))


# Files that are bad


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "file"
    go(*parts(), settings("adam"), path)
    return path


def refuses(path, match, training=None, **options):
    """Resuming raises a ValueError and touches neither network nor generator."""
    network, draw = parts(**({"seed": 5} | options))
    before = state(network, draw)
    with pytest.raises(ValueError, match=match):
        go(network, draw, training or settings("adam"), path)
    assert same(state(network, draw), before)


def changed(path, change, metadata=None):
    """Rewrite the file after `change` of its tensors: valid safetensors, but not what was saved."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    tensors = load(content)
    change(tensors)
    path.write_bytes(save(tensors, metadata=header["__metadata__"] | (metadata or {})))


def test_truncated_at_any_length(saved):
    content = saved.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, *range(200, len(content), 997), len(content) - 1]:
        saved.write_bytes(content[:length])
        refuses(saved, "cannot be read")
        assert saved.read_bytes() == content[:length]


@pytest.mark.parametrize("where", [0, 8, 20, 200])
def test_a_damaged_header(saved, where):
    content = bytearray(saved.read_bytes())
    content[where] ^= 0xFF
    saved.write_bytes(bytes(content))
    refuses(saved, "cannot be read|is not a checkpoint|is damaged")


def test_a_damaged_number(saved):
    content = bytearray(saved.read_bytes())
    content[len(content) * 3 // 4] ^= 0x10
    saved.write_bytes(bytes(content))
    refuses(saved, "is damaged")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 4096, pickle.dumps({"W": 1})])
def test_foreign_files(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    refuses(path, "cannot be read")


def test_a_folder_is_no_checkpoint(tmp_path):
    refuses(tmp_path, "cannot be read")


def test_tensors_of_another_program(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(save({"W": torch.zeros(2)}))
    refuses(path, f"is not a checkpoint of this library: expected format {FORMAT}")
    path.write_bytes(save({"losses": torch.zeros(2)}, metadata={"format": "another", "settings": "{}"}))
    refuses(path, "is not a checkpoint of this library")


class Trap:
    """Unpickling it runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_nothing_is_ever_unpickled(tmp_path):
    path, marker = tmp_path / "file", tmp_path / "ran"
    torch.save({"losses": Trap(marker)}, path)
    refuses(path, "cannot be read")
    assert not marker.exists()


def test_a_checkpoint_is_plain_safetensors(saved):
    """Read by hand: length of the header, JSON, numbers."""
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"]["format"] == FORMAT
    begin, end = header["losses"]["data_offsets"]
    losses = struct.unpack(f"<{N_STEPS}d", content[8 + length + begin : 8 + length + end])
    assert list(losses) == go(*parts(), settings("adam")).losses.tolist()


@pytest.mark.parametrize(
    "options", [{"n": 9}, {"trained": ("W",)}, {"trained": ("W", "encoders")}, {"dtype": torch.float32}]
)
def test_another_network(saved, options):
    refuses(saved, "belongs to another network: expected weights", **options)


@pytest.mark.parametrize("changes", [{"lr": 0.06}, {"optimiser": "sgd"}, {"snapshot_ratio": 0.5}])
def test_another_training(saved, changes):
    training = Training(**({"n_steps": N_STEPS, "lr": 0.05, "optimiser": "adam"} | changes))
    refuses(saved, "belongs to another training: expected", training)


def test_settings_that_were_changed(saved):
    for settings in ("{", "{}", json.dumps({"lr": 0.06, "optimiser": "adam", "snapshot_ratio": 0.75})):
        changed(saved, lambda tensors: None, {"settings": settings})
        refuses(saved, "is damaged")


@pytest.mark.parametrize("missing", ["generator/0", "best_loss", "best/W", "optimiser/0/exp_avg"])
def test_a_part_is_missing(saved, missing):
    changed(saved, lambda tensors: tensors.pop(missing))
    refuses(saved, "is damaged")


@pytest.mark.parametrize("part", ["generator/0", "best/W", "optimiser/0/exp_avg"])
def test_a_part_of_another_size(saved, part):
    changed(saved, lambda tensors: tensors.update({part: tensors[part].flatten()[:-1].clone()}))
    refuses(saved, "is damaged")


def test_a_sampler_without_a_generator_does_not_continue_one_that_has_it(saved, tmp_path):
    network, draw = parts()
    x = draw()
    with pytest.raises(ValueError, match="expected generators of samplers none, found 0"):
        train(network, lambda: x, BatchLoss(Task(0.9, T=3)), settings("adam"), checkpoint=saved)
    other = tmp_path / "other"
    train(network, lambda: x, BatchLoss(Task(0.9, T=3)), settings("adam"), checkpoint=other)
    refuses(other, "expected generators of samplers 0, found none")


# Disks that are bad


def folder(path):
    return sorted(entry.name for entry in path.parent.iterdir())


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    replaced = []

    def replace(source, target, plain=os.replace):
        replaced.append((Path(source).parent, Path(source).read_bytes(), Path(target)))
        assert path.read_bytes() == b"old"
        plain(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_atomically(path, b"new")
    assert replaced == [(tmp_path, b"new", path)]
    assert path.read_bytes() == b"new"
    assert folder(path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(saved, monkeypatch, call):
    old = saved.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match=f"cannot write {saved}: No space left on device") as caught:
        go(*parts(), settings("adam", n_steps=20), saved)
    assert caught.value.errno == errno.ENOSPC
    assert saved.read_bytes() == old
    assert folder(saved) == ["file"]


def test_a_write_cut_short_leaves_the_old_file(tmp_path):
    """A real one: the kernel refuses to let the file grow beyond 1000 bytes."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="cannot write .*File too large"):
            write_atomically(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert folder(path) == ["file"]


def test_an_interruption_while_writing_leaves_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert folder(path) == ["file"]


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "nowhere" / "file"
    with pytest.raises(FileNotFoundError, match=f"cannot write to the folder of {path}: No such file"):
        write_atomically(path, b"new")
