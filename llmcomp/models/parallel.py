"""Lanes shared out among the processor's cores.

Kernels let go of Python's lock, so plain threads will do; they sleep while there is nothing to do,
which BLAS' own threads do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None


def n_cores() -> int:
    """Counts the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each_part(count: int, job: Callable[[slice], None]) -> None:
    """Runs a job on consecutive parts of ``count`` items at once, one part a core.

    Parts are nearly equal, and every one but the last a multiple of four where there are enough:
    kernels take four lanes together. Errors of any part are raised.
    """
    global _pool
    size = -(-count // min(count, _CORES))
    if size > 4:
        size = -(-size // 4) * 4
    parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    if len(parts) == 1:
        job(parts[0])
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(_CORES - 1, thread_name_prefix="llmcomp")
    others = [_pool.submit(job, part) for part in parts[1:]]
    job(parts[0])
    for other in others:
        other.result()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _pool
    _pool = None


_CORES = n_cores()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
