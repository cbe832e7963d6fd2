"""The law: decompress(compress(x)) == x, for every x, model, preset and cut."""

from __future__ import annotations

import array
import random
import zlib

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp import codec
from llmcomp.container import Method, unpack
from llmcomp.errors import FormatError, MismatchError, ModelError
from llmcomp.schedule import Schedule
from llmcomp.steps import run

HARD = {
    "empty": b"",
    "one byte": b"a",
    "one high byte": b"\x80",
    "NUL": b"\0",
    "all bytes": bytes(range(256)),
    "random": random.Random(1).randbytes(20_000),
    "invalid UTF-8": b"caf\xe9 \xff\xfe and \xf0\x9f\x98 cut",
    "lone continuation bytes": b"\x80\xbf\x80 a \xbf" * 9,
    "surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "composed and decomposed": "é e\u0301 ﬁ Å A\u030a 한 ㅎㅏㄴ".encode(),
    "line ends": b"a\r\nb\nc\r\rd\n\r\n",
    "NULs within": b"a\0b\0\0c" * 5,
    "emoji with joiners": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☝️".encode(),
    "special tokens": b"<|endoftext|><|im_start|>system</s><s>[UNK]<pad> <0x0A>",
    "spaces": b" " * 300 + b"\t\t\n" * 20,
    "right to left": "שלום \u202eevil\u202c العربية".encode(),
    "one long word": b"a" * 3000,
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("methods", [codec.METHODS, ("lm",)], ids=["smallest", "lm"])
def test_hard_inputs_round_trip(tiny, name, methods):
    data = HARD[name][:4000] if methods == ("lm",) else HARD[name]
    blob = llmcomp.compress(data, model=tiny, methods=methods)
    assert llmcomp.decompress(blob, model=tiny) == data


@given(
    data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode),
    lanes=st.none() | st.integers(1, 9),
    preset=st.sampled_from(["fast", "balanced", "small"]),
)
def test_any_bytes_round_trip(tiny, data, lanes, preset):
    blob = llmcomp.compress(data, model=tiny, methods=("lm",), lanes=lanes, preset=preset)
    assert llmcomp.decompress(blob, model=tiny) == data


@given(data=st.binary(max_size=2000), lane_bytes=st.integers(1, 700))
def test_any_bytes_round_trip_in_chunks(data, lane_bytes):
    model = FakeModel()
    blob = llmcomp.compress(data, model=model, methods=("lm",), lane_bytes=lane_bytes)
    assert llmcomp.decompress(blob, model=model) == data


def test_many_segments_round_trip():
    data = (b"one two three four five " * 50_000)[: (1 << 20) + 1000]
    model = FakeModel()
    blob = llmcomp.compress(data, model=model, preset="fast", verify=False, methods=("lm",))
    assert [f.segment.plain_length for f in unpack(blob).frames] == [1 << 20, 1000]
    assert llmcomp.decompress(blob, model=model) == data
    # the smallest method wins: for this text, without help, that is xz
    alone = llmcomp.compress(data, model=model, online=False)
    assert {s[0] for s in llmcomp.get_info(alone).segments} == {"xz"}


def test_encoding_and_decoding_do_not_depend_on_what_else_is_coded(tiny):
    """Without online help lanes are coded alone: the same payload in any company."""
    data, options = HARD["all bytes"] * 2, {"methods": ("lm",), "online": False}
    alone = [
        unpack(llmcomp.compress(part, model=tiny, lanes=1, **options))
        for part in (data[:200], data[200:])
    ]
    blob = llmcomp.compress(data, model=tiny, lane_bytes=200, **options)
    lanes = unpack(blob).frames[0].segment.lanes
    assert lanes[0].payload == alone[0].frames[0].segment.lanes[0].payload


