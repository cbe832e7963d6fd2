"""The Steer page: an experiment, not a form.

In: what a visitor predicts and chooses. Out: figures, a table and files from `Session` values that
are his alone. What is measured lives in ``steering``, how it reads in ``steering_views``.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.evaluate import steering_study
from llmcomp.steering.kinds import DEFAULT_TEXT
from llmcomp.steering.priors import PRIORS
from llmcomp.ui import charts, handlers, presets, steering, steering_views, views
from llmcomp.ui.widgets import (
    QUIET,
    JobButtons,
    Speaker,
    Start,
    Updates,
    download_button,
    epochs_slider,
    learning,
    levels_dropdown,
    loss_curve,
    status_line,
    virtual_tokens_slider,
    wire,
)
from llmcomp.ui.words import Words

__all__ = ["steer_tab"]

_OUTLINE = 5  # points of what a run will show

_STEER_TEXT = presets.example("prose")


def _intro(words: Words) -> str:
    return f"<p>{html.escape(words('steer_intro'))}</p>"


def _outline(words: Words) -> str:
    points = (html.escape(words(f"steer_outline_{n}")) for n in range(1, _OUTLINE + 1))
    limit = html.escape(words("steer_limit", limit=steering.MAX_STEERED_BYTES))
    listed = "".join(f"<li>{point}</li>" for point in points)
    return f"<p>{html.escape(words('steer_first'))}</p><ol>{listed}</ol><p>{limit}</p>"


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

    def bars(self, session: steering.Session, scale: str, words: Words) -> Updates:
        """The bill at a scale."""
        rows, closer = steering_views.of_charts(session), scale == _CLOSER
        return {
            self.bill: charts.bills(rows, words, closer=closer),
            self.bill_words: steering_views.bill_caption(rows, words, closer=closer),
        }

    def said(
        self, session: steering.Session, prediction: str | None, scale: str, words: Words
    ) -> Updates:
        """All that is drawn and said of what was measured, in a language."""
        if not session.rows:
            return {self.verdict: ""}
        rows = steering_views.of_charts(session)
        return {
            self.verdict: steering_views.verdict(prediction, session.honest, words),
            **self.bars(session, scale, words),
            self.even: charts.break_even(rows, words),
            self.even_words: steering_views.even_caption(rows, words),
            self.table: steering_views.table(session.honest, words),
            self.rate: charts.rate_distortion(session.honest, words, session.twins),
            self.rate_words: steering_views.rate_caption(session, words),
        }

    def shown(
        self, session: steering.Session, prediction: str | None, scale: str, words: Words
    ) -> Updates:
        """What was measured so far; nothing of an earlier run stands beside it."""
        measured = bool(session.rows)
        empty = {} if measured else {self.blob: gr.update(value=None, interactive=False)}
        return {
            self.kept: session,
            self.figures: gr.update(visible=measured),
            **self.said(session, prediction, scale, words),
            **empty,
        }

    def download(self, session: steering.Session | None) -> Updates:
        """The trained prompt, if there is one."""
        if session is None or not session.prompt:
            return {self.prompt: gr.update(value=None, interactive=False)}
        path = handlers.stash(f"{session.name}.steer", session.prompt)
        return {self.prompt: gr.update(value=path, interactive=True)}


_TRUE, _CLOSER = "true", "closer"


def _predictions(words: Words) -> list[tuple[str, str]]:
    return [(words(f"predict: {answer}"), answer) for answer in steering_views.PREDICTIONS]


def _scales(words: Words) -> list[tuple[str, str]]:
    return [(words(f"scale_{scale}"), scale) for scale in (_TRUE, _CLOSER)]


def _heading(speaker: Speaker, key: str) -> gr.HTML:
    return speaker.make(gr.HTML, {"value": lambda words: f"<h3>{html.escape(words(key))}</h3>"})


def steer_tab(speaker: Speaker) -> None:
    """Makes the page inside the open tab.

    Args:
        speaker: says everything in the visitor's language.
    """
    default, make = steering.Experiment("", None, handlers.MODELS[0]), speaker.make
    kept = gr.State(None, time_to_live=3600)
    make(gr.HTML, {"value": _intro}, elem_classes="steer-intro")
    with gr.Row(elem_classes="work"):
        with gr.Column(scale=2, min_width=280, elem_classes="asked"):
            prediction = make(
                gr.Radio, {"label": "predict", "choices": _predictions}, elem_id="predict"
            )
            text = make(
                gr.Textbox,
                {"label": "your_text"},
                value=_STEER_TEXT,
                lines=4,
                max_lines=6,
                elem_id="steered-text",
            )
            with make(gr.Accordion, {"label": "or_file"}, open=False):
                file = make(gr.File, {"label": "a_file"}, height=110, elem_id="steered-file")
            buttons, again, sweep = _steer_buttons(speaker)
            work = gr.HTML(
                _work(
                    _STEER_TEXT,
                    None,
                    default.epochs,
                    default.priors,
                    default.string,
                    None,
                    speaker.language.value,
                ),
                elem_classes="fineprint",
                elem_id="steer-work",
            )
            prompt = download_button(speaker, "download_steer", "download-steer")
            blob = download_button(speaker, "download_steered", "download-steered")
            n_virtual_tokens = virtual_tokens_slider(speaker, default.n_virtual_tokens)
            epochs = epochs_slider(speaker, default.epochs, elem_id="steer-epochs")
            priors = make(
                gr.CheckboxGroup,
                {"label": "priors"},
                choices=list(PRIORS),
                value=list(default.priors),
            )
            with make(gr.Accordion, {"label": "steer_more"}, open=False):
                model = make(
                    gr.Radio,
                    {"label": "model"},
                    choices=list(handlers.MODELS),
                    value=default.model,
                )
                levels = levels_dropdown(speaker, default.levels)
                rate = make(
                    gr.Number, {"label": "learning_rate"}, value=default.learning_rate, minimum=0
                )
                seed = make(
                    gr.Number, {"label": "seed"}, value=default.seed, precision=0, minimum=0
                )
                string = make(gr.Textbox, {"label": "string_or_none"}, value=DEFAULT_TEXT)
                steer_file = make(
                    gr.File,
                    {"label": "steer_file_used"},
                    file_types=[".steer"],
                    height=110,
                    elem_id="steer-file",
                )
        with gr.Column(scale=5, min_width=300):
            with gr.Column(elem_id="steer-outline") as outline:
                make(gr.HTML, {"value": _outline}, elem_classes="steer-intro")
                _published_experiment(speaker)
            verdict = gr.HTML(elem_id="verdict")
            curve = loss_curve(elem_id="steer-curve")
            with gr.Column(visible=False, elem_id="steer-results") as figures:
                _heading(speaker, "bills_title")
                closer = make(
                    gr.Radio,
                    {"choices": _scales},
                    value=_TRUE,
                    show_label=False,
                    elem_id="closer",
                )
                bill, bill_words = _figure("steer-bill")
                _heading(speaker, "even_title")
                even, even_words = _figure("steer-even")
                table = gr.HTML(elem_id="steer-table")
                _heading(speaker, "rate_title")
                with gr.Row():
                    sweep.render()
                    half_bin = make(gr.Checkbox, {"label": "half_bin"}, elem_id="half-bin")
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
    _wire_steer(speaker, buttons, results, (again, sweep), asked, chosen, [kept, priors, half_bin])
    gr.on(
        [
            text.blur,
            file.change,
            epochs.change,
            priors.change,
            string.blur,
            steer_file.change,
            speaker.language.change,
        ],
        _work,
        [text, file, epochs, priors, string, steer_file, speaker.language],
        work,
        **QUIET,
    )


def _published_experiment(speaker: Speaker) -> None:
    """The stored experiment, so that the page says something before any click."""
    rows = steering_study.stored()
    if not rows:
        return
    _heading(speaker, "steer_until")
    drawn, said = _figure("published-bill")
    speaker.says(drawn, value=lambda words: charts.bills(rows, words))
    speaker.says(said, value=lambda words: steering_views.published_caption(rows, words))


def _steer_buttons(speaker: Speaker) -> tuple[JobButtons, gr.Button, gr.Button]:
    """Run and Stop here; Measure again below them, Sweep beside its figure."""
    with gr.Row(elem_classes="jobs"):
        start = speaker.make(
            gr.Button, {"value": "run"}, variant="primary", elem_id="run", elem_classes="job"
        )
        stop = speaker.make(
            gr.Button, {"value": "stop"}, interactive=False, elem_classes=["job", "job-stop"]
        )
    again = speaker.make(
        gr.Button, {"value": "again"}, elem_id="again", elem_classes="job", interactive=False
    )
    sweep = speaker.make(
        gr.Button,
        {"value": "sweep"},
        elem_id="sweep",
        elem_classes="job",
        interactive=False,
        render=False,
    )
    status = status_line(elem_id="steer-status")
    return JobButtons(start, stop, status, (again, sweep)), again, sweep


def _figure(name: str) -> tuple[gr.Plot, gr.HTML]:
    plot = gr.Plot(show_label=False, container=False, elem_id=name, elem_classes="plot")
    return plot, gr.HTML(elem_id=f"{name}-words")


def _work(*values: Any) -> str:
    return html.escape(steering.work(*values[:-1], words=Words(values[-1])))


def _wire_steer(
    speaker: Speaker,
    buttons: JobButtons,
    results: _Results,
    more: tuple[gr.Button, gr.Button],
    asked: list[Any],
    chosen: list[Any],
    swept: list[Any],
) -> None:
    """Connects Run, Measure again, Sweep and Stop; all of them fill the same results."""
    n_asked = len(asked)

    def follow(
        words: Words, job: Iterator[Any], prediction: str | None, scale: str
    ) -> Iterator[Updates]:
        session, blob = None, {}
        try:
            for value in job:
                if isinstance(value, handlers.Working):
                    yield {buttons.status: views.working(value, words)}
                elif isinstance(value, steering.Learning):
                    yield learning(buttons, results.curve, value, words)
                elif isinstance(value, steering.Session):
                    session = value
                    yield results.shown(session, prediction, scale, words)
                else:
                    path = handlers.stash(value.name, value.blob)
                    blob = {results.blob: gr.update(value=path, interactive=True)}
        except Exception:
            if session is not None:  # minutes of training are not lost with what failed
                yield results.download(session)
            raise
        if session is not None:  # every job yields one first
            ended = buttons.ended(steering_views.measured(session, words))
            yield {**ended, **results.download(session), **blob}

    def run(words: Words, *values: Any) -> Iterator[Updates]:
        yield {**results.cleared(), results.kept: None}
        experiment = steering.Experiment(*values[:n_asked])
        yield from follow(words, steering.run(experiment), *values[n_asked:])

    def again(words: Words, kept: steering.Session | None, *values: Any) -> Iterator[Updates]:
        experiment = steering.Experiment(*values[:n_asked])
        yield from follow(words, steering.again(experiment, kept), *values[n_asked:])

    def sweep(
        words: Words,
        prediction: str | None,
        scale: str,
        kept: steering.Session | None,
        priors: Sequence[str],
        half_bin: bool,
    ) -> Iterator[Updates]:
        yield from follow(words, steering.sweep(kept, priors, half_bin), prediction, scale)

    def stopped(words: Words, kept: steering.Session | None) -> Updates:
        return {**buttons.ended(steering_views.stopped(kept, words)), **results.download(kept)}

    def scaled(language: str, kept: steering.Session | None, scale: str) -> Updates:
        return results.bars(kept, scale, Words(language)) if kept and kept.rows else {}

    wire(
        speaker,
        buttons,
        [
            Start(buttons.start, run, [*asked, *chosen], "steer"),
            Start(more[0], again, [results.kept, *asked, *chosen]),
            Start(more[1], sweep, [*chosen, *swept]),
        ],
        outputs=results.parts,
        kept=results.kept,
        stopped=stopped,
    )

    def again_said(
        language: str, prediction: str | None, scale: str, kept: steering.Session | None
    ) -> Updates:
        if kept is None:
            return {results.verdict: ""}
        return results.said(kept, prediction, scale, Words(language))

    speaker.language.input(
        again_said, [speaker.language, *chosen, results.kept], results.parts, **QUIET
    )
    results.closer.change(
        scaled,
        [speaker.language, results.kept, results.closer],
        [results.bill, results.bill_words],
        **QUIET,
    )
