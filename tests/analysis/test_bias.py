"""Matched progress: first passage by hand, invariances, and the theorem's closed form."""

import numpy as np
import pytest
from scipy import stats

from disobey.analysis import bias
from disobey.analysis.bias import (
    LEVELS,
    LINEAR_STOP,
    SHARES,
    analyse,
    at_first_passage,
    common_range,
    log_ratio_at,
    points_inside,
    recorded,
    steps_at,
)

RANGE = (0.2, 0.7)
EIGENVALUES = np.array([5.0, 3.0, 1.0, 0.2])
DIRECTIONS = len(EIGENVALUES)
MODELS = ("reference", "student", "batch_order", "double_lr")


def path(rng, points=40):
    """Simulated progress of a network: all positive, with leading progress that rises and falls."""
    leading = np.abs(np.cumsum(rng.normal(0.3, 1, points))) + 0.1
    return np.column_stack([leading, *rng.uniform(0.5, 2, (DIRECTIONS - 1, points))])


def layer(progress, models=("reference", "student")):
    """Wrap progress of shape (model, seed, point, direction)."""
    progress = np.asarray(progress, float)
    points, directions = progress.shape[2:]
    return recorded(
        tuple(models),
        tuple(range(progress.shape[1])),
        np.arange(1, points + 1),
        progress,
        np.hypot(progress, 0.5),
        np.full((*progress.shape[:2], directions), 0.5),
        np.arange(1, directions + 1),
        EIGENVALUES[:directions],
    )


# --- the clock -------------------------------------------------------------------------------


def test_a_level_is_reached_between_two_recorded_points():
    point = at_first_passage(np.arange(3), np.array([0.0, 1, 3]), np.array([0.5, 1, 2]))
    np.testing.assert_allclose(point, [0.5, 1, 1.5])


def test_a_level_counts_when_it_is_reached_first_also_if_leading_progress_falls_back():
    leading = np.array([0.0, 1, 3, 2, 5, 4])
    levels = np.array([2.5, 4.0, 5.0])
    # From 2, where it had fallen back to, up to 5: not from the highest so far, 3.
    point = at_first_passage(np.arange(6), leading, levels)
    np.testing.assert_allclose(point, [1.75, 3 + 2 / 3, 4])
    other = at_first_passage(np.array([0.0, 1, 2, 10, 4, 7]), leading, levels)
    np.testing.assert_allclose(other, [1.75, 10 - 6 * 2 / 3, 4])


@pytest.mark.parametrize("level", [0.0, -1.0, 3.1])
def test_a_level_that_is_not_reached_is_refused_with_what_is(level):
    with pytest.raises(ValueError, match=r"above the start, 0, and up to the largest .* 3; got"):
        at_first_passage(np.arange(3), np.array([0.0, 3.0, 2.0]), np.array([level]))


def test_the_common_range_ends_where_the_shorter_path_does():
    assert common_range(np.array([[1.0, 9], [4, 9], [3, 9]]), np.array([[7.0, 9]])) == 4


def test_steps_are_interpolated_like_progress():
    progress = np.array([[2.0, 1], [4, 1], [3, 1], [8, 1]])
    step = np.array([1, 10, 100, 1000])
    np.testing.assert_allclose(steps_at(progress, step, np.array([1.0, 3, 5.5])), [0.5, 5.5, 550])


def test_only_points_that_pass_a_new_level_count_as_inside():
    progress = np.array([[1.0], [2], [4], [3], [2], [6], [10]])
    assert points_inside(progress, 2, 7) == 3  # 2, 4 and 6; 3 and 2 are falling back
    assert points_inside(progress, 2.5, 5.5) == 1


