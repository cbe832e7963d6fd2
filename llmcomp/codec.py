"""compress, decompress, trace: bytes to a blob and back, over everything above.

Each job is a generator of `Progress` whose return value is the result, so that one code path
serves the library, the command line's progress bar and an app with a Stop button; the plain
functions only run it to its end.

    bytes -> segments of 1 MiB -> stored | xz | lm, the smallest -> frames -> blob
                                             tokens -> lanes -> decisions -> payloads
"""

from __future__ import annotations

import io
import lzma
import math
import os
import warnings
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from llmcomp.agreement import (
    EXACT,
    MARGINS,
    Agreement,
    Rulers,
    UnsettledError,
    margin_exponent,
    margin_option,
)
from llmcomp.bill import Bill, ModelSize, rate_of
from llmcomp.blocks import cut_blocks, join_alike, worth
from llmcomp.container import (
    FIXED,
    MAX_LANES,
    NAMED_MODEL,
    PIECE_BYTES,
    SEGMENT_BYTES,
    VERSION,
    Container,
    Header,
    Lane,
    Method,
    Numerics,
    Parser,
    Profile,
    Segment,
    pack,
    unpack,
)
from llmcomp.errors import (
    DamagedError,
    FormatError,
    LLMCompWarning,
    MismatchError,
    ModelError,
)
from llmcomp.lanes import EncodedLane, Witness, decode_lanes, encode, encode_stepwise, record
from llmcomp.models import MODELS, load_downloaded, load_model, model_by_number, size_of_named
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.schedule import PRESETS, SCHEDULES, Preset, Schedule, cut_bytes, cut_evenly
from llmcomp.steering.choices import Choice, candidates, parse
from llmcomp.steering.kinds import (
    NoSteering,
    Steering,
    describe,
    read_record,
    through_record,
)
from llmcomp.steering.kinds import steer as steer_model
from llmcomp.steering.soft_prompt import SoftPrompt
from llmcomp.steps import Progress, Steps, relay, run, share
from llmcomp.table import Member, read_table
from llmcomp.tracing import Trace

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

METHODS = ("lm", "xz", "stored")

Steer = str | Choice | SoftPrompt | None
"""How to say what stands in front of a text; see `compressing`."""

_PROBE_BYTES = 4096
_WATCHED_TOKENS = 20  # a second or two of a picture that shows them falling
_WIDER = 3  # a margin that was too narrow grows eightfold
_XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": SEGMENT_BYTES}]


