"""Jobs on Hub models as a public Space runs them: limits first, one loan of the GPU each."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

import fake_spaces
import gradio as gr
import hub_cache
import huggingface_hub.constants
import torch

import llmcomp.models
from llmcomp import codec
from llmcomp.errors import FormatError, ModelError
from llmcomp.models import registry
from llmcomp.models.shelf import Shelf
from llmcomp.space import gpu, hardware, limits, offer
from llmcomp.ui import handlers, hub_jobs, jobs
from llmcomp.ui.jobs import InputError, Working
from llmcomp.ui.steering import Wish

TEXT = "The quick brown fox jumps over the lazy dog. The dog sleeps; the fox does not.\n" * 3
FAMILIES = ("gpt2", "gpt_neox", "llama", "qwen2", "qwen3")


@pytest.fixture
def loans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[fake_spaces.Loan]]:
    """Decorates the page's jobs as they are where ``spaces`` was imported first."""
    monkeypatch.setitem(sys.modules, "spaces", fake_spaces)
    for name in ("_compressing", "_decompressing"):
        plain = getattr(hub_jobs, name).__wrapped__
        lent = gpu.on_gpu(lambda asked: gpu.declared_s(asked.estimated_s))(plain)
        monkeypatch.setattr(hub_jobs, name, lent)
    fake_spaces.loans.clear()
    yield fake_spaces.loans


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection that anybody opens is a fault."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def space(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: None
) -> Iterator[hardware.Place]:
    """A public Space whose GPU is lent (and is the processor), with small models in its cache."""
    entries = hub_cache.fill(tmp_path, checkpoints)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name, known in entries.items():
        monkeypatch.setitem(registry.REGISTRY, name, known)
    shelf: Shelf[Any] = Shelf(most=9)
    for module in (llmcomp.models, hub_jobs):
        monkeypatch.setattr(module, "SHELF", shelf)
    machine = replace(hardware.FLAVOURS[hardware.ZERO], gpu="")
    place = hardware.Place(machine, public=True, models=tuple(entries))
    monkeypatch.setattr(jobs, "PLACE", place)
    monkeypatch.setattr(jobs, "LIMITS", limits.limits_of(place.hardware))
    threads = torch.get_num_threads()
    yield place
    torch.set_num_threads(threads)


def compressed(model: str, text: str = TEXT, **wish: Any) -> handlers.Compression:
    return handlers.finish(handlers.compress(text, None, model, "balanced", Wish(**wish)))


def decoded(blob: bytes) -> handlers.Decoding:
    *_, last = handlers.decompress(handlers.stash("a.llmc", blob), "")
    assert isinstance(last, handlers.Decoding)
    return last


@pytest.mark.parametrize("family", FAMILIES)
def test_every_architecture_goes_the_whole_way(space, loans, family):
    name = f"tiny-{family}"
    hub_jobs.place_models()
    result = compressed(name)
    assert codec.get_info(result.blob).model == registry.REGISTRY[name].source
    assert result.message["n"] == 0
    assert result.remarks == (("remark_hub", {}),)
    assert decoded(result.blob).text == TEXT
    assert [loan.job for loan in loans] == ["_compressing", "_decompressing"], "one loan a job"
    assert len({os.getpid(), *(loan.pid for loan in loans)}) == 3, "each in its own process"
    assert all(loan.seconds == 15 for loan in loans)
    assert all(loan.n_bytes < 200_000 for loan in loans), "no logits travel"


def test_steering_travels_and_training_is_refused(space, loans):
    hub_jobs.place_models()
    result = compressed("tiny-llama", kind="random", n_virtual_tokens=2)
    assert decoded(result.blob).text == TEXT
    for kind in ("trained", "auto"):
        with pytest.raises(InputError, match="trained on the embedded model"):
            compressed("tiny-llama", kind=kind)
    assert len(loans) == 2


def test_a_closed_job_ends_its_loan(space, loans, monkeypatch):
    monkeypatch.setattr(jobs, "SECONDS_BETWEEN_YIELDS", 0.0)
    hub_jobs.place_models()
    job = handlers.compress(TEXT * 20, None, "tiny-llama", "balanced")
    assert isinstance(next(job), Working)  # the model is made ready here
    while not loans:
        next(job)
    job.close()
    assert loans[0].stopped
    assert decoded(compressed("tiny-llama").blob).text == TEXT


