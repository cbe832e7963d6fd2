"""Widgets and wiring that pages share: jobs with Start, Stop and status, sliders, drawn elements.

In: a job, a generator of updates. Out: buttons that run and stop it, and words for every way it may
end; expected errors become ``gr.Error`` in one place, `telling`. Knows nothing of any one page.
"""

from __future__ import annotations

import functools
import html
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from llmcomp.errors import LLMCompError
from llmcomp.ui import steering, steering_views, theatre, views
from llmcomp.ui.jobs import LIMITS, InputError
from llmcomp.ui.words import LANGUAGES, Words

__all__ = [
    "AT_WORK",
    "QUIET",
    "Job",
    "JobButtons",
    "Say",
    "Speaker",
    "Start",
    "Updates",
    "download_button",
    "drawn",
    "epochs_slider",
    "job_buttons",
    "learning",
    "levels_dropdown",
    "linked_view",
    "loss_curve",
    "status_line",
    "telling",
    "telling_programs",
    "virtual_tokens_slider",
    "wire",
]

_log = logging.getLogger(__name__)

Updates = dict[Any, Any]
Job = Callable[..., Iterator[Updates]]
"""Takes the visitor's words and the values of its inputs."""

Say = str | Callable[[Words], Any]
"""A key of ``words``, or what makes of a language's words the value of a property."""

QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For what answers at once and is of no use to a program."""

AT_WORK = {"concurrency_id": "model", "concurrency_limit": LIMITS.at_once}
"""For everything that runs a model: so many at once, the rest waits."""


class Speaker:
    """Which property of which component says what, so that all can say it in another language.

    Attributes:
        language: the switch; every job has its value as its last input.
    """

    def __init__(self) -> None:
        self.language = gr.Radio(
            [(name, language) for language, name in LANGUAGES.items()],
            value=next(iter(LANGUAGES)),
            label=Words("en")("language"),
            show_label=False,
            container=False,
            elem_id="language",
            min_width=0,
        )
        self._said: dict[Any, Mapping[str, Say]] = {}
        self.says(self.language, label="language")

    def says(self, component: Any, **properties: Say) -> Any:
        """Remembers what a component's properties say; returns the component."""
        self._said[component] = properties
        return component

    def make(self, kind: Callable[..., Any], said: Mapping[str, Say], **rest: Any) -> Any:
        """Makes a component that speaks English until it is told otherwise."""
        return self.says(kind(**_properties(said, Words("en")), **rest), **said)

    @property
    def parts(self) -> list[Any]:
        """All components that say something."""
        return list(self._said)

    def updates(self, language: str) -> Updates:
        """Says everything in a language, and shows which one that is."""
        words = Words(language)
        updates = {part: gr.update(**_properties(s, words)) for part, s in self._said.items()}
        updates[self.language] = gr.update(
            value=words.language, **_properties(self._said[self.language], words)
        )
        return updates


def _properties(said: Mapping[str, Say], words: Words) -> dict[str, Any]:
    return {name: words(say) if isinstance(say, str) else say(words) for name, say in said.items()}


def drawn(value: Any, css_class: str, mount: str, events: str = "", **rest: Any) -> gr.HTML:
    """Makes an element that only our own script draws into, again in every new language.

    The template is static on purpose: whatever a template interpolates is parsed as HTML or as a
    template literal, so no value may ever reach one. A function and not a subclass, because gradio
    writes a ``.pyi`` file beside the source of every subclass when it is imported.
    """
    return gr.HTML(
        value,
        html_template=f'<div class="{css_class}"></div>',
        js_on_load=(
            f"const root = element.querySelector('.{css_class}'), our = window.llmcomp;"
            f"our.keepDrawn(root, our.{mount}(root{events}), () => props.value, watch);"
        ),
        apply_default_css=False,
        **rest,
    )


def linked_view(message: Mapping[str, Any] | None = None, **rest: Any) -> gr.HTML:
    """Makes the interval view over one trace; its value is a ``view/1`` message.

    Asked what a damaged bit would do, it sends the file it was given and the bit to the server;
    asked for another lane or window, the name of its trace. The answer is a message, too.
    """
    # gradio learns the names of events from quoted strings in this script
    events = ", (name, data) => name === 'damage' ? trigger('damage', data) : trigger('turn', data)"
    view = drawn(message, "lv-root", "mountView", events, **rest)
    view.damage(
        damaged,
        None,
        view,
        show_progress="hidden",
        concurrency_id="rehearsal",  # beside the jobs, which Stop can end: this takes seconds
        concurrency_limit=1,
        api_visibility="private",
    )
    # whoever turns on before the answer is there means the later place
    view.turn(turned, None, view, trigger_mode="always_last", **QUIET)
    return view


def turned(event: gr.EventData) -> Mapping[str, Any]:
    """Answers a view that asked for another lane or window."""
    try:
        return theatre.window(event.trace, event.lane, event.start)
    except InputError as error:
        words = Words(str(event.language))
        said = words(error.key, **error.values) if error.key else str(error)
        raise gr.Error(html.escape(said), print_exception=False) from error


def damaged(event: gr.EventData) -> Mapping[str, Any]:
    """Answers a view that asked what one flipped bit does."""
    try:
        return theatre.damage(event.blob, event.bit)
    except LLMCompError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def status_line(**rest: Any) -> gr.HTML:
    """Makes a progress bar and a line of words; its value is one of the dicts of ``views``."""
    return drawn(views.idle(), "st-root", "mountStatus", **rest)


