"""Networks from files: what comes back is what was written, and nothing that is wrong gets further than an error."""

import json
import os
import struct

import pytest
import torch
from equations import randn, random_network
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

from lib.model import files
from lib.model.activations import ACTIVATIONS, ReLU, Sigmoid
from lib.model.files import FileError, read_network, write_network
from lib.model.network import Integrator
from lib.model.torch_rnn import Shifted, embed, to_torch

each = pytest.mark.parametrize("name", ["relu", "tanh", "linear", "sigmoid", "softplus"])


def same_outputs(a, b, rng):
    x = randn(3, 6, a.D, rng=rng)
    torch.testing.assert_close(a.run(x).outputs, b.run(x).outputs, rtol=1e-10, atol=1e-10)


def own(n=4, D=1):
    return {"W": torch.ones(n, n), "encoders": torch.ones(n, D), "decoders": torch.ones(n, D)}


def stored(path, tensors, **metadata):
    save_file({name: values.contiguous() for name, values in tensors.items()}, path, metadata or None)
    return path


def built(path, entries, room=b"", length=None):
    """A file with any header."""
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + room)
    return path


def plain(n=5, D=2, rng=None, bias=True, kind="tanh"):
    """A network of PyTorch's, with generic weights in float64."""
    rnn = nn.RNN(D, n, nonlinearity=kind, batch_first=True, bias=bias, dtype=torch.float64)
    both = nn.ModuleDict({"cell": rnn, "out": nn.Linear(n, D, bias=bias, dtype=torch.float64)})
    with torch.no_grad():
        for p in both.parameters():
            p.copy_(randn(*p.shape, rng=rng) / n**0.5)
    return both


@each
@pytest.mark.parametrize("D", [1, 2])
def test_own_weights_come_back(name, D, tmp_path, rng):
    network = random_network(6, D, name, rng)
    write_network(tmp_path / "w", network)
    loaded = read_network(tmp_path / "w")
    assert (loaded.activation, loaded.auxiliary) == (name, 0)
    for part in ("W", "encoders", "decoders"):
        torch.testing.assert_close(getattr(loaded.network, part), getattr(network, part), rtol=0, atol=0)
    same_outputs(loaded.network, network, rng)


def test_a_rectifiers_slope_at_zero_is_kept(tmp_path):
    W = torch.tensor([[0.3, -0.2], [0.7, 0.4]], dtype=torch.float64)
    network = Integrator(W, W[:, :1], W[:, 1:], activation=ReLU(0.7))
    write_network(tmp_path / "w", network)
    assert read_network(tmp_path / "w").network.activation.slope_at_zero == 0.7
    parts = {"W": W, "encoders": W[:, :1].clone(), "decoders": W[:, 1:].clone()}
    save_file(parts, tmp_path / "v", metadata={"activation": "relu", "slope_at_zero": "2"})
    with pytest.raises(FileError, match=r"slope_at_zero must lie in \[0, 1\], got '2'"):
        read_network(tmp_path / "v")


def test_thresholds_of_every_neuron_come_back(tmp_path, rng):
    matrices = (randn(4, 4, rng=rng), randn(4, 1, rng=rng), randn(4, 1, rng=rng))
    network = Integrator(*matrices, activation=Sigmoid(7.0, randn(4, rng=rng)))
    write_network(tmp_path / "w", network)
    same_outputs(read_network(tmp_path / "w").network, network, rng)


