"""Widgets and wiring that pages share: jobs with Start, Stop and status, sliders, drawn elements.

In: a job, a generator of updates. Out: buttons that run and stop it, and words for every way it may
end; expected errors become ``gr.Error`` in one place, `telling`. Knows nothing of any one page.
"""

from __future__ import annotations

import html
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.errors import LLMCompError
from llmcomp.ui import steering, steering_views, theatre, views

__all__ = [
    "QUIET",
    "Job",
    "JobButtons",
    "Start",
    "Updates",
    "download_button",
    "epochs_slider",
    "job_buttons",
    "learning",
    "levels_dropdown",
    "linked_view",
    "loss_curve",
    "status_line",
    "telling",
    "virtual_tokens_slider",
    "wire",
]

_log = logging.getLogger(__name__)

Updates = dict[Any, Any]
Job = Callable[..., Iterator[Updates]]

QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For what answers at once and is of no use to a program."""

_JOBS_AT_ONCE = 2


def _drawn(value: Any, css_class: str, mount: str, events: str = "", **rest: Any) -> gr.HTML:
    """Makes an element that only our own script draws into.

    The template is static on purpose: whatever a template interpolates is parsed as HTML or as a
    template literal, so no value may ever reach one. A function and not a subclass, because gradio
    writes a ``.pyi`` file beside the source of every subclass when it is imported.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="{css_class}"></div>',
        js_on_load=(
            f"const show = window.llmcomp.{mount}(element.querySelector('.{css_class}'){events});"
            "show(props.value); watch('value', () => show(props.value));"
        ),
        apply_default_css=False,
        **rest,
    )


def linked_view(message: Mapping[str, Any] | None = None, **rest: Any) -> gr.HTML:
    """Makes the interval view over one trace; its value is a ``view/1`` message.

    Asked what a damaged bit would do, it sends the file it was given and the bit to the server; the
    answer is a message, too.
    """
    # gradio learns the names of events from quoted strings in this script
    events = ", (name, data) => name === 'damage' && trigger('damage', data)"
    view = _drawn(message, "lv-root", "mountView", events, **rest)
    view.damage(
        damaged,
        None,
        view,
        show_progress="hidden",
        concurrency_id="rehearsal",  # beside the jobs, which Stop can end: this takes seconds
        concurrency_limit=1,
        api_visibility="private",
    )
    return view


def damaged(event: gr.EventData) -> Mapping[str, Any]:
    """Answers a view that asked what one flipped bit does."""
    try:
        return theatre.damage(event.blob, event.bit)
    except LLMCompError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def status_line(**rest: Any) -> gr.HTML:
    """Makes a progress bar and a line of words; its value is one of the dicts of ``views``."""
    return _drawn(views.idle(), "st-root", "mountStatus", **rest)


def loss_curve(**rest: Any) -> gr.HTML:
    """Makes the loss of a training; its value is a message of ``steering_views.curve``."""
    return _drawn(None, "ls-root", "mountCurve", **rest)


@dataclass(frozen=True)
class JobButtons:
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
        """What to show when a job begins."""
        return self._set(views.starting(), running=True)

    def ended(self, status: views.Status) -> Updates:
        """What to show when it has ended."""
        return self._set(status, running=False)

    def _set(self, status: views.Status, *, running: bool) -> Updates:
        return {
            self.status: status,
            **{button: gr.update(interactive=not running) for button in (self.start, *self.more)},
            self.stop: gr.update(interactive=running),
        }


def job_buttons(name: str) -> JobButtons:
    """Makes Start, Stop and status of a job."""
    with gr.Row():
        start = gr.Button(name, variant="primary", elem_id=name.lower(), elem_classes="job")
        stop = gr.Button("Stop", interactive=False, elem_classes=["job", "job-stop"])
    return JobButtons(start, stop, status_line(elem_id=f"{name.lower()}-status"))


def download_button(label: str, elem_id: str) -> gr.DownloadButton:
    """Makes a button that waits for a file."""
    return gr.DownloadButton(label, interactive=False, elem_id=elem_id, elem_classes="job")


def telling(buttons: JobButtons, job: Job) -> Job:
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


def virtual_tokens_slider(value: int, **rest: Any) -> gr.Slider:
    """Asks for the length of a prompt."""
    most = steering.MAX_VIRTUAL_TOKENS
    return gr.Slider(1, most, value=value, step=1, label="Virtual tokens", **rest)


def epochs_slider(value: int, **rest: Any) -> gr.Slider:
    """Asks how long to train."""
    limit = f"Bytes of text × epochs: at most {steering.MAX_TRAINED_BYTES:,}."
    return gr.Slider(1, 100, value=value, step=1, label="Epochs of training", info=limit, **rest)


def levels_dropdown(value: int, **rest: Any) -> gr.Dropdown:
    """Asks how finely to quantise."""
    return gr.Dropdown(list(steering.LEVELS), value=value, label="Levels of the quantiser", **rest)


def learning(buttons: JobButtons, curve: gr.HTML, value: steering.Learning) -> Updates:
    """Shows a training under way: words in the status line, losses as a curve."""
    return {buttons.status: steering_views.training(value), curve: steering_views.curve(value)}


@dataclass(frozen=True)
class Start:
    """One way to start a job: its button, what it does with which inputs, its public name."""

    button: gr.Button
    job: Job
    inputs: list[Any]
    name: str | None = None


def wire(
    buttons: JobButtons,
    starts: Sequence[Start],
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
            telling(buttons, start.job),
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
    buttons.stop.click(None, None, None, cancels=runs, **QUIET).then(
        stopped or (lambda: buttons.ended(views.stopped())),
        kept,
        [*outputs, *buttons.parts],
        **QUIET,
    )
