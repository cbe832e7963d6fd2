"""Figures of steering: their numbers are the rows', their words say the same."""

import math

import pytest

pytest.importorskip("plotly")

from llmcomp.evaluate import charts
from llmcomp.evaluate.steering import Row


def row(kind: str, text_bits: float, prompt_bits: float = 0.0, **more: object) -> Row:
    fields = {
        "name": kind,
        "kind": kind,
        "prior": "",
        "levels": 0,
        "text_bits": text_bits,
        "prompt_bits": prompt_bits,
        "metadata_bits": 40.0 if kind != "none" else 0.0,
        "envelope_bits": 200.0,
        "entropy_bits": math.nan,
        "mse": math.nan,
        "n_coordinates": 0,
        "raw_bytes": 1000,
        "ideal_bits": text_bits,
        "plain_bits": 4000.0,
        "transductive": False,
    }
    return Row(**(fields | more))


def trained(prior: str, levels: int, text_bits: float, prompt_bits: float) -> Row:
    return row(
        "trained",
        text_bits,
        prompt_bits,
        prior=prior,
        levels=levels,
        mse=1.0 / levels**2,
        entropy_bits=math.log2(levels),
        n_coordinates=100,
        transductive=True,
    )


ROWS = [
    row("none", 4000.0),
    row("text", 4010.0, name="text '<b>x</b>'"),
    trained("laplace", 16, 3900.0, 400.0),
    trained("gaussian", 4, 3950.0, 200.0),
    trained("gaussian", 16, 3890.0, 390.0),
]


def test_bars_add_up_to_the_files_none_first_then_by_size_smallest_marked() -> None:
    figure = charts.bills(ROWS)
    assert [trace.name for trace in figure.data] == ["text", "prompt", "metadata", "envelope"]
    labels = list(figure.data[0].y)
    assert labels == ["<b>none ✓</b>", "string", "gaussian 4", "gaussian 16", "laplace 16"]
    sums = [sum(parts) for parts in zip(*(trace.x for trace in figure.data), strict=True)]
    assert sums == [r.total_bits for r in charts.in_order(ROWS)]
    assert "none 4,200 bits" in charts.bills_words(ROWS)
    assert "gaussian 16 4,520 (+7.6 %)" in charts.bills_words(ROWS)


def test_looking_closer_cuts_the_axis_around_none() -> None:
    assert charts.bills(ROWS).layout.xaxis.range is None
    assert list(charts.bills(ROWS, closer=True).layout.xaxis.range) == [3990.0, 4410.0]


def test_a_curve_meets_none_where_the_saving_pays_and_the_marker_is_measured() -> None:
    best = ROWS[4]
    crossing = best.break_even_bytes
    assert crossing == pytest.approx(1000 * 430 / 110)
    assert charts._rate(best, ROWS[0], crossing) == pytest.approx(4200 / 1000)
    assert charts._rate(best, ROWS[0], 1000) == pytest.approx(best.total_bits / 1000)
    assert charts._rate(ROWS[0], ROWS[0], 10) == charts._rate(ROWS[0], ROWS[0], 1e6)
    figure = charts.break_even(ROWS)
    symbols = [
        trace.marker.symbol
        for trace in figure.data
        if trace.mode == "markers" and trace.marker.symbol != "x"
    ]
    assert symbols == ["circle", "circle", "circle-open", "circle-open", "circle-open"]
    assert all(t.line.dash == "dash" for t in figure.data if t.mode == "lines")
    words = charts.break_even_words(ROWS)
    assert "gaussian 16 pays from 3.91 kB on" in words
    assert "string saves nothing" in words
    assert "Hollow" in words
    assert "Hollow" not in charts.break_even_words(ROWS[:2])


def test_points_of_rate_and_distortion_are_the_rows_and_twins_are_hollow() -> None:
    twins = [trained("gaussian", 16, 3895.0, 390.0)]
    figure = charts.rate_distortion(ROWS, twins)
    fair, twin = figure.data[2], figure.data[4]
    assert list(fair.x) == [r.bits_per_coordinate for r in ROWS[3:]]
    assert list(fair.y) == [r.mse for r in ROWS[3:]]
    assert list(figure.data[3].y) == [3950.0, 3890.0]
    assert (fair.marker.symbol, twin.marker.symbol) == ("circle", "circle-open")
    assert "half-bin" in charts.rate_distortion_words(ROWS, twins)
    assert "No trained prompt" in charts.rate_distortion_words(ROWS[:2])


def test_figures_are_transparent_and_hold_no_text_of_a_user() -> None:
    for figure in (charts.bills(ROWS), charts.break_even(ROWS), charts.rate_distortion(ROWS)):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        shown = [(t.name, t.hovertemplate, t.text) for t in figure.data]
        assert "<b>x" not in str(shown)


def test_figures_of_none_alone_can_be_drawn() -> None:
    assert len(charts.bills(ROWS[:1]).data) == 4
    assert len(charts.break_even(ROWS[:1]).data) == 2
    assert not charts.rate_distortion(ROWS[:1]).data
