"""Durations in epochs, steps and shares, and what the training refuses once it knows its epochs."""

import pytest

from disobey.training.schedules import (
    milestones_of,
    misfit,
    number_of_epochs,
    share_of,
    steps_per_epoch,
    total_steps,
)


@pytest.mark.parametrize(
    ("duration", "share"),
    [(0.3, 0.3), (0.0, 0.0), ({"epochs": 15}, 15 / 450), ({"steps": 735}, 735 / 22050)],
)
def test_a_duration_is_a_share_of_450_epochs_of_49_steps(duration, share):
    assert share_of(duration, 49, 450 * 49) == share


def test_a_duration_of_whole_steps_is_the_progress_of_that_step_to_the_last_bit():
    for steps in (7, 22050, 25000):
        for step in (1, 3, steps - 1):
            assert share_of({"steps": step}, 1, steps) == step / steps
    assert share_of({"epochs": 3}, 49, 22050) == share_of({"steps": 147}, 49, 22050)


@pytest.mark.parametrize(("examples", "batch", "steps"), [(10, 4, 3), (8, 4, 2), (3, 4, 1)])
def test_the_last_batch_of_an_epoch_may_be_smaller(examples, batch, steps):
    assert steps_per_epoch(examples, batch) == steps


def test_a_training_has_as_many_steps_as_it_says_or_its_epochs_have():
    assert total_steps({"epochs": 450}, 49) == 22050
    assert total_steps({"steps": 25000}, 49) == 25000


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3)])
def test_an_epoch_that_is_begun_counts(steps, epochs):
    """Ten examples in batches of four."""
    assert number_of_epochs({"steps": steps, "batch": 4}, 10) == epochs
    assert number_of_epochs({"epochs": epochs, "batch": 4}, 10) == epochs


def test_milestones_are_durations_from_the_start():
    assert milestones_of({}) == []
    assert milestones_of({"milestones": [0.5, 0.75]}) == [0.5, 0.75]
    assert milestones_of({"milestones": {"epochs": [2, 3]}}) == [{"epochs": 2}, {"epochs": 3}]


EPOCHS, STEPS = {"epochs": 4}, {"steps": 40}
# Known once an epoch has ten steps, and not before.
ONLY_THE_DATA_TELL = [
    (
        EPOCHS | {"warmup": {"steps": 40}},
        "a warm-up of 40 steps leaves nothing of a training of 4 epochs; shorten warmup, or write "
        "more epochs",
    ),
    (
        STEPS | {"warmup": {"epochs": 4}},
        "a warm-up of 4 epochs leaves nothing of a training of 40 steps; shorten warmup, or write "
        "more steps",
    ),
    (
        EPOCHS | {"milestones": {"steps": [20, 40]}},
        "the milestone at 40 steps is not inside a training of 4 epochs; remove it, or "
        "write more epochs",
    ),
    (
        STEPS | {"milestones": {"epochs": [2, 4]}},
        "the milestone at 4 epochs is not inside a training of 40 steps; remove it, or "
        "write more steps",
    ),
    (
        EPOCHS | {"warmup": {"steps": 10}, "milestones": {"epochs": [1, 2]}},
        "the milestone at 1 epoch is not after the warm-up of 10 steps; write a later one, "
        "or shorten warmup",
    ),
    (
        STEPS | {"warmup": {"epochs": 2}, "milestones": [0.25]},
        "the milestone at 0.25 of all steps is not after the warm-up of 2 epochs; write a "
        "later one, or shorten warmup",
    ),
]


@pytest.mark.parametrize(("recipe", "words"), ONLY_THE_DATA_TELL)
def test_what_only_the_data_tell_is_said_with_the_steps_of_an_epoch(recipe, words):
    assert misfit(recipe) is None
    assert misfit(recipe, per_epoch=10) == f"{words}; an epoch of this data has 10 steps"


@pytest.mark.parametrize(
    "recipe",
    [
        EPOCHS | {"warmup": {"steps": 39}},
        STEPS | {"warmup": {"epochs": 3}},
        EPOCHS | {"warmup": {"steps": 9}, "milestones": {"epochs": [1, 3]}},
        STEPS | {"warmup": 0.2, "milestones": {"epochs": [1, 3]}},
    ],
)
def test_what_fits_by_one_step_is_left_alone(recipe):
    assert misfit(recipe) is None
    assert misfit(recipe, per_epoch=10) is None
