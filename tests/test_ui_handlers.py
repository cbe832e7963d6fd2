"""Handlers and views without gradio: what buttons do, and how results are told."""

import base64
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import llmcomp.models
from llmcomp import codec
from llmcomp.bill import Bill, ModelSize
from llmcomp.errors import DamagedError, LLMCompError
from llmcomp.models.size import size_of
from llmcomp.steps import Progress, run
from llmcomp.ui import handlers, jobs, programs, theatre, views
from llmcomp.ui.jobs import InputError
from llmcomp.ui.theatre import Piece
from llmcomp.ui.words import Words

EN, RU, ZH = Words("en"), Words("ru"), Words("zh")
TINY = Path(__file__).parent / "models" / "tiny"
KNOWN = "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not.\n" * 4


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the tests' model in the place of the shipped ones."""
    for name in ("embedded-1", "nano-1"):
        (tmp_path / name).symlink_to(TINY, target_is_directory=True)
    monkeypatch.setattr(llmcomp.models, "ASSETS", tmp_path)


def compressed(text: str, path: str | None = None) -> handlers.Compression:
    return handlers.finish(handlers.compress(text, path, "embedded", "balanced"))


def decoded(path: str | None, pasted: str = "") -> handlers.Decoding:
    *_, last = handlers.decompress(path, pasted)
    assert isinstance(last, handlers.Decoding)
    return last


def test_handlers_and_views_leave_gradio_alone() -> None:
    code = "import sys, llmcomp.ui.views, llmcomp.ui.script; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.usefixtures("tiny")
def test_what_was_compressed_comes_back_from_file_and_from_base64() -> None:
    result = compressed(KNOWN)
    path = handlers.stash(result.name, result.blob)
    assert Path(path).name == "The-quick-brown-fox-jumps-over-t.llmc"
    assert decoded(path).text == KNOWN
    pasted = base64.encodebytes(result.blob).decode()
    assert decoded(None, pasted).data == KNOWN.encode()
    link = f"https://somewhere/app#z={base64.urlsafe_b64encode(result.blob).decode().rstrip('=')}"
    assert decoded(None, link).data == KNOWN.encode()


@pytest.mark.usefixtures("tiny")
def test_programs_get_plain_values_back_and_forth() -> None:
    made = programs.compress_text(KNOWN)
    assert made["sizes"]["llmc"] == made["bytes"] == len(base64.b64decode(made["blob"]))
    assert sum(made["bill"].values()) == pytest.approx(8 * made["bytes"])
    assert programs.decompress_text(made["blob"])["text"] == KNOWN
    raw = handlers.finish(handlers.compress("", handlers.stash("x", b"\xff" * 99), "nano", "fast"))
    back = programs.decompress_text(base64.b64encode(raw.blob).decode())
    assert back["text"] is None
    assert base64.b64decode(back["data"]) == b"\xff" * 99


@pytest.mark.usefixtures("tiny")
def test_decoding_is_shown_while_it_runs() -> None:
    result = compressed(KNOWN)
    *steps, last = handlers.decompress(None, base64.b64encode(result.blob).decode())
    pieces = [step.message for step in steps if isinstance(step, Piece)]
    assert len(pieces) > 2
    assert {piece["run"] for piece in pieces} == {last.message["run"]}
    known = 0
    for piece in pieces:
        assert piece["from"] == known
        known += len(base64.b64decode(piece["len"]))
    assert last.message["kind"] == "decode"
    assert len(base64.b64decode(last.message["len"])) >= known
    assert last.message["payload"] == result.message["payload"]


@pytest.mark.usefixtures("tiny")
def test_the_bill_adds_up_to_the_file_and_the_trace_to_its_payload() -> None:
    result = compressed(KNOWN)
    total_bits = sum(bits for _, bits in result.bill.rows())
    assert total_bits == pytest.approx(8 * len(result.blob), abs=1e-6)
    assert result.sizes["llmc"] == len(result.blob)
    assert result.sizes["raw"] == len(KNOWN)
    assert {"gzip", "bz2", "xz", "zstd", "brotli", "ppmd"} <= set(result.sizes)
    assert result.checked
    assert base64.b64decode(result.message["payload"]) in result.blob
    assert base64.b64decode(result.message["text"]) == KNOWN.encode()


@pytest.mark.usefixtures("tiny")
def test_bytes_the_model_cannot_help_with_say_so(tmp_path: Path) -> None:
    noise = tmp_path / "noise.bin"
    noise.write_bytes(os.urandom(5000))
    result = compressed("", str(noise))
    assert result.name == "noise-bin.llmc"
    assert "len" not in result.message
    assert "no interval to draw" in views.picture(result, EN)["note"]
    assert not result.checked
    back = decoded(handlers.stash(result.name, result.blob))
    assert back.text is None
    assert back.name == "noise-bin.bin"
    assert "binary" in views.decoded(back, EN)["text"]


