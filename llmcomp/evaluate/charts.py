"""Figures of what steering costs and saves, from measured rows.

In: `Row` values. Out: plotly figures, and the same in words for whoever does not see them. The only
module that imports plotly. Backgrounds are transparent and the colours of medium lightness, so that
a figure reads on a light page and on a dark one; a page may restyle its texts and lines.

Names on a figure are short and never hold a user's string: plotly reads its texts as markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from llmcomp.bill import readable_bytes
from llmcomp.evaluate.steering import Row

__all__ = [
    "bills",
    "bills_words",
    "break_even",
    "break_even_words",
    "in_order",
    "rate_distortion",
    "rate_distortion_words",
    "short",
]

_PARTS = (
    ("text", "text_bits", "#2b7fc4"),
    ("prompt", "prompt_bits", "#c9801d"),
    ("metadata", "metadata_bits", "#a561c4"),
    ("envelope", "envelope_bits", "#8a9099"),
)
_COLOURS = {
    "none": "#8a9099",
    "text": "#2f9e8f",
    "random": "#a561c4",
    "gaussian": "#2b7fc4",
    "empirical": "#c9801d",
    "lloyd_max": "#d2605a",
    "laplace": "#5f8f2f",
}
_NAMES = {"text": "string", "lloyd_max": "Lloyd-Max"}
_INK = "#7b828c"
_LINE = "rgba(128, 138, 150, 0.35)"
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, sans-serif"
_CLOSER = 0.05
_BAR_PX = 34
_POINTS = 80
_LONGEST = 1e9


def short(row: Row) -> str:
    """Names a way of steering in one or two words.

    A page shows the rows of one text and one prompt, which these words tell apart.
    """
    name = row.prior or row.kind
    return " ".join([_NAMES.get(name, name), *([str(row.levels)] if row.levels else [])])


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Puts `none` first and sorts the others by what they really cost."""
    return sorted(rows, key=lambda row: (row.kind != "none", row.total_bits))


