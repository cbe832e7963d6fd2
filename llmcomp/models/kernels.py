"""What the runner of profile ``fixed`` computes, as numba kernels.

In: float64 on dyadic grids, weights packed as narrow as they are exact. Out: float64, the same bits
on every machine. Two kinds of kernel:

* *Sums of products* are exact by the bounds of `llmcomp.models.fixed`, so the compiler may
  reorder and fuse them (``_ANY_ORDER``) and keeps the processor's vector units busy.
* *Everything else* rounds, once per operation, in the order written here; there it may not.

`step` is a whole cached step of some lanes in one call. Weights stay in 16 bits where they fit and
are widened in registers: a step reads every weight once, and 14 MB stay in a processor's cache
where 55 MB do not.

Source: the grids and their reasons stand in `llmcomp.models.fixed`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from llmcomp.exact import exp
from llmcomp.kernel import kernel
from llmcomp.models.grid import WEIGHT_GRID, Float64Array, HeadGrid

ACTIVATION_GRID = 16  # inputs of matrix products, and the residual stream
SHARE_GRID = 20  # attention weights before they are normalised, relative to the largest
GATED_LIMIT = 2.0**11  # the feed-forward layer's hidden values
EXACT_BITS = 53

_ACTIVATION = 2.0**ACTIVATION_GRID
_SHARE = 2.0**SHARE_GRID
_ANY_ORDER = {"reassoc", "contract"}
_BLOCK = 32  # positions whose keys or values several heads share
_LANES_TOGETHER = 8  # whose activations fit the innermost cache
_ROWS_TOGETHER = 128  # of weights, which fit the next one

Packed = npt.NDArray[np.int16] | npt.NDArray[np.float32]


class StepWeights(NamedTuple):
    """A model's weights as `step` wants them; matrices are [layers, out, in].

    A matrix's entries are integers times its unit, or floats with the unit 1; so are the keys and
    values of a cache.
    """

    norm_attention: Float64Array
    qkv: Packed
    qkv_unit: float
    norm_query: Float64Array
    norm_key: Float64Array
    output: Packed
    output_unit: float
    norm_mlp: Float64Array
    gate_up: Packed
    gate_up_unit: float
    down: Packed
    down_unit: float
    norm: Float64Array
    head: Packed
    head_unit: float
    cos: Float64Array
    sin: Float64Array
    query_grid: HeadGrid
    key_grid: HeadGrid
    key_unit: float
    value_grid: HeadGrid
    value_unit: float
    eps: float
    hidden_bits: int
    head_bits: int


def pack(weights: Float64Array) -> tuple[Packed, float]:
    """Stores weights on ``WEIGHT_GRID`` without loss: int16 where they fit, else float32.

    Args:
        weights: float64[...], exact in float16.

    Returns:
        The narrow array and the unit its entries count.
    """
    units = weights * 2.0**WEIGHT_GRID
    if np.abs(units).max(initial=0.0) < 2**15:
        return units.astype(np.int16, order="C"), 2.0**-WEIGHT_GRID
    return weights.astype(np.float32, order="C"), 1.0


def square_bits(width: int) -> int:
    """Bits an entry may have so that a sum of ``width`` squares stays exact."""
    return (EXACT_BITS - math.ceil(math.log2(width))) // 2


@kernel(fastmath=_ANY_ORDER)
def product(x, w, unit, out):  # type: ignore[no-untyped-def]
    """Multiplies activations x[B, K] with packed weights w[N, K] into out[B, N].

    Four lanes share two rows of weights, so that each widened weight serves four products. Some
    rows of weights and some lanes at a time stay in the caches nearest to the core.
    """
    B, K = x.shape
    N = len(w)
    for top in range(0, N - N % 2, _ROWS_TOGETHER):
        bottom = min(top + _ROWS_TOGETHER, N - N % 2)
        for first in range(0, B, _LANES_TOGETHER):
            last = min(first + _LANES_TOGETHER, B)
            for n in range(top, bottom, 2):
                w0, w1 = w[n], w[n + 1]
                b = first
                while b + 4 <= last:
                    x0, x1, x2, x3 = x[b], x[b + 1], x[b + 2], x[b + 3]
                    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
                    for k in range(K):
                        u, v = np.float64(w0[k]), np.float64(w1[k])
                        s00 += u * x0[k]
                        s01 += u * x1[k]
                        s02 += u * x2[k]
                        s03 += u * x3[k]
                        s10 += v * x0[k]
                        s11 += v * x1[k]
                        s12 += v * x2[k]
                        s13 += v * x3[k]
                    out[b, n], out[b, n + 1] = s00 * unit, s10 * unit
                    out[b + 1, n], out[b + 1, n + 1] = s01 * unit, s11 * unit
                    out[b + 2, n], out[b + 2, n + 1] = s02 * unit, s12 * unit
                    out[b + 3, n], out[b + 3, n + 1] = s03 * unit, s13 * unit
                    b += 4
                while b < last:
                    x0 = x[b]
                    s00 = s10 = 0.0
                    for k in range(K):
                        s00 += np.float64(w0[k]) * x0[k]
                        s10 += np.float64(w1[k]) * x0[k]
                    out[b, n], out[b, n + 1] = s00 * unit, s10 * unit
                    b += 1
    if N % 2:
        for b in range(B):
            s00 = 0.0
            for k in range(K):
                s00 += np.float64(w[N - 1, k]) * x[b, k]
            out[b, N - 1] = s00 * unit


@kernel(fastmath=_ANY_ORDER)
def _scores(q, keys, scores):  # type: ignore[no-untyped-def]
    """Products of one query q[d] with keys[n, d]: scores[n]."""
    n, d = keys.shape
    whole = n - n % 4
    for t in range(0, whole, 4):
        k0, k1, k2, k3 = keys[t], keys[t + 1], keys[t + 2], keys[t + 3]
        s0 = s1 = s2 = s3 = 0.0
        for j in range(d):
            s0 += q[j] * np.float64(k0[j])
            s1 += q[j] * np.float64(k1[j])
            s2 += q[j] * np.float64(k2[j])
            s3 += q[j] * np.float64(k3[j])
        scores[t], scores[t + 1], scores[t + 2], scores[t + 3] = s0, s1, s2, s3
    for t in range(whole, n):
        s0 = 0.0
        for j in range(d):
            s0 += q[j] * np.float64(keys[t, j])
        scores[t] = s0


@kernel(fastmath=_ANY_ORDER)
def _add_weighted(shares, values, sums):  # type: ignore[no-untyped-def]
    """Adds values[n, d], weighted by their shares[n], to sums[d]."""
    n, d = values.shape
    whole = n - n % 4
    for t in range(0, whole, 4):
        a, b, c, e = shares[t], shares[t + 1], shares[t + 2], shares[t + 3]
        for j in range(d):
            sums[j] += (
                a * np.float64(values[t, j])
                + b * np.float64(values[t + 1, j])
                + c * np.float64(values[t + 2, j])
                + e * np.float64(values[t + 3, j])
            )
    for t in range(whole, n):
        for j in range(d):
            sums[j] += shares[t] * np.float64(values[t, j])


@kernel(fastmath={"nnan", "nsz", "reassoc"})
def _largest(x):  # type: ignore[no-untyped-def]
    top = x[0]
    for i in range(1, len(x)):
        top = max(top, x[i])
    return top


@kernel(error_model="numpy")
def rms_norm(x, gain, eps, bits, out):  # type: ignore[no-untyped-def]
    """RMS norm of rows x[N, D], snapped to the activations' grid; ``bits`` from `square_bits`."""
    D = x.shape[1]
    for n in range(len(x)):
        top = _largest(np.abs(x[n]))
        # entries become integers of at most ``bits`` bits, by a power of two: exact squares
        _, exponent = math.frexp(top)
        scale = math.ldexp(1.0, bits - exponent)
        total = np.int64(0)
        for j in range(D):
            entry = np.int64(np.rint(x[n, j] * scale))
            total += entry * entry
        mean = np.float64(total) / D + eps * scale * scale
        inverse = 1.0 / math.sqrt(mean) if mean > 0.0 else 0.0
        for j in range(D):
            y = np.rint(x[n, j] * scale) * inverse * gain[j]
            out[n, j] = np.rint(y * _ACTIVATION) / _ACTIVATION


