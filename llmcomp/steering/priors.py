"""Hyper-priors: a steering vector quantised and coded under a distribution both sides know.

In: a vector float32[n_virtual_tokens, hidden] in units where its starting noise is N(0, 1).
Out: bytes, and the very numbers their decoder gets. Knows nothing of models, texts or files.

    vector -> indices ------------------------- range coder -> payload
                ^                                    ^
    parameters -> metadata -> codebook: level values and integer tables
                                  |
    decoder: metadata, payload -> indices -> level values

Whatever a decoder computes, an encoder has read back from its own metadata: float32 parameters as
written, weights by `exact.exp_each`, from there on integers. Values are multiples of ``2**-20``.
Both are therefore the same on every machine.

A coded vector is ``metadata | payload length | payload``. Integers are varints, zig-zag where they
may be negative; floats are float32, little-endian. The metadata are::

    gaussian   = levels sigma limit
    empirical  = levels low high count{levels}
    lloyd_max  = levels first difference{levels - 1} count{levels}
    laplace    = levels limit block lowest_rung rungs

where ``first`` and the differences (less 1) are centroids in units of ``2**-14``. The payload holds
the rung of each block under a uniform table (one rung costs nothing), then the indices.

References:
    [Lloyd82] S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28(2), 1982.
    [Max60] J. Max, Quantizing for minimum distortion, IRE Trans. Inf. Theory 6(1), 1960.
    [PD51] P. F. Panter, W. Dite, Quantization distortion in pulse-count modulation with nonuniform
        spacing of levels, Proc. IRE 39(1), 1951.
    [BMSHJ18] Balle, Minnen, Singh, Hwang, Johnston, Variational image compression with a scale
        hyperprior, arXiv:1802.01436: coded scales, one table each.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from llmcomp.coding.range_coder import (
    MAX_SYMBOLS,
    MOST_BYTES,
    SYMBOL_BITS,
    Encoder,
    LaneDecoders,
)
from llmcomp.container import Reader, varint
from llmcomp.errors import FormatError, VersionError
from llmcomp.exact import exp_each

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_LEVELS = MAX_SYMBOLS
MAX_COORDINATES = 1 << 24
"""More than any prompt here has; a decoder never makes room for more."""

VALUE_GRID = 20
"""Reconstructed coordinates are integers times ``2**-20``."""

CENTROID_GRID = 14
"""Lloyd-Max centroids are integers times ``2**-14``, a five-hundredth of a step at 256 levels."""

_SMALLEST, _LARGEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127  # of float32, normal
_TOTAL = 1 << SYMBOL_BITS
_WEIGHT_BITS = 30  # so that even 2**31 times less than 2**32 stays below 2**63
_REACH = 1 << 30  # Lloyd-Max clips there; a coordinate is a number of standard deviations
_MAX_ITERATIONS = 1000  # 256 levels on 102,400 normal numbers settle within a hundred

# Laplace scales are 2**(rung / 4) steps. At the lowest, 1/64 of a step, anything but zero has
# probability e**-32; at the highest, 2**16 steps, the largest quantiser's table is nearly flat.
_LOWEST_RUNG, _HIGHEST_RUNG = -24, 64
_ROOTS = (1.0, 0.8408964152537145, 0.7071067811865476, 0.5946035575013605)  # 2**(-i/4)


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the metadata say: V levels and K tables, one of which each block of coordinates uses.

    Attributes:
        values: float64[V], what each index decodes to.
        cumulative: int64[K, V + 1], tables as the range coder wants them.
        block: coordinates of the flattened vector that share a table; the last may be shorter.
    """

    values: Float64Array
    cumulative: IntArray
    block: int


