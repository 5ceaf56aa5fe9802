"""Claims about confidence in the label's class, and about mislabelled points in the plot."""

from collections.abc import Iterator, Mapping

from disobey.analysis.claims.claim import ABOVE, BELOW, Claim, Finding, on_splits
from disobey.analysis.claims.confidence import findings as held_throughout
from disobey.analysis.claims.confidence import in_readings
from disobey.analysis.names import (
    BY_REPLICATE,
    LABEL_GAP,
    MISLABELLED_AUC,
    PLOT_MISLABELLED_AUC,
    REFERENCE,
    STUDENT,
)
from disobey.analysis.store import Analysis

LABEL_UNDERFITTING = Claim(
    "label_underfitting",
    "The student underfits what its teacher is unsure of in the label's class, too",
    "paper",
    "train plots hardly change; on test the underfitting is much weaker or gone (first version)",
    LABEL_GAP,
    STUDENT,
    0.0,
    BELOW,
    control=REFERENCE,
)
MISLABELLED = Claim(
    "mislabelled",
    "Of the points that the teacher is unsure of, the student underfits mislabelled ones more than "
    "clean ones",
    "paper",
    "mislabelled points are the underfitted ones, by eye (first version)",
    PLOT_MISLABELLED_AUC,
    STUDENT,
    0.5,
    ABOVE,
    split="train",
    control=REFERENCE,
)
OF_LABELS = on_splits(*in_readings(LABEL_UNDERFITTING, f"{LABEL_GAP}{BY_REPLICATE}"))
OF_NOISE = in_readings(MISLABELLED, MISLABELLED_AUC)
CLAIMS = (*OF_LABELS, *OF_NOISE)


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against the settings that it is about.

    Those that are distilled throughout; of them, where the claim is about mislabelled points, those
    with label noise.
    """
    noisy = {name: one for name, one in analyses.items() if one.about.get("label_noise")}
    yield from held_throughout(claim, noisy if claim in OF_NOISE else analyses)
