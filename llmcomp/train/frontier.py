"""The frontier: held-out bits per byte against size and decoding time, at equal compute.

In: ``frontier.toml``, a base recipe and arms that change it. Out: one row of facts an arm,
kept in the cache as it is measured, so that a stopped run goes on with the next arm.

Arms get the same number of floating-point operations rather than the same minutes: a machine with
other work would else favour whoever trained while it was idle. Decoding is timed apart, all arms in
turn, because it alone depends on the machine.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmcomp.models.fixed import FixedRunner, Shape
from llmcomp.models.forward import Forward
from llmcomp.models.grid import HEAD_GRIDS, snap_weights
from llmcomp.train.data import Say, cache_dir, data_dir
from llmcomp.train.evaluate import evaluate_model
from llmcomp.train.loop import Trainer, build_model, find_tokenizer
from llmcomp.train.recipe import Recipe, Stage, TrainError, load_recipe
from llmcomp.train.run import RunFolder

__all__ = ["Arm", "Frontier", "load_frontier", "measure", "table"]

DECAY = 0.4
"""Part of an arm's steps over which the learning rate falls to zero."""

_HELD_OUT_BYTES = 50_000
_ROUNDS, _TIMED_STEPS = 5, 30
_POSITION = 512  # at which a decoding step is timed: half a window is full


@dataclass(frozen=True, slots=True)
class Arm:
    """One point of the frontier.

    Attributes:
        name: short.
        about: what differs from the base, in words.
        recipe: the base recipe, changed.
        stage: batch shape.
        steps: optimiser steps that its share of operations allows.
    """

    name: str
    about: str
    recipe: Recipe
    stage: Stage
    steps: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """All arms, and the operations each may spend."""

    flop: float
    arms: tuple[Arm, ...]


def load_frontier(path: Path = Path(__file__).parent / "frontier.toml") -> Frontier:
    """Reads the arms.

    Raises:
        TrainError: if a field is missing or unknown.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        flop = 1e15 * float(table["petaflop"])
        arms = tuple(_arm(name, dict(arm), table, flop) for name, arm in table["arms"].items())
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(f"{path.name}: {error!r}") from error
    return Frontier(flop, arms)


def _arm(name: str, arm: dict[str, Any], table: dict[str, Any], flop: float) -> Arm:
    base = load_recipe(table["base"])
    rows = int(arm.pop("rows_per_step", table["rows_per_step"]))
    stage = Stage(0, int(table["row_tokens"]), rows)
    config = base.config | table["config"] | arm.pop("config", {})
    config["max_position_embeddings"] = stage.row_tokens  # held-out text comes in rows as long
    config["vocab_size"] = int(arm.pop("vocab_size", table["vocab_size"]))
    optimizer = replace(
        base.optimizer, warmup_steps=int(table["warmup_steps"]), **arm.pop("optimizer", {})
    )
    recipe = replace(
        base,
        config=config,
        tokenizer=replace(base.tokenizer, vocab_size=config["vocab_size"]),
        optimizer=optimizer,
        stages=(stage,),
        sources=tuple(replace(s, cap_mb=float(table["cap_mb"])) for s in base.sources),
        zero_outputs=bool(arm.pop("zero_outputs", False)),
    )
    about = str(arm.pop("about"))
    if arm:
        raise ValueError(f"arm {name}: unknown fields {sorted(arm)}")
    tokens = flop / (6.0 * _multiplications(config, stage.row_tokens))
    steps = round(tokens / (stage.row_tokens * rows))
    return Arm(name, about, recipe, stage, steps)


def _multiplications(config: dict[str, Any], row_tokens: int) -> float:
    """Multiplications of one token's forward pass; half a row's positions are seen on average."""
    hidden, d = config["hidden_size"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    layer = hidden * d * (2 * heads + 2 * kv_heads) + 3 * hidden * config["intermediate_size"]
    attention = heads * d * row_tokens  # scores and sums, each over half of the row
    return config["num_hidden_layers"] * (layer + attention) + hidden * config["vocab_size"]


def measure(frontier: Frontier, say: Say, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Trains the arms that were not trained yet, and returns the facts of all that were.

    Args:
        frontier: from `load_frontier`.
        say: takes one line of text for people.
        names: of the arms to train; all if none are named.

    Raises:
        TrainError: if a name is unknown, or the data are missing.
    """
    unknown = set(names) - {arm.name for arm in frontier.arms}
    if unknown:
        raise TrainError(f"no arm {sorted(unknown)[0]!r} in frontier.toml")
    found = []
    for arm in frontier.arms:
        path = _results() / f"{arm.name}-{arm.steps}.json"
        if not path.is_file() and (not names or arm.name in names):
            facts = _train(arm, say)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts), encoding="utf-8")
        if path.is_file():
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return found


