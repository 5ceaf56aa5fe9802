"""Linear theory, against simulated training in the original coordinates and exact arithmetic."""

import mpmath
import numpy as np
import pytest

from disobey.analysis.linear import (
    Spectrum,
    descent_rates,
    filters,
    log_ratio_at,
    log_ratio_limits,
    matched_log_ratio,
    matched_ratio,
    matched_times,
    paths,
    progress_along,
    student_limit,
)

# ln R keeps this relative precision, see `test_log_ratio_equals_exact_arithmetic`.
ROUNDING = 1e-13
# Progress as close to both of its ends as float64 comes.
PROGRESS = np.concatenate([np.geomspace(1e-15, 0.1, 60), np.linspace(0.1, 0.9, 81)[1:-1]])
PROGRESS = np.concatenate([PROGRESS, 1 - np.geomspace(0.1, 1e-15, 60)])
RATIOS = np.array([0.999999, 0.9999, 0.99, 0.9, 0.7, 0.5, 0.3, 0.1, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12])


def regression(seed, examples=12, features=5, rank=None):
    """X with eigenvalues between 0.05 and 1, and y."""
    rng = np.random.default_rng(seed)
    rank = rank or min(examples, features)
    u, v = (np.linalg.qr(rng.normal(size=(n, rank)))[0] for n in (examples, features))
    return u * np.sqrt(rng.uniform(0.05, 1, rank)) @ v.T, rng.normal(size=examples)


def euler(inputs, targets, time, step):
    """Weights at every step: small steps are gradient flow, others are gradient descent."""
    weights = [np.zeros(inputs.shape[1])]
    for _ in range(round(time / step)):
        weights.append(weights[-1] - step * inputs.T @ (inputs @ weights[-1] - targets))
    return np.array(weights[1:])


def trained(inputs, targets, stops, time, step):
    """The path of a student after one teacher per stop, each trained on the one before."""
    for stop in stops:
        targets = inputs @ euler(inputs, targets, stop, step)[-1]
    return euler(inputs, targets, time, step)


def exact_log_ratio(student, stop, relative):
    """ln R from its definition with 400 digits; times in units of 1 / leading eigenvalue."""
    with mpmath.workdps(400):
        s, t, r = (mpmath.mpf(float(value)) for value in (student, stop, relative))
        p, q = 1 - mpmath.exp(-s), 1 - mpmath.exp(-t)
        f = [1 - (1 - a) ** r for a in (p, q, p * q)]
        return float(mpmath.log(f[0] * f[1] / f[2]))


# --- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [(), (2.0,), (2.0, 5.0, 1.0)])
def test_flow_equals_simulated_flow(stops):
    inputs, targets = regression(0)
    problem, step = Spectrum.from_data(inputs, targets), 1e-3
    simulated = trained(inputs, targets, stops, 4.0, step)
    times = step * np.arange(1, len(simulated) + 1)
    weights = paths(problem, times, stops) @ problem.directions
    np.testing.assert_allclose(weights, simulated, atol=2e-3)
    finer = trained(inputs, targets, stops, 4.0, step / 2)[1::2]  # Euler's error falls with step
    error = [np.abs(weights - other).max() for other in (simulated, finer)]
    assert error[1] == pytest.approx(error[0] / 2, rel=0.01)


@pytest.mark.parametrize("stops", [(), (4.0,), (40.0, 4.0, 8.0)])
def test_descent_equals_its_own_iteration(stops):
    inputs, targets = regression(1)
    problem = Spectrum.from_data(inputs, targets)
    step = 0.8
    simulated = trained(inputs, targets, stops, 160.0, step)
    times = step * np.arange(1, len(simulated) + 1)
    weights = paths(problem, times, stops, step_size=step) @ problem.directions
    np.testing.assert_allclose(weights, simulated, rtol=0, atol=1e-13)


