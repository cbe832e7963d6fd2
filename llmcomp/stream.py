"""Compressing and decompressing piece by piece, in memory that does not grow with the input.

In: bytes as they come. Out: segments of a blob as they are full, or their plain bytes as they are
decoded and checked. What happens to a segment is the codec's business; a stream only decides when.

    pieces -> held back, at most 1 MiB -> segments, the last one flagged -> pieces of a blob

The last segment is flagged and nobody knows it is the last until the input ends: so a compressor
holds back up to 1 MiB of plain bytes, and never anything coded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from llmcomp.bill import Bill
from llmcomp.codec import (
    METHODS,
    Kept,
    Plan,
    SegmentDecoder,
    SegmentEncoder,
    Steer,
    as_bytes,
    compressing_as_planned,
    numerics_for,
)
from llmcomp.container import PIECE_BYTES, SEGMENT_BYTES, Parser, Profile, Segment
from llmcomp.errors import FormatError, LLMCompError
from llmcomp.models import load_model
from llmcomp.models.base import LanguageModel
from llmcomp.pace import Pace, check_limit, in_words
from llmcomp.steering.choices import Auto, Choice, Trained, candidates, parse
from llmcomp.steering.kinds import NoSteering, Steering
from llmcomp.steps import Progress, Steps

__all__ = [
    "BlobCompressor",
    "BlobDecompressor",
    "Source",
    "Target",
    "compressing_stream",
    "decompressing_stream",
    "limited",
    "needs_whole_text",
]

T = TypeVar("T")


class Source(Protocol):
    """What is read from: any binary file."""

    def read(self, size: int, /) -> bytes:
        """Gives at most ``size`` bytes, none at the end."""


class Target(Protocol):
    """What is written to: any binary file."""

    def write(self, data: bytes, /) -> object:
        """Takes all of ``data``."""


def needs_whole_text(choice: Choice) -> bool:
    """Tells whether steering cannot be chosen before the last byte of the text is known."""
    if isinstance(choice, Auto):
        return True
    if isinstance(choice, Trained):
        return choice.corpus is None
    return isinstance(choice, Sequence) and len(choice) > 1


class BlobCompressor:
    """Compresses bytes that come in pieces of any size.

    Without steering the pieces join to what `llmcomp.codec.compressing` makes of the whole. A text
    of at most 1 MiB is held whole, so every choice of steering works as it does there. Of a longer
    one the header is written before the text is known: steering must then be one way, given
    beforehand, and it cannot be left out again; nor can a margin that was too narrow grow.

    After any exception, also an interrupt, it is of no more use: bytes of the blob may be lost.

    Args:
        total: bytes in all, if known; for progress, estimates and an early refusal only.
        max_seconds: once the estimate says that the job would take longer, the rest is kept
            without the model, and the bill says so.
        table: of the archive that the blob is to be, see `llmcomp.table`; None for no archive.
        model: and the other options, as in `llmcomp.codec.compressing`.

    Attributes:
        bill: where the bits went so far.
        steering: what stands in front of the text.
        tried: as in `llmcomp.codec.Compressed`.
        kept: as in `llmcomp.codec.Compressed`.

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
        total: int | None = None,
        max_seconds: float | None = None,
        table: bytes | None = None,
    ) -> None:
        self._planned = partial(
            Plan.make,
            preset=preset,
            lanes=lanes,
            lane_bytes=lane_bytes,
            verify=verify,
            methods=methods,
            trace=False,
            online=online,
        )
        plan = self._planned(total or 0)
        check_limit(max_seconds)
        self._choice = parse(steer)
        self._require_beforehand(total or 0)
        self._model = load_model(model) if isinstance(model, str) else model
        numerics = numerics_for(self._model, profile, margin)
        self._plan = replace(plan, numerics=numerics, table=table)
        self._total = total
        self._max_seconds = max_seconds
        self._pace = Pace(("encode", "verify") if verify else ("encode",))
        self._encoder: SegmentEncoder | None = None
        self._reader = Parser()
        self._held = bytearray()
        self._start = self._index = 0
        self._late = self._broken = False
        self.bill = Bill()
        self.steering: Steering = NoSteering()
        self.tried: Sequence[tuple[str, int]] = ()
        self.kept = 0

    def feed(self, data: bytes) -> Steps[bytes]:
        """Takes the next piece and compresses what is full.

        Yields:
            `Progress`, in bytes.

        Returns:
            The next bytes of the blob; often none.

        Raises:
            TypeError: if ``data`` is not bytes.
            ValueError: if the text grows past 1 MiB and the choice of steering needs all of it; if
                ``lane_bytes`` makes too many lanes; or if an earlier call failed.
            ModelError: if a soft prompt was made for another model.
        """
        return (yield from self._once(self._feed(as_bytes(data))))

    def finish(self) -> Steps[bytes]:
        """Compresses what is held back and ends the blob.

        Yields:
            `Progress`, in bytes.

        Returns:
            The last bytes of the blob.

        Raises:
            ValueError: as `feed` does.
            ModelError: as `feed` does.
        """
        return (yield from self._once(self._finish()))

    def _once(self, steps: Steps[bytes]) -> Steps[bytes]:
        """Runs a call, unless an earlier one was left before its end."""
        if self._broken:
            raise ValueError(
                "an earlier call failed, so bytes of the blob are lost; begin with a new compressor"
            )
        self._broken = True
        result = yield from steps
        self._broken = False
        return result

    def _feed(self, data: bytes) -> Steps[bytes]:
        self._held += data
        self._require_beforehand(self._start + len(self._held))
        parts = []
        while len(self._held) > SEGMENT_BYTES:
            window = bytes(self._held[:SEGMENT_BYTES])
            self._planned(len(window))  # how many lanes lane_bytes makes is known only now
            parts.append((yield from self._window(window, last=False)))
            del self._held[:SEGMENT_BYTES]
        return b"".join(parts)

    def _finish(self) -> Steps[bytes]:
        window = bytes(self._held)
        self._held.clear()
        self._planned(len(window))
        came_whole = self._encoder is None and len(window) <= SEGMENT_BYTES
        # what may have to be tried again, with other steering or a wider margin
        several = self._choice != NoSteering() or self._plan.numerics.profile is Profile.TOLERANT
        if came_whole and several:
            return (yield from self._whole(window))
        return (yield from self._window(window, last=True))

    def _whole(self, data: bytes) -> Steps[bytes]:
        """Compresses a text that came whole, with every choice there is."""
        steps = compressing_as_planned(data, self._model, self._plan, self._choice)
        result = yield from self._in_time(steps)
        if result is None:
            self._choice = NoSteering()
            return (yield from self._window(data, last=True))
        self.bill, self.steering = result.bill, result.steering
        self.tried, self.kept = result.tried, result.kept
        return result.blob

    def _window(self, plain: bytes, *, last: bool) -> Steps[bytes]:
        """Compresses the next window into segments of the blob."""
        header, kept = b"", list[Kept]()
        if self._encoder is None:
            self._encoder = yield from self._begin()
            header, kept = self._encoder.header.pack(), self._encoder.keep_table()
        if plain or not kept:  # an archive of empty files is its table alone
            kept += yield from self._keep(plain, self._encoder, last=last)
        total = max(self._total or 0, self._start + len(plain))
        packed_header = self._encoder.header.pack()
        packed = b"".join(
            k.segment.pack(packed_header, self._index + i, last=last and k is kept[-1])
            for i, k in enumerate(kept)
        )
        self._read_back(header + packed, len(kept))
        bill = self._encoder.bill(kept, packed_header + packed)
        if not header:  # it is billed once
            bill.total_bytes -= len(packed_header)
            bill.header_bits = bill.steering_bits = bill.prompt_bits = 0.0
        self.bill.add(bill)
        self._start += len(plain)
        self._index += len(kept)
        yield Progress("encode", self._start, max(total, self._start))
        return header + packed

    def _keep(self, plain: bytes, encoder: SegmentEncoder, *, last: bool) -> Steps[list[Kept]]:
        """Keeps a window with the model, or without it once time is up."""
        kept = None
        if not self._late:
            total = max(self._total or 0, self._start + len(plain))
            alone = last and not self._start
            steps = encoder.keep(plain, self._start, total, alone=alone)
            kept = yield from self._in_time(steps)
        return encoder.keep_without_model(plain) if kept is None else kept

    def _require_beforehand(self, n_bytes: int) -> None:
        """Checks that the steering of a text of at least so many bytes can be chosen in time."""
        if n_bytes > SEGMENT_BYTES and needs_whole_text(self._choice):
            raise ValueError(
                "this steering is chosen by looking at the whole text, and the text is longer "
                "than the 1 MiB that a stream holds back; train a prompt on a part of it first "
                "(steer train) and give its .steer file, or use compress(), which takes it whole"
            )

    def _begin(self) -> Steps[SegmentEncoder]:
        (way,) = yield from candidates(self._choice, self._model, b"")
        self.steering = way
        return SegmentEncoder(self._model, way, self._plan)

    def _read_back(self, packed: bytes, count: int) -> None:
        """Parses what will be written: what this release writes it also reads."""
        self._reader.feed(packed)
        if sum(1 for _ in iter(self._reader.next_segment, None)) != count:
            raise AssertionError("a segment that was just packed does not parse")

    def _in_time(self, steps: Steps[T]) -> Steps[T | None]:
        """Runs a job to its end, or to where the estimate passes the limit: then None."""
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            self._pace.note(step)
            left = self._pace.left()
            if self._max_seconds is not None and left is not None:
                seconds = self._pace.elapsed + left
                if seconds > self._max_seconds:
                    steps.close()
                    self._late = True
                    self.bill.notes.append(
                        f"with the model this would take about {in_words(seconds)}, more than the "
                        f"{in_words(self._max_seconds)} allowed: bytes from {self._start} on are "
                        "kept without it"
                    )
                    return None
            yield step


