"""Pairs of eigendirections: the counts of less progress at equal leading progress."""

import netCDF4
import numpy as np
import pytest
import xarray as xr
from made_runs import (
    LAYER,
    MANY,
    PAIRS,
    bias_spec,
    many_directions,
    run_bias,
    steps,
    write_run,
)

from disobey.analysis.pairs import LEVELS, Pairs, count, counted, log_ratio_at_equal_top
from disobey.analysis.store import read_beside as read_bias
from disobey.stores.manifest import read_manifest

PAPER = Pairs(15, (20, 60), 0)
SEEDS = (3, 8)
MODELS = ("teacher", "reference", "student", "half_lr")


# --- the draw --------------------------------------------------------------------------------


def test_the_draw_takes_each_direction_at_most_once():
    drawn = PAPER.drawn()
    assert sorted(drawn[:, 0]) == list(range(1, 16))
    assert len(set(drawn[:, 1])) == 15 and set(drawn[:, 1]) <= set(range(20, 61))
    assert np.array_equal(drawn, PAPER.drawn())
    assert not np.array_equal(drawn, PAPER._replace(seed=1).drawn())


def test_the_expectation_is_the_mean_over_draws():
    log_ratio = np.random.default_rng(0).normal(0.3, 1, (15, 41))
    counts = [count(log_ratio, PAPER._replace(seed=seed)) for seed in range(400)]
    expected = {float(one) for one, _ in counts}
    assert expected == {15 * (log_ratio < 0).mean()}
    drawn = np.array([one for _, one in counts])
    assert drawn.mean() == pytest.approx(expected.pop(), abs=4 * drawn.std() / 20)


def test_pairs_without_a_difference_count_half():
    assert counted(np.array([-1.0, 1, 0, np.nan])).tolist() == [1, 0, 0.5, 0.5]


# --- equal progress --------------------------------------------------------------------------


def test_less_progress_at_equal_progress_is_the_log_of_the_share():
    """The teacher goes straight; the compared model has made 0.8 of it at every level."""
    time = np.linspace(0, 1, 50)[:, None]
    teacher = time * [1.0, 2.0, 4.0]
    compared = np.linspace(0, 0.9, 30)[:, None] * [1.0, 1.6, 4.0]
    found = log_ratio_at_equal_top(compared, teacher, np.array([0]), np.array([1, 2]))
    np.testing.assert_allclose(found, [[np.log(0.8), 0]], atol=1e-12)


def test_levels_are_shares_of_the_teachers_way_that_the_model_reaches():
    """A curved path: the mean is over 10 to 90 % of the way, or as much of it as both reach."""
    time = np.linspace(0, 1, 2001)[:, None]
    teacher = np.hstack([3 * time, 5 * time])
    for reached in (1.2, 0.5):
        compared = np.hstack([3 * time, 5 * time**2])[time[:, 0] * 3 <= 3 * reached]
        if reached > 1:
            more = np.linspace(1, reached, 50)[1:, None]
            compared = np.vstack([compared, np.hstack([3 * more, 5 * more**2])])
        found = log_ratio_at_equal_top(compared, teacher, np.array([0]), np.array([1]))
        expected = np.log(LEVELS[reached >= LEVELS]).mean()
        np.testing.assert_allclose(found, [[expected]], rtol=1e-3)


def test_norms_are_compared_on_the_way_from_the_start():
    """The start is at 2 along the top direction; levels are shares of the path from there."""
    time = np.linspace(0, 1, 401)[:, None]
    teacher = np.hstack([2 + time, 1 + time])
    compared = np.hstack([2 + time, 1 + 0 * time])
    found = log_ratio_at_equal_top(compared, teacher, np.array([0]), np.array([1]))
    np.testing.assert_allclose(found, [[-np.log(1 + LEVELS).mean()]], rtol=1e-5)


def test_a_model_that_reaches_no_level_cannot_be_compared():
    teacher = np.linspace(0, 1, 9)[:, None] * [1.0, 1.0]
    short = 0.05 * teacher
    assert np.isnan(log_ratio_at_equal_top(short, teacher, np.array([0]), np.array([1]))).all()
    shrinking = np.hstack([2 - teacher[:, :1], 1 + teacher[:, 1:]])
    one, other = np.array([0]), np.array([1])
    assert np.isnan(log_ratio_at_equal_top(shrinking, shrinking, one, other)).all()


