"""The page builds, says what it offers, and depends on nothing outside."""

from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from llmcomp.ui import handlers, layout, widgets  # noqa: E402

NO_HERO = {"v": "view/1", "n": 0, "note": "no hero in this test"}


@pytest.fixture(scope="module")
def demo() -> Any:
    return layout.build_demo(NO_HERO)


def test_the_tabs_are_those_that_work(demo: Any) -> None:
    tabs = [block.label for block in demo.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == ["Compress", "Decompress", "Steer"]


def test_only_whole_jobs_are_public(demo: Any) -> None:
    public = set(demo.get_api_info()["named_endpoints"])
    assert public == {"/compress", "/decompress", "/steer"}


def test_every_button_does_something(demo: Any) -> None:
    targets = {target for fn in demo.fns.values() for target, _ in fn.targets}
    buttons = [block for block in demo.blocks.values() if isinstance(block, gr.Button)]
    assert len(buttons) >= 4 + len(handlers.examples())
    assert all(block._id in targets for block in buttons)


def test_no_value_reaches_a_template(demo: Any) -> None:
    drawn = [b for b in demo.blocks.values() if isinstance(b, gr.HTML) and b.js_on_load]
    own = [block for block in drawn if "llmcomp." in block.js_on_load]
    assert len(own) == 7
    assert all("{" not in block.html_template for block in own)


def test_stop_cancels_every_way_to_start(demo: Any) -> None:
    jobs = {i for i, fn in demo.fns.items() if fn.concurrency_id == "model"}
    cancelled = {i for fn in demo.fns.values() for i in fn.cancels}
    assert jobs == cancelled


def test_failures_end_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with gr.Blocks():
        buttons = widgets.job_buttons("Try")

    def expected(*_: object) -> Any:
        raise handlers.InputError("<i>too much</i>")
        yield

    def unexpected(*_: object) -> Any:
        raise KeyError("secret detail")
        yield

    for job, words in ((expected, "too much"), (unexpected, "logged as")):
        updates: list[Any] = []
        with pytest.raises(gr.Error) as caught:
            updates.extend(widgets.telling(buttons, job)())
        assert words in caught.value.message
        assert "<i>" not in caught.value.message
        assert "secret" not in caught.value.message
    first, last = collect(widgets.telling(buttons, expected))
    assert first[buttons.status]["state"] == "busy"
    assert last[buttons.status] == {"text": "<i>too much</i>", "state": "error", "percent": None}
    assert last[buttons.start]["interactive"] is True


def collect(job: Any) -> list[Any]:
    updates: list[Any] = []
    with pytest.raises(gr.Error):
        for update in job():
            updates.append(update)
    return updates


def test_page_needs_no_network() -> None:
    options = layout.launch_options()
    sheets = options["theme"]._stylesheets
    assert not [sheet for sheet in sheets if "//" in sheet]
    assert options["run_history"] is False
    assert options["head"].startswith("<script>")


def test_building_the_page_writes_nothing_into_the_package() -> None:
    assert not list(Path(layout.__file__).parent.glob("*.pyi"))


def test_app_imports_spaces_first() -> None:
    source = (Path(__file__).parents[1] / "app.py").read_text("utf-8")
    assert source.index("import spaces") < source.index("from llmcomp")
