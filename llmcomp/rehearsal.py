"""What a flipped bit would do to a blob, shown without ever handing out bytes.

In: an intact blob and the index of a bit. Out: the verdict a user would read, and the path a
damaged number takes. Only for teaching: the codec itself refuses damage at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from llmcomp.codec import agreement_of, decompressing, model_for
from llmcomp.container import (
    CRC_BYTES,
    Container,
    Frame,
    Lane,
    Method,
    Profile,
    Segment,
    unpack,
)
from llmcomp.errors import LLMCompError
from llmcomp.lanes import decode_lanes, record
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.steps import run
from llmcomp.tracing import Trace

Outcome = Literal["intact", "envelope", "number", "spare", "checksum"]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen to a blob with one bit flipped. Never its bytes.

    Attributes:
        outcome: ``intact`` (no flip asked), ``envelope`` (header, lengths, or bytes that no model
            coded: refused at the door), ``checksum`` (every word would be right, refused all the
            same), ``number`` (the number leads to other words) or ``spare`` (these digits did not
            matter).
        verdict: the one line a user would read.
        trace: the path the damaged number takes, where there is one; only in profile ``fixed``.
        split: in its lane, the first token that differs from the true one; None where none does.
    """

    outcome: Outcome
    verdict: str
    trace: Trace | None
    split: int | None = None


def rehearse(
    blob: bytes,
    flip: int | None = None,
    *,
    model: str | LanguageModel | None = None,
    most_tokens: int = 60,
) -> Rehearsal:
    """Follows one flipped bit.

    Args:
        blob: an intact .llmc blob.
        flip: index of the bit to flip; bit 0 is the first byte's highest.
        model: as in `llmcomp.codec.decompressing`.
        most_tokens: how far the trace follows the damaged number past the place where it leaves
            the text.

    Raises:
        LLMCompError: if the blob is not intact to begin with.
        ValueError: if there is no such bit.
    """
    intact = unpack(blob)
    if flip is None:
        run(decompressing(blob, model=model))
        return Rehearsal("intact", "both checksums hold", None)
    if not 0 <= flip < 8 * len(blob):
        raise ValueError(f"bit {flip} of a blob of {8 * len(blob)} bits")
    damaged = bytearray(blob)
    damaged[flip // 8] ^= 0x80 >> flip % 8
    verdict = _refusal(bytes(damaged))
    for frame in intact.frames:
        if not frame.payload - CRC_BYTES <= flip // 8 < frame.stop:
            continue
        found = _lane_at(frame, flip // 8)
        if found is None:
            payload = frame.payload <= flip // 8 < frame.stop - CRC_BYTES
            return Rehearsal("envelope" if payload else "checksum", verdict, None)
        place, start = found
        lanes = list(frame.segment.lanes)
        bent = bytes(damaged[start : start + len(lanes[place].payload)])
        lanes[place] = replace(lanes[place], payload=bent)
        return _follow(intact, frame.segment, lanes, place, verdict, model, most_tokens)
    return Rehearsal("envelope", verdict, None)


def _refusal(damaged: bytes) -> str:
    """Reads the error a damaged blob gives."""
    try:
        unpack(damaged)
    except LLMCompError as refusal:
        return str(refusal)
    raise AssertionError("a CRC-32 misses no single flipped bit")


def _lane_at(frame: Frame, byte: int) -> tuple[int, int] | None:
    """Finds the place of the model-coded lane that holds a byte, and where its payload begins."""
    start = frame.payload
    for place, lane in enumerate(frame.segment.lanes):
        if frame.segment.method is Method.LM and start <= byte < start + len(lane.payload):
            return place, start
        start += len(lane.payload)
    return None


def _follow(
    intact: Container,
    segment: Segment,
    bent: Sequence[Lane],
    place: int,
    verdict: str,
    model: str | LanguageModel | None,
    most_tokens: int,
) -> Rehearsal:
    """Decodes a segment with and without the flip and compares the paths of the lane it is in."""
    chosen, schedule = model_for(intact.header, model)
    numerics = intact.header.numerics
    # without online help no lane knows of the others
    some = slice(None) if segment.helped else slice(place, place + 1)
    place -= some.start or 0
    true, astray = (
        run(
            decode_lanes(
                chosen,
                lanes[some],
                schedule,
                agreement_of(numerics),
                helped=segment.helped,
                # a damaged number may say more than its lane has bytes for
                most_tokens=None if lanes is segment.lanes else segment.plain_length,
            )
        )
        for lanes in (segment.lanes, bent)
    )
    split = _first_difference(true[place], astray[place])
    outcome: Outcome = "spare" if split is None else "number"
    if numerics.profile is not Profile.FIXED:
        return Rehearsal(outcome, verdict, None, split)
    seen = len(true[place]) if split is None else split + most_tokens
    # what is learnt online at a step comes from steps before it: no lane need be longer
    astray = [ids[:seen] for ids in astray]
    paths = record(chosen, astray, bent[some], schedule, helped=segment.helped)
    trace = Trace([paths[place]], chosen.tokenizer.token_bytes, chosen.name, "rehearse")
    return Rehearsal(outcome, verdict, trace, split)


def _first_difference(left: Tokens, right: Tokens) -> int | None:
    """Finds where two lanes part; one that merely ends earlier parts at its end."""
    shared = min(len(left), len(right))
    apart = np.flatnonzero(left[:shared] != right[:shared])
    if len(apart):
        return int(apart[0])
    return None if len(left) == len(right) else shared