# --- the ratio -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_run_equal_to_the_reference_has_log_ratio_zero(seed):
    one = path(np.random.default_rng(seed))
    assert (log_ratio_at(one, one, SHARES) == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_scaling_progress_along_one_direction_gives_the_log_of_the_scale(seed):
    rng = np.random.default_rng(seed)
    student, reference = path(rng), path(rng)
    scales = np.array([1, 0.3, 1, 7])
    change = log_ratio_at(student * scales, reference, SHARES)
    change -= log_ratio_at(student, reference, SHARES)
    np.testing.assert_allclose(change, np.tile(np.log(scales), (len(SHARES), 1)), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_ratio_ignores_how_fast_a_run_goes_and_where_it_was_recorded(seed):
    """More points on the same path, or the same points at other steps, change nothing."""
    rng = np.random.default_rng(seed)
    student, reference = path(rng), path(rng)
    where = np.sort(np.concatenate([np.arange(41.0), rng.uniform(0, 40, 60)]))[1:]
    from_start = np.vstack([np.zeros(DIRECTIONS), student])
    denser = np.column_stack([np.interp(where, np.arange(41), c) for c in from_start.T])
    np.testing.assert_allclose(
        log_ratio_at(denser, reference, SHARES),
        log_ratio_at(student, reference, SHARES),
        atol=1e-10,
    )
    slow, fast = layer([[reference], [student]]), layer([[reference], [student]])
    fast["step"] = fast.step**2
    changed = analyse(slow, RANGE).drop_vars(["step", "steps"])
    assert changed.identical(analyse(fast, RANGE).drop_vars(["step", "steps"]))


def test_a_detour_after_a_level_was_passed_does_not_touch_it():
    rng = np.random.default_rng(0)
    student, reference = path(rng), path(rng)
    detour = student[:20][::-1]
    student[20:, 0] += student[:20, 0].max()
    longer = np.vstack([student[:20], detour, student[:20], student[20:]])
    shares = np.linspace(0.05, 1, 77) * student[:20, 0].max() / student[:, 0].max()
    top = common_range(student, reference)
    reached = shares * top <= student[:20, 0].max()
    np.testing.assert_allclose(
        log_ratio_at(longer, reference, shares[reached]),
        log_ratio_at(student, reference, shares[reached]),
    )


@pytest.mark.parametrize("seed", range(5))
def test_student_minus_placebo_is_their_own_ratio_at_equal_progress(seed):
    """It does not depend on the reference, or on which of the two paths is shorter."""
    rng = np.random.default_rng(seed)
    reference, student, placebo = (path(rng) for _ in range(3))
    found = analyse(layer([[reference], [student], [placebo]], MODELS[:3]), RANGE)
    direct = log_ratio_at(student, placebo, np.linspace(*RANGE, LEVELS)).mean(0)
    np.testing.assert_allclose(found.difference.squeeze(), direct, atol=1e-12)
    other = analyse(layer([[path(rng)], [student], [placebo]], MODELS[:3]), RANGE)
    assert found.overall_difference.identical(other.overall_difference)


def test_a_placebo_that_is_cut_short_differs_from_its_whole_self_by_nothing():
    """A ratio that changes with progress must not depend on the length of a placebo's path."""
    time = np.geomspace(1e-3, 1, 400)[:, None]
    reference = time * np.ones(DIRECTIONS)
    falling = time * np.exp(-np.arange(DIRECTIONS) * time)
    short = np.where(time < 0.5, falling, falling[time[:, 0] < 0.5][-1])
    found = analyse(layer([[reference], [falling], [short]], MODELS[:3]), RANGE)
    np.testing.assert_allclose(found.overall_difference, 0, atol=1e-12)
    whole, cut = found.overall.squeeze()
    assert whole < cut - 0.1


def test_what_is_shared_by_two_paths_cancels():
    """Student against placebo through the reference: log ratios add along one clock."""
    rng = np.random.default_rng(1)
    a, b, c = (path(rng) for _ in range(3))
    for one in (a, b, c):
        one[-1, 0] = 30.0  # equal common ranges
    chain = log_ratio_at(a, b, SHARES) + log_ratio_at(b, c, SHARES)
    np.testing.assert_allclose(log_ratio_at(a, c, SHARES), chain, atol=1e-12)


# --- the closed form -------------------------------------------------------------------------


def linear_runs(points):
    rates = EIGENVALUES / EIGENVALUES[0]
    one_hot = 1 - np.exp(-rates * np.geomspace(1e-3, 60, points)[:, None])
    one_hot *= [2.0, 1.0, 0.5, 3.0] / np.sqrt(EIGENVALUES)
    return one_hot, one_hot * (1 - (1 - LINEAR_STOP) ** rates)


def test_paths_of_linear_regression_give_the_theorem_s_ratio():
    one_hot, student = linear_runs(6000)
    found = analyse(layer([[one_hot], [student]]), RANGE)
    curve = found.log_ratio_curve.sel(compared="student").isel(seed=0)
    rate, p, q = EIGENVALUES[:, None] / EIGENVALUES[0], SHARES[:-1], LINEAR_STOP
    f = [1 - (1 - share) ** rate for share in (p, q, p * q)]
    expected = np.log(f[0] * f[1] / f[2])
    np.testing.assert_allclose(found.theorem_log_ratio[:, :-1], expected, atol=1e-13)
    # At share 1 the path has not quite ended.
    np.testing.assert_allclose(curve[:, :-1], found.theorem_log_ratio[:, :-1], atol=2e-5)
    np.testing.assert_allclose(found.log_ratio[0, 0], found.theorem, atol=2e-5)
    assert float(found.overall[0, 0]) == pytest.approx(float(found.theorem_overall), abs=2e-5)
    assert float(found.trend[0, 0]) == pytest.approx(float(found.theorem_trend), abs=2e-5)
    assert float(found.theorem_overall) < 0 < float(found.theorem_trend)


def test_the_interpolation_between_recorded_points_is_of_second_order():
    errors = []
    for points in (250, 500):
        one_hot, student = linear_runs(points)
        found = analyse(layer([[one_hot], [student]]), RANGE)
        errors.append(float(np.abs(found.log_ratio[0, 0] - found.theorem).max()))
    assert 3 < errors[0] / errors[1] < 5.5


def test_the_drawn_linear_paths_are_shares_of_the_one_hot_limit():
    found = bias.theory(EIGENVALUES, RANGE)
    time = found.linear_time.values[:, None] * EIGENVALUES / EIGENVALUES[0]
    np.testing.assert_allclose(found.linear.sel(linear_model="reference"), 1 - np.exp(-time))
    limit = 1 - 0.1 ** (EIGENVALUES / EIGENVALUES[0])
    ratio = found.linear.sel(linear_model="student") / found.linear.sel(linear_model="reference")
    np.testing.assert_allclose(ratio, np.tile(limit, (len(time), 1)))
    assert (found.linear.sel(linear_model="reference")[-1] > 0.9999).all()


def test_an_eigenvalue_that_rounding_made_negative_has_no_theory():
    found = bias.theory(np.array([1.0, 0.5, -1e-17]), RANGE)
    assert np.isnan(found.theorem[2]) and np.isfinite(found.theorem[:2]).all()


# --- over seeds and models -------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_seeds():
    rng = np.random.default_rng(3)
    progress = np.array([[path(rng, 60) for _ in range(3)] for _ in MODELS])
    return progress, analyse(layer(progress, MODELS), RANGE)


def by_hand(compared, reference, shares):
    """ln ratio by scanning for the first crossing, one level and direction at a time."""
    top = min(compared[:, 0].max(), reference[:, 0].max())
    table = np.empty((len(shares), compared.shape[1]))
    for i, share in enumerate(shares):
        reached = []
        for run in (compared, reference):
            run = np.vstack([np.zeros(run.shape[1]), run])
            j = next(j for j in range(len(run)) if run[j, 0] >= share * top)
            part = (share * top - run[j - 1, 0]) / (run[j, 0] - run[j - 1, 0])
            reached.append((1 - part) * run[j - 1] + part * run[j])
        table[i] = np.log(reached[0] / reached[1])
    return table


def test_curves_means_and_trends_are_those_of_a_scan_for_crossings(three_seeds):
    progress, found = three_seeds
    shares = np.array([0.2 + 0.5 * i / (LEVELS - 1) for i in range(LEVELS)])
    for m, model in enumerate(MODELS[1:], 1):
        for s in range(3):
            here = found.sel(compared=model, seed=s)
            expected = by_hand(progress[m, s], progress[0, s], SHARES)
            np.testing.assert_allclose(here.log_ratio_curve.T, expected, atol=1e-12)
            expected = by_hand(progress[m, s], progress[0, s], shares)
            np.testing.assert_allclose(here.log_ratio, expected.mean(0), atol=1e-12)
            assert float(here.overall) == pytest.approx(expected[:, 1:].mean())
            assert float(here.trend) == pytest.approx((expected[-1, 1:] - expected[0, 1:]).mean())


def test_intervals_are_t_intervals_and_differences_are_paired_by_seed(three_seeds):
    _, found = three_seeds
    for placebo in MODELS[2:]:
        here = found.sel(placebo=placebo)
        paired = here.overall_difference
        expected = stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired))
        ends = here.overall_difference_low, here.overall_difference_high
        np.testing.assert_allclose(ends, expected)
        each = here.difference
        np.testing.assert_allclose(here.difference_estimate, each.mean("seed"))
        # Along the leading direction there is no difference, and no spread.
        assert here.difference_low[0] == here.difference_high[0] == 0
        each = each.transpose("seed", "direction")[:, 1:]
        expected = stats.t.interval(0.95, 2, each.mean("seed"), stats.sem(each))
        np.testing.assert_allclose(here.difference_low[1:], expected[0])
        np.testing.assert_allclose(here.difference_high[1:], expected[1])
    for what in ("overall", "trend"):
        for model in MODELS[1:]:
            values = found[what].sel(compared=model)
            low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
            here = found.sel(compared=model)
            assert float(here[f"{what}_low"]) == pytest.approx(float(low))
            assert float(here[f"{what}_high"]) == pytest.approx(float(high))


