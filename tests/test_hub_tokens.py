"""Hub tokenizers made exact: every byte string comes back, and nothing in it is a sign."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hub_tokenizers import (
    MISSING,
    SPACE,
    TEXT,
    byte_level,
    sentencepiece,
    unigram,
    vocabulary_size,
)
from hypothesis import given
from hypothesis import strategies as st

from llmcomp.decisions import DecisionTree
from llmcomp.errors import ModelError
from llmcomp.hub_tokens import ESCAPE, HubTokenizer

DEFINITIONS = {
    "gpt2": byte_level(),
    "smollm2": byte_level(missing=MISSING),
    "gpt-neox": byte_level(nfc=True, prefix=True, runs=True),
    "llama": sentencepiece(),
    "unigram": unigram(),
}

SIGNS = ["<|endoftext|>", "<|im_start|>user", "<|padding|>", "</s>", "<s>", "<unk>", "<0x41>"]

TEXTS = [
    b"",
    *(sign.encode() for sign in SIGNS),
    b"\0",
    bytes(range(256)),
    b"\xff\xfe truncated \xe2\x96",
    b"\xed\xa0\x80 \xed\xbf\xbf",  # halves of surrogate pairs
    b"a\r\nb\n\rc\r",
    "\u00e9 e\u0301 \u212b A\u030a \ufb01".encode(),  # two forms of each
    b" leading and trailing ",
    b"  ",
    f"{SPACE} {SPACE}{SPACE}x{SPACE}".encode(),
    "🙂 𝔘𝔫𝔦 日本語".encode(),
    TEXT.encode(),
]


def made(definition: str, **options: int) -> HubTokenizer:
    chosen = {"vocab_size": vocabulary_size(definition), "bos": 0} | options
    return HubTokenizer(definition, **chosen)


@pytest.fixture(scope="module", params=DEFINITIONS)
def family(request) -> HubTokenizer:
    return made(DEFINITIONS[request.param])


@pytest.mark.parametrize("data", TEXTS, ids=range(len(TEXTS)))
def test_texts_come_back(family, data):
    ids = family.encode(data)
    assert ids.dtype == np.int64 and family.decode(ids) == data


FAMILIES = {name: made(definition) for name, definition in DEFINITIONS.items()}
PARTS = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([*(s.encode() for s in SIGNS), b" ", b"  ", SPACE.encode(), b"\r\n", b"\x04"]),
)


@given(st.sampled_from(sorted(FAMILIES)), st.lists(PARTS, max_size=8).map(b"".join))
def test_every_byte_string_comes_back(name, data):
    assert FAMILIES[name].decode(FAMILIES[name].encode(data)) == data


def test_tables_are_what_the_protocol_asks(family):
    table = family.token_bytes
    assert len(set(table)) == len(table) and all(table)
    assert all(bytes([b]) in table for b in range(256))
    assert len(family.model_ids) == len(family.weights) == len(table)
    assert len(family.feed_ids) == len(table) + 1
    escapes = family.model_ids == ESCAPE
    assert not escapes[: np.argmax(escapes)].any() or not escapes.any()
    ids = family.model_ids[~escapes]
    assert (np.diff(ids) > 0).all()  # compact ids keep the model's order
    assert (family.feed_ids[:-1][~escapes] == ids).all() and family.feed_ids[-1] == family.start
    assert family.weights.min() >= 1 and (family.weights[escapes] == 1).all()
    assert DecisionTree.build(table, family.weights).depth < 64


def test_bytes_without_a_token_become_escapes():
    tokenizer = made(DEFINITIONS["smollm2"])
    escaped = {tokenizer.token_bytes[i] for i in np.flatnonzero(tokenizer.model_ids == ESCAPE)}
    assert escaped == {bytes([b]) for b in MISSING}
    assert (tokenizer.feed_ids[:-1][tokenizer.model_ids == ESCAPE] == tokenizer.start).all()
    # one of them inside a character, one between words: what is around keeps its tokens
    plain = tokenizer.encode(b" the dog")
    assert tokenizer.encode(b" the dog\x04 the dog").tolist() == [
        *plain,
        tokenizer.token_bytes.index(b"\x04"),
        *plain,
    ]


def test_signs_are_cut_like_any_text(family):
    special = {t["id"] for t in json.loads(DEFINITIONS["gpt2"])["added_tokens"]}
    for sign in SIGNS:
        assert len(family.encode(sign.encode())) > 1
    assert not special & set(FAMILIES["gpt2"].model_ids.tolist())


def test_nothing_is_put_before_or_after_a_text():
    for name in ("gpt2", "gpt-neox", "llama"):
        tokenizer = FAMILIES[name]
        first = tokenizer.token_bytes[tokenizer.encode(b"the fox")[0]]
        assert first[:1] == b"t"
    # and a text longer than the definition's truncation is not cut, a shorter one not padded
    assert len(FAMILIES["gpt2"].encode(b"q" * 100)) > 16
    assert len(FAMILIES["gpt2"].encode(b"q")) == 1


def test_normal_forms_are_left_alone():
    tokenizer = FAMILIES["gpt-neox"]
    composed, decomposed = "\u00e9".encode(), "e\u0301".encode()
    assert tokenizer.encode(composed).tolist() != tokenizer.encode(decomposed).tolist()


def test_runs_of_spaces_are_text_though_added():
    tokenizer = FAMILIES["gpt-neox"]
    assert [tokenizer.token_bytes[i] for i in tokenizer.encode(b"x" + b" " * 7)] == [
        b"x",
        b" " * 4,
        b" " * 3,
    ]


def test_a_byte_has_one_name_and_pieces_come_first():
    tokenizer = FAMILIES["llama"]
    vocabulary = json.loads(DEFINITIONS["llama"])["model"]["vocab"]
    by_bytes = dict(zip(tokenizer.token_bytes, tokenizer.model_ids.tolist(), strict=True))
    assert by_bytes[b"o"] == vocabulary["o"]
    assert by_bytes[b" "] == vocabulary[SPACE]
    assert by_bytes[b"\n"] == vocabulary["<0x0A>"]
    assert ESCAPE not in by_bytes.values()


def test_a_written_out_space_sign_is_not_a_space():
    tokenizer = FAMILIES["llama"]
    ids = tokenizer.encode(SPACE.encode())
    assert [tokenizer.token_bytes[i] for i in ids] == [b"\xe2", b"\x96", b"\x81"]


def test_padding_rows_are_no_tokens():
    definition = DEFINITIONS["gpt2"]
    size = vocabulary_size(definition)
    assert made(definition, vocab_size=size + 50).model_ids.max() < size
    with pytest.raises(ModelError, match="take the tokenizer that belongs to it"):
        made(definition, vocab_size=size - 2)


def test_start_is_the_first_token_there_is():
    definition = DEFINITIONS["gpt2"]
    size = vocabulary_size(definition)
    assert HubTokenizer(definition, vocab_size=size, bos=0, eos=1).start == 0
    assert HubTokenizer(definition, vocab_size=size, eos=1).start == 1
    assert HubTokenizer(definition, vocab_size=size, bos=size, eos=1).start == 1
    with pytest.raises(ModelError, match=r"set bos_token_id in config\.json"):
        HubTokenizer(definition, vocab_size=size)


@pytest.mark.parametrize("piece", [b" ", b"a", b"the ", b"\x04", b"</s>", b"\xff", SPACE.encode()])
def test_long_inputs_come_back(family, piece):
    data = piece * (200_000 // len(piece))
    assert family.decode(family.encode(data)) == data


def then(definition, step: dict[str, object]) -> dict[str, object]:
    """A definition's step before the model, and another one first."""
    steps = [step, definition["pre_tokenizer"]]
    return {"type": "Sequence", "pretokenizers": steps}


