r"""Activation functions $f$ of the neurons (paper, sections 2, 4.3 and appendix I).

Any callable from a tensor to a tensor of the same shape is an activation; the classes here add what the fast unrolled
network uses: `derivative`, in-place versions of both, and `homogeneous` where $f(a\nu) = a f(\nu)$ for every $a \ge 0$.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn

from lib import checks

Activation = Callable[[Tensor], Tensor]


class Linear(nn.Module):
    r"""The identity, $f(\nu) = \nu$."""

    homogeneous = True

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`."""
        return currents

    def derivative(self, currents: Tensor) -> Tensor:
        """Ones, in the shape of `currents`."""
        return torch.ones_like(currents)

    def into(self, currents: Tensor, states: Tensor) -> None:
        """Write the states of `currents` into `states`."""
        states.copy_(currents)

    def into_derivative(self, currents: Tensor, factor: Tensor) -> None:
        """Replace `currents` by `factor` times the derivative there."""
        currents.copy_(factor)


class _Rectified(torch.autograd.Function):
    """max(x, 0) with a given slope at zero; twice differentiable, and safe under `vmap`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(currents: Tensor, slope_at_zero: float) -> Tensor:
        return currents.clamp_min(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.slope_at_zero = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (currents,) = ctx.saved_tensors
        return gradients[0] * _step(currents, ctx.slope_at_zero), None


def _step(currents: Tensor, at_zero: float) -> Tensor:
    return torch.heaviside(currents.detach(), currents.new_full((), at_zero))


class ReLU(nn.Module):
    r"""The rectifier $f(\nu) = \max(\nu, 0)$, with $f'(0) = 1/2$ unless asked otherwise (appendix I; erratum E36).

    The value at zero matters: from the null start $W = 0$ every current is exactly zero. `torch.relu`, whose derivative
    there is 0, would never leave it.

    Args:
        slope_at_zero: $f'(0)$, between 0 and 1: 1/2 is the mean of the two sides, 1 what the authors' `clamp` has, 0
            what `torch.relu` has.

    Raises:
        ValueError: a slope outside of [0, 1].
    """

    homogeneous = True

    def __init__(self, slope_at_zero: float = 0.5):
        super().__init__()
        if isinstance(slope_at_zero, bool) or not 0 <= slope_at_zero <= 1:
            raise ValueError(f"slope_at_zero must lie in [0, 1], got {slope_at_zero!r}")
        self.slope_at_zero = float(slope_at_zero)

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`."""
        return _Rectified.apply(currents, self.slope_at_zero)  # type: ignore[no-any-return]

    def derivative(self, currents: Tensor) -> Tensor:
        """0 below zero, 1 above, `slope_at_zero` at zero."""
        return _step(currents, self.slope_at_zero)

    def into(self, currents: Tensor, states: Tensor) -> None:
        """Write the states of `currents` into `states`."""
        torch.clamp_min(currents, 0, out=states)

    def into_derivative(self, currents: Tensor, factor: Tensor) -> None:
        """Replace `currents` by `factor` times the derivative there."""
        if self.slope_at_zero == 0.5:
            torch.sign(currents, out=currents)  # (1 + sign) / 2 is the step, several times faster than `heaviside`
            torch.addcmul(factor, factor, currents, out=currents).mul_(0.5)
        else:
            torch.mul(self.derivative(currents), factor, out=currents)

    def extra_repr(self) -> str:
        """The slope at zero, if it is not 1/2."""
        return "" if self.slope_at_zero == 0.5 else f"slope_at_zero={self.slope_at_zero:g}"


