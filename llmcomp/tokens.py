"""Bytes to token ids and back, exactly, for every byte string.

In: bytes. Out: ids whose bytes, joined, are the input. Decoding joins an id -> bytes table and
never asks a tokenizer; so any tokenisation is valid whose bytes concatenate to the input, and
nothing in the text can act as a special token: these vocabularies have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llmcomp.errors import ModelError

TokenIds = npt.NDArray[np.int64]

_UNDECODABLE = re.compile("([\udc80-\udcff]+)")


class Tokenizer(Protocol):
    """Maps bytes to ids and back.

    Attributes:
        token_bytes: the bytes of each id; all different, none empty, and among them all 256
            single bytes.
    """

    token_bytes: Sequence[bytes]

    def encode(self, data: bytes) -> TokenIds:
        """Cuts bytes into tokens: int64[T] with ``decode(encode(data)) == data``."""

    def decode(self, ids: Iterable[int]) -> bytes:
        """Joins the tokens' bytes."""


class ByteTokenizer:
    """One token for each byte; its id is the byte's value."""

    def __init__(self) -> None:
        self.token_bytes: Sequence[bytes] = tuple(bytes([b]) for b in range(256))

    def encode(self, data: bytes) -> TokenIds:
        """Reads the bytes as ids: int64[T]."""
        return np.frombuffer(data, np.uint8).astype(np.int64)

    def decode(self, ids: Iterable[int]) -> bytes:
        """Joins the bytes."""
        return bytes(bytearray(int(i) for i in ids))


class BpeTokenizer:
    """Byte-level byte pair encoding out of a ``tokenizer.json``.

    Text goes through the `tokenizers` library; bytes that are not UTF-8 become single-byte tokens.
    Only `encode` needs that library.

    References:
        [Sennrich16] Neural machine translation of rare words with subword units, arXiv:1508.07909.
        [Radford19] Language models are unsupervised multitask learners (byte-level BPE).
    """

    def __init__(self, definition: str) -> None:
        """Reads the vocabulary.

        Args:
            definition: the text of a ``tokenizer.json``.

        Raises:
            ModelError: if the vocabulary is not byte-level, lacks one of the 256 single bytes,
                or has special tokens.
        """
        self._definition = definition
        parsed = json.loads(definition)
        if parsed.get("added_tokens"):
            raise ModelError("the tokenizer has special tokens; this format takes none")
        vocabulary: dict[str, int] = parsed["model"]["vocab"]
        from_letter = {letter: byte for byte, letter in byte_letters().items()}
        try:
            table = {i: bytes(from_letter[c] for c in token) for token, i in vocabulary.items()}
            self.token_bytes: Sequence[bytes] = tuple(table[i] for i in range(len(table)))
        except KeyError as missing:
            raise ModelError(f"the vocabulary is not byte-level or has a gap: {missing}") from None
        ids = {token: i for i, token in enumerate(self.token_bytes)}
        if not all(bytes([b]) in ids for b in range(256)):
            raise ModelError("the vocabulary lacks some of the 256 single bytes")
        self._byte_ids = np.array([ids[bytes([b])] for b in range(256)], np.int64)

    @classmethod
    def load(cls, path: Path) -> BpeTokenizer:
        """Reads a ``tokenizer.json``."""
        return cls(path.read_text(encoding="utf-8"))

    def encode(self, data: bytes) -> TokenIds:
        """Cuts bytes into tokens: int64[T]."""
        pieces = _UNDECODABLE.split(data.decode("utf-8", errors="surrogateescape"))
        ids: list[TokenIds] = []
        for piece in filter(None, pieces):
            if _UNDECODABLE.match(piece):
                loose = piece.encode("utf-8", errors="surrogateescape")
                ids.append(self._byte_ids[np.frombuffer(loose, np.uint8)])
            else:
                ids.append(np.array(_library(self._definition).encode(piece).ids, np.int64))
        return np.concatenate(ids) if ids else np.zeros(0, np.int64)

    def decode(self, ids: Iterable[int]) -> bytes:
        """Joins the tokens' bytes."""
        return b"".join(self.token_bytes[i] for i in ids)


@lru_cache(maxsize=8)
def _library(definition: str):  # type: ignore[no-untyped-def]
    """The `tokenizers` object of a definition, made when first needed."""
    from tokenizers import Tokenizer as LibraryTokenizer

    return LibraryTokenizer.from_str(definition)


def byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in byte-level vocabularies [Radford19]."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(plain)]
    letters = {b: chr(b) for b in plain}
    letters.update({b: chr(256 + n) for n, b in enumerate(others)})
    return letters
