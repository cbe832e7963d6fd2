"""Sample texts, one click away, with everything the page shows of them stored beforehand.

``python -m llmcomp.ui.presets`` compresses them all with the shipped model and writes one file
each; `stored` reads one, and then nothing is computed. A file names the model it was made with, so
that a test can tell when another is shipped. Knows nothing of gradio.
"""

from __future__ import annotations

import base64
import json
import random
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from llmcomp.bill import Bill, ModelSize
from llmcomp.models import load_model
from llmcomp.models.base import LanguageModel
from llmcomp.ui import handlers, jobs, theatre
from llmcomp.ui.handlers import Compression

__all__ = [
    "CHIPS",
    "HEROES",
    "MAX_TOKENS",
    "example",
    "hero",
    "is_hero",
    "names",
    "path_of",
    "stored",
    "word_costs",
    "write",
]

CHIPS = ("surprise", "prose", "russian", "chinese", "python", "log", "line", "random", "own")
"""Sample texts in the order of the page; ``surprise`` is the hero of the visitor's language."""

HEROES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, potato.",
        "It was the beginning of the potato.",
    ),
    "ru": (
        "Понедельник, вторник, среда, четверг, пятница, суббота, картошка.",
        "Он не знал, что ему делать с картошкой.",
    ),
    "zh": (
        "星期一，星期二，星期三，星期四，星期五，星期六，土豆。",
        "你好，你好，你好，你好，你好，你好，土豆。",
    ),
}
"""Sentences the page may open with: expected words and, at the end, one that is not.

Later ones ask less of a model; the first that is a surprise to the shipped one is stored.
"""

MAX_TOKENS = 600

_ASSETS = Path(__file__).parents[2] / "assets"
_MODEL = handlers.MODELS[0]
_RANDOM_BYTES = 160
_OWN_START = b"It was"
_OWN_TOKENS = 90
_OWN_REPEATS = 3  # so many tokens in a row never come twice: a greedy model would only repeat


def names() -> Iterator[str]:
    """Names everything stored: heroes by language, then the other chips."""
    yield from (f"surprise-{language}" for language in HEROES)
    yield from CHIPS[1:]


def path_of(name: str) -> Path:
    """Says where one is stored."""
    return _ASSETS / "traces" / f"{name}.json"


def example(name: str) -> str:
    """Reads a sample text that people wrote."""
    # bytes, so that every line ending stays as it is
    return (_ASSETS / "examples" / f"{name}.txt").read_bytes().decode("utf-8")


@cache
def stored(chip: str, language: str) -> tuple[bytes, Compression]:
    """Reads the bytes of a sample and what came of them.

    Args:
        chip: one of `CHIPS`.
        language: of the visitor.

    Raises:
        InputError: if there is no such sample, or it was not stored.
    """
    jobs.require(chip, CHIPS)
    path = path_of(f"{chip}-{language}" if chip == CHIPS[0] else chip)
    if not path.is_file():
        raise jobs.InputError(f"{path.name} is missing: run python -m llmcomp.ui.presets")
    kept = json.loads(path.read_text("utf-8"))
    weight = kept["bill"].pop("model")
    bill = Bill(**kept["bill"], model=ModelSize(**weight) if weight else None)
    result = Compression(
        blob=base64.b64decode(kept["blob"]),
        name=kept["name"],
        bill=bill,
        sizes=kept["sizes"],
        message=kept["message"],
        remarks=tuple((key, values) for key, values in kept["remarks"]),
        checked=kept["checked"],
        choice="",
        model=kept["model"],
    )
    return base64.b64decode(kept["data"]), result


def hero() -> dict[str, Any]:
    """Returns the traces the page opens with, by language, as the linked view takes them.

    Without them the page still opens; then it says what is missing.
    """
    try:
        shown = {language: stored(CHIPS[0], language)[1].message for language in HEROES}
    except jobs.InputError as error:
        return {"v": "view/1", "n": 0, "note": str(error)}
    return {"languages": {name: {**message, "hero": True} for name, message in shown.items()}}


