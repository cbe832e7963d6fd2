"""Laws of the trainer, on a few kilobytes of text and a model of two layers."""

from __future__ import annotations

import json
import lzma
import math
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.numpy import load_file  # noqa: E402

from llmcomp.models.fixed import FixedRunner  # noqa: E402
from llmcomp.models.forward import Forward  # noqa: E402
from llmcomp.models.grid import HEAD_GRIDS, MATRIX_LIMIT  # noqa: E402
from llmcomp.models.kernels import pack  # noqa: E402
from llmcomp.train.card import model_card, write_card  # noqa: E402
from llmcomp.train.commands import _paused_training, main  # noqa: E402
from llmcomp.train.data import (  # noqa: E402
    RowSampler,
    count_dropped,
    mix_sample,
    read_documents,
    read_slice,
    token_file,
)
from llmcomp.train.dedup import (  # noqa: E402
    DROP_SHARE,
    FEWEST_BYTE_VALUES,
    PIECE_BYTES,
    SHORTEST_BYTES,
    Deduplicator,
    Dropped,
    keep_out,
)
from llmcomp.train.evaluate import bits_per_byte, evaluate_model  # noqa: E402
from llmcomp.train.frontier import load_frontier, measure, table  # noqa: E402
from llmcomp.train.loop import build_model, train  # noqa: E402
from llmcomp.train.mix import by_kind, load_mix, measure_mix, mix_table  # noqa: E402
from llmcomp.train.muon import MuonAdamW, orthogonalize, split_parameters  # noqa: E402
from llmcomp.train.recipe import Recipe, TrainError, load_recipe  # noqa: E402
from llmcomp.train.release import load_release, make_release, snap_model  # noqa: E402
from llmcomp.train.run import RunFolder, load_checkpoint, newest_checkpoint  # noqa: E402
from llmcomp.train.tokenizer import BpeTokenizer, ByteTokenizer, train_bpe  # noqa: E402

RECIPE = """
name = "tiny"
seed = 3
architecture = "{architecture}"
micro_tokens = 64
decay_steps = 3
log_every = 2
stages = [[0, 32, 4], [4, 64, 2]]
[config]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 2
head_dim = 16
intermediate_size = 48
vocab_size = {vocab_size}
tie_word_embeddings = true
max_position_embeddings = 64
rms_norm_eps = 1e-6
rope_parameters = {{ rope_type = "default", rope_theta = 10000.0 }}
[tokenizer]
kind = "{kind}"
vocab_size = {vocab_size}
sample_mb = 0.02
[optimizer]
muon_lr = 0.02
adam_lr = 0.006
warmup_steps = 2
[sources]
wiki_en_1 = {{ weight = 3, cap_mb = 1 }}
code_py = {{ weight = 1, cap_mb = 0.004 }}
"""

# short ones: else texts of different seeds would share pieces, which are cut out of training text
WORDS = [
    "the",
    "model",
    "gives",
    "каж",
    "сло",
    "вер",
    "编码",
    "and",
    "bits,",
    "é",
    "½",
]
WORDS += [
    "bytes",
    "tree",
    "leaf",
    "code",
    "rate",
    "lane",
    "table",
    "zero",
    "x",
    "=",
    "f(y)\n",
    "if",
    "not",
]


def quiet(_line: str) -> None:
    """Says nothing."""


