"""Numbers as printed: as fine as they resolve, and on the side of the null on which they lie."""

import math

import numpy as np
import pytest

from disobey.numbers import duration, interval, number

NAN = math.nan


def plain(text):
    return text.replace("\u00a0", " ").replace("−", "-")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.931, 0.9, 0.96), "0.93 [0.90, 0.96]"),
        ((0.0123, 0.0111, 0.0135), "0.0123 [0.0111, 0.0135]"),
        ((-0.5, -0.6, -0.4), "-0.50 [-0.60, -0.40]"),
        ((12.3, -400.0, 424.6), "12.30 [-400.00, 424.60]"),
        ((1.0, 1.0, 1.0), "1.00 [1.00, 1.00]"),
        ((0.93, NAN, NAN), "0.93"),
        ((NAN, NAN, NAN), "not estimated"),
    ],
)
def test_intervals_are_printed_as_finely_as_they_resolve(numbers, text):
    assert plain(interval(*numbers)) == text


@pytest.mark.parametrize(
    ("numbers", "null", "text"),
    [
        ((-0.05, -0.1, -0.0012), 0.0, "-0.050 [-0.100, -0.001]"),
        ((-0.05, -0.1, 0.0004), 0.0, "-0.0500 [-0.1000, 0.0004]"),
        ((1.08, 1.00006, 1.16), 1.0, "1.0800 [1.0001, 1.1600]"),
        ((0.05, 0.0, 0.1), 0.0, "0.05 [0.00, 0.10]"),
        ((0.5, 0.1, 0.9), 0.0, "0.50 [0.10, 0.90]"),
        ((0.5, 1e-12, 0.9), 0.0, "0.50 [0.00, 0.90]"),
    ],
)
def test_an_end_beside_the_null_is_not_rounded_to_it(numbers, null, text):
    assert plain(interval(*numbers, null)) == text


def test_an_interval_as_printed_lies_on_the_side_of_its_verdict():
    """With ends near the null, on either side of it and on it."""
    rng = np.random.default_rng(0)
    for _ in range(2000):
        null, sign = rng.choice([0.0, 1.0]), rng.choice([-1, 1])
        near, width = sign * 10 ** rng.uniform(-6, 0), 10 ** rng.uniform(-3, 1)
        low, high = sorted((null + near, null + near + sign * width))
        if rng.random() < 1 / 2:
            low, high = null - 10 ** rng.uniform(-6, 0), null + 10 ** rng.uniform(-6, 0)
        words = plain(interval((low + high) / 2, low, high, null))
        printed = [float(end) for end in words.split("[")[1].rstrip("]").split(",")]
        assert np.sign(np.subtract(printed, null)).tolist() == [
            np.sign(low - null),
            np.sign(high - null),
        ], words


def test_what_rounds_to_zero_has_no_sign():
    assert number(-0.001) == "0.00" and number(-0.006) == "−0.01"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations_in_words(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text
