"""The .llmc format, version 1. This docstring is its specification.

All integers are little-endian; *varint* is LEB128 (seven bits a byte, low first, the top bit says
that more follow), at most 10 bytes and no longer than needed. A blob is a header and one or more
segments::

    blob     = header segment+                 the last segment, and only it, has the flag "last"
    header   = "LLMC"                          4 bytes
               version << 4 | profile          1 byte; version 1; profile 1 = fixed, 2 = tolerant,
                                               3 = replay
               model                           1 byte; registry number, 0 = a model given by hand,
                                               255 = named
               [length, name]                  1 byte and so many of UTF-8, if model is 255: as
                                               ``owner/model@commit``, the commit in 40 digits
               fingerprint                     2 bytes; the first of the model's SHA-256
               [margin << 3 | dtype]           1 byte, if profile is not 1; margin 4 to 30 says
                                               2**-margin in profile 2 and is 0 in profile 3;
                                               dtype 0 float64, 1 float32, 2 bfloat16, 3 int8,
                                               rounded as `llmcomp.models.int8` says
               [length, environment]           1 byte and so many of UTF-8, if profile is 3: what
                                               the model's numbers depend on
               steering << 4 | schedule        1 byte; steering 0 = none, 1 to 3 as in
                                               `llmcomp.steering.kinds`; schedule 0 = spelt out
               [window, overlap]               2 varints, if schedule is 0; 16 <= window and
                                               4 * overlap <= 3 * window; behind a prompt any
                                               schedule is shrunk to what the context has left
               [length, record]                varint, at most 2**20, and so many bytes, if
                                               steering is not 0
    segment  = tag                             1 byte; bits 0-1 method (0 stored, 1 xz, 2 lm),
                                               bit 2 last, bit 3 several lanes, bit 4 the table
                                               of an archive, bit 5 lm with online help (as
                                               `llmcomp.online` says), others 0
               [n_lanes]                       varint, 2 to 4096, if bit 3
               plain_length                    varint, at most 2**20       } lm: this pair
               [payload_length]                varint, unless stored       } once a lane
               plain_crc                       4 bytes; CRC-32 of the segment's plain bytes
               payload                         the lanes' payloads, one after the other
               stored_crc                      4 bytes; CRC-32 of the blob's header, the segment's
                                               index as varint, and the segment up to here

``stored_crc`` is checked before any model runs, ``plain_crc`` after. xz payloads are raw LZMA2
with preset 9's filter and a 1 MiB dictionary. A lane's tokens end when their bytes reach its
plain length. A lane is empty only in an empty blob, whose one segment is stored or xz. Nothing may
follow the last segment.

A blob is an archive if its first segment, and no other, has bit 4: that one is stored or xz, so no
model is needed to read it, and holds the table of members that `llmcomp.table` specifies; the plain
bytes of all others are the members' contents, one after the other.

Knows nothing of models: it moves bytes in and out of frames.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from llmcomp.agreement import MARGINS
from llmcomp.errors import DamagedError, FormatError, VersionError
from llmcomp.schedule import SCHEDULES, Schedule

MAGIC = b"LLMC"
VERSION = 1
NAMED_MODEL = 255
DTYPES = ("float64", "float32", "bfloat16", "int8")
"""By number, as blobs say what a model computes in."""

SEGMENT_BYTES = 1 << 20
"""Most plain bytes in a segment."""

MAX_LANES = 4096
MIN_WINDOW, MAX_WINDOW = 16, 1 << 20
MAX_RECORD = 1 << 20
NEWEST_STEERING = 3

MAX_STREAMED = 64 * SEGMENT_BYTES
"""Most stored bytes of a segment that are held at a time; no token costs 64 bytes."""

PIECE_BYTES = 1 << 16
"""How much is read from a file at a time."""

_NAME = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", re.ASCII)

_LAST, _LANES, _TABLE, _HELPED = 4, 8, 16, 32
_LONGEST_HEAD = 1 + 2 + MAX_LANES * (3 + 5) + 4 + 10  # with room to see a varint run over
CRC_BYTES = 4


class Method(IntEnum):
    """How a segment's bytes are kept; the numbers stand in files."""

    STORED = 0
    XZ = 1
    LM = 2


