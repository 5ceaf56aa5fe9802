"""Rounds of self-distillation: chains in order, and titles that say in which round what holds."""

import math

import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses
from synthetic_families import make_rounds, with_bias

from disobey.analysis.names import COMPARED, EXAGGERATION, STUDENT
from disobey.figures import style
from disobey.figures.sweeps import draw_rounds


def line_of(drawn, prefix):
    found = [line for gid, line in artists(drawn, "estimate/").items() if prefix in gid]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    "analyses",
    [
        make_rounds(),
        make_rounds(1, 1, 1),
        make_rounds(2, bias=False),
        make_rounds(10),
        make_rounds(1, rounds=9),
        make_analyses(1, 1),
        make_analyses(6),
        make_analyses(30),
    ],
)
def test_no_text_overlaps_or_leaves_the_column(analyses, drawn_texts):
    drawn = draw_rounds(analyses)
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(style.COLUMN_WIDTH)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_rounds_are_drawn_in_order_whatever_the_order_of_the_study():
    analyses = make_rounds()
    drawn = draw_rounds(dict(reversed(analyses.items())))
    for statistic in ("accuracy", EXAGGERATION):
        for model in COMPARED:
            line = line_of(drawn, f"{statistic}/{model}/")
            assert list(line.get_xdata()) == [1, 2, 3]
            expected = [analysis.number(statistic, model)[0] for analysis in analyses.values()]
            assert list(line.get_ydata()) == expected
    bias = line_of(drawn, f"bias/{STUDENT}/")
    assert list(bias.get_ydata()) == pytest.approx([0.9, 0.81, 0.729])


def test_intervals_of_the_bias_ratio_are_those_of_its_logarithm():
    drawn = draw_rounds(make_rounds())
    (bars,) = (bars for gid, bars in artists(drawn, "interval/bias").items())
    low, high = bars.get_segments()[0][:, 1]
    assert (math.log(low), math.log(high)) == pytest.approx(
        (math.log(0.9) - 0.05, math.log(0.9) + 0.05)
    )


def test_a_round_without_bias_leaves_a_gap():
    analyses = make_rounds(bias=False)
    first, *_, last = analyses
    for name, ratio in ((first, 0.9), (last, 0.7)):
        analyses[name] = with_bias(analyses[name], ratio)
    drawn = list(line_of(draw_rounds(analyses), "bias/").get_ydata())
    assert drawn[0] == pytest.approx(0.9) and math.isnan(drawn[1])
    assert drawn[2] == pytest.approx(0.7)


def test_without_any_bias_there_is_no_panel_of_it():
    drawn = draw_rounds(make_rounds(bias=False))
    assert not artists(drawn, "estimate/bias")
    assert "bias" not in " ".join(text.get_text() for text in drawn.texts).lower()


def test_chains_of_other_students_or_teachers_are_kept_apart():
    assert len(artists(draw_rounds(make_rounds(3)), "estimate/accuracy/student")) == 3
    two_teachers = make_rounds()
    for name, analysis in make_rounds().items():
        other = analysis.about | {"teacher": f"other {analysis.about['teacher']}"}
        two_teachers[f"{name}-other"] = type(analysis)(name, other, analysis.splits)
    lines = artists(draw_rounds(two_teachers), "estimate/accuracy/student").values()
    assert all(len(set(line.get_xdata())) == len(line.get_xdata()) for line in lines)


def test_missing_numbers_are_said(drawn_texts):
    analyses = make_rounds(bias=False)
    for analysis in analyses.values():
        blank(analysis)
    drawn = draw_rounds(analyses)
    assert "no estimate" in {text.get_text() for text in drawn_texts(drawn)}
