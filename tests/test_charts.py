"""Figures of steering: their numbers are the rows', their words say the same."""

import math
import re
from typing import Any

import pytest

pytest.importorskip("plotly")

from llmcomp.evaluate.steering import Row
from llmcomp.ui import charts
from llmcomp.ui.words import LANGUAGES, Words

EN = Words("en")


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
    figure = charts.bills(ROWS, EN)
    assert [trace.name for trace in figure.data] == ["text", "prompt", "metadata", "envelope"]
    labels = list(figure.data[0].y)
    assert labels == ["<b>none ✓</b>", "string", "gaussian 4", "gaussian 16", "laplace 16"]
    sums = [sum(parts) for parts in zip(*(trace.x for trace in figure.data), strict=True)]
    assert sums == [r.total_bits for r in charts.in_order(ROWS)]
    assert "none: 4,200 bits" in charts.bills_words(ROWS, EN)
    assert "gaussian 16: 4,520 (+7.6 %)" in charts.bills_words(ROWS, EN)


def test_looking_closer_cuts_the_axis_around_none() -> None:
    assert charts.bills(ROWS, EN).layout.xaxis.range is None
    assert list(charts.bills(ROWS, EN, closer=True).layout.xaxis.range) == [3990.0, 4410.0]


def test_nothing_is_drawn_outside_its_axes() -> None:
    figure = charts.bills(ROWS, EN, closer=True)
    for bar, whole in zip(figure.data, charts.bills(ROWS, EN).data, strict=True):
        edges = [*bar.base, *(start + width for start, width in zip(bar.base, bar.x, strict=True))]
        assert 3990.0 <= min(edges) <= max(edges) <= 4410.0
        assert bar.customdata == whole.customdata == whole.x, "what is said of a bar is all of it"
    figure = charts.break_even(ROWS, EN)
    low, high = figure.layout.yaxis.range
    assert all(low <= rate <= high for trace in figure.data for rate in trace.y)
    assert min(len(trace.x) for trace in figure.data if trace.mode == "lines") > 10


def test_a_curve_meets_none_where_the_saving_pays_and_the_marker_is_measured() -> None:
    best = ROWS[4]
    crossing = best.break_even_bytes
    assert crossing == pytest.approx(1000 * 430 / 110)
    assert charts._rate(best, ROWS[0], crossing) == pytest.approx(4200 / 1000)
    assert charts._rate(best, ROWS[0], 1000) == pytest.approx(best.total_bits / 1000)
    assert charts._rate(ROWS[0], ROWS[0], 10) == charts._rate(ROWS[0], ROWS[0], 1e6)
    figure = charts.break_even(ROWS, EN)
    symbols = [
        trace.marker.symbol
        for trace in figure.data
        if trace.mode == "markers" and trace.marker.symbol != "x"
    ]
    assert symbols == ["circle", "circle", "circle-open", "circle-open", "circle-open"]
    assert all(t.line.dash == "dash" for t in figure.data if t.mode == "lines")
    words = charts.break_even_words(ROWS, EN)
    assert "gaussian 16 pays from 3.91 kB on" in words
    assert "string saves nothing" in words
    assert "Hollow" in words
    assert "Hollow" not in charts.break_even_words(ROWS[:2], EN)
    assert charts.break_even_words(ROWS[:1], EN).endswith("paid once.")


@pytest.mark.parametrize(("left", "right"), [(5, 200), (250, 1e4), (1001, 40_040), (12_500, 1e9)])
def test_lengths_on_an_axis_are_few_round_and_within_it(left: float, right: float) -> None:
    ticks = charts._lengths(left, right)
    assert 2 <= len(ticks) <= 5
    assert all(left <= tick <= right for tick in ticks)
    assert all(f"{tick:.0f}".rstrip("0") in {"1", "3"} for tick in ticks)


