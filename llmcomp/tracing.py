"""What the coder did, token by token, as plain values: the only thing pictures are drawn from.

Imports nothing of llmcomp. `LaneTrace.wire` writes the format ``view/1``: scalars beside
base64 of little-endian arrays, one entry a token.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CANDIDATES = 6
"""Likeliest tokens shown beside the true one."""

WIRE_TOKENS = 2000
"""Most tokens one message holds; longer lanes are read in windows."""


@dataclass(frozen=True, slots=True)
class LaneTrace:
    """One lane's steps; T tokens, K decisions in all, registers after each token.

    Attributes:
        ids: int64[T], token ids.
        lengths: int64[T], their bytes.
        ideal_bits: float64[T], ``-log2 p`` under the model.
        cost_bits: float64[T], what the coder really spent.
        entropy_bits: float64[T], expected cost before the token was known.
        ranks: int64[T], 0 = the likeliest token.
        offset: float64[T], (low' - low) / width: where in the old interval the new one begins.
        share: float64[T], width' / width.
        out: int64[T], bytes that have left the coder's window.
        low: int64[T], lower end of the interval, in the window of 56 bits.
        width: int64[T], its width.
        pending: int64[T], bytes already out that a carry could still change.
        carried: int64[T], 1 if a carry ran in this step.
        candidates: int64[T, C], likeliest ids, best first.
        candidate_offset: float64[T, C], where their intervals would begin.
        candidate_share: float64[T, C], how wide they would be.
        n_decisions: int64[T].
        decision_share: float64[K], part of the interval each answer kept.
        answers: uint8[K].
        pivots: int64[K], token id each decision asked about: "before it, or from it on?".
        text: the lane's plain bytes.
        payload: the lane's payload, as it stands in the blob.
    """

    ids: Array
    lengths: Array
    ideal_bits: Array
    cost_bits: Array
    entropy_bits: Array
    ranks: Array
    offset: Array
    share: Array
    out: Array
    low: Array
    width: Array
    pending: Array
    carried: Array
    candidates: Array
    candidate_offset: Array
    candidate_share: Array
    n_decisions: Array
    decision_share: Array
    answers: Array
    pivots: Array
    text: bytes
    payload: bytes

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Trace:
    """The traces of one segment's lanes, and what they were made with.

    Attributes:
        lanes: one trace a lane, in the order of the text.
        token_bytes: the model's vocabulary.
        model: its registry name.
        kind: ``encode``, ``decode`` while a decoder is watched, or ``rehearse`` when a damaged blob
            was followed.
    """

    lanes: Sequence[LaneTrace]
    token_bytes: Sequence[bytes]
    model: str
    kind: str = "encode"

    def wire(
        self,
        lane: int = 0,
        start: int = 0,
        count: int = WIRE_TOKENS,
        extra: Mapping[str, object] | None = None,
    ) -> dict[str, object]:
        """Writes one ``view/1`` message, ready for JSON.

        Args:
            lane: which lane.
            start: first token of the message.
            count: most tokens in it.
            extra: further scalars: ``run``, ``bill``, ``sizes``, ``note``.

        Raises:
            IndexError: if there is no such lane, or no such window in it.
        """
        t = self.lanes[lane]
        if not 0 <= start <= len(t) or count < 0:
            raise IndexError(f"tokens {start} to {start + count} of a lane of {len(t)}")
        here = slice(start, min(start + count, len(t)))
        edges = np.concatenate(([0], np.cumsum(t.n_decisions.astype(np.int64))))
        asked = slice(int(edges[here.start]), int(edges[here.stop]))
        id_type = "<u2"  # profile fixed has at most 65,536 tokens
        mentioned = np.unique(
            np.concatenate([t.ids[here], t.candidates[here].reshape(-1), t.pivots[asked]])
        )
        words = [self.token_bytes[int(i)] for i in mentioned]
        flags = t.answers[asked].astype(np.uint8) & 1
        places = np.concatenate(([0], np.cumsum(t.lengths)))
        text = t.text[int(places[here.start]) : int(places[here.stop])]
        before = {} if here.start == 0 else {"before": _before(t, here.start)}
        return {
            "v": "view/1",
            "kind": self.kind,
            "lane": lane,
            "lanes": len(self.lanes),
            "model": self.model,
            "profile": "fixed",
            "n": len(t),
            "k": CANDIDATES,
            "from": here.start,
            "id_bytes": 2,
            "text": _base64(text),
            "payload": _base64(t.payload),
            "overview": _pack(_capped(t.cost_bits * 4.0, 255), "u1"),
            "id": _pack(t.ids[here], id_type),
            "len": _pack(_capped(t.lengths[here], 255), "u1"),
            "ideal": _pack(t.ideal_bits[here], "<f4"),
            "cost": _pack(t.cost_bits[here], "<f4"),
            "ent": _pack(_capped(t.entropy_bits[here] * 1024.0, 65535), "<u2"),
            "rank": _pack(_capped(t.ranks[here], 65535), "<u2"),
            "lo": _pack(t.offset[here], "<f8"),
            "r": _pack(t.share[here], "<f8"),
            "out": _pack(t.out[here], "<u4"),
            "low": _pack(_upper(t.low[here]), "<u4"),
            "rng": _pack(_upper(t.width[here]), "<u4"),
            "pend": _pack(_capped(t.pending[here], 255), "u1"),
            "car": _pack(t.carried[here], "u1"),
            "tid": _pack(t.candidates[here], id_type),
            "tlo": _pack(t.candidate_offset[here], "<f4"),
            "tr": _pack(t.candidate_share[here], "<f4"),
            "nd": _pack(_capped(t.n_decisions[here], 255), "u1"),
            # a share of 2**-20 is not rare: it needs a float
            "dr": _pack(t.decision_share[asked], "<f4"),
            "dflag": _pack(flags, "u1"),
            "dcut": _pack(t.pivots[asked], id_type),
            "dict_id": _pack(mentioned, id_type),
            "dict_len": _pack(np.array([len(w) for w in words]), "u1"),
            "dict_bytes": _base64(b"".join(words)),
            **before,
            **(extra or {}),
        }


def _upper(register: Array) -> Array:
    """The upper 32 of a register's 56 bits.

    The whole line is 2**56, one more than fits: it is drawn as the line all the same.
    """
    return _capped(register.astype(np.int64) >> 24, (1 << 32) - 1)


def _before(lane: LaneTrace, start: int) -> dict[str, float]:
    """What a window needs to know of the tokens before it: bits so far, and the registers."""
    last = slice(start - 1, start)
    return {
        "bits": float(-np.log2(lane.share[:start]).sum()),
        "out": int(lane.out[start - 1]),
        "low": int(_upper(lane.low[last])[0]),
        "rng": int(_upper(lane.width[last])[0]),
        "pend": int(min(lane.pending[start - 1], 255)),
        "car": int(lane.carried[start - 1]),
    }


def _capped(values: Array, limit: int) -> Array:
    """Rounds to integers that saturate, as the wire's small fields do."""
    capped: Array = np.minimum(np.rint(values), limit)
    return capped


def _pack(values: Array, dtype: str) -> str:
    return _base64(np.ascontiguousarray(values).astype(dtype).tobytes())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
