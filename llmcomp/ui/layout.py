"""The page: widgets and wiring. The only module of the project that imports gradio.

In: nothing but the hero's trace. Out: a ``gr.Blocks`` and the options to launch it with. What
buttons do lives in ``handlers``, how results look in ``views``; expected errors become ``gr.Error``
in one place, `_telling`.
"""

from __future__ import annotations

import base64
import html
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.errors import LLMCompError
from llmcomp.ui import handlers, script, views

__all__ = ["build_demo", "launch_options", "linked_view", "status_line"]

_log = logging.getLogger(__name__)

Updates = dict[Any, Any]
Job = Callable[..., Iterator[Updates]]

_HEAD = (
    '<a class="lv-skip" href="#picture">Skip to the picture</a>'
    "<h1>llmcomp</h1><p>This sentence is one number between 0 and 1.</p>"
)
_PRIVACY = (
    f"At most {handlers.MAX_INPUT_BYTES:,} bytes. Files are deleted from the server within an "
    "hour; nothing is kept or counted."
)
_QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_JOBS_AT_ONCE = 2
_LONGEST_BASE64 = 4000  # characters; beyond, copying text is no longer the easy way
_SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONTS = ("ui-monospace", "Consolas", "DejaVu Sans Mono", "monospace")


def _drawn(value: Any, css_class: str, mount: str, **rest: Any) -> gr.HTML:
    """Makes an element that only our own script draws into.

    The template is static on purpose: whatever a template interpolates is parsed as HTML or as a
    template literal, so no value may ever reach one. A function and not a subclass, because gradio
    writes a ``.pyi`` file beside the source of every subclass when it is imported.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="{css_class}"></div>',
        js_on_load=(
            f"const show = window.llmcomp.{mount}(element.querySelector('.{css_class}'));"
            "show(props.value); watch('value', () => show(props.value));"
        ),
        apply_default_css=False,
        **rest,
    )


def linked_view(message: Mapping[str, Any] | None = None, **rest: Any) -> gr.HTML:
    """Makes the interval view over one trace; its value is a ``view/1`` message."""
    return _drawn(message, "lv-root", "mountView", **rest)


def status_line(**rest: Any) -> gr.HTML:
    """Makes a progress bar and a line of words; its value is one of the dicts of ``views``."""
    return _drawn(views.idle(), "st-root", "mountStatus", **rest)


@dataclass(frozen=True)
class _JobButtons:
    """What every job has: the button that starts it, the one that stops it, its status."""

    start: gr.Button
    stop: gr.Button
    status: gr.HTML

    def busy(self) -> Updates:
        return self._set(views.starting(), running=True)

    def ended(self, status: views.Status) -> Updates:
        return self._set(status, running=False)

    def _set(self, status: views.Status, *, running: bool) -> Updates:
        return {
            self.status: status,
            self.start: gr.update(interactive=not running),
            self.stop: gr.update(interactive=running),
        }


def _job_buttons(name: str) -> _JobButtons:
    with gr.Row():
        start = gr.Button(name, variant="primary", elem_id=name.lower(), elem_classes="job")
        stop = gr.Button("Stop", interactive=False, elem_classes=["job", "job-stop"])
    return _JobButtons(start, stop, status_line(elem_id=f"{name.lower()}-status"))


def _download(label: str, elem_id: str) -> gr.DownloadButton:
    return gr.DownloadButton(label, interactive=False, elem_id=elem_id, elem_classes="job")


def _telling(buttons: _JobButtons, job: Job) -> Job:
    """Wraps a job so that every failure ends with words on the page, expected or not."""

    def run(*values: Any) -> Iterator[Updates]:
        yield buttons.busy()
        try:
            yield from job(*values)
        except LLMCompError as error:
            message = str(error)
            title = "That did not work"
        except Exception:
            reference = secrets.token_hex(3)
            _log.exception("unexpected error %s", reference)
            message = f"Something unexpected happened; it was logged as {reference}."
            title = "Our fault"
        else:
            return
        yield buttons.ended(views.failed(message))
        raise gr.Error(html.escape(message), title=title, print_exception=False)

    return run


def _settings() -> tuple[gr.Radio, gr.Radio]:
    chosen = (handlers.MODELS[0], "balanced")
    with gr.Accordion(views.settings_label(*chosen), open=False) as box:
        model = gr.Radio(handlers.MODELS, value=chosen[0], label="Model")
        preset = gr.Radio(handlers.PRESETS, value=chosen[1], label="Preset")

    def relabel(model_name: str, preset_name: str) -> Any:
        return gr.Accordion(label=views.settings_label(model_name, preset_name))

    gr.on(
        [model.change, preset.change],
        relabel,
        [model, preset],
        box,
        **_QUIET,
    )
    return model, preset


def _compress_tab(hero: Mapping[str, Any]) -> None:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            text = gr.Textbox(label="Your text", lines=5, max_lines=8, elem_id="text")
            file = gr.File(label="a file", height=110, elem_id="file", render=False)
            _chips(text, file)
            with gr.Accordion("Or a file instead of the text", open=False):
                file.render()
            buttons = _job_buttons("Compress")
            download = _download("Download the .llmc file", "download")
            model, preset = _settings()
            gr.Markdown(_PRIVACY, elem_classes="fineprint")
        with gr.Column(scale=5, min_width=300, elem_classes="seen"):
            view = linked_view(hero, elem_id="picture")
    bill = gr.HTML(elem_id="bill")
    as_text = gr.Textbox(
        label="The file as text (base64), to be pasted under Decompress",
        visible=False,
        interactive=False,
        buttons=["copy"],
        max_lines=3,
        elem_id="blob-text",
    )

    def job(*values: Any) -> Iterator[Updates]:
        yield {download: gr.update(interactive=False)}
        for value in handlers.compress(*values):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value)}
                continue
            encoded = base64.b64encode(value.blob).decode("ascii")
            short = len(encoded) <= _LONGEST_BASE64
            yield {
                **buttons.ended(views.finished(value)),
                view: value.message,
                bill: views.figures(value),
                download: gr.update(value=handlers.stash(value.name, value.blob), interactive=True),
                as_text: gr.update(value=encoded if short else "", visible=short),
            }

    _wire(
        buttons,
        job,
        inputs=[text, file, model, preset],
        outputs=[view, bill, download, as_text],
        name="compress",
    )


def _chips(text: gr.Textbox, file: gr.File) -> None:
    """Sample texts: one click fills the box and presses Compress, unless a job is running."""
    with gr.Row(elem_classes="chips"):
        for title, words in handlers.examples().items():
            chip = gr.Button(title, size="sm", variant="secondary")
            filled = chip.click(lambda words=words: (words, None), None, [text, file], **_QUIET)
            filled.then(None, js="() => document.querySelector('button#compress').click()")


def _decompress_tab() -> None:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            file = gr.File(
                label="A .llmc file", file_types=[".llmc"], height=150, elem_id="llmc-file"
            )
            with gr.Accordion("Or paste it as base64", open=False):
                pasted = gr.Textbox(show_label=False, label="base64", lines=3, elem_id="pasted")
            buttons = _job_buttons("Decode")
        with gr.Column(scale=5, min_width=280):
            text = gr.Textbox(
                label="What it says",
                lines=12,
                max_lines=24,
                interactive=False,
                buttons=["copy"],
                elem_id="decoded",
            )
            download = _download("Download the bytes", "download-bytes")

    def job(*values: Any) -> Iterator[Updates]:
        yield {text: "", download: gr.update(value=None, interactive=False)}
        for value in handlers.decompress(*values):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value)}
                continue
            shown = f"binary, {len(value.data):,} bytes" if value.text is None else value.text
            path = handlers.stash(value.name, value.data)
            yield {
                **buttons.ended(views.decoded(value)),
                text: shown,
                download: gr.update(value=path, interactive=True),
            }

    _wire(buttons, job, inputs=[file, pasted], outputs=[text, download], name="decompress")


def _wire(
    buttons: _JobButtons, job: Job, *, inputs: list[Any], outputs: list[Any], name: str
) -> None:
    """Connects start and stop to one job; all jobs share the model's lanes of work."""
    status = [buttons.status, buttons.start, buttons.stop]
    run = buttons.start.click(
        _telling(buttons, job),
        inputs,
        [*outputs, *status],
        show_progress="hidden",
        concurrency_id="model",
        concurrency_limit=_JOBS_AT_ONCE,
        api_name=name,
    )
    # Words only after the cancelling: before it, a late step of the job would write over them.
    buttons.stop.click(None, None, None, cancels=[run], **_QUIET).then(
        lambda: buttons.ended(views.stopped()), None, status, **_QUIET
    )