@dataclass(frozen=True, slots=True)
class CodedVector:
    """A vector's bytes, what they decode to, and what they cost.

    Attributes:
        prior: what coded it.
        metadata: all the decoder needs beside the prior's number and the shape.
        payload: range-coded indices, after the blocks' rungs if there are several.
        values: float64[n_virtual_tokens, hidden], exactly what the decoder gets.
        entropy_bits: bits a coordinate should cost if its table were true, the mean over all.
        ideal_bits: ``-log2`` of the tables' probability of all that the payload holds.
        mse: mean squared error against the input.
    """

    prior: HyperPrior
    metadata: bytes
    payload: bytes
    values: Float64Array
    entropy_bits: float
    ideal_bits: float
    mse: float

    def pack(self) -> bytes:
        """Writes metadata, the payload's length and the payload; `decode` undoes it."""
        return self.metadata + varint(len(self.payload)) + self.payload

    @property
    def bits(self) -> int:
        """All of `pack`."""
        return 8 * len(self.pack())

    @property
    def metadata_bits(self) -> int:
        """All of `pack` but the payload."""
        return self.bits - 8 * len(self.payload)

    @property
    def bits_per_coordinate(self) -> float:
        """All of `pack`, shared out."""
        return self.bits / self.values.size

    @property
    def rate(self) -> float:
        """Bits over those of the float32 vector; below 1 is good."""
        return self.bits / (32 * self.values.size)


