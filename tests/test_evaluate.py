"""What the bench compares with must be what it says: yardsticks really code, maps add up."""

from __future__ import annotations

import random

import numpy as np
import pytest

import llmcomp
from llmcomp.container import unpack
from llmcomp.evaluate import context_map, speed, token_coders
from llmcomp.evaluate.token_coders import BitDecoder, BitEncoder
from llmcomp.schedule import PRESETS, Schedule

TOTAL = 1 << 30
TEXT = b"The coder never changes; the model does. " * 12


def test_integer_coder_keeps_to_the_ideal_length():
    rng = random.Random(1)
    edges = np.array([0, 1, 1000, TOTAL // 3, TOTAL - 1, TOTAL], np.int64)
    symbols = [*rng.choices(range(5), weights=np.diff(edges), k=3_000), 0, 3, 0]
    encoder = BitEncoder()
    for symbol in symbols:
        encoder.push(int(edges[symbol]), int(edges[symbol + 1]))
    bits = encoder.finish()
    decoder = BitDecoder(bits)
    assert [decoder.pull(edges) for _ in symbols] == symbols
    ideal = -np.log2(np.diff(edges) / TOTAL)[symbols].sum()
    assert ideal < len(bits) < ideal + 40  # two bits of tail, and the 32 of system 000


@pytest.mark.parametrize("way", [token_coders.whole_pass, token_coders.cached])
def test_token_by_token_coders_decode(way, tiny):
    tokens = [int(i) for i in tiny.tokenizer.encode(TEXT)]
    coder = token_coders.TokenCoder(way, token_coders.load(tiny.directory))
    bits = coder.encode(tokens)
    assert coder.decode(bits, tokens[:1], len(tokens)) == tokens
    assert coder.decode(bits[:-40] + [0] * 40, tokens[:1], len(tokens)) != tokens


def test_both_ways_of_predicting_agree(tiny):
    stock = token_coders.load(tiny.directory)
    whole, cached = token_coders.whole_pass(stock), token_coders.cached(stock)
    tokens = [int(i) for i in tiny.tokenizer.encode(TEXT)][:20]
    for stop in range(1, len(tokens)):
        a, b = whole(tokens[:stop]), cached(tokens[:stop])
        assert a[0] == b[0] == 0
        assert a[-1] == b[-1] == TOTAL
        assert (np.diff(a) > 0).all()
        assert np.abs(np.diff(a) - np.diff(b)).max() < TOTAL * 1e-4


def test_yardsticks_name_every_way(tiny):
    rows = speed.yardsticks(tiny, TEXT)
    assert [row["way"].split(",")[0] for row in rows] == [
        "system 000",
        "system 000",
        "gptzip",
        "llmcomp",
    ]
    assert all(row["encode_ms"] > 0 < row["decode_ms"] for row in rows)


def test_map_counts_what_the_container_takes(tiny):
    schedule = PRESETS["balanced"].schedule_for(tiny.context_length)
    found = context_map.measure(tiny, "x", TEXT, [schedule, Schedule(9, 0)], [1, 3])
    for column, n_lanes in enumerate(found.lane_counts):
        blob = llmcomp.compress(TEXT, model=tiny, lanes=n_lanes, methods=("lm",))
        (frame,) = unpack(blob).frames
        assert found.sizes[0][column] == frame.stop - frame.start
    assert found.least == min(map(min, found.sizes))
    assert max(found.loss(1, column) for column in (0, 1)) > 0  # nine tokens of context are few


def test_map_is_drawn_and_written():
    found = context_map.SizeMap(
        "a<b", 9, [Schedule(8, 4), Schedule(8, 0)], [1, 3], [[4, 5], [5, 8]]
    )
    table = context_map.as_table([found])
    assert table.splitlines()[2:] == [
        "| a<b, 9 B | 8 | 4 | **4 B** | +25.00 % |",
        "| a<b, 9 B | 8 | 0 | +25.00 % | +100.00 % |",
    ]
    drawn = context_map.as_svg([found, found], columns=1)
    assert drawn.count("<rect") == 8
    assert "a&lt;b" in drawn
    assert "100.00" in drawn