class Profile(IntEnum):
    """How encoder and decoder come to the same probabilities; the numbers stand in files."""

    FIXED = 1
    TOLERANT = 2
    REPLAY = 3


@dataclass(frozen=True, slots=True)
class Numerics:
    """What a decoder's numbers have to do with the encoder's.

    Attributes:
        profile: how they come to agree.
        dtype: what the encoder's model computed in; always ``float64`` in profile ``fixed``.
        margin: in profile ``tolerant``, log-odds lie at most ``2**-margin`` apart.
        environment: in profile ``replay``, in words, what has to be the same.
    """

    profile: Profile = Profile.FIXED
    dtype: str = "float64"
    margin: int = 0
    environment: str = ""

    def pack(self) -> bytes:
        """Writes what follows the fingerprint."""
        if self.profile is Profile.FIXED:
            return b""
        packed = bytes([self.margin << 3 | DTYPES.index(self.dtype)])
        return packed + _short(self.environment) if self.profile is Profile.REPLAY else packed


FIXED = Numerics()


@dataclass(frozen=True, slots=True)
class Header:
    """What all segments share.

    Attributes:
        model: registry number, 0 to 255.
        fingerprint: bytes[2].
        schedule: how lanes move their windows, before a prompt takes its part of the context.
        steering: number of the kind of steering, 0 for none.
        record: what that kind needs.
        numerics: how encoder and decoder come to agree.
        name: of a model whose number is `NAMED_MODEL`.
    """

    model: int
    fingerprint: bytes
    schedule: Schedule
    steering: int = 0
    record: bytes = b""
    numerics: Numerics = FIXED
    name: str = ""

    def pack(self) -> bytes:
        """Writes the header.

        Raises:
            ValueError: if the steering record is longer than the format allows.
        """
        if len(self.record) > MAX_RECORD:
            raise ValueError(
                f"the steering record has {len(self.record):,} bytes; the format's limit is "
                f"{MAX_RECORD:,}: take fewer virtual tokens or levels"
            )
        known = [number for number, schedule in SCHEDULES.items() if schedule == self.schedule]
        number = known[0] if known else 0
        packed = MAGIC + bytes([VERSION << 4 | self.numerics.profile, self.model])
        packed += _short(self.name) if self.model == NAMED_MODEL else b""
        packed += self.fingerprint + self.numerics.pack()
        packed += bytes([self.steering << 4 | number])
        if not known:
            packed += varint(self.schedule.window) + varint(self.schedule.overlap)
        return packed + self.packed_record()

    def packed_record(self) -> bytes:
        """Writes what steering adds to the header."""
        return varint(len(self.record)) + self.record if self.steering else b""


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane's share of a segment: how many bytes it decodes to, and from what."""

    plain_length: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; stored and xz segments have exactly one lane.

    Attributes:
        method: how it is kept.
        lanes: its lanes.
        plain_crc: CRC-32 of the plain bytes.
        table: whether they are an archive's table.
        helped: whether online help had a part in it.
    """

    method: Method
    lanes: Sequence[Lane]
    plain_crc: int
    table: bool = False
    helped: bool = False

    @property
    def plain_length(self) -> int:
        """Bytes the segment decodes to."""
        return sum(lane.plain_length for lane in self.lanes)

    def pack(self, header: bytes, index: int, *, last: bool) -> bytes:
        """Writes the segment, framed and checked.

        Args:
            header: the blob's packed header, which the checksum covers.
            index: the segment's place, from 0.
            last: whether the blob ends here.
        """
        several = len(self.lanes) > 1
        tag = self.method | last * _LAST | several * _LANES
        head = bytearray([tag | self.table * _TABLE | self.helped * _HELPED])
        if several:
            head += varint(len(self.lanes))
        for lane in self.lanes:
            head += varint(lane.plain_length)
            if self.method is not Method.STORED:
                head += varint(len(lane.payload))
        head += self.plain_crc.to_bytes(CRC_BYTES, "little")
        body = bytes(head) + b"".join(lane.payload for lane in self.lanes)
        return body + _stored_crc(header, index, body)


@dataclass(frozen=True, slots=True)
class Head:
    """What stands in front of a segment's payload.

    Attributes:
        method: how the segment is kept.
        lengths: plain and payload bytes of each lane.
        plain_crc: CRC-32 of the plain bytes.
        last: whether the blob ends with this segment.
        table: whether the segment is an archive's table.
        helped: whether online help had a part in it.
        size: the head's own bytes.
    """

    method: Method
    lengths: Sequence[tuple[int, int]]
    plain_crc: int
    last: bool
    table: bool
    helped: bool
    size: int

    @property
    def plain_length(self) -> int:
        """Bytes the segment decodes to."""
        return sum(plain for plain, _ in self.lengths)

    @property
    def rest(self) -> int:
        """Bytes from the payload on: the payload and the stored checksum."""
        return sum(payload for _, payload in self.lengths) + CRC_BYTES


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a parsed segment lies in the blob: ``[start, payload)`` is its head."""

    segment: Segment
    start: int
    payload: int
    stop: int


