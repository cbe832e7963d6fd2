"""The page around the picture, in a real browser: languages, links, history, themes, reach."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_app_journey import HOSTILE, TEXT, browser, url, visit

__all__ = ["browser", "url", "visit"]  # fixtures

pytestmark = pytest.mark.browser

WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 375, "height": 700}
STILL = {"viewport": WIDE, "reduced_motion": "reduce"}
POCKET = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "reduced_motion": "reduce"}
DONE = "#compress-status [data-state=done]"
PAGE_BYTES = 700_000

AXE = ROOT / ".stamps/axe/node_modules/axe-core/axe.min.js"
"""A development file that `make` fetches; nothing of it is shipped."""

NOT_OURS = {
    # what gradio itself draws wrong; each with what we would need to change in it
    "label-content-name-mismatch": "its upload area says more than its name",
    "aria-allowed-role": "its file area is a button with role=region",
}


@pytest.fixture(scope="module")
def place() -> str:
    """Where the app runs; what a Space changes is the journey's business."""
    return "here"


def said(page: Any, selector: str) -> str:
    return str(page.locator(selector).inner_text())


def choose_language(page: Any, name: str) -> None:
    page.locator("#language label").filter(has_text=name).click()


def leave(page: Any) -> None:
    """Leaves the page at rest: gradio calls every request that is cut short an error."""
    page.wait_for_timeout(800)
    page.goto("about:blank")


# --- languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "language", "button", "bill"),
    [
        ("en-GB", "en", "Compress", "The bill"),
        ("ru-RU", "ru", "Сжать", "Счёт"),
        ("zh-TW", "zh", "压缩", "账单"),
        ("de-DE", "en", "Compress", "The bill"),
    ],
)
def test_the_page_speaks_the_browsers_language(
    visit: Any, locale: str, language: str, button: str, bill: str
) -> None:
    visitor = visit(locale=locale, **STILL)
    page = visitor.page
    page.wait_for_selector(f"button#compress:has-text('{button}')")
    assert page.evaluate("document.documentElement.lang").startswith(language)
    visitor.compress(TEXT)
    assert said(page, "#bill").startswith(bill)


def test_a_language_is_changed_without_losing_anything(visit: Any, url: str) -> None:
    visitor = visit(**STILL)
    page = visitor.page
    visitor.compress(TEXT)
    choose_language(page, "RU")
    page.wait_for_selector("#bill :text('Счёт: каждый бит файла')")
    assert "Раскрыто снова для проверки" in said(page, "#compress-status .st-line")
    assert page.locator("#text textarea").input_value() == TEXT
    assert said(page, "#share h2") == "Отправить ссылкой"
    assert said(page, "#tab-decompress-button") == "Распаковать"
    leave(page)
    page.goto(url)
    page.wait_for_selector("button#compress:has-text('Сжать')")
    choose_language(page, "EN")
    page.wait_for_selector("button#compress:has-text('Compress')")


def test_a_link_names_its_language(visit: Any, url: str) -> None:
    page = visit(**STILL).page
    page.goto(f"{url}?lang=zh&tab=decompress")
    page.wait_for_selector("button#decode:has-text('解压')")
    choose_language(page, "RU")
    page.wait_for_selector("button#decode:has-text('Раскрыть')")
    assert "lang=ru" in page.url


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
@pytest.mark.parametrize("shape", [STILL, POCKET], ids=["wide", "phone"])
def test_no_label_is_clipped(visit: Any, url: str, language: str, shape: dict[str, Any]) -> None:
    page = visit(**shape).page
    page.goto(f"{url}?lang={language}&preset=russian")
    page.wait_for_selector(DONE)
    clipped = page.evaluate(
        """() => [...document.querySelectorAll('button, label, h2, h3, #bill td, #bill th')]
            .filter((item) => item.clientWidth > 0 && !item.closest('.lv-root, .label-wrap'))
            .filter((item) => item.scrollWidth > item.clientWidth + 1)
            .map((item) => item.textContent)"""
    )
    assert clipped == []
    assert page.evaluate("document.documentElement.scrollWidth") <= shape["viewport"]["width"]


