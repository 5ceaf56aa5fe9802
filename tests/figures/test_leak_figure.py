"""Leak and memory over temperature, or over the share seen."""

import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank
from synthetic_families import make_shares

from disobey.analysis.names import EFFECT, MISLABELLED, REFERENCE, STUDENT
from disobey.figures import style
from disobey.figures.sweeps import draw_leak


@pytest.mark.parametrize(
    "analyses",
    [make_shares(), make_shares((0.5,), (4,), 1), make_shares((0.1, 0.3, 0.5, 0.7, 0.9), (4,))],
)
def test_no_text_overlaps_or_leaves_the_page(analyses, drawn_texts):
    drawn = draw_leak(analyses)
    drawn.set_dpi(style.DPI)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize(
    ("key", "shares", "temperatures"),
    [("temperature", (0.5, 0.7), (1, 4, 16)), ("student_share", (0.3, 0.5, 0.7), (4,))],
)
def test_drawn_are_the_numbers_of_held_out_examples_and_references_are_hollow(
    key, shares, temperatures
):
    analyses = make_shares(shares, temperatures)
    drawn = artists(draw_leak(analyses), "estimate/")
    for statistic in ("leak", "memory"):
        for model in (REFERENCE, STUDENT, EFFECT):
            lines = [
                one
                for gid, one in drawn.items()
                if gid.startswith(f"estimate/{statistic}/{model}/")
            ]
            shown = {(x, y) for one in lines for x, y in zip(*one.get_data(), strict=True)}
            assert shown == {
                (one.about[key], one.number(statistic, model, "held_out", MISLABELLED)[0])
                for one in analyses.values()
            }
            marks = {
                mark.get_markerfacecolor()
                for one in lines
                for mark in one.axes.lines
                if mark.get_color() == one.get_color() and len(mark.get_xdata()) and mark is not one
            }
            assert marks == {style.HOLLOW if model == REFERENCE else style.ROLES[model].colour}


def test_missing_numbers_are_said(drawn_texts):
    analyses = make_shares()
    for analysis in analyses.values():
        blank(analysis)
    texts = {text.get_text() for text in drawn_texts(draw_leak(analyses))}
    assert "no estimate" in texts