@dataclass(frozen=True, slots=True)
class Container:
    """A parsed blob whose stored checksums hold."""

    header: Header
    frames: Sequence[Frame]

    @property
    def plain_length(self) -> int:
        """Bytes the whole blob decodes to; an archive's table is none of them."""
        segments = [frame.segment for frame in self.frames]
        return sum(segment.plain_length for segment in segments if not segment.table)


@dataclass(frozen=True, slots=True)
class Part:
    """What a stretch ``[start, stop)`` of a blob's bytes is for.

    Attributes:
        name: ``header``, ``index`` (tag and lengths), ``number`` (a lane's payload), ``other``
            (bytes that no model coded) or ``check``.
        start: first byte.
        stop: the byte after the last.
    """

    name: str
    start: int
    stop: int


def anatomy(blob: bytes) -> list[Part]:
    """Says what every byte of an intact blob is for, in order and without gaps.

    Raises:
        LLMCompError: if the blob is not intact.
    """
    parts: list[Part] = []

    def upto(name: str, stop: int) -> None:
        parts.append(Part(name, parts[-1].stop if parts else 0, stop))

    frames = unpack(blob).frames
    upto("header", frames[0].start)
    for frame in frames:
        upto("index", frame.payload - CRC_BYTES)
        upto("check", frame.payload)
        if frame.segment.method is Method.LM:
            for lane in frame.segment.lanes:
                upto("number", parts[-1].stop + len(lane.payload))
        else:
            upto("other", frame.stop - CRC_BYTES)
        upto("check", frame.stop)
    return [part for part in parts if part.stop > part.start]


def pack(header: Header, segments: Sequence[Segment]) -> bytes:
    """Writes a blob of one or more segments."""
    packed = header.pack()
    parts = [
        segment.pack(packed, index, last=index == len(segments) - 1)
        for index, segment in enumerate(segments)
    ]
    return packed + b"".join(parts)


def unpack(blob: bytes) -> Container:
    """Parses a whole blob and checks what is stored.

    Raises:
        FormatError: if the bytes are not a .llmc blob or contradict the format.
        VersionError: if they are of a newer format.
        DamagedError: if the blob is cut, continued, or a stored checksum fails.
    """
    reader = Reader(blob)
    header = read_header(reader)
    packed, last = blob[: reader.at], False
    frames: list[Frame] = []
    while not last:
        start = reader.at
        head = _read_head(reader, len(frames))
        reader.take(head.rest)
        framed = blob[start : reader.at]
        segment = open_segment(packed, len(frames), head, framed)
        frames.append(Frame(segment, start, start + head.size, reader.at))
        last = head.last
    if reader.at != len(blob):
        raise followed(reader.at)
    return Container(header, frames)


