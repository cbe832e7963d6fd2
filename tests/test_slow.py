"""Minutes rather than seconds: deep fuzzing, longer texts. `make slow` runs these."""

from __future__ import annotations

import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from test_damage import repaired_mutations

import llmcomp
from llmcomp import codec
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


def test_hundred_thousand_mutations_with_repaired_checksums(tiny):
    repaired_mutations(FakeModel(), b"the quick brown fox jumps over the lazy dog; " * 6, 95_000)
    repaired_mutations(tiny, b"the quick brown fox jumps over the lazy dog", 5_000)


@pytest.mark.embedded
@pytest.mark.parametrize("preset", ["fast", "balanced", "small"])
def test_whole_text_round_trips_at_every_preset(real_text, preset):
    result = run(codec.compressing(real_text, preset=preset, methods=("lm",)))
    assert not result.bill.notes
    assert llmcomp.decompress(result.blob) == real_text
