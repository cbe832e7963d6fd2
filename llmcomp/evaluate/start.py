"""``python -m llmcomp.evaluate.start`` compiles the kernels and says how long a start takes.

Kernels are compiled by the first process that calls them and kept beside the source, or in
``$NUMBA_CACHE_DIR``; every later start loads them. Installing does that once, so nobody waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import llmcomp
from llmcomp.models import MODELS

__all__ = ["first_token_s", "main", "warm"]

_TEXT = b"Call me Ishmael."
_START = "import sys, llmcomp; llmcomp.decompress(sys.stdin.buffer.read())"


def warm() -> None:
    """Calls every kernel that the shipped models need."""
    for name in MODELS.values():
        llmcomp.decompress(llmcomp.compress(_TEXT, model=name, methods=("lm",)))


def first_token_s(*, compiled: bool) -> float:
    """Seconds from starting Python to the first tokens decoded by the embedded model.

    Args:
        compiled: with kernels as an earlier process left them, else compiling them all.
    """
    blob = llmcomp.compress(_TEXT, methods=("lm",))
    with tempfile.TemporaryDirectory() as empty:
        fresh = {} if compiled else {"NUMBA_CACHE_DIR": empty}
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", _START], input=blob, env={**os.environ, **fresh}, check=True
        )
        return time.perf_counter() - begun


def main() -> str:
    """Measures both kinds of start, the usual one three times."""
    warm()
    usual = min(first_token_s(compiled=True) for _ in range(3))
    return (
        f"From starting Python to the first tokens decoded: {usual:.2f} s; "
        f"{first_token_s(compiled=False):.1f} s where no kernel was compiled yet, which happens "
        "once, on installing."
    )


if __name__ == "__main__":
    if "--quiet" in sys.argv:
        warm()
    else:
        sys.stdout.write(main() + "\n")
