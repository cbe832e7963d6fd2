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

from llmcomp.evaluate.steering import Row
from llmcomp.ui import charts, views
from llmcomp.ui.charts import in_order, short
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

_LOSS_DIGITS = 3
_COLUMNS = (
    "what",
    "text",
    "prompt",
    "metadata",
    "envelope",
    "total",
    "change",
    "coordinate",
    "entropy",
    "mse",
    "even",
)


def training(value: Learning, words: Words) -> Status:
    """Returns the status line of a training: epoch, losses beside the plain ones, time left."""
    parts = [words("training", epoch=value.epoch, epochs=value.epochs)]
    losses = value.points[-1][1:] if value.points else (math.nan, math.nan)
    for loss, plain, where in zip(losses, value.plain, ("training", "held_out"), strict=True):
        if not math.isnan(loss):
            parts.append(words(f"{where}_part", loss=loss, plain=plain))
    if value.points:
        left = value.elapsed_s / value.epoch * (value.epochs - value.epoch)
        parts.append(words("left", time=views.duration(left, words)))
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


def stopped(session: Session | None, words: Words) -> Status:
    """Returns the status line after Stop on the Steer page: what is kept."""
    kept = session is not None and session.prompt
    return status(words("stopped_kept" if kept else "stopped_empty"), "idle")


def measured(session: Session, words: Words) -> Status:
    """Returns the status line of a finished run: the smallest file."""
    best = min(session.honest, key=lambda row: row.total_bits)
    plain = session.rows[0]
    said = words(
        "measured" if best.kind == plain.kind else "measured_steered",
        n=len(session.honest),
        name=short(best, words),
        size=views.number(best.total_bits / 8, words),
        plain=views.number(plain.total_bits / 8, words),
    )
    return status(said, "done")


def verdict(prediction: str | None, rows: Sequence[Row], words: Words) -> str:
    """Confronts what was predicted with what was measured, in one sentence of HTML."""
    trained = [row for row in rows if row.kind == "trained"]
    if not trained:
        return ""
    best = min(trained, key=lambda row: row.total_bits)
    soonest = min(row.break_even_bytes for row in trained)
    change = best.total_bits - rows[0].total_bits
    parts = [
        _said(prediction, _answer(best, rows[0], soonest), words),
        words(
            "verdict_larger" if change >= 0 else "verdict_smaller",
            name=short(best, words),
            bits=abs(change),
            prompt=best.prompt_bits + best.metadata_bits,
            saving=_saving(best, words),
        ),
    ]
    if math.isfinite(soonest) and change >= 0:
        parts.append(words("verdict_pays", length=words.length(soonest)))
    return f'<p class="verdict">{escape(" ".join(parts))}</p>'


def _answer(best: Row, plain: Row, soonest: float) -> str:
    if best.total_bits < plain.total_bits:
        return "yes"
    return "only for long texts" if math.isfinite(soonest) else "no"


def _saving(row: Row, words: Words) -> str:
    if row.saved_bits > 0:
        return words("saves", n=row.saved_bits)
    if row.saved_bits < 0:
        return words("lengthens", n=-row.saved_bits)
    return words("saves_nothing")


def _said(prediction: str | None, answer: str, words: Words) -> str:
    found = words(f"predict: {answer}")
    if prediction not in PREDICTIONS:
        return words("answer", answer=found)
    if prediction == answer:
        return words("answer_right", answer=found)
    return words("answer_wrong", said=words(f"predict: {prediction}"), answer=found)


def auto(rows: Sequence[Row], words: Words) -> str:
    """Says which of these ways auto would keep, and why, in HTML."""
    if len(rows) < 2:
        return ""
    best, second, *_ = sorted(rows, key=lambda row: row.total_bits)
    told = second if best.kind == "none" else best
    said = words(
        "auto_none" if best.kind == "none" else "auto_kept",
        name=short(best, words),
        size=views.number(best.total_bits / 8, words),
        next=short(second, words),
        saving=_saving(told, words),
        cost=told.prompt_bits + told.metadata_bits,
    )
    return f'<p class="auto">{escape(said)}</p>'


def table(rows: Sequence[Row], words: Words) -> str:
    """Returns every row as an HTML table, `none` first, and the sentence of `auto` under it."""
    if not rows:
        return ""
    plain = next(row for row in rows if row.kind == "none")
    least = min(row.total_bits for row in rows)
    title = escape(words("all_measured"))
    head = "".join(f"<th>{escape(words(f'column_{name}'))}</th>" for name in _COLUMNS)
    body = "".join(_table_row(row, plain, least, words) for row in in_order(rows))
    return (
        f'<div class="figures"><section><h3>{title}</h3>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{auto(rows, words)}</section></div>"
    )


def _table_row(row: Row, plain: Row, least: float, words: Words) -> str:
    change = 100 * (row.total_bits / plain.total_bits - 1)
    cells = [
        *(
            views.number(bits, words)
            for bits in (row.text_bits, row.prompt_bits, row.metadata_bits, row.envelope_bits)
        ),
        views.number(row.total_bits, words),
        f"{words.number(change, '+.2f')} %" if row is not plain else "",
        *(_digits(v, words) for v in (row.bits_per_coordinate, row.entropy_bits, row.mse)),
        words.length(row.break_even_bytes) if row is not plain else "",
    ]
    marked = ' class="ours"' if row.total_bits == least else ""
    name = f"{short(row, words)}{' ✓' * (row.total_bits == least)}"
    return f"<tr{marked}><td>{escape(name)}</td>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"


def _digits(value: float, words: Words) -> str:
    return "" if math.isnan(value) else words.number(value, ".3g")


def of_charts(session: Session) -> list[Row]:
    """Picks the rows that bars and curves show: of each prior the number of levels that is best."""
    best: dict[str, Row] = {}
    for row in session.honest:
        name = row.prior or row.kind
        if name not in best or row.total_bits < best[name].total_bits:
            best[name] = row
    return list(best.values())


def bill_caption(rows: Sequence[Row], words: Words, *, closer: bool) -> str:
    """Says in words what the bars show, in HTML."""
    return _caption(charts.bills_words(rows, words, closer=closer))


def published_caption(rows: Sequence[Row], words: Words) -> str:
    """Says what the stored experiment shows, in HTML."""
    plain, best = rows[0], min(rows[1:], key=lambda row: row.total_bits)
    said = words(
        "published",
        plain=plain.text_bits,
        text=best.text_bits,
        vectors=best.vector_bits,
        length=words.length(best.break_even_bytes),
    )
    return _caption(said)


def even_caption(rows: Sequence[Row], words: Words) -> str:
    """Says in words what the break-even figure shows, in HTML."""
    return _caption(charts.break_even_words(rows, words))


def rate_caption(session: Session, words: Words) -> str:
    """Says in words what the rate-distortion figure shows, in HTML."""
    return _caption(charts.rate_distortion_words(session.honest, words, session.twins))


def _caption(said: str) -> str:
    return f'<p class="caption">{escape(said)}</p>'
