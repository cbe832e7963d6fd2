"""What a blob says of itself is the same from bytes, paths, files and pipes, and needs no room."""

from __future__ import annotations

import io
import os
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from fakes import FakeModel

import llmcomp
from llmcomp.cli import main
from llmcomp.container import (
    MAX_STREAMED,
    SEGMENT_BYTES,
    Header,
    Lane,
    Method,
    Segment,
    pack,
    varint,
)
from llmcomp.errors import DamagedError, FormatError, LLMCompError
from llmcomp.schedule import SCHEDULES

TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 9
HEADER = Header(0, b"\0\0", SCHEDULES[2])
TEXT_BLOB = llmcomp.compress(TEXT, model=FakeModel(), methods=("lm",), lanes=3)
BLOBS = {
    "text": TEXT_BLOB,
    "empty": llmcomp.compress(b"", model=FakeModel()),
    "archive": llmcomp.compress_files([("a", TEXT), ("b/c", b"")], model=FakeModel()),
    "segments": llmcomp.compress(os.urandom(SEGMENT_BYTES + 9), model=FakeModel()),
}


class Pipe:
    """Gives a few bytes at a time and can do nothing else."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


def dripping(blob: bytes, size: int = 1000) -> Pipe:
    return Pipe(blob[at : at + size] for at in range(0, len(blob), size))


@pytest.mark.parametrize("name", BLOBS)
def test_every_source_says_the_same(name, tmp_path):
    blob = BLOBS[name]
    path = tmp_path / "blob"
    path.write_bytes(b"before" + blob)
    info = llmcomp.get_info(blob)
    assert info.total_bytes == len(blob)
    assert llmcomp.get_info(bytearray(blob)) == info
    assert llmcomp.get_info(dripping(blob)) == info
    with path.open("rb") as file:
        file.seek(len(b"before"))
        assert llmcomp.get_info(file) == info
    path.write_bytes(blob)
    assert llmcomp.get_info(path) == info


def test_damage_is_found_wherever_the_blob_comes_from(tmp_path):
    path = tmp_path / "blob"
    damages = [TEXT_BLOB[:length] for length in range(0, len(TEXT_BLOB), 7)]
    damages += [TEXT_BLOB + b"\0", TEXT_BLOB + TEXT_BLOB]
    for at in range(len(TEXT_BLOB)):
        damages.append(TEXT_BLOB[:at] + bytes([TEXT_BLOB[at] ^ 1]) + TEXT_BLOB[at + 1 :])
    for damaged in damages:
        path.write_bytes(damaged)
        words = set()
        for source in (damaged, path, dripping(damaged, 11)):
            with pytest.raises(LLMCompError) as caught:
                llmcomp.get_info(source)
            words.add(str(caught.value))
        assert len(words) == 1
        assert "\n" not in words.pop()


def segments(count: int) -> Iterator[bytes]:
    """A blob of stored segments of 1 MiB, one at a time."""
    packed, plain = HEADER.pack(), os.urandom(SEGMENT_BYTES)
    segment = Segment(Method.STORED, [Lane(len(plain), plain)], zlib.crc32(plain))
    yield packed
    for index in range(count):
        yield segment.pack(packed, index, last=index == count - 1)


def test_no_more_than_a_segment_is_held():
    tracemalloc.start()
    try:
        info = llmcomp.get_info(Pipe(segments(24)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert info.plain_bytes == 24 * SEGMENT_BYTES
    assert peak < 12 * SEGMENT_BYTES  # what makes the blob takes some of it


def test_what_follows_a_blob_is_not_read_to_its_end():
    def endless() -> Iterator[bytes]:
        yield TEXT_BLOB
        for _ in range(3):
            yield b"more"
        raise AssertionError("read on behind the blob's end")

    with pytest.raises(DamagedError, match=f"follow the blob's end at byte {len(TEXT_BLOB)}"):
        llmcomp.get_info(Pipe(endless()))


def test_a_segment_that_nobody_could_hold_is_refused():
    head = bytes([Method.XZ | 4]) + varint(5) + varint(MAX_STREAMED + 1) + bytes(4)
    with pytest.raises(FormatError, match="at most 67,108,864 are read at a time"):
        llmcomp.get_info(dripping(HEADER.pack() + head + bytes(99)))


@pytest.mark.parametrize("wrong", ["str", None, io.StringIO("text")])
def test_what_is_no_blob_path_or_binary_file_is_refused(wrong):
    with pytest.raises(TypeError, match="bytes-like object"):
        llmcomp.get_info(wrong)


def test_a_path_that_is_not_there_says_so(tmp_path, capsys):
    with pytest.raises(FileNotFoundError):
        llmcomp.get_info(tmp_path / "missing")
    assert main(["info", str(tmp_path / "missing")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_blob_of_no_segment_is_refused():
    assert len(pack(HEADER, [])) == len(HEADER.pack())
    with pytest.raises(DamagedError, match="the blob is cut"):
        llmcomp.get_info(pack(HEADER, []))
