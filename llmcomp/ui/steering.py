"""What stands in front of a text: the choice on the Compress page, the experiment on Steer.

In: what a visitor chose. Out: ways of steering, and `Session` values that belong to one visitor and
hold everything a later click needs. Every expected failure is an `LLMCompError`. Knows nothing of
gradio; torch is loaded only where a prompt is trained.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmcomp import codec
from llmcomp.evaluate.steering import Row, compare
from llmcomp.models import load_model
from llmcomp.models.base import LanguageModel
from llmcomp.steering.choices import Auto
from llmcomp.steering.kinds import (
    DEFAULT_TEXT,
    NoSteering,
    RandomSteering,
    Steering,
    TextSteering,
    TrainedSteering,
    steer,
)
from llmcomp.steering.priors import PRIORS, HyperPrior, make_prior
from llmcomp.steering.settings import LEVELS, Training
from llmcomp.steering.soft_prompt import SoftPrompt, embedding_scale
from llmcomp.ui import jobs
from llmcomp.ui.jobs import InputError, Underway, Working
from llmcomp.ui.words import Words

if TYPE_CHECKING:
    from llmcomp.steering.fit import FitStep

__all__ = [
    "KINDS",
    "LEVELS",
    "MAX_STEERED_BYTES",
    "MAX_TRAINED_BYTES",
    "MAX_VIRTUAL_TOKENS",
    "Experiment",
    "Learning",
    "Session",
    "Steered",
    "Wish",
    "again",
    "candidates",
    "run",
    "sweep",
    "why",
    "work",
]

KINDS = ("none", "text", "random", "trained", "auto", "file")

MAX_STEERED_BYTES = 60_000
"""The Steer page codes a text many times."""

MAX_TRAINED_BYTES = 2_000_000
"""Bytes of text a training goes through, all epochs together: minutes on two processor cores."""

MAX_VIRTUAL_TOKENS = 64
"""Each takes room from every window; a prompt file may hold more than the sliders offer."""

_LONGEST_ROW = 256
_SHORTEST_ROW = 32
_BYTES_PER_ROW_TOKEN = 40  # about ten rows, so that one of them can be kept out
_PRESET = "balanced"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to stand in front of a text; a kind uses only what concerns it.

    Attributes:
        kind: one of `KINDS`.
        text: the string.
        n_virtual_tokens: length of a soft prompt.
        epochs: of its training.
        seed: of noise and training.
        prior: name of the hyper-prior that codes a trained prompt.
        levels: its quantiser's.
        path: an uploaded ``.steer`` file.
    """

    kind: str = "none"
    text: str = DEFAULT_TEXT
    n_virtual_tokens: int = 4
    epochs: int = 20
    seed: int = 0
    prior: str = "laplace"
    levels: int = 16
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Learning(Underway):
    """A training under way; losses in bits per byte, NaN where there is none.

    Attributes:
        epoch: passes so far.
        epochs: passes planned.
        points: (epoch, training loss, held-out loss) after every whole epoch.
        plain: training and held-out loss without a prompt.
        elapsed_s: seconds since the first batch.
        best: the best prompt so far.
    """

    epoch: float
    epochs: int
    points: tuple[tuple[float, float, float], ...]
    plain: tuple[float, float]
    elapsed_s: float
    best: SoftPrompt


