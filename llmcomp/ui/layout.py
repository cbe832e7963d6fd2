"""The page: its tabs, and the options to launch it with.

In: nothing but the hero's trace. Out: a ``gr.Blocks``. What buttons do lives in ``handlers``, how
results look in ``views``, what pages share in ``widgets``; only these two and ``steer_page`` import
gradio.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import gradio as gr

from llmcomp.errors import LLMCompError
from llmcomp.space import offer
from llmcomp.steering.priors import PRIORS
from llmcomp.ui import handlers, jobs, presets, programs, script, steering, theatre, views
from llmcomp.ui.steer_page import steer_tab
from llmcomp.ui.widgets import (
    AT_WORK,
    QUIET,
    Say,
    Speaker,
    Start,
    Updates,
    download_button,
    drawn,
    epochs_slider,
    job_buttons,
    learning,
    levels_dropdown,
    linked_view,
    loss_curve,
    telling_programs,
    virtual_tokens_slider,
    wire,
)
from llmcomp.ui.words import Words

__all__ = ["build_demo", "launch_options"]

_LONGEST_SHARED = 30_000
"""Bytes of a file that the browser is given to copy, and to keep in its list."""

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


def _steering_settings(speaker: Speaker) -> _Wish:
    default, make = steering.Wish(), speaker.make
    kind = make(
        gr.Radio,
        {"label": "steering", "info": "steering_info"},
        choices=list(steering.KINDS),
        value=default.kind,
        elem_id="steer-kind",
    )
    return _Wish(
        kind,
        make(
            gr.Textbox, {"label": "string"}, value=default.text, visible=False, elem_id="steer-text"
        ),
        virtual_tokens_slider(speaker, default.n_virtual_tokens, visible=False),
        epochs_slider(speaker, default.epochs, visible=False),
        make(
            gr.Number, {"label": "seed"}, value=default.seed, precision=0, minimum=0, visible=False
        ),
        make(
            gr.Dropdown,
            {"label": "hyper_prior"},
            choices=list(PRIORS),
            value=default.prior,
            visible=False,
        ),
        levels_dropdown(speaker, default.levels, visible=False),
        make(gr.File, {"label": "steer_file"}, file_types=[".steer"], height=110, visible=False),
    )


def _settings(
    speaker: Speaker, text: gr.Textbox, file: gr.File
) -> tuple[gr.Dropdown, gr.Radio, _Wish]:
    chosen = {"model": handlers.MODELS[0], "preset": "balanced", "steer": "none"}
    label = Words("en")("settings", **chosen)
    with gr.Accordion(label, open=False, elem_id="settings") as box:
        model = _model_choice(speaker, text, file, chosen["model"])
        preset = speaker.make(
            gr.Radio,
            {"label": "preset", "info": "preset_info"},
            choices=list(handlers.PRESETS),
            value=chosen["preset"],
        )
        wish = _steering_settings(speaker)

    def relabel(language: str, model: str, preset: str, steer: str) -> Any:
        words = Words(language)
        return gr.Accordion(label=words("settings", model=model, preset=preset, steer=steer))

    asked = [speaker.language, model, preset, wish.kind]
    gr.on([part.change for part in asked], relabel, asked, box, **QUIET)
    wish.kind.change(wish.used, wish.kind, wish.parts[1:], **QUIET)
    return model, preset, wish


def _model_choice(speaker: Speaker, text: gr.Textbox, file: gr.File, chosen: str) -> gr.Dropdown:
    """A choice of models, and what the chosen one costs for the text at hand."""
    known = offer.offers(jobs.PLACE)

    def choices(words: Words) -> list[tuple[str, str]]:
        absent = words("model_not_here")
        return [(f"{o.name} ({absent})" if o.why_not else o.name, o.name) for o in known]

    said: dict[str, Say] = {"label": "model", "info": "model_info", "choices": choices}
    model = speaker.make(gr.Dropdown, said, value=chosen, elem_id="model")

    def priced(*values: Any) -> str:
        return html.escape(handlers.model_line(*values))

    line = gr.HTML(priced(chosen, "", None), elem_id="model-line", elem_classes="fineprint")

    gr.on([model.change, text.blur, file.change], priced, [model, text, file], line, **QUIET)
    return model


def _compress_tab(speaker: Speaker, hero: Mapping[str, Any]) -> None:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            text = speaker.make(
                gr.Textbox,
                {"label": "your_text", "placeholder": "placeholder"},
                lines=6,
                max_lines=8,
                elem_id="text",
            )
            with speaker.make(gr.Accordion, {"label": "or_file"}, open=False):
                file = speaker.make(gr.File, {"label": "a_file"}, height=110, elem_id="file")
            chips = _chips(speaker)
            buttons = job_buttons(speaker, "compress")
            download = download_button(speaker, "download_blob", "download")
            model, preset, wish = _settings(speaker, text, file)
            privacy = {"value": lambda words: words("privacy", **asdict(jobs.LIMITS))}
            speaker.make(gr.Markdown, privacy, elem_classes="fineprint")
        with gr.Column(scale=5, min_width=300, elem_classes="seen"):
            curve = loss_curve(elem_id="compress-curve")
            view = linked_view(hero, elem_id="picture")
    with gr.Row(elem_classes="below"):
        share = drawn(None, "sh-root", "mountShare", elem_id="share")
        history = drawn({"limit": _LONGEST_SHARED}, "hi-root", "mountHistory", elem_id="history")
    bill = gr.HTML(elem_id="bill")
    last = gr.State(None, time_to_live=3600)

    def told(result: handlers.Compression, words: Words) -> Updates:
        return {
            **buttons.ended(views.finished(result, words)),
            bill: views.figures(result, words),
        }

    def shown(result: handlers.Compression, words: Words) -> Updates:
        return {
            **told(result, words),
            last: replace(result, message={}),  # what it takes to say it in another language
            curve: None,
            view: views.picture(result, words),
            download: gr.update(value=handlers.stash(result.name, result.blob), interactive=True),
            share: _shared(result),
        }

    def job(words: Words, *values: Any) -> Iterator[Updates]:
        yield {download: gr.update(interactive=False), curve: None, last: None}
        typed, path, model_name, preset_name, *steer = values
        wished = steering.Wish(*steer)
        for value in handlers.compress(typed, path, model_name, preset_name, wished):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value, words)}
            elif isinstance(value, steering.Learning):
                yield learning(buttons, curve, value, words)
            else:
                yield {**shown(value, words), history: _shared(value)}

    outputs = [view, curve, bill, download, share, history, last]
    runs = wire(
        speaker,
        buttons,
        [Start(buttons.start, job, [text, file, model, preset, *wish.parts])],
        outputs=outputs,
        stopped=lambda words: {**buttons.ended(views.stopped(words)), curve: None},
    )

    def sample(chip: str, language: str) -> Updates:
        words = Words(language)
        try:
            data, result = presets.stored(chip, words.language)
        except LLMCompError as error:
            return buttons.ended(views.failed(views.why(error, words)))
        typed = handlers.as_text(data)
        path = handlers.stash(f"{chip}.bin", data) if typed is None else None
        return {text: typed or "", file: path, **shown(result, words)}

    speaker.language.input(
        lambda result, language: told(result, Words(language)) if result else {bill: ""},
        [last, speaker.language],
        [bill, *buttons.parts],
        **QUIET,
    )
    for chip, button in chips.items():
        # a job that is running would write over what is stored
        button.click(None, None, None, cancels=runs, **QUIET).then(
            lambda language, chip=chip: sample(chip, language),
            [speaker.language],
            [text, file, *outputs, *buttons.parts],
            **QUIET,
        ).then(None, js=f"() => window.llmcomp.visit({{ preset: '{chip}' }})")


def _shared(result: handlers.Compression) -> dict[str, Any]:
    """What the browser gets to copy and to keep: the file, if it is short enough for that."""
    short = len(result.blob) <= _LONGEST_SHARED
    return {
        "name": result.name,
        "raw": result.sizes["raw"],
        "size": len(result.blob),
        "limit": _LONGEST_SHARED,
        "blob": base64.b64encode(result.blob).decode("ascii") if short else "",
    }


def _chips(speaker: Speaker) -> dict[str, gr.Button]:
    """Makes a button for every sample text."""
    with gr.Row(elem_classes="chips"):
        return {
            chip: speaker.make(
                gr.Button, {"value": f"chip_{chip}"}, size="sm", elem_id=f"preset-{chip}"
            )
            for chip in presets.CHIPS
        }


def _decompress_tab(speaker: Speaker) -> gr.Textbox:
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            file = speaker.make(
                gr.File,
                {"label": "llmc_file"},
                file_types=[".llmc"],
                height=150,
                elem_id="llmc-file",
            )
            pasted = speaker.make(
                gr.Textbox,
                {"label": "or_paste", "placeholder": "pasted"},
                lines=3,
                max_lines=3,
                elem_id="pasted",
            )
            buttons = job_buttons(speaker, "decode")
        with gr.Column(scale=5, min_width=280):
            text = speaker.make(
                gr.Textbox,
                {"label": "says"},
                lines=12,
                max_lines=24,
                interactive=False,
                buttons=["copy"],
                elem_id="decoded",
            )
            download = download_button(speaker, "download_bytes", "download-bytes")
            view = linked_view(elem_id="theatre")

    # the newer of the two is meant
    pasted.change(None, [pasted, file], file, js="(text, file) => (text ? null : file)", **QUIET)
    file.upload(None, None, pasted, js="() => ''", **QUIET)

    def job(words: Words, *values: Any) -> Iterator[Updates]:
        yield {text: "", view: None, download: gr.update(value=None, interactive=False)}
        for value in handlers.decompress(*values):
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value, words)}
                continue
            if isinstance(value, theatre.Piece):
                yield {view: value.message}
                continue
            binary = words("binary", n=len(value.data))
            yield {
                **buttons.ended(views.decoded(value, words)),
                text: binary if value.text is None else value.text,
                view: value.message,
                download: gr.update(value=handlers.stash(value.name, value.data), interactive=True),
            }

    wire(
        speaker,
        buttons,
        [Start(buttons.start, job, [file, pasted])],
        outputs=[text, view, download],
        stopped=lambda words: buttons.ended(views.stopped(words)),
    )
    return pasted


def _about(speaker: Speaker) -> None:
    said = {"value": lambda words: words("about_text", **asdict(jobs.LIMITS))}
    with speaker.make(gr.Accordion, {"label": "about"}, open=False, elem_id="about"):
        speaker.make(gr.Markdown, said)
        if jobs.PLACE.public:
            speaker.make(gr.DuplicateButton, {"value": "duplicate"}, elem_id="duplicate")


def build_demo(hero: Mapping[str, Any] | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
        hero: trace of the opening sentence; by default the stored ones, so that the first page
            carries it in every language and asks the server for nothing.
    """
    message = presets.hero() if hero is None else hero
    with gr.Blocks(
        title=Words("en")("title"), analytics_enabled=False, delete_cache=(300, 3300)
    ) as demo:
        with gr.Row(elem_id="page-head"):
            drawn(None, "he-root", "mountHead")
            speaker = Speaker()
        with gr.Tabs(overflow_behavior="wrap") as tabs:
            with _tab(speaker, "compress"):
                _compress_tab(speaker, message)
            with _tab(speaker, "decompress"):
                pasted = _decompress_tab(speaker)
            with _tab(speaker, "steer"):
                steer_tab(speaker)
        _about(speaker)
        for call in (programs.compress_text, programs.decompress_text):
            # a program's jobs wait in the same line as the page's
            gr.api(telling_programs(call), api_name=call.__name__, **AT_WORK)
        gr.api(programs.list_models, queue=False)
        said = speaker.parts
        speaker.language.input(
            speaker.updates,
            [speaker.language],
            said,
            js="(language) => window.llmcomp.speak(language)",
            **QUIET,
        )
        demo.load(
            speaker.updates,
            [speaker.language],
            said,
            js="() => window.llmcomp.spoken()",
            **QUIET,
        ).then(None, None, [tabs, pasted], js="() => window.llmcomp.arrive()")
    demo.queue(max_size=jobs.LIMITS.queue)
    return demo


def _tab(speaker: Speaker, name: str) -> gr.Tab:
    tab = speaker.make(gr.Tab, {"label": f"tab_{name}"}, id=name, elem_id=f"tab-{name}")
    tab.select(None, js=f"() => window.llmcomp.visit({{ tab: '{name}' }})")
    return tab


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
        "head": script.head(),
        "max_file_size": handlers.MAX_BLOB_BYTES,
        "footer_links": ["api", "settings"],
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": True,
        "ssr_mode": os.environ.get("GRADIO_SSR_MODE", "").lower() == "true",
        "state_session_capacity": jobs.LIMITS.sessions,
    }