class BlobDecompressor:
    """Decompresses a blob that comes in pieces of any size, segment by segment.

    A segment's stored checksum holds before a model runs on it, and its plain checksum holds before
    any of its bytes are handed out. After any exception, also an interrupt, the next `decode`
    begins the same segment again.

    Args:
        model: as in `llmcomp.codec.decompressing`.
        max_bytes: as there; a blob that goes on past it is refused before it is decoded so far.
        total: plain bytes in all, if known; for progress only.

    Attributes:
        done: plain bytes decoded so far.
    """

    def __init__(
        self,
        *,
        model: str | LanguageModel | None = None,
        max_bytes: int | None = None,
        total: int | None = None,
    ) -> None:
        self._model = model
        self._max_bytes = max_bytes
        self._total = total
        self._parser = Parser()
        self._decoder: SegmentDecoder | None = None
        self._segment: Segment | None = None  # parsed, and not decoded yet
        self._index = 0
        self.done = 0

    @property
    def ended(self) -> bool:
        """Whether the last segment has been decoded."""
        return self._parser.ended and self._segment is None

    @property
    def starved(self) -> bool:
        """Whether `decode` can do nothing before more is fed."""
        return self._parser.starved and self._segment is None

    @property
    def unused(self) -> bytes:
        """What came after the blob's end."""
        return self._parser.unused if self.ended else b""

    def feed(self, data: bytes) -> None:
        """Takes the next piece of the blob.

        Raises:
            TypeError: if it is not bytes.
        """
        self._parser.feed(as_bytes(data))

    def decode(self) -> Steps[bytes | None]:
        """Decodes the next segment.

        Yields:
            `Progress`, in plain bytes.

        Returns:
            Its plain bytes; None if it has not come whole, or the blob has ended.

        Raises:
            LLMCompError: as `llmcomp.codec.decompressing` does, but a blob that is not whole yet is
                no error.
        """
        if self._segment is None:
            self._segment = self._parser.next_segment()
        segment = self._segment
        if segment is None or self._parser.header is None:
            return None
        if self._decoder is None:
            self._decoder = SegmentDecoder(self._parser.header, self._model)
        so_far = self.done + segment.plain_length
        if self._max_bytes is not None and so_far > self._max_bytes:
            raise FormatError(
                f"the blob decodes to {so_far:,} bytes or more; at most {self._max_bytes:,} are "
                "allowed here"
            )
        total = max(self._total or 0, so_far)
        plain, _ = yield from self._decoder.decode(segment, self._index, self.done, total)
        self.done, self._index, self._segment = so_far, self._index + 1, None
        return plain

    def finish(self) -> None:
        """Says that nothing more comes; call it when `decode` has nothing more to give.

        Raises:
            FormatError: if nothing came at all.
            DamagedError: if the blob is cut, or bytes follow its end.
        """
        self._parser.finish()