def some_text(seed: int, n_words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=n_words))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny products gain nothing from a second thread and wait for it on a busy machine."""
    torch.set_num_threads(1)


def command(*words: str | Path) -> int:
    return main(["--threads", "1", *map(str, words)])


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, an empty cache, an empty assets folder."""
    for folder in ("train", "val", "bench", "assets"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate(("wiki_en_1", "code_py")):
        documents = [some_text(10 * index + number, 400) for number in range(5)]
        with lzma.open(tmp_path / "train" / f"{name}.txt.xz", "wb") as file:
            file.write("\0".join(documents).encode())
    for seed, name in ((100, "wiki_en"), (101, "code_py")):
        text = some_text(seed, 200) + "\0" + some_text(seed + 10, 200)
        (tmp_path / "val" / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "bench" / "enwik6").write_text(some_text(7, 99), encoding="utf-8")
    monkeypatch.setenv("LLMCOMP_DATA", str(tmp_path))
    monkeypatch.setenv("LLMCOMP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write_recipe(
    home: Path, architecture: str = "Qwen3ForCausalLM", kind: str = "bpe", vocab_size: int = 300
) -> Path:
    path = home / "tiny.toml"
    text = RECIPE.format(architecture=architecture, kind=kind, vocab_size=vocab_size)
    path.write_text(text, encoding="utf-8")
    return path


def tiny(home: Path, **changes: object) -> Recipe:
    return load_recipe(write_recipe(home, **changes))  # type: ignore[arg-type]


def train_to(recipe: Recipe, home: Path, step: int) -> int:
    return train(recipe, assets=home / "assets", max_steps=step, say=quiet)


def newest_state(recipe: Recipe) -> dict[str, object]:
    path = newest_checkpoint(RunFolder(recipe.name).path)
    assert path is not None
    return load_checkpoint(path)


FRONTIER = """
base = "{base}"
vocab_size = 300
config = {{ intermediate_size = 40 }}
petaflop = 2e-6
cap_mb = 1
row_tokens = 32
rows_per_step = 4
warmup_steps = 2
[arms.base]
about = "as it is"
[arms.zero]
about = "output projections begin at zero"
zero_outputs = true
[arms.few]
about = "fewer tokens"
vocab_size = 280
rows_per_step = 2
config = {{ num_key_value_heads = 1 }}
"""


# --- tokenizer -----------------------------------------------------------------------------------


@pytest.fixture(name="bpe")
def _bpe(tmp_path: Path) -> BpeTokenizer:
    return train_bpe([some_text(seed, 300) for seed in range(3)], 320, tmp_path / "tokenizer.json")


def test_tokenizer_covers_all_bytes_and_is_plain(bpe: BpeTokenizer, tmp_path: Path) -> None:
    file = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert file["added_tokens"] == []
    assert file["normalizer"] is None
    assert file["post_processor"] is None
    assert sum(len(token) == 1 for token in file["model"]["vocab"]) == 256
    assert bpe.vocab_size == 320


def test_tokenizer_round_trips_any_text(bpe: BpeTokenizer) -> None:
    generator = random.Random(5)
    scalars = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    texts = ["", " ", "\r\n\r\n  x", "\0", "a\0\0b", "<|endoftext|>", "123456 7é́", "\ufeff\u2028"]
    texts += ["".join(map(chr, generator.sample(scalars, 40))) for _ in range(50)]
    for text in texts:
        assert bpe.decode(bpe.encode(text)) == text
        assert len(bpe.encode(text)) <= len(text.encode())


def test_nul_never_merges(bpe: BpeTokenizer, tmp_path: Path) -> None:
    for text in ("\0", "the\0the", "\0\0", " \0 \0model", "\0=\0("):
        assert list(bpe.encode(text)).count(bpe.start_token) == text.count("\0")
    file = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    with_nul = [token for token in file["model"]["vocab"] if "\u0100" in token]
    assert with_nul == ["\u0100"]
    assert file["model"]["vocab"]["\u0100"] == bpe.start_token


def test_too_little_text_for_the_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="could be learnt"):
        train_bpe(["ab"], 320, tmp_path / "tokenizer.json")


def test_byte_tokenizer_is_the_identity() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("a\0é").tolist() == [97, 0, 195, 169]
    assert (tokenizer.start_token, tokenizer.vocab_size) == (0, 256)


# --- data ----------------------------------------------------------------------------------------


def test_missing_data_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMCOMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLMCOMP_DATA", raising=False)
    for extra in ([], ["--background"]):
        assert command("train", "--recipe", "nano", *extra) == 2
        error = capsys.readouterr().err
        assert "LLMCOMP_DATA is not set" in error
        assert error.count("\n") == 1
    monkeypatch.setenv("LLMCOMP_DATA", str(tmp_path))
    assert command("train", "--recipe", "nano") == 2
    assert "no folder train/" in capsys.readouterr().err
    (tmp_path / "train").mkdir()
    assert command("train", "--recipe", "nano") == 2
    assert "'wiki_en_1' is missing" in capsys.readouterr().err


