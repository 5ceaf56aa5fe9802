"""Accuracy, NLL, Brier, ECE, KL, total variation, agreement: against scikit-learn and scipy."""

import warnings

import numpy as np
import pytest
from gathered import counts_of, fidelity, quality
from scipy.special import rel_entr, softmax
from sklearn import metrics

from disobey.analysis.quality import SATURATION, log_softmax
from disobey.analysis.resampling import Resamples

EXAMPLES, CLASSES = 300, 6


@pytest.fixture
def case():
    """Return logits, teacher's logits, given and clean labels, subset."""
    rng = np.random.default_rng(0)
    teacher = 2 * rng.normal(size=(EXAMPLES, CLASSES))
    logits = teacher + rng.normal(size=teacher.shape)
    label = (teacher + 2 * rng.normal(size=teacher.shape)).argmax(1)
    clean = np.where(rng.random(EXAMPLES) < 0.2, (label + 1) % CLASSES, label)
    return logits, teacher, label, clean, rng.random(EXAMPLES) < 0.7


def drawn(where, resamples):
    """The examples of the subset in the full sample and in each resample."""
    for counts in counts_of(resamples):
        rows = np.repeat(np.arange(len(where)), counts.astype(int))
        yield rows[where[rows]]


def calibration_error(p, label):
    """ECE over 15 bins of equal width, one example after another."""
    bins = [[] for _ in range(15)]
    for row, y in zip(p, label, strict=True):
        confidence = max(row)
        k = next(k for k in range(15) if confidence < (k + 1) / 15 or k == 14)
        bins[k].append((confidence, float(np.argmax(row) == y)))
    return sum(
        len(b) / len(p) * abs(np.mean([c for c, _ in b]) - np.mean([r for _, r in b]))
        for b in bins
        if b
    )


def test_quality_equals_scikit_learn_on_the_sample_and_on_each_resample(case):
    logits, _, label, clean, where = case
    resamples = Resamples(EXAMPLES, 5, 1)
    found = quality(resamples, logits, label, clean, where)
    p, names = softmax(logits, 1), list(range(CLASSES))
    for k, rows in enumerate(drawn(where, resamples)):
        brier = np.mean([sum((p[i] - np.eye(CLASSES)[label[i]]) ** 2) for i in rows])
        expected = {
            "accuracy": metrics.accuracy_score(label[rows], p[rows].argmax(1)),
            "clean_accuracy": metrics.accuracy_score(clean[rows], p[rows].argmax(1)),
            "nll": metrics.log_loss(label[rows], p[rows], labels=names),
            "brier": brier,
            "ece": calibration_error(p[rows], label[rows]),
            "saturated": 0.0,
            "given_label_confidence": np.mean([p[i, label[i]] for i in rows]),
            "clean_label_confidence": np.mean([p[i, clean[i]] for i in rows]),
        }
        assert set(found) == set(expected)
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value, rel=1e-9), name


def test_ece_of_a_model_that_is_always_sure_is_its_error():
    logits = np.tile([50.0, 0.0], (10, 1))
    label = np.array([0] * 7 + [1] * 3)
    args = Resamples(10, 0, 0), logits, label, label, np.ones(10, bool)
    assert quality(*args)["ece"][0] == pytest.approx(0.3)


def test_fidelity_equals_scipy_on_the_sample_and_on_each_resample(case):
    logits, teacher, _, _, where = case
    resamples = Resamples(EXAMPLES, 5, 1)
    found = fidelity(resamples, logits, teacher, where)
    p, q = softmax(teacher, 1), softmax(logits, 1)
    for k, rows in enumerate(drawn(where, resamples)):
        expected = {
            "agreement": np.mean([np.argmax(p[i]) == np.argmax(q[i]) for i in rows]),
            "kl_from_teacher": np.mean([rel_entr(p[i], q[i]).sum() for i in rows]),
            "total_variation": np.mean([np.clip(p[i] - q[i], 0, None).sum() for i in rows]),
        }
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value, rel=1e-9), name


def test_a_model_is_at_no_distance_from_itself(case):
    logits, *_ = case
    everything = np.ones(EXAMPLES, bool)
    found = fidelity(Resamples(EXAMPLES, 0, 0), logits, logits, everything)
    assert [float(v[0]) for v in found.values()] == [1, 0, 0]


def test_extreme_logits_give_exact_finite_numbers():
    logits = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4]], np.float32)
    teacher = logits[:, ::-1].copy()
    label = np.array([0, 2])
    everything = np.ones(2, bool)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = Resamples(2, 0, 0)
        found = quality(one, logits, label, label, everything)
        found |= fidelity(one, logits, teacher, everything)
    expected = {
        "accuracy": 0.5, "clean_accuracy": 0.5, "nll": 1e4, "brier": 1.0, "ece": 0.5,
        "saturated": 1.0, "given_label_confidence": 0.5, "clean_label_confidence": 0.5,
        "agreement": 0.0, "kl_from_teacher": 2e4, "total_variation": 1.0,
    }  # fmt: skip
    assert {name: float(values[0]) for name, values in found.items()} == pytest.approx(expected)


def test_log_probabilities_are_normalised_in_float64():
    logits = np.random.default_rng(1).normal(0, 30, (50, 100)).astype(np.float32)
    log_p = log_softmax(logits)
    assert log_p.dtype == np.float64
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1, rtol=1e-13)


def test_saturated_is_where_a_float32_softmax_rounds_to_one():
    for phi in (SATURATION - 0.05, SATURATION + 0.05):
        logits = np.array([[phi, 0]], np.float32)
        powers = np.exp(logits - logits.max())
        rounds_to_one = powers[0, 0] / powers.sum(dtype=np.float32) == 1
        label = np.zeros(1, int)
        one = Resamples(1, 0, 0)
        found = quality(one, logits, label, label, np.ones(1, bool))
        assert bool(found["saturated"][0]) == rounds_to_one


def test_an_empty_subset_has_no_quality_and_nothing_warns(case):
    logits, teacher, label, clean, _ = case
    nothing = np.zeros(EXAMPLES, bool)
    resamples = Resamples(EXAMPLES, 2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = quality(resamples, logits, label, clean, nothing)
        found |= fidelity(resamples, logits, teacher, nothing)
    for name, values in found.items():
        assert np.isnan(values).all(), name
