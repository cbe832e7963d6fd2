"""The shipped models on real text: round trips, sizes, what a newcomer meets first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import ROOT
from test_codec import HARD

import llmcomp
from llmcomp import codec
from llmcomp.errors import ModelError
from llmcomp.models import MODELS, load_model, model_by_number, resolve
from llmcomp.steps import run

pytestmark = pytest.mark.embedded


@pytest.mark.parametrize("preset", ["fast", "balanced", "small"])
def test_8_kb_of_real_text_round_trip(real_text, preset):
    data = real_text[:8_000]
    result = run(codec.compressing(data, preset=preset, methods=("lm",)))
    assert not result.bill.notes
    assert llmcomp.decompress(result.blob) == data
    assert len(result.blob) < len(data) / 2


def test_50_kb_of_real_text_round_trip(real_text):
    assert len(real_text) == 50_000
    result = run(codec.compressing(real_text, preset="fast", methods=("lm",), verify=False))
    assert llmcomp.decompress(result.blob) == real_text
    bill = result.bill
    assert bill.coder_bits <= 0.0005 * bill.ideal_bits
    info = llmcomp.get_info(result.blob)
    assert (info.model, info.plain_bytes) == (resolve("embedded"), 50_000)


@pytest.mark.parametrize("model", ["embedded", "nano"])
@pytest.mark.parametrize("name", HARD)
def test_hard_inputs_round_trip(model, name):
    data = HARD[name][:400]
    blob = llmcomp.compress(data, model=model, methods=("lm",))
    assert llmcomp.decompress(blob) == data


def test_one_lane_pays_at_most_five_in_ten_thousand_over_the_ideal(real_text):
    result = run(codec.compressing(real_text[:24_000], lanes=1, methods=("lm",), verify=False))
    assert result.bill.overhead <= 0.0005
    framing = result.bill.header_bits + result.bill.lengths_bits + result.bill.checksum_bits
    assert framing <= 8 * 24


def test_a_class_of_short_texts_beats_every_classical_compressor():
    """What visitors paste first: a sentence or two of plain English."""
    from llmcomp.evaluate.baselines import sizes

    text = (
        b"The people of the village had never seen such a storm. In the morning the old man went "
        b"down to the river to look for his boat, but the water had carried it away."
    )
    assert len(llmcomp.compress(text)) < min(sizes(text).values())


def test_assets_keep_their_limits():
    assets = ROOT / "assets"
    total = sum(f.stat().st_size for f in assets.rglob("*") if f.is_file())
    assert total <= 30e6
    for name in MODELS.values():
        assert (assets / name / "model.safetensors").stat().st_size <= 18e6
        release = json.loads((assets / name / "release.json").read_text(encoding="utf-8"))
        assert release["name"] == name
    nano = json.loads((assets / "nano-1/release.json").read_text(encoding="utf-8"))
    assert nano["n_parameters"] <= 1.2e6
    card = (assets / "MODEL_CARD.md").read_text(encoding="utf-8")
    for name in MODELS.values():
        assert name in card


def test_anyone_can_load_the_models_with_transformers():
    from transformers import AutoModelForCausalLM

    for name in MODELS.values():
        model = AutoModelForCausalLM.from_pretrained(ROOT / "assets" / name)
        assert model.config.max_position_embeddings >= 1024


FULL_GROUP = """
import resource
import numpy as np
from llmcomp import lanes
from llmcomp.models import load_model
model = load_model("embedded")
rows = np.random.default_rng(0).integers(0, 8192, (lanes._CACHED_POSITIONS // 1024, 769))
model.begin(rows[:2, :2], 3)[0].step(rows[:2, 0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model.begin(rows, 1024)[0].step(rows[:, 0])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_the_largest_group_of_lanes_stays_under_600_mb():
    done = subprocess.run(
        [sys.executable, "-c", FULL_GROUP], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 600 * 1024  # KiB


def test_registry_names_and_numbers():
    for number, name in MODELS.items():
        assert model_by_number(number) is load_model(name)
        assert load_model(name).number == number
    assert resolve("nano").startswith("nano-")
    with pytest.raises(ModelError, match="model 200, unknown here; update"):
        model_by_number(200)


def test_a_damaged_file_is_refused_at_once(real_text):
    blob = bytearray(llmcomp.compress(real_text[:600], methods=("lm",)))
    blob[-9] ^= 1
    with pytest.raises(llmcomp.DamagedError):
        llmcomp.decompress(bytes(blob))
