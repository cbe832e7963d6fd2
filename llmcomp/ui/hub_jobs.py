"""Jobs on Hub models: checked against every limit first, then one call to the GPU each.

In: a text or a blob, and the name of a registered model. Out: the same values that jobs on the
shipped models yield. Knows nothing of gradio. What crosses to the GPU and back is plain (see
`llmcomp.space.gpu`); the model is found there by its name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from llmcomp import codec
from llmcomp.codec import BlobInfo, Compressed, Decompressed
from llmcomp.errors import LLMCompError, ModelError
from llmcomp.models import SHELF, load_downloaded, load_model
from llmcomp.models.base import LanguageModel
from llmcomp.models.registry import Registered, named_by
from llmcomp.models.sources import Source
from llmcomp.space import offer
from llmcomp.space.cost import BYTES_PER_TOKEN
from llmcomp.space.gpu import declared_s, on_gpu
from llmcomp.ui import jobs, steering
from llmcomp.ui.jobs import InputError, Working
from llmcomp.ui.steering import Learning, Wish

__all__ = ["Asked", "compress", "decompress", "place_models", "takes"]

_log = logging.getLogger(__name__)

_TRAINED = ("trained", "auto")
_MEMORY_SHARE = 0.8  # of the GPU's, for the weights of all models together
_POLL_S = 0.5

R = TypeVar("R")

_turn = threading.Lock()
"""Whoever works on a GPU that is not lent: one at a time, since memory is for one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A job as it crosses to the GPU.

    Attributes:
        model: registered name.
        dtype: what it computes in.
        data: the text, or the blob.
        estimated_s: seconds it should take.
        preset: of a compression.
        wish: what is to stand in front of the text.
    """

    model: str
    dtype: str
    data: bytes
    estimated_s: float
    preset: str = "balanced"
    wish: Wish = field(default_factory=Wish)


def takes(info: BlobInfo) -> Registered | None:
    """Finds the registered model that a blob needs, None if it needs a shipped one or none.

    Raises:
        ModelError: on a public Space, if it needs any other. Nothing was asked of anybody then.
    """
    if "/" not in info.model or not info.needs_model:
        return None
    if jobs.PLACE.public:
        return offer.model_of_blob(info.model, jobs.PLACE)
    known = named_by(info.model)
    return known if known is not None and known.name in jobs.PLACE.models else None


def compress(
    data: bytes, model: str, preset: str, wish: Wish
) -> Generator[Working | Learning, None, Compressed]:
    """Compresses a text with a Hub model.

    Args:
        data: the text.
        model: registered name.
        preset: lanes and windows.
        wish: what stands in front of the text.

    Yields:
        How far it is.

    Returns:
        The blob and its bill.

    Raises:
        LLMCompError: if the model is not offered, or the job is more than one visitor may have.
    """
    chosen = next((o for o in offer.offers(jobs.PLACE) if o.name == model), None)
    if chosen is None or chosen.model is None:
        raise InputError(f"{model!r} is no Hub model of this page")
    if chosen.why_not:
        raise InputError(f"{model} is not offered here: {chosen.why_not}; take another model")
    if wish.kind in _TRAINED:
        raise InputError(
            "prompts are trained on the embedded model here; take another kind of steering, or "
            "the command line"
        )
    yield Working("load", 0, len(data), 0.0)
    n_tokens = len(_model(model, chosen.dtype).tokenizer.encode(data))
    jobs.LIMITS.require_tokens(n_tokens)
    estimated = offer.seconds_for(chosen.model, jobs.PLACE, chosen.dtype, n_tokens, preset)
    jobs.LIMITS.require_seconds(estimated)
    asked = Asked(model, chosen.dtype, data, estimated, preset, wish)
    begun = time.monotonic()
    result = yield from _result(_compressing(asked))
    offer.LEARNED.note(model, estimated, time.monotonic() - begun)
    return result


def decompress(
    blob: bytes, info: BlobInfo, model: Registered
) -> Generator[Working, None, Decompressed]:
    """Decodes a blob with the registered model it names.

    Args:
        blob: the file.
        info: what it says of itself.
        model: the one `takes` found.

    Yields:
        How far it is.

    Returns:
        The plain bytes.

    Raises:
        LLMCompError: if the model cannot decode it here, or that would take too long.
    """
    yield Working("load", 0, info.plain_bytes, 0.0)
    _model(model.name, info.dtype)
    n_tokens = info.plain_bytes / BYTES_PER_TOKEN
    estimated = offer.seconds_for(model, jobs.PLACE, info.dtype, n_tokens)
    jobs.LIMITS.require_seconds(estimated)
    asked = Asked(model.name, info.dtype, blob, estimated)
    return (yield from _result(_decompressing(asked)))


def place_models() -> None:
    """Makes ready what whoever runs this wants offered; once, in the main thread, before serving.

    Files are fetched now, at the owner's wish, so that no visitor's job ever asks the Hub. Where
    the GPU is lent, weights have to be placed on it before the first loan. A model that cannot be
    had is reported and not offered; the page works without it.
    """
    hardware = jobs.PLACE.hardware
    SHELF.cap_bytes = int(_MEMORY_SHARE * hardware.memory_bytes)
    if hardware.lent:
        from llmcomp.models.stock import use_one_thread

        use_one_thread()
    missing = set()
    for chosen in offer.offers(jobs.PLACE):
        if chosen.model is None or chosen.why_not:
            continue
        try:
            Source.find(chosen.name).fetch(_log.info)
            if hardware.lent:
                _place(chosen.model, chosen.dtype)
        except LLMCompError as error:
            missing.add(chosen.name)
            _log.error("%s is not offered: %s", chosen.name, error)
    had = tuple(name for name in jobs.PLACE.models if name not in missing)
    jobs.PLACE = replace(jobs.PLACE, models=had)


def _place(known: Registered, dtype: str) -> None:
    """Puts a model on the shelf with its weights on the GPU.

    Its two passes are compared on the processor: no GPU computes before the first loan.
    """
    device = jobs.PLACE.hardware.device

    def load() -> LanguageModel:
        from llmcomp.models.hub import load_hub_model

        model = load_hub_model(known.name, dtype=dtype, download=False)
        model.move(device)
        return model

    SHELF.take((known.name, dtype, device), known.weight_bytes(dtype), load)


def _model(name: str, dtype: str) -> LanguageModel:
    """Finds a model on the shelf, or puts it there; on a public Space never by asking the Hub."""
    hardware = jobs.PLACE.hardware
    if hardware.lent and (name, dtype, hardware.device) not in SHELF:
        raise ModelError(
            f"{name} in {dtype} is not loaded on this Space; it has what it was started with, so "
            "take another model, or the command line"
        )
    if jobs.PLACE.public:
        return load_downloaded(name, dtype, hardware.device)
    return load_model(name, dtype=dtype, device=hardware.device)


@dataclass(frozen=True, slots=True)
class _Done(Generic[R]):
    """What a job ends with: a generator's own return value does not come back from the GPU."""

    result: R


