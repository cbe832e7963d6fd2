"""Exact tokenisation with the tokenizers of other people's models, for every byte string.

In: a definition as the `tokenizers` library writes it, and bytes. Out: ids whose bytes, joined, are
the input; and tables that lead from these ids to the model's own.

What such tokenizers do to a text before they cut it is left out: normal forms (GPT-NeoX applies
NFC), a dummy space in front (Llama), special tokens read out of the text, tokens put around it.
What they cut is checked, piece by piece, and cut again where the library lost something.

The ids here are *compact*: 0 to n-1 are the tokens that can be emitted, so no special token, no
padding and no second name for the same bytes; after them stands one *escape* for each single byte
that no token covers. An escape is coded like a token and never shown to the model.

References:
    [Sennrich16] Neural machine translation of rare words with subword units, arXiv:1508.07909.
    [Kudo18] Kudo, Richardson, SentencePiece, arXiv:1808.06226 (byte fallback, the "▁" of a space).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from llmcomp.errors import ModelError, printable
from llmcomp.tokens import TokenIds, byte_letters

__all__ = ["ESCAPE", "HubTokenizer"]

ESCAPE = -1
"""Stands in ``model_ids`` for bytes that the model has no token for."""

_SPACE = "▁"  # U+2581, how SentencePiece writes a space
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
_CHUNK = 1 << 16  # characters given to the library at a time: bounds memory, costs a token each
_SHOWN_CHARACTERS = 160  # of what a definition says
_PROBE = "The dog has 12 legs;\n\tnot  so. "


class HubTokenizer:
    r"""A Hub model's tokenizer made exact: byte-level BPE, or SentencePiece with byte fallback.

    Attributes:
        token_bytes: the bytes of each compact id.
        model_ids: int64[V], the model's id of each compact id, ``ESCAPE`` for escapes, which
            come last.
        weights: int64[V], at least 1: a frozen guess at how frequent each token is, which only
            shapes the decision tree.
        start: the model's id that stands before every text: its begin-of-text token, else the
            end-of-text one.
        feed_ids: int64[V + 1], what the model is fed for each compact id: for escapes its unknown
            token, or the start if it has none among its rows; the last entry is the start token's,
            which has no leaf.

    Example: ``HubTokenizer(gpt2, vocab_size=50257, bos=50256).encode(b"a\xff")`` gives
    the ids of ``a`` and of the single byte, and ``decode`` gives the two bytes back.
    """

    def __init__(
        self, definition: str, *, vocab_size: int, bos: int | None = None, eos: int | None = None
    ) -> None:
        """Reads a definition.

        Args:
            definition: the text of a ``tokenizer.json``.
            vocab_size: rows of the model's embedding, at least as many as there are pieces.
            bos: the model's begin-of-text id, if it has one.
            eos: its end-of-text id, if it has one.

        Raises:
            ModelError: if the definition is broken or another model's, if this kind of tokenizer
                cannot be made exact, or if there is no token to start with.
        """
        start = bos if bos is not None and 0 <= bos < vocab_size else eos
        if start is None or not 0 <= start < vocab_size:
            raise ModelError(
                f"the model has neither a begin-of-text nor an end-of-text token below its "
                f"{vocab_size} ids (found {bos} and {eos}); set bos_token_id in config.json"
            )
        self.start = start
        try:
            parsed = json.loads(definition)
            self._byte_level = _is_byte_level(parsed)
            pieces = _pieces(parsed, self._byte_level)
            runs = _space_runs(parsed)
            with _panics_raised():
                self._library = _library(parsed, runs, self._byte_level)
        except ModelError:
            raise
        except Exception as error:  # the library raises bare exceptions of its own
            raise ModelError(
                f"the tokenizer cannot be read: {type(error).__name__}: {_short(error)}; "
                "wanted a tokenizer.json that the tokenizers library loads"
            ) from error
        if max(pieces, default=0) >= vocab_size:
            raise ModelError(
                f"the tokenizer has pieces up to id {max(pieces)}, the model only {vocab_size} "
                "rows; take the tokenizer that belongs to it"
            )
        unknown = _unknown(parsed["model"])
        stand_in = start if unknown is None or unknown >= vocab_size else unknown
        known_runs = {run: i for run, i in runs.items() if i < vocab_size}
        self._fill(parsed["model"], pieces, known_runs, stand_in)
        if self._tokenise(_PROBE) is None:
            raise ModelError(
                "the tokenizer loses parts of plain text, so it cannot be made exact; "
                "wanted byte-level BPE or SentencePiece with byte fallback"
            )

    def _fill(
        self, model: dict[str, Any], known: dict[int, bytes], runs: dict[str, int], stand_in: int
    ) -> None:
        """Makes the tables, from the bytes of every piece and of the added runs of spaces."""
        added = {i: run.encode() for run, i in runs.items()}
        fallback = set() if self._byte_level else _byte_pieces(model)
        # of two names for the same bytes the one stays that the library emits in plain text
        chosen: dict[bytes, int] = {}
        for i in [*sorted(added), *sorted(set(known) - fallback), *sorted(fallback & set(known))]:
            chosen.setdefault(added.get(i) or known[i], i)
        tokens = sorted((i, token) for token, i in chosen.items())
        singles = [bytes([b]) for b in range(256)]
        escapes = [single for single in singles if single not in chosen]
        self.token_bytes: Sequence[bytes] = (*(token for _, token in tokens), *escapes)
        model_ids = [i for i, _ in tokens]
        self.model_ids = np.array(model_ids + [ESCAPE] * len(escapes), np.int64)

        fed = np.where(self.model_ids == ESCAPE, stand_in, self.model_ids)
        self.feed_ids = np.append(fed, self.start)

        rank = _ranks(model, model_ids)
        self.weights = np.ones(len(self.token_bytes), np.int64)
        self.weights[: len(tokens)] = 2**32 // (64 + np.array(rank, np.int64))

        compact = {token: i for i, token in enumerate(self.token_bytes)}
        self._byte_ids = np.array([compact[single] for single in singles], np.int64)
        emitted = {i: compact[token] for i, token in known.items()}
        # the library numbers added tokens itself, not always as the definition does
        emitted |= {self._library.token_to_id(run): compact[run.encode()] for run in runs}
        self._compact = np.full(max(emitted, default=0) + 1, -1, np.int64)
        self._compact[list(emitted)] = list(emitted.values())

        loose = "[\udc80-\udcff]" if self._byte_level else f"[\udc80-\udcff{_SPACE}]"
        self._loose = re.compile(f"({loose}+)")
        # In byte-level BPE a token needs its single bytes, so an escaped byte is in no token.
        uncovered = b"".join(map(re.escape, escapes)) if self._byte_level else b""
        self._uncovered = re.compile(b"([" + uncovered + b"]+)") if uncovered else None

    def encode(self, data: bytes) -> TokenIds:
        """Cuts bytes into tokens: int64[T]; linear in their number but for a logarithm."""
        ids: list[TokenIds] = []
        for part in self._uncovered.split(data) if self._uncovered else [data]:
            if self._uncovered and self._uncovered.match(part):
                ids.append(self._single_bytes(part))
                continue
            text = part.decode("utf-8", errors="surrogateescape")
            for piece in filter(None, self._loose.split(text)):
                if self._loose.match(piece):
                    ids.append(self._single_bytes(piece.encode("utf-8", errors="surrogateescape")))
                else:
                    ids.extend(self._cut(piece))
        return np.concatenate(ids) if ids else np.zeros(0, np.int64)

    def decode(self, ids: Iterable[int]) -> bytes:
        """Joins the tokens' bytes."""
        return b"".join(self.token_bytes[i] for i in ids)

    def _cut(self, text: str) -> Iterator[TokenIds]:
        """Tokenises text in pieces; one that the library loses something of is halved."""
        todo = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)][::-1]
        while todo:
            piece = todo.pop()
            ids = self._tokenise(piece)
            if ids is not None:
                yield ids
            elif len(piece) == 1:
                yield self._single_bytes(piece.encode())
            else:
                todo += [piece[len(piece) // 2 :], piece[: len(piece) // 2]]

    def _tokenise(self, text: str) -> TokenIds | None:
        """Asks the library: compact ids of a text, or None if they do not join to it."""
        asked = text if self._byte_level else text.replace(" ", _SPACE)
        try:
            with _panics_raised():
                encoded = self._library.encode(asked, add_special_tokens=False)
        except Exception:  # the library has no finer class, as for a word that nothing stands for
            return None
        found = np.array(encoded.ids, np.int64)
        if len(found) and int(found.max()) >= len(self._compact):
            return None
        ids: TokenIds = self._compact[found]
        if (ids < 0).any() or self.decode(ids) != text.encode():
            return None
        return ids

    def _single_bytes(self, data: bytes) -> TokenIds:
        ids: TokenIds = self._byte_ids[np.frombuffer(data, np.uint8)]
        return ids


@contextmanager
def _panics_raised() -> Iterator[None]:
    """Makes an error like others of a panic in the library, which no ``except Exception`` catches.

    Raises:
        RuntimeError: in place of a panic.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # its module cannot be imported
            raise RuntimeError(str(error)) from None
        raise


def _is_byte_level(parsed: dict[str, Any]) -> bool:
    """Tells the two families apart that can be made exact.

    Raises:
        ModelError: if it is neither.
    """
    model = parsed["model"]
    kind = model.get("type")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        kind = f"{kind} with marks at the ends of words"
    elif kind == "BPE" and any(p["type"] == "ByteLevel" for p in _pre_tokenizers(parsed)):
        return True
    elif kind in {"BPE", "Unigram"} and model.get("byte_fallback"):
        return False
    raise ModelError(
        f"a {_short(kind)} tokenizer without bytes cannot be made exact; "
        "wanted byte-level BPE or SentencePiece with byte fallback"
    )


def _short(found: object) -> str:
    """What a definition says, fit for one line."""
    text = printable(str(found))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _pre_tokenizers(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps before the model, a sequence taken apart."""
    first = parsed.get("pre_tokenizer")
    if not first:
        return []
    return list(first["pretokenizers"]) if first["type"] == "Sequence" else [first]


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Pieces and ids; Unigram lists ``[piece, score]`` in the order of ids."""
    vocabulary: dict[str, int] = (
        model["vocab"]
        if isinstance(model["vocab"], dict)
        else {piece: i for i, (piece, _) in enumerate(model["vocab"])}
    )
    return vocabulary


def _unknown(model: dict[str, Any]) -> int | None:
    """The id that stands for what the vocabulary lacks; Unigram names it, BPE its piece."""
    if model["type"] == "Unigram":
        return model.get("unk_id")
    return _vocabulary(model).get(model.get("unk_token") or "")


def _byte_pieces(model: dict[str, Any]) -> set[int]:
    """Ids of the pieces ``<0x00>`` to ``<0xFF>``."""
    return {i for piece, i in _vocabulary(model).items() if _BYTE_PIECE.fullmatch(piece)}


def _pieces(parsed: dict[str, Any], byte_level: bool) -> dict[int, bytes]:
    """The bytes of every id that stands for text, added tokens left out."""
    model = parsed["model"]
    unwanted = {token["id"] for token in parsed.get("added_tokens") or []} | {_unknown(model)}
    from_letter = {letter: byte for byte, letter in byte_letters().items()}
    pieces: dict[int, bytes] = {}
    for piece, i in _vocabulary(model).items():
        if not piece or i in unwanted:
            continue
        if byte_level:
            if all(letter in from_letter for letter in piece):
                pieces[i] = bytes(from_letter[letter] for letter in piece)
        elif fallback := _BYTE_PIECE.fullmatch(piece):
            pieces[i] = bytes([int(fallback[1], 16)])
        else:
            pieces[i] = piece.replace(_SPACE, " ").encode()
    return pieces


def _space_runs(parsed: dict[str, Any]) -> dict[str, int]:
    """Added tokens that are plain text after all: GPT-NeoX's runs of spaces, for indentation.

    Whether a token is marked special says little (Qwen's marks around tools are not), so only
    white space is let through: it cannot mean anything but itself.
    """
    runs = {
        token["id"]: token["content"]  # an id has one meaning
        for token in parsed.get("added_tokens") or []
        if token["content"].isspace()
        and not any(token.get(flag) for flag in ("special", "lstrip", "rstrip", "single_word"))
    }
    return {run: i for i, run in runs.items()}


def _library(parsed: dict[str, Any], runs: dict[str, int], byte_level: bool) -> Any:
    """The library's tokenizer, without all that would change a text or read signs out of it."""
    from tokenizers import Tokenizer

    steps = [
        step | {"add_prefix_space": False} if step["type"] == "ByteLevel" else step
        for step in _pre_tokenizers(parsed)
        if byte_level or step["type"] != "Metaspace"
    ]
    model = dict(parsed["model"])
    model.pop("dropout", None)  # BPE's, which would cut at random
    bare = {
        "version": parsed.get("version", "1.0"),
        "added_tokens": [t for t in parsed.get("added_tokens") or [] if t["content"] in runs],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps} if steps else None,
        "model": model,
    }
    return Tokenizer.from_str(json.dumps(bare))


def _ranks(model: dict[str, Any], ids: Sequence[int]) -> list[int]:
    """How early each token came: its merge's number, else its place among those without one.

    SentencePiece puts single letters after all merges although commas are frequent, so an id
    alone would mislead.
    """
    merges = (model.get("merges") or []) if model["type"] == "BPE" else []
    merged = {
        "".join(merge.split(" ") if isinstance(merge, str) else merge): rank
        for rank, merge in reversed(list(enumerate(merges)))
    }
    piece_of = {i: piece for piece, i in _vocabulary(model).items()}
    ranks, others = [], 0
    for i in ids:
        rank = merged.get(piece_of.get(i, ""))
        if rank is None:
            rank, others = others, others + 1
        ranks.append(rank)
    return ranks
