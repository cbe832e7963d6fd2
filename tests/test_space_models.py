"""What models cost, where they run, which are loaded: registry, hardware, shelf, margins."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import hub_cache
import huggingface_hub.constants
import pytest
from conftest import ROOT

from llmcomp.errors import ModelError
from llmcomp.evaluate import calibrate
from llmcomp.models import load_downloaded, margins, registry
from llmcomp.models.shelf import Shelf
from llmcomp.space import cost, limits, offer
from llmcomp.space.hardware import FLAVOURS, ZERO, Place, here
from llmcomp.space.table import table

SMOL = registry.REGISTRY["smollm2-135m"]


def card(tmp_path: Path, name: str) -> Path:
    """A driver's listing with one card."""
    found = tmp_path / "0000:01:00.0"
    found.mkdir()
    (found / "information").write_text(f"Model: \t\t {name}\nIRQ: 1\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "label", "dtype"),
    [
        ("Tesla T4", "Nvidia T4", "float32"),
        ("NVIDIA L4", "Nvidia L4", "float32"),
        ("NVIDIA A10G", "Nvidia A10G", "float32"),
        ("NVIDIA L40S", "Nvidia L40S", "float32"),
        ("NVIDIA A100-SXM4-80GB", "Nvidia A100", "float64"),
        ("NVIDIA H100 80GB HBM3", "Nvidia H100", "float64"),
        ("NVIDIA GeForce RTX 9090", "NVIDIA GeForce RTX 9090", "float32"),
    ],
)
def test_cards_are_known_by_their_words(tmp_path, name, label, dtype):
    place = here({}, card(tmp_path, name))
    assert place.hardware.label == label
    assert place.hardware.device == "cuda"
    assert place.hardware.dtype == dtype, "float64 only where it costs no more than twice"
    assert not place.public and not place.hardware.lent


def test_spaces_are_known_by_their_variables(tmp_path):
    zero = here({"SPACE_ID": "a/b", "SPACES_ZERO_GPU": "true", "LLMCOMP_MODELS": "gpt2"}, tmp_path)
    assert zero.hardware == FLAVOURS[ZERO] and zero.public and zero.models == ("gpt2",)
    assert zero.hardware.lent and zero.hardware.dtype == "float32"
    basic = here({"SPACE_ID": "a/b", "CPU_CORES": "2"}, tmp_path)
    assert basic.hardware.flavour == "cpu-basic" and basic.hardware.device == "cpu"
    assert here({"SPACE_ID": "a/b", "CPU_CORES": "8"}, tmp_path).hardware.flavour == "cpu-upgrade"
    assert here({}, tmp_path).hardware.flavour == "local"


def test_float64_is_dear_where_the_table_says_so():
    prices = {
        name: cost.estimate(SMOL, found, "float64", 100_000).encode
        / cost.estimate(SMOL, found, "float32", 100_000).encode
        for name, found in FLAVOURS.items()
    }
    coder = 100_000 * SMOL.vocabulary * cost._LOGIT_S
    assert prices["l4x1"] > prices["a100-large"]
    for name in ("t4-small", "l4x1", "a10g-small", ZERO):
        products = cost.estimate(SMOL, FLAVOURS[name], "float32", 100_000).encode - coder
        wide = cost.estimate(SMOL, FLAVOURS[name], "float64", 100_000).encode - coder
        assert wide / products == pytest.approx(1 / FLAVOURS[name].float64_share)


def test_estimates_order_machines_and_models_as_people_would():
    big = registry.REGISTRY["open-llama-7b"]
    for name in ("t4-small", ZERO, "a100-large"):
        there = FLAVOURS[name]
        assert (
            cost.estimate(SMOL, there, "float32", 4000).compress
            < cost.estimate(big, there, "float32", 4000).compress
        )
    on_cpu = cost.estimate(SMOL, FLAVOURS["cpu-basic"], "float32", 4000)
    on_gpu = cost.estimate(SMOL, FLAVOURS["t4-small"], "float32", 4000)
    assert on_gpu.compress < on_cpu.compress
    one, two = (cost.estimate(SMOL, FLAVOURS[ZERO], "float32", n).compress for n in (500, 4000))
    assert one < two


def test_a_model_that_does_not_fit_is_not_offered():
    names = ("smollm2-135m", "open-llama-7b", "open-llama-3b")
    private = Place(FLAVOURS["t4-small"], public=False, models=names)
    found = {known.name: known for known in offer.offers(private)}
    assert found["smollm2-135m"].why_not == ""
    assert "GB of memory and Nvidia T4 has 16" in found["open-llama-7b"].why_not
    public = Place(FLAVOURS["a100-large"], public=True, models=names)
    found = {known.name: known for known in offer.offers(public)}
    assert found["open-llama-3b"].why_not == "no commit of it is pinned"
    assert found["gpt2"].why_not == "this Space does not have it"
    assert [known.name for known in offer.offers(public)][:2] == ["embedded", "nano"]


def test_the_line_names_parameters_memory_profile_and_seconds():
    place = Place(FLAVOURS["a100-large"], public=True, models=("smollm2-135m",))
    found = {known.name: known for known in offer.offers(place)}
    line = found["smollm2-135m"].line(4000, place)
    for part in ("135 M parameters", "GB of memory", "tolerant in float64", "on Nvidia A100"):
        assert part in line
    assert " s for this text" in line
    off = found["gpt2"].line(4000, place)
    assert "Not here: this Space does not have it" in off and "$0.40 an hour" in off
    assert "for 1,000 bytes on" in found["smollm2-135m"].line(0, place)


