"""Rate at which the analysis reports an effect in simulated studies without one.

    python -m benchmarks.null_studies    # a few minutes on one core
    python -m benchmarks.page            # copies the tables into docs/science.md

`tests/analysis/test_null.py` runs a few of the same studies, too few to detect a doubled error
rate; this benchmark runs enough.
"""

from collections.abc import Sequence
from unittest import mock

import numpy as np
from scipy import stats

from benchmarks.common import report
from disobey.analysis import setting
from disobey.analysis.claims.claim import Claim, decide, number_of
from disobey.analysis.claims.confidence import CLAIMS as CONFIDENCE_CLAIMS
from disobey.analysis.claims.confidence import PAYOFF_CLAIMS
from disobey.analysis.intervals import HOLDS
from disobey.analysis.names import (
    ALL,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    REFERENCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.analysis.payoff import MISTAKES, PAYOFF
from disobey.analysis.setting import SplitLogits, analyse
from disobey.analysis.store import Analysis

STUDIES, COVERAGE_STUDIES = 2000, 500
EXAMPLES, CLASSES, RESAMPLES = 250, 4, 60
CLAIMS = (*CONFIDENCE_CLAIMS, *PAYOFF_CLAIMS)
NULL = {
    **{EXAGGERATION: 1.0, SIGNAL_SCALE: 1.0, INHERITANCE: 0.0, GAPS[0]: 0.0, GAPS[-1]: 0.0},
    **{one.name: float(one.null) for one in (*PAYOFF, *MISTAKES) if one.null is not None},
}
# Seeds of a study, and the standard deviation over seeds of the log of a model's sharpness.
CONDITIONS = ((3, 0.0), (3, 0.15), (5, 0.0), (5, 0.15))


# --- verdicts ----------------------------------------------------------------------------------


def one_hot_models(rng: np.random.Generator, fit: float, seeds: int = 3) -> SplitLogits:
    """Simulate a split with exchangeable teacher, reference and student: none had a teacher.

    Logits are the sum of a shared signal, ``fit`` times the one-hot label and independent noise,
    scaled by the model's own sharpness.
    """
    signal = 2 * rng.normal(size=(EXAMPLES, CLASSES))
    label = signal.argmax(1)
    signal += fit * np.eye(CLASSES)[label]

    def model() -> np.ndarray:
        sharpness = np.exp(0.05 * rng.normal())
        return np.asarray(sharpness * (signal + rng.normal(size=signal.shape)))

    roles = (TEACHER, REFERENCE, STUDENT)
    return SplitLogits({role: [model() for _ in range(seeds)] for role in roles}, label, label)


def called(study: int) -> set[Claim]:
    """Return the claims on confidence and pay-off that hold in one simulated study."""
    rng = np.random.default_rng([11, study])
    # On train, models fit the labels and examples are not resampled.
    train, test = one_hot_models(rng, 3.0), one_hot_models(rng, 0.0)
    with mock.patch.object(setting, "SUBSETS", (ALL,)):  # the claims are about all examples
        splits = {"train": analyse(train, 0, 0), "test": analyse(test, RESAMPLES, 0)}
    analysis = Analysis("null", {}, splits)
    return {
        claim
        for claim in CLAIMS
        if decide(claim, number_of(analysis, claim.statistic, claim.model, claim.split))[0] == HOLDS
    }


def count_called(studies: int) -> dict[Claim, int]:
    """Return the number of the first ``studies`` studies in which each claim holds."""
    found = [called(study) for study in range(studies)]
    return {claim: sum(claim in one for one in found) for claim in CLAIMS}


# --- coverage ----------------------------------------------------------------------------------


def intervals(
    seeds: int, sharpness_sd: float, studies: int, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate studies whose student is another seed of the teacher, ``scale`` times as sharp.

    Replicates are teachers of the other seeds, so values of different seeds are dependent, which
    the interval's formula neglects.

    Returns
    -------
    estimate, low, high : ndarray, each of shape (study, statistic of `NULL`)
    """
    rng = np.random.default_rng([seeds, int(100 * sharpness_sd), int(10 * scale)])
    found = [_interval(rng, seeds, sharpness_sd, scale) for _ in range(studies)]
    estimate, low, high = (np.array(ends) for ends in zip(*found, strict=True))
    return estimate, low, high


def _interval(
    rng: np.random.Generator, seeds: int, sharpness_sd: float, scale: float
) -> Sequence[np.ndarray]:
    shared = 1.5 * rng.normal(size=(EXAMPLES, CLASSES))

    def model(by: float = 1.0) -> np.ndarray:
        sharpness = by * np.exp(sharpness_sd * rng.normal())
        return np.asarray(sharpness * (shared + 0.7 * rng.normal(size=shared.shape)))

    logits = {
        TEACHER: [model() for _ in range(seeds)],
        STUDENT: [model(scale) for _ in range(seeds)],
        REFERENCE: [model() for _ in range(seeds)],
    }
    label = shared.argmax(1)
    found = analyse(SplitLogits(logits, label, label), RESAMPLES, int(rng.integers(1 << 31)))
    chosen = found.sel(model=STUDENT, subset=ALL, statistic=list(NULL))
    return [chosen[end].values for end in ("estimate", "low", "high")]


def covered(seeds: int, sharpness_sd: float, studies: int) -> np.ndarray:
    """Return the number of intervals that contain the null, shape (statistic of `NULL`,)."""
    null = np.array(list(NULL.values()))
    _, low, high = intervals(seeds, sharpness_sd, studies)
    return np.asarray(((low <= null) & (null <= high)).sum(0))


# --- the record --------------------------------------------------------------------------------


def share(count: int, studies: int) -> dict[str, str]:
    """Return a share and its Clopper-Pearson interval as cells of a table."""
    low, high = stats.binomtest(count, studies).proportion_ci(0.95, "exact")
    return {"rate": f"{count / studies:.2%}", "95 % interval": f"{low:.2%} to {high:.2%}"}


def main(studies: int = STUDIES, coverage_studies: int = COVERAGE_STUDIES) -> None:
    """Simulate the studies, and print and record their rates."""
    rows: list[dict[str, object]] = []
    for claim, count in count_called(studies).items():
        about = {"claim": claim.name, "split": claim.split, "reading": claim.reading or "-"}
        rows.append({**about, "holds in": count, **share(count, studies)})
    report(
        "null_verdicts",
        f"Verdicts 'holds' in {studies:,} simulated studies of 3 seeds without distillation; "
        "an interval of 95 % promises 2.5 %",
        rows,
    )
    rows = []
    for seeds, sharpness_sd in CONDITIONS:
        counts = covered(seeds, sharpness_sd, coverage_studies)
        for statistic, count in zip(NULL, counts, strict=True):
            condition = {"seeds": seeds, "sd of sharpness": str(sharpness_sd)}
            rows.append(condition | {"statistic": statistic} | share(int(count), coverage_studies))
    report(
        "null_coverage",
        f"How often the interval of 95 % covers the null: {coverage_studies:,} simulated studies "
        "a row, the student another seed of the teacher",
        rows,
    )


if __name__ == "__main__":
    main()