def open_segment(header: bytes, index: int, head: Head, framed: bytes) -> Segment:
    """Cuts a whole framed segment into its lanes.

    Args:
        header: the blob's packed header.
        index: the segment's place, from 0.
        head: its parsed head.
        framed: the segment from its tag to its stored checksum.

    Raises:
        DamagedError: if that checksum fails.
    """
    end = len(framed) - CRC_BYTES
    if framed[end:] != _stored_crc(header, index, framed[:end]):
        raise DamagedError(
            f"segment {index} is damaged: its stored CRC-32 fails; "
            "get the file again from its source"
        )
    lanes, at = [], head.size
    for plain, payload in head.lengths:
        lanes.append(Lane(plain, framed[at : at + payload]))
        at += payload
    return Segment(head.method, lanes, head.plain_crc, head.table, head.helped)


def cut(end: int, count: int, at: int) -> DamagedError:
    """Makes the error of a blob that ends where ``count`` bytes from byte ``at`` on are due."""
    return DamagedError(
        f"the blob is cut: it ends at byte {end}, but {count} bytes are due from byte {at} on; "
        "get the file again from its source"
    )


def followed(at: int) -> DamagedError:
    """Makes the error of a blob that goes on after its end at byte ``at``."""
    return DamagedError(
        f"more bytes follow the blob's end at byte {at}; cut them off or get the file again"
    )


class Parser:
    """Takes a blob in pieces of any size and gives its segments one by one, each one checked.

    Holds no more than the pieces that no finished segment has used.

    Attributes:
        header: None until it has come whole.
        ended: whether the last segment was given.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self.ended = False
        self._packed = b""
        self._buffer = bytearray()
        self._at = 0  # of the buffer in the blob
        self._index = 0
        self._head: Head | None = None
        self._due = 1

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        self._buffer += data

    @property
    def starved(self) -> bool:
        """Whether the next segment is not there yet as far as is known."""
        return not self.ended and len(self._buffer) < self._due

    @property
    def unused(self) -> bytes:
        """What came after the last segment, once that was given."""
        return bytes(self._buffer) if self.ended else b""

    def next_segment(self) -> Segment | None:
        """Gives the next segment; None if it has not come whole, or the blob has ended.

        Raises:
            LLMCompError: as `unpack` does, but a blob that is not whole yet is no error.
        """
        if self.starved or self.ended:
            return None
        try:
            return self._parse(whole=False)
        except Starved as starved:
            self._due = starved.due - self._at
            return None

    def finish(self) -> None:
        """Says that nothing more comes; call it when `next_segment` has nothing more to give.

        Raises:
            FormatError: if nothing came at all.
            DamagedError: if the blob is cut, or bytes follow its end.
        """
        if not self.ended:
            self._parse(whole=True)
        if self._buffer:
            raise followed(self._at)

    def _parse(self, *, whole: bool) -> Segment:
        if self.header is None:
            reader = Reader(bytes(self._buffer), whole=whole)
            self.header = read_header(reader)
            self._packed = self._drop(reader.at)
        if self._head is None:
            reader = Reader(bytes(self._buffer[:_LONGEST_HEAD]), self._at, whole=whole)
            self._head = read_head(reader, self._index)
        size = self._head.size + self._head.rest
        framed = bytes(self._buffer[:size])
        Reader(framed, self._at, whole=whole).take(size)
        # a damaged segment stays, so that trying again finds the same damage
        segment = open_segment(self._packed, self._index, self._head, framed)
        self._drop(size)
        self.ended, self._head, self._due = self._head.last, None, 1
        self._index += 1
        return segment

    def _drop(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._at += count
        return taken


def varint(value: int) -> bytes:
    """Writes a non-negative integer, seven bits a byte.

    >>> varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _stored_crc(header: bytes, index: int, body: bytes) -> bytes:
    return zlib.crc32(header + varint(index) + body).to_bytes(CRC_BYTES, "little")


