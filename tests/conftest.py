"""Fixtures: the frozen tiny model, the shipped models, texts; Hypothesis without deadlines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from llmcomp.models import load_model
from llmcomp.models.snapped import SnappedModel

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile("default")


@pytest.fixture(scope="session")
def tiny() -> SnappedModel:
    return SnappedModel(ROOT / "tests/models/tiny", name="tiny", number=0)


@pytest.fixture(scope="session")
def embedded() -> SnappedModel:
    model = load_model("embedded")
    assert isinstance(model, SnappedModel)
    return model


@pytest.fixture(scope="session")
def real_text() -> bytes:
    """50 kB of text that people wrote: this project's own README, licence and sources."""
    files = [ROOT / "README.md", ROOT / "LICENSE", *sorted((ROOT / "llmcomp").glob("**/*.py"))]
    return b"\n".join(f.read_bytes() for f in files)[:50_000]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random checkpoint of every architecture, with a tokenizer of its habits."""
    from hub_checkpoints import CONFIGS, write_checkpoint  # torch takes seconds to load

    root = tmp_path_factory.mktemp("hub")
    return {family: write_checkpoint(root / family, family) for family in CONFIGS}
