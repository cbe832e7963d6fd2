"""The stable phase of training: steps without end, checkpoints, validations.

In: a recipe. Out: a run folder whose newest checkpoint can be resumed or released.
Knows nothing of command lines.

The schedule is warmup-stable-decay [WSD]: a constant learning rate as long as the run lasts, so it
can stop and go on at any step; only a release decays, on a copy (`llmcomp.train.release`).

References:
    [WSD] Hu et al., MiniCPM, arXiv:2404.06395.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from llmcomp.models.forward import Forward
from llmcomp.train.data import RowSampler, Say, mix_sample
from llmcomp.train.evaluate import evaluate_model
from llmcomp.train.muon import MuonAdamW
from llmcomp.train.recipe import Recipe, Stage, TrainError
from llmcomp.train.run import RunFolder, load_checkpoint, newest_checkpoint
from llmcomp.train.tokenizer import BpeTokenizer, ByteTokenizer, TextTokenizer, train_bpe

__all__ = ["ASSETS", "Trainer", "build_model", "find_tokenizer", "newest_release", "train"]

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PAUSE_S = 120.0  # no step and no validation takes so long


def device() -> torch.device:
    """Returns the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_model(recipe: Recipe) -> Any:
    """Makes the stock transformers model with fresh weights, the same for the same seed.

    Raises:
        TrainError: if transformers has no such class.
    """
    model_class = getattr(transformers, recipe.architecture, None)
    if model_class is None:
        raise TrainError(f"transformers has no class {recipe.architecture!r}")
    torch.manual_seed(recipe.seed)
    model = model_class(model_class.config_class(**recipe.config)).float()
    if recipe.zero_outputs:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    parameter.zero_()
    return model