@dataclass(frozen=True, slots=True)
class Compressed:
    """A blob, where its bits went, and what the coder did if that was asked for.

    Attributes:
        blob: the file.
        bill: its bits, by purpose.
        trace: of the model's work on the first segment, also where another method needed fewer
            bytes and stands in the blob; None if it was not asked for or the model did not work.
        steering: what stands in front of the text.
        tried: if there was a choice, every way of steering in words and its blob's bytes.
        kept: the place of the kept one among them.
    """

    blob: bytes
    bill: Bill
    trace: Trace | None
    steering: Steering
    tried: Sequence[tuple[str, int]] = ()
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Decompressed:
    """The plain bytes, and what the coder did if that was asked for."""

    data: bytes
    trace: Trace | None


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a blob says of itself; no model is loaded to read it.

    Attributes:
        profile: ``fixed``, ``tolerant`` or ``replay``.
        numerics: what that asks of a decoder's numbers, in words.
        dtype: what its model computed in, one of `llmcomp.container.DTYPES`.
        model: registry name, ``owner/model@commit``, or ``model <number>`` if unknown here.
        schedule: how lanes move their windows.
        steering: what stands in front of every window, in words.
        steering_bytes: what that takes of the blob.
        plain_bytes: what it decodes to, an archive's table aside.
        total_bytes: its own size.
        model_size: what the named model weighs, None if it is not on this machine.
        segments: method, plain bytes, payload bytes and lanes of each; an archive's first one is
            its table.
        members: an archive's files, None if it is no archive.
    """

    version: int
    profile: str
    numerics: str
    dtype: str
    model: str
    fingerprint: str
    schedule: Schedule
    steering: str
    steering_bytes: int
    plain_bytes: int
    total_bytes: int
    model_size: ModelSize | None
    segments: Sequence[tuple[str, int, int, int]]
    helped_segments: int
    members: Sequence[Member] | None = None

    @property
    def rate(self) -> float:
        """Compressed bytes over raw bytes; 0 for an empty input."""
        return rate_of(self.total_bytes, self.plain_bytes)

    @property
    def needs_model(self) -> bool:
        """Whether any segment was coded by a model."""
        return any(method == "lm" for method, *_ in self.segments)

    @property
    def adjusted_rates(self) -> tuple[float, float] | None:
        """The rate with the model counted, see `ModelSize`; None if that is not on this machine."""
        if not self.needs_model:
            return self.rate, self.rate
        if self.model_size is None:
            return None
        return self.model_size.adjusted_rates(self.total_bytes, self.plain_bytes)


def compress(
    data: bytes,
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
) -> bytes:
    """Compresses bytes in one go; see `compressing` for the options and errors.

    Returns:
        A .llmc blob.
    """
    steps = compressing(
        data,
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
    return run(steps).blob


def decompress(
    blob: bytes, *, model: str | LanguageModel | None = None, max_bytes: int | None = None
) -> bytes:
    """Decompresses a blob in one go; see `decompressing` for the options and errors."""
    return run(decompressing(blob, model=model, max_bytes=max_bytes)).data


def trace(
    data: bytes,
    *,
    model: str | LanguageModel = "embedded",
    preset: str = "balanced",
    steer: Steer = None,
    lanes: int | None = None,
    lane_bytes: int | None = None,
    online: bool = True,
) -> Trace:
    """Compresses bytes with the model and returns what the coder did, first segment only.

    Its lanes' payloads are those of the blob that ``methods=("lm",)`` gives. See `compressing`
    for the options and errors.

    Raises:
        ValueError: also if the input is empty.
    """
    steps = compressing(
        data,
        model=model,
        preset=preset,
        steer=steer,
        lanes=lanes,
        lane_bytes=lane_bytes,
        online=online,
        verify=False,
        methods=("lm",),
        trace=True,
    )
    found = run(steps).trace
    if found is None:
        raise ValueError("there is nothing to trace in an empty input")
    return found


def compressing(
    data: bytes,
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
    trace: bool = False,
) -> Steps[Compressed]:
    """Compresses bytes, step by step.

    Args:
        data: any bytes.
        model: a registry name, an exported directory, or a loaded model.
        preset: ``fast``, ``balanced`` or ``small``.
        steer: what stands in front of every window: ``none``, ``text`` or ``text:STRING``,
            ``random``, ``trained``, ``auto``, the path of a ``.steer`` file, a `SoftPrompt`, or a
            choice with options of its own (`llmcomp.steering`). If there are several candidates,
            the smallest blob wins; steering that no segment uses is left out.
        lanes: lanes of every segment, in place of the preset's choice.
        lane_bytes: cut lanes every so many bytes and tokenise each alone, as system 000 does.
        profile: how the decoder will come to the same probabilities: ``fixed`` (the same numbers
            everywhere), ``tolerant`` (nearly the same, and a few bits bridge the rest) or
            ``replay`` (the same steps in the same environment). The model's usual one by default.
        margin: in profile ``tolerant``, how far two machines' log-odds of a decision may lie
            apart; rounded up to a power of two. The model's own by default.
        online: let statistics of the text itself help the model (`llmcomp.online`) in every
            segment that gets smaller by it.
        verify: decode every segment again through the cached path before it is written; one that
            fails is kept without the model, and the bill says so.
        methods: what may be used of ``lm``, ``xz`` and ``stored``; the smallest wins.
        trace: record the coder's steps in the first segment; only in profile ``fixed``.

    Yields:
        `Progress`, in bytes.

    Raises:
        TypeError: if ``data`` is not bytes.
        ValueError: if an option has no such value.
        ModelError: if the model is not here, or a soft prompt was made for another one.
    """
    plain = as_bytes(data)
    plan = Plan.make(len(plain), preset, lanes, lane_bytes, verify, methods, trace, online=online)
    choice = parse(steer)
    loaded = load_model(model) if isinstance(model, str) else model
    plan = replace(plan, numerics=numerics_for(loaded, profile, margin))
    if trace and plan.numerics.profile is not Profile.FIXED:
        raise ValueError("only what profile fixed does is recorded; leave trace out")
    return compressing_as_planned(plain, loaded, plan, choice)


def decompressing(
    blob: bytes,
    *,
    model: str | LanguageModel | None = None,
    max_bytes: int | None = None,
    trace: bool = False,
    watch: Callable[[Trace], None] | None = None,
) -> Steps[Decompressed]:
    """Decompresses a blob, step by step.

    Args:
        blob: a whole .llmc blob.
        model: the model to use when the blob names none of the registry's.
        max_bytes: refuse a blob that decodes to more. A few bytes may claim a mebibyte of likely
            text, and decoding takes time in proportion to what is claimed: set this for blobs
            from strangers.
        trace: record the coder's steps in the first segment, if a model of profile ``fixed``
            coded it.
        watch: called with that trace piece by piece, every few tokens, while they are decoded; only
            if the first segment has a single lane. To see it live costs some time.

    Yields:
        `Progress`, in bytes.

    Raises:
        TypeError: if ``blob`` is not bytes.
        FormatError: if it is not a .llmc blob, is of a newer format (`VersionError`), decodes to
            more than ``max_bytes``, or is an archive.
        DamagedError: if it is cut or a stored checksum fails; no model has run then.
        ModelError: if the model it names is not here.
        MismatchError: if the decoded bytes fail their checksum.

    Warns:
        LLMCompWarning: if a blob of profile ``tolerant`` was made for a narrower margin than the
            model asks for here; decoding may then end in a MismatchError.
    """
    parsed = unpack(as_bytes(blob))
    if max_bytes is not None and parsed.plain_length > max_bytes:
        raise FormatError(
            f"the blob decodes to {parsed.plain_length:,} bytes; at most {max_bytes:,} are allowed "
            "here"
        )
    return _decompressing(parsed, model, trace, watch)


def get_info(source: ReadableBuffer | os.PathLike[str] | IO[bytes]) -> BlobInfo:
    """Reads what a blob says of itself, without loading a model.

    All of the blob is read, a segment at a time, and every stored checksum is looked at: header,
    lengths and payloads are then as they were written. The plain checksums are not, except an
    archive's table's: whether this machine's model gives the same text, only decoding tells.

    Args:
        source: a blob, the path of one, or a file that holds one from its present position on; it
            need not be seekable.

    Raises:
        TypeError: if it is none of these; a str is no path here.
        OSError: if it cannot be read.
        LLMCompError: as `decompressing` does for a blob that is not whole; also if a segment claims
            more stored bytes than any encoder makes, so that memory stays bounded.
    """
    if isinstance(source, os.PathLike):
        with Path(source).open("rb") as opened:
            return get_info(opened)
    file, parser = as_file(source), Parser()
    total_bytes, n_helped, table = 0, 0, None
    segments: list[tuple[str, int, int, int]] = []
    while not parser.unused and (piece := as_bytes(file.read(PIECE_BYTES))):
        total_bytes += len(piece)
        parser.feed(piece)
        for segment in iter(parser.next_segment, None):
            table = segment if segment.table else table
            n_helped += segment.helped
            stored = sum(len(lane.payload) for lane in segment.lanes)
            method = segment.method.name.lower()
            segments.append((method, segment.plain_length, stored, len(segment.lanes)))
    parser.finish()
    header = cast("Header", parser.header)  # or finish() had raised
    plain_bytes = sum(plain for _, plain, _, _ in segments[table is not None :])
    return BlobInfo(
        version=VERSION,
        profile=header.numerics.profile.name.lower(),
        numerics=_describe(header.numerics),
        dtype=header.numerics.dtype,
        model=header.name or MODELS.get(header.model, f"model {header.model}"),
        fingerprint=header.fingerprint.hex(),
        schedule=header.schedule,
        steering=describe(header.steering, header.record),
        steering_bytes=len(header.packed_record()),
        plain_bytes=plain_bytes,
        total_bytes=total_bytes,
        model_size=size_of_named(header.model, header.name),
        segments=segments,
        helped_segments=n_helped,
        members=None if table is None else read_table(plain_table(table), plain_bytes),
    )


def asks_the_model(data: bytes, methods: Sequence[str] = METHODS) -> bool:
    """Tells whether any segment is worth the model's work, and so a prompt worth training."""
    return "lm" in methods and any(
        not _hopeless(plain, _without_model(plain, methods))
        for plain in (
            data[start : start + SEGMENT_BYTES] for start in range(0, len(data), SEGMENT_BYTES)
        )
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of a compression, checked; with ``table``, what is compressed is an archive."""

    preset: Preset
    lanes: int | None
    lane_bytes: int | None
    verify: bool
    methods: Sequence[str]
    trace: bool
    online: bool
    numerics: Numerics = FIXED
    table: bytes | None = None

    @classmethod
    def make(
        cls,
        n_bytes: int,
        preset: str,
        lanes: int | None,
        lane_bytes: int | None,
        verify: bool,
        methods: Sequence[str],
        trace: bool,
        *,
        online: bool,
    ) -> Plan:
        """Checks the options of `compressing`, for an input of ``n_bytes`` bytes.

        Raises:
            ValueError: if one has no such value.
        """
        if preset not in PRESETS:
            raise ValueError(f"preset {preset!r}; wanted one of {', '.join(PRESETS)}")
        if not methods or any(method not in METHODS for method in methods):
            raise ValueError(f"methods {tuple(methods)}; wanted some of {', '.join(METHODS)}")
        for name, value in (("lanes", lanes), ("lane_bytes", lane_bytes)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wanted at least 1")
        cuts = math.ceil(min(n_bytes, SEGMENT_BYTES) / lane_bytes) if lane_bytes else lanes or 1
        if cuts > MAX_LANES:
            raise ValueError(f"{cuts} lanes in a segment; the format has at most {MAX_LANES}")
        if lanes is not None and lane_bytes is not None:
            raise ValueError("give lanes or lane_bytes, not both")
        return cls(PRESETS[preset], lanes, lane_bytes, verify, tuple(methods), trace, online)

    def header(self, model: LanguageModel, steering: Steering) -> Header:
        """Makes the header of a blob.

        Behind a prompt the schedule goes by its number, and both sides shrink it alike.
        """
        whole = SCHEDULES[self.preset.schedule]
        schedule = whole if steering.number else whole.fitted(model.context_length)
        return Header(
            NAMED_MODEL if model.source else model.number,
            model.fingerprint[:2],
            schedule,
            steering.number,
            steering.pack(),
            self.numerics,
            model.source,
        )

    def cut(self, model: LanguageModel, data: bytes) -> list[Tokens]:
        """Tokenises a segment and cuts it into lanes."""
        if self.lane_bytes is not None:
            return [model.tokenizer.encode(part) for part in cut_bytes(data, self.lane_bytes)]
        tokens = model.tokenizer.encode(data)
        n_lanes = min(self.lanes or self.preset.lanes_for(len(tokens)), max(1, len(tokens)))
        return [tokens[part] for part in cut_evenly(len(tokens), n_lanes)]


def compressing_as_planned(
    data: bytes, model: LanguageModel, plan: Plan, choice: Choice
) -> Steps[Compressed]:
    """Tries every way of steering that was asked for and keeps the smallest blob.

    Args:
        data: the whole input.
        model: the language model.
        plan: the options, checked for this input.
        choice: what stands in front of every window.

    Yields:
        `Progress`, in bytes.

    Raises:
        ModelError: as `compressing` does.
    """
    ways: list[Steering] = [NoSteering()]
    if choice != NoSteering() and asks_the_model(data, plan.methods):
        ways = yield from candidates(choice, model, data)
    best, tried = 0, []
    if len(ways) > 1:
        draft = replace(plan, verify=False, trace=False)
        for index, way in enumerate(ways):
            result = yield from share(_steered(data, model, draft, way), index, len(ways))
            left_out = ", left out" * (result.steering is not way)
            tried.append((f"{way}{left_out}", len(result.blob)))
        sizes = [size for _, size in tried]
        best = sizes.index(min(sizes))
    result = yield from _steered(data, model, plan, ways[best])
    if result.steering is ways[best]:
        return replace(result, tried=tried, kept=best)
    # the prompt was left out, but the model may do well without one
    bare = yield from _steered(data, model, plan, NoSteering())
    bare.bill.notes[:0] = result.bill.notes
    if tried:
        bare = replace(bare, tried=[*tried, (str(NoSteering()), len(bare.blob))], kept=len(tried))
    return bare


def _steered(
    data: bytes, model: LanguageModel, plan: Plan, steering: Steering
) -> Steps[Compressed]:
    """Compresses with one way of steering, as its record says it, or without if that is smaller."""
    encoder = SegmentEncoder(model, steering, plan)
    header = encoder.header
    kept = encoder.keep_table()
    n_tables = len(kept)
    for start in range(0, len(data) or 1 - n_tables, SEGMENT_BYTES):  # no blob is without segments
        plain = data[start : start + SEGMENT_BYTES]
        alone = len(plain) == len(data)
        kept += yield from encoder.keep(plain, start, len(data), alone=alone)
    first_trace = kept[n_tables].trace if data else None
    notes = [k.note for k in kept if k.note]
    margin = plan.numerics.margin - _WIDER
    if margin in MARGINS and any(k.misread for k in kept):
        wider = replace(plan, numerics=replace(plan.numerics, margin=margin))
        result = yield from _steered(data, model, wider, steering)
        result.bill.notes.insert(0, f"2**-{margin + _WIDER} was too narrow a margin: {notes[0]}")
        return result
    if steering.number:
        # a prompt may weigh more than the model saves
        bare, others = plan.header(model, NoSteering()), [k.without_model() for k in kept]
        segments = [k.segment for k in others if k is not None]
        if len(segments) == len(kept) and (
            len(pack(bare, segments)) <= len(pack(header, [k.segment for k in kept]))
        ):
            notes.append(f"steering ({steering}) is left out: without it the file is no larger")
            steering, header = NoSteering(), bare
            kept = [k for k in others if k is not None]
    segments = [k.segment for k in kept]
    blob = pack(header, segments)
    unpack(blob)  # what this release writes it also reads
    bill = _bill(header, steering, model, kept, blob)
    bill.notes = notes
    return Compressed(blob, bill, first_trace, steering)


class SegmentEncoder:
    """Turns plain bytes into segments of one blob, window by window.

    Args:
        model: the language model.
        steering: what stands in front of every window, used as its record says it.
        plan: the options.

    Attributes:
        header: of the blob.
        steering: as given.
    """

    def __init__(self, model: LanguageModel, steering: Steering, plan: Plan) -> None:
        self.header = plan.header(model, steering)
        self.steering = steering
        self._model = steer_model(model, through_record(steering, model))
        self._schedule = self.header.schedule.fitted(self._model.context_length)
        self._plan = plan

    def keep_table(self) -> list[Kept]:
        """Keeps an archive's table, by whichever method takes least of those without the model.

        Returns:
            One segment, or none if the blob is to be no archive.
        """
        if self._plan.table is None:
            return []
        ways = _without_model(self._plan.table, ("stored", "xz"))
        segment = replace(min(ways, key=_framed_size), table=True)
        return [Kept(segment, None, segment)]

    def keep(self, plain: bytes, start: int, total: int, *, alone: bool) -> Steps[list[Kept]]:
        """Keeps at most a segment's worth of bytes, as few as may be.

        Args:
            plain: bytes[at most `SEGMENT_BYTES`].
            start: where they lie in the input.
            total: bytes in all, as far as is known; for progress only.
            alone: whether these are all of the input; then they are tried with the model as long
                as xz shrinks them.
        """
        parts = self._parts(plain, alone=alone)
        if len(parts) == 1 and not parts[0][1]:
            return self.keep_without_model(plain)
        if len(parts) == 1:
            return [(yield from self._segment(plain, start, total))]
        kept: list[Kept] = []
        for part, asked in parts:
            if asked:
                kept.append((yield from self._segment(part, start, total)))
            else:
                kept += self.keep_without_model(part)
            start += len(part)
            yield Progress("encode", start, total)
        whole = self.keep_without_model(plain)
        return min(kept, whole, key=lambda way: sum(_framed_size(k.segment) for k in way))

    def _segment(self, plain: bytes, start: int, total: int) -> Steps[Kept]:
        return _segment(plain, start, total, self._model, self._schedule, self._plan)

    def _parts(self, plain: bytes, *, alone: bool) -> list[tuple[bytes, bool]]:
        """Cuts a window where blocks for the model and others meet; tells which are which."""
        blocks = cut_blocks(plain)
        if len(blocks) == 1 or not {"lm", "xz"} <= set(self._plan.methods):
            return [(plain, True)]
        if _hopeless(plain, _without_model(plain, ("xz",))):
            return [(plain, False)]
        sizes = [len(_xz(block)) for block in blocks]
        parts = join_alike(blocks, worth(blocks, sizes, self._model, self._schedule))
        return [(plain, True)] if len(parts) == 1 and alone else parts

    def keep_without_model(self, plain: bytes) -> list[Kept]:
        """Keeps bytes without asking the model, even if only the model was to be used."""
        others = _without_model(plain, self._plan.methods) or _without_model(plain, ("xz",))
        smallest = min(others, key=_framed_size)
        return [Kept(smallest, None, smallest)]

    def bill(self, kept: Sequence[Kept], blob: bytes) -> Bill:
        """Bills a blob that is this header and these segments."""
        return _bill(self.header, self.steering, self._model, kept, blob)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A segment coded by the model, and what that cost."""

    segment: Segment
    lanes: Sequence[EncodedLane]
    n_tokens: int
    trace: Trace | None

    def bill(self, bill: Bill) -> None:
        """Adds this segment's payload to a bill."""
        bill.n_tokens += self.n_tokens
        for lane in self.lanes:
            bill.ideal_bits += lane.ideal_bits
            bill.help_bits += lane.help_bits
            bill.agreement_bits += lane.agreement_bits
            coded_for = lane.ideal_bits + lane.help_bits + lane.agreement_bits
            bill.coder_bits += lane.spent_bits - coded_for
            bill.tail_bits += 8 * len(lane.payload) - lane.spent_bits


@dataclass(frozen=True, slots=True)
class Kept:
    """How a segment is kept.

    Attributes:
        segment: the smallest that decodes.
        coded: the model's work, if the segment is that.
        other: the smallest that needs no model, None if only the model's is wanted.
        trace: of the model's work, used or not.
        note: what the reader of the bill should know.
        misread: whether the model's work did not decode to itself.
    """

    segment: Segment
    coded: _Coded | None
    other: Segment | None
    trace: Trace | None = None
    note: str = ""
    misread: bool = False

    def without_model(self) -> Kept | None:
        """The same segment kept without the model, if that is allowed."""
        return None if self.other is None else Kept(self.other, None, self.other)


def _segment(
    plain: bytes,
    start: int,
    total: int,
    model: LanguageModel,
    schedule: Schedule,
    plan: Plan,
) -> Steps[Kept]:
    """Keeps one segment by the method that needs least."""
    others = _without_model(plain, plan.methods)
    other = min(others, key=_framed_size) if others else None
    if "lm" not in plan.methods or not plain or _hopeless(plain, others):
        # an empty input that was forced on the model has no other candidate
        spared = other or _without_model(plain, ("stored",))[0]
        return Kept(spared, None, spared)
    try:
        coded = yield from _code(plain, start, total, model, schedule, plan)
    except UnsettledError as error:
        spared = other or _without_model(plain, ("xz",))[0]
        note = f"the segment at byte {start}: {error}; the model is not used"
        return Kept(spared, None, spared, note=note)
    if other is not None and _framed_size(other) < _framed_size(coded.segment):
        return Kept(other, None, other, coded.trace)
    if plan.verify:
        good = yield from _verified(
            coded.segment, plain, start, total, model, schedule, plan.numerics
        )
        if not good:
            rest = other or _without_model(plain, ("xz",))[0]
            note = f"the segment at byte {start} did not decode to itself; the model is not used"
            return Kept(rest, None, rest, note=note, misread=True)
    return Kept(coded.segment, coded, other, coded.trace)


def _without_model(plain: bytes, methods: Sequence[str]) -> list[Segment]:
    """Keeps the bytes by those of ``methods`` that need no model."""
    crc, found = zlib.crc32(plain), []
    if "stored" in methods:
        found.append(Segment(Method.STORED, [Lane(len(plain), plain)], crc))
    if "xz" in methods:
        found.append(Segment(Method.XZ, [Lane(len(plain), _xz(plain))], crc))
    return found


def _hopeless(plain: bytes, others: Sequence[Segment]) -> bool:
    """Tells whether to spare the model: what xz cannot shrink is random or compressed already."""
    return len(plain) >= _PROBE_BYTES and any(
        s.method is Method.XZ and len(s.lanes[0].payload) >= len(plain) for s in others
    )


def _code(
    plain: bytes,
    start: int,
    total: int,
    model: LanguageModel,
    schedule: Schedule,
    plan: Plan,
) -> Steps[_Coded]:
    """Codes one segment with the model."""
    lanes = plan.cut(model, plain)
    texts = [model.tokenizer.decode(lane) for lane in lanes]
    if b"".join(texts) != plain:
        raise ModelError(
            f"the tokenizer of {model.name} loses bytes: its tokens do not join to them"
        )
    n_tokens = sum(len(lane) for lane in lanes)
    recording = plan.trace and start == 0
    agreement = agreement_of(plan.numerics)
    if plan.numerics.profile is Profile.REPLAY:
        # counts bytes where the parallel pass counts tokens
        encoding = encode_stepwise(model, lanes, schedule, agreement, online=plan.online)
        scale = 1.0
    else:
        encoding = encode(model, lanes, schedule, agreement, online=plan.online, trace=recording)
        scale = len(plain) / n_tokens
    encoded = yield from relay(encoding, "encode", start, total, scale)
    framed = [Lane(len(text), e.payload) for text, e in zip(texts, encoded, strict=True)]
    trace = None
    if recording:
        traces = [e.trace for e in encoded if e.trace is not None]
        trace = Trace(traces, model.tokenizer.token_bytes, model.name)
    segment = Segment(Method.LM, framed, zlib.crc32(plain), helped=encoded[0].helped)
    return _Coded(segment, encoded, n_tokens, trace)


def _verified(
    segment: Segment,
    plain: bytes,
    start: int,
    total: int,
    model: LanguageModel,
    schedule: Schedule,
    numerics: Numerics,
) -> Steps[bool]:
    """Decodes a segment through the cached path and compares."""
    decoding = _decode_lm(segment, model, schedule, numerics)
    try:
        pieces, _ = yield from relay(decoding, "verify", start, total)
    except MismatchError:
        return False
    return b"".join(pieces) == plain


def _decompressing(
    parsed: Container,
    model: str | LanguageModel | None,
    trace: bool,
    watch: Callable[[Trace], None] | None,
) -> Steps[Decompressed]:
    decoder = SegmentDecoder(parsed.header, model)
    parts: list[bytes] = []
    first_trace, done = None, 0
    for index, frame in enumerate(parsed.frames):
        decoding = decoder.decode(
            frame.segment, index, done, parsed.plain_length, None if index else watch
        )
        plain, tokens = yield from decoding
        if trace and index == 0 and tokens and parsed.header.numerics.profile is Profile.FIXED:
            first_trace = decoder.trace(frame.segment, tokens)
        parts.append(plain)
        done += len(plain)
    return Decompressed(b"".join(parts), first_trace)


class SegmentDecoder:
    """Decodes segments of one blob; its model is loaded when the first of them needs one.

    Args:
        header: the blob's.
        model: as in `decompressing`.
    """

    def __init__(self, header: Header, model: str | LanguageModel | None) -> None:
        self._header = header
        self._model = model
        self._loaded: tuple[LanguageModel, Schedule, Numerics] | None = None

    def decode(
        self,
        segment: Segment,
        index: int,
        done: int,
        total: int,
        watch: Callable[[Trace], None] | None = None,
    ) -> Steps[tuple[bytes, list[Tokens]]]:
        """Decodes a segment and checks its plain bytes.

        Args:
            segment: one whose stored checksum holds.
            index: its place, from 0.
            done: plain bytes before it.
            total: plain bytes in all.
            watch: as in `decompressing`.

        Returns:
            The plain bytes, and each lane's token ids if a model coded them.

        Raises:
            LLMCompError: as `decompressing` does.
        """
        if segment.table:
            raise FormatError(
                "the blob is an archive of files; name a directory to extract it into "
                "(decompress -C DIR), or a file in it (cat --member NAME; llmcomp.Archive)"
            )
        tokens: list[Tokens] = []
        if segment.method is Method.LM:
            pieces, tokens = yield from self._decode(
                segment, f"segment {index}", done, total, watch
            )
            plain = b"".join(pieces)
        else:
            plain = _plain_without_model(segment, index)
            _check_plain(segment, plain, f"segment {index}")
        yield Progress("decode", done + len(plain), total)
        return plain, tokens

    def decode_lanes(self, segment: Segment, lanes: slice) -> Steps[bytes]:
        """Decodes neighbouring lanes of a segment that a model coded, and no others.

        In profile ``fixed`` and without online help lanes are coded alone, so these are the bytes
        that decoding them all would give; but the segment's plain checksum covers them all and so
        is not checked. Else all are decoded and checked.

        Raises:
            LLMCompError: as `decompressing` does.
        """
        if segment.helped or self._header.numerics.profile is not Profile.FIXED:
            # a helped lane knows the others' tokens;
            # other numbers than the encoder's are possible, and only the checksum finds them out
            pieces, _ = yield from self._decode(segment, "the segment", 0, segment.plain_length)
            return b"".join(pieces[lanes])
        part = replace(segment, lanes=segment.lanes[lanes])
        decoding = _decode_lm(part, *self._for_lm())
        pieces, _ = yield from relay(decoding, "decode", 0, part.plain_length)
        if [len(piece) for piece in pieces] != [lane.plain_length for lane in part.lanes]:
            raise MismatchError("a lane decodes to another length: this machine's model differs")
        return b"".join(pieces)

    def _decode(
        self,
        segment: Segment,
        place: str,
        done: int,
        total: int,
        watch: Callable[[Trace], None] | None = None,
    ) -> Steps[tuple[list[bytes], list[Tokens]]]:
        """Decodes all of a segment that a model coded and checks its plain bytes."""
        model, schedule, numerics = self._for_lm()
        try:
            decoding = _decode_lm(segment, model, schedule, numerics, watch)
            pieces, tokens = yield from relay(decoding, "decode", done, total)
            _check_plain(segment, b"".join(pieces), place)
        except MismatchError as error:
            raise MismatchError(f"{error}{_advice(numerics, model)}") from None
        return pieces, tokens

    def trace(self, segment: Segment, tokens: Sequence[Tokens]) -> Trace:
        """Records what the coder did in a segment whose tokens are decoded."""
        model, schedule, _ = self._for_lm()
        lanes = record(model, tokens, segment.lanes, schedule, helped=segment.helped)
        return Trace(lanes, model.tokenizer.token_bytes, model.name)

    def _for_lm(self) -> tuple[LanguageModel, Schedule, Numerics]:
        if self._loaded is None:
            self._loaded = (*model_for(self._header, self._model), self._header.numerics)
        return self._loaded


def plain_table(segment: Segment) -> bytes:
    """Gives the plain bytes of an archive's table, without a model.

    Raises:
        DamagedError: if they contradict their checksum.
    """
    plain = _plain_without_model(segment, 0)
    _check_plain(segment, plain, "the archive's table")
    return plain


def _check_plain(segment: Segment, plain: bytes, place: str) -> None:
    """Holds decoded bytes against their length and CRC-32."""
    if zlib.crc32(plain) == segment.plain_crc and len(plain) == segment.plain_length:
        return
    if segment.method is Method.LM:
        raise MismatchError(
            f"{place} decodes to other bytes: its plain CRC-32 fails although the blob is "
            "intact; this machine's model gives other numbers than the one that made it"
        )
    raise DamagedError(f"{place} contradicts itself: its plain CRC-32 or length fails")


def _decode_lm(
    segment: Segment,
    model: LanguageModel,
    schedule: Schedule,
    numerics: Numerics,
    watch: Callable[[Trace], None] | None = None,
) -> Generator[int, None, tuple[list[bytes], list[Tokens]]]:
    """Decodes a segment's lanes: yields bytes done, returns each lane's bytes and ids."""
    witness = None
    if watch is not None and len(segment.lanes) == 1 and numerics.profile is Profile.FIXED:
        witness = Witness(model, segment.lanes[0], helped=segment.helped)
    decoding = decode_lanes(
        model,
        segment.lanes,
        schedule,
        agreement_of(numerics),
        helped=segment.helped,
        watch=witness,
    )
    if watch is not None and witness is not None:
        decoding = _watched(decoding, witness, watch, model)
    tokens = yield from decoding
    return [model.tokenizer.decode(ids) for ids in tokens], tokens


def _watched(
    decoding: Generator[int, None, list[Tokens]],
    witness: Witness,
    watch: Callable[[Trace], None],
    model: LanguageModel,
) -> Generator[int, None, list[Tokens]]:
    """Hands on what a witness saw, every few tokens and at the end."""

    def tell() -> None:
        watch(Trace([witness.piece()], model.tokenizer.token_bytes, model.name, "decode"))

    while True:
        try:
            done = next(decoding)
        except StopIteration as end:
            if len(witness):
                tell()
            tokens: list[Tokens] = end.value
            return tokens
        if len(witness) >= _WATCHED_TOKENS:
            tell()
        yield done


def _plain_without_model(segment: Segment, index: int) -> bytes:
    (lane,) = segment.lanes
    if segment.method is Method.STORED:
        return lane.payload
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_XZ_FILTERS)
    try:
        return decoder.decompress(lane.payload, max_length=lane.plain_length + 1)
    except lzma.LZMAError as error:
        raise DamagedError(f"segment {index}: its xz data are damaged ({error})") from None


