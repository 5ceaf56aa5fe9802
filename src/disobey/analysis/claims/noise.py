"""Claims about label noise: what happens at mislabelled training points."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from disobey.analysis.claims.claim import (
    BELOW,
    Claim,
    Finding,
    distilled_throughout,
    find,
    number_of,
)
from disobey.analysis.names import EFFECT
from disobey.analysis.store import Analysis

CLAIMS = (
    Claim(
        "denoising",
        "At mislabelled training points the student is less confident in the given label than "
        "the reference; it denoises if it is not so at clean points too",
        "paper",
        "argued from the logit plot under label noise, without a number (first version)",
        "given_label_confidence",
        EFFECT,
        0.0,
        BELOW,
        split="train",
        subset="mislabelled",
    ),
)
# The same difference where the given label is right: a student unsure everywhere denoises nothing.
CONTROL = "clean"


def findings(claim: Claim, analyses: Mapping[str, Analysis]) -> Iterator[Finding]:
    """Hold one claim against every setting with label noise that is distilled throughout."""
    for analysis in distilled_throughout(analyses):
        if analysis.about.get("label_noise") and claim.split in analysis.splits:
            control = number_of(analysis, claim.statistic, claim.model, claim.split, CONTROL)
            yield replace(
                find(claim, analysis),
                control_name=f"{CONTROL} points",
                control=control.estimate,
            )