def test_an_activation_without_a_name_is_not_written(tmp_path):
    network = Integrator(**own(), activation=torch.sin)
    with pytest.raises(ValueError, match="activation must be one of relu, tanh, linear, sigmoid"):
        write_network(tmp_path / "w", network)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["relu", "tanh"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("D", [1, 2])
def test_a_network_of_pytorch_gives_the_same_outputs(kind, bias, D, tmp_path, rng):
    both = plain(5, D, rng, bias, kind)
    loaded = read_network(stored(tmp_path / "w", both.state_dict(), activation=kind))
    x = randn(4, 7, D, rng=rng)
    expected = both["out"](both["cell"](x)[0]).detach()
    torch.testing.assert_close(loaded.network.run(x).outputs, expected, rtol=1e-9, atol=1e-9)
    assert loaded.auxiliary == (D + 1 if bias else 0)


def test_inputs_outside_of_the_range_of_the_weights_get_neurons_of_their_own(tmp_path, rng):
    both = plain(5, 2, rng, bias=False, kind="relu")
    with torch.no_grad():
        both["cell"].weight_hh_l0[:2] = 0
    loaded = read_network(stored(tmp_path / "w", both.state_dict()), activation="relu")
    x = randn(4, 7, 2, rng=rng)
    expected = both["out"](both["cell"](x)[0]).detach()
    torch.testing.assert_close(loaded.network.run(x).outputs, expected, rtol=1e-10, atol=1e-10)
    assert loaded.auxiliary == 2 and not isinstance(loaded.network.activation, Shifted)
    states = loaded.network.run(x).states
    assert not states[..., 5:].any()


@pytest.mark.parametrize("name", ["relu", "linear"])
def test_embedding_is_the_recursion(name, rng):
    W, A, Z = (randn(*shape, rng=rng) / 2 for shape in ((4, 4), (4, 2), (4, 2)))
    b, o, x, f = randn(4, rng=rng), randn(2, rng=rng), randn(3, 5, 2, rng=rng), ACTIVATIONS[name]()
    h, outputs = torch.zeros(3, 4, dtype=torch.float64), []
    for t in range(5):
        h = f(x[:, t] @ A.T + h @ W.T + b)
        outputs.append(h @ Z + o)
    network = embed(W, A, Z, f, b, o)
    torch.testing.assert_close(network.run(x).outputs, torch.stack(outputs, 1), rtol=1e-12, atol=1e-12)
    assert network.n == 4 + 2 + 1


def test_our_own_networks_survive_the_way_through_pytorch(tmp_path, rng):
    network = random_network(7, 2, "relu", rng)
    peer = to_torch(network)
    tensors = {f"rnn.{k}": v for k, v in peer.rnn.state_dict().items()}
    tensors |= {f"readout.{k}": v for k, v in peer.readout.state_dict().items()}
    loaded = read_network(stored(tmp_path / "w", tensors), activation="relu")
    assert loaded.auxiliary == 0
    same_outputs(loaded.network, network, rng)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_type_is_read_as_float64(dtype, tmp_path):
    tensors = {name: values.to(dtype) for name, values in own().items()}
    assert read_network(stored(tmp_path / "w", tensors, activation="linear")).network.W.dtype == torch.float64


def refused(path, match, **options):
    with pytest.raises(FileError, match=match) as caught:
        read_network(path, **{"activation": "relu", **options})
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


def test_what_is_not_a_file_is_refused(tmp_path):
    file = stored(tmp_path / "file", own())
    refused(tmp_path / "missing", "No such file")
    refused(tmp_path, "is not a file but a folder")
    (tmp_path / "link").symlink_to(file)
    refused(tmp_path / "link", "is a link")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(tmp_path / "loop", "is a link")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a file but a folder, a pipe")
    refused("/dev/zero", "is not a file but a folder, a pipe or a device")
    refused(tmp_path / "nul\0", "cannot be read")


def test_pickles_are_refused_unread(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    for name, zipped in (("zip", True), ("old", False)):
        torch.save({"W": Bomb()}, tmp_path / name, _use_new_zipfile_serialization=zipped)
        refused(tmp_path / name, "looks like a pickle")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"a", b"12345678", b"\x00" * 8, b"\xff" * 64, b"not a network at all"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "w").write_bytes(content)
    refused(tmp_path / "w", "is not safetensors|header")


def test_bombs_are_refused_before_memory_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "load", None)  # the only thing that allocates
    path = tmp_path / "w"
    refused(built(path, b"{}", length=2**63), "is not safetensors, or cut off")
    with path.open("wb") as sparse:
        sparse.write(struct.pack("<Q", 2**30))
        sparse.truncate(2**31)
    refused(path, "has 2147483648 bytes, expected at most 268435456")
    refused(path, "has a header of 1073741824 bytes, expected at most 65536", largest=2**40)
    huge = {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 2**64]}
    refused(built(path, {"W": huge}), "do not fill the 0 bytes")
    refused(built(path, b'{"a":' * 5000 + b"0" + b"}" * 5000), "its header is not JSON")
    refused(built(path, b'{"a": ' + b"9" * 5000 + b"}"), "its header is not JSON")
    stored(path, own(60))
    refused(path, "bytes, expected at most 1000", largest=1000)


ENTRY = {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "entries, match",
    [
        ([], "not a table"),
        (b'{"W": 1, "W": 2}', "occurs twice"),
        (b"\xff\xfe", "not JSON"),
        ({"W": 3}, "does not describe W"),
        ({"W": {}}, "W must have data_offsets, shape and a dtype"),
        ({"W": ENTRY | {"dtype": "I64"}}, "dtype among F16, BF16, F32, F64"),
        ({"W": ENTRY | {"dtype": ["F64"]}}, "does not describe W"),
        ({"W": ENTRY | {"shape": [-1, -1]}}, "vector or a matrix"),
        ({"W": ENTRY | {"shape": [True, 1]}}, "vector or a matrix"),
        ({"W": ENTRY | {"shape": [1, 1, 1]}}, "vector or a matrix"),
        ({"W": ENTRY | {"shape": [0]}}, "vector or a matrix"),
        ({"W": ENTRY | {"shape": [2, 1]}}, "must take 16 bytes, got 0 to 8"),
        ({"W": ENTRY | {"data_offsets": [0, 8, 16]}}, "does not describe W"),
        ({"W": ENTRY | {"data_offsets": ["0", 8]}}, "must take 8 bytes"),
        ({"W": ENTRY | {"data_offsets": [-8, 0]}}, "do not fill the 8 bytes"),
        ({"W": ENTRY, "encoders": ENTRY}, "do not fill the 8 bytes"),
        ({"W": ENTRY, "__metadata__": {"a": 1}}, "metadata that are not texts"),
    ],
)
def test_headers_that_lie_are_refused(entries, match, tmp_path):
    refused(built(tmp_path / "w", entries, bytes(8)), match)


