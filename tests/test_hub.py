"""Hub models: float64 that is float64, two passes that agree, clear words when nothing loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from conftest import ROOT
from hub_checkpoints import CONFIGS, write_checkpoint
from hub_reference import reference_logits
from hub_tokenizers import DEFINITIONS, MISSING, TEXT
from huggingface_hub import errors
from safetensors.numpy import load_file, save_file

from llmcomp.container import Lane
from llmcomp.errors import ModelError
from llmcomp.hub_tokens import ESCAPE
from llmcomp.lanes import decode_lanes, encode
from llmcomp.models import load_model, resolve
from llmcomp.models.hub import ESCAPE_NATS, HubModel, load_hub_model
from llmcomp.models.registry import REGISTRY
from llmcomp.models.snapped import SnappedModel
from llmcomp.models.sources import Source
from llmcomp.schedule import Schedule
from llmcomp.steps import run

FAMILIES = list(CONFIGS)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def models(checkpoints) -> dict[str, HubModel]:
    return {family: load_hub_model(str(path)) for family, path in checkpoints.items()}


@pytest.fixture(params=FAMILIES)
def model(request, models) -> HubModel:
    return models[request.param]


def rows_of(model: HubModel, n_rows: int, length: int) -> np.ndarray:
    """Rows of tokens of every kind, escapes among them, each behind the start token."""
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(model.tokenizer.token_bytes), (n_rows, length))
    rows[:, 0] = model.start_token
    rows[:, 2] = len(model.tokenizer.token_bytes) - 1
    return rows


def parallel(model: HubModel, rows: np.ndarray) -> np.ndarray:
    pieces: dict[int, list[np.ndarray]] = {}
    for row, start, logits in model.score(rows):
        assert start == sum(map(len, pieces.get(row, []))) and len(logits) <= 256
        pieces.setdefault(row, []).append(logits)
    return np.stack([np.concatenate(pieces[row]) for row in range(len(rows))])


def cached(model: HubModel, rows: np.ndarray, given: int = 1) -> np.ndarray:
    """Logits from the given prefix's end on."""
    session, logits = model.begin(rows[:, :given], rows.shape[1])
    steps = [session.step(rows[:, i]) for i in range(given, rows.shape[1])]
    return np.stack([logits, *steps], axis=1)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_float64_is_float64(family, attention, checkpoints):
    model = load_hub_model(str(checkpoints[family]), attention=attention)
    rows = rows_of(model, 2, 90)
    logits = parallel(model, rows)
    feed, columns = model.tokenizer.feed_ids, model.tokenizer.model_ids
    for row, found in zip(rows, logits, strict=True):
        wanted = reference_logits(checkpoints[family], feed[row])
        assert np.ptp(wanted) > 1.0  # a model that says something
        real = columns != ESCAPE
        np.testing.assert_allclose(found[:, real], wanted[:, columns[real]], rtol=0, atol=1e-10)
    np.testing.assert_allclose(cached(model, rows), logits, rtol=0, atol=1e-10)
    np.testing.assert_allclose(cached(model, rows, 40), logits[:, 39:], rtol=0, atol=1e-10)


SCALED = {
    "linear": {"factor": 3.0},
    # pairs on either side of the two bounds and between them
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 48,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 24, "beta_fast": 8},
    "yarn, given": {
        "factor": 4.0,
        "original_max_position_embeddings": 24,
        "attention_factor": 0.8,
        "truncate": False,
    },
    "yarn, as DeepSeek's": {
        "factor": 4.0,
        "original_max_position_embeddings": 24,
        "mscale": 0.7,
        "mscale_all_dim": 1.2,
    },
}


