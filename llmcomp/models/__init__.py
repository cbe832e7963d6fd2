"""Language models: the protocol, the registry, the fixed runner, and other people's models."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmcomp.errors import ModelError
from llmcomp.models.registry import REGISTRY, named_by
from llmcomp.models.shelf import Shelf
from llmcomp.models.size import size_of
from llmcomp.models.sources import Source, is_hub_id

if TYPE_CHECKING:
    from llmcomp.bill import ModelSize
    from llmcomp.models.base import LanguageModel

__all__ = [
    "MODELS",
    "REGISTRY",
    "SHELF",
    "load_downloaded",
    "load_model",
    "model_by_number",
    "resolve",
    "size_of_named",
]

ASSETS = Path(__file__).resolve().parents[2] / "assets"

MODELS = {1: "embedded-1", 2: "nano-1"}
"""Registry numbers as they stand in blobs: add, never renumber."""

SHELF: Shelf[LanguageModel] = Shelf(most=4)
"""Hub models that are loaded; a Space says how much memory they may take."""

_NEWEST = {"embedded": "embedded-1", "nano": "nano-1"}


def load_model(name: str, *, dtype: str | None = None, device: str | None = None) -> LanguageModel:
    """Loads a model, once per process.

    Args:
        name: a registry name (``embedded-1``), a family (``embedded`` is its newest release), the
            path of an exported directory or of a transformers one, a name of a Hub model
            (``gpt2``), or a Hub id (``owner/name``, ``owner/name@revision``).
        dtype: what a Hub model computes in: ``float32`` by default, ``float64``, ``bfloat16`` or
            ``int8``.
        device: where it does: ``cpu`` by default, ``cuda`` or ``auto``.

    Raises:
        ModelError: if there is no such model here, or it cannot be had.
        ValueError: if a model of profile ``fixed``, which computes alike everywhere, is given a
            dtype or device, or there is no such one.
    """
    resolved = resolve(name)
    numbers = {known: number for number, known in MODELS.items()}
    if resolved not in numbers and _is_stock(resolved):
        return _load_hub(resolved, dtype or "float32", device or "cpu", download=True)
    if device or dtype not in {None, "float64"}:
        raise ValueError(
            f"{name} computes the same everywhere; dtype and device are for Hub models"
        )
    if resolved in numbers:
        return _load(ASSETS / resolved, resolved, numbers[resolved])
    return _load(Path(resolved), Path(resolved).name, 0)


def load_downloaded(hub_id: str, dtype: str | None, device: str | None = None) -> LanguageModel:
    """Loads a Hub model that was downloaded before; never a directory, and asks nobody for it.

    Args:
        hub_id: ``owner/name@commit``, as a blob names it, or a registered name.
        dtype: as in `load_model`.
        device: likewise.

    Raises:
        ModelError: if it is not here.
    """
    return _load_hub(hub_id, dtype or "float32", device or "cpu", download=False)


def resolve(name: str) -> str:
    """Names the release a family stands for; checks that the name can be a model's.

    Raises:
        ModelError: if it is in no registry, no directory and no Hub id.
    """
    resolved = _NEWEST.get(name, name)
    known = [*_NEWEST, *MODELS.values(), *REGISTRY]
    if resolved not in known and not Path(resolved).is_dir() and not is_hub_id(resolved):
        raise ModelError(
            f"no model {name!r} here; known: {', '.join(known)}, "
            "or a directory, or a Hub id owner/name"
        )
    return resolved


def _is_stock(resolved: str) -> bool:
    """Tells other people's models from exported directories, which hold their token weights."""
    directory = Path(resolved)
    if resolved in REGISTRY or not directory.is_dir():
        return True
    return (directory / "config.json").is_file() and not (directory / "unigram.bin").is_file()


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


def size_of_named(number: int, hub_id: str) -> ModelSize | None:
    """Weighs the model a blob names, without loading it.

    Args:
        number: its registry number.
        hub_id: ``owner/model@commit`` of a downloaded one, else empty.

    Returns:
        Its size, None if it is not on this machine.
    """
    repository, _, commit = hub_id.partition("@")
    try:
        if not hub_id:
            return size_of(ASSETS / MODELS[number]) if number in MODELS else None
        return size_of(Source(hub_id, repository, commit).fetch(download=False).directory)
    except (ModelError, ImportError, OSError):
        return None


@lru_cache(maxsize=4)
def _load(directory: Path, name: str, number: int) -> LanguageModel:
    if not directory.is_dir():
        raise ModelError(f"model {name} is not installed: there is no directory assets/{name}")
    from llmcomp.models.snapped import SnappedModel

    return SnappedModel(directory, name=name, number=number)


def _load_hub(source: str, dtype: str, device: str, *, download: bool) -> LanguageModel:
    try:
        from llmcomp.models.hub import load_hub_model
    except ImportError as error:
        raise ModelError(
            f"model {source} needs {error.name}; install torch, transformers and huggingface_hub"
        ) from None

    known = REGISTRY.get(source) or named_by(source)
    return SHELF.take(
        (known.name if known else source, dtype, device),
        known.weight_bytes(dtype) if known else 0,
        lambda: load_hub_model(source, dtype=dtype, device=device, download=download),
    )