def test_the_lines_of_shipped_models_are_true():
    place = Place(FLAVOURS["cpu-basic"], public=True)
    found = {known.name: known for known in offer.offers(place)}
    for name in ("embedded", "nano"):
        assert llmcomp_parameters(name) in found[name].line(4000, place)


def llmcomp_parameters(name: str) -> str:
    from llmcomp.models import ASSETS, resolve
    from llmcomp.models.size import size_of

    return f"{size_of(ASSETS / resolve(name)).n_parameters / 1e6:.1f} M parameters"


def test_what_was_learned_corrects_the_next_estimate():
    learned = cost.Learned()
    assert learned.factor("m") == 1.0
    learned.note("m", 10.0, 40.0)
    assert learned.factor("m") == pytest.approx(4.0)
    learned.note("m", 10.0, 10.0)
    assert learned.factor("m") == pytest.approx(2.0)
    learned.note("m", 1.0, 1e9)
    assert learned.factor("m") < 10.0, "one stalled job is not believed"
    learned.note("other", 0.0, 1.0)
    assert learned.factor("other") == 1.0


def test_estimates_are_held_against_a_job(known, checkpoints, monkeypatch):
    monkeypatch.setattr(cost, "here", lambda: Place(FLAVOURS["cpu-basic"], False, ()))
    (line,) = cost.main([f"tiny-llama={checkpoints['llama']}"])
    found = re.fullmatch(
        r"tiny-llama, 4,000 bytes, ([\d,]+) tokens: encode [\d.]+ s, estimated ([\d.]+); "
        r"decode [\d.]+ s, estimated ([\d.]+)",
        line,
    )
    assert found, line
    assert 500 < int(found[1].replace(",", "")) <= 4000


def test_limits_follow_the_machine():
    lent = limits.limits_of(FLAVOURS[ZERO])
    owned = limits.limits_of(FLAVOURS["t4-small"])
    plain = limits.limits_of(FLAVOURS["cpu-basic"])
    assert lent.hub_seconds * 1.5 <= 120, "a visitor without an account has two minutes a day"
    assert plain.tokens < lent.tokens < owned.tokens


def test_the_shelf_keeps_within_its_cap():
    shelf: Shelf[str] = Shelf(most=3)
    shelf.cap_bytes = 100
    loaded: list[str] = []

    def take(name: str, size: int) -> str:
        return shelf.take(name, size, lambda: loaded.append(name) or name)

    take("a", 40), take("b", 40), take("a", 40)
    assert loaded == ["a", "b"], "what is there is not loaded again"
    take("c", 40)
    assert "b" not in shelf and "a" in shelf and "c" in shelf, "the longest unused made room"
    with pytest.raises(ModelError, match="take a smaller one"):
        take("d", 101)
    assert "a" in shelf, "nothing was thrown out for what does not fit"
    for name in "wxyz":
        take(name, 1)
    assert all(name in shelf for name in "acwxyz"), "memory counts, not how many there are"
    few: Shelf[str] = Shelf(most=3)
    for name in "wxyz":
        few.take(name, 10**12, lambda name=name: name)
    assert [name in few for name in "wxyz"] == [False, True, True, True]


@pytest.fixture
def known(checkpoints, tmp_path, monkeypatch):
    """A registered model in the cache, and a file for margins."""
    entries = hub_cache.fill(tmp_path, {"llama": checkpoints["llama"]})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setitem(registry.REGISTRY, "tiny-llama", entries["tiny-llama"])
    path = tmp_path / "margins.json"
    path.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(margins, "MARGINS_FILE", path)
    monkeypatch.setattr(calibrate, "MARGINS_FILE", path)
    monkeypatch.setattr("llmcomp.models.SHELF", Shelf(most=4))
    return entries["tiny-llama"], path


def test_a_stored_margin_is_the_least_a_model_asks_for(known, monkeypatch):
    entry, path = known
    before = load_downloaded("tiny-llama", "float32").margin
    assert calibrate.store("tiny-llama", "float32", "cpu", 8) == path
    calibrate.store("tiny-llama", "float32", "cpu", 9)
    found = json.loads(path.read_text("utf-8"))[entry.source]["float32"]
    assert found["exponent"] == 8, "of several places the widest counts"
    assert len(found["measured"]) == 2
    monkeypatch.setattr("llmcomp.models.SHELF", Shelf(most=4))
    after = load_downloaded(entry.source, "float32").margin
    assert before < after == 2.0**-8
    assert load_downloaded("tiny-llama", "float64").margin < 2.0**-20, "another dtype, its own"


def test_margins_of_directories_are_not_kept(checkpoints):
    with pytest.raises(ModelError, match="is a directory"):
        calibrate.store(str(checkpoints["llama"]), "float32", "cpu", 8)


def test_one_model_by_two_names_is_loaded_once(known):
    entry, _ = known
    assert load_downloaded("tiny-llama", None) is load_downloaded(entry.source, None)


def test_the_documents_table_is_printed_by_its_command():
    text = (ROOT / "docs" / "space.md").read_text("utf-8")
    assert table() in text, (
        "write what `python -m llmcomp space hardware` prints into docs/space.md"
    )


def test_pins_are_commits():
    for model in registry.REGISTRY.values():
        assert model.revision is None or len(model.revision) == 40
        assert registry.named_by(model.source) is (model if model.revision else None)
    assert registry.named_by(replace(SMOL, revision="f" * 40).source) is None
