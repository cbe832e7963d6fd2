"""The fuzzer's laws hold for the inputs it begins with and some changed ones, and can be broken."""

from __future__ import annotations

import random
from importlib import import_module

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
