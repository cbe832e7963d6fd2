"""Profile ``fixed``: the same integers whatever computes them."""

from __future__ import annotations

import decimal
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import reference
from conftest import ROOT
from safetensors.numpy import load_file, save_file

from llmcomp import exact
from llmcomp.decisions import cumulative_masses
from llmcomp.errors import ModelError
from llmcomp.models import load_model
from llmcomp.models.fixed import EXACT_BITS, FixedRunner
from llmcomp.models.grid import snap_weights
from llmcomp.models.rotary import rotary_tables
from llmcomp.models.snapped import SnappedModel

TINY = ROOT / "tests/models/tiny"
MODELS = [TINY, ROOT / "assets/nano-1", ROOT / "assets/embedded-1"]


def score(model, rows: np.ndarray) -> np.ndarray:
    logits = np.empty((*rows.shape, len(model.tokenizer.token_bytes)))
    for row, start, part in model.score(rows):
        logits[row, start : start + len(part)] = part
    return logits


def some_rows(model, n_rows: int, length: int) -> np.ndarray:
    rows = np.random.default_rng(3).integers(0, len(model.tokenizer.token_bytes), (n_rows, length))
    rows[:, 0] = model.start_token
    return rows


@pytest.fixture(scope="module", params=MODELS, ids=lambda path: path.name)
def model(request) -> SnappedModel:
    return SnappedModel(request.param, name=request.param.name, number=0)


def test_parallel_and_cached_passes_agree_to_the_bit(model):
    rows = some_rows(model, 3, 60)
    parallel = score(model, rows)
    session, logits = model.begin(rows[:, :7], 60)
    assert np.array_equal(logits, parallel[:, 6])
    for t in range(7, 60):
        assert np.array_equal(session.step(rows[:, t]), parallel[:, t]), t


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_batch_shape_changes_nothing(model, batch):
    rows = some_rows(model, 32, 24)
    whole = score(model, rows)
    parts = [score(model, rows[i : i + batch]) for i in range(0, 32, batch)]
    assert np.array_equal(np.concatenate(parts), whole)
    session, _ = model.begin(rows[:batch, :1], 24)
    for t in range(1, 24):
        assert np.array_equal(session.step(rows[:batch, t]), whole[:batch, t])


def test_plain_numpy_gives_the_same_integers():
    model = SnappedModel(TINY, name="tiny", number=0)
    row = some_rows(model, 1, 40)
    expected = reference.logits(TINY, row[0].tolist())
    assert np.array_equal(score(model, row)[0], expected)


@pytest.mark.parametrize("recipe", [1, 2])
def test_plain_numpy_agrees_on_a_llama(tmp_path, recipe):
    """Without QK-norm, untied, with grouped heads: the other branches, at every recipe."""
    directory = random_llama(tmp_path)
    config = json.loads((directory / "config.json").read_text()) | {"llmcomp_recipe": recipe}
    (directory / "config.json").write_text(json.dumps(config))
    runner = FixedRunner.load(directory)
    rows = np.random.default_rng(0).integers(0, 64, (5, 30))
    got = [np.concatenate([part for _, _, part in runner.score(row[None])]) for row in rows]
    assert np.array_equal(got[0], reference.logits(directory, rows[0].tolist()))
    session, _ = runner.begin(rows[:, :3], 30)
    for t in range(3, 30):
        assert np.array_equal(session.step(rows[:, t]), np.stack([row[t] for row in got]))


def test_weights_of_another_dtype_are_refused(tmp_path):
    """On the grid, and yet not exact in float16: packed weights would be others."""
    directory = random_llama(tmp_path)
    weights = load_file(directory / "model.safetensors")
    wide = weights["lm_head.weight"].astype(np.float64)
    wide[0, 0] = 2.0**11 + 2.0**-14
    save_file(weights | {"lm_head.weight": wide}, directory / "model.safetensors")
    with pytest.raises(ModelError, match=r"lm_head.weight is float64, wanted float16"):
        FixedRunner.load(directory)


