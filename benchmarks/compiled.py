"""The plain algorithm given to compilers: `torch.compile`, and `jax.jit` with and without forming W E once.

jax is an extra of this project (`bench`) and no dependency; where it is missing it is left out.
"""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from lib.model.network import Integrator
from lib.model.task import Task


def has_jax() -> bool:
    """Whether jax can be imported."""
    return find_spec("jax") is not None


class Jitted:
    """A step of gradient descent on the authors' loss as one compiled function; the interface of a `Contender`.

    Args:
        net: Whose weights are copied.
        goal: The task.
        x: `B x T x D` inputs.
        once: Whether W E is formed once for all steps, and the product with the null state left out.
    """

    def __init__(self, net: Integrator, goal: Task, x: Tensor, *, once: bool):
        jax: Any = importlib.import_module("jax")
        jax.config.update("jax_enable_x64", True)  # else float64 is refused; float32 stays what it is
        jnp = jax.numpy
        arrays = [jnp.asarray(t.detach().numpy()) for t in (net.encoders, net.decoders, x, goal.targets(x))]
        scales = jnp.asarray(goal.scales, dtype=arrays[0].dtype)

        def loss(W: Any, E: Any, Z: Any, x: Any, targets: Any) -> Any:
            B, T, _ = x.shape
            WE = W @ E
            h, total = jnp.zeros((B, len(W)), W.dtype), 0.0
            for t in range(T):
                if once:
                    nu = x[:, t] @ WE.T + (h @ W.T if t else 0)
                else:
                    nu = (h + x[:, t] @ E.T) @ W.T
                h = jnp.clip(nu, 0, 1e8)
                total = total + (((h @ Z - targets[:, t]) / (scales * T)) ** 2).sum()
            return total / (B * T)

        found = jax.jit(jax.value_and_grad(loss))
        advanced = jax.jit(lambda W, *rest: W - 1e-12 * jax.grad(loss)(W, *rest))
        self.W = jnp.asarray(net.W.detach().numpy())
        self._found: Callable[[], Any] = lambda: found(self.W, *arrays)
        self._advanced: Callable[[], Any] = lambda: advanced(self.W, *arrays)

    def loss(self) -> Tensor:
        """The scalar loss."""
        return torch.tensor(float(self._found()[0]), dtype=torch.float64)

    def gradient(self) -> None:
        """The loss, and its gradient in the weights."""
        self._found()[1].block_until_ready()

    def true_gradient(self) -> Tensor:
        """`n x n` gradient in W."""
        return torch.from_numpy(importlib.import_module("numpy").array(self._found()[1]))

    def step(self) -> None:
        """One training step."""
        self.W = self._advanced().block_until_ready()


def compiled_loss(loss: Callable[..., Tensor], net: Integrator, goal: Task, x: Tensor) -> tuple[nn.Parameter, Any]:
    """Weights, and a loss of theirs that `torch.compile` has seen."""
    W = nn.Parameter(net.W.detach().clone())
    E, Z = net.encoders.detach(), net.decoders.detach()
    targets, scales = goal.targets(x), x.new_tensor(goal.scales)
    torch._dynamo.reset()
    compiled = torch.compile(loss, dynamic=False)
    return W, lambda: compiled(W, E, Z, x, targets, scales)
