"""File objects, shaped like those of `lzma`.

In: a path or an open binary file. Out: an object to read plain bytes from, or write them to, while
the file holds blobs. `LLMCompressor` and `LLMDecompressor` do the same without a file.

Differences from `lzma`, all on purpose: a file that can seek is read at random without decoding
what lies before; bytes after the last blob are an error, not ignored.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from llmcomp.codec import METHODS, Steer, as_bytes
from llmcomp.container import PIECE_BYTES
from llmcomp.errors import LLMCompError
from llmcomp.models.base import LanguageModel
from llmcomp.ranges import Place, SegmentIndex, decoding_part, lane_around
from llmcomp.steps import run
from llmcomp.stream import BlobCompressor, BlobDecompressor

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["LLMCompressor", "LLMDecompressor", "LLMFile", "open"]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_MODES = frozenset(kind + b for kind in "rwxa" for b in ("", "b"))


class LLMCompressor:
    """Compresses bytes that come in pieces; `llmcomp.stream.BlobCompressor` says what that means.

    Args:
        model: and the other options, as in `llmcomp.codec.compressing`.

    Raises:
        ValueError: if an option has no such value.
        ModelError: if the model is not here.
    """

    def __init__(
        self,
        *,
        model: str | LanguageModel = "embedded",
        preset: str = "balanced",
        steer: Steer = None,
        lanes: int | None = None,
        lane_bytes: int | None = None,
        profile: str | None = None,
        margin: float | None = None,
        online: bool = True,
        verify: bool = True,
        methods: Sequence[str] = METHODS,
    ) -> None:
        self._blob = BlobCompressor(
            model=model,
            preset=preset,
            steer=steer,
            lanes=lanes,
            lane_bytes=lane_bytes,
            profile=profile,
            margin=margin,
            online=online,
            verify=verify,
            methods=methods,
        )
        self._flushed = False

    def compress(self, data: ReadableBuffer, /) -> bytes:
        """Takes the next bytes and gives what is ready of the blob; often nothing.

        Raises:
            TypeError: if ``data`` is not bytes.
            ValueError: after `flush`, or after a call that failed; or if the text grows past 1 MiB
                and the choice of steering needs all of it.
        """
        if self._flushed:
            raise ValueError("the compressor has been flushed")
        return run(self._blob.feed(as_bytes(data)))

    def flush(self) -> bytes:
        """Ends the blob and gives the rest of it.

        Raises:
            ValueError: if it was called before, or after a call that failed.
        """
        if self._flushed:
            raise ValueError("flush() was called before")
        self._flushed = True
        return run(self._blob.finish())


class LLMDecompressor:
    """Decompresses one blob that comes in pieces, as `lzma.LZMADecompressor` does.

    Args:
        model: as in `llmcomp.codec.decompressing`.
        max_bytes: as there.
    """

    def __init__(
        self, *, model: str | LanguageModel | None = None, max_bytes: int | None = None
    ) -> None:
        self._blob = BlobDecompressor(model=model, max_bytes=max_bytes)
        self._ready = bytearray()
        self._error: LLMCompError | None = None

    @property
    def eof(self) -> bool:
        """Whether the blob has ended and all of its plain bytes were given."""
        return self._blob.ended and not self._ready and self._error is None

    @property
    def needs_input(self) -> bool:
        """Whether no plain bytes can be given before more of the blob comes."""
        return self._blob.starved and not self._ready

    @property
    def unused_data(self) -> bytes:
        """What came after the blob's end."""
        return self._blob.unused if self.eof else b""

    def decompress(self, data: ReadableBuffer, max_length: int = -1) -> bytes:
        """Takes the next piece of the blob and gives plain bytes.

        Args:
            data: the piece, empty if only more plain bytes are wanted.
            max_length: give at most so many bytes; the rest comes with the next calls.

        Raises:
            TypeError: if ``data`` is not bytes.
            EOFError: after the end.
            LLMCompError: as `llmcomp.codec.decompressing` does, and again at every later call.
        """
        if self._error is not None:
            raise self._error
        if self.eof:
            raise EOFError("the blob has ended already")
        self._blob.feed(as_bytes(data))
        try:
            while max_length < 0 or len(self._ready) < max_length:
                plain = run(self._blob.decode())
                if plain is None:
                    break
                self._ready += plain
        except LLMCompError as error:
            self._error = error
            raise
        count = len(self._ready) if max_length < 0 else max_length
        given = bytes(self._ready[:count])
        del self._ready[:count]
        return given


