"""The page builds, says what it offers, and depends on nothing outside."""

from pathlib import Path
from typing import Any

import pytest

gr = pytest.importorskip("gradio")

from llmcomp.evaluate import steering_study  # noqa: E402
from llmcomp.space import hardware, smoke  # noqa: E402
from llmcomp.ui import handlers, jobs, layout, presets, steering, widgets  # noqa: E402
from llmcomp.ui.words import Words  # noqa: E402

NO_HERO = {"v": "view/1", "n": 0, "note": "no hero in this test"}


@pytest.fixture(scope="module")
def demo() -> Any:
    return layout.build_demo(NO_HERO)


def test_the_tabs_are_those_that_work(demo: Any) -> None:
    tabs = [block.label for block in demo.blocks.values() if isinstance(block, gr.Tab)]
    assert tabs == ["Compress", "Decompress", "Steer"]


def test_programs_see_what_is_made_for_them(demo: Any) -> None:
    public = set(demo.get_api_info()["named_endpoints"])
    assert public == set(smoke.ENDPOINTS)


def test_every_button_does_something(demo: Any) -> None:
    targets = {target for fn in demo.fns.values() for target, _ in fn.targets}
    buttons = [block for block in demo.blocks.values() if isinstance(block, gr.Button)]
    assert len(buttons) >= 4 + len(presets.CHIPS)
    elsewhere = (gr.DuplicateButton,)  # leads away from the page by itself
    assert all(block._id in targets for block in buttons if not isinstance(block, elsewhere))


def test_no_value_reaches_a_template(demo: Any) -> None:
    drawn = [b for b in demo.blocks.values() if isinstance(b, gr.HTML) and b.js_on_load]
    own = [block for block in drawn if "llmcomp" in block.js_on_load]
    assert len(own) == 10
    assert all("{" not in block.html_template for block in own)


@pytest.mark.parametrize(("language", "axis"), [("ru", "биты файла"), ("zh", "文件的比特数")])
def test_figures_change_their_language_with_the_page_and_nothing_is_measured_again(
    demo: Any, monkeypatch: pytest.MonkeyPatch, language: str, axis: str
) -> None:
    for job in ("run", "again", "sweep"):
        monkeypatch.setattr(steering, job, lambda *_: pytest.fail("measured again"))
    (switch,) = [b for b in demo.blocks.values() if getattr(b, "elem_id", None) == "language"]
    drawing = [
        fn
        for fn in demo.fns.values()
        if (switch._id, "input") in fn.targets
        and any(isinstance(part, gr.Plot) for part in fn.outputs)
    ]
    kept = steering.Session("fox", b"fox", "embedded", rows=tuple(steering_study.stored()))
    values = {"predict": "no", "closer": "closer", "language": language}
    found: dict[str, Any] = {}
    for fn in drawing:
        asked = [values.get(part.elem_id or "", kept) for part in fn.inputs]
        found |= {part.elem_id: value for part, value in fn.fn(*asked).items() if part.elem_id}
    published = found["published-bill"]["value"]
    assert [f.layout.xaxis.title.text for f in (published, found["steer-bill"])] == [axis] * 2
    assert published.layout.xaxis.range is None
    assert found["steer-bill"].layout.xaxis.range is not None, "at the scale that is chosen"
    words = Words(language)
    assert found["steer-even"].layout.xaxis.title.text == words("axis_length")
    assert found["steer-rate"].layout.yaxis.title.text == words("axis_error")
    for name in ("steer-bill-words", "steer-even-words", "steer-rate-words", "steer-table"):
        assert "gaussian" in found[name] and "bits" not in found[name]


def test_stop_cancels_every_way_to_start(demo: Any) -> None:
    lane = {i: fn for i, fn in demo.fns.items() if fn.concurrency_id == "model"}
    jobs = {i for i, fn in lane.items() if fn.api_visibility != "public"}
    assert len(lane) == len(jobs) + 2, "programs wait in the same line"
    cancelled = {i for fn in demo.fns.values() for i in fn.cancels}
    assert jobs == cancelled


