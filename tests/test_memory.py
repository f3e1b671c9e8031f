"""Bytes of the tensors that are alive at once in long simulations and in training, counted as they are made."""

import weakref
from collections import Counter

import torch
from equations import randn, random_network
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib import fast


class Alive(TorchDispatchMode):
    """Counts the bytes of all storages that were made under it and still have a tensor in Python."""

    def __init__(self):
        super().__init__()
        self.tensors = Counter()  # per storage
        self.bytes = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor, given)
        self.peak = max(self.peak, self.bytes)
        return made

    def _note(self, tensor, given):
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if not self.tensors[key]:
            if key in given:
                return  # older than the count
            self.bytes += size
        self.tensors[key] += 1
        weakref.finalize(tensor, self._forget, key, size)

    def _forget(self, key, size):
        self.tensors[key] -= 1
        if not self.tensors[key]:
            self.bytes -= size


def test_what_is_alive_is_counted():
    x = torch.ones(1000)
    with Alive() as alive:
        y = x + 1
        view = y[:10]
        z = y * 2
        del y
        assert alive.bytes == 2 * 4000  # the view holds all of y
        del view
        assert alive.bytes == 4000
        x.mul_(2)
    assert alive.peak == 2 * 4000 and len(z) == 1000


def test_a_simulation_holds_currents_twice_and_little_else(rng):
    n, batch, T = 200, 16, 50
    network, x = random_network(n, 1, "relu", rng), randn(batch, T, 1, rng=rng)
    with Alive() as alive:
        trajectory = network.run(x)
    currents = 8 * batch * T * n
    assert trajectory.currents.nbytes == currents
    one_step = 8 * batch * n
    assert currents <= alive.peak <= 2 * currents + 6 * one_step + 8 * 20 * n  # apart, then in one piece


def test_training_keeps_its_buffers_from_step_to_step(rng):
    n, batch, T = 200, 40, 10
    network, kept = random_network(n, 2, "relu", rng, trained=("W",)), fast.Kept()
    x = randn(batch, T, 2, rng=rng)
    with Alive() as alive:
        for _ in range(3):
            network.W.grad = None
            fast.outputs(network, x, kept).square().sum().backward()
    buffers = 8 * (2 * T * batch * n + batch * n)  # currents, states, and one step on the way back
    assert buffers <= alive.peak <= buffers + 8 * 5 * n**2