@pytest.mark.parametrize(
    "changes, match",
    [
        ({"W": torch.ones(4, 5)}, r"W must have shape \(4, 4\) for n=4, D=1, got \(4, 5\)"),
        ({"W": torch.ones(4)}, "W must be a matrix"),
        ({"encoders": torch.ones(5, 1)}, r"encoders must have shape \(4, 1\)"),
        ({"decoders": torch.ones(4, 2)}, r"decoders must have shape \(4, 1\)"),
        ({"encoders": torch.ones(4, 5), "decoders": torch.ones(4, 5)}, "a neuron for each, got n=4, D=5"),
        ({"more": torch.ones(1)}, r"unknown \['more'\]"),
        ({"W": torch.full((4, 4), torch.nan)}, "W must be finite, got 16 entries"),
        ({"decoders": torch.full((4, 1), -torch.inf)}, "decoders must be finite, got 4 entries"),
        ({"W": torch.ones(4, 4, dtype=torch.int64)}, "W must have data_offsets, shape and a dtype among"),
        ({"thresholds": torch.ones(4)}, "thresholds belong to sigmoids"),
    ],
)
def test_own_weights_that_do_not_fit_are_refused(changes, match, tmp_path):
    refused(stored(tmp_path / "w", own() | changes), match)


def test_networks_of_pytorch_that_are_not_ours_are_refused(tmp_path, rng):
    path = tmp_path / "w"
    state = plain(5, 2, rng).state_dict()
    cases = [
        ({"cell.weight_ih_l1": torch.ones(5, 5)}, "expected one recurrent layer and its read-out, found also"),
        ({"cell.weight_hh_l0_reverse": torch.ones(5, 5)}, "found also"),
        ({"other.weight": torch.ones(2, 5)}, "a single read-out weight"),
        ({"out.weight": torch.ones(3, 5)}, r"out.weight must have shape \(2, 5\)"),
        ({"cell.bias_hh_l0": torch.ones(4)}, r"cell.bias_hh_l0 must have shape \(5,\)"),
        ({"cell.weight_ih_l0": torch.ones(20, 2), "cell.weight_hh_l0": torch.ones(20, 5)}, "4 gates of a GRU"),
    ]
    for changes, match in cases:
        refused(stored(path, state | changes), match)
    for name in ("cell.weight_hh_l0", "out.weight"):
        refused(stored(path, {k: v for k, v in state.items() if k != name}), "expected")
    refused(stored(path, state), "has no sigmoid", activation="sigmoid")


def test_the_activation_has_to_be_named(tmp_path):
    path = stored(tmp_path / "w", own())
    refused(path, "which activation is it for", activation=None)
    refused(stored(path, own(), activation="<script>"), "activation must be relu, tanh", activation=None)
    refused(stored(path, own(), activation="sigmoid", slope="-inf"), "slope must be a positive number", activation=None)
    assert read_network(stored(path, own(), activation="tanh")).activation == "tanh"
    assert read_network(path, activation="linear").activation == "linear"


GOOD = save(own(), metadata={"activation": "relu"})


@settings(max_examples=60)
@given(
    place=st.integers(0, len(GOOD) - 1),
    piece=st.binary(min_size=0, max_size=12),
    kept=st.integers(0, len(GOOD)),
    replaced=st.booleans(),
)
def test_a_damaged_file_is_read_or_refused_but_nothing_else(tmp_path_factory, place, piece, kept, replaced):
    """Bytes put in, or in the place of others, and the rest cut off."""
    content = GOOD[:place] + piece + GOOD[place + (len(piece) if replaced else 0) :]
    path = tmp_path_factory.mktemp("damaged") / "w"
    path.write_bytes(content[: max(kept, len(content) * (kept % 2))])
    try:
        network = read_network(path).network
    except FileError as error:
        assert str(path) in str(error) and len(str(error)) < 1500
    else:
        assert network.W.isfinite().all() and network.n == 4


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["W", "dtype", "shape", "data_offsets", "x"]), inner)
        ),
        max_leaves=8,
    )
)
def test_no_header_is_worse_than_an_error(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("header") / "w"
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(FileError):
        read_network(path, activation="relu")
