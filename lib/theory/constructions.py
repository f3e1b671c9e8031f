r"""Nonlinear networks with several channels, written down instead of trained: how many neurons exactness takes.

Ask for what the proxy loss asks for: currents $\nu = F\bar y$, linear in the integrals, and outputs that are exact.

*Rectified.* $f(\nu) = (\nu + |\nu|)/2$, so the outputs need $\sum_i d_i |F_i\cdot y| = 0$ for every y, $d_i$ and $F_i$
being the rows of neuron i. Functions $|u_k\cdot y|$ of directions $u_k$ that are not parallel are linearly independent,
so the sum vanishes within every class of neurons with parallel $F_i$; for decoders in general position that takes D + 1
neurons or more. Outputs of rank D take D classes or more: $n \ge D(D + 1)$. `rectified_integrator` builds a network
from D classes in which positive factors $a_i$ with $\sum_i a_i d_i = 0$ exist.

*Smooth.* Near a point of slope $f' > 0$ small currents see a line, and decoders that may grow read it: every accuracy
is possible from 2D + 1 neurons on. `smooth_integrator` builds it.
"""

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from lib import checks
from lib.model.activations import Sigmoid
from lib.model.network import Integrator
from lib.model.task import Task
from lib.theory.linear.moments import check_vectors

TOLERANCE = 1e-9


def least_neurons(D: int) -> int:
    """Neurons without which no rectified network has zero proxy loss, D (D + 1), for decoders in general position."""
    return checks.whole("D", D, 1) * (D + 1)


def balanced_factors(decoders: Tensor) -> Tensor | None:
    r"""Factors $a_i \ge 0$ with $\sum_i a_i d_i = 0$ and sum one, of `m x D` rows; None if there are none.

    At most D + 1 of them are positive. Half of all sets of 2D random rows have such factors (Wendel's theorem).
    """
    m, D = checks.tensor("decoders", decoders, ("m", "D")).shape
    rows = decoders.detach().double().cpu().numpy()
    size = np.abs(rows).max() or 1.0
    a, residual = nnls(np.vstack([rows.T / size, np.ones(m)]), np.append(np.zeros(D), 1.0))
    return torch.from_numpy(a).to(decoders) if residual < TOLERANCE else None


def balanced_classes(decoders: Tensor) -> list[Tensor]:
    """Neurons in order, in D classes whose decoders can be balanced, each ended as soon as they can: 2D + 1 on average.

    Args:
        decoders: `n x D`.

    Returns:
        D vectors of indices; neurons left over belong to none.

    Raises:
        ValueError: too few neurons for that.
    """
    n, D = checks.tensor("decoders", decoders, ("n", "D")).shape
    classes: list[Tensor] = []
    start = 0
    for stop in range(1, n + 1):
        if len(classes) < D and stop - start > D and balanced_factors(decoders[start:stop]) is not None:
            classes.append(torch.arange(start, stop, device=decoders.device))
            start = stop
    if len(classes) < D:
        raise ValueError(
            f"expected neurons for {D} classes, got {n}, enough for {len(classes)}; take about {D * (2 * D + 1)}"
        )
    return classes


def rectified_integrator(encoders: Tensor, decoders: Tensor, task: Task) -> Integrator:
    r"""A rectified network of rank D that integrates exactly, with the encoders and decoders given.

    In class k all currents are parallel, $F_i = \sigma_i a_i u_k$, with alternating signs $\sigma_i$ and the factors of
    `balanced_factors`; $U = 2 Q^{-1}$ makes the outputs right, with columns $\sum_{i \in k} \sigma_i a_i d_i$ of Q.
    The weights are $W = F R^\dagger$, with the shortest R that reads integrals from states and inputs:
    $R^\dagger F = 2\Gamma$, $R^\dagger a_k = 0$, $R^\dagger e = \Gamma S$.

    Args:
        encoders: `n x D`.
        decoders: `n x D`, in general position.
        task: D channels.

    Raises:
        ValueError: shapes that do not fit, or too few neurons (about $D(2D + 1)$ serve for random decoders).
    """
    check_vectors(encoders, decoders)
    n, D = checks.tensor("encoders", encoders, ("n", "D")).shape
    _check_channels(D, task)
    A, F = encoders.new_zeros(n, D), encoders.new_zeros(n, D)
    signed = encoders.new_zeros(n, D)
    for k, members in enumerate(balanced_classes(decoders)):
        a = balanced_factors(decoders[members])
        assert a is not None  # classes are balanced
        used = members[a > 0]
        signs = 1.0 - 2.0 * (torch.arange(len(used), device=a.device) % 2)
        A[used, k] = a[a > 0]
        signed[used, k] = a[a > 0] * signs
    U = 2 * torch.linalg.inv(decoders.mT @ signed)  # D x D, rows u_k
    F = signed @ U
    gamma, s = (encoders.new_tensor(values) for values in (task.decays, task.scales))
    known = torch.cat([A, F, encoders], dim=1)
    asked = torch.cat([torch.zeros_like(U), 2 * gamma.diag(), (gamma * s).diag()], dim=1)
    return Integrator(F @ _readers(asked, known).mT, encoders, decoders)


def smooth_integrator(encoders: Tensor, task: Task, size: float, activation: Sigmoid, directions: Tensor) -> Integrator:
    r"""A sigmoid network with small currents: as near to integrating as asked for, its error falls as `size` squared.

    The currents are $\varepsilon F_0\bar y$ about zero, where the states are $f(0) + f'(0)\,\varepsilon F_0\bar y$ up
    to third order if the threshold is 0. R reads them, $R^\dagger 1 = 0$ and $\varepsilon f'(0) R^\dagger F_0 = \Gamma$
    beside $R^\dagger e = \Gamma S$; then $W = \varepsilon F_0 R^\dagger$. The decoders read the integrals alike.

    Args:
        encoders: `n x D`, n > 2D.
        task: D channels.
        size: $\varepsilon > 0$.
        activation: With threshold 0, for which the error is of second order.
        directions: $F_0$, `n x D`.

    Raises:
        ValueError: shapes that do not fit, too few neurons, or another threshold.
    """
    n, D = checks.tensor("encoders", encoders, ("n", "D")).shape
    checks.tensor("directions", directions, (n, D))
    _check_channels(D, task)
    checks.positive("size", size)
    if n <= 2 * D:
        raise ValueError(f"expected more than 2D={2 * D} neurons, got {n}")
    if activation.thresholds.any():
        raise ValueError("activation must have threshold 0, got another")
    gamma, s = (encoders.new_tensor(values) for values in (task.decays, task.scales))
    ones, zeros = encoders.new_ones(n, 1), encoders.new_zeros(D, 1)
    slope = activation.slope / 4
    known = torch.cat([ones, size * slope * directions, encoders], dim=1)
    asked = torch.cat([zeros, gamma.diag(), (gamma * s).diag()], dim=1)
    W = size * directions @ _readers(asked, known).mT
    decoders = _readers(torch.cat([zeros, torch.eye(D).to(encoders)], dim=1), known[:, : D + 1])
    return Integrator(W, encoders, decoders, activation=activation)


def _readers(asked: Tensor, known: Tensor) -> Tensor:
    """The shortest R, `n x D`, with R'known = asked."""
    return torch.linalg.lstsq(known.mT, asked.mT, driver="gelsd").solution


def _check_channels(D: int, task: Task) -> None:
    if task.D != D:
        raise ValueError(f"task must have the network's {D} channels, got {task.D}")
