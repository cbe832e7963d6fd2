"""Damage: one clear error or the right bytes, nothing else, and no model before the checksum."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib

import pytest
from fakes import FakeModel

import llmcomp
from llmcomp import codec
from llmcomp.container import MAGIC, Header, Lane, Method, Segment, pack, unpack, varint
from llmcomp.errors import DamagedError, FormatError, LLMCompError, VersionError
from llmcomp.lanes import decode_lanes
from llmcomp.rehearsal import rehearse
from llmcomp.schedule import SCHEDULES, Schedule
from llmcomp.steps import run

TEXT = (
    b"It is a truth universally acknowledged, that a file in possession of a good fortune, "
    b"must be in want of a checksum. However little known the feelings of such a file "
    b"may be on its first entering a disk"
)


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "helped"])
def blob(request: pytest.FixtureRequest) -> bytes:
    options = {"methods": ("lm",), "lanes": 2, "online": request.param}
    made = llmcomp.compress(TEXT, model=FakeModel(), **options)
    assert llmcomp.get_info(made).helped_segments == request.param
    assert 150 <= len(made) <= 400
    return made


def outcome(damaged: bytes) -> str:
    """Decodes and returns 'right' or 'refused'; anything else fails the test."""
    model = FakeModel()
    try:
        data = llmcomp.decompress(damaged, model=model)
    except LLMCompError as error:
        assert "\n" not in str(error)
        assert model.calls == 0, "a model ran before the stored checksum held"
        return "refused"
    assert data == TEXT
    return "right"


def test_every_flipped_bit_is_refused(blob):
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        assert outcome(bytes(damaged)) == "refused", bit


def test_every_truncation_and_continuation_is_refused(blob):
    for length in range(len(blob)):
        assert outcome(blob[:length]) == "refused", length
    for tail in (b"\0", b"LLMC", blob):
        assert outcome(blob + tail) == "refused"


def test_ten_thousand_mutations_are_refused_or_harmless(blob):
    rng = random.Random(7)
    seen = {"right": 0, "refused": 0}
    for _ in range(10_000):
        damaged = bytearray(blob)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(damaged))
            kind = rng.randrange(4)
            if kind == 0:
                damaged[at] = rng.randrange(256)
            elif kind == 1:
                damaged[at:at] = rng.randbytes(rng.randint(1, 12))
            elif kind == 2 and len(damaged) > 20:
                del damaged[at : at + rng.randint(1, 8)]
            else:
                damaged[at : at + 9] = varint(1 << rng.randrange(63))
        seen[outcome(bytes(damaged))] += 1
    assert seen["refused"] > 9_900


@pytest.mark.parametrize("magnitude", [20, 31, 40, 60, 63])
def test_absurd_lengths_are_refused_before_they_are_used(magnitude):
    header = Header(0, b"\0\0", SCHEDULES[2]).pack()
    for method in Method:
        body = bytes([method | 4]) + varint((1 << magnitude) + 1) + varint(5) + b"\0" * 20
        checked = body + zlib.crc32(header + b"\0" + body).to_bytes(4, "little")
        with pytest.raises((FormatError, DamagedError), match=r"limit|cut"):
            unpack(header + checked)
    lanes = bytes([2 | 4 | 8]) + varint(1 << magnitude)
    with pytest.raises(FormatError, match="number of lanes"):
        unpack(header + lanes + b"\0" * 40)


@pytest.mark.parametrize(
    "foreign",
    [b"\x1f\x8b\x08" + bytes(30), b"\xfd7zXZ\0" + bytes(30), b"PK\3\4" + bytes(30), b"hello", b"L"],
)
def test_foreign_files_are_named_as_such(foreign):
    with pytest.raises(LLMCompError, match=r"not a \.llmc blob|cut"):
        llmcomp.decompress(foreign)


def test_an_empty_file_is_no_blob():
    with pytest.raises(FormatError, match=r"not a \.llmc blob"):
        llmcomp.decompress(b"")


def test_newer_versions_are_told_apart(blob):
    for at, value, message in [
        (4, 0x21, "format version 2 is newer"),
        (4, 0x01, "version 0 does not exist"),
        (4, 0x14, "profile 4 is unknown"),
        (8, 0x40, "steering kind 4"),
        (8, 0x0F, "schedule 15"),
    ]:
        newer = bytearray(blob)
        newer[at] = value
        with pytest.raises(FormatError, match=message) as caught:
            llmcomp.decompress(bytes(newer))
        assert value == 0x01 or isinstance(caught.value, VersionError)
    header = Header(0, b"\0\0", SCHEDULES[1]).pack()
    with pytest.raises(VersionError, match=r"segment tag 0x07"):
        unpack(header + b"\x07" + bytes(20))


def test_segments_cannot_change_places():
    segments = [
        Segment(Method.STORED, [Lane(5, text)], zlib.crc32(text)) for text in (b"first", b"other")
    ]
    blob = pack(Header(0, b"\0\0", SCHEDULES[2]), segments)
    assert [f.segment.lanes[0].payload for f in unpack(blob).frames] == [b"first", b"other"]
    header, one, two = blob[:9], blob[9:24], blob[24:]
    assert len(one) == len(two) == 15
    swapped = bytearray(header + two + one)
    swapped[9] &= ~4
    swapped[24] |= 4
    with pytest.raises(DamagedError, match="segment 0 is damaged"):
        unpack(bytes(swapped))


def test_an_xz_segment_that_lies_is_refused():
    header = Header(0, b"\0\0", SCHEDULES[2])
    for payload in (b"", b"\0", b"\1\0\0x", b"\xff" * 9):
        blob = pack(header, [Segment(Method.XZ, [Lane(3, payload)], zlib.crc32(b"xyz"))])
        with pytest.raises(DamagedError, match=r"xz data are damaged|contradicts itself"):
            llmcomp.decompress(blob)


def test_framing_costs_what_the_design_allows(blob):
    """One lane under 64 kB: 24 bytes at most; 4 bytes for each further lane."""
    for plain, payload in ((0, 0), (100, 40), (65_535, 30_000)):
        one = Segment(Method.LM, [Lane(plain, bytes(payload))], 0)
        framed = len(pack(Header(1, b"\0\0", SCHEDULES[2]), [one]))
        assert framed - payload <= 24
    for n_lanes in (2, 16, 64):
        lanes = [Lane(4_000, bytes(1_200))] * n_lanes
        framed = len(pack(Header(1, b"\0\0", SCHEDULES[2]), [Segment(Method.LM, lanes, 0)]))
        assert framed - 1_200 * n_lanes <= 24 + 4 * (n_lanes - 1)


def test_schedules_can_be_spelt_out():
    header = Header(0, b"ab", Schedule(77, 11))
    blob = pack(header, [Segment(Method.STORED, [Lane(1, b"x")], zlib.crc32(b"x"))])
    assert unpack(blob).header == header
    assert blob.startswith(MAGIC)


def test_a_window_beyond_the_models_context_is_refused_before_it_runs():
    model = FakeModel()
    header = Header(0, model.fingerprint[:2], Schedule(1 << 20, 5))
    blob = pack(header, [Segment(Method.LM, [Lane(3, b"\x55")] * 4096, 0)])
    with pytest.raises(FormatError, match="longer than fake's context of 64"):
        llmcomp.decompress(blob, model=model)
    assert model.calls == 0


def test_a_thousand_lanes_do_not_take_a_thousand_caches():
    """Lanes step in groups, so a blob cannot ask for memory in proportion to its lanes."""
    model = FakeModel()
    most = 0
    begin = model.begin

    def watched(rows, room):
        nonlocal most
        most = max(most, len(rows) * room)
        return begin(rows, room)

    model.begin = watched
    data = random.Random(2).randbytes(160_000)
    blob = llmcomp.compress(data, model=model, methods=("lm",), lane_bytes=160)
    assert len(unpack(blob).frames[0].segment.lanes) == 1_000
    assert most <= 32_768  # positions of the lanes that step together
    assert llmcomp.decompress(blob, model=model) == data


@pytest.mark.parametrize(("window", "overlap"), [(15, 0), (1, 0), (100, 76), (1024, 1023)])
def test_schedules_that_multiply_the_work_are_refused(window, overlap):
    header = Header(0, b"\0\0", Schedule(window, overlap))
    blob = pack(header, [Segment(Method.STORED, [Lane(1, b"x")], zlib.crc32(b"x"))])
    with pytest.raises(FormatError, match="the format wants a window"):
        unpack(blob)


def test_empty_lanes_and_segments_are_refused():
    header = Header(0, b"\0\0", SCHEDULES[2])
    empty, full = Segment(Method.STORED, [Lane(0, b"")], 0), Segment(Method.LM, [Lane(2, b"")], 0)
    assert unpack(pack(header, [empty])).plain_length == 0
    for segments in ([empty, full], [full, empty], [empty, empty]):
        with pytest.raises(FormatError, match="is empty"):
            unpack(pack(header, segments))
    for lanes in ([Lane(0, b"")], [Lane(0, b""), Lane(2, b"")]):
        with pytest.raises(FormatError, match="lane of an lm segment is empty"):
            unpack(pack(header, [Segment(Method.LM, lanes, 0)]))


def test_varints_have_one_spelling():
    blob = pack(Header(0, b"\0\0", SCHEDULES[2]), [Segment(Method.STORED, [Lane(1, b"x")], 0)])
    assert blob[10] == 1
    with pytest.raises(FormatError, match="longer than needed"):
        unpack(blob[:10] + b"\x81\x00" + blob[11:])


def repaired_mutations(model, data: bytes, count: int) -> None:
    """Past the door: damage whose stored CRC was made to fit again."""
    blob = llmcomp.compress(data, model=model, methods=("lm",), lanes=3)
    frame = unpack(blob).frames[0]
    rng = random.Random(11)
    refused = 0
    for _ in range(count):
        damaged = bytearray(blob)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(5, len(damaged) - 4)] = rng.randrange(256)
        body = bytes(damaged[frame.start : -4])
        crc = zlib.crc32(bytes(damaged[: frame.start]) + b"\0" + body)
        damaged[-4:] = crc.to_bytes(4, "little")
        try:
            job = codec.decompressing(bytes(damaged), model=model, max_bytes=4096, trace=True)
            decoded = run(job).data
        except LLMCompError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert decoded == data
    assert refused > 0.9 * count


def test_mutations_with_repaired_checksums_are_refused(tiny):
    repaired_mutations(tiny, b"the quick brown fox jumps over the lazy dog", 300)
    repaired_mutations(FakeModel(), b"the quick brown fox jumps over the lazy dog; " * 3, 1000)


MEMORY = """
import resource, sys
import numpy as np
from llmcomp import codec
from llmcomp.models import load_model
from llmcomp.steps import run
import llmcomp
model = load_model("nano")
run(codec.compressing(b"warm up", model=model, methods=("lm",)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = np.random.default_rng(0).integers(97, 123, 40_000, dtype=np.uint8).tobytes()
job = codec.compressing(data, model=model, methods=("lm",), lanes=int(sys.argv[1]), verify=False)
blob = run(job).blob
decoding = codec.decompressing(blob)
for progress in decoding:  # past the second window, with every lane's cache full
    if progress.done > 36_000:
        break
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.embedded
def test_memory_stays_bounded_on_a_real_model():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, "25"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 600 * 1024  # KiB


def test_rehearsal_tells_the_outcomes_apart_and_never_hands_out_bytes(blob):
    model = FakeModel()
    outcomes = {}
    for bit in range(8 * len(blob)):
        found = rehearse(blob, bit, model=model)
        outcomes.setdefault(found.outcome, []).append(found)
        assert "\n" not in found.verdict
    assert set(outcomes) >= {"envelope", "number", "checksum"}
    assert len(outcomes["checksum"]) == 64
    for found in outcomes["number"]:
        assert found.trace is not None
        assert found.trace.kind == "rehearse"
        assert found.trace.lanes[0].text not in TEXT or len(found.trace.lanes[0].text) < 4
    assert all(found.trace is None for found in outcomes["envelope"] + outcomes["checksum"])
    assert rehearse(blob, model=model).outcome == "intact"
    xz = llmcomp.compress(b"again and again " * 40, model=model, methods=("xz",))
    assert {rehearse(xz, bit, model=model).outcome for bit in range(8 * len(xz))} == {
        "envelope",
        "checksum",
    }
    with pytest.raises(ValueError, match="bit"):
        rehearse(blob, 8 * len(blob))


def test_lanes_that_are_done_hold_nobody_up():
    """One long lane among many short ones: the work is that of what the blob claims to hold."""
    stepped = 0

    class Counting(FakeModel):
        def begin(self, rows, room):
            session, logits = super().begin(rows, room)
            plain_step = session.step

            def step(tokens):
                nonlocal stepped
                stepped += len(tokens)
                return plain_step(tokens)

            session.step = step
            return session, logits

    model = Counting()
    lanes = [Lane(1, b"")] * 500 + [Lane(900, b"")] + [Lane(3, b"")] * 500
    tokens = run(decode_lanes(model, lanes, Schedule(16, 12)))
    assert [len(t) for t in tokens] == [lane.plain_length for lane in lanes]
    assert stepped <= 2 * sum(lane.plain_length for lane in lanes)
