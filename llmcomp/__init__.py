"""Lossless compression with language models and arithmetic coding, made visible.

The public face is shaped like `lzma`; see `llmcomp.codec` for what the names do::

    blob = llmcomp.compress(b"some text")
    assert llmcomp.decompress(blob) == b"some text"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmcomp.errors import (
    DamagedError,
    FormatError,
    LLMCompError,
    MismatchError,
    ModelError,
    VersionError,
)

if TYPE_CHECKING:
    from llmcomp.codec import compress, decompress, get_info, trace
    from llmcomp.rehearsal import rehearse

__all__ = [
    "DamagedError",
    "FormatError",
    "LLMCompError",
    "MismatchError",
    "ModelError",
    "VersionError",
    "compress",
    "decompress",
    "get_info",
    "rehearse",
    "trace",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports the codec when it is first asked for, so that ``import llmcomp`` stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llmcomp import codec, rehearsal

    return getattr(rehearsal if name == "rehearse" else codec, name)
