"""Claims about confidence and accuracy: a stored statistic of each setting.

One primary statistic per claim and setting: the test split, all examples.
"""

from collections.abc import Iterator, Mapping

from disobey.analysis.claims.claim import ABOVE, BELOW, Claim, Finding, distilled_throughout, find
from disobey.analysis.names import EFFECT, EXAGGERATION, GAPS, INHERITANCE, REFERENCE, STUDENT
from disobey.analysis.store import Analysis

CLAIMS = (
    Claim(
        "exaggeration",
        "The student exaggerates the confidence that teachers share (A > 1)",
        "paper",
        "slope of the student-teacher plot above 1 (estimated there without a replicate)",
        EXAGGERATION,
        STUDENT,
        1.0,
        ABOVE,
        control=REFERENCE,
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
        BELOW,
        control=REFERENCE,
    ),
    Claim(
        "high_confidence_overfitting",
        "The student overfits where teachers are sure (G > 0 in the top decile)",
        "paper",
        "no number at hand",
        GAPS[-1],
        STUDENT,
        0.0,
        ABOVE,
        control=REFERENCE,
    ),
    Claim(
        "distillation_exaggerates",
        "Distillation itself exaggerates: the student's A exceeds the reference's",
        "ours",
        "not separated from the effect of another training run",
        EXAGGERATION,
        EFFECT,
        0.0,
        ABOVE,
    ),
    Claim(
        "inheritance",
        "The student copies its own teacher's deviations from other teachers (B > 0)",
        "ours",
        "not measured",
        INHERITANCE,
        STUDENT,
        0.0,
        ABOVE,
        control=REFERENCE,
    ),
    Claim(
        "accuracy_gain",
        "The student is more accurate on test than the same model without a teacher",
        "paper",
        "CIFAR-100 ResNet-56 self-distillation: 72.52 to 74.55 %; ImageNet and text mixed",
        "accuracy",
        EFFECT,
        0.0,
        ABOVE,
    ),
)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every setting that is distilled throughout."""
    for analysis in distilled_throughout(analyses):
        yield find(claim, analysis)
