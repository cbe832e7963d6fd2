"""Law for `fuzz.py`: each way to read a blob gives what its checksums vouch for, or one error.

An input is a blob. Which ways are tried, and in pieces of which sizes, follows from its bytes.
"""

from __future__ import annotations

import io
import random
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from conftest import ROOT
from fakes import FakeModel
from hub_tokenizers import TEXT

import llmcomp
from llmcomp import codec
from llmcomp.archive import Archive
from llmcomp.container import (
    CRC_BYTES,
    Container,
    Lane,
    Method,
    Reader,
    Segment,
    pack,
    read_head,
    read_header,
    unpack,
    varint,
)
from llmcomp.errors import DamagedError, LLMCompError
from llmcomp.models.snapped import SnappedModel
from llmcomp.rehearsal import rehearse
from llmcomp.steps import run
from llmcomp.table import Member

T = TypeVar("T")

MAX_BYTES = 4096

_MOST_PLAIN = 1024  # bytes decoded of a blob
_MOST_MEMBERS = 20  # looked at of an archive
_WORK = 16
"""Positions a model may be fed for each byte that a blob claims: overlaps of three quarters make it
4, a lane that waits for one of twice its length 8, and every window has a start token."""

TINY = SnappedModel(ROOT / "tests/models/tiny", name="tiny", number=0)
FAKE = FakeModel()


def check(blob: bytes) -> None:
    """Reads a blob in some of the ways there are."""
    rng = random.Random(zlib.crc32(blob))
    meter = Meter()
    model = Watched(_model_of(blob), meter)
    parsed = _outcome(lambda: unpack(blob))
    plain = _outcome(lambda: llmcomp.decompress(blob, model=model, max_bytes=_MOST_PLAIN))
    if parsed is None:
        assert plain is None and not meter.fed, "read before the stored checksums held"
    else:
        assert meter.fed <= _WORK * (parsed.plain_length + 1), "more work than the blob claims"
    if parsed is not None and plain is not None:
        _check_sums(parsed, plain)
    meter.fed = 0
    assert _outcome(lambda: _in_pieces(blob, model, rng)) == plain
    info = _outcome(lambda: llmcomp.get_info(blob))
    # a steering record that contradicts itself matters only where a model is asked
    assert plain is None or info is None or info.plain_bytes == len(plain)
    meter.fed = 0
    if info is None or info.members is None:
        rng.choice(_OTHER_WAYS)(blob, model, plain, rng)
    else:
        _check_archive(blob, model, info.members, rng)


class TooMuchWork(Exception):  # noqa: N818 - no error: a blob may ask for an hour's work
    """A blob asks for more than fuzzing has time for."""


class Meter:
    """Counts the positions that a model is fed."""

    fed = 0

    def feed(self, count: int) -> None:
        self.fed += count
        if self.fed > _WORK * (_MOST_PLAIN + 1):
            raise TooMuchWork


class Watched:
    """A model, or a session of one, behind a meter."""

    def __init__(self, model: Any, meter: Meter) -> None:
        self._model, self._meter = model, meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def steered(self, prompt: Any) -> Any:
        return Watched(self._model.steered(prompt), self._meter)

    def score(self, rows: Any) -> Any:
        self._meter.feed(rows.size)
        return self._model.score(rows)

    def begin(self, rows: Any, room: int) -> Any:
        self._meter.feed(rows.size)
        session, logits = self._model.begin(rows, room)
        return Watched(session, self._meter), logits

    def step(self, tokens: Any) -> Any:
        self._meter.feed(len(tokens))
        return self._model.step(tokens)


def _model_of(blob: bytes) -> Any:
    """The one of the two models that a blob may have been made with."""
    header = _outcome(lambda: read_header(Reader(blob)))
    fake = header is None or (header.fingerprint == FAKE.fingerprint[:2] and not header.steering)
    return FAKE if fake else TINY


def _outcome(way: Callable[[], T]) -> T | None:
    """What a call gives; None if it refuses, or would take too long."""
    try:
        return way()
    except LLMCompError as error:
        check_message(error)
    except TooMuchWork:
        pass
    return None


def check_message(error: LLMCompError) -> None:
    """An error is one line of text that somebody can read."""
    assert str(error).isprintable() and len(str(error)) < 500, f"no clear line: {str(error)!r}"


def _check_sums(parsed: Container, plain: bytes) -> None:
    """What was decoded is what the blob's own checksums say."""
    source = io.BytesIO(plain)
    for frame in parsed.frames:
        piece = source.read(frame.segment.plain_length)
        assert zlib.crc32(piece) == frame.segment.plain_crc
    assert source.tell() == parsed.plain_length == len(plain)


