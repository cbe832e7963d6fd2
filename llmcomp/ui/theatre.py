"""What the linked view shows beside a fresh compression: the file's bytes, decoding, damage.

In: blobs and traces. Out: parts of ``view/1`` messages. Knows nothing of gradio.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from llmcomp import codec
from llmcomp.container import Part, anatomy
from llmcomp.rehearsal import rehearse
from llmcomp.steps import Progress
from llmcomp.tracing import WIRE_TOKENS, Trace
from llmcomp.ui.jobs import InputError, encoded

__all__ = [
    "MAX_DAMAGED_BYTES",
    "MAX_WATCHED_BYTES",
    "NOT_WATCHED",
    "Piece",
    "damage",
    "decoding",
    "file_of",
    "opening",
    "rehearsed",
    "window",
    "with_damage",
]

MAX_WATCHED_BYTES = 20_000
"""Bytes of text whose decoding is traced as well; longer ones take long enough without that."""

MAX_DAMAGED_BYTES = 5_000
"""Bytes of text that are decoded twice, word by word, to show what one bit did."""

NOT_WATCHED = {"v": "view/1", "n": 0, "say": "nothingToWatch"}
"""The message of a decoding that leaves no trace."""

_KEPT_TOKENS = 300_000
"""Of all traces that are kept to be turned over; a token takes about 500 bytes of memory."""

_FALSE_TOKENS = 60
_DEFAULT_FLIP = 0.4


def file_of(blob: bytes, lane: int = 0) -> dict[str, Any]:
    """Returns the field ``file`` of a message: a blob's bytes and what each is for.

    Args:
        blob: the blob.
        lane: whose number is drawn.

    Returns:
        ``bytes`` in base64, ``parts`` as ``[name, start, stop]``, and ``number``: the byte at which
        the lane's payload begins, or the end of the file if no model coded it.

    Raises:
        LLMCompError: if the blob is not intact.
    """
    parts = anatomy(blob)
    return {
        "bytes": base64.b64encode(blob).decode("ascii"),
        "parts": [[part.name, part.start, part.stop] for part in parts],
        "number": _number(parts, lane).start,
    }


def _number(parts: list[Part], lane: int = 0) -> Part:
    stop = parts[-1].stop
    numbers = [part for part in parts if part.name == "number"]
    return numbers[lane] if lane < len(numbers) else Part("number", stop, stop)


class _Kept:
    """The traces that visitors may turn over, by names that nobody can guess.

    What was not looked at the longest makes room.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[Trace, bytes]] = OrderedDict()

    def put(self, trace: Trace, blob: bytes) -> str:
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._held[name] = (trace, blob)
            n_tokens = sum(_n_tokens(held) for held, _ in self._held.values())
            while n_tokens > _KEPT_TOKENS and len(self._held) > 1:
                _, (dropped, _) = self._held.popitem(last=False)
                n_tokens -= _n_tokens(dropped)
        return name

    def get(self, name: str) -> tuple[Trace, bytes] | None:
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
            return self._held.get(name)


def _n_tokens(trace: Trace) -> int:
    return sum(map(len, trace.lanes))


_kept = _Kept()


def opening(trace: Trace, blob: bytes | None) -> dict[str, Any]:
    """Returns the message of a trace's beginning: one window of its first lane.

    Args:
        trace: of a segment; there are tokens in its first lane.
        blob: the file, None if the number that is drawn is not in one.

    Returns:
        The message. If there are more windows or lanes, it names the trace for `window`.
    """
    name = {}
    if len(trace.lanes) > 1 or len(trace.lanes[0]) > WIRE_TOKENS:
        name = {"trace": _kept.put(trace, blob or b""), "window": WIRE_TOKENS}
    file = {"file": file_of(blob)} if blob else {}
    return {**trace.wire(count=WIRE_TOKENS), **file, **name}


def window(name: object, lane: object, start: object) -> dict[str, Any]:
    """Returns another window of a trace that `opening` named.

    Args:
        name: the field ``trace`` of its message; a program may send anything.
        lane: which lane.
        start: first token.

    Raises:
        InputError: if the trace is not kept any more, or has no such window.
    """
    found = _kept.get(str(name))
    if found is None:
        raise InputError.of("picture_gone")
    trace, blob = found
    if not (
        isinstance(lane, int)
        and isinstance(start, int)
        and 0 <= lane < len(trace.lanes)
        and 0 <= start < len(trace.lanes[lane])
    ):
        raise InputError(f"the text has no lane {lane!r} with a token {start!r}")
    file = {"file": file_of(blob, lane)} if blob else {}
    told = {"trace": name, "window": WIRE_TOKENS, "turned": True}
    return {**trace.wire(lane, start, WIRE_TOKENS), **file, **told}


