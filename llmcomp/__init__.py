"""Lossless compression with language models and arithmetic coding, made visible.

The public face is shaped like `lzma`; see `llmcomp.codec` for what the names do::

    blob = llmcomp.compress(b"some text")
    assert llmcomp.decompress(blob) == b"some text"
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llmcomp.errors import (
    DamagedError,
    FormatError,
    LLMCompError,
    LLMCompWarning,
    MismatchError,
    ModelError,
    VersionError,
)

if TYPE_CHECKING:
    from llmcomp.archive import Archive, compress_files
    from llmcomp.codec import compress, decompress, get_info, trace
    from llmcomp.file import LLMCompressor, LLMDecompressor, LLMFile, open  # noqa: A004 - lzma's name
    from llmcomp.ranges import read_range
    from llmcomp.rehearsal import rehearse

__all__ = [
    "Archive",
    "DamagedError",
    "FormatError",
    "LLMCompError",
    "LLMCompWarning",
    "LLMCompressor",
    "LLMDecompressor",
    "LLMFile",
    "MismatchError",
    "ModelError",
    "VersionError",
    "compress",
    "compress_files",
    "decompress",
    "get_info",
    "open",
    "read_range",
    "rehearse",
    "trace",
]

_HOMES = {
    "Archive": "archive",
    "LLMCompressor": "file",
    "LLMDecompressor": "file",
    "LLMFile": "file",
    "compress": "codec",
    "compress_files": "archive",
    "decompress": "codec",
    "get_info": "codec",
    "open": "file",
    "read_range": "ranges",
    "rehearse": "rehearsal",
    "trace": "codec",
}

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports a module when something of it is first asked for, so ``import llmcomp`` is light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"llmcomp.{_HOMES[name]}"), name)
