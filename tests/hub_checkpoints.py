"""Random checkpoints as the Hub's, small, each with a tokenizer of its habits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from hub_tokenizers import DEFINITIONS, vocabulary_size


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