def test_descent_is_flow_with_other_eigenvalues_and_time_in_steps_of_eta():
    eigenvalues, steps, eta = np.array([1.0, 0.3, 1e-9]), np.array([1, 2, 50]), 0.9
    expected = 1 - (1 - eta * eigenvalues[:2]) ** steps[:, None]
    np.testing.assert_allclose(filters(eigenvalues, eta * steps, eta)[:, :2], expected, rtol=1e-14)
    rates = descent_rates(eigenvalues, eta)
    np.testing.assert_allclose(rates, -np.log1p(-eta * eigenvalues) / eta, rtol=1e-15)
    np.testing.assert_array_equal(filters(eigenvalues, 7.0, eta), filters(rates, 7.0))
    for descent, flow in zip(
        log_ratio_limits(eigenvalues, 3.0, eta), log_ratio_limits(rates, 3.0), strict=True
    ):
        np.testing.assert_allclose(descent, flow, rtol=1e-13)
    np.testing.assert_allclose(
        matched_log_ratio(PROGRESS, eigenvalues, 3.0, eta),
        matched_log_ratio(PROGRESS, rates, 3.0),
        rtol=1e-12,
    )


@pytest.mark.parametrize("step", [None, 0.5])
def test_filters_are_exact_over_twelve_orders_of_magnitude(step):
    eigenvalues, times = np.geomspace(1, 1e-12, 25), np.geomspace(1e-3, 1e13, 33)
    with mpmath.workdps(60):
        base = [
            mpmath.exp(-mpmath.mpf(x)) if step is None else (1 - step * mpmath.mpf(x)) ** (1 / step)
            for x in eigenvalues.tolist()
        ]
        expected = [[float(1 - b ** mpmath.mpf(t)) for b in base] for t in times.tolist()]
    np.testing.assert_allclose(filters(eigenvalues, times, step), expected, rtol=2e-15)


def test_every_round_multiplies_by_one_more_filter():
    problem = Spectrum.from_data(*regression(2))
    times, stops = np.geomspace(0.1, 100, 7), [0.5, 3.0, 20.0]
    expected = paths(problem, times)
    for stop in stops:
        expected = expected * filters(problem.eigenvalues, stop)
    np.testing.assert_allclose(paths(problem, times, stops), expected, rtol=1e-14)


@pytest.mark.parametrize("step", [None, 0.5])
def test_the_student_ends_at_its_teacher(step):
    problem = Spectrum.from_data(*regression(3))
    teacher = paths(problem, 6.0, step_size=step)
    np.testing.assert_allclose(paths(problem, np.inf, 6.0, step), teacher, rtol=1e-15)
    np.testing.assert_allclose(student_limit(problem, 6.0, step), teacher, rtol=1e-15)
    np.testing.assert_array_equal(student_limit(problem), problem.limit)


def test_a_teacher_trained_to_the_end_leaves_the_one_hot_path():
    problem, times = Spectrum.from_data(*regression(4)), np.geomspace(0.1, 100, 7)
    np.testing.assert_array_equal(paths(problem, times, [np.inf]), paths(problem, times))
    assert (matched_ratio(PROGRESS, problem.eigenvalues, np.inf) == 1).all()
    assert (log_ratio_at(np.geomspace(1e-9, 1e15, 9), RATIOS, np.inf) == 0).all()
    rising = np.array([1.0, 3.0, 1e12])
    assert (matched_ratio(PROGRESS, rising, np.inf) == 1).all()
    late = np.array([1e2, 1e4, 1e8])  # and it is approached, not only reached
    start = [1 - np.exp(log_ratio_limits([1.0, 0.1], stop)[0][1]) for stop in late]
    np.testing.assert_allclose(start, [np.exp(-10), 0, 0], rtol=1e-9, atol=1e-300)


