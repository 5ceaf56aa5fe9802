"""Label noise: the exact count, balanced by class, always to another class."""

import numpy as np
import pytest
from scipy.stats import chisquare

from disobey.data.label_noise import noisy_labels

LABEL = np.repeat(np.arange(7), [50, 61, 40, 33, 80, 25, 44])


@pytest.mark.parametrize("rate", [0.013, 0.1, 0.2, 0.333, 0.4])
def test_exactly_the_rounded_count_moves_and_each_class_loses_its_share(rate):
    noisy = noisy_labels(LABEL, 7, rate, 3)
    moved = noisy != LABEL
    assert moved.sum() == round(rate * len(LABEL))
    lost = np.bincount(LABEL[moved], minlength=7)
    assert (np.abs(lost - rate * np.bincount(LABEL)) < 1).all()


def test_moved_labels_are_uniform_over_the_other_classes():
    label = np.zeros(20_000, int)
    noisy = noisy_labels(np.concatenate([label, [1, 2, 3, 4]]), 5, 0.5, 0)[:20_000]
    counts = np.bincount(noisy[noisy != 0], minlength=5)[1:]
    assert chisquare(counts).pvalue > 1e-3


def test_the_seed_names_the_draw():
    first, again, other = (noisy_labels(LABEL, 7, 0.2, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert (np.repeat(np.arange(7), [50, 61, 40, 33, 80, 25, 44]) == LABEL).all()


def test_one_class_has_no_other_class_to_move_to():
    with pytest.raises(ValueError, match="two classes"):
        noisy_labels(np.zeros(4, int), 1, 0.5, 0)
