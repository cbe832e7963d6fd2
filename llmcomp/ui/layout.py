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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.errors import LLMCompError
from llmcomp.evaluate import charts, steering_study
from llmcomp.steering.kinds import DEFAULT_TEXT
from llmcomp.steering.priors import PRIORS
from llmcomp.ui import handlers, script, steering, steering_views, views

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
_STEER_INTRO = (
    "<p>Does advice pay for itself? A string, noise, or vectors trained on your text can stand in "
    "front of it and make the model guess better. But whoever decodes needs them too, so they are "
    "in the file and in its bill.</p>"
)
_STEER_OUTLINE = (
    "<p>Make a prediction, press Run, and here will stand:</p><ol><li>the loss of the training, "
    "live, beside the loss without a prompt;</li><li>the bill: every bit of every choice, text, "
    "prompt, metadata and envelope;</li><li>how long a text must be for each choice to pay;</li>"
    "<li>a table of everything, and what <b>auto</b> would choose;</li><li>bits of the prompt "
    "against its error, and what that does to the text.</li></ol>"
    f"<p>At most {steering.MAX_STEERED_BYTES:,} bytes of text. What is trained is yours alone and "
    "is forgotten within an hour.</p>"
)
_STEER_TEXT = next((t for t in handlers.examples().values() if len(t) > 300), "")
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


def loss_curve(**rest: Any) -> gr.HTML:
    """Makes the loss of a training; its value is a message of ``steering_views.curve``."""
    return _drawn(None, "ls-root", "mountCurve", **rest)


@dataclass(frozen=True)
class _JobButtons:
    """What every job has: the button that starts it, the one that stops it, its status.

    Some have more ways to start, of which one at a time may run.
    """

    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    more: tuple[gr.Button, ...] = ()

    @property
    def parts(self) -> list[Any]:
        """Everything an update may concern."""
        return [self.status, self.start, self.stop, *self.more]

    def busy(self) -> Updates:
        return self._set(views.starting(), running=True)

    def ended(self, status: views.Status) -> Updates:
        return self._set(status, running=False)

    def _set(self, status: views.Status, *, running: bool) -> Updates:
        return {
            self.status: status,
            **{button: gr.update(interactive=not running) for button in (self.start, *self.more)},
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
        _virtual_tokens(default.n_virtual_tokens, visible=False),
        _epochs(default.epochs, visible=False),
        gr.Number(default.seed, label="Seed", precision=0, minimum=0, visible=False),
        gr.Dropdown(list(PRIORS), value=default.prior, label="Hyper-prior", visible=False),
        _levels(default.levels, visible=False),
        gr.File(label="A .steer file", file_types=[".steer"], height=110, visible=False),
    )


def _virtual_tokens(value: int, **rest: Any) -> gr.Slider:
    return gr.Slider(1, 64, value=value, step=1, label="Virtual tokens", **rest)


def _epochs(value: int, **rest: Any) -> gr.Slider:
    limit = f"Bytes of text × epochs: at most {steering.MAX_TRAINED_BYTES:,}."
    return gr.Slider(1, 100, value=value, step=1, label="Epochs of training", info=limit, **rest)


def _levels(value: int, **rest: Any) -> gr.Dropdown:
    return gr.Dropdown(list(steering.LEVELS), value=value, label="Levels of the quantiser", **rest)


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
        **_QUIET,
    )
    wish.kind.change(wish.used, wish.kind, wish.parts[1:], **_QUIET)
    return model, preset, wish


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
                yield _learning(buttons, curve, value)
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

    _wire(
        buttons,
        [_Start(buttons.start, job, [text, file, model, preset, *wish.parts], "compress")],
        outputs=[view, curve, bill, download, as_text],
        stopped=lambda: {**buttons.ended(views.stopped()), curve: None},
    )


def _learning(buttons: _JobButtons, curve: gr.HTML, value: steering.Learning) -> Updates:
    return {buttons.status: steering_views.training(value), curve: steering_views.curve(value)}


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

    start = _Start(buttons.start, job, [file, pasted], "decompress")
    _wire(buttons, [start], outputs=[text, download])