def test_a_rank_deficient_problem_keeps_the_directions_it_has():
    inputs, targets = regression(5, examples=12, features=8, rank=3)
    problem = Spectrum.from_data(inputs, targets)
    assert problem.eigenvalues.shape == (3,) and problem.directions.shape == (3, 8)
    simulated = trained(inputs, targets, [4.0], 80.0, 0.8)[-1]
    np.testing.assert_allclose(paths(problem, 80.0, 4.0, 0.8) @ problem.directions, simulated)
    least_norm = np.linalg.pinv(inputs) @ targets
    np.testing.assert_allclose(paths(problem, np.inf) @ problem.directions, least_norm)
    assert np.isfinite(matched_ratio(PROGRESS, problem.eigenvalues, 2.0)).all()


def test_more_features_than_examples():
    inputs, targets = regression(6, examples=4, features=30)
    problem = Spectrum.from_data(inputs, targets)
    assert problem.eigenvalues.shape == (4,)
    fitted = inputs @ (paths(problem, np.inf) @ problem.directions)
    np.testing.assert_allclose(fitted, targets)


def test_nothing_moves_along_an_eigenvalue_of_zero():
    problem = Spectrum(np.array([1.0, 0.0]), np.array([2.0, 5.0]))
    np.testing.assert_array_equal(paths(problem, [1.0, np.inf], [3.0])[:, 1], 0)
    assert np.isnan(matched_ratio(0.5, problem.eigenvalues, 1.0)).tolist() == [False, True]
    assert all(np.isnan(limit[1]) for limit in log_ratio_limits(problem.eigenvalues, 1.0))


def test_shapes_follow_times_and_directions():
    problem = Spectrum(np.geomspace(1, 1e-12, 3072), np.ones(3072))
    learnt = paths(problem, np.geomspace(1e-2, 1e14, 1000), [1e3, 1e6])
    assert learnt.shape == (1000, 3072) and np.isfinite(learnt).all()
    assert (np.diff(learnt, axis=0) >= 0).all()
    assert paths(problem, 1.0).shape == (3072,)
    assert paths(problem, np.ones((2, 5))).shape == (2, 5, 3072)
    assert matched_ratio(np.full((2, 5), 0.3), [1.0, 0.5], 1.0).shape == (2, 5, 2)
    assert matched_ratio(0.3, [1.0, 0.5], 1.0).shape == (2,)


# --- matched progress --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 0.4])
@pytest.mark.parametrize("stops", [[2.0], [2.0, 6.0, 1.0]])
def test_ratio_compares_the_two_paths_at_equal_leading_progress(stops, step):
    problem = Spectrum(np.array([0.9, 2.0, 0.9, 0.3, 1e-6]), np.array([1.0, 2, -3, 4, 5]))
    progress = np.linspace(0.05, 0.95, 19)
    student_times, one_hot_times = matched_times(progress, problem.eigenvalues, stops, step)
    student = paths(problem, student_times, stops, step)
    one_hot = paths(problem, one_hot_times, (), step)
    np.testing.assert_allclose(student[:, 0], one_hot[:, 0], rtol=1e-13)
    np.testing.assert_allclose(student[:, 0], progress * student_limit(problem, stops, step)[0])
    ratio = matched_ratio(progress, problem.eigenvalues, stops, step)
    np.testing.assert_allclose(student / one_hot, ratio, rtol=1e-12)


def test_ratio_equals_that_of_simulated_training():
    inputs, targets = regression(7)
    problem, step, stop = Spectrum.from_data(inputs, targets), 1e-3, 3.0
    one_hot = euler(inputs, targets, 3.0, step) @ problem.directions.T
    student = trained(inputs, targets, [stop], 4.0, step) @ problem.directions.T
    leading = student[:, 0] / one_hot[-1, 0]  # the student's limit is the teacher
    progress = np.linspace(0.1, 0.9, 9)
    at = [np.argmin(np.abs(leading - p)) for p in progress]
    assert np.abs(leading[at] - progress).max() < 1e-3
    grown = np.abs(one_hot[:, 0])
    for k in range(1, 5):
        other = np.interp(np.abs(student[at, 0]), grown, one_hot[:, k])
        ratio = student[at, k] / other
        assert (ratio < 1).all()  # the theorem, as training shows it
        expected = matched_ratio(leading[at], problem.eigenvalues, stop)[:, k]
        np.testing.assert_allclose(ratio, expected, rtol=5e-3)