NOISE_AGAIN = base64.b64encode(random.Random(7).randbytes(3_000)).decode() * 6
"""What comes again far away: lanes stand at its copies at the same time and cannot help."""


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("text", "method"),
    [(NOISE_AGAIN, "xz needs fewer bytes"), ("q", "holds the bytes as they are")],
)
def test_a_beaten_model_is_drawn_all_the_same(text: str, method: str) -> None:
    result = compressed(text)
    assert method in views.picture(result, EN)["note"]
    assert text.encode().startswith(base64.b64decode(result.message["text"]))  # the first lane
    assert not result.checked


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("text", ["\r\n\t\0 x", "\u202eabc\u2066", "👩‍👩‍👧 é", "a" * 3000])
def test_hard_texts_come_back(text: str) -> None:
    result = compressed(text)
    assert decoded(handlers.stash(result.name, result.blob)).data == text.encode()


@pytest.mark.parametrize(
    ("text", "model", "words"),
    [
        ("", "embedded", "nothing to compress"),
        ("\ud800", "embedded", "half a character at position 0"),
        ("x" * (handlers.MAX_INPUT_BYTES + 1), "embedded", "at most 200,000"),
        ("x", "../../etc", "not a choice"),
    ],
)
def test_bad_input_is_refused_in_one_line(text: str, model: str, words: str) -> None:
    with pytest.raises(handlers.InputError, match=words):
        list(handlers.compress(text, None, model, "balanced"))


@pytest.mark.usefixtures("tiny")
def test_bad_files_are_refused_in_one_line() -> None:
    blob = bytearray(compressed(KNOWN).blob)
    blob[-20] ^= 4
    for path, pasted in [
        (None, ""),
        (None, "not base64!"),
        (None, "YWJj"),
        (handlers.stash("x.llmc", bytes(blob)), ""),
        (handlers.stash("x.llmc", bytes(blob[:-9])), ""),
        (handlers.stash("x.llmc", b"L" * (handlers.MAX_BLOB_BYTES + 1)), ""),
    ]:
        with pytest.raises(LLMCompError) as caught:
            list(handlers.decompress(path, pasted))
        assert "\n" not in str(caught.value)


def test_progress_is_passed_on_sparingly_and_stops_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def endless(blob: bytes, **_: object) -> Iterator[Progress]:
        try:
            for done in itertools.count():
                yield Progress("decode", done, 100_000)
        finally:
            closed.append(True)

    info = SimpleNamespace(plain_bytes=100_000, model="m")
    monkeypatch.setattr(handlers, "codec", SimpleNamespace(get_info=lambda blob: info))
    fake = SimpleNamespace(get_info=lambda blob: info, decompressing=endless)
    monkeypatch.setattr(theatre, "codec", fake)
    job = handlers.decompress(None, "YWJj")
    first, second = next(job), next(job)
    assert isinstance(first, handlers.Working)
    assert isinstance(second, handlers.Working)
    assert second.done > first.done + 10, "a step of the job must not be a step of the page"
    job.close()
    assert closed == [True]


def test_a_blob_too_large_to_decode_here_runs_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(plain_bytes=handlers.MAX_INPUT_BYTES + 1, model="m")
    monkeypatch.setattr(handlers, "codec", SimpleNamespace(get_info=lambda blob: info))
    with pytest.raises(handlers.InputError, match="command line"):
        next(handlers.decompress(None, "YWJj"))


def test_names_of_files_are_safe_and_speaking() -> None:
    assert jobs.speaking_name("../../etc/passwd", None) == "etc-passwd"
    assert jobs.speaking_name("Привет, мир!", None) == "Привет-мир"
    assert jobs.speaking_name("<>|*?", None) == "text"
    assert jobs.speaking_name("", "/uploads/alice 29.txt") == "alice-29-txt"


def test_status_tells_stage_count_rate_and_time_left() -> None:
    status = views.working(handlers.Working("encode", 500, 2000, 2.0), EN)
    assert status == {
        "text": "Encoding: 500 of 2,000 bytes, 250 bytes/s, about 6 s left",
        "state": "busy",
        "percent": 25.0,
    }
    assert views.working(handlers.Working("verify", 0, 10, 0.0), EN)["text"].endswith(
        "0 of 10 bytes"
    )
    waiting = views.working(handlers.Working("wait", 0, 0, 3.0), EN)
    assert waiting["text"] == "Waiting for the GPU …"


def test_the_bill_shows_its_sum_and_no_foreign_markup() -> None:
    shown = views.bill(
        [("<b>header</b>", 88.0), ("text", 100.5), ("tail", 3.5), ("nothing", 0.0)], EN
    )
    assert "&lt;b&gt;header" in shown
    assert "nothing" not in shown
    assert "<td>192</td><td>24</td><td>100 %</td>" in shown


def test_the_race_is_sorted_and_marks_ours() -> None:
    shown = views.race({"raw": 100, "gzip": 60, "llmc": 40}, "the <model>", EN)
    assert "the &lt;model&gt;</p>" in shown
    assert shown.index("llmcomp") < shown.index("gzip") < shown.index("as it is")
    assert '<tr class="ours"><td>llmcomp</td><td>40</td>' in shown
    assert "width:40.0%" in shown