def as_bytes(data: ReadableBuffer) -> bytes:
    """Takes any buffer, as `lzma` does; a str is a TypeError."""
    try:
        return bytes(memoryview(data))
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not {kind!r}") from None


def as_file(source: ReadableBuffer | IO[bytes]) -> IO[bytes]:
    """Takes a blob or a file that holds one.

    Raises:
        TypeError: if it is neither bytes nor a file.
    """
    if hasattr(source, "read"):
        return cast("IO[bytes]", source)
    return io.BytesIO(as_bytes(source))


def _xz(plain: bytes) -> bytes:
    return lzma.compress(plain, format=lzma.FORMAT_RAW, filters=_XZ_FILTERS)


def _xz_file_bytes(plain: bytes) -> int:
    """Size of the file that ``xz -9e`` makes of no more bytes than a segment holds.

    Its window is as long as those and not 64 MiB: the file is the same, the memory a fraction.
    """
    strongest = _XZ_FILTERS[0] | {"preset": 9 | lzma.PRESET_EXTREME}
    return len(lzma.compress(plain, filters=[strongest]))


def _framed_size(segment: Segment) -> int:
    return len(segment.pack(b"", 0, last=True))


def model_for(header: Header, model: str | LanguageModel | None) -> tuple[LanguageModel, Schedule]:
    """Loads the model a header names, or checks the one given by hand, and steers it.

    Returns:
        The steered model, and the schedule as it fits beside the prompt.

    Raises:
        ModelError: if it is not here, or another.
        FormatError: if the steering record or the schedule does not fit it.

    Warns:
        LLMCompWarning: if its numbers may lie further apart than the blob's margin.
    """
    dtype = None if header.numerics.profile is Profile.FIXED else header.numerics.dtype
    try:
        if model is not None:
            chosen = load_model(model, dtype=dtype) if isinstance(model, str) else model
        elif header.model == NAMED_MODEL:
            chosen = load_downloaded(header.name, dtype)
        else:
            chosen = model_by_number(header.model)
    except ValueError as error:  # the blob's wish, not the caller's mistake
        raise ModelError(f"the blob was made in {dtype}, but {error}") from None
    named = header.name or MODELS.get(header.model, str(header.model))
    number_fits = chosen.number == header.model or header.model == NAMED_MODEL
    if not number_fits or chosen.fingerprint[:2] != header.fingerprint:
        raise ModelError(
            f"the blob was made with model {named} of fingerprint {header.fingerprint.hex()}, but "
            f"{chosen.name} here has {chosen.fingerprint[:2].hex()}; decode with that model"
        )
    _require_numerics(header.numerics, chosen)
    _warn_of_margin(header.numerics, chosen)
    try:
        steered = steer_model(chosen, read_record(header.steering, header.record, chosen))
    except ValueError as error:
        raise FormatError(f"the blob's prompt does not fit {chosen.name}: {error}") from None
    if not header.steering and header.schedule.window > steered.context_length:
        raise FormatError(
            f"the blob's window of {header.schedule.window} tokens is longer than {chosen.name}'s "
            f"context of {steered.context_length}; the blob is damaged or foreign"
        )
    return steered, header.schedule.fitted(steered.context_length)


