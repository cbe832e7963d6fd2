"""The training mix: files of documents in, rows of tokens out.

In: ``LLMCOMP_DATA`` with ``train/*.txt.xz`` (documents joined by one NUL byte), ``val/*.txt`` and
``bench/enwik6``. Out: for any step number the rows of that step, always the same ones.
Knows nothing of models.

What stands in the held-out or benchmark texts is cut out (`llmcomp.train.dedup`).

Each source is tokenised once, up to the recipe's cap, into a flat uint16 file in the cache, with
the start token between documents. A row is the start token and then tokens from a random offset
on, so rows run across documents; windows at run time begin with the start token in the same way.

References:
    [Philox] Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmcomp.train.dedup import Dropped, keep_out
from llmcomp.train.recipe import MixSource, Recipe, TrainError
from llmcomp.train.tokenizer import NUL, TextTokenizer, TokenArray

__all__ = [
    "RowSampler",
    "cache_dir",
    "count_dropped",
    "data_dir",
    "mix_sample",
    "read_documents",
    "read_slice",
    "token_file",
    "validation_files",
]

Say = Callable[[str], None]

MEGABYTE = 1_000_000
READ_BYTES = 4 * MEGABYTE
_UNIGRAM_STEP = 2**40


def data_dir() -> Path:
    """Returns the folder named by ``LLMCOMP_DATA``.

    Raises:
        TrainError: if the variable is unset or names no folder with ``train/`` in it.
    """
    value = os.environ.get("LLMCOMP_DATA", "")
    if not value:
        raise TrainError("LLMCOMP_DATA is not set; point it at a folder with train/ and val/")
    folder = Path(value).expanduser()
    if not (folder / "train").is_dir():
        raise TrainError(f"LLMCOMP_DATA={value}: there is no folder train/ in it")
    return folder


def cache_dir() -> Path:
    """Returns ``LLMCOMP_CACHE`` or ``~/.cache/llmcomp``; everything in it can be made again."""
    return Path(os.environ.get("LLMCOMP_CACHE") or "~/.cache/llmcomp").expanduser()


def read_documents(
    source: MixSource, limit_mb: float, dropped: Dropped | None = None
) -> Iterator[str]:
    """Yields what `llmcomp.train.dedup` leaves of the documents in a training file's beginning.

    Args:
        source: names the file.
        limit_mb: megabytes read; the document that the limit cuts ends there, at a whole character.
        dropped: counts what is left out.

    Raises:
        TrainError: if the mix names a file that is not there.
    """
    deduplicator = keep_out(data_dir())
    dropped = Dropped() if dropped is None else dropped
    for document in _raw_documents(source, limit_mb):
        yield from deduplicator.clean(document, dropped)


def _raw_documents(source: MixSource, limit_mb: float) -> Iterator[str]:
    """Yields the documents as they stand in the file."""
    path = data_dir() / "train" / f"{source.name}.txt.xz"
    if not path.is_file():
        raise TrainError(f"the recipe's source {source.name!r} is missing: no train/{path.name}")
    left = int(limit_mb * MEGABYTE)
    tail = b""
    with lzma.open(path) as file:
        while left > 0 and (chunk := file.read(min(READ_BYTES, left))):
            left -= len(chunk)
            *whole, tail = (tail + chunk).split(NUL.encode())
            yield from (document.decode() for document in whole if document)
    if tail:
        yield tail.decode(errors="ignore")


def count_dropped(recipe: Recipe) -> dict[str, Dropped]:
    """Reads all of a recipe's text; returns by source what is left out of it."""
    found = {}
    for source in recipe.sources:
        found[source.name] = Dropped()
        for _ in read_documents(source, source.cap_mb, found[source.name]):
            pass
    return found


def mix_sample(recipe: Recipe, sample_mb: float) -> Iterator[str]:
    """Yields documents of all sources in the mix's proportions, ``sample_mb`` in all.

    A source with fewer bytes than its share gives what it has.
    """
    for source in recipe.sources:
        wanted_mb = sample_mb * recipe.shares[source.name]
        yield from read_documents(source, min(wanted_mb, source.cap_mb))


