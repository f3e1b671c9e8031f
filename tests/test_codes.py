"""Encoders and decoders: norms, overlaps and supports against formulas and the draws they come from."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.codes import SUPPORTS, channel_supports, random_codes, supports

FEW = settings(deadline=None, derandomize=True, max_examples=30)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@FEW
@given(
    n=st.integers(2, 30),
    D=st.integers(1, 4),
    norms=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    o=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_norms_are_what_was_asked(n, D, norms, o, seed):
    e, d = random_codes(n, D, generator=seeded(seed), encoder_norm=norms[0], decoder_norm=norms[1], overlap=o)
    assert e.shape == d.shape == (n, D)
    assert e.dtype == d.dtype == torch.float64
    assert e.norm(dim=0).tolist() == pytest.approx([norms[0]] * D)
    assert d.norm(dim=0).tolist() == pytest.approx([norms[1]] * D)


@pytest.mark.parametrize("o", [0.0, 0.1, 0.4, 0.8, 1.0])
def test_overlap_mixes_unit_vectors_of_the_same_draw(o):
    """The decoder is d + o (e - d), each of unit length, stretched to its norm; encoders are untouched."""
    e, d0 = random_codes(50, 2, generator=seeded())
    e_norm, mixed = random_codes(50, 2, generator=seeded(), encoder_norm=3.0, decoder_norm=0.7, overlap=o)
    torch.testing.assert_close(e_norm, 3 * e)
    for c in range(2):
        expected = d0[:, c] + o * (e[:, c] - d0[:, c])
        expected = 0.7 * expected / math.sqrt(sum(v**2 for v in expected.tolist()))
        torch.testing.assert_close(mixed[:, c], expected)


@pytest.mark.parametrize("o, product", [(0.1, 0.110), (0.4, 0.555), (0.8, 0.970)])
def test_realised_product_is_not_the_overlap(o, product):
    """Erratum E9: |d||e| o / sqrt(o^2 + (1-o)^2), up to the 1/sqrt(n) product of independent vectors."""
    e, d = random_codes(40_000, 1, generator=seeded(), encoder_norm=2.0, decoder_norm=3.0, overlap=o)
    assert product == pytest.approx(o / math.hypot(o, 1 - o), abs=6e-4)
    assert float(e[:, 0] @ d[:, 0]) / 6 == pytest.approx(product, abs=5 / 40_000**0.5 + 6e-4)


def test_gaussian_norms_are_kept_on_request():
    e, d = random_codes(1000, 40, generator=seeded(), encoder_norm=None, decoder_norm=None)
    for codes in (e, d):
        norms = codes.norm(dim=0)
        assert float(norms.mean()) == pytest.approx(1, abs=5 * (2000 * 40) ** -0.5)
        assert float(norms.std()) == pytest.approx(2000**-0.5, rel=5 / 80**0.5)


def test_entries_are_normal_and_independent():
    e, d = random_codes(5000, 2, generator=seeded(), encoder_norm=None, decoder_norm=None)
    columns = torch.cat([e, d], dim=1) * 5000**0.5  # n x 4, variance 1
    covariance = columns.T @ columns / 5000
    assert (covariance - torch.eye(4)).abs().max() < 5 * (2 / 5000) ** 0.5
    assert float((columns**4).mean()) == pytest.approx(3, abs=5 * (96 / 20_000) ** 0.5)


def test_a_seed_repeats_the_codes():
    assert torch.equal(random_codes(9, 2, generator=seeded()).decoders, random_codes(9, 2, generator=seeded()).decoders)
    assert not torch.equal(random_codes(9, generator=seeded()).encoders, random_codes(9, generator=seeded(1)).encoders)


# Supports


def test_supports_are_respected_and_scale_the_variance():
    support = channel_supports(2000, 2)
    e, d = random_codes(
        2000,
        2,
        generator=seeded(),
        encoder_norm=None,
        decoder_norm=None,
        encoder_support=support,
        decoder_support=~support,
    )
    assert (e[~support] == 0).all()
    assert (d[support] == 0).all()
    assert (e[support] != 0).all()
    assert e.square().sum(dim=0).tolist() == pytest.approx([1, 1], abs=5 * (2 / 1000) ** 0.5)  # 1000 of variance 1/1000
    assert (e * d).sum() == 0


@FEW
@given(D=st.integers(1, 5), extra=st.integers(0, 40))
def test_supports_partition_the_neurons(D, extra):
    support = channel_supports(D + extra, D)
    assert support.sum(dim=1).tolist() == [1] * (D + extra)
    sizes = support.sum(dim=0)
    assert int(sizes.max() - sizes.min()) <= 1
    for c in range(D):
        where = support[:, c].nonzero().flatten()
        assert len(where) == int(where[-1] - where[0]) + 1  # consecutive


def test_the_middle_fifth_is_shared():
    """Figure 11, right: two supports of 60 % of the neurons, the middle 20 % in both."""
    support = channel_supports(1000, 2, shared=0.2)
    expected = torch.zeros(1000, 2, dtype=torch.bool)
    expected[:600, 0] = True
    expected[400:, 1] = True
    assert torch.equal(support, expected)


@FEW
@given(n=st.integers(3, 60), D=st.integers(1, 5), shared=st.floats(0, 0.99))
def test_the_shared_fraction(n, D, shared):
    n = max(n, D)
    support = channel_supports(n, D, shared=shared)
    common = support.all(dim=1)
    if D > 1:
        assert abs(int(common.sum()) - shared * n) <= D
    assert torch.equal(support[~common], channel_supports(n, D)[~common])


@pytest.mark.parametrize("D", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", SUPPORTS)
def test_arrangements_of_supports(kind, D):
    """Where e_c and d_c live, said once more in words of sets."""
    n = 20 * D
    if kind == "swapped" and D == 1:
        with pytest.raises(ValueError, match="D must be an integer of at least 2, got 1"):
            supports(kind, n, D)
        return
    e, d = random_codes(n, D, generator=seeded(), **supports(kind, n, D)._asdict())
    for c in range(D):
        block = set(range(20 * c, 20 * c + 20))
        where_e, where_d = (set(v[:, c].nonzero().flatten().tolist()) for v in (e, d))
        other = {(i + 20) % n for i in block}
        common = set(support_of_all(supports(kind, n, D))) if kind == "overlapping" else set()
        assert where_e == (block | common if kind not in ("all", "decoders") else set(range(n)))
        home = {"same": block, "decoders": block, "swapped": other}.get(kind, set(range(n)))
        assert where_d == (block | common if kind == "overlapping" else home)
    if kind == "overlapping" and D > 1:
        assert len(common) == pytest.approx(0.2 * n, abs=D)


def support_of_all(found):
    assert torch.equal(found.encoder_support, found.decoder_support)
    return found.encoder_support.all(dim=1).nonzero().flatten().tolist()


def test_an_unknown_arrangement():
    with pytest.raises(ValueError, match="kind must be one of"):
        supports("halves", 10, 2)


@pytest.mark.parametrize(
    "support",
    [
        torch.ones(4, 1, dtype=torch.bool),
        torch.ones(5, 2),
        torch.tensor([[True, False]] * 5),
        torch.zeros(5, 2, dtype=torch.bool),
    ],
    ids=["shape", "dtype", "a channel without neurons", "no neurons"],
)
@pytest.mark.parametrize("which", ["encoder_support", "decoder_support"])
def test_supports_that_are_refused(which, support):
    with pytest.raises(ValueError, match=f"{which} must be 5 x 2 booleans with at least one neuron per channel, got"):
        random_codes(5, 2, generator=seeded(), **{which: support})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"overlap": -0.1}, r"overlap must lie in \[0, 1\], got -0.1"),
        ({"overlap": 1.1}, r"overlap must lie in \[0, 1\], got 1.1"),
        ({"overlap": math.nan}, r"overlap must lie in \[0, 1\], got nan"),
        ({"encoder_norm": 0.0}, "encoder_norm must be a positive number, got 0.0"),
        ({"decoder_norm": -1.0}, "decoder_norm must be a positive number, got -1.0"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        random_codes(5, 2, generator=seeded(), **options)


def test_sizes_that_are_refused():
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        random_codes(0, 1, generator=seeded())
    with pytest.raises(ValueError, match="D must be an integer of at least 1, got 0"):
        random_codes(3, 0, generator=seeded())
    with pytest.raises(ValueError, match="n must be an integer of at least 3, got 2"):
        channel_supports(2, 3)
    for shared in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=r"shared must lie in \[0, 1\), got"):
            channel_supports(10, 2, shared=shared)