def loss_curve(**rest: Any) -> gr.HTML:
    """Makes the loss of a training; its value is a message of ``steering_views.curve``."""
    return drawn(None, "ls-root", "mountCurve", **rest)


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

    def busy(self, words: Words) -> Updates:
        """What to show when a job begins."""
        return self._set(views.starting(words), running=True)

    def ended(self, status: views.Status) -> Updates:
        """What to show when it has ended."""
        return self._set(status, running=False)

    def _set(self, status: views.Status, *, running: bool) -> Updates:
        return {
            self.status: status,
            **{button: gr.update(interactive=not running) for button in (self.start, *self.more)},
            self.stop: gr.update(interactive=running),
        }


def job_buttons(speaker: Speaker, name: str) -> JobButtons:
    """Makes Start, Stop and status of a job; its name is a key of ``words``."""
    with gr.Row(elem_classes="jobs"):
        start = speaker.make(
            gr.Button, {"value": name}, variant="primary", elem_id=name, elem_classes="job"
        )
        stop = speaker.make(
            gr.Button, {"value": "stop"}, interactive=False, elem_classes=["job", "job-stop"]
        )
    return JobButtons(start, stop, status_line(elem_id=f"{name}-status"))


def download_button(speaker: Speaker, label: str, elem_id: str) -> gr.DownloadButton:
    """Makes a button that waits for a file."""
    return speaker.make(
        gr.DownloadButton, {"label": label}, interactive=False, elem_id=elem_id, elem_classes="job"
    )


def telling(buttons: JobButtons, job: Job) -> Job:
    """Wraps a job so that every failure ends with words on the page, expected or not.

    What it returns takes the job's values and, last, the visitor's language.
    """

    def run(*values: Any) -> Iterator[Updates]:
        *asked, language = values
        words = Words(language)
        yield buttons.busy(words)
        try:
            yield from job(words, *asked)
        except LLMCompError as error:
            message, title = views.why(error, words), words("failed_title")
        except gr.Error as error:  # a GPU that is lent says no in words of its own
            yield buttons.ended(views.failed(str(error.message)))
            raise
        except Exception:
            message, title = words("fault", reference=_logged()), words("fault_title")
        else:
            return
        yield buttons.ended(views.failed(message))
        raise gr.Error(html.escape(message), title=title, print_exception=False)

    return run


def telling_programs(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function that programs call: expected errors arrive in words, others by a number."""

    @functools.wraps(call)
    def run(*values: Any, **named: Any) -> Any:
        try:
            return call(*values, **named)
        except LLMCompError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except gr.Error:
            raise
        except Exception:
            message = Words("en")("fault", reference=_logged())
            raise gr.Error(message, print_exception=False) from None

    return run


def _logged() -> str:
    """Logs the error at hand; says under which number."""
    reference = secrets.token_hex(3)
    _log.exception("unexpected error %s", reference)
    return reference


def virtual_tokens_slider(speaker: Speaker, value: int, **rest: Any) -> gr.Slider:
    """Asks for the length of a prompt."""
    most = steering.MAX_VIRTUAL_TOKENS
    return speaker.make(
        gr.Slider, {"label": "virtual_tokens"}, minimum=1, maximum=most, value=value, step=1, **rest
    )


def epochs_slider(speaker: Speaker, value: int, **rest: Any) -> gr.Slider:
    """Asks how long to train."""
    said: dict[str, Say] = {
        "label": "epochs",
        "info": lambda words: words("epochs_info", limit=steering.MAX_TRAINED_BYTES),
    }
    return speaker.make(gr.Slider, said, minimum=1, maximum=100, value=value, step=1, **rest)


def levels_dropdown(speaker: Speaker, value: int, **rest: Any) -> gr.Dropdown:
    """Asks how finely to quantise."""
    return speaker.make(
        gr.Dropdown, {"label": "levels"}, choices=list(steering.LEVELS), value=value, **rest
    )


def learning(
    buttons: JobButtons, curve: gr.HTML, value: steering.Learning, words: Words
) -> Updates:
    """Shows a training under way: words in the status line, losses as a curve."""
    return {
        buttons.status: steering_views.training(value, words),
        curve: steering_views.curve(value),
    }


@dataclass(frozen=True)
class Start:
    """One way to start a job: its button, what it does with which inputs, its public name."""

    button: gr.Button
    job: Job
    inputs: list[Any]
    name: str | None = None


def wire(
    speaker: Speaker,
    buttons: JobButtons,
    starts: Sequence[Start],
    *,
    outputs: list[Any],
    stopped: Callable[..., Updates],
    kept: gr.State | None = None,
) -> list[Any]:
    """Connects starts and stop to jobs; all jobs share the model's lanes of work.

    Args:
        speaker: knows the visitor's language.
        buttons: the job's.
        starts: every way to start it.
        outputs: what it may update beside its buttons.
        stopped: shows what a stopped job leaves, from the words and what was kept.
        kept: what a stopped job leaves behind, if anything.

    Returns:
        The events that run, for others that must end them.
    """
    runs = [
        start.button.click(
            telling(buttons, start.job),
            [*start.inputs, speaker.language],
            [*outputs, *buttons.parts],
            show_progress="hidden",
            # what works on a visitor's own session is of no use to a program
            api_visibility="undocumented" if start.name else "private",
            api_name=start.name,
            **AT_WORK,
        )
        for start in starts
    ]

    def told(language: str, *left: Any) -> Updates:
        return stopped(Words(language), *left)

    # Words only after the cancelling: before it, a late step of the job would write over them.
    buttons.stop.click(None, None, None, cancels=runs, **QUIET).then(
        told,
        [speaker.language, *([kept] if kept else [])],
        [*outputs, *buttons.parts],
        **QUIET,
    )
    return runs
