"""Two sides with nearly equal logits: the same probabilities, or a clear error."""

from __future__ import annotations

import contextlib
import json
import warnings
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given
from hypothesis import strategies as st

import llmcomp
from llmcomp import agreement, cli
from llmcomp.agreement import EXACT, MARGINS, Rulers, margin_exponent, margin_option
from llmcomp.codec import compressing, get_info
from llmcomp.coding.range_coder import Encoder, LaneDecoders
from llmcomp.container import DTYPES, NAMED_MODEL, Header, Numerics, Profile, pack, unpack
from llmcomp.decisions import DecisionTree
from llmcomp.errors import (
    FormatError,
    LLMCompError,
    LLMCompWarning,
    MismatchError,
    ModelError,
    VersionError,
)
from llmcomp.ranges import read_range
from llmcomp.rehearsal import rehearse
from llmcomp.schedule import SCHEDULES
from llmcomp.steps import run

# most blobs here are made for other margins than the fake's own
pytestmark = pytest.mark.filterwarnings("ignore::llmcomp.LLMCompWarning")

rng = np.random.default_rng(0)
TREE = DecisionTree.build([bytes([b]) for b in range(200)], rng.integers(1, 50, 200))


def peaky(n: int, vocabulary: int = 200) -> np.ndarray:
    """Logits of every temper, from nearly even to nearly certain; some tie."""
    logits = rng.normal(size=(n, vocabulary)) * rng.choice([0.0, 0.5, 3.0, 12.0, 80.0], (n, 1))
    logits[::7] = np.round(logits[::7])
    return logits


def likely(logits: np.ndarray) -> np.ndarray:
    """Draws tokens as a text would have them."""
    gumbel = -np.log(-np.log(rng.uniform(size=logits.shape)))
    return np.argmax(logits + gumbel, axis=1)


def adversarial(logits: np.ndarray, eps: float, tree: DecisionTree) -> np.ndarray:
    """Adds eps on one side of a cut in the dictionary and takes it away on the other."""
    cut = rng.integers(0, logits.shape[1], (len(logits), 1))
    side = np.where(tree.rank[None, :] < cut, eps, -eps)
    return logits + side * rng.choice([-1, 1], (len(logits), 1))


def crossing(coding: Rulers, tree: DecisionTree, here: np.ndarray, there: np.ndarray) -> int:
    """Encodes tokens drawn from ``here`` and decodes them with ``there``; counts decisions."""
    tokens = likely(here)
    decisions = coding.settle([coding.ask(tree, here, tokens)])
    encoder = Encoder()
    encoder.push(decisions.p0, decisions.answers)
    reader = coding.reader(tree, LaneDecoders([encoder.finish()]))
    alive = np.ones(1, bool)
    for step, token in enumerate(tokens):
        assert reader.next(there[step : step + 1], alive)[0] == token, f"token {step}"
    return len(decisions.p0)


@pytest.mark.parametrize("exponent", [4, 5, 8, 11, 14, 17, 20, 24, 27, 30])
def test_noise_up_to_the_margin_changes_nothing(exponent):
    eps = 2.0**-exponent / 2
    logits = peaky(300)
    for there in (
        logits,
        logits + rng.uniform(-eps, eps, logits.shape),
        adversarial(logits, eps, TREE),
        logits + 1000.0,  # a shift of all logits is no difference
    ):
        assert crossing(Rulers(exponent), TREE, logits, there) > 300


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("n_tokens", "n_decisions"),
    [(500, 60_000), pytest.param(8000, 1_000_000, marks=pytest.mark.slow)],
)
def test_real_logits_cross(embedded, real_text, n_tokens, n_decisions):
    """Noise between the sides, uniform and adversarial, in float64 and float32."""
    tokens = embedded.tokenizer.encode(real_text)[:n_tokens]
    rows = np.stack([np.append(embedded.start_token, r[:-1]) for r in tokens.reshape(-1, 500)])
    total = 0
    for _, _, logits in embedded.score(rows):
        for exponent in (6, 12, 20):
            eps = 2.0**-exponent / 2
            noise = rng.uniform(-eps, eps, logits.shape)
            single = logits.astype(np.float32)
            # float32 rounds logits of this size by less than 2**-20
            rounded = (single + noise * (1 - 2.0**-5)).astype(np.float32)
            for here, there in (
                (logits, logits + noise),
                (logits, adversarial(logits, eps, embedded.tree)),
                (single, rounded if exponent < 20 else single),
                (single, adversarial(single, eps, embedded.tree)),
            ):
                total += crossing(Rulers(exponent), embedded.tree, here, there)
    assert total >= n_decisions


