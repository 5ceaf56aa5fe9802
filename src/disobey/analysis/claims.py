"""Each claim about confidence as one statistic, one null value, one side; never typed-in verdicts.

One primary statistic per claim and setting: the test split, all examples.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from disobey.analysis.intervals import CONTRARY, HOLDS, UNDECIDED, holm, one_sided_p, verdict
from disobey.analysis.names import EFFECT, EXAGGERATION, GAPS, INHERITANCE, REFERENCE, STUDENT
from disobey.analysis.store import Analysis

# Chance that a 95 % interval lies wholly on the claimed side of the null when the null is true.
ONE_SIDE = 0.025


@dataclass(frozen=True)
class Claim:
    """A statement that a statistic decides.

    Attributes
    ----------
    name : str
    text : str
        The statement, in words.
    source : str
        ``paper``, or ``ours`` where the paper does not make it.
    paper : str
        What the paper reports, where it gives a number.
    statistic, model : str
        See `disobey.analysis.names`.
    null : float
        The value without an effect.
    above : bool
        Whether the claim says that the statistic lies above the null.
    control : str or None
        The model whose same statistic stands beside it.
    """

    name: str
    text: str
    source: str
    paper: str
    statistic: str
    model: str
    null: float
    above: bool
    control: str | None = REFERENCE


CLAIMS = (
    Claim(
        "exaggeration",
        "The student exaggerates the confidence that teachers share (A > 1)",
        "paper",
        "slope of the student-teacher plot above 1 (estimated there without a replicate)",
        EXAGGERATION,
        STUDENT,
        1.0,
        True,
    ),
    Claim(
        "low_confidence_underfitting",
        "The student underfits where teachers are unsure (G < 0 in the bottom decile)",
        "paper",
        "18 of 18 image settings on test, 13 of 18 on train; test slope above 1 in 7 of 12 text "
        "settings",
        GAPS[0],
        STUDENT,
        0.0,
        False,
    ),
    Claim(
        "high_confidence_overfitting",
        "The student overfits where teachers are sure (G > 0 in the top decile)",
        "paper",
        "no number at hand",
        GAPS[-1],
        STUDENT,
        0.0,
        True,
    ),
    Claim(
        "distillation_exaggerates",
        "Distillation itself exaggerates: the student's A exceeds the reference's",
        "ours",
        "not separated from the effect of another training run",
        EXAGGERATION,
        EFFECT,
        0.0,
        True,
        None,
    ),
    Claim(
        "inheritance",
        "The student copies its own teacher's deviations from other teachers (B > 0)",
        "ours",
        "not measured",
        INHERITANCE,
        STUDENT,
        0.0,
        True,
    ),
    Claim(
        "accuracy_gain",
        "The student is more accurate on test than the same model without a teacher",
        "paper",
        "CIFAR-100 ResNet-56 self-distillation: 72.52 to 74.55 %; ImageNet and text mixed",
        "accuracy",
        EFFECT,
        0.0,
        True,
        None,
    ),
)


@dataclass(frozen=True)
class Finding:
    """A claim in one setting: the number with its interval, the control, the verdict."""

    claim: Claim
    setting: str
    estimate: float
    low: float
    high: float
    control: float
    seeds: int
    examples: int
    p: float
    verdict: str


def find(claim: Claim, analysis: Analysis) -> Finding:
    """Hold one claim against one setting; with a single seed it stays undecided."""
    cell = analysis.splits["test"].sel(statistic=claim.statistic, subset="all")
    here = cell.sel(model=claim.model)
    estimate, low, high = (float(here[name]) for name in ("estimate", "low", "high"))
    seeds = here.sizes["seed"]
    sign = 1 if claim.above else -1
    ends = sorted((sign * low, sign * high))
    side = verdict(ends[0], ends[1], sign * claim.null)
    p = one_sided_p(
        sign * estimate,
        sign * claim.null,
        float(here.value.var("seed", ddof=1)) if seeds > 1 else float("nan"),
        seeds,
        float(here.example_variance),
    )
    control = float("nan")
    if claim.control is not None:
        control = float(cell.sel(model=claim.control).estimate)
    return Finding(
        claim, analysis.setting, estimate, low, high, control, seeds,
        round(float(here.examples.mean())), p, side,
    )  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """A claim over all settings.

    Attributes
    ----------
    holds, contrary, undecided : int
        Settings by verdict, one by one.
    holds_after_holm, contrary_after_holm : int
        Settings where the verdict stands when all are tested together (family-wise 5 %).
    expected_by_chance : float
        Settings where it would hold if there were no effect in any.
    """

    claim: Claim
    settings: int
    holds: int
    contrary: int
    undecided: int
    holds_after_holm: int
    contrary_after_holm: int
    expected_by_chance: float


def summarise(claim: Claim, findings: Sequence[Finding]) -> Summary:
    """Count the verdicts of one claim over all settings."""
    counts = Counter(found.verdict for found in findings)
    # Two-sided like the interval, so that Holm with one setting agrees with the verdict.
    rejected = holm([2 * min(found.p, 1 - found.p) for found in findings])
    after_holm = Counter(f.verdict for f, sure in zip(findings, rejected, strict=True) if sure)
    tested = sum(f.seeds > 1 for f in findings)
    return Summary(
        claim,
        settings=len(findings),
        holds=counts[HOLDS],
        contrary=counts[CONTRARY],
        undecided=counts[UNDECIDED],
        holds_after_holm=after_holm[HOLDS],
        contrary_after_holm=after_holm[CONTRARY],
        expected_by_chance=ONE_SIDE * tested,
    )
