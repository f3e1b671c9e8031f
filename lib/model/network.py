r"""The recurrent network (paper, section 2, equations 1 to 3)."""

import copy
import warnings
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib import checks
from lib.model import activations
from lib.model.activations import Activation, ReLU
from lib.model.codes import random_codes
from lib.model.signals import DTYPE, normal

TRAINABLE = ("W", "encoders", "decoders", "thresholds")


class Trajectory(NamedTuple):
    """What a network did on a batch of inputs; states of the identity are the currents, not a copy."""

    currents: Tensor  # B x T x n, nu_t
    states: Tensor  # B x T x n, h_t
    outputs: Tensor  # B x T x D, y_t

    @property
    def final_state(self) -> Tensor:
        """`B x n`, from which a run on further inputs continues."""
        return self.states[:, -1]


class Integrator(nn.Module):
    r"""A network of n neurons that reads D signals and writes D numbers.

    $$\nu_t = W\,\Big(h_{t-1} + \sum_c x_{c,t}\, e_c\Big), \qquad h_t = f(\nu_t), \qquad y_{c,t} = d_c \cdot h_t,
    \qquad h_{-1} = 0$$

    `W[i, j]` is the weight from neuron j to neuron i. The network follows the dtype and device of `W`.

    Args:
        W: `n x n` weights.
        encoders: `n x D`, columns $e_c$.
        decoders: `n x D`, columns $d_c$.
        activation: $f$, by its name (see `lib.model.activations`) or any callable that keeps the shape.
        trained: Which of "W", "encoders", "decoders", "thresholds" may change in training; all else is fixed.

    Raises:
        ValueError: a wrong shape, an entry that is not finite, n < D, an unknown name, or thresholds to be trained in
            an activation that has none.

    Warns:
        UserWarning: n < 2 D, for which exact integration is generically impossible (erratum E15).
    """

    def __init__(
        self,
        W: Tensor,
        encoders: Tensor,
        decoders: Tensor,
        *,
        activation: Activation | str | None = None,
        trained: Collection[str] = ("W",),
    ):
        super().__init__()
        checks.finite("W", checks.tensor("W", W, ("n", "n")))
        n, m = W.shape
        if n != m:
            raise ValueError(f"W must be square, got {n} x {m}")
        checks.finite("encoders", checks.tensor("encoders", encoders, (n, "D")))
        D = checks.whole("D, the number of encoders,", encoders.shape[1], 1)
        checks.finite("decoders", checks.tensor("decoders", decoders, (n, D)))
        if n < D:
            raise ValueError(f"n must be at least D, got n={n} neurons for D={D} channels")
        if n < 2 * D:
            warnings.warn(f"n={n} < 2D={2 * D}: exact integration needs 2D neurons unless d'e is special", stacklevel=2)
        for name in trained:
            checks.one_of("trained", name, TRAINABLE)
        self.activation = copy.deepcopy(activations.activation(activation))
        self.W = nn.Parameter(W.detach().clone(), requires_grad="W" in trained)
        self.encoders = nn.Parameter(encoders.detach().to(W).clone(), requires_grad="encoders" in trained)
        self.decoders = nn.Parameter(decoders.detach().to(W).clone(), requires_grad="decoders" in trained)
        self._set_thresholds("thresholds" in trained)

    def _set_thresholds(self, trained: bool) -> None:
        """Give every neuron its own threshold if they are trained, and fix all else in the activation."""
        if isinstance(self.activation, nn.Module):
            self.activation.requires_grad_(False)
        thresholds = getattr(self.activation, "thresholds", None)
        if thresholds is None:
            if trained:
                raise ValueError(f"trained names thresholds, but {self.activation} has none")
            return
        if thresholds.ndim == 1 and len(thresholds) != self.n:
            raise ValueError(f"thresholds must number n={self.n}, got {len(thresholds)}")
        values = thresholds.detach().to(self.W)
        values = values.expand(self.n) if trained else values
        self.activation.thresholds = nn.Parameter(values.clone(), requires_grad=trained)  # type: ignore[attr-defined]

    @classmethod
    def random(
        cls,
        n: int,
        D: int = 1,
        *,
        generator: torch.Generator,
        radius: float = 0.0,
        activation: Activation | str | None = None,
        trained: Collection[str] = ("W",),
        dtype: torch.dtype = DTYPE,
        device: torch.device | str = "cpu",
        **codes,
    ) -> "Integrator":
        """A network at the start of its training.

        Args:
            n: Neurons.
            D: Channels.
            generator: Source of the draws: encoders, decoders, then W.
            radius: Spectral radius of the Gaussian start of W; 0 is the paper's null start.
            activation: As in the constructor.
            trained: As in the constructor.
            dtype: Of all weights.
            device: Of all weights.
            **codes: Norms, overlap and supports, see `lib.model.codes.random_codes`.
        """
        encoders, decoders = random_codes(n, D, generator=generator, **codes)
        if not 0 <= radius < float("inf"):
            raise ValueError(f"radius must be a non-negative number, got {radius}")
        W = torch.zeros(n, n, dtype=torch.float64)
        if radius > 0:
            W = normal(n, n, generator=generator)
            W *= radius / torch.linalg.eigvals(W).abs().max()
        weights = (matrix.to(dtype).to(device) for matrix in (W, encoders, decoders))
        return cls(*weights, activation=activation, trained=trained)

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.W.shape[0]

    @property
    def D(self) -> int:
        """Number of channels."""
        return self.encoders.shape[1]

    def forward(self, x: Tensor, state: Tensor | None = None) -> Trajectory:
        """Run the network on `B x T x D` inputs, from the null state or from a `B x n` one.

        W E x_t has rank D, so W E is formed once; a null state saves the first product; and with one channel and a
        homogeneous activation the first states lie on two half lines, so that W needs to be applied only to those.
        """
        W, E, Z, f = self.W, self.encoders, self.decoders, self.activation
        checks.same("x", checks.tensor("x", x, ("B", "T", self.D)), W)
        checks.whole("T, the length of x,", x.shape[1], 1)
        if state is not None:
            checks.tensor("state", state, (x.shape[0], self.n))
        WE = W @ E  # n x D
        currents: list[Tensor] = []
        outputs: list[Tensor] = []
        h = state
        for t in range(x.shape[1]):
            nu = x[:, t] @ WE.T  # B x n
            if t == 1 and state is None and self.D == 1 and getattr(f, "homogeneous", False):
                nu = nu + self._second_product(x[:, 0], WE)
            elif h is not None:
                nu = nu.addmm_(h, W.T)
            h = f(nu)
            currents.append(nu)
            outputs.append(h @ Z)
        of_all = torch.stack(currents, dim=1)
        currents.clear()
        return Trajectory(of_all, f(of_all), torch.stack(outputs, dim=1))

    def _second_product(self, x: Tensor, We: Tensor) -> Tensor:
        """W f(x We) for `B x 1` first inputs: x+ W f(We) + x- W f(-We), two matrix-vector products."""
        f, W = self.activation, self.W
        ends = W @ torch.cat([f(We), f(-We)], dim=1)  # n x 2
        part = ReLU(getattr(f, "slope_at_zero", 0.5))  # so that at x = 0 the slope in x is that of f
        return part(torch.cat([x, -x], dim=1)) @ ends.T

    @torch.no_grad()
    def run(self, x: Tensor, state: Tensor | None = None) -> Trajectory:
        """`forward` without gradients, for analysis."""
        return self(x, state)

    def states(self, currents: Tensor) -> Tensor:
        """States $h = f(\\nu)$ of the same shape as `currents`."""
        return self.activation(currents)

    def extra_repr(self) -> str:
        """Sizes, and what is trained."""
        trained = [name.split(".")[-1] for name, weights in self.named_parameters() if weights.requires_grad]
        return f"n={self.n}, D={self.D}, trained={trained}"
