"""The paper's plot shows the numbers of the store, with student and reference side by side."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from reading_figures import assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses, make_analysis, put

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.analysis.store import SPLITS
from disobey.figures import style
from disobey.figures.confidence import draw

GAP = "plot_gap_bottom_decile"
CM = 2.54


def panels(figure):
    """Return the axes with a plot in them, row by row from left to right."""
    shown = [axes for axes in figure.axes if any(isinstance(c, QuadMesh) for c in axes.collections)]
    return sorted(
        shown, key=lambda axes: (-round(axes.get_position().y0, 3), axes.get_position().x0)
    )


def line(axes, gid):
    (found,) = (line for line in axes.lines if line.get_gid() == gid)
    return found


def texts_of(axes):
    return (
        " ".join(text.get_text() for text in axes.texts).replace("\u00a0", " ").replace("\n", " ")
    )


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_no_text_overlaps_or_leaves_the_page(count, seeds, drawn_texts):
    drawn = draw(make_analyses(count, seeds))
    drawn.set_dpi(style.DPI)
    width, height = drawn.get_size_inches()
    assert width * CM == pytest.approx(8.3 if count == 1 else 17)
    assert height <= 1.4 * width
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_train_stands_above_test_and_the_second_seed_beside_the_student():
    analyses = make_analyses(2)
    shown = iter(panels(draw(analyses)))
    for split in SPLITS:
        for analysis in analyses.values():
            pair = {model: next(shown) for model in (STUDENT, REFERENCE)}
            assert len({axes.get_xlim() + axes.get_ylim() for axes in pair.values()}) == 1
            for model, axes in pair.items():
                here = analysis.splits[split].sel(compared=model)
                binned = line(axes, f"binned/{model}")
                np.testing.assert_array_equal(binned.get_xdata(), here.binned_teacher.values)
                np.testing.assert_array_equal(binned.get_ydata(), here.binned_model.values)
                assert binned.get_color() == style.ROLES[model].colour
                (bottom, end) = line(axes, f"gap/{model}").get_ydata()
                assert end - bottom == pytest.approx(analysis.number(GAP, model, split)[0])
                assert bottom == pytest.approx(here.binned_teacher.values[:2].mean())
    assert next(shown, None) is None


def test_numbers_of_each_model_and_split_stand_above_its_panel():
    analysis = make_analysis()
    numbers = {}
    for place, (split, model) in enumerate((s, m) for s in SPLITS for m in (STUDENT, REFERENCE)):
        numbers[split, model] = middle = place - 1.5
        put(analysis, GAP, model, (middle, middle - 0.1, middle + 0.1), split)
        put(analysis, "plot_slope", model, (place + 0.25, 0, 9), split)
    for place, axes in enumerate(panels(draw({"a": analysis}))):
        middle = f"{place - 1.5:.2f}".replace("-", "−")
        ends = f"[{place - 1.6:.2f}, {place - 1.4:.2f}]".replace("-", "−")
        assert f"gap {middle} {ends} slope {place}.25" in texts_of(axes)


def test_an_interval_clear_of_0_is_not_printed_as_if_it_held_it():
    analysis = make_analysis()
    put(analysis, GAP, STUDENT, (-0.5, -0.999, -0.001), "train")
    assert "[−0.999, −0.001]" in texts_of(panels(draw({"a": analysis}))[0])


def test_density_has_the_teacher_across():
    analysis = make_analysis()
    for data in analysis.splits.values():
        data["density"][:] = 0
        data["density"].loc[{"compared": STUDENT}][60, 50] = 7
        data["density"].loc[{"compared": REFERENCE}][60, 40] = 3
    student, reference, *_ = panels(draw({"a": analysis}))
    for axes, row, count in ((student, 50, 7), (reference, 40, 3)):
        (mesh,) = axes.collections
        assert mesh.get_array()[row, 60] == count and mesh.get_array().count() == 1
        edges = analysis.splits["train"].confidence_edge.values
        assert axes.get_xlim()[0] < edges[40] and axes.get_xlim()[1] > edges[61]


def test_few_examples_far_off_do_not_stretch_the_axes():
    analysis = make_analysis()
    analysis.splits["train"].density[:] *= 100  # so many that a few move no tail by a bin
    before = panels(draw({"a": analysis}))[0].get_xlim()
    density = analysis.splits["train"].density
    assert density[0].values[0, 0] == density[0].values[-1, -1] == 0
    density[0].values[0, 0] = density[0].values[-1, -1] = 5
    assert panels(draw({"a": analysis}))[0].get_xlim() == before


def test_a_comparison_of_one_split_without_a_reference_has_one_panel(drawn_texts):
    analysis = make_analysis()
    analysis.splits["test"] = analysis.splits.pop("train").sel(compared=[STUDENT])
    drawn = draw({"a": analysis})
    assert len(panels(drawn)) == 1
    assert not any("second seed" in text.get_text() for text in drawn_texts(drawn))
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_missing_numbers_are_said_not_drawn(drawn_texts):
    analyses = make_analyses(2)
    for analysis in analyses.values():
        blank(analysis)
    drawn = draw(analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert [text.get_text() for text in texts].count("no estimate") == 8
    assert not panels(drawn)
