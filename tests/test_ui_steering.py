"""Steering on the page, without gradio: wishes, experiments, what a visitor keeps."""

import itertools
import math
import pickle
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import llmcomp.models
from llmcomp import codec
from llmcomp.errors import LLMCompError
from llmcomp.space.limits import LimitError
from llmcomp.steering.soft_prompt import SoftPrompt
from llmcomp.ui import handlers, jobs, steering, steering_views, views
from llmcomp.ui.steering import Experiment, Learning, Session, Steered, Wish
from llmcomp.ui.words import Words

EN = Words("en")

TINY = Path(__file__).parent / "models" / "tiny"
TEXT = "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not.\n" * 8
ASKED = Experiment(TEXT, None, "embedded", n_virtual_tokens=2, epochs=2, priors=("laplace",))


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Puts the tests' model in the place of the shipped ones."""
    assets = tmp_path_factory.mktemp("assets")
    for name in ("embedded-1", "nano-1"):
        (assets / name).symlink_to(TINY, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llmcomp.models, "ASSETS", assets)
        yield


@pytest.fixture(scope="module")
def values() -> list[Any]:
    """Everything one run yields."""
    return list(steering.run(ASKED))


@pytest.fixture(scope="module")
def session(values: list[Any]) -> Session:
    return [value for value in values if isinstance(value, Session)][-1]


def compressed(wish: Wish, text: str = TEXT) -> handlers.Compression:
    return handlers.finish(handlers.compress(text, None, "embedded", "balanced", wish))


@pytest.mark.parametrize("kind", ["none", "text", "random", "trained", "auto"])
def test_every_kind_comes_back_and_is_billed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "codec", _only_the_model())
    result = compressed(Wish(kind, n_virtual_tokens=2, epochs=1))
    assert codec.decompress(result.blob) == TEXT.encode()
    assert sum(bits for _, bits in result.bill.rows()) == pytest.approx(8 * len(result.blob))
    steered = any("steering" in label for label, _ in result.bill.rows())
    assert steered is (kind in {"text", "random", "trained"})
    assert bool(result.choice) is (kind == "auto")
    assert result.choice in views.finished(result, EN)["text"]


def _only_the_model() -> Any:
    """The codec with one method: on a text so regular xz would win, and need no steering."""

    class Codec:
        get_info = staticmethod(codec.get_info)

        @staticmethod
        def compressing(data: bytes, **options: Any) -> Any:
            return codec.compressing(data, methods=("lm",), **options)

    return Codec


def test_a_training_tells_losses_epoch_by_epoch() -> None:
    wish = Wish("trained", n_virtual_tokens=2, epochs=3)
    job = handlers.compress(TEXT * 2, None, "embedded", "fast", wish)
    told = [value for value in job if isinstance(value, Learning)]
    assert [len(value.points) for value in told][-1] == 3
    assert [point[0] for point in told[-1].points] == [1, 2, 3]
    assert all(math.isfinite(loss) for loss in (*told[-1].points[-1], *told[-1].plain))
    status = steering_views.training(told[-1], EN)
    assert status["text"].startswith("Training: epoch 3.0 of 3; training part ")
    assert "held-out part" in status["text"]
    assert status["percent"] == 100
    curve = steering_views.curve(told[0])
    assert curve["epochs"] == 3
    assert len(curve["plain"]) == 2


def test_a_loss_that_does_not_exist_is_none() -> None:
    nan = math.nan
    value = Learning(1.0, 2, ((1.0, 1.5, nan),), (1.6, nan), 2.0, _soft())
    curve = steering_views.curve(value)
    assert curve == {"epochs": 2, "points": [[1.0, 1.5, None]], "plain": [1.6, None]}
    assert "held-out" not in steering_views.training(value, EN)["text"]


def _soft(fingerprint: str = "00" * 32) -> SoftPrompt:
    return SoftPrompt(np.ones((2, 32), np.float32), 0.5, "other", fingerprint, {})


