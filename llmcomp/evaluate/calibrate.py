"""How far apart two machines' numbers lie: what a margin of profile ``tolerant`` has to cover.

In: a Hub model and a text. Out: for every condition that changes the last digits (pass, batch,
threads, attention, instruction set, dtype, device) how far it moves the log-odds of the decisions
on the text's own paths. Each condition runs in a process of its own, because libraries choose their
kernels once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmcomp.agreement import margin_exponent, walk
from llmcomp.errors import ModelError
from llmcomp.models import ASSETS, MODELS, resolve
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.models.margins import MARGINS_FILE, store_margin
from llmcomp.models.sources import Source

__all__ = [
    "SAFETY",
    "Condition",
    "Finding",
    "calibrate",
    "conditions",
    "recommended",
    "store",
    "table",
]

SAFETY = 3.0
"""A margin is so many times the largest difference seen; what it misses a checksum finds out."""

_LANES = 4


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to compute the same logits.

    Attributes:
        name: in words.
        dtype: what the model computes in.
        device: where.
        attention: ``eager`` or ``sdpa``.
        cached: token by token instead of in parallel.
        together: lanes in a batch.
        threads: of torch, None for its own choice.
        environment: variables that hold libraries back from newer instructions.
    """

    name: str
    dtype: str
    device: str
    attention: str = "eager"
    cached: bool = False
    together: int = _LANES
    threads: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """How far a condition moves log-odds on the text's paths, against the first condition.

    Attributes:
        name: the condition's.
        largest: of all decisions.
        tail: 99.9 % lie below.
        median: half lie below.
        n_decisions: how many were compared.
    """

    name: str
    largest: float
    tail: float
    median: float
    n_decisions: int


def conditions(dtype: str = "float32", device: str = "cpu") -> list[Condition]:
    """Lists what is compared, the reference first.

    Args:
        dtype: that blobs are to be made in.
        device: that they are to be made on.
    """
    found = [
        Condition("parallel pass", dtype, device),
        Condition("cached pass", dtype, device, cached=True),
        Condition("cached pass, one lane at a time", dtype, device, cached=True, together=1),
        Condition("attention by sdpa", dtype, device, attention="sdpa"),
        Condition("cached pass, attention by sdpa", dtype, device, attention="sdpa", cached=True),
    ]
    if device == "cpu":
        found += [
            Condition("one thread", dtype, device, threads=1),
            Condition("no AVX-512", dtype, device, environment=_held_back("avx2", "AVX2", "AVX2")),
            Condition(
                "no AVX", dtype, device, environment=_held_back("default", "SSE4_2", "SSE41")
            ),
        ]
    if dtype == "float32":  # a float64 blob is not meant for float32
        found.append(Condition("float64", "float64", device))
    if _has_cuda():
        there = "cpu" if device.startswith("cuda") else "cuda"
        found.append(Condition(f"cached pass on {there}", dtype, there, cached=True))
    return found


def calibrate(
    source: str, data: bytes, ways: Sequence[Condition], n_tokens: int = 2000
) -> Generator[Finding, None, list[Finding]]:
    """Measures conditions one after the other.

    Args:
        source: a Hub model, a directory, or a release of our own, taken as the stock model it is.
        data: the text.
        ways: what to compare; the first is the reference.
        n_tokens: how much of the text is used, at least so many tokens if there are.

    Yields:
        A `Finding` for each condition after the first.

    Returns:
        All of them.

    Raises:
        ModelError: if the model cannot be had, or a condition cannot be run here.
        ValueError: if the text is empty.
    """
    if not data:
        raise ValueError("there is nothing to measure on: the text is empty")
    resolved = resolve(source)
    if resolved in MODELS.values():
        source = str(ASSETS / resolved)
    reference: npt.NDArray[np.float64] | None = None
    findings = []
    for way in ways:
        log_odds = _measured(source, data, way, n_tokens)
        if reference is None:
            reference = log_odds
            continue
        apart = np.abs(log_odds - reference)
        tail, median = (float(q) for q in np.quantile(apart, [0.999, 0.5]))
        findings.append(Finding(way.name, float(apart.max()), tail, median, len(apart)))
        yield findings[-1]
    return findings


