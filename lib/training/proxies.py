r"""The proxy loss averaged over a range of integrals, for any activation (paper, equations 33 and 34).

For one channel and an activation whose singularities are known the average over thousands of points is computed from
a few (`lib.fast.skeletons`), with the gradient written out. (For several channels and a gentle activation
`lib.fast.crosses` does
the same; for two rectified channels `lib.fast.fans` saves most products by sorting the points; where points outnumber
neurons `lib.fast.moments` saves some of any others.) With $H_j = f(z_j We)$ and $R_j = W H_j - \gamma z_j We$ as the
rows of $r \times n$ matrices, $u_j = d \cdot H_j - s\gamma z_j$, and $\Gamma$ the Gram matrix of the points,

$$\mathcal{L} = a\, u^\dagger \Gamma u + b\, \mathrm{tr}(R^\dagger \Gamma R), \qquad
v = 2a\,\Gamma u, \quad Q = 2b\,\Gamma R,$$
$$\frac{\partial\mathcal{L}}{\partial d} = H^\dagger v, \qquad
F' = \sum_j z_j \big[ (v d^\dagger + Q W)_j \odot f'(z_j We) - \gamma Q_j \big], \qquad
\frac{\partial\mathcal{L}}{\partial W} = Q^\dagger H + F' e^\dagger .$$
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.fast.crosses import Crosses, OnCross, given_away
from lib.fast.fans import Fanned, by_angle, worth_fanning
from lib.fast.moments import OnGram, worth_gram
from lib.fast.skeletons import Skeleton, has_skeleton, largest_stretch
from lib.model.network import Integrator
from lib.model.task import Task
from lib.training.losses import NORMALISATIONS, proxy_loss, proxy_terms


class Terms(NamedTuple):
    """The two parts of the proxy loss, scalars whose sum is the loss."""

    outputs: Tensor  # how wrong the outputs are
    currents: Tensor  # how far the currents are from the sum of the images of the encoders


class SampledProxy:
    r"""The proxy loss as a function of a network and of points z, for the trainer.

    "authors" averages both terms over the points, and the one of the currents over the neurons too; "paper" is the
    integral of equation 33, the mean over the points times the volume of the box, with the sum over neurons (erratum
    E30). Neither divides by $s^2$.

    Args:
        task: Decays and scales; its T is not used.
        normalisation: "paper" or "authors".
        z_max: Half the edge of the box in which the points lie.
        skeleton: Whether the average may be computed from few points, or from moments, where that is possible; the
            result is the same up to rounding.
    """

    def __init__(self, task: Task, normalisation: str = "authors", *, z_max: float = 5.0, skeleton: bool = True):
        self.task = task
        self.normalisation = checks.one_of("normalisation", normalisation, NORMALISATIONS)
        self.z_max = checks.positive("z_max", z_max)
        self.skeleton: Skeleton | None = None
        self.crosses = Crosses(z_max)
        self._allowed = skeleton

    def weights(self, n: int) -> tuple[float, float]:
        """Factors of the mean squared residuals of output and currents."""
        volume = (2 * self.z_max) ** self.task.D
        return (volume, volume) if self.normalisation == "paper" else (1.0, 1 / n)

    def terms(self, network: Integrator, z: Tensor) -> Terms:
        """Both parts of the loss at `P x D` points; errors as below."""
        weights = self.weights(network.n)
        return Terms(*(w / len(z) * term for w, term in zip(weights, proxy_terms(network, z, self.task), strict=True)))

    def __call__(self, network: Integrator, z: Tensor) -> Tensor:
        """Scalar loss of `network`, averaged over `P x D` points.

        Raises:
            ValueError: points or a task for another number of channels, or points outside of the box.
        """
        checks.tensor("z", z, ("P", network.D))
        if self.task.D != network.D:
            raise ValueError(f"task must have the network's {network.D} channels, got {self.task.D}")
        a, b = self.weights(network.n)
        if worth_fanning(network.activation, network.W, len(z), network.D):
            return self._on_fan(network, z)
        found = self._otherwise(network, z, a, b) if self._allowed else None
        return found if found is not None else a / len(z) * proxy_loss(network, z, self.task, current_weight=b / a)

    def _otherwise(self, network: Integrator, z: Tensor, a: float, b: float) -> Tensor | None:
        """The loss from few points or from moments; None if neither serves."""
        weights, f = (network.W, network.encoders, network.decoders), network.activation
        if has_skeleton(network):
            self.skeleton = Skeleton.serving(network, largest_stretch(network), self.z_max, self.skeleton)
            gram, values = self.skeleton.gram(z[:, 0]).to(z), self.skeleton.z.to(z)
            constants: tuple = (self.task.decays[0], self.task.scales[0], a, b)
            return _OnSkeleton.apply(*weights, values, gram, f, constants)  # type: ignore[no-any-return]
        served = self.crosses.serve(network, z)
        if served is None and not worth_gram(network, len(z)):
            return None
        constants = (z.new_tensor(self.task.decays), z.new_tensor(self.task.scales), a, b)
        if served is None:
            return OnGram.apply(*weights, z, f, constants)  # type: ignore[no-any-return]
        return OnCross.apply(*weights, z, served, f, constants)  # type: ignore[no-any-return]

    def _on_fan(self, network: Integrator, z: Tensor) -> Tensor:
        """The loss of two rectified channels at many points."""
        gamma, s = z.new_tensor(self.task.decays), z.new_tensor(self.task.scales)
        a, b = self.weights(network.n)
        z = z[by_angle(z)]
        F = network.encoders.T @ network.W.T  # 2 x n
        y, images = Fanned.apply(network.W, F, network.decoders, z)  # type: ignore[misc]
        of_currents = images.sub_((z * gamma) @ F).square().sum()
        return (a * (y - z * (s * gamma)).square().sum() + b * of_currents) / len(z)


class _OnSkeleton(torch.autograd.Function):
    """The loss and its gradient from the values at r points."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, z: Tensor, gram: Tensor, activation: Any, constants: tuple
    ) -> Tensor:
        gamma, s, a, b = constants
        needs_W, needs_E, needs_Z = ctx.needs_input_grad[:3]
        e, d = E[:, 0], Z[:, 0]
        F = W @ e
        currents = torch.outer(z, F)  # r x n
        H, slopes = torch.empty_like(currents), torch.ones_like(currents)
        activation.into(currents, H)
        u = H @ d - s * gamma * z  # r
        R = (H @ W.T).sub_(currents, alpha=gamma)  # r x n
        v, Q = 2 * a * (gram @ u), gram @ R
        loss = 0.5 * (u @ v) + b * (R.flatten() @ Q.flatten())
        Q *= 2 * b
        dE = dW = None
        if needs_W or needs_E:
            delta = torch.addmm(torch.outer(v, d), Q, W)
            activation.into_derivative(currents, slopes)
            delta.mul_(currents)
            dF = z @ delta - gamma * (z @ Q)
            dW = torch.addmm(torch.outer(dF, e), Q.T, H) if needs_W else None
            dE = (dF @ W)[:, None] if needs_E else None
        ctx.gradients = (dW, dE, (v @ H)[:, None] if needs_Z else None)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, factor: Tensor) -> Any:  # type: ignore[override]
        return *given_away(ctx, factor), None, None, None, None
