"""The study at a glance: the paper's plot, paths of weights, in how many settings claims hold."""

import itertools

import numpy as np
import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses, make_analysis, put
from synthetic_bias import RANKS, blank_bias, with_bias

from disobey.analysis.names import REFERENCE, STUDENT
from disobey.figures import style
from disobey.figures.overview import CELL_GAP, VERDICTS, draw

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


def test_the_plots_are_of_the_first_noisy_setting_train_then_test():
    analyses = {
        name: make_analysis(name, salt=salt) for salt, name in enumerate(("clean", "noisy"))
    }
    del analyses["clean"].about["label_noise"]
    drawn = draw(analyses)
    for model in (STUDENT, REFERENCE):
        lines = sorted(by_gid(drawn, f"binned/{model}"), key=lambda a: a.axes.get_position().x0)
        assert len(lines) == 2
        for line, split in zip(lines, ("train", "test"), strict=True):
            here = analyses["noisy"].splits[split].sel(compared=model)
            np.testing.assert_array_equal(line.get_ydata(), here.binned_model.values)
            np.testing.assert_array_equal(line.get_xdata(), here.binned_teacher.values)


def test_paths_lead_from_the_start_along_the_first_and_the_last_direction():
    analyses = with_bias(2)
    first = next(iter(analyses.values())).bias.layers[LAYER]
    drawn = draw(analyses)
    for model in (STUDENT, REFERENCE):
        paths = by_gid(drawn, f"path/{model}")
        assert len(paths) == first.sizes["seed"]
        for path, seed in zip(paths, first.seed.values, strict=True):
            progress = first.progress.sel(model=model, seed=seed).values
            expected = [(0, 0), *zip(progress[:, 0], progress[:, -1], strict=True)]
            np.testing.assert_array_equal(path.get_xydata(), expected)
    labels = {path.axes.get_ylabel() for path in by_gid(drawn, f"path/{STUDENT}")}
    assert labels == {f"progress along $v_{{{RANKS[-1]}}}$"}


def test_a_cell_is_filled_with_each_verdict_by_its_share_of_the_settings(drawn_texts):
    """Intervals are put where they hold, contradict and leave open: 3, 1 and 2 of 6 settings."""
    analyses = make_analyses(6)
    intervals = 3 * [(-1, -1.5, -0.5)] + [(1, 0.5, 1.5)] + 2 * [(0.1, -0.5, 0.7)]
    for analysis, numbers in zip(analyses.values(), intervals, strict=True):
        put(analysis, "plot_gap_bottom_decile", STUDENT, numbers, "train")
    drawn = draw(analyses)
    cell = "low_confidence_underfitting/train/paper"
    parts = {verdict: by_gid(drawn, f"verdict/{cell}/{verdict}")[0] for verdict in VERDICTS}
    places = [by_gid(drawn, f"count/{cell[:-5]}{r}")[0] for r in ("paper", "second seed")]
    width = places[1].get_position()[0] - places[0].get_position()[0] - CELL_GAP
    shares = {verdict: part.get_width() / width for verdict, part in parts.items()}
    assert shares == pytest.approx(
        {"holds": 3 / 6, "contrary": 1 / 6, "undecided": 2 / 6, "withheld": 0}
    )
    assert by_gid(drawn, f"count/{cell}")[0].get_text() == "3 of 6"
    edges = [(part.get_x(), part.get_x() + part.get_width()) for part in parts.values()]
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(edges))
    assert not artists(drawn, "path/")


def test_readings_of_a_split_stand_side_by_side_and_train_before_test():
    drawn = draw(make_analyses(2))
    lefts = [
        by_gid(drawn, f"count/exaggeration/{split}/{reading}")[0].get_position()
        for split in ("train", "test")
        for reading in ("paper", "second seed", "replicate")
    ]
    assert [x for x, _ in lefts] == sorted(x for x, _ in lefts) and len({y for _, y in lefts}) == 1


def test_missing_numbers_leave_the_figure_whole(drawn_texts):
    analyses = with_bias(2)
    for analysis in analyses.values():
        blank(analysis)
        blank_bias(analysis.bias)
    drawn = draw(analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert sum(text.get_text() == "no estimate" for text in texts) == 4
