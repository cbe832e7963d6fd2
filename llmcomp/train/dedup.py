"""What stands in the held-out and benchmark texts is cut out of the training text.

In: ``LLMCOMP_DATA`` with ``val/`` and ``bench/``. Out: for any training document, what is left of
it. Knows nothing of tokens or of the mix.

A *run* is a longest stretch of training text all of whose pieces of `PIECE_BYTES` bytes stand
somewhere in the texts kept out, literally. Every run is cut, and a document of which a fifth or
more is runs is dropped whole: it is another version of one kept out. After that no piece of
`PIECE_BYTES` bytes is in both, set phrases such as licence texts included, except pieces of fewer
than `FEWEST_BYTE_VALUES` different bytes (rules, runs of blanks, the zeros of binary files).

Pieces are compared by 64-bit hashes that roll along the text [Karp-Rabin].

References:
    [Karp-Rabin] "Efficient randomized pattern-matching algorithms", IBM J. Res. Dev. 31, 1987.
    [GPT-3] Brown et al., arXiv:2005.14165, appendix C: benchmarks by 13-grams of words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmcomp.kernel import kernel

__all__ = ["Deduplicator", "Dropped", "dropped_table", "keep_out"]

PIECE_BYTES = 50  # about nine words of English: longer than most set phrases
FEWEST_BYTE_VALUES = 8
DROP_SHARE = 0.2
SHORTEST_BYTES = 100  # of what is left between two cuts; less is no text to learn from

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_FREE = np.uint64(0)

Hashes = npt.NDArray[np.uint64]


@dataclass(slots=True)
class Dropped:
    """What was cut out of some training text.

    Attributes:
        n_bytes: of the text as it was.
        n_dropped: bytes cut, those of dropped documents included.
        n_documents: as they were.
        n_documents_dropped: whole.
    """

    n_bytes: int = 0
    n_dropped: int = 0
    n_documents: int = 0
    n_documents_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Deduplicator:
    """Knows all pieces of the texts kept out.

    Attributes:
        digest: 8 hex digits that change with the texts kept out and with the rules here.
    """

    digest: str
    _table: Hashes = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Deduplicator:
        """Hashes every piece of some texts.

        Args:
            texts: to keep out.
        """
        found = [_piece_hashes(np.frombuffer(text, np.uint8)) for text in texts]
        hashes = np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))
        rules = f"{PIECE_BYTES} {FEWEST_BYTE_VALUES} {DROP_SHARE} {SHORTEST_BYTES}"
        digest = hashlib.sha256(rules.encode() + hashes.tobytes()).hexdigest()[:8]
        # open addressing, at most half full
        table = np.zeros(1 << max(1, int(2 * hashes.size).bit_length()), np.uint64)
        _insert(hashes, table)
        return cls(digest, table)

    def runs(self, text: bytes) -> npt.NDArray[np.int64]:
        """Finds the runs of a text.

        Returns:
            int64[R, 2]: begin and end of each, in bytes, in order and apart from each other.
        """
        covered = _cover(np.frombuffer(text, np.uint8), self._table)
        return np.flatnonzero(np.diff(covered, prepend=0, append=0)).reshape(-1, 2)

    def clean(self, document: str, dropped: Dropped) -> Iterator[str]:
        """Yields what is left of a document, in order.

        Args:
            document: of the training text.
            dropped: counts on.
        """
        text = document.encode()
        runs = self.runs(text)
        covered = int((runs[:, 1] - runs[:, 0]).sum())
        dropped.n_bytes += len(text)
        dropped.n_documents += 1
        if not runs.size:
            yield document
            return
        left: list[str] = []
        if covered < DROP_SHARE * len(text):
            edges = [0, *runs.reshape(-1).tolist(), len(text)]
            pieces = (text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
            # a cut may go through a character; what is left of it goes too
            left = [p.decode(errors="ignore") for p in pieces if len(p) >= SHORTEST_BYTES]
        else:
            dropped.n_documents_dropped += 1
        dropped.n_dropped += len(text) - sum(len(piece.encode()) for piece in left)
        yield from left


@lru_cache(maxsize=2)
def keep_out(folder: Path) -> Deduplicator:
    """Returns what knows all files under ``val/`` and ``bench/`` of a data folder."""
    paths = sorted(p for name in ("val", "bench") for p in (folder / name).rglob("*"))
    return Deduplicator.of(path.read_bytes() for path in paths if path.is_file())


def dropped_table(dropped: Mapping[str, Dropped]) -> str:
    """Renders what was cut out of each source, and of all, as a Markdown table."""
    totals = (sum(values) for values in zip(*map(astuple, dropped.values()), strict=True))
    lines = [
        "| source | bytes | dropped | documents | dropped whole |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in [*dropped.items(), ("all", Dropped(*totals))]:
        share = one.n_dropped / max(one.n_bytes, 1)
        lines.append(
            f"| {name} | {one.n_bytes:,} | {one.n_dropped:,} ({share:.2%}) "
            f"| {one.n_documents:,} | {one.n_documents_dropped:,} |"
        )
    return "\n".join(lines)


def _piece_hashes(text: npt.NDArray[np.uint8]) -> Hashes:
    """Returns the distinct hashes of a text's pieces, plain ones left out."""
    if text.size < PIECE_BYTES:
        return np.zeros(0, np.uint64)
    hashes = np.empty(text.size - PIECE_BYTES + 1, np.uint64)
    return np.unique(hashes[: _hash_pieces(text, hashes)])


