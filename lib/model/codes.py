r"""Encoders $e_c$ and decoders $d_c$: how signals enter the network and integrals leave it (paper, section 2).

Both are `n x D` matrices whose columns belong to the channels.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lib import checks
from lib.model.signals import normal


class Codes(NamedTuple):
    """A pair of encoders and decoders."""

    encoders: Tensor  # n x D, columns e_c
    decoders: Tensor  # n x D, columns d_c


def random_codes(
    n: int,
    D: int = 1,
    *,
    generator: torch.Generator,
    encoder_norm: float | None = 1.0,
    decoder_norm: float | None = 1.0,
    overlap: float = 0.0,
    encoder_support: Tensor | None = None,
    decoder_support: Tensor | None = None,
) -> Codes:
    r"""Independent Gaussian encoders and decoders, then overlapped and normalised as asked.

    The overlap o acts on unit vectors before the decoder gets its norm: $d_c \leftarrow (1-o) d_c + o\, e_c$. For
    independent vectors the realised product is then $d_c \cdot e_c \simeq |d||e|\,o / \sqrt{o^2 + (1-o)^2}$, which is
    not o (erratum E9).

    Args:
        n: Neurons.
        D: Channels.
        generator: Source of the draws (float64, on the CPU).
        encoder_norm: Norm of every $e_c$; None keeps the Gaussian's own, about 1 (the authors' choice for D > 1).
        decoder_norm: The same for every $d_c$.
        overlap: o in [0, 1].
        encoder_support: `n x D` booleans, where $e_c$ may differ from zero; None is everywhere.
        decoder_support: The same for $d_c$.

    Raises:
        ValueError: sizes below 1, o outside [0, 1], norms that are not positive, supports of wrong shape or empty,
            or an overlap of vectors with different supports.
    """
    checks.whole("n", n, 1)
    checks.whole("D", D, 1)
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap must lie in [0, 1], got {overlap}")
    if overlap and not _same(encoder_support, decoder_support):
        raise ValueError("overlap mixes e into d, so encoder_support and decoder_support must be the same, got two")
    e = _gaussian(n, D, encoder_support, "encoder_support", generator)
    d = _gaussian(n, D, decoder_support, "decoder_support", generator)
    if encoder_norm is not None:
        e = e / e.norm(dim=0) * checks.positive("encoder_norm", encoder_norm)
    if overlap:
        d = (1 - overlap) * d / d.norm(dim=0) + overlap * e / e.norm(dim=0)
    if decoder_norm is not None:
        d = d / d.norm(dim=0) * checks.positive("decoder_norm", decoder_norm)
    return Codes(e, d)


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two supports are equal."""
    return a is b or (a is not None and b is not None and torch.equal(a, b))


def _gaussian(n: int, D: int, support: Tensor | None, name: str, generator: torch.Generator) -> Tensor:
    """`n x D` normal numbers on the support, of variance 1 / (size of the channel's support)."""
    values = normal(n, D, generator=generator)
    if support is None:
        return values / n**0.5
    if support.shape != (n, D) or support.dtype != torch.bool or not support.any(dim=0).all():
        came = f"{tuple(support.shape)} {support.dtype} with {support.sum(dim=0).tolist()} neurons per channel"
        raise ValueError(f"{name} must be {n} x {D} booleans with at least one neuron per channel, got {came}")
    return torch.where(support, values, 0.0) / support.sum(dim=0) ** 0.5


def channel_supports(n: int, D: int, *, shared: float = 0.0) -> Tensor:
    """`n x D` supports: the neurons in D consecutive blocks, one a channel, and a middle fraction common to all.

    Args:
        n: Neurons, at least D.
        D: Channels.
        shared: Fraction of the neurons, in [0, 1), that belongs to every channel (figure 11: 0, then 0.2). For D = 2
            they are the middle of the population; for more channels each block gives up its last neurons.
    """
    checks.whole("D", D, 1)
    checks.whole("n", n, D)
    if not 0 <= shared < 1:
        raise ValueError(f"shared must lie in [0, 1), got {shared}")
    neurons = torch.arange(n)
    owner = (neurons * D) // n
    support = owner[:, None] == torch.arange(D)
    if D == 2:
        common = (neurons - (n - 1) / 2).abs() < shared * n / 2
    else:
        place = (neurons * D) / n - owner  # position within the block, in [0, 1)
        common = place >= 1 - shared
    return support | common[:, None]


SUPPORTS = ("all", "same", "overlapping", "encoders", "decoders", "swapped")


class Supports(NamedTuple):
    """Where encoders and decoders may differ from zero; the fields are arguments of `random_codes`."""

    encoder_support: Tensor | None  # n x D booleans; None is everywhere
    decoder_support: Tensor | None


def supports(kind: str, n: int, D: int, *, shared: float = 0.2) -> Supports:
    r"""The arrangements of supports in section 5 and in the authors' code, in consecutive blocks of n/D neurons.

    Args:
        kind: "all" (everywhere), "same" ($e_c$ and $d_c$ on block c: figure 11, middle), "overlapping" (the same, with
            a fraction of neurons common to all channels: figure 11, right), "encoders" or "decoders" (only these are
            confined), "swapped" ($e_c$ on block c, $d_c$ on that of the next channel: the authors' "disjoint").
        n: Neurons, at least D.
        D: Channels; one has no other block to go to, so "swapped" needs two.
        shared: Fraction of common neurons, for "overlapping".
    """
    checks.one_of("kind", kind, SUPPORTS)
    blocks = channel_supports(n, D, shared=shared if kind == "overlapping" else 0.0)
    if kind == "swapped":
        checks.whole("D", D, 2)
        return Supports(blocks, blocks.roll(-1, dims=1))
    confined = kind in ("same", "overlapping")
    return Supports(
        blocks if confined or kind == "encoders" else None, blocks if confined or kind == "decoders" else None
    )
