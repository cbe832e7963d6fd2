"""Imports point up the list of DESIGN's layers only, and heavy libraries stay in their adapters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "llmcomp"

LAYERS = [
    "errors",
    "steps",
    "exact",
    "tracing",
    "coding",
    "decisions",
    "bill",
    "tokens",
    "models",
    "schedule",
    "container",
    "lanes",
    "codec",
    "rehearsal",
    "evaluate",
    "train",
    "ui",
    "cli",
    "__main__",
]
"""Top-level modules, lowest first; the package's own ``__init__`` stands outside, as its face."""

ADAPTERS = {
    "torch": {"train"},
    "transformers": {"train"},
    "gradio": {"ui/layout.py"},
    "numba": {"coding/range_coder.py", "decisions.py", "exact.py", "models/fixed.py"},
    "tokenizers": {"tokens.py", "train"},
    "safetensors": {"models/fixed.py", "train"},
    "zstandard": {"evaluate/baselines.py"},
    "brotli": {"evaluate/baselines.py"},
    "pyppmd": {"evaluate/baselines.py"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "llmcomp":
                yield from (f"llmcomp.{alias.name}" for alias in node.names)
            else:
                yield node.module


def modules() -> list[Path]:
    return [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def layer(dotted: str) -> str:
    return dotted.split(".")[1]


def test_every_module_has_a_layer():
    assert {
        layer(f"llmcomp.{p.relative_to(PACKAGE).parts[0].removesuffix('.py')}") for p in modules()
    } == set(LAYERS)


def test_imports_point_up_only():
    wrong = []
    for path in modules():
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imports(path):
            if not name.startswith("llmcomp.") or layer(name) == own:
                continue
            if LAYERS.index(layer(name)) >= LAYERS.index(own):
                wrong.append((str(path.relative_to(ROOT)), name))
    assert wrong == []


def test_heavy_libraries_stay_in_their_adapters():
    wrong = []
    for path in modules():
        place = path.relative_to(PACKAGE)
        for name in imports(path):
            allowed = ADAPTERS.get(name.split(".")[0])
            if allowed is not None and not {str(place), place.parts[0]} & allowed:
                wrong.append((str(place), name))
    assert wrong == []


def test_a_planted_fault_is_found(tmp_path):
    (tmp_path / "codec.py").write_text("import gradio\nfrom llmcomp import cli\n", encoding="utf-8")
    assert list(imports(tmp_path / "codec.py")) == ["gradio", "llmcomp.cli"]
