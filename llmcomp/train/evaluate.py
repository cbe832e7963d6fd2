"""Held-out bits per byte.

In: a model, a tokenizer, the validation files. Out: bits per byte by slice.
Knows nothing of optimisers or schedules.

Each slice is the first bytes of a file; its tokens go through windows of the start token and
``context - 1`` tokens, without overlap, as the compressor's plain policy does. Every token is paid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from llmcomp.models.forward import Forward
from llmcomp.train.data import read_slice, validation_files
from llmcomp.train.tokenizer import TextTokenizer

__all__ = ["bits_per_byte", "evaluate_model"]

BATCH_WINDOWS = 8


@torch.no_grad()
def bits_per_byte(forward: Forward, tokenizer: TextTokenizer, text: str) -> float:
    """Returns what the model pays for a text, in bits per UTF-8 byte.

    Args:
        forward: of the model.
        tokenizer: of the model.
        text: NULs included.
    """
    tokens = tokenizer.encode(text).astype(np.int64)
    width = forward.context_length - 1
    n_whole = len(tokens) // width
    batches = [
        tokens[: n_whole * width].reshape(n_whole, width)[begin : begin + BATCH_WINDOWS]
        for begin in range(0, n_whole, BATCH_WINDOWS)
    ]
    if len(tokens) % width:
        batches.append(tokens[None, n_whole * width :])
    nats = 0.0
    for labels in batches:
        start = np.full((len(labels), 1), tokenizer.start_token, np.int64)
        inputs = np.concatenate([start, labels[:, :-1]], 1)
        loss = forward.loss(
            torch.from_numpy(inputs).to(forward.device),
            torch.from_numpy(labels).to(forward.device),
        )
        nats += loss.item() * labels.size
    return nats / math.log(2) / len(text.encode())


def evaluate_model(
    forward: Forward,
    tokenizer: TextTokenizer,
    n_bytes: int,
    extra: Mapping[str, Path] | None = None,
) -> dict[str, float]:
    """Returns bits per byte by slice: every validation file, then the extra ones.

    Args:
        forward: of the model.
        tokenizer: of the model.
        n_bytes: of each file, from its beginning, cut back to a whole character.
        extra: more files by slice name.
    """
    files = {**validation_files(), **(extra or {})}
    return {
        name: bits_per_byte(forward, tokenizer, read_slice(path, n_bytes))
        for name, path in files.items()
    }
