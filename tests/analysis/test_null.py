"""The whole analysis on simulated logits: what it says of a student that is just another seed.

Replicates are teachers of the other seeds, so that values of seeds depend on each other, which the
interval's formula does not know. These studies say whether it covers nevertheless.
"""

import numpy as np
import pytest
from scipy import stats

from disobey.analysis import setting
from disobey.analysis.claims.claim import decide, number_of
from disobey.analysis.claims.confidence import CLAIMS
from disobey.analysis.names import (
    ALL,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    PAPER,
    REFERENCE,
    SECOND_SEED,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import Analysis

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


# --- verdicts of studies in which nothing is to be found -------------------------------------


def one_hot_models(rng, fit, seeds=3):
    """One-hot models all: signal, fitted labels, a sharpness of each run's own, and its noise."""
    signal = 2 * rng.normal(size=(EXAMPLES, CLASSES))
    label = signal.argmax(1)
    signal += fit * np.eye(CLASSES)[label]

    def model():
        return np.exp(0.05 * rng.normal()) * (signal + rng.normal(size=signal.shape))

    roles = (TEACHER, REFERENCE, STUDENT)
    return SplitLogits({role: [model() for _ in range(seeds)] for role in roles}, label, label)


@pytest.fixture(scope="module")
def null_verdicts():
    """How many of the null studies each claim, split and reading is called so, and their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting, "SUBSETS", (ALL,))
        rng, studies = np.random.default_rng(11), 150
        held = dict.fromkeys(CLAIMS, 0)
        for _ in range(studies):
            # On train models fit the labels, and examples are not resampled.
            train, test = one_hot_models(rng, 3.0), one_hot_models(rng, 0.0)
            splits = {"train": analyse(train, 0, 0), "test": analyse(test, RESAMPLES, 0)}
            analysis = Analysis("null", {}, splits)
            for claim in CLAIMS:
                number = number_of(analysis, claim.statistic, claim.model, claim.split)
                held[claim] += decide(claim, number)[0] == "holds"
        return held, studies


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("reading", [SECOND_SEED, "replicate", ""])
def test_a_second_seed_in_the_student_s_place_is_called_different_no_more_than_promised(
    null_verdicts, split, reading
):
    held, studies = null_verdicts
    called = {c.name: n for c, n in held.items() if (c.split, c.reading) == (split, reading)}
    most = stats.binom.ppf(0.9999, studies, 0.025)
    assert {name: n for name, n in called.items() if n > most} == {}
    if reading == SECOND_SEED:
        assert set(called) == {
            "low_confidence_underfitting", "high_confidence_overfitting", "exaggeration",
        }  # fmt: skip


def test_read_as_in_the_paper_a_second_seed_underfits_on_test_far_beyond_chance(null_verdicts):
    """Why its own reading is not enough; where labels are fitted, as on train, it does not."""
    held, studies = null_verdicts
    called = {c.split: n for c, n in held.items()
              if c.reading == PAPER and c.name == "low_confidence_underfitting"}  # fmt: skip
    assert called["test"] > stats.binom.ppf(0.9999, studies, 0.025) >= called["train"]
