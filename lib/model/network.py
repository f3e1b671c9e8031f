r"""The recurrent network (paper, section 2, equations 1 to 3)."""

import copy
import warnings
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib import checks
from lib.model import activations, gemm
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
        return self.states[..., -1, :]


class Integrator(nn.Module):
    r"""A network of n neurons that reads D signals and writes D numbers.

    $$\nu_t = W\,\Big(h_{t-1} + \sum_c x_{c,t}\, e_c\Big), \qquad h_t = f(\nu_t), \qquad y_{c,t} = d_c \cdot h_t,
    \qquad h_{-1} = 0$$

    `W[i, j]` is the weight from neuron j to neuron i. The network follows the dtype and device of `W`. S networks that
    are run and trained side by side are one network whose weights, states and outputs have an axis of length S in
    front; `stack` makes it of single ones, and `network[k]` is a copy of one of them.

    Args:
        W: `n x n` weights, or `S x n x n`.
        encoders: `n x D`, columns $e_c$, or `S x n x D`.
        decoders: `n x D`, columns $d_c$, or `S x n x D`.
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
        together = isinstance(W, Tensor) and W.ndim == 3
        checks.finite("W", checks.tensor("W", W, ("S", "n", "n") if together else ("n", "n")))
        *S, n, m = W.shape
        if n != m:
            raise ValueError(f"W must be square, got {n} x {m}")
        if together:
            checks.whole("S, the number of networks,", S[0], 1)
        checks.finite("encoders", checks.tensor("encoders", encoders, (*S, n, "D")))
        D = checks.whole("D, the number of encoders,", encoders.shape[-1], 1)
        checks.finite("decoders", checks.tensor("decoders", decoders, (*S, n, D)))
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
        shape = self.W.shape[:-1]  # n, or S x n
        if thresholds.ndim and thresholds.shape not in (shape, shape[-1:]):
            raise ValueError(f"thresholds must number n={self.n}, got {' x '.join(map(str, thresholds.shape))}")
        values = thresholds.detach().to(self.W)
        values = values.expand(shape) if trained else values
        self.activation.thresholds = nn.Parameter(values.clone(), requires_grad=trained)  # type: ignore[attr-defined]

    @classmethod
    def random(
        cls,
        n: int,
        D: int = 1,
        *,
        generator: torch.Generator | Sequence[torch.Generator],
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
            generator: Source of the draws: encoders, decoders, then W. Of S generators each draws one of S networks,
                with the same numbers as alone.
            radius: Spectral radius of the Gaussian start of W; 0 is the paper's null start.
            activation: As in the constructor.
            trained: As in the constructor.
            dtype: Of all weights.
            device: Of all weights.
            **codes: Norms, overlap and supports, see `lib.model.codes.random_codes`.
        """
        if not isinstance(generator, torch.Generator):
            options = {"radius": radius, "activation": activation, "trained": trained, "dtype": dtype} | codes
            return cls.stack([cls.random(n, D, generator=g, device=device, **options) for g in generator])
        encoders, decoders = random_codes(n, D, generator=generator, **codes)
        if not 0 <= radius < float("inf"):
            raise ValueError(f"radius must be a non-negative number, got {radius}")
        W = torch.zeros(n, n, dtype=torch.float64)
        if radius > 0:
            W = normal(n, n, generator=generator)
            W *= radius / torch.linalg.eigvals(W).abs().max()
        weights = (matrix.to(dtype).to(device) for matrix in (W, encoders, decoders))
        return cls(*weights, activation=activation, trained=trained)

    @classmethod
    def stack(cls, networks: Sequence["Integrator"]) -> "Integrator":
        """S networks side by side: copies of single networks.

        Raises:
            ValueError: none, or networks that differ in size, activation, dtype, device or in what is trained.
        """
        kinds = [network._kind() for network in networks]
        if not kinds or kinds[0].startswith("S=") or set(kinds) != {kinds[0]}:
            raise ValueError(f"networks side by side must be single and alike, got {sorted(set(kinds)) or 'none'}")
        first = networks[0]
        weights = [torch.stack([getattr(net, name).detach() for net in networks]) for name in TRAINABLE[:3]]
        f = copy.deepcopy(first.activation)
        if hasattr(f, "thresholds"):
            thresholds = torch.stack([net.activation.thresholds.detach() for net in networks])  # type: ignore[attr-defined]
            if thresholds.ndim == 1 and not (thresholds == thresholds[0]).all():
                thresholds = thresholds[:, None].repeat(1, first.n)
            thresholds = thresholds[0] if thresholds.ndim == 1 else thresholds
            f.thresholds = nn.Parameter(thresholds.clone(), requires_grad=False)  # type: ignore[attr-defined]
        return cls(*weights, activation=f, trained=first.trained)

    def __getitem__(self, k: int) -> "Integrator":
        """A copy of network k of those side by side, from 0; IndexError if there is none, TypeError if it is single."""
        if self.S is None:
            raise TypeError("a single network has no parts: expected W of shape S x n x n")
        f = copy.deepcopy(self.activation)
        thresholds = getattr(f, "thresholds", None)
        if thresholds is not None and thresholds.ndim == 2:
            f.thresholds = nn.Parameter(thresholds[k].detach().clone())  # type: ignore[attr-defined]
        return Integrator(self.W[k], self.encoders[k], self.decoders[k], activation=f, trained=self.trained)

    @property
    def S(self) -> int | None:
        """Number of networks side by side; None for a single network."""
        return self.W.shape[0] if self.W.ndim == 3 else None

    @property
    def n(self) -> int:
        """Number of neurons."""
        return self.W.shape[-1]

    @property
    def D(self) -> int:
        """Number of channels."""
        return self.encoders.shape[-1]

    @property
    def trained(self) -> tuple[str, ...]:
        """Which of "W", "encoders", "decoders", "thresholds" may change in training."""
        return tuple(name.split(".")[-1] for name, weights in self.named_parameters() if weights.requires_grad)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Trajectory:
        """Run the network on `B x T x D` inputs, from the null state or from a `B x n` one.

        S networks side by side have an axis of length S in front of all of these; inputs without it are for each.
        W E x_t has rank D, so W E is formed once; a null state saves the first product; and with one channel and a
        homogeneous activation the first states lie on two half lines, so that W needs to be applied only to those.
        """
        W, E, Z, f = self.W, self.encoders, self.decoders, self.activation
        S = W.shape[:-2]
        checks.same("x", checks.tensor("x", x, (*S, "B", "T", self.D) if x.ndim > 3 else ("B", "T", self.D)), W)
        checks.whole("T, the length of x,", x.shape[-2], 1)
        if state is not None:
            checks.tensor("state", state, (*S, x.shape[-3], self.n))
        WE = W @ E  # n x D
        currents: list[Tensor] = []
        outputs: list[Tensor] = []
        h = state
        for t in range(x.shape[-2]):
            nu = x[..., t, :] @ WE.mT  # B x n
            if t == 1 and state is None and self.D == 1 and getattr(f, "homogeneous", False):
                nu = nu + self._second_product(x[..., 0, :], WE)
            elif h is not None and W.ndim == 2:
                nu = nu.addmm_(h, W.T) if torch.is_grad_enabled() else gemm.addmm(nu, h, W.T)
            elif h is not None:
                nu = nu.baddbmm_(h, W.mT)
            h = f(nu)
            currents.append(nu)
            outputs.append(h @ Z)
        of_all = torch.stack(currents, dim=-2)
        currents.clear()
        return Trajectory(of_all, f(of_all), torch.stack(outputs, dim=-2))

    def _second_product(self, x: Tensor, We: Tensor) -> Tensor:
        """W f(x We) for `B x 1` first inputs: x+ W f(We) + x- W f(-We), two matrix-vector products."""
        f, W = self.activation, self.W
        ends = W @ torch.cat([f(We), f(-We)], dim=-1)  # n x 2
        part = ReLU(getattr(f, "slope_at_zero", 0.5))  # so that at x = 0 the slope in x is that of f
        return part(torch.cat([x, -x], dim=-1)) @ ends.mT

    @torch.no_grad()
    def run(self, x: Tensor, state: Tensor | None = None) -> Trajectory:
        """`forward` without gradients, for analysis."""
        return self(x, state)

    def states(self, currents: Tensor) -> Tensor:
        """States $h = f(\\nu)$ of the same shape as `currents`."""
        return self.activation(currents)

    def extra_repr(self) -> str:
        """Sizes, and what is trained."""
        together = "" if self.S is None else f"S={self.S}, "
        return f"{together}n={self.n}, D={self.D}, trained={list(self.trained)}"

    def _kind(self) -> str:
        """What must agree between networks side by side: all but the numbers."""
        f = self.activation
        settings = {k: v for k, v in vars(f).items() if k[0] != "_"} if isinstance(f, nn.Module) else f
        of_thresholds = getattr(getattr(f, "thresholds", None), "shape", None)
        return f"{self.extra_repr()}, {type(f).__name__} {settings} {of_thresholds}, {self.W.dtype}, {self.W.device}"
