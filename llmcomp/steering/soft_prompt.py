"""Soft prompts, and the ``.steer`` files that carry them from one job to the next.

In: vectors in front of a text, as noise or training made them. Out: the prompt a model takes, or a
file. Knows nothing of how they were found or how a blob codes them.

A ``.steer`` file is an ordinary safetensors file: one tensor ``vector`` and, in its metadata, what
it belongs to, where it comes from, and a SHA-256 over all of that.

References:
    [Lester21] Lester, Al-Rfou, Constant, The power of scale for parameter-efficient prompt
        tuning, arXiv:2104.08691.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from llmcomp.errors import DamagedError, FormatError, ModelError
from llmcomp.models.base import LanguageModel
from llmcomp.models.grid import WEIGHT_GRID, Float64Array, snap

__all__ = ["SUFFIX", "SoftPrompt", "embedding_scale", "placed"]

SUFFIX = ".steer"
FORMAT = "steer/1"

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoftPrompt:
    """Vectors that stand in front of a text in place of tokens [Lester21].

    Attributes:
        vector: float32[n_virtual_tokens, hidden], in units of ``scale``: noise is N(0, 1) there,
            so one quantiser fits the prompts of every model.
        scale: a multiple of ``2**-14``; the model sees ``scale * vector``.
        model: registry name of the model it was made for.
        fingerprint: that model's, 64 hexadecimal digits.
        history: how it was made, as plain JSON values.
    """

    vector: Float32Array
    scale: float
    model: str
    fingerprint: str
    history: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_virtual_tokens(self) -> int:
        """Rows of the vector."""
        return len(self.vector)

    def require(self, model: LanguageModel) -> None:
        """Checks that the prompt was made for a model.

        Raises:
            ModelError: if it was made for another one.
        """
        if self.fingerprint != model.fingerprint.hex():
            raise ModelError(
                f"the soft prompt was made for {self.model} ({self.fingerprint[:16]}), not for "
                f"{model.name} ({model.fingerprint.hex()[:16]}); train one for this model, or "
                "choose that model"
            )
        if self.vector.shape[1] != model.hidden_size:
            raise ModelError(
                f"the soft prompt is {self.vector.shape[1]} wide and {model.name} "
                f"{model.hidden_size}; train one for this model"
            )

    def to_bytes(self) -> bytes:
        """Writes a ``.steer`` file."""
        from safetensors.numpy import save

        vector = np.ascontiguousarray(self.vector, np.float32)
        about = {
            "format": FORMAT,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "scale": repr(self.scale),
            "history": json.dumps(self.history, sort_keys=True),
        }
        return save({"vector": vector}, about | {"sha256": _digest(vector, about)})

    @classmethod
    def from_bytes(cls, data: bytes) -> SoftPrompt:
        """Reads a ``.steer`` file.

        Raises:
            FormatError: if it is not one.
            DamagedError: if its SHA-256 fails.
        """
        vector, about = _parse(data)
        stated = about.pop("sha256", "")
        if about.get("format") != FORMAT:
            found = about.get("format", "no format at all")
            raise FormatError(f"not a {SUFFIX} file: its metadata say {found!r}, wanted {FORMAT!r}")
        if vector.dtype != np.float32 or vector.ndim != 2 or not vector.size:
            raise FormatError(
                f"the {SUFFIX} file holds {vector.dtype} of shape {list(vector.shape)}; wanted "
                "float32 of shape [n_virtual_tokens, hidden]"
            )
        if stated != _digest(vector, about):
            raise DamagedError(
                f"the {SUFFIX} file is damaged: its SHA-256 fails; get it again from its source"
            )
        if not np.isfinite(vector).all():
            raise FormatError(f"the {SUFFIX} file holds numbers that are not finite; train again")
        return cls(
            vector,
            float(about["scale"]),
            about["model"],
            about["fingerprint"],
            json.loads(about["history"]),
        )


def embedding_scale(model: LanguageModel) -> float:
    """Root mean square of a model's embeddings, on the weights' grid: noise as large as words."""
    table = model.embed(np.arange(len(model.tokenizer.token_bytes)))
    return float(snap(np.array(math.sqrt(np.square(table).mean())), WEIGHT_GRID))


def placed(values: Float64Array, scale: float) -> Float64Array:
    """Puts ``scale * values`` on the weights' grid: what `LanguageModel.steered` takes.

    Args:
        values: float64[n_virtual_tokens, hidden].
        scale: a multiple of ``2**-14``.
    """
    return snap(values * scale, WEIGHT_GRID)


def _digest(vector: Float32Array, about: Mapping[str, str]) -> str:
    """SHA-256 of the numbers and of everything said about them."""
    digest = hashlib.sha256(json.dumps([about, vector.shape], sort_keys=True).encode())
    digest.update(vector.astype("<f4").tobytes())
    return digest.hexdigest()


def _parse(data: bytes) -> tuple[npt.NDArray[Any], dict[str, str]]:
    """Takes a safetensors file apart: the one tensor and the metadata."""
    from safetensors.numpy import load

    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        about = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError) as error:
        raise FormatError(
            f"not a {SUFFIX} file: it is no safetensors file ({error}); it may be cut or foreign"
        ) from None
    if list(tensors) != ["vector"]:
        raise FormatError(
            f"not a {SUFFIX} file: it holds the tensors {', '.join(tensors) or 'none'}, wanted "
            "one called vector"
        )
    return tensors["vector"], dict(about)