def numerics_for(model: LanguageModel, profile: str | None, margin: float | None) -> Numerics:
    """Settles how a decoder will come to agree.

    Raises:
        ValueError: if the model cannot do that, or the margin is out of its range or of no use.
    """
    name = profile or model.profiles[0]
    if name not in model.profiles:
        raise ValueError(
            f"profile {name!r}; {model.name} in {model.dtype} has {', '.join(model.profiles)}"
        )
    if margin is not None and name != "tolerant":
        raise ValueError(f"profile {name} has no margin; take profile tolerant, or leave it out")
    if name == "fixed":
        return FIXED
    if name == "replay":
        return Numerics(Profile.REPLAY, model.dtype, environment=model.environment)
    exponent = margin_exponent(model.margin if margin is None else margin)
    return Numerics(Profile.TOLERANT, model.dtype, exponent)


def _require_numerics(numerics: Numerics, model: LanguageModel) -> None:
    """Checks that a model's numbers will do for a blob, as far as they can be known beforehand."""
    name = numerics.profile.name.lower()
    if name not in model.profiles:
        raise ModelError(
            f"the blob is of profile {name}, which {model.name} in {model.dtype} cannot decode"
        )
    if "int8" in {numerics.dtype, model.dtype} and numerics.dtype != model.dtype:
        raise ModelError(
            f"the blob was made with weights in {numerics.dtype}, and {model.name} is loaded in "
            f"{model.dtype}; load it in {numerics.dtype} (--dtype {numerics.dtype})"
        )
    if numerics.profile is Profile.REPLAY and numerics.environment != model.environment:
        raise ModelError(
            f"the blob can be decoded only where it was made, in {numerics.environment!r}; here it "
            f"is {model.environment!r}"
        )


