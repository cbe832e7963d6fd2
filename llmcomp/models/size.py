"""What a model weighs, without loading it.

In: a model's directory. Out: the bytes of the files that a decoder needs, and parameters as the
weights' headers say. Reads no weight.
"""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path

from llmcomp.bill import ModelSize
from llmcomp.errors import ModelError
from llmcomp.models.sources import weight_files

__all__ = ["size_of"]

_BESIDE = ("config.json", "model.safetensors.index.json", "unigram.bin")
_TOKENIZER = "tokenizer.json"
_OTHER_TOKENIZERS = ("tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt")

_HEADER_LENGTH = struct.Struct("<Q")
_CONSTANTS = re.compile(r"\.(attn|attention)\.(masked_)?bias$|rotary_emb\.inv_freq$")
"""What checkpoints of GPT-2, GPT-NeoX and Llama hold beside parameters: masks and angles."""


def size_of(directory: Path) -> ModelSize:
    """Weighs the model in a directory, as `llmcomp.train` exports it or as transformers does.

    Raises:
        ModelError: if it holds no weights, or they have no header.
    """
    weights = weight_files(directory)
    own = (directory / _TOKENIZER).is_file()
    names = [*_BESIDE, *((_TOKENIZER,) if own else _OTHER_TOKENIZERS)]
    beside = [path for path in map(directory.joinpath, names) if path.is_file()]
    return ModelSize(
        n_parameters=sum(map(_parameters, weights)),
        file_bytes=sum(path.stat().st_size for path in (*weights, *beside)),
    )


def _parameters(path: Path) -> int:
    """Counts the parameters in a safetensors file: a length, then so much JSON, then numbers."""
    with path.open("rb") as file:
        try:
            (length,) = _HEADER_LENGTH.unpack(file.read(_HEADER_LENGTH.size))
            header = json.loads(file.read(length) if length < path.stat().st_size else b"")
            shapes = {name: tensor["shape"] for name, tensor in header.items() if name[:2] != "__"}
            return sum(math.prod(s) for name, s in shapes.items() if not _CONSTANTS.search(name))
        except (struct.error, ValueError, LookupError, TypeError, AttributeError):
            raise ModelError(
                f"{path} has no header of safetensors; export or download the model again"
            ) from None
