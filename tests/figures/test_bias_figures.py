"""Figures of the bias analyses show the numbers of the store."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from reading_figures import artists, assert_texts_are_apart_and_inside
from synthetic_analyses import blank, make_analyses, make_analysis, put
from synthetic_bias import (
    BEGIN,
    END,
    RANKS,
    blank_bias,
    make_layer,
    put_bias,
    put_difference,
    with_bias,
)

from disobey.analysis.bias import Bias, analyse, recorded
from disobey.analysis.names import COMPARED, EFFECT, PLACEBOS, REFERENCE, STUDENT, TEACHER
from disobey.figures import drawer, style

pytestmark = pytest.mark.slow

LAYER = "hidden_1"
EPOCHS = (1, 4, 16)
NAN = (np.nan,) * 3
WITH_BIAS = ("bias", "link")
FIGURES = (*WITH_BIAS, "over-training")
# Settings and seeds; every setting repeats its four panels over training.
MANY = {"bias": (12, 3), "link": (30, 3), "over-training": (6, 3)}


def draw(figure, analyses):
    return drawer(figure)(analyses)


def with_snapshots(count=1, seeds=3, epochs=EPOCHS, **options):
    """Settings with a bias analysis, each behind its snapshots, which are not in order."""
    analyses = {}
    for name, whole in with_bias(count, seeds, **options).items():
        for epoch in reversed(epochs):
            snapshot = make_analysis(f"{name}@{epoch}", seeds, salt=epoch)
            snapshot.about["epoch"] = epoch
            analyses[snapshot.setting] = snapshot
        whole.about["epochs"] = 4 * epochs[-1]
        analyses[name] = whole
    return analyses


def inputs(figure, count=1, seeds=3, **options):
    made = with_snapshots if figure == "over-training" else with_bias
    return made(count, seeds, **options)


def decide(analysis, *, student=0.0, placebos=0.0, half=0.05):
    """Give a setting's first layer these log ratios: of the student, and minus each placebo."""
    put_bias(analysis.bias, LAYER, "overall", STUDENT, (student, student - half, student + half))
    for placebo in analysis.bias.placebos(LAYER):
        put_difference(analysis.bias, LAYER, placebo, (placebos, placebos - half, placebos + half))


def by_gid(figure, prefix):
    found = {}
    for artist in figure.findobj():
        if (artist.get_gid() or "").startswith(prefix):
            found.setdefault(artist.get_gid(), []).append(artist)
    return found


@pytest.mark.parametrize(
    ("figure", "count", "seeds"),
    [(figure, *size) for figure in FIGURES for size in ((1, 1), (1, 3), (3, 1), MANY[figure])],
)
def test_no_text_overlaps_or_leaves_the_page(figure, count, seeds, drawn_texts):
    drawn = draw(figure, inputs(figure, count, seeds))
    drawn.set_dpi(style.DPI)
    width = style.COLUMN_WIDTH if figure == "link" else style.TWO_COLUMNS
    assert drawn.get_figwidth() == pytest.approx(width)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize("layers", [(LAYER,), (LAYER, "hidden_2"), ("stem.convolution",) * 1])
def test_every_layer_has_its_panels(layers):
    drawn = draw("bias", with_bias(2, layers=layers))
    assert len(by_gid(drawn, "theorem/")) == 2 * len(layers)
    assert len(by_gid(drawn, f"path/{STUDENT}/")) == 2 * len(layers) + 1