def lossy(change) -> str:
    parsed = json.loads(byte_level())
    change(parsed)
    return json.dumps(parsed)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("{", "cannot be read: JSONDecodeError"),
        ("[]", "cannot be read: "),
        (json.dumps({"model": {"type": "WordPiece", "vocab": {"a": 0}}}), "a WordPiece tokenizer"),
        (unigram(byte_fallback=False), "a Unigram tokenizer without bytes"),
        (
            lossy(lambda d: d["model"].update(end_of_word_suffix="</w>")),
            "BPE with marks at the ends of words",
        ),
        (
            lossy(lambda d: d.update(pre_tokenizer=then(d, {"type": "WhitespaceSplit"}))),
            "loses parts of plain text",
        ),
        (
            # what a vocabulary that was not found becomes in some versions of transformers
            lossy(lambda d: d["model"].update(vocab={"<|endoftext|>": 0}, merges=[])),
            "loses parts of plain text",
        ),
        (
            # the library panics, which is no Exception
            lossy(lambda d: d.update(pre_tokenizer=then(d, {"type": "FixedLength", "length": 0}))),
            "loses parts of plain text",
        ),
        (lossy(lambda d: d.update(version="\n" * 9000)), r"Unknown tokenizer version '\\n\\n"),
        (lossy(lambda d: d["model"].update(type="W\n", vocab={"a": 0})), r"a W\\n tokenizer"),
    ],
)
def test_what_cannot_be_exact_is_refused_in_one_line(definition, message):
    with pytest.raises(ModelError, match=message) as caught:
        HubTokenizer(definition, vocab_size=400, bos=0)
    found = str(caught.value)
    assert found.isprintable() and len(found) < 500 and "wanted" in found


