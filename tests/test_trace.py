"""The trace is the coder's own: its bytes are the payload, its last interval holds the number."""

from __future__ import annotations

import base64
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp import codec
from llmcomp.coding.range_coder import STATE_BITS
from llmcomp.container import unpack
from llmcomp.steps import run

TEXT = "The quick brown fox jumps. Съешь ещё булок. 春眠不觉晓\n".encode() * 4

FIELDS = {
    "id": "<u2",
    "len": "u1",
    "ideal": "<f4",
    "cost": "<f4",
    "ent": "<u2",
    "rank": "<u2",
    "lo": "<f8",
    "r": "<f8",
    "out": "<u4",
    "low": "<u4",
    "rng": "<u4",
    "pend": "u1",
    "car": "u1",
    "tid": "<u2",
    "tlo": "<f4",
    "tr": "<f4",
    "nd": "u1",
    "dr": "<f4",
    "dflag": "u1",
    "dcut": "<u2",
    "dict_id": "<u2",
    "dict_len": "u1",
}


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "helped"])
def traced(tiny, request):
    options = {"methods": ("lm",), "lanes": 2, "trace": True, "online": request.param}
    return run(codec.compressing(TEXT, model=tiny, **options))


def arrays(message: dict) -> dict[str, np.ndarray]:
    return {f: np.frombuffer(base64.b64decode(message[f]), dtype) for f, dtype in FIELDS.items()}


def test_the_trace_spells_the_payload(traced):
    lanes = unpack(traced.blob).frames[0].segment.lanes
    assert [t.payload for t in traced.trace.lanes] == [lane.payload for lane in lanes]
    assert b"".join(t.text for t in traced.trace.lanes) == TEXT


