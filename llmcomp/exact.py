"""An exponential that every machine computes alike.

In: float64. Out: float64, the same bits everywhere: only IEEE additions and multiplications,
rounding to an integer, and a power of two put together from its bits. Library exponentials differ
in the last place from one C library or instruction set to the next.

No compiler may fuse or reorder what stands here: numba without ``fastmath`` does not, and
``tests/reference.py`` holds the same steps in plain NumPy against it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LOG2E = 1.4426950408889634
# ln 2 in two parts; the first has 32 significant bits, so its product with |k| < 2**20 is exact.
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
COEFFICIENTS = tuple(1.0 / math.factorial(n) for n in range(14))
"""Taylor's, degree 13: below 2**-56 relative for ``|r| <= ln(2) / 2``."""

_C = COEFFICIENTS


@njit(cache=True, nogil=True, inline="always")
def exp(x):  # type: ignore[no-untyped-def]
    """Raises e to a float64 in [-700, 700], as ``2**k * e**r`` with ``x = k ln 2 + r``."""
    k = np.rint(x * LOG2E)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    y = _C[13]
    y = y * r + _C[12]
    y = y * r + _C[11]
    y = y * r + _C[10]
    y = y * r + _C[9]
    y = y * r + _C[8]
    y = y * r + _C[7]
    y = y * r + _C[6]
    y = y * r + _C[5]
    y = y * r + _C[4]
    y = y * r + _C[3]
    y = y * r + _C[2]
    y = y * r + _C[1]
    y = y * r + _C[0]
    return y * np.int64((np.int64(k) + 1023) << 52).view(np.float64)
