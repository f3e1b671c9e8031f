"""lib.model.gemm: both libraries give the product, the faster one is chosen, and all else is torch's own way."""

import subprocess
import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from lib.model import gemm

M, K, N = 170, 130, 110
WAYS = pytest.mark.parametrize("way", ["mkl", "onednn", "auto"])


@pytest.fixture
def pair(rng, monkeypatch):
    """Two matrices that count as large, the second a transposed view, and products met by nobody yet."""
    monkeypatch.setattr(gemm, "SMALL", 0)
    monkeypatch.setattr(gemm, "_faster", {})
    return torch.randn(M, K, generator=rng), torch.randn(N, K, generator=rng).T


def close(found, a, b, *, add=0.0):
    exact = a.double() @ b.double() + add
    bound = a.abs().double() @ b.abs().double() + abs(torch.as_tensor(add))
    return bool(((found.double() - exact).abs() <= K * torch.finfo(torch.float32).eps * bound).all())


@WAYS
def test_products_in_every_way(way, pair, monkeypatch):
    monkeypatch.setenv("LIB_GEMM", way)
    a, b = pair
    c = torch.linspace(-2, 3, M * N).view(M, N)
    out, added = torch.empty(M, N), c.clone()
    assert close(gemm.mm(a, b), a, b)
    assert gemm.mm(a, b, out=out) is out and close(out, a, b)
    assert gemm.addmm(added, a, b) is added and close(added, a, b, add=c.double())
    assert close(gemm.matmul(a, b), a, b)
    assert close(gemm.mm(a.T.contiguous().T, b.contiguous()), a, b)


@WAYS
def test_gradients_of_both_orders(way, pair, monkeypatch):
    monkeypatch.setenv("LIB_GEMM", way)
    a, b = (t.clone().requires_grad_() for t in pair)
    weight = torch.linspace(0.3, 1.7, M * N).view(M, N)

    def derivatives(product):
        (first,) = torch.autograd.grad((product(a, b).square() * weight).sum(), a, create_graph=True)
        return first, *torch.autograd.grad(first.square().sum(), (a, b))

    for ours, plain in zip(derivatives(gemm.matmul), derivatives(torch.matmul), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5 * plain.abs().max().item())


@pytest.mark.parametrize("fast", ["mkl", "onednn"])
def test_the_faster_one_is_chosen_once_for_each_shape(fast, pair, monkeypatch):
    timed = []
    slow = {"mkl": [1.0, 1.0 / gemm.GAIN + 0.01], "onednn": [1.0, 1.0 / gemm.GAIN - 0.01]}[fast]

    def seconds(product):
        timed.append(product)
        return slow[len(timed) % 2 - 1]

    monkeypatch.setattr(gemm, "_seconds", seconds)
    a, b = pair
    for _ in range(3):
        gemm.mm(a, b)
    assert len(timed) == 2 and gemm.chosen() == {(7, 7, 7, True, False): fast}
    gemm.mm(a[:50], b)
    assert len(timed) == 4 and len(gemm.chosen()) == 2


def test_torchs_own_way_where_there_is_no_other(pair, monkeypatch):
    monkeypatch.setattr(gemm, "has_onednn", lambda: False)
    assert torch.equal(gemm.mm(*pair), torch.mm(*pair)) and not gemm.chosen()


def test_all_else_is_left_to_torch(pair, rng, monkeypatch):
    monkeypatch.setattr(gemm, "_seconds", None)  # timing would fail
    a, b = pair
    assert torch.equal(gemm.matmul(a.double(), b.double()), a.double() @ b.double())
    batch = torch.randn(3, K, 7, generator=rng)
    assert torch.equal(gemm.matmul(a, batch), a @ batch)
    torch.testing.assert_close(torch.vmap(gemm.matmul, in_dims=(None, 0))(a, batch), a @ batch)
    assert gemm.matmul(a.to("meta"), b.to("meta")).shape == (M, N)
    with FakeTensorMode():
        x = torch.empty(M, K, device="cuda")
        assert gemm.matmul(x, torch.empty(K, N, device="cuda")).device.type == "cuda"
    monkeypatch.setattr(gemm, "SMALL", M * K * N + 1)
    assert torch.equal(gemm.mm(a, b), a @ b)


def test_an_unknown_way_is_refused(pair, monkeypatch):
    monkeypatch.setenv("LIB_GEMM", "fastest")
    with pytest.raises(ValueError, match="LIB_GEMM must be one of auto, mkl, onednn, got 'fastest'"):
        gemm.mm(*pair)


TRAINS = """
import torch
from lib.model import gemm
gemm.SMALL = 0
generator = torch.Generator().manual_seed(3)
W = torch.randn(30, 30, generator=generator).requires_grad_()
x = torch.randn(17, 30, generator=generator)
for _ in range(5):
    (gradient,) = torch.autograd.grad(gemm.matmul(torch.tanh(gemm.matmul(x, W.T)), W).square().mean(), W)
    W = (W - 0.3 * gradient).detach().requires_grad_()
print(W.square().sum().item())
"""


def test_training_is_the_same_in_both(monkeypatch):
    found = []
    for way in ("mkl", "onednn"):
        monkeypatch.setenv("LIB_GEMM", way)
        found.append(float(subprocess.check_output([sys.executable, "-c", TRAINS], text=True)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
