"""Figures of what steering costs and saves, from measured rows.

In: `Row` values and a language's words. Out: plotly figures, and the same in words for whoever does
not see them. The only module that imports plotly. Backgrounds are transparent and the colours of
medium lightness, so that a figure reads on a light page and on a dark one; a page may restyle its
texts and lines.

Nothing is drawn outside its axes: plotly would clip it by a reference to the page's address, which
no longer holds once the address follows the visitor.

Names on a figure are short and never hold a user's string: plotly reads its texts as markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from llmcomp.evaluate.steering import Row
from llmcomp.ui.words import Words

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
_NAMES = {"lloyd_max": "Lloyd-Max"}
_INK = "#7b828c"
_LINE = "rgba(128, 138, 150, 0.35)"
_FONT = ", ".join(("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"))
_CLOSER = 0.05
_BAR_PX = 34
_POINTS = 80
_LONGEST = 1e9
_LABELS = 5  # of lengths, at most: more would not fit a phone
_MOST_BITS = 4  # numbers of six digits below the bars, for the same reason


def short(row: Row, words: Words) -> str:
    """Names a way of steering in one or two words.

    A page shows the rows of one text and one prompt, which these words tell apart. A hyper-prior
    has one name in every language.
    """
    name = _prior(row) if row.prior else words.get(f"way: {row.kind}", row.kind)
    return f"{name} {row.levels}" if row.levels else name


def _prior(row: Row) -> str:
    return _NAMES.get(row.prior, row.prior)


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Puts `none` first and sorts the others by what they really cost."""
    return sorted(rows, key=lambda row: (row.kind != "none", row.total_bits))


def bills(rows: Sequence[Row], words: Words, *, closer: bool = False) -> go.Figure:
    """Draws every bit of every choice as one stacked bar, `none` first, the smallest marked.

    Args:
        rows: what was measured, `none` among it.
        words: of the visitor's language.
        closer: cut the axis around `none`, 5 % to either side; bars then no longer begin at 0.
    """
    ordered = in_order(rows)
    least = min(row.total_bits for row in ordered)
    names = [short(row, words) for row in ordered]
    labels = [
        f"<b>{name} ✓</b>" if row.total_bits == least else name
        for name, row in zip(names, ordered, strict=True)
    ]
    plain = ordered[0].total_bits
    low, high = (plain * (1 - _CLOSER), plain * (1 + _CLOSER)) if closer else (0.0, math.inf)
    figure, ends = go.Figure(), [0.0] * len(ordered)
    for name, part, colour in _PARTS:
        said = words(f"column_{name}")
        bits = [getattr(row, part) for row in ordered]
        starts, ends = ends, [end + more for end, more in zip(ends, bits, strict=True)]
        seen = [[min(max(edge, low), high) for edge in edges] for edges in (starts, ends)]
        figure.add_bar(
            y=labels,
            base=seen[0],
            x=[right - left for left, right in zip(*seen, strict=True)],
            customdata=bits,
            name=said,
            orientation="h",
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=_hover(
                words("hover_bill", way="%{y}", part=said, bits="%{customdata:,.0f}")
            ),
        )
    figure.update_layout(barmode="overlay", bargap=0.3)
    _dress(figure, words, height=120 + _BAR_PX * len(ordered))
    figure.update_layout(legend_traceorder="normal")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(
        title_text=words("axis_file"), rangemode="tozero", tickformat=",~f", nticks=_MOST_BITS
    )
    if closer:
        figure.update_xaxes(range=[low, high])
        figure.add_vline(x=plain, line={"color": _INK, "width": 1.5, "dash": "dot"})
    return figure


def bills_words(rows: Sequence[Row], words: Words, *, closer: bool = False) -> str:
    """Says what `bills` shows."""
    plain, *others = in_order(rows)
    ways = [words("bills_plain", way=short(plain, words), bits=plain.total_bits)]
    for row in others:
        change = 100 * (row.total_bits / plain.total_bits - 1)
        way = short(row, words)
        ways.append(words("bills_way", way=way, bits=row.total_bits, change=change))
    said = words("bills_said", ways=words.listed(ways))
    return f"{said} {words('bills_cut', percent=100 * _CLOSER)}" if closer else said


