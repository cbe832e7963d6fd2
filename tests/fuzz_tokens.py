"""Law for `fuzz.py`: a tokenizer is refused in one line, or any bytes come back from it.

An input is the text of a ``tokenizer.json``, a zero byte, and bytes to be tokenised.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from conftest import ROOT
from fuzz_container import check_message
from hub_tokenizers import DEFINITIONS, SPACE, TEXT, unigram

from llmcomp import hub_tokens
from llmcomp.errors import ModelError
from llmcomp.hub_tokens import ESCAPE, HubTokenizer
from llmcomp.tokens import BpeTokenizer, ByteTokenizer, byte_letters

MAX_BYTES = 1 << 13

_MOST_TEXT = 500
_ROWS = 400  # of the model that the definitions are for
_SHIPPED = (
    ByteTokenizer(),
    BpeTokenizer.load(ROOT / "assets/embedded-1/tokenizer.json"),
    BpeTokenizer.load(ROOT / "tests/models/tiny/tokenizer.json"),
)


def check(data: bytes) -> None:
    """Tokenises with the shipped tokenizers and with the one that is defined."""
    definition, _, text = data.partition(b"\0")
    text = text[:_MOST_TEXT]
    for tokenizer in _SHIPPED:
        assert tokenizer.decode(tokenizer.encode(text)) == text
    try:
        hub = HubTokenizer(definition.decode(errors="replace"), vocab_size=_ROWS, bos=0)
    except ModelError as error:
        check_message(error)
        return
    for part in (text, TEXT.encode()[:150], bytes(range(256))):
        ids = hub.encode(part)
        assert ids.dtype == np.int64 and hub.decode(ids) == part
    table = hub.token_bytes
    assert len(set(table)) == len(table) and all(table)
    assert {bytes([b]) for b in range(256)} <= set(table)
    assert len(hub.model_ids) == len(hub.weights) == len(hub.feed_ids) - 1 == len(table)
    assert hub.weights.min() >= 1
    assert hub.model_ids.min() >= ESCAPE and hub.model_ids.max() < _ROWS
    assert hub.feed_ids.min() >= 0 and hub.feed_ids.max() < _ROWS


def seeds() -> list[bytes]:
    """Definitions of every kind: small ones, which are quick to change, and lifelike ones."""
    texts = (b"the dogs", b" a\xff\xe2\x96", "é e\u0301 </s> ▁".encode(), TEXT.encode())
    definitions = [*map(json.dumps, _small_definitions()), *DEFINITIONS.values(), unigram()]
    lone = [b"\0" + text for text in texts]
    return [d.encode() + b"\0" + text for d in definitions for text in texts[:2]] + lone


def _small_definitions() -> Iterator[dict[str, Any]]:
    """Just the pieces that a tokenizer must have to be taken."""
    letters = [byte_letters()[byte] for byte in sorted(set(hub_tokens._PROBE.encode()))]
    added = [
        {"id": 390 + i, "content": content, "special": content == "</s>"}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for i, content in enumerate(("</s>", "  ", "   "))
    ]
    step = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    split = {"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Isolated", "invert": False}
    vocabulary = {piece: i for i, piece in enumerate([*letters, "do", "Ġdo", "<unk>"])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": ["d o", "Ġ do"]}
    yield {"added_tokens": added, "pre_tokenizer": step, "model": model}
    steps = {"type": "Sequence", "pretokenizers": [split, step | {"use_regex": False}]}
    yield {"added_tokens": [], "pre_tokenizer": steps, "model": model | {"unk_token": "<unk>"}}

    pieces = ["<unk>", "<0x41>", "<0xFF>", SPACE, *letters, "\n", "\t", "do", f"{SPACE}do"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    fallback = {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    model |= {"vocab": vocabulary, "merges": ["d o", f"{SPACE} do"]} | fallback
    yield {"added_tokens": added, "model": model}
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always"}
    scored = [[piece, -i / 4] for i, piece in enumerate(pieces)]
    model = {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": scored}
    yield {"added_tokens": added, "pre_tokenizer": metaspace, "model": model}


_ODD: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 255, 399, 400, 1 << 31, 1 << 32, 1 << 40, 1 << 63, 0.5, 1e308, [], {}),
    *("", " ", "  ", "a", "\n", "\0", SPACE, "Ġ", "é", "\ud800", "<0x41>", "</s>", "a b", "x" * 99),
    *("BPE", "Unigram", "WordLevel", "WordPiece", "ByteLevel", "Removed", "always"),
    *([[]], ["a", "b"], [["a", 0.0]], {"a": 0}, {"Regex": "\\s+"}, {"String": " "}),
    {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Sequence"}]},
    {"type": "Metaspace", "replacement": "a", "prepend_scheme": "first", "split": True},
    {"type": "Split", "pattern": {"Regex": "\\d|x"}, "behavior": "Removed", "invert": False},
    {"type": "Split", "pattern": {"String": "o"}, "behavior": "MergedWithNext", "invert": True},
    {"type": "CharDelimiterSplit", "delimiter": "e"},
    {"type": "Digits", "individual_digits": True},
    {"type": "Punctuation", "behavior": "Contiguous"},
    {"type": "FixedLength", "length": 3},
    *({"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "UnicodeScripts")),
)
_KEYS = (
    *("added_tokens", "content", "id", "special", "lstrip", "rstrip", "single_word", "normalized"),
    *("pre_tokenizer", "pretokenizers", "type", "add_prefix_space", "use_regex", "trim_offsets"),
    *("pattern", "behavior", "invert", "length", "prepend_scheme", "split", "version", "padding"),
    *("model", "vocab", "merges", "dropout", "unk_token", "unk_id", "fuse_unk", "byte_fallback"),
    *("ignore_merges", "cache_capacity", "continuing_subword_prefix", "end_of_word_suffix"),
)


def mutate(data: bytes, rng: random.Random, plainly: Callable[[bytes], bytes]) -> bytes:
    """Changes the text, or some nodes of the definition."""
    definition, _, text = data.partition(b"\0")
    kind = rng.random()
    try:
        parsed = json.loads(definition)
    except (ValueError, RecursionError):
        return plainly(data)
    if kind < 0.05:
        return plainly(data)
    if kind < 0.2:
        return definition + b"\0" + plainly(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        nodes = list(_nodes(parsed))
        if nodes:
            _change(nodes, rng, plainly)
    return json.dumps(parsed).encode() + b"\0" + text


def _nodes(value: Any, depth: int = 0) -> Iterator[tuple[int, Any, Any]]:
    """All places in a JSON value: depth, container and key."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield depth, value, key
            yield from _nodes(value[key], depth + 1)


