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
from hub_tokenizers import MISSING, TEXT

import llmcomp
from llmcomp.cli import main
from llmcomp.codec import get_info
from llmcomp.container import NAMED_MODEL, pack, unpack
from llmcomp.errors import FormatError, ModelError
from llmcomp.evaluate import calibrate, hub_models, portability
from llmcomp.hub_tokens import ESCAPE
from llmcomp.lanes import encode
from llmcomp.models import load_model
from llmcomp.models.hub import HubModel, load_hub_model
from llmcomp.models.registry import REGISTRY
from llmcomp.models.stock import weight_bytes
from llmcomp.schedule import Schedule
from llmcomp.steering.choices import Trained
from llmcomp.steering.kinds import RandomSteering
from llmcomp.steering.priors import Laplace
from llmcomp.steering.settings import Training
from llmcomp.steering.soft_prompt import SoftPrompt
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


# --- steering ------------------------------------------------------------------------------------

BRIEF = Training(n_virtual_tokens=3, epochs=2, row_tokens=32, held_out=0.2, learning_rate=0.05)


def fit(model: HubModel, training: Training = BRIEF, data: bytes = DATA):
    from llmcomp.steering.fit import cut_rows, fitting

    rows = cut_rows(model, data, training)
    return rows, list(fitting(model, rows, training))


@pytest.mark.parametrize(
    ("family", "dtype"),
    [*((family, "float32") for family in CONFIGS), ("llama", "bfloat16"), ("gpt2", "int8")],
)
def test_steered_hub_blobs(family, dtype, checkpoints):
    """Every kind of prompt, in every profile; a decoder of its own reads the prompt's record."""
    path, data = str(checkpoints[family]), DATA[-200:]
    model = load_hub_model(path, dtype=dtype)
    trained = Trained(replace(BRIEF, epochs=1), Laplace(levels=8))
    for steering, words in (
        (RandomSteering(3, 5, 0.1), "random, 3 virtual tokens, seed 5"),
        ("text:the \x04 fox", "text 'the \\x04 fox'"),
        (trained, "trained, 3 virtual tokens, laplace 8"),
    ):
        for profile in model.profiles:
            blob = llmcomp.compress(
                data, model=model, steer=steering, profile=profile, methods=("lm",), lanes=2
            )
            info = get_info(blob)
            assert (info.steering, info.profile) == (words, profile)
            assert llmcomp.decompress(blob, model=path) == data
            if profile == "tolerant":
                other = load_hub_model(path, dtype=dtype, attention="sdpa")
                assert llmcomp.decompress(blob, model=other) == data


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8"])
@pytest.mark.parametrize("family", CONFIGS)
def test_training_sees_what_the_coder_codes(family, dtype, checkpoints):
    """The loss is the coder's ideal bits, escapes' among them, but for masses being integers."""
    model = load_hub_model(str(checkpoints[family]), dtype=dtype)
    data = MISSING.join([TEXT[at : at + 60].encode() for at in range(0, 360, 60)])
    rows, steps = fit(model, replace(BRIEF, epochs=1, learning_rate=1e-9), data)
    escapes = np.flatnonzero(model.tokenizer.model_ids == ESCAPE)
    assert np.isin(np.concatenate(rows.train), escapes).any() == (family == "gpt2")
    soft = steps[-1].best
    steered = model.steered(soft.vector.astype(np.float64) * soft.scale)
    for behind, train, held_out in (
        (model, steps[-1].plain_train, steps[-1].plain_held_out),
        (steered, steps[-1].train, steps[-1].held_out),
    ):
        for part, n_bytes, found in (
            (rows.train, rows.train_bytes, train),
            (rows.held_out, rows.held_out_bytes, held_out),
        ):
            coded = run(encode(behind, list(part), Schedule(64, 8)))
            bits = sum(lane.ideal_bits for lane in coded)
            assert found == pytest.approx(bits / n_bytes, rel=1e-6)


