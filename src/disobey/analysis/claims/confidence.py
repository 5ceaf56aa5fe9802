"""Claims about confidence and accuracy, each decided by a stored statistic of each setting.

The paper's claims on confidence are decided on train and on test, in three readings each. The
paper's own reading chooses class and rank by the student's teacher, and thus selects on that
teacher's noise: on test any second model shows the effect. The other readings test whether the
student shows a larger effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from disobey.analysis.claims.claim import (
    ABOVE,
    BELOW,
    Claim,
    Finding,
    distilled_throughout,
    find,
    number_of,
    on_splits,
)
from disobey.analysis.names import (
    BY_REPLICATE,
    CLEAN,
    EFFECT,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    LABEL_GAP,
    MISLABELLED_AUC,
    PAPER,
    PLOT_MISLABELLED_AUC,
    REFERENCE,
    REPLICATE,
    SECOND_SEED,
    STUDENT,
)
from disobey.analysis.store import Analysis


def in_readings(claim: Claim, conditioned: str) -> tuple[Claim, ...]:
    """Return a claim about a statistic of the student-teacher plot in all readings.

    ``conditioned`` is the name of the same statistic, conditioned on a replicate.
    """
    return (
        replace(claim, reading=PAPER),
        replace(claim, reading=SECOND_SEED, model=EFFECT, null=0.0),
        replace(claim, reading=REPLICATE, statistic=conditioned),
    )


UNDERFITTING = Claim(
    "low_confidence_underfitting",
    "The student underfits what its teacher is unsure of",
    "paper",
    "seen in most settings, by eye (first version); in 18 of 18 image settings on test, in 13 of "
    "18 on train (later version, second-hand)",
    "plot_gap_bottom_decile", STUDENT, 0.0, BELOW, control=REFERENCE,
)  # fmt: skip
OVERFITTING = Claim(
    "high_confidence_overfitting",
    "The student overfits what its teacher is sure of",
    "paper",
    "seen in texts and in Tiny-ImageNet with a ResNet student, by eye (first version)",
    "plot_gap_top_decile", STUDENT, 0.0, ABOVE, control=REFERENCE,
)  # fmt: skip
EXAGGERATES = Claim(
    "exaggeration",
    "The student exaggerates its teacher's confidence (slope above 1)",
    "paper",
    "slope above 1 on test in 7 of 12 text settings (later version, second-hand); the first "
    "version has no slope",
    "plot_slope", STUDENT, 1.0, ABOVE, control=REFERENCE,
)  # fmt: skip
DISTILLATION_EXAGGERATES = Claim(
    "distillation_exaggerates",
    "Distillation itself exaggerates: the student's A exceeds the reference's",
    "ours",
    "not separated from the effect of another training run",
    EXAGGERATION, EFFECT, 0.0, ABOVE, reading=REPLICATE, control=REFERENCE,
)  # fmt: skip
COPIES = Claim(
    "inheritance",
    "The student copies its own teacher's deviations from other teachers (B > 0)",
    "ours",
    "not measured",
    INHERITANCE, STUDENT, 0.0, ABOVE, reading=REPLICATE, control=REFERENCE,
)  # fmt: skip
GAIN = Claim(
    "accuracy_gain",
    "The student is more accurate than the same model without a teacher",
    "paper",
    "CIFAR-100 ResNet-56 self-distillation: 72.52 to 74.55 %; ImageNet and text mixed",
    "accuracy", EFFECT, 0.0, ABOVE,
)  # fmt: skip
CLAIMS = (
    *on_splits(*in_readings(UNDERFITTING, GAPS[0])),
    *on_splits(*in_readings(OVERFITTING, GAPS[-1])),
    *on_splits(*in_readings(EXAGGERATES, EXAGGERATION)),
    *on_splits(DISTILLATION_EXAGGERATES),
    *on_splits(COPIES),
    GAIN,
)

# --- the label's class, and mislabelled points ------------------------------------------------

LABEL_UNDERFITTING = Claim(
    "label_underfitting",
    "The student underfits what its teacher is unsure of in the label's class, too",
    "paper",
    "train plots hardly change; on test the underfitting is much weaker or gone (first version)",
    LABEL_GAP, STUDENT, 0.0, BELOW, control=REFERENCE,
)  # fmt: skip
MISLABELLED = Claim(
    "mislabelled",
    "Of the points that the teacher is unsure of, the student underfits mislabelled ones more than "
    "clean ones",
    "paper",
    "mislabelled points are the underfitted ones, by eye (first version)",
    PLOT_MISLABELLED_AUC, STUDENT, 0.5, ABOVE, split="train", control=REFERENCE,
)  # fmt: skip
OF_NOISE = in_readings(MISLABELLED, MISLABELLED_AUC)
LABEL_CLAIMS = (
    *on_splits(*in_readings(LABEL_UNDERFITTING, f"{LABEL_GAP}{BY_REPLICATE}")),
    *OF_NOISE,
)

DENOISING = Claim(
    "denoising",
    "At mislabelled training points the student is less confident in the given label than the "
    "reference; it denoises if it is not so at clean points too",
    "paper",
    "argued from the logit plot under label noise, without a number (first version)",
    "given_label_confidence", EFFECT, 0.0, BELOW, split="train", subset="mislabelled",
)  # fmt: skip
NOISE_CLAIMS = (DENOISING,)

# --- the pay-off of disobedience ----------------------------------------------------------------

PAYS = Claim(
    "disobedience_pays",
    "Disobedience pays: the student's Brier score is better than its teacher's",
    "ours",
    "asked in its title and answered by accuracy",
    "brier_gain", STUDENT, 0.0, ABOVE, control=REFERENCE,
)  # fmt: skip
PAYS_MORE = Claim(
    "payoff",
    "The student's deviations from its teacher pay more than those of a second seed",
    "ours",
    "not measured",
    "brier_payoff", EFFECT, 0.0, ABOVE, reading=SECOND_SEED, control=REFERENCE,
)  # fmt: skip
PAYOFF_CLAIMS = (PAYS, PAYS_MORE)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Evaluate one claim in every setting to which it applies and that has its split.

    It applies to settings that are distilled throughout and, for claims on mislabelled points, have
    label noise.
    """
    about_noise = claim in (*OF_NOISE, *NOISE_CLAIMS)
    for analysis in distilled_throughout(analyses):
        if claim.split in analysis.splits and (
            analysis.about.get("label_noise") or not about_noise
        ):
            found = find(claim, analysis)
            yield _beside_clean(found, analysis) if claim is DENOISING else found


def _beside_clean(found: Finding, analysis: Analysis) -> Finding:
    """Add clean points as the control: a student that is unsure everywhere does not denoise."""
    claim = found.claim
    control = number_of(analysis, claim.statistic, claim.model, claim.split, CLEAN).estimate
    return replace(found, control_name=f"{CLEAN} points", control=control)
