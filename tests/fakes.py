"""A language model without weights: fast, deterministic, and it counts its calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from llmcomp.bill import ModelSize
from llmcomp.decisions import DecisionTree
from llmcomp.tokens import ByteTokenizer


class FakeModel:
    """Predicts the next byte from the last one by a fixed random table.

    ``noise`` is added to the cached pass only: a machine whose numbers differ. ``jitter`` bounds
    noise that is drawn anew at every step, from ``jitter_seed``.
    """

    profiles = ("fixed", "tolerant", "replay")
    margin = 2.0**-12
    dtype = "float32"
    size = ModelSize(65_536, 400_000)
    source = ""

    def __init__(
        self, *, noise: float = 0.0, jitter: float = 0.0, jitter_seed: int = 0, seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.number, self.directory = "fake", 0, Path("nowhere")
        self.fingerprint = bytes([seed]) * 32
        self.context_length = 64
        self.start_token = 0
        self.hidden_size, self.n_virtual_tokens = 4, 0
        self.tokenizer = ByteTokenizer()
        self.tree = DecisionTree.build(self.tokenizer.token_bytes, np.arange(1, 257))
        self.calls = 0
        self._table = np.round(rng.normal(size=(256, 256)) * 2.0, 3)
        self._noise = np.round(rng.normal(size=256), 3) * noise
        self._jitter, self._jitter_rng = jitter, np.random.default_rng(jitter_seed)
        self.environment = f"a fake of noise {noise}"

    def score(self, rows: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        self.calls += 1
        for row, tokens in enumerate(rows):
            yield row, 0, self._table[tokens]

    def begin(self, rows: np.ndarray, room: int) -> tuple[FakeSession, np.ndarray]:
        session = FakeSession(self)
        return session, session.step(rows[:, -1])


class FakeSession:
    def __init__(self, model: FakeModel) -> None:
        self._model = model

    def step(self, tokens: np.ndarray) -> np.ndarray:
        self._model.calls += 1
        logits = self._model._table[tokens] + self._model._noise
        jitter = self._model._jitter
        return logits + self._model._jitter_rng.uniform(-jitter, jitter, logits.shape)