def recommended(findings: Sequence[Finding]) -> int:
    """The exponent of a margin that covers what was found, `SAFETY` times.

    Raises:
        ValueError: if no margin is as wide as that; then only ``replay`` will do.
    """
    return margin_exponent(max(SAFETY * max(f.largest for f in findings), 2.0**-60))


def store(source: str, dtype: str, device: str, exponent: int) -> Path:
    """Keeps a recommended margin for a Hub model; every copy of it will then ask for as much.

    Args:
        source: as in `calibrate`.
        dtype: that was measured.
        device: likewise.
        exponent: of the margin.

    Returns:
        The file it stands in.

    Raises:
        ModelError: if others cannot get the model under a name.
    """
    checkout = Source.find(source).fetch(download=False)
    if checkout.repository is None:
        raise ModelError(f"{source} is a directory; a margin is kept for a model of the Hub only")
    known = f"{checkout.repository}@{checkout.revision}"
    store_margin(known, dtype, exponent, _place(device))
    return MARGINS_FILE


def _place(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    return f"cpu {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def table(findings: Sequence[Finding]) -> str:
    """Renders findings as a Markdown table."""
    lines = [
        "| against the parallel pass | largest | 99.9 % below | median |",
        "|---|---:|---:|---:|",
    ]
    lines += [f"| {f.name} | {f.largest:.2g} | {f.tail:.2g} | {f.median:.2g} |" for f in findings]
    return "\n".join(lines)


def _held_back(torch: str, mkl: str, onednn: str) -> dict[str, str]:
    return {
        "ATEN_CPU_CAPABILITY": torch,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "ONEDNN_MAX_CPU_ISA": onednn,
    }


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _measured(source: str, data: bytes, way: Condition, n_tokens: int) -> npt.NDArray[np.float64]:
    """Runs one condition in a process of its own: float64[K] log-odds."""
    with tempfile.TemporaryDirectory() as folder:
        text, found = Path(folder, "text"), Path(folder, "log_odds.npy")
        text.write_bytes(data)
        asked = {"source": source, "n_tokens": n_tokens, "way": asdict(way)}
        done = subprocess.run(
            [sys.executable, "-m", "llmcomp.evaluate.calibrate", str(text), str(found)],
            input=json.dumps(asked),
            env=os.environ | way.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise ModelError(f"condition {way.name!r} cannot be run here: {last}")
        log_odds: npt.NDArray[np.float64] = np.load(found)
        return log_odds


def _log_odds(
    model: LanguageModel, data: bytes, way: Condition, n_tokens: int
) -> npt.NDArray[np.float64]:
    """Log-odds of the decisions on the text's paths, lane by lane."""
    tokens = model.tokenizer.encode(data)
    width = max(1, min(n_tokens // _LANES, len(tokens) // _LANES, model.context_length))
    lanes = tokens[: width * (len(tokens) // width)].reshape(-1, width)[:_LANES]
    start = np.full((len(lanes), 1), model.start_token)
    rows = np.concatenate([start, lanes[:, :-1]], axis=1)
    parts = []
    for first in range(0, len(rows), way.together):
        part = rows[first : first + way.together]
        logits = _stepped(model, part) if way.cached else _scored(model, part)
        for lane, found in enumerate(logits):
            parts.append(walk(model.tree, found, lanes[first + lane]).log_odds)
    return np.concatenate(parts)


def _scored(model: LanguageModel, rows: Tokens) -> npt.NDArray[np.float64]:
    pieces: list[list[npt.NDArray[np.float64]]] = [[] for _ in rows]
    for row, _, logits in model.score(rows):
        pieces[row].append(logits)
    return np.stack([np.concatenate(p) for p in pieces])


def _stepped(model: LanguageModel, rows: Tokens) -> npt.NDArray[np.float64]:
    session, logits = model.begin(rows[:, :1], rows.shape[1])
    steps = [logits, *(session.step(rows[:, i]) for i in range(1, rows.shape[1]))]
    return np.stack(steps, axis=1)


def _main(text: str, found: str) -> None:
    """What a process of its own does."""
    import torch

    from llmcomp.models.hub import load_hub_model

    asked = json.load(sys.stdin)
    way = Condition(**asked["way"])
    if way.threads is not None:
        torch.set_num_threads(way.threads)
    model = load_hub_model(
        asked["source"], dtype=way.dtype, device=way.device, attention=way.attention
    )
    np.save(found, _log_odds(model, Path(text).read_bytes(), way, asked["n_tokens"]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