def compressing_stream(
    source: Source, target: Target, compressor: BlobCompressor
) -> Steps[BlobCompressor]:
    """Compresses a file into another in bounded memory.

    Args:
        source: open for reading.
        target: open for writing.
        compressor: a fresh one, which says how.

    Yields:
        `Progress`, in bytes.

    Returns:
        The compressor, with its bill.

    Raises:
        ValueError: as `BlobCompressor.feed` does, and so for other errors.
    """
    for piece in _pieces(source):
        target.write((yield from compressor.feed(piece)))
    target.write((yield from compressor.finish()))
    return compressor


def decompressing_stream(
    source: Source,
    target: Target,
    decompressor: BlobDecompressor,
    *,
    max_seconds: float | None = None,
) -> Steps[int]:
    """Decompresses a file into another in bounded memory.

    Args:
        source: open for reading.
        target: open for writing.
        decompressor: a fresh one, which says how.
        max_seconds: refuse as soon as the estimate says that it would take longer.

    Yields:
        `Progress`, in plain bytes.

    Returns:
        How many plain bytes were written.

    Raises:
        ValueError: if ``max_seconds`` is not above 0.
        LLMCompError: as `llmcomp.codec.decompressing` does; also if it would take too long.
    """
    check_limit(max_seconds)
    pace = Pace(("decode",))
    for piece in _pieces(source):
        decompressor.feed(piece)
        while not decompressor.starved and not decompressor.ended:
            steps = decompressor.decode()
            plain = yield from limited(steps, pace, max_seconds)
            if plain is None:
                break
            target.write(plain)
        if decompressor.unused:
            break
    decompressor.finish()
    return decompressor.done


def limited(steps: Steps[T], pace: Pace, max_seconds: float | None) -> Steps[T]:
    """Runs a job and refuses to go on once it would take too long.

    Args:
        steps: the job, or one part of it.
        pace: of the whole job.
        max_seconds: how long that may take, None for any time.

    Raises:
        LLMCompError: once the estimate says that it would take longer.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        pace.note(step)
        left = pace.left()
        if max_seconds is not None and left is not None and pace.elapsed + left > max_seconds:
            raise LLMCompError(
                f"decoding would take about {in_words(pace.elapsed + left)}, more than the "
                f"{in_words(max_seconds)} allowed; allow more with --max-seconds"
            )
        yield step


def _pieces(source: Source) -> Iterator[bytes]:
    return iter(lambda: source.read(PIECE_BYTES), b"")
