"""Reading some of a blob's plain bytes without decoding the rest.

In: a seekable file that holds a blob. Out: any range of its plain bytes. A segment's head carries
all of its lengths, so a reader hops from head to head and decodes only what overlaps the range:
whole segments, or single lanes of segments that a model coded.

What is checked: the stored checksum of every segment that is decoded or hopped over, once, because
a damaged length would move everything behind it. What lies before a range is therefore read, in
small pieces, but not decoded; what lies behind it is not read, unless an end of the range counts
from the end. The plain checksum is looked at wherever all of a segment is decoded. Where some lanes
are decoded there is no sum that covers them alone: intact data and another machine's numbers would
then go unnoticed except for lengths, which is why `llmcomp.codec.decompress` always decodes
everything.
"""

from __future__ import annotations

import io
import os
import sys
import zlib
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeVar

from llmcomp.codec import SegmentDecoder, as_file
from llmcomp.container import (
    CRC_BYTES,
    PIECE_BYTES,
    Head,
    Method,
    Reader,
    Segment,
    Starved,
    cut,
    followed,
    open_segment,
    read_head,
    read_header,
    varint,
)
from llmcomp.models.base import LanguageModel
from llmcomp.steps import Steps, run
from llmcomp.stream import Target

__all__ = [
    "Place",
    "SegmentIndex",
    "copying_range",
    "decoding_part",
    "lane_around",
    "read_range",
]

T = TypeVar("T")

_HEAD_BYTES = 256
"""What is read at first where a head lies: enough for one of 64 lanes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment lies.

    Attributes:
        at: byte of the file where it begins.
        blob_at: byte of the file where its blob begins.
        start: how many plain bytes lie before it.
        head: what it says of itself.
        index: its place in its blob, from 0.
        header: that blob's packed header.
        decoder: decodes segments of that blob.
    """

    at: int
    blob_at: int
    start: int
    head: Head
    index: int
    header: bytes
    decoder: SegmentDecoder

    @property
    def stop(self) -> int:
        """How many plain bytes lie before its end."""
        return self.start + self.head.plain_length

    @property
    def end(self) -> int:
        """Byte of the file where it ends."""
        return self.at + self.head.size + self.head.rest


