"""The dyadic grids of profile ``fixed``: what numbers a snapped model is made of.

In: float weights. Out: the nearest weights that every machine multiplies alike.
Knows nothing of layers or tokens.

A number is *on grid g* when it is an integer times ``2**-g``. If every factor of a sum of
products is on a known grid and bounded, the sum is an integer times a known power of two; while
that integer stays below ``2**53`` float64 holds it exactly, so the order of the additions, fused
multiply-adds, batch shapes and thread counts no longer matter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

WEIGHT_GRID = 14
"""Weights are integers times ``2**-14``, and float16 holds each of them exactly."""


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
