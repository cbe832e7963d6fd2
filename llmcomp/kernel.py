"""Kernels: functions that numba compiles, once for each state of their sources.

In: a function. Out: the same, compiled when it is first called, or as an earlier process left it.

numba keeps what it compiled for as long as the function's own file is unchanged. But a kernel holds
the code of the kernels it calls, other files' too; were one of those to change, two machines with
the same sources could compute different probabilities. So what is compiled lies in a folder of its
own for every state of all files that hold kernels.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numba
from numba import njit

__all__ = ["SOURCES", "kernel"]

_PACKAGE = Path(__file__).parent

SOURCES = (
    "agreement.py",
    "coding/range_coder.py",
    "decisions.py",
    "exact.py",
    "models/kernels.py",
    "online.py",
    "train/dedup.py",
)
"""Files of the package that hold kernels."""


def kernel(function: Any = None, **options: Any) -> Any:
    """Marks a function as a kernel, which lets go of the GIL.

    Args:
        function: to compile.
        options: of ``numba.njit``, where it needs any.
    """
    if function is None:
        return lambda plain: kernel(plain, **options)
    chosen = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_FOLDER)  # numba looks there when it is told to keep a function
    try:
        return njit(cache=True, nogil=True, **options)(function)
    finally:
        numba.config.CACHE_DIR = chosen


def folder_of(state: str) -> Path:
    """Chooses where compiled kernels lie.

    That is in ``$NUMBA_CACHE_DIR``, else in the package's own ``__pycache__``, or in the user's
    cache if that cannot be written to.

    Args:
        state: of the sources, see `state_of`.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return Path(chosen) / state
    beside = _PACKAGE / "__pycache__"
    if os.access(beside if beside.exists() else _PACKAGE, os.W_OK):
        return beside / state
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "llmcomp" / state


def state_of(sources: Iterable[Path]) -> str:
    """Names the state of some files: ``kernels-`` and 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return f"kernels-{digest.hexdigest()[:16]}"


_FOLDER = folder_of(state_of(_PACKAGE / name for name in SOURCES))