def test_a_run_measures_none_first_and_every_way(values: list[Any], session: Session) -> None:
    assert [row.kind for row in session.rows] == ["none", "text", "random", "trained"]
    assert session.rows[-1].transductive
    assert not any(row.transductive for row in session.rows[:-1])
    steered = values[-1]
    assert isinstance(steered, Steered)
    assert 8 * len(steered.blob) == min(row.total_bits for row in session.rows[1:])
    assert codec.decompress(steered.blob) == TEXT.encode()
    assert steered.name.endswith(".llmc")


def test_whoever_stops_keeps_the_best_prompt_so_far() -> None:
    job = steering.run(replace(ASKED, epochs=50))
    kept = None
    for value in job:
        if isinstance(value, Session):
            kept = value
        if kept is not None and kept.prompt:
            break
    job.close()
    assert kept is not None
    assert SoftPrompt.from_bytes(kept.prompt).n_virtual_tokens == 2
    assert kept.rows == ()
    assert "kept" in steering_views.stopped(kept, EN)["text"]
    assert "No prompt" in steering_views.stopped(None, EN)["text"]
    rows = [v for v in steering.again(ASKED, kept) if isinstance(v, Session)][-1].rows
    assert rows[-1].kind == "trained"


def test_a_training_that_takes_too_long_is_stopped_and_leaves_its_best_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prompt = b""
    with pytest.raises(LimitError, match="was stopped"):
        for value in steering.run(replace(ASKED, epochs=50)):
            if isinstance(value, Session) and value.prompt:
                prompt = value.prompt
                monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: math.inf))
    assert SoftPrompt.from_bytes(prompt).n_virtual_tokens == 2


def test_a_prompt_on_another_text_is_not_marked_as_trained_on_it(session: Session) -> None:
    other = replace(ASKED, text="Something else entirely, said once.")
    final = [v for v in steering.again(other, session) if isinstance(v, Session)][-1]
    assert final.prompt == session.prompt
    assert not final.rows[-1].transductive


def test_an_uploaded_prompt_replaces_the_training(session: Session) -> None:
    path = handlers.stash("fox.steer", session.prompt)
    told = list(steering.run(replace(ASKED, steer_path=path)))
    assert not any(isinstance(value, Learning) for value in told)
    final = [value for value in told if isinstance(value, Session)][-1]
    assert np.array_equal(_vector(final), _vector(session))
    assert final.rows[-1].total_bits == session.rows[-1].total_bits
    result = compressed(Wish("file", path=path))
    assert codec.decompress(result.blob) == TEXT.encode()


def test_a_sweep_codes_every_level_once_and_the_published_error_where_it_can_be(
    session: Session,
) -> None:
    told = list(steering.sweep(session, ["laplace", "gaussian"], True))
    final = [value for value in told if isinstance(value, Session)][-1]
    assert {row.levels for row in final.swept if row.prior == "gaussian"} == set(steering.LEVELS)
    assert 16 not in {row.levels for row in final.swept if row.prior == "laplace"}, "measured once"
    assert {row.prior for row in final.twins} == {"gaussian"}
    fair = {row.levels: row for row in final.swept if row.prior == "gaussian"}
    assert all(row.mse > 2 * fair[row.levels].mse for row in final.twins if row.levels >= 64)
    shown = steering_views.of_charts(final)
    assert [row.kind for row in shown] == ["none", "text", "random", "trained", "trained"]
    # with nothing left to measure the page still gets the session, so that its buttons come back
    assert [value.rows for value in steering.sweep(final, ["laplace"], False)] == [final.rows]
    pickle.loads(pickle.dumps(final))  # a visitor's value has to survive another process


def test_two_visitors_at_once_share_nothing(session: Session) -> None:
    jobs = [steering.run(replace(ASKED, seed=seed)) for seed in (0, 1)]
    final: list[Any] = [None, None]
    for pair in itertools.zip_longest(*jobs):
        for visitor, value in enumerate(pair):
            final[visitor] = value if isinstance(value, Session) else final[visitor]
    assert np.array_equal(_vector(final[0]), _vector(session))
    assert not np.array_equal(_vector(final[1]), _vector(session))
    assert final[0].rows == session.rows


