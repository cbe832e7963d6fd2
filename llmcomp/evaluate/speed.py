"""Relative speeds: coding against bare passes, and against how others code with a language model.

Everything is a ratio taken in one run: encoding against the model's own bare parallel pass,
decoding against its own bare cached loop with as many lanes, and whole files against coders that go
token by token (`llmcomp.evaluate.token_coders`), with the same model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from llmcomp.codec import compress, decompress
from llmcomp.container import Lane
from llmcomp.errors import LLMCompError
from llmcomp.lanes import decode_lanes, encode
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.schedule import PRESETS, Schedule, cut_bytes, cut_evenly
from llmcomp.steps import run

__all__ = ["report", "speeds", "yardsticks"]

CHUNK_BYTES = 2000
"""System 000's chunks."""

_LANE_COUNTS = (1, 8, 32)
_REPEATS = 3
_LANE_TOKENS = 256
_FILE_BYTES = 50_000
_N_CHUNKS = 2  # every chunk costs alike
_STREAM_TOKENS = 64  # in a full window every token costs alike


def report(model: LanguageModel, data: bytes, *, as_json: bool) -> str:
    """Measures one text both ways and renders it.

    Args:
        model: a shipped model, or an exported one.
        data: the text.
        as_json: JSON in place of Markdown tables.
    """
    bare, others = speeds(model, data, _LANE_COUNTS), yardsticks(model, data[:_FILE_BYTES])
    if as_json:
        return json.dumps({"bare": bare, "token_by_token": others})
    return f"{_against_bare(bare)}\n\n{_against_others(others)}"


def speeds(model: LanguageModel, data: bytes, lane_counts: Sequence[int]) -> list[dict[str, Any]]:
    """Times encoding and decoding against bare passes: the runner's own, and stock transformers'.

    Online help has its part in coding, and none in the bare passes.

    Args:
        model: the model.
        data: the text.
        lane_counts: how many lanes to try.

    Returns:
        For each count: tokens, seconds of each of the five, two ratios (bare over real: 1 would
        mean that coding costs nothing beside the model), and how many times faster the runner steps
        than transformers does in float64. Medians of three runs.
    """
    schedule = PRESETS["balanced"].schedule_for(model.context_length)
    tokens = model.tokenizer.encode(data)
    from llmcomp.evaluate.stock_loop import StockLoop

    stock = StockLoop(model.directory)
    found = []
    for n_lanes in lane_counts:
        # one window a lane, and as many tokens as make the run a few seconds long
        used = min(len(tokens), min(_LANE_TOKENS, model.context_length) * n_lanes)
        lanes = [tokens[part] for part in cut_evenly(used, n_lanes)]
        rows = np.stack([lane[: len(lanes[-1])] for lane in lanes])
        table = model.tokenizer.token_bytes
        encoded = run(encode(model, lanes, schedule, online=True))
        if not encoded[0].helped:
            raise LLMCompError("online help does not pay on this text; take a longer one")
        framed = [
            Lane(sum(len(table[i]) for i in lane), e.payload)
            for lane, e in zip(lanes, encoded, strict=True)
        ]

        encode_s, decode_s, pass_s, loop_s = _medians(
            partial(_encode_all, model, lanes, schedule),
            partial(_decode_all, model, framed, schedule),
            partial(_bare_pass, model, rows),
            partial(_bare_loop, model, rows),
        )
        # apart, since torch's threads go on spinning for a while after their work
        own_s, stock_s = _medians(partial(_bare_loop, model, rows), partial(stock.run, rows))
        found.append({
            "lanes": n_lanes,
            "tokens": int(rows.size),
            "encode_s": encode_s,
            "parallel_pass_s": pass_s,
            "encode_ratio": pass_s / encode_s,
            "decode_s": decode_s,
            "cached_loop_s": loop_s,
            "decode_ratio": loop_s / decode_s,
            "step_ms": 1e3 * loop_s / rows.shape[1],
            "stock_step_ms": 1e3 * stock_s / rows.shape[1],
            "stock_ratio": stock_s / own_s,
        })
    return found


