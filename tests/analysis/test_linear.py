"""Linear theory, against simulated training in the original coordinates and exact arithmetic."""

import mpmath
import numpy as np
import pytest

from disobey.analysis.linear import Spectrum, filters, log_ratio_at, paths

# ln R keeps this precision, see `test_log_ratio_equals_exact_arithmetic`.
ROUNDING = 4e-15
RATIOS = np.array([0.999999, 0.9999, 0.99, 0.9, 0.7, 0.5, 0.3, 0.1, 1e-2, 1e-4, 1e-6, 1e-9, 1e-12])
WITH_LEADING = np.concatenate([[1.0], RATIOS])


def regression(seed, examples=12, features=5, rank=None):
    """X with eigenvalues between 0.05 and 1, and y."""
    rng = np.random.default_rng(seed)
    rank = rank or min(examples, features)
    u, v = (np.linalg.qr(rng.normal(size=(n, rank)))[0] for n in (examples, features))
    return u * np.sqrt(rng.uniform(0.05, 1, rank)) @ v.T, rng.normal(size=examples)


def euler(inputs, targets, time, step):
    """Weights at every step of gradient descent; small steps approximate gradient flow."""
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


def test_filters_are_exact_over_twelve_orders_of_magnitude():
    eigenvalues, times = np.geomspace(1, 1e-12, 25), np.geomspace(1e-3, 1e13, 33)
    with mpmath.workdps(60):
        base = [mpmath.exp(-mpmath.mpf(x)) for x in eigenvalues.tolist()]
        expected = [[float(1 - b ** mpmath.mpf(t)) for b in base] for t in times.tolist()]
    np.testing.assert_allclose(filters(eigenvalues, times), expected, rtol=2e-15)


def test_the_student_ends_at_its_teacher():
    problem = Spectrum.from_data(*regression(3))
    np.testing.assert_allclose(paths(problem, np.inf, 6.0), paths(problem, 6.0), rtol=1e-15)


def test_a_teacher_trained_to_the_end_leaves_the_one_hot_path():
    problem, times = Spectrum.from_data(*regression(4)), np.geomspace(0.1, 100, 7)
    np.testing.assert_array_equal(paths(problem, times, [np.inf]), paths(problem, times))
    log_ratio = log_ratio_at(np.geomspace(1e-9, 1e15, 9), WITH_LEADING, np.inf)
    np.testing.assert_allclose(log_ratio, 0, atol=ROUNDING)


def test_a_rank_deficient_problem_keeps_the_directions_it_has():
    inputs, targets = regression(5, examples=12, features=8, rank=3)
    problem = Spectrum.from_data(inputs, targets)
    assert problem.eigenvalues.shape == (3,) and problem.directions.shape == (3, 8)
    least_norm = np.linalg.pinv(inputs) @ targets
    np.testing.assert_allclose(paths(problem, np.inf) @ problem.directions, least_norm)


def test_more_features_than_examples():
    inputs, targets = regression(6, examples=4, features=30)
    problem = Spectrum.from_data(inputs, targets)
    assert problem.eigenvalues.shape == (4,)
    fitted = inputs @ (paths(problem, np.inf) @ problem.directions)
    np.testing.assert_allclose(fitted, targets)


def test_nothing_moves_along_an_eigenvalue_of_zero():
    eigenvalues = np.array([1.0, 0.0])
    np.testing.assert_array_equal(filters(eigenvalues, [1.0, np.inf])[:, 1], 0)
    assert np.isnan(log_ratio_at(np.array([0.5, np.inf]), eigenvalues, 1.0)[:, 1]).all()


# --- matched progress --------------------------------------------------------------------------


