"""What it costs to decode elsewhere: profile ``tolerant`` at every margin, beside flags.

In: a model and a text. Out: bits above the ideal, by margin; and what shorter weights cost, which
make large models fit. The flags are what others do: a bit
before every decision says whether its log-odds lie within the margin of a bin's edge [PMATIC]; here
with bins of the same shape as ours and of the best width, so that only the flags differ.

References:
    [PMATIC] Probability-matching arithmetic coding under numerical mismatch, arXiv:2601.10678.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from llmcomp.agreement import EDGES, PROBABILITIES, Rulers, cells_of, walk
from llmcomp.coding.range_coder import PROBABILITY_BITS
from llmcomp.evaluate import calibrate, hub_models
from llmcomp.evaluate.bench import corpus
from llmcomp.lanes import encode, scored
from llmcomp.models import ASSETS, load_model, resolve
from llmcomp.models.base import LanguageModel, Tokens
from llmcomp.schedule import PRESETS, Schedule, cut_evenly
from llmcomp.steps import run

__all__ = ["Price", "measurements", "prices", "table"]

MARGINS = (30, 20, 17, 15, 14, 13, 12, 11, 10, 8, 6)
"""By exponent, those of the table."""

_FLAG_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 170)


@dataclass(frozen=True, slots=True)
class Price:
    """What one margin costs, in bits above the ideal as parts of the ideal.

    Attributes:
        exponent: of the margin.
        rulers: all of it.
        agreement: the part that rulers' numbers take.
        flags: what flags and their bins would take in all.
    """

    exponent: int
    rulers: float
    agreement: float
    flags: float


def prices(model: LanguageModel, data: bytes, exponents: Sequence[int] = MARGINS) -> list[Price]:
    """Codes a text at every margin.

    Args:
        model: the language model.
        data: the text.
        exponents: of the margins.
    """
    lanes, schedule = _cut(model, data)
    paths = [[] for _ in lanes]  # type: ignore[var-annotated]
    asked = {k: [[] for _ in lanes] for k in exponents}  # type: ignore[var-annotated]
    for lane, targets, logits in scored(model, lanes, schedule):
        paths[lane].append(walk(model.tree, logits, targets))
        for exponent, parts in asked.items():
            parts[lane].append(Rulers(exponent).ask(model.tree, logits, targets))
    log_odds = np.concatenate([p.log_odds for lane in paths for p in lane])
    answers = np.concatenate([p.answers for lane in paths for p in lane])
    ideal = sum(float(p.ideal_bits.sum()) for lane in paths for p in lane)
    found = []
    for exponent in exponents:
        settled = [Rulers(exponent).settle(parts) for parts in asked[exponent]]
        bits = [_bits(d.p0, d.answers) for d in settled]
        agreement = sum(float(b[d.nodes < 0].sum()) for b, d in zip(bits, settled, strict=True))
        spent = sum(float(b.sum()) for b in bits)
        flags = _flagged(log_odds, answers, 2.0**-exponent)
        found.append(Price(exponent, spent / ideal - 1, agreement / ideal, flags / ideal - 1))
    return found


def table(found: Sequence[Price]) -> str:
    """Renders prices as a Markdown table."""
    lines = [
        "| margin | above the ideal | of which agreement | with flags instead |",
        "|---|---:|---:|---:|",
    ]
    lines += [
        f"| 2^-{p.exponent} = {2.0**-p.exponent:.1e} | {p.rulers:.3%} | {p.agreement:.3%} "
        f"| {round(p.flags, 5) + 0.0:.3%} |"
        for p in found
    ]
    return "\n".join(lines)


def measurements() -> Mapping[str, Callable[[], str]]:
    """Names the figures of ``docs/portability.md``; all on the first 50,000 bytes of enwik8."""
    return {
        "agreement-price": lambda: table(prices(load_model("embedded"), corpus()[0][1])),
        **{
            f"calibrate-{dtype}": partial(_calibrated, dtype)
            for dtype in ("float32", "float64", "int8")
        },
        "rounded-weights": _rounded,
        "hub-models": hub_models.table,
    }


def _calibrated(dtype: str) -> str:
    ways = calibrate.conditions(dtype)
    findings = run(calibrate.calibrate("embedded", corpus()[0][1], ways))
    exponent = calibrate.recommended(findings)
    return f"{calibrate.table(findings)}\n\nRecommended margin: 2^-{exponent}."


def _rounded() -> str:
    """What rounding a model costs, on the first 20,000 bytes of enwik8."""
    from llmcomp.models.hub import load_hub_model

    data = corpus()[0][1][:20_000]
    lines, exact = ["| computed in | bits per byte | against float32 |", "|---|---:|---:|"], 0.0
    for dtype in ("float32", "int8", "bfloat16"):
        model = load_hub_model(str(ASSETS / resolve("embedded")), dtype=dtype)
        coded = run(encode(model, *_cut(model, data)))
        found = sum(lane.ideal_bits for lane in coded) / len(data)
        exact = exact or found
        lines.append(f"| {dtype} | {found:.5f} | {found / exact - 1:+.3%} |")
    return "\n".join(lines)


def _cut(model: LanguageModel, data: bytes) -> tuple[list[Tokens], Schedule]:
    """Cuts a text as preset ``balanced`` does."""
    preset = PRESETS["balanced"]
    tokens = model.tokenizer.encode(data)
    lanes = [tokens[part] for part in cut_evenly(len(tokens), preset.lanes_for(len(tokens)))]
    return lanes, preset.schedule_for(model.context_length)


def _bits(p0: npt.NDArray[np.integer], answers: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    share = p0 / (1 << PROBABILITY_BITS)
    found: npt.NDArray[np.float64] = -np.log2(np.where(answers, 1.0 - share, share))
    return found


def _flagged(
    log_odds: npt.NDArray[np.float64], answers: npt.NDArray[np.uint8], margin: float
) -> float:
    """Bits of all decisions and their flags at the best width of bins.

    A flag's chance is taken as known: what adaptive counts would come to.
    """
    middle = len(PROBABILITIES) // 2
    own = cells_of(log_odds)
    low, high = cells_of(log_odds - margin), cells_of(log_odds + margin)
    edges = np.concatenate([-EDGES[::-1], EDGES]) / 2.0**20
    best = np.inf
    for width in _FLAG_WIDTHS:
        marks = edges[width - 1 :: width]
        if len(marks) > 1 and np.diff(marks).min() <= 4 * margin:
            continue  # the nearest mark would not be the same for both
        begin = own // width * width
        ends = 2 * np.stack([begin, begin + width]) - middle - 1
        centre = np.clip(ends, -middle, middle).sum(axis=0) >> 1
        near = low // width != high // width
        mark = np.clip(2 * (high // width * width) - middle - 1, -middle, middle)
        p0 = PROBABILITIES[np.where(near, mark, centre) + middle]
        q = near.mean()
        entropy = -q * np.log2(q) - (1 - q) * np.log2(1 - q) if 0 < q < 1 else 0.0
        best = min(best, float(_bits(p0, answers).sum()) + len(near) * float(entropy))
    return best