@pytest.mark.parametrize("figure", FIGURES)
def test_missing_numbers_are_said_not_drawn(figure, drawn_texts):
    analyses = inputs(figure, 2)
    for analysis in analyses.values():
        blank(analysis)
        if analysis.bias is not None:
            blank_bias(analysis.bias)
    drawn = draw(figure, analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert any("no estimate" in text.get_text() for text in texts)


@pytest.mark.parametrize("figure", WITH_BIAS)
def test_settings_without_a_bias_analysis_are_left_out(figure):
    with pytest.raises(ValueError, match=f"figure {figure} needs a setting with a bias analysis"):
        draw(figure, make_analyses(2))
    analyses = with_bias(2)
    *_, second = analyses
    analyses[second] = replace(analyses[second], bias=None)
    gids = artists(draw(figure, analyses), ("path/", "estimate/", "point/"))
    assert gids and not any(second in gid for gid in gids)


def test_a_setting_without_progress_says_so_beside_the_linear_model():
    analyses = with_bias(2)
    _, second = analyses.values()
    second.bias.layers[LAYER].progress[:] = np.nan
    planes = [axes for axes in draw("bias", analyses).axes if "progress" in axes.get_xlabel()]
    said = [[text.get_text() for text in axes.texts].count("no estimate") for axes in planes]
    assert said == [0, 0, 1]  # the linear model, the first setting, the second


def test_paths_are_those_of_the_store():
    analyses = with_bias(2)
    drawn = by_gid(draw("bias", analyses), "path/")
    for name, analysis in analyses.items():
        data = analysis.bias.layers[LAYER]
        for model in COMPARED:
            lines = drawn[f"path/{model}/{name}/{LAYER}"]
            assert len(lines) == data.sizes["seed"]
            for line, seed in zip(lines, data.seed.values, strict=True):
                path = data.progress.sel(model=model, seed=seed).values[:, [0, -1]]
                np.testing.assert_array_equal(line.get_xydata(), [(0, 0), *path])


def test_linear_paths_end_where_the_student_ends():
    analyses = with_bias(1)
    drawn = by_gid(draw("bias", analyses), "path/")
    (student,), (reference,) = (drawn[f"path/{model}/linear"] for model in (STUDENT, REFERENCE))
    assert reference.get_xdata().max() <= student.get_xdata().max() < 1
    # At equal progress along the leading direction, the theorem has the student below.
    shared = np.linspace(0.1, reference.get_xdata().max(), 9)
    below = np.interp(shared, *student.get_xydata().T) < np.interp(
        shared, *reference.get_xydata().T
    )
    assert below.all()


@pytest.mark.parametrize("figure", ["bias"])
def test_ratios_and_intervals_are_those_of_the_store(figure):
    analyses = with_bias(1)
    ((name, analysis),) = analyses.items()
    drawn = draw(figure, analyses)
    estimates, intervals = artists(drawn, "estimate/"), artists(drawn, "interval/")
    for model in (STUDENT, *PLACEBOS):
        of_store = np.exp(analysis.bias.layers[LAYER].sel(compared=model))
        gid = f"ratio/{model}/{name}/{LAYER}"
        line = estimates[f"estimate/{gid}"]
        assert list(line.get_xdata()) == list(RANKS[1:])
        np.testing.assert_allclose(line.get_ydata(), of_store.estimate[1:])
        assert to_hex(line.get_color()).upper() == style.role_of(model).colour
        ends = [segment[:, 1] for segment in intervals[f"interval/{gid}"].get_segments()]
        np.testing.assert_allclose(ends, np.stack([of_store.low, of_store.high], 1)[1:])


@pytest.mark.parametrize("ranks", [2, 3, 4, 10])
def test_ratios_of_few_ranks_stay_inside_their_panel(ranks):
    analyses = with_bias(1)
    ((name, analysis),) = analyses.items()
    few = {LAYER: analysis.bias.layers[LAYER].isel(direction=slice(ranks))}
    bias = replace(analysis.bias, layers=few)
    drawn = draw("bias", {name: replace(analysis, bias=bias)})
    estimates = artists(drawn, "estimate/ratio/")
    assert len(estimates) == 1 + len(PLACEBOS)
    for line in estimates.values():
        inside = line.axes.bbox
        across = line.get_transform().transform(line.get_xydata())[:, 0]
        assert (across > inside.x0).all() and (across < inside.x1).all()


def test_theory_is_drawn_as_stored_and_does_not_squeeze_the_panel():
    analyses = with_bias(1)
    ((name, analysis),) = analyses.items()
    theorem = np.exp(analysis.bias.layers[LAYER].theorem.values)
    line = artists(draw("bias", analyses), "theorem/")[f"theorem/{name}/{LAYER}"]
    np.testing.assert_allclose(line.get_ydata(), theorem[1:])
    assert theorem.min() < line.axes.get_ylim()[0]


def test_ratios_share_their_vertical_scale():
    drawn = artists(draw("bias", with_bias(3)), "theorem/")
    assert len({line.axes.get_ylim() for line in drawn.values()}) == 1


def test_number_of_seeds_is_printed(drawn_texts):
    texts = drawn_texts(draw("bias", with_bias(1, 4)))
    assert any("n = 4" in text.get_text().replace("\u00a0", " ") for text in texts)


# --- link ----------------------------------------------------------------------------------


def place(analysis, ratio, confidence, gain, half=0.01):
    decide(analysis, student=np.log(ratio), placebos=np.log(ratio), half=half)
    put(analysis, "exaggeration", STUDENT, (confidence, confidence - half, confidence + half))
    put(analysis, "accuracy", EFFECT, (gain, gain - half, gain + half))


def test_each_setting_is_a_point_with_both_intervals():
    analyses = with_bias(6)
    for k, analysis in enumerate(analyses.values()):
        place(analysis, 0.7 + 0.1 * k, 1.3 - 0.1 * k, 0.02 * k)
    drawn = artists(draw("link", analyses), ("point/", "across/", "up/"))
    for k, name in enumerate(analyses):
        log_ratio, confidence, gain = np.log(0.7 + 0.1 * k), 1.3 - 0.1 * k, 0.02 * k
        ratio_ends = np.exp([log_ratio - 0.01, log_ratio + 0.01])
        (point,) = drawn[f"point/bias/confidence/{name}"].get_xydata()
        assert point == pytest.approx([0.7 + 0.1 * k, confidence])
        assert drawn[f"across/bias/confidence/{name}"].get_xdata() == pytest.approx(ratio_ends)
        (point,) = drawn[f"point/confidence/gain/{name}"].get_xydata()
        assert point == pytest.approx([confidence, gain])
        ends = drawn[f"up/confidence/gain/{name}"].get_ydata()
        assert ends == pytest.approx([gain - 0.01, gain + 0.01])


def test_settings_at_one_place_keep_their_numbers_apart(drawn_texts):
    analyses = with_bias(8)
    for analysis in analyses.values():
        place(analysis, 0.8, 1.1, 0.01)
    drawn = draw("link", analyses)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    assert sum(text.get_text() == "8" for text in texts) == 3


def test_link_names_every_setting(drawn_texts):
    analyses = with_bias(6)
    texts = drawn_texts(draw("link", analyses))
    printed = "".join(text.get_text() for text in texts).replace("\n", "")
    for number, name in enumerate(analyses, start=1):
        assert f"{number}\u00a0\u00a0{name}" in printed


def test_a_setting_without_numbers_is_named_as_such(drawn_texts):
    analyses = with_bias(2)
    first, second = analyses
    blank(analyses[first])
    blank_bias(analyses[first].bias)
    drawn = draw("link", analyses)
    printed = " ".join(text.get_text() for text in drawn_texts(drawn)).replace("\n", " ")
    assert f"{first}: no estimate" in printed and f"{second}: no estimate" not in printed
    assert {gid.split("/")[3] for gid in artists(drawn, "point/")} == {second}


def test_a_point_without_an_interval_is_hollow():
    for seeds, hollow in ((1, True), (3, False)):
        for point in artists(draw("link", with_bias(2, seeds)), "point/").values():
            assert (point.get_markerfacecolor() == style.HOLLOW) is hollow


# --- over training -------------------------------------------------------------------------


def test_snapshots_stand_in_order_of_epoch_and_the_setting_last():
    analyses = with_snapshots(2)
    drawn = artists(draw("over-training", analyses), "estimate/")
    for name in (name for name in analyses if "@" not in name):
        members = [analyses[f"{name}@{epoch}"] for epoch in EPOCHS] + [analyses[name]]
        for statistic, models in (
            ("exaggeration", COMPARED),
            ("gap_decile_1", COMPARED),
            ("accuracy", (TEACHER, *COMPARED)),
        ):
            for model in models:
                line = drawn[f"estimate/{statistic}/{model}/{name}/{style.ROLES[model].label}"]
                assert list(line.get_xdata()) == [*EPOCHS, 4 * EPOCHS[-1]]
                expected = [member.number(statistic, model)[0] for member in members]
                assert list(line.get_ydata()) == expected


def test_a_training_that_ends_inside_an_epoch_stands_there_on_the_axis():
    analyses = with_snapshots(1)
    (name,) = (name for name in analyses if "@" not in name)
    analyses[name].about.update(steps=25, epochs=EPOCHS[-1] + 0.083)
    drawn = artists(draw("over-training", analyses), f"estimate/accuracy/student/{name}")
    (line,) = drawn.values()
    assert list(line.get_xdata()) == [*EPOCHS, EPOCHS[-1] + 0.083]


def test_ratio_curves_are_those_of_every_seed():
    analyses = with_snapshots(1)
    name = "mnist-noisy-T4"
    data = analyses[name].bias.layers[LAYER].isel(direction=-1)
    drawn = by_gid(draw("over-training", analyses), "curve/")
    for model in (STUDENT, *PLACEBOS):
        curves = drawn[f"curve/{model}/{name}"]
        expected = np.exp(data.log_ratio_curve.sel(compared=model).values)
        np.testing.assert_allclose([curve.get_ydata() for curve in curves], expected)


def test_what_follows_the_matched_range_does_not_squeeze_it():
    analyses = with_snapshots(1)
    data = analyses["mnist-noisy-T4"].bias.layers[LAYER]
    data["log_ratio_curve"][..., -1] = 9
    drawn = by_gid(draw("over-training", analyses), f"curve/{STUDENT}/")
    ((curve, *_),) = drawn.values()
    low, high = curve.axes.get_ylim()
    inside = (data.share >= BEGIN) & (data.share <= END)
    matched = np.exp(data.log_ratio_curve.isel(direction=-1)[..., inside])
    assert low < matched.min() and matched.max() < high < 3


def test_over_training_needs_snapshots():
    with pytest.raises(ValueError, match="needs snapshots, named <setting>@<epoch>"):
        draw("over-training", with_bias(2))


def test_snapshots_suffice_without_the_setting_and_without_bias():
    analyses = with_snapshots(1)
    del analyses["mnist-noisy-T4"]
    drawn = draw("over-training", analyses)
    assert not by_gid(drawn, "curve/")


# --- all -----------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", FIGURES)
def test_files_are_small_and_the_same_bytes_each_time(figure, tmp_path):
    for name in ("one", "two"):
        drawn = draw(figure, inputs(figure, 2))
        style.save(drawn, tmp_path / f"{name}.pdf", tmp_path / f"{name}.png")
    for suffix in ("pdf", "png"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two
        assert len(one) < 1_000_000


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_leave_what_they_are_given_as_it_is(figure):
    analyses, untouched = inputs(figure, 2), inputs(figure, 2)
    draw(figure, analyses)
    for name, analysis in analyses.items():
        for split, data in analysis.splits.items():
            assert data.identical(untouched[name].splits[split])
        if analysis.bias is not None:
            for layer, data in analysis.bias.layers.items():
                assert data.identical(untouched[name].bias.layers[layer])


# --- the real analysis ---------------------------------------------------------------------


def analysed():
    """A layer as the analysis really stores it, of progress that no training made."""
    made = make_layer()
    models = tuple(map(str, made.model.values))
    progress = made.progress.transpose("model", "seed", "point", "direction").values
    eigenvalue = np.asarray(made.eigenvalue.values)
    start = np.ones((len(models), 3, len(RANKS)))
    norm = np.hypot(progress, 1)
    step = made.step.values
    runs = recorded(
        models, (0, 1, 2), step, progress, norm, start, rank=RANKS, eigenvalue=eigenvalue
    )
    return analyse(runs, (0.2, 0.7))


def test_synthetic_layers_have_the_variables_of_the_real_analysis():
    made, real = make_layer(), analysed()
    for name in made.data_vars:
        assert set(real[name].dims) == set(made[name].dims), name
        assert np.isfinite(real[name]).all() == np.isfinite(made[name]).all(), name
    assert list(real.attrs["range"]) == list(made.attrs["range"])


@pytest.mark.parametrize("figure", FIGURES)
def test_the_real_analysis_is_drawn(figure, drawn_texts):
    analyses = inputs(figure, 1)
    name = "mnist-noisy-T4"
    analyses[name] = replace(analyses[name], bias=Bias(name, {}, {LAYER: analysed()}))
    drawn = draw(figure, analyses)
    drawn.set_dpi(style.DPI)
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))