# --- what is seen first ------------------------------------------------------------------------


def test_everything_one_needs_is_above_the_fold(visit: Any) -> None:
    page = visit(**STILL).page
    page.wait_for_timeout(300)
    for part in (
        "#page-head h1",
        ".he-theme",
        "#language",
        "#text textarea",
        "#preset-own",
        "button#compress",
        "#download",
        "#settings",
        ".fineprint",
        ".lv-strip",
        ".lv-canvas",
        ".lv-play",
        ".lv-caption",
    ):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 800, part


def test_a_phone_shows_the_picture_and_its_controls_first(visit: Any) -> None:
    page = visit(**POCKET).page
    for part in ("#page-head h1", "#language", ".lv-strip", ".lv-canvas", ".lv-play"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= 700, part


def test_the_first_page_is_light_and_asks_no_model(visit: Any, url: str) -> None:
    visitor = visit(**STILL)
    context = visitor.context
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url)
    page.wait_for_selector(".lv-token")
    page.wait_for_timeout(1500)
    assert sum(sizes) <= PAGE_BYTES
    assert not [address for address in asked if "queue/join" in address]
    assert not [address for address in asked if "plotly" in address.lower()]


def test_a_sample_needs_no_model_and_gives_its_link(visit: Any, url: str) -> None:
    page = visit(**STILL).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#preset-random").click()
    page.wait_for_selector(DONE)
    assert "160 bytes → 180 bytes" in said(page, "#compress-status .st-line")
    assert not [address for address in asked if "queue/join" in address]
    page.wait_for_function("location.search === '?preset=random'")
    page.goto(f"{url}?preset=python")
    page.wait_for_selector(DONE)
    assert page.locator("#text textarea").input_value().startswith("def gcd(")


# --- links and files ---------------------------------------------------------------------------


def test_a_sentence_is_a_link_that_decodes_elsewhere(visit: Any, url: str) -> None:
    visitor = visit(**STILL)
    visitor.compress(TEXT)
    link = visitor.page.locator(".sh-link").input_value()
    assert link.startswith(f"{url}#z=")
    reader = visit(**STILL).page
    leave(reader)
    reader.goto(link)
    reader.wait_for_selector("#decode-status [data-state=done]")
    assert reader.locator("#decoded textarea").input_value() == TEXT


def test_a_broken_link_ends_with_one_clear_line(visit: Any, url: str) -> None:
    page = visit(**STILL).page
    leave(page)
    page.goto(f"{url}#z=TExNQ-garbage")
    page.wait_for_selector("#decode-status [data-state=error]")
    assert page.locator("#decoded textarea").input_value() == ""


def test_of_a_file_and_a_paste_the_newer_is_decoded(visit: Any, tmp_path: Path) -> None:
    visitor = visit(**STILL)
    page = visitor.page
    visitor.compress("The older text.")
    blob = visitor.download("#download", tmp_path / "older.llmc")
    visitor.compress("The newer text.")
    page.locator(".hi-file").nth(1).wait_for()
    visitor.decode(blob)
    assert page.locator("#decoded textarea").input_value() == "The older text."
    page.locator("#tab-compress-button").click()
    page.locator(".hi-file .lv-button").first.click()
    page.wait_for_function("document.querySelector('#decoded textarea')?.value.includes('newer')")


