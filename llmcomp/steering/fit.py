"""Trains soft prompts: Adam on vectors in front of a frozen model, as a generator.

In: a model and rows of tokens. Out: after every batch how far it is, and the best prompt so far, so
that whoever stops early keeps it. The only module of ``steering`` that needs torch; nothing imports
it before a prompt is to be trained.

Shipped and exported models are trained through as the stock models they also are, in the precision
asked for; Hub models through themselves, in the dtype and on the device they were loaded for.

The same seed gives the same prompt on one machine with one number of threads.

References:
    [Lester21] Lester, Al-Rfou, Constant, arXiv:2104.08691. [Adam] Kingma, Ba, arXiv:1412.6980.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmcomp.errors import ModelError
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.models.fixed import MIN_ROOM
from llmcomp.models.forward import Forward
from llmcomp.models.hub import HubModel
from llmcomp.models.snapped import SnappedModel
from llmcomp.schedule import cut_bytes
from llmcomp.steering.settings import Training
from llmcomp.steering.soft_prompt import (
    SoftPrompt,
    embedding_scale,
    snapped_scale,
    text_digest,
)

__all__ = ["FitStep", "Rows", "cut_rows", "fitting"]

_NOT_COUNTED = -1
_EVALUATED_ROWS = 16


@dataclass(frozen=True, slots=True)
class FitStep:
    """How far a training is; losses in bits per byte, NaN where there is none yet.

    Attributes:
        epoch: passes over the training rows so far.
        epochs: passes planned.
        train: loss over the last whole epoch, each batch before its own step.
        held_out: loss on the rows kept out, after the last whole epoch.
        plain_train: loss on the training rows without any prompt.
        plain_held_out: loss on the held-out rows without any prompt.
        seconds: spent so far.
        best: the prompt of the best epoch so far: least loss on the rows kept out, or on the
            training rows if there are none. Before the first epoch ends, the noise it begins as.
    """

    epoch: float
    epochs: int
    train: float
    held_out: float
    plain_train: float
    plain_held_out: float
    seconds: float
    best: SoftPrompt


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of tokens for training, and how many bytes they stand for.

    Attributes:
        train: int64[T] tokens of each row.
        held_out: the same, never trained on; may be empty.
        train_bytes: bytes of all training rows.
        held_out_bytes: bytes of all rows kept out.
        text_digest: of the text they were cut from, see `text_digest`.
    """

    train: Sequence[Tokens]
    held_out: Sequence[Tokens]
    train_bytes: int
    held_out_bytes: int
    text_digest: str