def _vector(session: Session) -> Any:
    return SoftPrompt.from_bytes(session.prompt).vector


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("magic"), "not a choice"),
        (Wish("text", text=""), "string to steer with is empty"),
        (Wish("text", text="\ud800"), "half a character"),
        (Wish("file"), "no .steer file yet"),
        (Wish("trained", n_virtual_tokens=64), "virtual tokens"),
        (Wish("random", n_virtual_tokens=64), "64"),
        (Wish("random", n_virtual_tokens=0), "virtual tokens"),
        (Wish("trained", epochs=0), "epochs"),
        (Wish("trained", epochs=10_000), "at most|allows"),
        (Wish("trained", prior="wishful", epochs=1, n_virtual_tokens=1), "not a choice"),
        (Wish("random", seed=-1), "seed"),
        (Wish("random", n_virtual_tokens=10**9), "this page allows 64"),
        (Wish("trained", n_virtual_tokens=65), "this page allows 64"),
        (Wish("trained", seed=None), "the seed is empty"),
        (Wish("trained", levels=None, epochs=1), "the number of levels is empty"),
        (Wish("random", seed=math.inf), "infinity"),
        (Wish("auto", text="\ud800"), "half a character"),
    ],
)
def test_impossible_wishes_end_in_one_line(wish: Wish, words: str) -> None:
    with pytest.raises(LLMCompError, match=words) as caught:
        compressed(wish)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text": ""}, "nothing to compress"),
        ({"text": "x" * (steering.MAX_STEERED_BYTES + 1)}, "at most 60,000"),
        ({"epochs": 100, "text": "word " * 9000}, "2,000,000"),
        ({"priors": ()}, "no hyper-prior is chosen"),
        ({"priors": ("wishful",)}, "not a choice"),
        ({"levels": 1}, "levels"),
        ({"model": "../../etc"}, "not a choice"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"n_virtual_tokens": 64}, "virtual tokens"),
        ({"learning_rate": None}, "learning rate is empty"),
        ({"learning_rate": 1e300}, "learning_rate is 1e\\+300"),
        ({"seed": None}, "the seed is empty"),
        ({"levels": None}, "levels is empty"),
    ],
)
def test_impossible_experiments_end_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LLMCompError, match=words) as caught:
        list(steering.run(replace(ASKED, **change)))
    assert "\n" not in str(caught.value)


def test_nothing_is_trained_before_everything_else_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steering, "learn", lambda *_: pytest.fail("trained for nothing"))
    long = "many words " * 5000
    for change in ({"string": "\ud800"}, {"string": long}, {"seed": -1}):
        with pytest.raises(LLMCompError):
            list(steering.run(replace(ASKED, **change)))
    with pytest.raises(LLMCompError, match="string of"):
        compressed(Wish("auto", text=long))
    path = handlers.stash("noise.bin", np.random.default_rng(0).bytes(5000))
    job = handlers.compress("", path, "embedded", "fast", Wish("auto"))
    assert not handlers.finish(job).checked, "noise has no use for a prompt"


def test_a_prior_named_twice_counts_once() -> None:
    rows = [v for v in steering.run(replace(ASKED, priors=("laplace",) * 9)) if hasattr(v, "rows")]
    assert [row.prior for row in rows[-1].rows] == ["", "", "", "laplace"]


def test_a_prompt_longer_than_the_sliders_is_refused(session: Session) -> None:
    kept = SoftPrompt.from_bytes(session.prompt)
    long = replace(kept, vector=np.ones((65, kept.vector.shape[1]), np.float32))
    path = handlers.stash("long.steer", long.to_bytes())
    with pytest.raises(LLMCompError, match="65 virtual tokens; this page allows 64"):
        list(steering.run(replace(ASKED, steer_path=path)))


def test_bad_steer_files_end_in_one_line(session: Session) -> None:
    damaged = bytearray(session.prompt)
    damaged[-3] ^= 1
    for data, words in [
        (b"", "steer"),
        (b"LLMC something else", "not a .steer file"),
        (bytes(damaged), "damaged"),
        (session.prompt[:-9], "steer"),
        (_soft().to_bytes(), "made for 'other'"),
    ]:
        path = handlers.stash("x.steer", data)
        for job in (
            steering.run(replace(ASKED, steer_path=path)),
            handlers.compress(TEXT, None, "embedded", "fast", Wish("file", path=path)),
        ):
            with pytest.raises(LLMCompError, match=words) as caught:
                list(job)
            assert "\n" not in str(caught.value)