def _in_pieces(blob: bytes, model: Any, rng: random.Random) -> bytes:
    """Decompresses a blob that comes in pieces and is given in pieces."""
    decompressor = llmcomp.LLMDecompressor(model=model, max_bytes=_MOST_PLAIN)
    plain, at = b"", 0
    while not decompressor.eof and (at < len(blob) or not decompressor.needs_input):
        size = rng.choice((1, 2, 7, 100, len(blob))) if decompressor.needs_input else 0
        plain += decompressor.decompress(blob[at : at + size], rng.choice((-1, 0, 1, 100)))
        at += size
    if not decompressor.eof or decompressor.unused_data or at < len(blob):
        raise DamagedError("the blob does not end where it should")
    return plain


def _check_range(blob: bytes, model: Any, plain: bytes | None, rng: random.Random) -> None:
    most = len(plain or b"") + 3
    start, stop = (rng.choice((None, rng.randint(-most, most))) for _ in range(2))
    found = _outcome(lambda: llmcomp.read_range(blob, start, stop, model=model))
    assert plain is None or found == plain[start:stop]


def _check_file(blob: bytes, model: Any, plain: bytes | None, rng: random.Random) -> None:
    places = [rng.randint(0, len(plain or b"") + 3) for _ in range(3)]

    def read() -> list[bytes]:
        with llmcomp.open(io.BytesIO(blob), model=model) as file:
            return [file.read(100) for place in places if file.seek(place) >= 0]

    found = _outcome(read)
    assert plain is None or found == [plain[place : place + 100] for place in places]


def _check_pipe(blob: bytes, model: Any, plain: bytes | None, rng: random.Random) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def read(self, size: int | None = -1) -> bytes:
            return super().read(rng.randint(1, 100))

    found = _outcome(lambda: llmcomp.open(Pipe(blob), model=model).read())
    assert plain is None or found == plain


def _check_trace(blob: bytes, model: Any, plain: bytes | None, _: random.Random) -> None:
    if plain is not None:
        assert run(codec.decompressing(blob, model=model, trace=True)).data == plain


def _check_rehearsal(blob: bytes, model: Any, _: bytes | None, rng: random.Random) -> None:
    bit = rng.randrange(8 * len(blob) or 1)
    found = _outcome(lambda: rehearse(blob, bit, model=model))
    assert found is None or found.verdict.isprintable()


_OTHER_WAYS = (_check_range, _check_file, _check_pipe, _check_trace, _check_rehearsal)


def _check_archive(blob: bytes, model: Any, members: Sequence[Member], rng: random.Random) -> None:
    """Members have the sizes that are listed, and names that stay below a directory."""
    archive = Archive(blob, model=model)
    assert archive.members == members
    names = [member.name for member in members]
    assert len(set(names)) == len(names)
    for path in (*map(PurePosixPath, names), *map(PureWindowsPath, names)):
        assert not path.anchor and not {"..", "."} & set(path.parts), path
    contents = {}
    for name, size in [(member.name, member.size) for member in members[:_MOST_MEMBERS]]:
        contents[name] = found = _outcome(lambda name=name: archive.read(name))
        assert found is None or len(found) == size
    if len(names) <= _MOST_MEMBERS and rng.random() < 0.1:  # disks are slow
        _check_extraction(archive, contents)


def _check_extraction(archive: Archive, contents: Mapping[str, bytes | None]) -> None:
    """Extracting gives all members as they are read one by one, or leaves nothing behind."""
    with tempfile.TemporaryDirectory() as directory:
        done = _outcome(lambda: archive.extract(directory) is None)
        found = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in Path(directory).rglob("*")
            if not path.is_dir()
        }
        assert found == (contents if done else {})


