"""Results as things to show: status values, table rows, HTML of our own numbers.

In: the plain values of ``handlers``. Out: dicts for the status line and HTML for the bill and the
comparison. User text never enters an HTML string here; labels are escaped all the same. Knows
nothing of gradio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from llmcomp.bill import Bill, readable_bytes
from llmcomp.ui.handlers import Compression, Decoding
from llmcomp.ui.jobs import Working

__all__ = [
    "Status",
    "bill",
    "decoded",
    "duration",
    "failed",
    "figures",
    "finished",
    "idle",
    "number",
    "race",
    "settings_label",
    "starting",
    "status",
    "stopped",
    "with_model",
    "working",
]

Status = dict[str, Any]

_STAGES = {
    "encode": "Encoding",
    "verify": "Checking that it decodes",
    "decode": "Decoding",
}
_BEFORE = {
    "train": "Preparing the training …",
    "load": "Making the model ready …",
    "wait": "Waiting for the GPU …",
}
_NAMES = {
    "raw": "as it is",
    "llmc": "llmcomp",
    "alone": "its model alone",
    "ppmd": "PPMd",
}
_CHECKED = "Decoded again to check: the same bytes."
_INVISIBLE = 5e-4  # in three decimals
_SMALL = 0.05
_WHOLE = 100  # from here on nobody reads decimals
_LEAST_S = 0.5  # before that, a rate would be a guess


def status(text: str, state: str, percent: float | None = None) -> Status:
    """Returns a status line; state is idle, busy, done or error."""
    return {"text": text, "state": state, "percent": percent}


def idle() -> Status:
    """Returns the status line before anything was asked."""
    return status("", "idle")


def starting() -> Status:
    """Returns the status line between the click and the first step."""
    return status("Starting …", "busy")


def stopped() -> Status:
    """Returns the status line after Stop."""
    return status("Stopped. Nothing was written.", "idle")


def failed(message: str) -> Status:
    """Returns the status line of a job that ended with an error."""
    return status(message, "error")


def working(value: Working) -> Status:
    """Returns the status line of a running job: stage, count, rate and time left."""
    if value.stage in _BEFORE:
        return status(_BEFORE[value.stage], "busy")
    parts = [f"{_STAGES[value.stage]}: {value.done:,} of {value.total:,} bytes"]
    if value.done and value.elapsed_s >= _LEAST_S:
        rate = value.done / value.elapsed_s
        parts.append(f"{rate:,.0f} bytes/s")
        parts.append(f"about {duration((value.total - value.done) / rate)} left")
    percent = 100 * value.done / value.total if value.total else None
    return status(", ".join(parts), "busy", percent)


def finished(result: Compression) -> Status:
    """Returns the verdict on a compression: sizes, rate, and that it was decoded again."""
    raw, size = result.sizes["raw"], result.sizes["llmc"]
    text = (
        f"{raw:,} bytes → {size:,} bytes: rate {size / raw:.3f}, {8 * size / raw:.2f} bits per "
        f"byte, in {duration(result.elapsed_s)}."
    )
    said = (text, _CHECKED if result.checked else "", result.choice)
    return status(" ".join(part for part in said if part), "done")


def decoded(result: Decoding) -> Status:
    """Returns the verdict on a decompression: what came out and what was checked."""
    kind = "" if result.text is not None else " of binary data"
    text = (
        f"{result.blob_bytes:,} bytes → {len(result.data):,} bytes{kind} in "
        f"{duration(result.elapsed_s)}, model {result.model}. Both checks passed: the CRC-32 of "
        "the file (nothing damaged) and the CRC-32 of the content (nothing decoded differently)."
    )
    return status(text, "done")


def settings_label(model: str, preset: str, steer: str) -> str:
    """Returns the label of the closed settings: what is chosen now.

    >>> settings_label("embedded", "balanced", "none")
    'Settings: embedded model, balanced, steering none'
    """
    return f"Settings: {model} model, {preset}, steering {steer}"


def bill(rows: Sequence[tuple[str, float]]) -> str:
    """Returns the bill as an HTML table; its last row is the sum of the others."""
    total = sum(bits for _, bits in rows)
    lines = [_bill_row(label, bits, total) for label, bits in rows if bits]
    lines.append(
        f'<tr class="total"><td>the file</td><td>{number(total)}</td>'
        f"<td>{number(total / 8)}</td><td>100 %</td></tr>"
    )
    return (
        "<h3>The bill: every bit of the file</h3><table><thead><tr><th>part</th><th>bits</th>"
        f"<th>bytes</th><th>share</th></tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _bill_row(label: str, bits: float, total: float) -> str:
    share = round(100 * bits / total, 1) + 0.0 if total else 0.0  # never -0.0
    return (
        f"<tr><td>{escape(label)}</td><td>{number(bits)}</td><td>{number(bits / 8)}</td>"
        f"<td>{share:.1f} %</td></tr>"
    )


def race(sizes: Mapping[str, int], words: str) -> str:
    """Returns the same bytes under every compressor as labelled bars, smallest first.

    Args:
        sizes: bytes by compressor.
        words: what is to be said of the model, which is in none of them.
    """
    largest = max(max(sizes.values()), 1)
    lines = [
        _race_row(name, size, largest) for name, size in sorted(sizes.items(), key=lambda s: s[1])
    ]
    return (
        "<h3>The same bytes elsewhere</h3><table><thead><tr><th>compressor</th><th>bytes</th>"
        f'<th class="bar"></th></tr></thead><tbody>{"".join(lines)}</tbody></table>'
        f"<p>Whole files, headers included. {escape(words)}</p>"
    )


def with_model(paid: Bill, xz_bytes: int) -> str:
    """Says what the rate is with the model counted, and from where on that beats xz.

    Args:
        paid: the bill.
        xz_bytes: the file that ``xz -9e`` makes of the same bytes.
    """
    if paid.model is None:
        return "This file needs no model to be decoded."
    nominal, with_files = (f"{r:,.{3 if r < _WHOLE else 0}f}" for r in paid.adjusted_rates)
    said = (
        "The model is not in the file: whoever decodes has it, as they have gzip. The adjusted "
        f"rate counts it: {nominal} at 2 bytes a parameter, {with_files} with the model's files "
        f"({readable_bytes(paid.model.file_bytes)})."
    )
    even = paid.break_even_bytes(xz_bytes)
    if math.isinf(even):
        return said
    return f"{said} Even so it would beat xz from {readable_bytes(even)} of such text on."


def _race_row(name: str, size: int, largest: int) -> str:
    ours = ' class="ours"' if name == "llmc" else ""
    return (
        f"<tr{ours}><td>{escape(_NAMES.get(name, name))}</td><td>{size:,}</td>"
        f'<td class="bar"><span style="width:{100 * size / largest:.1f}%"></span></td></tr>'
    )


def figures(result: Compression) -> str:
    """Returns bill and comparison side by side."""
    words = with_model(result.bill, result.sizes["xz"])
    parts = (bill(result.bill.rows()), race(result.sizes, words))
    return f'<div class="figures">{"".join(f"<section>{part}</section>" for part in parts)}</div>'


def number(value: float) -> str:
    """Whole numbers plainly, others with as many decimals as are worth reading."""
    if abs(value - round(value)) < _INVISIBLE:
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= _SMALL else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Says a time as exactly as a guess deserves."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
