"""Series against something that was varied: what is drawn, and labels that keep apart."""

import math

import numpy as np
import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside

from disobey.analysis.names import COMPARED, REFERENCE, STUDENT
from disobey.figures import sheet, style
from disobey.figures.series import Across, Series, SeriesPanel, draw_series
from disobey.figures.sheet import Sheet

EPOCHS = (1, 2, 5, 10, 20, 40, 80, 160, 320)
NAN = (math.nan,) * 3


def series(model, centre, half=0.05, places=EPOCHS):
    middles = [centre * (1 + k / 50) for k in range(len(places))]
    numbers = tuple((middle, middle - half, middle + half) for middle in middles)
    return Series(f"A/{model}", style.ROLES[model], places, numbers)


@style.styled
def sheet_of(*drawn, columns=2):
    sheet = Sheet()
    draw_series(sheet, drawn, columns)
    figure = sheet.finish()
    figure.set_dpi(style.DPI)
    return figure


def panel(*lines, log=False, **options):
    return SeriesPanel("A (ratio)", lines, Across("epoch", log), **options)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("centre", [-5e3, -1e-4, 1e-4, 0.7, 3e5])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_labels_keep_apart_on_any_scale(centre, columns, log, drawn_texts):
    lines = [series(model, centre, abs(centre) / 9) for model in COMPARED]
    figure = sheet_of(*[panel(*lines, log=log)] * columns, columns=columns)
    assert_texts_are_apart_and_inside(figure, drawn_texts(figure))


def test_lines_and_intervals_are_those_that_were_given():
    figure = sheet_of(panel(series(STUDENT, 0.7), series(REFERENCE, 1.0)))
    for model, centre in ((STUDENT, 0.7), (REFERENCE, 1.0)):
        expected = series(model, centre)
        estimate = artists(figure, "estimate/")[f"estimate/A/{model}"]
        assert tuple(estimate.get_xdata()) == EPOCHS
        assert list(estimate.get_ydata()) == [numbers[0] for numbers in expected.numbers]
        segments = artists(figure, "interval/")[f"interval/A/{model}"].get_segments()
        ends = [tuple(segment[:, 1]) for segment in segments]
        assert ends == [numbers[1:] for numbers in expected.numbers]


def test_two_models_at_one_place_stand_side_by_side():
    figure = sheet_of(panel(series(STUDENT, 0.7), series(REFERENCE, 0.7)))
    at = [
        line.get_transform().transform(line.get_xydata())[0, 0]
        for line in artists(figure, "estimate/").values()
    ]
    assert abs(at[0] - at[1]) > 0.02 * figure.dpi


def test_every_number_lies_inside_its_panel():
    figure = sheet_of(panel(series(STUDENT, 0.7, 0.4), null=2.0, ratio=True))
    (axes,) = (line.axes for line in artists(figure, "estimate/").values())
    low, high = axes.get_ylim()
    assert low < 0.3 and high > 2.0
    assert axes.get_yscale() == "log"


def test_without_an_interval_a_marker_is_hollow():
    numbers = ((1.0, 0.9, 1.1), (1.2, math.nan, math.nan), NAN)
    line = Series("A/student", style.ROLES[STUDENT], (1, 2, 3), numbers)
    figure = sheet_of(panel(line))
    markers = [a for a in figure.findobj() if getattr(a, "get_marker", str)() == "o"]
    fills = {tuple(a.get_xdata()): a.get_markerfacecolor() for a in markers}
    assert fills == {(1,): style.ROLES[STUDENT].colour, (2, 3): style.HOLLOW}


def test_missing_numbers_are_said(drawn_texts):
    line = Series("A/student", style.ROLES[STUDENT], (1, 2), (NAN, NAN))
    texts = [text.get_text() for text in drawn_texts(sheet_of(panel(line)))]
    assert "no estimate" in texts


def test_a_single_place_is_drawn(drawn_texts):
    figure = sheet_of(panel(series(STUDENT, 1.0, places=(4,))))
    texts = [text.get_text() for text in drawn_texts(figure)]
    assert "4" in texts


@pytest.mark.parametrize(
    ("low", "high"), [(0.9, 1.1), (0.3, 1.2), (0.02, 1.5), (1e-9, 1e3), (0.97, 0.98)]
)
def test_ratios_get_a_few_round_ticks(low, high):
    ticks = sheet.ratio_ticks(low, high)
    assert 2 <= len(ticks) <= sheet.MAX_TICKS
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (40, "40"), (2.5e-4, "2.5e−4"), (2.5e-7, "2.5e−7"), (-3.0, "−3"), (1e6, "1e6")],
)
def test_numbers_are_short(value, text):
    assert sheet.short(value) == text


def test_ticks_without_room_lose_their_labels_not_their_place():
    figure = sheet_of(panel(series(STUDENT, 1.0, places=tuple(range(1, 60)))), columns=3)
    (axes,) = (line.axes for line in artists(figure, "estimate/").values())
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(axes.get_xticks()) == 59
    assert labels[0] == "1" and labels[-1] == "59"
    np.testing.assert_array_equal(axes.get_xticks(), range(1, 60))


def test_a_scale_on_which_no_two_round_numbers_fit_has_one_tick():
    assert sheet.even_ticks(0.2, 174.0, 2) == [100.0]  # 0 and 200 are beyond it


@pytest.mark.parametrize("low", [0.6, 0.653, 0.66, 0.6601, 0.69, 0.7])
@pytest.mark.parametrize("spread", [0.01, 0.02, 0.05, 0.082, 0.085, 0.09, 0.3])
def test_a_scale_has_two_ticks_at_least(low, spread):
    ticks = sheet.even_ticks(low, low + spread)
    assert 2 <= len(ticks) <= sheet.MAX_TICKS
