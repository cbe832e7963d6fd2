"""The runner of profile ``fixed``: Llama and Qwen3 models in exact arithmetic.

In: a directory with ``config.json`` and ``model.safetensors`` whose weights are on
``WEIGHT_GRID``. Out: float64 logits with the same bits on every machine, in parallel or cached,
whatever the batch, the threads, the BLAS or the instruction set. Needs NumPy and numba only.

Three kinds of arithmetic occur:

* sums of products (matrix products, attention, rotation) whose terms are on dyadic grids and
  bounded, so that they stay below ``2**53`` units: exact in any order, fused or not;
* single IEEE operations on one element (``+ - * /``, square root, rounding to even);
* the exponential of `llmcomp.exact`.

What feeds a product is rounded to a grid and, where nothing else bounds it, clamped. Loading
asserts the bound of every sum from the weights themselves.

References:
    [Touvron23] Touvron et al., LLaMA, arXiv:2302.13971.
    [Qwen3] Yang et al., Qwen3 technical report, arXiv:2505.09388 (QK-norm).
    [Zhang19] Zhang, Sennrich, Root mean square layer normalization, arXiv:1910.07467.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmcomp.errors import ModelError
from llmcomp.models import kernels
from llmcomp.models.base import Tokens
from llmcomp.models.grid import HEAD_GRIDS, WEIGHT_GRID, Float64Array, HeadGrids, snap
from llmcomp.models.kernels import (
    ACTIVATION_GRID,
    EXACT_BITS,
    GATED_LIMIT,
    SHARE_GRID,
    Packed,
    StepWeights,
    pack,
    square_bits,
)
from llmcomp.models.rotary import ROTARY_GRID, rotary_tables
from llmcomp.parallel import each_part

PROMPT_LIMIT = 2.0**15  # entries of a steering prompt
MIN_ROOM = 16  # positions a steering prompt must leave for text

_QUERY_BLOCK = 256  # queries scored at a time: bounds the [block, T] scores to a few MB
_LOGIT_BLOCK = 256  # positions whose logits are yielded at a time
_PREFILL_TOKENS = 4096  # positions of a session's context that are run at a time


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes a runner needs, as in the model's ``config.json``."""

    vocab_size: int
    hidden: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    intermediate: int
    context_length: int
    rope_theta: int
    norm_eps: float
    qk_norm: bool
    tied: bool
    recipe: int

    @property
    def grids(self) -> HeadGrids:
        """What queries, keys and values are rounded to."""
        return HEAD_GRIDS[self.recipe]

    @classmethod
    def read(cls, config: dict[str, Any]) -> Shape:
        """Reads a stock configuration.

        Raises:
            ModelError: if the architecture is one this runner does not compute.
        """
        family = config.get("model_type")
        rope = config.get("rope_parameters")
        rope = rope if isinstance(rope, dict) else {"rope_theta": config.get("rope_theta", 10000)}
        plain = (
            family in {"llama", "qwen3"}
            and config.get("hidden_act") == "silu"
            and not config.get("attention_bias")
            and not config.get("mlp_bias")
            and not config.get("use_sliding_window")
            and not config.get("rope_scaling")
            and rope.get("rope_type", "default") == "default"
            and float(rope["rope_theta"]).is_integer()
        )
        if not plain:
            raise ModelError(
                f"model_type {family!r} with these options is not computed by the fixed runner; "
                "it takes Llama and Qwen3 with SiLU, plain rotary positions and no biases"
            )

        recipe = config.get("llmcomp_recipe", 1)
        if recipe not in HEAD_GRIDS:
            raise ModelError(
                f"the model's arithmetic is recipe {recipe!r}, unknown here; update llmcomp"
            )
        heads = int(config["num_attention_heads"])
        return cls(
            vocab_size=int(config["vocab_size"]),
            hidden=int(config["hidden_size"]),
            n_layers=int(config["num_hidden_layers"]),
            n_heads=heads,
            n_kv_heads=int(config["num_key_value_heads"]),
            head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
            intermediate=int(config["intermediate_size"]),
            context_length=int(config["max_position_embeddings"]),
            rope_theta=int(rope["rope_theta"]),
            norm_eps=float(config["rms_norm_eps"]),
            qk_norm=family == "qwen3",
            tied=bool(config["tie_word_embeddings"]),
            recipe=recipe,
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, float64, matrices as [in, out]."""

    norm_attention: Float64Array
    qkv: Float64Array
    norm_query: Float64Array | None
    norm_key: Float64Array | None
    output: Float64Array
    norm_mlp: Float64Array
    gate_up: Float64Array
    down: Float64Array


@dataclass(frozen=True, slots=True)
class _Prefix:
    """What start token and prompt leave behind, the same for every row.

    Attributes:
        hidden: float64[1, D], the last residual stream at the prompt's end.
        heads: keys and values of every layer, each float64[1 + P, G, d].
    """

    hidden: Float64Array
    heads: list[tuple[Float64Array, Float64Array]]

    @property
    def length(self) -> int:
        """Positions: the start token and the prompt."""
        return len(self.heads[0][0])


class FixedRunner:
    """Runs one model; immutable after loading, so threads may share it.

    Attributes:
        shape: the model's sizes.
        rotary: cosines and sines, each float64[context_length, head_dim // 2].
    """

    def __init__(self, shape: Shape, weights: dict[str, np.ndarray]) -> None:
        """Widens the weights and asserts that every sum of products stays exact.

        Args:
            shape: the model's sizes.
            weights: float16 arrays under their stock names, all on ``WEIGHT_GRID``.

        Raises:
            ModelError: if a weight is missing, has another shape, is off the grid, or if a sum
                could leave float64's exact integers.
        """
        self.shape = shape
        self._weights = weights
        self.rotary = rotary_tables(shape.context_length, shape.head_dim, shape.rope_theta)
        self._embedding = self._take("model.embed_tokens.weight", shape.vocab_size, shape.hidden)
        self._layers = [self._layer(i) for i in range(shape.n_layers)]
        self._norm = self._take("model.norm.weight", shape.hidden)
        head = self._embedding
        if not shape.tied:
            head = self._take("lm_head.weight", shape.vocab_size, shape.hidden)
        self._head = np.ascontiguousarray(head.T)
        self._scale = 1.0 / math.sqrt(shape.head_dim)
        self._prefix: _Prefix | None = None
        del self._weights
        self._assert_exact()
        self._packed = self._pack()

    @classmethod
    def load(cls, directory: Path) -> FixedRunner:
        """Loads a directory as ``llmcomp.train`` exports it.

        Raises:
            ModelError: if a file is missing or its contents do not fit.
        """
        from safetensors.numpy import load_file

        config, weights = directory / "config.json", directory / "model.safetensors"
        if not (config.is_file() and weights.is_file()):
            raise ModelError(f"{directory} lacks config.json or model.safetensors")
        shape = Shape.read(json.loads(config.read_text(encoding="utf-8")))
        return cls(shape, load_file(weights))

    def _take(self, name: str, *shape: int) -> Float64Array:
        weights = self._weights.get(name)
        if weights is None or weights.shape != shape:
            found = "nothing" if weights is None else f"shape {list(weights.shape)}"
            raise ModelError(f"weight {name}: found {found}, wanted shape {list(shape)}")
        if weights.dtype != np.float16:
            raise ModelError(
                f"weight {name} is {weights.dtype}, wanted float16; "
                "export the model with `python -m llmcomp.train release`"
            )
        wide: Float64Array = weights.astype(np.float64)
        units = wide * 2.0**WEIGHT_GRID
        if not np.array_equal(units, np.rint(units)):
            raise ModelError(
                f"weight {name} is off the grid 2^-{WEIGHT_GRID}; "
                "export it with `python -m llmcomp.train release`"
            )
        return wide

    def _layer(self, index: int) -> _Layer:
        s, at = self.shape, f"model.layers.{index}."
        heads, kv_heads = s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim

        def matrix(*parts: tuple[str, int], inputs: int) -> Float64Array:
            rows = [self._take(f"{at}{name}.weight", out, inputs) for name, out in parts]
            return np.ascontiguousarray(np.concatenate(rows).T)

        def qk_gain(name: str) -> Float64Array | None:
            return self._take(f"{at}self_attn.{name}.weight", s.head_dim) if s.qk_norm else None

        return _Layer(
            norm_attention=self._take(f"{at}input_layernorm.weight", s.hidden),
            qkv=matrix(
                ("self_attn.q_proj", heads),
                ("self_attn.k_proj", kv_heads),
                ("self_attn.v_proj", kv_heads),
                inputs=s.hidden,
            ),
            norm_query=qk_gain("q_norm"),
            norm_key=qk_gain("k_norm"),
            output=matrix(("self_attn.o_proj", s.hidden), inputs=heads),
            norm_mlp=self._take(f"{at}post_attention_layernorm.weight", s.hidden),
            gate_up=matrix(
                ("mlp.gate_proj", s.intermediate),
                ("mlp.up_proj", s.intermediate),
                inputs=s.hidden,
            ),
            down=matrix(("mlp.down_proj", s.hidden), inputs=s.intermediate),
        )

    def _pack(self) -> StepWeights:
        """Stacks the layers' weights for the cached step, as narrow as they are exact."""
        s, layers = self.shape, self._layers

        def matrices(name: str) -> tuple[Packed, float]:
            return pack(np.stack([getattr(layer, name).T for layer in layers]))

        def gains(name: str) -> Float64Array:
            found = [getattr(layer, name) for layer in layers]
            return np.stack(found) if found[0] is not None else np.empty((0, s.head_dim))

        return StepWeights(
            gains("norm_attention"),
            *matrices("qkv"),
            gains("norm_query"),
            gains("norm_key"),
            *matrices("output"),
            gains("norm_mlp"),
            *matrices("gate_up"),
            *matrices("down"),
            self._norm,
            *pack(np.ascontiguousarray(self._head.T)),
            *self.rotary,
            s.grids.query,
            s.grids.key,
            s.grids.key_unit,
            s.grids.value,
            s.grids.value_unit,
            s.norm_eps,
            square_bits(s.hidden),
            square_bits(s.head_dim),
        )

    def _assert_exact(self) -> None:
        """Bounds every sum of products, in bits of its own units, and refuses a model over 53."""
        s = self.shape
        for name, bits in self.sum_bits().items():
            if bits > EXACT_BITS:
                raise ModelError(
                    f"{name}: a sum may need {bits:.1f} bits, float64 is exact up to {EXACT_BITS}"
                )
        if s.head_dim % 2 or s.n_heads % s.n_kv_heads:
            raise ModelError("heads must be of even width and a multiple of the key-value heads")

    def sum_bits(self) -> dict[str, float]:
        """Bounds the bits of the largest partial sum of every kind of product.

        A normalised row has length at most ``sqrt(d)``, so its entry j is at most
        ``sqrt(d) * |gain_j|``; clamps bound the rest. The bound of a row of weights is its sum of
        absolute values times those bounds, which holds for any order of addition.
        """
        s = self.shape

        def linear(matrix: Float64Array, bound: Float64Array | float) -> float:
            reach = (
                np.abs(matrix) * np.reshape(bound, (-1, 1))
                if np.ndim(bound)
                else (np.abs(matrix) * bound)
            )
            units = 2.0 ** (WEIGHT_GRID + ACTIVATION_GRID)
            return float(np.log2(max(float(reach.sum(axis=0).max()), 1e-9) * units))

        def normed(gain: Float64Array) -> Float64Array:
            bound: Float64Array = math.sqrt(s.hidden) * np.abs(gain) + 1.0
            return bound

        query, key, value = (math.log2(grid.limit * grid.scale) for grid in s.grids[:3])
        layers = self._layers
        return {
            "qkv": max(linear(layer.qkv, normed(layer.norm_attention)) for layer in layers),
            "rotation": max(query, key) + ROTARY_GRID + 1,
            "scores": query + key + math.log2(s.head_dim),
            "shares x values": SHARE_GRID + value + math.log2(s.context_length),
            "output": max(linear(layer.output, s.grids.value.limit) for layer in layers),
            "feed-forward in": max(
                linear(layer.gate_up, normed(layer.norm_mlp)) for layer in layers
            ),
            "feed-forward out": max(linear(layer.down, GATED_LIMIT) for layer in layers),
            "head": linear(self._head, normed(self._norm)),
            "squares": 2 * square_bits(s.hidden) + math.log2(s.hidden),
        }

    def embed(self, tokens: Tokens) -> Float64Array:
        """Looks tokens up; see `llmcomp.models.base.LanguageModel.embed`."""
        found: Float64Array = self._embedding[tokens]
        return found

    def steered(self, prompt: Float64Array, start_token: int) -> FixedRunner:
        """Shares everything but the prompt; see `llmcomp.models.base.LanguageModel.steered`.

        Start token and prompt begin every row alike, so their keys and values are made here, once.
        Any vector on a grid will do: norms scale their input before they square it, and what
        reaches a product is normalised and clamped whatever the prompt says.

        Args:
            prompt: float64[P, hidden].
            start_token: the one that begins every row.
        """
        if prompt.ndim != 2 or prompt.shape[1] != self.shape.hidden:
            raise ValueError(
                f"the prompt's shape is {list(prompt.shape)}; wanted [n, {self.shape.hidden}]"
            )
        if len(prompt) > self.shape.context_length - MIN_ROOM:
            raise ValueError(
                f"{len(prompt)} virtual tokens leave less than {MIN_ROOM} of the "
                f"{self.shape.context_length} positions for text"
            )
        on_grid = np.array_equal(prompt, snap(prompt, WEIGHT_GRID))  # false for NaN too
        if not on_grid or np.abs(prompt).max(initial=0.0) > PROMPT_LIMIT:
            raise ValueError("a prompt has to be finite, on the weights' grid and within 2**15")
        steered = copy.copy(self)
        steered._prefix = None
        x = np.concatenate([self._embedding[[start_token]], prompt])[None]
        heads: list[tuple[Float64Array, Float64Array]] = []
        hidden = steered._run(x, lambda _, k, v: heads.append((k[0], v[0])))
        steered._prefix = _Prefix(hidden[0, -1:], heads)
        return steered

    def score(self, rows: Tokens) -> Iterator[tuple[int, int, Float64Array]]:
        """Runs rows in parallel; see `llmcomp.models.base.LanguageModel.score`."""
        hidden = self._forward(rows)
        for row in range(len(rows)):
            for start in range(0, rows.shape[1], _LOGIT_BLOCK):
                yield row, start, self._logits(hidden[row, start : start + _LOGIT_BLOCK])

    def begin(self, rows: Tokens, room: int) -> tuple[FixedSession, Float64Array]:
        """Starts a cached pass; see `llmcomp.models.base.LanguageModel.begin`.

        Raises:
            ValueError: if the room is more than the context or less than the rows.
        """
        n_virtual = self._n_virtual
        most = self.shape.context_length - n_virtual
        if not rows.shape[1] <= room <= most:
            raise ValueError(f"room for {room} positions; wanted {rows.shape[1]} to {most}")
        session = FixedSession(self, len(rows), n_virtual + rows.shape[1], n_virtual + room)
        together = max(1, _PREFILL_TOKENS // rows.shape[1])
        last = [
            self._forward(rows[lane : lane + together], session, lane)[:, -1]
            for lane in range(0, len(rows), together)
        ]
        return session, self._logits(np.concatenate(last))

    @property
    def _n_virtual(self) -> int:
        """Positions of the prompt; the start token before it is counted by the rows."""
        return 0 if self._prefix is None else self._prefix.length - 1

    def _logits(self, hidden: Float64Array) -> Float64Array:
        logits: Float64Array = _normed(hidden, self._norm, self.shape.norm_eps) @ self._head
        return logits

    def _forward(
        self, rows: Tokens, session: FixedSession | None = None, first_lane: int = 0
    ) -> Float64Array:
        """Runs rows in parallel, leaving keys and values in a session if one is given.

        Args:
            rows: int64[B, T].
            session: where to leave them.
            first_lane: the session's lane that the first row belongs to.

        Returns:
            The last residual stream, float64[B, T, D]; behind a prompt, entry 0 is the prompt's.
        """
        most = self.shape.context_length - self._n_virtual
        if not 0 < rows.shape[1] <= most:
            raise ValueError(f"a row has {rows.shape[1]} tokens; this model takes 1 to {most}")
        prefix = self._prefix
        first = 0 if prefix is None else prefix.length
        lanes = slice(first_lane, first_lane + len(rows))

        def fill(layer: int, keys: Float64Array, values: Float64Array) -> None:
            if session is not None:
                session.fill(layer, lanes, first, keys, values)

        if prefix is None:
            return self._run(self._embedding[rows], fill)
        for layer, (keys, values) in enumerate(prefix.heads):
            if session is not None:
                session.fill(layer, lanes, 0, keys, values)
        start = np.broadcast_to(prefix.hidden, (len(rows), *prefix.hidden.shape))
        if rows.shape[1] == 1:
            return start
        rest = self._run(self._embedding[rows[:, 1:]], fill)
        return np.concatenate([start, rest], axis=1)

    def _run(
        self,
        x: Float64Array,
        keep: Callable[[int, Float64Array, Float64Array], None],
    ) -> Float64Array:
        """Runs all layers over rows, behind the prefix if there is one.

        Args:
            x: float64[B, T, D], embeddings or a prompt's vectors.
            keep: takes every layer's number, keys and values, each float64[B, T, G, d].

        Returns:
            float64[B, T, D].
        """
        s, prefix = self.shape, self._prefix
        B, T, _ = x.shape
        first = 0 if prefix is None else prefix.length
        positions = np.tile(np.arange(first, first + T), B)
        x = x.reshape(B * T, -1)
        for i, layer in enumerate(self._layers):
            q, k, v = self._heads(layer, x, positions)
            q, k, v = (a.reshape(B, T, -1, s.head_dim) for a in (q, k, v))
            mixed = np.empty((B, T, s.n_heads, s.head_dim))
            for b in range(B):
                keys, values = k[b], v[b]
                if prefix is not None:
                    keys = np.concatenate([prefix.heads[i][0], keys])
                    values = np.concatenate([prefix.heads[i][1], values])
                for h in range(s.n_heads):
                    g = h * s.n_kv_heads // s.n_heads
                    self._attend(q[b, :, h], keys[:, g], values[:, g], mixed[b, :, h])
            x = self._finish_layer(layer, x, mixed.reshape(B * T, -1))
            keep(i, k, v)
        return x.reshape(B, T, -1)

    def _heads(
        self, layer: _Layer, x: Float64Array, positions: Tokens
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Queries, keys and values of N tokens, [N, heads * head_dim], snapped and rotated."""
        s = self.shape
        heads, kv_heads = s.n_heads * s.head_dim, s.n_kv_heads * s.head_dim
        qkv = _normed(x, layer.norm_attention, s.norm_eps) @ layer.qkv
        q, k, v = (
            np.ascontiguousarray(part) for part in np.split(qkv, (heads, heads + kv_heads), axis=1)
        )
        grids = s.grids
        parts = ((q, layer.norm_query, grids.query), (k, layer.norm_key, grids.key))
        for part, gain, grid in parts:
            if gain is not None:
                per_head = part.reshape(-1, s.head_dim)
                per_head[:] = _normed(per_head, gain, s.norm_eps)
            kernels.snap_heads(part, grid)
            kernels.rotate(part, *self.rotary, positions, grid)
        kernels.snap_heads(v, grids.value)
        return q, k, v

    def _attend(self, q: Float64Array, k: Float64Array, v: Float64Array, out: Float64Array) -> None:
        """Causal attention of one head of one row; the queries are the last keys' own.

        Args:
            q: float64[T, head_dim].
            k: float64[N, head_dim], N at least T.
            v: float64[N, head_dim].
            out: float64[T, head_dim], written.
        """
        before = len(k) - len(q)
        for start in range(0, len(q), _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, len(q))
            scores = q[start:stop] @ k[: before + stop].T
            totals = np.empty(stop - start)
            kernels.causal_shares(scores, before + start, self._scale, totals)
            kernels.divide(scores @ v[: before + stop], totals, out[start:stop])

    def _finish_layer(self, layer: _Layer, x: Float64Array, mixed: Float64Array) -> Float64Array:
        """Adds attention's output and the feed-forward layer's to the residual stream [N, D]."""
        x = _added(x, mixed @ layer.output)
        hidden = _normed(x, layer.norm_mlp, self.shape.norm_eps) @ layer.gate_up
        return _added(x, _gated(hidden) @ layer.down)


class FixedSession:
    """A cached pass of B lanes at one common position."""

    def __init__(self, runner: FixedRunner, n_lanes: int, position: int, room: int) -> None:
        self._runner = runner
        self._position = position
        self._room = room
        s = runner.shape
        kind = np.int16 if s.grids.in_integers else np.float32
        shape = (n_lanes, s.n_layers, s.n_kv_heads, room, s.head_dim)
        self._keys, self._values = np.zeros(shape, kind), np.zeros(shape, kind)

    def fill(
        self, layer: int, lanes: slice, first: int, keys: Float64Array, values: Float64Array
    ) -> None:
        """Takes what a parallel pass found for some lanes.

        Args:
            layer: its number.
            lanes: whose it is.
            first: position of the first entry.
            keys: float64[B, T, G, d], or [T, G, d] for all these lanes alike.
            values: the same.
        """
        at = slice(first, first + keys.shape[-3])
        grids = self._runner.shape.grids
        self._keys[lanes, layer, :, at] = np.swapaxes(keys, -3, -2) / grids.key_unit
        self._values[lanes, layer, :, at] = np.swapaxes(values, -3, -2) / grids.value_unit

    def step(self, tokens: Tokens) -> Float64Array:
        """Feeds one token to each lane: int64[B] -> logits float64[B, V].

        Raises:
            ValueError: when the session's room is full.
        """
        if self._position >= self._room:
            raise ValueError(f"the session's {self._room} positions are full; begin a new one")
        runner, at = self._runner, self._position
        x = runner._embedding[tokens]
        logits = np.empty((len(tokens), runner.shape.vocab_size))

        def some(part: slice) -> None:
            keys, values = self._keys[part], self._values[part]
            kernels.step(runner._packed, x[part], keys, values, at, logits[part])

        each_part(len(tokens), some)
        self._position += 1
        return logits


def _normed(x: Float64Array, gain: Float64Array, eps: float) -> Float64Array:
    """RMS norm of the last axis, snapped to the activations' grid."""
    out = np.empty_like(x)
    kernels.rms_norm(x, gain, eps, square_bits(x.shape[-1]), out)
    return out


def _added(x: Float64Array, y: Float64Array) -> Float64Array:
    """Residual sum, snapped."""
    out = np.empty_like(x)
    kernels.add(x, y, out)
    return out


def _gated(hidden: Float64Array) -> Float64Array:
    """SwiGLU of [N, 2 * intermediate], [N, intermediate]."""
    out = np.empty((len(hidden), hidden.shape[1] // 2))
    kernels.swiglu(hidden, out)
    return out
