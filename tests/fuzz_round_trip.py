"""Law for `fuzz.py`: bytes come back whatever the settings, and every bit is billed.

An input is `N_SETTINGS` bytes, each of which chooses something, and the bytes to be compressed.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
from conftest import ROOT
from fakes import FakeModel
from hub_tokenizers import TEXT

import llmcomp
from llmcomp import blocks, codec, stream
from llmcomp.archive import Archive
from llmcomp.container import unpack
from llmcomp.models.snapped import SnappedModel
from llmcomp.steering.kinds import RandomSteering, Steering, TextSteering, TrainedSteering
from llmcomp.steering.priors import PRIORS, make_prior
from llmcomp.steering.soft_prompt import SoftPrompt
from llmcomp.steps import run

T = TypeVar("T")

MAX_BYTES = 400
N_SETTINGS = 20

TINY = SnappedModel(ROOT / "tests/models/tiny", name="tiny", number=0)
METHODS = (("lm",), codec.METHODS, ("lm", "xz"), ("stored", "lm"), ("xz",))


class Settings:
    """Reads choices off bytes, one each, so that a changed byte is another choice."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def of(self, options: Sequence[T]) -> T:
        return options[next(self._bytes, 0) % len(options)]


def check(data: bytes) -> None:
    """Compresses and decompresses in one of the ways there are."""
    settings, text = Settings(data[:N_SETTINGS]), data[N_SETTINGS:]
    model, again, options = _chosen(settings)
    # short texts, too, have several segments and blocks then
    segment_bytes, block_bytes = settings.of((1 << 20, 100, 500)), settings.of((1 << 16, 20, 150))
    with (
        patch.object(codec, "SEGMENT_BYTES", segment_bytes),
        patch.object(stream, "SEGMENT_BYTES", segment_bytes),
        patch.object(blocks, "BLOCK_BYTES", block_bytes),
    ):
        way = settings.of((_check_whole, _check_stream, _check_files))
        way(text, model, again, options, settings)


def _check_whole(
    text: bytes, model: Any, again: Any, options: dict[str, Any], settings: Settings
) -> None:
    made = run(codec.compressing(text, model=model, **options))
    assert llmcomp.decompress(made.blob, model=again) == text
    assert abs(sum(bits for _, bits in made.bill.rows()) - 8 * len(made.blob)) < 1e-3
    parsed = unpack(made.blob)
    if "stored" in options["methods"]:
        framing = len(parsed.header.pack()) + 12 * len(parsed.frames)
        assert len(made.blob) <= len(text) + framing
    start, stop = sorted(settings.of(range(len(text) + 1)) for _ in range(2))
    assert llmcomp.read_range(made.blob, start, stop, model=again) == text[start:stop]


def _check_stream(
    text: bytes, model: Any, again: Any, options: dict[str, Any], settings: Settings
) -> None:
    compressor = llmcomp.LLMCompressor(model=model, **options)
    size = settings.of((1, 10, 100, 1000))
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    blob = b"".join(map(compressor.compress, pieces)) + compressor.flush()
    if options["profile"] == "fixed" and options["steer"] is None:
        assert blob == llmcomp.compress(text, model=model, **options)
    with llmcomp.open(io.BytesIO(blob), model=again) as file:
        assert file.read() == text


def _check_files(
    text: bytes, model: Any, again: Any, options: dict[str, Any], settings: Settings
) -> None:
    edges = [0, *sorted(settings.of(range(len(text) + 1)) for _ in range(3)), len(text)]
    files = {f"{i}.txt": text[a:b] for i, (a, b) in enumerate(pairwise(edges))}
    archive = Archive(llmcomp.compress_files(files.items(), model=model, **options), model=again)
    assert {name: archive.read(name) for name in files} == files


def _chosen(settings: Settings) -> tuple[Any, Any, dict[str, Any]]:
    """Two models, one for each side, and options of `codec.compress` that they take."""
    profile = settings.of(("fixed", "tolerant", "replay"))
    margin = 2.0 ** -settings.of(range(4, 31)) if profile == "tolerant" else None
    model, again, steer = TINY, TINY, _steering(settings)
    if settings.of((True, False)):
        jitter = margin / 4 if margin else 0.0  # on one side; both shift log-odds by twice that
        model, again = (FakeModel(jitter=jitter, jitter_seed=seed) for seed in range(2))
        model.context_length = again.context_length = settings.of(range(16, 200))
        steer = None
    lanes, lane_bytes = settings.of((None, *range(1, 40))), settings.of((None, *range(1, 100)))
    return model, again, {
        "profile": profile,
        "margin": margin,
        "steer": steer,
        "lanes": lanes,
        "lane_bytes": lane_bytes if lanes is None else None,
        "preset": settings.of(("fast", "balanced", "small")),
        "verify": settings.of((True, False)),
        "methods": settings.of(METHODS),
    }  # fmt: skip


def _steering(settings: Settings) -> Steering | None:
    """One of every kind of prompt; none as often as there are kinds of prior."""
    kind = settings.of((None, None, None, None, "text", "random", *PRIORS))
    size, seed, levels = (settings.of(range(1, most)) for most in (49, 256, 40))
    if kind is None:
        return None
    if kind == "text":
        return TextSteering(bytes(range(seed, min(256, seed + size))))
    if kind == "random":
        return RandomSteering(size, seed, seed / 64)
    vector = np.random.default_rng(seed).normal(size=(size, TINY.hidden_size)).astype(np.float32)
    soft = SoftPrompt(vector, seed / 64, TINY.name, TINY.fingerprint.hex())
    return TrainedSteering.coding(soft, make_prior(kind, levels=levels + 1))


def seeds() -> list[bytes]:
    """Texts of several kinds under random settings."""
    rng = random.Random(3)
    texts = (b"", TEXT.encode()[-90:], b"the dog " * 20, bytes(range(0, 256, 3)), rng.randbytes(90))
    return [rng.randbytes(N_SETTINGS) + text for text in texts for _ in range(4)]


def mutate(data: bytes, rng: random.Random, plainly: Callable[[bytes], bytes]) -> bytes:
    """Changes a setting, or the text."""
    settings, text = bytearray(data[:N_SETTINGS].ljust(N_SETTINGS, b"\0")), data[N_SETTINGS:]
    if rng.random() < 0.5:
        settings[rng.randrange(N_SETTINGS)] = rng.randrange(256)
        return bytes(settings) + text
    return bytes(settings) + plainly(text)
