"""Results as things to show: status values, table rows, HTML of our own numbers.

In: the plain values of ``handlers`` and a language's words. Out: dicts for the status line and HTML
for the bill and the comparison. User text never enters an HTML string here; labels are escaped all
the same. Knows nothing of gradio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from llmcomp.bill import Bill
from llmcomp.errors import LLMCompError
from llmcomp.ui.handlers import Compression, Decoding
from llmcomp.ui.jobs import InputError, Working
from llmcomp.ui.words import Words

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
    "picture",
    "race",
    "starting",
    "status",
    "stopped",
    "why",
    "with_model",
    "working",
]

Status = dict[str, Any]

_BEFORE = {
    "train": "loading_training",
    "load": "loading_model",
    "wait": "waiting_for_gpu",
}
_NAMES = {"ppmd": "PPMd"}
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


def starting(words: Words) -> Status:
    """Returns the status line between the click and the first step."""
    return status(words("starting"), "busy")


def stopped(words: Words) -> Status:
    """Returns the status line after Stop."""
    return status(words("stopped"), "idle")


def failed(message: str) -> Status:
    """Returns the status line of a job that ended with an error."""
    return status(message, "error")


def why(error: LLMCompError, words: Words) -> str:
    """Says an expected error in the visitor's language, as far as there are words for it.

    What the core found stays in English, behind a sentence that says what it means.
    """
    if isinstance(error, InputError) and error.key:
        return words(error.key, **error.values)
    message = str(error)
    known = words.get(f"error: {type(error).__name__}", "{message}")
    return known.format(message=message)


def working(value: Working, words: Words) -> Status:
    """Returns the status line of a running job: stage, count, rate and time left."""
    if value.stage in _BEFORE:
        return status(words(_BEFORE[value.stage]), "busy")
    parts = [words(f"stage_{value.stage}", done=value.done, total=value.total)]
    if value.done and value.elapsed_s >= _LEAST_S:
        rate = value.done / value.elapsed_s
        parts.append(words("per_second", n=round(rate)))
        parts.append(words("left", time=duration((value.total - value.done) / rate, words)))
    percent = 100 * value.done / value.total if value.total else None
    return status(", ".join(parts), "busy", percent)


def finished(result: Compression, words: Words) -> Status:
    """Returns the verdict on a compression: sizes, rate, and that it was decoded again."""
    raw, size = result.sizes["raw"], result.sizes["llmc"]
    said = {"raw": raw, "size": size, "rate": size / raw, "bits": 8 * size / raw}
    if result.elapsed_s is None:
        return status(words("stored", model=result.model, **said), "done")
    text = words("finished", time=duration(result.elapsed_s, words), **said)
    parts = (text, words("checked") if result.checked else "", result.choice)
    return status(" ".join(part for part in parts if part), "done")


def decoded(result: Decoding, words: Words) -> Status:
    """Returns the verdict on a decompression: what came out and what was checked."""
    text = words(
        "decoded" if result.text is not None else "decoded_binary",
        size=result.blob_bytes,
        raw=len(result.data),
        time=duration(result.elapsed_s, words),
        model=result.model,
    )
    return status(text, "done")


def picture(result: Compression, words: Words) -> Mapping[str, Any]:
    """Returns the trace with what is to be known about it, as the linked view takes it."""
    note = " ".join(words(key, **values) for key, values in result.remarks)
    return {**result.message, "note": note}


def bill(rows: Sequence[tuple[str, float]], words: Words) -> str:
    """Returns the bill as an HTML table; its last row is the sum of the others."""
    total = sum(bits for _, bits in rows)
    lines = [_bill_row(label, bits, total, words) for label, bits in rows if bits]
    lines.append(
        f'<tr class="total"><td>{escape(words("bill_total"))}</td><td>{number(total, words)}</td>'
        f"<td>{number(total / 8, words)}</td><td>100 %</td></tr>"
    )
    head = "".join(
        f"<th>{escape(words(f'bill_{name}'))}</th>" for name in ("part", "bits", "bytes", "share")
    )
    return (
        f"<h3>{escape(words('bill_title'))}</h3><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _bill_row(label: str, bits: float, total: float, words: Words) -> str:
    share = round(100 * bits / total, 1) + 0.0 if total else 0.0  # never -0.0
    return (
        f"<tr><td>{escape(words.get(f'bill: {label}', label))}</td>"
        f"<td>{number(bits, words)}</td><td>{number(bits / 8, words)}</td>"
        f"<td>{words.number(share, '.1f')} %</td></tr>"
    )


def race(sizes: Mapping[str, int], said: str, words: Words) -> str:
    """Returns the same bytes under every compressor as labelled bars, smallest first.

    Args:
        sizes: bytes by compressor.
        said: what is to be said of the model, which is in none of them.
        words: of the visitor's language.
    """
    largest = max(max(sizes.values()), 1)
    lines = [
        _race_row(name, size, largest, words)
        for name, size in sorted(sizes.items(), key=lambda s: s[1])
    ]
    head = f"<th>{escape(words('race_compressor'))}</th><th>{escape(words('bill_bytes'))}</th>"
    return (
        f"<h3>{escape(words('race_title'))}</h3><table><thead><tr>{head}"
        f'<th class="bar"></th></tr></thead><tbody>{"".join(lines)}</tbody></table>'
        f"<p>{escape(words('race_whole'))} {escape(said)}</p>"
    )


def with_model(paid: Bill, xz_bytes: int, words: Words) -> str:
    """Says what the rate is with the model counted, and from where on that beats xz.

    Args:
        paid: the bill.
        xz_bytes: the file that ``xz -9e`` makes of the same bytes.
        words: of the visitor's language.
    """
    if paid.model is None:
        return words("no_model")
    nominal, files = (
        words.number(rate, ",.3f" if rate < _WHOLE else ",.0f") for rate in paid.adjusted_rates
    )
    size = words.length(paid.model.file_bytes)
    said = words("with_model", nominal=nominal, files=files, size=size)
    even = paid.break_even_bytes(xz_bytes)
    if math.isinf(even):
        return said
    return f"{said} {words('even', length=words.length(even))}"


def _race_row(name: str, size: int, largest: int, words: Words) -> str:
    ours = ' class="ours"' if name == "llmc" else ""
    label = words.get(f"race: {name}", _NAMES.get(name, name))
    return (
        f"<tr{ours}><td>{escape(label)}</td><td>{words.number(size)}</td>"
        f'<td class="bar"><span style="width:{100 * size / largest:.1f}%"></span></td></tr>'
    )


def figures(result: Compression, words: Words) -> str:
    """Returns bill and comparison side by side."""
    said = with_model(result.bill, result.sizes["xz"], words)
    parts = (bill(result.bill.rows(), words), race(result.sizes, said, words))
    return f'<div class="figures">{"".join(f"<section>{part}</section>" for part in parts)}</div>'


def number(value: float, words: Words) -> str:
    """Whole numbers plainly, others with as many decimals as are worth reading."""
    if abs(value - round(value)) < _INVISIBLE:
        return words.number(round(value))
    return words.number(value, ",.1f" if abs(value) >= _SMALL else ".3f")


def duration(seconds: float, words: Words) -> str:
    """Says a time as exactly as a guess deserves."""
    if seconds < 1:
        return words("moment")
    if seconds < 90:
        return words("seconds", n=seconds)
    return words("minutes", n=seconds / 60)
