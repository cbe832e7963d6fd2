"""Where each bit of a blob went. The rows add up to the file's size, to the bit.

In: counts from the codec. Out: rows of (what, bits). Knows nothing of how they came about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

__all__ = ["Bill"]


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
        agreement_bits: what it took to make two machines agree on probabilities.
        coder_bits: what the coder spent above those: rounded probabilities and interval widths.
        tail_bits: from the coder's last interval to whole bytes; below zero when bytes of zeros
            at a payload's end could be left out.
        xz_bits: segments kept as xz.
        stored_bits: segments kept as they came.
        n_tokens: tokens the model coded.
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
    agreement_bits: float = 0.0
    coder_bits: float = 0.0
    tail_bits: float = 0.0
    xz_bits: float = 0.0
    stored_bits: float = 0.0
    n_tokens: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, more: Bill) -> None:
        """Adds what another part of the same blob took."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(more, f.name))

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
        return self.total_bytes / self.raw_bytes if self.raw_bytes else 0.0

    @property
    def bits_per_byte(self) -> float:
        """Eight times the rate."""
        return 8.0 * self.rate

    @property
    def overhead(self) -> float:
        """Payload bits of the model's segments above the ideal, as a part of the ideal."""
        above = self.agreement_bits + self.coder_bits + self.tail_bits
        return above / self.ideal_bits if self.ideal_bits else 0.0