def test_equal_progress_is_possible_only_before_any_teacher_stopped():
    eigenvalues, stops = [1.0, 0.1], [5.0, 2.0, 30.0]
    student, one_hot = matched_times(PROGRESS, eigenvalues, stops)
    assert (one_hot < 2.0).all() and (one_hot < student).all()
    np.testing.assert_allclose(-np.expm1(-student), PROGRESS, rtol=1e-14)


def test_progress_curve_is_the_filter_in_terms_of_leading_progress():
    eigenvalues = np.array([0.5, 0.1, 2.0])
    times = np.geomspace(1e-6, 20, 30)
    learnt = filters(eigenvalues, times)
    np.testing.assert_allclose(progress_along(learnt[:, 0], eigenvalues), learnt, rtol=1e-11)


def cases_of_exact_arithmetic(count):
    """Student time, teacher's stop, eigenvalue ratio: both orders, near 1 and near the ends."""
    rng = np.random.default_rng(8)
    for case in range(count):
        near = 10.0 ** rng.uniform(-12, -0.3)
        ratio = [1 - near, near, 1 + near, 1 / near, rng.uniform(0.3, 3)][case % 5]
        student, stop = 10.0 ** rng.uniform(-12, 2.5, 2)
        if case % 7 == 0:  # nearly the same time
            stop = student * (1 + 10.0 ** rng.uniform(-12, 0))
        yield student, stop, ratio


def test_log_ratio_equals_exact_arithmetic():
    compared = 0
    for student, stop, ratio in cases_of_exact_arithmetic(2000):
        got = log_ratio_at(student, [1.0, ratio], stop)[1]
        if abs(got) > 1e-100:  # below it 400 digits may not suffice
            assert got == pytest.approx(exact_log_ratio(student, stop, ratio), rel=ROUNDING, abs=0)
            compared += 1
    assert compared > 1500


def test_log_ratio_of_descent_equals_exact_arithmetic():
    rng = np.random.default_rng(9)
    for _ in range(200):
        near, eta, time = 10.0 ** rng.uniform(-12, -0.3), rng.uniform(0.1, 0.95), rng.uniform(1, 9)
        second = rng.choice([1 - near, near])
        with mpmath.workdps(60):
            rates = [-mpmath.log(1 - mpmath.mpf(eta) * mpmath.mpf(x)) for x in (1.0, second)]
            scaled = [rates[0] * t / mpmath.mpf(eta) for t in (mpmath.mpf(time), 2)]
            p, q = (1 - mpmath.exp(-t) for t in scaled)
            f = [1 - (1 - a) ** (rates[1] / rates[0]) for a in (p, q, p * q)]
            expected = float(mpmath.log(f[0] * f[1] / f[2]))
        got = log_ratio_at(time, [1.0, second], 2.0, eta)[1]
        assert got == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("step", [None, 0.99])
def test_student_makes_strictly_less_progress_and_the_ratio_rises(step):
    """The paper's theorem, and the derived shape, on 6,500 random pairs of directions."""
    rng = np.random.default_rng(10)
    for _ in range(500):
        ratios = np.concatenate([[1.0], np.minimum(RATIOS, rng.uniform(0.5, 2, 13) * RATIOS)])
        stop = 10.0 ** rng.uniform(-9, 2)
        log_ratio = matched_log_ratio(PROGRESS, ratios, stop, step)
        assert (log_ratio[:, 0] == 0).all()
        below = log_ratio[:, 1:]
        assert (below < 0).all()
        assert (np.diff(-below, axis=0) <= ROUNDING * -below[:-1]).all()
        start, end = log_ratio_limits(ratios, stop, step)
        assert (end == 0).all()
        assert (below >= start[1:] * (1 + ROUNDING)).all()
        assert (matched_ratio(PROGRESS, ratios, stop, step) <= 1).all()