@dataclass(frozen=True, slots=True)
class Experiment:
    """What the Steer page is asked to measure.

    Attributes:
        text: what stands in the text box.
        path: an uploaded text, or None.
        model: one of `jobs.MODELS`.
        n_virtual_tokens: length of the trained and of the random prompt.
        epochs: of the training.
        learning_rate: of the training.
        seed: of noise and training.
        priors: names of the hyper-priors to try.
        levels: their quantisers'.
        string: the fixed string, empty for none.
        steer_path: a ``.steer`` file to be used in place of training, or None.
    """

    text: str
    path: str | None
    model: str
    n_virtual_tokens: int = 4
    epochs: int = 20
    learning_rate: float = 1e-2
    seed: int = 0
    priors: Sequence[str] = ("laplace", "gaussian")
    levels: int = 16
    string: str = DEFAULT_TEXT
    steer_path: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What one visitor has measured; nothing of it is shared.

    Attributes:
        name: speaking name of the text.
        data: the text.
        model: name of the model.
        prompt: the trained prompt as a ``.steer`` file, empty while there is none.
        rows: what was measured, `none` first.
        swept: trained prompts at other numbers of levels.
        twins: the same with the published half-bin error.
    """

    name: str
    data: bytes
    model: str
    prompt: bytes = b""
    rows: tuple[Row, ...] = ()
    swept: tuple[Row, ...] = ()
    twins: tuple[Row, ...] = ()

    @property
    def honest(self) -> tuple[Row, ...]:
        """Every row that a user could want, so without the half-bin error."""
        return (*self.rows, *self.swept)


@dataclass(frozen=True, slots=True)
class Steered:
    """The smallest file that any steering makes of the text.

    Attributes:
        blob: the file.
        name: a speaking name for it.
    """

    blob: bytes
    name: str


_Yields = Generator[Working | Learning | Session | Steered, None, None]


def candidates(
    wish: Wish, model: LanguageModel, data: bytes
) -> Generator[Working | Learning, None, list[Steering]]:
    """Turns a wish into ways of steering, training a prompt if it takes one.

    Args:
        wish: what was chosen.
        model: the model to steer.
        data: the text.

    Yields:
        How far the training is.

    Returns:
        Ways of which the smallest blob is to win.

    Raises:
        LLMCompError: if a choice does not exist or does not fit the model or the page.
    """
    jobs.require(wish.kind, KINDS)
    with _one_line():
        if wish.kind == "none":
            return [NoSteering()]
        if wish.kind == "text":
            return _fitting([_string(wish.text)], model)
        if wish.kind == "random":
            return _fitting([_random(model, wish.n_virtual_tokens, wish.seed)], model)
        prior = _prior(wish.prior, wish.levels)
        if wish.kind == "file":
            prompt = _read_prompt(wish.path, model)
            return _fitting([TrainedSteering.coding(prompt, prior)], model)
        auto = Auto(_training(data, wish.n_virtual_tokens, wish.epochs, seed=wish.seed))
        tried: list[Steering] = [NoSteering()]
        if wish.kind == "auto":
            tried += _fitting([_string(wish.text)], model)
    if not codec.asks_the_model(data):
        return [NoSteering()]
    prompt = yield from learn(model, data, auto.training)
    if wish.kind == "trained":
        return [TrainedSteering.coding(prompt, prior)]
    return [*tried, *(TrainedSteering.coding(prompt, prior) for prior in auto.priors)]


def _fitting(ways: list[Steering], model: LanguageModel) -> list[Steering]:
    """Checks that a model's context has room for what is to stand in front of the text.

    Raises:
        ValueError: if it has not.
    """
    for way in ways:
        steer(model, way)
    return ways


def learn(
    model: LanguageModel, data: bytes, training: Training
) -> Generator[Working | Learning, None, SoftPrompt]:
    """Trains a prompt on a text.

    Args:
        model: the model to steer.
        data: the text.
        training: how.

    Yields:
        One ``Working`` while everything is loaded, then ``Learning`` values: after every epoch, and
        in between at most ten times a second.

    Returns:
        The best prompt.

    Raises:
        LLMCompError: if there is too much to do, or the prompt does not fit the model.
    """
    total = len(data) * training.epochs
    if total > MAX_TRAINED_BYTES:
        raise InputError.of("too_much_training", n=total, limit=MAX_TRAINED_BYTES)
    yield Working("train", 0, total, 0.0)
    from llmcomp.steering.fit import cut_rows, fitting  # torch takes seconds to load

    job = fitting(model, cut_rows(model, data, training), training)
    points: list[tuple[float, float, float]] = []
    last = -math.inf
    try:
        while True:
            step = next(job)
            whole = step.epoch >= len(points) + 1
            if whole:
                points.append((step.epoch, step.train, step.held_out))
            if whole or time.monotonic() - last >= jobs.SECONDS_BETWEEN_YIELDS:
                last = time.monotonic()
                yield _learning(step, points)
    except StopIteration as end:
        best: SoftPrompt = end.value
        return best
    finally:
        job.close()


def _learning(step: FitStep, points: Sequence[tuple[float, float, float]]) -> Learning:
    plain = (step.plain_train, step.plain_held_out)
    return Learning(step.epoch, step.epochs, tuple(points), plain, step.seconds, step.best)


def why(tried: Sequence[tuple[str, int]]) -> str:
    """Says why one of several ways was chosen; nothing if there was no choice.

    >>> why([("none", 100), ("text 'a'", 90)])
    "auto chose text 'a' because its file is the smallest: 90 bytes, none 100."
    """
    if not tried:
        return ""
    (best, size), *others = sorted(tried, key=lambda found: found[1])
    rest = ", ".join(f"{name} {size:,}" for name, size in others)
    return f"auto chose {best} because its file is the smallest: {size:,} bytes, {rest}."


def work(
    text: str,
    path: str | None,
    epochs: int,
    priors: Sequence[str],
    string: str,
    steer_path: str | None,
    *,
    words: Words,
) -> str:
    """Says how much a run of the Steer page will do, or why it cannot."""
    try:
        data = jobs.input_bytes(text, path, MAX_STEERED_BYTES)
    except InputError as error:
        return words(error.key, **error.values) if error.key else str(error)
    ways = 3 + len(set(priors)) + bool(string)  # none, random, and the file to download
    size = len(data)
    if steer_path:
        return words("work_file", n=size, ways=ways)
    total = size * epochs
    key = "work_too_much" if total > MAX_TRAINED_BYTES else "work"
    return words(key, n=size, epochs=epochs, total=total, limit=MAX_TRAINED_BYTES, ways=ways)


@jobs.limited
def run(asked: Experiment) -> _Yields:
    """Trains a prompt, or reads one, and measures every way of steering.

    Args:
        asked: what to measure.

    Yields:
        How far it is; a `Session` whenever there is a better prompt or a new row, so that whoever
        stops keeps it; one `Steered` at the end.

    Raises:
        LLMCompError: if something asked for does not exist or does not fit, or it takes too long.
    """
    asked, session, model = _begin(asked)
    if asked.steer_path:
        prompt = _read_prompt(asked.steer_path, model)
        session = replace(session, prompt=prompt.to_bytes())
        yield session
    else:
        session = yield from _trained(session, model, asked)
    yield from _measure(session, model, asked)


@jobs.limited
def again(asked: Experiment, kept: Session | None) -> _Yields:
    """Measures the prompt that is there already, perhaps on another text.

    Args:
        asked: what to measure; options of the training do not matter.
        kept: what the visitor has.

    Yields:
        As `run`.

    Raises:
        LLMCompError: as `run`; also if there is no prompt yet.
    """
    if kept is None or not kept.prompt:
        raise InputError.of("no_prompt_yet")
    asked, session, model = _begin(asked)
    SoftPrompt.from_bytes(kept.prompt).require(model)
    session = replace(session, prompt=kept.prompt)
    yield session
    yield from _measure(session, model, asked)


@jobs.limited
def sweep(kept: Session | None, priors: Sequence[str], half_bin: bool) -> _Yields:
    """Codes the prompt at every number of levels.

    Args:
        kept: what the visitor has.
        priors: names of the hyper-priors.
        half_bin: whether to measure the published error as well, where a prior can make it.

    Yields:
        As `run`; rows measured before are not measured again.

    Raises:
        LLMCompError: if nothing was measured yet.
    """
    if kept is None or not kept.prompt or not kept.rows:
        raise InputError.of("nothing_to_sweep")
    names = _once(priors)
    session, model = kept, load_model(kept.model)
    yield session  # there may be nothing left to measure
    prompt = SoftPrompt.from_bytes(kept.prompt)
    known = {(row.prior, row.levels) for row in kept.honest}
    pairs = [(name, count) for name in names for count in LEVELS]
    fair = [_prior(*pair) for pair in pairs if pair not in known]
    known = {(row.prior, row.levels) for row in kept.twins}
    buggy = [_half_bin(*pair) for pair in pairs if half_bin and pair not in known]
    twins = [prior for prior in buggy if prior is not None]
    ways = [TrainedSteering.coding(prompt, prior) for prior in (*fair, *twins)]
    if not ways:
        return
    measured = 0
    for value in _rows(session, model, ways):
        if not isinstance(value, Row):
            yield value
        elif value.kind != "none":
            measured += 1
            if measured <= len(fair):
                session = replace(session, swept=(*session.swept, value))
            else:
                session = replace(session, twins=(*session.twins, value))
            yield session


def _begin(asked: Experiment) -> tuple[Experiment, Session, LanguageModel]:
    """Checks what can be checked before anything long is done; every prior counts once."""
    jobs.require(asked.model, jobs.MODELS)
    asked = replace(asked, priors=_once(asked.priors))
    data = jobs.input_bytes(asked.text, asked.path, MAX_STEERED_BYTES)
    model = load_model(asked.model)
    with _one_line():
        for name in asked.priors:
            _prior(name, asked.levels)
        _fitting(_untrained(model, asked, 1), model)
    name = jobs.speaking_name(asked.text, asked.path)
    return asked, Session(name, data, asked.model), model


def _once(priors: Sequence[str]) -> tuple[str, ...]:
    """Takes every name once, so that a program's list cannot make the job any longer."""
    if not priors:
        raise InputError.of("no_prior")
    for name in priors:
        jobs.require(name, tuple(PRIORS))
    return tuple(dict.fromkeys(priors))


