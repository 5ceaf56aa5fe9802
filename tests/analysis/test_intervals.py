"""Intervals, p-values and verdicts: formula, coverage, and the rate of false findings."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from gathered import means
from scipy import stats

from disobey.analysis.claims.claim import find
from disobey.analysis.claims.registry import CLAIMS, summarise
from disobey.analysis.intervals import (
    LEVEL,
    crossed_interval,
    example_variance,
    half_width,
    holm,
    normal_quantile,
    one_sided_p,
    t_quantile,
    t_tail,
    verdict,
)
from disobey.analysis.names import MODELS, SUBSETS
from disobey.analysis.resampling import Resamples
from disobey.analysis.statistics import STATISTICS
from disobey.analysis.store import Analysis

CLAIM = {claim.name: claim for claim in CLAIMS}


# --- the formula -----------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 3, 5, 30])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_half_width_is_the_formula(seeds, level):
    s2, v = 0.7, 0.02
    t = stats.t.ppf((1 + level) / 2, seeds - 1)
    z = stats.norm.ppf((1 + level) / 2)
    expected = np.sqrt(t**2 * s2 / seeds + z**2 * v)
    assert half_width(np.array(s2), seeds, np.array(v), level) == pytest.approx(expected, rel=1e-9)


def test_one_seed_has_no_interval():
    assert np.isnan(half_width(np.zeros(3), 1, np.zeros(3))).all()
    estimate, low, high = crossed_interval(np.arange(8.0).reshape(1, 8))
    assert estimate == 0
    assert np.isnan(low)
    assert np.isnan(high)


def test_interval_is_put_together_from_seeds_and_resamples():
    rows = np.random.default_rng(0).normal(size=(4, 9))
    estimate, low, high = crossed_interval(rows)
    s2 = stats.tvar(rows[:, 0])
    v = stats.tvar([np.mean([rows[seed, k] for seed in range(4)]) for k in range(1, 9)])
    half = np.sqrt(stats.t.ppf(0.975, 3) ** 2 * s2 / 4 + stats.norm.ppf(0.975) ** 2 * v)
    assert estimate == pytest.approx(rows[:, 0].mean())
    assert high - estimate == pytest.approx(half, rel=1e-9)
    assert estimate - low == pytest.approx(half, rel=1e-9)


def test_training_examples_are_the_population():
    rows = np.random.default_rng(1).normal(size=(3, 1, 2))
    assert example_variance(rows).tolist() == [0, 0]
    _, low, high = crossed_interval(rows)
    half = stats.t.ppf(0.975, 2) * stats.sem(rows[:, 0], axis=0)
    np.testing.assert_allclose((high - low) / 2, half, rtol=1e-9)


def test_all_seeds_see_the_same_resample():
    """Resampled seed by seed, v of identical seeds would shrink with their number."""
    values = np.random.default_rng(2).normal(size=100)
    resamples = Resamples(100, 4000, 0)
    one = means(resamples, values[:, None], np.ones(100, bool))[:, 0]
    for seeds in (2, 8):
        v = example_variance(np.stack([one] * seeds))
        assert v == pytest.approx(values.var() / 100, rel=0.07)


def test_resamples_without_a_value_are_left_out_and_nothing_warns():
    rows = np.random.default_rng(3).normal(size=(2, 6, 3))
    rows[0, 2, 0] = np.nan  # one resample of one seed
    rows[:, 1:, 1] = np.nan  # all resamples
    rows[:, :, 2] = np.nan  # everything
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        v = example_variance(rows)
        estimate, low, _ = crossed_interval(rows)
    kept = rows[:, [1, 3, 4, 5], 0].mean(0)
    assert v[0] == pytest.approx(stats.tvar(kept))
    assert np.isnan(v[1:]).all()
    assert np.isfinite(estimate[:2]).all()
    assert np.isfinite(low[0])
    assert np.isnan(low[1:]).all()


# --- coverage --------------------------------------------------------------------------------

STUDIES, EXAMPLES = 2000, 60


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize(
    "seed_sd, example_sd, residual_sd",
    [(1, 0.1, 0.1), (0.1, 8, 0.1), (1, 8, 1), (0.3, 8, 4)],
    ids=["seeds", "examples", "both", "interaction"],
)
def test_coverage_of_the_nominal_95_percent_interval(seeds, seed_sd, example_sd, residual_sd):
    """Simulated: value(seed, example) = truth + seed effect + example effect + residual."""
    rng = np.random.default_rng([seeds, int(10 * seed_sd), int(10 * residual_sd)])
    truth = 0.4
    resamples = Resamples(EXAMPLES, 300, 0)
    of_seed = seed_sd * rng.normal(size=(seeds, 1, STUDIES))
    of_example = example_sd * rng.normal(size=(EXAMPLES, STUDIES))
    residual = residual_sd * rng.normal(size=(seeds, EXAMPLES, STUDIES))
    values = truth + of_seed + of_example + residual
    everything = np.ones(EXAMPLES, bool)
    rows = np.stack([means(resamples, value, everything) for value in values])
    _, low, high = crossed_interval(rows)
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.93 <= covered <= 0.99


# --- p-values and verdicts -------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [2, 3, 10])
@pytest.mark.parametrize("v", [0.0, 0.3])
def test_p_is_2_5_percent_where_the_interval_touches_the_null(seeds, v):
    s2 = 0.8
    half = float(half_width(np.array(s2), seeds, np.array(v)))
    assert one_sided_p(1 + half, 1, s2, seeds, v) == pytest.approx(0.025, rel=1e-6)
    assert one_sided_p(1 - half, 1, s2, seeds, v) == pytest.approx(0.975, rel=1e-6)
    assert one_sided_p(1, 1, s2, seeds, v) == 0.5
    for wider, found in ((1 + 1e-6, "holds"), (1 - 1e-6, "undecided")):
        estimate = 1 + wider * half
        assert verdict(estimate - half, estimate + half, 1) == found
        assert (one_sided_p(estimate, 1, s2, seeds, v) < 0.025) == (found == "holds")


def test_p_is_student_s_t_without_example_variance_and_normal_without_seed_variance():
    for distance in (0.2, 1.5, 6.0):
        t = stats.t.sf(distance / np.sqrt(0.5 / 4), 3)
        assert one_sided_p(distance, 0, 0.5, 4, 0.0) == pytest.approx(t, rel=1e-6)
        normal = stats.norm.sf(distance / np.sqrt(0.3))
        assert one_sided_p(distance, 0, 0.0, 4, 0.3) == pytest.approx(normal, rel=1e-6)


def test_p_is_nan_where_the_interval_is():
    assert np.isnan(one_sided_p(1.0, 0, 0.5, 1, 0.1))
    assert np.isnan(one_sided_p(np.nan, 0, 0.5, 3, 0.1))
    assert np.isnan(one_sided_p(1.0, 0, np.nan, 3, 0.1))
    assert np.isnan(one_sided_p(1.0, 0, 0.5, 3, np.nan))


@pytest.mark.parametrize(
    "low, high, found",
    [
        (1.1, 1.3, "holds"),
        (0.7, 0.9, "contrary"),
        (0.9, 1.1, "undecided"),
        (1.0, 1.3, "undecided"),
        (0.7, 1.0, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_verdict_is_the_side_of_the_interval(low, high, found):
    assert verdict(low, high, 1.0) == found


def test_holm_by_hand():
    # sorted .005 .011 .02 .04 against .05/4 = .0125, .05/3 = .01667, .05/2 = .025, .05
    assert holm([0.04, 0.005, 0.02, 0.011]) == [True] * 4
    # .005 <= .0125; .018 > .01667 stops: .02 and .04 stay, though below .025 and .05
    assert holm([0.04, 0.005, 0.02, 0.018]) == [False, True, False, False]
    # NaN does not count: .03 is compared with .05/1
    assert holm([np.nan, 0.03, np.nan]) == [False, True, False]
    assert holm([]) == []


def made_up(values, null_rows=None, statistic="exaggeration", model="student"):
    """An analysis in which one statistic has these values per seed and everything else is 0."""
    values = np.array(values)
    shape = (len(STATISTICS), len(MODELS), len(SUBSETS), len(values))
    table = np.zeros(shape)
    place = list(STATISTICS).index(statistic), MODELS.index(model)
    table[place] = values
    estimate, low, high = crossed_interval(np.moveaxis(table, -1, 0)[:, None])
    cell = ("statistic", "model", "subset")
    dataset = xr.Dataset(
        {
            "value": ((*cell, "seed"), table),
            "estimate": (cell, estimate),
            "low": (cell, low),
            "high": (cell, high),
            "example_variance": (cell, np.zeros(shape[:-1])),
            "examples": (("subset", "seed"), np.full((len(SUBSETS), len(values)), 100)),
        },
        coords={
            "statistic": list(STATISTICS), "model": list(MODELS), "subset": list(SUBSETS),
            "seed": list(range(len(values))),
        },
    )  # fmt: skip
    return Analysis("made-up", {}, {"test": dataset})


def test_a_claim_below_the_null_holds_below_it():
    claim = CLAIM["low_confidence_underfitting"]
    below, above = [-0.5, -0.51, -0.49], [0.5, 0.51, 0.49]
    for values, found in ((below, "holds"), (above, "contrary"), ([-1, 0, 1], "undecided")):
        finding = find(claim, made_up(values, statistic="gap_decile_1"))
        assert finding.verdict == found
        t = np.mean(values) / (np.std(values, ddof=1) / np.sqrt(3))
        assert finding.p == pytest.approx(stats.t.cdf(t, 2), rel=1e-4)


def test_holm_of_a_single_setting_agrees_with_its_verdict():
    claim = CLAIM["exaggeration"]
    for shift in np.linspace(0, 0.4, 41):
        found = find(claim, made_up(1 + shift + np.array([-0.1, 0, 0.1])))
        assert summarise(claim, [found]).holds_after_holm == (found.verdict == "holds")


def test_summary_counts_by_hand():
    claim = CLAIM["exaggeration"]
    findings = [
        SimpleNamespace(verdict=verdict, p=p, seeds=seeds)
        for verdict, p, seeds in (
            ("holds", 0.001, 3), ("holds", 0.02, 3), ("contrary", 0.99, 3),
            ("undecided", 0.3, 3), ("undecided", np.nan, 1),
        )
    ]  # fmt: skip
    found = summarise(claim, findings)
    assert (found.settings, found.holds, found.contrary, found.undecided) == (5, 2, 1, 2)
    assert found.holds_after_holm == 1  # 2 * .001 <= .05/4, 2 * .02 > .05/3
    assert found.expected_by_chance == pytest.approx(4 * 0.025)


def test_one_seed_decides_nothing():
    finding = find(CLAIM["exaggeration"], made_up([5.0]))
    assert finding.verdict == "undecided"
    assert np.isnan(finding.p)


# --- the quantiles, against scipy --------------------------------------------------------------


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 9, 29, 300])
def test_tails_and_quantiles_are_those_of_scipy(dof):
    for t in (0.01, 0.7, 1.0, 2.0, 12.7, 100.0, 1e6):
        assert t_tail(t, dof) == pytest.approx(2 * stats.t.sf(t, dof), rel=1e-11, abs=1e-300)
    for level in (0.5, 0.9, LEVEL, 0.999):
        assert t_quantile(level, dof) == pytest.approx(stats.t.isf((1 - level) / 2, dof), rel=1e-11)
        assert normal_quantile(level) == pytest.approx(stats.norm.isf((1 - level) / 2), rel=1e-11)