def test_two_models_of_one_law_count_in_half_of_the_pairs():
    """This holds for any law, because the roles of the two models are arbitrary."""
    rng = np.random.default_rng(1)
    tops, bottoms = np.arange(15), np.arange(19, 40)
    pairs = Pairs(15, (20, 40), 0)
    found = []
    for _ in range(60):
        one, other = (
            np.vstack([np.zeros((1, 40)), many_directions(rng, steps(), wobble=0.1)])
            for _ in range(2)
        )
        found.append(count(log_ratio_at_equal_top(one, other, tops, bottoms), pairs))
    for values in np.array(found).T:
        assert abs(values.mean() - 7.5) < 3 * values.std() / np.sqrt(len(values))
        assert values.std() > 1  # runs do differ


# --- the stage -------------------------------------------------------------------------------


def write_all(folder, starts=None):
    """Write one tracked run per model and seed; ``starts`` maps a model to another start."""
    rng, step = np.random.default_rng(0), steps()
    runs = {name: [f"{name}-{seed}" for seed in SEEDS] for name in MODELS}
    manifests = [
        write_run(
            folder, id, step, many_directions(rng, step, 0.5 * (model == "student")),
            initialisation=f"w{id[-1]}{(starts or {}).get(model, '')}", **MANY,
        )
        for model, ids in runs.items()
        for id in ids
    ]  # fmt: skip
    return runs, manifests


def test_pairs_are_counted_of_every_model_against_the_teacher(tmp_path):
    runs, manifests = write_all(tmp_path)
    spec = bias_spec(runs, SEEDS, pairs=PAIRS)
    status, output = run_bias(tmp_path, "noisy", spec, manifests)
    assert status == 0
    found = read_bias(read_manifest(output))
    layer = found.layers[LAYER]
    assert layer.model.values.tolist() == list(MODELS)
    assert layer.compared.values.tolist() == ["student", "half_lr"]
    drawn = Pairs(15, (20, 40), 0).drawn()
    np.testing.assert_array_equal(np.stack([layer.pair_top, layer.pair_bottom], 1), drawn)
    for prefix in ("", "norm_"):
        for name in ("pairs_expected", "pairs_drawn"):
            values = layer[f"{prefix}{name}"]
            assert values.sel(model="teacher").isnull().all()
            student = values.sel(model="student")
            assert (student > values.sel(model="reference")).all() and (student <= 15).all()
    estimate, low, high = found.number(LAYER, "pairs_expected", model="student")
    assert low <= estimate <= high <= 15
    with netCDF4.Dataset(tmp_path / "results/runs/teacher-8/history.nc") as file:
        raw = file[f"progress/{LAYER}"]["norm"][:]
    np.testing.assert_array_equal(layer.norm.sel(model="teacher", seed=8), raw)
    assert (layer.norm_start == 0.5).all()


def test_norms_are_counted_only_where_all_models_start_like_the_teacher(tmp_path):
    own = dict.fromkeys(("reference", "student", "half_lr"), "-own")
    runs, manifests = write_all(tmp_path, own)
    spec = bias_spec(runs, SEEDS, pairs=PAIRS)
    status, output = run_bias(tmp_path, "noisy", spec, manifests)
    assert status == 0
    layer = read_bias(read_manifest(output)).layers[LAYER]
    assert "pairs_expected" in layer and "norm_pairs_expected" not in layer


def test_pairs_that_cannot_be_counted_are_refused(tmp_path, capsys):
    runs, manifests = write_all(tmp_path)
    spec = bias_spec(runs, SEEDS, pairs=PAIRS | {"bottom": [20, 41]})
    assert run_bias(tmp_path, "noisy", spec, manifests)[0] == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "disobey bias: bias noisy: layer hidden_1 was not tracked along rank 41, of which pairs "
        "are made; leave out directions, or name this rank among them"
    )


def test_bands_are_means_over_their_ranks(tmp_path):
    runs, manifests = write_all(tmp_path)
    status, output = run_bias(tmp_path, "noisy", bias_spec(runs, SEEDS), manifests)
    assert status == 0
    layer = read_bias(read_manifest(output)).layers[LAYER]
    assert layer.band.values.tolist() == ["2 to 9", "10 to 60", "beyond 60"]
    for whole, by_band in (("log_ratio", "band_overall"), ("difference", "band_difference")):
        for band, ranks in (("2 to 9", slice(1, 9)), ("10 to 60", slice(9, 40))):
            expected = layer[whole].isel(direction=ranks).mean("direction")
            xr.testing.assert_allclose(layer[by_band].sel(band=band, drop=True), expected)
        assert layer[by_band].sel(band="beyond 60").isnull().all()
