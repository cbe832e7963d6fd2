"""What the codec asks of a language model.

Tokens in, logits out, and nothing about files. There are two passes: `score`, which sees a whole
row at once, and a `Session`, which sees one token of every lane at a time. How closely they agree
is for the model to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llmcomp.bill import ModelSize
from llmcomp.decisions import DecisionTree
from llmcomp.tokens import Tokenizer

Float64Array = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


class Session(Protocol):
    """A cached pass: B lanes that step together."""

    def step(self, tokens: Tokens) -> Float64Array:
        """Feeds one token to each lane: int64[B] -> logits float64[B, V] of the next."""


class LanguageModel(Protocol):
    """A causal language model on whose logits two machines agree.

    Attributes:
        name: registry name with its release, ``embedded-1``.
        number: registry number as blobs name it, 1 to 255.
        directory: where its files lie.
        fingerprint: bytes[32], SHA-256 of everything its numbers depend on.
        context_length: longest row, the start token included.
        start_token: id that stands before every lane, given and never coded.
        tokenizer: bytes to ids and back.
        tree: decision tree over its ids.
        hidden_size: width of its embeddings.
        n_virtual_tokens: positions of every row that a prompt takes, 0 without one. They stand
            between the start token and the rest, and no row, room or logits count them.
        profiles: how its logits may be brought to agreement, the usual one first: ``fixed`` if
            both passes, `score` and a `Session`, give the same bits on every machine;
            ``tolerant`` if their log-odds differ by less than ``margin``; ``replay`` if the same
            steps give the same bits in the same ``environment``.
        margin: largest difference of two machines' log-odds, with room to spare.
        dtype: what it computes in, one of `llmcomp.container.DTYPES`.
        size: what it weighs.
        source: ``owner/model@commit`` if others can get it under that name, else empty.
    """

    name: str
    number: int
    directory: Path
    fingerprint: bytes
    context_length: int
    start_token: int
    tokenizer: Tokenizer
    tree: DecisionTree
    hidden_size: int
    n_virtual_tokens: int
    profiles: Sequence[str]
    margin: float
    dtype: str
    size: ModelSize
    source: str

    @property
    def environment(self) -> str:
        """Everything that its numbers depend on, in words of at most 255 bytes."""

    def embed(self, tokens: Tokens) -> Float64Array:
        """Looks tokens up: int64[T] -> float64[T, hidden_size], on the weights' grid."""

    def steered(self, prompt: Float64Array) -> LanguageModel:
        """Returns this model with a prompt in front of every row's tokens.

        Args:
            prompt: float64[P, hidden_size], on the weights' grid. A token's embedding is as good
                a vector as any other, so text steers in the same way.

        Raises:
            ValueError: if the prompt has another width, is off the grid or beyond 2**15, or
                leaves less than 16 positions of the context.
        """

    def score(self, rows: Tokens) -> Iterator[tuple[int, int, Float64Array]]:
        """Runs rows in parallel and yields logits piecewise, never all at once.

        Args:
            rows: int64[B, T], ``T <= context_length``; each begins with the start token.

        Yields:
            ``(row, start, logits float64[n, V])``: entry i predicts what follows position
            ``start + i`` of that row.
        """

    def begin(self, rows: Tokens, room: int) -> tuple[Session, Float64Array]:
        """Starts a cached pass after given rows.

        Args:
            rows: int64[B, T], each beginning with the start token.
            room: positions the session must hold in all, at least T.

        Returns:
            The session, and logits float64[B, V] of what follows the rows.
        """