@dataclass(frozen=True)
class _Start:
    """One way to start a job: its button, what it does with which inputs, its public name."""

    button: gr.Button
    job: Job
    inputs: list[Any]
    name: str | None = None


def _wire(
    buttons: _JobButtons,
    starts: Sequence[_Start],
    *,
    outputs: list[Any],
    kept: gr.State | None = None,
    stopped: Callable[..., Updates] | None = None,
) -> None:
    """Connects starts and stop to jobs; all jobs share the model's lanes of work.

    Args:
        buttons: the job's.
        starts: every way to start it.
        outputs: what it may update beside its buttons.
        kept: what a stopped job leaves behind, if anything.
        stopped: shows that.
    """
    runs = [
        start.button.click(
            _telling(buttons, start.job),
            start.inputs,
            [*outputs, *buttons.parts],
            show_progress="hidden",
            concurrency_id="model",
            concurrency_limit=_JOBS_AT_ONCE,
            # what works on a visitor's own session is of no use to a program
            api_visibility="public" if start.name else "private",
            api_name=start.name,
        )
        for start in starts
    ]
    # Words only after the cancelling: before it, a late step of the job would write over them.
    buttons.stop.click(None, None, None, cancels=runs, **_QUIET).then(
        stopped or (lambda: buttons.ended(views.stopped())),
        kept,
        [*outputs, *buttons.parts],
        **_QUIET,
    )


@dataclass(frozen=True)
class _Results:
    """Everything on the Steer page that a run fills."""

    kept: gr.State
    outline: gr.Column
    verdict: gr.HTML
    curve: gr.HTML
    figures: gr.Column
    closer: gr.Radio
    bill: gr.Plot
    bill_words: gr.HTML
    even: gr.Plot
    even_words: gr.HTML
    table: gr.HTML
    rate: gr.Plot
    rate_words: gr.HTML
    prompt: gr.DownloadButton
    blob: gr.DownloadButton

    @property
    def parts(self) -> list[Any]:
        """All of them; a choice of the visitor's is left alone."""
        return [
            self.kept,
            self.outline,
            self.verdict,
            self.curve,
            self.figures,
            self.bill,
            self.bill_words,
            self.even,
            self.even_words,
            self.table,
            self.rate,
            self.rate_words,
            self.prompt,
            self.blob,
        ]

    def cleared(self) -> Updates:
        """What stands there before a run."""
        return {
            self.outline: gr.update(visible=False),
            self.verdict: "",
            self.curve: None,
            self.figures: gr.update(visible=False),
            self.prompt: gr.update(value=None, interactive=False),
            self.blob: gr.update(value=None, interactive=False),
        }

    def bars(self, session: steering.Session, scale: str) -> Updates:
        """The bill at a scale."""
        rows, closer = steering_views.of_charts(session), scale == _CLOSER
        return {
            self.bill: charts.bills(rows, closer=closer) if rows else None,
            self.bill_words: steering_views.bill_caption(rows, closer=closer) if rows else "",
        }

    def shown(self, session: steering.Session, prediction: str | None, scale: str) -> Updates:
        """What was measured so far."""
        if not session.rows:
            return {self.kept: session}
        rows = steering_views.of_charts(session)
        return {
            self.kept: session,
            self.figures: gr.update(visible=True),
            self.verdict: steering_views.verdict(prediction, session.honest),
            **self.bars(session, scale),
            self.even: charts.break_even(rows),
            self.even_words: steering_views.even_caption(rows),
            self.table: steering_views.table(session.honest),
            self.rate: charts.rate_distortion(session.honest, session.twins),
            self.rate_words: steering_views.rate_caption(session),
        }

    def download(self, session: steering.Session | None) -> Updates:
        """The trained prompt, if there is one."""
        if session is None or not session.prompt:
            return {self.prompt: gr.update(value=None, interactive=False)}
        path = handlers.stash(f"{session.name}.steer", session.prompt)
        return {self.prompt: gr.update(value=path, interactive=True)}


