"""Compresses and decompresses a file piece by piece and prints the peak memory in KiB.

    python tests/memory_of_streams.py MEGABYTES

A process of its own for `test_slow.py`, because a peak is a process's.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import zlib

from conftest import ROOT

from llmcomp.models.snapped import SnappedModel
from llmcomp.steps import run
from llmcomp.stream import (
    BlobCompressor,
    BlobDecompressor,
    compressing_stream,
    decompressing_stream,
)


class Words:
    """A file of random words, made as it is read."""

    def __init__(self, length: int) -> None:
        self._left = length
        self._rng = random.Random(1)
        self.crc = 0

    def read(self, size: int) -> bytes:
        words = b" ".join(self._rng.choices((b"the", b"quick", b"dog", b"fox", b"lazy"), k=size))
        data = words[: min(size, self._left)]
        self._left -= len(data)
        self.crc = zlib.crc32(data, self.crc)
        return data


class Sum:
    """A file that keeps nothing but the CRC-32 of what is written."""

    crc = 0

    def write(self, data: bytes) -> None:
        self.crc = zlib.crc32(data, self.crc)


def main(megabytes: int) -> None:
    model = SnappedModel(ROOT / "tests/models/tiny", name="tiny", number=0)
    source, plain = Words(megabytes * 1_000_000), Sum()
    with tempfile.TemporaryFile() as blob:
        how = BlobCompressor(model=model, preset="fast", methods=("lm",), verify=False)
        run(compressing_stream(source, blob, how))
        blob.seek(0)
        done = run(decompressing_stream(blob, plain, BlobDecompressor(model=model)))
    if (done, plain.crc) != (megabytes * 1_000_000, source.crc):
        sys.exit("the round trip failed")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(int(sys.argv[1]))
