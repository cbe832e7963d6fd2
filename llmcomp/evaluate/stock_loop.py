"""The same model in plain transformers, token by token: what decoding would cost without a runner.

In: a directory with a stock checkpoint and rows of tokens. Out: nothing but the time it takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from llmcomp.models.base import Tokens

__all__ = ["StockLoop"]


class StockLoop:
    """A stock model in float64 with eager attention and the stock cache."""

    def __init__(self, directory: Path) -> None:
        """Loads the checkpoint."""
        self._model: Any = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float64, attn_implementation="eager", local_files_only=True
        ).eval()

    def run(self, rows: Tokens) -> None:
        """Feeds rows int64[B, T] position by position; which tokens they are does not matter."""
        cache = None
        rows = rows % self._model.config.vocab_size  # a Hub model's compact ids may go beyond
        with torch.inference_mode():
            for column in rows.T[:, :, None]:
                tokens = torch.from_numpy(column)
                found = self._model(tokens, past_key_values=cache, use_cache=True)
                cache = found.past_key_values
