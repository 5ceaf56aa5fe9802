"""Learning rates: shapes, ends, warm-up and milestones, written out by hand."""

import math

import numpy as np
import pytest

from disobey.training.schedules import learning_rates

STEPS = 200
SCHEDULES = ("constant", "cosine", "linear", "one_cycle", "steps")


def rates(schedule, steps=STEPS, **recipe):
    if schedule == "steps":
        recipe.setdefault("milestones", [0.5, 0.75])
    return learning_rates({"lr": 0.4, "schedule": schedule, **recipe}, steps)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, STEPS])
def test_every_step_has_a_positive_rate_up_to_the_peak(schedule, steps):
    found = rates(schedule, steps)
    assert found.shape == (steps,)
    assert (found > 0).all()
    assert (found <= 0.4 * (1 + 1e-12)).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_those_of_half_the_peak_times_two(schedule):
    halved = learning_rates({"lr": 0.2, "schedule": schedule, "milestones": [0.5, 0.75]}, STEPS)
    np.testing.assert_allclose(rates(schedule), 2 * halved)


def test_cosine_and_linear_by_hand():
    cosine, linear = rates("cosine"), rates("linear")
    for step in range(STEPS):
        assert cosine[step] == pytest.approx(0.2 * (1 + math.cos(math.pi * step / STEPS)))
        assert linear[step] == pytest.approx(0.4 * (STEPS - step) / STEPS)


def test_constant_stays():
    assert set(rates("constant")) == {0.4}


def test_milestones_divide_by_ten_from_their_step_on():
    found = rates("steps", milestones=[0.3, 0.7])
    expected = [0.4] * 60 + [0.04] * 80 + [0.004] * 60
    np.testing.assert_allclose(found, expected)


def test_one_cycle_rises_to_the_peak_at_30_percent_and_falls_to_almost_nothing():
    found = rates("one_cycle")
    assert found[0] == pytest.approx(0.4 / 25)
    assert int(found.argmax()) == 60
    assert found[60] == pytest.approx(0.4)
    assert (np.diff(found[:61]) > 0).all()
    assert (np.diff(found[60:]) < 0).all()
    assert found[-1] < 0.4 * 1e-3
    # half-way up and half-way down, a cosine is at the mean of its ends
    assert found[30] == pytest.approx(0.4 * (1 + 1 / 25) / 2)
    assert found[130] == pytest.approx(0.4 * (1 + 1e-5) / 2)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_warm_up_rises_in_equal_steps_to_the_peak_where_the_schedule_starts(schedule):
    found = rates(schedule, warmup=0.1)
    np.testing.assert_allclose(np.diff(found[:21]), 0.4 / 21)
    assert found[0] == pytest.approx(0.4 / 21)
    assert found[20] == pytest.approx(0.4)
    assert int(found.argmax()) == 20 or schedule == "constant"
    rest = {"constant": 0.4, "cosine": 0.2, "linear": 0.2}[schedule]
    assert found[20 + 90] == pytest.approx(rest)  # half of what is left


def test_milestones_after_a_warm_up_count_from_the_start():
    found = rates("steps", warmup=0.1, milestones=[0.5])
    assert found[20] == found[99] == pytest.approx(0.4)
    assert found[100] == pytest.approx(0.04)


def test_warm_up_through_all_of_training():
    found = rates("cosine", steps=10, warmup=1.0)
    np.testing.assert_allclose(found, [0.4 * (step + 1) / 11 for step in range(10)])
