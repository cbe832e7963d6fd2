"""The arithmetic coder of the textbooks, in exact fractions.

In: for each symbol its half-open share ``[start, start + width)`` of the line. Out: the shortest
binary expansion whose whole dyadic cell lies inside the last interval. Slow and exact: the oracle
of the tests and the picture of the lessons, not the coder of files.

References:
    [WNC87] Witten, Neal, Cleary, Arithmetic coding for data compression, CACM 30(6), 1987.
    [CT06] Cover, Thomas, Elements of Information Theory, 2nd ed., section 13.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Interval:
    """Half-open ``[low, low + width)``; the children of an interval tile it.

    >>> Interval().narrow(Fraction(1, 2), Fraction(1, 4))
    Interval(low=Fraction(1, 2), width=Fraction(1, 4))
    """

    low: Fraction = Fraction(0)
    width: Fraction = Fraction(1)

    def narrow(self, start: Fraction, width: Fraction) -> Interval:
        """Keeps the share ``[start, start + width)`` of this interval."""
        return Interval(self.low + self.width * start, self.width * width)

    def __contains__(self, other: object) -> bool:
        """Tells whether an interval lies inside, or a number."""
        if isinstance(other, Interval):
            return self.low <= other.low and other.low + other.width <= self.low + self.width
        return isinstance(other, Fraction | int) and self.low <= other < self.low + self.width


def narrowing(shares: Iterable[tuple[Fraction, Fraction]]) -> Iterator[Interval]:
    """Yields the interval after each symbol; the last one is the text's."""
    interval = Interval()
    for start, width in shares:
        interval = interval.narrow(start, width)
        yield interval


def shortest_cell(interval: Interval) -> str:
    """Finds the shortest bit string whose dyadic cell lies inside the interval.

    Returns:
        A string of '0' and '1', empty for the whole line.

    >>> shortest_cell(Interval(Fraction(322, 1000), Fraction(19, 1000)))   # "AIXI"
    '0101010'
    """
    n_bits = 0
    while True:
        cell = Fraction(1, 1 << n_bits)
        index = -(-interval.low // cell)  # the first cell that begins inside
        if Interval(index * cell, cell) in interval:
            return format(index, f"0{n_bits}b") if n_bits else ""
        n_bits += 1


def decode(bits: str, cumulative: Sequence[int], n_symbols: int) -> list[int]:
    """Reads symbols back from a bit string, all under one integer table.

    Args:
        bits: what `shortest_cell` returned.
        cumulative: int[V + 1], increasing from 0; symbol v owns ``[cumulative[v],
            cumulative[v + 1])`` of ``cumulative[V]``.
        n_symbols: how many symbols to read.
    """
    point = Fraction(int(bits, 2), 1 << len(bits)) if bits else Fraction(0)
    total = cumulative[-1]
    interval, symbols = Interval(), []
    for _ in range(n_symbols):
        u = (point - interval.low) / interval.width * total
        symbol = next(v for v in range(len(cumulative) - 1) if u < cumulative[v + 1])
        symbols.append(symbol)
        share = Fraction(cumulative[symbol], total)
        interval = interval.narrow(share, Fraction(cumulative[symbol + 1], total) - share)
    return symbols
