"""``python -m llmcomp.ui.screenshots`` opens the app in a browser and pictures every page.

In: the app itself and Debian's chromium, through Playwright, which is a test tool. Out: WebP files
in ``assets/screenshots``, one for each page, theme and width, and a film of the opening sentence.
For pictures motion is off, so that every one shows a finished state; for the film the page gets a
clock that stands still between two frames, so that it is as smooth on a slow machine.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmcomp.ui import presets

__all__ = [
    "FILM",
    "FOLDER",
    "PAGES",
    "SHAPES",
    "THEMES",
    "browsing",
    "film",
    "name_of",
    "serving",
    "take",
]

FOLDER = Path(__file__).parents[2] / "assets" / "screenshots"
THEMES = ("light", "dark")
SHAPES = {"wide": (1280, 800), "phone": (375, 700)}

FILM = "falling.webp"

_FILMED = {"width": 1280, "height": 800}
_FRAMES_PER_S = 12
_SEEN = ".lv-stripbox, .lv-tape, .lv-stage, .lv-tour"
_LAST_S = 2.5  # for which a scene's last frame stands
_LONGEST_SCENE_S = 20

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


def film(url: str, path: Path) -> None:
    """Films the opening sentence as it falls, then as it is found again from its number alone.

    Args:
        url: where the app runs, ending in a slash.
        path: the animated WebP to write.
    """
    from PIL import Image

    with browsing() as browser:
        page = browser.new_page(viewport=_FILMED, color_scheme="light", device_scale_factor=1)
        page.clock.install(time=0)
        page.clock.pause_at(1)
        page.goto(f"{url}?lang=en&__theme=light")
        while page.locator(".lv-token").count() == 0:
            page.clock.run_for(50)
        page.locator(".lv-root").evaluate("root => root.scrollIntoView()")
        seen = _around(page)
        shots = [*_scene(page, seen, lambda: None)]
        shots += _scene(page, seen, page.locator(".lv-number").click)
        page.close()
    frames = [Image.open(io.BytesIO(shot)).convert("RGB") for shot, _ in shots]
    frames[0].save(
        path,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[ms for _, ms in shots],
        loop=0,
        quality=_QUALITY,
        method=6,
        minimize_size=True,
    )


def _around(page: Any) -> dict[str, float]:
    """The rectangle around the parts that are filmed."""
    boxes = [part.bounding_box() for part in page.locator(_SEEN).all()]
    left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    return {"x": left - 8, "y": top - 8, "width": right - left + 16, "height": bottom - top + 16}


def _scene(
    page: Any, seen: Mapping[str, float], begin: Callable[[], None]
) -> Iterator[tuple[bytes, int]]:
    """Yields a scene's frames as PNG and their milliseconds, until nothing moves any more."""
    begin()
    step = 1000 // _FRAMES_PER_S
    scrub = page.locator(".lv-scrub")
    shot, stood = b"", 0
    for _ in range(_LONGEST_SCENE_S * _FRAMES_PER_S):
        page.clock.run_for(step)
        at_end = scrub.evaluate("scrub => Number(scrub.value) >= Number(scrub.max)")
        now = page.screenshot(clip=seen)
        if now == shot:
            stood += step
        elif shot:
            yield shot, stood
            stood = step
        shot = now
        if at_end and stood > step:
            break
    yield shot, int(1000 * _LAST_S)


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
        film(url, FOLDER / FILM)
    taken = sorted(FOLDER.glob("*.webp"))
    total = sum(path.stat().st_size for path in taken)
    sys.stderr.write(f"{len(taken)} pictures, {total:,} bytes in {FOLDER.name}\n")


if __name__ == "__main__":
    main()
