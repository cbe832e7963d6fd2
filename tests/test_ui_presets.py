"""Stored sample traces: they are the shipped model's, add up, and open the page with a surprise."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import llmcomp
from llmcomp.models import load_model, resolve
from llmcomp.ui import handlers, jobs, presets
from llmcomp.ui.words import LANGUAGES, Words

STORED = [("surprise", language) for language in presets.HEROES]
STORED += [(chip, "en") for chip in presets.CHIPS[1:]]


def test_stored_traces_are_the_shipped_models() -> None:
    """After a model release `python -m llmcomp.ui.presets` must run again."""
    model = load_model(resolve(handlers.MODELS[0]))
    for name in presets.names():
        text = presets.path_of(name).read_text("utf-8")
        assert f'"fingerprint":"{model.fingerprint.hex()}"' in text, name


def test_what_is_stored_is_all_there_is() -> None:
    folder = presets.path_of("x").parent
    assert {path.stem for path in folder.iterdir()} == set(presets.names())
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000


@pytest.mark.parametrize("language", presets.HEROES)
def test_the_hero_of_every_language_ends_with_a_surprise(language: str) -> None:
    """The last word must cost more than words two to six together, or it is no hero."""
    data, result = presets.stored("surprise", language)
    assert data.decode() in presets.HEROES[language]
    costs = presets.word_costs(result.message)
    assert costs[-1] > sum(costs[1:6])


def test_every_language_has_a_hero() -> None:
    assert presets.HEROES.keys() == LANGUAGES.keys()
    assert presets.hero()["languages"].keys() == LANGUAGES.keys()


@pytest.mark.embedded
@pytest.mark.parametrize(("chip", "language"), STORED)
def test_a_stored_file_decodes_and_its_bill_adds_up(chip: str, language: str) -> None:
    data, result = presets.stored(chip, language)
    assert llmcomp.decompress(result.blob) == data
    assert sum(bits for _, bits in result.bill.rows()) == pytest.approx(8 * len(result.blob))
    assert result.sizes["llmc"] == len(result.blob)
    assert base64.b64decode(result.message["text"]) == data
    assert 0 < result.message["n"] <= presets.MAX_TOKENS
    assert result.message["lanes"] == 1


def test_samples_were_chosen_for_contrast() -> None:
    sizes = {chip: presets.stored(chip, language)[1].sizes for chip, language in STORED}
    assert sizes["random"]["llmc"] > sizes["random"]["raw"], "random bytes grow, and it is said so"
    rate = {chip: size["llmc"] / size["raw"] for chip, size in sizes.items()}
    assert rate["own"] < 0.6 * rate["prose"], "a model is least surprised by itself"
    assert rate["line"] < 0.1


def test_every_chip_has_a_name_in_every_language() -> None:
    assert all(Words(language)(f"chip_{chip}") for language in LANGUAGES for chip in presets.CHIPS)


def test_costs_of_words_are_the_costs_of_their_tokens() -> None:
    for chip, language in STORED:
        _, result = presets.stored(chip, language)
        bill = result.bill
        coded = bill.ideal_bits + bill.help_bits + bill.coder_bits
        if bill.ideal_bits:  # else the file holds something smaller
            assert sum(presets.word_costs(result.message)) == pytest.approx(coded, abs=0.01)
    assert presets.word_costs({"v": "view/1", "note": "nothing"}) == []


def test_without_stored_traces_the_page_still_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "_ASSETS", tmp_path)
    presets.stored.cache_clear()
    assert "run python -m llmcomp.ui.presets" in presets.hero()["note"]
    with pytest.raises(jobs.InputError, match="not a choice"):
        presets.stored("../../etc", "en")


def test_a_hero_that_does_not_surprise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dull = handlers.finish(
        handlers.compress("one two one two one two one two", None, "nano", "small")
    )
    assert not presets.is_hero(dull.message)