@kernel
def add(x, y, out):  # type: ignore[no-untyped-def]
    """Residual sum of [N, D], the second snapped."""
    for n in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[n, j] = x[n, j] + np.rint(y[n, j] * _ACTIVATION) / _ACTIVATION


@kernel
def snap_heads(x, grid):  # type: ignore[no-untyped-def]
    """Rounds and clamps queries, keys or values [N, D] in place."""
    scale, limit = grid
    unit = 1.0 / scale
    for n in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[n, j] = min(max(np.rint(x[n, j] * scale) * unit, -limit), limit)


@kernel
def rotate(x, cos, sin, positions, grid):  # type: ignore[no-untyped-def]
    """Turns pairs (j, j + d/2) of every head of x[N, heads * d], in place."""
    half = cos.shape[1]
    for n in range(x.shape[0]):
        p = positions[n]
        for head in range(0, x.shape[1], 2 * half):
            first, second = x[n, head : head + half], x[n, head + half : head + 2 * half]
            for j in range(half):
                a, b = first[j], second[j]
                first[j] = a * cos[p, j] - b * sin[p, j]
                second[j] = b * cos[p, j] + a * sin[p, j]
    snap_heads(x, grid)


@kernel
def to_shares(scores, scale):  # type: ignore[no-untyped-def]
    """Turns one query's scores[T] into integer shares, in place, and returns their sum."""
    top = _largest(scores)
    total = np.int64(0)
    for t in range(len(scores)):
        share = np.rint(exp(max((scores[t] - top) * scale, -40.0)) * _SHARE)
        scores[t] = share
        total += np.int64(share)
    return total