def seeds() -> list[bytes]:
    """Golden blobs of every profile and steering, and some that the fake model made."""
    fox = TEXT.splitlines()[0].encode() * 3
    made = [
        llmcomp.compress(data, model=FAKE, profile=profile, lanes=lanes, methods=("lm",))
        for data, profile, lanes in [
            (b"a", "fixed", 1),
            (fox[:60], "fixed", 1),
            (fox, "fixed", 3),
            (fox, "tolerant", 2),
            (fox[:90], "replay", 2),
        ]
    ]
    (lm,) = (frame.segment for frame in unpack(made[2]).frames)
    stored, xz = codec._without_model(b"again and again, " * 9, ("stored", "xz"))
    header = unpack(made[2]).header
    files = {"notes/fox.txt": fox, "notes/лиса.md": "Лиса\n".encode() * 4, "none": b"", "x": b"\0"}
    archives = [
        llmcomp.compress_files(files.items(), model=FAKE, methods=("lm",), lanes=2),
        llmcomp.compress_files(files.items(), model=FAKE, methods=("stored",)),
    ]
    for names in _BAD_NAMES:
        count = names.count(b"\0") + 1
        (table,) = codec._without_model(varint(count) + names + bytes(1 + count), ("stored",))
        archives.append(pack(header, [replace(table, table=True)]))
    golden = [path.read_bytes() for path in sorted((ROOT / "tests/golden").glob("*.llmc"))]
    return [*golden, *made, *archives, pack(header, [stored, lm, xz, lm]), made[0] + made[2]]


_BAD_NAMES = (b"../x", b"/x", b"a//b", b"C:x", b"a\\b", b"x\0x", b"a\0a/b", b"\n", b"n" * 300)


def mutate(blob: bytes, rng: random.Random, plainly: Callable[[bytes], bytes]) -> bytes:
    """Changes one part of a blob and makes lengths and checksums fit again, mostly."""
    header, segments, rest = _taken_apart(blob)
    kind = rng.choice(("bytes", "bytes, repaired", "header", "record", "payload", "head", "plain"))
    if kind == "bytes" or not segments:
        return plainly(blob)
    at = rng.randrange(len(segments))
    segment = segments[at]
    if kind == "bytes, repaired":
        header, segments, rest = _taken_apart(plainly(blob))
    elif kind == "header":
        header = plainly(header)
    elif kind == "record":
        known = read_header(Reader(header))
        record = plainly(known.record or b"\1\1\1")
        header = replace(known, steering=known.steering or rng.randint(1, 3), record=record).pack()
    elif kind == "payload":
        lanes = list(segment.lanes)
        lane = rng.randrange(len(lanes))
        lanes[lane] = replace(lanes[lane], payload=plainly(lanes[lane].payload))
        segments[at] = replace(segment, lanes=lanes)
    elif kind == "head":
        segments[at : at + 1] = _other_head(segment, rng)
    else:
        plain = plainly(_plain(segment) or b"\1a\0\0")
        (made,) = codec._without_model(plain, (rng.choice(("stored", "xz")),))
        segments[at] = replace(made, table=segment.table)
    if rng.random() < 0.8:
        segments = [_agreeing(segment) for segment in segments]
    packed = [s.pack(header, i, last=i == len(segments) - 1) for i, s in enumerate(segments)]
    return header + b"".join(packed) + rest


def _other_head(segment: Segment, rng: random.Random) -> list[Segment]:
    """The segment with another head, or twice, or not at all."""
    lanes = list(segment.lanes)
    by = rng.choice((-1, 1, 1, 2_000))
    longer = [replace(lane, plain_length=max(0, lane.plain_length + by)) for lane in lanes]
    return rng.choice((
        [replace(segment, lanes=longer)],
        [replace(segment, lanes=lanes * 2)],
        [replace(segment, method=rng.choice(list(Method)))],
        [replace(segment, table=not segment.table)],
        [segment, segment],
        [],
    ))


def _taken_apart(blob: bytes) -> tuple[bytes, list[Segment], bytes]:
    """Header, segments and the rest of a blob, however wrong its checksums and last lengths."""
    reader, header, segments = Reader(blob), b"", list[Segment]()
    at = 0

    def take(count: int) -> bytes:
        return reader.take(min(count, len(blob) - reader.at))

    try:
        read_header(reader)
        at = reader.at
        header = blob[:at]
        while at < len(blob):
            head = read_head(reader, len(segments))
            lanes = [Lane(plain, take(payload)) for plain, payload in head.lengths]
            segments.append(Segment(head.method, lanes, head.plain_crc, head.table))
            take(CRC_BYTES)
            at = reader.at
    except LLMCompError:
        pass
    return header, segments, blob[at:]


def _plain(segment: Segment) -> bytes:
    """A segment's plain bytes, as far as they need no model."""
    if segment.method is Method.LM or len(segment.lanes) > 1:
        return b""
    return _outcome(lambda: codec._plain_without_model(segment, 0)) or b""


def _agreeing(segment: Segment) -> Segment:
    """The segment with length and checksum of the plain bytes it holds, if these are known."""
    plain = _plain(segment)
    if not plain:
        return segment
    lanes = [replace(segment.lanes[0], plain_length=len(plain))]
    return replace(segment, lanes=lanes, plain_crc=zlib.crc32(plain))
