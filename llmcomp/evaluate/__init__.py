"""Measuring: the classical compressors, and llmcomp against them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ["print_figures"]


def print_figures(known: Mapping[str, Callable[[], str]], names: Sequence[str]) -> None:
    """Measures and prints the named figures, or all that are known."""
    for name in names or known:
        sys.stdout.write(known[name]() + "\n\n")