def test_sources_are_capped_and_joined_by_the_start_token(home: Path) -> None:
    recipe = tiny(home)
    tokenizer = ByteTokenizer()
    wiki, code = (
        np.fromfile(token_file(source, tokenizer, quiet), "<u2") for source in recipe.sources
    )
    raw = lzma.decompress((home / "train" / "wiki_en_1.txt.xz").read_bytes())
    assert bytes(wiki.astype(np.uint8)) == raw + b"\0"
    assert 3990 <= code.size <= 4001
    assert code[-1] == 0


def test_tokenizer_sample_follows_the_mix(home: Path) -> None:
    recipe = tiny(home)
    sample = "".join(mix_sample(recipe, 0.008)).encode()
    assert abs(len(sample) - 8000) < 10  # joints dropped, a cut character at each end


def test_rows_depend_on_the_step_only(home: Path) -> None:
    sampler = RowSampler(tiny(home), ByteTokenizer(), quiet)
    rows = sampler.rows(5, 200, 16)
    assert rows.shape == (200, 17)
    assert (rows[:, 0] == 0).all()
    assert (rows == RowSampler(tiny(home), ByteTokenizer(), quiet).rows(5, 200, 16)).all()
    assert (rows != sampler.rows(6, 200, 16)).any()
    raw = lzma.decompress((home / "train" / "wiki_en_1.txt.xz").read_bytes())
    from_wiki = sum(bytes(row[1:].astype(np.uint8)) in raw + b"\0" for row in rows)
    assert 120 <= from_wiki <= 180  # three quarters


def test_slices_end_at_whole_characters(tmp_path: Path) -> None:
    path = tmp_path / "slice.txt"
    path.write_text("a编\0码", encoding="utf-8")
    heads = [read_slice(path, n_bytes) for n_bytes in (1, 2, 3, 4, 5, 7, 99)]
    assert heads == ["a", "a", "a", "a编", "a编\0", "a编\0", "a编\0码"]


# --- model and optimiser -------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen3ForCausalLM"])
def test_lean_forward_equals_the_stock_one(home: Path, architecture: str) -> None:
    model = build_model(tiny(home, architecture=architecture))
    rows = torch.randint(0, 300, (3, 41), generator=torch.Generator().manual_seed(1))
    inputs, labels = rows[:, :-1], rows[:, 1:]
    logits = model(input_ids=inputs, use_cache=False).logits
    stock = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    stock.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    lean = Forward(model, dtype=torch.float32).loss(inputs, labels)
    lean.backward()
    assert lean.item() == pytest.approx(stock.item(), abs=1e-6)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=2e-6, rtol=1e-3)
    half = Forward(model).loss(inputs, labels)
    assert half.item() == pytest.approx(stock.item(), rel=3e-3)