class Starved(Exception):  # noqa: N818 - a request, no error: nobody sees it
    """More bytes have to come before a part can be parsed.

    Attributes:
        due: bytes of the blob that are needed at least.
    """

    def __init__(self, due: int) -> None:
        super().__init__(due)
        self.due = due


class Reader:
    """Reads from bytes and refuses to run past their end.

    Attributes:
        at: bytes taken so far.
    """

    def __init__(self, data: bytes, start: int = 0, *, whole: bool = True) -> None:
        """Reads ``data``, which lie in the blob from byte ``start`` on.

        Args:
            data: the bytes.
            start: where they begin.
            whole: whether the blob ends with them; if not, running out raises `Starved`.
        """
        self._data = data
        self._start = start
        self._whole = whole
        self.at = 0

    def take(self, count: int) -> bytes:
        """Takes ``count`` bytes."""
        if count > len(self._data) - self.at:
            at = self._start + self.at
            if not self._whole:
                raise Starved(at + count)
            raise cut(self._start + len(self._data), count, at)
        self.at += count
        return self._data[self.at - count : self.at]

    def byte(self) -> int:
        """Takes one byte."""
        return self.take(1)[0]

    def varint(self, name: str, limit: int) -> int:
        """Takes a varint of at most ``limit``."""
        value = 0
        for shift in range(0, 70, 7):
            part = self.byte()
            value |= (part & 0x7F) << shift
            if part < 0x80:
                if part == 0 and shift:
                    raise FormatError(f"{name} is written longer than needed")
                break
        else:
            raise FormatError(f"{name} runs over 10 bytes; the blob is damaged or foreign")
        if value > limit:
            raise FormatError(f"{name} is {value}; the format's limit is {limit}")
        return value


def read_header(reader: Reader) -> Header:
    """Reads a blob's header.

    Raises:
        LLMCompError: as `unpack` does.
    """
    magic = reader.take(min(len(MAGIC), len(reader._data)))
    if magic != MAGIC[: len(magic)] or not magic:
        raise FormatError(f"not a .llmc blob: it begins with {magic!r}, wanted {MAGIC!r}")
    reader.take(len(MAGIC) - len(magic))
    version, profile = divmod(reader.byte(), 16)
    if version == 0:
        raise FormatError("format version 0 does not exist; the blob is damaged or foreign")
    if version > VERSION:
        raise VersionError(
            f"format version {version} is newer than {VERSION}, the newest known here; "
            "update llmcomp"
        )
    if profile not in list(Profile):
        raise VersionError(f"profile {profile} is unknown here; update llmcomp")
    model = reader.byte()
    name = _read_short(reader, "the model's name") if model == NAMED_MODEL else ""
    if name and not _NAME.fullmatch(name):
        raise FormatError(f"the model's name is {name[:60]!r}; the format wants owner/model@commit")
    fingerprint = reader.take(2)
    numerics = _read_numerics(reader, Profile(profile))
    steering, number = divmod(reader.byte(), 16)
    if steering > NEWEST_STEERING:
        raise VersionError(f"steering kind {steering} is unknown here; update llmcomp")
    schedule = _read_schedule(reader, number)
    record = b""
    if steering:
        record = reader.take(reader.varint("the steering record's length", MAX_RECORD))
    return Header(model, fingerprint, schedule, steering, record, numerics, name)


def _read_numerics(reader: Reader, profile: Profile) -> Numerics:
    if profile is Profile.FIXED:
        return FIXED
    margin, dtype = divmod(reader.byte(), 8)
    if dtype >= len(DTYPES):
        raise VersionError(f"dtype {dtype} is unknown here; update llmcomp")
    if profile is Profile.REPLAY:
        if margin:
            raise FormatError(f"margin {margin} in profile replay, which has none")
        words = _read_short(reader, "the environment")
        return Numerics(profile, DTYPES[dtype], environment=words)
    if margin not in MARGINS:
        raise FormatError(
            f"margin 2**-{margin}; the format wants 2**-{MARGINS.stop - 1} to 2**-{MARGINS.start}"
        )
    return Numerics(profile, DTYPES[dtype], margin)