def word_costs(message: Mapping[str, Any]) -> list[float]:
    """Adds up a message's token costs by words, in bits; a word begins at a space or a comma.

    The comma is the Chinese one, since Chinese has no spaces.

    Returns:
        One cost a word, none for a message without a trace.
    """
    if "cost" not in message:
        return []
    text = base64.b64decode(message["text"])
    separators = (b" ", "，".encode())
    edges = [at for at in range(len(text)) if text.startswith(separators, at)]
    costs, at = [0.0] * (len(edges) + 1), 0
    lengths = base64.b64decode(message["len"])
    for length, cost in zip(lengths, array("f", base64.b64decode(message["cost"])), strict=True):
        costs[bisect_right(edges, at)] += cost
        at += length
    return costs


def is_hero(message: Mapping[str, Any]) -> bool:
    """Tells whether the last word is a surprise: dearer than words two to six together."""
    costs = word_costs(message)
    return bool(costs) and costs[-1] > sum(costs[1:6])


def write() -> None:
    """Compresses every sample with the shipped model and stores what the page shows of it.

    Raises:
        RuntimeError: if no hero of some language surprises the model, or a sample is too long.
    """
    model = load_model(_MODEL)
    path_of("x").parent.mkdir(exist_ok=True)
    for language, sentences in HEROES.items():
        tried = ((text.encode(), _compressed(text)) for text in sentences)
        found = next((pair for pair in tried if is_hero(pair[1].message)), None)
        if found is None:
            raise RuntimeError(f"no hero in {language!r} surprises {model.name}: add one to HEROES")
        _store(f"{CHIPS[0]}-{language}", *found, model)
    for chip in CHIPS[1:]:
        data = _sample(chip, model)
        _store(chip, data, _compressed(data), model)


def _sample(chip: str, model: LanguageModel) -> bytes:
    if chip == "random":
        return random.Random(chip).randbytes(_RANDOM_BYTES)
    if chip == "own":
        return _written_by(model)
    return example(chip).encode()


def _written_by(model: LanguageModel) -> bytes:
    """Lets a model go on with its likeliest token, but never with one that makes it repeat."""
    ids = [int(token) for token in model.tokenizer.encode(_OWN_START)]
    rows = np.array([[model.start_token, *ids]], dtype=np.int64)
    session, logits = model.begin(rows, rows.shape[1] + _OWN_TOKENS)
    seen: set[tuple[int, ...]] = set()
    for _ in range(_OWN_TOKENS):
        likeliest = map(int, np.argsort(-logits[0], kind="stable"))
        fresh = (token for token in likeliest if (*ids[-_OWN_REPEATS:], token) not in seen)
        ids.append(next(fresh))
        seen.add(tuple(ids[-_OWN_REPEATS - 1 :]))
        logits = session.step(np.array(ids[-1:], dtype=np.int64))
    # it may have stopped in the middle of a character
    return model.tokenizer.decode(ids).decode("utf-8", "ignore").encode()


def _compressed(data: str | bytes) -> Compression:
    text, path = (data, None) if isinstance(data, str) else ("", jobs.stash("sample", data))
    return handlers.finish(handlers.compress(text, path, _MODEL, "balanced"))


def _store(name: str, data: bytes, result: Compression, model: LanguageModel) -> None:
    if not 0 < result.message["n"] <= MAX_TOKENS:
        raise RuntimeError(f"{name}: {result.message['n']} tokens, 1 to {MAX_TOKENS} can be stored")
    kept = {
        "model": model.name,
        "fingerprint": model.fingerprint.hex(),
        "data": base64.b64encode(data).decode("ascii"),
        "blob": base64.b64encode(result.blob).decode("ascii"),
        "name": f"{name}.llmc",
        "sizes": dict(result.sizes),
        "bill": asdict(result.bill),
        "remarks": result.remarks,
        "checked": result.checked,
        "message": dict(theatre.with_damage(result.message)),
    }
    path_of(name).write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.stderr.write("wrote the stored traces\n")
