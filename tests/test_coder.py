"""The range coder: what goes in comes out, at the length theory promises."""

from __future__ import annotations

import math
from fractions import Fraction

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcomp.coding import textbook
from llmcomp.coding.range_coder import (
    MAX_SYMBOLS,
    PROBABILITY_BITS,
    STATE_BITS,
    SYMBOL_BITS,
    Encoder,
    LaneDecoders,
    decode_answer,
    decode_symbols,
    narrowing,
)

ONE = 1 << PROBABILITY_BITS
TOTAL = 1 << SYMBOL_BITS
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


@st.composite
def symbol_streams(draw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables int64[K, V + 1], some with parts of 1 in 2**32, rows int64[N], symbols int64[N]."""
    n_tables, n_symbols = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    cuts = st.one_of(st.integers(1, TOTAL - 1), st.integers(1, 20), st.integers(-20, -1))
    inner = [
        sorted({c % TOTAL for c in draw(st.lists(cuts, min_size=40, max_size=40))} - {0})
        for _ in range(n_tables)
    ]
    n_symbols = min(n_symbols, *(len(cut) + 1 for cut in inner))
    cumulative = np.array([[0, *cut[: n_symbols - 1], TOTAL] for cut in inner], np.int64)
    length = draw(st.integers(0, 60))
    rows = st.lists(st.integers(0, n_tables - 1), min_size=length, max_size=length)
    symbols = st.lists(st.integers(0, n_symbols - 1), min_size=length, max_size=length)
    return cumulative, np.array(draw(rows), np.int64), np.array(draw(symbols), np.int64)


def encode_symbols(cumulative: np.ndarray, rows: np.ndarray, symbols: np.ndarray) -> bytes:
    encoder = Encoder()
    encoder.push_symbols(cumulative, rows, symbols)
    return encoder.finish()


def ideal_symbol_bits(cumulative: np.ndarray, rows: np.ndarray, symbols: np.ndarray) -> float:
    freqs = cumulative[rows, symbols + 1] - cumulative[rows, symbols]
    return float((SYMBOL_BITS - np.log2(freqs)).sum())


def random_table(n_symbols: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.gamma(0.3, size=n_symbols)
    freqs = 1 + (weights / weights.sum() * (TOTAL - 2 * n_symbols)).astype(np.int64)
    freqs[-1] += TOTAL - freqs.sum()
    return np.concatenate([[0], np.cumsum(freqs)])


class BigInterval:
    """The coder with a ``low`` of any length: no carries, no bytes moved out, no window."""

    def __init__(self) -> None:
        self.low, self.width, self.places = 0, 1 << STATE_BITS, STATE_BITS

    def narrow(self, bits: int, start: int, stop: int) -> None:
        below = (self.width >> bits) * start
        above = self.width if stop == 1 << bits else (self.width >> bits) * stop
        self.low, self.width = self.low + below, above - below
        while self.width < 1 << STATE_BITS - 8:
            self.low, self.width, self.places = self.low << 8, self.width << 8, self.places + 8

    def shortest(self) -> bytes:
        """The shortest run of bytes that, with zeros after it, lies in the interval."""
        for n_bytes in range(self.places // 8 + 1):
            unit = 1 << self.places - 8 * n_bytes
            value = -(-self.low // unit)
            if value * unit < self.low + self.width:
                return value.to_bytes(n_bytes, "big")
        raise AssertionError


@given(symbol_streams())
def test_symbols_are_those_of_exact_integers(stream):
    cumulative, rows, symbols = stream
    exact = BigInterval()
    for row, s in zip(rows, symbols, strict=True):
        exact.narrow(SYMBOL_BITS, int(cumulative[row, s]), int(cumulative[row, s + 1]))
    payload = encode_symbols(cumulative, rows, symbols)
    assert payload == exact.shortest()
    assert decode_symbols(payload, cumulative, rows).tolist() == symbols.tolist()
    # the shift of the width costs at most 2**-16 of it, and of its logarithm, a symbol
    ideal = ideal_symbol_bits(*stream)
    assert 8 * len(payload) <= ideal + len(rows) * 2.0**-15 + 8.01


@given(st.lists(st.one_of(symbol_streams(), DECISIONS.map(arrays)), max_size=5))
def test_symbols_and_decisions_share_a_stream(parts):
    encoder, exact, ideal = Encoder(), BigInterval(), 0.0
    for part in parts:
        if len(part) == 3:
            encoder.push_symbols(*part)
            ideal += ideal_symbol_bits(*part) + len(part[1]) * 2.0**-15
            for row, s in zip(*part[1:], strict=True):
                exact.narrow(SYMBOL_BITS, int(part[0][row, s]), int(part[0][row, s + 1]))
        else:
            encoder.push(*part)
            ideal += ideal_bits(*part) + 1e-6 * len(part[1])
            for p, a in zip(*part, strict=True):
                exact.narrow(PROBABILITY_BITS, *((int(p), ONE) if a else (0, int(p))))
    assert encoder.spent_bits == exact.places - math.log2(exact.width) <= ideal + 1e-6
    payload = encoder.finish()
    assert payload == exact.shortest()
    lanes = LaneDecoders([b"\xab", payload])  # the other lane's bytes are not this one's
    for part in parts:
        if len(part) == 3:
            assert lanes.pull_symbols(1, *part[:2]).tolist() == part[2].tolist()
        else:
            for p, a in zip(*part, strict=True):
                state, start, stop = lanes.state[1], lanes.start[1], lanes.stop[1]
                assert decode_answer(state, lanes.data, start, stop, p) == a


def test_symbols_carry_through_waiting_bytes():
    # as for decisions: the symbols of 0.1000... hold low just under one half, then one goes past
    rng = np.random.default_rng(5)
    longest = 0
    for _ in range(100):
        cumulative = np.stack([random_table(9, rng) for _ in range(30)])
        rows = rng.integers(0, 30, 40)
        symbols = decode_symbols(b"\x80", cumulative, rows)
        encoder = Encoder()
        encoder.push_symbols(cumulative, rows, symbols)
        settled = encoder._buffer[: encoder._state[2]].tobytes()
        waiting = len(settled) - len(settled.rstrip(b"\xff"))
        past = np.array([[0, 1, TOTAL]])
        encoder.push_symbols(past, np.zeros(3, int), np.ones(3, int))
        payload = encoder.finish()
        assert decode_symbols(payload, cumulative, rows).tolist() == symbols.tolist()
        if payload[0] == 0x80 and settled[0] == 0x7F:
            longest = max(longest, waiting)
    assert longest > 3


@pytest.mark.parametrize("n_symbols", [2, 256, MAX_SYMBOLS])
def test_symbols_cost_what_their_tables_say(n_symbols):
    rng = np.random.default_rng(6)
    cumulative = np.stack([random_table(n_symbols, rng) for _ in range(3)])
    rows = rng.integers(0, 3, 100_000)
    points = rng.integers(0, TOTAL, len(rows))
    symbols = np.empty(len(rows), np.int64)
    for k in range(3):
        at = rows == k
        symbols[at] = np.searchsorted(cumulative[k], points[at], side="right") - 1
    payload = encode_symbols(cumulative, rows, symbols)
    assert np.array_equal(decode_symbols(payload, cumulative, rows), symbols)
    assert 8 * len(payload) <= 1.0001 * ideal_symbol_bits(cumulative, rows, symbols) + 16


@pytest.mark.parametrize("symbol", [0, 1, 2])
def test_the_narrowest_symbols_have_room(symbol):
    cumulative = np.array([[0, 1, TOTAL - 1, TOTAL]])
    rows = np.zeros(5_000, np.int64)
    payload = encode_symbols(cumulative, rows, np.full(5_000, symbol))
    assert len(payload) <= 4 * 5_000 + 1
    assert np.all(decode_symbols(payload, cumulative, rows) == symbol)


def test_symbols_as_short_as_constriction():
    rng = np.random.default_rng(7)
    pmf = rng.dirichlet(np.full(100, 0.5))
    symbols = rng.choice(100, 20_000, p=pmf)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(
        symbols.astype(np.int32), constriction.stream.model.Categorical(pmf, perfect=False)
    )
    theirs = 4 * len(encoder.get_compressed())
    freqs = 1 + (pmf * (TOTAL - 200)).astype(np.int64)
    freqs[-1] += TOTAL - freqs.sum()
    cumulative = np.concatenate([[0], np.cumsum(freqs)])[None]
    assert len(encode_symbols(cumulative, np.zeros(20_000, np.int64), symbols)) <= theirs + 16


@pytest.mark.parametrize(
    ("cumulative", "row", "symbol", "message"),
    [
        ([[0, 5, 5, TOTAL]], 0, 0, "strictly"),
        ([[1, 5, TOTAL]], 0, 0, "strictly"),
        ([[0, 5, TOTAL - 1]], 0, 0, "strictly"),
        ([[0, 5, 4, TOTAL]], 0, 0, "strictly"),
        ([[0]], 0, 0, "shape"),
        ([0, TOTAL], 0, 0, "shape"),
        ([[*range(MAX_SYMBOLS + 1), TOTAL]], 0, 0, "shape"),
        ([[0, 5, TOTAL]], 1, 0, "rows"),
        ([[0, 5, TOTAL]], -1, 0, "rows"),
        ([[0, 5, TOTAL]], 0, 2, "symbols"),
        ([[0, 5, TOTAL]], 0, -1, "symbols"),
    ],
)
def test_wrong_tables_and_symbols_are_refused(cumulative, row, symbol, message):
    cumulative = np.array(cumulative, np.int64)
    with pytest.raises(ValueError, match=message):
        encode_symbols(cumulative, np.array([row]), np.array([symbol]))
    if message != "symbols":
        with pytest.raises(ValueError, match=message):
            decode_symbols(b"", cumulative, np.array([row]))


def test_finished_means_finished_for_symbols_too():
    encoder = Encoder()
    with pytest.raises(ValueError, match="as many"):
        encoder.push_symbols(np.array([[0, TOTAL]]), np.zeros(2, int), np.zeros(1, int))
    encoder.finish()
    with pytest.raises(ValueError, match="finished"):
        encoder.push_symbols(np.array([[0, TOTAL]]), np.zeros(1, int), np.zeros(1, int))
