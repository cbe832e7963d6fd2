"""Hyper-priors: exact values back, at the length the tables promise, from bytes that are frozen."""

from __future__ import annotations

import decimal
import hashlib
import math
import random
import tracemalloc
from statistics import NormalDist

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmcomp import exact
from llmcomp.container import Reader, varint
from llmcomp.errors import FormatError, LLMCompError, VersionError
from llmcomp.steering.priors import (
    MAX_COORDINATES,
    MAX_LEVELS,
    PRIORS,
    CodedVector,
    Empirical,
    Gaussian,
    HyperPrior,
    Laplace,
    LloydMax,
    decode,
)

STEP = 10 / 256

NORMAL = np.random.default_rng(2).standard_normal((200, 512)).astype(np.float32)
"""As many coordinates as the published system's: 200 virtual tokens of 512."""

SAMPLES: list[HyperPrior] = [
    Gaussian(),
    Gaussian(levels=2, sigma=0.3, limit=1.0),
    Gaussian(levels=7, published_bug=True),
    Gaussian(levels=MAX_LEVELS, sigma=1e-30, limit=1e30),
    Empirical(),
    Empirical(levels=2, percentiles=(0.0, 100.0)),
    Empirical(levels=5, published_bug=True),
    LloydMax(),
    LloydMax(levels=2),
    LloydMax(levels=3),
    Laplace(),
    Laplace(levels=2, limit=1.0, block=1),
    Laplace(levels=3, limit=1e-3, block=3),
    Laplace(levels=MAX_LEVELS, limit=1e30, block=1000),
]

SMALL = ((np.arange(60) * 37 % 61 - 30) ** 3 / 9000).astype(np.float32).reshape(5, 12)

DIGESTS = {
    "gaussian": "e30a7a2dcf5c16cf8ed0566117a9220cfeb04684dd088e79a01d1eb4455390d3",
    "empirical": "39321917969678c82b6dbaf10f5646110a4fa1bcf927c064c706e01a1321a184",
    "lloyd_max": "b7d863e59335086f335e68f03db98282399a11a6d0cad510c01c171cd934c5a3",
    "laplace": "439c0c22ce8b193b7b69cc20adc2c2d6eac5bb11ca4db34b3969c8a3e4f1648b",
}

QUANTILES_DIGEST = "eec1fbad514d18666dae71ff2844cadc19caa2040a4597664e9d07f742d48d49"


@pytest.fixture(scope="module")
def coded() -> dict[str, CodedVector]:
    return {name: prior().encode(NORMAL) for name, prior in PRIORS.items()}


def decoded(coded: CodedVector) -> np.ndarray:
    reader = Reader(coded.pack() + b"next")
    values = decode(coded.prior.number, reader, coded.values.shape)
    assert reader.take(4) == b"next"
    return values


def test_a_truncated_normal_has_the_published_entropy(coded):
    assert round(coded["gaussian"].entropy_bits, 4) == 6.7252


def test_the_published_bug_costs_four_times_the_error(coded):
    uniform = STEP**2 / 12
    bug = Gaussian(published_bug=True).encode(NORMAL)
    assert coded["gaussian"].mse == pytest.approx(uniform, rel=0.02)
    assert bug.mse == pytest.approx(uniform + STEP**2 / 4, rel=0.02)
    assert bug.metadata == coded["gaussian"].metadata
    assert np.array_equal(decoded(bug), bug.values)
    # the histogram's range clips, which hides the bug's factor: look at what is inside
    empirical = [Empirical(published_bug=b).encode(NORMAL).values for b in (False, True)]
    inside = np.abs(NORMAL) < 2.2
    right, wrong = (np.mean((v - NORMAL)[inside] ** 2) for v in empirical)
    assert wrong == pytest.approx(4 * right, rel=0.02)


def test_lloyd_max_reaches_what_theory_promises(coded):
    # sqrt(3) pi / 2 / 256**2 = 4.15e-5 for the density [PD51]; a little less on its own sample
    assert 3.9e-5 < coded["lloyd_max"].mse < 4.3e-5
    sizes = np.unique(coded["lloyd_max"].values, return_counts=True)[1]
    assert len(sizes) == 256


