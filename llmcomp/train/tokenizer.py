"""Text to token ids: byte-level byte-pair encoding, or the bytes themselves.

In: UTF-8 documents. Out: uint16 token ids; every one of the 256 bytes has a token, so nothing is
ever unknown. Knows nothing of models.

The token of byte 0 stands alone (no merge contains it) and is the ``start_token``: it opens every
window and joins documents. There are no special tokens; a tokenizer that has some would read a text
that spells one differently from its bytes.

References:
    [SHB16] Sennrich, Haddow, Birch, arXiv:1508.07909 (byte-pair encoding).
    The splitting pattern follows the shape of GPT-4's (openai/tiktoken, ``cl100k_base``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from llmcomp.train.recipe import TrainError

__all__ = ["NUL", "BpeTokenizer", "ByteTokenizer", "TextTokenizer", "train_bpe"]

TokenArray = npt.NDArray[np.uint16]

NUL = "\0"
PATTERN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""Words with their leading space, groups of up to three digits, punctuation, newlines, spaces."""

BATCH_DOCUMENTS = 64  # bounds the memory of the tokenizer's results, which are ~200 bytes a token


class TextTokenizer(Protocol):
    """What the data pipeline and the evaluation need of a tokenizer."""

    vocab_size: int
    start_token: int
    fingerprint: str

    def encode(self, text: str) -> TokenArray:
        """Returns uint16[T], the tokens of one text, NULs included."""
        ...

    def encode_documents(self, documents: Iterable[str]) -> Iterator[TokenArray]:
        """Yields uint16[T] per document."""
        ...


class ByteTokenizer:
    """The identity: token id = byte, 256 ids, start token 0."""

    vocab_size = 256
    start_token = 0
    fingerprint = "bytes"

    def encode(self, text: str) -> TokenArray:
        """Returns uint16[T], the UTF-8 bytes.

        >>> ByteTokenizer().encode("é").tolist()
        [195, 169]
        """
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint16)

    def encode_documents(self, documents: Iterable[str]) -> Iterator[TokenArray]:
        """Yields uint16[T] per document."""
        return map(self.encode, documents)


class BpeTokenizer:
    """A ``tokenizer.json`` of the ``tokenizers`` library, made by `train_bpe`.

    Attributes:
        vocab_size: number of ids.
        start_token: id of the single-byte token of byte 0.
        fingerprint: first 16 hex digits of the file's SHA-256; keys the token cache.
    """

    def __init__(self, path: Path) -> None:
        self._inner: Any = Tokenizer.from_file(str(path))
        self.vocab_size: int = self._inner.get_vocab_size()
        # byte-level alphabet [GPT-2]: the 68 unprintable bytes are shifted to U+0100 upwards
        start_token: Any = self._inner.token_to_id("\u0100")
        self.start_token: int = start_token
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def encode(self, text: str) -> TokenArray:
        """Returns uint16[T], the tokens of one text, NULs included."""
        return np.array(self._inner.encode(text).ids, np.uint16)

    def encode_documents(self, documents: Iterable[str]) -> Iterator[TokenArray]:
        """Yields uint16[T] per document; a batch at a time runs on all cores."""
        remaining = iter(documents)
        while batch := list(islice(remaining, BATCH_DOCUMENTS)):
            for encoding in self._inner.encode_batch_fast(batch):
                yield np.array(encoding.ids, np.uint16)

    def decode(self, tokens: TokenArray) -> str:
        """Returns the text; the inverse of `encode`."""
        return self._inner.decode(tokens.tolist(), skip_special_tokens=False)


def train_bpe(documents: Iterable[str], vocab_size: int, path: Path) -> BpeTokenizer:
    """Learns merges and writes ``tokenizer.json``.

    Documents are cut at NUL, so the pair counts never see byte 0 and no merge can contain it.

    Args:
        documents: texts of the mix, in the wanted proportions.
        vocab_size: ids in all, of which 256 are the bytes.
        path: file to write.

    Raises:
        TrainError: if the texts are too few to learn so many merges.
    """
    inner: Any = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces = (piece for document in documents for piece in document.split(NUL) if piece)
    inner.train_from_iterator(pieces, trainer)
    if inner.get_vocab_size() != vocab_size:
        raise TrainError(
            f"only {inner.get_vocab_size()} of {vocab_size} tokens could be learnt; "
            "give more text or a smaller vocab_size"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    inner.save(str(path))
    return BpeTokenizer(path)