@pytest.mark.parametrize("methods", [codec.METHODS, ("lm",), ("xz",), ("stored",)])
@pytest.mark.parametrize("name", ["empty", "one byte", "all bytes", "spaces"])
def test_the_bill_adds_up_to_the_file(tiny, name, methods):
    result = run(codec.compressing(HARD[name], model=tiny, methods=methods))
    bill = result.bill
    assert bill.total_bytes == len(result.blob)
    assert sum(bits for _, bits in bill.rows()) == pytest.approx(8 * len(result.blob), abs=1e-6)


def test_random_data_grow_by_the_frame_only(tiny):
    data = HARD["random"]
    model = FakeModel()
    blob = llmcomp.compress(data, model=model)
    assert len(blob) <= len(data) + 64
    assert model.calls == 0  # the probe did not even ask the model


def test_payload_stays_within_a_byte_of_the_ideal(tiny):
    for name in ("all bytes", "special tokens", "composed and decomposed"):
        bill = run(codec.compressing(HARD[name], model=tiny, methods=("lm",))).bill
        assert bill.coder_bits + bill.tail_bits <= 9.0 + 1e-5 * bill.ideal_bits


def test_a_model_that_does_not_reproduce_itself_is_not_used():
    data = b"the same words again and again, the same words" * 8
    result = run(codec.compressing(data, model=FakeModel(noise=0.5), methods=("lm",)))
    assert llmcomp.get_info(result.blob).segments[0][0] == "xz"
    assert "did not decode to itself" in result.bill.notes[0]
    assert llmcomp.decompress(result.blob, model=FakeModel()) == data


def test_other_numerics_are_found_out_by_the_plain_checksum():
    data = b"the same words again and again, the same words" * 8
    blob = llmcomp.compress(data, model=FakeModel(), methods=("lm",))
    with pytest.raises(MismatchError, match=r"other numbers|other bytes"):
        llmcomp.decompress(blob, model=FakeModel(noise=0.5))


def test_the_wrong_model_is_refused_before_it_runs():
    blob = llmcomp.compress(b"words", model=FakeModel(seed=1), methods=("lm",))
    other = FakeModel(seed=2)
    with pytest.raises(ModelError, match=r"fingerprint 0101.*has 0202"):
        llmcomp.decompress(blob, model=other)
    assert other.calls == 0
    with pytest.raises(ModelError, match="a model of its own"):
        llmcomp.decompress(blob)


def test_unknown_models_are_named():
    with pytest.raises(ModelError, match="no model 'gpt-9' here; known: embedded, nano"):
        llmcomp.compress(b"x", model="gpt-9")


@pytest.mark.parametrize("wrong", ["text", 3, None, ["x"]])
def test_only_bytes_are_taken(wrong):
    with pytest.raises(TypeError, match="bytes-like object"):
        llmcomp.compress(wrong, model=FakeModel())
    with pytest.raises(TypeError, match="bytes-like object"):
        llmcomp.decompress(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "tiny"}, "wanted one of fast, balanced, small"),
        ({"methods": ()}, "wanted some of"),
        ({"methods": ("gzip",)}, "wanted some of"),
        ({"lanes": 0}, "at least 1"),
        ({"lane_bytes": -1}, "at least 1"),
        ({"lanes": 2, "lane_bytes": 9}, "not both"),
        ({"lanes": 5000}, "5000 lanes in a segment; the format has at most 4096"),
    ],
)
def test_wrong_options_are_the_callers_mistake(options, message):
    with pytest.raises(ValueError, match=message):
        llmcomp.compress(b"x", model=FakeModel(), **options)


def test_more_lanes_than_the_format_has_are_refused():
    with pytest.raises(ValueError, match="5000 lanes in a segment"):
        llmcomp.compress(b"ab" * 5000, model=FakeModel(), lane_bytes=2)
    blob = llmcomp.compress(b"ab" * 4096, model=FakeModel(), lane_bytes=2, methods=("lm",))
    assert llmcomp.decompress(blob, model=FakeModel()) == b"ab" * 4096