def _untrained(model: LanguageModel, asked: Experiment, n_virtual_tokens: int) -> list[Steering]:
    """The ways of a run that need no training."""
    string: list[Steering] = [_string(asked.string)] if asked.string else []
    return [*string, _random(model, n_virtual_tokens, asked.seed)]


def _trained(
    session: Session, model: LanguageModel, asked: Experiment
) -> Generator[Working | Learning | Session, None, Session]:
    """Trains and hands out the best prompt of every epoch, so that Stop leaves it there."""
    with _one_line():
        training = replace(
            _training(session.data, asked.n_virtual_tokens, asked.epochs, seed=asked.seed),
            learning_rate=float(_given("the learning rate", asked.learning_rate)),
        )
    yield session  # what an earlier run left must not look like this one's
    best = None
    for value in (job := learn(model, session.data, training)):
        yield value
        # before the first epoch ends, the best there is is noise
        if isinstance(value, Learning) and value.points and value.best is not best:
            best = value.best
            session = replace(session, prompt=best.to_bytes())
            yield session
    job.close()
    return session


def _measure(session: Session, model: LanguageModel, asked: Experiment) -> _Yields:
    """Measures all ways of a run and writes the smallest steered file."""
    prompt = SoftPrompt.from_bytes(session.prompt)
    with _one_line():
        ways = _untrained(model, asked, prompt.n_virtual_tokens)
        priors = [_prior(name, asked.levels) for name in asked.priors]
        ways += [TrainedSteering.coding(prompt, prior) for prior in priors]
        _fitting(ways, model)
    for value in _rows(session, model, ways):
        if isinstance(value, Row):
            session = replace(session, rows=(*session.rows, value))
            yield session
        else:
            yield value
    sizes = [row.total_bits for row in session.rows[1:]]
    smallest = ways[sizes.index(min(sizes))]
    result = yield from jobs.reporting(
        codec.compressing(
            session.data,
            model=model,
            preset=_PRESET,
            steer=smallest,
            online=False,  # as the rows were measured
            methods=("lm",),
        )
    )
    yield Steered(result.blob, f"{session.name}-{smallest.kind}.llmc")


