"""The whole analysis on simulated logits: what it says of a student that is just another seed.

Replicates are teachers of the other seeds, so that values of seeds depend on each other, which the
interval's formula does not know. These studies say whether it covers nevertheless.
"""

import numpy as np
import pytest

from disobey.analysis.names import (
    ALL,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.setting import SplitLogits, analyse

STUDIES, EXAMPLES, CLASSES, RESAMPLES = 80, 250, 4, 60
NULL = {EXAGGERATION: 1.0, SIGNAL_SCALE: 1.0, INHERITANCE: 0.0, GAPS[0]: 0.0, GAPS[-1]: 0.0}


def simulate(rng, seeds, sharpness_sd, scale):
    """Analyse a study: logits are what all models share, each model's own part, and a sharpness."""
    shared = 1.5 * rng.normal(size=(EXAMPLES, CLASSES))

    def model(by=1.0):
        sharpness = by * np.exp(sharpness_sd * rng.normal())
        return sharpness * (shared + 0.7 * rng.normal(size=shared.shape))

    logits = {
        TEACHER: [model() for _ in range(seeds)],
        STUDENT: [model(scale) for _ in range(seeds)],
    }
    found = analyse(SplitLogits(logits, None, None), RESAMPLES, int(rng.integers(1 << 31)))
    return found.sel(model=STUDENT, subset=ALL, statistic=list(NULL))


def studies(seeds, sharpness_sd, scale=1.0):
    """Return estimates, lows and highs of many studies, each of shape (study, statistic)."""
    rng = np.random.default_rng([seeds, int(100 * sharpness_sd), int(10 * scale)])
    found = [simulate(rng, seeds, sharpness_sd, scale) for _ in range(STUDIES)]
    return [np.array([one[end] for one in found]) for end in ("estimate", "low", "high")]


@pytest.mark.parametrize("sharpness_sd", [0.0, 0.15], ids=["examples", "seeds"])
@pytest.mark.parametrize("seeds", [3, 5])
def test_a_student_that_is_another_seed_is_found_to_be_one(seeds, sharpness_sd):
    """Whether examples or seeds make the spread; where it is examples, the interval is wide."""
    estimate, low, high = studies(seeds, sharpness_sd)
    null = np.array(list(NULL.values()))
    covered = ((low <= null) & (null <= high)).mean(0)
    assert (covered >= 0.92).all(), dict(zip(NULL, covered, strict=True))
    # A mean of ratios lies a little above the ratio of means where sharpness varies.
    assert np.abs(estimate.mean(0) - null).max() < 0.06


def test_a_student_that_scales_what_is_shared_is_found_to_exaggerate():
    estimate, low, _ = studies(5, 0.05, scale=1.3)
    statistics = list(NULL)
    for name in (EXAGGERATION, SIGNAL_SCALE):
        k = statistics.index(name)
        assert estimate[:, k].mean() == pytest.approx(1.3, abs=0.03)
        assert (low[:, k] > 1).mean() > 0.9
    # It copies nothing of its own teacher's.
    assert (low[:, statistics.index(INHERITANCE)] > 0).mean() < 0.05