def test_an_unknown_token_beyond_the_rows_stands_for_nothing():
    definition = json.loads(sentencepiece())
    del definition["model"]["vocab"]["<0xFF>"]
    rows = len(definition["model"]["vocab"]) + 2
    for unknown, fed in ((0, 0), (rows - 1, rows - 1), (rows, 1), (1 << 31, 1)):
        definition["model"]["vocab"]["<unk>"] = unknown
        tokenizer = HubTokenizer(json.dumps(definition), vocab_size=rows, bos=1)
        assert tokenizer.feed_ids[tokenizer.encode(b"\xff")] == [fed]


def test_what_a_kind_of_model_has_no_use_for_is_not_read():
    definition = json.loads(unigram())
    definition["model"]["merges"] = 0.5
    tokenizer = HubTokenizer(json.dumps(definition), vocab_size=400, bos=0)
    assert (tokenizer.weights == made(unigram()).weights).all()


def test_added_runs_of_one_id_are_one_run():
    definition = json.loads(byte_level(runs=True))
    for token in definition["added_tokens"][-2:]:
        token["id"] = 400
    tokenizer = HubTokenizer(json.dumps(definition), vocab_size=401, bos=0)
    assert 400 in tokenizer.model_ids
    for count in range(2, 9):
        assert tokenizer.decode(tokenizer.encode(b"x" + b" " * count)) == b"x" + b" " * count


def real_definition(name: str) -> str:
    """A published tokenizer out of ``$LLMCOMP_DATA``, or a skip that says why."""
    data = os.environ.get("LLMCOMP_DATA")
    if not data:
        pytest.skip("LLMCOMP_DATA names no directory with published tokenizers")
    folder = Path(data) / "tokenizers" / name
    if not folder.is_dir():
        pytest.skip(f"there is no tokenizers/{name} in LLMCOMP_DATA")
    if name != "gpt2":
        return (folder / "tokenizer.json").read_text(encoding="utf-8")
    from tokenizers import Tokenizer, models, pre_tokenizers

    files = str(folder / "encoder.json"), str(folder / "vocab.bpe")
    tokenizer = Tokenizer(models.BPE.from_file(*files))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return str(tokenizer.to_str())


@pytest.mark.parametrize(
    ("name", "rows", "start", "n_escapes"),
    [("gpt2", 50257, 50256, 0), ("gpt-neox-20b", 50432, 0, 13), ("smollm2", 49152, 0, 21)],
)
def test_published_tokenizers(name, rows, start, n_escapes, real_text):
    tokenizer = HubTokenizer(real_definition(name), vocab_size=rows, bos=start)
    assert int((tokenizer.model_ids == ESCAPE).sum()) == n_escapes
    for data in [*TEXTS, real_text]:
        assert tokenizer.decode(tokenizer.encode(data)) == data
    assert len(tokenizer.encode(real_text)) < len(real_text) / 2.5
    for sign in SIGNS:
        assert len(tokenizer.encode(sign.encode())) > 1


def test_a_vocabulary_without_unknown_is_refused_in_one_line():
    """The library raises a bare Exception where nothing stands for a character."""
    definition = json.loads(unigram())
    definition["model"]["unk_id"] = None
    with pytest.raises(ModelError, match="cannot be made exact") as caught:
        HubTokenizer(json.dumps(definition), vocab_size=600, bos=0, eos=2)
    assert "\n" not in str(caught.value)
