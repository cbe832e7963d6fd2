"""The range coder: decisions and symbols with integer probabilities, to bytes and back.

In: for each yes/no decision the probability that its answer is 0, an integer ``p0`` in units of
``2**-PROBABILITY_BITS``, and the answer; for each symbol a table of running sums in units of
``2**-SYMBOL_BITS`` and the symbol. Both may alternate in one stream. Out: bytes. Knows nothing of
tokens, models or files.

The interval is half-open, ``[low, low + width)``, in a window of ``STATE_BITS`` bits that slides
along the binary expansion of one number in [0, 1):

    0. settled bytes | waiting bytes | 56-bit window: low, width | open ...
                       one carry could still flip these

Answer 0 keeps the lower part; symbol s keeps ``[c[s], c[s + 1])`` of its table. What a division
of the width leaves over goes to answer 1 or to the last symbol, so the parts tile the interval.
Whenever ``width`` falls below ``2**48`` the window's top byte moves out to the left and eight
fresh bits come in on the right. Adding to ``low`` may overflow the window; the carry then runs
back through the bytes already moved out.

Invariants between steps: ``2**48 <= width <= 2**56``, ``0 <= low < 2**56`` and
``low + width <= 2**56`` plus at most one carry.

References:
    [Pasco76] R. Pasco, Source coding algorithms for fast data compression, Stanford, 1976.
    [Martin79] G. N. N. Martin, Range encoding, Video & Data Recording Conference, 1979.
    [Schindler98] M. Schindler, A fast renormalisation for arithmetic coding, DCC 1998.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmcomp.kernel import kernel

PROBABILITY_BITS = 24
"""Decisions are coded with probabilities in units of ``2**-24``."""

SYMBOL_BITS = 32
"""A symbol's table runs from 0 to ``2**32``: the width still holds ``2**16`` times as much."""

MAX_SYMBOLS = 1 << 16
"""Most symbols in a table."""

STATE_BITS = 56
"""Width of the window; its top byte leaves when the interval is narrower than ``2**48``."""

MOST_BYTES = 4
"""No decision and no symbol moves more bytes out of the window."""

_FULL = 1 << STATE_BITS
_TOP_SHIFT = STATE_BITS - 8
_MIN_WIDTH = 1 << _TOP_SHIFT
_TOP_MASK = _MIN_WIDTH - 1
_WINDOW_BYTES = STATE_BITS // 8

# Columns of an encoder's and of a decoder's registers, int64[..., 3].
LOW, WIDTH, COUNT = 0, 1, 2
CODE = 0  # a decoder keeps the number relative to low, in low's place

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Registers:
    """The coder's own registers after each of K decisions: what a picture may be drawn from.

    Attributes:
        out: int64[K], bytes moved out of the window so far.
        low: int64[K], lower end of the interval in the window.
        width: int64[K], its width.
        pending: uint8[K], bytes already out that a carry could still change (saturating).
        carried: uint8[K], 1 if a carry ran in this decision.
        share: float64[K], width after the decision over width before it.
        offset: float64[K], (low after - low before) over width before, in the old window's units.
    """

    out: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    width: npt.NDArray[np.int64]
    pending: npt.NDArray[np.uint8]
    carried: npt.NDArray[np.uint8]
    share: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, count: int) -> Registers:
        """Makes room for ``count`` decisions."""
        return cls(
            out=np.zeros(count, np.int64),
            low=np.zeros(count, np.int64),
            width=np.zeros(count, np.int64),
            pending=np.zeros(count, np.uint8),
            carried=np.zeros(count, np.uint8),
            share=np.zeros(count),
            offset=np.zeros(count),
        )


