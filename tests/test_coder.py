"""The range coder: what goes in comes out, at the length theory promises."""

from __future__ import annotations

from fractions import Fraction

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcomp.coding import textbook
from llmcomp.coding.range_coder import (
    PROBABILITY_BITS,
    STATE_BITS,
    Encoder,
    LaneDecoders,
    decode_answer,
    narrowing,
)

ONE = 1 << PROBABILITY_BITS
DECISIONS = st.lists(st.tuples(st.integers(1, ONE - 1), st.integers(0, 1)), max_size=300)


def encode(p0: np.ndarray, answers: np.ndarray) -> bytes:
    encoder = Encoder()
    encoder.push(p0, answers)
    return encoder.finish()


def decode(payload: bytes, p0: np.ndarray) -> list[int]:
    lanes = LaneDecoders([payload])
    return [
        int(decode_answer(lanes.state[0], lanes.data, lanes.start[0], lanes.stop[0], p)) for p in p0
    ]


def arrays(decisions: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in decisions], np.int64), np.array(
        [a for _, a in decisions], np.int64
    )


def ideal_bits(p0: np.ndarray, answers: np.ndarray) -> float:
    return float(-np.log2(np.where(answers == 0, p0, ONE - p0) / ONE).sum())


@given(DECISIONS)
def test_decoding_undoes_encoding_at_the_promised_length(decisions):
    p0, answers = arrays(decisions)
    payload = encode(p0, answers)
    assert decode(payload, p0) == answers.tolist()
    assert 8 * len(payload) <= ideal_bits(p0, answers) + 8.01


@given(DECISIONS, st.integers(1, 50))
def test_pieces_and_recording_change_nothing(decisions, piece):
    p0, answers = arrays(decisions)
    in_pieces, recorded = Encoder(), Encoder()
    for i in range(0, len(p0), piece):
        in_pieces.push(p0[i : i + piece], answers[i : i + piece])
    recorded.push_recorded(p0, answers)
    assert in_pieces.finish() == recorded.finish() == encode(p0, answers)


def test_carries_run_through_waiting_bytes():
    # Whoever decodes the number 0.1000... keeps one half inside the interval, so low creeps up
    # to it as 0.0111...: bytes of ones wait for a carry until a last step goes past the half.
    rng = np.random.default_rng(5)
    carried, longest = 0, 0
    for _ in range(100):
        p0 = rng.integers(1, ONE, 60)
        answers = np.array([*decode(b"\x80", p0), 1])
        p0 = np.append(p0, ONE - 1)
        encoder = Encoder()
        registers = encoder.push_recorded(p0, answers)
        assert decode(encoder.finish(), p0) == answers.tolist()
        carried += int(registers.carried.sum())
        longest = max(longest, int(registers.pending.max()))
    assert carried > 0
    assert longest > 3


@given(DECISIONS.filter(bool))
def test_registers_tell_the_interval_exactly(decisions):
    """Replaying low, width and the bytes gives the number; it lies in the last interval."""
    p0, answers = arrays(decisions)
    encoder = Encoder()
    registers = encoder.push_recorded(p0, answers)
    payload = encoder.finish()
    offset, share = narrowing(np.array([len(p0)]), registers)
    exact = textbook.Interval()
    for p, a in zip(p0.tolist(), answers.tolist(), strict=True):
        left = Fraction(p, ONE)
        exact = exact.narrow(left if a else Fraction(0), 1 - left if a else left)
    # finite precision widens or narrows by parts in 2**24 a decision, never more
    assert float(share[0]) == pytest.approx(float(exact.width), rel=len(p0) * 2.0**-22)
    assert float(offset[0]) == pytest.approx(float(exact.low), abs=len(p0) * 2.0**-22)
    # the number the payload spells stands in the coder's own last interval
    n_out, low, width = (int(r[-1]) for r in (registers.out, registers.low, registers.width))
    spelt = int.from_bytes(payload.ljust(n_out + 7, b"\0"), "big")
    shift = 8 * (max(len(payload), n_out + 7) - n_out - 7)
    window = (spelt >> shift) - (int.from_bytes(_settled(encoder, n_out), "big") << STATE_BITS)
    assert low <= window < low + width


def _settled(encoder: Encoder, count: int) -> bytes:
    return encoder._buffer[:count].tobytes()


def test_finished_means_finished():
    encoder = Encoder()
    encoder.finish()
    with pytest.raises(ValueError, match="already"):
        encoder.finish()
    with pytest.raises(ValueError, match="finished"):
        encoder.push(np.array([1]), np.array([0]))


@pytest.mark.parametrize("p0", [0, ONE])
def test_certainty_is_refused(p0):
    with pytest.raises(ValueError, match="probabilities"):
        Encoder().push(np.array([p0]), np.array([0]))


def test_lanes_decode_independently():
    rng = np.random.default_rng(1)
    p0 = rng.integers(1, ONE, (5, 80))
    answers = rng.integers(0, 2, (5, 80))
    lanes = LaneDecoders([encode(p, a) for p, a in zip(p0, answers, strict=True)])
    for k in range(80):
        for lane in reversed(range(5)):
            got = decode_answer(
                lanes.state[lane], lanes.data, lanes.start[lane], lanes.stop[lane], p0[lane, k]
            )
            assert got == answers[lane, k]


def test_as_short_as_constriction():
    rng = np.random.default_rng(2)
    p0 = rng.integers(1, ONE, 20_000)
    answers = (rng.integers(0, ONE, 20_000) >= p0).astype(np.int64)
    encoder = constriction.stream.queue.RangeEncoder()
    family = constriction.stream.model.Bernoulli(perfect=False)
    encoder.encode(answers.astype(np.int32), family, 1.0 - p0 / ONE)
    theirs = 4 * len(encoder.get_compressed())
    assert len(encode(p0, answers)) <= theirs * 1.001 + 16


def test_textbook_aixi():
    interval = textbook.Interval(Fraction(322, 1000), Fraction(19, 1000))
    assert textbook.shortest_cell(interval) == "0101010"


@given(st.lists(st.integers(0, 2), max_size=40))
def test_textbook_round_trip(symbols):
    cumulative = [0, 3, 4, 10]
    shares = [
        (Fraction(cumulative[s], 10), Fraction(cumulative[s + 1] - cumulative[s], 10))
        for s in symbols
    ]
    interval = ([textbook.Interval(), *textbook.narrowing(shares)])[-1]
    bits = textbook.shortest_cell(interval)
    assert textbook.decode(bits, cumulative, len(symbols)) == symbols
    assert 2 ** len(bits) <= 4 / interval.width  # at most two bits above the ideal


@given(DECISIONS)
def test_never_longer_than_the_textbook_by_more_than_a_byte(decisions):
    p0, answers = arrays(decisions)
    interval = textbook.Interval()
    for p, a in zip(p0.tolist(), answers.tolist(), strict=True):
        left = Fraction(p, ONE)
        interval = interval.narrow(left if a else Fraction(0), 1 - left if a else left)
    assert 8 * len(encode(p0, answers)) <= len(textbook.shortest_cell(interval)) + 8
