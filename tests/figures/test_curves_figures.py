"""Figures of training curves and of snapshots draw the right models and numbers."""

from dataclasses import replace

import numpy as np
import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside, title
from synthetic_analyses import make_analyses
from synthetic_curves import make_evaluated, make_snapshots, make_switched

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.figures import style
from disobey.figures.confidence import draw_steps
from disobey.figures.curves import draw_equal_accuracy, draw_training_curves
from disobey.numbers import interval

FIRST, THEN = "distillation_first", "one_hot_first"
FIGURES = {
    "training-curves": (draw_training_curves, "Test accuracy along training"),
    "equal-accuracy": (draw_equal_accuracy, "Test accuracy at equal training accuracy"),
    "steps": (draw_steps, "Confidence on training examples along training"),
}


@pytest.mark.parametrize(
    ("kind", "analyses"),
    [
        ("training-curves", make_switched()),
        ("training-curves", make_switched((0.25, 0.75), ramps=(None, 0.1))),
        ("training-curves", make_evaluated(2, seeds=1)),
        ("equal-accuracy", make_evaluated(1)),
        ("equal-accuracy", make_evaluated(6, placebos=("half_lr", "label_smoothing"))),
        ("equal-accuracy", make_evaluated(3, seeds=1, placebos=())),
        ("steps", make_snapshots(epochs=(1,))),
        ("steps", make_snapshots(epochs=(1, 2, 5, 10), switches=((FIRST, 0.5), (THEN, 0.5)))),
    ],
)
def test_texts_are_apart_and_the_title_is_short(kind, analyses, drawn_texts):
    draw, words = FIGURES[kind]
    drawn = draw(analyses)
    drawn.set_dpi(style.DPI)
    assert title(drawn) == words
    assert drawn.get_figwidth() in (style.COLUMN_WIDTH, style.TWO_COLUMNS)
    assert drawn.get_figheight() <= 1.4 * drawn.get_figwidth()
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize("kind", FIGURES)
def test_a_study_without_curves_or_snapshots_is_refused(kind):
    with pytest.raises(ValueError, match=f"the figure {kind} needs"):
        FIGURES[kind][0](make_analyses(1))


def texts(drawn):
    found = drawn.findobj(lambda artist: hasattr(artist, "get_text"))
    return [text.get_text().replace("\u00a0", " ") for text in found]


def test_four_arms_are_the_models_of_three_settings():
    analyses = make_switched()
    drawn = draw_training_curves(analyses)
    found = artists(drawn, "curve/")
    plain = next(a for a in analyses.values() if "switch" not in a.about)
    arms = {REFERENCE: (plain, REFERENCE), STUDENT: (plain, STUDENT)}
    arms |= {a.about["switch"]["order"]: (a, STUDENT)
             for a in analyses.values() if "switch" in a.about}  # fmt: skip
    assert {gid.split("/")[1] for gid in found} == set(arms)
    for arm, (analysis, model) in arms.items():
        data = analysis.curves.data.sel(model=model)
        line = found[f"curve/{arm}"]
        np.testing.assert_array_equal(line.get_xdata(), data.step)
        np.testing.assert_allclose(line.get_ydata(), 100 * data.test_accuracy.mean("seed"))
        ends = [100 * float(data[f"final_test_accuracy_{e}"]) for e in ("estimate", "low", "high")]
        assert any(interval(*ends).replace("\u00a0", " ") in text for text in texts(drawn))


def test_the_switch_is_marked_at_its_step():
    analyses = make_switched()
    at = {a.curves.data.attrs["switch_steps"][0] for a in analyses.values() if "switch" in a.about}
    drawn = draw_training_curves(analyses)
    marks = [line for line in drawn.findobj() if getattr(line, "get_gid", str)() == "switch"]
    assert len(marks) == 2 and {mark.get_xdata()[0] for mark in marks} == at


def test_each_switch_point_has_a_panel_where_an_order_has_several():
    drawn = draw_training_curves(make_switched((0.25, 0.5, 0.75)))
    heads = [text for text in texts(drawn) if "switch at" in text.replace("\n", " ")]
    assert len(heads) == 3


def test_switches_at_an_end_are_no_arms():
    drawn = draw_training_curves(make_switched((0, 0.5, 1)))
    assert len([text for text in texts(drawn) if "switch at" in text.replace("\n", " ")]) == 1