def test_noise_beyond_the_margin_is_found_out_or_harmless():
    data = bytes(rng.choice(64, 50_000).astype(np.uint8) + 32)
    margin = 2.0**-12
    blob = llmcomp.compress(
        data, model=FakeModel(), profile="tolerant", margin=margin, methods=("lm",), verify=False
    )
    assert llmcomp.decompress(blob, model=FakeModel(jitter=margin / 2)) == data
    with pytest.raises(MismatchError) as caught:
        llmcomp.decompress(blob, model=FakeModel(jitter=100 * margin / 2))
    assert "\n" not in str(caught.value)


@given(data=st.binary(max_size=400), exponent=st.sampled_from(MARGINS), lanes=st.integers(1, 4))
def test_any_bytes_cross_between_machines(data, exponent, lanes):
    margin = 2.0**-exponent
    options = {"profile": "tolerant", "margin": margin, "lanes": lanes, "methods": ("lm",)}
    blob = llmcomp.compress(data, model=FakeModel(jitter=margin / 2), **options)
    other = FakeModel(jitter=margin / 2, jitter_seed=1)
    # between two machines that both differ from the parallel pass lies up to twice as much, but
    # the encoder is the parallel pass
    assert llmcomp.decompress(blob, model=other) == data


def test_agreement_costs_what_it_should():
    """Little at small margins, and never less than what the bins must cost."""
    logits = peaky(3000)[np.arange(3000) % 5 != 4]
    tokens = likely(logits)
    exact = EXACT.settle([EXACT.ask(TREE, logits, tokens)])
    costs = []
    for exponent in (4, 8, 12, 16, 20):
        coding = Rulers(exponent)
        encoder = Encoder()
        found = coding.settle([coding.ask(TREE, logits, tokens)])
        encoder.push(found.p0, found.answers)
        costs.append(encoder.spent_bits / exact.ideal_bits.sum() - 1)
        assert found.counts.sum() == len(found.p0)
        np.testing.assert_allclose(found.ideal_bits, exact.ideal_bits, atol=1e-3)
    assert costs == sorted(costs, reverse=True)
    assert costs[2] < 0.02 and costs[-1] < 0.002


def test_the_table_is_what_it_says():
    """z(j) inverts the incomplete beta integral; p0 is its logistic function."""
    third = mpmath.mpf(1) / 3
    whole = mpmath.betainc(third, third, 0.5, 1)
    assert float(whole) == pytest.approx(2.649958125428175, rel=1e-15)
    for j in (1, 2, 77, 256, 400, 511):
        p = 1 / (1 + mpmath.exp(-mpmath.mpf(agreement._HALF_CELLS[j]) / 2**20))
        slope = (p * (1 - p)) ** third
        # half a unit in z is half a unit times the slope in G
        assert abs(mpmath.betainc(third, third, 0.5, p) - whole * j / 512) <= slope * 2.0**-21
        most = (1 << 24) - 1  # no answer is certain
        assert agreement.PROBABILITIES[512 + j] == min(int(mpmath.nint(p * 2**24)), most)
    table = agreement.PROBABILITIES.astype(int)
    assert table[512] == 1 << 23 and np.all(np.diff(table) >= 0)
    np.testing.assert_array_equal(table[511:0:-1] + table[513:1024], np.full(511, 1 << 24))


def test_bins_are_wider_than_two_margins():
    edges = np.concatenate([-agreement.EDGES[::-1], agreement.EDGES]) / 2**20
    for exponent in MARGINS:
        coding = Rulers(exponent)
        assert (edges[coding.cells :] - edges[: -coding.cells]).min() > 2.5 * coding.margin


def test_rulers_are_frozen():
    """A ruler's number stands in blobs: where its marks lie may never change."""
    shifts = [agreement._shift(ruler, place, 119) for ruler in (0, 1, 2**18) for place in (0, 1, 9)]
    assert shifts == FROZEN_SHIFTS