@pytest.mark.parametrize("scaling", SCALED)
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt_neox"])
def test_scaled_rotary_angles(family, scaling, tmp_path):
    """Against the reference to float64's error, and stock transformers to float32's."""
    rope = {"rope_type": scaling.split(",")[0], "rope_theta": 500.0, **SCALED[scaling]}
    if family == "gpt_neox":
        rope["partial_rotary_factor"] = 0.5
    directory = write_checkpoint(tmp_path / "scaled", family, rope_parameters=rope)
    model = load_hub_model(str(directory))
    rows = rows_of(model, 1, 90)
    found = parallel(model, rows)[0]
    real = model.tokenizer.model_ids != ESCAPE
    ids, columns = model.tokenizer.feed_ids[rows[0]], model.tokenizer.model_ids[real]
    wanted = reference_logits(directory, ids)[:, columns]
    np.testing.assert_allclose(found[:, real], wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(cached(model, rows, 9)[0], found[8:], rtol=0, atol=1e-10)
    stock = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float64)
    with torch.inference_mode():
        theirs = stock(torch.from_numpy(ids)[None]).logits[0].numpy()[:, columns]
    np.testing.assert_allclose(found[:, real], theirs, rtol=0, atol=1e-4)
    plain = write_checkpoint(
        tmp_path / "plain", family,
        rope_parameters={k: v for k, v in rope.items() if k not in SCALED[scaling]}
        | {"rope_type": "default"},
    )  # fmt: skip
    assert np.abs(parallel(load_hub_model(str(plain)), rows)[0] - found).max() > 1e-2


def test_stock_float64_is_not(checkpoints):
    """What this adapter is for: should transformers ever mend it, much here can go."""
    stock = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoints["llama"], dtype=torch.float64
    )
    ids = torch.arange(3, 90)[None]
    with torch.inference_mode():
        found = stock(ids).logits[0].numpy()
    wanted = reference_logits(checkpoints["llama"], ids[0].numpy())
    assert np.abs(found - wanted).max() > 1e-8


def test_rows_do_not_feel_each_other_nor_what_follows(model):
    rows = rows_of(model, 3, 20)
    alone = parallel(model, rows[1:2, :9])
    np.testing.assert_allclose(parallel(model, rows)[1:2, :9], alone, rtol=0, atol=1e-10)


def test_many_lanes_are_prefilled_in_parts(models, monkeypatch):
    from llmcomp.models import hub

    model = models["qwen2"]
    rows = rows_of(model, 5, 12)
    monkeypatch.setattr(hub, "_PREFILL_TOKENS", 20)
    wanted = parallel(model, rows)[:, 9:]
    np.testing.assert_allclose(cached(model, rows, 10), wanted, rtol=0, atol=1e-10)


def test_attention_goes_block_by_block(models, monkeypatch):
    from llmcomp.models import stock

    model = models["llama"]
    rows = rows_of(model, 2, 50)
    whole = parallel(model, rows)
    monkeypatch.setattr(stock, "_QUERY_BLOCK", 16)
    np.testing.assert_allclose(parallel(model, rows), whole, rtol=0, atol=1e-10)


def test_escapes_stand_below_the_likeliest_token(models):
    model = models["gpt2"]
    logits = parallel(model, rows_of(model, 1, 8))[0]
    escapes = model.tokenizer.model_ids == ESCAPE
    assert escapes.sum() == len(MISSING)
    np.testing.assert_array_equal(
        logits[:, escapes],
        np.repeat(logits[:, ~escapes].max(1, keepdims=True) - ESCAPE_NATS, len(MISSING), 1),
    )


def test_the_model_says_what_it_is(model, checkpoints):
    assert model.number == 0 and model.start_token == len(model.tokenizer.token_bytes)
    assert model.context_length == 96 and model.hidden_size == 48 and model.n_virtual_tokens == 0
    assert model.directory == checkpoints[model.name] and model.revision is None
    assert model.profiles == ("tolerant", "replay")
    assert len(model.fingerprint) == 32
    said = model.environment
    assert said.startswith(f"torch {torch.__version__}, ") and "float64" in said
    assert said.endswith("eager") and "\n" not in said


def test_the_model_weighs_what_it_holds(model, checkpoints):
    directory = checkpoints[model.name]
    stock = transformers.AutoModelForCausalLM.from_pretrained(directory)
    assert model.size.n_parameters == stock.num_parameters()
    beside = ("config.json", "model.safetensors", "tokenizer.json")
    assert model.size.file_bytes == sum((directory / name).stat().st_size for name in beside)