@pytest.mark.parametrize(("dtype", "step", "near"), [("float64", 1e-4, 1e-5), ("int8", 0.02, 0.02)])
@pytest.mark.parametrize("family", CONFIGS)
def test_the_prompts_gradient_is_the_slope(family, dtype, step, near, checkpoints):
    model = load_hub_model(str(checkpoints[family]), dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    n_tokens = len(model.tokenizer.token_bytes)
    inputs, labels = torch.randint(0, n_tokens, (2, 3, 20), generator=generator)
    inputs[:, 0], labels[1, 7:], labels[2, 4] = model.start_token, -1, n_tokens - 1
    prompt = torch.randn(3, 48, generator=generator, dtype=torch.float64).mul(0.15)
    prompt.requires_grad_()
    (gradient,) = torch.autograd.grad(model.loss(inputs, labels, prompt), prompt)
    way = gradient / gradient.norm()
    with torch.no_grad():
        above, below = (
            model.loss(inputs, labels, prompt + sign * step * way).item() for sign in (1, -1)
        )
    assert (above - below) / (2 * step) == pytest.approx(gradient.norm().item(), rel=near)


def test_training_gains_and_is_reproducible(models):
    training = replace(BRIEF, epochs=8)
    _, steps = fit(models["llama"], training)
    assert steps[-1].train < steps[-1].plain_train
    _, again = fit(models["llama"], training)
    np.testing.assert_array_equal(again[-1].best.vector, steps[-1].best.vector)


def test_a_prompt_serves_the_model_in_any_dtype(checkpoints, models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_bytes(DATA)
    path = str(checkpoints["qwen2"])
    brief = ["--virtual-tokens", "2", "--epochs", "1", "--row-tokens", "32"]
    assert main(["steer", "train", "in.txt", "--model", path, "--dtype", "bfloat16", *brief]) == 0
    soft = SoftPrompt.from_bytes((tmp_path / "in.txt.steer").read_bytes())
    for model in (models["qwen2"], load_hub_model(path, dtype="int8")):
        blob = llmcomp.compress(DATA, model=model, steer=soft, methods=("lm",))
        assert llmcomp.decompress(blob, model=model) == DATA
    with pytest.raises(ModelError, match="train one for this model"):
        llmcomp.compress(DATA, model=models["qwen3"], steer=soft, methods=("lm",))
    capsys.readouterr()
    chosen = ["--steer", "in.txt.steer", "--priors", "laplace", "--levels", "8"]
    assert main(["steer", "sweep", "in.txt", "--model", path, *chosen]) == 0
    assert "| trained, 2 virtual tokens, laplace 8 * |" in capsys.readouterr().out
    assert main(["steer", "train", "in.txt", "--dtype", "int8", "-f"]) == 2
    assert "are for Hub models" in capsys.readouterr().err


def test_what_cannot_be_trained_through(models):
    with pytest.raises(ModelError, match="loaded in float32, is trained in that, not in bfloat16"):
        fit(models["llama"], replace(BRIEF, precision="bfloat16"))
    with pytest.raises(ModelError, match="a string or noise can steer it") as caught:
        fit(FakeModel())
    assert "\n" not in str(caught.value)


# --- names, options and commands -----------------------------------------------------------------


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
    assert "recommended: --profile tolerant --margin 0.000244140625 (2^-12)" in said
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


def test_registered_models_weigh_what_they_should():
    """Against the parameter counts their authors state."""
    published = {
        "gpt2": 124_439_808,
        "pythia-70m": 70_426_624,
        "pythia-160m": 162_322_944,
        "pythia-410m": 405_334_016,
        "smollm2-135m": 134_515_008,
        "smollm2-360m": 361_821_120,
        "qwen2.5-0.5b": 494_032_768,
        "open-llama-3b": 3_426_473_600,
        "open-llama-7b": 6_738_415_616,
    }
    assert {name: model.n_parameters for name, model in REGISTRY.items()} == published
    lines = hub_models.table().splitlines()[2:]
    for (name, n_parameters), line in zip(published.items(), lines, strict=True):
        assert line.startswith(f"| `{name}` | {REGISTRY[name].repository} | {n_parameters:,} | ")
    for name, at_most in (("open-llama-3b", 3.5e9), ("open-llama-7b", 7e9)):
        assert weight_bytes(REGISTRY[name].architecture, "int8")[1] < at_most
    for model in REGISTRY.values():
        for dtype in ("float64", "float32", "bfloat16", "int8"):
            measured = weight_bytes(model.architecture, dtype)[1]
            assert model.weight_bytes(dtype) == pytest.approx(measured, rel=0.03), model.name
