"""The format is frozen: these blobs decode for ever, and encoding still gives their bytes.

A change here is a new format version or profile table, never a fix. To add a blob:
``python tests/test_golden.py NAME`` writes one that is not there yet.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from conftest import ROOT

import llmcomp
from llmcomp.models.snapped import SnappedModel
from llmcomp.schedule import PRESETS, Preset
from llmcomp.steering.kinds import RandomSteering, TextSteering, TrainedSteering
from llmcomp.steering.priors import Empirical, Gaussian, HyperPrior, Laplace, LloydMax
from llmcomp.steering.soft_prompt import SoftPrompt

GOLDEN = ROOT / "tests/golden"

FOX = b"The quick brown fox jumps over the lazy dog; print(i, i * i)"


def coded(prior: HyperPrior) -> TrainedSteering:
    """A vector that needs no generator: the same numbers everywhere."""
    vector = ((np.arange(64) * 37 % 64 - 31.5) / 20).astype(np.float32).reshape(2, 32)
    return TrainedSteering.coding(SoftPrompt(vector, 0.25, "tiny", FINGERPRINT), prior)


FINGERPRINT = "c7afb79140ac128097344c5ccf01d76d917aa0389399d458a5e37e1800b3b4fe"

CASES = {
    "empty": (b"", {}),
    "stored": (b"\x00\xffabc", {"methods": ("stored",)}),
    "xz": (b"again and again and " * 30, {"methods": ("xz",)}),
    "one-lane": ("The quick brown fox. 春眠不觉晓 ".encode() * 9, {"methods": ("lm",)}),
    "three-lanes": (b"for i in range(10): print(i, i * i)\n" * 9, {"methods": ("lm",), "lanes": 3}),
    "chunks": (bytes(range(256)) + b"the dog", {"methods": ("lm",), "lane_bytes": 100}),
    "steered-by-text": (FOX, {"methods": ("lm",), "steer": TextSteering("Лиса: ".encode())}),
    "steered-by-noise": (FOX, {"methods": ("lm",), "steer": RandomSteering(5, 1 << 40, 0.5)}),
    **{
        f"steered-under-{prior.name}": (FOX, {"methods": ("lm",), "steer": coded(prior)})
        for prior in (Gaussian(20), Empirical(5), LloydMax(6), Laplace(16, 3.0))
    },
    "small-preset": (b"lazy " * 80, {"methods": ("lm",), "preset": "small"}),
    "tolerant": (FOX * 9, {"methods": ("lm",), "profile": "tolerant", "margin": 2.0**-8}),
    "tolerant-lanes": (FOX * 9, {"methods": ("lm",), "profile": "tolerant", "lanes": 3}),
    "replay": (FOX, {"methods": ("lm",), "profile": "replay", "lanes": 2}),
}
CASES = {name: (data, {"online": False} | options) for name, (data, options) in CASES.items()}
HELPED = FOX * 3 + b"\nfox = fox + 1\n" * 9 + "狐狸 fox\n".encode() * 5
CASES |= {
    "helped": (HELPED, {"methods": ("lm",)}),
    "helped-lanes": (HELPED, {"methods": ("lm",), "lane_bytes": 150}),  # step in two groups
    "helped-tolerant": (HELPED, {"methods": ("lm",), "profile": "tolerant", "lanes": 2}),
}


ARCHIVES = {
    "archive": (
        {"fox/one.txt": FOX, "fox/лиса.md": FOX[:20] * 3, "fox/none.txt": b"", "x": b"\0\xff"},
        {"methods": ("lm",), "lane_bytes": 64, "online": False},
    ),
    "archive-empty": ({}, {}),
}


PRESETS_THEN = {"balanced": Preset(2, 1024, 16), "small": Preset(3, 4096, 4)}
"""What the presets meant when the blobs were made: a choice of schedule, which may change."""


@pytest.fixture(autouse=True)
def presets_then(monkeypatch):
    for name, preset in PRESETS_THEN.items():
        monkeypatch.setitem(PRESETS, name, preset)


@pytest.mark.parametrize("name", CASES)
def test_golden_blobs_decode_and_are_made_again(name, tiny):
    data, options = CASES[name]
    blob = (GOLDEN / f"{name}.llmc").read_bytes()
    assert llmcomp.decompress(blob, model=tiny) == data
    assert llmcomp.compress(data, model=tiny, **options).hex() == blob.hex(), "the format changed"


@pytest.mark.parametrize("name", ARCHIVES)
def test_golden_archives_are_read_and_made_again(name, tiny):
    files, options = ARCHIVES[name]
    blob = (GOLDEN / f"{name}.llmc").read_bytes()
    archive = llmcomp.Archive(blob, model=tiny)
    assert {member.name: archive.read(member.name) for member in archive.members} == files
    again = llmcomp.compress_files(files.items(), model=tiny, **options)
    assert again.hex() == blob.hex(), "the format changed"


def test_the_frozen_model_is_frozen(tiny):
    assert tiny.fingerprint.hex() == FINGERPRINT


if __name__ == "__main__":
    PRESETS.update(PRESETS_THEN)
    tiny_model = SnappedModel(ROOT / "tests/models/tiny", name="tiny", number=0)
    for case in sys.argv[1:]:
        if case in CASES:
            plain, chosen = CASES[case]
            made = llmcomp.compress(plain, model=tiny_model, **chosen)
        else:
            files, chosen = ARCHIVES[case]
            made = llmcomp.compress_files(files.items(), model=tiny_model, **chosen)
        with (GOLDEN / f"{case}.llmc").open("xb") as file:
            file.write(made)