def test_equal_accuracy_prints_the_reference_and_the_closest_placebo():
    analyses = make_evaluated(1, placebos=("half_lr", "label_smoothing"))
    ((_, analysis),) = analyses.items()
    data = analysis.curves.data
    for placebo, middle in (("half_lr", 0.02), ("label_smoothing", 0.001)):
        for end, shift in (("estimate", 0), ("low", -0.005), ("high", 0.005)):
            name = f"equal_accuracy_difference_{end}"
            data[name].loc[{"placebo": placebo}] = middle + shift
    ends = [100 * float(data[f"equal_accuracy_{end}"].sel(compared=STUDENT))
            for end in ("estimate", "low", "high")]  # fmt: skip
    drawn = draw_equal_accuracy(analyses)
    said = " ".join(texts(drawn)).replace("\n", " ")
    assert f"vs reference {interval(*ends, 0.0)}".replace("\u00a0", " ") in said
    assert f"vs {style.role_of('label_smoothing').label} 0.10 [−0.40, 0.60]" in said
    assert "½" not in said
    line = artists(drawn, f"curve/{STUDENT}")[f"curve/{STUDENT}/{analysis.setting}"]
    mean = 100 * data.test_at_level.sel(model=STUDENT).mean("seed", skipna=False)
    np.testing.assert_allclose(line.get_ydata(), mean)


def test_models_that_reach_no_level_are_said_not_drawn():
    analyses = make_evaluated(2)
    _, poor = analyses.values()
    for end in ("estimate", "low", "high"):
        poor.curves.data[f"test_at_level_{end}"][:] = np.nan
    panels = [axes for axes in draw_equal_accuracy(analyses).axes if axes.get_xlabel()]
    said = ["no level is reached" in [text.get_text() for text in axes.texts] for axes in panels]
    assert said == [False, True]


def test_settings_without_curves_are_left_out():
    analyses = make_evaluated(2)
    first, second = analyses
    analyses[second] = replace(analyses[second], curves=None)
    assert all(first in gid for gid in artists(draw_equal_accuracy(analyses), "curve/"))


@pytest.mark.parametrize(
    ("switches", "labels"),
    [
        ((), ["one-hot", "distilled"]),
        (((THEN, 0.5),), ["one-hot", "distilled", "one-hot, then\ndistilled from 0.5"]),
        (
            ((FIRST, 0.25), (THEN, 0.5)),
            [
                "one-hot",
                "distilled",
                "distilled, then\none-hot from 0.25",
                "one-hot, then\ndistilled from 0.5",
            ],
        ),
    ],
)
def test_steps_have_a_row_per_arm_and_a_column_per_epoch(switches, labels):
    drawn = draw_steps(make_snapshots(epochs=(1, 5), switches=switches))
    panels = [axes for axes in drawn.axes if axes.get_lines()]
    named = [axes.get_ylabel().replace("\u00a0", " ") for axes in panels if axes.get_ylabel()]
    assert named == labels
    assert len(panels) == 3 * len(labels)
    heads = [axes.get_title().replace("\u00a0", " ") for axes in panels if axes.get_title()]
    assert heads == ["epoch 1", "epoch 5", "end, epoch 20"]


def test_steps_are_of_training_examples():
    analyses = make_snapshots(epochs=(1,))
    for analysis in analyses.values():
        analysis.splits["train"]["estimate"].loc[{"statistic": "plot_gap_bottom_decile"}] = -7.5
    assert sum("−7.50" in text for text in texts(draw_steps(analyses))) == 4


def test_a_step_without_an_example_or_a_gap_says_so_or_prints_none():
    analyses = make_snapshots(epochs=(1, 5))
    for analysis in analyses.values():
        analysis.splits["train"]["estimate"].loc[{"statistic": "plot_gap_bottom_decile"}] = -7.5
    first, second = analyses["plain@1"].splits["train"], analyses["plain@5"].splits["train"]
    first["density"].loc[{"compared": STUDENT}] = 0
    second["estimate"].loc[{"statistic": "plot_gap_bottom_decile", "model": STUDENT}] = np.nan
    *reference, empty, without, end = draw_steps(analyses).axes[:6]
    assert [text.get_text() for text in empty.texts] == ["no estimate"] and not empty.lines
    assert not without.texts and without.lines
    for axes in (*reference, end):
        assert len(axes.texts) == 1 and "−7.50" in axes.texts[0].get_text()