def break_even(rows: Sequence[Row], words: Words) -> go.Figure:
    """Draws bits per byte against the length of the text, everything counted.

    Only the markers are measured; the dashed curves say what would be if text like this went on and
    the saving kept up. A hollow marker was measured on the text its prompt was trained on.

    Args:
        rows: what was measured, `none` among it.
        words: of the visitor's language.
    """
    ordered = in_order(rows)
    n_bytes = ordered[0].raw_bytes
    finite = [r.break_even_bytes for r in ordered[1:] if math.isfinite(r.break_even_bytes)]
    right = min(max([10.0 * n_bytes, *(3 * length for length in finite)]), _LONGEST)
    left = max(n_bytes / 4, 1.0)
    lengths = [left * (right / left) ** (i / (_POINTS - 1)) for i in range(_POINTS)]
    # near zero length every prompt is infinitely dear: show what there is to decide
    highest = max(_rate(row, ordered[0], n_bytes) for row in ordered)
    lowest = min(_rate(row, ordered[0], right) for row in ordered)
    margin = 0.08 * (highest - lowest) or 0.1
    low, high = lowest - margin, highest + margin
    figure = go.Figure()
    for row in ordered:
        colour, way = _COLOURS[row.prior or row.kind], short(row, words)
        rates = [(length, _rate(row, ordered[0], length)) for length in lengths]
        shown = [(length, rate) for length, rate in rates if low <= rate <= high]
        figure.add_scatter(
            x=[length for length, _ in shown],
            y=[rate for _, rate in shown],
            mode="lines",
            line={"color": colour, "dash": "dash", "width": 2},
            legendgroup=row.name,
            showlegend=False,
            hovertemplate=_hover(words("hover_even", way=way, rate="%{y:.3f}", length="%{x:,.0f}")),
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
            name=way,
            legendgroup=row.name,
            hovertemplate=_hover(words("hover_measured", way=way, rate="%{y:.3f}")),
        )
    _mark_crossings(figure, ordered, words)
    _dress(figure, words, height=380)
    ticks = _lengths(left, right)
    figure.update_xaxes(
        type="log",
        title_text=words("axis_length"),
        tickvals=ticks,
        ticktext=[words.length(length) for length in ticks],
    )
    figure.update_yaxes(title_text=words("axis_rate"), range=[low, high], tickformat=".3~f")
    return figure


def _lengths(left: float, right: float) -> list[float]:
    """Round lengths to write on an axis, not more than fit."""
    tens = range(math.ceil(math.log10(left)), math.floor(math.log10(right)) + 1)
    if len(tens) <= _LABELS // 2:
        halves = [factor * 10.0**n for n in range(tens.start - 1, tens.stop) for factor in (1, 3)]
        return [length for length in halves if left <= length <= right]
    return [10.0**n for n in tens[:: math.ceil(len(tens) / _LABELS)]]


def _rate(row: Row, plain: Row, n_bytes: float) -> float:
    """Bits per byte at another length: what is dearer than in `none` is paid once."""
    once = row.prompt_bits + row.metadata_bits + row.envelope_bits - plain.envelope_bits
    return (row.total_bits - once) / row.raw_bytes + once / n_bytes


def _mark_crossings(figure: go.Figure, ordered: Sequence[Row], words: Words) -> None:
    level = ordered[0].total_bits / ordered[0].raw_bytes
    paying = [row for row in ordered[1:] if 0 < row.break_even_bytes <= _LONGEST]
    for place, row in enumerate(sorted(paying, key=lambda row: row.break_even_bytes)):
        length = words.length(row.break_even_bytes)
        figure.add_scatter(
            x=[row.break_even_bytes],
            y=[level],
            mode="markers+text" if place == 0 else "markers",
            text=length,
            textposition="bottom center",
            marker={"symbol": "x", "size": 10, "color": _COLOURS[row.prior or row.kind]},
            legendgroup=row.name,
            showlegend=False,
            hovertemplate=_hover(words("even_pays", way=short(row, words), length=length)),
        )


def break_even_words(rows: Sequence[Row], words: Words) -> str:
    """Says what `break_even` shows."""
    plain, *others = in_order(rows)
    said = [words("even_said", n=plain.raw_bytes)]
    if others:
        ways = [_pays(row, words) for row in others]
        said.append(words("even_ways", ways=words.listed(ways)))
    if any(row.transductive for row in rows):
        said.append(words("even_hollow"))
    return " ".join(said)


