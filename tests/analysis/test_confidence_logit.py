"""phi(u) = ln(u / (1 - u)) from logits, against exact arithmetic."""

import mpmath
import numpy as np
import pytest

from disobey.analysis import confidence
from disobey.analysis.confidence import confidence_logit


def exact(row, chosen):
    """ln(p / (1 - p)) with 1,000 digits: enough for 1 - p where p differs from 1 by e^-1000."""
    with mpmath.workdps(1000):
        powers = [mpmath.exp(mpmath.mpf(float(z))) for z in row]
        p = powers[chosen] / sum(powers)
        return float(mpmath.log(p / (1 - p)))


def test_equals_the_logit_of_the_probability_where_that_is_safe():
    rng = np.random.default_rng(0)
    logits, chosen = rng.normal(0, 2, (200, 7)), rng.integers(7, size=200)
    p = np.array([np.exp(z)[c] / np.exp(z).sum() for z, c in zip(logits, chosen, strict=True)])
    np.testing.assert_allclose(confidence_logit(logits, chosen), np.log(p / (1 - p)), atol=1e-10)


@pytest.mark.parametrize("gap", [17, 40, 1000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stays_exact_where_a_probability_rounds_to_one(gap, dtype):
    logits = np.array([[gap, 0.0, -1.0, 0.5], [0.0, gap, -1.0, 0.5]], dtype)
    chosen = np.array([0, 0])
    assert gap < 20 or 1 - np.exp(-gap, dtype=np.float32) == 1  # the naive way would be infinite
    expected = [exact(row, 0) for row in logits]
    np.testing.assert_allclose(confidence_logit(logits, chosen), expected, rtol=1e-13)


def test_gaps_up_to_1e4_in_either_direction_are_finite_and_exact():
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4]], np.float32)
    phi = confidence_logit(logits, np.array([0, 0]))
    np.testing.assert_allclose(phi, [1e4, -2e4 - np.log(2)], rtol=1e-14)


def test_two_classes_give_their_difference():
    logits = np.array([[3.0, 1.5], [-700.0, 700.0]])
    np.testing.assert_allclose(confidence_logit(logits, np.array([0, 0])), [1.5, -1400.0])


def test_a_shift_of_all_logits_of_an_example_changes_nothing():
    rng = np.random.default_rng(1)
    logits = rng.integers(-64, 64, (50, 5)) / 8  # so that the shifted logits are exact too
    chosen = rng.integers(5, size=50)
    shift = rng.integers(-4000, 4000, (50, 1))
    np.testing.assert_allclose(
        confidence_logit(logits + shift, chosen), confidence_logit(logits, chosen), atol=1e-11
    )


def test_float32_logits_are_summed_in_float64():
    logits = np.random.default_rng(2).normal(0, 3, (20, 1000)).astype(np.float32)
    chosen = logits.argmax(1)
    expected = [exact(row, c) for row, c in zip(logits[:5], chosen, strict=False)]
    phi = confidence_logit(logits, chosen)
    assert phi.dtype == np.float64
    np.testing.assert_allclose(phi[:5], expected, atol=1e-12)


@pytest.mark.parametrize(
    "logits, chosen",
    [
        (np.zeros((4, 1)), np.zeros(4, int)),
        (np.zeros(4), np.zeros(4, int)),
        (np.zeros((4, 3)), np.zeros(3, int)),
        (np.zeros((4, 3)), np.zeros((4, 1), int)),
        (np.zeros((2, 4, 3)), np.zeros(2, int)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(logits, chosen):
    with pytest.raises(ValueError, match=r"\(example, class\)"):
        confidence_logit(logits, chosen)


def test_blocks_give_what_the_whole_gives_and_leave_the_logits_alone(monkeypatch):
    rng = np.random.default_rng(3)
    logits, chosen = rng.normal(0, 5, (23, 4)), rng.integers(4, size=23)
    before = logits.copy()
    whole = confidence_logit(logits, chosen)
    for block in (1, 7, 23):
        monkeypatch.setattr(confidence, "BLOCK", block)
        np.testing.assert_array_equal(confidence_logit(logits, chosen), whole)
    np.testing.assert_array_equal(logits, before)


def test_no_example_gives_no_value():
    assert confidence_logit(np.zeros((0, 3)), np.zeros(0, int)).shape == (0,)