def bills(rows: Sequence[Row], *, closer: bool = False) -> go.Figure:
    """Draws every bit of every choice as one stacked bar, `none` first, the smallest marked.

    Args:
        rows: what was measured, `none` among it.
        closer: cut the axis around `none`, 5 % to either side; bars then no longer begin at 0.
    """
    ordered = in_order(rows)
    least = min(row.total_bits for row in ordered)
    labels = [f"<b>{short(r)} ✓</b>" if r.total_bits == least else short(r) for r in ordered]
    figure = go.Figure()
    for name, part, colour in _PARTS:
        figure.add_bar(
            y=labels,
            x=[getattr(row, part) for row in ordered],
            name=name,
            orientation="h",
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"%{{y}}: {name} %{{x:,.0f}} bits<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3)
    _dress(figure, height=120 + _BAR_PX * len(ordered))
    figure.update_layout(legend_traceorder="normal")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(title_text="bits of the file", rangemode="tozero")
    if closer:
        plain = ordered[0].total_bits
        figure.update_xaxes(range=[plain * (1 - _CLOSER), plain * (1 + _CLOSER)])
        figure.add_vline(x=plain, line={"color": _INK, "width": 1.5, "dash": "dot"})
    return figure


def bills_words(rows: Sequence[Row]) -> str:
    """Says what `bills` shows."""
    ordered = in_order(rows)
    plain = ordered[0].total_bits
    said = [f"none {plain:,.0f} bits"]
    for row in ordered[1:]:
        change = 100 * (row.total_bits / plain - 1)
        said.append(f"{short(row)} {row.total_bits:,.0f} ({change:+.1f} %)")
    return (
        "Whole files, every bit counted: the text, the coded prompt, what says how to read it "
        f"(metadata), header and checksums (envelope). {'; '.join(said)}."
    )


def break_even(rows: Sequence[Row]) -> go.Figure:
    """Draws bits per byte against the length of the text, everything counted.

    Only the markers are measured; the dashed curves say what would be if text like this went on and
    the saving kept up. A hollow marker was measured on the text its prompt was trained on.

    Args:
        rows: what was measured, `none` among it.
    """
    ordered = in_order(rows)
    n_bytes = ordered[0].raw_bytes
    finite = [r.break_even_bytes for r in ordered[1:] if math.isfinite(r.break_even_bytes)]
    right = min(max([10.0 * n_bytes, *(3 * length for length in finite)]), _LONGEST)
    left = max(n_bytes / 4, 1.0)
    lengths = [left * (right / left) ** (i / (_POINTS - 1)) for i in range(_POINTS)]
    figure = go.Figure()
    for row in ordered:
        colour = _COLOURS[row.prior or row.kind]
        figure.add_scatter(
            x=lengths,
            y=[_rate(row, ordered[0], length) for length in lengths],
            mode="lines",
            line={"color": colour, "dash": "dash", "width": 2},
            legendgroup=row.name,
            showlegend=False,
            hovertemplate=f"{short(row)}: %{{y:.3f}} bits/byte at %{{x:,.0f}} bytes, if the saving "
            "kept up<extra></extra>",
        )
        hollow = row.transductive
        figure.add_scatter(
            x=[n_bytes],
            y=[_rate(row, ordered[0], n_bytes)],
            mode="markers",
            marker={
                "color": colour,
                "size": 11,
                "symbol": "circle-open" if hollow else "circle",
                "line": {"width": 2, "color": colour},
            },
            name=short(row),
            legendgroup=row.name,
            hovertemplate=f"{short(row)}: %{{y:.3f}} bits/byte, measured<extra></extra>",
        )
    _mark_crossings(figure, ordered)
    _dress(figure, height=380)
    figure.update_xaxes(type="log", title_text="length of the text in bytes", exponentformat="SI")
    # near zero length every prompt is infinitely dear: show what there is to decide
    highest = max(_rate(row, ordered[0], n_bytes) for row in ordered)
    lowest = min(_rate(row, ordered[0], right) for row in ordered)
    margin = 0.08 * (highest - lowest) or 0.1
    figure.update_yaxes(title_text="bits per byte", range=[lowest - margin, highest + margin])
    return figure


def _rate(row: Row, plain: Row, n_bytes: float) -> float:
    """Bits per byte at another length: what is dearer than in `none` is paid once."""
    once = row.prompt_bits + row.metadata_bits + row.envelope_bits - plain.envelope_bits
    return (row.total_bits - once) / row.raw_bytes + once / n_bytes


def _mark_crossings(figure: go.Figure, ordered: Sequence[Row]) -> None:
    level = ordered[0].total_bits / ordered[0].raw_bytes
    paying = [row for row in ordered[1:] if 0 < row.break_even_bytes <= _LONGEST]
    for place, row in enumerate(sorted(paying, key=lambda row: row.break_even_bytes)):
        figure.add_scatter(
            x=[row.break_even_bytes],
            y=[level],
            mode="markers+text" if place == 0 else "markers",
            text=readable_bytes(row.break_even_bytes),
            textposition="bottom center",
            marker={"symbol": "x", "size": 10, "color": _COLOURS[row.prior or row.kind]},
            legendgroup=row.name,
            showlegend=False,
            hovertemplate=f"{short(row)} pays from {readable_bytes(row.break_even_bytes)} on"
            "<extra></extra>",
        )


def break_even_words(rows: Sequence[Row]) -> str:
    """Says what `break_even` shows."""
    plain, *others = in_order(rows)
    said = []
    for row in others:
        if math.isinf(row.break_even_bytes):
            said.append(f"{short(row)} saves nothing, so it never pays")
        else:
            said.append(f"{short(row)} pays from {readable_bytes(row.break_even_bytes)} on")
    hollow = (
        " Hollow: measured on the very text the prompt was trained on, which flatters it."
        if any(row.transductive for row in rows)
        else ""
    )
    return (
        f"Measured at {plain.raw_bytes:,} bytes only (markers); dashed is what would be if the "
        f"saving kept up, with the prompt paid once. {'; '.join(said)}.{hollow}"
    )


def rate_distortion(rows: Sequence[Row], twins: Sequence[Row] = ()) -> go.Figure:
    """Draws what a coordinate of the prompt costs against what it loses, and what that does.

    The text is taken before it is rounded to bytes, which would hide small differences; the dotted
    line is the text without a prompt.

    Args:
        rows: what was measured; rows without a trained prompt are left out.
        twins: the same with the published half-bin error, hollow.
    """
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.5, 0.5]
    )
    for found, fair in ((rows, True), (twins, False)):
        for prior in dict.fromkeys(row.prior for row in found if row.prior):
            line = sorted((row for row in found if row.prior == prior), key=lambda row: row.levels)
            for place, part in ((1, "mse"), (2, "ideal_bits")):
                figure.add_trace(_curve(line, part, fair=fair, legend=place == 1), row=place, col=1)
    _dress(figure, height=520)
    figure.update_yaxes(type="log", title_text="squared error", exponentformat="power", row=1)
    figure.update_yaxes(title_text="bits of text", tickformat=",.1~f", row=2)
    if any(row.prior for row in rows):
        plain = {"color": _INK, "width": 1.5, "dash": "dot"}
        figure.add_hline(y=rows[0].plain_bits, row=2, line=plain, annotation_text="none")
    figure.update_xaxes(title_text="bits per coordinate", row=2)
    return figure