def with_damage(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Adds to a message what one bit of its file does, so that its view need not ask.

    The bit is at 40 % of the number: late enough to share a beginning, early enough to derail.
    """
    if "file" not in message:
        return message
    blob = base64.b64decode(message["file"]["bytes"])
    number = _number(anatomy(blob))
    bit = 8 * number.start + int(_DEFAULT_FLIP * 8 * (number.stop - number.start))
    return {**message, "damage": rehearsed(blob, bit)}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more tokens of a decoding under way, as a message that continues those before it."""

    message: Mapping[str, Any]


def decoding(blob: bytes) -> Generator[Progress | Piece, None, tuple[bytes, Mapping[str, Any]]]:
    """Decodes a blob before a visitor's eyes.

    Args:
        blob: the blob.

    Yields:
        `Progress`, and a ``Piece`` every few tokens if its first segment has a single lane.

    Returns:
        The plain bytes, and the message that holds the whole trace.

    Raises:
        LLMCompError: as `llmcomp.codec.decompressing` does.
    """
    run, known = secrets.token_hex(4), 0
    seen: list[Trace] = []
    if short := codec.get_info(blob).plain_bytes <= MAX_WATCHED_BYTES:
        steps = codec.decompressing(blob, trace=True, watch=seen.append)
    else:
        steps = codec.decompressing(blob)
    try:
        while True:
            step = next(steps)
            for trace in seen:
                yield Piece({**trace.wire(), "run": run, "from": known, "live": True})
                known += len(trace.lanes[0])
            seen.clear()
            yield step
    except StopIteration as end:
        result: codec.Decompressed = end.value
        if not short:
            return result.data, {"v": "view/1", "n": 0, "say": "tooLongToWatch"}
        return result.data, {**_performance(blob, result.trace), "run": run}
    finally:
        steps.close()


def _performance(blob: bytes, trace: Trace | None) -> dict[str, Any]:
    if trace is None or not len(trace.lanes[0]):
        return NOT_WATCHED
    return {**opening(trace, blob), "kind": "decode"}


def damage(pasted: object, bit: object) -> dict[str, Any]:
    """Follows one flipped bit of a blob.

    Args:
        pasted: the blob in base64, as the view was sent it; a program may send anything.
        bit: index of the bit; bit 0 is the first byte's highest.

    Returns:
        A message with the one field ``damage``: ``bit``, ``outcome``, ``verdict``, ``split`` and
        ``trace``, a message of its own or None. Never bytes to save.

    Raises:
        LLMCompError: if it is no intact blob, has no such bit, or is too long.
    """
    blob = _blob(pasted)
    if not isinstance(bit, int) or not 0 <= bit < 8 * len(blob):
        raise InputError(f"there is no bit {bit!r}: this file has {8 * len(blob)}")
    info = codec.get_info(blob)
    if "/" in info.model:  # a stranger's file must not make the page ask the Hub
        raise InputError(f"damage is shown on files of the shipped models, not of {info.model}")
    if info.plain_bytes > MAX_DAMAGED_BYTES:
        raise InputError(
            f"this text has {info.plain_bytes:,} bytes; damage is shown on at most "
            f"{MAX_DAMAGED_BYTES:,}: compress a shorter one"
        )
    return {"v": "view/1", "damage": rehearsed(blob, bit)}


def rehearsed(blob: bytes, bit: int) -> Mapping[str, Any]:
    """Returns the field ``damage`` of a message."""
    found = rehearse(blob, bit, most_tokens=_FALSE_TOKENS)
    trace = found.trace.wire() if found.trace and len(found.trace.lanes[0]) else None
    return {
        "bit": bit,
        "outcome": found.outcome,
        "verdict": found.verdict,
        "split": found.split,
        "trace": trace,
    }


def _blob(pasted: object) -> bytes:
    try:
        return base64.b64decode(encoded(str(pasted)), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("the file came back broken: compress the text again") from error