@kernel(inline="always")
def _append(rolling, byte):  # type: ignore[no-untyped-def]
    return rolling * _MULTIPLIER + np.uint64(byte) + _ONE


@kernel(inline="always")
def _finish(rolling):  # type: ignore[no-untyped-def]
    """Mixes a rolling hash's high bits into the low ones; never 0, which marks a free place."""
    mixed = (rolling ^ (rolling >> np.uint64(31))) * np.uint64(0xD6E8FEB86659FD93)
    return (mixed ^ (mixed >> np.uint64(29))) | _ONE


@kernel
def _leaving_power():  # type: ignore[no-untyped-def]
    """What the byte that leaves a piece was multiplied by."""
    power = _ONE
    for _ in range(PIECE_BYTES):
        power *= _MULTIPLIER
    return power


@kernel
def _hash_pieces(text, hashes):  # type: ignore[no-untyped-def]
    """Writes the hashes of all pieces that are not plain; returns their number."""
    power = _leaving_power()
    counts = np.zeros(256, np.int64)
    n_values = n_hashes = 0
    rolling = np.uint64(0)
    for index in range(text.size):
        rolling = _append(rolling, text[index])
        n_values += counts[text[index]] == 0
        counts[text[index]] += 1
        if index >= PIECE_BYTES:
            leaving = text[index - PIECE_BYTES]
            rolling -= power * (np.uint64(leaving) + _ONE)
            counts[leaving] -= 1
            n_values -= counts[leaving] == 0
        if index >= PIECE_BYTES - 1 and n_values >= FEWEST_BYTE_VALUES:
            hashes[n_hashes] = _finish(rolling)
            n_hashes += 1
    return n_hashes


@kernel(inline="always")
def _place(piece, table):  # type: ignore[no-untyped-def]
    """Returns where a hash stands in the table, or where it would."""
    at = np.int64(piece >> np.uint64(1)) & (table.size - 1)
    # compared with uint64 only: numba would turn other pairs into floats
    while table[at] != _FREE and table[at] != piece:
        at = (at + 1) & (table.size - 1)
    return at


@kernel
def _insert(hashes, table):  # type: ignore[no-untyped-def]
    for piece in hashes:
        table[_place(piece, table)] = piece


@kernel
def _cover(text, table):  # type: ignore[no-untyped-def]
    """Marks the bytes of pieces that stand in the table with 1."""
    power = _leaving_power()
    covered = np.zeros(text.size, np.int8)
    rolling = np.uint64(0)
    covered_to = 0
    for index in range(text.size):
        rolling = _append(rolling, text[index])
        if index >= PIECE_BYTES:
            rolling -= power * (np.uint64(text[index - PIECE_BYTES]) + _ONE)
        if index >= PIECE_BYTES - 1:
            piece = _finish(rolling)
            if table[_place(piece, table)] == piece:
                covered[max(covered_to, index - PIECE_BYTES + 1) : index + 1] = 1
                covered_to = index + 1
    return covered
