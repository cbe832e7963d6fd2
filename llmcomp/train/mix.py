"""The mix: one checkpoint, decayed for a short while under several mixes.

In: ``mix.toml`` and a run's newest checkpoint. Out: held-out bits per byte of each arm, kept in the
cache as they are measured.

Most of what a model learns of a kind of text late in its training it learns in the decay, so short
decays of one checkpoint tell mixes apart at a hundredth of the price of whole trainings [WSD]. All
arms have the same steps and the same random numbers.

References:
    [WSD] Hu et al., MiniCPM, arXiv:2404.06395.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmcomp.models.forward import Forward
from llmcomp.train.data import Say, cache_dir, data_dir
from llmcomp.train.evaluate import evaluate_model
from llmcomp.train.loop import ASSETS, Trainer, find_tokenizer
from llmcomp.train.recipe import Recipe, TrainError, load_recipe
from llmcomp.train.release import decay
from llmcomp.train.run import RunFolder, load_checkpoint, newest_checkpoint

__all__ = ["KINDS", "Mix", "MixArm", "by_kind", "load_mix", "measure_mix", "mix_table"]

KINDS = {
    "books": ("books_en",),
    "Wikipedia": ("wiki_en",),
    "enwik8": ("enwik8",),
    "code": ("code",),
    "Russian": ("ru",),
    "Chinese": ("zh",),
}
"""Kinds of text that count alike, by the beginnings of their slices' names."""

_HELD_OUT_BYTES = 50_000


@dataclass(frozen=True, slots=True)
class MixArm:
    """One mix.

    Attributes:
        name: short.
        about: what differs from the recipe, in words.
        recipe: the recipe, with the weights of its sources changed.
    """

    name: str
    about: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Mix:
    """All arms, and how many steps each decays."""

    steps: int
    arms: tuple[MixArm, ...]


def load_mix(path: Path = Path(__file__).parent / "mix.toml") -> Mix:
    """Reads the arms.

    Raises:
        TrainError: if a field is missing, or a weight fits no source.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        recipe = load_recipe(table["recipe"])
        arms = tuple(
            MixArm(name, arm["about"], _weighted(recipe, arm["times"]))
            for name, arm in table["arms"].items()
        )
        return Mix(int(table["steps"]), arms)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(f"{path.name}: {error!r}") from error


def _weighted(recipe: Recipe, times: Mapping[str, float]) -> Recipe:
    """Multiplies the weights of the sources whose names begin with a key."""
    names = [source.name for source in recipe.sources]
    for beginning in times:
        if not any(name.startswith(beginning) for name in names):
            raise ValueError(f"no source begins with {beginning!r}")

    def factor(name: str) -> float:
        fitting = [value for beginning, value in times.items() if name.startswith(beginning)]
        return float(np.prod(fitting))

    changed = tuple(replace(s, weight=s.weight * factor(s.name)) for s in recipe.sources)
    return replace(recipe, sources=changed)


def measure_mix(mix: Mix, say: Say) -> list[dict[str, Any]]:
    """Decays the newest checkpoint under the mixes that were not measured yet.

    Args:
        mix: from `load_mix`.
        say: takes one line of text for people.

    Returns:
        Facts by arm: ``step`` of the checkpoint, and ``bits_per_byte`` by slice, the first 50,000
        bytes of enwik8 among them.

    Raises:
        TrainError: if there is no checkpoint, or the data are missing.
    """
    return [_measured(arm, mix.steps, say) for arm in mix.arms]


def _measured(arm: MixArm, steps: int, say: Say) -> dict[str, Any]:
    """Reads what was measured of an arm, or measures it."""
    path = cache_dir() / "mix" / f"{arm.name}-{steps}.json"
    if not path.is_file():
        facts = _decayed(arm, steps, say)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts), encoding="utf-8")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _decayed(arm: MixArm, steps: int, say: Say) -> dict[str, Any]:
    """Decays the newest checkpoint under one mix and measures it on held-out text."""
    run = RunFolder(arm.recipe.name)
    checkpoint = newest_checkpoint(run.path)
    if checkpoint is None:
        raise TrainError(f"recipe {arm.recipe.name!r} has no checkpoint; run `train` first")
    say(f"{arm.name}: {arm.about}; {steps} steps from {checkpoint.stem}")
    trainer = Trainer(arm.recipe, find_tokenizer(arm.recipe, run, ASSETS, say), say)
    trainer.load_state(load_checkpoint(checkpoint))
    begun = trainer.progress.step
    decay(trainer, steps, None, say)
    extra = {"enwik8": data_dir() / "bench" / "enwik6"}
    forward = Forward(trainer.model, dtype=torch.float32)
    bits = evaluate_model(forward, trainer.tokenizer, _HELD_OUT_BYTES, extra)
    return {"name": arm.name, "step": begun, "bits_per_byte": bits}


def by_kind(bits: Mapping[str, float]) -> dict[str, float]:
    """Averages slices of a kind, then the kinds.

    >>> by_kind({"zh_a": 2.0, "zh_b": 4.0, "ru_a": 1.0})
    {'Russian': 1.0, 'Chinese': 3.0, 'mean': 2.0}
    """
    means = {}
    for kind, beginnings in KINDS.items():
        values = [value for name, value in bits.items() if name.startswith(beginnings)]
        if values:
            means[kind] = sum(values) / len(values)
    return means | {"mean": sum(means.values()) / len(means)}


def mix_table(mix: Mix, found: Sequence[Mapping[str, Any]]) -> str:
    """Renders bits per byte as a Markdown table, a row per mix, a column per kind of text."""
    means = [by_kind(facts["bits_per_byte"]) for facts in found]
    lines = [
        f"| mix | | from step | {' | '.join(means[0])} |",
        f"|---|---|---:|{'---:|' * len(means[0])}",
    ]
    for arm, facts, row in zip(mix.arms, found, means, strict=True):
        numbers = " | ".join(f"{value:.4f}" for value in row.values())
        lines.append(f"| `{arm.name}` | {arm.about} | {facts['step']:,} | {numbers} |")
    return "\n".join(lines)