def test_registers_and_waiting_bytes_spell_the_number(traced, tiny):
    """At every step: bytes already out, then the window, is the interval; the number lies in it.

    The bytes that left are the payload's own, unless a carry comes later. Then they are one less
    than the payload's, and the carry runs through just the bytes said to be waiting.
    """
    more = llmcomp.trace(bytes(range(256)) * 3, model=tiny)
    carried_later = 0
    for t in [*traced.trace.lanes, *more.lanes]:
        digits = t.payload.ljust(int(t.out[-1]) + STATE_BITS // 8, b"\0")
        for step in range(len(t)):
            out, waiting = int(t.out[step]), int(t.pending[step])
            shift = 8 * (len(digits) - out) - STATE_BITS
            window = (int.from_bytes(digits, "big") >> shift) % (1 << STATE_BITS)
            above = window - int(t.low[step])
            if above < 0:  # a carry is still to come
                carried_later += 1
                above += 1 << STATE_BITS
                assert waiting >= 1
                # it turns the waiting bytes' ones into zeros and stops at the first of them
                assert set(digits[out - waiting + 1 : out]) <= {0}
                assert digits[out - waiting] != 0
            assert 0 <= above < int(t.width[step])
    assert carried_later > 0


def test_costs_follow_from_the_registers(traced):
    bill = traced.bill
    spent = sum(float(t.cost_bits.sum()) for t in traced.trace.lanes)
    assert spent == pytest.approx(bill.ideal_bits + bill.help_bits + bill.coder_bits, rel=1e-12)
    for t in traced.trace.lanes:
        width = np.prod(t.share.astype(np.longdouble))
        assert -float(np.log2(width)) == pytest.approx(float(t.cost_bits.sum()))
        if not bill.help_bits:
            np.testing.assert_allclose(t.cost_bits, t.ideal_bits, atol=2e-4)


def test_the_wire_carries_every_field(traced):
    message = json.loads(json.dumps(traced.trace.wire(lane=1)))
    t = traced.trace.lanes[1]
    a = arrays(message)
    assert message["v"] == "view/1"
    assert (message["n"], message["lanes"], message["k"]) == (len(t), 2, 6)
    assert base64.b64decode(message["text"]) == t.text
    assert base64.b64decode(message["payload"]) == t.payload
    assert a["id"].tolist() == t.ids.tolist()
    np.testing.assert_array_equal(a["lo"], t.offset)
    np.testing.assert_array_equal(a["r"], t.share)
    assert len(a["tid"]) == len(a["tlo"]) == len(a["tr"]) == 6 * len(t)
    assert len(a["dr"]) == len(a["dflag"]) == len(a["dcut"]) == int(a["nd"].sum())
    words = dict(
        zip(
            a["dict_id"].tolist(),
            _split(base64.b64decode(message["dict_bytes"]), a["dict_len"]),
            strict=True,
        )
    )
    assert b"".join(words[i] for i in a["id"].tolist()) == t.text
    assert set(a["tid"].tolist()) | set(a["dcut"].tolist()) <= set(words)


def _split(data: bytes, lengths: np.ndarray) -> list[bytes]:
    edges = np.concatenate(([0], np.cumsum(lengths.astype(int))))
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def test_windows_of_the_wire_join_to_the_whole(traced):
    whole = arrays(traced.trace.wire())
    parts = [
        arrays(traced.trace.wire(start=s, count=25)) for s in range(0, int(whole["nd"].size), 25)
    ]
    for field in ("id", "lo", "r", "cost", "dr", "dflag"):
        joined = np.concatenate([p[field] for p in parts])
        np.testing.assert_array_equal(joined, whole[field])


def test_a_window_knows_what_came_before_it(traced):
    lane = traced.trace.lanes[0]
    assert "before" not in traced.trace.wire()
    whole = arrays(traced.trace.wire())
    window = traced.trace.wire(start=25, count=10)
    before = window["before"]
    assert before["bits"] == pytest.approx(float(lane.cost_bits[:25].sum()), abs=1e-3)
    assert before["out"] == int(lane.out[24])
    assert (before["low"], before["rng"]) == (int(whole["low"][24]), int(whole["rng"][24]))
    skipped = int(lane.lengths[:25].sum())
    length = int(lane.lengths[25:35].sum())
    assert base64.b64decode(window["text"]) == lane.text[skipped : skipped + length]


def test_decisions_narrow_to_the_token(traced):
    """The product of the questions' shares is the token's share; answers follow byte order."""
    t = traced.trace.lanes[0]
    table = traced.trace.token_bytes
    first = 0
    for step in range(len(t)):
        asked = slice(first, first + int(t.n_decisions[step]))
        assert float(np.prod(t.decision_share[asked])) == pytest.approx(float(t.share[step]))
        for answer, pivot in zip(t.answers[asked], t.pivots[asked], strict=True):
            assert (table[int(t.ids[step])] >= table[int(pivot)]) == bool(answer)
        first = asked.stop


def test_candidates_come_from_the_coders_tables(traced):
    for t in traced.trace.lanes:
        shares = t.candidate_share
        assert (np.diff(shares, axis=1) <= 1e-6).all(), "candidates are sorted"
        assert (t.candidate_offset >= 0).all()
        assert (t.candidate_offset + shares <= 1 + 1e-9).all()
        for step in range(len(t)):
            rank = int(t.ranks[step])
            if rank < 6 and int(t.candidates[step, rank]) == int(t.ids[step]):
                assert float(shares[step, rank]) == pytest.approx(float(t.share[step]), rel=1e-5)
                assert float(t.candidate_offset[step, rank]) == pytest.approx(
                    float(t.offset[step]), abs=1e-6
                )
        assert (t.entropy_bits >= 0).all()
        assert (t.entropy_bits <= np.log2(len(traced.trace.token_bytes))).all()


def test_decoding_gives_the_same_trace(traced, tiny):
    again = run(codec.decompressing(traced.blob, model=tiny, trace=True)).trace
    for ours, theirs in zip(traced.trace.lanes, again.lanes, strict=True):
        np.testing.assert_array_equal(ours.offset, theirs.offset)
        np.testing.assert_array_equal(ours.candidates, theirs.candidates)
        assert ours.payload == theirs.payload


@given(st.binary(min_size=1, max_size=60))
def test_trace_is_what_compress_writes(tiny, data):
    traced = llmcomp.trace(data, model=tiny)
    blob = llmcomp.compress(data, model=tiny, methods=("lm",))
    lanes = unpack(blob).frames[0].segment.lanes
    assert [t.payload for t in traced.lanes] == [lane.payload for lane in lanes]


def test_nothing_to_trace_is_said(tiny):
    with pytest.raises(ValueError, match="nothing to trace"):
        llmcomp.trace(b"", model=tiny)
    for window in ({"start": -1}, {"start": 99}, {"count": -1}):
        with pytest.raises(IndexError, match="of a lane of"):
            llmcomp.trace(b"abc", model=tiny).wire(**window)
    with pytest.raises(IndexError):
        llmcomp.trace(b"abc", model=tiny).wire(lane=1)


@pytest.mark.parametrize("online", [False, True])
def test_a_watched_decoding_tells_what_the_encoder_recorded(tiny, online):
    made = run(
        codec.compressing(TEXT * 3, model=tiny, lanes=1, trace=True, online=online, methods=("lm",))
    )
    pieces = []
    back = run(codec.decompressing(made.blob, model=tiny, watch=pieces.append))
    assert back.data == TEXT * 3
    (lane,) = made.trace.lanes
    assert len(pieces) > 3
    for name in (
        "ids",
        "offset",
        "share",
        "out",
        "low",
        "width",
        "pending",
        "carried",
        "candidates",
        "candidate_share",
        "decision_share",
        "answers",
        "pivots",
        "entropy_bits",
    ):
        joined = np.concatenate([getattr(piece.lanes[0], name) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(lane, name), err_msg=name)
    assert b"".join(piece.lanes[0].text for piece in pieces) == TEXT * 3
    assert {piece.lanes[0].payload for piece in pieces} == {lane.payload}


def test_a_blob_of_several_lanes_is_decoded_unwatched(tiny):
    made = run(codec.compressing(TEXT, model=tiny, lanes=2, methods=("lm",)))
    pieces = []
    assert run(codec.decompressing(made.blob, model=tiny, watch=pieces.append)).data == TEXT
    assert pieces == []
