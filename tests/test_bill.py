"""The bill, and rates that count the model; what a model weighs, without loading it."""

from __future__ import annotations

import io
import json
import math
import random
import shutil

import numpy as np
import pytest
from conftest import ROOT
from fakes import FakeModel
from safetensors.numpy import save_file

import llmcomp
from llmcomp import codec, models
from llmcomp.archive import Entry, archiving
from llmcomp.bill import Bill, ModelSize, rate_of
from llmcomp.cli import main
from llmcomp.container import SEGMENT_BYTES, Method, unpack
from llmcomp.errors import ModelError
from llmcomp.evaluate.baselines import compressors, sizes
from llmcomp.models.size import size_of
from llmcomp.steps import run
from llmcomp.stream import BlobCompressor

TINY = ROOT / "tests/models/tiny"
TEXT = "The quick brown fox; 春眠不觉晓.\r\n".encode() * 20
MODEL = FakeModel()
WEIGHTS, TOKENIZER = 1000, 50


@pytest.fixture
def directory(tmp_path):
    """A model's directory, of 60 parameters."""
    tensors = {
        "wte.weight": np.zeros((7, 8), np.float16),
        "h.0.attn.c_attn.bias": np.zeros(4, np.float16),
    }
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes(b"{}")
    (tmp_path / "vocab.json").write_bytes(bytes(TOKENIZER))
    (tmp_path / "merges.txt").write_bytes(bytes(TOKENIZER))
    (tmp_path / "release.json").write_bytes(bytes(999))  # nobody needs it to decode
    return tmp_path


def weight_bytes(directory) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))


def test_rates_count_the_model_in_two_ways():
    model = ModelSize(n_parameters=300, file_bytes=900)
    assert model.adjusted_rates(100, 1000) == (0.7, 1.0)
    assert model.adjusted_rates(17, 0) == (0.0, 0.0)
    bill = Bill(raw_bytes=1000, total_bytes=100, model=model)
    assert (bill.rate, bill.adjusted_rates) == (0.1, (0.7, 1.0))
    without = Bill(raw_bytes=1000, total_bytes=100)
    assert without.adjusted_rates == (0.1, 0.1)


def test_from_the_break_even_on_blob_and_model_are_smaller_than_xz():
    bill = Bill(raw_bytes=1000, total_bytes=100, model=ModelSize(300, 900))
    even = bill.break_even_bytes(300)
    assert even == 4500.0
    assert 0.1 * even + 900 == 0.3 * even
    assert math.isinf(bill.break_even_bytes(100))
    assert Bill(raw_bytes=1000, total_bytes=100).break_even_bytes(300) == 0.0


def test_parts_of_a_blob_share_one_model_and_no_xz():
    model = ModelSize(300, 900)
    bill = Bill()
    bill.add(Bill(raw_bytes=10, total_bytes=5, model=model, xz_bytes=7))
    assert (bill.model, bill.xz_bytes) == (model, 7)
    bill.add(Bill(raw_bytes=10, total_bytes=6, xz_bytes=8))
    assert (bill.raw_bytes, bill.total_bytes, bill.model, bill.xz_bytes) == (20, 11, model, 0)


def test_what_counts_is_what_a_decoder_needs(directory):
    assert size_of(directory) == ModelSize(60, weight_bytes(directory) + 2 + 2 * TOKENIZER)
    (directory / "tokenizer.json").write_bytes(bytes(30))  # takes the place of the others
    assert size_of(directory).file_bytes == weight_bytes(directory) + 2 + 30
    (directory / "unigram.bin").write_bytes(bytes(512))
    assert size_of(directory).file_bytes == weight_bytes(directory) + 2 + 30 + 512