def cut_rows(model: LanguageModel, data: bytes, training: Training) -> Rows:
    """Cuts a text into rows and keeps some of them out, evenly spread.

    Args:
        model: its tokenizer cuts, and its context bounds the rows.
        data: the text.
        training: how long rows are, how much of a long text is used, and what part is kept out;
            a text of few rows keeps at least one for training.

    Raises:
        ValueError: if the text is empty.
        ModelError: if the context has no room for text beside the prompt.
    """
    if not data:
        raise ValueError("there is nothing to train a prompt on: the text is empty")
    room = model.context_length - training.n_virtual_tokens
    if room < MIN_ROOM:
        raise ModelError(
            f"{training.n_virtual_tokens} virtual tokens leave less than {MIN_ROOM} of the "
            f"{model.context_length} positions of {model.name} for text; take fewer"
        )
    if training.row_bytes is not None:
        rows = [model.tokenizer.encode(part) for part in cut_bytes(data, training.row_bytes)]
        # a chunk too long for the context goes on in a row of its own
        rows = [row[i : i + room] for row in rows for i in range(0, len(row), room)]
    else:
        tokens = model.tokenizer.encode(data)
        width = min(training.row_tokens or room, room)
        rows = [tokens[i : i + width] for i in range(0, len(tokens), width)]
    n_used = max(1, math.ceil(len(rows) * min(1.0, training.max_bytes / len(data))))
    rows = [rows[i * len(rows) // n_used] for i in range(n_used)]
    n_out = min(round(training.held_out * len(rows)), len(rows) - 1)
    out = {int((i + 0.5) * len(rows) / n_out) for i in range(n_out)}
    table = model.tokenizer.token_bytes
    kept: tuple[list[Tokens], list[Tokens]] = ([], [])
    for index, row in enumerate(rows):
        kept[index in out].append(row)
    train_bytes, held_out_bytes = (sum(len(table[i]) for row in k for i in row) for k in kept)
    return Rows(kept[0], kept[1], train_bytes, held_out_bytes, text_digest(data))


def fitting(
    model: LanguageModel, rows: Rows, training: Training
) -> Generator[FitStep, None, SoftPrompt]:
    """Trains a soft prompt.

    Args:
        model: a shipped, exported or Hub model.
        rows: what to train on, and what to watch.
        training: length, epochs and so on.

    Yields:
        A `FitStep` before the first batch and after every one.

    Returns:
        The best prompt.

    Raises:
        ModelError: if the model cannot be trained through.
    """
    fit = _Fit(model, rows, training)
    began = time.monotonic()
    plain_train, plain_held_out = (fit.evaluate(part, None) for part in (rows.train, rows.held_out))
    state = _State(math.nan, math.nan, fit.prompt({}))

    def step(epoch: float) -> FitStep:
        spent = time.monotonic() - began
        return FitStep(
            epoch,
            training.epochs,
            state.train,
            state.held_out,
            plain_train,
            plain_held_out,
            spent,
            state.best,
        )

    yield step(0.0)
    for epoch in range(training.epochs):
        nats = 0.0
        batches = fit.shuffled(epoch)
        for done, batch in enumerate(batches, 1):
            nats += fit.train(batch)
            if done < len(batches):
                yield step(epoch + done / len(batches))
        state.train = fit.bits_per_byte(nats, rows.train_bytes)
        state.held_out = fit.evaluate(rows.held_out, fit.vectors)
        facts = {
            "epochs_done": epoch + 1,
            "train": state.train,
            "held_out": state.held_out,
            "plain_train": plain_train,
            "plain_held_out": plain_held_out,
        }
        state.keep(fit, facts)
        yield step(epoch + 1.0)
    return state.best


@dataclass(slots=True)
class _State:
    """Losses of the last epoch, and the best prompt so far."""

    train: float
    held_out: float
    best: SoftPrompt
    least: float = math.inf

    def keep(self, fit: _Fit, facts: dict[str, float]) -> None:
        """Keeps the prompt if it is the best so far; one that has left the numbers never is."""
        loss = self.held_out if fit.watches else self.train
        found = fit.prompt(facts)
        if loss < self.least and np.isfinite(found.vector).all():
            self.least = loss
            self.best = found


class _Fit:
    """Frozen model, prompt and optimiser."""

    def __init__(self, model: LanguageModel, rows: Rows, training: Training) -> None:
        self._model = model
        self._rows = rows
        self._training = training
        self._through = _through(model, training.precision)
        self._device = self._through.device
        self.watches = bool(rows.held_out)
        self.scale = snapped_scale(training.scale or embedding_scale(model))
        noise = np.random.Generator(np.random.Philox(key=[training.seed, 0])).standard_normal((
            training.n_virtual_tokens,
            model.hidden_size,
        ))
        start = torch.from_numpy(noise.astype(np.float32)).to(self._device)
        self.vectors = start.requires_grad_()
        self._adam = torch.optim.Adam([self.vectors], lr=training.learning_rate)

    def shuffled(self, epoch: int) -> list[list[Tokens]]:
        """Draws an epoch's batches; its number alone decides the order."""
        seed = [self._training.seed, epoch + 1]
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(self._rows.train))
        size = self._training.batch_rows
        return [
            [self._rows.train[i] for i in order[at : at + size]]
            for at in range(0, len(order), size)
        ]

    def train(self, batch: Sequence[Tokens]) -> float:
        """Makes one step and returns the batch's loss before it, in nats."""
        inputs, labels, count = self._tensors(batch)
        loss = self._through.loss(inputs, labels, self.scale * self.vectors)
        self._adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._adam.step()
        return loss.item() * count

    @torch.no_grad()
    def evaluate(self, rows: Sequence[Tokens], vectors: Tensor | None) -> float:
        """Returns the loss of rows in bits per byte, NaN if there are none."""
        prompt = None if vectors is None else self.scale * vectors
        nats = 0.0
        for at in range(0, len(rows), _EVALUATED_ROWS):
            inputs, labels, count = self._tensors(rows[at : at + _EVALUATED_ROWS])
            nats += self._through.loss(inputs, labels, prompt).item() * count
        held_out = rows is self._rows.held_out
        n_bytes = self._rows.held_out_bytes if held_out else self._rows.train_bytes
        return self.bits_per_byte(nats, n_bytes)

    def bits_per_byte(self, nats: float, n_bytes: int) -> float:
        """Turns a sum of losses into bits per byte."""
        return nats / math.log(2) / n_bytes if n_bytes else math.nan

    def prompt(self, facts: dict[str, float]) -> SoftPrompt:
        """Copies the vectors as they are now."""
        return SoftPrompt(
            vector=self.vectors.detach().cpu().numpy().copy(),
            scale=self.scale,
            model=self._model.name,
            fingerprint=self._model.fingerprint.hex(),
            history={
                "training": asdict(self._training),
                "text_digest": self._rows.text_digest,
                **{name: fact for name, fact in facts.items() if not math.isnan(fact)},
            },
        )

    def _tensors(self, rows: Sequence[Tokens]) -> tuple[Tensor, Tensor, int]:
        """Pads rows into inputs and labels, int64[B, T] each, and counts the labels."""
        width = max(len(row) for row in rows)
        inputs = np.full((len(rows), width), self._model.start_token, np.int64)
        labels = np.full((len(rows), width), _NOT_COUNTED, np.int64)
        for i, row in enumerate(rows):
            inputs[i, 1 : len(row)] = row[:-1]
            labels[i, : len(row)] = row
        count = sum(len(row) for row in rows)
        device = self._device
        return torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device), count


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _through(model: LanguageModel, precision: str) -> Forward | HubModel:
    """Finds what gives a prompt its gradient.

    Raises:
        ModelError: if there is nothing, or not in that precision.
    """
    if isinstance(model, HubModel):
        if precision not in {"auto", model.dtype}:
            raise ModelError(
                f"a prompt for {model.name}, loaded in {model.dtype}, is trained in that, not in "
                f"{precision}; leave the precision out, or load the model in it"
            )
        return model
    if not isinstance(model, SnappedModel):
        raise ModelError(
            f"no prompt can be trained through {model.name}, only through shipped, exported and "
            "Hub models; a string or noise can steer it"
        )
    return Forward(_load(model.directory), dtype=_dtype(precision, _device()))


@lru_cache(maxsize=2)
def _load(directory: Path) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # reading 14 MB is no news
    loaded = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, local_files_only=True
    )
    return loaded.requires_grad_(False).eval().to(_device())


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """Chooses the products' dtype: bfloat16 is slower where it has to be emulated."""
    if precision == "auto":
        fast = (
            torch.cuda.is_bf16_supported()
            if device.type == "cuda"
            else torch.cpu._is_avx512_bf16_supported()
        )
        precision = "bfloat16" if fast else "float32"
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