def test_the_page_counts_the_model_too() -> None:
    bill = Bill(raw_bytes=1000, total_bytes=200, model=ModelSize(3000, 7000))
    words = views.with_model(bill, 300, EN)
    assert "counts it: 6.200 at 2 bytes a parameter, 7.200 with the model's files" in words
    assert "(7 kB). Even so it would beat xz from 70 kB of such text on." in words
    short = Bill(raw_bytes=10, total_bytes=2, model=ModelSize(30_000, 70_000))
    assert "counts it: 6,000 at 2 bytes a parameter, 7,000 with" in views.with_model(short, 3, EN)
    assert "beat xz" not in views.with_model(bill, 200, EN)
    assert "needs no model" in views.with_model(Bill(raw_bytes=9, total_bytes=9), 9, EN)


@pytest.mark.usefixtures("tiny")
def test_a_result_is_shown_with_its_model() -> None:
    result = compressed(KNOWN)
    assert result.bill.model == size_of(TINY)
    assert "at 2 bytes a parameter" in views.figures(result, EN)


def test_errors_are_said_in_the_visitors_language() -> None:
    damaged = DamagedError("the blob is cut: 3 bytes are missing")
    assert views.why(damaged, EN) == str(damaged)
    assert views.why(damaged, RU).startswith("Файл повреждён") and str(damaged) in views.why(
        damaged, RU
    )
    for job in (handlers.compress("", None, "embedded", "fast"), handlers.decompress(None, "")):
        with pytest.raises(handlers.InputError) as caught:
            next(job)
        assert views.why(caught.value, EN) == str(caught.value)
        assert "нечего" in views.why(caught.value, RU)
        assert "还没有" in views.why(caught.value, ZH)
    other = LLMCompError("{braces} are no blanks")
    assert views.why(other, ZH) == str(other)
    assert views.failed("no such thing") == views.status("no such thing", "error")


@pytest.mark.usefixtures("tiny")
def test_a_result_is_said_in_every_language() -> None:
    result = compressed(KNOWN)
    english, russian, chinese = (
        views.finished(result, words)["text"] + views.figures(result, words)
        for words in (EN, RU, ZH)
    )
    assert "The bill" in english and "bytes" in english
    assert "Счёт: каждый бит файла" in russian and "контрольные суммы" in russian
    assert "账单" in chinese and "校验和" in chinese
    assert not any(
        word in russian + chinese for word in ("header", "checksums", "as it is", "rate")
    )


def test_numbers_are_written_as_the_language_does() -> None:
    assert views.number(1234.5, EN) == views.number(1234.5, ZH) == "1,234.5"
    assert views.number(1234.5, RU) == "1\u00a0234,5"
    assert "0,250" in RU("finished", raw=8, size=2, rate=0.25, bits=2.0, time="x")


@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_watched_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = base64.b64encode(llmcomp.compress(b"again " * 40, methods=("xz",))).decode()
    assert decoded(None, stored).message["say"] == "nothingToWatch"
    monkeypatch.setattr(theatre, "MAX_WATCHED_BYTES", 100)
    long = base64.b64encode(compressed(KNOWN).blob).decode()
    *steps, last = handlers.decompress(None, long)
    assert last.message["say"] == "tooLongToWatch"
    assert not any(isinstance(step, Piece) for step in steps)


def test_another_lane_and_window_of_a_long_text_can_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(theatre, "WIRE_TOKENS", 40)
    text = "".join(f"{i}: the fox jumps\n" for i in range(60)).encode()
    made = run(codec.compressing(text, lanes=2, trace=True, methods=("lm",)))
    trace = made.trace
    assert trace is not None
    first = theatre.opening(trace, made.blob)
    assert (first["lane"], first["lanes"], first["window"]) == (0, 2, 40)
    seen = {}
    for lane in range(2):
        for start in range(0, len(trace.lanes[lane]), 40):
            turned = theatre.window(first["trace"], lane, start)
            seen[lane] = seen.get(lane, b"") + base64.b64decode(turned["text"])
            number = turned["file"]["number"]
            payload = base64.b64decode(turned["payload"])
            assert made.blob[number : number + len(payload)] == payload
    assert seen[0] + seen[1] == text
    for lane, start in ((2, 0), (0, 10**6), (0, -1), ("0", 0), (None, None)):
        with pytest.raises(InputError, match="has no lane"):
            theatre.window(first["trace"], lane, start)
    with pytest.raises(InputError, match="no longer kept"):
        theatre.window("another visitor's", 0, 0)
    assert "trace" not in theatre.opening(codec.trace(b"short"), None)


def test_only_the_traces_looked_at_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theatre, "WIRE_TOKENS", 1)
    trace = codec.trace(b"The quick brown fox")
    monkeypatch.setattr(theatre, "_KEPT_TOKENS", 2 * len(trace.lanes[0]))
    first, second = (theatre.opening(trace, None)["trace"] for _ in range(2))
    assert first != second
    theatre.window(first, 0, 1)
    third = theatre.opening(trace, None)["trace"]
    assert theatre.window(first, 0, 0)
    assert theatre.window(third, 0, 0)
    with pytest.raises(InputError, match="no longer kept"):
        theatre.window(second, 0, 0)