def token_file(source: MixSource, tokenizer: TextTokenizer, say: Say) -> Path:
    """Returns the cached tokens of a source, tokenising it first if need be.

    The file is uint16, little endian, documents each followed by the start token; it appears under
    its name only when complete. What was left out stands beside it, as the fields of `Dropped`.
    """
    folder = cache_dir() / "tokens" / tokenizer.fingerprint
    kept_out = keep_out(data_dir()).digest
    path = folder / f"{source.name}-{source.cap_mb:g}mb-{kept_out}.bin"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    joint = np.array([tokenizer.start_token], "<u2").tobytes()
    dropped = Dropped()
    with partial.open("wb") as file:
        for tokens in tokenizer.encode_documents(read_documents(source, source.cap_mb, dropped)):
            file.write(tokens.astype("<u2").tobytes() + joint)
    path.with_suffix(".json").write_text(json.dumps(asdict(dropped)), encoding="utf-8")
    partial.rename(path)
    say(
        f"tokenised {source.name}: {path.stat().st_size // 2:,} tokens; "
        f"{dropped.n_dropped:,} of {dropped.n_bytes:,} bytes dropped, which are kept out"
    )
    return path


def read_slice(path: Path, n_bytes: int) -> str:
    """Reads the first bytes of a UTF-8 file, cut back to a whole character; NULs are kept.

    Raises:
        TrainError: if the file is missing.
    """
    if not path.is_file():
        raise TrainError(f"no file {path.name} in LLMCOMP_DATA's {path.parent.name}/")
    with path.open("rb") as file:
        head = file.read(n_bytes)
    # a character has at most 4 bytes, so only the last 3 can be a cut one
    for end in range(len(head), max(len(head) - 4, 0), -1):
        try:
            return head[:end].decode()
        except UnicodeDecodeError as error:
            if error.end < end:
                break
    return head.decode()


def validation_files() -> dict[str, Path]:
    """Returns the held-out files by slice name."""
    return {path.stem: path for path in sorted((data_dir() / "val").glob("*.txt"))}


class RowSampler:
    """Rows of any step, by a counter-based generator [Philox].

    Invariant: the rows depend only on recipe and step, so a resumed run needs no sampler state.
    """

    def __init__(self, recipe: Recipe, tokenizer: TextTokenizer, say: Say) -> None:
        self._seed = recipe.seed
        self._start_token = tokenizer.start_token
        self._sources: list[TokenArray] = []
        self.dropped: dict[str, Dropped] = {}
        for source in recipe.sources:
            path = token_file(source, tokenizer, say)
            self._sources.append(np.memmap(path, "<u2", mode="r"))
            facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            self.dropped[source.name] = Dropped(**facts)
        self.source_tokens = {
            source.name: tokens.size
            for source, tokens in zip(recipe.sources, self._sources, strict=True)
        }
        self._edges = np.cumsum(list(recipe.shares.values()))
        self._vocab_size = tokenizer.vocab_size

    def unigram(self, n_rows: int = 2048, row_tokens: int = 1024) -> npt.NDArray[np.uint16]:
        """Counts tokens over rows of the mix, for the shape of the decision tree.

        Args:
            n_rows: rows counted; those of a step no run reaches.
            row_tokens: positions of a row.

        Returns:
            uint16[V], at least 1, the most frequent token 65,535.
        """
        rows = self.rows(_UNIGRAM_STEP, n_rows, row_tokens)[:, 1:]
        counts = np.bincount(rows.reshape(-1), minlength=self._vocab_size)
        scaled = np.ceil(counts * (65_535 / counts.max()))
        return np.maximum(scaled, 1).astype(np.uint16)

    def rows(self, step: int, n_rows: int, row_tokens: int) -> npt.NDArray[np.int64]:
        """Draws the rows of a step.

        Args:
            step: counter of the generator.
            n_rows: rows wanted.
            row_tokens: T, positions of a row.

        Returns:
            int64[n_rows, T + 1]: the start token, then T tokens; inputs are ``[:, :-1]``, labels
            ``[:, 1:]``.
        """
        generator = np.random.Generator(np.random.Philox(key=[self._seed, step]))
        uniform = generator.random((n_rows, 2))
        rows = np.full((n_rows, row_tokens + 1), self._start_token, np.int64)
        for row, (choice, place) in zip(rows, uniform, strict=True):
            index = min(int(np.searchsorted(self._edges, choice, "right")), len(self._edges) - 1)
            tokens = self._sources[index]
            # a source shorter than a row leaves start tokens at the row's end
            offset = int(place * max(tokens.size - row_tokens, 1))
            piece = tokens[offset : offset + row_tokens]
            row[1 : 1 + piece.size] = piece
        return rows