def test_points_of_rate_and_distortion_are_the_rows_and_twins_are_hollow() -> None:
    twins = [trained("gaussian", 16, 3895.0, 390.0)]
    figure = charts.rate_distortion(ROWS, EN, twins)
    fair, twin = figure.data[2], figure.data[4]
    assert list(fair.x) == [r.bits_per_coordinate for r in ROWS[3:]]
    assert list(fair.y) == [r.mse for r in ROWS[3:]]
    assert list(figure.data[3].y) == [3950.0, 3890.0]
    assert (fair.marker.symbol, twin.marker.symbol) == ("circle", "circle-open")
    assert "half-bin" in charts.rate_distortion_words(ROWS, EN, twins)
    assert "No trained prompt" in charts.rate_distortion_words(ROWS[:2], EN)


def test_figures_are_transparent_and_hold_no_text_of_a_user() -> None:
    for figure in (
        charts.bills(ROWS, EN),
        charts.break_even(ROWS, EN),
        charts.rate_distortion(ROWS, EN),
    ):
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        shown = [(t.name, t.hovertemplate, t.text) for t in figure.data]
        assert "<b>x" not in str(shown)


def test_figures_of_none_alone_can_be_drawn() -> None:
    assert len(charts.bills(ROWS[:1], EN).data) == 4
    assert len(charts.break_even(ROWS[:1], EN).data) == 2
    assert not charts.rate_distortion(ROWS[:1], EN).data


FIGURES = {
    "bills": lambda words: charts.bills(ROWS, words),
    "closer": lambda words: charts.bills(ROWS, words, closer=True),
    "even": lambda words: charts.break_even(ROWS, words),
    "rate": lambda words: charts.rate_distortion(ROWS, words, [ROWS[-1]]),
}
SAID = {
    "bills": lambda words: charts.bills_words(ROWS, words, closer=True),
    "even": lambda words: charts.break_even_words(ROWS, words),
    "rate": lambda words: charts.rate_distortion_words(ROWS, words, [ROWS[-1]]),
}


def written(figure: Any) -> list[str]:
    """Every text of a figure: axes, legend, names of bars, hovers, marks."""
    layout, texts = figure.layout, []
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        texts += [axis.title.text, *(axis.ticktext or ())]
    for trace in figure.data:
        labels = trace.y if trace.type == "bar" else ()
        texts += [trace.name, trace.text, trace.hovertemplate, *labels]
    texts += [note.text for note in layout.annotations]
    return [text for text in texts if text]


def english(text: str) -> set[str]:
    """Latin words of a text that are neither names nor markup nor what plotly fills in."""
    plain = re.sub(r"%\{.*?\}|<.*?>", "", text)
    names = {"gaussian", "laplace", "B", "kB", "MB", "GB", "TB"}
    return set(re.findall("[A-Za-z]+", plain)) - names


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_speaks_the_language_and_shows_the_same(name: str, language: str) -> None:
    own, other = FIGURES[name](Words("en")), FIGURES[name](Words(language))
    assert [text for text in written(other) if english(text)] == []
    assert len(written(own)) == len(written(other))
    assert any(english(text) for text in written(own)), "the test itself sees English"
    assert other.layout.separators == Words(language).separators
    blanks = re.compile(r"%\{.*?\}")
    for trace, twin in zip(own.data, other.data, strict=True):
        assert list(trace.x) == list(twin.x)
        assert set(blanks.findall(trace.hovertemplate)) == set(blanks.findall(twin.hovertemplate))


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
@pytest.mark.parametrize("name", SAID)
def test_what_a_figure_says_in_words_is_said_in_the_language(name: str, language: str) -> None:
    said = SAID[name](Words(language))
    assert not english(said)
    numbers = [
        sorted(re.findall(r"\d+", re.sub("[\u00a0.,]", "", text)))
        for text in (said, SAID[name](Words("en")))
    ]
    assert numbers[0] == numbers[1]


def test_numbers_are_written_as_the_language_does() -> None:
    said = SAID["bills"](Words("ru"))
    assert "без наведения: 4\u00a0200 бит" in said and "gaussian 16: 4\u00a0520 (+7,6 %)" in said
    assert "3,91 кБ" in SAID["even"](Words("ru"))
    assert "3.91 kB" in SAID["even"](Words("zh"))
