"""The measurements behind ``docs/steering.md``: system 000's experiment, and ours.

Trained prompts are kept under ``~/.cache/llmcomp/steering`` by what determines them (model, text,
settings), so that a table can be made again without the hour of training; delete them to train.

References:
    [000] julmaty/LLM-compressor: steering by soft prompts, coded under a hyper-prior.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from llmcomp.evaluate.bench import corpus
from llmcomp.evaluate.speed import CHUNK_BYTES
from llmcomp.evaluate.steering import Row, as_json, compare, from_json, sweep_ways, table
from llmcomp.models import ASSETS, load_model
from llmcomp.models.base import LanguageModel
from llmcomp.steering.choices import Auto
from llmcomp.steering.kinds import (
    RandomSteering,
    Steering,
    TextSteering,
    TrainedSteering,
)
from llmcomp.steering.priors import Empirical, Gaussian, HyperPrior, Laplace, LloydMax
from llmcomp.steering.settings import SYSTEM_000, Training
from llmcomp.steering.soft_prompt import SUFFIX, SoftPrompt, embedding_scale
from llmcomp.steps import run

__all__ = ["measurements", "stored"]

ENWIK8 = "enwik8, first 50,000 bytes"
TEXTS = (ENWIK8, "English prose, 50 kB", "Python, 50 kB", "Russian, 50 kB")

EPOCHS = (100, 500)
"""System 000's two trainings; the first is the second, stopped early."""

FINE = Gaussian(levels=65_536)
"""Its error is 2**-13 of a standard deviation: the vector as it was trained, as good as."""


STORED = ASSETS / "steering" / "system-000.json"
"""Rows of the published experiment, which the app shows before a visitor has made one."""


def stored() -> list[Row]:
    """Reads what `system-000-priors` measured last; nothing if it never ran."""
    if not STORED.is_file():
        return []
    return [from_json(values) for values in json.loads(STORED.read_text("utf-8"))]


def measurements() -> Mapping[str, Callable[[], str]]:
    """Names the figures of ``docs/steering.md`` and what measures each."""
    return {
        "system-000-kinds": _published_kinds,
        "system-000-priors": _published_priors,
        "steering-kinds": _our_kinds,
        "steering-sweep": _sweep,
    }


def prompts(
    model: LanguageModel, data: bytes, training: Training, epochs: Sequence[int]
) -> dict[int, SoftPrompt]:
    """Trains once and keeps the best prompt as it was after some numbers of epochs.

    Args:
        model: to train through.
        data: the text.
        training: how; its own number of epochs does not count.
        epochs: when to keep, in order.
    """
    paths = {n: _kept(model, data, replace(training, epochs=n)) for n in epochs}
    if not all(path.is_file() for path in paths.values()):
        from llmcomp.steering.fit import cut_rows, fitting

        training = replace(training, epochs=max(epochs))
        for step in fitting(model, cut_rows(model, data, training), training):
            if step.epoch in paths:
                partial = paths[int(step.epoch)].with_suffix(".tmp")
                partial.write_bytes(step.best.to_bytes())
                partial.replace(paths[int(step.epoch)])
            if step.epoch == int(step.epoch):
                sys.stderr.write(f"\repoch {step.epoch:.0f}: {step.train:.4f} bits per byte")
        sys.stderr.write("\n")
    return {n: SoftPrompt.from_bytes(path.read_bytes()) for n, path in paths.items()}


def _kept(model: LanguageModel, data: bytes, training: Training) -> Path:
    folder = Path(os.environ.get("LLMCOMP_CACHE", Path.home() / ".cache/llmcomp")) / "steering"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(json.dumps(asdict(training)).encode() + model.fingerprint + data)
    return folder / f"{digest.hexdigest()[:32]}{SUFFIX}"


def _published_kinds() -> str:
    model, data = _subject()
    trained = prompts(model, data, SYSTEM_000, EPOCHS)
    ways: list[Steering] = [
        TextSteering(),
        RandomSteering(SYSTEM_000.n_virtual_tokens, scale=1.0),
        *(TrainedSteering.coding(soft, FINE) for soft in trained.values()),
    ]
    rows = run(compare(data, model, ways, lane_bytes=CHUNK_BYTES))
    named = [
        replace(row, name=f"{row.name}, {n} epochs")
        for row, n in zip(rows[-len(EPOCHS) :], EPOCHS, strict=True)
    ]
    return table([*rows[: -len(EPOCHS)], *named])


def _published_priors() -> str:
    model, data = _subject()
    soft = prompts(model, data, SYSTEM_000, EPOCHS)[EPOCHS[-1]]
    priors: tuple[HyperPrior, ...] = (
        Gaussian(),
        Gaussian(published_bug=True),
        Empirical(),
        Empirical(published_bug=True),
        LloydMax(),
        Laplace(),
    )
    ways = [TrainedSteering.coding(soft, prior) for prior in priors]
    rows = run(compare(data, model, ways, lane_bytes=CHUNK_BYTES))
    bugs = [getattr(prior, "published_bug", False) for prior in priors]
    honest = [rows[0], *(row for row, bug in zip(rows[1:], bugs, strict=True) if not bug)]
    STORED.parent.mkdir(parents=True, exist_ok=True)
    STORED.write_text(json.dumps([as_json(row) for row in honest], indent=1) + "\n", "utf-8")
    named = [
        replace(row, name=row.name + ", half-bin bug" * bug)
        for row, bug in zip(rows[1:], bugs, strict=True)
    ]
    return table([rows[0], *named])


def _our_kinds() -> str:
    """One table a text: every kind, the trained prompt as `Auto` tries it and at full width."""
    return "\n\n".join(f"**{name}**\n\n{table(_kinds(name))}" for name in TEXTS)


def _kinds(name: str) -> list[Row]:
    model, data = load_model("embedded"), dict(corpus())[name]
    auto = Auto()
    n_short = auto.training.n_virtual_tokens
    short, usual = (
        prompts(model, data, training, (training.epochs,))[training.epochs]
        for training in (auto.training, Training())
    )
    return run(
        compare(
            data,
            model,
            [
                TextSteering(),
                RandomSteering(n_short, scale=embedding_scale(model)),
                *(TrainedSteering.coding(short, prior) for prior in auto.priors),
                *(
                    TrainedSteering.coding(usual, prior)
                    for prior in (Gaussian(), Laplace(levels=16))
                ),
            ],
        )
    )


def _sweep() -> str:
    model, data = load_model("embedded"), dict(corpus())[ENWIK8]
    training = Training()
    soft = prompts(model, data, training, (training.epochs,))[training.epochs]
    return table(run(compare(data, model, sweep_ways(soft))))


def _subject() -> tuple[LanguageModel, bytes]:
    return load_model("embedded"), dict(corpus())[ENWIK8]
