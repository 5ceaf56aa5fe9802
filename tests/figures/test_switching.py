"""Switching: both orders with their ends, beside models that never switch."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from reading_figures import artists, assert_texts_are_apart_and_inside, title
from synthetic_analyses import blank, make_analyses, put
from synthetic_families import make_switching, member
from test_style import BLIND

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.figures import curves, style

FIRST, THEN = "distillation_first", "one_hot_first"
SEVERAL = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.mark.parametrize(
    "analyses",
    [
        make_switching(),
        make_switching(ramps=(None, 0.1, 0.2)),
        make_switching((0.5,), seeds=1, kinds=(None,)),
        make_switching(SEVERAL, groups=3),
        make_analyses(2),
    ],
)
def test_no_text_overlaps_or_leaves_the_page(analyses, drawn_texts):
    drawn = curves.draw_switching(analyses)
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() in (style.COLUMN_WIDTH, style.TWO_COLUMNS)
    assert drawn.get_figheight() <= 1.4 * drawn.get_figwidth()
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))
    assert title(drawn) == "Final test accuracy against the switch point"


def lines(drawn, order, ramp="0"):
    return list(artists(drawn, f"estimate/{order}/{ramp}/").values())


def percent(analysis, model):
    return 100 * analysis.number("accuracy", model)[0]


@pytest.mark.parametrize("points", [(0.5,), SEVERAL])
def test_lines_run_from_the_reference_to_the_student_and_back(points):
    analyses = make_switching(points, kinds=(None,))
    plain = next(a for a in analyses.values() if "switch" not in a.about)
    ends = [percent(plain, model) for model in (REFERENCE, STUDENT)]
    drawn = curves.draw_switching(analyses)
    for order, (start, end) in ((FIRST, ends), (THEN, ends[::-1])):
        between = [
            percent(analysis, STUDENT)
            for analysis in analyses.values()
            if analysis.about.get("switch", {}).get("order") == order
        ]
        (line,) = lines(drawn, order)
        assert list(line.get_xdata()) == [0, *points, 1]
        assert list(line.get_ydata()) == [start, *between, end]


def test_without_an_unswitched_setting_only_the_reference_is_known():
    drawn = curves.draw_switching(make_switching((0.5,), kinds=(None,), plain=False))
    (first,), (then,) = lines(drawn, FIRST), lines(drawn, THEN)
    assert list(first.get_xdata()) == [0, 0.5]
    assert list(then.get_xdata()) == [0.5, 1]
    assert {gid.split("/")[1] for gid in artists(drawn, "level/")} == {REFERENCE}


def test_switches_at_the_ends_are_the_models_that_never_switch():
    """As a sweep over all switch points plans them: not drawn twice."""
    analyses = make_switching((0, 0.5, 1), kinds=(None,), plain=False)
    accuracy = {REFERENCE: 69, STUDENT: 75}
    for analysis in analyses.values():
        model = curves.unswitched(analysis)
        if model is not None:
            middle = accuracy[model] / 100
            put(analysis, "accuracy", STUDENT, (middle, middle - 0.01, middle + 0.01))
    drawn = curves.draw_switching(analyses)
    (first,), (then,) = lines(drawn, FIRST), lines(drawn, THEN)
    assert list(first.get_xdata()) == list(then.get_xdata()) == [0, 0.5, 1]
    assert first.get_ydata()[[0, -1]] == pytest.approx(list(accuracy.values()))
    assert then.get_ydata()[[0, -1]] == pytest.approx(list(accuracy.values())[::-1])


@pytest.mark.parametrize(
    ("switch", "model"),
    [
        ({"order": FIRST, "at": 0}, REFERENCE),
        ({"order": FIRST, "at": 1.0}, STUDENT),
        ({"order": THEN, "at": 0}, STUDENT),
        ({"order": THEN, "at": 1}, REFERENCE),
        ({"order": THEN, "at": 1, "ramp": 0.2}, None),
        ({"order": THEN, "at": 0.5}, None),
    ],
)
def test_a_hard_switch_at_an_end_leaves_one_loss(switch, model):
    assert curves.unswitched(member("mine", {"switch": switch})) == model


def test_models_that_never_switch_are_drawn_across_and_printed(drawn_texts):
    analyses = make_switching(kinds=(None,))
    plain = next(a for a in analyses.values() if "switch" not in a.about)
    drawn = curves.draw_switching(analyses)
    levels = artists(drawn, "level/")
    assert len(levels) == 2
    for gid, level in levels.items():
        model = gid.split("/")[1]
        assert set(level.get_ydata()) == {percent(plain, model)}
        assert to_hex(level.get_color()).upper() == style.ROLES[model].colour
    texts = " ".join(t.get_text().replace("\u00a0", " ") for t in drawn_texts(drawn))
    assert "one-hot alone 69.0 [68.0, 70.0]" in texts.replace("00", "0")


def test_ramped_switches_stand_apart_from_the_line():
    analyses = make_switching((0.5,), ramps=(None, 0.1, 0.2), kinds=(None,))
    drawn = curves.draw_switching(analyses)
    (hard,) = lines(drawn, FIRST)
    assert hard.get_linestyle() == "-"
    for length in ("0.1", "0.2"):
        (ramped,) = lines(drawn, FIRST, length)
        assert list(ramped.get_xdata()) == [0.5]
        assert ramped.get_linestyle() == "None"
    markers = {a.get_marker() for a in drawn.findobj() if hasattr(a, "get_marker")}
    assert set(curves.RAMPED[:2]) <= markers


def test_only_ramps_that_there_are_stand_in_the_legend():
    for ramps, expected in (((None,), set()), ((None, 0.2), {"ramped over 0.2"})):
        drawn = curves.draw_switching(make_switching(ramps=ramps))
        texts = drawn.findobj(lambda artist: hasattr(artist, "get_text"))
        labels = {text.get_text().replace("\u00a0", " ") for text in texts}
        assert {label for label in labels if label.startswith("ramped")} == expected


def test_switch_points_in_different_units_have_panels_of_their_own(drawn_texts):
    analyses = make_switching((0.5,), kinds=(None,))
    for analysis in analyses.values():
        if analysis.about.get("switch", {}).get("order") == THEN:
            analysis.about["switch"]["unit"] = "steps"
    drawn = curves.draw_switching(analyses)
    labels = {text.get_text() for text in drawn_texts(drawn)}
    assert set(curves.UNITS.values()) <= labels
    assert len(lines(drawn, FIRST)) == len(lines(drawn, THEN)) == 1


def test_settings_that_differ_in_more_get_panels_of_their_own():
    assert len(lines(curves.draw_switching(make_switching(groups=3)), FIRST)) == 6


def test_missing_numbers_are_left_out():
    analyses = make_switching()
    for analysis in analyses.values():
        blank(analysis)
    assert not np.isfinite(lines(curves.draw_switching(analyses), FIRST)[0].get_ydata()).any()


@pytest.mark.parametrize("kind", BLIND)
def test_orders_can_be_told_apart_without_red_or_green_cones(kind):
    roles = [*style.ORDER_ROLES.values(), style.ROLES[REFERENCE]]
    seen = []
    for role in roles:
        linear = np.array(to_rgb(role.colour)) ** 2.2
        seen.append(np.clip(np.array(BLIND[kind]) @ linear, 0, None) ** (1 / 2.2))
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other) > 0.2
