"""``python -m llmcomp.ui.weigh`` measures what a first visit costs: bytes, requests, seconds.

In: the app, served on this machine, and a browser with an empty cache. Out: a table for the docs.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import Any

from llmcomp.ui import presets, script
from llmcomp.ui.screenshots import browsing, serving

__all__ = ["Visit", "main", "visit"]

_VISITS = 5
_QUIET_MS = 1500


@dataclass(frozen=True, slots=True)
class Visit:
    """A first visit.

    Attributes:
        n_bytes: over the wire, as compressed there.
        n_requests: for everything the page loads.
        words_ms: from navigation to the first words of the picture.
        sample_ms: from a click on a sample text to its result.
    """

    n_bytes: float
    n_requests: int
    words_ms: float
    sample_ms: float


def visit(browser: Any, url: str) -> Visit:
    """Opens the page once with an empty cache."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    page.wait_for_selector(".lv-token")
    words_ms = float(page.evaluate("performance.now()"))
    page.wait_for_timeout(_QUIET_MS)
    loaded = list(sizes)
    before = page.evaluate("performance.now()")
    page.click("#preset-prose")
    page.wait_for_selector("#compress-status [data-state=done]")
    sample_ms = float(page.evaluate("performance.now()") - before)
    context.close()
    return Visit(sum(loaded), len(loaded), words_ms, sample_ms)


def main() -> str:
    """Visits several times; bytes of the last visit, medians of the times."""
    with serving() as url, browsing() as browser:
        visits = [visit(browser, url) for _ in range(_VISITS)]
    words = statistics.median(found.words_ms for found in visits)
    sample = statistics.median(found.sample_ms for found in visits)
    stored = [presets.path_of(name).stat().st_size for name in presets.names()]
    rows = {
        "first page, over the wire": f"{visits[-1].n_bytes / 1000:.0f} kB",
        "requests": f"{visits[-1].n_requests}",
        "our own script, before compression": f"{len(script.head().encode()) / 1000:.0f} kB",
        "first words of the picture after": f"{words / 1000:.2f} s",
        "a sample text's result after its click": f"{sample:.0f} ms",
        "stored traces": f"{len(stored)} files, {sum(stored) / 1000:.0f} kB",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| what | measured |", "|---|---:|", *lines])


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