def test_lloyd_max_settles_where_no_level_and_no_boundary_can_improve():
    values = LloydMax(levels=16).encode(NORMAL).values.ravel()
    flat = NORMAL.ravel().astype(np.float64)
    levels = np.unique(values)
    nearest = levels[np.argmin(np.abs(flat[:, None] - levels), axis=1)]
    assert np.array_equal(np.abs(nearest - flat), np.abs(values - flat))
    for level in levels:
        assert level == pytest.approx(flat[values == level].mean(), abs=2.0**-14)


def test_each_prior_is_best_at_something(coded):
    bits = {name: c.bits for name, c in coded.items()}
    mse = {name: c.mse for name, c in coded.items()}
    assert min(bits, key=bits.__getitem__) == "gaussian"
    assert min(mse, key=mse.__getitem__) == "lloyd_max"
    assert max(mse, key=mse.__getitem__) == "empirical"


@pytest.mark.parametrize("name", PRIORS)
def test_the_length_is_the_ideal(coded, name):
    c = coded[name]
    assert 8 * len(c.payload) == pytest.approx(c.ideal_bits, rel=5e-4)
    assert c.bits == 8 * len(c.pack()) == c.metadata_bits + 8 * len(c.payload)
    assert c.bits_per_coordinate == c.bits / NORMAL.size
    assert c.rate == c.bits / (32 * NORMAL.size)
    # the gaussian's and Laplace's tables are only near the sample's own frequencies
    follows = {"empirical": 5e-4, "lloyd_max": 5e-4, "gaussian": 2e-3, "laplace": 1e-2}[name]
    assert c.bits == pytest.approx(c.entropy_bits * NORMAL.size + c.metadata_bits, rel=follows)
    assert np.array_equal(decoded(c), c.values)
    assert c.mse == np.mean((c.values - NORMAL) ** 2)


def test_laplace_follows_rows_of_different_scales(coded):
    rows = NORMAL * np.geomspace(0.02, 1.0, 200, dtype=np.float32)[:, None]
    for prior in (Laplace(), Laplace(block=128)):
        assert prior.encode(rows).bits < 0.75 * Gaussian().encode(rows).bits
    assert Laplace().encode(rows).mse == pytest.approx(STEP**2 / 12, rel=0.1)


@pytest.mark.parametrize("prior", [Empirical(), LloydMax(), Laplace(), Laplace(levels=4096)])
def test_nothing_costs_next_to_nothing(prior):
    c = prior.encode(np.zeros((100, 512), np.float32))
    assert len(c.payload) <= 10
    assert not np.any(Laplace().encode(np.zeros((100, 512), np.float32)).values)


def test_zero_rows_cost_next_to_nothing():
    rows = NORMAL.copy()
    rows[1::2] = 0.0
    some, half = Laplace().encode(rows), Laplace().encode(rows[::2])
    assert some.bits - half.bits < 8 * 200
    assert not np.any(some.values[1::2])


SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
VECTORS = st.one_of(
    hnp.arrays(np.float32, SHAPES, elements=st.floats(-6, 6, width=32)),
    hnp.arrays(
        np.float32, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32)
    ),
    hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([0.0, 1.5, -1.5, 2.0**-20])),
    hnp.arrays(np.float32, SHAPES, fill=st.floats(-9, 9, width=32), elements=st.nothing()),
)


@given(VECTORS, st.sampled_from(SAMPLES))
def test_the_decoder_gets_the_encoders_values(vector, prior):
    c = prior.encode(vector)
    assert c.prior is prior
    assert np.array_equal(decoded(c), c.values)
    assert c.values.shape == vector.shape
    assert c.mse == np.mean((c.values - vector) ** 2)
    assert np.array_equal(np.rint(c.values * 2.0**20) * 2.0**-20, c.values)
    assert 8 * len(c.payload) <= c.ideal_bits + 1e-3 * vector.size + 8.01


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-4.875, 4.875, width=32)))
def test_uniform_levels_err_by_half_a_step(vector):
    for prior in (Gaussian(), Laplace(), Laplace(levels=255, block=4)):
        step = 10 / prior.levels
        assert np.abs(prior.encode(vector).values - vector).max() <= step / 2 + 2.0**-20


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(-1000, 1000, width=32)))
def test_enough_levels_keep_every_value(vector):
    """As many levels as distinct values: only the grid of centroids is left."""
    assert np.abs(LloydMax(levels=81).encode(vector).values - vector).max() <= 2.0**-15