def _results() -> Path:
    return cache_dir() / "frontier"


def _train(arm: Arm, say: Say) -> dict[str, Any]:
    """Trains one arm from scratch and measures it on held-out text."""
    say(f"{arm.name}: {arm.about}; {arm.steps} steps")
    recipe = arm.recipe
    folder = RunFolder(f"frontier-bpe-{recipe.tokenizer.vocab_size}")
    tokenizer = find_tokenizer(recipe, folder, folder.path, say)
    trainer = Trainer(recipe, tokenizer, say)
    trainer.compile_for(arm.stage)
    begun = time.monotonic()
    losses = []
    for step in range(arm.steps):
        left = (arm.steps - step) / (DECAY * arm.steps)
        losses.append(trainer.step(min(trainer.warmup_factor(), left), arm.stage))
        if step % 50 == 49:
            say(f"{arm.name}: step {step + 1}, loss {np.mean(losses[-50:]):.4f}")
    extra = {"enwik8": data_dir() / "bench" / "enwik6"}
    forward = Forward(trainer.model, dtype=torch.float32)
    bits = evaluate_model(forward, tokenizer, _HELD_OUT_BYTES, extra)
    say(f"{arm.name}: {np.mean(list(bits.values())):.4f} bits per byte")
    return {
        "name": arm.name,
        "about": arm.about,
        "n_parameters": sum(p.numel() for p in trainer.model.parameters()),
        "tokens": trainer.progress.tokens_seen,
        "minutes": (time.monotonic() - begun) / 60,
        "bits_per_byte": bits,
    }


def _runner(recipe: Recipe) -> FixedRunner:
    """Makes the runner of fresh weights: what they are does not matter to the time of a step."""
    model = build_model(recipe)
    config = {"max_position_embeddings": 2 * _POSITION, "llmcomp_recipe": max(HEAD_GRIDS)}
    shape = Shape.read(model.config.to_dict() | config)
    weights = {name: snap_weights(p.detach().numpy()) for name, p in model.named_parameters()}
    return FixedRunner(shape, weights)


def _least_ms(runner: FixedRunner, n_lanes: int) -> float:
    """Times a decoding step, least of many: milliseconds."""
    session, _ = runner.begin(np.zeros((n_lanes, _POSITION), np.int64), 2 * _POSITION)
    spent = []
    for _ in range(_TIMED_STEPS):
        begun = time.perf_counter()
        session.step(np.zeros(n_lanes, np.int64))
        spent.append(time.perf_counter() - begun)
    return 1e3 * min(spent)


def table(frontier: Frontier, found: Sequence[dict[str, Any]]) -> str:
    """Renders the arms that were measured as a Markdown table, timing their steps now."""
    lines = [
        "| arm | | parameters | float16 | tokens seen | held out | enwik8 | 1 lane | 16 lanes |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    by_name = {facts["name"]: facts for facts in found}
    arms = [arm for arm in frontier.arms if arm.name in by_name]
    # in turn, so that what else the machine does meets all of them
    runners = [_runner(arm.recipe) for arm in arms]
    rounds = [
        [[_least_ms(runner, n_lanes) for n_lanes in (1, 16)] for runner in runners]
        for _ in range(_ROUNDS)
    ]
    least = np.min(rounds, axis=0)
    lines += [_line(arm, by_name[arm.name], *ms) for arm, ms in zip(arms, least, strict=True)]
    return "\n".join(lines)


def _line(arm: Arm, facts: dict[str, Any], one_ms: float, sixteen_ms: float) -> str:
    """Renders one arm."""
    bits = dict(facts["bits_per_byte"])
    enwik8 = bits.pop("enwik8")
    return (
        f"| `{arm.name}` | {arm.about} | {facts['n_parameters'] / 1e6:.2f} M "
        f"| {facts['n_parameters'] * 2 / 1e6:.1f} MB | {facts['tokens'] / 1e6:.2f} M "
        f"| {np.mean(list(bits.values())):.4f} | {enwik8:.4f} "
        f"| {one_ms:.2f} ms | {sixteen_ms:.2f} ms |"
    )