def test_failures_end_with_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with gr.Blocks():
        buttons = widgets.job_buttons(widgets.Speaker(), "compress")

    def expected(*_: object) -> Any:
        raise handlers.InputError("<i>too much</i>")
        yield

    def unexpected(*_: object) -> Any:
        raise KeyError("secret detail")
        yield

    for job, words in ((expected, "too much"), (unexpected, "logged as")):
        updates: list[Any] = []
        with pytest.raises(gr.Error) as caught:
            updates.extend(widgets.telling(buttons, job)("en"))
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
        for update in job("en"):
            updates.append(update)
    return updates


def test_page_needs_no_network() -> None:
    options = layout.launch_options()
    sheets = options["theme"]._stylesheets
    assert not [sheet for sheet in sheets if "//" in sheet]
    assert options["run_history"] is False
    assert options["state_session_capacity"] == jobs.LIMITS.sessions
    assert options["head"].startswith("<style>")
    assert "</style><script>" in options["head"]


def test_building_the_page_writes_nothing_into_the_package() -> None:
    assert not list(Path(layout.__file__).parent.glob("*.pyi"))


def test_the_queue_is_as_long_as_the_page_says(demo: Any) -> None:
    assert demo._queue.max_size == jobs.LIMITS.queue
    words = [block.value for block in demo.blocks.values() if isinstance(block, gr.Markdown)]
    said = f"At most {jobs.LIMITS.input_bytes:,} bytes and {jobs.LIMITS.seconds:,} s a job"
    assert any(said in word for word in words)


@pytest.mark.parametrize(("wanted", "mode"), [("True", True), ("False", False), (None, False)])
def test_server_side_rendering_is_as_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, mode: bool
) -> None:
    monkeypatch.delenv("GRADIO_SSR_MODE", raising=False)
    if wanted is not None:
        monkeypatch.setenv("GRADIO_SSR_MODE", wanted)
    assert layout.launch_options()["ssr_mode"] is mode


def test_a_public_page_can_be_duplicated_and_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = hardware.Place(hardware.FLAVOURS["cpu-basic"], public=True, models=("gpt2",))
    monkeypatch.setattr(jobs, "PLACE", place)
    page = layout.build_demo(NO_HERO)
    assert any(isinstance(block, gr.DuplicateButton) for block in page.blocks.values())
    (model,) = [b for b in page.blocks.values() if getattr(b, "elem_id", None) == "model"]
    assert ("gpt2", "gpt2") in model.choices
    assert ("pythia-70m (not here)", "pythia-70m") in model.choices
    assert "this Space does not have it" in handlers.model_line("pythia-70m", "some text", None)


def test_at_home_there_is_nothing_to_duplicate(demo: Any) -> None:
    assert not any(isinstance(block, gr.DuplicateButton) for block in demo.blocks.values())


def test_a_lent_gpu_that_says_no_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with gr.Blocks():
        buttons = widgets.job_buttons(widgets.Speaker(), "run")

    def overdrawn(*_: object) -> Any:
        raise gr.Error("You have exceeded your ZeroGPU quota", title="ZeroGPU quota exceeded")
        yield

    _, last = collect(widgets.telling(buttons, overdrawn))
    assert "quota" in last[buttons.status]["text"]
    assert last[buttons.start]["interactive"] is True


def test_programs_get_errors_in_words() -> None:
    def expected() -> None:
        raise handlers.InputError("too much")

    def unexpected() -> None:
        raise KeyError("secret")

    for call, words in ((expected, "too much"), (unexpected, "logged as")):
        with pytest.raises(gr.Error) as caught:
            widgets.telling_programs(call)()
        assert words in str(caught.value) and "secret" not in str(caught.value)


def test_app_imports_spaces_first() -> None:
    source = (Path(__file__).parents[1] / "app.py").read_text("utf-8")
    assert source.index("import spaces") < source.index("from llmcomp")