class SegmentIndex:
    """Finds and decodes segments of a blob in a seekable file; hops on only as far as it must.

    The first hop over a segment reads and checks all that is stored of it, later ones read nothing.
    After an error it stands where it stood before, so that trying again gives the same error.

    Args:
        file: open for reading; the blob begins at its present position.
        model: as in `llmcomp.codec.decompressing`.
        several: whether more blobs may follow, whose plain bytes are then one sequence.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        model: str | LanguageModel | None = None,
        several: bool = False,
    ) -> None:
        self._file = file
        self._model = model
        self._several = several
        self._begin = file.tell()
        self._end = file.seek(0, os.SEEK_END)
        self._places: list[Place] = []
        self._sound: Place | None = None  # the last place, once its stored checksum held

    def find(self, position: int) -> Place | None:
        """Finds the segment that holds a plain byte; None if the plain bytes end before it.

        Raises:
            LLMCompError: if what lies on the way is no blob, damaged, cut, or followed by other
                bytes.
        """
        while not self._places or self._places[-1].stop <= position:
            if not self._hop():
                return None
        return self._places[bisect_right(self._places, position, key=lambda p: p.start) - 1]

    def first(self) -> Place:
        """Finds the first segment, which says whether the blob is an archive.

        Raises:
            LLMCompError: as `find` does.
        """
        if not self._places:
            self._hop()
        return self._places[0]

    def length(self) -> int:
        """Counts all plain bytes.

        Raises:
            LLMCompError: as `find` does.
        """
        while self._hop():
            pass
        return self._places[-1].stop

    def load(self, place: Place) -> Segment:
        """Reads a segment and checks what is stored.

        Raises:
            DamagedError: if its stored checksum fails.
        """
        self._file.seek(place.at)
        size = place.head.size + place.head.rest
        framed = self._file.read(size)
        if len(framed) < size:
            at = place.at - place.blob_at
            raise cut(at + len(framed), size, at)
        segment = open_segment(place.header, place.index, place.head, framed)
        if place is self._places[-1]:
            self._sound = place
        return segment

    def _hop(self) -> bool:
        """Reads the next head, once the last segment has proved sound; False at the end."""
        last = self._places[-1] if self._places else None
        at, blob_at, start = self._begin, self._begin, 0
        if last is not None:
            self._check(last)
            at, blob_at, start = last.end, last.blob_at, last.stop
            if last.head.last:
                if at == self._end:
                    return False
                if not self._several:
                    raise followed(at - blob_at)
                last, blob_at = None, at
        if last is None:
            header, packed = self._parse(read_header, at, blob_at)
            at += len(packed)
            index, decoder = 0, SegmentDecoder(header, self._model)
        else:
            packed, index, decoder = last.header, last.index + 1, last.decoder
        head, _ = self._parse(lambda reader: read_head(reader, index), at, blob_at)
        place = Place(at, blob_at, start, head, index, packed, decoder)
        if self._end < place.end:
            raise cut(self._end - blob_at, head.rest, at + head.size - blob_at)
        self._places.append(place)
        return True

    def _check(self, place: Place) -> None:
        """Checks what is stored of the last place, a piece at a time, unless that was done."""
        if place is self._sound:
            return
        self._file.seek(place.at)
        crc = zlib.crc32(place.header + varint(place.index))
        left = place.end - place.at - CRC_BYTES
        while left and (piece := self._file.read(min(left, PIECE_BYTES))):
            crc = zlib.crc32(piece, crc)
            left -= len(piece)
        if left or self._file.read(CRC_BYTES) != crc.to_bytes(CRC_BYTES, "little"):
            self.load(place)  # says what is wrong
        self._sound = place

    def _parse(self, parse: Callable[[Reader], T], at: int, blob_at: int) -> tuple[T, bytes]:
        """Parses at a byte of the file, reading as much as that takes; also gives its bytes."""
        self._file.seek(at)
        data = self._file.read(_HEAD_BYTES)
        start = at - blob_at
        while True:
            reader = Reader(data, start, whole=at + len(data) >= self._end)
            try:
                found = parse(reader)
            except Starved as starved:
                more = self._file.read(max(len(data), starved.due - start - len(data)))
                if not more:  # the file has shrunk since
                    self._end = at + len(data)
                data += more
                continue
            return found, data[: reader.at]


def read_range(
    source: bytes | IO[bytes],
    start: int | None = None,
    stop: int | None = None,
    *,
    model: str | LanguageModel | None = None,
) -> bytes:
    """Gives plain bytes ``[start, stop)`` of a blob; decodes no more than it has to.

    What lies before them is read and checked against its stored checksums, too.

    Args:
        source: a blob, or a seekable file that holds one from its present position on.
        start: as in a slice: from the end if negative, the beginning if None.
        stop: as in a slice: from the end if negative, the end if None.
        model: as in `llmcomp.codec.decompressing`.

    Raises:
        TypeError: if ``source`` is neither bytes nor a file.
        LLMCompError: as `llmcomp.codec.decompressing` does, as far as the blob is touched; where
            only some lanes of a segment are decoded, nothing checks their bytes but their length.
    """
    target = io.BytesIO()
    run(copying_range(SegmentIndex(as_file(source), model=model), target, start, stop))
    return target.getvalue()


def copying_range(
    index: SegmentIndex, target: Target, start: int | None, stop: int | None
) -> Steps[int]:
    """Writes plain bytes ``[start, stop)`` to a file, step by step and segment by segment.

    Args:
        index: of the blob.
        target: open for writing.
        start: as in `read_range`.
        stop: as there.

    Yields:
        `Progress`, in bytes of one segment at a time.

    Returns:
        How many bytes were written.

    Raises:
        LLMCompError: as `read_range` does.
    """
    from_end = any(bound is not None and bound < 0 for bound in (start, stop))
    begin, end, _ = slice(start, stop).indices(index.length() if from_end else sys.maxsize)
    at = begin
    while (place := index.find(at)) is not None and at < end:
        target.write((yield from decoding_part(index, place, at, min(end, place.stop))))
        at = min(end, place.stop)
    return at - begin


def decoding_part(index: SegmentIndex, place: Place, start: int, stop: int) -> Steps[bytes]:
    """Decodes plain bytes ``[start, stop)``, which lie in one segment, and no further lane."""
    segment = index.load(place)
    first = last = 0
    at = lanes_at = place.start
    for lane in segment.lanes:  # find the lanes that overlap
        if at + lane.plain_length <= start:
            first, lanes_at = first + 1, at + lane.plain_length
        last += at < stop
        at += lane.plain_length
    if segment.method is Method.LM and last - first < len(segment.lanes):
        plain = yield from place.decoder.decode_lanes(segment, slice(first, last))
    else:
        lanes_at = place.start
        plain, _ = yield from place.decoder.decode(segment, place.index, 0, place.head.plain_length)
    return plain[start - lanes_at : stop - lanes_at]


def lane_around(place: Place, position: int) -> tuple[int, int]:
    """Finds the plain range of the lane that holds a plain byte of a segment."""
    at = place.start
    for plain, _ in place.head.lengths:
        if position < at + plain:
            return at, at + plain
        at += plain
    raise IndexError(position)