class Encoder:
    """Encodes one lane; decisions may come in any number of calls.

    >>> encoder = Encoder()
    >>> encoder.push(np.array([1 << 23, 1 << 22]), np.array([1, 0]))
    >>> encoder.finish().hex()          # 1 at one half, then 0 at one quarter: 0.1 binary
    '80'
    """

    def __init__(self) -> None:
        self._state = np.array([0, _FULL, 0], np.int64)
        self._buffer = np.zeros(64, np.uint8)
        self._finished = False

    def push(self, p0: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]) -> None:
        """Appends decisions.

        Args:
            p0: int[K], probabilities of answer 0, each in ``[1, 2**24 - 1]``.
            answers: int[K], each 0 or 1.

        Raises:
            ValueError: after `finish`, or if a probability is 0 or 1.
        """
        self._check_decisions(p0)
        _encode(self._state, self._buffer, p0.astype(np.int32), answers.astype(np.uint8))

    def push_recorded(
        self, p0: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]
    ) -> Registers:
        """Appends decisions exactly as `push` does and returns the registers after each."""
        self._check_decisions(p0)
        record = Registers.empty(len(p0))
        _encode_recorded(
            self._state,
            self._buffer,
            p0.astype(np.int32),
            answers.astype(np.uint8),
            record.out,
            record.low,
            record.width,
            record.pending,
            record.carried,
            record.share,
            record.offset,
        )
        return record

    def push_symbols(
        self,
        cumulative: IntArray,
        tables: npt.NDArray[np.integer],
        symbols: npt.NDArray[np.integer],
    ) -> None:
        """Appends symbols; each costs at most 32 bits and a little.

        Args:
            cumulative: int64[K, V + 1], tables; each row rises strictly from 0 to ``2**32``.
            tables: int[N], the row each symbol is coded under.
            symbols: int[N], each in ``[0, V)``; symbol s owns ``[c[s], c[s + 1])``.

        Raises:
            ValueError: after `finish`, or if a table, a row or a symbol is not as above.

        >>> encoder = Encoder()
        >>> halves = np.array([[0, 1 << 31, 1 << 32]])
        >>> encoder.push_symbols(halves, np.zeros(8, int), np.array([0, 1, 0, 0, 0, 0, 0, 1]))
        >>> encoder.finish()
        b'A'
        """
        _check_tables(cumulative, tables)
        if symbols.shape != tables.shape:
            raise ValueError(f"{symbols.shape} symbols for {tables.shape} tables; wanted as many")
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < cumulative.shape[1] - 1:
            raise ValueError(f"symbols must lie in [0, {cumulative.shape[1] - 1})")
        self._make_room(len(symbols))
        _encode_symbols(
            self._state,
            self._buffer,
            np.ascontiguousarray(cumulative, np.int64),
            tables.astype(np.int64),
            symbols.astype(np.int64),
        )

    @property
    def spent_bits(self) -> float:
        """Bits spent so far: ``-log2`` of the interval's share of the line."""
        _, width, count = (int(v) for v in self._state)
        return 8.0 * count + STATE_BITS - math.log2(width)

    def finish(self) -> bytes:
        """Ends the lane with the fewest bytes that lie in the interval; zeros at the end go.

        Returns:
            The payload. The decoder reads zeros after its end.

        Raises:
            ValueError: if called twice.
        """
        if self._finished:
            raise ValueError("finish() was already called")
        self._finished = True
        low, width, count = (int(v) for v in self._state)
        # A multiple of the whole window costs no byte, any multiple of 2**48 costs one, and the
        # width always holds one of the latter.
        whole = low == 0 or low + width > _FULL
        value = (0 if low == 0 else _FULL) if whole else (low + _TOP_MASK) & ~_TOP_MASK
        payload = bytearray(self._buffer[:count].tobytes())
        if value >= _FULL:
            _carry_bytes(payload)
            value -= _FULL
        payload.append(value >> _TOP_SHIFT)
        return bytes(payload).rstrip(b"\0")

    def _check_decisions(self, p0: npt.NDArray[np.integer]) -> None:
        if len(p0) and (int(p0.min()) < 1 or int(p0.max()) >> PROBABILITY_BITS):
            raise ValueError("probabilities must lie in [1, 2**24 - 1]")
        self._make_room(len(p0))

    def _make_room(self, count: int) -> None:
        if self._finished:
            raise ValueError("the encoder is finished; make a new one")
        # The narrowest symbol leaves 2**16 of a width of 2**48 and so moves four bytes out; the
        # narrowest decision leaves 2**24 and moves three.
        needed = int(self._state[COUNT]) + MOST_BYTES * count + _WINDOW_BYTES
        if needed > len(self._buffer):
            grown = np.zeros(max(needed, 2 * len(self._buffer)), np.uint8)
            grown[: len(self._buffer)] = self._buffer
            self._buffer = grown