def test_expected_errors_keep_their_words_and_others_do_not_leak(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", fake_spaces)

    def seconds(_: str) -> int:
        return 9

    @gpu.on_gpu(seconds)
    def job(how: str) -> Iterator[object]:
        yield 1
        if how == "expected":
            raise ModelError("in my own words")
        if how == "unexpected":
            raise KeyError("secret")
        if how == "unpicklable":
            yield (lambda: None)

    assert list(job("well")) == [1]
    with pytest.raises(ModelError, match="in my own words"):
        list(job("expected"))
    with pytest.raises(gr.Error) as caught:
        list(job("unexpected"))
    assert "KeyError" in str(caught.value) and "secret" not in str(caught.value)
    with pytest.raises(gr.Error):
        list(job("unpicklable"))


def test_limits_hold_before_any_loan(space, loans, monkeypatch):
    hub_jobs.place_models()
    tight = replace(jobs.LIMITS, tokens=10)
    monkeypatch.setattr(jobs, "LIMITS", tight)
    with pytest.raises(limits.LimitError, match="too many for this model here"):
        compressed("tiny-llama")
    monkeypatch.setattr(jobs, "LIMITS", replace(tight, tokens=10_000))
    monkeypatch.setattr(offer.LEARNED, "factor", lambda name: 1e9)
    with pytest.raises(limits.LimitError, match="would take about"):
        compressed("tiny-llama")
    with pytest.raises(InputError, match="nothing to compress"):
        compressed("tiny-llama", "")
    assert loans == []


def test_a_job_that_takes_too_long_is_stopped(space, loans, monkeypatch):
    monkeypatch.setattr(jobs, "LIMITS", replace(jobs.LIMITS, seconds=-1))
    with pytest.raises(limits.LimitError, match="was stopped"):
        handlers.finish(handlers.compress(TEXT, None, "embedded", "balanced"))


def test_a_full_disk_is_told_before_the_work(space, monkeypatch):
    monkeypatch.setattr(jobs, "LIMITS", replace(jobs.LIMITS, disk_bytes=-1))
    with pytest.raises(limits.LimitError, match="try again in an hour"):
        next(handlers.compress(TEXT, None, "embedded", "balanced"))


@pytest.mark.parametrize(
    "name", ["owner/model", "owner/model@main", "../../etc", "https://example.org/model", "gpt-9"]
)
def test_only_registered_models_are_taken(space, loans, name):
    with pytest.raises(InputError, match="is not a choice here"):
        compressed(name)
    assert loans == []


def renamed(blob: bytes, name: str) -> bytes:
    """The same blob with another model's name in its header, all checksums right."""
    found = codec.unpack(blob)
    return codec.pack(replace(found.header, name=name), [f.segment for f in found.frames])


def test_a_blob_of_a_foreign_model_is_refused_without_a_request(space, loans):
    hub_jobs.place_models()
    blob = compressed("tiny-llama").blob
    assert decoded(renamed(blob, registry.REGISTRY["tiny-llama"].source)).text == TEXT
    loans.clear()
    for foreign in (
        f"owner/name@{hub_cache.COMMIT}",
        f"tests/llama@{'f' * 40}",
        f"../llama@{hub_cache.COMMIT}",
        f"openlm-research/open_llama_7b@{'a' * 40}",
    ):
        with pytest.raises(ModelError, match="none of the models this page knows") as caught:
            decoded(renamed(blob, foreign))
        assert "\n" not in str(caught.value)
    for hostile in ("/etc/passwd", "https://example.org/model.bin", "..", "a" * 200):
        with pytest.raises(FormatError):
            decoded(renamed(blob, hostile))
    assert loans == []


def test_a_model_that_is_not_offered_any_more_is_refused_by_name(space, loans, monkeypatch):
    hub_jobs.place_models()
    blob = compressed("tiny-llama").blob
    monkeypatch.setattr(jobs, "PLACE", replace(space, models=("tiny-gpt2",)))
    with pytest.raises(ModelError, match="tiny-llama, which is not offered here"):
        decoded(blob)


def test_another_dtype_than_the_placed_one_is_refused(space, loans):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = llmcomp.models.load_downloaded(
            registry.REGISTRY["tiny-llama"].source, "float64", "cpu"
        )
        blob = codec.compress(TEXT.encode(), model=model)
    llmcomp.models.SHELF._held.clear()
    hub_jobs.place_models()
    with pytest.raises(ModelError, match="in float64 is not loaded on this Space"):
        decoded(blob)
    assert loans == []


def test_a_model_that_cannot_be_had_leaves_the_others(space, loans, monkeypatch, caplog):
    missing = replace(hub_cache.entry("lost"), architecture=hub_cache._FIELDS)
    monkeypatch.setitem(registry.REGISTRY, "tiny-lost", missing)
    monkeypatch.setattr(jobs, "PLACE", replace(space, models=("tiny-lost", "tiny-gpt2")))
    hub_jobs.place_models()
    assert "tiny-lost is not offered" in caplog.text
    assert jobs.PLACE.models == ("tiny-gpt2",)
    with pytest.raises(InputError, match="tiny-lost is not offered here"):
        compressed("tiny-lost")
    assert decoded(compressed("tiny-gpt2").blob).text == TEXT


def test_a_gpu_of_ones_own_is_waited_for(space, monkeypatch):
    owned = replace(hardware.FLAVOURS["t4-small"], gpu="")
    monkeypatch.setattr(jobs, "PLACE", replace(space, hardware=owned))
    monkeypatch.setattr(hub_jobs, "_POLL_S", 0.01)
    hub_jobs._turn.acquire()
    job = handlers.compress(TEXT, None, "tiny-llama", "balanced")
    while (value := next(job)).stage != "wait":
        assert isinstance(value, Working)
    hub_jobs._turn.release()
    assert decoded(handlers.finish(job).blob).text == TEXT
    assert not hub_jobs._turn.locked()


def test_estimates_learn_from_what_jobs_took(space, loans):
    hub_jobs.place_models()
    offer.LEARNED.__init__()
    compressed("tiny-llama")
    assert offer.LEARNED.factor("tiny-llama") != 1.0
    assert offer.LEARNED.factor("tiny-gpt2") == 1.0
