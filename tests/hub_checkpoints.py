"""Tokenizers and random checkpoints as the Hub's, small: each shows one real model's habits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from make_tiny_model import TEXT
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from llmcomp.tokens import byte_letters

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


def sizes(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 96,
        **more,
    }


CONFIGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gpt2": (transformers.GPT2Config, sizes()),
    "gpt_neox": (
        transformers.GPTNeoXConfig,
        sizes(intermediate_size=96, rope_parameters={
            "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5
        }),
    ),
    "llama": (transformers.LlamaConfig, sizes(intermediate_size=80, num_key_value_heads=2)),
    "qwen2": (
        transformers.Qwen2Config,
        sizes(intermediate_size=80, num_key_value_heads=2, tie_word_embeddings=True),
    ),
    "qwen3": (
        transformers.Qwen3Config,
        sizes(intermediate_size=80, num_key_value_heads=1, head_dim=16),
    ),
}  # fmt: skip

DEFINITIONS = {
    "gpt2": byte_level(missing=MISSING),
    "gpt_neox": byte_level(nfc=True, prefix=True, runs=True),
    "llama": sentencepiece(),
    "qwen2": byte_level(nfc=True),
    "qwen3": byte_level(),
}
"""Each architecture's tokenizer."""


def write_checkpoint(directory: Path, family: str, **changes: Any) -> Path:
    """Writes a random model of a family with its tokenizer; the same at every call."""
    config_class, fields = CONFIGS[family]
    definition = DEFINITIONS[family]
    # rows beyond the tokenizer's ids, as every second model has them for speed
    fields = fields | {"vocab_size": vocabulary_size(definition) + 5} | changes
    start = {"bos_token_id": 1 if family == "llama" else 0, "eos_token_id": 2}
    config = config_class(**(start | fields))
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.15
    model.save_pretrained(directory)
    (directory / "tokenizer.json").write_text(definition, encoding="utf-8")
    return directory
