"""Recipes: one small TOML file says everything about one model's training.

In: the name of a shipped recipe or the path of a TOML file. Out: a checked `Recipe`.
Knows nothing of torch, of tokens or of where the data lie.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = [
    "MixSource",
    "OptimizerRecipe",
    "Recipe",
    "Stage",
    "TokenizerRecipe",
    "TrainError",
    "load_recipe",
]

RECIPES = Path(__file__).parent / "recipes"


class TrainError(Exception):
    """Something a person must set right: a missing folder, an unknown name, a bad recipe."""


@dataclass(frozen=True, slots=True)
class TokenizerRecipe:
    """How text becomes token ids.

    Attributes:
        kind: ``"bpe"`` (byte-level byte-pair encoding) or ``"bytes"`` (id = byte).
        vocab_size: number of token ids; 256 for ``"bytes"``.
        sample_mb: megabytes of the mix that the merges are learnt from.
    """

    kind: str
    vocab_size: int
    sample_mb: float = 70.0


@dataclass(frozen=True, slots=True)
class MixSource:
    """One file of the training mix.

    Attributes:
        name: file name in ``train/`` without ``.txt.xz``.
        weight: share of the rows, relative to the other weights.
        cap_mb: only the first so many megabytes are used (so that the first start is quick).
    """

    name: str
    weight: float
    cap_mb: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Batch shape from one step on.

    Attributes:
        from_step: first step of this stage.
        row_tokens: positions of a row, the start token included.
        rows_per_step: rows of one optimiser step.
    """

    from_step: int
    row_tokens: int
    rows_per_step: int


@dataclass(frozen=True, slots=True)
class OptimizerRecipe:
    """Learning rates and their company; the schedule is warmup-stable(-decay) [WSD].

    Attributes:
        muon_lr: for the 2-D hidden matrices, update RMS matched to AdamW's [Moonlight].
        adam_lr: for embeddings and norms.
        weight_decay: decoupled; multiplied by the learning rate, for matrices and embeddings.
        warmup_steps: linear warm-up from zero.
        rewarm_steps: the same after a start from released weights (optimiser state is new).
        clip: largest global norm of the gradient.
        momentum: of Muon, Nesterov style.
    """

    muon_lr: float
    adam_lr: float
    weight_decay: float = 0.1
    warmup_steps: int = 100
    rewarm_steps: int = 50
    clip: float = 1.0
    momentum: float = 0.95


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about one model's training.

    Attributes:
        name: also the name of the run folder and of the releases (``name-1``, ``name-2``, ...).
        seed: keys the generator of the weights and of the row positions.
        architecture: ``"LlamaForCausalLM"`` or ``"Qwen3ForCausalLM"``.
        config: keyword arguments of that class's stock configuration.
        tokenizer: see `TokenizerRecipe`.
        sources: the mix.
        stages: batch shapes, by ascending ``from_step``; the first starts at step 0.
        micro_tokens: tokens of one forward pass; small enough for the caches.
        optimizer: see `OptimizerRecipe`.
        decay_steps: steps of the linear decay that makes a release.
        compiled: fuse elementwise work with torch.compile (a minute slower to start).
        zero_outputs: layers begin by adding nothing to the residual stream.
        log_every: steps between log lines.
        checkpoint_minutes: between checkpoints.
        validate_minutes: between validations.
        validate_bytes: of each slice, for the validations while training.
    """

    name: str
    seed: int
    architecture: str
    config: dict[str, Any]
    tokenizer: TokenizerRecipe
    sources: tuple[MixSource, ...]
    stages: tuple[Stage, ...]
    micro_tokens: int
    optimizer: OptimizerRecipe
    decay_steps: int
    compiled: bool = False
    zero_outputs: bool = False
    log_every: int = 20
    checkpoint_minutes: float = 10.0
    validate_minutes: float = 20.0
    validate_bytes: int = 12_000

    def stage_at(self, step: int) -> Stage:
        """Returns the batch shape of a step.

        >>> load_recipe("nano").stage_at(0).from_step
        0
        """
        return [stage for stage in self.stages if stage.from_step <= step][-1]

    @property
    def shares(self) -> dict[str, float]:
        """Fraction of the rows per source; they sum to one."""
        total = sum(source.weight for source in self.sources)
        return {source.name: source.weight / total for source in self.sources}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Reads a shipped recipe by name, or any TOML file by its path.

    Raises:
        TrainError: if there is no such recipe, or a field is missing, unknown or senseless.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = RECIPES / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
        raise TrainError(f"no recipe {str(name_or_path)!r}; shipped are: {known}")
    with path.open("rb") as file:
        table = tomllib.load(file)
    try:
        return _from_table(table)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(f"recipe {path.name}: {error!r}") from error


def _from_table(table: dict[str, Any]) -> Recipe:
    """Builds the nested values; unknown keys are an error, so typing mistakes show."""
    table = dict(table)
    table["tokenizer"] = TokenizerRecipe(**table["tokenizer"])
    table["optimizer"] = OptimizerRecipe(**table["optimizer"])
    table["stages"] = tuple(Stage(*stage) for stage in table["stages"])
    table["sources"] = tuple(
        MixSource(name, float(value["weight"]), float(value["cap_mb"]))
        for name, value in table["sources"].items()
    )
    unknown = set(table) - {field.name for field in fields(Recipe)}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    recipe = Recipe(**table)
    if not recipe.stages or recipe.stages[0].from_step != 0:
        raise ValueError("the first stage must start at step 0")
    if not recipe.sources:
        raise ValueError("the mix has no source")
    longest = max(stage.row_tokens for stage in recipe.stages)
    if longest > recipe.config["max_position_embeddings"]:
        raise ValueError(f"rows of {longest} tokens exceed max_position_embeddings")
    return recipe
