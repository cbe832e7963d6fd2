"""The README tells the truth: examples run, the file map is the tree, figures are measured."""

from __future__ import annotations

import doctest
import re

import pytest
import yaml
from conftest import ROOT

from llmcomp.evaluate.figures import DOCUMENTS, measurements, rewrite
from llmcomp.models import load_model, resolve

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.embedded
def test_readme_examples_run():
    examples = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert runner.run(examples).attempted >= 5
    assert runner.failures == 0


def test_front_matter_is_the_card():
    spaces = yaml.safe_load((ROOT / "spaces.yaml").read_text(encoding="utf-8"))
    front = yaml.safe_load(README.split("---\n")[1])
    assert front == spaces["card"]
    assert len(front["short_description"]) <= 60
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"gradio[mcp]=={front['sdk_version']}" in pins


def test_file_map_is_the_tree():
    block = re.search(r"```\napp\.py.*?```", README, re.DOTALL)
    assert block is not None
    named = set(re.findall(r"^  ([\w/.]+)", block[0], re.MULTILINE))
    skipped = {"__init__.py", "__main__.py", "__pycache__"}
    found = {
        p.name + "/" * p.is_dir() for p in (ROOT / "llmcomp").iterdir() if p.name not in skipped
    }
    assert named == found


def test_every_figure_is_measured():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    names = [name for text in texts for name in re.findall(r"<!-- figure:([\w-]+) -->", text)]
    assert sorted(names) == sorted(measurements())
    rewritten = [rewrite(text, {name: lambda: "x" for name in names}) for text in texts]
    assert sum(text.count("-->\nx\n<!--") for text in rewritten) == len(names)
    for text in texts:
        assert "-->\n<!-- /figure" not in text, "a figure is empty; run make figures"


def test_figures_belong_to_the_shipped_model():
    """After a model change `make figures` must run again."""
    assert load_model(resolve("embedded")).fingerprint.hex()[:16] in README


def test_no_one_is_told_to_install_another_project():
    for path in [ROOT / "README.md", *ROOT.glob("assets/*.md")]:
        assert "pip install llmcomp" not in path.read_text(encoding="utf-8")
