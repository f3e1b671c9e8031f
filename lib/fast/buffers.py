"""Large tensors that are used again from call to call: fresh pages of memory would cost more than the arithmetic."""

from typing import Any

from torch import Tensor


class Lease:
    """Uninitialised tensors for one forward and its backward, by name; they go back when the lease is garbage, too."""

    def __init__(self, owner: "Buffers", key: Any, tensors: dict[str, Tensor]):
        self._owner, self._key, self._tensors = owner, key, tensors

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def give_back(self) -> None:
        """Let others have the tensors."""
        tensors, self._tensors = self._tensors, {}
        if tensors:
            self._owner.receive(self._key, tensors)

    def __del__(self) -> None:
        self.give_back()


class Buffers:
    """A free list of tensors of the shapes that were asked for last."""

    def __init__(self) -> None:
        self._key: Any = None
        self._free: list[dict[str, Tensor]] = []

    def take(self, like: Tensor, **shapes: tuple[int, ...]) -> Lease:
        """Tensors of these shapes, with the dtype and device of `like`, that nobody else has."""
        key = (like.dtype, like.device, *shapes.items())
        if key != self._key:
            self._key, self._free = key, []
        tensors = self._free.pop() if self._free else {name: like.new_empty(shape) for name, shape in shapes.items()}
        return Lease(self, key, tensors)

    def receive(self, key: Any, tensors: dict[str, Tensor]) -> None:
        """Put tensors on the list, unless other shapes are in use by now."""
        if key == self._key:
            self._free.append(tensors)