@kernel
def causal_shares(scores, first, scale, totals):  # type: ignore[no-untyped-def]
    """Turns scores [n, keys] of queries ``first..`` into shares of what each sees; sums them."""
    for i in range(scores.shape[0]):
        seen = first + i + 1
        totals[i] = to_shares(scores[i, :seen], scale)
        scores[i, seen:] = 0.0


@kernel(error_model="numpy")
def divide(sums, totals, out):  # type: ignore[no-untyped-def]
    """Divides rows [N, d] by their totals and snaps them."""
    for n in range(sums.shape[0]):
        for j in range(sums.shape[1]):
            out[n, j] = np.rint(sums[n, j] / totals[n] * _ACTIVATION) / _ACTIVATION


@kernel(error_model="numpy")
def swiglu(hidden, out):  # type: ignore[no-untyped-def]
    """SwiGLU of [N, 2 * intermediate]: ``silu(gate) * up``, snapped and clamped."""
    width = out.shape[1]
    for n in range(out.shape[0]):
        gates, ups, row = hidden[n, :width], hidden[n, width:], out[n]
        for j in range(width):
            gate = gates[j]
            t = exp(max(-abs(gate), -700.0))
            silu = (gate if gate >= 0.0 else gate * t) / (1.0 + t)
            y = np.rint(silu * ups[j] * _ACTIVATION) / _ACTIVATION
            row[j] = min(max(y, -GATED_LIMIT), GATED_LIMIT)


