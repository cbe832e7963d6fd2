"""What a user asks for, turned into ways of steering that can be tried.

In: a name, a prompt, or a wish to have one trained on the text. Out: candidates, of which the codec
keeps the one that makes the smallest file.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmcomp.models.base import LanguageModel
from llmcomp.steering.kinds import (
    NoSteering,
    RandomSteering,
    Steering,
    TextSteering,
    TrainedSteering,
)
from llmcomp.steering.priors import Gaussian, HyperPrior, Laplace, LloydMax
from llmcomp.steering.settings import Training
from llmcomp.steering.soft_prompt import SUFFIX, SoftPrompt
from llmcomp.steps import Progress, Steps

__all__ = ["Auto", "Choice", "Coded", "Trained", "candidates", "parse", "read_steer_file", "train"]

CHOICES = ("none", "text", "random", "trained", "auto")

_BRIEF = Training(n_virtual_tokens=4)
"""Each virtual token has to be paid, so `Auto` takes few."""

_USUAL_PRIOR = Laplace(levels=16)
"""Its scales fit whatever training made of the noise, and finer levels buy hardly any text."""

_AUTO_PRIORS: tuple[HyperPrior, ...] = (
    Laplace(levels=8),
    Laplace(levels=16),
    Laplace(levels=32),
    Gaussian(levels=16),
    LloydMax(levels=8),
)


@dataclass(frozen=True, slots=True)
class Trained:
    """Train a soft prompt, then code it.

    Attributes:
        training: how.
        prior: what codes the vector.
        corpus: what to train on; the text itself by default.
    """

    training: Training = field(default_factory=Training)
    prior: HyperPrior = _USUAL_PRIOR
    corpus: bytes | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """Use a soft prompt that was trained before.

    Attributes:
        soft: the prompt.
        prior: what codes its vector.
    """

    soft: SoftPrompt
    prior: HyperPrior = _USUAL_PRIOR


@dataclass(frozen=True, slots=True)
class Auto:
    """Try no steering, a string and a trained prompt under several priors; the smallest wins.

    Attributes:
        training: how the prompt is trained.
        text: the string.
        priors: what may code the vector.
    """

    training: Training = _BRIEF
    text: TextSteering = field(default_factory=TextSteering)
    priors: Sequence[HyperPrior] = _AUTO_PRIORS


Choice = Steering | Trained | Coded | Auto | Sequence[Steering]
"""One way of steering, several of which the smallest wins, or how to come by them."""


def parse(
    spec: str | os.PathLike[str] | Choice | SoftPrompt | None,
    *,
    training: Training | None = None,
    prior: HyperPrior | None = None,
) -> Choice:
    """Reads what a user wrote.

    Args:
        spec: ``none``, ``text``, ``text:STRING``, ``random``, ``random:TOKENS[:SEED[:SCALE]]``,
            ``trained``, ``auto``, the path of a ``.steer`` file, or what these stand for.
        training: for ``trained`` and ``auto``.
        prior: for ``trained``, ``auto`` and files.

    Raises:
        TypeError: if it is none of these.
        ValueError: if there is no such way of steering, or it has no use for an option.
        LLMCompError: if a file does not hold a soft prompt.
        OSError: if it cannot be read.

    >>> str(parse("text:In the beginning"))
    "text 'In the beginning'"
    """
    if isinstance(spec, SoftPrompt):
        return Coded(spec, prior or _USUAL_PRIOR)
    if spec is not None and not isinstance(spec, str | os.PathLike):
        return _checked(spec)
    name = "none" if spec is None else os.fspath(spec)
    file = name.endswith(SUFFIX) and not name.startswith(("text:", "random:"))
    if training is not None and name not in {"trained", "auto"}:
        raise ValueError(
            f"steering {name!r} trains nothing; options of training need trained or auto"
        )
    if prior is not None and name not in {"trained", "auto"} and not file:
        raise ValueError(
            f"steering {name!r} codes no vector; a hyper-prior needs trained, auto or a {SUFFIX} "
            "file"
        )
    if name == "trained":
        return Trained(training or Training(), prior or _USUAL_PRIOR)
    if name == "auto":
        return Auto(training or _BRIEF, priors=_AUTO_PRIORS if prior is None else (prior,))
    if file:
        return Coded(read_steer_file(Path(name)), prior or _USUAL_PRIOR)
    return _untrained(name)


def _untrained(spec: str) -> Steering:
    kind, colon, rest = spec.partition(":")
    if spec == "none":
        return NoSteering()
    if kind == "text":
        # what no UTF-8 could say on a command line arrives as surrogates
        return TextSteering(rest.encode("utf-8", "surrogateescape")) if colon else TextSteering()
    if kind == "random":
        return _random(rest) if colon else RandomSteering()
    raise ValueError(f"steering {spec!r}; wanted one of {', '.join(CHOICES)}, or a {SUFFIX} file")


def _random(rest: str) -> RandomSteering:
    """Reads ``TOKENS[:SEED[:SCALE]]``."""
    kinds = (int, int, float)
    parts = rest.split(":")
    try:
        if len(parts) > len(kinds):
            raise ValueError
        numbers = [kind(part) for kind, part in zip(kinds, parts, strict=False)]
    except ValueError:
        raise ValueError(
            f"steering 'random:{rest}'; wanted random:TOKENS, then :SEED and :SCALE if need be"
        ) from None
    return RandomSteering(*numbers)


def _checked(choice: object) -> Choice:
    """Refuses what is no choice at all, an empty list, and lists of anything but ways."""
    if isinstance(choice, Trained | Coded | Auto):
        return choice
    ways: list[Any] = list(choice) if isinstance(choice, Sequence) else [choice]
    if not ways:
        raise ValueError("no way of steering is given; wanted at least one")
    for way in ways:
        if not isinstance(way, NoSteering | TextSteering | RandomSteering | TrainedSteering):
            raise TypeError(
                f"a way of steering is a {type(way).__name__}; wanted a name, a {SUFFIX} file, a "
                "SoftPrompt, or what llmcomp.steering makes"
            )
    return ways


def read_steer_file(path: Path) -> SoftPrompt:
    """Reads a ``.steer`` file.

    Raises:
        LLMCompError: if it does not hold a soft prompt.
        OSError: if it cannot be read.
    """
    return SoftPrompt.from_bytes(path.read_bytes())


def candidates(choice: Choice, model: LanguageModel, data: bytes) -> Steps[list[Steering]]:
    """Makes what has to be tried, training a prompt first if it takes one.

    Args:
        choice: what was asked for.
        model: the model to steer.
        data: the text to be compressed.

    Yields:
        `Progress` of the training, in bytes of text gone through.

    Returns:
        One way of steering or several; an empty text gets no prompt.

    Raises:
        ModelError: if a prompt was made for another model, or none can be trained through this.
    """
    if isinstance(choice, Coded):
        choice.soft.require(model)
        return [TrainedSteering.coding(choice.soft, choice.prior)]
    if isinstance(choice, Trained):
        corpus = data if choice.corpus is None else choice.corpus
        soft = yield from train(model, corpus, choice.training)
        return [TrainedSteering.coding(soft, choice.prior)] if soft else [NoSteering()]
    if isinstance(choice, Auto):
        soft = yield from train(model, data, choice.training)
        coded = [TrainedSteering.coding(soft, prior) for prior in choice.priors] if soft else []
        return [NoSteering(), choice.text, *coded]
    return list(choice) if isinstance(choice, Sequence) else [choice]


def train(
    model: LanguageModel, corpus: bytes, training: Training
) -> Generator[Progress, None, SoftPrompt | None]:
    """Trains a soft prompt and reports in bytes gone through.

    Returns:
        The best prompt, or None for an empty text.

    Raises:
        ModelError: as `llmcomp.steering.fit.fitting` does.
    """
    if not corpus:
        return None
    from llmcomp.steering.fit import cut_rows, fitting  # torch, only where it is needed

    rows = cut_rows(model, corpus, training)
    total = training.epochs * rows.train_bytes
    steps = fitting(model, rows, training)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield Progress("train", int(step.epoch * rows.train_bytes), total)