def test_steps_say_what_both_had_consumed_at_the_ends_of_the_range(three_seeds):
    progress, found = three_seeds
    compared, reference = progress[3, 1], progress[0, 1]
    top = common_range(compared, reference)
    for end, share in enumerate(RANGE):
        for side, run in enumerate((compared, reference)):
            before = np.concatenate([[0], run[:, 0]])
            j = int(np.argmax(before >= share * top))
            part = (share * top - before[j - 1]) / (before[j] - before[j - 1])
            steps = found.steps.sel(compared="double_lr", seed=1)[side, end]
            assert float(steps) == pytest.approx(j - 1 + part)


def test_one_seed_has_numbers_but_no_interval():
    rng = np.random.default_rng(4)
    found = analyse(layer([[path(rng)] for _ in range(3)], MODELS[:3]), RANGE)
    for name in ("overall", "trend", "overall_difference"):
        assert np.isfinite(found[f"{name}_estimate"]).all()
        assert np.isnan(found[f"{name}_low"]).all() and np.isnan(found[f"{name}_high"]).all()


def test_without_placebos_there_is_nothing_along_placebo():
    rng = np.random.default_rng(5)
    found = analyse(layer([[path(rng)], [path(rng)]]), RANGE)
    assert "placebo" not in found.dims and not [n for n in found if "difference" in str(n)]


@pytest.mark.parametrize("matched", [(0.0, 0.7), (0.7, 0.2), (0.2, 1.1), (0.3, 0.3)])
def test_a_range_outside_of_the_common_range_is_refused(matched):
    one = path(np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 < beginning < end <= 1, got"):
        analyse(layer([[one], [one]]), matched)


def test_the_leading_direction_alone_is_refused():
    one = path(np.random.default_rng(0))[:, :1]
    with pytest.raises(ValueError, match="directions must be two at least"):
        analyse(layer([[one], [one]]), RANGE)
