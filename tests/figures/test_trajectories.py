"""The figure trajectories draws the right paths and counts."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr
from reading_figures import artists, assert_texts_are_apart_and_inside, title
from synthetic_analyses import make_analyses
from synthetic_bias import make_bias

from disobey.analysis.bias import Bias
from disobey.analysis.names import PLACEBOS, REFERENCE, STUDENT, TEACHER
from disobey.figures import overview, style
from disobey.figures.bias import draw_trajectories

RANKS = np.arange(1, 41)
POINTS = 12
LAYER = "hidden_1"


def make_layer(seeds=3, placebos=("one_hot_at_T",), norms=False):
    """The parts of a bias store that the figure reads; every number differs from the others."""
    rng = np.random.default_rng(seeds)
    models = [TEACHER, REFERENCE, STUDENT, *placebos]
    ways = np.sort(rng.uniform(0.1, 1, (len(models), seeds, POINTS, len(RANKS))), axis=2)
    pair = ("model", "seed", "pair")
    data = xr.Dataset(
        {
            "rank": ("direction", RANKS),
            "progress": (("model", "seed", "point", "direction"), ways),
            "norm": (("model", "seed", "point", "direction"), 2 + ways),
            "norm_start": (("model", "seed", "direction"), 2 + 0.1 * ways[:, :, 0]),
            "pair_top": ("pair", rng.permutation(15) + 1),
            "pair_bottom": ("pair", rng.permutation(np.arange(20, 41))[:15]),
        },
        coords={"model": models, "seed": np.arange(seeds), "placebo": list(placebos)},
    )
    for shift, prefix in enumerate(("", "norm_") if norms else ("",)):
        data[f"{prefix}pair_log_ratio"] = pair, rng.normal(0, 0.3, (len(models), seeds, 15))
        counts = 3 + shift + np.arange(len(models))[:, None] + np.zeros(seeds)
        data[f"{prefix}pairs_drawn"] = ("model", "seed"), counts
    for end, add in (("estimate", 0), ("low", -1), ("high", 1)):
        if seeds == 1 and add:
            add = math.nan
        data[f"pairs_expected_{end}"] = "model", 5.5 + np.arange(len(models)) + add
    return data


@cache
def drawn_of(norms):
    """A setting and its figure, made once for all tests."""
    analyses = make(norms=norms)
    return layer_of(analyses), draw_trajectories(analyses)


def make(**options):
    ((name, analysis),) = make_analyses(1).items()
    return {name: replace(analysis, bias=Bias(name, {}, {LAYER: make_layer(**options)}))}


def layer_of(analyses):
    return next(iter(analyses.values())).bias.layers[LAYER]


def texts(drawn):
    found = drawn.findobj(lambda artist: hasattr(artist, "get_text"))
    return [text.get_text().replace("\u00a0", " ") for text in found]


@pytest.mark.parametrize("options", [{"seeds": 1}, {"seeds": 2, "placebos": PLACEBOS}])
def test_texts_are_apart_and_the_title_is_short(options, drawn_texts):
    drawn = draw_trajectories(make(**options))
    drawn.set_dpi(style.DPI)
    assert title(drawn) == "Trajectories along pairs of eigendirections: mnist-noisy-T4, hidden_1"
    assert drawn.get_figwidth() == style.TWO_COLUMNS
    assert drawn.get_figheight() <= 1.4 * drawn.get_figwidth()
    assert_texts_are_apart_and_inside(drawn, drawn_texts(drawn))


@pytest.mark.parametrize("norms", [False, True])
def test_paths_begin_at_the_start_and_a_star_stands_at_each_end(norms):
    """Norms of other seeds, which start elsewhere, are left out."""
    data, drawn = drawn_of(norms)
    found = artists(drawn, "path/")
    assert len(found) == 15 * 3 * (1 if norms else 3)
    for gid, line in found.items():
        _, model, pair, seed = gid.split("/")
        here = data.sel(model=model, seed=int(seed))
        for end, got in (("pair_top", line.get_xdata()), ("pair_bottom", line.get_ydata())):
            along = int(data[end][int(pair)]) - 1
            start = here.norm_start.values[along] if norms else 0
            way = (here.norm if norms else here.progress).values[:, along]
            np.testing.assert_array_equal(got, [start, *way])
        if seed == "0":
            (star,) = [
                other
                for other in line.axes.get_lines()
                if other.get_marker() == "*" and other.get_color() == line.get_color()
            ]
            assert star.get_xydata().tolist() == line.get_xydata()[-1:].tolist()


@pytest.mark.parametrize("norms", [False, True])
def test_counts_of_what_is_drawn_and_over_all_pairs_are_printed(norms):
    data, figure = drawn_of(norms)
    said = " ".join(texts(figure)).replace("\n", " ")
    for model, words in ((STUDENT, "distilled student"), (REFERENCE, "second seed")):
        drawn = data.pairs_drawn.sel(model=model)
        assert f"{words}: lags in {int(drawn[0])} of 15" in said
    assert "student 7.50 [6.50, 8.50], second seed 6.50 [5.50, 7.50]" in said
    assert "one-hot at T 8.50 [7.50, 9.50]" in said


def test_each_panel_names_its_ranks_and_the_ratios_of_the_first_seed():
    data, figure = drawn_of(False)
    said = texts(figure)
    for pair in range(15):
        assert f"ranks {int(data.pair_top[pair])}, {int(data.pair_bottom[pair])}" in said
        for model, glyph in ((STUDENT, "●"), (REFERENCE, "■")):
            ratio = math.exp(data.pair_log_ratio.sel(model=model)[0, pair])
            assert f"{glyph} {ratio:.2f}" in said


def test_several_settings_and_a_bias_without_pairs_are_refused():
    with pytest.raises(ValueError, match="shows one setting, got 2; draw one figure each"):
        draw_trajectories(make_analyses(2))
    ((name, analysis),) = make_analyses(1).items()
    for bias in (None, make_bias(name)):
        with pytest.raises(ValueError, match=f"needs a bias analysis with pairs; {name} has none"):
            draw_trajectories({name: replace(analysis, bias=bias)})


def test_the_overview_shows_the_first_pairs_and_counts_them(drawn_texts):
    analyses = make(norms=True)
    layer = layer_of(analyses)
    drawn = overview.draw(analyses)
    paths = artists(drawn, f"path/{STUDENT}/")
    assert len(paths) == 4
    top = list(layer["rank"].values).index(int(layer.pair_top[3]))
    norms = layer.norm.sel(model=STUDENT, seed=0).values[:, top]
    np.testing.assert_array_equal(paths[f"path/{STUDENT}/3/0"].get_xdata()[1:], norms)
    drawn.set_dpi(style.DPI)
    texts = drawn_texts(drawn)
    assert_texts_are_apart_and_inside(drawn, texts)
    lags = [int(layer.pairs_drawn.sel(model=model)[0]) for model in (STUDENT, REFERENCE)]
    said = f"distilled student lags in {lags[0]}, second seed lags in {lags[1]} of 15 pairs"
    assert any(said in text.get_text() for text in texts)
