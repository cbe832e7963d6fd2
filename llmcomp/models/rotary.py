"""Rotary position tables by integer arithmetic, the same on every machine.

Library sines differ in the last place between C libraries, and one unit there moves logits by
2e-4. Here ``theta ** (-2i/d)`` comes from `decimal`, whose rounding is specified, and the powers of
``cos + i sin`` from multiplications of 128-bit integers; rounding to the grid is then certain.

References:
    [Su21] Su et al., RoFormer: enhanced transformer with rotary position embedding,
        arXiv:2104.09864.
"""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

import numpy as np

from llmcomp.models.grid import Float64Array

ROTARY_GRID = 14
"""Sines and cosines are integers times ``2**-14``: exact in every product with a query."""

_PLACES = 128
_DECIMAL = Context(prec=60)


@lru_cache(maxsize=8)
def rotary_tables(length: int, head_dim: int, theta: int) -> tuple[Float64Array, Float64Array]:
    """Makes the tables for positions ``0..length-1``.

    Args:
        length: positions.
        head_dim: even; pair i turns by ``theta ** (-2i / head_dim)`` a position.
        theta: base of the frequencies, an integer (10,000 as a rule).

    Returns:
        cosines and sines, each float64[length, head_dim // 2], on ``ROTARY_GRID``.
    """
    tables = np.empty((2, length, head_dim // 2))
    drop = _PLACES - ROTARY_GRID
    for i in range(head_dim // 2):
        exponent = _DECIMAL.divide(Decimal(-2 * i), Decimal(head_dim))
        turn_cos, turn_sin = _turn(_DECIMAL.power(Decimal(theta), exponent))
        cos, sin = 1 << _PLACES, 0
        for position in range(length):
            tables[0, position, i] = (cos + (1 << drop - 1)) >> drop
            tables[1, position, i] = (sin + (1 << drop - 1)) >> drop
            cos, sin = (
                (cos * turn_cos - sin * turn_sin) >> _PLACES,
                (cos * turn_sin + sin * turn_cos) >> _PLACES,
            )
    tables *= 2.0**-ROTARY_GRID
    return tables[0], tables[1]


def _turn(angle: Decimal) -> tuple[int, int]:
    """Cosine and sine of an angle in (0, 1], in units of ``2**-128``, by Taylor's series."""
    sums, term, n = [Decimal(0), Decimal(0)], Decimal(1), 0
    # operators would round by the caller's context; only _DECIMAL's own methods may
    while term > Decimal("1e-50"):
        sums[n % 2] = _DECIMAL.add(sums[n % 2], term if n % 4 < 2 else term.copy_negate())
        n += 1
        term = _DECIMAL.divide(_DECIMAL.multiply(term, angle), Decimal(n))
    scale = Decimal(1 << _PLACES)
    cos, sin = (int(_DECIMAL.multiply(s, scale)) for s in sums)
    return cos, sin
