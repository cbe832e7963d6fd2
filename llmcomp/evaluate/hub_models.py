"""The registered Hub models: what their weights take in memory, and what their tokenizers do.

In: their architectures, as their ``config.json`` has them. Out: a table. Nothing is downloaded:
every model is built without weights, taken apart as a loaded one is, and weighed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmcomp.models.sources import HUB_MODELS

__all__ = ["ARCHITECTURES", "table"]

_DTYPES = ("float32", "bfloat16", "int8")


def _gpt_neox(hidden: int, layers: int, heads: int) -> Mapping[str, Any]:
    return {
        "model_type": "gpt_neox",
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": 50304,
    }


def _llama(
    hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any
) -> Mapping[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


_SMOLLM2 = {"vocab_size": 49152, "tie_word_embeddings": True}
_QWEN2 = {"model_type": "qwen2", "vocab_size": 151936, "tie_word_embeddings": True}

ARCHITECTURES = {
    "gpt2": {"model_type": "gpt2", "vocab_size": 50257},
    "pythia-70m": _gpt_neox(512, 6, 8),
    "pythia-160m": _gpt_neox(768, 12, 12),
    "pythia-410m": _gpt_neox(1024, 24, 16),
    "smollm2-135m": _llama(576, 1536, 30, 9, 3, **_SMOLLM2),
    "smollm2-360m": _llama(960, 2560, 32, 15, 5, **_SMOLLM2),
    "qwen2.5-0.5b": _llama(896, 4864, 24, 14, 2, **_QWEN2),
    "open-llama-3b": _llama(3200, 8640, 26, 32, 32, vocab_size=32000),
    "open-llama-7b": _llama(4096, 11008, 32, 32, 32, vocab_size=32000),
}
"""The fields of each configuration that decide its size."""

_TOKENIZERS = {
    "gpt2": "byte-level BPE",
    "pythia": "byte-level BPE; NFC left out, added runs of spaces kept",
    "smollm2": "byte-level BPE; escapes for the bytes it lacks",
    "qwen2.5": "byte-level BPE; NFC left out",
    "open": "SentencePiece; dummy space left out, byte fallback",
}


def table() -> str:
    """Renders all of them as a Markdown table, memory in GB of 10^9 bytes."""
    from llmcomp.models.stock import weight_bytes

    lines = [
        f"| model | Hub id | parameters | {' | '.join(_DTYPES)} | tokenizer |",
        f"|---|---|---:|{'---:|' * len(_DTYPES)}---|",
    ]
    for name, hub_id in HUB_MODELS.items():
        weighed = [weight_bytes(ARCHITECTURES[name], dtype) for dtype in _DTYPES]
        sizes = " | ".join(f"{n_bytes / 1e9:.2f}" for _, n_bytes in weighed)
        tokenizer = _TOKENIZERS[name.split("-")[0]]
        lines.append(f"| `{name}` | {hub_id} | {weighed[0][0]:,} | {sizes} | {tokenizer} |")
    return "\n".join(lines)
