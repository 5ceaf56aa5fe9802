"""Training curves: comparisons at equal train accuracy, and cases without a comparison."""

import numpy as np
import pytest
import xarray as xr
from recompute_curves import at_equal_accuracy
from scipy import stats

from disobey.analysis.curves import LEVELS, Recorded, analyse, at_levels
from disobey.analysis.intervals import over_seeds

SEEDS = (3, 5, 8)
STEP = np.unique(np.geomspace(1, 2000, 24).astype(int))


def make(rng, seeds=3, rate=1.0, gain=0.0, step=STEP, noise=0.01):
    """Curves that rise with noise; ``gain`` is the test accuracy gained at equal train accuracy."""
    time = rate * step / 300
    train = 0.1 + 0.88 * (1 - np.exp(-time)) + noise * rng.normal(size=(seeds, len(step)))
    test = 0.1 + 0.7 * (train - 0.1) + gain * (train > 0.2) + noise * rng.normal(size=train.shape)
    return Recorded(step, np.clip(train, 0, 1), np.clip(test, 0, 1))


@pytest.fixture
def models():
    rng = np.random.default_rng(1)
    shorter = make(rng, step=STEP[:18])
    return {
        "teacher": shorter,
        "reference": make(rng),
        "student": make(rng, gain=0.05, rate=0.7),
        "half_lr": make(rng, rate=0.5),
        "double_lr": make(rng, rate=2, noise=0.04),
    }


def of(model, seed):
    return model.step, model.train_accuracy[seed], model.test_accuracy[seed]


def test_pairs_are_those_of_an_independent_search(models):
    found = analyse(models, SEEDS)
    for k, seed in enumerate(SEEDS):
        pairs = [
            (name, "reference", "compared", "") for name in ("student", "half_lr", "double_lr")
        ]
        pairs += [("student", name, "placebo", "_difference") for name in ("half_lr", "double_lr")]
        for one, other, dim, suffix in pairs:
            expected = at_equal_accuracy(of(models[one], k), of(models[other], k))
            here = found.sel({dim: one if dim == "compared" else other, "seed": seed})
            got = [float(here[f"{name}{suffix}"]) for name in ("equal_accuracy", "log_steps_ratio")]
            np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_known_gain_and_a_known_rate_are_found():
    rng = np.random.default_rng(0)
    models = {"reference": make(rng, noise=0), "student": make(rng, rate=0.5, gain=0.05, noise=0)}
    found = analyse(models, SEEDS).sel(compared="student", seed=3)
    assert float(found.equal_accuracy) == pytest.approx(0.05, abs=0.005)
    assert float(found.log_steps_ratio) == pytest.approx(np.log(2), abs=0.02)


def test_intervals_are_those_of_student_over_seeds(models):
    found = analyse(models, SEEDS)
    for name, where in (
        ("equal_accuracy", {"compared": "half_lr"}),
        ("equal_accuracy_difference", {"placebo": "half_lr"}),
        ("final_test_accuracy", {"model": "teacher"}),
        ("test_accuracy", {"model": "student", "point": 7}),
    ):
        here = found.sel({k: v for k, v in where.items() if k != "point"})
        here = here.isel(point=where["point"]) if "point" in where else here
        values = here[name].values
        low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
        got = [float(here[f"{name}_{end}"]) for end in ("estimate", "low", "high")]
        np.testing.assert_allclose(got, [values.mean(), low, high])


def test_the_first_of_several_passages_counts():
    """Accuracy falls back below the level and reaches it again: on the line to the first point."""
    train = np.array([0.1, 0.3, 0.25, 0.22, 0.5])
    found = at_levels(train, np.array([0.0, 10, 20, 30, 40]), np.array([0.2, 0.3, 0.4, 0.6, 0.1]))
    np.testing.assert_allclose(found, [5, 10, 30 + 10 * 0.18 / 0.28, np.nan, np.nan])


@pytest.mark.parametrize("train", [[0.05, 0.1, 0.15], [0.96, 0.97, 0.99]])
def test_a_run_below_or_above_all_levels_passes_none(train):
    assert np.isnan(at_levels(np.array(train), np.arange(3.0))).all()


def test_levels_that_one_never_reaches_are_left_out_of_the_mean():
    rng = np.random.default_rng(0)
    low = make(rng, noise=0)
    low = Recorded(low.step, np.minimum(low.train_accuracy, 0.55), low.test_accuracy)
    found = analyse({"reference": make(rng, gain=1, noise=0), "student": low}, SEEDS)
    assert (np.isfinite(found.test_at_level.sel(model="student", seed=3)) == (LEVELS <= 0.55)).all()
    assert np.isfinite(found.equal_accuracy).all()


@pytest.mark.parametrize(("reached", "compared"), [(0.29, False), (0.31, True)])
def test_fewer_than_three_levels_in_common_are_no_comparison(reached, compared):
    rng = np.random.default_rng(0)
    whole = make(rng, noise=0)
    low = Recorded(STEP, np.minimum(whole.train_accuracy, reached), whole.test_accuracy)
    found = analyse({"reference": whole, "student": low}, SEEDS).sel(compared="student")
    for name in ("equal_accuracy", "log_steps_ratio"):
        assert np.isfinite(found[name]).all() == compared
        assert np.isfinite(found[f"{name}_estimate"]) == compared


def test_a_shorter_training_ends_where_it_ends(models):
    found = analyse(models, SEEDS).sel(model="teacher", seed=5)
    assert found.step.notnull().sum() == 18
    assert float(found.final_test_accuracy) == models["teacher"].test_accuracy[1, -1]
    np.testing.assert_array_equal(found.test_accuracy[:18], models["teacher"].test_accuracy[1])
    assert found.test_accuracy[18:].isnull().all()


def test_without_placebos_and_teacher_there_is_nothing_of_them():
    rng = np.random.default_rng(0)
    found = analyse({"reference": make(rng, 1), "student": make(rng, 1)}, (4,))
    assert "placebo" not in found.dims and "equal_accuracy_difference" not in found
    assert list(found.model.values) == ["reference", "student"]
    assert np.isnan(found.equal_accuracy_low).all() and np.isfinite(found.equal_accuracy).all()


def test_two_runs_of_one_law_are_told_apart_at_the_promised_rate():
    """The interval of student - reference leaves 0 in 5 % of studies without any effect."""
    rng, trials = np.random.default_rng(7), 800
    alike = {name: make(rng, 3 * trials, noise=0.02) for name in ("reference", "student")}
    by_seed = analyse(alike, range(3 * trials)).equal_accuracy.sel(compared="student")
    studies = xr.DataArray(by_seed.values.reshape(3, trials), dims=("seed", "study"))
    found = over_seeds(studies)
    left = int(((found["low"] > 0) | (found["high"] < 0)).sum())
    low, high = stats.binom.interval(0.999, trials, 0.05)
    assert low <= left <= high