def test_recipes_are_not_mixed_up(tmp_path):
    directory = random_llama(tmp_path)
    config = json.loads((directory / "config.json").read_text())
    row = np.random.default_rng(0).integers(0, 64, (1, 30))
    found = []
    for recipe in (1, 2):
        (directory / "config.json").write_text(json.dumps(config | {"llmcomp_recipe": recipe}))
        found.append(np.concatenate([p for _, _, p in FixedRunner.load(directory).score(row)]))
    assert not np.array_equal(*found)
    (directory / "config.json").write_text(json.dumps(config | {"llmcomp_recipe": 3}))
    with pytest.raises(ModelError, match="recipe 3, unknown here; update llmcomp"):
        FixedRunner.load(directory)


def random_llama(tmp_path: Path) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=4,
        intermediate_size=40,
        max_position_embeddings=32,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    weights = {name: snap_weights(5.0 * p.detach().numpy()) for name, p in model.named_parameters()}
    save_file(weights, tmp_path / "model.safetensors")
    config.save_pretrained(tmp_path)
    return tmp_path


DIGEST = """
import hashlib, sys
import numpy as np
from pathlib import Path
from llmcomp.decisions import cumulative_masses
from llmcomp.models.snapped import SnappedModel
model = SnappedModel(Path(sys.argv[1]), name="m", number=0)
rows = np.random.default_rng(3).integers(0, len(model.tokenizer.token_bytes), (4, 40))
digest = hashlib.sha256()
for row, start, logits in model.score(rows):
    digest.update(logits.tobytes())
    digest.update(cumulative_masses(model.tree, logits).tobytes())
session, logits = model.begin(rows[:, :1], 40)
for t in range(1, 40):
    logits = session.step(rows[:, t])
digest.update(logits.tobytes())
print(digest.hexdigest())
"""