def _rows(
    session: Session, model: LanguageModel, ways: Sequence[Steering]
) -> Generator[Working | Row, None, list[Row]]:
    job = compare(session.data, model, ways, preset=_PRESET)
    return (yield from jobs.reporting(job))


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns a wrong value of the visitor's into an error that says so."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise InputError(str(error)) from error


def _string(text: str) -> TextSteering:
    if not text:
        raise InputError.of("no_string")
    return TextSteering(jobs.encoded(text))


def _random(model: LanguageModel, n_virtual_tokens: int, seed: int) -> RandomSteering:
    scale = embedding_scale(model)
    return RandomSteering(_length(n_virtual_tokens), _whole("the seed", seed), scale)


def _given(name: str, value: float | None) -> float:
    """Refuses a number field that was emptied."""
    if value is None:
        raise InputError(f"{name} is empty: type a number")
    return value


def _whole(name: str, value: float | None) -> int:
    return int(_given(name, value))


def _length(n_virtual_tokens: float | None) -> int:
    """Checks the length of a prompt."""
    found = _whole("the number of virtual tokens", n_virtual_tokens)
    if found > MAX_VIRTUAL_TOKENS:
        raise InputError(
            f"{found:,} virtual tokens; this page allows {MAX_VIRTUAL_TOKENS}: take fewer, or the "
            "command line"
        )
    return found


def _training(data: bytes, n_virtual_tokens: int, epochs: int, *, seed: int) -> Training:
    """Chooses short rows for a short text, so that some can be kept out."""
    row = min(max(len(data) // _BYTES_PER_ROW_TOKEN, _SHORTEST_ROW), _LONGEST_ROW)
    whole = _whole("the number of epochs", epochs)
    return Training(_length(n_virtual_tokens), whole, seed=_whole("the seed", seed), row_tokens=row)


def _prior(name: str, levels: int) -> HyperPrior:
    jobs.require(name, tuple(PRIORS))
    return make_prior(name, levels=_whole("the number of levels", levels))


def _half_bin(name: str, levels: int) -> HyperPrior | None:
    """Makes a prior with the published error, if it can have it."""
    if not hasattr(PRIORS[name], "published_bug"):
        return None
    return make_prior(name, levels=levels, published_bug=True)


def _read_prompt(path: str | None, model: LanguageModel) -> SoftPrompt:
    if not path:
        raise InputError.of("no_steer_file")
    prompt = SoftPrompt.from_bytes(Path(path).read_bytes())
    prompt.require(model)
    _length(prompt.n_virtual_tokens)
    return prompt