def test_claims_can_be_capped():
    model = FakeModel()
    blob = llmcomp.compress(b"x" * 500, model=model, methods=("lm",), verify=False)
    model.calls = 0
    with pytest.raises(FormatError, match="decodes to 500 bytes; at most 499"):
        llmcomp.decompress(blob, model=model, max_bytes=499)
    assert model.calls == 0
    assert llmcomp.decompress(blob, model=model, max_bytes=500) == b"x" * 500


def test_any_buffer_is_taken():
    model = FakeModel()
    for data in (bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc")):
        assert llmcomp.decompress(llmcomp.compress(data, model=model), model=model) == b"abc"


def test_progress_grows_to_the_whole(tiny):
    data = HARD["all bytes"] * 3
    seen = []
    result = run(codec.compressing(data, model=tiny, methods=("lm",)), seen.append)
    for stage in ("encode", "verify"):
        done = [p.done for p in seen if p.stage == stage]
        assert done == sorted(done)
        assert done[-1] >= 0.99 * len(data)
    decoded = []
    run(codec.decompressing(result.blob, model=tiny), decoded.append)
    assert decoded[-1].done == decoded[-1].total == len(data)


def test_a_job_that_is_not_run_does_nothing():
    model = FakeModel()
    steps = codec.compressing(b"words " * 50, model=model, methods=("lm",))
    steps.close()
    assert model.calls == 0


@pytest.mark.parametrize("lane_count", [1, 2, 7])
def test_windows_move_over_long_lanes(tiny, lane_count):
    data = "the dog sleeps; 春眠不觉晓 ".encode() * 40
    blob = llmcomp.compress(data, model=tiny, methods=("lm",), lanes=lane_count)
    segment = unpack(blob).frames[0].segment
    assert segment.method is Method.LM
    assert len(segment.lanes) == lane_count
    assert llmcomp.decompress(blob, model=tiny) == data


@given(st.integers(1, 200), st.integers(1, 30), st.data())
def test_windows_cover_every_token_once(n_tokens, window, data):
    overlap = data.draw(st.integers(0, window - 1))
    windows = list(Schedule(window, overlap).windows(n_tokens))
    assert [t for w in windows for t in range(w.start, w.stop)] == list(range(n_tokens))
    for w in windows:
        assert w.stop - w.context_start <= window
        assert w.start - w.context_start == (overlap if w.start else 0)


def test_info_needs_no_model():
    blob = llmcomp.compress(HARD["all bytes"], model=FakeModel(), methods=("lm",))
    info = llmcomp.get_info(blob)
    assert (info.version, info.profile, info.model) == (1, "fixed", "model 0")
    assert info.plain_bytes == 256
    assert info.total_bytes == len(blob)


def test_importing_llmcomp_needs_numpy_alone():
    import subprocess
    import sys

    code = (
        "import sys, llmcomp; heavy = {'torch', 'transformers', 'gradio', 'numba', 'tokenizers'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_decoding_needs_neither_torch_nor_transformers(tiny, tmp_path):
    import subprocess
    import sys

    from conftest import ROOT

    data = HARD["composed and decomposed"]
    (tmp_path / "blob").write_bytes(llmcomp.compress(data, model=tiny, methods=("lm",)))
    code = f"""
import sys
for name in ("torch", "transformers", "gradio", "tokenizers", "huggingface_hub"):
    sys.modules[name] = None
import zlib, llmcomp
model = {str(ROOT / "tests/models/tiny")!r}
data = llmcomp.decompress(open({str(tmp_path / "blob")!r}, "rb").read(), model=model)
print(zlib.crc32(data))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == zlib.crc32(data)


def test_bytes_per_token_bound_is_what_ends_a_lane(tiny):
    """A lane ends with its bytes, so a payload of zeros decodes to exactly its plain length."""
    data = b"x" * 500
    blob = llmcomp.compress(data, model=tiny, methods=("lm",))
    (lane,) = unpack(blob).frames[0].segment.lanes
    assert lane.plain_length == 500
    assert len(lane.payload) < 500
    assert np.frombuffer(llmcomp.decompress(blob, model=tiny), np.uint8).max() == ord("x")
