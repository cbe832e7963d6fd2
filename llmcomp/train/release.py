"""Releases: decay a copy of a run, snap its weights, write a folder that transformers can load.

In: the newest checkpoint of a run. Out: ``config.json``, ``model.safetensors`` (float16, every
weight on the grid of profile ``fixed``), ``tokenizer.json`` (none for byte models),
``unigram.bin`` (uint16[V], token frequencies that shape the decision tree) and
``release.json`` with the facts of the model card. The run itself is only read.

References:
    [WSD] Hu et al., MiniCPM, arXiv:2404.06395: most of the gain of a long decay comes in a short
        linear one at the end of a constant learning rate.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from llmcomp.models.forward import Forward
from llmcomp.models.grid import HEAD_GRIDS, MATRIX_LIMIT, WEIGHT_GRID, snap_weights
from llmcomp.train.data import Say
from llmcomp.train.dedup import PIECE_BYTES
from llmcomp.train.evaluate import evaluate_model
from llmcomp.train.loop import Trainer, find_tokenizer
from llmcomp.train.recipe import Recipe, TrainError
from llmcomp.train.run import RunFolder, load_checkpoint, newest_checkpoint
from llmcomp.train.tokenizer import BpeTokenizer, ByteTokenizer, TextTokenizer

__all__ = ["KEPT_OUT", "decay", "load_release", "make_release", "snap_model"]

KEPT_OUT = (
    "the validation files (val/) and the benchmark files (bench/), by cutting every stretch of "
    f"{PIECE_BYTES} bytes or more that stands in one of them literally",
    "the first 1,000,000 bytes of enwik8 (of enwik8 only bytes 1,000,000-3,654,398 are used)",
    "Wikipedia articles with ids up to 20,000",
    "Alice's Adventures in Wonderland, As You Like It, Paradise Lost, Far from the Madding Crowd",
)
SAY_EVERY_S = 60.0


def make_release(
    recipe: Recipe,
    out: Path,
    *,
    assets: Path,
    steps: int | None = None,
    minutes: float | None = None,
    n_bytes: int = 50_000,
    date: str | None = None,
    replace: bool = False,
    say: Say,
) -> dict[str, Any]:
    """Makes one release from the newest checkpoint.

    Args:
        recipe: whose run to release.
        out: folder to write; it appears only when complete.
        assets: folder of the releases, where a run without a tokenizer finds one.
        steps: of the decay; the recipe's ``decay_steps`` if neither this nor minutes is given.
        minutes: of the decay, instead of or besides steps; whichever ends first ends it.
        n_bytes: of each validation slice.
        date: ISO date for ``release.json``; today's (UTC) if not given.
        replace: overwrite a folder that is there. Blobs name releases, so only for one that
            nobody has used yet.
        say: takes one line of text for people.

    Returns:
        What ``release.json`` holds.

    Raises:
        TrainError: if there is no checkpoint, or the folder exists.
    """
    if out.exists() and not replace:
        raise TrainError(f"{out.name} exists, and blobs may name it; choose the next number")
    run = RunFolder(recipe.name)
    checkpoint = newest_checkpoint(run.path)
    if checkpoint is None:
        raise TrainError(f"recipe {recipe.name!r} has no checkpoint; run `train` first")
    trainer = Trainer(recipe, find_tokenizer(recipe, run, assets, say), say)
    trainer.load_state(load_checkpoint(checkpoint))
    say(f"decaying from step {trainer.progress.step}")
    if steps is None and minutes is None:
        steps = recipe.decay_steps
    decay_start = trainer.progress.step
    decay(trainer, steps, minutes, say)
    forward = Forward(trainer.model, dtype=torch.float32)
    say("measuring held-out bits per byte, float weights, then snapped ones")
    float_bits = evaluate_model(forward, trainer.tokenizer, n_bytes)
    n_clamped = snap_model(trainer.model)
    snapped_bits = evaluate_model(forward, trainer.tokenizer, n_bytes)
    facts = {
        "name": out.name,
        "date": date or datetime.now(UTC).date().isoformat(),
        "steps": trainer.progress.step,
        "decay_steps": trainer.progress.step - decay_start,
        "tokens_seen": trainer.progress.tokens_seen,
        "wall_hours": round(trainer.progress.wall_s / 3600, 3),
        "held_out_first_bytes": n_bytes,
        "held_out_bits_per_byte": {"float32": float_bits, "snapped": snapped_bits},
        "clamped_weights": n_clamped,
        "learning_curve": run.learning_curve(),
        "validate_bytes": recipe.validate_bytes,
        **_recipe_facts(trainer),
    }
    _export(trainer, facts, run, out)
    say(f"wrote {out.name}")
    return facts


def decay(trainer: Trainer, steps: int | None, minutes: float | None, say: Say) -> None:
    """Trains with a learning rate that falls linearly to zero [WSD].

    Rows are as long as in the recipe's last stage, since released models work in whole windows.
    """
    last_stage = trainer.recipe.stages[-1]
    trainer.compile_for(last_stage)
    start = said = time.monotonic()
    n_steps, n_seconds = steps or math.inf, 60 * (minutes or math.inf)
    n_done = 0
    while True:
        elapsed = time.monotonic() - start
        factor = 1 - max(n_done / n_steps, elapsed / n_seconds)
        if factor <= 0:
            break
        loss = trainer.step(min(factor, trainer.warmup_factor()), last_stage)
        n_done += 1
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(f"decay step {n_done}  factor {factor:.2f}  loss {loss:.4f}")
    trainer.progress.wall_s += time.monotonic() - start


@torch.no_grad()
def snap_model(model: Any) -> int:
    """Puts every parameter, the norms' too, on the weight grid of profile ``fixed``, in place.

    Returns:
        How many entries of matrices were beyond 2 and had to be clamped, so that all fit 16-bit
        integers.

    Raises:
        ValueError: if a weight is not finite.
    """
    n_clamped = 0
    for parameter in model.parameters():
        snapped = torch.from_numpy(snap_weights(parameter.cpu().numpy())).to(parameter.dtype)
        if parameter.ndim == 2:
            n_clamped += int((snapped.abs() > MATRIX_LIMIT).sum())
            snapped = snapped.clamp(-MATRIX_LIMIT, MATRIX_LIMIT)
        parameter.copy_(snapped)
    return n_clamped


def _recipe_facts(trainer: Trainer) -> dict[str, Any]:
    """Returns the part of ``release.json`` that follows from recipe, model and machine."""
    recipe, sampler = trainer.recipe, trainer.sampler
    shares = recipe.shares
    return {
        "recipe": recipe.name,
        "architecture": recipe.architecture,
        "n_parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "config": recipe.config,
        "tokenizer": recipe.tokenizer.kind,
        "tokenizer_fingerprint": trainer.tokenizer.fingerprint,
        "start_token": trainer.tokenizer.start_token,
        "weight_grid": WEIGHT_GRID,
        "device": "GPU" if torch.cuda.is_available() else "CPU",
        "optimizer": {"muon_lr": recipe.optimizer.muon_lr, "adam_lr": recipe.optimizer.adam_lr},
        "warm_start": trainer.progress.warm_start,
        "sources": {
            source.name: {
                "share": round(shares[source.name], 4),
                "cap_mb": source.cap_mb,
                "tokens_available": sampler.source_tokens[source.name],
                **asdict(sampler.dropped[source.name]),
                "tokens_drawn": round(shares[source.name] * trainer.progress.tokens_seen),
            }
            for source in recipe.sources
        },
        "kept_out": list(KEPT_OUT),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }


def _export(trainer: Trainer, facts: dict[str, Any], run: RunFolder, out: Path) -> None:
    """Writes the folder next to its place, then renames it there."""
    partial = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model = trainer.model
    # tied weights occur once in named_parameters(), which is what transformers expects in the file
    tensors = {
        name: parameter.detach().cpu().to(torch.float16).contiguous()
        for name, parameter in model.named_parameters()
    }
    save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
    config = model.config
    config.architectures = [trainer.recipe.architecture]
    config.dtype = torch.float16
    config.llmcomp_recipe = max(HEAD_GRIDS)
    # windows open with the start token; nothing ends or pads them
    config.bos_token_id = trainer.tokenizer.start_token
    config.eos_token_id = config.pad_token_id = None
    config.save_pretrained(partial)
    if trainer.recipe.tokenizer.kind == "bpe":
        shutil.copyfile(run.tokenizer_path, partial / "tokenizer.json")
    unigram = trainer.sampler.unigram().astype("<u2")
    (partial / "unigram.bin").write_bytes(unigram.tobytes())
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    (partial / "release.json").write_text(text + "\n", encoding="utf-8")
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner only
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)


def load_release(folder: Path) -> tuple[Any, TextTokenizer]:
    """Loads an exported folder: the stock model in float32, and its tokenizer.

    Raises:
        TrainError: if the folder is not a release.
    """
    if not (folder / "model.safetensors").is_file():
        raise TrainError(f"{folder.name} is no release: there is no model.safetensors in it")
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer_path = folder / "tokenizer.json"
    if tokenizer_path.is_file():
        return model, BpeTokenizer(tokenizer_path)
    return model, ByteTokenizer()