def _pays(row: Row, words: Words) -> str:
    way = short(row, words)
    if math.isinf(row.break_even_bytes):
        return words("even_never", way=way)
    return words("even_pays", way=way, length=words.length(row.break_even_bytes))


def rate_distortion(rows: Sequence[Row], words: Words, twins: Sequence[Row] = ()) -> go.Figure:
    """Draws what a coordinate of the prompt costs against what it loses, and what that does.

    The text is taken before it is rounded to bytes, which would hide small differences; the dotted
    line is the text without a prompt.

    Args:
        rows: what was measured; rows without a trained prompt are left out.
        words: of the visitor's language.
        twins: the same with the published half-bin error, hollow.
    """
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.5, 0.5]
    )
    for found, fair in ((rows, True), (twins, False)):
        for prior in dict.fromkeys(row.prior for row in found if row.prior):
            line = sorted((row for row in found if row.prior == prior), key=lambda row: row.levels)
            for place, part in ((1, "mse"), (2, "ideal_bits")):
                curve = _curve(line, part, words, fair=fair, legend=place == 1)
                figure.add_trace(curve, row=place, col=1)
    _dress(figure, words, height=520)
    figure.update_yaxes(type="log", title_text=words("axis_error"), exponentformat="power", row=1)
    figure.update_yaxes(title_text=words("axis_text"), tickformat=",.1~f", row=2)
    if any(row.prior for row in rows):
        plain = {"color": _INK, "width": 1.5, "dash": "dot"}
        way = words("way: none")
        figure.add_hline(y=rows[0].plain_bits, row=2, line=plain, annotation_text=way)
    figure.update_xaxes(tickformat=".3~f")
    figure.update_xaxes(title_text=words("column_coordinate"), row=2)
    return figure


def _curve(line: Sequence[Row], part: str, words: Words, *, fair: bool, legend: bool) -> go.Scatter:
    prior, name = line[0].prior, _prior(line[0])
    point = {"way": name, "levels": "%{customdata}", "bits": "%{x:.2f}"}
    if part == "mse":
        hover = words("hover_error", error="%{y:.3g}", **point)
    else:
        hover = words("hover_text", text="%{y:,.0f}", **point)
    return go.Scatter(
        x=[row.bits_per_coordinate for row in line],
        y=[getattr(row, part) for row in line],
        mode="lines+markers",
        name=name if fair else words("half_bin_way", way=name),
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
        hovertemplate=_hover(hover),
    )


def rate_distortion_words(rows: Sequence[Row], words: Words, twins: Sequence[Row] = ()) -> str:
    """Says what `rate_distortion` shows."""
    trained = [row for row in rows if row.prior]
    if not trained:
        return words("rate_none")
    best = min(trained, key=lambda row: row.total_bits)
    said = words(
        "rate_said",
        n=len(trained),
        way=_prior(best),
        levels=best.levels,
        bits=best.bits_per_coordinate,
        error=best.mse,
        text=best.ideal_bits,
        plain=best.plain_bits,
    )
    return f"{said} {words('rate_hollow')}" if twins else said


def _hover(said: str) -> str:
    """What stands beside a point; without the box in which plotly repeats the curve's name.

    Lines are short because nothing wraps there, and a phone is narrow.
    """
    return said.replace("\n", "<br>") + "<extra></extra>"


def _dress(figure: go.Figure, words: Words, *, height: int) -> None:
    """Gives a figure the page's looks, and writes its numbers as the language does."""
    figure.update_layout(
        separators=words.separators,
        template=None,  # plotly's own is twice as long as the figure, and nothing of it would show
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
        hoverlabel={"align": "left", "font": {"family": _FONT, "size": 13}},
    )
    axes = {
        "gridcolor": _LINE,
        "zerolinecolor": _LINE,
        "linecolor": _LINE,
        "automargin": True,
        "title_standoff": 15,
        "fixedrange": True,  # a finger that scrolls the page must not zoom the figure
    }
    figure.update_xaxes(**axes)
    figure.update_yaxes(**axes)
