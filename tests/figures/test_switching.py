"""Switching: both orders with their ends; no verdict where a teacher is not what it is called."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from reading_figures import artists, assert_texts_are_apart_and_inside, title
from synthetic_analyses import blank, make_analyses, put
from synthetic_families import make_switching, member
from test_style import BLIND

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT, TEACHER
from disobey.figures import style, switching
from disobey.numbers import number

FIRST, THEN = "distillation first", "one-hot first"
SEVERAL = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.mark.parametrize(
    "analyses",
    [
        make_switching(),
        make_switching(ramps=(None, 0.1, 0.2)),
        make_switching((0.5,), seeds=1, kinds=(None,)),
        make_switching(SEVERAL, groups=2),
        make_switching(SEVERAL, groups=3),
        make_switching(fits={"interpolating": 0.9949, "non_interpolating": 0.995}, groups=2),
        make_analyses(6),
        make_analyses(30, 1),
    ],
)
def test_no_text_overlaps_or_leaves_the_column(analyses, drawn_texts):
    drawn = switching.draw(analyses)
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(style.COLUMN_WIDTH)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def lines(drawn, role):
    found = {
        gid: line for gid, line in artists(drawn, "estimate/").items() if gid.split("/")[2] == role
    }
    return list(found.values())


@pytest.mark.parametrize("points", [(0.5,), SEVERAL])
def test_lines_run_from_the_reference_to_the_student_and_back(points):
    analyses = make_switching(points, kinds=("interpolating",))
    plain = next(a for a in analyses.values() if "switch" not in a.about)
    ends = [plain.number("accuracy", model)[0] for model in (REFERENCE, STUDENT)]
    drawn = switching.draw(analyses)
    for role, order, (start, end) in (
        (FIRST, "distillation_first", ends),
        (THEN, "one_hot_first", ends[::-1]),
    ):
        between = [
            analysis.number("accuracy", STUDENT)[0]
            for analysis in analyses.values()
            if analysis.about.get("switch", {}).get("order") == order
        ]
        (line,) = lines(drawn, role)
        assert list(line.get_xdata()) == [0, *points, 1]
        assert list(line.get_ydata()) == [start, *between, end]


def test_without_an_unswitched_setting_only_the_reference_is_known():
    drawn = switching.draw(make_switching((0.5,), kinds=("interpolating",), plain=False))
    (first,), (then,) = lines(drawn, FIRST), lines(drawn, THEN)
    assert list(first.get_xdata()) == [0, 0.5]
    assert list(then.get_xdata()) == [0.5, 1]
    assert {gid.split("/")[1] for gid in artists(drawn, "level/")} == {REFERENCE}


def test_switches_at_the_ends_are_the_models_that_never_switch():
    """As a sweep over all switch points plans them: not drawn twice, not counted as switches."""
    analyses = make_switching((0, 0.5, 1), kinds=("interpolating",), plain=False)
    accuracy = {REFERENCE: 0.69, STUDENT: 0.75}
    for analysis in analyses.values():
        model = switching.unswitched(analysis)
        if model is not None:
            middle = accuracy[model]
            put(analysis, "accuracy", STUDENT, (middle, middle - 0.01, middle + 0.01))
    drawn = switching.draw(analyses)
    (first,), (then,) = lines(drawn, FIRST), lines(drawn, THEN)
    assert list(first.get_xdata()) == list(then.get_xdata()) == [0, 0.5, 1]
    assert [first.get_ydata()[k] for k in (0, -1)] == list(accuracy.values())
    assert [then.get_ydata()[k] for k in (0, -1)] == list(accuracy.values())[::-1]
    assert "of 2 settings" in title(drawn)


@pytest.mark.parametrize(
    ("switch", "model"),
    [
        ({"order": "distillation_first", "at": 0}, REFERENCE),
        ({"order": "distillation_first", "at": 1.0}, STUDENT),
        ({"order": "one_hot_first", "at": 0}, STUDENT),
        ({"order": "one_hot_first", "at": 1}, REFERENCE),
        ({"order": "one_hot_first", "at": 1, "ramp": 0.2}, None),
        ({"order": "one_hot_first", "at": 0.5}, None),
    ],
)
def test_a_hard_switch_at_an_end_leaves_one_loss(switch, model):
    assert switching.unswitched(member("mine", {"switch": switch})) == model


def test_models_that_never_switch_are_drawn_across():
    analyses = make_switching(kinds=("interpolating",))
    plain = next(a for a in analyses.values() if "switch" not in a.about)
    for gid, level in artists(switching.draw(analyses), "level/").items():
        model = gid.split("/")[1]
        assert set(level.get_ydata()) == {plain.number("accuracy", model)[0]}
        assert to_hex(level.get_color()).upper() == style.ROLES[model].colour


def test_ramped_switches_stand_apart_from_the_line():
    analyses = make_switching((0.5,), ramps=(None, 0.1, 0.2), kinds=("interpolating",))
    drawn = switching.draw(analyses)
    (hard,) = lines(drawn, FIRST)
    assert hard.get_linestyle() == "-"
    for length in (0.1, 0.2):
        (ramped,) = lines(drawn, f"{FIRST}, ramped over\u00a0{length}")
        assert list(ramped.get_xdata()) == [0.5]
        assert ramped.get_linestyle() == "None"
    markers = {a.get_marker() for a in drawn.findobj() if hasattr(a, "get_marker")}
    assert set(switching.RAMPED[:2]) <= markers


def test_only_ramps_that_there_are_stand_in_the_legend():
    for ramps, expected in (((None,), set()), ((None, 0.2), {"ramped over 0.2"})):
        drawn = switching.draw(make_switching(ramps=ramps))
        texts = drawn.findobj(lambda artist: hasattr(artist, "get_text"))
        labels = {text.get_text().replace("\u00a0", " ") for text in texts}
        assert {label for label in labels if label.startswith("ramped")} == expected


def set_gains(analyses, gains):
    """Set the effect on accuracy of each switched setting, by kind of teacher."""
    for kind, middles in gains.items():
        switched = [
            analysis
            for analysis in analyses.values()
            if analysis.about["teacher_fits"] == kind and "switch" in analysis.about
        ]
        for analysis, middle in zip(switched, middles, strict=True):
            put(analysis, "accuracy", EFFECT, (middle, middle - 0.01, middle + 0.01))


def test_title_counts_switches_by_kind_of_teacher():
    analyses = make_switching((0.25, 0.75))
    set_gains(
        analyses,
        {"interpolating": (0.1, 0.1, 0, -0.1), "non_interpolating": (-0.1, -0.1, -0.1, -0.1)},
    )
    assert title(switching.draw(analyses)) == (
        "Accuracy after a switch against one-hot training: with an interpolating teacher raised in "
        "2 of 4 settings, lowered in 1, undecided in 1; with a non-interpolating teacher raised in "
        "0 of 4 settings, lowered in 4"
    )


@pytest.mark.parametrize(("middle", "word"), [(0.1, "raised"), (-0.1, "lowered"), (0, "undecided")])
def test_title_of_a_single_switch_has_the_number(middle, word):
    analyses = make_switching((0.5,), kinds=("interpolating",))
    dropped = next(name for name in analyses if "one_hot_first" in name)
    del analyses[dropped]
    set_gains(analyses, {"interpolating": (middle,)})
    said = title(switching.draw(analyses))
    assert f"with an interpolating teacher {word}, {number(middle, 3)} [" in said


@pytest.mark.parametrize(
    ("kind", "share", "fails"),
    [
        ("interpolating", 0.995, False),
        ("interpolating", 0.9949, True),
        ("non_interpolating", 0.9949, False),
        ("non_interpolating", 0.995, True),
        (None, 0.5, False),
        ("interpolating", np.nan, True),
    ],
)
def test_a_teacher_that_misses_its_definition_gets_no_verdict(kind, share, fails, drawn_texts):
    analyses = make_switching(kinds=(kind,))
    for analysis in analyses.values():
        train = analysis.splits["train"]["value"]
        good = 0.9 if kind == "non_interpolating" else 1.0
        train.loc[{"statistic": "accuracy", "model": TEACHER}] = good
        train.loc[{"statistic": "accuracy", "model": TEACHER, "seed": 1}] = share
    drawn = switching.draw(analyses)
    texts = " ".join(text.get_text().replace("\n", " ") for text in drawn_texts(drawn))
    assert ("no verdict with" in title(drawn)) is fails
    assert ("raised in" not in title(drawn)) is fails
    assert ("in every seed, no verdict" in texts.replace("\u00a0", " ")) is fails


def test_one_teacher_that_misses_does_not_silence_the_others():
    analyses = make_switching(fits={"interpolating": 0.99})
    said = title(switching.draw(analyses))
    assert "no verdict with an interpolating teacher (definition missed by 1 of 1)" in said
    assert "with a non-interpolating teacher raised in 0 of 6 settings" in said


def test_the_measured_fit_is_printed_and_never_rounded_up_to_the_definition(drawn_texts):
    analyses = make_switching(kinds=("interpolating",), fits={"interpolating": 0.994999})
    texts = [t.get_text().replace("\u00a0", " ") for t in drawn_texts(switching.draw(analyses))]
    assert any("fits 99.49 % of the given labels" in text.replace("\n", " ") for text in texts)


def test_settings_that_differ_in_more_get_panels_of_their_own():
    assert len(lines(switching.draw(make_switching(groups=3)), FIRST)) == 6


def test_nothing_switched_one_seed_and_missing_numbers_give_no_verdict(drawn_texts):
    assert "no verdict (nothing is switched)" in title(switching.draw(make_analyses(2)))
    said = title(switching.draw(make_switching(seeds=1)))
    assert "with an interpolating teacher one seed: no verdict" in said
    analyses = make_switching()
    for analysis in analyses.values():
        blank(analysis)
    drawn = switching.draw(analyses)
    assert "no verdict" in title(drawn) and "raised" not in title(drawn)
    assert "no estimate" in {text.get_text() for text in drawn_texts(drawn)}


@pytest.mark.parametrize("kind", BLIND)
def test_orders_can_be_told_apart_without_red_or_green_cones(kind):
    roles = [*style.ORDER_ROLES.values(), style.ROLES[REFERENCE]]
    seen = []
    for role in roles:
        linear = np.array(to_rgb(role.colour)) ** 2.2
        seen.append(np.clip(np.array(BLIND[kind]) @ linear, 0, None) ** (1 / 2.2))
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(one - other) > 0.2


def test_the_same_bytes_each_time(tmp_path):
    for name in ("one", "two"):
        drawn = switching.draw(make_switching())
        style.save(drawn, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for suffix in ("pdf", "png"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two