def test_wrong_rows_are_refused(models):
    model = models["gpt2"]
    with pytest.raises(ValueError, match="a row has 97 tokens; this model takes 1 to 96"):
        list(model.score(rows_of(model, 1, 97)))
    with pytest.raises(ValueError, match="room for 97 positions"):
        model.begin(rows_of(model, 1, 4), 97)
    with pytest.raises(ValueError, match="room for 3 positions; wanted 4 to 96"):
        model.begin(rows_of(model, 1, 4), 3)
    session, _ = model.begin(rows_of(model, 1, 4), 5)
    session.step(np.array([1]))
    with pytest.raises(ValueError, match="5 positions are full"):
        session.step(np.array([1]))


def test_a_prompt_of_embeddings_is_text(model):
    rows = rows_of(model, 2, 24)
    rows[1, :8] = rows[0, :8]
    prompt = model.embed(rows[0, 1:8])
    assert prompt.dtype == np.float64 and prompt.shape == (7, 48)
    steered = model.steered(prompt)
    assert (steered.n_virtual_tokens, steered.context_length) == (7, 96 - 7)
    rest = np.delete(rows, range(1, 8), axis=1)
    wanted = parallel(model, rows)[:, 7:]
    np.testing.assert_allclose(parallel(steered, rest), wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(cached(steered, rest), wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(cached(steered, rest, 5), wanted[:, 4:], rtol=0, atol=1e-10)
    # a second prompt takes the place of the first, and the model itself has none
    again = steered.steered(prompt[:2])
    assert (again.n_virtual_tokens, again.context_length) == (2, 94)
    assert model.n_virtual_tokens == 0


def test_wrong_prompts_are_refused(models):
    model = models["gpt2"]
    for prompt, message in [
        (np.zeros((2, 47)), r"the prompt's shape is \[2, 47\]; wanted \[n, 48\]"),
        (np.zeros(48), "the prompt's shape"),
        (np.zeros((81, 48)), "81 virtual tokens leave less than 16 of the 96 positions"),
        (np.full((2, 48), np.nan), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.steered(prompt)
    assert model.steered(np.zeros((80, 48))).context_length == 16


@pytest.mark.parametrize("steered", [False, True])
def test_short_texts_come_back(model, steered):
    """In float64 the passes differ by so little that plain coding decodes short texts."""
    if steered:
        model = model.steered(np.random.default_rng(1).normal(size=(3, 48)))
    texts = [TEXT[:70].encode(), b"\x04 </s>\xff  <|endoftext|>\0 the", b""]
    tokens = [model.tokenizer.encode(text) for text in texts]
    schedule = Schedule(24, 6)
    coded = run(encode(model, tokens, schedule, trace=True))
    lanes = [Lane(len(t), e.payload) for t, e in zip(texts, coded, strict=True)]
    back = run(decode_lanes(model, lanes, schedule))
    assert [model.tokenizer.decode(ids) for ids in back] == texts


@pytest.mark.parametrize(
    ("dtype", "tolerance", "profiles"),
    [("float32", 1e-3, ("tolerant", "replay")), ("bfloat16", 1.0, ("replay",))],
)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_shorter_floats_are_near(
    family, dtype, attention, tolerance, profiles, checkpoints, models
):
    model = load_hub_model(str(checkpoints[family]), dtype=dtype, attention=attention)
    assert model.profiles == profiles
    rows = rows_of(model, 2, 30)
    found, exact = parallel(model, rows), parallel(models[family], rows)
    scale = max(1.0, float(np.abs(exact).max()))
    assert 0.0 < np.abs(found - exact).max() < tolerance * scale
    assert np.abs(cached(model, rows) - exact).max() < tolerance * scale
    assert model.fingerprint == models[family].fingerprint


def rounded(name: str, weight: np.ndarray) -> np.ndarray:
    """What int8 makes of a weight, by the rule as it is written down."""
    layers = ("proj", "c_attn", "c_fc", "dense", "dense_h_to_4h", "dense_4h_to_h", "lm_head")
    tables = ("embed_in", "embed_out", "embed_tokens", "query_key_value", "wte")
    if not name.removesuffix(".weight").endswith(layers + tables) or weight.ndim < 2:
        return weight
    turned = "transformer.h." in name  # GPT-2 stores its layers as [n_in, n_out]
    rows = weight.T if turned else weight
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    whole = np.rint(rows / scale) * scale.astype(np.float64)
    return np.ascontiguousarray(whole.T if turned else whole)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_int8_rounds_the_weights_and_nothing_else(family, attention, checkpoints, models, tmp_path):
    weights = load_file(checkpoints[family] / "model.safetensors")
    copy = copied(checkpoints, family, tmp_path)
    changed = {name: rounded(name, weight) for name, weight in weights.items()}
    save_file(changed, copy / "model.safetensors", {"format": "pt"})
    model = load_hub_model(str(checkpoints[family]), dtype="int8", attention=attention)
    rows = rows_of(model, 2, 90)
    found, exact = parallel(model, rows), parallel(models[family], rows)
    wanted = load_hub_model(str(copy))
    np.testing.assert_array_equal(model.embed(rows), wanted.embed(rows).astype(np.float32))
    np.testing.assert_allclose(found, parallel(wanted, rows), rtol=0, atol=1e-4)
    assert np.abs(found - exact).max() > 1e-2  # nor are they what they were
    np.testing.assert_allclose(cached(model, rows), found, rtol=0, atol=1e-4)
    np.testing.assert_allclose(cached(model, rows, 40), found[:, 39:], rtol=0, atol=1e-4)
    assert model.profiles == ("tolerant", "replay") and model.dtype == "int8"
    assert model.margin < 2.0**-12 and model.fingerprint == models[family].fingerprint


def test_int8_takes_a_byte_a_weight(monkeypatch):
    """Measured without weights or loaded with them, in blocks or at once."""
    from llmcomp.models import int8
    from llmcomp.models.stock import load_stock, weight_bytes

    directory = ROOT / "assets/embedded-1"
    fields = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    options = {"columns": np.arange(fields["vocab_size"]), "device": "cpu", "attention": "eager"}
    for dtype, width in (("float32", 4), ("bfloat16", 2), ("int8", 1)):
        n_parameters, n_bytes = weight_bytes(fields, dtype)
        stock = load_stock(directory, dtype=dtype, head="float32", **options)
        assert stock.n_bytes == n_bytes
        # a tied head is a second table, of float32 unless it is int8
        head = fields["vocab_size"] * fields["hidden_size"] * (1 if dtype == "int8" else 4)
        assert n_bytes == pytest.approx(n_parameters * width + head, rel=0.02)
    x = stock.embed(np.arange(40)[None])
    whole = stock.hidden(x)
    monkeypatch.setitem(int8._BLOCK, "cpu", 1000)
    torch.testing.assert_close(stock.hidden(x), whole, rtol=0, atol=1e-3)


def test_int8_of_weights_that_do_not_fit(checkpoints, tmp_path):
    for family, changes in (("llama", {"intermediate_size": 81}), ("gpt2", {"n_inner": 100})):
        odd = with_config(checkpoints, family, tmp_path / family, **changes)
        refused("cannot be loaded", odd, dtype="int8")
    fewer = with_config(checkpoints, "llama", tmp_path / "fewer", num_hidden_layers=3)
    refused("lacks weights its config.json asks for", fewer, dtype="int8")


def test_a_float64_head_serves_float32_layers(checkpoints, models):
    model = load_hub_model(str(checkpoints["llama"]), dtype="float32", head="float64")
    rows = rows_of(model, 1, 30)
    found = parallel(model, rows)
    assert (found != found.astype(np.float32)).any()
    np.testing.assert_allclose(found, parallel(models["llama"], rows), rtol=0, atol=1e-2)
    assert "float32, head float64" in model.environment


def test_precision_settings_are_left_as_they_were(models):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        parallel(models["gpt2"], rows_of(models["gpt2"], 1, 4))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def copied(checkpoints, family: str, to: Path) -> Path:
    return Path(shutil.copytree(checkpoints[family], to / "copy"))


def test_the_fingerprint_is_of_what_matters(checkpoints, models, tmp_path):
    original = models["llama"].fingerprint
    copy = copied(checkpoints, "llama", tmp_path)
    (copy / "tokenizer_config.json").write_text('{"chat_template": "hello"}', encoding="utf-8")
    assert load_hub_model(str(copy)).fingerprint == original  # neither names nor templates

    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] += 2**-10
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    changed = load_hub_model(str(copy)).fingerprint
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["rms_norm_eps"] = 1e-5
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    again = load_hub_model(str(copy)).fingerprint
    definition = json.loads(DEFINITIONS["llama"])
    del definition["model"]["vocab"]["<0xFF>"]
    (copy / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    assert len({original, changed, again, load_hub_model(str(copy)).fingerprint}) == 4


def test_weights_in_parts_are_weights(models, tmp_path):
    """Large models come in several files with an index."""
    whole = write_checkpoint(tmp_path / "whole", "gpt_neox")
    parts = tmp_path / "parts"
    transformers.AutoModelForCausalLM.from_pretrained(whole).save_pretrained(
        parts, max_shard_size="40KB"
    )
    shutil.copy(whole / "tokenizer.json", parts)
    assert len(list(parts.glob("model-*.safetensors"))) > 1
    model = load_hub_model(str(parts))
    rows = rows_of(model, 1, 10)
    np.testing.assert_array_equal(parallel(model, rows), parallel(models["gpt_neox"], rows))


def test_a_list_of_end_tokens_gives_the_first(tmp_path):
    directory = write_checkpoint(tmp_path, "qwen2", bos_token_id=None, eos_token_id=[1, 0])
    assert load_hub_model(str(directory)).tokenizer.feed_ids[-1] == 1


def test_exported_directories_are_stock_models():
    snapped = load_model("embedded-1")
    assert isinstance(snapped, SnappedModel)
    model = load_hub_model(str(ROOT / "assets/embedded-1"))
    assert list(model.tokenizer.token_bytes) == list(snapped.tokenizer.token_bytes)
    text = (ROOT / "LICENSE").read_bytes()[3000:3500]
    tokens = model.tokenizer.encode(text)
    np.testing.assert_array_equal(tokens, snapped.tokenizer.encode(text))
    rows = np.concatenate([[model.start_token], tokens])[None]
    theirs = np.concatenate([[snapped.start_token], tokens])[None]
    found = parallel(model, rows)[0]
    wanted = np.concatenate([logits for _, _, logits in snapped.score(theirs)])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-2)


def test_byte_models_need_no_tokenizer():
    model = load_hub_model(str(ROOT / "assets/nano-1"))
    assert model.tokenizer.encode(b"a\xff\0").tolist() == [97, 255, 0]


# --- what is refused ---------------------------------------------------------------------------


def refused(message: str, source: Path | str, **options) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_hub_model(str(source), **options)
    assert "\n" not in str(caught.value)


def with_config(checkpoints, family: str, to: Path, **changes) -> Path:
    copy = copied(checkpoints, family, to)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 8, "layer_types": None},
            "sliding-window or mixed attention is not supported",
        ),
        ("qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding-window"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}},
            "rotary scaling 'dynamic', which changes as a text grows, is not supported",
        ),
        (
            "llama",
            {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4, "factor": 2.0}},
            "rotary scaling 'proportional' is not supported",
        ),
        (
            "qwen2",
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": "much"}},
            "no rotary angles can be made of .*much",
        ),
        (
            "qwen3",
            {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 0.0}},
            "no rotary angles can be made of",
        ),
        ("gpt2", {"add_cross_attention": True}, "cross-attention is not supported"),
        ("llama", {"quantization_config": {"quant_method": "awq"}}, "quantised already"),
        ("llama", {"model_type": "mamba"}, "architecture 'mamba' is not supported"),
        ("llama", {"model_type": "nonsense"}, "config.json cannot be read"),
        ("llama", {"num_hidden_layers": 3}, "lacks weights its config.json asks for"),
        ("llama", {"intermediate_size": 81}, "asks for|cannot be loaded"),
        ("llama", {"bos_token_id": None, "eos_token_id": None}, "set bos_token_id"),
    ],
)
def test_unsupported_models_are_refused(family, changes, message, checkpoints, tmp_path):
    refused(message, with_config(checkpoints, family, tmp_path, **changes))


