"""Online help: exact on both sides, blind to what comes later, and of use."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp import codec
from llmcomp.coding.range_coder import PROBABILITY_BITS
from llmcomp.container import Method, Segment, unpack
from llmcomp.decisions import Decisions, decide, help_decisions
from llmcomp.errors import FormatError, LLMCompError
from llmcomp.online import OnlineHelp
from llmcomp.rehearsal import rehearse
from llmcomp.steps import run

LINES = "".join(
    f"{i % 7:03d} level={'warn' if i % 5 else 'info'} дом\n" for i in range(60)
).encode()
PROFILES = [
    {"profile": "fixed"},
    {"profile": "tolerant", "margin": 2.0**-8},
    {"profile": "replay"},
]


def bits(found: Decisions) -> float:
    share = found.p0 / (1 << PROBABILITY_BITS)
    return float(-np.log2(np.where(found.answers, 1.0 - share, share)).sum())


def begun(model: FakeModel, plain_lengths: list[int]) -> OnlineHelp:
    tree = model.tree
    return OnlineHelp.begin(tree.rank, tree.depth, model.tokenizer.token_bytes, plain_lengths)


def helped(model: FakeModel, lanes: list[bytes]) -> list[Decisions]:
    """All lanes step together, whatever their lengths."""
    tokens = [np.frombuffer(lane, np.uint8).astype(np.int64) for lane in lanes]
    decisions = []
    for ids in tokens:
        rows = np.concatenate([[0], ids[:-1]])
        decisions.append(decide(model.tree, model._table[rows], ids))
    help_ = begun(model, list(map(len, lanes)))
    found, _ = help_decisions(model.tree, help_, tokens, decisions)
    return found


@pytest.mark.parametrize("options", PROFILES, ids=lambda options: options["profile"])
@pytest.mark.parametrize("cut", [{"lanes": 1}, {"lanes": 5}, {"lane_bytes": 133}], ids=str)
def test_round_trip_and_smaller(options, cut):
    model = FakeModel()
    common = {"model": model, "methods": ("lm",), **options, **cut}
    result = run(codec.compressing(LINES, **common))
    alone = run(codec.compressing(LINES, online=False, **common))
    assert llmcomp.get_info(result.blob).helped_segments == 1
    assert llmcomp.get_info(alone.blob).helped_segments == 0
    assert llmcomp.decompress(result.blob, model=FakeModel()) == LINES
    assert len(result.blob) < 0.6 * len(alone.blob)
    bill = result.bill
    assert bill.help_bits < 0.0 == alone.bill.help_bits
    assert bill.ideal_bits == pytest.approx(alone.bill.ideal_bits)
    n_lanes = len(unpack(result.blob).frames[0].segment.lanes)
    assert abs(bill.model_alone_bytes - alone.bill.total_bytes) <= 2 * n_lanes
    assert sum(b for _, b in bill.rows()) == pytest.approx(8 * len(result.blob), abs=1e-6)


@given(st.binary(max_size=600), st.integers(1, 5), st.sampled_from(PROFILES))
def test_any_bytes_round_trip_and_never_grow(data, lanes, options):
    common = {"model": FakeModel(), "methods": ("lm",), "lanes": lanes, "verify": False, **options}
    blob = llmcomp.compress(data, **common)
    assert llmcomp.decompress(blob, model=FakeModel()) == data
    assert len(blob) <= len(llmcomp.compress(data, online=False, **common))


def test_what_comes_later_changes_nothing_before_it():
    """In step t every lane knows what all lanes showed before step t, and no more."""
    rng, model = random.Random(3), FakeModel()
    lanes = [rng.choice([b"ab\n", b"abc"]) * 30 for _ in range(4)]
    before = helped(model, lanes)
    for lane in range(4):
        step = rng.randrange(20, 60)
        other = list(lanes)
        other[lane] = lanes[lane][:step] + b"?" + lanes[lane][step + 1 :]
        after = helped(model, other)
        for one, two in zip(before, after, strict=True):
            known = int(one.counts[:step].sum())
            assert (one.p0[:known] == two.p0[:known]).all()
        # lanes that stood still learn of it one step later
        for index in {0, 1, 2, 3} - {lane}:
            known = int(before[index].counts[: step + 1].sum())
            assert (before[index].p0[:known] == after[index].p0[:known]).all()
            assert (before[index].p0[known:] != after[index].p0[known:]).any()


def test_lanes_teach_each_other():
    rng, model = random.Random(4), FakeModel()
    phrase = rng.randbytes(300)
    (one,) = helped(model, [phrase])
    first, second = helped(model, [phrase, rng.randbytes(8) + phrase[:-8]])
    assert bits(first) == pytest.approx(bits(one), rel=0.05)
    assert bits(second) < 0.5 * bits(one)


def test_noise_costs_next_to_nothing():
    noise = random.Random(5).randbytes(20_000)
    model = FakeModel()
    tokens = np.frombuffer(noise, np.uint8)
    alone = bits(decide(model.tree, model._table[np.concatenate([[0], tokens[:-1]])], tokens))
    assert sum(map(bits, helped(model, [noise]))) < 1.01 * alone


def test_segment_without_gain_is_left_alone():
    blob = llmcomp.compress(b"x", model=FakeModel(), methods=("lm",))
    assert llmcomp.get_info(blob).helped_segments == 0
    noise = random.Random(6).randbytes(3_000)
    blob = llmcomp.compress(noise, model=FakeModel(), methods=("lm",))
    alone = llmcomp.compress(noise, model=FakeModel(), methods=("lm",), online=False)
    assert len(blob) <= len(alone)


THREADS = """
import sys
sys.path.insert(0, "tests")
from fakes import FakeModel
from test_online import LINES
import llmcomp
blob = llmcomp.compress(LINES * 3, model=FakeModel(), methods=("lm",), lanes=13, verify=False)
assert llmcomp.decompress(blob, model=FakeModel()) == LINES * 3
print(blob.hex())
"""


def test_threads_change_nothing():
    found = {
        subprocess.run(
            [sys.executable, "-c", THREADS],
            env={**os.environ, "LLMCOMP_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 3)
    }
    assert len(found) == 1


def test_memory_is_bounded():
    model = FakeModel()
    for n_bytes, most in ((10, 1 << 17), (1 << 20, 50 << 20)):
        help_ = begun(model, [n_bytes])
        assert (
            sum(array.nbytes for array in help_) < most + help_.weights.nbytes + help_.maps.nbytes
        )


def test_help_belongs_to_the_model_s_segments_only():
    model = FakeModel()
    blob = bytearray(llmcomp.compress(b"again " * 99, model=model, methods=("xz",)))
    (frame,) = unpack(bytes(blob)).frames
    blob[frame.start] |= 32
    with pytest.raises(FormatError, match="online help in a xz segment"):
        llmcomp.decompress(bytes(blob), model=model)


def test_damaged_payloads_of_helped_lanes_end():
    """With repaired checksums nothing stands between damage and the state of the help."""
    rng, model = random.Random(8), FakeModel()
    parsed = unpack(llmcomp.compress(LINES[:400], model=model, methods=("lm",), lanes=3))
    (frame,) = parsed.frames
    for _ in range(60):
        lanes = list(frame.segment.lanes)
        place = rng.randrange(3)
        payload = bytearray(lanes[place].payload)
        payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
        lanes[place] = type(lanes[place])(lanes[place].plain_length, bytes(payload))
        bent = Segment(Method.LM, lanes, frame.segment.plain_crc, helped=True)
        packed = parsed.header.pack()
        with contextlib.suppress(LLMCompError):
            assert llmcomp.decompress(packed + bent.pack(packed, 0, last=True), model=model)


def test_pictures_show_what_was_coded_with(tiny):
    text = b"for fox in foxes: print(fox)\n" * 6
    trace = llmcomp.trace(text, model=tiny, lanes=2)
    alone = llmcomp.trace(text, model=tiny, lanes=2, online=False)
    assert sum(t.cost_bits.sum() for t in trace.lanes) < sum(t.cost_bits.sum() for t in alone.lanes)
    blob = llmcomp.compress(text, model=tiny, lanes=2, methods=("lm",))
    again = run(codec.decompressing(blob, model=tiny, trace=True)).trace
    assert again is not None
    for one, two, bare in zip(trace.lanes, again.lanes, alone.lanes, strict=True):
        seen = 0
        for t, token in enumerate(one.ids):
            (place,) = np.nonzero(one.candidates[t] == token)
            if len(place):
                seen += 1
                assert one.candidate_share[t, place[0]] == pytest.approx(one.share[t], rel=1e-4)
                assert one.candidate_offset[t, place[0]] == pytest.approx(one.offset[t], abs=1e-6)
        assert seen > len(one) // 3
        assert (one.candidate_share == two.candidate_share).all()
        assert (one.share == two.share).all()
        assert (one.ideal_bits == bare.ideal_bits).all()
        assert one.payload == two.payload != bare.payload


def test_rehearsal_follows_a_flip_through_helped_lanes(tiny):
    blob = llmcomp.compress(LINES[:300], model=tiny, methods=("lm",), lanes=2)
    (frame,) = unpack(blob).frames
    found = rehearse(blob, 8 * (frame.payload + 4), model=tiny)
    assert found.outcome == "number"
    assert found.trace is not None
    assert found.trace.lanes[0].text != LINES[:150]