def yardsticks(model: LanguageModel, data: bytes) -> list[dict[str, Any]]:
    """Times whole files here against others' ways of coding, by the token.

    What goes token by token is timed on a part of the text, which is said in the row, and on one
    repetition: it takes seconds and differs by orders of magnitude.

    Args:
        model: the model, which must have a stock checkpoint.
        data: the text, of two tokens at least.

    Returns:
        For each way: its name, tokens timed, milliseconds a token of encoding and of decoding, and
        how many times faster preset ``balanced`` is.

    Raises:
        LLMCompError: if a way did not decode to what was encoded.
    """
    from llmcomp.evaluate import token_coders

    tokens = model.tokenizer.encode(data)
    blob = compress(data, model=model, methods=("lm",), verify=False)
    encode_s, decode_s = _medians(
        lambda: compress(data, model=model, methods=("lm",), verify=False),
        lambda: decompress(blob, model=model),
    )
    own = np.array([encode_s, decode_s]) / len(tokens)
    stock = token_coders.load(model.directory)
    window = stock.config.max_position_embeddings
    chunks = [model.tokenizer.encode(d) for d in cut_bytes(data, CHUNK_BYTES)[:_N_CHUNKS]]
    lane, stream = [tokens[:window]], [tokens[: window + _STREAM_TOKENS]]
    before = max(1, len(stream[0]) - _STREAM_TOKENS)
    found = []
    for name, way, parts, known in (
        ("system 000, chunks of 2,000 bytes", token_coders.whole_pass, chunks, 1),
        ("system 000, one stream", token_coders.whole_pass, stream, before),
        ("gptzip, llama-zip: one lane, one cached step a token", token_coders.cached, lane, 1),
    ):
        spent = np.zeros(2)
        for part in parts:
            coder = token_coders.TokenCoder(way, stock)
            spent += _both_ways(coder, [int(i) for i in part], known)
        n_tokens = sum(len(part) - known for part in parts)
        ms = 1e3 * spent / n_tokens
        found.append({
            "way": name,
            "tokens": n_tokens,
            "encode_ms": ms[0],
            "decode_ms": ms[1],
            "encode_times": ms[0] / own[0] / 1e3,
            "decode_times": ms[1] / own[1] / 1e3,
        })
    found.append({
        "way": "llmcomp, `balanced`, online help",
        "tokens": len(tokens),
        "encode_ms": 1e3 * own[0],
        "decode_ms": 1e3 * own[1],
        "encode_times": 1.0,
        "decode_times": 1.0,
    })
    return found


def _both_ways(coder: Any, tokens: list[int], known: int) -> tuple[float, float]:
    """Encodes and decodes what stands behind the known tokens: seconds of each."""
    begun = time.perf_counter()
    bits = coder.encode(tokens, known)
    turned = time.perf_counter()
    again = coder.decode(bits, tokens[:known], len(tokens))
    done = time.perf_counter()
    if again != tokens:
        raise LLMCompError("a yardstick did not decode to what was encoded; its times say nothing")
    return turned - begun, done - turned


def _against_bare(rows: Sequence[dict[str, Any]]) -> str:
    """Renders what `speeds` found as a Markdown table."""
    lines = [
        "| lanes | tokens | encode against the bare parallel pass "
        "| decode against the bare cached loop | bare step | transformers' step | against it |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['lanes']} | {row['tokens']:,} | {row['encode_ratio']:.2f}x "
        f"| {row['decode_ratio']:.2f}x | {row['step_ms']:.2f} ms "
        f"| {row['stock_step_ms']:.2f} ms | {row['stock_ratio']:.1f}x |"
        for row in rows
    ]
    return "\n".join(lines)


def _against_others(rows: Sequence[dict[str, Any]]) -> str:
    """Renders what `yardsticks` found as a Markdown table."""
    lines = [
        "| way of coding, same model | tokens timed | encode, a token | decode, a token "
        "| llmcomp encodes | llmcomp decodes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['way']} | {row['tokens']:,} | {row['encode_ms']:.2f} ms "
        f"| {row['decode_ms']:.2f} ms | {row['encode_times']:.0f}x faster "
        f"| {row['decode_times']:.0f}x faster |"
        for row in rows[:-1]
    ]
    own = rows[-1]
    lines.append(
        f"| {own['way']} | {own['tokens']:,} | {own['encode_ms']:.2f} ms "
        f"| {own['decode_ms']:.2f} ms | | |"
    )
    return "\n".join(lines)


def _encode_all(model: LanguageModel, lanes: Sequence[Tokens], schedule: Schedule) -> None:
    run(encode(model, lanes, schedule, online=True))


def _decode_all(model: LanguageModel, lanes: Sequence[Lane], schedule: Schedule) -> None:
    run(decode_lanes(model, lanes, schedule, helped=True))


def _bare_pass(model: LanguageModel, rows: Tokens) -> None:
    """Scores rows and throws the logits away: what any encoder must do at least."""
    for _ in model.score(rows):
        pass


def _bare_loop(model: LanguageModel, rows: Tokens) -> None:
    """Steps through known tokens: what any decoder must do at least."""
    session, _ = model.begin(np.full((len(rows), 1), model.start_token), rows.shape[1])
    for t in range(rows.shape[1] - 1):
        session.step(rows[:, t])


def _medians(*jobs: Callable[[], object]) -> list[float]:
    """Times jobs in turn, so that the machine's drift meets all of them: median seconds of each."""
    spent = np.zeros((_REPEATS, len(jobs)))
    for repeat in range(_REPEATS):
        for j, job in enumerate(jobs):
            begun = time.perf_counter()
            job()
            spent[repeat, j] = time.perf_counter() - begun
    return [float(s) for s in np.median(spent, axis=0)]
