"""Plain NumPy float64 forward passes of the architectures, written from their papers.

References:
    [Radford19] GPT-2. [Black22] GPT-NeoX-20B, arXiv:2204.06745 (parallel residual, partial rotary).
    [Touvron23] LLaMA, arXiv:2302.13971. [Qwen2] arXiv:2407.10671 (biases on queries, keys, values).
    [Qwen3] arXiv:2505.09388 (norms on queries and keys). [Chen23] arXiv:2306.15595,
    [Llama3] https://github.com/meta-llama/llama-models (``apply_scaling``) and
    [Peng23] https://github.com/jquesnelle/yarn (``LlamaYaRNScaledRotaryEmbedding``): scaled angles.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Array = np.ndarray[Any, np.dtype[np.float64]]


class Weights(dict[str, Array]):
    """A checkpoint's weights in float64, by stock names without their common prefix."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        for name, weight in load_file(directory / "model.safetensors").items():
            for prefix in ("transformer.", "gpt_neox.", "model."):
                name = name.removeprefix(prefix)
            self[name] = weight.astype(np.float64)

    def linear(self, x: Array, name: str) -> Array:
        y = x @ self[f"{name}.weight"].T
        bias = self.get(f"{name}.bias")
        return y if bias is None else y + bias


def reference_logits(directory: Path, ids: Any) -> Array:
    """Logits of one row: int64[T] of the model's own ids -> float64[T, vocab_size]."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    forward = {"gpt2": _gpt2, "gpt_neox": _gpt_neox}.get(config["model_type"], _llama)
    return forward(Weights(directory), config, np.asarray(ids))


def _gpt2(w: Weights, config: dict[str, Any], ids: Any) -> Array:
    H, T = config["n_head"], len(ids)
    x = w["wte.weight"][ids] + w["wpe.weight"][:T]
    for i in range(config["n_layer"]):
        at = f"h.{i}."
        y = _layer_norm(x, w, f"{at}ln_1", config["layer_norm_epsilon"])
        qkv = y @ w[f"{at}attn.c_attn.weight"] + w[f"{at}attn.c_attn.bias"]
        q, k, v = (part.reshape(T, H, -1) for part in np.split(qkv, 3, axis=1))
        x = x + _attend(q, k, v) @ w[f"{at}attn.c_proj.weight"] + w[f"{at}attn.c_proj.bias"]
        y = _layer_norm(x, w, f"{at}ln_2", config["layer_norm_epsilon"])
        y = y @ w[f"{at}mlp.c_fc.weight"] + w[f"{at}mlp.c_fc.bias"]
        y = 0.5 * y * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
        x = x + y @ w[f"{at}mlp.c_proj.weight"] + w[f"{at}mlp.c_proj.bias"]
    return _layer_norm(x, w, "ln_f", config["layer_norm_epsilon"]) @ w["wte.weight"].T


def _gpt_neox(w: Weights, config: dict[str, Any], ids: Any) -> Array:
    H, T, eps = config["num_attention_heads"], len(ids), config["layer_norm_eps"]
    rope = config["rope_parameters"]
    width = int(config["hidden_size"] // H * rope["partial_rotary_factor"])
    erf = np.vectorize(math.erf)
    x = w["embed_in.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        at = f"layers.{i}."
        y = _layer_norm(x, w, f"{at}input_layernorm", eps)
        qkv = w.linear(y, f"{at}attention.query_key_value").reshape(T, H, -1)
        q, k, v = np.split(qkv, 3, axis=2)
        q, k = (
            np.concatenate([_rotate(a[..., :width], rope), a[..., width:]], axis=2) for a in (q, k)
        )
        attention = w.linear(_attend(q, k, v), f"{at}attention.dense")
        y = _layer_norm(x, w, f"{at}post_attention_layernorm", eps)
        y = w.linear(y, f"{at}mlp.dense_h_to_4h")
        y = 0.5 * y * (1 + erf(y / math.sqrt(2)))
        x = x + attention + w.linear(y, f"{at}mlp.dense_4h_to_h")
    return _layer_norm(x, w, "final_layer_norm", eps) @ _head(w, "embed_in").T


def _llama(w: Weights, config: dict[str, Any], ids: Any) -> Array:
    H, T, eps = config["num_attention_heads"], len(ids), config["rms_norm_eps"]
    G, rope = config["num_key_value_heads"], config["rope_parameters"]
    x = w["embed_tokens.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        at = f"layers.{i}."
        y = _rms_norm(x, w[f"{at}input_layernorm.weight"], eps)
        q, k, v = (
            w.linear(y, f"{at}self_attn.{name}_proj").reshape(T, n, -1)
            for name, n in (("q", H), ("k", G), ("v", G))
        )
        if f"{at}self_attn.q_norm.weight" in w:
            q = _rms_norm(q, w[f"{at}self_attn.q_norm.weight"], eps)
            k = _rms_norm(k, w[f"{at}self_attn.k_norm.weight"], eps)
        q, k = _rotate(q, rope), _rotate(k, rope)
        k, v = (np.repeat(a, H // G, axis=1) for a in (k, v))
        x = x + w.linear(_attend(q, k, v), f"{at}self_attn.o_proj")
        y = _rms_norm(x, w[f"{at}post_attention_layernorm.weight"], eps)
        gate = w.linear(y, f"{at}mlp.gate_proj")
        gate = gate / (1 + np.exp(-gate))
        x = x + w.linear(gate * w.linear(y, f"{at}mlp.up_proj"), f"{at}mlp.down_proj")
    return _rms_norm(x, w["norm.weight"], eps) @ _head(w, "embed_tokens").T


def _head(w: Weights, embedding: str) -> Array:
    names = ("lm_head.weight", "embed_out.weight", f"{embedding}.weight")
    return next(w[name] for name in names if name in w)


def _layer_norm(x: Array, w: Weights, name: str, eps: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def _rms_norm(x: Array, gain: Array, eps: float) -> Array:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps) * gain


def _rotate(x: Array, rope: dict[str, Any]) -> Array:
    """Turns pairs (j, j + d/2) of [T, H, d] by position."""
    T, _, d = x.shape
    frequencies, scale = _frequencies(rope, d)
    angles = np.outer(np.arange(T), frequencies)[:, None]
    a, b = x[..., : d // 2], x[..., d // 2 :]
    cos, sin = np.cos(angles) * scale, np.sin(angles) * scale
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=2)


def _frequencies(rope: dict[str, Any], d: int) -> tuple[list[float], float]:
    """Angles of d/2 pairs from one position to the next, and a factor of their sines."""
    theta, kind = rope["rope_theta"], rope.get("rope_type", "default")
    plain = [theta ** (-2 * j / d) for j in range(d // 2)]
    if kind == "default":
        return plain, 1.0
    factor = rope["factor"]
    if kind == "linear":
        return [f / factor for f in plain], 1.0
    length = rope["original_max_position_embeddings"]
    if kind == "llama3":
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        scaled = []
        for f in plain:
            wavelength = 2 * math.pi / f
            if wavelength < length / high:
                scaled.append(f)
            elif wavelength > length / low:
                scaled.append(f / factor)
            else:
                smooth = (length / wavelength - low) / (high - low)
                scaled.append((1 - smooth) * f / factor + smooth * f)
        return scaled, 1.0
    assert kind == "yarn"
    bounds = [
        d * math.log(length / (rope.get(name, usual) * 2 * math.pi)) / (2 * math.log(theta))
        for name, usual in (("beta_fast", 32), ("beta_slow", 1))
    ]
    if rope.get("truncate", True):
        bounds = [math.floor(bounds[0]), math.ceil(bounds[1])]
    low, high = max(bounds[0], 0), min(bounds[1], d - 1)
    scaled = []
    for j, f in enumerate(plain):
        ramp = min(max((j - low) / (high - low), 0.0), 1.0)
        scaled.append(f / factor * ramp + f * (1 - ramp))
    if "attention_factor" in rope:
        return scaled, rope["attention_factor"]
    over, under = rope.get("mscale", 1.0), rope.get("mscale_all_dim", 0.0)
    return scaled, (0.1 * over * math.log(factor) + 1) / (0.1 * under * math.log(factor) + 1)


def _attend(q: Array, k: Array, v: Array) -> Array:
    """Causal attention of [T, H, d] -> [T, H * d]."""
    T, _, d = q.shape
    scores = np.einsum("thd,shd->hts", q, k) / math.sqrt(d)
    scores[:, np.triu(np.ones((T, T), bool), 1)] = -np.inf
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed: Array = np.einsum("hts,shd->thd", weights, v).reshape(T, -1)
    return mixed
