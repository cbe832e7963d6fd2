"""The page: its tabs, and the options to launch it with.

In: nothing but the hero's trace. Out: a ``gr.Blocks``. What buttons do lives in ``handlers``, how
results look in ``views``, what pages share in ``widgets``; only these two and ``steer_page`` import
gradio.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.steering.priors import PRIORS
from llmcomp.ui import handlers, script, steering, theatre, views
from llmcomp.ui.steer_page import steer_tab
from llmcomp.ui.widgets import (
    QUIET,
    Start,
    Updates,
    download_button,
    epochs_slider,
    job_buttons,
    learning,
    levels_dropdown,
    linked_view,
    loss_curve,
    virtual_tokens_slider,
    wire,
)

__all__ = ["build_demo", "launch_options"]

_HEAD = (
    '<a class="lv-skip" href="#picture">Skip to the picture</a>'
    "<h1>llmcomp</h1><p>This sentence is one number between 0 and 1.</p>"
)
_PRIVACY = (
    f"At most {handlers.MAX_INPUT_BYTES:,} bytes. Files are deleted from the server within an "
    "hour; nothing is kept or counted."
)
_LONGEST_BASE64 = 4000  # characters; beyond, copying text is no longer the easy way
_SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONTS = ("ui-monospace", "Consolas", "DejaVu Sans Mono", "monospace")


@dataclass(frozen=True)
class _Wish:
    """The widgets behind a `steering.Wish`, in the order of its fields."""

    kind: gr.Radio
    text: gr.Textbox
    n_virtual_tokens: gr.Slider
    epochs: gr.Slider
    seed: gr.Number
    prior: gr.Dropdown
    levels: gr.Dropdown
    path: gr.File

    @property
    def parts(self) -> list[Any]:
        """All widgets."""
        return [
            self.kind,
            self.text,
            self.n_virtual_tokens,
            self.epochs,
            self.seed,
            self.prior,
            self.levels,
            self.path,
        ]

    def used(self, kind: str) -> list[Any]:
        """Those that a kind has a use for, shown or hidden."""
        coded, noise = kind in {"trained", "file"}, kind in {"random", "trained", "auto"}
        shown = {
            self.text: kind in {"text", "auto"},
            self.n_virtual_tokens: noise,
            self.epochs: kind in {"trained", "auto"},
            self.seed: noise,
            self.prior: coded,
            self.levels: coded,
            self.path: kind == "file",
        }
        return [gr.update(visible=visible) for visible in shown.values()]


def _steering_settings() -> _Wish:
    default = steering.Wish()
    kind = gr.Radio(
        steering.KINDS,
        value=default.kind,
        label="Steering: in front of the text",
        info="Its bits are in the file. On a short text it seldom pays; auto keeps the smallest.",
        elem_id="steer-kind",
    )
    return _Wish(
        kind,
        gr.Textbox(default.text, label="String", visible=False, elem_id="steer-text"),
        virtual_tokens_slider(default.n_virtual_tokens, visible=False),
        epochs_slider(default.epochs, visible=False),
        gr.Number(default.seed, label="Seed", precision=0, minimum=0, visible=False),
        gr.Dropdown(list(PRIORS), value=default.prior, label="Hyper-prior", visible=False),
        levels_dropdown(default.levels, visible=False),
        gr.File(label="A .steer file", file_types=[".steer"], height=110, visible=False),
    )


def _settings() -> tuple[gr.Radio, gr.Radio, _Wish]:
    chosen = (handlers.MODELS[0], "balanced")
    with gr.Accordion(views.settings_label(*chosen, "none"), open=False, elem_id="settings") as box:
        model = gr.Radio(handlers.MODELS, value=chosen[0], label="Model")
        preset = gr.Radio(handlers.PRESETS, value=chosen[1], label="Preset")
        wish = _steering_settings()

    def relabel(*values: str) -> Any:
        return gr.Accordion(label=views.settings_label(*values))

    gr.on(
        [model.change, preset.change, wish.kind.change],
        relabel,
        [model, preset, wish.kind],
        box,
        **QUIET,
    )
    wish.kind.change(wish.used, wish.kind, wish.parts[1:], **QUIET)
    return model, preset, wish


def _compress_tab(hero: Mapping[str, Any]) -> None:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            text = gr.Textbox(label="Your text", lines=5, max_lines=8, elem_id="text")
            file = gr.File(label="a file", height=110, elem_id="file", render=False)
            _chips(text, file)
            with gr.Accordion("Or a file instead of the text", open=False):
                file.render()
            buttons = job_buttons("Compress")
            download = download_button("Download the .llmc file", "download")
            model, preset, wish = _settings()
            gr.Markdown(_PRIVACY, elem_classes="fineprint")
        with gr.Column(scale=5, min_width=300, elem_classes="seen"):
            curve = loss_curve(elem_id="compress-curve")
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
        yield {download: gr.update(interactive=False), curve: None}
        words, path, model_name, preset_name, *steer = values
        wished = steering.Wish(*steer)
        for value in handlers.compress(words, path, model_name, preset_name, wished):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value)}
                continue
            if isinstance(value, steering.Learning):
                yield learning(buttons, curve, value)
                continue
            encoded = base64.b64encode(value.blob).decode("ascii")
            short = len(encoded) <= _LONGEST_BASE64
            yield {
                **buttons.ended(views.finished(value)),
                curve: None,
                view: value.message,
                bill: views.figures(value),
                download: gr.update(value=handlers.stash(value.name, value.blob), interactive=True),
                as_text: gr.update(value=encoded if short else "", visible=short),
            }

    wire(
        buttons,
        [Start(buttons.start, job, [text, file, model, preset, *wish.parts], "compress")],
        outputs=[view, curve, bill, download, as_text],
        stopped=lambda: {**buttons.ended(views.stopped()), curve: None},
    )


def _chips(text: gr.Textbox, file: gr.File) -> None:
    """Sample texts: one click fills the box and presses Compress, unless a job is running."""
    with gr.Row(elem_classes="chips"):
        for title, words in handlers.examples().items():
            chip = gr.Button(title, size="sm", variant="secondary")
            filled = chip.click(lambda words=words: (words, None), None, [text, file], **QUIET)
            filled.then(None, js="() => document.querySelector('button#compress').click()")


def _decompress_tab() -> None:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            file = gr.File(
                label="A .llmc file", file_types=[".llmc"], height=150, elem_id="llmc-file"
            )
            with gr.Accordion("Or paste it as base64", open=False):
                pasted = gr.Textbox(show_label=False, label="base64", lines=3, elem_id="pasted")
            buttons = job_buttons("Decode")
        with gr.Column(scale=5, min_width=280):
            text = gr.Textbox(
                label="What it says",
                lines=12,
                max_lines=24,
                interactive=False,
                buttons=["copy"],
                elem_id="decoded",
            )
            download = download_button("Download the bytes", "download-bytes")
            view = linked_view(elem_id="theatre")

    def job(*values: Any) -> Iterator[Updates]:
        yield {text: "", view: None, download: gr.update(value=None, interactive=False)}
        for value in handlers.decompress(*values):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value)}
                continue
            if isinstance(value, theatre.Piece):
                yield {view: value.message}
                continue
            shown = f"binary, {len(value.data):,} bytes" if value.text is None else value.text
            path = handlers.stash(value.name, value.data)
            yield {
                **buttons.ended(views.decoded(value)),
                text: shown,
                view: value.message,
                download: gr.update(value=path, interactive=True),
            }

    start = Start(buttons.start, job, [file, pasted], "decompress")
    wire(buttons, [start], outputs=[text, view, download])


def build_demo(hero: Mapping[str, Any] | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
        hero: trace of the opening sentence; None compresses it now, so that the first page
            carries it and asks the server for nothing.
    """
    message = handlers.hero() if hero is None else hero
    with gr.Blocks(
        title="llmcomp: text as one number", analytics_enabled=False, delete_cache=(300, 3300)
    ) as demo:
        gr.HTML(_HEAD, elem_id="page-head")
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Compress", id="compress"):
                _compress_tab(message)
            with gr.Tab("Decompress", id="decompress"):
                _decompress_tab()
            with gr.Tab("Steer", id="steer"):
                steer_tab()
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
        block_info_text_color="*neutral_600",
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