def test_attention_in_blocks_equals_attention_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmcomp.models import forward

    q, k, v = torch.randn(3, 2, 2, 37, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    for block in (8, 37, 64):
        monkeypatch.setattr(forward, "QUERY_BLOCK", block)
        torch.testing.assert_close(forward._causal_attention(q, k, v), expected)


def test_newton_schulz_flattens_singular_values() -> None:
    for shape in ((2, 24, 40), (2, 40, 24)):
        singular = torch.linalg.svdvals(orthogonalize(torch.randn(shape)).float())
        assert singular.min() > 0.3
        assert singular.max() < 1.3


def test_muon_takes_the_matrices_and_update_matches_adamw_rms(home: Path) -> None:
    recipe = tiny(home)
    model = build_model(recipe)
    matrices, others = split_parameters(model)
    assert len(matrices) == 2 * 7
    assert sum(p.numel() for p in matrices + others) == sum(p.numel() for p in model.parameters())
    before = [p.detach().clone() for p in matrices]
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    norm = MuonAdamW(model, recipe.optimizer).step(0.5)
    assert norm > recipe.optimizer.clip
    for parameter, old in zip(matrices, before, strict=True):
        rms = (parameter - old).square().mean().sqrt().item() / (0.5 * recipe.optimizer.muon_lr)
        assert 0.1 < rms < 0.3  # [Moonlight] aims at 0.2
        assert parameter.grad is None


# --- the loop ------------------------------------------------------------------------------------


def test_resumed_training_is_bit_identical(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    recipe = tiny(home)
    assert train_to(recipe, home, 3) == 3
    assert train_to(recipe, home, 6) == 6
    resumed = newest_state(recipe)
    monkeypatch.setenv("LLMCOMP_CACHE", str(home / "other"))
    assert train_to(recipe, home, 6) == 6
    straight = newest_state(recipe)
    assert resumed["tokens_seen"] == straight["tokens_seen"] == 6 * 128
    for name in ("model", "optimizer"):
        left, right = (torch.utils._pytree.tree_leaves(s[name]) for s in (resumed, straight))
        assert all(
            torch.equal(*map(torch.as_tensor, pair)) for pair in zip(left, right, strict=True)
        )


def test_loss_falls_and_the_log_says_so(home: Path) -> None:
    recipe = tiny(home)
    train_to(recipe, home, 30)
    lines = (RunFolder(recipe.name).path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    losses = [record["loss_nats"] for record in records if "loss_nats" in record]
    assert losses[0] == pytest.approx(math.log(300), abs=0.3)
    assert losses[-1] < losses[0] - 1
    assert set(records[-1]["held_out_bits_per_byte"]) == {"wiki_en", "code_py"}


def test_only_two_checkpoints_are_kept(home: Path) -> None:
    recipe = tiny(home)
    for step in (1, 2, 3):
        train_to(recipe, home, step)
    names = sorted(path.name for path in RunFolder(recipe.name).path.glob("step-*"))
    assert names == ["step-00000002.pt", "step-00000003.pt"]


def test_second_start_says_already_running(home: Path) -> None:
    recipe = tiny(home)
    holder = RunFolder(recipe.name)
    assert holder.acquire() is None
    lines: list[str] = []
    train(recipe, assets=home / "assets", say=lines.append)
    assert lines == [f"already running pid {os.getpid()}"]
    holder.release()
    assert RunFolder(recipe.name).acquire() is None


def test_wrong_recipes_are_refused(home: Path) -> None:
    path = write_recipe(home)
    good = path.read_text(encoding="utf-8")
    with pytest.raises(TrainError, match="shipped are: embedded, nano"):
        load_recipe("huge")
    for old, new, message in (
        ("seed = 3", "sed = 3", "sed"),
        ("[[0, 32", "[[1, 32", "step 0"),
        ("[4, 64, 2]", "[4, 65, 2]", "exceed"),
    ):
        path.write_text(good.replace(old, new), encoding="utf-8")
        with pytest.raises(TrainError, match=message):
            load_recipe(path)
    path.write_text(good.replace("vocab_size = 300", "vocab_size = 301", 1), encoding="utf-8")
    with pytest.raises(TrainError, match="300 ids"):
        train_to(load_recipe(path), home, 1)


def test_shipped_recipes(home: Path) -> None:
    embedded, nano = load_recipe("embedded"), load_recipe("nano")
    assert sum(p.numel() for p in build_model(nano).parameters()) <= 1_200_000
    assert nano.architecture == "LlamaForCausalLM"
    for recipe in (embedded, nano):
        assert recipe.config["max_position_embeddings"] == 1024
        assert recipe.stages[-1].row_tokens == 1024
        assert 0.05 < recipe.shares["enwik8_1M_to_3.65M"] < 0.08
        model_card_knows = {name: value for name, value in recipe.shares.items() if value > 0}
        assert len(model_card_knows) == len(recipe.sources)


# --- evaluation ----------------------------------------------------------------------------------


def test_bits_per_byte_equals_a_direct_computation(home: Path) -> None:
    model = build_model(tiny(home, kind="bytes", vocab_size=256))
    text = some_text(1, 60)
    raw = text.encode()
    bits = 0.0
    for begin in range(0, len(raw), 63):
        window = raw[begin : begin + 63]
        logits = model(input_ids=torch.tensor([[0, *window[:-1]]])).logits[0].detach().double()
        logprobs = logits.log_softmax(-1)
        bits -= sum(logprobs[i, byte].item() for i, byte in enumerate(window)) / math.log(2)
    forward = Forward(model, dtype=torch.float32)
    measured = bits_per_byte(forward, ByteTokenizer(), text)
    assert measured == pytest.approx(bits / len(raw), rel=1e-6)


# --- releases ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bpe", "bytes"])
def test_release_loads_in_transformers_and_is_on_the_grid(home: Path, kind: str) -> None:
    recipe = tiny(home, kind=kind, vocab_size=300 if kind == "bpe" else 256)
    train_to(recipe, home, 4)
    before = newest_state(recipe)
    out = home / "assets" / "tiny-1"
    facts = make_release(
        recipe, out, assets=home / "assets", n_bytes=500, date="2026-01-02", say=quiet
    )
    names = {"config.json", "model.safetensors", "release.json", "unigram.bin"}
    assert {p.name for p in out.iterdir()} == names | (
        {"tokenizer.json"} if kind == "bpe" else set()
    )
    unigram = np.fromfile(out / "unigram.bin", "<u2")
    assert unigram.size == facts["config"]["vocab_size"]
    assert unigram.max() > 10 * np.median(unigram)
    weights = load_file(out / "model.safetensors")
    for name, weight in weights.items():
        assert weight.dtype == np.float16, name
        scaled = weight.astype(np.float64) * 2**14
        assert (scaled == np.rint(scaled)).all(), name
    model = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    assert type(model).__name__ == recipe.architecture
    assert model.config.tie_word_embeddings
    for name, parameter in model.named_parameters():
        assert (parameter.detach().numpy() == weights[name].astype(np.float32)).all()
    runner = FixedRunner.load(out)
    assert runner.shape.recipe == max(HEAD_GRIDS)
    assert facts == json.loads((out / "release.json").read_text(encoding="utf-8"))
    assert (facts["steps"], facts["decay_steps"], facts["date"]) == (7, 3, "2026-01-02")
    loaded, tokenizer = load_release(out)
    bits = evaluate_model(Forward(loaded, dtype=torch.float32), tokenizer, 500)
    assert bits == pytest.approx(facts["held_out_bits_per_byte"]["snapped"], rel=1e-6)
    after = newest_state(recipe)
    assert before["step"] == after["step"] == 4, "a release leaves the run alone"
    with pytest.raises(TrainError, match="choose the next number"):
        make_release(recipe, out, assets=home / "assets", say=quiet)


def test_large_entries_of_matrices_are_clamped_and_gains_are_not(home: Path) -> None:
    model = build_model(tiny(home))
    matrix, gain = model.lm_head.weight, model.model.norm.weight
    with torch.no_grad():
        matrix[0, :2] = torch.tensor([3.0, -5.0])
        gain[0] = 3.0
    assert snap_model(model) == 2
    assert matrix[0, :2].tolist() == [MATRIX_LIMIT, -MATRIX_LIMIT]
    assert gain[0] == 3.0
    assert pack(matrix.detach().double().numpy())[0].dtype == np.int16
    with torch.no_grad():
        matrix[1, 1] = math.inf
    with pytest.raises(ValueError, match="finite"):
        snap_model(model)


def test_lost_cache_starts_from_the_newest_release(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(home)
    train_to(recipe, home, 3)
    out = home / "assets" / "tiny-1"
    make_release(recipe, out, assets=home / "assets", steps=1, n_bytes=100, say=quiet)
    monkeypatch.setenv("LLMCOMP_CACHE", str(home / "new cache"))
    lines: list[str] = []
    train(recipe, assets=home / "assets", max_steps=5, say=lines.append)
    assert "tokenizer of tiny-1" in lines
    assert "started from the weights of tiny-1" in lines
    state = newest_state(recipe)
    assert (state["step"], state["warm_from"], state["warm_start"]) == (5, 4, "tiny-1")
    other = tiny(home, architecture="LlamaForCausalLM")
    monkeypatch.setenv("LLMCOMP_CACHE", str(home / "third cache"))
    lines.clear()
    train(other, assets=home / "assets", max_steps=1, say=lines.append)
    assert "started from fresh weights" in lines
    monkeypatch.setenv("LLMCOMP_CACHE", str(home / "fourth cache"))
    lines.clear()
    larger = tiny(home, vocab_size=301)
    train(larger, assets=home / "assets", max_steps=1, say=lines.append)
    assert "training a tokenizer on 0.02 MB" in lines
    assert "started from fresh weights" in lines


def test_checkpoint_of_another_shape_is_refused(home: Path) -> None:
    recipe = tiny(home, kind="bytes", vocab_size=256)
    train_to(recipe, home, 1)
    wider = replace(recipe, config=recipe.config | {"intermediate_size": 64})
    with pytest.raises(TrainError, match="not the shape of recipe 'tiny'; move"):
        train_to(wider, home, 2)


def pieces_of(text: bytes) -> set[bytes]:
    """All pieces that count as evidence of a copy."""
    found = {text[at : at + PIECE_BYTES] for at in range(len(text) - PIECE_BYTES + 1)}
    return {piece for piece in found if len(set(piece)) >= FEWEST_BYTE_VALUES}


@pytest.mark.parametrize("seed", range(20))
def test_runs_are_the_pieces_that_stand_in_a_text_kept_out(seed: int) -> None:
    rng = random.Random(seed)
    kept_out = [rng.randbytes(rng.randrange(400)) for _ in range(3)] + [b"-" * 300, b""]
    text = b""
    for _ in range(8):
        source = rng.choice(kept_out)
        begin, end = sorted(rng.choices(range(len(source) + 1), k=2))
        text += source[begin:end] + rng.randbytes(rng.randrange(60))
    known = set().union(*map(pieces_of, kept_out))
    covered = np.zeros(len(text), bool)
    for at in range(len(text) - PIECE_BYTES + 1):
        if text[at : at + PIECE_BYTES] in known:
            covered[at : at + PIECE_BYTES] = True
    found = np.zeros(len(text), bool)
    runs = Deduplicator.of(kept_out).runs(text)
    for begin, end in runs:
        assert begin < end
        found[begin:end] = True
    assert np.array_equal(found, covered)
    assert (runs[1:, 0] > runs[:-1, 1]).all()


def test_no_piece_is_left_and_what_is_left_is_whole(home: Path) -> None:
    secret = some_text(500, 300)
    (home / "bench" / "deep").mkdir()
    (home / "bench" / "deep" / "file").write_text(secret, encoding="utf-8")
    fresh = [some_text(600 + number, 1000) for number in range(3)]
    # whole characters may be cut in two: runs begin and end where the texts happen to agree
    copied = [
        fresh[0] + "é" + secret[:200] + "编" + fresh[1],
        secret[100:] + fresh[2][:300],
        fresh[2],
    ]
    with lzma.open(home / "train" / "wiki_en_1.txt.xz", "wb") as file:
        file.write("\0".join(copied).encode())
    source = tiny(home).sources[0]
    dropped = Dropped()
    left = list(read_documents(source, source.cap_mb, dropped))
    known = pieces_of(secret.encode())
    assert all(pieces_of(copied[index].encode()) & known for index in (0, 1))
    assert not any(pieces_of(text.encode()) & known for text in left)
    assert all(
        text in fresh[0] + "é" or text in "编" + fresh[1] or text == fresh[2] for text in left
    )
    assert len(left) == 3
    assert dropped == Dropped(
        n_bytes=sum(len(text.encode()) for text in copied),
        n_dropped=sum(len(text.encode()) for text in copied) - sum(len(t.encode()) for t in left),
        n_documents=3,
        n_documents_dropped=1,
    )
    assert count_dropped(tiny(home))["wiki_en_1"] == dropped


def test_short_remains_and_other_versions_are_dropped_whole() -> None:
    secret = some_text(700, 500)
    deduplicator = Deduplicator.of([secret.encode()])
    share = int(len(secret) * DROP_SHARE)
    fresh = some_text(701, 500)
    assert list(deduplicator.clean(fresh, Dropped())) == [fresh]
    almost = secret[: share // 2] + fresh[: SHORTEST_BYTES // 4] + secret[share // 2 : share]
    assert list(deduplicator.clean(almost, Dropped())) == []
    between = fresh + secret[:60] + fresh[: SHORTEST_BYTES // 4] + secret[200:260]
    (left,) = deduplicator.clean(between, Dropped())
    assert fresh.startswith(left)


def test_tokens_are_made_anew_when_other_texts_are_kept_out(home: Path, bpe: BpeTokenizer) -> None:
    source = tiny(home).sources[0]
    before = token_file(source, bpe, quiet)
    assert token_file(source, bpe, quiet) == before
    (home / "val" / "new.txt").write_text(some_text(800, 100), encoding="utf-8")
    keep_out.cache_clear()
    assert token_file(source, bpe, quiet) != before
    facts = json.loads(before.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["n_documents"] == 5


def test_release_without_a_run_is_refused(home: Path) -> None:
    with pytest.raises(TrainError, match="no checkpoint"):
        make_release(tiny(home), home / "x", assets=home / "assets", say=quiet)


def test_decay_keeps_to_its_minutes(home: Path) -> None:
    recipe = tiny(home, kind="bytes", vocab_size=256)
    train_to(recipe, home, 2)
    out = home / "tiny-1"
    start = time.monotonic()
    facts = make_release(
        recipe, out, assets=home / "assets", minutes=1 / 20, n_bytes=100, say=quiet
    )
    assert 3 <= time.monotonic() - start < 20
    assert facts["decay_steps"] > 1
    assert facts["wall_hours"] < 20 / 3600


# --- commands ------------------------------------------------------------------------------------


def test_commands_from_training_to_card(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(write_recipe(home))
    out = home / "assets" / "tiny-1"
    assert command("tokenizer", "--recipe", recipe) == 0
    assert "300 ids" in capsys.readouterr().out
    assert command("train", "--recipe", recipe, "--steps", "2") == 0
    assert command("release", "--recipe", recipe, "--out", str(out), "--steps", "1") == 0
    assert "snapped" in capsys.readouterr().out
    numbers = home / "bits.json"
    arguments = ["--bytes", "300", "--bench", "--json", str(numbers)]
    assert command("evaluate", "--recipe", recipe, *arguments) == 0
    assert command("evaluate", "--model", str(out), *arguments) == 0
    assert "enwik6" in capsys.readouterr().out
    assert set(json.loads(numbers.read_text())["bits_per_byte"]) == {"wiki_en", "code_py", "enwik6"}
    assert command("card", "--assets", str(home / "assets")) == 0
    assert command("evaluate", "--model", str(home)) == 2
    card = (home / "assets" / "MODEL_CARD.md").read_text(encoding="utf-8")
    on_device = "on GPU" if torch.cuda.is_available() else "on CPU"
    facts = ["tiny-1", "CC BY-SA 4.0", "1,000,000-3,654,398", "Paradise Lost", "Dickens", on_device]
    facts += ["Learning curves", " bytes of text were cut"]
    assert [fact for fact in facts if fact not in card] == []
    assert str(home) not in card


def test_background_start_detaches_and_sigterm_saves(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real command in a process of its own, stopped in the midst of it."""
    recipe = write_recipe(home, kind="bytes", vocab_size=256)
    assert command("train", "--recipe", recipe, "--background") == 0
    pid = int(capsys.readouterr().out.split("pid ")[1].split(",")[0])
    log = RunFolder("tiny").path / "train.log"
    try:
        deadline = time.monotonic() + 60
        while "step 4 " not in log.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.05)
        assert command("train", "--recipe", recipe, "--background") == 0
        assert capsys.readouterr().out == f"already running pid {pid}\n"
        with _paused_training("tiny"):
            time.sleep(0.1)
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            assert "stopped" in status.split("State:")[1].split("\n")[0]
    finally:
        os.kill(pid, signal.SIGTERM)
        _, exit_status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(exit_status) == 0
    assert "saved step-" in log.read_text(encoding="utf-8")
    assert newest_state(load_recipe(recipe))["step"] >= 4  # type: ignore[operator]


def test_card_refuses_a_source_without_a_licence(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"no release\.json"):
        write_card(tmp_path)
    facts = {"name": "x", "sources": {"secret": {"share": 1, "tokens_drawn": 1}}}
    path = tmp_path / "release.json"
    path.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(TrainError, match="secret"):
        model_card([path])


# --- frontier ------------------------------------------------------------------------------------


def test_arms_get_equal_compute_and_are_measured_once(home: Path) -> None:
    path = home / "frontier.toml"
    path.write_text(FRONTIER.format(base=write_recipe(home)), encoding="utf-8")
    frontier = load_frontier(path)
    base, zero, few = frontier.arms
    assert base.steps == zero.steps < few.steps
    assert few.recipe.config["num_key_value_heads"] == 1
    lines: list[str] = []
    assert [f["name"] for f in measure(frontier, lines.append, ["base"])] == ["base"]
    found = measure(frontier, lines.append)
    assert [f["name"] for f in found] == ["base", "zero", "few"]
    assert found[2]["n_parameters"] < found[0]["n_parameters"]
    assert found[0]["bits_per_byte"] != found[1]["bits_per_byte"]
    assert all(0 < bits < 8 for f in found for bits in f["bits_per_byte"].values())
    said = len(lines)
    assert measure(frontier, lines.append) == found
    assert len(lines) == said, "what was measured is kept"
    rows = table(frontier, found).splitlines()
    assert [row.split()[1] for row in rows[2:]] == ["`base`", "`zero`", "`few`"]


def test_arms_that_nobody_knows_are_named(home: Path) -> None:
    path = home / "frontier.toml"
    text = FRONTIER.format(base=write_recipe(home))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainError, match="no arm 'wider'"):
        measure(load_frontier(path), quiet, ["wider"])
    path.write_text(text + "colour = 3\n", encoding="utf-8")
    with pytest.raises(TrainError, match="colour"):
        load_frontier(path)


# --- mix -----------------------------------------------------------------------------------------

MIX = """
recipe = "{recipe}"
steps = 3
[arms.recipe]
about = "as it is"
times = {{}}
[arms.code]
about = "code ninefold"
times = {{ code = 9 }}
"""


def test_mixes_start_from_one_checkpoint_and_are_measured_once(home: Path) -> None:
    path = home / "mix.toml"
    path.write_text(MIX.format(recipe=write_recipe(home)), encoding="utf-8")
    mix = load_mix(path)
    plain, code = (arm.recipe.shares for arm in mix.arms)
    assert plain == {"wiki_en_1": 0.75, "code_py": 0.25}
    assert code == {"wiki_en_1": 0.25, "code_py": 0.75}
    with pytest.raises(TrainError, match="no checkpoint"):
        measure_mix(mix, quiet)
    train_to(tiny(home), home, 4)
    found = measure_mix(mix, quiet)
    assert [facts["step"] for facts in found] == [4, 4]
    assert set(found[0]["bits_per_byte"]) == {"wiki_en", "code_py", "enwik8"}
    assert found[0]["bits_per_byte"] != found[1]["bits_per_byte"]
    assert newest_state(tiny(home))["step"] == 4, "the run itself is only read"
    said: list[str] = []
    assert measure_mix(mix, said.append) == found
    assert not said, "what was measured is kept"
    head, _, first, second = mix_table(mix, found).splitlines()
    assert head == "| mix | | from step | Wikipedia | enwik8 | code | mean |"
    assert f"{by_kind(found[0]['bits_per_byte'])['mean']:.4f}" in first
    assert second.startswith("| `code` | code ninefold | 4 |")


def test_a_mix_that_weighs_what_is_not_there_is_refused(home: Path) -> None:
    path = home / "mix.toml"
    text = MIX.format(recipe=write_recipe(home)).replace("code = 9", "coda = 9")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainError, match="'coda'"):
        load_mix(path)


def test_layers_that_begin_at_zero_add_nothing(home: Path) -> None:
    model = build_model(replace(tiny(home), zero_outputs=True))
    tokens = torch.arange(20)[None]
    hidden = model.model(tokens).last_hidden_state
    plain = model.model.norm(model.get_input_embeddings()(tokens))
    assert torch.equal(hidden, plain)
