"""Over temperature: one line at the usual learning rate, markers beside it at others."""

import pytest
from matplotlib.colors import to_hex
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses
from synthetic_families import make_temperatures, member

from disobey.analysis.names import EFFECT, EXAGGERATION, STUDENT
from disobey.figures import style
from disobey.figures.sweeps import draw_temperature


@pytest.mark.parametrize(
    "analyses",
    [
        make_temperatures(),
        make_temperatures(1, 1, (4,), ()),
        make_temperatures(2, bias=False),
        make_temperatures(4),
        make_temperatures(temperatures=(0.5, 1, 1.5, 2, 3, 4, 8, 20, 64), rates=(0.1, 0.25, 3, 10)),
        make_analyses(6),
        make_analyses(30, 1),
    ],
)
def test_no_text_overlaps_or_leaves_the_page(analyses, drawn_texts):
    drawn = draw_temperature(analyses)
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(style.TWO_COLUMNS)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def role_in(gid):
    return gid.split("/", 4)[4]


def points(drawn, prefix):
    """Every place and estimate drawn, by the line's role."""
    found = {}
    for gid, line in artists(drawn, f"estimate/{prefix}").items():
        found[role_in(gid)] = dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
    return found


@pytest.mark.parametrize(
    ("statistic", "model"),
    [(EXAGGERATION, STUDENT), (EXAGGERATION, EFFECT), ("accuracy", EFFECT)],
)
def test_drawn_are_the_numbers_of_each_learning_rate(statistic, model):
    analyses = make_temperatures()
    expected = {}
    for analysis in analyses.values():
        words = {0.05: "lr × 1/2", 0.1: style.ROLES[model].label, 0.2: "lr × 2"}
        line = expected.setdefault(words[round(analysis.about["lr"], 3)], {})
        line[analysis.about["temperature"]] = analysis.number(statistic, model)[0]
    drawn = points(draw_temperature(analyses), f"{statistic}/{model}/")
    assert {role.replace("\u00a0", " "): line for role, line in drawn.items()} == expected


def test_the_usual_rate_is_joined_by_a_line_and_others_are_not():
    drawn = draw_temperature(make_temperatures())
    for gid, line in artists(drawn, "estimate/").items():
        assert (line.get_linestyle() == "-") is ("lr" not in role_in(gid))
        model = gid.split("/")[2]
        assert to_hex(line.get_color()).upper() == style.ROLES[model].colour


def test_every_number_lies_inside_its_panel():
    for artist in artists(draw_temperature(make_temperatures()), "estimate/").values():
        left, right = artist.axes.get_xlim()
        low, high = artist.axes.get_ylim()
        assert left < min(artist.get_xdata()) and max(artist.get_xdata()) < right
        assert low < min(artist.get_ydata()) and max(artist.get_ydata()) < high


def test_temperatures_are_evenly_spaced_on_the_axis():
    drawn = draw_temperature(make_temperatures())
    (axes, *_) = (line.axes for line in artists(drawn, "estimate/").values())
    at = axes.transData.transform([(t, 1) for t in (1, 2, 4, 8)])[:, 0]
    assert at[1] - at[0] == pytest.approx(at[3] - at[2])


def test_settings_that_differ_in_more_are_other_families():
    analyses = make_temperatures() | {"other": member("other", {"weight": 0.5})}
    heads = [text.get_text() for text in draw_temperature(analyses).texts]
    assert any("weight 0.5" in head.replace("\u00a0", " ") for head in heads)
    assert any("weight 1" in head.replace("\u00a0", " ") for head in heads)


def test_trainings_in_epochs_and_in_steps_are_other_families():
    other = member("other", {"steps": 25000})
    del other.about["epochs"]
    heads = [text.get_text() for text in draw_temperature(make_temperatures() | {"x": other}).texts]
    assert any("25000 steps" in head.replace("\u00a0", " ") for head in heads)
    assert any("20 epochs" in head.replace("\u00a0", " ") for head in heads)


def test_missing_numbers_are_said(drawn_texts):
    analyses = make_temperatures(bias=False)
    for analysis in analyses.values():
        blank(analysis)
    drawn = draw_temperature(analyses)
    assert "no estimate" in {text.get_text() for text in drawn_texts(drawn)}


def test_settings_without_a_learning_rate_are_drawn_as_usual():
    drawn = draw_temperature(make_analyses(2))
    assert not any("lr" in role_in(gid) for gid in artists(drawn, "estimate/"))