def test_ratio_equals_that_of_simulated_training():
    inputs, targets = regression(7)
    problem, step, stop = Spectrum.from_data(inputs, targets), 1e-3, 3.0
    one_hot = euler(inputs, targets, 3.0, step) @ problem.directions.T
    student = trained(inputs, targets, [stop], 4.0, step) @ problem.directions.T
    leading = student[:, 0] / one_hot[-1, 0]  # the student's limit is the teacher
    at = [np.argmin(np.abs(leading - p)) for p in np.linspace(0.1, 0.9, 9)]
    times = -np.log1p(-leading[at]) / problem.eigenvalues[0]
    expected = np.exp(log_ratio_at(times, problem.eigenvalues, stop))
    grown = np.abs(one_hot[:, 0])
    for k in range(1, 5):
        ratio = student[at, k] / np.interp(np.abs(student[at, 0]), grown, one_hot[:, k])
        assert (ratio < 1).all()  # the theorem, as training shows it
        np.testing.assert_allclose(ratio, expected[:, k], rtol=5e-3)


def cases_of_exact_arithmetic(count):
    """Student time, teacher's stop, eigenvalue ratio: both orders, near 1 and near the ends."""
    rng = np.random.default_rng(8)
    for case in range(count):
        near = 10.0 ** rng.uniform(-12, -0.3)
        ratio = [1 - near, near, rng.uniform(0.3, 1)][case % 3]
        student, stop = 10.0 ** rng.uniform(-12, 2.5, 2)
        if case % 7 == 0:  # nearly the same time
            stop = student * (1 + 10.0 ** rng.uniform(-12, 0))
        yield student, stop, ratio


def test_log_ratio_equals_exact_arithmetic():
    for student, stop, ratio in cases_of_exact_arithmetic(200):
        got = log_ratio_at(np.array(student), np.array([1.0, ratio]), stop)[1]
        assert got == pytest.approx(exact_log_ratio(student, stop, ratio), rel=1e-15, abs=ROUNDING)


def test_student_makes_strictly_less_progress_and_the_ratio_rises():
    """The paper's theorem, and the derived shape, on random pairs of directions."""
    rng = np.random.default_rng(10)
    times = -np.log1p(-np.linspace(0.01, 0.99, 99))
    for _ in range(100):
        ratios = np.concatenate(
            [[1.0], np.minimum(RATIOS[1:], rng.uniform(0.5, 2, 12) * RATIOS[1:])]
        )
        log_ratio = log_ratio_at(times, ratios, 10.0 ** rng.uniform(-3, 1))
        assert (log_ratio[:, 0] == 0).all()
        assert (log_ratio[:, 1:] < 0).all()
        assert (np.diff(log_ratio[:, 1:], axis=0) > -ROUNDING).all()


@pytest.mark.parametrize("stop", [1e-3, 0.5, 10.0, 200.0])
def test_ratio_rises_from_its_limit_at_the_start_to_one(stop):
    with mpmath.workdps(120):
        q = 1 - mpmath.exp(-mpmath.mpf(stop))
        limits = [mpmath.log((1 - (1 - q) ** mpmath.mpf(r)) / q) for r in WITH_LEADING.tolist()]
    start = log_ratio_at(np.array(1e-15), WITH_LEADING, stop)
    np.testing.assert_allclose(start, [float(limit) for limit in limits], atol=ROUNDING)
    log_ratio = log_ratio_at(np.geomspace(1e-9, 1e14, 400), WITH_LEADING, stop)[:, 1:]
    assert (np.diff(log_ratio, axis=0) > -ROUNDING).all()
    assert (log_ratio[-1] > -1e-12).all()
    at_the_end = log_ratio_at(np.array(np.inf), WITH_LEADING, stop)
    np.testing.assert_allclose(at_the_end, 0, atol=ROUNDING)


# --- bad input ---------------------------------------------------------------------------------

PROBLEM = Spectrum.from_data([[1.0, 0.0], [0.0, 0.5]], [1.0, 1.0])
BAD = {
    "no time": (lambda: paths(PROBLEM, []), "times must not be empty"),
    "time 0": (lambda: paths(PROBLEM, [1.0, 0.0]), "times must be positive, got 0: write"),
    "time nan": (lambda: paths(PROBLEM, np.nan), "times must be positive, got nan"),
    "stop < 0": (lambda: paths(PROBLEM, 1.0, [-2.0]), "teacher_stops must be positive, got -2"),
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
