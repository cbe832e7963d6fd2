"""Lanes shared out among the processor's cores.

Kernels let go of Python's lock, so plain threads will do; they sleep while there is nothing to do,
which BLAS' own threads do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

LANES_TOGETHER = 4
"""Kernels take so many lanes at once; fewer would not be worth a thread of their own."""


def each_part(count: int, job: Callable[[slice], None]) -> None:
    """Runs a job on consecutive parts of ``count`` items at once, at most one part a core.

    Parts are as equal as multiples of `LANES_TOGETHER` can be. Errors of any part are raised.
    """
    groups = -(-count // LANES_TOGETHER)
    size = -(-groups // _CORES) * LANES_TOGETHER
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size or 1)]
    others = [_threads(_CORES - 1).submit(job, part) for part in parts[1:]]
    for part in parts[:1]:
        job(part)
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    """Starts so many threads, once."""
    return ThreadPoolExecutor(count, thread_name_prefix="llmcomp")


def _n_cores() -> int:
    """Counts the cores this process may use: ``$LLMCOMP_THREADS``, or those it may be put on.

    A container may be granted less time than its cores have; then the variable says how many.
    """
    wanted = os.environ.get("LLMCOMP_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_CORES = _n_cores()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a child has none of them
