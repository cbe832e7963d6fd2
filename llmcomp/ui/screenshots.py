"""``python -m llmcomp.ui.screenshots`` opens the app in a browser and pictures every page.

In: the app itself and Debian's chromium, through Playwright, which is a test tool. Out: WebP files
in ``assets/screenshots``, one for each page, theme and width. Motion is off, so that every picture
shows a finished state.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmcomp.ui import presets

__all__ = ["FOLDER", "PAGES", "SHAPES", "THEMES", "browsing", "name_of", "serving", "take"]

FOLDER = Path(__file__).parents[2] / "assets" / "screenshots"
THEMES = ("light", "dark")
SHAPES = {"wide": (1280, 800), "phone": (375, 700)}

_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking")
_QUALITY = 78  # of 100; letters stay sharp
_SETTLED_MS = 700
_DONE = "[data-state=done]"


def _hero(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".lv-token")


def _sample(page: Any, address: str) -> None:
    page.goto(f"{address}&preset=prose")
    page.wait_for_selector(f"#compress-status {_DONE}")
    page.evaluate("window.scrollTo(0, document.querySelector('.below').offsetTop)")


def _linked(page: Any, address: str) -> None:
    _, result = presets.stored("prose", "en")
    page.goto(f"{address}&tab=decompress")
    page.wait_for_selector("#pasted textarea")
    page.evaluate("(hash) => { location.hash = hash; }", f"z={_of_link(result.blob)}")
    page.wait_for_selector(f"#decode-status {_DONE}", timeout=60_000)


def _steer(page: Any, address: str) -> None:
    page.goto(f"{address}&tab=steer")
    page.wait_for_selector("#steer-work")


PAGES: dict[str, Callable[[Any, str], None]] = {
    "compress": _hero,
    "result": _sample,
    "decompress": _linked,
    "steer": _steer,
}
"""What leads to each picture, from an address that already names theme and language."""


def _of_link(blob: bytes) -> str:
    return base64.urlsafe_b64encode(blob).decode("ascii").rstrip("=")


def name_of(page: str, theme: str, shape: str) -> str:
    """Names a picture.

    >>> name_of("compress", "dark", "phone")
    'compress-dark-phone.webp'
    """
    return f"{page}-{theme}-{shape}.webp"


def take(url: str, folder: Path = FOLDER) -> None:
    """Takes every picture of a running app.

    Args:
        url: where it runs, ending in a slash.
        folder: where the pictures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with browsing() as browser:
        for shape, (width, height) in SHAPES.items():
            for theme in THEMES:
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    is_mobile=shape == "phone",
                    color_scheme=theme,
                    reduced_motion="reduce",
                    device_scale_factor=1,
                )
                for name, lead in PAGES.items():
                    page = context.new_page()
                    lead(page, f"{url}?lang=en&__theme={theme}")
                    page.wait_for_timeout(_SETTLED_MS)
                    _save(page.screenshot(), folder / name_of(name, theme, shape))
                    page.close()
                context.close()


def _save(png: bytes, path: Path) -> None:
    from PIL import Image

    Image.open(io.BytesIO(png)).save(path, "WEBP", quality=_QUALITY, method=6)


@contextmanager
def serving() -> Iterator[str]:
    """Serves the app for a while; yields its address, which ends in a slash."""
    from llmcomp.ui.layout import build_demo, launch_options

    demo = build_demo()
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        yield url
    finally:
        demo.close(verbose=False)


@contextmanager
def browsing() -> Iterator[Any]:
    """Yields a browser that shows nothing on any screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


def main() -> None:
    """Starts the app, takes the pictures, ends it."""
    with serving() as url:
        take(url)
    taken = sorted(FOLDER.glob("*.webp"))
    total = sum(path.stat().st_size for path in taken)
    sys.stderr.write(f"{len(taken)} pictures, {total:,} bytes in {FOLDER.name}\n")


if __name__ == "__main__":
    main()
