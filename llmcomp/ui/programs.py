"""What programs call: plain text and base64 in, plain values out. Also the tools of the MCP server.

In: what a stranger's program sends. Out: values that are JSON. Docstrings are the public
documentation of the API: ``Args`` and the first lines are shown to people and language models.
"""

from __future__ import annotations

import base64
from typing import Any

from llmcomp.space import offer
from llmcomp.ui import handlers, jobs
from llmcomp.ui.handlers import Decoding

__all__ = ["compress_text", "decompress_text", "list_models"]


def compress_text(text: str, model: str = "embedded", preset: str = "balanced") -> dict[str, Any]:
    """Compress a text losslessly with a language model and arithmetic coding.

    The result is decoded again and compared before it is returned.

    Args:
        text: The text to compress.
        model: "embedded" (default), "nano", or another that list_models offers.
        preset: "fast", "balanced" (default) or "small".

    Returns:
        blob: the .llmc file as base64. name: a name for it. bytes: its size. raw_bytes: the text's
        size in UTF-8. bits_per_byte: 8 * bytes / raw_bytes. sizes: bytes by compressor, llmc among
        them. bill: what each part of the file took, in bits. seconds: how long it took.
    """
    result = handlers.finish(handlers.compress(text, None, model, preset))
    raw = result.sizes["raw"]
    return {
        "blob": base64.b64encode(result.blob).decode("ascii"),
        "name": result.name,
        "bytes": len(result.blob),
        "raw_bytes": raw,
        "bits_per_byte": round(8 * len(result.blob) / raw, 4),
        "sizes": dict(result.sizes),
        "bill": dict(result.bill.rows()),
        "seconds": round(result.elapsed_s or 0.0, 3),
    }


def decompress_text(blob: str) -> dict[str, Any]:
    """Restore what compress_text made, or any .llmc file, exactly; damaged files are refused.

    Args:
        blob: A .llmc file as base64, or a link that ends in #z= and base64.

    Returns:
        text: the text, null if the content is not UTF-8. data: the bytes as base64. name: a name
        for them. model: the model that decoded it. seconds: how long it took.
    """
    *_, last = handlers.decompress(None, blob)
    if not isinstance(last, Decoding):
        raise RuntimeError("a decompression ended without a result")
    return {
        "text": last.text,
        "data": base64.b64encode(last.data).decode("ascii"),
        "name": last.name,
        "model": last.model,
        "seconds": round(last.elapsed_s, 3),
    }


def list_models() -> list[dict[str, Any]]:
    """List the language models this page knows, which of them it offers, and what each costs.

    Returns:
        For each: name, offered, profile, dtype, and about: parameters, memory and the seconds that
        4,000 bytes would take, in words.
    """
    return [
        {
            "name": known.name,
            "offered": not known.why_not,
            "profile": known.profile,
            "dtype": known.dtype,
            "about": known.line(4000, jobs.PLACE),
        }
        for known in offer.offers(jobs.PLACE)
    ]