SETTINGS = {
    "one thread": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "two threads": {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
    "baseline OpenBLAS": {"OPENBLAS_CORETYPE": "Prescott"},
    "Haswell OpenBLAS": {"OPENBLAS_CORETYPE": "Haswell"},
    "Sandybridge OpenBLAS": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "NumPy without AVX": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
    "numba for any x86-64": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""},
    "numba for Haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
}


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """The digest of the embedded model's logits in a process with other settings."""

    def found(**environment: str) -> str:
        # compiled kernels of one processor are shared, and of no other
        cpu = environment.get("NUMBA_CPU_NAME", "this")
        cache = str(tmp_path_factory.getbasetemp() / f"kernels for {cpu}")
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, str(MODELS[-1])],
            env={**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return found


@pytest.fixture(scope="module")
def usual_digest(digest) -> str:
    return digest()


@pytest.mark.embedded
@pytest.mark.parametrize("setting", SETTINGS)
def test_instruction_sets_and_threads_change_nothing(setting, digest, usual_digest):
    assert digest(**SETTINGS[setting]) == usual_digest


PLAIN_DIGEST = """
import hashlib
import numpy as np
a = np.random.default_rng(0).normal(size=(300, 700))
print(hashlib.sha256((a @ a.T).tobytes()).hexdigest())
"""


def test_the_settings_do_change_ordinary_arithmetic():
    """Else the test above would prove nothing: off the grids, sums depend on the instructions."""
    digests = {
        subprocess.run(
            [sys.executable, "-c", PLAIN_DIGEST],
            env={**os.environ, **SETTINGS[setting]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for setting in ("baseline OpenBLAS", "Haswell OpenBLAS", "two threads")
    }
    assert len(digests) > 1


ASSEMBLY = """
import numpy as np
from pathlib import Path
import sys
from llmcomp import decisions, online
from llmcomp.models import kernels
from llmcomp.models.snapped import SnappedModel
model = SnappedModel(Path(sys.argv[1]), name="m", number=0)
rows = np.zeros((2, 9), np.int64)
for _, _, logits in model.score(rows):
    found = decisions.decide(model.tree, logits, rows[0])
    tree, tokens = model.tree, model.tokenizer.token_bytes
    help_ = online.OnlineHelp.begin(tree.rank, tree.depth, tokens, [99])
    decisions.help_decisions(tree, help_, [rows[0]], [found])
model.begin(rows[:, :2], 9)[0].step(rows[:, 2])
exact = {"product", "_scores", "_add_weighted"}  # sums of products, which nothing can change
parts = exact | {"_attend", "step"}  # what they may be inlined in
found = {"exact": [], "rounding": []}
for name, kernel in [*vars(kernels).items(), *vars(decisions).items(), *vars(online).items()]:
    if hasattr(kernel, "inspect_asm") and (name in exact or name not in parts):
        found["exact" if name in exact else "rounding"] += kernel.inspect_asm().values()
for texts in found.values():
    vectors = sum("zmm" in text or "ymm" in text for text in texts)
    print(len(texts), vectors, sum("fmadd" in text for text in texts))
"""


def test_numba_uses_vectors_and_fuses_a_multiply_with_an_add_in_exact_sums_only():
    """The exponential is exact in no grid: one fused step in it and machines would differ."""
    with tempfile.TemporaryDirectory() as cache:
        setting = SETTINGS["numba for Haswell"]  # has fused instructions to offer
        done = subprocess.run(
            [sys.executable, "-c", ASSEMBLY, str(TINY)],
            env={**os.environ, "NUMBA_CACHE_DIR": cache, **setting},
            capture_output=True,
            text=True,
            check=True,
        )
    exact, rounding = ([int(n) for n in line.split()] for line in done.stdout.splitlines())
    assert min(exact) >= 2, "else this would not see what is fused"
    compiled, vectorised, fused = rounding
    assert compiled >= 9
    assert vectorised >= 5
    assert fused == 0


TORCH_DIGEST = """
import hashlib, sys
import numpy as np, torch
torch.set_num_threads(int(sys.argv[1]))
rng = np.random.default_rng(0)
a = rng.integers(-(2 ** 20), 2 ** 20, (33, 704)) / 2.0**16
w = rng.integers(-(2 ** 14), 2 ** 14, (704, 256)) / 2.0**14
product = (torch.tensor(a) @ torch.tensor(w)).numpy()
assert np.array_equal(product, a @ w)
print(hashlib.sha256(product.tobytes()).hexdigest())
"""


def test_torch_multiplies_the_same_under_every_setting():
    settings = [
        {},
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    ]
    digests = {
        subprocess.run(
            [sys.executable, "-c", TORCH_DIGEST, threads],
            env={**os.environ, **setting},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for setting in settings
        for threads in "12"
    }
    assert len(digests) == 1


def test_every_sum_stays_exact(model):
    bits = model.runner.sum_bits()
    assert len(bits) == 9
    assert max(bits.values()) <= EXACT_BITS


def test_a_model_whose_sums_would_round_is_refused(tmp_path):
    directory = random_llama(tmp_path)
    weights = load_file(directory / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][:] = np.float16(60000.0)
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(ModelError, match="feed-forward out: a sum may need"):
        FixedRunner.load(directory)


def test_weights_off_the_grid_are_refused(tmp_path):
    directory = random_llama(tmp_path)
    weights = load_file(directory / "model.safetensors")
    weights["model.norm.weight"][0] = np.float16(2.0**-15)
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(ModelError, match="off the grid"):
        FixedRunner.load(directory)


def test_missing_and_misshapen_weights_are_named(tmp_path):
    directory = random_llama(tmp_path)
    weights = load_file(directory / "model.safetensors")
    shape = weights.pop("lm_head.weight").shape
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(
        ModelError, match=f"lm_head.weight: found nothing, wanted shape .{shape[0]}"
    ):
        FixedRunner.load(directory)


def test_other_architectures_are_refused(tmp_path):
    directory = random_llama(tmp_path)
    config = json.loads((directory / "config.json").read_text())
    config["attention_bias"] = True
    (directory / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not computed by the fixed runner"):
        FixedRunner.load(directory)


def test_a_full_context_says_so(tiny):
    session, _ = tiny.begin(some_rows(tiny, 1, 64), 64)
    with pytest.raises(ValueError, match="full"):
        session.step(np.array([0]))
    with pytest.raises(ValueError, match="room for 65 positions; wanted 3 to 64"):
        tiny.begin(some_rows(tiny, 1, 3), 65)
    with pytest.raises(ValueError, match="a row has 65 tokens"):
        next(tiny.score(some_rows(tiny, 1, 65)))


def test_exponential_is_right_and_the_same_in_numpy():
    x = np.concatenate([np.linspace(-40, 0, 20_001), np.linspace(-700, 700, 2_001)])
    got = np.array([exact.exp(v) for v in x])
    assert np.array_equal(got, reference.exp(x))
    np.testing.assert_allclose(got, np.exp(x), rtol=4e-16)


def test_rotary_tables_are_the_rounded_cosines():
    cos, sin = rotary_tables(1024, 64, 10_000)
    angle = np.arange(1024)[:, None] * 10_000.0 ** (-np.arange(32) / 32)
    for table, exact_values in ((cos, np.cos(angle)), (sin, np.sin(angle))):
        assert np.abs(table - exact_values).max() <= 2.0**-15 + 1e-12
    assert hashlib.sha256(cos.tobytes() + sin.tobytes()).hexdigest() == ROTARY_DIGEST


def test_rotary_tables_ignore_the_callers_decimal_context():
    with decimal.localcontext(prec=3, rounding=decimal.ROUND_UP):
        fresh = rotary_tables.__wrapped__(64, 32, 10_000)
    for ours, usual in zip(fresh, rotary_tables(64, 32, 10_000), strict=True):
        assert np.array_equal(ours, usual)


@pytest.mark.parametrize(
    ("file", "contents"),
    [
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "qwen3", "hidden_act": "silu"}'),
        ("model.safetensors", b"\x08\0\0\0\0\0\0\0{}"),
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", b'{"model": {"vocab": {"a": 0}}}'),
        ("unigram.bin", b"\1\0"),
        ("unigram.bin", None),
        ("config.json", None),
    ],
)
def test_broken_model_directories_give_one_line(tmp_path, file, contents):
    directory = tmp_path / "broken"
    shutil.copytree(TINY, directory)
    (directory / file).unlink()
    if contents is not None:
        (directory / file).write_bytes(contents)
    with pytest.raises(ModelError) as caught:
        load_model(str(directory))
    assert "\n" not in str(caught.value)


ROTARY_DIGEST = "b76415da316562e641d7da9745af5334417b810d0b0004bd921abe3513b91e80"


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["embedded-1", "nano-1"])
def test_snapping_costs_less_than_a_thousandth(name, real_text):
    """Activations: against transformers in float64. Weights: as measured when released."""
    import torch
    from transformers import AutoModelForCausalLM

    directory = ROOT / "assets" / name
    model = SnappedModel(directory, name=name, number=0)
    ids = model.tokenizer.encode(real_text[:6000])[:1023]
    row = np.concatenate([[model.start_token], ids])[None]
    stock = AutoModelForCausalLM.from_pretrained(directory).double()
    with torch.no_grad():
        theirs = stock(torch.tensor(row)).logits[0, :-1].numpy()
    ours = score(model, row)[0, :-1]

    def bits(logits: np.ndarray) -> float:
        shifted = logits - logits.max(1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return float(-logp[np.arange(len(ids)), ids].sum() / np.log(2))

    assert bits(ours) == pytest.approx(bits(theirs), rel=1e-3)
    release = json.loads((directory / "release.json").read_text(encoding="utf-8"))
    held_out = release["held_out_bits_per_byte"]
    for text in held_out["float32"]:
        assert held_out["snapped"][text] == pytest.approx(held_out["float32"][text], rel=1e-3)


def test_masses_are_at_least_one_and_sum_exactly(tiny):
    logits = score(tiny, some_rows(tiny, 2, 30)).reshape(60, -1) * 50.0
    cumulative = cumulative_masses(tiny.tree, logits)
    masses = np.diff(cumulative, axis=1)
    assert masses.min() >= 1
    assert (masses.max(axis=1) == (1 << 36) + 1).all()
    assert cumulative.max() < 2**53
