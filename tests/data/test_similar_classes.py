"""The synthetic data of similar classes follow the distribution in the paper's appendix."""

import numpy as np
import pytest
from scipy import stats

from disobey.data.sources.similar_classes import examples_of, load
from disobey.study.datasets import Builtin

SCALINGS = ("relative", "plain")


def drawn(scaling="relative", examples=6000):
    """Return true directions, labels and channels."""
    rng = np.random.default_rng(5)
    direction = rng.standard_normal((10, 100))
    return direction, *examples_of(rng, direction, examples, scaling)


def signals(direction, label, channels):
    """Return example and class of each signal of a similar class."""
    example, similar = np.nonzero(channels.any(-1))
    other = similar != label[example]
    return example[other], similar[other]


def test_each_example_has_its_own_class_and_three_draws_of_others():
    _, label, channels = drawn()
    present = channels.any(-1)
    assert present[np.arange(len(label)), label].all()
    others = present.sum(1) - 1
    # of three draws out of nine: all of one class 1/81, of two classes 24/81, of three 56/81
    shares = np.bincount(others, minlength=4)[1:] / len(label)
    assert shares == pytest.approx(np.array([1, 24, 56]) / 81, abs=0.02)
    assert np.bincount(label) / len(label) == pytest.approx(0.1, abs=0.015)
    assert (present.sum(0) - np.bincount(label)) / others.sum() == pytest.approx(0.1, abs=0.01)


def test_the_own_signal_is_mostly_noise_on_the_half_sphere_about_the_direction():
    direction, label, channels = drawn()
    own = channels[np.arange(len(label)), label]
    noise = (own - 0.01 * direction[label]) / 0.99
    assert np.linalg.norm(noise, axis=1) == pytest.approx(1)
    towards = (noise * direction[label]).sum(1) / np.linalg.norm(direction[label], axis=1)
    assert (towards > 0).all()
    # a coordinate of the sphere in 100 dimensions, squared, is Beta(1/2, 99/2)
    assert stats.kstest(towards**2, stats.beta(0.5, 49.5).cdf).pvalue > 0.001
    margin = (own * direction[label]).sum(1)
    assert (margin > 0.01 * (direction[label] ** 2).sum(1)).all()


def test_a_relative_similar_class_has_its_share_of_the_own_margin():
    direction, label, channels = drawn("relative")
    example, similar = signals(direction, label, channels)
    margin = np.einsum("ekd,kd->ek", channels, direction)
    share = margin[example, similar] / margin[example, label[example]]
    assert stats.kstest(share / 0.8, stats.beta(4, 1).cdf).pvalue > 0.001
    assert (margin.argmax(1) == label).all()  # the true directions classify everything


def test_a_plain_similar_class_is_a_scaled_signal_of_its_own():
    direction, label, channels = drawn("plain")
    example, similar = signals(direction, label, channels)
    found, towards = channels[example, similar], direction[similar]
    # b in x = b (.01 mu + .99 z) solves |x / b - .01 mu| = .99
    a = 0.99**2 - 1e-4 * (towards**2).sum(1)
    b = 0.02 * (found * towards).sum(1)
    c = -(found**2).sum(1)
    scale = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
    assert stats.kstest(scale / 0.8, stats.beta(4, 1).cdf).pvalue > 0.001
    assert ((found * towards).sum(1) > 0).all()


@pytest.mark.parametrize("scaling", SCALINGS)
def test_one_hot_targets_have_the_papers_share_of_right_signs(scaling):
    direction, label, channels = drawn(scaling)
    positive = np.einsum("ekd,kd->ek", channels, direction) > 0
    assert (positive == np.eye(10, dtype=bool)[label]).mean() == pytest.approx(0.7322, abs=0.002)


def drawn_bytes(**draw):
    """Return all bytes of a data set as a study names it."""
    options = {"source": "builtin", "name": "similar-classes", "draw": draw or None}
    raw = load(Builtin.model_validate(options).prepare_spec())
    (train,), (test,) = raw.train.blocks(), raw.test.blocks()
    assert train.inputs.dtype == np.float32 and train.inputs.shape == (512, 1000)
    assert len(set(train.example_id) | set(test.example_id)) == 4512
    return b"".join(map(bytes, (raw.direction, train.inputs, train.label, test.inputs)))


def test_a_draw_has_the_same_bytes_each_time_and_another_seed_or_scaling_has_others():
    assert drawn_bytes() == drawn_bytes(seed=0, scaling="relative")
    assert len({drawn_bytes(), drawn_bytes(seed=1), drawn_bytes(scaling="plain")}) == 3