def test_broken_directories_are_refused(checkpoints, tmp_path):
    copy = copied(checkpoints, "gpt2", tmp_path)
    (copy / "tokenizer.json").write_text("{}", encoding="utf-8")
    refused("the tokenizer cannot be read", copy)
    (copy / "tokenizer.json").unlink()
    refused("has no tokenizer.json", copy)
    shutil.copy(checkpoints["gpt2"] / "tokenizer.json", copy)
    (copy / "model.safetensors").write_bytes(b'\x10\0\0\0\0\0\0\0{"a": nonsense}')
    refused("cannot be loaded", copy)
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    refused("only safetensors weights are loaded", copy)
    (copy / "config.json").unlink()
    refused("has no config.json", copy)


def test_other_tokenizer_files_are_converted(checkpoints, models, tmp_path):
    """As the first GPT-2's, a vocabulary and a list of merges."""
    copy = copied(checkpoints, "qwen3", tmp_path)
    definition = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.json").write_text(json.dumps(definition["model"]["vocab"]), encoding="utf-8")
    merges = [" ".join(m) if isinstance(m, list) else m for m in definition["model"]["merges"]]
    (copy / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    model = load_hub_model(str(copy))
    data = TEXT.encode() + bytes(range(256))
    assert model.tokenizer.decode(model.tokenizer.encode(data)) == data
    assert len(model.tokenizer.encode(b"the fox, the dog")) <= 8
    assert set(models["qwen3"].tokenizer.token_bytes) <= set(model.tokenizer.token_bytes)


def test_sentencepiece_files_need_that_library(checkpoints, monkeypatch, tmp_path):
    from llmcomp.models import stock

    copy = copied(checkpoints, "llama", tmp_path)
    (copy / "tokenizer.json").rename(copy / "tokenizer.model")
    monkeypatch.setattr(stock, "find_spec", lambda name: None)
    refused("pip install sentencepiece protobuf", copy)


def test_weights_that_are_not_finite_are_refused(checkpoints, tmp_path):
    copy = copied(checkpoints, "llama", tmp_path)
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] = np.nan
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    refused("not finite", copy)