@on_gpu(lambda asked: declared_s(asked.estimated_s))
def _compressing(asked: Asked) -> Iterator[Working | Learning | _Done[Compressed]]:
    model = _model(asked.model, asked.dtype)
    ways = yield from steering.candidates(asked.wish, model, asked.data)
    job = codec.compressing(asked.data, model=model, preset=asked.preset, steer=ways)
    yield _Done((yield from jobs.reporting(job)))


@on_gpu(lambda asked: declared_s(asked.estimated_s))
def _decompressing(asked: Asked) -> Iterator[Working | _Done[Decompressed]]:
    model = _model(asked.model, asked.dtype)
    yield _Done((yield from jobs.reporting(codec.decompressing(asked.data, model=model))))


def _result(steps: Generator[Any, None, None]) -> Generator[Any, None, Any]:
    """Waits for its turn, passes progress on and returns the result."""
    yield from _turn_comes()
    done = None
    try:
        for value in steps:
            if isinstance(value, _Done):
                done = value
            else:
                yield value
    finally:
        steps.close()
        if not jobs.PLACE.hardware.lent:
            _turn.release()
    if done is None:
        raise RuntimeError("a job ended without a result")
    return done.result


def _turn_comes() -> Iterator[Working]:
    """Waits for the GPU; where it is lent, whoever lends it keeps the line."""
    begun = time.monotonic()
    while not (jobs.PLACE.hardware.lent or _turn.acquire(timeout=_POLL_S)):
        yield Working("wait", 0, 0, time.monotonic() - begun)
