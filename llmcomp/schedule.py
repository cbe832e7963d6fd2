"""Who sees which context: lanes, windows, overlap.

In: how many tokens there are. Out: index ranges. Knows nothing of models or bytes.

A segment's tokens are cut into contiguous *lanes* that the decoder steps at once. A lane sees at
most ``window`` tokens at a time; when the window is full the lane starts a new one with its last
``overlap`` tokens as context. Every window begins with the model's start token, which takes no
place of its own: row position i of a window predicts token ``context_start + i``.

    lane    |t0 ............................................ tn|
    window 0  S t0 ......... | predicts t0 .. t(w-1)
    window 1            S | overlap | ......... predicts the next w - overlap tokens
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens ``[start, stop)`` of a lane, predicted with context from ``context_start`` on."""

    context_start: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a lane moves its window.

    Attributes:
        window: most tokens a row may predict, at least 1.
        overlap: tokens a new window repeats as context, ``0 <= overlap < window``.
    """

    window: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.window:
            raise ValueError(f"overlap is {self.overlap}; wanted 0 to {self.window - 1}")

    def fitted(self, context_length: int) -> Schedule:
        """Shrinks to a shorter context, the overlap in proportion.

        >>> Schedule(1024, 512).fitted(1000)
        Schedule(window=1000, overlap=500)
        """
        if self.window <= context_length:
            return self
        return Schedule(context_length, self.overlap * context_length // self.window)

    def windows(self, n_tokens: int) -> Iterator[Window]:
        """Covers ``n_tokens`` tokens without gap or repetition.

        >>> [(w.context_start, w.start, w.stop) for w in Schedule(4, 1).windows(9)]
        [(0, 0, 4), (3, 4, 7), (6, 7, 9)]
        """
        start = 0
        while start < n_tokens:
            context_start = max(0, start - self.overlap)
            stop = min(n_tokens, context_start + self.window)
            yield Window(context_start, start, stop)
            start = stop


SCHEDULES = {
    1: Schedule(window=1024, overlap=256),
    2: Schedule(window=1024, overlap=512),
    3: Schedule(window=1024, overlap=768),
}
"""Literal ids that blobs carry in one byte: add, never renumber. 0 means written out."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A point between small and fast.

    Attributes:
        schedule: id in `SCHEDULES`, scaled down for models with a shorter context.
        lane_tokens: a lane is not shorter than this, so that little context is lost.
        max_lanes: most lanes a segment is cut into.
    """

    schedule: int
    lane_tokens: int
    max_lanes: int

    def schedule_for(self, context_length: int) -> Schedule:
        """Fits the schedule into a model's context."""
        return SCHEDULES[self.schedule].fitted(context_length)

    def lanes_for(self, n_tokens: int) -> int:
        """Chooses how many lanes a segment of ``n_tokens`` gets, at least one."""
        return max(1, min(self.max_lanes, n_tokens // self.lane_tokens))


PRESETS = {
    "fast": Preset(schedule=1, lane_tokens=256, max_lanes=64),
    "balanced": Preset(schedule=2, lane_tokens=1024, max_lanes=16),
    "small": Preset(schedule=3, lane_tokens=4096, max_lanes=4),
}


def cut_evenly(n_tokens: int, n_lanes: int) -> list[slice]:
    """Cuts tokens into contiguous lanes whose lengths differ by at most one.

    >>> [(s.start, s.stop) for s in cut_evenly(7, 3)]
    [(0, 3), (3, 5), (5, 7)]
    """
    short, longer = divmod(n_tokens, n_lanes)
    edges = [lane * short + min(lane, longer) for lane in range(n_lanes + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def cut_bytes(data: bytes, lane_bytes: int) -> Sequence[bytes]:
    """Cuts bytes into lanes of a fixed size, to be tokenised apart."""
    return [data[i : i + lane_bytes] for i in range(0, len(data), lane_bytes)]