def _curve(line: Sequence[Row], part: str, *, fair: bool, legend: bool) -> go.Scatter:
    prior = line[0].prior
    name = _NAMES.get(prior, prior)
    what = "MSE %{y:.3g}" if part == "mse" else "text %{y:,.0f} bits"
    return go.Scatter(
        x=[row.bits_per_coordinate for row in line],
        y=[getattr(row, part) for row in line],
        mode="lines+markers",
        name=name if fair else f"{name}, half-bin error",
        legendgroup=f"{prior} {fair}",
        showlegend=legend,
        customdata=[row.levels for row in line],
        line={"color": _COLOURS[prior], "width": 1.5, "dash": "solid" if fair else "dot"},
        marker={
            "size": 9,
            "symbol": "circle" if fair else "circle-open",
            "color": _COLOURS[prior],
            "line": {"width": 1.5, "color": _COLOURS[prior]},
        },
        hovertemplate=f"{name}, %{{customdata}} levels: %{{x:.2f}} bits per coordinate, {what}"
        "<extra></extra>",
    )


def rate_distortion_words(rows: Sequence[Row], twins: Sequence[Row] = ()) -> str:
    """Says what `rate_distortion` shows."""
    trained = [row for row in rows if row.prior]
    if not trained:
        return "No trained prompt was measured yet."
    best = min(trained, key=lambda row: row.total_bits)
    words = (
        f"Each point is a prompt that was really coded, {len(trained)} in all. Fewer levels are "
        "cheaper and coarser; beyond some point the text no longer gets shorter. The smallest file "
        f"of these: {short(best)} levels, {best.bits_per_coordinate:.2f} bits per coordinate, "
        f"squared error {best.mse:.3g}, text {best.ideal_bits:,.0f} bits, without a prompt "
        f"{best.plain_bits:,.0f}."
    )
    if not twins:
        return words
    return (
        f"{words} Hollow: system 000's half-bin error; every value comes out half a step too high, "
        "at about four times the squared error."
    )


def _dress(figure: go.Figure, *, height: int) -> None:
    """Gives a figure the page's looks."""
    figure.update_layout(
        height=height,
        autosize=True,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 13, "color": _INK},
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.01,
            "x": 0,
            "xanchor": "left",
            "bgcolor": "rgba(0,0,0,0)",
        },
        dragmode=False,
        hoverlabel={"font": {"family": _FONT, "size": 13}},
    )
    axes = {
        "gridcolor": _LINE,
        "zerolinecolor": _LINE,
        "linecolor": _LINE,
        "automargin": True,
        "fixedrange": True,  # a finger that scrolls the page must not zoom the figure
    }
    figure.update_xaxes(**axes)
    figure.update_yaxes(**axes)
