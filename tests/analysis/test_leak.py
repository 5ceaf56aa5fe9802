"""Leak and memory with known truth, and for a student that is another reference.

`test_recompute.py` compares every number with code that shares nothing with the package.
"""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.special import softmax

from disobey.analysis.intervals import crossed_interval
from disobey.analysis.leak import (
    BEFORE_NOISE,
    GIVEN,
    LEAK_AND_MEMORY,
    TOP1,
    enter_held_out,
)
from disobey.analysis.names import COMPARED, EFFECT, MISLABELLED, TEACHER, UNJUDGED
from disobey.analysis.resampling import Resamples
from disobey.analysis.setting import SplitLogits, analyse
from disobey.stores.reader import ChosenRows

CLASSES = 4
NAMES = [one.name for one in LEAK_AND_MEMORY]


def sure_of(label):
    """Logits of a model that gives all probability to one class."""
    return 60.0 * np.eye(CLASSES)[label]


def split(models, label, clean, rows):
    """Those rows of a split, of models by role and seed."""
    logits = {role: [z[rows] for z in of] for role, of in models.items()}
    return SplitLogits(logits, label[rows], clean[rows])


@pytest.fixture(scope="module")
def copying():
    """A student that knows half of the held-out wrong labels, exactly.

    Of 400 examples a quarter is mislabelled, and half of these are seen; whatever is seen is fitted
    by both models, and of what is not the reference knows the clean label.
    """
    clean = np.random.default_rng(0).integers(CLASSES, size=400)
    wrong, seen = np.arange(400) % 4 == 0, np.arange(400) % 8 < 4
    label = np.where(wrong, (clean + 1) % CLASSES, clean)
    copied = wrong & (np.arange(400) % 16 == 4)
    models = {
        "teacher": [sure_of(label)],
        "reference": [sure_of(np.where(seen, label, clean))],
        "student": [sure_of(np.where(seen | copied, label, clean))],
    }
    train = analyse(split(models, label, clean, seen), 0, 0)
    return analyse(split(models, label, clean, ~seen), 20, 0, seen=train)


def number(found, statistic, model, subset=MISLABELLED):
    return float(found.estimate.sel(statistic=statistic, model=model, subset=subset))


@pytest.mark.parametrize(
    ("statistic", "student", "reference"),
    [
        ("leak", 1 / 2, 0),
        ("leak_top1", 1 / 2, 0),
        ("leak_excess", 1 / 2 - 1 / 2 / (CLASSES - 1), 0),
        ("memory", 1 / 2, 1),
        ("memory_top1", 1 / 2, 1),
    ],
)
def test_half_of_the_held_out_wrong_labels_copied_is_a_leak_of_a_half(
    copying, statistic, student, reference
):
    for model, expected in (("student", student), ("reference", reference)):
        assert number(copying, statistic, model) == pytest.approx(expected, abs=1e-12)
    assert number(copying, statistic, EFFECT) == pytest.approx(student - reference, abs=1e-12)


def test_the_teacher_saw_all_and_clean_labels_are_no_leak(copying):
    assert np.isnan(copying.estimate.sel(statistic=NAMES, model=TEACHER)).all()
    leaks = copying.estimate.sel(statistic=["leak", "leak_top1", "leak_excess"])
    assert np.isnan(leaks.drop_sel(subset=MISLABELLED)).all()
    assert number(copying, "memory", "student", "clean") == 0


def test_what_was_seen_has_neither(copying):
    """Statistics of held-out examples are in no other split; draws of examples are the test's."""
    rng = np.random.default_rng(1)
    models = {role: [rng.normal(size=(60, CLASSES))] for role in ("teacher", *COMPARED)}
    label = rng.integers(CLASSES, size=60)
    found = analyse(SplitLogits(models, label, (label + 1) % CLASSES), 5, 0)
    assert np.isnan(found.value.sel(statistic=NAMES)).all()
    assert "resampled" in found and "resampled" not in copying


# --- one more reference --------------------------------------------------------------------------

STUDIES, EXAMPLES, SEEDS, RESAMPLES = 60, 240, 3, 40
BASE = (GIVEN, TOP1, BEFORE_NOISE)
ROWS = {name: row for row, name in enumerate((*BASE, *NAMES))}