def _warn_of_margin(numerics: Numerics, model: LanguageModel) -> None:
    """Warns if a model's numbers may lie further apart than a blob was made for."""
    if numerics.profile is Profile.TOLERANT and model.margin > 2.0**-numerics.margin:
        exponent = margin_exponent(model.margin)
        warnings.warn(
            f"the blob was made for a margin of 2**-{numerics.margin}, but {model.name} in "
            f"{model.dtype} asks for 2**-{exponent} here: decoding may end in a MismatchError; "
            f"then make the blob again with {margin_option(exponent)}",
            LLMCompWarning,
            stacklevel=2,
        )


def _advice(numerics: Numerics, model: LanguageModel) -> str:
    """Says what to do about a blob that decodes to other bytes here."""
    if numerics.profile is not Profile.TOLERANT:
        return ""
    margin = f"; its margin is 2**-{numerics.margin}"
    if numerics.margin == MARGINS.start:
        return f"{margin}, the widest there is: make it again with another model"
    wider = min(numerics.margin - _WIDER, margin_exponent(model.margin))
    wider = max(wider, MARGINS.start)
    return f"{margin}: make it again with a wider one ({margin_option(wider)})"


def _describe(numerics: Numerics) -> str:
    if numerics.profile is Profile.FIXED:
        return "the same on every machine"
    if numerics.profile is Profile.REPLAY:
        return f"{numerics.dtype}, only in {numerics.environment}"
    return f"{numerics.dtype}, log-odds within 2**-{numerics.margin}"