@kernel(error_model="numpy")
def _attend(q, keys, key_unit, values, value_unit, seen, out):  # type: ignore[no-untyped-def]
    """Attention of one lane's newest token, each key and value read once from memory.

    Args:
        q: float64[H, d].
        keys: int16 or float32[G, T, d], times its unit.
        key_unit: a power of two.
        values: the same.
        value_unit: a power of two.
        seen: positions that count, its own included.
        out: float64[H, d], written.
    """
    groups, d = len(keys), keys.shape[2]
    together = len(q) // groups
    scale = 1.0 / math.sqrt(d) * key_unit
    shares, sums = np.empty((together, seen)), np.empty((together, d))
    for g in range(groups):
        first = g * together
        for start in range(0, seen, _BLOCK):
            stop = min(start + _BLOCK, seen)
            for h in range(together):
                _scores(q[first + h], keys[g, start:stop], shares[h, start:stop])
        totals = [to_shares(shares[h], scale) for h in range(together)]
        sums[:] = 0.0
        for start in range(0, seen, _BLOCK):
            stop = min(start + _BLOCK, seen)
            for h in range(together):
                _add_weighted(shares[h, start:stop], values[g, start:stop], sums[h])
        for h in range(together):
            for j in range(d):
                mixed = sums[h, j] * value_unit / totals[h]
                out[first + h, j] = np.rint(mixed * _ACTIVATION) / _ACTIVATION


@kernel
def step(w, x, keys, values, at, logits):  # type: ignore[no-untyped-def]
    """Feeds one token to each of B lanes.

    Args:
        w: `StepWeights`.
        x: float64[B, D], the tokens' embeddings; overwritten.
        keys: int16 or float32[B, layers, G, T, d], of which position ``at`` is written.
        values: the same.
        at: the token's position.
        logits: float64[B, V], written.
    """
    B, D = x.shape
    G, d = values.shape[2], values.shape[4]
    kv = G * d
    heads = w.qkv.shape[1] - 2 * kv
    normed, added = np.empty((B, D)), np.empty((B, D))
    q, k, v = np.empty((B, heads)), np.empty((B, kv)), np.empty((B, kv))
    mixed = np.empty((B, heads))
    hidden = np.empty((B, w.gate_up.shape[1]))
    gated = np.empty((B, w.gate_up.shape[1] // 2))
    positions = np.full(B, at)
    for i in range(len(w.qkv)):
        rms_norm(x, w.norm_attention[i], w.eps, w.hidden_bits, normed)
        product(normed, w.qkv[i, :heads], w.qkv_unit, q)
        product(normed, w.qkv[i, heads : heads + kv], w.qkv_unit, k)
        product(normed, w.qkv[i, heads + kv :], w.qkv_unit, v)
        if len(w.norm_query):
            q_rows, k_rows = q.reshape(-1, d), k.reshape(-1, d)
            rms_norm(q_rows, w.norm_query[i], w.eps, w.head_bits, q_rows)
            rms_norm(k_rows, w.norm_key[i], w.eps, w.head_bits, k_rows)
        snap_heads(q, w.query_grid)
        snap_heads(k, w.key_grid)
        snap_heads(v, w.value_grid)
        rotate(q, w.cos, w.sin, positions, w.query_grid)
        rotate(k, w.cos, w.sin, positions, w.key_grid)
        for b in range(B):
            for g in range(G):
                for j in range(d):
                    keys[b, i, g, at, j] = k[b, g * d + j] / w.key_unit
                    values[b, i, g, at, j] = v[b, g * d + j] / w.value_unit
            query, out = q[b].reshape(-1, d), mixed[b].reshape(-1, d)
            _attend(query, keys[b, i], w.key_unit, values[b, i], w.value_unit, at + 1, out)
        product(mixed, w.output[i], w.output_unit, added)
        add(x, added, x)
        rms_norm(x, w.norm_mlp[i], w.eps, w.hidden_bits, normed)
        product(normed, w.gate_up[i], w.gate_up_unit, hidden)
        swiglu(hidden, gated)
        product(gated, w.down[i], w.down_unit, added)
        add(x, added, x)
    rms_norm(x, w.norm, w.eps, w.hidden_bits, normed)
    product(normed, w.head, w.head_unit, logits)