@pytest.mark.parametrize("stop", [1e-3, 0.5, 10.0, 200.0])
def test_ratio_rises_from_its_limit_at_the_start_to_one(stop):
    eigenvalues = np.concatenate([[1.0], RATIOS])
    with mpmath.workdps(120):
        q = 1 - mpmath.exp(-mpmath.mpf(stop))
        limits = [mpmath.log((1 - (1 - q) ** mpmath.mpf(r)) / q) for r in eigenvalues.tolist()]
    start, end = log_ratio_limits(eigenvalues, stop)
    np.testing.assert_allclose(start, [float(limit) for limit in limits], rtol=ROUNDING)
    np.testing.assert_allclose(log_ratio_at(1e-15, eigenvalues, stop), start, rtol=ROUNDING)
    times = np.geomspace(1e-9, 1e14, 400)
    log_ratio = log_ratio_at(times, eigenvalues, stop)[:, 1:]
    assert (np.diff(-log_ratio, axis=0) <= ROUNDING * -log_ratio[:-1]).all()
    assert (log_ratio[-1] > -1e-12).all()
    assert (log_ratio_at(np.inf, eigenvalues, stop) == end).all() and (end == 0).all()


def test_equal_eigenvalues_give_exactly_one():
    eigenvalues = np.full(3, 0.1 + 0.2)
    for stops in ([1e-6], [2.0], [50.0, 0.3]):
        assert (matched_ratio(PROGRESS, eigenvalues, stops) == 1).all()
        assert (matched_ratio(PROGRESS, eigenvalues, stops, step_size=1.7) == 1).all()


def test_order_reversed_lies_above_one_and_falls():
    eigenvalues = np.concatenate([[1.0], 1 / RATIOS])
    for stop in (1e-14, 1e-3, 0.05):
        log_ratio = matched_log_ratio(PROGRESS, eigenvalues, stop)[:, 1:]
        assert (np.diff(log_ratio, axis=0) <= ROUNDING * log_ratio[:-1]).all()
        assert (log_ratio >= 0).all() and (log_ratio[0] >= log_ratio[-1]).all()
        assert (log_ratio[:, :9] > 0).all()  # beyond, e^(-r t) is below the smallest number
    assert (log_ratio_at(np.inf, eigenvalues, 0.05) == 0).all()
    swapped = matched_ratio(0.5, [1.0, 0.25], 2.0, leading=1)
    assert swapped[1] == 1 and swapped[0] > 1


def test_more_rounds_exaggerate_more_and_do_not_return_to_one():
    eigenvalues, ends = np.array([1.0, 0.9, 0.1, 1e-12]), []
    previous = np.zeros((len(PROGRESS), 3))
    for rounds in range(1, 5):
        log_ratio = matched_log_ratio(PROGRESS, eigenvalues, [1.5] * rounds)[:, 1:]
        assert (log_ratio < previous).all()
        previous = log_ratio
        start, end = log_ratio_limits(eigenvalues, [1.5] * rounds)
        q = 1 - np.exp(-1.5)
        f = 1 - (1 - q) ** eigenvalues[:3]
        np.testing.assert_allclose(start[:3], rounds * np.log(f / q), atol=1e-15)
        expected = np.log(f**rounds / (1 - (1 - q**rounds) ** eigenvalues[:3]))
        np.testing.assert_allclose(end[:3], expected, atol=1e-14)
        ends.append(end[1:])
    assert (ends[0] == 0).all() and (np.diff(ends, axis=0) < 0).all()


# --- bad input ---------------------------------------------------------------------------------