_CLOSER = "look closer"


def _steer_tab() -> None:
    default = steering.Experiment("", None, handlers.MODELS[0])
    kept = gr.State(None, time_to_live=3600)
    gr.HTML(_STEER_INTRO, elem_classes="steer-intro")
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            prediction = gr.Radio(
                steering_views.PREDICTIONS,
                label="Predict: will a trained prompt make this file smaller, all bits counted?",
                elem_id="predict",
            )
            text = gr.Textbox(
                _STEER_TEXT, label="Your text", lines=4, max_lines=6, elem_id="steered-text"
            )
            with gr.Accordion("Or a file instead of the text", open=False):
                file = gr.File(label="a file", height=110, elem_id="steered-file")
            buttons, again, sweep = _steer_buttons()
            work = gr.HTML(
                _work(_STEER_TEXT, None, default.epochs, default.priors, default.string, None),
                elem_classes="fineprint",
                elem_id="steer-work",
            )
            prompt = _download("Download the prompt (.steer)", "download-steer")
            blob = _download("Download the smallest steered file", "download-steered")
            n_virtual_tokens = _virtual_tokens(default.n_virtual_tokens)
            epochs = _epochs(default.epochs, elem_id="steer-epochs")
            priors = gr.CheckboxGroup(
                list(PRIORS), value=list(default.priors), label="Hyper-priors of the trained prompt"
            )
            with gr.Accordion("More: model, levels, string, a .steer file …", open=False):
                model = gr.Radio(handlers.MODELS, value=default.model, label="Model")
                levels = _levels(default.levels)
                rate = gr.Number(default.learning_rate, label="Learning rate", minimum=0)
                seed = gr.Number(default.seed, label="Seed", precision=0, minimum=0)
                string = gr.Textbox(DEFAULT_TEXT, label="String; empty for none")
                steer_file = gr.File(
                    label="A .steer file, in place of training",
                    file_types=[".steer"],
                    height=110,
                    elem_id="steer-file",
                )
        with gr.Column(scale=5, min_width=300):
            with gr.Column(elem_id="steer-outline") as outline:
                gr.HTML(_STEER_OUTLINE, elem_classes="steer-intro")
                _published_experiment()
            verdict = gr.HTML(elem_id="verdict")
            curve = loss_curve(elem_id="steer-curve")
            with gr.Column(visible=False, elem_id="steer-results") as figures:
                gr.HTML("<h3>The bill of every choice</h3>")
                closer = gr.Radio(
                    ["to scale", _CLOSER], value="to scale", show_label=False, elem_id="closer"
                )
                bill, bill_words = _figure("steer-bill")
                gr.HTML("<h3>How long must a text be?</h3>")
                even, even_words = _figure("steer-even")
                table = gr.HTML(elem_id="steer-table")
                gr.HTML("<h3>Bits of the prompt against its error, and what that does</h3>")
                with gr.Row():
                    sweep.render()
                    half_bin = gr.Checkbox(
                        label="also with system 000's half-bin error", elem_id="half-bin"
                    )
                drawn, rate_words = _figure("steer-rate")
    results = _Results(
        kept,
        outline,
        verdict,
        curve,
        figures,
        closer,
        bill,
        bill_words,
        even,
        even_words,
        table,
        drawn,
        rate_words,
        prompt,
        blob,
    )
    asked = [text, file, model, n_virtual_tokens, epochs, rate, seed, priors, levels, string]
    asked.append(steer_file)
    chosen = [prediction, closer]
    _wire_steer(buttons, results, (again, sweep), asked, chosen, [kept, priors, half_bin])
    gr.on(
        [text.blur, file.change, epochs.change, priors.change, string.blur, steer_file.change],
        _work,
        [text, file, epochs, priors, string, steer_file],
        work,
        **_QUIET,
    )