FROZEN_SHIFTS = [0, 105, 29, 88, 32, 107, 16, 27, 49]


def test_margins():
    assert margin_exponent(2.0**-4) == 4 and margin_exponent(2.0**-10 * 1.01) == 9
    assert margin_exponent(1e-300) == 30
    for exponent in MARGINS:
        assert margin_exponent(float(margin_option(exponent).removeprefix("--margin "))) == exponent
    for wrong in (0.0, -1.0, 0.07, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="margin"):
            margin_exponent(wrong)
    for wrong in (3, 31):
        with pytest.raises(ValueError, match="margin"):
            Rulers(wrong)


def test_logits_that_are_no_numbers_are_refused():
    for bad in (np.nan, np.inf):
        logits = np.zeros((2, 200))
        logits[1, 5] = bad
        with pytest.raises(ModelError, match="not finite"):
            Rulers(10).ask(TREE, logits, np.array([1, 2]))


def test_numbers_that_are_no_use_leave_the_text_to_xz():
    model = FakeModel()
    model._table[:, 7] = np.nan
    data = b"again and again and again, " * 9
    result = run(compressing(data, model=model, profile="tolerant"))
    assert any("not finite" in note for note in result.bill.notes)
    assert llmcomp.decompress(result.blob, model=model) == data


def test_a_part_of_a_segment_is_checked_like_the_whole():
    """Only in profile fixed do lanes decode alone to what they would decode to together."""
    data = b"hello world, this is " * 6
    for profile in ("tolerant", "replay"):
        blob = llmcomp.compress(
            data,
            model=FakeModel(jitter=0.3),
            profile=profile,
            lanes=3,
            methods=("lm",),
            verify=False,
        )
        with pytest.raises(MismatchError):
            llmcomp.read_range(blob, 0, 20, model=FakeModel(jitter=0.3, jitter_seed=7))
        fair = llmcomp.compress(data, model=FakeModel(), profile=profile, lanes=3, methods=("lm",))
        assert llmcomp.read_range(fair, 50, 70, model=FakeModel()) == data[50:70]


def test_a_flipped_bit_is_followed_across_a_margin():
    data = b"hello world, this is " * 6
    blob = llmcomp.compress(data, model=FakeModel(), profile="tolerant", methods=("lm",))
    payload = unpack(blob).frames[0].payload
    found = rehearse(blob, 8 * (payload + 9), model=FakeModel())
    assert (found.outcome, found.trace) == ("number", None)
    assert found.split is not None


def test_a_vocabulary_of_one_needs_no_decisions():
    tree = DecisionTree.build([b"a"], np.array([1]))
    assert crossing(Rulers(10), tree, np.zeros((20, 1)), np.zeros((20, 1))) >= 1


def test_a_margin_that_is_too_narrow_grows(tiny):
    model = FakeModel(jitter=1e-3)
    data = bytes(rng.choice(64, 3000).astype(np.uint8) + 32)
    options = {"profile": "tolerant", "margin": 2.0**-20, "methods": ("lm",)}
    result = run(compressing(data, model=model, **options))
    assert unpack(result.blob).header.numerics.margin < 12
    assert any("too narrow" in note for note in result.bill.notes)
    assert llmcomp.decompress(result.blob, model=model) == data
    rows = dict(result.bill.rows())
    assert rows["agreement between machines"] > 0
    assert sum(rows.values()) == pytest.approx(8 * len(result.blob))


SAME = b"the same words again and again, the same words" * 8


def made_for(margin: float, model: FakeModel | None = None, **options) -> bytes:
    options = {"profile": "tolerant", "methods": ("lm",), "margin": margin} | options
    return llmcomp.compress(SAME, model=model or FakeModel(), **options)


