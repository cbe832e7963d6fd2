"""Which parts of a window are worth the model's work.

In: a window's 64 KiB blocks, and how far xz shrinks each. Out: a verdict a block. In a file that
mixes text with other things the verdicts change along the way, and the codec then cuts the window
where they do. A verdict may be wrong at no cost but bytes: it says what is tried, never how
something is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np

from llmcomp.lanes import encode
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.schedule import Schedule
from llmcomp.steps import run

BLOCK_BYTES = 1 << 16

_SAMPLES = 4  # of a block, at equal distances, so that a seam between text and noise shows
_SAMPLE_TOKENS = 64
_SAMPLE_BYTES = 512

_MARGIN = 1.5
"""Spare the model where its samples cost so many times xz's bits: they begin without context,
while xz has had a block to learn from, so a model that is even here wins over a whole lane."""

_NOISE_BITS = 8.0
"""A block with a sample that the model would not shrink at all is part noise, which costs the model
more than its text saves."""


def worth(
    blocks: Sequence[bytes], xz_sizes: Sequence[int], model: LanguageModel, schedule: Schedule
) -> list[bool]:
    """Tells of each block whether to ask the model.

    Args:
        blocks: plain bytes.
        xz_sizes: bytes of each when compressed by xz; what that does not shrink is never scored.
        model: the language model.
        schedule: how its windows move.
    """
    shrinking = [i for i, block in enumerate(blocks) if xz_sizes[i] < len(block)]
    lanes = [sample for i in shrinking for sample in _samples(blocks[i], model)]
    coded = run(encode(model, lanes, schedule))
    verdicts = [False] * len(blocks)
    for place, i in enumerate(shrinking):
        part = slice(place * _SAMPLES, (place + 1) * _SAMPLES)
        bits = [lane.ideal_bits for lane in coded[part]]
        n_bytes = [len(model.tokenizer.decode(tokens)) for tokens in lanes[part]]
        noisy = any(b >= _NOISE_BITS * n for b, n in zip(bits, n_bytes, strict=True))
        xz_rate = xz_sizes[i] / len(blocks[i])
        verdicts[i] = not noisy and sum(bits) <= _MARGIN * 8 * xz_rate * sum(n_bytes)
    return verdicts


def cut_blocks(plain: bytes) -> list[bytes]:
    """Cuts a window into its blocks; the last one takes up to half a block more than the others.

    >>> [len(block) for block in cut_blocks(bytes(150_000))]
    [65536, 84464]
    """
    edges = [i * BLOCK_BYTES for i in range(max(1, round(len(plain) / BLOCK_BYTES)))]
    return [plain[a:b] for a, b in pairwise([*edges, len(plain)])]


def join_alike(blocks: Sequence[bytes], verdicts: Sequence[bool]) -> list[tuple[bytes, bool]]:
    """Joins neighbours of one verdict.

    >>> join_alike([b"a", b"b", b"c"], [True, True, False])
    [(b'ab', True), (b'c', False)]
    """
    return [
        (b"".join(block for block, _ in group), verdict)
        for verdict, group in groupby(zip(blocks, verdicts, strict=True), key=lambda pair: pair[1])
    ]


def _samples(block: bytes, model: LanguageModel) -> list[Tokens]:
    starts = np.linspace(0, len(block), _SAMPLES * 2 + 1, dtype=int)[1::2]
    return [
        model.tokenizer.encode(block[at : at + _SAMPLE_BYTES])[:_SAMPLE_TOKENS] for at in starts
    ]
