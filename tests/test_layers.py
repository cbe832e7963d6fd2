"""Imports point up the list of DESIGN's layers only, and heavy libraries stay in their adapters."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

from llmcomp import exact, kernel

PACKAGE = ROOT / "llmcomp"

LAYERS = [
    "errors",
    "steps",
    "pace",
    "kernel",
    "exact",
    "parallel",
    "tracing",
    "coding",
    "online",
    "decisions",
    "agreement",
    "bill",
    "tokens",
    "hub_tokens",
    "models",
    "schedule",
    "container",
    "table",
    "places",
    "steering",
    "lanes",
    "blocks",
    "codec",
    "stream",
    "ranges",
    "archive",
    "file",
    "rehearsal",
    "evaluate",
    "train",
    "space",
    "ui",
    "cli",
    "__main__",
]
"""Top-level modules, lowest first; the package's own ``__init__`` stands outside, as its face."""

ADAPTERS = {
    "torch": {
        "evaluate/calibrate.py",
        "evaluate/stock_loop.py",
        "evaluate/token_coders.py",
        "models/forward.py",
        "models/hub.py",
        "models/int8.py",
        "models/stock.py",
        "steering/fit.py",
        "train",
    },
    "transformers": {
        "evaluate/stock_loop.py",
        "evaluate/token_coders.py",
        "models/int8.py",
        "models/stock.py",
        "steering/fit.py",
        "train",
    },
    "gradio": {"ui/layout.py", "ui/steer_page.py", "ui/widgets.py"},
    "plotly": {"ui/charts.py"},
    "numba": {"kernel.py"},
    "tokenizers": {"hub_tokens.py", "tokens.py", "train"},
    "huggingface_hub": {"models/sources.py", "space/hub.py"},
    "gradio_client": {"space/hub.py"},
    "yaml": {"space/card.py"},
    "safetensors": {"models/fixed.py", "models/snapped.py", "steering/soft_prompt.py", "train"},
    "zstandard": {"evaluate/baselines.py"},
    "brotli": {"evaluate/baselines.py"},
    "pyppmd": {"evaluate/baselines.py"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "llmcomp.relative"  # no layer has this name: relative imports are refused
            elif node.module == "llmcomp":
                yield from (f"llmcomp.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def modules(package: Path) -> list[Path]:
    return [p for p in package.rglob("*.py") if p != package / "__init__.py"]


def layer_of(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def wrong_arrows(package: Path) -> list[tuple[str, str]]:
    """Imports of a layer that does not stand above one's own."""
    rank = {name: place for place, name in enumerate(LAYERS)}
    return [
        (layer_of(path, package), name)
        for path in modules(package)
        for name in imports(path)
        if name.startswith("llmcomp.")
        and name.split(".")[1] != layer_of(path, package)
        and rank.get(name.split(".")[1], len(LAYERS)) >= rank[layer_of(path, package)]
    ]


def wrong_adapters(package: Path) -> list[tuple[str, str]]:
    """Heavy libraries imported outside their adapters."""
    return [
        (str(path.relative_to(package)), name)
        for path in modules(package)
        for name in imports(path)
        if name.split(".")[0] in ADAPTERS
        and not {str(path.relative_to(package)), layer_of(path, package)}
        & ADAPTERS[name.split(".")[0]]
    ]


def test_the_state_of_kernels_counts_every_file_that_holds_some():
    holding = {
        str(p.relative_to(PACKAGE)) for p in modules(PACKAGE) if "\n@kernel" in p.read_text()
    }
    assert holding == set(kernel.SOURCES)


def test_kernels_of_another_state_lie_elsewhere(tmp_path, monkeypatch):
    source, other = tmp_path / "a.py", tmp_path / "b.py"
    source.write_text("1")
    other.write_text("2")
    before = kernel.state_of([source, other])
    assert kernel.state_of([source, other]) == before
    other.write_text("3")
    assert kernel.state_of([source, other]) != before
    here = Path(exact.exp._cache.cache_path)
    assert kernel.state_of(PACKAGE / name for name in kernel.SOURCES) in str(here)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert kernel.folder_of(before) == tmp_path / before
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert kernel.folder_of(before) == tmp_path / "llmcomp" / before


def test_every_module_has_a_layer():
    assert {layer_of(p, PACKAGE) for p in modules(PACKAGE)} == set(LAYERS)


def test_imports_point_up_only():
    assert wrong_arrows(PACKAGE) == []


def test_heavy_libraries_stay_in_their_adapters():
    assert wrong_adapters(PACKAGE) == []


def test_planted_faults_are_found(tmp_path):
    (tmp_path / "codec.py").write_text(
        "import gradio.blocks\nfrom llmcomp import cli, errors\nfrom . import bill\n",
        encoding="utf-8",
    )
    assert wrong_arrows(tmp_path) == [("codec", "llmcomp.cli"), ("codec", "llmcomp.relative")]
    assert wrong_adapters(tmp_path) == [("codec.py", "gradio.blocks")]
