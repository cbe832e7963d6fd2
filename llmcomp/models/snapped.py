"""A snapped model with its tokenizer and decision tree: everything an exported directory holds.

config.json         stock configuration (Llama or Qwen3)
model.safetensors   stock weights, float16 on ``WEIGHT_GRID``
tokenizer.json      byte-level BPE; absent when a token is a byte
unigram.bin         uint16[V], little-endian: frozen token weights that shape the tree
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from llmcomp.decisions import DecisionTree
from llmcomp.errors import ModelError
from llmcomp.models.base import Session, Tokens
from llmcomp.models.fixed import FixedRunner
from llmcomp.models.grid import Float64Array
from llmcomp.models.size import size_of
from llmcomp.tokens import BpeTokenizer, ByteTokenizer, Tokenizer

START_BYTE = b"\0"
"""Documents of the training text are joined by NUL, so every lane begins after one."""


class SnappedModel:
    """A language model of profile ``fixed``; see `llmcomp.models.base.LanguageModel`.

    What is the same to the bit everywhere also serves the other profiles.
    """

    profiles: Sequence[str] = ("fixed", "tolerant", "replay")
    margin = 2.0**-30
    dtype = "float64"
    environment = "any"
    source = ""

    def __init__(self, directory: Path, *, name: str, number: int) -> None:
        """Loads an exported directory.

        Args:
            directory: holds the files named above.
            name: registry name with its release, or the directory's own name.
            number: registry number, 0 for a directory given by hand.

        Raises:
            ModelError: if files are missing or do not fit together.
        """
        self.name = name
        self.number = number
        self.directory = directory
        self.n_virtual_tokens = 0
        try:
            self._load(directory)
        except (AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"{directory} does not hold a whole model: {type(error).__name__}: {error}; "
                "export it again with `python -m llmcomp.train release`"
            ) from error

    def _load(self, directory: Path) -> None:
        self.runner = FixedRunner.load(directory)
        self.size = size_of(directory)
        self.context_length = self.runner.shape.context_length
        self.hidden_size = self.runner.shape.hidden
        definition = directory / "tokenizer.json"
        bpe = definition.is_file()
        self.tokenizer: Tokenizer = BpeTokenizer.load(definition) if bpe else ByteTokenizer()
        table = self.tokenizer.token_bytes
        unigram_path = directory / "unigram.bin"
        if not unigram_path.is_file():
            raise ModelError(f"{directory} lacks unigram.bin")
        unigram = np.frombuffer(unigram_path.read_bytes(), "<u2")
        vocabulary = self.runner.shape.vocab_size
        if not len(table) == len(unigram) == vocabulary:
            raise ModelError(
                f"{directory}: {len(table)} tokens, {len(unigram)} token weights and a model of "
                f"{vocabulary}; the three must be equal"
            )
        self.start_token = table.index(START_BYTE)
        self.tree = DecisionTree.build(table, np.maximum(unigram.astype(np.int64), 1))
        self.fingerprint = self._digest(directory / "model.safetensors", unigram_path)

    def embed(self, tokens: Tokens) -> Float64Array:
        """Looks tokens up."""
        return self.runner.embed(tokens)

    def steered(self, prompt: Float64Array) -> SnappedModel:
        """Returns this model with a prompt in front of every row's tokens, in place of any."""
        steered = copy.copy(self)
        steered.runner = self.runner.steered(prompt, self.start_token)
        steered.n_virtual_tokens = len(prompt)
        steered.context_length = self.runner.shape.context_length - len(prompt)
        return steered

    def score(self, rows: Tokens) -> Iterator[tuple[int, int, Float64Array]]:
        """Runs rows in parallel."""
        return self.runner.score(rows)

    def begin(self, rows: Tokens, room: int) -> tuple[Session, Float64Array]:
        """Starts a cached pass."""
        return self.runner.begin(rows, room)

    def _digest(self, *files: Path) -> bytes:
        """SHA-256 of all that decoding depends on; names and descriptions do not count."""
        digest = hashlib.sha256()
        digest.update(json.dumps(asdict(self.runner.shape), sort_keys=True).encode())
        for table in self.runner.rotary:
            digest.update(table.tobytes())
        for file in files:
            digest.update(file.read_bytes())
        for token in self.tokenizer.token_bytes:
            digest.update(bytes([len(token)]) + token)
        return digest.digest()