class Sigmoid(nn.Module):
    r"""The logistic function $f(\nu) = 1 / (1 + e^{-k(\nu - \theta)})$ (section 4.3).

    Args:
        slope: $k > 0$; the paper's value is 50.
        threshold: $\theta$, a number shared by all neurons or a tensor of `n` thresholds; the paper's value is 0.1.
    """

    homogeneous = False

    def __init__(self, slope: float = 50.0, threshold: float | Tensor = 0.1):
        super().__init__()
        self.slope = checks.positive("slope", slope)
        thresholds = torch.as_tensor(threshold, dtype=None if isinstance(threshold, Tensor) else torch.float64)
        if thresholds.ndim > 1 or not thresholds.isfinite().all():
            raise ValueError(f"threshold must be a finite number or a vector, got shape {tuple(thresholds.shape)}")
        self.thresholds = nn.Parameter(thresholds.clone(), requires_grad=False)

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`, whose last axis is the neurons."""
        return torch.sigmoid(self.slope * (currents - self._along(currents)))

    def derivative(self, currents: Tensor) -> Tensor:
        """$k f (1 - f)$, in the shape of `currents`."""
        states = self(currents)
        return self.slope * states * (1 - states)

    def poles(self, gains: np.ndarray) -> np.ndarray:
        r"""Where $z \mapsto f(z\varphi)$ is singular next to the real axis: two complex numbers for each $\varphi$.

        Args:
            gains: Values of $\varphi$, none of them 0.

        Raises:
            ValueError: thresholds that differ between neurons.
        """
        poles = self._threshold() + 1j * np.pi / self.slope * np.array([[1.0], [-1.0]])
        return (poles / gains).ravel()

    def values(self, currents: np.ndarray) -> np.ndarray:
        """States in numpy, in the shape of `currents`; ValueError for thresholds that differ between neurons."""
        return expit(self.slope * (currents - self._threshold()))

    def _threshold(self) -> float:
        if self.thresholds.ndim:
            raise ValueError(f"threshold must be one for all neurons, got {len(self.thresholds)}")
        return self.thresholds.item()

    def _along(self, currents: Tensor) -> Tensor:
        """The thresholds; those of S networks side by side, `S x n`, with the axes of their currents between."""
        thresholds = self.thresholds
        between = (1,) * (currents.ndim - 2)
        return thresholds if thresholds.ndim < 2 else thresholds.view(len(thresholds), *between, -1)

    def into(self, currents: Tensor, states: Tensor) -> None:
        """Write the states of `currents` into `states`."""
        torch.sub(currents, self._along(currents), out=states)
        states.mul_(self.slope).sigmoid_()

    def into_derivative(self, currents: Tensor, factor: Tensor) -> None:
        """Replace `currents` by `factor` times the derivative there."""
        self.into(currents, currents)
        torch.addcmul(currents, currents, currents, value=-1, out=currents).mul_(factor).mul_(self.slope)


class Tanh(nn.Module):
    r"""The hyperbolic tangent, $f(\nu) = \tanh \nu$."""

    homogeneous = False

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`."""
        return torch.tanh(currents)

    def derivative(self, currents: Tensor) -> Tensor:
        """$1 - f^2$, in the shape of `currents`."""
        return 1 - torch.tanh(currents).square()

    def into(self, currents: Tensor, states: Tensor) -> None:
        """Write the states of `currents` into `states`."""
        torch.tanh(currents, out=states)

    def into_derivative(self, currents: Tensor, factor: Tensor) -> None:
        """Replace `currents` by `factor` times the derivative there."""
        currents.tanh_().square_()
        torch.addcmul(factor, factor, currents, value=-1, out=currents)


class Softplus(nn.Module):
    r"""The smooth rectifier, $f(\nu) = \ln(1 + e^\nu)$, without the cut-off of `torch.nn.Softplus`."""

    homogeneous = False

    def forward(self, currents: Tensor) -> Tensor:
        """States of the same shape as `currents`."""
        return torch.logaddexp(currents, currents.new_zeros(()))

    def derivative(self, currents: Tensor) -> Tensor:
        """The logistic function, in the shape of `currents`."""
        return torch.sigmoid(currents)

    def into(self, currents: Tensor, states: Tensor) -> None:
        """Write the states of `currents` into `states`."""
        torch.logaddexp(currents, currents.new_zeros(()), out=states)

    def into_derivative(self, currents: Tensor, factor: Tensor) -> None:
        """Replace `currents` by `factor` times the derivative there."""
        currents.sigmoid_().mul_(factor)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": ReLU,
    "tanh": Tanh,
    "linear": Linear,
    "sigmoid": Sigmoid,
    "softplus": Softplus,
}


def activation(which: Activation | str | None) -> Activation:
    """An activation by its name in `ACTIVATIONS`, with the paper's settings; ReLU if None. A callable is what it is.

    Raises:
        ValueError: for any other name, or what cannot be called.
    """
    if callable(which):
        return which
    if which is not None and which not in ACTIVATIONS:
        raise ValueError(f"activation must be callable or one of {', '.join(ACTIVATIONS)}, got {which!r}")
    return ACTIVATIONS[which or "relu"]()