def test_what_needs_a_run_says_so() -> None:
    for job in (steering.again(ASKED, None), steering.sweep(None, ["laplace"], False)):
        with pytest.raises(LLMCompError, match="press Run"):
            next(job)


def test_the_work_is_told_before_it_starts() -> None:
    assert steering.work("x" * 100, None, 20, ["laplace"], "s", None, words=EN) == (
        "100 bytes × 20 epochs = 2,000 bytes of training. Then the text is coded 5 times."
    )
    assert "nothing trained" in steering.work("x", None, 20, [], "", "a.steer", words=EN)
    assert "at most 2,000,000" in steering.work("x" * 50_000, None, 50, [], "", None, words=EN)
    assert "nothing to compress" in steering.work("", None, 20, [], "", None, words=EN)
    assert "60,000" in steering.work("x" * 60_001, None, 1, [], "", None, words=EN)


def test_the_prediction_meets_the_result(session: Session) -> None:
    plain, best = session.rows[0], session.rows[-1]
    dear = replace(best, prompt_bits=1e6, ideal_bits=plain.ideal_bits - 8)
    useless = replace(best, prompt_bits=1e6, ideal_bits=plain.ideal_bits + 8)
    cheap = replace(best, prompt_bits=8.0, metadata_bits=8.0, text_bits=1.0, ideal_bits=1.0)
    for row, answer in ((dear, "only for long texts"), (useless, "no"), (cheap, "yes")):
        rows = (plain, row)
        assert f"You said {answer}, and so it is." in steering_views.verdict(answer, rows, EN)
        assert f"The measured answer: {answer}." in steering_views.verdict(None, rows, EN)
        wrong = "yes" if answer == "no" else "no"
        said = steering_views.verdict(wrong, rows, EN)
        assert f"You said {wrong}; the measured answer is: {answer}." in said
    assert "smaller" in steering_views.verdict("yes", (plain, cheap), EN)
    # the one that is least bad here need not be the one that pays soonest elsewhere
    light = replace(useless, prompt_bits=1e5)
    said = steering_views.verdict("only for long texts", (plain, light, dear), EN)
    assert "and so it is" in said
    assert "If the saving kept up" in said
    assert steering_views.verdict("yes", (plain,), EN) == ""


def test_the_table_has_none_every_total_and_the_sentence_of_auto(session: Session) -> None:
    shown = steering_views.table(session.rows, EN)
    assert shown.index("<td>none") < shown.index("<td>random")
    for row in session.rows:
        assert f"<td>{views.number(row.total_bits, EN)}</td>" in shown
    assert "Of these, auto keeps" in shown
    assert "Wikipedia" not in shown, "a user's string is no part of any HTML"
    assert steering_views.table((), EN) == ""
    saving = replace(session.rows[-1], text_bits=1.0, prompt_bits=1.0)
    assert "laplace 16 because" in steering_views.auto((session.rows[0], saving), EN)


@pytest.mark.parametrize("language", ["ru", "zh"])
def test_captions_and_table_follow_the_language(session: Session, language: str) -> None:
    words, rows = Words(language), steering_views.of_charts(session)
    shown = (
        steering_views.bill_caption(rows, words, closer=True),
        steering_views.even_caption(rows, words),
        steering_views.rate_caption(session, words),
        steering_views.table(session.rows, words),
        steering_views.verdict("yes", session.rows, words),
        steering_views.published_caption(rows, words),
        steering_views.measured(session, words)["text"],
    )
    for said in shown:
        assert re.search("[\u0400-\u04ff\u4e00-\u9fff]{2}", said)
        for english in ("none", "string", "random", "bits", "bytes", "never", "prompt"):
            assert not re.search(rf"\b{english}\b", said), said


def test_progress_of_a_training_is_sparing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    job = handlers.compress(TEXT * 6, None, "embedded", "fast", Wish("trained", epochs=2))
    told = [next(job) for _ in range(3)]
    assert isinstance(told[0], handlers.Working)
    assert views.working(told[0], EN)["text"] == "Preparing the training …"
    assert [len(value.points) for value in told[1:]] == [0, 1], "no step inside an epoch"
    job.close()
