"""Tokenizers as the Hub's, small: each shows one real model's habits."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from llmcomp.tokens import byte_letters

TEXT = """The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not.
for i in range(10): print(i, i * i)  # squares
Съешь же ещё этих мягких французских булок. 春眠不觉晓，处处闻啼鸟。
"""

SPACE = "▁"
MISSING = b"\x04\x06\xc0\xf1\xff"  # as SmolLM2 lacks them, and others


def byte_level(
    *, missing: bytes = b"", nfc: bool = False, prefix: bool = False, runs: bool = False
) -> str:
    """Byte-level BPE as GPT-2's, with a special token put before and after every text.

    Args:
        missing: bytes without a token, as in SmolLM2.
        nfc: normalises, as GPT-NeoX and Qwen do.
        prefix: puts a space in front.
        runs: adds tokens of two to four spaces, as GPT-NeoX does.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    letters = [letter for byte, letter in byte_letters().items() if byte not in missing]
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=letters,
        special_tokens=["<|endoftext|>", "<|padding|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    tokenizer.add_special_tokens(["<|im_start|>"])
    if runs:
        tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in (4, 3, 2)])
    tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    return str(tokenizer.to_str())


def sentencepiece() -> str:
    """SentencePiece BPE as Llama's: bytes as fallback, "▁" for spaces, a dummy one in front."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    ascii_text = TEXT.splitlines()[0]
    trained.train_from_iterator(
        [ascii_text] * 4, trainers.BpeTrainer(vocab_size=80, show_progress=False)
    )
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    merged = ["".join(merge) for merge in merges]
    single = [piece for piece in model["vocab"] if piece not in set(merged)]
    specials = ["<unk>", "<s>", "</s>"]
    pieces = [*specials, *(f"<0x{b:02X}>" for b in range(256)), *merged, *single]
    return json.dumps({
        "version": "1.0",
        "added_tokens": [_special(i, token) for i, token in enumerate(specials)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": merges,
        },
    })


def unigram(*, byte_fallback: bool = True) -> str:
    """SentencePiece unigram with a pre-tokenizer that puts a space in front."""
    specials = ["<unk>", "<s>", "</s>"]
    words = [f"{SPACE}the", SPACE, "fox", "legs", *"abcdefghijklmnopqrstuvwxyz.;T12"]
    pieces = [*specials, *(f"<0x{b:02X}>" for b in range(256)), *words]
    return json.dumps({
        "version": "1.0",
        "added_tokens": [_special(i, token) for i, token in enumerate(specials)],
        "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always"},
        "model": {
            "type": "Unigram",
            "unk_id": 0,
            "byte_fallback": byte_fallback,
            "vocab": [[piece, -float(i % 17)] for i, piece in enumerate(pieces)],
        },
    })


def _special(i: int, content: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": content, "special": True, **flags}


def vocabulary_size(definition: str) -> int:
    return int(Tokenizer.from_str(definition).get_vocab_size())


DEFINITIONS = {
    "gpt2": byte_level(missing=MISSING),
    "gpt_neox": byte_level(nfc=True, prefix=True, runs=True),
    "llama": sentencepiece(),
    "qwen2": byte_level(nfc=True),
    "qwen3": byte_level(),
}
"""Each architecture's tokenizer."""