def test_a_model_that_asks_for_a_wider_margin_is_warned_of_and_used():
    blob = made_for(2.0**-20)
    asked = "made for a margin of 2\\*\\*-20, but fake in float32 asks for 2\\*\\*-12 here"
    with pytest.warns(
        LLMCompWarning, match=f"{asked}.*again with --margin 0.000244140625$"
    ) as caught:
        assert llmcomp.decompress(blob, model=FakeModel()) == SAME
    assert len(caught) == 1
    with pytest.warns(LLMCompWarning, match=asked):
        assert read_range(blob, 5, 9, model=FakeModel()) == SAME[5:9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for quiet in (made_for(2.0**-12), llmcomp.compress(SAME, model=FakeModel())):
            assert llmcomp.decompress(quiet, model=FakeModel()) == SAME
        assert llmcomp.decompress(made_for(2.0**-20, methods=("xz",)), model=FakeModel()) == SAME


@pytest.mark.parametrize(
    ("exponent", "advice"),
    [
        (20, "make it again with a wider one (--margin 0.000244140625)"),
        (13, "make it again with a wider one (--margin 0.0009765625)"),
        (5, "make it again with a wider one (--margin 0.0625)"),
        (4, "the widest there is: make it again with another model"),
    ],
)
def test_a_mismatch_says_the_margin_and_what_to_do(exponent, advice):
    blob = made_for(2.0**-exponent)
    other = FakeModel(noise=5.0)
    for decode in (llmcomp.decompress, lambda blob, model: read_range(blob, 5, 9, model=model)):
        with pytest.raises(MismatchError) as caught:
            decode(blob, model=other)
        said = str(caught.value)
        assert f"; its margin is 2**-{exponent}" in said
        assert said.endswith(advice)
        assert "\n" not in said
    fixed = llmcomp.compress(SAME, model=FakeModel(), methods=("lm",))
    with pytest.raises(MismatchError) as caught:
        llmcomp.decompress(fixed, model=other)
    assert "margin" not in str(caught.value)


def test_the_command_line_warns_in_one_line(tmp_path, monkeypatch, capfdbinary):
    path = tmp_path / "blob.llmc"
    path.write_bytes(made_for(2.0**-20))
    monkeypatch.setattr(cli, "_model", lambda options: FakeModel())
    for _ in range(2):  # each time, whatever Python has shown before
        assert cli.main(["cat", str(path)]) == 0
        out, err = capfdbinary.readouterr()
        assert out == SAME
        assert err.startswith(b"llmcomp: warning: the blob was made for a margin of 2**-20")
        assert err.count(b"\n") == 1
    assert cli.main(["cat", str(path), "--json"]) == 0
    warned = json.loads(capfdbinary.readouterr().err)
    assert warned["warning"] == "LLMCompWarning"
    monkeypatch.setattr(cli, "_model", lambda options: FakeModel(noise=5.0))
    assert cli.main(["cat", str(path)]) == 1
    first, second = capfdbinary.readouterr().err.decode().splitlines()
    assert "warning" in first
    assert "--margin" in second


def test_warnings_of_others_stay_as_they_are(monkeypatch, capsys):
    def noisy(options):
        warnings.warn("theirs", DeprecationWarning, stacklevel=2)

    monkeypatch.setattr(cli, "_bench", noisy)
    with pytest.warns(DeprecationWarning, match="theirs"):
        assert cli.main(["bench"]) == 0
    assert "llmcomp" not in capsys.readouterr().err


def test_replay_repeats_its_own_steps():
    """Whatever the numbers are: the same steps, the same bytes, and elsewhere a clear refusal."""
    data = b"the same steps again, " * 40
    for lanes in (1, 3, 70):
        options = {"profile": "replay", "lanes": lanes, "methods": ("lm",)}
        blob = llmcomp.compress(data, model=FakeModel(noise=0.1), **options)
        assert llmcomp.decompress(blob, model=FakeModel(noise=0.1)) == data
        with pytest.raises(ModelError, match=r"only where it was made, in 'a fake of noise 0\.1'"):
            llmcomp.decompress(blob, model=FakeModel())
    assert get_info(blob).numerics == "float32, only in a fake of noise 0.1"
    plain = llmcomp.compress(data, model=FakeModel(noise=0.1), lanes=3, methods=("lm",))
    assert len(llmcomp.decompress(blob, model=FakeModel(noise=0.1))) == len(data)
    assert get_info(plain).profile == "fixed"


def test_replay_in_many_windows_and_uneven_lanes(tiny):
    data = b"The quick brown fox jumps over the lazy dog. " * 30
    for options in ({"lanes": 3}, {"lane_bytes": 331}):
        blob = llmcomp.compress(data, model=tiny, profile="replay", methods=("lm",), **options)
        fixed = llmcomp.compress(data, model=tiny, methods=("lm",), **options)
        assert llmcomp.decompress(blob, model=tiny) == data
        payloads = [
            [lane.payload for frame in unpack(b).frames for lane in frame.segment.lanes]
            for b in (blob, fixed)
        ]
        assert payloads[0] == payloads[1], "exact numbers: both passes see the same"


def test_options_that_contradict_each_other():
    model = FakeModel()
    for options, words in (
        ({"profile": "wishful"}, "has fixed, tolerant, replay"),
        ({"margin": 0.01}, "profile fixed has no margin"),
        ({"profile": "tolerant", "margin": 1.0}, "margin 1.0"),
        ({"profile": "replay", "trace": True}, "only what profile fixed does is recorded"),
    ):
        with pytest.raises(ValueError, match=words):
            compressing(b"abc", model=model, **options)
    only = FakeModel()
    only.profiles = ("replay",)
    blob = llmcomp.compress(b"abc" * 9, model=model, profile="tolerant", methods=("lm",))
    with pytest.raises(ModelError, match="profile tolerant, which fake in float32 cannot decode"):
        llmcomp.decompress(blob, model=only)


HEADER = Header(0, b"ab", SCHEDULES[2])


@given(
    margin=st.sampled_from(MARGINS),
    dtype=st.sampled_from(DTYPES),
    name=st.from_regex(r"[A-Za-z0-9._-]{1,40}/[A-Za-z0-9._-]{1,40}@[0-9a-f]{40}", fullmatch=True),
)
def test_headers_say_all_of_it(margin, dtype, name):
    for numerics in (
        Numerics(Profile.TOLERANT, dtype, margin),
        Numerics(Profile.REPLAY, dtype, environment="torch 2.13.0, cpu"),
    ):
        for header in (
            replace(HEADER, numerics=numerics),
            replace(HEADER, numerics=numerics, model=NAMED_MODEL, name=name),
        ):
            assert unpack(pack(header, [stored(b"abc")])).header == header


def stored(data: bytes):
    return unpack(llmcomp.compress(data, model=FakeModel(), methods=("stored",))).frames[0].segment


def test_headers_that_contradict_the_format():
    tolerant = pack(
        replace(HEADER, numerics=Numerics(Profile.TOLERANT, "float64", 20)), [stored(b"abc")]
    )
    replay = pack(
        replace(HEADER, numerics=Numerics(Profile.REPLAY, "int8", environment="here")),
        [stored(b"abc")],
    )
    named = pack(replace(HEADER, model=NAMED_MODEL, name=f"a/b@{'0' * 40}"), [stored(b"abc")])
    for blob, at, byte, kind in (
        (tolerant, 8, 3 << 3, FormatError),
        (tolerant, 8, 31 << 3, FormatError),
        (tolerant, 8, 20 << 3 | 7, VersionError),
        (replay, 8, 4 << 3 | 3, FormatError),
        (replay, 9, 0, FormatError),
        (replay, 10, 0xFF, FormatError),
        (replay, 10, 0x0A, FormatError),
        (named, 6, 0, FormatError),
        (named, 7, 0x1B, FormatError),
        (named, 6, 43, FormatError),
        (named, 12, ord("g"), FormatError),
        (named, 4, 0x14, VersionError),
    ):
        bent = bytearray(blob)
        bent[at] = byte
        with pytest.raises(kind) as caught:
            unpack(bytes(bent))
        assert "\n" not in str(caught.value)
    for header in (
        replace(HEADER, model=NAMED_MODEL, name="x" * 256),
        replace(HEADER, model=NAMED_MODEL),
    ):
        with pytest.raises(ValueError, match="1 to 255"):
            header.pack()


@given(data=st.binary(max_size=80))
def test_hostile_lanes_end(data):
    """Any payload decodes to something or is refused; a lane cannot go on for ever."""
    blob = llmcomp.compress(
        b"some text", model=FakeModel(), profile="tolerant", methods=("lm",), verify=False
    )
    parsed = unpack(blob)
    segment = parsed.frames[0].segment
    lane = replace(segment.lanes[0], payload=data)
    bent = pack(parsed.header, [replace(segment, lanes=[lane])])
    with contextlib.suppress(LLMCompError):
        assert llmcomp.decompress(bent, model=FakeModel()) == b"some text"
