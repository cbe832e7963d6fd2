"""What a Hub model's work will cost: memory and seconds, before any of it is done.

In: a registered model, a machine and a number of bytes. Out: estimates from the machine's data
sheet. They are no measurements: `Learned` corrects them by what jobs really took, as soon as there
were any. ``python -m llmcomp.space.cost`` prints what this machine's processor reaches, and with
names of registered models, or NAME=DIRECTORY, what a job on them really takes beside its estimate.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llmcomp.models.registry import REGISTRY, Registered
from llmcomp.schedule import PRESETS
from llmcomp.space.hardware import Hardware, here

__all__ = [
    "BYTES_PER_TOKEN",
    "SAMPLE_BYTES",
    "Estimate",
    "Learned",
    "estimate",
    "main",
    "memory_bytes",
]

BYTES_PER_TOKEN = 4.0
"""Of English prose in vocabularies of 32,000 to 150,000 tokens; other scripts have fewer."""

SAMPLE_BYTES = 4000
"""Length of the text that documents speak of."""

_COMPUTE = 0.4  # part of the peak that products of these sizes reach
_READ = 0.6  # likewise of the memory's bandwidth
_LAUNCH_S = {"cuda": 1.5e-4, "cpu": 3e-5}  # of a layer in a cached step, whatever it computes
_LOGIT_S = 5e-8
"""Seconds a logit takes from a probability to its decisions, on the processor, whatever the GPU;
`main` prints this machine's."""

_POSITIONS = 16 * 1024  # keys and values of so many are held for a long text
_WINDOW = 1024  # of a model with room for it
_WORK_ROOM = 1.2  # activations and what the allocator wastes


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of a job.

    Attributes:
        encode: one parallel pass, and the coder's work.
        decode: as many cached steps as a lane has tokens, and the coder's work.
    """

    encode: float
    decode: float

    @property
    def compress(self) -> float:
        """Encoding, and decoding again to check."""
        return self.encode + self.decode


def memory_bytes(model: Registered, dtype: str) -> int:
    """Memory that a model takes at work: weights, keys and values, one batch's logits."""
    held = model.weight_bytes(dtype) + _POSITIONS * model.cache_bytes(dtype)
    return int(_WORK_ROOM * held) + 256 * model.vocabulary * 8


def estimate(
    model: Registered,
    hardware: Hardware,
    dtype: str,
    n_tokens: float,
    preset: str = "balanced",
) -> Estimate:
    """Estimates a job.

    Args:
        model: the model.
        hardware: where.
        dtype: what it computes in.
        n_tokens: length of the text.
        preset: how many lanes it is cut into.
    """
    flops = hardware.flops * _COMPUTE
    if dtype == "float64":
        flops *= hardware.float64_share
    per_token = 2.0 * model.n_parameters / flops
    n_lanes = PRESETS[preset].lanes_for(int(n_tokens))
    steps = math.ceil(n_tokens / n_lanes)
    reading = model.weight_bytes(dtype) / (hardware.bandwidth * _READ)
    step = max(reading, n_lanes * per_token) + model.n_layers * _LAUNCH_S[hardware.device]
    coding = n_tokens * model.vocabulary * _LOGIT_S
    # from a lane's second window on, tokens are scored again as context
    schedule = PRESETS[preset].schedule_for(_WINDOW)
    again = schedule.window / (schedule.window - schedule.overlap)
    passes = 1.0 if steps <= schedule.window else again
    return Estimate(n_tokens * per_token * passes + coding, steps * step + coding)


class Learned:
    """How far estimates were off so far, by model; later ones are multiplied with that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._factors: dict[str, float] = {}

    def factor(self, name: str) -> float:
        """What a model's estimates are to be multiplied with, 1 before its first job."""
        with self._lock:
            return self._factors.get(name, 1.0)

    def note(self, name: str, estimated_s: float, took_s: float) -> None:
        """Takes a finished job into account; the last jobs count most."""
        if estimated_s <= 0 or took_s <= 0:
            return
        found = min(max(took_s / estimated_s, 0.05), 20.0)
        with self._lock:
            old = self._factors.get(name)
            self._factors[name] = found if old is None else math.sqrt(old * found)


def main(tried: Sequence[str]) -> Iterator[str]:
    """Measures this machine's processor, or jobs on models, a line each.

    Args:
        tried: names of registered models, each perhaps with ``=`` and a directory to load it from.
    """
    if not tried:
        yield from _processor()
    for name, _, directory in (word.partition("=") for word in tried):
        yield _job(REGISTRY[name], directory)


def _job(model: Registered, directory: str) -> str:
    """Compresses and decompresses a text as the table of machines has it, and times both."""
    from llmcomp import codec
    from llmcomp.models import ASSETS
    from llmcomp.models.hub import load_hub_model

    hardware = here().hardware
    loaded = load_hub_model(directory or model.source, dtype=hardware.dtype, device=hardware.device)
    prose = (ASSETS / "examples" / "prose.txt").read_bytes()
    text = (prose * (SAMPLE_BYTES // len(prose) + 1))[:SAMPLE_BYTES]
    job = functools.partial(codec.compress, text, model=loaded, methods=("lm",), verify=False)
    blob = job()  # the first one compiles
    took = [_seconds(job), _seconds(functools.partial(codec.decompress, blob, model=loaded))]
    n_tokens = len(loaded.tokenizer.encode(text))
    guessed = estimate(model, hardware, hardware.dtype, n_tokens)
    return (
        f"{model.name}, {SAMPLE_BYTES:,} bytes, {n_tokens:,} tokens: encode {took[0]:.1f} s, "
        f"estimated {guessed.encode:.1f}; decode {took[1]:.1f} s, estimated {guessed.decode:.1f}"
    )


def _processor() -> Iterator[str]:
    """Measures products, memory, and the coder's work on a logit."""
    import numpy as np

    from llmcomp.agreement import walk
    from llmcomp.decisions import DecisionTree

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        a = rng.normal(size=(1024, 1024)).astype(dtype)
        seconds = _least_s(functools.partial(np.matmul, a, a))
        yield f"{dtype.__name__} products: {2 * 1024**3 / seconds / 1e9:.0f} GFLOP/s"
    a = np.ones(2**25, dtype=np.float32)
    yield f"memory read: {a.nbytes / _least_s(a.sum) / 1e9:.0f} GB/s"
    n = 50_000
    tree = DecisionTree.build([i.to_bytes(3, "big") for i in range(n)], np.ones(n, dtype=np.int64))
    logits, targets = rng.normal(size=(64, n)) * 3, rng.integers(0, n, 64)
    seconds = _least_s(lambda: walk(tree, logits, targets))
    yield f"coder: {seconds / logits.size:.1e} s a logit"


def _least_s(job: Callable[[], object]) -> float:
    """Least of three runs, after one that does not count."""
    return min([_seconds(job) for _ in range(4)][1:])


def _seconds(job: Callable[[], object]) -> float:
    begun = time.perf_counter()
    job()
    return time.perf_counter() - begun


if __name__ == "__main__":
    for line in main(sys.argv[1:]):
        sys.stdout.write(f"{line}\n")
