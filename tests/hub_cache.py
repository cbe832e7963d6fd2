"""A Hub cache as a build leaves it: small random checkpoints in the place of registered models."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmcomp.models.registry import Registered

COMMIT = "0123456789abcdef0123456789abcdef01234567"

_FIELDS = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 600,
}


def entry(family: str) -> Registered:
    """What a registry would say of a small checkpoint."""
    return Registered(f"tiny-{family}", f"tests/{family}", COMMIT, _FIELDS, 100_000)


def fill(cache: Path, checkpoints: Mapping[str, Path]) -> dict[str, Registered]:
    """Puts checkpoints where ``huggingface_hub`` looks for downloads; returns their entries."""
    entries: dict[str, Any] = {}
    for family, directory in checkpoints.items():
        found = entry(family)
        there = cache / f"models--{found.repository.replace('/', '--')}"
        shutil.copytree(directory, there / "snapshots" / COMMIT)
        (there / "refs").mkdir()
        (there / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        entries[found.name] = found
    return entries
