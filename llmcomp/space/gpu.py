"""Work on a GPU that is lent call by call (ZeroGPU), and anywhere else in the same words.

In: a job, a generator of plain values. Out: the same job, run where the GPU is. There a call runs
in a forked process: arguments and every value that is yielded are pickled, what a generator returns
is lost, and any error arrives as the name of its class. So jobs take and yield values of the
processor only, yield their result as the last one, and expected errors travel as values.

``spaces`` has to be imported before torch, so that is what ``app.py`` does first; where nobody has,
or where no GPU is lent, jobs simply run.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from llmcomp.errors import LLMCompError

__all__ = ["declared_s", "on_gpu"]

P = ParamSpec("P")
Y = TypeVar("Y")

_START_S = 8  # taking a process and moving weights to the GPU
_ROOM = 1.5  # an estimate that is too short ends a job, one that is too long costs a place in line
_SHORTEST_S = 15
_LONGEST_S = 80  # ZeroGPU asks for half as much again, and without an account there are 120 a day


@dataclass(frozen=True, slots=True)
class _Expected:
    """An error that a job may end with, on its way back."""

    error: LLMCompError


def declared_s(estimated_s: float) -> int:
    """Seconds to ask a GPU for: they, not those used, are held against a visitor's quota.

    >>> declared_s(0.5), declared_s(20), declared_s(1000)
    (15, 38, 80)
    """
    wanted = _START_S + math.ceil(_ROOM * estimated_s)
    return min(max(wanted, _SHORTEST_S), _LONGEST_S)


def on_gpu(
    duration: Callable[P, int],
) -> Callable[[Callable[P, Iterator[Y]]], Callable[P, Generator[Y, None, None]]]:
    """Marks a job as work for the GPU; one call is one loan.

    Args:
        duration: seconds to ask for, given the job's arguments.
    """

    def decorate(job: Callable[P, Iterator[Y]]) -> Callable[P, Generator[Y, None, None]]:
        @functools.wraps(job)
        def expecting(*args: P.args, **kwargs: P.kwargs) -> Generator[Y | _Expected, None, None]:
            try:
                yield from job(*args, **kwargs)
            except LLMCompError as error:
                yield _Expected(error)

        lent = _lent(expecting, duration)

        @functools.wraps(job)
        def run(*args: P.args, **kwargs: P.kwargs) -> Generator[Y, None, None]:
            failed = None
            steps = lent(*args, **kwargs)
            try:
                for value in steps:
                    if isinstance(value, _Expected):
                        failed = value.error  # the loan ends in order before anybody hears of it
                    else:
                        yield value
            finally:
                steps.close()
            if failed is not None:
                raise failed

        return run

    return decorate


def _lent(job: Callable[P, Any], duration: Callable[P, int]) -> Callable[P, Any]:
    spaces = sys.modules.get("spaces")
    if spaces is None:
        return job
    lent: Callable[P, Any] = spaces.GPU(job, duration=duration)
    return lent
