"""``python -m llmcomp.ui.weigh`` measures what a first visit costs, a Stop, a scrub of a long text.

In: the app, served on this machine, and a browser with an empty cache. Out: a table for the docs:
bytes, requests, seconds; milliseconds of a scrub, also on a processor four times slower.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmcomp import codec
from llmcomp.models import load_model
from llmcomp.steps import run
from llmcomp.tracing import WIRE_TOKENS
from llmcomp.ui import handlers, presets, script, theatre
from llmcomp.ui.screenshots import browsing, serving

__all__ = ["SLOWED", "Scrub", "Visit", "long_message", "main", "scrub", "stop", "visit"]

SLOWED = (1, 4)
"""How many times slower than it is the processor is made to look."""

_VISITS = 5
_SCRUBS = 200
_QUIET_MS = 1500
_LINES = 180  # of text: some more tokens than one message holds
_STOPPED_LINES = 6000  # enough to be still at work when it is stopped

_TO = """async (part) => {
  const scrub = document.querySelector("#picture .lv-scrub");
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  scrub.value = String(part * Number(scrub.max));
  scrub.dispatchEvent(new Event("input"));
  const drawn = await frame();
  return (await frame()) - drawn;
}"""


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


def stop(browser: Any, url: str) -> float:
    """Stops a job under way; returns the milliseconds until the page says so."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".lv-token")
    page.locator("#text textarea").fill(_long_text(_STOPPED_LINES).replace("\n", " "))
    page.locator("button#compress").click()
    page.wait_for_selector("#compress-status [role=progressbar][aria-valuenow]")
    before = page.evaluate("performance.now()")
    page.keyboard.press("Escape")
    page.wait_for_selector("button#compress:not(:disabled)")
    took = float(page.evaluate("performance.now()") - before)
    context.close()
    return took


def _long_text(n_lines: int) -> str:
    return "\n".join(f"{i}: the fox {i * i} jumps" for i in range(n_lines))


@dataclass(frozen=True, slots=True)
class Scrub:
    """What one jump to a random place of a long text takes; medians, in milliseconds.

    Attributes:
        frame_ms: from the frame that draws it to the next.
        script_ms: spent in scripts.
        work_ms: spent in scripts, style and layout.
    """

    frame_ms: float
    script_ms: float
    work_ms: float

    def __str__(self) -> str:
        return f"{self.frame_ms:.1f} / {self.script_ms:.1f} / {self.work_ms:.1f} ms"


def long_message() -> Mapping[str, Any]:
    """Compresses a text longer than one message holds; returns what the view is sent of it.

    Raises:
        ValueError: if the model cuts the text into fewer tokens than a message holds.
    """
    text = _long_text(_LINES).encode()
    model = load_model(handlers.MODELS[0])
    done = run(codec.compressing(text, model=model, trace=True, lanes=1, methods=("lm",)))
    if done.trace is None or len(done.trace.lanes[0]) < WIRE_TOKENS:
        raise ValueError(
            f"{model.name} traced too little of the text: wanted {WIRE_TOKENS:,} tokens"
        )
    sizes = {"llmc": len(done.blob), "raw": len(text)}
    return {**done.trace.wire(), "file": theatre.file_of(done.blob), "sizes": sizes}


def scrub(
    browser: Any, url: str, message: Mapping[str, Any], slowed: Sequence[int] = SLOWED
) -> dict[int, Scrub]:
    """Scrubs through a text at random; the same places at every speed of the processor.

    Args:
        browser: to open the page in.
        url: of the page.
        message: the text's trace.
        slowed: how many times slower the processor is to look, one measurement each.
    """
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".lv-token")
    page.evaluate(
        "(m) => llmcomp.mountView(document.querySelector('#picture .lv-root'))(m)", message
    )
    session = context.new_cdp_session(page)
    session.send("Performance.enable")

    def spent() -> tuple[float, float]:
        found = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        scripts = found["ScriptDuration"]
        return scripts, scripts + found["LayoutDuration"] + found["RecalcStyleDuration"]

    measured = {}
    for times in slowed:
        session.send("Emulation.setCPUThrottlingRate", {"rate": times})
        places, took = random.Random(0), []
        for _ in range(_SCRUBS):
            before = spent()
            frame_ms = float(page.evaluate(_TO, places.random()))
            script_ms, work_ms = (
                1000 * (late - early) for early, late in zip(before, spent(), strict=True)
            )
            took.append((frame_ms, script_ms, work_ms))
        measured[times] = Scrub(*(statistics.median(column) for column in zip(*took, strict=True)))
    context.close()
    return measured


def main() -> str:
    """Visits several times, then scrubs; bytes of the last visit, medians of the times."""
    message = long_message()
    with serving() as url, browsing() as browser:
        visits = [visit(browser, url) for _ in range(_VISITS)]
        stops = [stop(browser, url) for _ in range(_VISITS)]
        scrubs = scrub(browser, url, message)
    words = statistics.median(found.words_ms for found in visits)
    sample = statistics.median(found.sample_ms for found in visits)
    stored = [presets.path_of(name).stat().st_size for name in presets.names()]
    rows = {
        "first page, over the wire": f"{visits[-1].n_bytes / 1000:.0f} kB",
        "requests": f"{visits[-1].n_requests}",
        "our own script, before compression": f"{len(script.head().encode()) / 1000:.0f} kB",
        "first words of the picture after": f"{words / 1000:.2f} s",
        "a sample text's result after its click": f"{sample:.0f} ms",
        "Stop, until the page is free again": f"{statistics.median(stops):.0f} ms",
        "message of 2,000 tokens": f"{len(json.dumps(message)) / 1000:.0f} kB",
        "stored traces": f"{len(stored)} files, {sum(stored) / 1000:.0f} kB",
        **{_scrub_row(times): str(found) for times, found in scrubs.items()},
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join(["| what | measured |", "|---|---:|", *lines])


def _scrub_row(times: int) -> str:
    said = f"a scrub of {WIRE_TOKENS:,} tokens: frame / script / script, style and layout"
    return said if times == 1 else f"the same, processor {times} times slower"


if __name__ == "__main__":
    sys.stdout.write(main() + "\n")