class LLMFile(io.BufferedIOBase):
    """A file of blobs, read or written as its plain bytes, like `lzma.LZMAFile`.

    Blobs that follow one another are read as one; mode ``a`` adds one. Reading a file that can seek
    decodes only what is asked for: after a `seek` into the middle of a segment, the lane there and
    no other, so that its plain checksum cannot be looked at (see `llmcomp.ranges`). Reading on from
    there, or from a segment's start, decodes and checks the whole segment. The first `seek` over a
    segment reads all of it, to check what is stored.

    After a `write` that failed nothing more can be written, and closing leaves the blob cut: bytes
    may be missing from it.

    Args:
        filename: a path, or an open binary file, which is not closed with this one.
        mode: ``r``, ``w``, ``x`` or ``a``, each with or without ``b``.
        model: as in `llmcomp.codec.compressing` or `decompressing`.
        preset: and the following, as in `llmcomp.codec.compressing`; only for writing.

    Raises:
        TypeError: if ``filename`` is neither.
        ValueError: if there is no such mode, or an option has no use in it.
    """

    def __init__(
        self,
        filename: Path | IO[bytes],
        mode: str = "r",
        *,
        model: str | LanguageModel | None = None,
        preset: str | None = None,
        steer: Steer = None,
        lanes: int | None = None,
        lane_bytes: int | None = None,
        profile: str | None = None,
        margin: float | None = None,
        online: bool | None = None,
        verify: bool | None = None,
        methods: Sequence[str] | None = None,
    ) -> None:
        self._file: IO[bytes] | None = None
        self._own = False
        self._reading: io.BufferedReader | None = None
        self._writing: BlobCompressor | None = None
        self._written = 0
        self._broken = False
        options = {
            "preset": preset,
            "steer": steer,
            "lanes": lanes,
            "lane_bytes": lane_bytes,
            "profile": profile,
            "margin": margin,
            "online": online,
            "verify": verify,
            "methods": methods,
        }
        given = [name for name, value in options.items() if value is not None]
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r}; wanted r, w, x or a, with or without b")
        self.mode = mode[0] + "b"
        if mode[0] == "r" and given:
            raise ValueError(f"{', '.join(given)}: only for writing; a blob says how it was made")
        if mode[0] != "r":
            self._writing = BlobCompressor(
                model="embedded" if model is None else model,
                preset=preset or "balanced",
                steer=steer,
                lanes=lanes,
                lane_bytes=lane_bytes,
                profile=profile,
                margin=margin,
                online=online is not False,
                verify=verify is not False,
                methods=METHODS if methods is None else methods,
            )
        self._file, self._own = _opened(filename, self.mode)
        if mode[0] == "r":
            raw = (
                _Seeking(self._file, model) if _can_seek(self._file) else _Piped(self._file, model)
            )
            self._reading = io.BufferedReader(raw)

    @property
    def name(self) -> str | bytes | int:
        """The name of the file that holds the blob."""
        return self._open_file().name

    def close(self) -> None:
        """Ends the blob that is being written; closes the file if it was opened here.

        After a `write` that failed the blob is left cut.
        """
        if self._file is None:
            return
        try:
            if self._writing is not None and not self._broken:
                self._file.write(run(self._writing.finish()))
        finally:
            try:
                if self._own:
                    self._file.close()
            finally:
                self._file = self._reading = self._writing = None

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file is None

    def fileno(self) -> int:
        """Gives the descriptor of the file that holds the blob."""
        return self._open_file().fileno()

    def readable(self) -> bool:
        """Tells whether it was opened for reading."""
        self._open_file()
        return self._reading is not None

    def writable(self) -> bool:
        """Tells whether it was opened for writing."""
        self._open_file()
        return self._writing is not None

    def seekable(self) -> bool:
        """Tells whether plain bytes can be read at random."""
        return self.readable() and self._reader().seekable()

    def peek(self, size: int = -1) -> bytes:
        """Gives some bytes, at least one before the end, without moving on."""
        return self._reader().peek(size)

    def read(self, size: int | None = -1) -> bytes:
        """Reads so many bytes, or all that are left."""
        return self._reader().read(size)

    def read1(self, size: int = -1) -> bytes:
        """Reads some bytes, at most ``size``, decoding at most once."""
        return self._reader().read1(io.DEFAULT_BUFFER_SIZE if size < 0 else size)

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Reads into a buffer and tells how many bytes."""
        return self._reader().readinto(buffer)

    def readline(self, size: int | None = -1) -> bytes:
        """Reads up to the next end of a line."""
        return self._reader().readline(-1 if size is None else size)

    def write(self, data: ReadableBuffer) -> int:
        """Takes all of ``data``; blobs reach the file segment by segment.

        Returns:
            How many bytes.

        Raises:
            TypeError: if ``data`` is not bytes.
            ValueError: as `LLMCompressor.compress` does; or if an earlier call failed.
        """
        file = self._open_file()
        if self._writing is None:
            raise io.UnsupportedOperation("the file was not opened for writing")
        plain = as_bytes(data)
        if self._broken:
            raise ValueError("an earlier write failed, so the blob is cut; begin a new file")
        self._broken = True  # until all of it is done
        file.write(run(self._writing.feed(plain)))
        self._broken = False
        self._written += len(plain)
        return len(plain)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a plain byte; decodes nothing, but checks what is stored on the way there."""
        return self._reader().seek(offset, whence)

    def tell(self) -> int:
        """Tells how many plain bytes lie before the present place."""
        self._open_file()
        return self._written if self._reading is None else self._reading.tell()

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            raise ValueError("the file is closed")
        return self._file

    def _reader(self) -> io.BufferedReader:
        self._open_file()
        if self._reading is None:
            raise io.UnsupportedOperation("the file was not opened for reading")
        return self._reading