def _published_experiment() -> None:
    """The stored experiment, so that the page says something before any click."""
    rows = steering_study.stored()
    if not rows:
        return
    gr.HTML("<h3>Until then: system 000's experiment, made again with this model</h3>")
    _figure("published-bill", charts.bills(rows), steering_views.published_caption(rows))


def _steer_buttons() -> tuple[_JobButtons, gr.Button, gr.Button]:
    """Run and Stop here; Measure again below them, Sweep beside its figure."""
    with gr.Row():
        start = gr.Button("Run", variant="primary", elem_id="run", elem_classes="job")
        stop = gr.Button("Stop", interactive=False, elem_classes=["job", "job-stop"])
    again = gr.Button(
        "Measure again with this prompt", elem_id="again", elem_classes="job", interactive=False
    )
    sweep = gr.Button(
        "Sweep the levels", elem_id="sweep", elem_classes="job", interactive=False, render=False
    )
    status = status_line(elem_id="steer-status")
    return _JobButtons(start, stop, status, (again, sweep)), again, sweep


def _figure(name: str, figure: Any = None, words: str = "") -> tuple[gr.Plot, gr.HTML]:
    plot = gr.Plot(figure, show_label=False, container=False, elem_id=name, elem_classes="plot")
    return plot, gr.HTML(words, elem_id=f"{name}-words")


def _work(*values: Any) -> str:
    return html.escape(steering.work(*values))


def _wire_steer(
    buttons: _JobButtons,
    results: _Results,
    more: tuple[gr.Button, gr.Button],
    asked: list[Any],
    chosen: list[Any],
    swept: list[Any],
) -> None:
    """Connects Run, Measure again, Sweep and Stop; all of them fill the same results."""
    n_asked = len(asked)

    def follow(job: Iterator[Any], prediction: str | None, scale: str) -> Iterator[Updates]:
        session, blob = None, {}
        for value in job:
            if isinstance(value, handlers.Working):
                yield {buttons.status: views.working(value)}
            elif isinstance(value, steering.Learning):
                yield _learning(buttons, results.curve, value)
            elif isinstance(value, steering.Session):
                session = value
                yield results.shown(session, prediction, scale)
            else:
                path = handlers.stash(value.name, value.blob)
                blob = {results.blob: gr.update(value=path, interactive=True)}
        if session is not None:
            ended = buttons.ended(steering_views.measured(session))
            yield {**ended, **results.download(session), **blob}

    def run(*values: Any) -> Iterator[Updates]:
        yield {**results.cleared(), results.kept: None}
        experiment = steering.Experiment(*values[:n_asked])
        yield from follow(steering.run(experiment), *values[n_asked:])

    def again(kept: steering.Session | None, *values: Any) -> Iterator[Updates]:
        yield {results.verdict: "", results.blob: gr.update(value=None, interactive=False)}
        experiment = steering.Experiment(*values[:n_asked])
        yield from follow(steering.again(experiment, kept), *values[n_asked:])

    def sweep(
        prediction: str | None,
        scale: str,
        kept: steering.Session | None,
        priors: Sequence[str],
        half_bin: bool,
    ) -> Iterator[Updates]:
        yield from follow(steering.sweep(kept, priors, half_bin), prediction, scale)

    def stopped(kept: steering.Session | None) -> Updates:
        return {**buttons.ended(steering_views.stopped(kept)), **results.download(kept)}

    def scaled(kept: steering.Session | None, scale: str) -> Updates:
        return results.bars(kept, scale) if kept else {}

    _wire(
        buttons,
        [
            _Start(buttons.start, run, [*asked, *chosen], "steer"),
            _Start(more[0], again, [results.kept, *asked, *chosen]),
            _Start(more[1], sweep, [*chosen, *swept]),
        ],
        outputs=results.parts,
        kept=results.kept,
        stopped=stopped,
    )
    results.closer.change(
        scaled, [results.kept, results.closer], [results.bill, results.bill_words], **_QUIET
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
            with gr.Tab("Steer", id="steer"):
                _steer_tab()
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
