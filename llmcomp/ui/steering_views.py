"""What steering cost and saved, as things to show: status values, curves, tables, sentences.

In: the values of ``steering`` and measured rows. Out: dicts for the status line and the loss curve,
HTML of our own numbers. User text never enters an HTML string here: rows go by their short names.
Knows nothing of gradio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from llmcomp.bill import readable_bytes
from llmcomp.evaluate import charts
from llmcomp.evaluate.charts import in_order, short
from llmcomp.evaluate.steering import Row
from llmcomp.ui import views
from llmcomp.ui.steering import Learning, Session
from llmcomp.ui.views import Status, status
from llmcomp.ui.words import Words

__all__ = [
    "PREDICTIONS",
    "auto",
    "bill_caption",
    "curve",
    "even_caption",
    "measured",
    "of_charts",
    "published_caption",
    "rate_caption",
    "stopped",
    "table",
    "training",
    "verdict",
]

PREDICTIONS = ("yes", "no", "only for long texts")

_EN = Words("en")

_LOSS_DIGITS = 3
_COLUMNS = (
    "in front of the text",
    "text",
    "prompt",
    "metadata",
    "envelope",
    "total bits",
    "against none",
    "bits per coordinate",
    "entropy",
    "MSE",
    "break-even",
)


def training(value: Learning) -> Status:
    """Returns the status line of a training: epoch, losses beside the plain ones, time left."""
    parts = [f"Training: epoch {value.epoch:.1f} of {value.epochs}"]
    losses = value.points[-1][1:] if value.points else (math.nan, math.nan)
    for loss, plain, where in zip(losses, value.plain, ("training", "held-out"), strict=True):
        if not math.isnan(loss):
            parts.append(f"{where} part {loss:.3f} bits per byte, {plain:.3f} without a prompt")
    if value.points:
        left = value.elapsed_s / value.epoch * (value.epochs - value.epoch)
        parts.append(f"about {views.duration(left, _EN)} left")
    return status("; ".join(parts), "busy", 100 * value.epoch / value.epochs)


def curve(value: Learning) -> Mapping[str, Any]:
    """Returns the losses as the message of the loss curve; what does not exist is None."""
    return {
        "epochs": value.epochs,
        "points": [[_loss(number) for number in point] for point in value.points],
        "plain": [_loss(number) for number in value.plain],
    }


def _loss(value: float) -> float | None:
    return None if math.isnan(value) else round(value, _LOSS_DIGITS + 1)


def stopped(session: Session | None) -> Status:
    """Returns the status line after Stop on the Steer page: what is kept."""
    if session is None or not session.prompt:
        return status("Stopped. No prompt was trained yet.", "idle")
    return status(
        "Stopped. The best prompt so far is kept: download it, or press Measure again.", "idle"
    )


def measured(session: Session) -> Status:
    """Returns the status line of a finished run: the smallest file."""
    best = min(session.honest, key=lambda row: row.total_bits)
    plain = session.rows[0]
    text = (
        f"{len(session.honest)} ways measured. Smallest file: {short(best)}, "
        f"{views.number(best.total_bits / 8, _EN)} bytes"
    )
    if best.kind != plain.kind:
        text += f"; without steering {views.number(plain.total_bits / 8, _EN)}"
    return status(f"{text}.", "done")


def verdict(prediction: str | None, rows: Sequence[Row]) -> str:
    """Confronts what was predicted with what was measured, in one sentence of HTML."""
    trained = [row for row in rows if row.kind == "trained"]
    if not trained:
        return ""
    best = min(trained, key=lambda row: row.total_bits)
    soonest = min(row.break_even_bytes for row in trained)
    said = _said(prediction, _answer(best, rows[0], soonest))
    plain = rows[0].total_bits
    change = best.total_bits - plain
    where = f"{abs(change):,.0f} bits {'larger' if change >= 0 else 'smaller'}"
    cost = f"the prompt weighs {best.prompt_bits + best.metadata_bits:,.0f} bits"
    end = ""
    if math.isfinite(soonest) and change >= 0:
        long = readable_bytes(soonest)
        end = f" If the saving kept up, a prompt would pay from {long} of such text on."
    return (
        f'<p class="verdict">{escape(said)} With all bits counted the best trained prompt '
        f"({escape(short(best))}) makes this file {where}: {cost} and {_saving(best)}.{end}</p>"
    )


def _answer(best: Row, plain: Row, soonest: float) -> str:
    if best.total_bits < plain.total_bits:
        return "yes"
    return "only for long texts" if math.isfinite(soonest) else "no"


def _saving(row: Row) -> str:
    if row.saved_bits > 0:
        return f"saves {row.saved_bits:,.0f} bits of text"
    if row.saved_bits < 0:
        return f"makes the text {-row.saved_bits:,.0f} bits longer"
    return "saves no bit of text"


def _said(prediction: str | None, answer: str) -> str:
    if prediction not in PREDICTIONS:
        return f"The measured answer: {answer}."
    if prediction == answer:
        return f"You said {prediction}, and so it is."
    return f"You said {prediction}; the measured answer is: {answer}."


def auto(rows: Sequence[Row]) -> str:
    """Says which of these ways auto would keep, and why, in HTML."""
    if not rows:
        return ""
    best, *others = sorted(rows, key=lambda row: row.total_bits)
    if not others:
        return ""
    why = f"its file is the smallest, {views.number(best.total_bits / 8, _EN)} bytes"
    if best.kind == "none":
        nearest = others[0]
        why += (
            f": {short(nearest)} comes next; it {_saving(nearest)} and costs "
            f"{nearest.prompt_bits + nearest.metadata_bits:,.0f} to describe"
        )
    else:
        why += (
            f": it {_saving(best)} and costs "
            f"{best.prompt_bits + best.metadata_bits:,.0f} to describe"
        )
    return f'<p class="auto">Of these, auto keeps <b>{escape(short(best))}</b> because {why}.</p>'


def table(rows: Sequence[Row]) -> str:
    """Returns every row as an HTML table, `none` first, and the sentence of `auto` under it."""
    if not rows:
        return ""
    plain = next(row for row in rows if row.kind == "none")
    least = min(row.total_bits for row in rows)
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    body = "".join(_table_row(row, plain, least) for row in in_order(rows))
    return (
        f'<div class="figures"><section><h3>All that was measured, in bits</h3>'
        f'<div class="wide" tabindex="0" role="region" aria-label="All that was measured">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{auto(rows)}</section></div>"
    )


def _table_row(row: Row, plain: Row, least: float) -> str:
    change = 100 * (row.total_bits / plain.total_bits - 1)
    cells = [
        *(
            views.number(bits, _EN)
            for bits in (row.text_bits, row.prompt_bits, row.metadata_bits, row.envelope_bits)
        ),
        views.number(row.total_bits, _EN),
        f"{change:+.2f} %" if row is not plain else "",
        *(_digits(v) for v in (row.bits_per_coordinate, row.entropy_bits, row.mse)),
        readable_bytes(row.break_even_bytes) if row is not plain else "",
    ]
    marked = ' class="ours"' if row.total_bits == least else ""
    name = f"{short(row)} ✓" if row.total_bits == least else short(row)
    return f"<tr{marked}><td>{escape(name)}</td>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"


def _digits(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def of_charts(session: Session) -> list[Row]:
    """Picks the rows that bars and curves show: of each prior the number of levels that is best."""
    best: dict[str, Row] = {}
    for row in session.honest:
        name = row.prior or row.kind
        if name not in best or row.total_bits < best[name].total_bits:
            best[name] = row
    return list(best.values())


def bill_caption(rows: Sequence[Row], *, closer: bool) -> str:
    """Says in words what the bars show, in HTML."""
    cut = " The axis is cut 5 % to either side of none." if closer else ""
    return _caption(charts.bills_words(rows) + cut)


def published_caption(rows: Sequence[Row]) -> str:
    """Says what the stored experiment shows, in HTML."""
    plain, best = rows[0], min(rows[1:], key=lambda row: row.total_bits)
    return _caption(
        "200 vectors, trained for 500 epochs on the first 50,000 bytes of enwik8, the very text "
        f"they then help to code. The text falls from {plain.text_bits:,.0f} bits to "
        f"{best.text_bits:,.0f}; the vectors take {best.vector_bits:,.0f}. Published was the fall "
        f"alone. If it kept up, a text of {readable_bytes(best.break_even_bytes)} would pay."
    )


def even_caption(rows: Sequence[Row]) -> str:
    """Says in words what the break-even figure shows, in HTML."""
    return _caption(charts.break_even_words(rows))


def rate_caption(session: Session) -> str:
    """Says in words what the rate-distortion figure shows, in HTML."""
    return _caption(charts.rate_distortion_words(session.honest, session.twins))


def _caption(words: str) -> str:
    return f'<p class="caption">{escape(words)}</p>'
