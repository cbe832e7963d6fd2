"""The recipe of profile ``fixed`` in plain NumPy, one token of one row at a time.

A second implementation, as short as it can be, that shares no code with the first: no numba, no
cache, no batches, no blocks. The runner must give its very integers.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from safetensors.numpy import load_file

LOG2E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
COEFFICIENTS = [1.0 / math.factorial(n) for n in range(14)]


def snap(x, grid):
    return np.rint(x * 2.0**grid) / 2.0**grid


def exp(x):
    k = np.rint(x * LOG2E)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    y = np.full_like(x, COEFFICIENTS[13])
    for c in COEFFICIENTS[12::-1]:
        y = y * r + c
    return np.ldexp(y, k.astype(int))


def log(x):
    m, k = np.frexp(x)
    low = m < 0.7071067811865476
    f, k = np.where(low, 2.0 * m, m) - 1.0, np.where(low, k - 1, k)
    s = f / (2.0 + f)
    z, rest = s * s, np.zeros_like(x)
    for n in range(10, 0, -1):
        rest = rest * z + 2.0 / (2 * n + 1)
    return k * LN2_HIGH - ((s * (f - rest * z) - k * LN2_LOW) - f)


def norm(x, gain, eps):
    bits = (53 - math.ceil(math.log2(len(x)))) // 2
    scale = 2.0 ** (bits - int(np.frexp(np.max(np.abs(x)))[1]))
    units = np.rint(x * scale)
    inverse = 1.0 / np.sqrt(np.sum(units * units) / len(x) + eps * scale * scale)
    return snap(units * inverse * gain, 16)


GRIDS = {  # by recipe: binary places and largest integer of queries, keys, values
    1: ((12, 2**21), (12, 2**21), (12, 2**21)),
    2: ((12, 2**21), (11, 2**15 - 1), (8, 2**15 - 1)),
}


def heads_grid(x, grid):
    places, limit = grid
    return np.clip(snap(x, places), -limit / 2**places, limit / 2**places)


def rotate(x, cos, sin, grid):
    a, b = np.split(x, 2)
    return heads_grid(np.concatenate([a * cos - b * sin, b * cos + a * sin]), grid)


def logits(directory: Path, tokens: list[int]) -> np.ndarray:
    """Logits float64[T, V] of one row."""
    s = SimpleNamespace(**json.loads((directory / "config.json").read_text()))
    s.n_layers, s.norm_eps, s.tied = s.num_hidden_layers, s.rms_norm_eps, s.tie_word_embeddings
    s.n_heads, s.n_kv_heads = s.num_attention_heads, s.num_key_value_heads
    s.qk_norm = s.model_type == "qwen3"
    query_grid, key_grid, value_grid = GRIDS[getattr(s, "llmcomp_recipe", 1)]
    w = {k: v.astype(np.float64) for k, v in load_file(directory / "model.safetensors").items()}
    turns = 10_000.0 ** (-2 * np.arange(s.head_dim // 2) / s.head_dim)
    angle = np.arange(len(tokens))[:, None] * turns
    cos, sin = snap(np.cos(angle), 14), snap(np.sin(angle), 14)
    stream = [w["model.embed_tokens.weight"][t] for t in tokens]
    for i in range(s.n_layers):
        at = f"model.layers.{i}."
        keys, values, fresh = [], [], []
        for t, x in enumerate(stream):
            a = norm(x, w[at + "input_layernorm.weight"], s.norm_eps)
            q, k, v = (
                (w[f"{at}self_attn.{p}_proj.weight"] @ a).reshape(-1, s.head_dim) for p in "qkv"
            )
            if s.qk_norm:
                q = np.stack([norm(h, w[at + "self_attn.q_norm.weight"], s.norm_eps) for h in q])
                k = np.stack([norm(h, w[at + "self_attn.k_norm.weight"], s.norm_eps) for h in k])
            q = [rotate(heads_grid(h, query_grid), cos[t], sin[t], query_grid) for h in q]
            keys.append([rotate(heads_grid(h, key_grid), cos[t], sin[t], key_grid) for h in k])
            values.append(heads_grid(v, value_grid))
            mixed = []
            for h, query in enumerate(q):
                g = h * s.n_kv_heads // s.n_heads
                scores = np.array([k[g] @ query for k in keys])
                scaled = np.maximum((scores - scores.max()) * (1.0 / math.sqrt(s.head_dim)), -40.0)
                shares = np.rint(exp(scaled) * 2.0**20)
                total = sum(share * v[g] for share, v in zip(shares, values, strict=True))
                mixed.append(snap(total / shares.sum(), 16))
            x = x + snap(w[at + "self_attn.o_proj.weight"] @ np.concatenate(mixed), 16)
            a = norm(x, w[at + "post_attention_layernorm.weight"], s.norm_eps)
            gate, up = (w[f"{at}mlp.{p}_proj.weight"] @ a for p in ("gate", "up"))
            e = exp(np.maximum(-np.abs(gate), -700.0))
            silu = np.where(gate >= 0, gate, gate * e) / (1.0 + e)
            hidden = np.clip(snap(silu * up, 16), -2048.0, 2048.0)
            fresh.append(x + snap(w[at + "mlp.down_proj.weight"] @ hidden, 16))
        stream = fresh
    head = w["model.embed_tokens.weight" if s.tied else "lm_head.weight"]
    return np.stack([head @ norm(x, w["model.norm.weight"], s.norm_eps) for x in stream])
