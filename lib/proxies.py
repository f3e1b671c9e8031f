r"""The proxy loss averaged over a range of integrals, for any activation (paper, equations 33 and 34).

If few points stand for all, the average over thousands is computed from them, with the gradient written out: for one
channel and an activation whose singularities are known (`lib.skeletons`), and for several and a gentle one
(`lib.crosses`). With one channel, $H_j = f(z_j We)$ and $R_j = W H_j - \gamma z_j We$ as the
rows of $r \times n$ matrices, $u_j = d \cdot H_j - s\gamma z_j$, and $\Gamma$ the Gram matrix of the points,

$$\mathcal{L} = a\, u^\dagger \Gamma u + b\, \mathrm{tr}(R^\dagger \Gamma R), \qquad
v = 2a\,\Gamma u, \quad Q = 2b\,\Gamma R,$$
$$\frac{\partial\mathcal{L}}{\partial d} = H^\dagger v, \qquad
F' = \sum_j z_j \big[ (v d^\dagger + Q W)_j \odot f'(z_j We) - \gamma Q_j \big], \qquad
\frac{\partial\mathcal{L}}{\partial W} = Q^\dagger H + F' e^\dagger .$$

With several, $z_j$ and $u_j$ are vectors and $v$, $F'$ have D columns. Otherwise `lib.fans` saves most products of two
rectified channels by sorting the points, and `lib.grams` some of any others where points outnumber neurons.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.crosses import Crosses
from lib.fans import Fanned, by_angle, worth_fanning
from lib.grams import OnGram, worth_gram
from lib.losses import NORMALISATIONS, proxy_loss, proxy_terms
from lib.networks import Integrator
from lib.skeletons import Skeleton, has_skeleton, largest_stretch
from lib.tasks import Task


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
        few = self._few(network, z) if self._allowed else None
        if few is None and not (self._allowed and worth_gram(network, len(z))):
            return a / len(z) * proxy_loss(network, z, self.task, current_weight=b / a)
        args = (network.W, network.encoders, network.decoders, *(few if few is not None else (z,)), network.activation)
        constants = (z.new_tensor(self.task.decays), z.new_tensor(self.task.scales), a, b)
        return (OnGram if few is None else _OnFew).apply(*args, constants)  # type: ignore[no-any-return]

    def _few(self, network: Integrator, z: Tensor) -> tuple[Tensor, Tensor] | None:
        """Points `r x D` that stand for all, and their `r x r` Gram matrix; None if there are none."""
        if not has_skeleton(network):
            return self.crosses.serve(network, z)
        self.skeleton = Skeleton.serving(network, largest_stretch(network), self.z_max, self.skeleton)
        return self.skeleton.z.to(z)[:, None], self.skeleton.gram(z[:, 0]).to(z)

    def _on_fan(self, network: Integrator, z: Tensor) -> Tensor:
        """The loss of two rectified channels at many points."""
        gamma, s = z.new_tensor(self.task.decays), z.new_tensor(self.task.scales)
        a, b = self.weights(network.n)
        z = z[by_angle(z)]
        F = network.encoders.T @ network.W.T  # 2 x n
        y, images = Fanned.apply(network.W, F, network.decoders, z)  # type: ignore[misc]
        of_currents = images.sub_((z * gamma) @ F).square().sum()
        return (a * (y - z * (s * gamma)).square().sum() + b * of_currents) / len(z)


class _OnFew(torch.autograd.Function):
    """The loss and its gradient from the values at `r x D` points."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, W: Tensor, E: Tensor, Z: Tensor, z: Tensor, gram: Tensor, activation: Any, constants: tuple
    ) -> Tensor:
        gamma, s, a, b = constants
        needs_W, needs_E, needs_Z = ctx.needs_input_grad[:3]
        F = E.T.contiguous() @ W.T  # D x n
        currents, decayed = z @ F, z * gamma  # r x n, r x D
        H, slopes = torch.empty_like(currents), torch.ones_like(currents)
        activation.into(currents, H)
        u = H @ Z - s * decayed  # r x D
        R = torch.addmm(decayed @ F, H, W.T, beta=-1)  # r x n
        v, Q = 2 * a * (gram @ u), gram @ R
        loss = 0.5 * (u.flatten() @ v.flatten()) + b * (R.flatten() @ Q.flatten())
        Q *= 2 * b
        dE = dW = None
        if needs_W or needs_E:
            delta = torch.addmm(v @ Z.T, Q, W)
            activation.into_derivative(currents, slopes)
            delta.mul_(currents)
            dF = z.T @ delta - decayed.T @ Q  # D x n
            dW = torch.addmm(dF.T @ E.T, Q.T, H) if needs_W else None
            dE = (dF @ W).T if needs_E else None
        ctx.gradients = (dW, dE, H.T @ v if needs_Z else None)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, factor: Tensor) -> Any:  # type: ignore[override]
        gradients, ctx.gradients = ctx.gradients, None  # nobody else holds them, so autograd need not copy them
        if gradients is None:
            raise RuntimeError("backward can be called once: the gradient has been given away")
        return *(None if g is None else g.mul_(factor) for g in gradients), None, None, None, None