def build_demo(hero: Mapping[str, Any] | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
        hero: trace of the opening sentence; None compresses it now, so that the first page
            carries it and asks the server for nothing.
    """
    message = handlers.hero() if hero is None else hero
    with gr.Blocks(
        title="llmcomp: text as one number", analytics_enabled=False, delete_cache=(3600, 3600)
    ) as demo:
        gr.HTML(_HEAD, elem_id="page-head")
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Compress", id="compress"):
                _compress_tab(message)
            with gr.Tab("Decompress", id="decompress"):
                _decompress_tab()
    demo.queue(max_size=20)
    return demo


def launch_options() -> dict[str, Any]:
    """Returns what ``launch`` needs to show the page as it is meant, without any network."""
    theme = gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=_SYSTEM_FONTS, font_mono=_MONO_FONTS
    ).set(
        # the colours of words in the picture; gradio's own blue is too pale for white letters
        button_primary_background_fill="#0a5fa5",
        button_primary_background_fill_hover="#084a82",
        button_primary_background_fill_dark="#1c5a8c",
        button_primary_background_fill_hover_dark="#2670ab",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
    )
    return {
        "theme": theme,
        "css": script.style(),
        "head": script.head(),
        "max_file_size": handlers.MAX_BLOB_BYTES,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "state_session_capacity": 200,
    }
