"""The registered Hub models: what their weights take in memory, and what their tokenizers do.

In: their architectures, as their ``config.json`` has them. Out: a table. Nothing is downloaded:
every model is built without weights, taken apart as a loaded one is, and weighed.
"""

from __future__ import annotations

from llmcomp.models.registry import REGISTRY

__all__ = ["table"]

_DTYPES = ("float32", "bfloat16", "int8")


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
    for name, model in REGISTRY.items():
        weighed = [weight_bytes(model.architecture, dtype) for dtype in _DTYPES]
        sizes = " | ".join(f"{n_bytes / 1e9:.2f}" for _, n_bytes in weighed)
        tokenizer = _TOKENIZERS[name.split("-")[0]]
        lines.append(
            f"| `{name}` | {model.repository} | {weighed[0][0]:,} | {sizes} | {tokenizer} |"
        )
    return "\n".join(lines)
