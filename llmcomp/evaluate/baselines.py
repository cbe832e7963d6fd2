"""The general-purpose compressors everyone knows, at their strongest ordinary settings.

In: bytes. Out: sizes in bytes, of complete files as each tool writes them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

Compressor = Callable[[bytes], bytes]


def sizes(data: bytes) -> dict[str, int]:
    """Compresses the same bytes with every baseline.

    Returns:
        Compressed bytes by name: gzip -9, bz2 -9, xz -9e, zstd -19, brotli -11 (window 24) and
        PPMd variant H (order 6, 16 MiB).

    >>> sizes(b"abc" * 1000)["gzip"] < 100
    True
    """
    return {name: len(compress(data)) for name, compress in compressors().items()}


def compressors() -> dict[str, Compressor]:
    """Names the baselines and what each does with bytes."""
    import brotli
    import pyppmd
    import zstandard

    return {
        "gzip": lambda data: gzip.compress(data, 9, mtime=0),
        "bz2": lambda data: bz2.compress(data, 9),
        "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "zstd": lambda data: zstandard.ZstdCompressor(level=19).compress(data),
        "brotli": lambda data: brotli.compress(data, quality=11, lgwin=24),
        "ppmd": lambda data: pyppmd.compress(data, max_order=6, mem_size=16 << 20),
    }
