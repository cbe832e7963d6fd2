"""The view's own modules: node's tests, and the joined script they become."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import llmcomp.models
from llmcomp import codec
from llmcomp.steps import run
from llmcomp.ui import script, theatre

HERE = Path(__file__).parent
MODULES = HERE.parent / "llmcomp" / "ui" / "js"
CODE_BYTES = 90_000
WORDS_BYTES = 25_000  # three languages, most of them of two and three bytes a letter


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if not found:
        assert not os.environ.get("CI"), "CI must have node"
        pytest.skip("node is not installed")
    return found


def test_modules_hold_their_laws(node: str) -> None:
    files = sorted(str(path) for path in (HERE / "js").glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_picture_is_the_coder(
    node: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "embedded-1").symlink_to(HERE / "models" / "tiny", target_is_directory=True)
    monkeypatch.setattr(llmcomp.models, "ASSETS", tmp_path)
    texts = ("The quick brown fox jumps over the lazy dog. " * 9, "a", "土豆\0\n" * 40, "z" * 500)
    checker = str(HERE / "js" / "check_trace.mjs")
    for text in texts:
        trace = codec.trace(text.encode())
        half = len(trace.lanes[0]) // 2
        for window in ({}, {"start": half}, {"start": half // 2, "count": half}):
            message = json.dumps(trace.wire(**window))
            done = subprocess.run([node, checker], input=message, capture_output=True, text=True)
            assert done.returncode == 0, (window, done.stderr[-3000:])


def test_the_two_needles_are_the_two_numbers(node: str, embedded: object) -> None:
    """A damaged number's path starts as the text's, and each number stands in its own boxes."""
    text = b"Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, potato."
    made = run(codec.compressing(text, model="embedded", trace=True, methods=("lm",)))
    assert made.trace is not None
    seen = 0
    for bit in range(8 * 20, 8 * len(made.blob), 11):
        found = theatre.rehearsed(made.blob, bit)
        if found["outcome"] not in {"number", "spare"} or found["trace"] is None:
            continue
        seen += 1
        pair = json.dumps({"home": made.trace.wire(), **found})
        checker = str(HERE / "js" / "check_damage.mjs")
        done = subprocess.run([node, checker], input=pair, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    assert seen > 5


def test_joined_script_runs_and_leaves_only_functions(node: str) -> None:
    stub = (
        "const documentElement = { lang: '', classList: { toggle() {} } };"
        "const document = { addEventListener() {}, documentElement };"
        "const window = { addEventListener() {}, dispatchEvent() {}, navigator: {},"
        " location: { search: '' } };"
        "class MutationObserver { observe() {} }\n"
    )
    check = (
        "if (Object.values(window.llmcomp).some((f) => typeof f !== 'function')) process.exit(3);"
    )
    source = stub + script.joined() + check
    done = subprocess.run(
        [node, "--input-type=commonjs", "-"], input=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_module_is_joined_after_what_it_imports() -> None:
    assert {path.stem for path in MODULES.glob("*.js")} == set(script.MODULES)
    for place, name in enumerate(script.MODULES):
        source = (MODULES / f"{name}.js").read_text("utf-8")
        imported = re.findall(r'^import .* from "\./(\w+)\.js";$', source, re.MULTILINE)
        assert len(imported) == len(re.findall(r"^import ", source, re.MULTILINE)), name
        assert set(imported) <= set(script.MODULES[:place]), name


def test_names_are_unique_across_modules() -> None:
    names: Counter[str] = Counter()
    for name in script.MODULES:
        source = (MODULES / f"{name}.js").read_text("utf-8")
        names.update(
            re.findall(r"^(?:export )?(?:const|function|class) (\w+)", source, re.MULTILINE)
        )
    assert [name for name, count in names.items() if count > 1] == []


def test_script_fits_its_budget_and_cannot_end_its_element_early() -> None:
    joined = script.joined()
    words = len((MODULES / "words.js").read_bytes())
    assert words <= WORDS_BYTES
    assert len(joined.encode()) - words <= CODE_BYTES
    assert "</script" not in joined.lower()
    assert "innerHTML" not in joined
    assert not re.search(r"https?://(?!www.w3.org/2000/svg\b)", joined + script.style())