@pytest.mark.parametrize(
    "vector",
    [
        np.array([[np.nan]]),
        np.array([[0.0, np.inf]]),
        np.array([[1e39]]),
        np.zeros((0, 5)),
        np.zeros(5),
        np.broadcast_to(0.0, (1, MAX_COORDINATES + 1)),
    ],
)
def test_vectors_without_numbers_are_refused(vector):
    for prior in PRIORS.values():
        with pytest.raises(ValueError, match="the vector"):
            prior().encode(vector)


@pytest.mark.parametrize(
    ("prior", "options"),
    [
        *((prior, {"levels": n}) for prior in PRIORS.values() for n in (1, MAX_LEVELS + 1)),
        *((Gaussian, {name: x}) for name in ("sigma", "limit") for x in (0.0, -1.0, 1e39, 1e-60)),
        (Gaussian, {"sigma": math.nan}),
        (Laplace, {"limit": math.inf}),
        (Laplace, {"block": 0}),
        (Empirical, {"percentiles": (99.0, 1.0)}),
        (Empirical, {"percentiles": (-1.0, 50.0)}),
        (Empirical, {"percentiles": (50.0, 101.0)}),
        (Empirical, {"percentiles": (math.nan, 99.0)}),
    ],
)
def test_options_out_of_range_are_refused(prior, options):
    with pytest.raises(ValueError, match=r"wanted|positive"):
        prior(**options)


@pytest.mark.parametrize("name", PRIORS)
def test_the_format_is_frozen(name):
    options = {"block": 5} if name == "laplace" else {}
    c = PRIORS[name](levels=16, **options).encode(SMALL)
    assert np.array_equal(decoded(c), c.values)
    assert hashlib.sha256(c.pack() + c.values.tobytes()).hexdigest() == DIGESTS[name]


def test_numbers_stand_in_files():
    numbers = {"gaussian": 1, "empirical": 2, "lloyd_max": 3, "laplace": 4}
    assert {name: prior.number for name, prior in PRIORS.items()} == numbers
    assert all(prior.name == name for name, prior in PRIORS.items())
    with pytest.raises(VersionError, match="hyper-prior 0 is unknown"):
        decode(0, Reader(b""), (1, 1))


def outcome(number: int, damaged: bytes, shape: tuple[int, int]) -> str:
    """Decodes and returns 'array' or 'refused'; anything else fails the test."""
    try:
        values = decode(number, Reader(damaged), shape)
    except LLMCompError as error:
        assert "\n" not in str(error)
        return "refused"
    assert values.shape == shape
    assert np.all(np.isfinite(values))
    return "array"


@pytest.mark.parametrize("prior", [prior(levels=16) for prior in PRIORS.values()])
def test_damage_is_refused_or_gives_an_array(prior):
    packed = prior.encode(SMALL).pack()
    for length in range(len(packed)):
        assert outcome(prior.number, packed[:length], SMALL.shape) == "refused"
    rng = random.Random(8)
    seen = {"array": 0, "refused": 0}
    for _ in range(600):
        damaged = bytearray(packed)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            kind = rng.randrange(4)
            if kind == 0:
                damaged[at] = rng.randrange(256)
            elif kind == 1:
                damaged[at:at] = rng.randbytes(rng.randint(1, 12))
            elif kind == 2 and len(damaged) > 20:
                del damaged[at : at + rng.randint(1, 8)]
            else:
                damaged[at : at + 9] = varint(1 << rng.randrange(70))
        seen[outcome(prior.number, bytes(damaged), SMALL.shape)] += 1
    assert min(seen.values()) > 0


