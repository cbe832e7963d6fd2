"""What each button does, as generators of plain values.

In: what a visitor typed, dropped or chose. Out: ``Working`` values while a job runs, then one
result. Every expected failure is an `LLMCompError`. Knows nothing of gradio: the page in
``layout`` turns these values into components.

Generators, because only a generator can be stopped between two steps.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcomp import codec
from llmcomp.bill import Bill
from llmcomp.errors import LLMCompError
from llmcomp.evaluate import baselines
from llmcomp.models import load_model
from llmcomp.tracing import Trace
from llmcomp.ui import jobs, steering, theatre
from llmcomp.ui.jobs import MAX_INPUT_BYTES, MODELS, InputError, Working, stash
from llmcomp.ui.steering import Learning, Wish
from llmcomp.ui.theatre import Piece

__all__ = [
    "HEROES",
    "MAX_BLOB_BYTES",
    "MAX_INPUT_BYTES",
    "MODELS",
    "PRESETS",
    "Compression",
    "Decoding",
    "InputError",
    "Working",
    "compress",
    "decompress",
    "examples",
    "finish",
    "hero",
    "stash",
    "word_costs",
]

HEROES = (
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, potato.",
    "It was the beginning of the potato.",
)
"""Sentences the page may open with: expected words and, at the end, one that is not.

