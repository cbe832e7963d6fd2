"""Files that mix text with other things: the model is asked where it pays, and only there."""

from __future__ import annotations

import random

import numpy as np
import pytest
from fakes import FakeModel

import llmcomp
from llmcomp import codec
from llmcomp.blocks import BLOCK_BYTES, worth
from llmcomp.container import SEGMENT_BYTES, unpack
from llmcomp.file import LLMCompressor
from llmcomp.schedule import Schedule
from llmcomp.steps import run

RNG = random.Random(5)
LETTERS = bytes(RNG.choices(range(97, 123), k=4 * BLOCK_BYTES))  # xz spends 5 bits, 4.7 would do
NOISE = RNG.randbytes(2 * BLOCK_BYTES)
LOG = b"".join(b"%06d eth0 up\n" % i for i in range(20_000))[: 2 * BLOCK_BYTES]


class LetterModel(FakeModel):
    """Knows small letters and nothing else; remembers what it has scored."""

    def __init__(self) -> None:
        super().__init__()
        self._table = np.zeros((256, 256))
        self._table[:, 97:123] = 9.0
        self.scored = 0

    def score(self, rows):
        self.scored += rows.size
        return super().score(rows)


def kept(data: bytes, model: FakeModel, **options: object) -> list[tuple[str, int]]:
    result = run(codec.compressing(data, model=model, verify=False, **options))
    assert llmcomp.decompress(result.blob, model=model) == data
    bill = result.bill
    assert sum(bits for _, bits in bill.rows()) == pytest.approx(8 * len(result.blob), abs=1e-6)
    return [
        (f.segment.method.name.lower(), f.segment.plain_length) for f in unpack(result.blob).frames
    ]


def test_a_window_is_cut_where_text_begins_and_ends():
    data = LETTERS[: 2 * BLOCK_BYTES] + NOISE + LETTERS[2 * BLOCK_BYTES :][:70_000]
    model = LetterModel()
    assert kept(data, model) == [
        ("lm", 2 * BLOCK_BYTES),
        ("stored", 2 * BLOCK_BYTES),
        ("lm", 70_000),
    ]
    # windows overlap by half, so text is scored twice; noise is not at all
    assert model.scored < 2 * (2 * BLOCK_BYTES + 70_000) + 8_000
    mixed = len(llmcomp.compress(data, model=model, verify=False))
    xz = len(llmcomp.compress(data, model=model, methods=("xz", "stored")))
    lm = len(llmcomp.compress(data, model=model, methods=("lm",), verify=False))
    assert mixed < min(xz, lm)


def test_pure_text_stays_in_one_piece():
    for length in (BLOCK_BYTES, BLOCK_BYTES + 1, len(LETTERS)):
        assert kept(LETTERS[:length], LetterModel()) == [("lm", length)]
        assert llmcomp.compress(
            LETTERS[:length], model=LetterModel(), verify=False
        ) == llmcomp.compress(LETTERS[:length], model=LetterModel(), methods=("lm",), verify=False)


def test_what_xz_does_much_better_is_its_own_only_in_long_files():
    model = LetterModel()
    assert kept(LOG, model, online=False) == [("xz", len(LOG))]
    assert model.scored > len(LOG)  # all of an input is tried before xz wins
    model = LetterModel()
    long = LOG * (SEGMENT_BYTES // len(LOG)) + b"the end"
    assert [method for method, _ in kept(long, model, online=False)] == ["xz", "lm"]
    assert model.scored < 20_000
    stream = LLMCompressor(
        model=model, verify=False, online=False
    )  # does not know how long it will be
    streamed = stream.compress(long) + stream.flush()
    assert streamed == llmcomp.compress(long, model=model, verify=False, online=False)
    assert model.scored < 60_000


def test_cutting_never_costs_more_than_one_segment():
    """Where xz does as well on the whole, the frames of the parts are spared."""
    data = LOG[:BLOCK_BYTES] + NOISE[:BLOCK_BYTES]
    model = LetterModel()
    assert len(llmcomp.compress(data, model=model)) <= len(
        llmcomp.compress(data, model=model, methods=("xz", "stored"))
    )


def test_a_block_with_a_seam_in_it_does_not_spoil_its_neighbours():
    half = BLOCK_BYTES // 2
    data = LETTERS[: BLOCK_BYTES + half] + NOISE[: BLOCK_BYTES + half]
    assert kept(data, LetterModel())[0] == ("lm", BLOCK_BYTES)


def test_verdicts_need_a_block_that_shrinks():
    model = LetterModel()
    assert worth([NOISE[:5000]], [5004], model, Schedule(64, 16)) == [False]
    assert model.scored == 0
    assert worth([LETTERS[:5000]], [3300], model, Schedule(64, 16)) == [True]
    assert worth([LETTERS[:5000]], [330], model, Schedule(64, 16)) == [False]


def test_other_methods_are_not_mixed():
    data = LETTERS[:BLOCK_BYTES] + NOISE[:BLOCK_BYTES]
    assert kept(data, LetterModel(), methods=("lm",)) == [("lm", len(data))]
    assert kept(data, LetterModel(), methods=("xz",)) == [("xz", len(data))]
