"""Figures of the label's class, of dissections, of other measures and of mislabelled points."""

import numpy as np
import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_readings import make_read

from disobey.analysis.names import CURVES, MISLABELLED, PANELS, REFERENCE, STUDENT
from disobey.figures import drawer, style
from disobey.figures.cells import limits_of

pytestmark = pytest.mark.slow

FIGURES = ("label-class", "dissection", "measures", "mislabelled")
MOST = {"label-class": 4, "dissection": 6, "measures": 5, "mislabelled": 4}
MEGABYTE = 1_000_000


def draw(figure, analyses):
    drawn = drawer(figure)(analyses)
    drawn.set_dpi(style.DPI)
    return drawn


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(("several", "seeds"), [(False, 1), (True, 3)])
def test_no_text_overlaps_or_leaves_the_page_and_the_page_is_no_strip(
    figure, several, seeds, drawn_texts
):
    drawn = draw(figure, make_read(MOST[figure] if several else 1, seeds))
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))
    width, height = drawn.get_size_inches()
    assert width in (pytest.approx(style.COLUMN_WIDTH), pytest.approx(style.TWO_COLUMNS))
    assert height <= 1.4 * width


@pytest.mark.parametrize("figure", FIGURES)
def test_it_draws_what_a_comparison_lacks_nothing_of(figure, drawn_texts):
    """One split, no labels, no reference: as somebody else's logits may come."""
    for split in ("train", "test"):
        analyses = make_read(2, 1, labelled=False, reference=False, splits=(split,))
        drawn = draw(figure, analyses)
        assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))
        assert not any(gid.endswith(REFERENCE) for gid in artists(drawn, "binned/"))
    if figure in ("label-class", "dissection"):
        assert "no labels" in words(drawn)


@pytest.mark.parametrize("figure", FIGURES)
def test_files_are_small_and_the_same_bytes_each_time(figure, tmp_path):
    written = []
    for name in ("one", "two"):
        pdf, png = tmp_path / f"{name}.pdf", tmp_path / f"{name}.png"
        style.save(draw(figure, make_read(2)), pdf, png)
        written.append((pdf.read_bytes(), png.read_bytes()))
    assert written[0] == written[1]
    assert max(map(len, written[0])) < MEGABYTE


def test_points_at_the_label_are_those_of_the_analysis():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    drawn = artists(draw("label-class", analyses), "binned/")
    for model in (STUDENT, REFERENCE):
        data = analysis.splits["test"].sel(compared=model)
        np.testing.assert_array_equal(drawn[f"binned/{model}"].get_ydata(), data.label_binned_model)


def test_numbers_above_a_panel_are_those_of_the_analysis():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    place = {"model": STUDENT, "subset": "all"}
    for statistic, middle in (
        ("label_gap_bottom_decile", -7.25),
        ("label_gap_bottom_decile_by_replicate", -3.5),
        ("only_model_right_gap", -2.75),
        ("only_model_right_share", 0.05),
        ("only_model_right_share_below_diagonal", 0.5),
        ("neither_right_share", 0.123),
        ("mislabelled_auc", 0.875),
    ):
        for data in analysis.splits.values():
            for name, shift in (("estimate", 0), ("low", -0.02), ("high", 0.02)):
                data[name].loc[place | {"statistic": statistic}] = middle + shift
    assert "by teacher ●\u00a0−7.25" in words(draw("label-class", analyses))
    assert "by replicate ●\u00a0−3.50" in words(draw("label-class", analyses))
    dissected = words(draw("dissection", analyses))
    assert "gap −2.75" in dissected and "12.3\u00a0% of all" in dissected
    assert "by replicate: ●\u00a00.88" in words(draw("mislabelled", analyses))


def panels(figure):
    """Return the lettered axes in their order, each with its texts; the legend has no letter."""
    return [(axes, [text.get_text() for text in axes.texts]) for axes in figure.axes if axes.texts]


def test_a_setting_without_mislabelled_points_shows_its_clean_ones():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    density = analysis.splits["train"].noise_density
    density.loc[{"noise": MISLABELLED}] = 0
    clean, none, *_ = panels(draw("mislabelled", analyses))
    assert any("● mislabelled" in text for text in none[1])
    assert "no estimate" in none[1] and not none[0].lines
    assert "no estimate" not in clean[1]
    assert artists(clean[0], f"binned/clean/{STUDENT}")


def test_a_measure_without_an_estimate_says_so_and_the_others_are_drawn():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    analysis.splits["train"].curve_estimate.loc[{"curve": "entropy"}] = np.nan
    drawn = draw("measures", analyses)
    for curve, (axes, texts) in zip(CURVES, panels(drawn), strict=True):
        assert ("no estimate" in texts) is (curve == "entropy")
        assert bool(axes.lines) is (curve != "entropy")


def test_a_split_without_an_example_says_so_and_the_other_one_is_drawn():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    analysis.splits["train"].label_density[:] = 0
    (train, said), (test, others) = panels(draw("label-class", analyses))
    assert said[-1] == "no estimate" and not train.lines
    assert "no estimate" not in others and artists(test, "binned/")


def test_a_setting_of_one_split_has_an_empty_place_in_the_row_of_the_other():
    analyses = make_read(2)
    _, alone = analyses.values()
    del alone.splits["train"]
    left, right, below_left, below_right = panels(draw("label-class", analyses))
    assert "no train split" in right[1] and not right[0].lines
    assert alone.setting in right[1]  # without a size, which it does not have
    for (axes, texts), split in ((left, "train"), (below_left, "test"), (below_right, "test")):
        assert any(f"{split}, n\u00a0=" in text for text in texts) and axes.lines


def test_a_dissection_shows_every_example_once():
    (analysis,) = make_read(1).values()
    data = analysis.splits["test"]
    np.testing.assert_array_equal(data.dissected_density.sum("panel"), data.density)
    assert list(data.panel.values) == list(PANELS)
    drawn = draw("dissection", make_read(1))
    assert words(drawn).count("only model") == 2  # of the student, and of the reference


def test_curves_and_their_bands_are_those_of_the_analysis():
    analyses = make_read(1)
    (analysis,) = analyses.values()
    drawn = draw("measures", analyses)
    data = analysis.splits["train"]
    for curve in CURVES:
        (line,) = artists(drawn, f"{curve}/{STUDENT}").values()
        shown = data.sel(curve=curve)
        np.testing.assert_array_equal(line.get_xdata(), shown.curve_teacher.mean("seed"))
        np.testing.assert_array_equal(line.get_ydata(), shown.curve_estimate.sel(compared=STUDENT))
    bands = artists(drawn, "band/")
    assert len(bands) == 2 * len(CURVES)
    assert not artists(draw("measures", make_read(1, 1)), "band/")


def test_a_scale_holds_all_examples_but_the_tails():
    edges = np.linspace(0, 10, 11)
    cells = np.zeros((1, 10, 10), int)
    cells[0, 3, 4], cells[0, 6, 2] = 5_000, 5_000
    cells[0, 9, 9] = 1  # one of ten thousand
    low, high = limits_of(edges, list(cells))
    assert 1.8 < low < 2 and 7 < high < 7.2
    assert limits_of(edges, [np.zeros((10, 10))])[0] < 0