def agreement_of(numerics: Numerics) -> Agreement:
    """Gives the way both sides come to the same probabilities."""
    return Rulers(numerics.margin) if numerics.profile is Profile.TOLERANT else EXACT


def _bill(
    header: Header, steering: Steering, model: LanguageModel, kept: Sequence[Kept], blob: bytes
) -> Bill:
    """Bills a whole blob."""
    contents = [k for k in kept if not k.segment.table]
    bill = Bill(
        raw_bytes=sum(k.segment.plain_length for k in contents),
        notes=[k.note for k in kept if k.note],
    )
    for k in contents:
        if k.coded is not None:
            k.coded.bill(bill)
            bill.model = model.size
    _finish_bill(bill, header, steering, [k.segment for k in kept], blob)
    xz = contents[0].other if len(contents) == 1 else None
    if bill.model is not None and xz is not None and xz.method is Method.XZ:
        bill.xz_bytes = _xz_file_bytes(_plain_without_model(xz, 0))
    return bill


def _finish_bill(
    bill: Bill, header: Header, steering: Steering, segments: Sequence[Segment], blob: bytes
) -> None:
    """Bills everything that is not coded text."""
    payloads, table_bytes = dict.fromkeys(Method, 0), 0
    for segment in segments:
        n_bytes = sum(len(lane.payload) for lane in segment.lanes)
        if segment.table:
            table_bytes += n_bytes
        else:
            payloads[segment.method] += n_bytes
    bill.total_bytes = len(blob)
    bill.header_bits = 8.0 * (len(header.pack()) - len(header.packed_record()))
    bill.prompt_bits = float(steering.prompt_bits)
    bill.steering_bits = 8.0 * len(header.packed_record()) - bill.prompt_bits
    bill.checksum_bits = 8.0 * 8 * len(segments)
    bill.xz_bits = 8.0 * payloads[Method.XZ]
    bill.stored_bits = 8.0 * payloads[Method.STORED]
    bill.table_bits = 8.0 * table_bytes
    framing = len(blob) - sum(payloads.values()) - table_bytes - len(header.pack())
    bill.lengths_bits = 8.0 * framing - bill.checksum_bits
