"""Language models: the protocol, the registry, and the runner of profile ``fixed``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmcomp.errors import ModelError

if TYPE_CHECKING:
    from llmcomp.models.base import LanguageModel

__all__ = ["MODELS", "load_model", "model_by_number", "resolve"]

ASSETS = Path(__file__).resolve().parents[2] / "assets"

MODELS = {1: "embedded-1", 2: "nano-1"}
"""Registry numbers as they stand in blobs: add, never renumber."""

_NEWEST = {"embedded": "embedded-1", "nano": "nano-1"}


def load_model(name: str) -> LanguageModel:
    """Loads a model, once per process.

    Args:
        name: a registry name (``embedded-1``), a family (``embedded`` is its newest release), or
            the path of an exported directory.

    Raises:
        ModelError: if there is no such model here.
    """
    resolved = resolve(name)
    numbers = {known: number for number, known in MODELS.items()}
    if resolved in numbers:
        return _load(ASSETS / resolved, resolved, numbers[resolved])
    return _load(Path(resolved), Path(resolved).name, 0)


def resolve(name: str) -> str:
    """Names the release a family stands for; checks that the model is known.

    Raises:
        ModelError: if it is neither in the registry nor a directory.
    """
    resolved = _NEWEST.get(name, name)
    if resolved not in MODELS.values() and not Path(resolved).is_dir():
        known = ", ".join([*_NEWEST, *MODELS.values()])
        raise ModelError(f"no model {name!r} here; known: {known}, or an exported directory")
    return resolved


def model_by_number(number: int) -> LanguageModel:
    """Loads the model a blob names by its registry number.

    Raises:
        ModelError: if the number is unknown, or 0.
    """
    if number == 0:
        raise ModelError("the blob was made with a model of its own; pass that model's directory")
    if number not in MODELS:
        raise ModelError(f"the blob names model {number}, unknown here; update llmcomp")
    return load_model(MODELS[number])


@lru_cache(maxsize=4)
def _load(directory: Path, name: str, number: int) -> LanguageModel:
    if not directory.is_dir():
        raise ModelError(f"model {name} is not installed: there is no directory assets/{name}")
    from llmcomp.models.snapped import SnappedModel

    return SnappedModel(directory, name=name, number=number)
