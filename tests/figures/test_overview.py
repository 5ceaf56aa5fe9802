"""The finding on one page: the paper's plot of a telling setting, and paths of weights."""

import numpy as np
import pytest
from reading_figures import assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analysis, put
from synthetic_bias import RANKS, blank_bias, with_bias

from disobey.analysis.names import EFFECT, REFERENCE, STUDENT
from disobey.figures import style
from disobey.figures.confidence import BOTTOM_GAP
from disobey.figures.overview import draw

CM = 2.54
LAYER = "hidden_1"


def by_gid(figure, gid):
    return [artist for artist in figure.findobj() if artist.get_gid() == gid]


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (6, 3)])
def test_no_text_overlaps_or_leaves_the_page(count, seeds, drawn_texts):
    drawn = draw(with_bias(count, seeds))
    drawn.set_dpi(style.DPI)
    width, height = drawn.get_size_inches()
    assert width * CM == pytest.approx(17) and height <= 1.4 * width
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_the_plots_show_the_noisy_setting_that_underfits_most_train_then_test():
    """It is compared with the second seed: a large gap that both have tells nothing."""
    names = ("clean", "noisy", "telling")
    analyses = {name: make_analysis(name, salt=salt) for salt, name in enumerate(names)}
    del analyses["clean"].about["label_noise"]
    for name, effect in zip(names, (-3.0, 0.1, -0.5), strict=True):
        numbers = (effect, effect - 0.1, effect + 0.1)
        put(analyses[name], BOTTOM_GAP, EFFECT, numbers, "train")
    drawn = draw(analyses)
    for model in (STUDENT, REFERENCE):
        lines = sorted(by_gid(drawn, f"binned/{model}"), key=lambda a: a.axes.get_position().x0)
        assert len(lines) == 2
        for line, split in zip(lines, ("train", "test"), strict=True):
            here = analyses["telling"].splits[split].sel(compared=model)
            np.testing.assert_array_equal(line.get_ydata(), here.binned_model.values)
            np.testing.assert_array_equal(line.get_xdata(), here.binned_teacher.values)


def test_paths_lead_from_the_start_along_the_first_direction_and_later_ones():
    analyses = with_bias(2)
    first = next(iter(analyses.values())).bias.layers[LAYER]
    drawn = draw(analyses)
    for model in (STUDENT, REFERENCE):
        for index, seed in enumerate(first.seed.values):
            (path,) = by_gid(drawn, f"path/{model}/{RANKS[-1]}/{index}")
            progress = first.progress.sel(model=model, seed=seed).values
            expected = [(0, 0), *zip(progress[:, 0], progress[:, -1], strict=True)]
            np.testing.assert_array_equal(path.get_xydata(), expected)


def test_a_setting_without_progress_says_so_in_each_plane_of_directions():
    analyses = with_bias(1)
    for analysis in analyses.values():
        analysis.bias.layers[LAYER].progress[:] = np.nan
    planes = [axes for axes in draw(analyses).axes if axes.get_xlabel().startswith("progress")]
    assert len(planes) > 1
    for axes in planes:
        assert [text.get_text() for text in axes.texts][-1] == "no estimate" and not axes.lines


def test_missing_numbers_leave_the_figure_whole(drawn_texts):
    analyses = with_bias(2)
    for analysis in analyses.values():
        blank(analysis)
        blank_bias(analysis.bias)
    drawn = draw(analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert sum(text.get_text() == "no estimate" for text in texts) >= 4
