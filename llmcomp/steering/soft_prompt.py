"""Soft prompts, and the ``.steer`` files that carry them from one job to the next.

In: vectors in front of a text, as noise or training made them. Out: the prompt a model takes, or a
file. Knows nothing of how they were found or how a blob codes them.

A ``.steer`` file is an ordinary safetensors file: one tensor ``vector`` and one metadata entry
``steer``, a JSON object that says what the vector belongs to and where it comes from, with a
SHA-256 over all of that.

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

__all__ = [
    "MAX_SCALE",
    "SUFFIX",
    "SoftPrompt",
    "embedding_scale",
    "placed",
    "snapped_scale",
    "text_digest",
]

SUFFIX = ".steer"
FORMAT = "steer/1"
MAX_SCALE = 2.0**14
_SHOWN_CHARACTERS = 60
_EMBEDDED_TOKENS = 1 << 14  # looked up at a time: some vocabularies take a gigabyte

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SoftPrompt:
    """Vectors that stand in front of a text in place of tokens [Lester21].

    Attributes:
        vector: float32[n_virtual_tokens, hidden], in units of ``scale``: noise is N(0, 1) there,
            so one quantiser fits the prompts of every model.
        scale: rounded to a multiple of ``2**-14``; the model sees ``scale * vector``.
        model: registry name of the model it was made for.
        fingerprint: that model's, 64 hexadecimal digits.
        history: how it was made, as plain JSON values.

    Raises:
        ValueError: if the scale is out of its range.
    """

    vector: Float32Array
    scale: float
    model: str
    fingerprint: str
    history: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", snapped_scale(self.scale))

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
                f"the soft prompt was made for {self.model[:_SHOWN_CHARACTERS]!r} "
                f"({self.fingerprint[:16]!a}), not for "
                f"{model.name} ({model.fingerprint.hex()[:16]}); train one for this model, or "
                "choose that model"
            )
        if self.vector.shape[1] != model.hidden_size:
            raise ModelError(
                f"the soft prompt is {self.vector.shape[1]} wide and {model.name} "
                f"{model.hidden_size}; train one for this model"
            )

    def trained_on(self, data: bytes) -> bool:
        """Tells whether it was trained on this very text; its gain then says little of others."""
        return self.history.get("text_digest") == text_digest(data)

    def to_bytes(self) -> bytes:
        """Writes a ``.steer`` file."""
        from safetensors.numpy import save

        vector = np.ascontiguousarray(self.vector, np.float32)
        about = {
            "format": FORMAT,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "scale": self.scale,
            "history": self.history,
        }
        about["sha256"] = _digest(vector, about)
        # one entry, because safetensors writes several in any order
        return save({"vector": vector}, {"steer": json.dumps(about, sort_keys=True)})

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
        try:
            found = _digest(vector, about)
        except RecursionError:
            raise FormatError(f"not a {SUFFIX} file: its metadata are nested too deeply") from None
        if stated != found:
            raise DamagedError(
                f"the {SUFFIX} file is damaged: its SHA-256 fails; get it again from its source"
            )
        if not np.isfinite(vector).all():
            raise FormatError(f"the {SUFFIX} file holds numbers that are not finite; train again")
        model, fingerprint, history = (about.get(n) for n in ("model", "fingerprint", "history"))
        if not (isinstance(model, str) and isinstance(fingerprint, str)) or (
            not isinstance(history, dict)
        ):
            raise FormatError(f"the {SUFFIX} file does not say what it was made for; make it again")
        try:
            return cls(vector, float(about["scale"]), model, fingerprint, history)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"the {SUFFIX} file's scale is wrong: {error}") from None


def snapped_scale(scale: float) -> float:
    """Rounds a scale to ``2**-14``, as it stands in files.

    Raises:
        ValueError: if nothing positive is left, or more than 2**14.
    """
    found = float(snap(np.array(scale), WEIGHT_GRID))
    if not 0 < found <= MAX_SCALE:
        raise ValueError(f"scale is {scale}; wanted 2**-14 to 2**14")
    return found


def embedding_scale(model: LanguageModel) -> float:
    """Root mean square of a model's embeddings, on the weights' grid: noise as large as words."""
    n_tokens, squares = len(model.tokenizer.token_bytes), 0.0
    for start in range(0, n_tokens, _EMBEDDED_TOKENS):
        part = model.embed(np.arange(start, min(start + _EMBEDDED_TOKENS, n_tokens)))
        squares += float(np.square(part).sum())
    return snapped_scale(math.sqrt(squares / (n_tokens * model.hidden_size)))


def text_digest(data: bytes) -> str:
    """Names a text by 32 digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


def placed(values: Float64Array, scale: float) -> Float64Array:
    """Puts ``scale * values`` on the weights' grid: what `LanguageModel.steered` takes.

    Args:
        values: float64[n_virtual_tokens, hidden].
        scale: a multiple of ``2**-14``.
    """
    return snap(values * scale, WEIGHT_GRID)


def _digest(vector: Float32Array, about: Mapping[str, Any]) -> str:
    """SHA-256 of the numbers and of everything said about them."""
    digest = hashlib.sha256(json.dumps([about, vector.shape], sort_keys=True).encode())
    digest.update(vector.astype("<f4").tobytes())
    return digest.hexdigest()


def _parse(data: bytes) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Takes a safetensors file apart: the one tensor and what is said about it."""
    from safetensors.numpy import load

    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["steer"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(
            f"not a {SUFFIX} file: {type(error).__name__}: {error}; it may be cut or foreign"
        ) from None
    if list(tensors) != ["vector"] or not isinstance(about, dict):
        raise FormatError(
            f"not a {SUFFIX} file: it holds {', '.join(tensors) or 'nothing'}, wanted one tensor "
            "called vector, and a JSON object about it"
        )
    return tensors["vector"], about
