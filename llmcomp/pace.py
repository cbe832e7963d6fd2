"""How fast a job goes and how long the rest of it will take.

In: the `Progress` a job reports. Out: bytes a second, and an estimate of the seconds left. Knows
nothing of what the job does; an estimate never changes a byte unless somebody asks for a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmcomp.steps import Progress, Stage

MEASURED_BYTES = 16 * 1024
"""An estimate waits for so much of a stage: about one batch of the encoder, of which the first row
is reported only when the whole batch has been scored."""

_NEXT_STAGE = 2.8
"""A stage that has not begun is taken to need so many times the seconds of the one before: stepping
through a text takes longer than scoring it in parallel (measured with the embedded model)."""


@dataclass(slots=True)
class _Spent:
    done: int = 0
    seconds: float = 0.0


class Pace:
    """Watches one job.

    Args:
        stages: what it goes through, in order; the training of a prompt is not estimated.
        clock: seconds from any start.
    """

    def __init__(
        self, stages: Sequence[Stage], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stages = stages
        self._clock = clock
        self._begun = self._last = clock()
        self._spent: dict[Stage, _Spent] = {}
        self._total = 0

    def note(self, progress: Progress) -> None:
        """Takes a report of how far a stage is."""
        now = self._clock()
        spent = self._spent.setdefault(progress.stage, _Spent())
        spent.done = max(spent.done, progress.done)
        spent.seconds += now - self._last
        self._last, self._total = now, progress.total

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning to the last report."""
        return self._last - self._begun

    def rate(self, stage: Stage) -> float | None:
        """Bytes a second of a stage; None before there is anything to measure."""
        spent = self._spent.get(stage)
        return spent.done / spent.seconds if spent and spent.seconds > 0 and spent.done else None

    def left(self) -> float | None:
        """Seconds to the end; None as long as too little has been measured."""
        first = self._spent.get(self._stages[0])
        if first is None or first.done < min(MEASURED_BYTES, self._total):
            return None
        seconds, per_byte = 0.0, 0.0
        for stage in self._stages:
            rate = self.rate(stage)
            per_byte = 1 / rate if rate else per_byte * _NEXT_STAGE
            done = self._spent[stage].done if stage in self._spent else 0
            seconds += max(0, self._total - done) * per_byte
        return seconds


def check_limit(seconds: float | None) -> None:
    """Refuses a limit of time that is none.

    Raises:
        ValueError: if it is not a number above 0; None stands for no limit.
    """
    if seconds is not None and not seconds > 0:
        raise ValueError(f"max_seconds is {seconds:g}; wanted more than 0")


def in_words(seconds: float) -> str:
    """Says a time as people do.

    >>> in_words(200), in_words(7.2), in_words(7300)
    ('3 min 20 s', '7 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
