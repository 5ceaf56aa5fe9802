"""Gain against misfit, and the losses beside each other: numbers of the store, controls hollow."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses, put
from synthetic_curves import make_curves

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT
from disobey.analysis.payoff import SCORES
from disobey.figures import drawer, style


@pytest.fixture
def analyses():
    """Settings of different misfit and gain; the last one has no teacher."""
    made = make_analyses(6)
    for k, analysis in enumerate(made.values()):
        for score in SCORES:
            for model, by in ((STUDENT, 0.02), (REFERENCE, 0.005)):
                misfit, gain = 0.01 * (k + 1), by * (k - 2)
                put(analysis, f"{score}_misfit", model, (misfit, 0.8 * misfit, 1.2 * misfit))
                put(analysis, f"{score}_gain", model, (gain, gain - 0.01, gain + 0.01))
    *_, last = made
    made[last] = replace(made[last], about=made[last].about | {"control": "no teacher"})
    return made


def test_points_and_intervals_are_those_of_the_store_and_controls_are_hollow(analyses):
    found = artists(drawer("pay-off")(analyses), ("point/", "across/", "up/"))
    *_, last = analyses
    for name, analysis in analyses.items():
        for score in SCORES:
            gid = f"{score}_gain/{STUDENT}/{name}"
            x, *ends = analysis.number(f"{score}_misfit", STUDENT)
            y, *sides = analysis.number(f"{score}_gain", STUDENT)
            point = found[f"point/{gid}"]
            assert (list(point.get_xdata()), list(point.get_ydata())) == ([x], [y])
            assert list(found[f"across/{gid}"].get_xdata()) == ends
            assert list(found[f"up/{gid}"].get_ydata()) == sides
            filled = to_hex(point.get_markerfacecolor()) == to_hex(point.get_color())
            assert filled == (name != last)
            reference = found[f"point/{score}_gain/{REFERENCE}/{name}"]
            assert reference.get_markerfacecolor() == style.HOLLOW


def test_lines_of_equal_pay_off_are_where_gain_over_misfit_is_the_same(analyses):
    lines = artists(drawer("pay-off")(analyses), "equal/")
    assert len(lines) > 3
    for gid, line in lines.items():
        (_, misfit), (_, gain) = line.get_xdata(), line.get_ydata()
        assert gain / misfit == pytest.approx(float(gid.partition("/")[2]))


@pytest.mark.parametrize("figure", ["pay-off", "losses"])
@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (12, 3)])
def test_no_text_overlaps_or_leaves_the_page(figure, count, seeds, drawn_texts):
    drawn = drawer(figure)(make_analyses(count, seeds))
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(17 / 2.54)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_missing_numbers_are_said_not_drawn(drawn_texts):
    analyses = make_analyses(1)
    blank(next(iter(analyses.values())))
    drawn = drawer("pay-off")(analyses)
    assert not artists(drawn, "point/")
    said = [text.get_text() for text in drawn_texts(drawn)]
    assert said.count("no estimate") == len(SCORES) and any("not estimated" in one for one in said)


def test_the_losses_show_the_gain_at_equal_fit_where_curves_are_recorded():
    analyses = make_analyses(2)
    first, _ = analyses
    about = analyses[first].about
    analyses[first] = replace(analyses[first], curves=make_curves(first, about))
    found = artists(drawer("losses")(analyses), "estimate/")
    shown = {gid.split("/")[-1] for gid in found if gid.startswith("estimate/equal_accuracy")}
    assert shown == {first}
    drawn = found[f"estimate/equal_accuracy/{EFFECT}/{first}"].get_xdata()
    expected, *_ = analyses[first].curves.number("equal_accuracy", compared=STUDENT)
    np.testing.assert_allclose(drawn, [expected])