class HyperPrior(Protocol):
    """A way to code a vector.

    Attributes:
        name: as users say it.
        number: as it stands in files.
    """

    name: ClassVar[str]
    number: ClassVar[int]

    @property
    def levels(self) -> int:
        """Levels of the quantiser, at most."""
        ...

    def encode(self, vector: npt.NDArray[np.floating]) -> CodedVector:
        """Codes a vector.

        Args:
            vector: float32[n_virtual_tokens, hidden], finite, 1 to 2**24 coordinates.

        Raises:
            ValueError: if it is not.
        """
        ...

    @staticmethod
    def read(reader: Reader, n_coordinates: int) -> Codebook:
        """Takes the metadata.

        Raises:
            FormatError: if they contradict the format.
            DamagedError: if they are cut.
        """
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Uniform levels on [-limit, limit) under a normal density at their centres, cut off there.

    Attributes:
        levels: V, 2 to 65,536.
        sigma: standard deviation; the mean is 0.
        limit: where coordinates are clipped.
        published_bug: quantise with round() where the centre-of-bin decoder wants floor(), as the
            published system did: half a step too high, four times the squared error.
    """

    name: ClassVar[str] = "gaussian"
    number: ClassVar[int] = 1

    levels: int = 256
    sigma: float = 1.0
    limit: float = 5.0
    published_bug: bool = False

    def __post_init__(self) -> None:
        _check_levels(self.levels)
        _check_positive(self.sigma, self.limit)

    def encode(self, vector: npt.NDArray[np.floating]) -> CodedVector:
        """Codes a vector; see `HyperPrior.encode`."""
        metadata = varint(self.levels) + struct.pack("<2f", self.sigma, self.limit)
        limit = float(np.float32(self.limit))
        step = 2.0 * limit / self.levels
        bug = self.published_bug
        indices = _bins(_flatten(vector), -limit, step, self.levels, published_bug=bug)
        return _encode(self, metadata, vector, indices)

    @staticmethod
    def read(reader: Reader, n_coordinates: int) -> Codebook:
        """Takes the metadata; see `HyperPrior.read`."""
        levels = _read_levels(reader, 2)
        sigma, limit = _read_floats(reader, 2)
        if sigma <= 0.0 or limit <= 0.0:
            raise FormatError(f"sigma {sigma} and limit {limit}; the format wants positive ones")
        centres = _centres(-limit, 2.0 * limit / levels, levels)
        x = centres / sigma
        return _one_table(centres, _weights(-0.5 * (x * x - np.min(x * x))), n_coordinates)


@dataclass(frozen=True, slots=True)
class Empirical:
    """Uniform levels between two percentiles under the vector's own histogram.

    Coordinates beyond the percentiles are coded as the outermost levels, and counted there. The
    published system left them out of its histogram and coded them all the same: its outermost
    symbols cost far more than their share.

    Attributes:
        levels: V, 2 to 65,536.
        percentiles: lower and upper, ``0 <= lower < upper <= 100``.
        published_bug: as in `Gaussian`.
    """

    name: ClassVar[str] = "empirical"
    number: ClassVar[int] = 2

    levels: int = 256
    percentiles: tuple[float, float] = (1.0, 99.0)
    published_bug: bool = False

    def __post_init__(self) -> None:
        _check_levels(self.levels)
        lower, upper = self.percentiles
        if not 0.0 <= lower < upper <= 100.0:
            raise ValueError(
                f"percentiles are {lower} and {upper}; wanted 0 <= lower < upper <= 100"
            )

    def encode(self, vector: npt.NDArray[np.floating]) -> CodedVector:
        """Codes a vector; see `HyperPrior.encode`."""
        flat = _flatten(vector)
        low, high = (float(v) for v in np.percentile(flat, self.percentiles).astype(np.float32))
        step = (high - low) / self.levels
        indices = _bins(flat, low, step, self.levels, published_bug=self.published_bug)
        counts = np.bincount(indices, minlength=self.levels).tolist()
        metadata = varint(self.levels) + struct.pack("<2f", low, high) + _varints(counts)
        return _encode(self, metadata, vector, indices)

    @staticmethod
    def read(reader: Reader, n_coordinates: int) -> Codebook:
        """Takes the metadata; see `HyperPrior.read`."""
        levels = _read_levels(reader, 2)
        low, high = _read_floats(reader, 2)
        if low > high:
            raise FormatError(f"a range from {low} to {high}; the format wants them in order")
        counts = _read_counts(reader, levels, n_coordinates)
        return _one_table(_centres(low, (high - low) / levels, levels), counts, n_coordinates)


@dataclass(frozen=True, slots=True)
class LloydMax:
    """The vector's own levels of least squared error, by Lloyd's algorithm [Lloyd82, Max60].

    Levels that no coordinate is nearest to, or that fall together on the grid of ``2**-14``, are
    dropped. Coordinates beyond ``2**30`` are clipped.

    Attributes:
        levels: the most levels, 2 to 65,536.
    """

    name: ClassVar[str] = "lloyd_max"
    number: ClassVar[int] = 3

    levels: int = 256

    def __post_init__(self) -> None:
        _check_levels(self.levels)

    def encode(self, vector: npt.NDArray[np.floating]) -> CodedVector:
        """Codes a vector; see `HyperPrior.encode`."""
        flat = _flatten(vector)
        clipped = np.clip(flat, -_REACH, _REACH)
        wanted = _lloyd(np.sort(clipped), self.levels)
        grid = np.unique(np.rint(wanted * 2.0**CENTROID_GRID).astype(np.int64))
        middles = (grid[:-1] + grid[1:]) * 2.0 ** -(CENTROID_GRID + 1)
        used, indices, counts = np.unique(
            np.searchsorted(middles, clipped), return_inverse=True, return_counts=True
        )
        grid = grid[used]
        first = int(grid[0])
        metadata = varint(len(grid)) + varint(_zigzag(first))
        metadata += _varints((np.diff(grid) - 1).tolist()) + _varints(counts.tolist())
        return _encode(self, metadata, vector, indices)

    @staticmethod
    def read(reader: Reader, n_coordinates: int) -> Codebook:
        """Takes the metadata; see `HyperPrior.read`."""
        levels = _read_levels(reader, 1)
        reach = _REACH << CENTROID_GRID
        grid = [_unzigzag(reader.varint("the first centroid", 2 * reach))]
        for _ in range(levels - 1):
            room = reach - grid[-1] - 1
            if room < 0:
                raise FormatError(f"a centroid lies beyond {_REACH}")
            grid.append(grid[-1] + 1 + reader.varint("a centroid's difference", room))
        counts = _read_counts(reader, levels, n_coordinates)
        return _one_table(np.array(grid) * 2.0**-CENTROID_GRID, counts, n_coordinates)


@dataclass(frozen=True, slots=True)
class Laplace:
    """Uniform levels, zero among them, under a Laplace distribution whose scale each block codes.

    The levels are ``k * 2 * limit / levels`` for ``-levels / 2 <= k < levels / 2``. A block's scale
    is its mean absolute value, rounded to ``2**(rung / 4)`` steps.

    Attributes:
        levels: V, 2 to 65,536.
        limit: where coordinates are clipped.
        block: consecutive coordinates that share a scale; None is one row, a virtual token.
    """

    name: ClassVar[str] = "laplace"
    number: ClassVar[int] = 4

    levels: int = 256
    limit: float = 5.0
    block: int | None = None

    def __post_init__(self) -> None:
        _check_levels(self.levels)
        _check_positive(self.limit)
        if self.block is not None and self.block < 1:
            raise ValueError(f"block is {self.block}; wanted at least 1, or None for a row")

    def encode(self, vector: npt.NDArray[np.floating]) -> CodedVector:
        """Codes a vector; see `HyperPrior.encode`."""
        flat = _flatten(vector)
        block = min(self.block or vector.shape[1], len(flat))
        limit = float(np.float32(self.limit))
        step = 2.0 * limit / self.levels
        below = self.levels // 2
        steps = np.clip(flat / step, -below, self.levels - 1 - below)
        starts = np.arange(0, len(flat), block)
        sizes = np.minimum(block, len(flat) - starts)
        means = np.add.reduceat(np.abs(steps), starts) / sizes
        with np.errstate(divide="ignore"):
            rungs = np.clip(np.rint(4.0 * np.log2(means)), _LOWEST_RUNG, _HIGHEST_RUNG)
        choices = rungs.astype(np.int64) - _LOWEST_RUNG
        lowest = int(choices.min())
        metadata = varint(self.levels) + struct.pack("<f", limit) + varint(block)
        metadata += varint(lowest) + varint(int(choices.max()) - lowest + 1)
        indices = np.rint(steps).astype(np.int64) + below
        return _encode(self, metadata, vector, indices, choices - lowest)

    @staticmethod
    def read(reader: Reader, n_coordinates: int) -> Codebook:
        """Takes the metadata; see `HyperPrior.read`."""
        levels = _read_levels(reader, 2)
        (limit,) = _read_floats(reader, 1)
        block = reader.varint("the block", n_coordinates)
        lowest = reader.varint("the lowest rung", _HIGHEST_RUNG - _LOWEST_RUNG)
        n_rungs = reader.varint("the number of rungs", _HIGHEST_RUNG - _LOWEST_RUNG + 1 - lowest)
        if limit <= 0.0 or block == 0 or n_rungs == 0:
            raise FormatError(
                f"limit {limit}, blocks of {block}, {n_rungs} rungs; the format wants positive ones"
            )
        rungs = range(_LOWEST_RUNG + lowest, _LOWEST_RUNG + lowest + n_rungs)
        tables = np.stack([_cumulative(_laplace_weights(levels, rung)) for rung in rungs])
        steps = np.arange(levels, dtype=np.float64) - levels // 2
        return Codebook(_snap(steps * (2.0 * limit / levels)), tables, block)


PRIORS: Mapping[str, type[HyperPrior]] = {
    prior.name: prior for prior in (Gaussian, Empirical, LloydMax, Laplace)
}


def make_prior(name: str, **options: Any) -> HyperPrior:
    """Makes a hyper-prior from its name and options.

    Raises:
        ValueError: if there is no such prior, or it has no such option or value.
    """
    if name not in PRIORS:
        raise ValueError(f"hyper-prior {name!r}; wanted one of {', '.join(PRIORS)}")
    prior: Any = PRIORS[name]  # a dataclass, which a protocol cannot say
    known = [option.name for option in fields(prior)]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"{name} has no option {unknown[0]}; it has {', '.join(known)}")
    made: HyperPrior = prior(**options)
    return made


def decode(number: int, reader: Reader, shape: tuple[int, int]) -> Float64Array:
    """Takes a coded vector's metadata and payload.

    Args:
        number: of the prior that coded it.
        reader: stands where `CodedVector.pack` began, and after it at the end.
        shape: n_virtual_tokens and hidden.

    Returns:
        float64[n_virtual_tokens, hidden], the encoder's `CodedVector.values`.

    Raises:
        VersionError: if there is no such prior here.
        FormatError: if the bytes contradict the format.
        DamagedError: if they are cut.
    """
    priors = {prior.number: prior for prior in PRIORS.values()}
    if number not in priors:
        raise VersionError(f"hyper-prior {number} is unknown here; update llmcomp")
    n = math.prod(shape)
    if min(shape) < 1 or n > MAX_COORDINATES:
        raise FormatError(f"a vector of shape {shape}; the format allows 1 to 2**24 coordinates")
    book = priors[number].read(reader, n)
    n_blocks = -(-n // book.block)
    length = reader.varint("the payload's length", MOST_BYTES * (n_blocks + n) + 1)
    lane = LaneDecoders([reader.take(length)])
    choices = lane.pull_symbols(0, _uniform(len(book.cumulative)), np.zeros(n_blocks, np.int64))
    tables = np.repeat(choices, book.block)[:n]
    return book.values[lane.pull_symbols(0, book.cumulative, tables)].reshape(shape)


def _encode(
    prior: HyperPrior,
    metadata: bytes,
    vector: npt.NDArray[np.floating],
    indices: IntArray,
    choices: IntArray | None = None,
) -> CodedVector:
    """Codes indices int64[N] under tables ``choices`` int64[n_blocks], None for the only one."""
    n = len(indices)
    book = prior.read(Reader(metadata), n)
    if choices is None:
        choices = np.zeros(-(-n // book.block), np.int64)
    tables = np.repeat(choices, book.block)[:n]
    encoder, ideal_bits = Encoder(), 0.0
    for cumulative, rows, symbols in (
        (_uniform(len(book.cumulative)), np.zeros_like(choices), choices),
        (book.cumulative, tables, indices),
    ):
        encoder.push_symbols(cumulative, rows, symbols)
        freqs = cumulative[rows, symbols + 1] - cumulative[rows, symbols]
        ideal_bits += float(np.sum(SYMBOL_BITS - np.log2(freqs)))
    values = book.values[indices].reshape(vector.shape)
    pmfs = np.diff(book.cumulative) / _TOTAL
    entropies = -np.sum(pmfs * np.log2(pmfs), axis=1)
    return CodedVector(
        prior=prior,
        metadata=metadata,
        payload=encoder.finish(),
        values=values,
        entropy_bits=float(np.mean(entropies[tables])),
        ideal_bits=ideal_bits,
        mse=float(np.mean((values - vector) ** 2)),
    )


def _flatten(vector: npt.NDArray[np.floating]) -> Float64Array:
    """Checks a vector and gives its coordinates, float64[N]."""
    if vector.ndim != 2 or not 0 < vector.size <= MAX_COORDINATES:
        raise ValueError(f"the vector has shape {vector.shape}; wanted 2 axes, 1 to 2**24 numbers")
    flat = vector.astype(np.float64).ravel()
    if not np.all(np.abs(flat) <= _LARGEST):
        raise ValueError("the vector holds NaN, infinity or a number beyond float32; train it anew")
    return flat


def _bins(
    flat: Float64Array, low: float, step: float, levels: int, *, published_bug: bool
) -> IntArray:
    """Numbers the bins ``[low + i * step, low + (i + 1) * step)`` that coordinates fall in."""
    if step == 0.0:  # a range of one point
        return np.zeros(len(flat), np.int64)
    nearest = np.rint if published_bug else np.floor
    return np.clip(nearest((flat - low) / step), 0, levels - 1).astype(np.int64)


def _centres(low: float, step: float, levels: int) -> Float64Array:
    return np.arange(0.5, levels) * step + low


def _snap(values: Float64Array) -> Float64Array:
    return np.rint(values * 2.0**VALUE_GRID) * 2.0**-VALUE_GRID


def _weights(exponents: Float64Array) -> IntArray:
    """Raises e to float64[V] below or at zero, in units of ``2**-30``."""
    # below -30 the weight is 0 whatever the exponent, and exp would leave its domain
    powers = exp_each(np.maximum(exponents, -30.0))
    return np.rint(powers * 2.0**_WEIGHT_BITS).astype(np.int64)


def _laplace_weights(levels: int, rung: int) -> IntArray:
    """The Laplace distribution's mass on each level, int64[V], ``2**31`` together.

    With a scale of b steps, half of ``e**((1/2 - k)/b)`` lies above ``k - 1/2`` for k > 0. A
    level's mass is what lies beyond its near edge but not its far one; the outermost has none.
    """
    shrink = math.ldexp(_ROOTS[rung % 4], -(rung // 4))  # 1 / b
    below = levels // 2
    beyond = _weights(-shrink * np.arange(0.5, below))
    left = -np.diff(beyond, append=0)
    right = -np.diff(beyond[: levels - 1 - below], append=0)
    zero = (2 << _WEIGHT_BITS) - left.sum() - right.sum()
    return np.concatenate([left[::-1], [zero], right])


def _cumulative(weights: IntArray) -> IntArray:
    """Turns weights into a table: each level at least 1 wide, ``2**32`` together.

    Args:
        weights: int64[V], 0 to ``2**31``, not all 0.

    Returns:
        int64[V + 1], running sums; what the division leaves over is the heaviest level's.

    >>> np.diff(_cumulative(np.array([1, 2, 0]))).tolist()
    [1431655765, 2863311530, 1]
    """
    freqs = 1 + weights * (_TOTAL - len(weights)) // int(weights.sum())
    freqs[np.argmax(weights)] += _TOTAL - int(freqs.sum())
    return np.concatenate([[0], np.cumsum(freqs)])


def _uniform(count: int) -> IntArray:
    return _cumulative(np.ones(count, np.int64))[None]


def _one_table(values: Float64Array, weights: IntArray, n_coordinates: int) -> Codebook:
    return Codebook(_snap(values), _cumulative(weights)[None], n_coordinates)


def _lloyd(x: Float64Array, levels: int) -> Float64Array:
    """Finds the levels of least squared error, as good as Lloyd's algorithm gets.

    Starts at the quantiles of density**(1/3), where they lie for many levels [PD51]: n sorted
    values a spacing s apart have density 1 / (n s), so each adds ``s**(2/3)`` to its integral.

    Args:
        x: float64[N], sorted.
        levels: V.

    Returns:
        float64[<= V], in order.
    """
    distinct = np.unique(x)
    if len(distinct) <= levels:
        return distinct
    integral = np.append(0.0, np.cumsum(np.diff(distinct) ** (2 / 3)))
    shares = (np.arange(levels) + 0.5) / levels * integral[-1]
    centroids = np.interp(shares, integral, distinct)
    sums = np.append(0.0, np.cumsum(x))
    cells = np.zeros(levels + 1, np.int64)
    for _ in range(_MAX_ITERATIONS):
        cuts = np.searchsorted(x, (centroids[:-1] + centroids[1:]) / 2.0, side="right")
        before, cells = cells, np.concatenate([[0], cuts, [len(x)]])
        if np.array_equal(before, cells):
            break
        sizes = np.diff(cells)
        # an empty cell keeps its centroid, so they stay in order
        np.divide(np.diff(sums[cells]), sizes, out=centroids, where=sizes > 0)
    return centroids


def _check_levels(levels: int) -> None:
    if not 2 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels is {levels}; wanted 2 to {MAX_LEVELS}")


def _check_positive(*parameters: float) -> None:
    for parameter in parameters:
        if not _SMALLEST <= parameter <= _LARGEST:
            raise ValueError(f"{parameter} is not a positive float32")


def _read_levels(reader: Reader, least: int) -> int:
    levels = reader.varint("the number of levels", MAX_LEVELS)
    if levels < least:
        raise FormatError(f"{levels} levels; the format wants at least {least}")
    return levels


def _read_floats(reader: Reader, count: int) -> tuple[float, ...]:
    floats: tuple[float, ...] = struct.unpack(f"<{count}f", reader.take(4 * count))
    if not all(math.isfinite(f) for f in floats):
        raise FormatError(f"parameters {floats}; the format wants finite ones")
    return floats


def _read_counts(reader: Reader, levels: int, n_coordinates: int) -> IntArray:
    counts = [reader.varint("a count", n_coordinates) for _ in range(levels)]
    if sum(counts) != n_coordinates:
        raise FormatError(f"counts add up to {sum(counts)}; the vector has {n_coordinates}")
    return np.array(counts, np.int64)


def _varints(values: list[int]) -> bytes:
    return b"".join(map(varint, values))


def _zigzag(value: int) -> int:
    """Maps 0, -1, 1, -2, ... to 0, 1, 2, 3, ...; `_unzigzag` undoes it."""
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(code: int) -> int:
    return -(code + 1) // 2 if code % 2 else code // 2
