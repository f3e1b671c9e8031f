r"""The integrator that descent from W = 0 ends in, in closed form (beyond the paper's section 3.2).

The loss does not change under $W \to S W^\dagger S$, where the reflection S exchanges $\hat d = d/|d|$ and
$\hat e = e/|e|$ (`lib.linear.slow.mirrored`), and W = 0 is its own image, so every step stays among the matrices with
$W = S W^\dagger S$. Of the rank-one integrators $\gamma x y^\dagger / y^\dagger x$ these are the ones with $y = S x$.
With $x = u + t v$ along $u \propto \hat d + \hat e$ and $v \propto \hat d - \hat e$ their scale is

$$\frac{s}{|d||e|} = \frac{(p + m t)^2}{1 - t^2}, \qquad p^2 = \frac{1 + \kappa}{2}, \quad m^2 = \frac{1 - \kappa}{2},
\quad \kappa = \hat d \cdot \hat e$$

which is a quadratic equation for t. It has a real solution if $s \ge d\cdot e$. For $0 < s < d\cdot e$ it has none:
there descent from W = 0 cannot reach any integrator.
"""

import torch
from torch import Tensor

from lib.linear.moments import check_vectors


def reached(encoders: Tensor, decoders: Tensor, decay: float, scale: float | Tensor) -> Tensor:
    r"""Weights $\gamma\, x\, (Sx)^\dagger / (x^\dagger S x)$, `... x n x n`, of the smaller of the two solutions t.

    The norm of W is $\gamma\,(1 + t^2)/(1 - t^2)$; if encoder and decoder are orthogonal unit vectors it is
    $\gamma\,(s + 1/4s)$.

    Args:
        encoders: `... x n x 1`.
        decoders: `... x n x 1`.
        decay: $\gamma$ in (0, 1].
        scale: s, one number or `...`.

    Raises:
        ValueError: shapes that do not fit, more than one channel, parallel vectors, or a scale that is not positive or
            not above $d\cdot e$.
    """
    check_vectors(encoders, decoders)
    if encoders.shape[-1] != 1:
        raise ValueError(f"expected one channel, got {encoders.shape[-1]}")
    sizes = [v.norm(dim=-2, keepdim=True) for v in (encoders, decoders)]
    e, d = encoders / sizes[0], decoders / sizes[1]
    kappa = (e * d).sum(dim=-2, keepdim=True)
    if not (1 - kappa.abs()).min() > 1e-12:
        raise ValueError("encoder and decoder must not be parallel, got a cosine of 1 or -1")
    s = torch.as_tensor(scale, dtype=e.dtype, device=e.device)[..., None, None] / (sizes[0] * sizes[1])
    if not torch.minimum(s, s - kappa).min() > 0:
        raise ValueError("scale must be positive and above d.e: none is reached below, got a smaller one")
    p, m = ((1 + kappa) / 2).sqrt(), ((1 - kappa) / 2).sqrt()
    t = ((s * (s - kappa)).sqrt() - p * m) / (m.square() + s)
    u, v = (d + e) / (2 * p), (d - e) / (2 * m)
    return decay * (u + t * v) @ (u - t * v).mT / (1 - t.square())
