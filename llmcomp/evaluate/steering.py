"""What steering costs and what it saves, every bit counted.

In: a text, a model and ways of steering. Out: one `Row` each, from a blob that was really made.
`none` is measured first, whatever is asked for: without it no total means anything.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmcomp.codec import compressing
from llmcomp.models.base import LanguageModel
from llmcomp.steering.kinds import NoSteering, Steering, TrainedSteering
from llmcomp.steering.priors import PRIORS, make_prior
from llmcomp.steering.settings import LEVELS
from llmcomp.steering.soft_prompt import SoftPrompt
from llmcomp.steps import Progress, share

__all__ = ["Row", "as_json", "compare", "from_json", "sweep_ways", "table"]


@dataclass(frozen=True, slots=True)
class Row:
    """One way of steering on one text; numbers of the vector are NaN unless it was trained.

    Attributes:
        name: what it is, in words.
        kind: ``none``, ``text``, ``random`` or ``trained``.
        prior: name of the hyper-prior, empty unless trained.
        levels: the quantiser's, 0 unless trained.
        text_bits: the payload: the text under the steered model, in whole bytes a lane.
        ideal_bits: the same before any rounding to bytes.
        prompt_bits: the coded vector.
        metadata_bits: the rest of the steering record.
        envelope_bits: header, lengths, checksums.
        entropy_bits: of the prior's own table, bits per coordinate.
        mse: of the reconstructed vector, in units of its scale.
        n_coordinates: of the vector.
        raw_bytes: the text's.
        plain_bits: ``ideal_bits`` without steering.
        transductive: the prompt was trained on the very text it is measured on.
    """

    name: str
    kind: str
    prior: str
    levels: int
    text_bits: float
    ideal_bits: float
    prompt_bits: float
    metadata_bits: float
    envelope_bits: float
    entropy_bits: float
    mse: float
    n_coordinates: int
    raw_bytes: int
    plain_bits: float
    transductive: bool

    @property
    def total_bits(self) -> float:
        """Bits of the whole blob."""
        return self.text_bits + self.prompt_bits + self.metadata_bits + self.envelope_bits

    @property
    def vector_bits(self) -> float:
        """Bits of the steering record: vector and metadata."""
        return self.prompt_bits + self.metadata_bits

    @property
    def bits_per_coordinate(self) -> float:
        """Bits of the steering record over coordinates."""
        return self.vector_bits / self.n_coordinates if self.n_coordinates else math.nan

    @property
    def vector_rate(self) -> float:
        """Bits of the steering record over those of a float32 vector."""
        return self.bits_per_coordinate / 32

    @property
    def saved_bits(self) -> float:
        """Bits of text that steering saves, its own cost and the rounding to bytes aside."""
        return self.plain_bits - self.ideal_bits

    @property
    def break_even_bytes(self) -> float:
        """Text length at which the saving pays for the record, if it kept up; may be infinite."""
        if not self.vector_bits:
            return 0.0
        if self.saved_bits <= 0:
            return math.inf
        return self.raw_bytes * self.vector_bits / self.saved_bits


def compare(
    data: bytes,
    model: LanguageModel,
    ways: Sequence[Steering],
    *,
    preset: str = "balanced",
    lane_bytes: int | None = None,
) -> Generator[Row | Progress, None, list[Row]]:
    """Compresses a text in several ways.

    Args:
        data: the text.
        model: the model to steer.
        ways: what to try beside `none`.
        preset: as in `compressing`.
        lane_bytes: as in `compressing`.

    Yields:
        `Progress`, and each row when it is measured.

    Returns:
        All rows, `none` first.

    Raises:
        ValueError: if the text is empty.
        ModelError: if a prompt was made for another model.
    """
    if not data:
        raise ValueError("there is nothing to measure: the text is empty")
    every: list[Steering] = [NoSteering(), *(w for w in ways if not isinstance(w, NoSteering))]
    rows: list[Row] = []
    for index, way in enumerate(every):
        job = compressing(
            data,
            model=model,
            steer=way,
            preset=preset,
            lane_bytes=lane_bytes,
            online=False,  # what a prompt saves, and not what the text teaches anyway
            verify=False,
            methods=("lm",),
        )
        bill = (yield from share(job, index, len(every))).bill
        text_bits = bill.ideal_bits + bill.coder_bits + bill.tail_bits
        coded, soft = None, None
        if isinstance(way, TrainedSteering):
            coded, soft = way.coded, way.soft
        rows.append(
            Row(
                name=str(way),
                kind=way.kind,
                prior=coded.prior.name if coded else "",
                levels=coded.prior.levels if coded else 0,
                text_bits=text_bits,
                ideal_bits=bill.ideal_bits,
                prompt_bits=bill.prompt_bits,
                metadata_bits=bill.steering_bits,
                envelope_bits=bill.header_bits + bill.lengths_bits + bill.checksum_bits,
                entropy_bits=coded.entropy_bits if coded else math.nan,
                mse=coded.mse if coded else math.nan,
                n_coordinates=coded.values.size if coded else 0,
                raw_bytes=len(data),
                plain_bits=rows[0].ideal_bits if rows else bill.ideal_bits,
                transductive=soft is not None and soft.trained_on(data),
            )
        )
        yield rows[-1]
    return rows


def sweep_ways(
    soft: SoftPrompt, names: Sequence[str] = tuple(PRIORS), levels: Sequence[int] = LEVELS
) -> list[Steering]:
    """Codes one prompt under several priors and numbers of levels.

    Raises:
        ValueError: if there is no such prior, or a prior has no such number of levels.
    """
    return [
        TrainedSteering.coding(soft, make_prior(name, levels=count))
        for name in names
        for count in levels
    ]


def table(rows: Sequence[Row]) -> str:
    """Renders rows as a Markdown table; all bits are of one really made blob each.

    A star marks a prompt that was trained on the very text.
    """
    lines = [
        "| steering | text | prompt | metadata | envelope | **total** | rate | against none "
        "| bits/coord. | entropy | MSE | vector's rate | break-even |",
        "|---|" + "---:|" * 12,
    ]
    least = min(row.total_bits for row in rows)
    for row in rows:
        total = f"{row.total_bits:,.0f}"
        change = 100 * (row.total_bits / rows[0].total_bits - 1)
        cells = [
            row.name + " *" * row.transductive,
            *(
                f"{bits:,.0f}"
                for bits in (row.text_bits, row.prompt_bits, row.metadata_bits, row.envelope_bits)
            ),
            f"**{total}**" if row.total_bits == least else total,
            f"{row.total_bits / 8 / row.raw_bytes:.4f}",
            f"{change:+.2f} %" if row is not rows[0] else "",
            *(_number(value) for value in (row.bits_per_coordinate, row.entropy_bits, row.mse)),
            _length(row) if row is not rows[0] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(row: Row) -> dict[str, Any]:
    """Turns a row into plain values; what does not exist is None."""
    derived = ("total_bits", "saved_bits", "bits_per_coordinate", "vector_rate", "break_even_bytes")
    found = {name: getattr(row, name) for name in (*Row.__slots__, *derived)}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }


def from_json(values: Mapping[str, Any]) -> Row:
    """Undoes `as_json`.

    Raises:
        KeyError: if a value is missing.
    """
    found: dict[str, Any] = {name: values[name] for name in Row.__slots__}
    absent = {name: math.nan for name, value in found.items() if value is None}
    return Row(**{**found, **absent})


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}" if value >= 0.01 else f"{value:.3g}"


def _length(row: Row) -> str:
    if math.isinf(row.break_even_bytes):
        return "never"
    return f"{row.break_even_bytes / 1000:,.1f} kB"
