"""Every word of the page in three languages, and none outside the table."""

from __future__ import annotations

import ast
import re
import string

import pytest
from conftest import ROOT

from llmcomp.bill import Bill
from llmcomp.ui import steering_views
from llmcomp.ui.words import LANGUAGES, WORDS, Words, in_browser

SPEAKING = ("layout", "widgets", "views", "steer_page", "steering_views", "charts")
"""Modules whose every word must come from the table."""

SENTENCE = re.compile(r"[A-Za-zА-яё一-鿿]{2,} [A-Za-zА-яё一-鿿]{2,}")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_exists_in_every_language_with_the_same_blanks(language: str) -> None:
    assert WORDS[language].keys() == WORDS["en"].keys()
    for key, text in WORDS[language].items():
        assert text.strip(), key
        assert fields(text) == fields(WORDS["en"][key]), key


def test_languages_differ_and_stay_in_their_script() -> None:
    # what has no words of its own; sizes are written in Latin letters in Chinese, too
    names = {"title", "chip_python", *(f"length: {unit}" for unit in ("kB", "MB", "GB", "TB"))}
    for key, english in WORDS["en"].items():
        if (
            key in names
            or key.startswith("error: ")
            or not re.sub(r"\{.*?\}|llmcomp|base64|\W", "", english)
        ):
            continue
        assert WORDS["ru"][key] != english, key
        assert WORDS["zh"][key] != english, key
        assert not re.search("[一-鿿]", WORDS["ru"][key]), key
        assert not re.search("[А-яё]", WORDS["zh"][key]), key


def test_terms_are_used_alike() -> None:
    for term in ("наведение", "дорожк"):
        assert any(term in text.lower() for text in WORDS["ru"].values())
    for term in ("引导", "通道", "比特"):
        assert any(term in text for text in WORDS["zh"].values())


def test_every_row_of_a_bill_has_its_words() -> None:
    names = [name for name in Bill.__dataclass_fields__ if name.endswith("_bits")]
    rows = Bill(**dict.fromkeys(names, 1.0)).rows()
    assert len(rows) == len(names)
    assert all(f"bill: {label}" in WORDS["en"] for label, _ in rows)


def literals(source: str) -> list[str]:
    """Strings of a module that are not docstrings and not raised."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log."):
            skipped.update(map(id, ast.walk(node)))
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in skipped
    ]


@pytest.mark.parametrize("module", SPEAKING)
def test_no_word_stands_outside_the_table(module: str) -> None:
    source = (ROOT / "llmcomp" / "ui" / f"{module}.py").read_text("utf-8")
    markup = re.compile(r"<[^>]*>|class=\S+|const root|window\.llmcomp")
    fonts = {"Segoe UI", "Noto Sans", "DejaVu Sans Mono"}
    answers = set(steering_views.PREDICTIONS)  # values; what a visitor sees of them has its words
    assert all(f"predict: {answer}" in WORDS["en"] for answer in answers)
    silent = fonts | answers | {"bottom center"}  # where plotly puts a text
    spoken = [text for text in literals(source) if text not in silent and not markup.search(text)]
    assert [text for text in spoken if SENTENCE.search(text)] == []


def test_planted_words_are_found() -> None:
    assert any(SENTENCE.search(text) for text in literals('x = gr.Button("Do it now")'))
    assert not literals('"""A docstring says what it likes."""')


def test_every_used_key_exists() -> None:
    used = set()
    for path in (ROOT / "llmcomp" / "ui").glob("*.py"):
        used |= set(re.findall(r'words\("(\w+)"', path.read_text("utf-8")))
    for path in (ROOT / "llmcomp" / "ui" / "js").glob("*.js"):
        found = set(re.findall(r'phrase\("(\w+)"', path.read_text("utf-8")))
        assert found <= in_browser()["en"].keys(), path.name
        used |= found
    assert used <= WORDS["en"].keys()


def test_words_for_the_browser_are_few_and_cannot_end_their_script() -> None:
    table = in_browser()
    assert {len(words) for words in table.values()} == {len(table["en"])}
    assert len(table["en"]) < 40


def test_an_unknown_language_is_english() -> None:
    assert Words(None).language == Words("../x").language == "en"
    with pytest.raises(KeyError):
        Words("en")("no_such_key")


def test_every_key_is_used() -> None:
    families = (
        "chip_|bill|race: |stage_|tab_|theme_|predict: |column_|steer_outline_|scale_|error: |"
        "way: |length: "
    )
    files = [p for p in (ROOT / "llmcomp" / "ui").rglob("*") if p.suffix in {".py", ".js"}]
    source = "".join(path.read_text("utf-8").split("_EN = {")[0] for path in files)
    source += (ROOT / "llmcomp/ui/words.py").read_text("utf-8").split("class Words:")[1]
    unused = [
        key
        for key in WORDS["en"]
        if not re.search(rf"""["']{re.escape(key)}["']""", source)
        and not re.match(families, key)
        and not (key.endswith("_part") and 'f"{where}_part"' in source)
    ]
    assert unused == []
