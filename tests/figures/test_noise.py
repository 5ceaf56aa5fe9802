"""Belief in given and clean labels: mislabelled and clean training points are kept apart."""

import numpy as np
import pytest
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses
from synthetic_noise import BEFORE_NOISE, COUNTS, GIVEN, make_noisy

from disobey.analysis.names import CLEAN, EFFECT, MISLABELLED, REFERENCE, STUDENT, TEACHER
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import Analysis
from disobey.figures import drawer, style

draw = drawer("noise")


def only(analyses):
    (analysis,) = analyses.values()
    return analysis


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("count", [1, 6, 30])
def test_no_text_overlaps_or_leaves_the_page(count, seeds, drawn_texts):
    drawn = draw(make_noisy(count, seeds))
    drawn.set_dpi(style.DPI)
    assert drawn.get_figwidth() == pytest.approx(style.TWO_COLUMNS)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


def test_drawn_are_the_numbers_of_both_subsets():
    analyses = make_noisy(2)
    drawn = draw(analyses)
    estimates, intervals = artists(drawn, "estimate/"), artists(drawn, "interval/")
    wanted = [
        (GIVEN, MISLABELLED, (TEACHER, REFERENCE, STUDENT, EFFECT)),
        (BEFORE_NOISE, MISLABELLED, (TEACHER, REFERENCE, STUDENT)),
        (GIVEN, CLEAN, (TEACHER, REFERENCE, STUDENT)),
    ]
    names = set()
    for setting, analysis in analyses.items():
        for statistic, subset, models in wanted:
            for model in models:
                name = f"{statistic} ({subset})/{model}/{setting}"
                estimate, low, high = analysis.number(statistic, model, "train", subset)
                assert list(estimates[f"estimate/{name}"].get_xdata()) == [estimate]
                assert list(intervals[f"interval/{name}"].get_xdata()) == [low, high]
                names.add(f"estimate/{name}")
    assert names == set(estimates), "clean points have one label: it is drawn once"


def test_sizes_are_those_of_both_subsets(drawn_texts):
    texts = {t.get_text().replace("\u00a0", " ") for t in drawn_texts(draw(make_noisy(1, 4)))}
    assert f"4 × ({COUNTS[MISLABELLED]:,} + {COUNTS[CLEAN]:,})" in texts


def test_a_setting_without_mislabelled_points_is_said_not_drawn(drawn_texts):
    analyses = make_noisy() | {"clean": only(make_analyses())}
    drawn = draw(analyses)
    assert any("no estimate" in text.get_text() for text in drawn_texts(drawn))


def test_missing_numbers_are_said(drawn_texts):
    analyses = make_noisy()
    blank(only(analyses))
    drawn = draw(analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert any("no estimate" in text.get_text() for text in texts)


def test_numbers_are_those_that_the_analysis_computes():
    """From logits to the figure: the mean probability of wrong labels, by hand."""
    rng = np.random.default_rng(0)
    label, clean_label = rng.integers(0, 4, (2, 60))
    models = (TEACHER, REFERENCE, STUDENT)
    logits = {model: [rng.normal(size=(60, 4)) for _ in range(2)] for model in models}
    split = analyse(SplitLogits(logits, label, clean_label), resamples=0, seed=0)
    analysis = Analysis("mine", {}, {"train": split, "test": split})
    estimates = artists(draw({"mine": analysis}), "estimate/")
    wrong = label != clean_label
    for model in models:
        probabilities = [
            np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in logits[model]
        ]
        for statistic, chosen in ((GIVEN, label), (BEFORE_NOISE, clean_label)):
            believed = [p[np.arange(60), chosen][wrong].mean() for p in probabilities]
            (drawn,) = estimates[f"estimate/{statistic} (mislabelled)/{model}/mine"].get_xdata()
            assert drawn == pytest.approx(np.mean(believed))