def _change(
    nodes: Sequence[tuple[int, Any, Any]], rng: random.Random, plainly: Callable[[bytes], bytes]
) -> None:
    """Changes, drops, renames or replaces one node of a JSON value."""
    # any depth is as likely, though nearly all nodes are pieces of a vocabulary
    chosen = rng.choice(sorted({depth for depth, _, _ in nodes}))
    _, holder, key = rng.choice([node for node in nodes if node[0] == chosen])
    value, kind = holder[key], rng.randrange(7)

    def changed(text: str) -> str:
        return plainly(text.encode(errors="replace")).decode(errors="replace")

    if kind == 0:
        del holder[key]
    elif kind == 1:
        _, other, place = rng.choice(nodes)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 2:
        holder[key] = copy.deepcopy(rng.choice(_ODD))
    elif kind == 3 and isinstance(holder, dict):
        holder[rng.choice((changed(key), "a", "Ġ"))] = holder.pop(key)
    elif isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = rng.choice((0, value - 1, value + 1, _ROWS, 1 << 20, -value))
    elif isinstance(value, str):
        holder[key] = changed(value)
    elif isinstance(value, list):
        value.append(copy.deepcopy(rng.choice(value or _ODD)))
    elif isinstance(value, dict):
        value[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(_ODD))
