"""How a soft prompt is to be trained: options only, so that nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["LEVELS", "SYSTEM_000", "Training"]

LEVELS = (4, 8, 16, 32, 64, 128, 256)
"""Of the quantisers in a sweep."""

PRECISIONS = ("auto", "bfloat16", "float32")
_MAX_LEARNING_RATE = 1e30  # beyond, a step leaves float32


@dataclass(frozen=True, slots=True)
class Training:
    """Options of a training; `SYSTEM_000` holds the published ones.

    Attributes:
        n_virtual_tokens: vectors in front of the text.
        epochs: passes over the training rows.
        learning_rate: Adam's, on the vector in units of its scale.
        seed: of the noise it starts as, and of the order of the rows.
        batch_rows: rows of a step.
        row_tokens: tokens of a row; shorter rows than the compressor's windows train faster.
        row_bytes: cut rows every so many bytes instead, each tokenised alone.
        max_bytes: of a longer text, so many bytes in evenly spread rows are used.
        held_out: part of the rows that is only watched.
        scale: of the noise; the model's own embeddings' by default.
        precision: of the matrix products: bfloat16, float32, or bfloat16 where the processor
            multiplies it ("auto"); a Hub model's own dtype.
    """

    n_virtual_tokens: int = 16
    epochs: int = 40
    learning_rate: float = 0.1
    seed: int = 0
    batch_rows: int = 4
    row_tokens: int | None = 256
    row_bytes: int | None = None
    max_bytes: int = 200_000
    held_out: float = 0.1
    scale: float | None = None
    precision: str = "auto"

    def __post_init__(self) -> None:
        counts = (
            "n_virtual_tokens",
            "epochs",
            "batch_rows",
            "row_tokens",
            "row_bytes",
            "max_bytes",
        )
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; wanted at least 1")
        if not 0 < self.learning_rate <= _MAX_LEARNING_RATE:
            raise ValueError(
                f"learning_rate is {self.learning_rate}; wanted above 0, at most "
                f"{_MAX_LEARNING_RATE:g}"
            )
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out is {self.held_out}; wanted at least 0 and below 1")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"seed is {self.seed}; wanted 0 to 2**63 - 1")
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"scale is {self.scale}; wanted a positive number")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision!r}; wanted one of {', '.join(PRECISIONS)}")


SYSTEM_000 = Training(
    n_virtual_tokens=200,
    epochs=100,
    learning_rate=5e-4,
    batch_rows=1,
    row_tokens=None,
    row_bytes=2000,
    held_out=0.0,
    scale=1.0,
)
"""What system 000 trains with: noise of variance 1, one chunk a step, the very chunks it codes."""
