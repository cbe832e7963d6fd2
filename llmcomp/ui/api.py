"""What programs may ask of the page: two functions with plain values, endpoints and MCP tools.

In and out: strings and numbers. Files travel as base64. Expected failures are `LLMCompError`. Knows
nothing of gradio, which makes their documentation of these signatures and docstrings.
"""

from __future__ import annotations

import base64
from typing import Any

from llmcomp.ui import handlers

__all__ = ["compress", "decompress"]


def compress(text: str, model: str = "embedded", preset: str = "balanced") -> dict[str, Any]:
    """Compress a text losslessly with a language model and an arithmetic coder.

    Args:
        text: The text, at most 200,000 bytes of UTF-8.
        model: "embedded" or the smaller "nano".
        preset: "fast", "balanced" or "small".

    Returns:
        file_base64, the .llmc file; file_name; bytes by compressor under sizes, llmc among them;
        and the bill: what each part of the file took, in bits.
    """
    result = handlers.finish(handlers.compress(text, None, model, preset))
    return {
        "file_base64": base64.b64encode(result.blob).decode("ascii"),
        "file_name": result.name,
        "sizes": dict(result.sizes),
        "bill_bits": dict(result.bill.rows()),
    }


def decompress(file_base64: str) -> dict[str, Any]:
    """Restore what a .llmc file holds; refuse it in one line if it is damaged.

    Args:
        file_base64: The file as base64, or a link that ends in #z= and base64.

    Returns:
        text, or null when the bytes are not UTF-8; data_base64, the bytes; file_name; model.
    """
    *_, result = handlers.decompress(None, file_base64)
    if not isinstance(result, handlers.Decoding):
        raise RuntimeError("a decompression ended without a result")
    return {
        "text": result.text,
        "data_base64": base64.b64encode(result.data).decode("ascii"),
        "file_name": result.name,
        "model": result.model,
    }