PROBLEM = Spectrum(np.array([1.0, 0.5]), np.array([1.0, 1.0]))
BAD = {
    "no eigenvalue": (lambda: filters([], 1.0), "eigenvalues must have 1 axes and not be empty"),
    "two axes": (lambda: filters([[1.0]], 1.0), "eigenvalues must have 1 axes"),
    "not finite": (
        lambda: filters([1.0, np.nan], 1.0),
        r"eigenvalues must be finite.*nan at \(1,\)",
    ),
    "infinite": (lambda: filters([np.inf], 1.0), "eigenvalues must be finite"),
    "negative": (lambda: filters([1.0, -1e-9], 1.0), "must be 0 or larger, got -1e-09"),
    "no time": (lambda: paths(PROBLEM, []), "times must not be empty"),
    "time 0": (lambda: paths(PROBLEM, [1.0, 0.0]), "times must be positive, got 0: write"),
    "time nan": (lambda: paths(PROBLEM, np.nan), "times must be positive, got nan"),
    "stop < 0": (lambda: paths(PROBLEM, 1.0, [-2.0]), "teacher_stops must be positive, got -2"),
    "stop axes": (lambda: paths(PROBLEM, 1.0, [[2.0]]), "teacher_stops must list one"),
    "stop nan": (lambda: student_limit(PROBLEM, np.nan), "teacher_stops must be positive"),
    "no stop": (lambda: matched_ratio(0.5, [1.0, 0.5], []), "teacher_stops must list.* 1 at least"),
    "eta 1/max": (lambda: filters([1.0, 4.0], 1.0, 0.25), "below 1 / largest eigenvalue = 0.25"),
    "eta 0": (lambda: filters([1.0], 1.0, 0.0), "step_size must be positive and below"),
    "eta nan": (lambda: filters([1.0], 1.0, np.nan), "step_size must be positive"),
    "eta inf": (lambda: filters([0.0], 1.0, np.inf), "step_size must be positive and finite"),
    "progress 1": (lambda: matched_ratio([0.5, 1.0], [1.0], 1.0), "between 0 and 1.*got 1: for"),
    "progress nan": (lambda: progress_along(np.nan, [1.0]), "between 0 and 1.*got nan"),
    "no progress": (lambda: matched_times([], [1.0], 1.0), "progress must not be empty"),
    "leading": (lambda: matched_ratio(0.5, [1.0], 1.0, leading=1), "beyond the rank"),
    "leading -1": (lambda: matched_ratio(0.5, [1.0], 1.0, leading=-1), "beyond the rank"),
    "leading is 0": (lambda: matched_ratio(0.5, [0.0, 1.0], 1.0), r"\[1\] are positive, write one"),
    "beyond rank": (lambda: PROBLEM.select([0, 2]), "beyond the rank.*numbers 0 to 1"),
    "half rank": (lambda: PROBLEM.select(0.5), "numbers 0 to 1"),
    "lengths": (lambda: Spectrum(np.ones(2), np.ones(3)), "one u_k.y per eigenvalue: there are 3"),
    "rows": (lambda: Spectrum(np.ones(2), np.ones(2), np.ones((3, 4))), "one row v_k per eigenv"),
    "no projections": (lambda: Spectrum(np.ones(2), np.array([])), "projections must have"),
    "X empty": (lambda: Spectrum.from_data(np.empty((0, 3)), []), "inputs must have 2 axes"),
    "X nan": (
        lambda: Spectrum.from_data([[1.0], [np.nan]], [1, 2]),
        r"finite, got nan at \(1, 0\)",
    ),
    "y inf": (lambda: Spectrum.from_data([[1.0], [2.0]], [1, np.inf]), "targets must be finite"),
    "X and y": (lambda: Spectrum.from_data(np.ones((3, 2)), np.ones(2)), "the same examples"),
    "one example": (lambda: Spectrum.from_data(np.ones((1, 2)), np.ones(1)), "two at least"),
    "X zero": (lambda: Spectrum.from_data(np.zeros((3, 2)), np.ones(3)), "no direction to learn"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_and_says_what_to_write(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_selected_directions_keep_their_own_values():
    problem = Spectrum.from_data(*regression(11))
    part = problem.select([0, 3])
    np.testing.assert_array_equal(part.eigenvalues, problem.eigenvalues[[0, 3]])
    np.testing.assert_array_equal(paths(part, [1.0, 9.0]), paths(problem, [1.0, 9.0])[:, [0, 3]])
    np.testing.assert_array_equal(part.directions, problem.directions[[0, 3]])
