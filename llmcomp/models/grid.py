"""The dyadic grids of profile ``fixed``: what numbers a snapped model is made of.

In: float weights. Out: the nearest weights that every machine multiplies alike.
Knows nothing of layers or tokens.

A number is *on grid g* when it is an integer times ``2**-g``. If every factor of a sum of
products is on a known grid and bounded, the sum is an integer times a known power of two; while
that integer stays below ``2**53`` float64 holds it exactly, so the order of the additions, fused
multiply-adds, batch shapes and thread counts no longer matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

WEIGHT_GRID = 14
"""Weights are integers times ``2**-14``, and float16 holds each of them exactly."""

MATRIX_LIMIT = 2.0 - 2.0**-10
"""Largest float16 below 2: a matrix whose entries keep within fits 16-bit integers."""


class HeadGrid(NamedTuple):
    """What queries, keys or values are rounded to.

    Attributes:
        scale: a power of two; entries are integers over it.
        limit: largest absolute value; beyond it they are clamped.
    """

    scale: float
    limit: float


class HeadGrids(NamedTuple):
    """The grids of one recipe, and how a cache holds keys and values.

    Attributes:
        query: of queries.
        key: of keys, before and after their rotation.
        value: of values.
        in_integers: keys and values are held as int16, else as float32; both are exact.
    """

    query: HeadGrid
    key: HeadGrid
    value: HeadGrid
    in_integers: bool

    @property
    def key_unit(self) -> float:
        """What an entry of the keys in a cache counts."""
        return 1.0 / self.key.scale if self.in_integers else 1.0

    @property
    def value_unit(self) -> float:
        """What an entry of the values in a cache counts."""
        return 1.0 / self.value.scale if self.in_integers else 1.0


_WIDE = HeadGrid(2.0**12, 2.0**9)

HEAD_GRIDS = {
    1: HeadGrids(_WIDE, _WIDE, _WIDE, in_integers=False),
    2: HeadGrids(
        _WIDE, HeadGrid(2.0**11, 16.0 - 2.0**-11), HeadGrid(2.0**8, 128.0 - 2.0**-8), True
    ),
}
"""By recipe. What a cached step waits for most is the memory its keys and values lie in; the second
recipe halves it. Its keys keep 11 binary places, its values 8: RMS norms bound the former, and the
latter are of size 3 to 9, so both are at least eight times as fine as bfloat16."""


def snap(x: npt.NDArray[np.floating], grid: int) -> Float64Array:
    """Rounds to the nearest integer times ``2**-grid``, ties to even.

    Args:
        x: float[...], any shape.
        grid: number of binary places kept.

    Returns:
        float64[...], exact.
    """
    scaled: Float64Array = np.rint(np.asarray(x, np.float64) * 2.0**grid) * 2.0**-grid
    return scaled


def snap_weights(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    """Rounds weights to values that are on ``WEIGHT_GRID`` *and* exact in float16.

    float16 keeps 11 significant bits, so above 1/8 it is the coarser of the two and its values
    are on the grid already; below, the grid is. One after the other therefore meets both.

    Raises:
        ValueError: if a weight is not finite or beyond float16's range.

    >>> snap_weights(np.array([0.1, 1.0001, 2.0**-15])).astype(float).tolist()
    [0.0999755859375, 1.0, 0.0]
    """
    snapped = snap(weights, WEIGHT_GRID)
    if not np.all(np.abs(snapped) < 65504.0):
        worst = np.max(np.abs(snapped))
        raise ValueError(f"a weight is {worst}; snapping wants finite weights below 65504")
    return snapped.astype(np.float16)
