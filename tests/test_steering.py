"""Steering: prompts in front of every window, their records, their files, their training."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp.cli import main
from llmcomp.codec import compressing, get_info
from llmcomp.container import Header, Lane, pack, unpack, varint
from llmcomp.errors import DamagedError, FormatError, LLMCompError, ModelError, VersionError
from llmcomp.evaluate.steering import as_json, compare, from_json, table
from llmcomp.lanes import decode_lanes, encode
from llmcomp.models.base import LanguageModel
from llmcomp.models.grid import WEIGHT_GRID, snap
from llmcomp.models.snapped import SnappedModel
from llmcomp.schedule import SCHEDULES, Schedule
from llmcomp.steering.choices import Auto, Coded, Trained, candidates, parse
from llmcomp.steering.kinds import (
    DEFAULT_TEXT,
    NoSteering,
    RandomSteering,
    Steering,
    TextSteering,
    TrainedSteering,
    describe,
    read_record,
)
from llmcomp.steering.priors import PRIORS, Gaussian, Laplace, make_prior
from llmcomp.steering.settings import SYSTEM_000, Training
from llmcomp.steering.soft_prompt import SoftPrompt, embedding_scale, placed
from llmcomp.steps import Progress, run

TEXT = (
    b"The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not. "
    b"for i in range(10): print(i, i * i)  # squares\n"
) * 4
BRIEF = Training(n_virtual_tokens=4, epochs=3, row_tokens=32, batch_rows=4, precision="float32")


@pytest.fixture(scope="module")
def soft(tiny: SnappedModel) -> SoftPrompt:
    vector = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    return SoftPrompt(vector, 0.125, tiny.name, tiny.fingerprint.hex(), {"made": "by hand"})


@pytest.fixture(scope="module")
def ways(soft: SoftPrompt) -> list[Steering]:
    return [
        NoSteering(),
        TextSteering(),
        TextSteering("Съешь ещё".encode()),
        TextSteering(b""),
        TextSteering(b"\xff\x00"),
        RandomSteering(10, 5),
        RandomSteering(1, 2**64 - 1, scale=0.5),
        *(TrainedSteering.coding(soft, prior(levels=16)) for prior in PRIORS.values()),
    ]


# --- the model behind a prompt ---------------------------------------------------------------


def on_grid(rng: np.random.Generator, n: int, width: int) -> np.ndarray:
    return snap(rng.normal(size=(n, width)), WEIGHT_GRID)


def test_text_in_front_is_the_same_as_the_text_itself(tiny):
    """Steering by a string gives the logits that the string's own tokens would give."""
    ids = tiny.tokenizer.encode(b"The dog sleeps; the fox")
    prefix, rest = ids[:5], ids[5:]
    whole = np.concatenate([[tiny.start_token], ids])[None]
    row = np.concatenate([[tiny.start_token], rest])[None]
    expected = np.concatenate([logits for _, _, logits in tiny.score(whole)])
    steered = tiny.steered(tiny.embed(prefix))
    found = np.concatenate([logits for _, _, logits in steered.score(row)])
    np.testing.assert_array_equal(found, expected[5:])


@pytest.mark.parametrize("n_virtual", [1, 7, 40])
def test_parallel_and_cached_passes_agree_behind_a_prompt(tiny, n_virtual):
    rng = np.random.default_rng(n_virtual)
    model = tiny.steered(on_grid(rng, n_virtual, 32))
    assert model.context_length == 64 - n_virtual
    rows = rng.integers(0, 300, (3, model.context_length))
    rows[:, 0] = model.start_token
    parallel = {(r, s + i): x for r, s, ls in model.score(rows) for i, x in enumerate(ls)}
    session, logits = model.begin(rows[:, :2], model.context_length)
    for at in range(1, rows.shape[1]):
        for lane in range(3):
            np.testing.assert_array_equal(logits[lane], parallel[lane, at])
        if at + 1 < rows.shape[1]:
            logits = session.step(rows[:, at + 1])


