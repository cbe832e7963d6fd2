"""Minutes rather than seconds: deep fuzzing, longer texts. `make slow` runs these."""

from __future__ import annotations

import io
import os
import platform
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT
from fakes import FakeModel
from fuzz import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st
from test_damage import repaired_mutations

import llmcomp
from llmcomp import codec
from llmcomp.steps import run
from llmcomp.stream import (
    BlobCompressor,
    BlobDecompressor,
    compressing_stream,
    decompressing_stream,
)

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


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_is_found_that_breaks_a_law(target, tmp_path):
    """Two minutes of coverage-guided fuzzing in all; ``tests/fuzz.py`` says how to do more."""
    if find_spec("atheris") is None:
        here = f"{platform.system()} {platform.machine()}"
        assert not os.environ.get("CI") or here != "Linux x86_64", "CI must have Atheris"
        pytest.skip(f"Atheris is not installed; its wheels are for Linux x86_64, this is {here}")
    command = [sys.executable, str(ROOT / "tests/fuzz.py"), target, "--seconds", "40"]
    command += ["--out", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert "DONE" in done.stdout


@pytest.mark.embedded
@pytest.mark.parametrize("preset", ["fast", "balanced", "small"])
def test_whole_text_round_trips_at_every_preset(real_text, preset):
    result = run(codec.compressing(real_text, preset=preset, methods=("lm",)))
    assert not result.bill.notes
    assert llmcomp.decompress(result.blob) == real_text


@pytest.mark.embedded
def test_a_megabyte_round_trips_on_the_embedded_model(megabyte):
    result = run(codec.compressing(megabyte, methods=("lm",), verify=False))
    assert not result.bill.notes
    assert llmcomp.decompress(result.blob) == megabyte


def peak_memory(megabytes: int) -> int:
    """Of a process that streams so much through the tiny model and back, in KiB."""
    command = [sys.executable, str(ROOT / "tests/memory_of_streams.py"), str(megabytes)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_streams_take_no_more_memory_for_more_bytes():
    short, long = peak_memory(3), peak_memory(8)
    assert abs(long - short) <= 0.05 * short


@pytest.fixture(scope="module")
def megabyte() -> bytes:
    sources = b"\n".join(p.read_bytes() for p in sorted((ROOT / "llmcomp").rglob("*.py")))
    return (sources * (1_000_000 // len(sources) + 1))[:1_000_000]


@pytest.mark.parametrize("profile", ["fixed", "tolerant", "replay"])
@pytest.mark.parametrize("preset", ["fast", "balanced", "small"])
@pytest.mark.parametrize("kind", ["text", "mixed"])
def test_long_files_round_trip_in_every_profile(tiny, megabyte, profile, preset, kind):
    """A megabyte of text through the model; three megabytes of text, noise and machine code."""
    data, methods = megabyte, ("lm",)
    if kind == "mixed":
        code = Path(sys.executable).resolve().read_bytes() * 40
        data = megabyte + random.Random(1).randbytes(1_000_000) + code[:1_000_000]
        methods = codec.METHODS
    made, again = io.BytesIO(), io.BytesIO()
    how = BlobCompressor(model=tiny, profile=profile, preset=preset, methods=methods, verify=False)
    run(compressing_stream(io.BytesIO(data), made, how))
    made.seek(0)
    run(decompressing_stream(made, again, BlobDecompressor(model=tiny)))
    assert again.getvalue() == data
    made.seek(0)
    with llmcomp.open(made, model=tiny) as file:
        file.seek(len(data) - 30)
        assert file.read(20) == data[-30:-10]
