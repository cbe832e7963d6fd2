"""Hub models through the codec: blobs made by the parallel pass decode under other numerics."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from fakes import FakeModel
from hub_checkpoints import CONFIGS
from make_tiny_model import TEXT

import llmcomp
from llmcomp.cli import main
from llmcomp.codec import get_info
from llmcomp.container import NAMED_MODEL, pack, unpack
from llmcomp.errors import FormatError, ModelError
from llmcomp.evaluate import calibrate, portability
from llmcomp.models import load_model
from llmcomp.models.hub import HubModel, load_hub_model
from llmcomp.steering.kinds import RandomSteering
from llmcomp.steps import run

DATA = (TEXT * 2).encode() + b"\x04\xff<|endoftext|></s>\xe2\x96\x81\r\n"
"""Text, bytes that some vocabularies lack, and what looks like special tokens."""


@pytest.fixture(scope="module")
def models(checkpoints) -> dict[str, HubModel]:
    return {f: load_hub_model(str(p), dtype="float32") for f, p in checkpoints.items()}


@pytest.fixture(scope="module")
def blobs(models) -> dict[str, bytes]:
    return {
        family: llmcomp.compress(DATA, model=model, methods=("lm",), lanes=3)
        for family, model in models.items()
    }


@contextlib.contextmanager
def threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("family", CONFIGS)
def test_blobs_decode_under_other_numerics(family, models, blobs, checkpoints):
    blob, path = blobs[family], str(checkpoints[family])
    info = get_info(blob)
    assert info.profile == "tolerant" and "float32" in info.numerics
    assert llmcomp.decompress(blob, model=models[family]) == DATA
    for dtype in ("float32", "float64"):
        other = load_hub_model(path, dtype=dtype, attention="sdpa")
        assert llmcomp.decompress(blob, model=other) == DATA
    with threads(1):
        assert llmcomp.decompress(blob, model=path) == DATA
    # lane by lane instead of together
    from llmcomp.ranges import read_range

    for start in range(0, len(DATA), 50):
        part = read_range(blob, start, start + 7, model=models[family])
        assert part == DATA[start : start + 7]


@pytest.mark.parametrize(
    "instructions",
    [("avx2", "AVX2", "AVX2"), ("default", "SSE4_2", "SSE41")],
    ids=["no AVX-512", "no AVX"],
)
def test_blobs_decode_with_older_instructions(instructions, blobs, checkpoints, tmp_path):
    names = ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")
    for family, blob in blobs.items():
        (tmp_path / family).write_bytes(blob)
    script = (
        "import sys, json, pathlib, llmcomp\n"
        "for path, blob in json.load(sys.stdin):\n"
        "    plain = llmcomp.decompress(pathlib.Path(blob).read_bytes(), model=path)\n"
        "    sys.stdout.write(plain.hex() + '\\n')\n"
    )
    asked = [(str(checkpoints[f]), str(tmp_path / f)) for f in blobs]
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(asked),
        env=os.environ | dict(zip(names, instructions, strict=True)) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [DATA.hex()] * len(blobs), done.stderr


@pytest.mark.parametrize("family", CONFIGS)
def test_int8_blobs_decode_under_other_numerics(family, models, blobs, checkpoints):
    path = str(checkpoints[family])
    model = load_hub_model(path, dtype="int8")
    blob = llmcomp.compress(DATA, model=model, methods=("lm",), lanes=3)
    info = get_info(blob)
    assert info.profile == "tolerant" and "int8" in info.numerics
    other = load_hub_model(path, dtype="int8", attention="sdpa", head="float64")
    assert llmcomp.decompress(blob, model=other) == DATA
    with threads(1):
        assert llmcomp.decompress(blob, model=path) == DATA  # in what the blob says
    with pytest.raises(ModelError, match=r"weights in int8, .* in float32; .*--dtype int8"):
        llmcomp.decompress(blob, model=models[family])
    with pytest.raises(ModelError, match=r"weights in float32, .* in int8; .*--dtype float32"):
        llmcomp.decompress(blobs[family], model=model)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "int8"])
def test_replay(dtype, checkpoints):
    path = str(checkpoints["llama"])
    model = load_hub_model(path, dtype=dtype)
    blob = llmcomp.compress(DATA, model=model, profile="replay", methods=("lm",), lanes=2)
    assert llmcomp.decompress(blob, model=path) == DATA
    assert dtype in get_info(blob).numerics
    with pytest.raises(ModelError, match="only where it was made") as caught:
        llmcomp.decompress(blob, model=load_hub_model(path, dtype=dtype, attention="sdpa"))
    assert "eager" in str(caught.value) and "sdpa" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bfloat16_is_replayed_by_default(checkpoints):
    model = load_hub_model(str(checkpoints["gpt2"]), dtype="bfloat16")
    assert get_info(llmcomp.compress(DATA, model=model)).profile == "replay"
    with pytest.raises(ValueError, match="has replay"):
        llmcomp.compress(DATA, model=model, profile="tolerant")


def test_steered_hub_blobs(models):
    steering = RandomSteering(3, 5, 0.1)
    blob = llmcomp.compress(DATA, model=models["qwen2"], steer=steering, methods=("lm",))
    assert get_info(blob).steering == "random, 3 virtual tokens, seed 5"
    assert llmcomp.decompress(blob, model=models["qwen2"]) == DATA
    text = llmcomp.compress(DATA, model=models["gpt2"], steer="text:the fox", methods=("lm",))
    assert llmcomp.decompress(text, model=models["gpt2"]) == DATA


def test_no_prompt_is_trained_through_a_hub_model(models):
    with pytest.raises(ModelError, match="a string or noise can steer it") as caught:
        llmcomp.compress(DATA, model=models["llama"], steer="trained")
    assert "\n" not in str(caught.value)


def test_another_model_is_refused(models, blobs):
    with pytest.raises(ModelError, match="decode with that model"):
        llmcomp.decompress(blobs["gpt2"], model=models["qwen3"])
    with pytest.raises(ModelError, match="a model of its own"):
        llmcomp.decompress(blobs["gpt2"])


def test_a_named_model_is_found_but_never_downloaded(models, monkeypatch):
    named = models["llama"]
    monkeypatch.setattr(named, "source", "somebody/fox@" + "ab" * 20)
    blob = llmcomp.compress(DATA, model=named, methods=("lm",))
    header = unpack(blob).header
    assert header.model == NAMED_MODEL and header.name == named.source
    assert get_info(blob).model == named.source
    assert llmcomp.decompress(blob, model=named) == DATA
    with pytest.raises(ModelError, match="no blob may make it download one") as caught:
        llmcomp.decompress(blob)
    assert "--model somebody/fox" in str(caught.value) and "\n" not in str(caught.value)
    segments = [frame.segment for frame in unpack(blob).frames]
    for evil in ("../../etc/passwd", "embedded-1", "/proc/1/root/x", "a/b@main"):
        with pytest.raises(FormatError, match="wants owner/model@commit"):
            llmcomp.decompress(pack(replace(header, name=evil), segments))
    with pytest.raises(ModelError, match="made in float32, but nano computes the same") as caught:
        llmcomp.decompress(blob, model="nano")
    assert "\n" not in str(caught.value)


def test_dtype_and_device_are_for_hub_models(checkpoints):
    path = str(checkpoints["gpt2"])
    assert load_model(path, dtype="float64").dtype == "float64"
    assert load_model(path).dtype == "float32"
    assert load_model("nano", dtype="float64").profiles[0] == "fixed"
    for options in ({"dtype": "float32"}, {"device": "cpu"}):
        with pytest.raises(ValueError, match="for Hub models"):
            load_model("nano", **options)


def test_by_command(checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_bytes(DATA * 3)
    path = str(checkpoints["llama"])
    chosen = ["--profile", "tolerant", "--margin", "0.001", "--dtype", "float64"]
    assert main(["compress", "in.txt", "--model", path, *chosen]) == 0
    assert main(["info", "in.txt.llmc"]) == 0
    assert "profile tolerant: float64, log-odds within 2**-9" in capsys.readouterr().out
    assert main(["decompress", "in.txt.llmc", "--model", path, "-o", "out.txt"]) == 0
    assert (tmp_path / "out.txt").read_bytes() == DATA * 3
    assert main(["cat", "in.txt.llmc", "--model", path, "--device", "cpu", "--range", "4:9"]) == 0
    assert capsys.readouterr().out == "quick"
    for wrong, words in (
        (["--profile", "fixed"], "has tolerant, replay"),
        (["--margin", "2"], "margin 2"),
        (["--profile", "replay", "--margin", "0.1"], "no margin"),
    ):
        assert main(["compress", "in.txt", "--model", path, "-f", *wrong]) == 2
        assert words in capsys.readouterr().err
    assert main(["decompress", "in.txt.llmc", "--device", "cpu", "-f"]) == 2
    assert "need --model" in capsys.readouterr().err


def test_calibration_finds_what_moves(checkpoints):
    path = str(checkpoints["qwen2"])
    ways = [
        calibrate.Condition("parallel pass", "float32", "cpu"),
        calibrate.Condition("again", "float32", "cpu"),
        calibrate.Condition("cached, alone", "float64", "cpu", cached=True, together=1),
    ]
    again, alone = run(calibrate.calibrate(path, DATA * 3, ways, 200))
    assert again.largest == 0.0
    assert 0 < alone.median <= alone.tail <= alone.largest < 1e-3
    assert again.n_decisions == alone.n_decisions > 500
    exponent = calibrate.recommended([again, alone])
    assert 2.0**-exponent / 2 < 3 * alone.largest <= 2.0**-exponent
    assert calibrate.recommended([again]) == 30
    assert calibrate.table([again, alone]).count("\n") == 3
    names = {way.name for way in calibrate.conditions()}
    assert {"cached pass", "no AVX", "one thread", "float64", "attention by sdpa"} <= names


def test_calibration_by_command(monkeypatch, capsys):
    """On samples of its own, every condition of this machine; the numbers are made up."""
    asked = []

    def measured(source, data, way, n_tokens):
        asked.append((source, len(data) > 1000, way.name, n_tokens))
        return np.full(9, 1e-5 * len(asked))

    monkeypatch.setattr(calibrate, "_measured", measured)
    assert main(["calibrate", "gpt2"]) == 0
    names = [way.name for way in calibrate.conditions()]
    assert asked == [("gpt2", True, name, 2000) for name in names]
    said = capsys.readouterr().out
    assert "| cached pass | 1e-05 |" in said
    assert "recommended: --profile tolerant --margin 0.000244141 (2^-12)" in said
    asked.clear()
    assert main(["calibrate", "gpt2", "--dtype", "float64", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["margin"] == 2.0**-12 and "float32" not in [f["name"] for f in found["findings"]]
    assert main(["calibrate", "gpt2", "--tokens", "0"]) == 2


def test_calibration_says_what_it_cannot_do(tmp_path):
    ways = calibrate.conditions()[:1]
    with pytest.raises(ValueError, match="empty"):
        run(calibrate.calibrate("embedded", b"", ways))
    with pytest.raises(ModelError, match="no model"):
        run(calibrate.calibrate("wishful", b"abc", ways))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be run here: ") as caught:
        run(calibrate.calibrate(str(tmp_path), b"abc", ways))
    assert "\n" not in str(caught.value)


def test_prices_fall_with_the_margin_and_beat_flags():
    data = bytes(np.random.default_rng(0).choice(64, 6000).astype(np.uint8) + 32)
    found = portability.prices(FakeModel(), data, (6, 10, 14))
    assert [p.exponent for p in found] == [6, 10, 14]
    assert found[0].rulers > found[1].rulers > found[2].rulers > 0
    assert all(0 < p.agreement < p.rulers for p in found)
    assert all(2 * p.rulers < p.flags for p in found[:2])
    assert portability.table(found).count("\n") == 4