def test_a_prompt_changes_the_numbers_and_leaves_the_model_alone(tiny):
    row = np.array([[tiny.start_token, 5, 6]])
    before = next(iter(tiny.score(row)))[2].copy()
    steered = tiny.steered(on_grid(np.random.default_rng(0), 3, 32))
    assert not np.array_equal(next(iter(steered.score(row)))[2], before)
    np.testing.assert_array_equal(next(iter(tiny.score(row)))[2], before)
    assert (tiny.n_virtual_tokens, steered.n_virtual_tokens) == (0, 3)
    assert steered.fingerprint == tiny.fingerprint


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (np.zeros((2, 31)), "wanted \\[n, 32\\]"),
        (np.zeros((50, 32)), "leave less than 16"),
        (np.full((2, 32), np.nan), "finite"),
        (np.full((2, 32), 2.0**-15), "grid"),
        (np.full((2, 32), 2.0**16), "within"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(tiny, prompt, words):
    with pytest.raises(ValueError, match=words):
        tiny.steered(prompt)


def test_a_huge_prompt_still_agrees(tiny):
    """Norms scale what they square, so no size of entry breaks exactness."""
    prompt = np.full((2, 32), 2.0**15)
    prompt[1] = -prompt[1] * np.arange(32) / 32
    model = tiny.steered(snap(prompt, WEIGHT_GRID))
    tokens = [model.tokenizer.encode(TEXT[:60])]
    coded = run(encode(model, tokens, Schedule(32, 8)))
    (back,) = run(decode_lanes(model, [Lane(60, coded[0].payload)], Schedule(32, 8)))
    np.testing.assert_array_equal(back, tokens[0])


def test_memory_counts_the_prompt_too(tiny, monkeypatch):
    """A blob must not be able to ask for a long prompt in thousands of lanes at once."""
    from llmcomp import lanes

    monkeypatch.setattr(lanes, "_CACHED_POSITIONS", 200)
    model = tiny.steered(on_grid(np.random.default_rng(0), 40, 32))
    begun = []
    real = type(model).begin
    monkeypatch.setattr(
        type(model),
        "begin",
        lambda self, rows, room: begun.append(len(rows)) or real(self, rows, room),
    )
    texts = [TEXT[i : i + 16] for i in range(0, 160, 16)]
    tokens = [model.tokenizer.encode(t) for t in texts]
    coded = run(encode(model, tokens, Schedule(16, 4)))
    framed = [Lane(len(t), e.payload) for t, e in zip(texts, coded, strict=True)]
    run(decode_lanes(model, framed, Schedule(16, 4)))
    assert max(begun) * (40 + 16) <= 200


# --- records and blobs -----------------------------------------------------------------------


def test_every_record_reads_back(tiny, ways):
    for way in ways:
        record = way.pack()
        back = read_record(way.number, record, tiny)
        np.testing.assert_array_equal(back.prompt(tiny), way.prompt(tiny))
        assert str(back) == str(way) == describe(way.number, record)


def test_steered_blobs_round_trip_and_the_bill_adds_up(tiny, ways):
    for way in ways:
        for preset in ("balanced", "small"):
            result = run(
                compressing(TEXT, model=tiny, steer=way, preset=preset, methods=("lm",), lanes=3)
            )
            assert llmcomp.decompress(result.blob, model=tiny) == TEXT, way
            bill = result.bill
            assert sum(bits for _, bits in bill.rows()) == pytest.approx(8 * len(result.blob))
            record = unpack(result.blob).header.packed_record()
            assert bill.steering_bits + bill.prompt_bits == 8 * len(record)
            info = get_info(result.blob)
            assert (info.steering, info.steering_bytes) == (str(way), len(record))


@given(data=st.binary(max_size=200), text=st.binary(max_size=30), seed=st.integers(0, 2**64 - 1))
def test_any_bytes_behind_any_string_or_noise(tiny, data, text, seed):
    for way in (TextSteering(text), RandomSteering(3, seed, 0.25)):
        try:
            blob = llmcomp.compress(data, model=tiny, steer=way, methods=("lm",), verify=False)
        except ValueError as error:  # 30 strange bytes may be more tokens than there is room for
            assert "virtual tokens leave less" in str(error)
            continue
        assert llmcomp.decompress(blob, model=tiny) == data


def test_a_steered_blob_decodes_in_a_fresh_process(tmp_path, ways):
    """Nothing but the blob and the model's directory crosses over."""
    directory = ROOT / "tests/models/tiny"
    script = (
        "import sys, llmcomp; sys.stdout.buffer.write("
        "llmcomp.decompress(open(sys.argv[1], 'rb').read(), model=sys.argv[2]))"
    )
    for index, way in enumerate((ways[1], ways[5], ways[-1])):
        blob = tmp_path / f"{index}.llmc"
        model = SnappedModel(directory, name="tiny", number=0)
        blob.write_bytes(llmcomp.compress(TEXT, model=model, steer=way, methods=("lm",)))
        done = subprocess.run(
            [sys.executable, "-c", script, str(blob), str(directory)],
            capture_output=True,
            check=True,
        )
        assert done.stdout == TEXT


def test_steering_that_brings_nothing_is_left_out(tiny, ways):
    for way in ways[5:]:
        for data in (b"", b"x", bytes(range(256)) * 20):
            result = run(compressing(data, model=tiny, steer=way))
            header = unpack(result.blob).header
            assert (header.steering, header.record) == (0, b"")
            assert len(result.blob) <= len(data) + 21
            assert result.steering == NoSteering(), (way, data)
            assert llmcomp.decompress(result.blob, model=tiny) == data


def test_the_smallest_of_several_wins(tiny, ways):
    result = run(compressing(TEXT, model=tiny, steer=ways, methods=("lm",)))
    sizes = dict(result.tried)
    assert len(result.tried) == len(ways)
    assert len(result.blob) == min(sizes.values()) == sizes[str(result.steering)]
    alone = {
        str(w): len(llmcomp.compress(TEXT, model=tiny, steer=w, methods=("lm",))) for w in ways
    }
    assert alone == sizes


def test_auto_never_costs_more_than_none(tiny):
    for methods in (("lm",), ("lm", "xz", "stored")):
        plain = llmcomp.compress(TEXT, model=tiny, methods=methods)
        blob = llmcomp.compress(TEXT, model=tiny, steer=Auto(training=BRIEF), methods=methods)
        assert len(blob) <= len(plain)
        assert llmcomp.decompress(blob, model=tiny) == TEXT


def test_a_prompt_that_pays_is_chosen(tiny):
    """A long text under a weak model: the prompt earns more than it weighs."""
    text = TEXT * 30
    brisk = replace(
        BRIEF, epochs=8, learning_rate=0.2, n_virtual_tokens=2, held_out=0.0, row_tokens=56
    )
    auto = Auto(training=replace(brisk, batch_rows=8), priors=(Laplace(levels=8),))
    # without online help, which learns the repetitions for nothing
    common = {"model": tiny, "methods": ("lm",), "lanes": 16, "online": False}
    result = run(compressing(text, steer=auto, **common))
    plain = llmcomp.compress(text, **common)
    assert isinstance(result.steering, TrainedSteering)
    assert len(result.blob) < len(plain)
    assert llmcomp.decompress(result.blob, model=tiny) == text


def test_no_prompt_is_trained_where_no_model_is_asked(tiny, monkeypatch):
    from llmcomp.steering import fit

    monkeypatch.setattr(fit, "fitting", lambda *_: pytest.fail("trained for nothing"))
    noise = np.random.default_rng(0).bytes(5000)
    for data, methods in ((noise, ("lm", "xz", "stored")), (TEXT, ("xz",)), (b"", ("lm",))):
        blob = llmcomp.compress(data, model=tiny, steer=Trained(BRIEF), methods=methods)
        assert llmcomp.decompress(blob, model=tiny) == data


def test_what_is_left_out_is_tried_without_a_prompt(tiny, soft):
    """A prompt too heavy for its text must not cost the model's own saving."""
    text = b"The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not."
    heavy = Coded(soft, Gaussian())
    result = run(compressing(text, model=tiny, steer=heavy))
    assert result.steering == NoSteering() and "left out" in " ".join(result.bill.notes)
    plain = llmcomp.compress(text, model=tiny)
    assert len(result.blob) <= len(plain)
    ways = run(candidates(heavy, tiny, text))
    tried = run(compressing(text, model=tiny, steer=[NoSteering(), *ways])).tried
    assert tried[1][0].endswith("left out")
    # of two that are left out, neither is kept, and none is tried although nobody asked for it
    two = run(compressing(text, model=tiny, steer=[*ways, *ways]))
    assert two.steering == NoSteering() and len(two.blob) <= len(plain)
    assert [name for name, _ in two.tried][2] == "none" and two.kept == 2
    assert two.tried[2][1] == len(two.blob)


def test_random_prompts_are_the_same_everywhere(tiny):
    """Frozen bits: a blob names a seed, not the numbers."""
    wide = SimpleNamespace(name="any", hidden_size=32, context_length=200)
    prompt = RandomSteering(200, 7).prompt(wide)
    assert prompt.shape == (200, 32)
    assert abs(prompt.mean()) < 0.05 and abs(prompt.std() - 1) < 0.02
    units = (prompt * 2**WEIGHT_GRID).astype(np.int64)
    assert units[0, :4].tolist() == [18616, -8811, -3304, -3923]
    assert hashlib.sha256(units.astype("<i8").tobytes()).hexdigest()[:12] == FROZEN_NOISE
    assert not np.array_equal(prompt, RandomSteering(200, 8).prompt(wide))
    with pytest.raises(ValueError, match="201 virtual tokens; any's context is 200"):
        RandomSteering(201, 7).prompt(wide)


FROZEN_NOISE = "e1706fe48854"


def test_damage_to_a_record_is_refused_before_any_model_runs(tiny, ways, monkeypatch):
    blob = bytearray(llmcomp.compress(TEXT, model=tiny, steer=ways[-1], methods=("lm",)))
    monkeypatch.setattr(type(tiny), "begin", lambda *_: pytest.fail("a model ran"))
    n_header = len(unpack(bytes(blob)).header.pack())
    for at in range(8, n_header):
        blob[at] ^= 0x10
        with pytest.raises((DamagedError, FormatError)):
            llmcomp.decompress(bytes(blob), model=tiny)
        blob[at] ^= 0x10


def forged(blob: bytes, number: int, record: bytes) -> bytes:
    """The blob with another steering record, and checksums that hold."""
    container = unpack(blob)
    header = replace(container.header, steering=number, record=record)
    return pack(header, [frame.segment for frame in container.frames])


@pytest.mark.parametrize(
    ("number", "record", "error"),
    [
        (2, b"", FormatError),
        (2, b"\x00\x05\x40", FormatError),
        (2, b"\x03\x05\x40 more", FormatError),
        (2, varint(60) + b"\x05\x40", FormatError),  # no room left in a context of 64
        (2, varint(1 << 20) + b"\x05\x40", FormatError),
        (3, b"\x03\x40\x09", VersionError),
        (3, b"\x03\x40\x01", FormatError),
        (3, b"\x03\x40\x01\x10", FormatError),
        (4, b"", VersionError),
        (15, b"\x00", VersionError),
    ],
)
def test_forged_records_get_one_clear_error(tiny, number, record, error):
    blob = llmcomp.compress(TEXT, model=tiny, methods=("lm",))
    with pytest.raises(error) as caught:
        llmcomp.decompress(forged(blob, number, record), model=tiny)
    assert "\n" not in str(caught.value)


@given(data=st.data())
def test_mutated_records_never_leak(tiny, ways, data):
    way = data.draw(st.sampled_from(ways[5:]))
    blob = llmcomp.compress(b"The dog", model=tiny, steer=way, methods=("lm",), verify=False)
    record = bytearray(way.pack())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(record) - 1))
        record[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(LLMCompError):
        llmcomp.decompress(forged(blob, way.number, bytes(record)), model=tiny)


def test_a_record_beyond_the_limit_is_a_usage_error(tiny):
    with pytest.raises(ValueError, match="limit"):
        Header(0, b"ab", SCHEDULES[1], 1, bytes((1 << 20) + 1)).pack()
    with pytest.raises(ValueError, match="virtual tokens"):
        llmcomp.compress(TEXT, model=tiny, steer=RandomSteering(60))


# --- soft prompts and their files ------------------------------------------------------------


def test_a_steer_file_keeps_everything(soft):
    back = SoftPrompt.from_bytes(soft.to_bytes())
    assert back.to_bytes() == soft.to_bytes()
    assert (back.scale, back.model, back.fingerprint, back.history) == (
        soft.scale, soft.model, soft.fingerprint, soft.history,
    )  # fmt: skip
    np.testing.assert_array_equal(back.vector, soft.vector)


def test_any_safetensors_reader_opens_it(soft):
    from safetensors.numpy import load

    np.testing.assert_array_equal(load(soft.to_bytes())["vector"], soft.vector)


def test_scales_are_rounded_where_they_are_made(tiny, soft):
    """A record holds 14 binary places, so an encoder must not use more."""
    for way in (
        RandomSteering(4, 1, 0.3),
        TrainedSteering.coding(replace(soft, scale=0.1), Laplace(levels=8)),
    ):
        blob = llmcomp.compress(TEXT, model=tiny, steer=way, methods=("lm",))
        assert llmcomp.decompress(blob, model=tiny) == TEXT
    for bad in (0.0, -1.0, float("nan"), float("inf"), 1e-9, 1e9):
        with pytest.raises(ValueError, match="scale"):
            RandomSteering(4, 1, bad)
        with pytest.raises(ValueError, match="scale"):
            replace(soft, scale=bad)


def test_an_encoder_sees_what_its_record_says(tiny):
    """A record that loses something makes another blob, never one that decodes to nothing."""

    class Careless(TextSteering):
        def pack(self) -> bytes:
            return self.text[:-1]

    blob = llmcomp.compress(TEXT, model=tiny, steer=Careless(b"The dog"), methods=("lm",))
    assert unpack(blob).header.record == b"The do"
    assert llmcomp.decompress(blob, model=tiny) == TEXT


def test_records_take_no_outsized_time_or_memory(tiny, monkeypatch):
    blob = llmcomp.compress(TEXT, model=tiny, methods=("lm",))
    monkeypatch.setattr(type(tiny), "embed", lambda *_: pytest.fail("embedded a mebibyte"))
    for text in (b"\xff" * (1 << 20), b"\xff" * 500):
        with pytest.raises(FormatError, match="a string of"):
            llmcomp.decompress(forged(blob, 1, text), model=tiny)


def test_start_and_prompt_are_run_once(tiny, monkeypatch):
    """However often windows restart, what stands before them costs nothing again."""
    model = tiny.steered(on_grid(np.random.default_rng(0), 40, 32))
    positions = []
    real = type(model.runner)._run

    def counted(self, x, keep):
        positions.append(x.shape[0] * x.shape[1])
        return real(self, x, keep)

    monkeypatch.setattr(type(model.runner), "_run", counted)
    ids = model.tokenizer.encode(TEXT)[:48]
    (coded,) = run(encode(model, [ids], Schedule(16, 12)))
    n_bytes = len(model.tokenizer.decode(ids))
    run(decode_lanes(model, [Lane(n_bytes, coded.payload)], Schedule(16, 12)))
    windows = 1 + (48 - 16) // 4
    assert sum(positions) <= 2 * windows * 16


def test_every_damage_to_a_steer_file_is_noticed(soft):
    data = soft.to_bytes()
    for at in range(len(data)):
        bent = bytearray(data)
        bent[at] ^= 1 << at % 8
        try:
            back = SoftPrompt.from_bytes(bytes(bent))
        except LLMCompError as error:
            assert "\n" not in str(error)
        else:  # white space between JSON's words is the only thing that carries nothing
            assert back.to_bytes() == data, at
    for cut in (0, 5, 100, len(data) - 1):
        with pytest.raises(LLMCompError):
            SoftPrompt.from_bytes(data[:cut])


def consistent(soft: SoftPrompt, name: str, value: object) -> bytes:
    """The file with something else in it and a SHA-256 that holds: foreign, not damaged."""
    from safetensors.numpy import save

    from llmcomp.steering.soft_prompt import _digest, _parse

    vector, about = _parse(soft.to_bytes())
    del about["sha256"]
    about[name] = value
    about["sha256"] = _digest(vector, about)
    return save({"vector": vector}, {"steer": json.dumps(about)})


def test_foreign_steer_files_get_one_clear_line(tiny, soft, tmp_path):
    from safetensors.numpy import save

    for bad in (b"", b"LLMC", save({"x": np.zeros(3)}), save({"vector": np.zeros((2, 3))})):
        with pytest.raises(FormatError, match=r"not a \.steer file"):
            SoftPrompt.from_bytes(bad)
    for name, value in (
        ("scale", "abc"), ("scale", 10**400), ("scale", float("nan")), ("scale", -1),
        ("scale", [1]), ("scale", None),
        ("history", []), ("history", None), ("model", 5), ("fingerprint", None),
    ):  # fmt: skip
        with pytest.raises(FormatError) as caught:
            SoftPrompt.from_bytes(consistent(soft, name, value))
        assert "\n" not in str(caught.value)
    deep = [f'{{"format": "steer/1", "x": {"[" * n}{"]" * n}}}' for n in (900, 960, 980)]
    for text in ("[", "[]", "[" * 100_000, *deep):
        with pytest.raises((FormatError, DamagedError)):
            SoftPrompt.from_bytes(save({"vector": soft.vector}, {"steer": text}))
    bare = b'{"__metadata__":null}'
    with pytest.raises(FormatError, match=r"not a \.steer file"):
        SoftPrompt.from_bytes(len(bare).to_bytes(8, "little") + bare)
    other = replace(soft, model="other", fingerprint="ab" * 32)
    wide = replace(soft, vector=np.zeros((2, 31), np.float32))
    infinite = replace(soft, vector=np.full((2, 32), np.inf, np.float32))
    with pytest.raises(FormatError, match="not finite"):
        SoftPrompt.from_bytes(infinite.to_bytes())
    for wrong, words in ((other, "made for 'other'"), (wide, "31 wide")):
        path = tmp_path / "wrong.steer"
        path.write_bytes(wrong.to_bytes())
        with pytest.raises(ModelError, match=words):
            llmcomp.compress(TEXT, model=tiny, steer=str(path))


def test_scale_of_embeddings(tiny):
    table = tiny.embed(np.arange(len(tiny.tokenizer.token_bytes)))
    scale = embedding_scale(tiny)
    assert scale == pytest.approx(np.sqrt((table**2).mean()), rel=1e-3)
    assert scale * 2**WEIGHT_GRID == round(scale * 2**WEIGHT_GRID)
    np.testing.assert_array_equal(placed(np.ones((1, 2)), scale), np.full((1, 2), scale))


def test_specs():
    assert parse(None) == parse("none") == NoSteering()
    assert parse("text") == TextSteering(DEFAULT_TEXT.encode())
    assert parse("text:a:b") == TextSteering(b"a:b")
    assert parse("text:") == TextSteering(b"")
    assert parse("text:\udcff") == TextSteering(b"\xff")  # as a shell hands over what is no UTF-8
    assert parse("random:8:3") == RandomSteering(8, 3)
    assert parse("random:8:3:0.5") == RandomSteering(8, 3, 0.5)
    assert parse("random") == RandomSteering()
    assert parse("trained", training=BRIEF, prior=Laplace()) == Trained(BRIEF, Laplace())
    assert parse("auto") == Auto()
    assert parse("auto", training=BRIEF, prior=Laplace()) == Auto(BRIEF, priors=(Laplace(),))
    assert parse([NoSteering(), TextSteering()]) == [NoSteering(), TextSteering()]
    for bad in ("texts", "random:x", "random:", "random:1:2:3:4", "", "trained:3"):
        with pytest.raises(ValueError, match="wanted"):
            parse(bad)
    with pytest.raises(ValueError, match="wanted"):
        parse([])
    for useless in ({"training": BRIEF}, {"prior": Laplace()}):
        with pytest.raises(ValueError, match="need"):
            parse("text", **useless)
    for name in ("nowhere.steer", Path("nowhere.steer")):
        with pytest.raises(OSError, match="nowhere"):
            parse(name)
    for wrong in (5, b"text", ["text"], [Auto()], {"a": 1}, object()):
        with pytest.raises(TypeError, match="way of steering"):
            parse(wrong)
    with pytest.raises(TypeError, match="bytes"):
        TextSteering("text")


def test_settings_refuse_what_cannot_be():
    for bad in (
        {"epochs": 0}, {"n_virtual_tokens": 0}, {"learning_rate": 0.0}, {"held_out": 1.0},
        {"seed": -1}, {"precision": "int4"}, {"learning_rate": float("nan")}, {"seed": 1 << 63},
        {"learning_rate": float("inf")}, {"row_tokens": 0}, {"row_bytes": -1}, {"scale": 0.0},
    ):  # fmt: skip
        with pytest.raises(ValueError, match="wanted"):
            replace(BRIEF, **bad)
    for bad_prior in ({"sigma": -1.0}, {"levels": 1}, {"limit": float("inf")}):
        with pytest.raises(ValueError):
            Gaussian(**bad_prior)
    with pytest.raises(ValueError, match="lloyd_max"):
        make_prior("lloyd_max", sigma=1.0)


# --- training --------------------------------------------------------------------------------


def fit(model: LanguageModel, training: Training, data: bytes = TEXT):
    from llmcomp.steering.fit import cut_rows, fitting

    rows = cut_rows(model, data, training)
    return rows, list(fitting(model, rows, training))


def test_rows_are_the_text_and_some_are_kept_out(tiny):
    from llmcomp.steering.fit import cut_rows

    rows = cut_rows(tiny, TEXT, replace(BRIEF, row_tokens=20, held_out=0.25))
    assert rows.train_bytes + rows.held_out_bytes == len(TEXT)
    n_rows = len(rows.train) + len(rows.held_out)
    assert len(rows.held_out) == round(0.25 * n_rows)
    whole = cut_rows(tiny, TEXT, replace(BRIEF, row_bytes=50, held_out=0.0))
    assert b"".join(tiny.tokenizer.decode(row) for row in whole.train) == TEXT
    assert cut_rows(tiny, b"a", replace(BRIEF, held_out=0.9)).train_bytes == 1
    with pytest.raises(ValueError, match="empty"):
        cut_rows(tiny, b"", BRIEF)


def test_training_gains_on_both_parts_and_is_reproducible(tiny):
    training = replace(BRIEF, epochs=12, learning_rate=3e-2, held_out=0.2)
    _, steps = fit(tiny, training)
    assert steps[0].epoch == 0 and steps[-1].epoch == 12
    assert steps[-1].train < steps[-1].plain_train
    assert steps[-1].held_out < steps[-1].plain_held_out
    assert [s.epoch for s in steps] == sorted(s.epoch for s in steps)
    _, again = fit(tiny, training)
    np.testing.assert_array_equal(again[-1].best.vector, steps[-1].best.vector)
    _, other = fit(tiny, replace(training, seed=1))
    assert not np.array_equal(other[-1].best.vector, steps[-1].best.vector)


def test_stopping_keeps_the_best_so_far(tiny):
    from llmcomp.steering.fit import cut_rows, fitting

    job = fitting(tiny, cut_rows(tiny, TEXT, BRIEF), replace(BRIEF, epochs=100))
    best = None
    for step in job:
        if step.epoch >= 2:
            best = step.best
            break
    job.close()
    assert best is not None and best.history["epochs_done"] in (1, 2)
    blob = llmcomp.compress(TEXT, model=tiny, steer=best, methods=("lm",))
    assert get_info(blob).steering == "trained, 4 virtual tokens, laplace 16"
    assert llmcomp.decompress(blob, model=tiny) == TEXT


def test_a_training_that_leaves_the_numbers_keeps_none_of_it(tiny):
    for held_out in (0.0, 0.3):
        _, steps = fit(tiny, replace(BRIEF, learning_rate=1e30, held_out=held_out))
        assert np.isfinite(steps[-1].best.vector).all()


def test_long_texts_are_sampled(tiny):
    from llmcomp.steering.fit import cut_rows

    rows = cut_rows(tiny, TEXT * 20, replace(BRIEF, max_bytes=1000))
    assert 900 < rows.train_bytes + rows.held_out_bytes < 1200


def test_the_best_epoch_is_kept_not_the_last(tiny):
    training = replace(BRIEF, epochs=6, learning_rate=5.0, held_out=0.3)  # far too fast
    _, steps = fit(tiny, training)
    whole = [s for s in steps if s.epoch == int(s.epoch) and s.epoch]
    least = min(whole, key=lambda s: s.held_out)
    np.testing.assert_array_equal(steps[-1].best.vector, least.best.vector)


def test_training_sees_what_the_runner_codes(tiny):
    """The loss under float32 products is the runner's own cost of the same rows."""
    training = replace(BRIEF, epochs=1, held_out=0.0, learning_rate=1e-9)
    rows, steps = fit(tiny, training)
    soft = steps[-1].best
    model = tiny.steered(placed(soft.vector.astype(np.float64), soft.scale))
    coded = run(encode(model, list(rows.train), Schedule(64 - 4, 8)))
    bits = sum(lane.ideal_bits for lane in coded) / rows.train_bytes
    assert bits == pytest.approx(steps[-1].train, rel=2e-3)


def test_the_prompts_gradient_is_the_stock_models(tiny):
    import torch
    from transformers import AutoModelForCausalLM

    from llmcomp.models.forward import Forward

    model = AutoModelForCausalLM.from_pretrained(tiny.directory, dtype=torch.float32).eval()
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    prompt = torch.randn(3, 32, generator=generator).requires_grad_()
    ids = torch.randint(0, 300, (2, 12), generator=generator)
    labels = torch.roll(ids, -1, 1)
    labels[1, 7:] = -1
    lean = Forward(model, dtype=torch.float32).loss(ids, labels, prompt)
    (gradient,) = torch.autograd.grad(lean, prompt)
    x = model.get_input_embeddings()(ids)
    x = torch.cat([x[:, :1], prompt.expand(2, -1, -1), x[:, 1:]], 1)
    logits = model(inputs_embeds=x).logits[:, 3:]
    stock = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=-1
    )
    (expected,) = torch.autograd.grad(stock, prompt)
    torch.testing.assert_close(lean, stock)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_a_prompt_too_long_for_the_context_is_refused(tiny):
    with pytest.raises(ModelError, match="take fewer"):
        fit(tiny, replace(BRIEF, n_virtual_tokens=49))
    rows, _ = fit(tiny, replace(BRIEF, epochs=1, n_virtual_tokens=40, row_tokens=256))
    assert max(map(len, rows.train)) == 24  # rows shrink to what the context leaves


