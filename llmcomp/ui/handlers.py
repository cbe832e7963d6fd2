"""What each button does, as generators of plain values.

In: what a visitor typed, dropped or chose. Out: ``Working`` values while a job runs, then one
result. Every expected failure is an `LLMCompError`. Knows nothing of gradio: the page in
``layout`` turns these values into components.

Generators, because only a generator can be stopped between two steps.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcomp import codec
from llmcomp.bill import Bill
from llmcomp.codec import Compressed
from llmcomp.evaluate import baselines
from llmcomp.models import load_model, resolve
from llmcomp.space import offer
from llmcomp.tracing import Trace
from llmcomp.ui import hub_jobs, jobs, steering, theatre
from llmcomp.ui.jobs import MAX_INPUT_BYTES, MODELS, InputError, Working, stash
from llmcomp.ui.steering import Learning, Wish
from llmcomp.ui.theatre import Piece

__all__ = [
    "MAX_BLOB_BYTES",
    "MAX_INPUT_BYTES",
    "MODELS",
    "PRESETS",
    "Compression",
    "Decoding",
    "InputError",
    "Remark",
    "Working",
    "as_text",
    "compress",
    "decompress",
    "finish",
    "model_line",
    "stash",
]

PRESETS = ("fast", "balanced", "small")

MAX_BLOB_BYTES = jobs.LIMITS.blob_bytes

_OF_LINKS = str.maketrans("-_", "+/")
_BEATEN = {"xz": "remark_xz", "stored": "remark_stored"}

Remark = tuple[str, Mapping[str, Any]]
"""Something to know about a picture: a key of ``words`` and what is to be filled in."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A finished compression.

    Attributes:
        blob: the file.
        name: a speaking name for it.
        bill: where its bits went, and what the model weighs.
        sizes: bytes under each compressor, ``raw`` and ``llmc`` among them, and ``alone``, if the
            model had online help: what it would have taken without.
        message: the trace in the format ``view/1``, of no tokens when there is none.
        remarks: what is to be known about the picture.
        checked: whether the model's work was decoded again and compared.
        choice: why this way of steering, if several were tried, in one sentence.
        model: name of the model.
        elapsed_s: seconds for everything, None for a result that was stored.
    """

    blob: bytes
    name: str
    bill: Bill
    sizes: Mapping[str, int]
    message: Mapping[str, Any]
    remarks: tuple[Remark, ...]
    checked: bool
    choice: str
    model: str
    elapsed_s: float | None = None


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


def model_line(model: str, text: str, path: str | None) -> str:
    """Says what a model costs for the text at hand, or what it would cost elsewhere."""
    n_bytes = Path(path).stat().st_size if path else len((text or "").encode("utf-8", "replace"))
    chosen = next((o for o in offer.offers(jobs.PLACE) if o.name == model), None)
    return chosen.line(n_bytes, jobs.PLACE) if chosen else ""


def finish(job: Iterator[Working | Learning | Compression]) -> Compression:
    """Runs a compression to its end."""
    for value in job:
        if isinstance(value, Compression):
            return value
    raise RuntimeError("a compression ended without a result")


@jobs.limited
def compress(
    text: str, path: str | None, model: str, preset: str, wish: Wish | None = None
) -> Generator[Working | Learning | Compression, None, None]:
    """Compresses a text, or a file when there is one.

    Args:
        text: what stands in the text box.
        path: an uploaded file, or None.
        model: one of those `llmcomp.space.offer.offers` lists.
        preset: one of `PRESETS`.
        wish: what stands in front of the text; nothing by default.

    Yields:
        ``Working`` values, ``Learning`` ones while a prompt is trained, then one ``Compression``.

    Raises:
        LLMCompError: if there is nothing to compress, or too much, or the coder says why not.
    """
    jobs.require(model, [known.name for known in offer.offers(jobs.PLACE)])
    jobs.require(preset, PRESETS)
    began = time.monotonic()
    data = jobs.input_bytes(text, path)
    if model in MODELS:
        result = yield from _compressed_here(data, model, preset, wish or Wish())
    else:
        result = yield from hub_jobs.compress(data, model, preset, wish or Wish())
    sizes = {"raw": len(data), **baselines.sizes(data), "llmc": len(result.blob)}
    if result.bill.help_bits:
        sizes["alone"] = result.bill.model_alone_bytes
    method = codec.get_info(result.blob).segments[0][0]
    yield Compression(
        blob=result.blob,
        name=f"{jobs.speaking_name(text, path)}.llmc",
        bill=result.bill,
        sizes=sizes,
        message=_message(result.trace, method, sizes, result.blob),
        remarks=tuple(_remarks(result.trace, method, result.bill.notes)),
        checked=method == "lm",
        choice=steering.why(result.tried),
        model=resolve(model),
        elapsed_s=time.monotonic() - began,
    )


def _compressed_here(
    data: bytes, model: str, preset: str, wish: Wish
) -> Generator[Working | Learning, None, Compressed]:
    """Compresses with a shipped model, on the processor."""
    loaded = load_model(model)
    ways = yield from steering.candidates(wish, loaded, data)
    return (
        yield from jobs.reporting(
            codec.compressing(
                data, model=loaded, preset=preset, steer=ways, verify=True, trace=True
            )
        )
    )


@jobs.limited
def decompress(path: str | None, pasted: str) -> Generator[Working | Piece | Decoding, None, None]:
    """Decodes an uploaded ``.llmc`` file, or one pasted as base64 or as a link.

    Args:
        path: the uploaded file, or None.
        pasted: base64 of a blob, or a link that ends in it; only read when there is no file.

    Yields:
        ``Working`` values, pieces of the trace where it can be watched, then one ``Decoding``.

    Raises:
        LLMCompError: if there is no blob, or it is damaged, foreign or too large.
    """
    began = time.monotonic()
    blob = _blob_bytes(path, pasted)
    info = codec.get_info(blob)
    if info.plain_bytes > MAX_INPUT_BYTES:
        raise InputError.of("too_long_to_decode", n=info.plain_bytes, limit=MAX_INPUT_BYTES)
    model = hub_jobs.takes(info)
    if model is None:
        data, message = yield from jobs.reporting(theatre.decoding(blob))
    else:
        data = (yield from hub_jobs.decompress(blob, info, model)).data
        message = theatre.NOT_WATCHED
    text = as_text(data)
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
        raise InputError.of("file_too_large", n=len(blob), limit=MAX_BLOB_BYTES)
    return blob


def _from_base64(pasted: str) -> bytes:
    compact = "".join((pasted or "").split()).rpartition("#z=")[2]
    if not compact:
        raise InputError.of("nothing_to_decode")
    try:
        # links hold the letters that need no escape in one, and no padding
        plain = compact.translate(_OF_LINKS).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError.of("not_base64") from error


def _message(
    trace: Trace | None, method: str, sizes: Mapping[str, int], blob: bytes
) -> Mapping[str, Any]:
    if trace is None or not _is_drawn(trace):
        return {"v": "view/1", "n": 0, "sizes": dict(sizes)}
    # where another method won, the drawn number is not in the file
    return {**theatre.opening(trace, None if method in _BEATEN else blob), "sizes": dict(sizes)}


def _is_drawn(trace: Trace) -> bool:
    return bool(trace.lanes) and len(trace.lanes[0]) > 0


def _remarks(trace: Trace | None, method: str, notes: Sequence[str]) -> Iterator[Remark]:
    drawn = trace is not None and _is_drawn(trace)
    if not drawn:
        yield "remark_hub" if method == "lm" else "remark_nothing", {}
    yield from (("remark_note", {"note": note}) for note in notes)
    if drawn and method in _BEATEN:
        yield _BEATEN[method], {}
    if drawn and trace is not None and len(trace.lanes) > 1:
        yield "remark_lanes", {"n": len(trace.lanes)}


def as_text(data: bytes) -> str | None:
    """Returns bytes as text, None if they are not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