def test_weights_in_parts_count_together_and_constants_not_at_all(directory):
    whole = directory / "model.safetensors"
    whole.rename(directory / "model-00001-of-00002.safetensors")
    more = {
        "h.0.attn.bias": np.zeros((1, 1, 9, 9), np.float32),
        "h.0.attn.masked_bias": np.zeros((), np.float32),
        "layers.0.attention.bias": np.zeros((1, 1, 9, 9), np.bool_),
        "layers.0.attention.rotary_emb.inv_freq": np.zeros(9, np.float32),
        "layers.0.attention.dense.bias": np.zeros(5, np.float32),
    }
    save_file(more, directory / "model-00002-of-00002.safetensors")
    (directory / "model.safetensors.index.json").write_bytes(bytes(40))
    assert size_of(directory) == ModelSize(65, weight_bytes(directory) + 2 + 2 * TOKENIZER + 40)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\x02\0\0\0\0\0\0\0{",
        b"\x02\0\0\0\0\0\0\0[]",
        b"\xff" * 8 + b"{}",
        b'\x0f\0\0\0\0\0\0\0{"w":{"shape":1}}',
        b'\x08\0\0\0\0\0\0\0{"w":{}}',
    ],
)
def test_weights_without_a_header_are_refused_in_one_line(directory, start):
    (directory / "model.safetensors").write_bytes(start)
    with pytest.raises(ModelError, match=r"no header of safetensors; export or download") as caught:
        size_of(directory)
    assert "\n" not in str(caught.value)


def test_shipped_models_weigh_what_their_releases_say():
    for path in models.ASSETS.glob("*/release.json"):
        release = json.loads(path.read_text(encoding="utf-8"))
        size = size_of(path.parent)
        assert size.n_parameters == release["n_parameters"]
        assert size == models.size_of_named(*number_of(path.parent.name))


def number_of(name: str) -> tuple[int, str]:
    return {known: number for number, known in models.MODELS.items()}[name], ""


def test_models_that_are_not_here_weigh_nothing_known(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "ASSETS", tmp_path)
    assert models.size_of_named(1, "") is None
    assert models.size_of_named(0, "") is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert models.size_of_named(255, "nobody/nothing@" + "0" * 40) is None


def test_a_model_knows_its_size_with_a_prompt_too(tiny):
    assert tiny.size == size_of(TINY)
    assert tiny.steered(np.zeros((2, tiny.hidden_size))).size == tiny.size


def test_the_model_counts_only_if_it_is_needed():
    text = run(codec.compressing(TEXT, model=MODEL, methods=("lm",)))
    assert text.bill.model == MODEL.size
    kept = run(codec.compressing(TEXT, model=MODEL, methods=("xz",)))
    assert kept.bill.model is None
    assert kept.bill.adjusted_rates == (kept.bill.rate, kept.bill.rate)


@pytest.mark.parametrize("steer", ["none", "text:The quick brown fox"])
def test_what_xz_makes_of_the_text_is_billed_beside(tiny, steer):
    text = TEXT[:70]
    result = run(codec.compressing(text, model=tiny, steer=steer))
    assert unpack(result.blob).frames[0].segment.method is Method.LM
    assert result.bill.xz_bytes == sizes(text)["xz"]
    stream = BlobCompressor(model=tiny, steer=steer)
    assert run(stream.feed(text)) + run(stream.finish()) == result.blob
    assert stream.bill == result.bill