def narrowing(
    counts: npt.NDArray[np.int64], registers: Registers
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Composes decisions into symbols: what each symbol did to the interval before it.

    Args:
        counts: int64[T], decisions of each symbol, at least 1.
        registers: of all K decisions.

    Returns:
        offset float64[T], (low' - low) / width, and share float64[T], width' / width.
    """
    offset, share = np.zeros(len(counts)), np.ones(len(counts))
    _narrow(counts, registers.offset, registers.share, offset, share)
    return offset, share


def _carry_bytes(payload: bytearray) -> None:
    """Adds one to the number the payload holds (it never overflows: the number is below 1)."""
    at = len(payload) - 1
    while payload[at] == 0xFF:
        payload[at] = 0
        at -= 1
    payload[at] += 1


class LaneDecoders:
    """Registers of many decoders that step together; the tree walk drives them.

    Attributes:
        state: int64[L, 3], columns ``CODE``, ``WIDTH``, ``COUNT`` (bytes read).
        data: uint8[N], all payloads, each followed by a window of zeros.
        start: int64[L], where each lane's payload begins in ``data``.
        stop: int64[L], where it ends, zeros included.
    """

    def __init__(self, payloads: list[bytes]) -> None:
        padded = [payload + bytes(_WINDOW_BYTES) for payload in payloads]
        lengths = np.array([len(p) for p in padded], np.int64)
        self.data = np.frombuffer(b"".join(padded), np.uint8)
        self.stop = np.cumsum(lengths)
        self.start = self.stop - lengths
        self.state = np.zeros((len(payloads), 3), np.int64)
        self.state[:, WIDTH] = _FULL
        self.state[:, COUNT] = _WINDOW_BYTES
        for lane, at in enumerate(self.start):
            window = self.data[at : at + _WINDOW_BYTES].tobytes()
            self.state[lane, CODE] = int.from_bytes(window, "big")

    def pull_symbols(
        self, lane: int, cumulative: IntArray, tables: npt.NDArray[np.integer]
    ) -> IntArray:
        """Decodes the next symbols of one lane; its registers move on.

        Args:
            lane: which one.
            cumulative: int64[K, V + 1], as `Encoder.push_symbols` had them.
            tables: int[N], the row of each symbol.

        Returns:
            int64[N], symbols.

        Raises:
            ValueError: if a table or a row is not as `Encoder.push_symbols` wants it.
        """
        _check_tables(cumulative, tables)
        symbols = np.empty(len(tables), np.int64)
        _decode_symbols(
            self.state[lane],
            self.data,
            self.start[lane],
            self.stop[lane],
            np.ascontiguousarray(cumulative, np.int64),
            tables.astype(np.int64),
            symbols,
        )
        return symbols


def decode_symbols(
    payload: bytes, cumulative: IntArray, tables: npt.NDArray[np.integer]
) -> IntArray:
    """Decodes a payload that holds symbols only; see `LaneDecoders.pull_symbols`.

    >>> decode_symbols(b"A", np.array([[0, 1 << 31, 1 << 32]]), np.zeros(8, int)).tolist()
    [0, 1, 0, 0, 0, 0, 0, 1]
    """
    return LaneDecoders([payload]).pull_symbols(0, cumulative, tables)


def _check_tables(cumulative: IntArray, tables: npt.NDArray[np.integer]) -> None:
    if cumulative.ndim != 2 or not 2 <= cumulative.shape[1] <= MAX_SYMBOLS + 1:
        raise ValueError(
            f"tables have shape {cumulative.shape}; wanted [K, 2 to {MAX_SYMBOLS + 1}]"
        )
    ends = np.all(cumulative[:, 0] == 0) and np.all(cumulative[:, -1] == 1 << SYMBOL_BITS)
    if not ends or not np.all(cumulative[:, :-1] < cumulative[:, 1:]):
        raise ValueError("every table must rise strictly from 0 to 2**32")
    if tables.size and not 0 <= tables.min() <= tables.max() < len(cumulative):
        raise ValueError(f"rows must lie in [0, {len(cumulative)})")


@kernel
def _narrow(counts, step_offset, step_share, offset, share):  # type: ignore[no-untyped-def]
    k = 0
    for t in range(len(counts)):
        for _ in range(counts[t]):
            offset[t] += share[t] * step_offset[k]
            share[t] *= step_share[k]
            k += 1


@kernel
def decode_answer(state, data, start, stop, p0):  # type: ignore[no-untyped-def]
    """Decodes one decision of one lane: state int64[3] (changed), data uint8[N] -> 0 or 1."""
    bound = (state[1] >> PROBABILITY_BITS) * p0
    if state[0] < bound:
        state[1] = bound
        answer = 0
    else:
        state[0] -= bound
        state[1] -= bound
        answer = 1
    _refill(state, data, start, stop)
    return answer


@kernel
def _refill(state, data, start, stop):  # type: ignore[no-untyped-def]
    while state[1] < _MIN_WIDTH:
        at = start + state[2]
        fresh = np.int64(data[at]) if at < stop else np.int64(0)
        state[0] = (state[0] << 8) | fresh
        state[1] <<= 8
        state[2] += 1


@kernel
def _decode_symbols(state, data, start, stop, cumulative, tables, symbols):  # type: ignore[no-untyped-def]
    for i in range(len(tables)):
        row = tables[i]
        unit = state[1] >> SYMBOL_BITS
        target = state[0] // unit  # 2**32 and more in what was left over: the last symbol's
        symbol, above = 0, cumulative.shape[1] - 1
        while above - symbol > 1:
            middle = (symbol + above) >> 1
            if cumulative[row, middle] <= target:
                symbol = middle
            else:
                above = middle
        below = unit * cumulative[row, symbol]
        state[1] = _symbol_stop(state[1], cumulative[row], symbol) - below
        state[0] -= below
        symbols[i] = symbol
        _refill(state, data, start, stop)


@kernel
def _symbol_stop(width, table, symbol):  # type: ignore[no-untyped-def]
    """Where a symbol's part ends: the last one's at the width, which its table seldom divides."""
    if symbol + 2 == len(table):
        return width
    return (width >> SYMBOL_BITS) * table[symbol + 1]


@kernel
def _encode_one(state, buffer, p0, answer):  # type: ignore[no-untyped-def]
    """Encodes one decision and returns 1 if a carry ran."""
    bound = (state[1] >> PROBABILITY_BITS) * np.int64(p0)
    if answer == 0:
        return _keep(state, buffer, 0, bound)
    return _keep(state, buffer, bound, state[1])


@kernel
def _keep(state, buffer, start, stop):  # type: ignore[no-untyped-def]
    """Narrows the interval to ``[start, stop)`` of its width; returns 1 if a carry ran."""
    carried = 0
    state[0] += start
    state[1] = stop - start
    if state[0] >= _FULL:
        state[0] -= _FULL
        carried = 1
        at = state[2] - 1
        while buffer[at] == 255:
            buffer[at] = 0
            at -= 1
        buffer[at] += 1
    while state[1] < _MIN_WIDTH:
        buffer[state[2]] = state[0] >> _TOP_SHIFT
        state[2] += 1
        state[0] = (state[0] & _TOP_MASK) << 8
        state[1] <<= 8
    return carried


@kernel
def _encode(state, buffer, p0, answers):  # type: ignore[no-untyped-def]
    for k in range(len(p0)):
        _encode_one(state, buffer, p0[k], answers[k])


@kernel
def _encode_symbols(state, buffer, cumulative, tables, symbols):  # type: ignore[no-untyped-def]
    for i in range(len(symbols)):
        table, symbol = cumulative[tables[i]], symbols[i]
        start = (state[1] >> SYMBOL_BITS) * table[symbol]
        _keep(state, buffer, start, _symbol_stop(state[1], table, symbol))


@kernel
def _encode_recorded(  # type: ignore[no-untyped-def]
    state, buffer, p0, answers, out, low, width, pending, carried, share, offset
):
    for k in range(len(p0)):
        before = state[1]
        bound = (before >> PROBABILITY_BITS) * np.int64(p0[k])
        kept = bound if answers[k] == 0 else before - bound
        share[k] = kept / before
        offset[k] = 0.0 if answers[k] == 0 else bound / before
        carried[k] = _encode_one(state, buffer, p0[k], answers[k])
        out[k], low[k], width[k] = state[2], state[0], state[1]
        waiting = 0
        if state[0] + state[1] > _FULL:  # a carry is still possible
            at = state[2] - 1
            while at >= 0 and buffer[at] == 255 and waiting < 254:
                waiting += 1
                at -= 1
            waiting += 1
        pending[k] = waiting