def newest_release(recipe: Recipe, assets: Path) -> Path | None:
    """Returns ``assets/<name>-<N>`` with the highest N that has weights, if any."""
    releases = [
        folder
        for folder in assets.glob(f"{recipe.name}-*")
        if folder.name.removeprefix(f"{recipe.name}-").isdecimal()
        and (folder / "model.safetensors").is_file()
    ]
    return max(releases, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def find_tokenizer(recipe: Recipe, run: RunFolder, assets: Path, say: Say) -> TextTokenizer:
    """Returns the run's tokenizer: its own, else that of the newest release, else a new one.

    The release's must be taken over, because its weights mean nothing with another vocabulary; but
    a recipe that wants more or fewer ids starts anew.
    """
    if recipe.tokenizer.kind == "bytes":
        return ByteTokenizer()
    if not run.tokenizer_path.is_file():
        release = newest_release(recipe, assets)
        if release is not None and _same_model(recipe, release):
            run.tokenizer_path.write_bytes((release / "tokenizer.json").read_bytes())
            say(f"tokenizer of {release.name}")
        else:
            say(f"training a tokenizer on {recipe.tokenizer.sample_mb:g} MB")
            sample = mix_sample(recipe, recipe.tokenizer.sample_mb)
            train_bpe(sample, recipe.tokenizer.vocab_size, run.tokenizer_path)
    return BpeTokenizer(run.tokenizer_path)


@dataclass(slots=True)
class Progress:
    """How far a training has come.

    Attributes:
        step: steps done.
        tokens_seen: tokens trained on.
        wall_s: seconds spent, over all sessions.
        warm_from: step at which the optimiser state was new (0, or where a release was taken up).
        warm_start: name of the release whose weights were the first ones, or "".
    """

    step: int = 0
    tokens_seen: int = 0
    wall_s: float = 0.0
    warm_from: int = 0
    warm_start: str = ""


class Trainer:
    """Model, optimiser and data of one run.

    Invariant: ``progress.step``, the parameters and the optimiser state determine all later steps.
    """

    def __init__(self, recipe: Recipe, tokenizer: TextTokenizer, say: Say) -> None:
        if tokenizer.vocab_size != recipe.config["vocab_size"]:
            raise TrainError(
                f"the tokenizer has {tokenizer.vocab_size} ids, "
                f"the recipe's model {recipe.config['vocab_size']}"
            )
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.model = build_model(recipe).to(device())
        self.forward = Forward(self.model, compiled=recipe.compiled)
        self.optimizer = MuonAdamW(self.model, recipe.optimizer)
        self.sampler = RowSampler(recipe, tokenizer, say)
        self.progress = Progress()

    def warmup_factor(self) -> float:
        """Returns the stable phase's learning rate factor at the current step, in (0, 1]."""
        optimizer = self.recipe.optimizer
        length = optimizer.rewarm_steps if self.progress.warm_start else optimizer.warmup_steps
        done = self.progress.step + 1 - self.progress.warm_from
        return min(1.0, done / max(length, 1))

    def step(self, lr_factor: float, stage: Stage | None = None) -> float:
        """Does one optimiser step.

        Args:
            lr_factor: of the schedule, in [0, 1].
            stage: batch shape; by default the recipe's for this step.

        Returns:
            The step's mean loss in nats per token.
        """
        stage = stage or self.recipe.stage_at(self.progress.step)
        rows = self.sampler.rows(self.progress.step, stage.rows_per_step, stage.row_tokens)
        batch = torch.from_numpy(rows).to(device())
        n_micro_rows = max(1, self.recipe.micro_tokens // stage.row_tokens)
        total = 0.0
        for begin in range(0, batch.size(0), n_micro_rows):
            part = batch[begin : begin + n_micro_rows]
            share = part.size(0) / batch.size(0)
            loss = self.forward.loss(part[:, :-1], part[:, 1:]) * share
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if not math.isfinite(total):
            raise FloatingPointError(f"loss is {total} at step {self.progress.step}")
        self.optimizer.step(lr_factor)
        self.progress.step += 1
        self.progress.tokens_seen += batch.size(0) * stage.row_tokens
        return total

    def compile_for(self, stage: Stage) -> None:
        """Runs one micro-batch and forgets it, so that compiling is not part of timed steps."""
        n_micro_rows = min(
            max(1, self.recipe.micro_tokens // stage.row_tokens), stage.rows_per_step
        )
        tokens = torch.zeros(n_micro_rows, stage.row_tokens, dtype=torch.int64, device=device())
        loss = self.forward.loss(tokens, tokens)
        loss.backward()  # type: ignore[no-untyped-call]
        self.model.zero_grad()

    def state(self) -> dict[str, Any]:
        """Returns a checkpoint: tensors and plain values."""
        progress = self.progress
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "recipe": self.recipe.name,
            "tokenizer": self.tokenizer.fingerprint,
            "step": progress.step,
            "tokens_seen": progress.tokens_seen,
            "wall_s": progress.wall_s,
            "warm_from": progress.warm_from,
            "warm_start": progress.warm_start,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over a checkpoint.

        Raises:
            TrainError: if it was made with another tokenizer or another shape of the model.
        """
        if state["tokenizer"] != self.tokenizer.fingerprint:
            raise TrainError("the checkpoint was trained with another tokenizer; move one of them")
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:  # other names or shapes
            raise TrainError(
                f"the checkpoint's model has not the shape of recipe {self.recipe.name!r}; move "
                f"the run folder {self.recipe.name!r} out of the cache, or the recipe back"
            ) from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(
            state["step"],
            state["tokens_seen"],
            state["wall_s"],
            state["warm_from"],
            state["warm_start"],
        )

    def load_release(self, folder: Path) -> None:
        """Starts from released weights; the optimiser state is new, hence a short re-warm-up."""
        released = type(self.model).from_pretrained(folder, dtype=torch.float32)
        self.model.load_state_dict(released.state_dict())
        facts = json.loads((folder / "release.json").read_text(encoding="utf-8"))
        self.progress = Progress(
            step=facts["steps"],
            tokens_seen=facts["tokens_seen"],
            wall_s=facts["wall_hours"] * 3600,
            warm_from=facts["steps"],
            warm_start=folder.name,
        )

    def held_out(self, n_bytes: int) -> dict[str, float]:
        """Returns bits per byte by validation slice, over its first bytes."""
        # the windows' shapes vary, and a compiled forward would be compiled anew for each
        return evaluate_model(Forward(self.model), self.tokenizer, n_bytes)


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns SIGTERM and SIGINT into a question that the loop asks between steps."""
    asked = False

    def ask(_signal: int, _frame: object) -> None:
        nonlocal asked
        asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def open_trainer(recipe: Recipe, run: RunFolder, assets: Path, say: Say) -> Trainer:
    """Makes a trainer at the run's newest checkpoint, else at the newest release, else fresh."""
    trainer = Trainer(recipe, find_tokenizer(recipe, run, assets, say), say)
    checkpoint, release = newest_checkpoint(run.path), newest_release(recipe, assets)
    if checkpoint is not None:
        trainer.load_state(load_checkpoint(checkpoint))
        say(f"resumed at step {trainer.progress.step}")
    elif (
        release is not None
        and _same_model(recipe, release)
        and _same_tokens(trainer.tokenizer, release)
    ):
        trainer.load_release(release)
        say(f"started from the weights of {release.name}")
    else:
        say("started from fresh weights")
    return trainer


def _same_model(recipe: Recipe, release: Path) -> bool:
    """Whether a release's class and shapes are the recipe's."""
    config = json.loads((release / "config.json").read_text(encoding="utf-8"))
    return config["architectures"] == [recipe.architecture] and all(
        config.get(name) == value for name, value in recipe.config.items()
    )


def _same_tokens(tokenizer: TextTokenizer, release: Path) -> bool:
    """Whether a release's tokenizer, if it has one, is this one."""
    path = release / "tokenizer.json"
    return not path.is_file() or BpeTokenizer(path).fingerprint == tokenizer.fingerprint


def train(
    recipe: Recipe,
    *,
    assets: Path = ASSETS,
    max_steps: int | None = None,
    max_minutes: float | None = None,
    say: Say,
) -> int:
    """Trains until stopped; a second start of the same recipe only says so.

    SIGTERM and SIGINT end it after the step in progress, with a checkpoint.

    Args:
        recipe: what to train.
        assets: folder of the releases, for a warm start.
        max_steps: step number to stop at; None is never.
        max_minutes: of this session; None is for ever.
        say: takes one line of text for people.

    Returns:
        The step reached.

    Raises:
        TrainError: if the data are missing or do not fit.
    """
    run = RunFolder(recipe.name)
    holder = run.acquire()
    if holder is not None:
        say(f"already running pid {holder}")
        newest = newest_checkpoint(run.path)
        return 0 if newest is None else int(newest.stem.removeprefix("step-"))
    try:
        with _stop_requests() as stop_asked:
            trainer = open_trainer(recipe, run, assets, say)
            _steps(trainer, run, max_steps or sys.maxsize, max_minutes or math.inf, stop_asked, say)
            return trainer.progress.step
    finally:
        run.release()


def _steps(
    trainer: Trainer,
    run: RunFolder,
    max_steps: int,
    max_minutes: float,
    stop_asked: Callable[[], bool],
    say: Say,
) -> None:
    """The loop of `train`: step, log, validate, save; saves once more at the end."""
    recipe, progress = trainer.recipe, trainer.progress
    meter = _Meter(progress)
    session_ends_by_itself = max_minutes < math.inf or max_steps < sys.maxsize
    session_start = saved = validated = time.monotonic()
    while progress.step < max_steps and not stop_asked():
        lr_factor = trainer.warmup_factor()
        meter.add(trainer.step(lr_factor))
        now = time.monotonic()
        if progress.step % recipe.log_every == 0:
            record = meter.record(lr_factor)
            run.log(record)
            say(
                f"step {record['step']}  loss {record['loss_nats']:.4f}  "
                f"{record['tokens_per_s']:.0f} tokens/s"
            )
        if now - validated >= 60 * recipe.validate_minutes:
            _validate(trainer, run, say)
            validated = time.monotonic()
        if now - saved >= 60 * recipe.checkpoint_minutes:
            run.save(trainer.state())
            saved = time.monotonic()
        if now - session_start >= 60 * max_minutes:
            break
    if session_ends_by_itself:
        _validate(trainer, run, say)
    say(f"saved {run.save(trainer.state()).name}")


def _validate(trainer: Trainer, run: RunFolder, say: Say) -> None:
    """Logs held-out bits per byte."""
    bits = trainer.held_out(trainer.recipe.validate_bytes)
    mean = sum(bits.values()) / max(len(bits), 1)
    progress = trainer.progress
    place = {"step": progress.step, "tokens_seen": progress.tokens_seen}
    run.log(place | {"held_out_bits_per_byte": bits, "mean": mean})
    say(f"held out {mean:.4f} bits per byte (mean of {len(bits)} slices)")


class _Meter:
    """Averages between log lines, and the clock of the run.

    A gap of more than ``PAUSE_S`` between two steps is a pause (SIGSTOP, a sleeping machine) and is
    not counted.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._charged = time.monotonic()
        self._wall_before, self._tokens_before = progress.wall_s, progress.tokens_seen
        self._losses: list[float] = []

    def add(self, loss_nats: float) -> None:
        """Notes a step's loss."""
        self._losses.append(loss_nats)
        self.charge()

    def charge(self) -> None:
        """Adds the time since the last charge to the run's wall seconds."""
        now = time.monotonic()
        if now - self._charged <= PAUSE_S:
            self._progress.wall_s += now - self._charged
        self._charged = now

    def record(self, lr_factor: float) -> dict[str, Any]:
        """Returns the log line of the steps since the last one."""
        progress = self._progress
        elapsed = progress.wall_s - self._wall_before
        record = {
            "step": progress.step,
            "tokens_seen": progress.tokens_seen,
            "wall_s": round(progress.wall_s, 1),
            "lr_factor": lr_factor,
            "loss_nats": sum(self._losses) / len(self._losses),
            "tokens_per_s": (progress.tokens_seen - self._tokens_before) / max(elapsed, 1e-9),
        }
        self._wall_before, self._tokens_before = progress.wall_s, progress.tokens_seen
        self._losses = []
        return record