@given(st.integers(1, 4), st.binary(max_size=60))
def test_any_bytes_are_refused_or_give_an_array(number, data):
    outcome(number, data, (3, 4))


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    ("number", "metadata"),
    [
        (1, varint(1) + floats(1, 5)),
        (1, varint(MAX_LEVELS + 1) + floats(1, 5)),
        (1, varint(4) + floats(0, 5)),
        (1, varint(4) + floats(1, -5)),
        (1, varint(4) + floats(math.nan, 5)),
        (1, varint(4) + floats(1, math.inf)),
        (2, varint(2) + floats(1, -1) + varint(1) + varint(0)),
        (2, varint(2) + floats(-1, 1) + varint(1) + varint(1)),
        (2, varint(2) + floats(-1, 1) + varint(0) + varint(0)),
        (2, varint(2) + floats(-1, 1) + varint(2)),
        (3, varint(0)),
        (3, varint(1) + varint(1 << 50)),
        (3, varint(2) + varint(1 << 45) + varint(1) + varint(1) + varint(0)),
        (3, varint(2) + varint(0) + varint(1 << 44) + varint(1) + varint(0)),
        (3, varint(1) + varint(0) + varint(0)),
        (4, varint(4) + floats(5) + varint(0) + varint(0) + varint(1)),
        (4, varint(4) + floats(5) + varint(2) + varint(0) + varint(1)),
        (4, varint(4) + floats(5) + varint(1) + varint(89) + varint(1)),
        (4, varint(4) + floats(5) + varint(1) + varint(80) + varint(20)),
        (4, varint(4) + floats(5) + varint(1) + varint(0) + varint(0)),
        (4, varint(4) + floats(0) + varint(1) + varint(0) + varint(1)),
    ],
)
def test_nonsense_is_refused(number, metadata):
    with pytest.raises(FormatError):
        decode(number, Reader(metadata + varint(0)), (1, 1))


def test_lengths_are_capped():
    good = varint(4) + floats(1, 5)
    assert decode(1, Reader(good + varint(0)), (1, 1)).shape == (1, 1)
    with pytest.raises(FormatError, match="payload's length"):
        decode(1, Reader(good + varint(10) + bytes(10)), (1, 1))
    for shape in ((0, 4), (4, -1), (1, MAX_COORDINATES + 1)):
        with pytest.raises(FormatError, match="shape"):
            decode(1, Reader(good + varint(0)), shape)


def test_the_widest_tables_stay_small():
    """The most that a few bytes can ask for: every rung of the largest Laplace quantiser."""
    greedy = varint(MAX_LEVELS) + floats(5) + varint(1) + varint(0) + varint(89) + varint(0)
    tracemalloc.start()
    decode(4, Reader(greedy), (1, 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 << 20


def test_logarithm_is_right_and_the_same_in_numpy():
    rng = np.random.default_rng(9)
    x = np.concatenate([
        np.exp(rng.uniform(-740, 709, 20_000)),
        rng.uniform(0.4, 2.5, 20_000),
        1.0 + rng.normal(0, 1e-7, 2_000),
        [5e-324, 2.0**-1022, 1.0, np.nextafter(1, 0), np.nextafter(1, 2), math.sqrt(0.5)],
        [np.finfo(np.float64).max],
    ])
    got = np.array([exact.log(v) for v in x])
    assert np.array_equal(got, reference.log(x))
    np.testing.assert_allclose(got, np.log(x), rtol=4.5e-16)
    assert exact.log(1.0) == 0.0
    with decimal.localcontext(prec=40):
        for v, y in zip(x[::50].tolist(), got[::50].tolist(), strict=True):
            error = abs(decimal.Decimal(y) - decimal.Decimal(v).ln())
            assert float(error) <= math.ulp(y)


def test_normal_quantiles_are_those_of_the_library():
    rng = np.random.default_rng(10)
    p = np.concatenate([
        2.0 ** -rng.uniform(1, 60, 10_000),
        1.0 - 2.0 ** -rng.uniform(1, 52, 10_000),
        rng.uniform(0.001, 0.999, 10_000),
        [2.0**-60, 1.0 - 2.0**-53, 0.075, 0.925, np.nextafter(0.5, 0)],
    ])
    library = np.array([NormalDist().inv_cdf(v) for v in p])
    np.testing.assert_allclose(exact.normal_quantile(p), library, rtol=1e-14)
    assert exact.normal_quantile(np.array([0.5]))[0] == 0.0
    grid = exact.normal_quantile(np.arange(1, 4096) / 4096)
    assert np.array_equal(grid, -grid[::-1])
    assert hashlib.sha256(grid.tobytes()).hexdigest() == QUANTILES_DIGEST


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, math.nan])
def test_quantiles_of_no_probability_are_refused(p):
    with pytest.raises(ValueError, match="probabilities"):
        exact.normal_quantile(np.array([p]))
