"""Estimates of time, by a clock that the test turns."""

from __future__ import annotations

import io

import pytest
from fakes import FakeModel

import llmcomp
from llmcomp.errors import LLMCompError
from llmcomp.pace import MEASURED_BYTES, Pace, in_words
from llmcomp.steps import Progress, run
from llmcomp.stream import BlobCompressor, BlobDecompressor, decompressing_stream

KIB = 1024


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_estimate_waits_for_a_batch_and_then_counts_all_stages():
    clock = Clock()
    pace = Pace(("encode", "verify"), clock)
    clock.now = 1.0
    pace.note(Progress("encode", 1 * KIB, 160 * KIB))
    assert pace.left() is None
    clock.now = 2.0
    pace.note(Progress("encode", MEASURED_BYTES, 160 * KIB))
    assert pace.rate("encode") == 8 * KIB
    # 144 KiB at 8 KiB/s, and 160 KiB at a pace that is taken to be 2.8 times slower
    assert pace.left() == pytest.approx(18 + 56)
    clock.now = 6.0
    pace.note(Progress("verify", 16 * KIB, 160 * KIB))
    assert pace.left() == pytest.approx(18 + 36)


def test_short_jobs_are_estimated_at_their_end():
    clock = Clock()
    pace = Pace(("decode",), clock)
    assert pace.left() is None
    clock.now = 3.0
    pace.note(Progress("decode", 5, 5))
    assert pace.left() == 0.0
    assert pace.elapsed == 3.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3600, "1 h 0 min")],
)
def test_times_are_said_in_words(seconds, words):
    assert in_words(seconds) == words


DATA = b"".join(b"%d bottles of beer; " % i for i in range(3_000))


def test_past_the_limit_the_rest_is_kept_without_the_model():
    blob = BlobCompressor(
        model=FakeModel(), methods=("lm",), verify=False, max_seconds=1e-6, total=len(DATA)
    )
    packed = run(blob.feed(DATA)) + run(blob.finish())
    (note,) = blob.bill.notes
    assert "bytes from 0 on are kept without it" in note
    assert llmcomp.get_info(packed).segments[0][0] == "xz"
    assert llmcomp.decompress(packed, model=FakeModel()) == DATA
    assert sum(bits for _, bits in blob.bill.rows()) == 8 * len(packed)


def test_a_steered_text_past_the_limit_is_kept_without_model_and_prompt(tiny):
    blob = BlobCompressor(model=tiny, steer="text:beer", max_seconds=1e-6, verify=False)
    packed = run(blob.feed(DATA)) + run(blob.finish())
    assert llmcomp.get_info(packed).steering == "none"
    assert llmcomp.decompress(packed, model=tiny) == DATA


@pytest.mark.parametrize("limit", [0.0, -1.0, float("-inf"), float("nan")])
def test_a_limit_is_above_0_wherever_it_is_given(limit):
    with pytest.raises(ValueError, match=r"max_seconds is .*; wanted more than 0"):
        BlobCompressor(model=FakeModel(), max_seconds=limit)
    packed = llmcomp.compress(b"text", model=FakeModel())
    job = decompressing_stream(
        io.BytesIO(packed), io.BytesIO(), BlobDecompressor(model=FakeModel()), max_seconds=limit
    )
    with pytest.raises(ValueError, match=r"max_seconds is .*; wanted more than 0"):
        run(job)


def test_decoding_past_the_limit_is_refused():
    packed = llmcomp.compress(DATA, model=FakeModel(), methods=("lm",), verify=False)
    job = decompressing_stream(
        io.BytesIO(packed), io.BytesIO(), BlobDecompressor(model=FakeModel()), max_seconds=1e-6
    )
    with pytest.raises(LLMCompError, match="more than the 0 s allowed"):
        run(job)
