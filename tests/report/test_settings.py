"""Recipes in the words of the report page."""

import pytest

from disobey.report.settings import in_words


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"batch": 8, "epochs": 2, "warmup": 0.1}, "epochs 2, batch 8, warmup 0.1"),
        ({"batch": 64, "steps": 25000}, "steps 25000, batch 64"),
        ({"warmup": {"epochs": 15}}, "warmup 15 epochs"),
        ({"warmup": {"steps": 1000}}, "warmup 1000 steps"),
        ({"milestones": [0.5, 0.75]}, "milestones (0.5, 0.75)"),
        ({"milestones": {"epochs": [200, 300]}}, "milestones (200, 300) epochs"),
    ],
)
def test_durations_are_said_with_their_units(recipe, words):
    assert in_words(recipe) == words