def open(  # noqa: A001 - the name lzma has for it
    filename: Path | IO[bytes],
    mode: str = "rb",
    *,
    model: str | LanguageModel | None = None,
    preset: str | None = None,
    steer: Steer = None,
    lanes: int | None = None,
    lane_bytes: int | None = None,
    profile: str | None = None,
    margin: float | None = None,
    online: bool | None = None,
    verify: bool | None = None,
    methods: Sequence[str] | None = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> LLMFile | io.TextIOWrapper:
    """Opens a file of blobs in binary or text mode.

    Args:
        filename: a path or an open binary file.
        mode: as of `LLMFile`, or with ``t`` for text.
        model: and the options for writing, as of `LLMFile`.
        preset: as there.
        steer: as there.
        lanes: as there.
        lane_bytes: as there.
        profile: as there.
        margin: as there.
        online: as there.
        verify: as there.
        methods: as there.
        encoding: for text, as in `io.TextIOWrapper`; and the next two.
        errors: what to do about bytes that are no text.
        newline: what ends a line.

    Raises:
        TypeError: if ``filename`` is neither.
        ValueError: if the mode contradicts itself or an option.
    """
    text = "t" in mode
    if text and "b" in mode:
        raise ValueError(f"mode {mode!r}; wanted t or b, not both")
    if not text and not encoding is errors is newline is None:
        raise ValueError("encoding, errors and newline are only for text mode")
    binary = LLMFile(
        filename,
        mode.replace("t", ""),
        model=model,
        preset=preset,
        steer=steer,
        lanes=lanes,
        lane_bytes=lane_bytes,
        profile=profile,
        margin=margin,
        online=online,
        verify=verify,
        methods=methods,
    )
    return io.TextIOWrapper(binary, encoding, errors, newline) if text else binary


def _opened(filename: Path | IO[bytes], mode: str) -> tuple[IO[bytes], bool]:
    """Opens a path; also tells whether it was one."""
    if isinstance(filename, str | bytes | os.PathLike):
        return builtins.open(filename, mode), True  # noqa: PTH123 - bytes paths too
    if hasattr(filename, "read") or hasattr(filename, "write"):
        return filename, False
    raise TypeError("filename must be a str, bytes, file or PathLike object")


def _can_seek(file: IO[bytes]) -> bool:
    return hasattr(file, "seekable") and file.seekable()


class _Seeking(io.RawIOBase):
    """Plain bytes of blobs in a seekable file, a segment or a lane at a time."""

    def __init__(self, file: IO[bytes], model: str | LanguageModel | None) -> None:
        self._file = file
        self._model = model
        self._index: SegmentIndex | None = None
        self._position = 0
        self._place: Place | None = None
        self._plain, self._start = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Gives at most what is left of the part that holds the present place."""
        if not self._start <= self._position < self._start + len(self._plain):
            self._decode()
        view = memoryview(buffer).cast("B")
        at = self._position - self._start
        part = self._plain[at : at + len(view)]
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence not in {io.SEEK_SET, io.SEEK_CUR, io.SEEK_END}:
            raise ValueError(f"whence is {whence}; wanted 0, 1 or 2")
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            offset += self._segments().length()
        position = max(0, offset)
        if offset > 0 and self._segments().find(offset) is None:  # to the end, as lzma does
            position = self._segments().length()
        self._position = position
        return position

    def _segments(self) -> SegmentIndex:
        if self._index is None:
            self._index = SegmentIndex(self._file, model=self._model, several=True)
        return self._index

    def _decode(self) -> None:
        """Decodes the part that holds the present place.

        A lane, if this is the first look into the midst of a segment; else the whole segment.
        """
        index = self._segments()
        place = index.find(self._position)
        if place is None:
            self._plain, self._start = b"", self._position
            return
        start, stop = place.start, place.stop
        if place is not self._place and self._position > start:
            start, stop = lane_around(place, self._position)
        self._place = place
        self._plain, self._start = run(decoding_part(index, place, start, stop)), start


class _Piped(io.RawIOBase):
    """Plain bytes of blobs in a file that cannot seek, from its beginning to its end."""

    def __init__(self, file: IO[bytes], model: str | LanguageModel | None) -> None:
        self._file = file
        self._model = model
        self._blob = BlobDecompressor(model=model)
        self._plain = memoryview(b"")
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._plain and self._advance():
            pass
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._plain))
        view[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        self._position += count
        return count

    def tell(self) -> int:
        return self._position

    def _advance(self) -> bool:
        """Reads a piece or decodes a segment; False at the end."""
        if self._blob.ended:
            rest = self._blob.unused or self._file.read(PIECE_BYTES)
            if not rest:
                return False
            self._blob = BlobDecompressor(model=self._model)
            self._blob.feed(rest)
        elif self._blob.starved:
            piece = self._file.read(PIECE_BYTES)
            if not piece:
                self._blob.finish()
            self._blob.feed(piece)
        self._plain = memoryview(run(self._blob.decode()) or b"")
        return True
