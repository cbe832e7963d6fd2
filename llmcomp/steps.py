"""Jobs as generators: they yield how far they are and return their result.

One code path then serves a library call, a progress bar and an app with a Stop button. Knows
nothing of what the jobs do.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, TypeVar

Stage = Literal["train", "encode", "verify", "decode"]
T = TypeVar("T")
Y = TypeVar("Y")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        stage: what is being done.
        done: bytes done in this stage.
        total: bytes in all.
    """

    stage: Stage
    done: int
    total: int


Steps = Generator[Progress, None, T]


def run(steps: Generator[Y, None, T], report: Callable[[Y], None] | None = None) -> T:
    """Runs a job to its end.

    Args:
        steps: the job.
        report: called with everything it yields.

    Returns:
        What the generator returned.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if report is not None:
            report(step)


def relay(
    counts: Generator[int, None, T], stage: Stage, start: int, total: int, scale: float = 1.0
) -> Steps[T]:
    """Turns a job that yields counts into one that yields `Progress`.

    Args:
        counts: yields how much it has done since the last time.
        stage: what it does.
        start: bytes done before it.
        total: bytes in all.
        scale: bytes per count.

    Returns:
        What the inner job returned.
    """
    done = 0
    while True:
        try:
            done += next(counts)
        except StopIteration as end:
            result: T = end.value
            return result
        yield Progress(stage, min(total, start + int(done * scale)), total)


def share(steps: Steps[T], index: int, count: int) -> Steps[T]:
    """Shows one of several equal jobs as its share of them all.

    Args:
        steps: the job.
        index: its place, from 0.
        count: how many there are.

    Returns:
        What the job returned.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield Progress(step.stage, step.done + index * step.total, step.total * count)