def _short(text: str) -> bytes:
    """Writes a text of at most 255 bytes behind its length.

    Raises:
        ValueError: if it is longer, or empty.
    """
    encoded = text.encode("utf-8")
    if not 0 < len(encoded) < 256:
        raise ValueError(f"{text!r} has {len(encoded)} bytes; the format wants 1 to 255")
    return bytes([len(encoded)]) + encoded


def _read_short(reader: Reader, what: str) -> str:
    encoded = reader.take(reader.byte())
    try:
        text = encoded.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise FormatError(f"{what} is {encoded[:40]!r}; the format wants printable UTF-8")
    return text


def _read_schedule(reader: Reader, number: int) -> Schedule:
    if number:
        if number not in SCHEDULES:
            raise VersionError(f"schedule {number} is unknown here; update llmcomp")
        return SCHEDULES[number]
    window = reader.varint("the window", MAX_WINDOW)
    overlap = reader.varint("the overlap", MAX_WINDOW)
    # a blob must not be able to ask for many times the work that its text needs
    if window < MIN_WINDOW or 4 * overlap > 3 * window:
        raise FormatError(
            f"window {window} with overlap {overlap}; the format wants a window of at least "
            f"{MIN_WINDOW} and an overlap of at most three quarters of it"
        )
    return Schedule(window, overlap)


def read_head(reader: Reader, index: int) -> Head:
    """Reads the head of the segment at ``index``, from 0, up to its payload.

    Raises:
        LLMCompError: as `unpack` does; also if the payload is longer than any encoder makes it,
            so that memory stays bounded where a blob is read piece by piece.
    """
    return _read_head(reader, index, MAX_STREAMED)


def _read_head(reader: Reader, index: int, limit: int | None = None) -> Head:
    """Reads a head; refuses one whose payload and stored checksum pass ``limit`` bytes."""
    start, tag = reader.at, reader.byte()
    if tag >> 6 or tag & 3 == 3:
        raise VersionError(f"segment tag {tag:#04x} is unknown here; update llmcomp")
    method, last, table = Method(tag & 3), bool(tag & _LAST), bool(tag & _TABLE)
    helped = bool(tag & _HELPED)
    if helped and method is not Method.LM:
        raise FormatError(f"online help in a {method.name.lower()} segment")
    if table and (index or method is Method.LM):
        raise FormatError(
            f"segment {index}, of method {method.name.lower()}, claims to be an archive's table; "
            "only the first segment can be, stored or as xz"
        )
    n_lanes = reader.varint("the number of lanes", MAX_LANES) if tag & _LANES else 1
    if tag & _LANES and (n_lanes < 2 or method is not Method.LM):
        raise FormatError(f"{n_lanes} lanes in a {method.name.lower()} segment")
    lengths = []
    room, rest = SEGMENT_BYTES, CRC_BYTES
    for lane in range(n_lanes):
        try:
            plain = reader.varint("a plain length", room)
            if plain == 0 and method is Method.LM:
                raise FormatError("a lane of an lm segment is empty")
            stored = method is Method.STORED
            payload = plain if stored else reader.varint("a payload length", 1 << 32)
        except Starved as starved:
            # every further lane takes two bytes or more: a head that comes byte by byte is then
            # begun again a few times, not once a byte
            raise Starved(starved.due + 2 * (n_lanes - lane - 1) + CRC_BYTES) from None
        room -= plain
        rest += payload
        if limit is not None and rest > limit:
            raise FormatError(
                f"segment {index} claims {rest:,} stored bytes or more; at most {limit:,} are "
                "read at a time"
            )
        lengths.append((plain, payload))
    if room == SEGMENT_BYTES and (index or not last):
        raise FormatError(f"segment {index} is empty; only an empty blob has one such")
    plain_crc = int.from_bytes(reader.take(CRC_BYTES), "little")
    return Head(method, lengths, plain_crc, last, table, helped, reader.at - start)