def test_candidates_of_every_choice(tiny, soft):
    trained = run(candidates(Trained(BRIEF, Laplace(levels=8)), tiny, TEXT))
    assert [str(w) for w in trained] == ["trained, 4 virtual tokens, laplace 8"]
    assert run(candidates(Trained(BRIEF), tiny, b"")) == [NoSteering()]
    assert run(candidates(Trained(BRIEF, corpus=TEXT), tiny, b""))[0] != NoSteering()
    auto = run(candidates(Auto(BRIEF), tiny, TEXT))
    assert auto[0] == NoSteering() and auto[1] == TextSteering() and len(auto) > 3
    assert isinstance(run(candidates(Coded(soft), tiny, TEXT))[0], TrainedSteering)
    steps: list[Progress] = []
    run(candidates(Trained(BRIEF), tiny, TEXT), steps.append)
    assert {s.stage for s in steps} == {"train"}
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert steps[-1].done == steps[-1].total


def test_system_000_settings_are_the_published_ones():
    assert (SYSTEM_000.n_virtual_tokens, SYSTEM_000.learning_rate) == (200, 5e-4)
    assert (SYSTEM_000.batch_rows, SYSTEM_000.row_bytes, SYSTEM_000.scale) == (1, 2000, 1.0)
    assert Gaussian() == Gaussian(levels=256, sigma=1.0, limit=5.0, published_bug=False)


