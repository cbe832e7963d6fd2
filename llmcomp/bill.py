"""Where each bit of a blob went. The rows add up to the file's size, to the bit.

In: counts from the codec. Out: rows of (what, bits), and rates, also with the model counted. Knows
nothing of how the counts came about.

References:
    [Deletang23] Delétang et al., Language modeling is compression, arXiv:2309.10668.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

__all__ = ["Bill", "ModelSize", "rate_of", "readable_bytes", "scaled_bytes"]

_ROUNDED_UP = 0.9995  # of a unit: what three digits would write as 1,000 of the one below


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What a model weighs, for rates that count it.

    Attributes:
        n_parameters: how many numbers were trained.
        file_bytes: its weights, tokenizer and configuration as they lie on the disk.
    """

    n_parameters: int
    file_bytes: int

    def adjusted_rates(self, compressed_bytes: int, raw_bytes: int) -> tuple[float, float]:
        """Rates of what is compressed and its model together, the model counted once.

        Returns:
            With the model at 2 bytes a parameter, as [Deletang23] counts any model, and with its
            files; 0 for an empty input.
        """
        return (
            rate_of(compressed_bytes + 2 * self.n_parameters, raw_bytes),
            rate_of(compressed_bytes + self.file_bytes, raw_bytes),
        )


@dataclass(slots=True)
class Bill:
    """Every bit of one blob, by purpose; all fields but the byte counts are in bits.

    Attributes:
        raw_bytes: plain bytes.
        total_bytes: the blob's bytes.
        header_bits: magic, version, model, schedule.
        steering_bits: what stands in front of the text: a string, a seed, or how to read a prompt.
        prompt_bits: a soft prompt's coded vector.
        table_bits: an archive's names and sizes.
        lengths_bits: tags and lengths of segments and lanes.
        checksum_bits: both CRC-32s of every segment.
        ideal_bits: ``-log2 p`` of all tokens the model coded.
        help_bits: what online help changed in that; below zero, it saved so much.
        agreement_bits: what it took to make two machines agree on probabilities.
        coder_bits: what the coder spent above those: rounded probabilities and interval widths.
        tail_bits: from the coder's last interval to whole bytes; below zero when bytes of zeros
            at a payload's end could be left out.
        xz_bits: segments kept as xz.
        stored_bits: segments kept as they came.
        n_tokens: tokens the model coded.
        model: what the model weighs, None if nothing in the blob needs one.
        xz_bytes: the file that ``xz -9e`` makes of the text; 0 if nothing in the blob needs a
            model, or if xz was not tried on all of the text in one piece.
        notes: what the reader should know, such as a segment that fell back to xz.
    """

    raw_bytes: int = 0
    total_bytes: int = 0
    header_bits: float = 0.0
    steering_bits: float = 0.0
    prompt_bits: float = 0.0
    table_bits: float = 0.0
    lengths_bits: float = 0.0
    checksum_bits: float = 0.0
    ideal_bits: float = 0.0
    help_bits: float = 0.0
    agreement_bits: float = 0.0
    coder_bits: float = 0.0
    tail_bits: float = 0.0
    xz_bits: float = 0.0
    stored_bits: float = 0.0
    n_tokens: int = 0
    model: ModelSize | None = None
    xz_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, more: Bill) -> None:
        """Adds what another part of the same blob took; the model of both counts once."""
        in_parts = bool(self.raw_bytes and more.raw_bytes)
        self.model = self.model or more.model
        for f in fields(self):
            if f.name != "model":
                setattr(self, f.name, getattr(self, f.name) + getattr(more, f.name))
        if in_parts:  # as one piece xz might take less than as several
            self.xz_bytes = 0

    def rows(self) -> list[tuple[str, float]]:
        """Lists what was spent; the bits sum to ``8 * total_bytes``."""
        rows = [
            ("header", self.header_bits),
            ("steering", self.steering_bits),
            ("steering, coded prompt", self.prompt_bits),
            ("names and sizes of files", self.table_bits),
            ("lengths", self.lengths_bits),
            ("checksums", self.checksum_bits),
            ("text, ideal under the model", self.ideal_bits),
            ("online help", self.help_bits),
            ("agreement between machines", self.agreement_bits),
            ("coder above the ideal", self.coder_bits),
            ("rounding to whole bytes", self.tail_bits),
            ("text kept as xz", self.xz_bits),
            ("text kept as it came", self.stored_bits),
        ]
        return [(what, bits) for what, bits in rows if bits]

    @property
    def rate(self) -> float:
        """Compressed bytes over raw bytes; 0 for an empty input."""
        return rate_of(self.total_bytes, self.raw_bytes)

    @property
    def adjusted_rates(self) -> tuple[float, float]:
        """The rate with the model counted, as `ModelSize.adjusted_rates` has it."""
        if self.model is None:
            return self.rate, self.rate
        return self.model.adjusted_rates(self.total_bytes, self.raw_bytes)

    def break_even_bytes(self, xz_bytes: int) -> float:
        """Text length from which on blob and model files are smaller than xz's file.

        Args:
            xz_bytes: the file that ``xz -9e`` makes of the same text.

        Returns:
            Bytes, if both rates kept up; infinite if xz takes less than the blob, 0 if no model is
            needed.
        """
        if self.model is None:
            return 0.0
        saved_bytes = xz_bytes - self.total_bytes
        return self.model.file_bytes * self.raw_bytes / saved_bytes if saved_bytes > 0 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Eight times the rate."""
        return 8.0 * self.rate

    @property
    def overhead(self) -> float:
        """Payload bits of the model's segments above the ideal, as a part of the ideal.

        The ideal is that of the probabilities that were coded with, online help included.
        """
        above = self.agreement_bits + self.coder_bits + self.tail_bits
        return above / (self.ideal_bits + self.help_bits) if self.ideal_bits else 0.0

    @property
    def model_alone_bytes(self) -> int:
        """The blob's bytes if the model had got no online help, to within a byte a lane."""
        return self.total_bytes - round(self.help_bits / 8)


def rate_of(compressed_bytes: int, raw_bytes: int) -> float:
    """Compressed bytes over raw bytes; 0 for an empty input."""
    return compressed_bytes / raw_bytes if raw_bytes else 0.0


def readable_bytes(n_bytes: float) -> str:
    """Says a length with three digits.

    >>> readable_bytes(2_912_345.0), readable_bytes(410.2), readable_bytes(999_990.0)
    ('2.91 MB', '410 bytes', '1 MB')
    >>> readable_bytes(float("inf"))
    'never'
    """
    if math.isinf(n_bytes):
        return "never"
    count, spec, unit = scaled_bytes(n_bytes)
    return f"{count:{spec}} {unit}"


def scaled_bytes(n_bytes: float) -> tuple[float, str, str]:
    """Splits a finite length into a count, how to format it to three digits, and its unit.

    >>> scaled_bytes(410.2), scaled_bytes(2.5e15)
    ((410.2, '.0f', 'bytes'), (2500.0, ',.0f', 'TB'))
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        count = n_bytes / unit
        if count >= _ROUNDED_UP:
            return count, ",.0f" if count >= 1000 else ".3g", name
    return n_bytes, ".0f", "bytes"
