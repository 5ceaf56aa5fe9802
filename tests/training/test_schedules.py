"""Learning rates: shapes, ends, warm-up and milestones, written out by hand."""

import math

import numpy as np
import pytest

from disobey.errors import UserError
from disobey.training.schedules import learning_rates

STEPS = 200
SCHEDULES = ("constant", "cosine", "linear", "one_cycle", "steps")


def rates(schedule, per_epoch=STEPS, **recipe):
    """The schedule has one epoch unless the test says otherwise."""
    if schedule == "steps":
        recipe.setdefault("milestones", [0.5, 0.75])
    if "steps" not in recipe:
        recipe.setdefault("epochs", 1)
    return learning_rates({"lr": 0.4, "schedule": schedule, **recipe}, per_epoch)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 7, STEPS])
def test_every_step_has_a_positive_rate_up_to_the_peak(schedule, steps):
    found = rates(schedule, steps)
    assert found.shape == (steps,)
    assert (found > 0).all()
    assert (found <= 0.4 * (1 + 1e-12)).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_those_of_half_the_peak_times_two(schedule):
    halved = rates(schedule, lr=0.2)
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


SAME = [
    ({"epochs": 4}, {"steps": 40}),
    ({"epochs": 4, "warmup": 0.25}, {"epochs": 4, "warmup": {"epochs": 1}}),
    ({"epochs": 4, "warmup": 0.25}, {"epochs": 4, "warmup": {"steps": 10}}),
    ({"epochs": 4, "warmup": 0.25}, {"steps": 40, "warmup": {"epochs": 1}}),
    ({"epochs": 3, "warmup": 1 / 3}, {"steps": 30, "warmup": {"steps": 10}}),
]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "steps"])
@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_in_other_units_is_the_same_to_the_last_bit(schedule, one, other):
    """Epochs of ten steps."""
    assert rates(schedule, 10, **one).tolist() == rates(schedule, 10, **other).tolist()


@pytest.mark.parametrize("milestones", [{"epochs": [1, 3]}, {"steps": [7, 21]}])
@pytest.mark.parametrize("length", [{"epochs": 4}, {"steps": 25}])
def test_milestones_in_units_divide_from_the_first_step_behind_them(milestones, length):
    """Epochs of seven steps: no share of 25 or 28 that can be written is a multiple of that."""
    recipe = {"lr": 1.0, "schedule": "steps", "milestones": milestones, **length}
    found = learning_rates(recipe, 7)
    assert len(found) == length.get("steps", 28)
    np.testing.assert_allclose(found[:7], 1.0)
    np.testing.assert_allclose(found[7:21], 0.1)
    np.testing.assert_allclose(found[21:], 0.01)


def test_a_warm_up_in_steps_reaches_the_peak_at_the_step_behind_it():
    recipe = {"lr": 1.0, "schedule": "linear", "steps": 30, "warmup": {"steps": 10}}
    expected = [(k + 1) / 11 for k in range(10)] + [1 - k / 20 for k in range(20)]
    np.testing.assert_allclose(learning_rates(recipe, 7), expected)


def test_parts_that_do_not_fit_are_refused_before_there_are_any_rates():
    recipe = {"lr": 1.0, "schedule": "linear", "epochs": 2, "warmup": {"steps": 14}}
    with pytest.raises(UserError, match=r"^recipe: a warm-up of 14 steps .* has 7 steps$"):
        learning_rates(recipe, 7)