def test_links_and_base64_are_copied(visit: Any) -> None:
    visitor = visit(**STILL, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.page
    visitor.compress(TEXT)
    page.get_by_role("button", name="Copy the link").click()
    page.wait_for_selector("#share button:has-text('Copied')")
    read = "navigator.clipboard.readText()"
    assert page.evaluate(read) == page.locator(".sh-link").input_value()
    page.get_by_role("button", name="Copy as base64").click()
    page.wait_for_function(f"{read}.then((text) => text.startsWith('TExN'))")


def test_a_long_text_is_no_link(visit: Any) -> None:
    visitor = visit(**STILL)
    visitor.compress("".join(f"{i * i * 7919 % 10007:x} " for i in range(1500)))
    assert "too long for a link" in said(visitor.page, "#share")
    assert visitor.page.locator(".sh-link").count() == 0


def test_history_stays_in_one_browser(visit: Any, url: str, tmp_path: Path) -> None:
    visitor = visit(**STILL)
    page = visitor.page
    visitor.compress("Only I have seen this.")
    visitor.compress(HOSTILE)
    page.locator(".hi-file").nth(1).wait_for()
    leave(page)
    page.goto(url)
    page.wait_for_selector(".hi-file")
    assert page.locator(".hi-file").count() == 2
    assert page.locator("#history img, #history script").count() == 0
    row = page.locator(".hi-file").nth(1)
    assert "Only-I-have-seen" in row.inner_text()
    with page.expect_download() as started:
        row.get_by_role("button", name="Download").click()
    started.value.save_as(tmp_path / "mine.llmc")
    assert (tmp_path / "mine.llmc").read_bytes().startswith(b"LLMC")
    row.get_by_role("button", name="Decode").click()
    page.wait_for_selector("#decode-status [data-state=done]")
    assert page.locator("#decoded textarea").input_value() == "Only I have seen this."
    stranger = visit(**STILL).page
    assert stranger.locator(".hi-file").count() == 0
    page.locator("#tab-compress-button").click()
    page.get_by_role("button", name="Forget them all").click()
    assert page.locator(".hi-file").count() == 0


def test_two_visitors_at_once_never_see_each_other(visit: Any) -> None:
    first, second = visit(**STILL), visit(**STILL)
    texts = ("The first visitor's secret. " * 40, "Das Geheimnis des zweiten. " * 40)
    for visitor, text in zip((first, second), texts, strict=True):
        visitor.page.locator("#text textarea").fill(text)
        visitor.page.locator("button#compress").click()
    for visitor, text in zip((first, second), texts, strict=True):
        visitor.page.wait_for_selector(DONE)
        strip = visitor.page.locator("#picture .lv-strip").text_content()
        assert strip.replace("·", " ") == text
        choose_language(visitor.page, "RU")
        visitor.page.wait_for_selector("#bill :text('Счёт')")
        assert f"{len(text):,}".replace(",", "\u00a0") in said(
            visitor.page, "#compress-status .st-line"
        )


# --- stopping ----------------------------------------------------------------------------------


def test_stop_frees_the_lane_within_two_seconds(visit: Any) -> None:
    visitor = visit(**STILL)
    page = visitor.page
    page.locator("#text textarea").fill(TEXT.replace("\n", " ") * 800)
    page.locator("button#compress").click()
    page.wait_for_selector("#compress-status [role=progressbar][aria-valuenow]")
    began = time.monotonic()
    page.keyboard.press("Escape")
    page.wait_for_function("() => /^Stopped/.test(document.querySelector('.st-line').textContent)")
    assert time.monotonic() - began < 2
    assert page.locator("button#compress").is_enabled()


# --- themes, readers, keys, paper --------------------------------------------------------------


def test_a_theme_is_chosen_kept_and_linked(visit: Any, url: str) -> None:
    page = visit(**STILL, color_scheme="light").page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator(".he-theme").click()
    page.wait_for_function(f"{paper} !== '{light}'")
    assert "Light" in said(page, ".he-theme")
    page.reload()
    page.wait_for_selector(".lv-canvas")
    assert page.evaluate("document.body.classList.contains('dark')")
    page.goto(f"{url}?__theme=light")
    page.wait_for_selector(".lv-canvas")
    assert not page.evaluate("document.body.classList.contains('dark')")


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        fetched = subprocess.run(
            ["npm", "install", "--prefix", str(AXE.parents[2]), "--no-audit", "axe-core@4.14.1"],
            capture_output=True,
        )
        if fetched.returncode:
            assert not os.environ.get("CI"), "CI must be able to fetch axe-core"
            pytest.skip("axe-core cannot be fetched here")
    return AXE.read_text("utf-8")


@pytest.mark.parametrize("tab", ["compress", "decompress", "steer"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("shape", [STILL, POCKET], ids=["wide", "phone"])
def test_axe_finds_nothing_serious(
    visit: Any, url: str, axe: str, tab: str, theme: str, shape: dict[str, Any]
) -> None:
    page = visit(**shape, color_scheme=theme).page
    page.goto(f"{url}?__theme={theme}&tab={tab}" + "&preset=prose" * (tab == "compress"))
    page.wait_for_selector(
        {"compress": DONE, "decompress": "#decoded", "steer": "#steer-work"}[tab]
    )
    page.wait_for_timeout(300)
    page.evaluate(axe)
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations)"
    )
    serious = [
        (item["id"], [node["html"][:160] for node in item["nodes"]][:3])
        for item in found
        if item["impact"] in {"serious", "critical"} and item["id"] not in NOT_OURS
    ]
    assert serious == [], json.dumps(serious, indent=1)


def test_the_page_is_used_by_keys_alone(visit: Any, url: str) -> None:
    page = visit(**STILL).page

    def tab_to(selector: str) -> None:
        for _ in range(80):
            if page.evaluate(f"document.activeElement?.matches({json.dumps(selector)}) ?? false"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"no way to {selector} by Tab")

    tab_to(".he-theme")
    tab_to("#text textarea")
    page.keyboard.type("Keys alone.")
    tab_to("#preset-surprise")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    shadow = page.evaluate("getComputedStyle(document.activeElement).boxShadow")
    assert (outline, shadow) != ("none", "none"), "what has the focus must show it"
    tab_to("button#compress")
    page.keyboard.press("Enter")
    page.wait_for_selector(DONE)
    tab_to("#download, #download *")
    with page.expect_download():
        page.keyboard.press("Enter")
    tab_to("#language label:nth-of-type(2) input")
    page.keyboard.press("Space")
    page.wait_for_selector("button#compress:has-text('Сжать')")


def test_paper_gets_the_picture_and_the_bill(visit: Any) -> None:
    visitor = visit(**STILL, color_scheme="light")
    page = visitor.page
    page.locator("#preset-prose").click()
    page.wait_for_selector(DONE)
    page.emulate_media(media="print")
    assert page.locator("#bill").is_visible()
    assert page.locator(".lv-canvas").is_visible()
    for useless in ("button#compress", ".chips", "#language", ".lv-controls"):
        assert not page.locator(useless).first.is_visible(), useless


def test_reduced_motion_moves_nothing(visit: Any) -> None:
    page = visit(**STILL).page
    page.wait_for_selector(".lv-token")
    moving = page.evaluate(
        """() => document.getAnimations().filter((item) => item.playState === 'running')
            .map((item) => item.effect.target.outerHTML.slice(0, 200))"""
    )
    assert moving == []


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_a_page_for_a_room_is_larger_and_its_picture_answers_where_it_is_touched(
    visit: Any, url: str, size: dict[str, int]
) -> None:
    visitor = visit(viewport=size, reduced_motion="reduce")
    page = visitor.page
    page.goto(f"{url}?lang=en&big=1")
    page.wait_for_selector(".lv-token.lv-done")
    letters = "selector => parseFloat(getComputedStyle(document.querySelector(selector)).fontSize)"
    assert page.evaluate(letters, "html") == pytest.approx(22.4)
    assert page.evaluate(letters, "#text textarea") >= 20
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    # the last token's stripe ends where the boxes begin: the label of what is there tells it
    box = page.locator(".lv-canvas").bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector(".lv-token.lv-lit")
    lit = page.locator(".lv-token.lv-lit").get_attribute("data-token")
    assert int(lit) >= page.locator(".lv-token").count() - 3
    leave(page)