def base(models, label, clean, where, counts):
    """Return `BASE` of some examples, (statistic, model, seed, 1 + resample), computed here."""
    rows, drawn = np.arange(len(label)), counts[:, where]
    per_example = np.array(
        [
            [(p[rows, label], p.argmax(1) == label, p[rows, clean]) for p in of_model]
            for of_model in models
        ]
    )[..., where]
    return np.moveaxis(per_example @ drawn.T / drawn.sum(1), 2, 0)


def simulated(study, copied=0.0):
    """Intervals of a study whose student is one more reference, but for what it copies.

    Models see the signal of the clean class, and of the given one where they saw it; each has noise
    of its own.

    Returns
    -------
    low, high : ndarray, shape (statistic, reference and student and their difference)
    """
    rng = np.random.default_rng(study)
    clean = rng.integers(CLASSES, size=2 * EXAMPLES)
    wrong = rng.random(len(clean)) < 0.5
    label = np.where(wrong, (clean + rng.integers(1, CLASSES, len(clean))) % CLASSES, clean)
    seen = np.arange(len(clean)) % 2 == 0

    def models(knows):
        signal = 2 * np.eye(CLASSES)[clean] + 2 * np.eye(CLASSES)[label] * knows[:, None]
        return softmax(signal + rng.normal(size=(SEEDS, *signal.shape)), 2)

    found = np.stack([models(seen), models(np.maximum(seen, copied))])
    counts = np.ones((1, len(label)))
    names = {"statistic": list(BASE), "model": list(COMPARED), "subset": list(UNJUDGED)}
    subsets = dict(zip(UNJUDGED, (wrong | True, ~wrong, wrong), strict=True))
    fitted = [base(found, label, clean, seen & of, counts)[..., 0] for of in subsets.values()]
    known = xr.Dataset({"value": ((*names, "seed"), np.stack(fitted, 2))}, names)
    drawn = next(Resamples(EXAMPLES, RESAMPLES, study).blocks(EXAMPLES))[1]
    counts = np.zeros((1 + RESAMPLES, len(label)))
    counts[:, ~seen] = drawn
    tables = {name: np.full((len(ROWS), 2, SEEDS, 1 + RESAMPLES), np.nan) for name in subsets}
    for name, of in subsets.items():
        tables[name][: len(BASE)] = base(found, label, clean, ~seen & of, counts)
    enter_held_out(tables, ROWS, dict(zip(COMPARED, range(2), strict=True)), known, CLASSES)
    of_wrong = tables[MISLABELLED][len(BASE) :]
    both = np.concatenate([of_wrong, of_wrong[:, 1:] - of_wrong[:, :1]], axis=1)
    return crossed_interval(np.moveaxis(both, (2, 3), (0, 1)))[1:]


def covers_0(copied, studies=STUDIES):
    """Return the number of studies whose intervals cover 0, {statistic: [by model]}."""
    low, high = np.moveaxis([simulated(study, copied) for study in range(studies)], 1, 0)
    return dict(zip(NAMES, ((low <= 0) & (high >= 0)).sum(0), strict=True))


def test_intervals_cover_0_for_one_more_reference_as_often_as_promised():
    fewest = stats.binom.ppf(1e-3, STUDIES, 0.95)
    covered = covers_0(0.0)
    assert min(of[2] for of in covered.values()) >= fewest
    # Neither knows the labels: what they give to them is what they give to any wrong class.
    assert covered["leak_excess"].min() >= fewest
    assert covered["leak"][:2].max() == 0


def test_intervals_leave_0_where_a_student_knows_more_of_the_held_out_labels():
    covered = covers_0(0.5, studies=12)
    assert max(covered[name][2] for name in NAMES[:3]) <= 1
    assert covered["memory"][2] <= 3


# --- rows ----------------------------------------------------------------------------------------


def test_chosen_rows_read_as_the_rows_themselves():
    logits, rows = np.random.default_rng(0).normal(size=(30, 3)), np.array([2, 3, 11, 20, 29])
    part = ChosenRows(logits, rows)
    assert part.shape == (5, 3)
    for start in range(5):
        for stop in range(start + 1, 8):
            np.testing.assert_array_equal(part[start:stop], logits[rows][start:stop])
