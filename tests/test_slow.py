"""Minutes rather than seconds: deep fuzzing, longer texts. `make slow` runs these."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcomp
from llmcomp import codec
from llmcomp.container import unpack
from llmcomp.errors import LLMCompError
from llmcomp.steps import run

pytestmark = pytest.mark.slow


@settings(settings.get_profile("deep"))
@given(
    data=st.binary(max_size=3000),
    lanes=st.integers(1, 40),
    preset=st.sampled_from(["fast", "small"]),
)
def test_any_bytes_round_trip_deeply(data, lanes, preset):
    model = FakeModel()
    blob = llmcomp.compress(data, model=model, methods=("lm",), lanes=lanes, preset=preset)
    assert llmcomp.decompress(blob, model=model) == data


def test_hundred_thousand_mutations_with_repaired_checksums():
    """Past the door: blobs whose stored CRC was made to fit the damage again."""
    data = b"the quick brown fox jumps over the lazy dog; " * 6
    model = FakeModel()
    blob = llmcomp.compress(data, model=model, methods=("lm",), lanes=3)
    frame = unpack(blob).frames[0]
    rng = random.Random(11)
    outcomes = {"right": 0, "refused": 0}
    for _ in range(100_000):
        damaged = bytearray(blob)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(5, len(damaged) - 4)] = rng.randrange(256)
        body = bytes(damaged[frame.start : -4])
        crc = zlib.crc32(bytes(damaged[: frame.start]) + b"\0" + body)
        damaged[-4:] = struct.pack("<I", crc)
        try:
            decoded = llmcomp.decompress(bytes(damaged), model=model)
        except LLMCompError:
            outcomes["refused"] += 1
        else:
            assert decoded == data
            outcomes["right"] += 1
    assert outcomes["refused"] > 90_000


@pytest.mark.embedded
@pytest.mark.parametrize("preset", ["fast", "balanced", "small"])
def test_whole_text_round_trips_at_every_preset(real_text, preset):
    result = run(codec.compressing(real_text, preset=preset, methods=("lm",)))
    assert not result.bill.notes
    assert llmcomp.decompress(result.blob) == real_text