def test_xzs_file_is_that_of_the_baseline_for_a_whole_segment_too():
    rng = random.Random(1)
    words = [rng.randbytes(rng.randint(2, 9)) for _ in range(5_000)]
    data = b" ".join(rng.choices(words, k=SEGMENT_BYTES // 5))[:SEGMENT_BYTES]
    assert len(data) == SEGMENT_BYTES
    for text in (b"", b"a", data[:10_000], data):
        assert codec._xz_file_bytes(text) == len(compressors()["xz"](text))


def test_xz_is_not_billed_where_it_saw_parts_only(tiny):
    data = b"".join(b"%d bottles of beer; " % i for i in range(SEGMENT_BYTES // 19))
    assert len(data) > SEGMENT_BYTES
    stream = BlobCompressor(model=MODEL, methods=("xz",))
    run(stream.feed(data))
    run(stream.finish())
    assert stream.bill.xz_bytes == 0
    alone = run(codec.compressing(TEXT, model=tiny, methods=("lm",)))
    assert alone.bill.xz_bytes == 0


def test_an_archives_model_counts_once():
    files = {f"{i}.txt": TEXT for i in range(5)}
    entries = [Entry(name, content) for name, content in files.items()]
    bill = run(archiving(entries, io.BytesIO(), model=MODEL, methods=("lm",))).bill
    raw_bytes = len(TEXT) * len(files)
    with_files = rate_of(bill.total_bytes + MODEL.size.file_bytes, raw_bytes)
    assert bill.adjusted_rates[1] == with_files


def test_info_counts_the_model_if_it_is_here(tiny, monkeypatch, tmp_path):
    (tmp_path / "nano-1").symlink_to(TINY, target_is_directory=True)
    monkeypatch.setattr(models, "ASSETS", tmp_path)
    nano = models._load(TINY, "nano-1", 2)
    blob = llmcomp.compress(TEXT[:70], model=nano, methods=("lm",))
    info = llmcomp.get_info(blob)
    assert info.model_size == size_of(TINY)
    assert info.adjusted_rates == info.model_size.adjusted_rates(len(blob), 70)
    by_hand = llmcomp.get_info(llmcomp.compress(TEXT, model=tiny, methods=("lm",)))
    assert by_hand.needs_model
    assert by_hand.model_size is by_hand.adjusted_rates is None
    as_xz = llmcomp.get_info(llmcomp.compress(TEXT, model=nano, methods=("xz",)))
    assert not as_xz.needs_model
    assert as_xz.adjusted_rates == (as_xz.rate, as_xz.rate)


@pytest.fixture
def nano(monkeypatch, tmp_path):
    """The tests' model in the place of a shipped one."""
    assets = tmp_path / "assets"
    shutil.copytree(TINY, assets / "nano-1")
    monkeypatch.setattr(models, "ASSETS", assets)
    models._load.cache_clear()
    yield size_of(TINY)
    models._load.cache_clear()


def test_the_command_line_bills_the_model(nano, tmp_path, capsys):
    path = tmp_path / "fox.txt"
    path.write_bytes(TEXT[:70])
    assert main(["compress", str(path), "--model", "nano", "-v"]) == 0
    said = capsys.readouterr().err
    size = (tmp_path / "fox.txt.llmc").stat().st_size
    nominal, with_files = nano.adjusted_rates(size, 70)
    assert f"rate {nominal:,.4f} at 2 bytes a parameter ({nano.n_parameters:,})" in said
    assert f"{with_files:,.4f} with its files ({nano.file_bytes:,} bytes)" in said
    assert "; pays against xz from " in said
    lines = [line for line in said.splitlines() if line.startswith("  ")]
    rows = {line[:30].strip(): line[30:].split() for line in lines}
    assert {"header", "lengths", "checksums", "text, ideal under the model"} <= set(rows)
    total = rows.pop("the file")
    assert total == [f"{8 * size:,.1f}", "bits", f"{size:,.1f}", "bytes", "100.0", "%"]
    assert sum(float(row[0].replace(",", "")) for row in rows.values()) == pytest.approx(
        8 * size, abs=0.05 * len(rows)
    )
    assert "-0.0" not in said
    assert ("online help" in rows) == ("without online help: " in said)

    assert main(["compress", str(path), "--model", "nano", "-f", "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert bill["adjusted_rate"] == nominal
    assert bill["adjusted_rate_files"] == with_files
    assert bill["break_even_bytes"] == 70 * nano.file_bytes / (bill["xz_bytes"] - size)
    assert main(["info", f"{path}.llmc"]) == 0
    assert f"with model  rate {nominal:,.4f} at 2 bytes" in capsys.readouterr().out
    assert main(["info", f"{path}.llmc", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["adjusted_rate"], info["adjusted_rate_files"]) == (nominal, with_files)


def test_a_file_that_needs_no_model_is_billed_without(nano, tmp_path, capsys):
    path = tmp_path / "a"
    path.write_bytes(b"ab" * 4000)
    assert main(["compress", str(path), "--model", "nano", "--no-online", "--json"]) == 0
    bill = json.loads(capsys.readouterr().out)
    assert bill["model"] is None
    assert bill["adjusted_rate"] == bill["rate"]
    assert bill["break_even_bytes"] == 0.0
    assert main(["compress", str(path), "--model", "nano", "--no-online", "-f"]) == 0
    assert "model" not in capsys.readouterr().err
    assert main(["info", f"{path}.llmc"]) == 0
    assert "with model" not in capsys.readouterr().out