The second asks less of a model; the first that is a surprise to the shipped one is shown.
"""

PRESETS = ("fast", "balanced", "small")

MAX_BLOB_BYTES = 1 << 20

_TOKENS_DRAWN = 2000  # one window of the view; more would make the message larger than 0.6 MB
_EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
_NOTHING_TO_DRAW = (
    "The model was not asked about these bytes: even xz cannot shrink them, so they are stored. "
    "There is no interval to draw; the bill below still holds."
)
_BEATEN = {
    "xz": "xz needs fewer bytes here, so the file holds that; drawn is what the model would write.",
    "stored": "The model would make this longer, so the file holds the bytes as they are.",
}


@dataclass(frozen=True, slots=True)
class Compression:
    """A finished compression.

    Attributes:
        blob: the file.
        name: a speaking name for it.
        bill: where its bits went, and what the model weighs.
        sizes: bytes under each compressor, ``raw`` and ``llmc`` among them, and ``alone``, if the
            model had online help: what it would have taken without.
        message: the trace in the format ``view/1``, or a note when there is none.
        checked: whether the model's work was decoded again and compared.
        choice: why this way of steering, if several were tried, in one sentence.
        elapsed_s: seconds for everything.
    """

    blob: bytes
    name: str
    bill: Bill
    sizes: Mapping[str, int]
    message: Mapping[str, Any]
    checked: bool
    choice: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """A finished decompression.

    Attributes:
        data: the restored bytes.
        text: the same as text, or None when they are not UTF-8.
        name: a speaking file name.
        blob_bytes: size of the file it came from.
        model: name of the model that decoded it.
        elapsed_s: seconds for everything.
        message: the trace of the decoder, or a note when there is none.
    """

    data: bytes
    text: str | None
    name: str
    blob_bytes: int
    model: str
    elapsed_s: float
    message: Mapping[str, Any]


def examples() -> dict[str, str]:
    """Returns the sample texts by title, in the order of their file names."""
    paths = sorted(_EXAMPLES.glob("*.txt")) if _EXAMPLES.is_dir() else []
    # newline="" keeps every byte of a text as it is
    return {_title(path): path.read_bytes().decode("utf-8") for path in paths}


def _title(path: Path) -> str:
    return re.sub(r"^\d+-", "", path.stem).replace("-", " ")


def hero() -> Mapping[str, Any]:
    """Compresses an opening sentence and returns its trace, marked as the hero.

    Without a model the page still opens; then it says what is missing.
    """
    message: Mapping[str, Any] = {}
    for sentence in HEROES:
        try:
            message = finish(compress(sentence, None, MODELS[0], "balanced")).message
        except LLMCompError as error:
            return {"v": "view/1", "n": 0, "note": f"The opening example is missing: {error}"}
        costs = word_costs(message)
        if costs and costs[-1] > sum(costs[1:6]):
            break
    return {**theatre.with_damage(message), "hero": True}


def word_costs(message: Mapping[str, Any]) -> list[float]:
    """Adds up a message's token costs by words, in bits; a word begins at its space.

    Returns:
        One cost a word, none for a message without a trace.
    """
    if "cost" not in message:
        return []
    text = base64.b64decode(message["text"])
    lengths = base64.b64decode(message["len"])
    costs = [0.0] * (text.count(b" ") + 1)
    at = 0
    for length, cost in zip(lengths, array("f", base64.b64decode(message["cost"])), strict=True):
        costs[text[: at + 1].count(b" ")] += cost
        at += length
    return costs


def finish(job: Iterator[Working | Learning | Compression]) -> Compression:
    """Runs a compression to its end."""
    for value in job:
        if isinstance(value, Compression):
            return value
    raise RuntimeError("a compression ended without a result")


def compress(
    text: str, path: str | None, model: str, preset: str, wish: Wish | None = None
) -> Iterator[Working | Learning | Compression]:
    """Compresses a text, or a file when there is one.

    Args:
        text: what stands in the text box.
        path: an uploaded file, or None.
        model: one of `MODELS`.
        preset: one of `PRESETS`.
        wish: what stands in front of the text; nothing by default.

    Yields:
        ``Working`` values, ``Learning`` ones while a prompt is trained, then one ``Compression``.

    Raises:
        LLMCompError: if there is nothing to compress, or too much, or the coder says why not.
    """
    jobs.require(model, MODELS)
    jobs.require(preset, PRESETS)
    began = time.monotonic()
    data = jobs.input_bytes(text, path)
    loaded = load_model(model)
    ways = yield from steering.candidates(wish or Wish(), loaded, data)
    result = yield from jobs.reporting(
        codec.compressing(data, model=loaded, preset=preset, steer=ways, verify=True, trace=True)
    )
    sizes = {"raw": len(data), **baselines.sizes(data), "llmc": len(result.blob)}
    if result.bill.help_bits:
        sizes["alone"] = result.bill.model_alone_bytes
    method = codec.get_info(result.blob).segments[0][0]
    yield Compression(
        blob=result.blob,
        name=f"{jobs.speaking_name(text, path)}.llmc",
        bill=result.bill,
        sizes=sizes,
        message=_message(result.trace, method, sizes, result.bill.notes, result.blob),
        checked=method == "lm",
        choice=steering.why(result.tried),
        elapsed_s=time.monotonic() - began,
    )


def decompress(path: str | None, pasted: str) -> Iterator[Working | Piece | Decoding]:
    """Decodes an uploaded ``.llmc`` file, or one pasted as base64.

    Args:
        path: the uploaded file, or None.
        pasted: base64 of a blob; only read when there is no file.

    Yields:
        ``Working`` values, pieces of the trace where it can be watched, then one ``Decoding``.

    Raises:
        LLMCompError: if there is no blob, or it is damaged, foreign or too large.
    """
    began = time.monotonic()
    blob = _blob_bytes(path, pasted)
    info = codec.get_info(blob)
    if info.plain_bytes > MAX_INPUT_BYTES:
        raise InputError(
            f"the file holds {info.plain_bytes:,} bytes; this page decodes at most "
            f"{MAX_INPUT_BYTES:,}: use the command line for more"
        )
    data, message = yield from jobs.reporting(theatre.decoding(blob))
    text = _as_text(data)
    stem = Path(path).stem if path else "decoded"
    yield Decoding(
        data=data,
        text=text,
        name=f"{stem}.{'bin' if text is None else 'txt'}",
        blob_bytes=len(blob),
        model=str(info.model),
        elapsed_s=time.monotonic() - began,
        message=message,
    )


def _blob_bytes(path: str | None, pasted: str) -> bytes:
    blob = Path(path).read_bytes() if path else _from_base64(pasted)
    if len(blob) > MAX_BLOB_BYTES:
        raise InputError(
            f"the file has {len(blob):,} bytes; this page takes at most {MAX_BLOB_BYTES:,}"
        )
    return blob


def _from_base64(pasted: str) -> bytes:
    compact = "".join((pasted or "").split())
    if not compact:
        raise InputError("nothing to decode yet: drop a .llmc file or paste one as base64")
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(
            "this is not base64: paste the text copied under a compressed file, "
            "or drop the .llmc file itself"
        ) from error


def _message(
    trace: Trace | None, method: str, sizes: Mapping[str, int], notes: Sequence[str], blob: bytes
) -> Mapping[str, Any]:
    if trace is None or not trace.lanes or not len(trace.lanes[0]):
        parts = [_NOTHING_TO_DRAW, *notes]
        return {"v": "view/1", "n": 0, "note": " ".join(parts), "sizes": dict(sizes)}
    wire = trace.wire(lane=0, start=0, count=_TOKENS_DRAWN)
    beaten = [_BEATEN[method]] if method in _BEATEN else []
    note = " ".join([*notes, *beaten, *_lanes_notes(len(trace.lanes))])
    # where another method won, the drawn number is not in the file
    file = {} if beaten else {"file": theatre.file_of(blob)}
    return {**wire, "sizes": dict(sizes), "note": note, **file}


def _lanes_notes(lanes: int) -> list[str]:
    return [f"The text was cut into {lanes} lanes; the first is drawn."] if lanes > 1 else []


def _as_text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
