"""The fuzzer's laws hold for the inputs it begins with and some changed ones, and can be broken."""

from __future__ import annotations

import os
import random
import sys
import warnings
from importlib import import_module
from pathlib import Path

import fuzz
import pytest
from fuzz import TARGETS

from llmcomp import codec, hub_tokens


def plainly(rng: random.Random, data: bytes) -> bytes:
    """Changes, puts in or takes out a few bytes."""
    changed = bytearray(data)
    at = rng.randrange(len(data) + 1)
    changed[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("error")
def test_laws_hold(name):
    target = import_module(TARGETS[name])
    rng = random.Random(1)
    inputs = target.seeds()
    for _ in range(300):
        changed = target.mutate(rng.choice(inputs), rng, lambda data: plainly(rng, data))
        inputs.append(changed[: target.MAX_BYTES])
    for data in inputs:
        target.check(data)


def test_without_atheris_one_line_says_so_and_inputs_are_checked_again(
    monkeypatch, capsys, tmp_path
):
    monkeypatch.setattr(fuzz, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.path", sys.path.copy())
    monkeypatch.setattr("sys.argv", ["fuzz.py", "container"])
    with warnings.catch_warnings(), pytest.raises(SystemExit, match=r"^fuzzing needs Atheris.*$"):
        fuzz.main()
    (tmp_path / "input").write_bytes(b"no blob")
    monkeypatch.setattr("sys.argv", ["fuzz.py", "container", str(tmp_path / "input")])
    with warnings.catch_warnings():
        fuzz.main()
    assert capsys.readouterr().out == "the law holds\n"


def test_fuzzing_goes_on_in_processes_until_one_fails(monkeypatch, tmp_path):
    """Each of which takes no more than its round, with a seed of its own."""
    log = tmp_path / "log"

    def here(name: str, seconds: int, seed: int, out: Path) -> None:
        with log.open("a") as file:
            file.write(f"{name} {seconds} {seed}\n")
        os._exit(77 if seed == 12 else 0)

    monkeypatch.setattr(fuzz, "fuzz_here", here)
    fuzz.fuzz("tokens", 90, 1, tmp_path)
    assert log.read_text() == "tokens 60 1\ntokens 30 2\n"
    log.unlink()
    with pytest.raises(SystemExit) as caught:
        fuzz.fuzz("tokens", 600, 10, tmp_path)
    assert caught.value.code == 77
    assert log.read_text() == "tokens 60 10\ntokens 60 11\ntokens 60 12\n"


def test_other_bytes_would_be_found(monkeypatch):
    monkeypatch.setattr(codec, "_check_plain", lambda *_: None)
    with pytest.raises(AssertionError):
        test_laws_hold("container")


def test_a_lossy_tokenizer_would_be_found(monkeypatch):
    lossy = hub_tokens.HubTokenizer._single_bytes
    monkeypatch.setattr(
        hub_tokens.HubTokenizer, "_single_bytes", lambda self, data: lossy(self, data[1:])
    )
    with pytest.raises(AssertionError):
        test_laws_hold("tokens")


def test_a_bill_that_does_not_add_up_would_be_found(monkeypatch):
    bill = codec._finish_bill

    def short(found, *rest) -> None:
        bill(found, *rest)
        found.checksum_bits -= 8.0

    monkeypatch.setattr(codec, "_finish_bill", short)
    with pytest.raises(AssertionError):
        test_laws_hold("round-trip")
