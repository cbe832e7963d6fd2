"""The README tells the truth: examples run, the file map is the tree, figures are measured."""

from __future__ import annotations

import doctest
import re

import pytest
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
    rewritten = [rewrite(text, dict.fromkeys(names, "x")) for text in texts]
    assert sum(text.count("-->\nx\n<!--") for text in rewritten) == len(names)
    for text in texts:
        assert "-->\n<!-- /figure" not in text, "a figure is empty; run make figures"


def figure(document: str, name: str) -> list[list[str]]:
    """The cells of a figure's table, without its head."""
    text = (ROOT / document).read_text(encoding="utf-8")
    block = re.search(rf"<!-- figure:{name} -->\n(.*?)<!-- /figure -->", text, re.DOTALL)
    assert block is not None
    rows = [line.strip("| ").split(" | ") for line in block[1].splitlines() if line.startswith("|")]
    return rows[2:]


def bits(cell: str) -> float:
    return float(cell.replace(",", "").strip("* "))


def test_system_000s_orders_hold():
    """What its tables say of pythia-70m is true of the shipped model, too."""
    none, text, noise, *trained = figure("docs/steering.md", "system-000-kinds")
    assert none[0] == "none" and "random" in noise[0]
    assert bits(noise[1]) >= bits(none[1])
    hundred, five_hundred = trained
    assert "100 epochs" in hundred[0] and "500 epochs" in five_hundred[0]
    assert bits(five_hundred[1]) < bits(hundred[1]) < bits(none[1])
    assert all(bits(row[5]) > bits(none[5]) for row in (text, noise, *trained)), "no free lunch"

    _, *priors = figure("docs/steering.md", "system-000-priors")
    published = {"gaussian 256", "empirical 256", "lloyd_max 256"}
    rows = {row[0].removesuffix(" *").split("tokens, ")[1]: row for row in priors}
    vector_bits = {name: bits(rows[name][2]) + bits(rows[name][3]) for name in published}
    errors = {name: bits(rows[name][10]) for name in published}
    assert min(vector_bits, key=vector_bits.__getitem__) == "gaussian 256"
    assert min(errors, key=errors.__getitem__) == "lloyd_max 256"
    bug = bits(rows["gaussian 256, half-bin bug"][10])
    assert 3.5 < bug / errors["gaussian 256"] < 4.5


def test_figures_belong_to_the_shipped_model():
    """After a model change `make figures` must run again."""
    fingerprint = load_model(resolve("embedded")).fingerprint.hex()[:16]
    for document in DOCUMENTS:
        assert fingerprint in document.read_text(encoding="utf-8"), document.name


def test_no_one_is_told_to_install_another_project():
    for path in [ROOT / "README.md", *ROOT.glob("assets/*.md")]:
        assert "pip install llmcomp" not in path.read_text(encoding="utf-8")
