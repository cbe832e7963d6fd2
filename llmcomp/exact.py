"""An exponential, a logarithm and normal quantiles that every machine computes alike.

In: float64. Out: float64, the same bits everywhere: only IEEE additions, multiplications, divisions
and square roots, rounding to an integer, and powers of two taken from or put into the bits. Library
functions differ in the last place from one C library or instruction set to the next.

No compiler may fuse or reorder what stands here: numba without ``fastmath`` does not, and
``tests/reference.py`` holds the same steps in plain NumPy against it.

References:
    [Wichura88] M. J. Wichura, Algorithm AS 241: the percentage points of the normal distribution,
        Applied Statistics 37(3), 1988.
"""

from __future__ import annotations

import math

import numpy as np

from llmcomp.kernel import kernel

LOG2E = 1.4426950408889634
# ln 2 in two parts; the first has 32 significant bits, so its product with |k| < 2**20 is exact.
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
COEFFICIENTS = tuple(1.0 / math.factorial(n) for n in range(14))
"""Taylor's, degree 13: below 2**-56 relative for ``|r| <= ln(2) / 2``."""

_C = COEFFICIENTS

ATANH = tuple(2.0 / (2 * n + 1) for n in range(1, 11))
"""Of ``2 atanh(s) - 2s`` in powers of ``s**2``: below 2**-59 relative for ``|s| <= 0.1716``."""

# [Wichura88], routine PPND16: numerator and denominator for the centre, the shoulders, the tails.
CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
SHOULDER = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


@kernel(inline="always")
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


@kernel
def exp_each(x):  # type: ignore[no-untyped-def]
    """Raises e to each of float64[N] in [-700, 700]: float64[N]."""
    y = np.empty(len(x), np.float64)
    for i in range(len(x)):
        y[i] = exp(x[i])
    return y


@kernel
def log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a positive, finite float64, below one unit in the last place off.

    ``x = 2**k * (1 + f)`` with ``1 + f`` in [sqrt(1/2), sqrt(2)), and with ``s = f / (2 + f)``
    ``log(1 + f) = 2 atanh(s) = f - s * (f - rest)``: f is exact, and what it is corrected by is
    small enough that its own roundings hardly count.
    """
    m, k = math.frexp(x)
    if m < 0.7071067811865476:
        m *= 2.0
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = ATANH[9]
    for n in range(8, -1, -1):
        rest = rest * z + ATANH[n]
    rest *= z
    return k * LN2_HIGH - ((s * (f - rest) - k * LN2_LOW) - f)


@kernel
def normal_quantile(p):  # type: ignore[no-untyped-def]
    """Where the standard normal distribution function reaches p, to about 1e-15 relative.

    Args:
        p: float64[N], probabilities in (0, 1).

    Returns:
        float64[N].

    Raises:
        ValueError: if a probability is not in (0, 1).

    Source: [Wichura88], PPND16.
    """
    x = np.empty(len(p), np.float64)
    for i in range(len(p)):
        if not 0.0 < p[i] < 1.0:
            raise ValueError("quantiles want probabilities in (0, 1)")
        q = p[i] - 0.5
        if abs(q) <= 0.425:
            x[i] = q * _ratio(CENTRE, 0.180625 - q * q)
            continue
        r = np.sqrt(-log(p[i] if q < 0.0 else 1.0 - p[i]))
        tail = _ratio(SHOULDER, r - 1.6) if r <= 5.0 else _ratio(TAIL, r - 5.0)
        x[i] = -tail if q < 0.0 else tail
    return x


@kernel
def _ratio(coefficients, r):  # type: ignore[no-untyped-def]
    """Divides one polynomial in r by another, each given from its constant term on."""
    above, below = coefficients
    top, bottom = above[7], below[7]
    for n in range(6, -1, -1):
        top = top * r + above[n]
        bottom = bottom * r + below[n]
    return top / bottom