def test_a_model_at_odds_with_itself_is_refused(checkpoints, monkeypatch):
    """As one whose cache forgets would be; planted, since the known ones do not."""
    from llmcomp.models.stock import KeyValues

    real = KeyValues.update

    def forgetful(self, key, value, layer_idx, *rest, **more):
        keys, values = real(self, key, value, layer_idx, *rest, **more)
        return keys[:, :, -4:], values[:, :, -4:]

    monkeypatch.setattr(KeyValues, "update", forgetful)
    refused("a cached pass differs from a parallel one", checkpoints["llama"])


def test_what_this_machine_lacks_is_named(checkpoints, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = checkpoints["gpt2"]
    refused("finds no CUDA device", path, device="cuda")
    assert "cpu" in load_hub_model(str(path), device="auto").environment


@pytest.mark.parametrize(
    "options", [{"dtype": "float16"}, {"attention": "flash"}, {"head": "int8"}, {"device": "tpu"}]
)
def test_unknown_options_are_the_callers_mistake(options, checkpoints):
    with pytest.raises(ValueError, match="is unknown; wanted one of"):
        load_hub_model(str(checkpoints["gpt2"]), **options)


# --- where models come from ----------------------------------------------------------------------


def raising(error: Exception):
    def snapshot_download(*_, **__):
        raise error

    return snapshot_download


RESPONSE = SimpleNamespace(headers={}, request=None, status_code=404)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.GatedRepoError("403\nlong", response=RESPONSE),
            "is gated; accept its terms at https://huggingface.co/EleutherAI/pythia-70m",
        ),
        (errors.RepositoryNotFoundError("404", response=RESPONSE), "is not on the Hub, or is priv"),
        (errors.RevisionNotFoundError("404", response=RESPONSE), "has no revision"),
        (errors.LocalEntryNotFoundError("offline"), "the Hub cannot be reached; connect"),
        (errors.OfflineModeIsEnabled("offline"), "unset HF_HUB_OFFLINE"),
        (errors.HFValidationError("bad"), "wanted owner/name"),
        (errors.HfHubHTTPError("500\nmore", response=RESPONSE), "HfHubHTTPError: 500; try again"),
        (ConnectionError("reset by peer"), "ConnectionError: reset by peer; try again"),
        (OSError(28, "No space left on device"), "No space left on device; try again"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failed_downloads_end_in_one_line(error, message, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", raising(error))
    refused(message, "pythia-70m")


def test_offline_and_never_downloaded(monkeypatch, tmp_path):
    """The real download function, with the switch that HF_HUB_OFFLINE sets."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    refused("is not on this machine, and the Hub cannot be reached", "owner/name")


def test_a_download_remembers_its_commit(checkpoints, monkeypatch, tmp_path):
    asked: list[dict[str, object]] = []
    snapshot = tmp_path / "models--EleutherAI--pythia-70m" / "snapshots" / COMMIT

    def snapshot_download(repository, **options):
        asked.append({"repository": repository, **options})
        bar = options["tqdm_class"](total=3, desc="Fetching 3 files")
        bar.update(3)
        bar.close()
        return str(shutil.copytree(checkpoints["gpt_neox"], snapshot))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    lines: list[str] = []
    model = load_hub_model("pythia-70m", report=lines.append)
    assert (model.name, model.repository, model.revision) == (
        "pythia-70m",
        "EleutherAI/pythia-70m",
        COMMIT,
    )
    assert asked[0]["repository"] == "EleutherAI/pythia-70m"
    assert asked[0]["revision"] == REGISTRY["pythia-70m"].revision
    patterns = asked[0]["allow_patterns"]
    assert not any(p.endswith((".bin", ".py", ".pt", "*")) for p in patterns)
    assert "Fetching 3 files: 3 of 3" in lines


def test_sources_are_told_apart(tmp_path):
    assert Source.find("gpt2").repository == "openai-community/gpt2"
    assert Source.find("gpt2").revision == REGISTRY["gpt2"].revision
    assert Source.find("gpt2", "main").revision == "main"
    assert Source.find("owner/na.me@v1.0") == Source("owner/na.me@v1.0", "owner/na.me", "v1.0")
    assert Source.find("owner/name", "main").revision == "main"
    assert Source.find(str(tmp_path)).directory == tmp_path
    with pytest.raises(ModelError, match="no model 'nonsense'; wanted a directory"):
        Source.find("nonsense")
    with pytest.raises(ValueError, match="two revisions"):
        Source.find("owner/name@a", "b")
    with pytest.raises(ValueError, match="is a directory"):
        Source.find(str(tmp_path), "main")


def test_the_registry_loads_them_once(checkpoints, monkeypatch):
    model = load_model(str(checkpoints["qwen3"]))
    assert isinstance(model, HubModel) and model.dtype == "float32"
    assert load_model(str(checkpoints["qwen3"])) is model
    for name in [*REGISTRY, "owner/name", "owner/name@main"]:
        assert resolve(name) == name
    with pytest.raises(ModelError, match=r"no model 'gpt-9' here; known: embedded, nano, .*gpt2"):
        resolve("gpt-9")
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", raising(errors.OfflineModeIsEnabled("off"))
    )
    with pytest.raises(ModelError, match=r"Qwen/Qwen2\.5-0\.5B is not on this machine"):
        load_model("qwen2.5-0.5b")