# --- the command line ------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command line where a text lies: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_bytes(TEXT)

    def run_words(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run_words


def test_train_show_compress_sweep_by_command(command, tmp_path):
    model = ("--model", ROOT / "tests/models/tiny")
    brief = ("--virtual-tokens", 3, "--epochs", 5)
    code, _, said = command("steer", "train", "in.txt", *model, *brief)
    assert code == 0 and "bits per byte" in said
    assert "3 virtual tokens x 32" in command("steer", "show", "in.txt.steer")[1]
    code, _, said = command("steer", "train", "in.txt", *model)
    assert code == 2 and "exists" in said
    coding = ("--steer", "in.txt.steer", "--prior", "laplace", "--levels", 8, "--range", 3)
    code, _, said = command("compress", "in.txt", *model, *coding)
    kept = "trained, 3 virtual tokens, laplace 8"
    assert code == 0 and (kept in command("info", "in.txt.llmc")[1] or "left out" in said)
    assert command("decompress", "in.txt.llmc", "-o", "out.txt", *model)[0] == 0
    assert (tmp_path / "out.txt").read_bytes() == TEXT
    sweep = ("--steer", "in.txt.steer", "--priors", "gaussian,laplace", "--levels", "4,16")
    rows = json.loads(command("steer", "sweep", "in.txt", *model, *sweep, "--json")[1])
    assert [row["kind"] for row in rows] == ["none"] + ["trained"] * 4
    assert all(row["total_bits"] % 8 == 0 for row in rows)
    command("steer", "sweep", "in.txt", *model, *sweep, "--figure", "figure.html")
    assert b"plotly" in (tmp_path / "figure.html").read_bytes()
    path = tmp_path / "in.txt.steer"
    path.write_bytes(path.read_bytes()[:-1])
    code, _, said = command("steer", "show", "in.txt.steer")
    assert code == 1 and len(said.splitlines()) == 1


def test_wrong_options_are_usage_errors(command):
    for words in (
        ("--steer", "sideways"),
        ("--steer", "trained", "--levels", 1),
        ("--steer", "trained", "--prior", "lloyd_max", "--sigma", 2),
        ("--steer", "trained", "--percentiles", "ninety"),
        ("--steer", "trained", "--epochs", 0),
    ):
        code, _, said = command("compress", "in.txt", "-o", "-", *words)
        assert code == 2, words
        assert len(said.splitlines()) == 1


@pytest.mark.embedded
def test_the_shipped_model_is_steered_by_command(command, embedded, real_text, tmp_path):
    vector = np.random.default_rng(0).normal(size=(2, embedded.hidden_size)).astype(np.float32)
    prompt = SoftPrompt(
        vector, embedding_scale(embedded), embedded.name, embedded.fingerprint.hex()
    )
    (tmp_path / "noise.steer").write_bytes(prompt.to_bytes())
    (tmp_path / "in.txt").write_bytes(real_text[:4000])
    for how, words in (
        (("--steer", "text"), "text 'This is Wikipedia html'"),
        (("--steer", "random:8:1"), "random, 8 virtual tokens, seed 1"),
        (("--steer", "noise.steer", "--prior", "laplace", "--levels", 8), "laplace"),
    ):
        assert command("compress", "in.txt", "-f", *how)[0] == 0
        assert words in command("info", "in.txt.llmc")[1]
        assert command("decompress", "in.txt.llmc", "-o", "out.txt", "-f")[0] == 0
        assert (tmp_path / "out.txt").read_bytes() == real_text[:4000]


# --- measuring -------------------------------------------------------------------------------


def test_rows_add_up_and_say_when_a_prompt_pays(tiny, soft, ways):
    rows = run(compare(TEXT, tiny, ways[1:]))
    assert [row.kind for row in rows] == ["none", *(way.kind for way in ways[1:])]
    for row, way in zip(rows, ways, strict=True):
        blob = llmcomp.compress(TEXT, model=tiny, steer=way, methods=("lm",), online=False)
        assert row.total_bits == pytest.approx(8 * len(blob))
    trained = rows[-1]
    assert trained.bits_per_coordinate == trained.vector_bits / trained.n_coordinates
    assert trained.vector_rate == trained.bits_per_coordinate / 32
    paying = replace(
        trained, ideal_bits=trained.plain_bits - 100.0, prompt_bits=950.0, metadata_bits=50.0
    )
    assert paying.break_even_bytes == pytest.approx(10 * len(TEXT))
    assert replace(paying, ideal_bits=paying.plain_bits).break_even_bytes == float("inf")
    assert len(table(rows).splitlines()) == 2 + len(rows)
    back = [from_json(v) for v in json.loads(json.dumps([as_json(r) for r in rows]))]
    assert [str(row) for row in back] == [str(row) for row in rows]  # NaN is not equal to itself
    with pytest.raises(ValueError, match="empty"):
        run(compare(b"", tiny, []))


def test_a_prompt_trained_on_the_very_text_is_marked(tiny):
    _, steps = fit(tiny, BRIEF)
    way = TrainedSteering.coding(steps[-1].best, Laplace(levels=8))
    assert run(compare(TEXT, tiny, [way]))[1].transductive
    assert not run(compare(TEXT[1:], tiny, [way]))[1].transductive
